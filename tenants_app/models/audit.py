"""The record of what administrators changed."""

from __future__ import annotations

from django.db import models

from tenants_app.models.tenants import Tenant


class AuditEntry(models.Model):
    """Who changed what, when, from what to what, through what. Written in the change's transaction, never edited."""

    class Channel(models.TextChoices):
        SCREEN = "screen", "Screen"
        COMMAND = "command", "Command"
        IMPORT = "import", "Import"
        ADMIN = "admin", "Django admin"
        SERVICE = "service", "Background service"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="audit_entries")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField("who", max_length=200)
    channel = models.CharField("through what", max_length=7, choices=Channel.choices, default=Channel.SCREEN)
    action = models.CharField("what", max_length=50)
    target = models.CharField("to what", max_length=400)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    consequence = models.CharField(max_length=500, blank=True, help_text="What it led to, in a sentence.")

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["tenant", "-at"], name="audit_by_time")]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
