"""The record of what administrators changed."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from tenants_app.models.tenants import Tenant
from tenants_app.sentence_fields import NameOrSentenceField, SentenceField, SentencesField


class AuditEntry(models.Model):
    """Who changed what, when, from what to what, through what. Written in the change's transaction, never edited."""

    class Channel(models.TextChoices):
        SCREEN = "screen", _("Screen")
        COMMAND = "command", _("Command")
        IMPORT = "import", _("Import")
        ADMIN = "admin", _("Django admin")
        SERVICE = "service", _("Background service")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="audit_entries")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(_("who"), max_length=200)
    channel = models.CharField(_("through what"), max_length=7, choices=Channel.choices, default=Channel.SCREEN)
    action = models.CharField(_("what"), max_length=50)
    target = NameOrSentenceField(_("to what"), max_length=400)
    before = SentencesField(default=dict)
    after = SentencesField(default=dict)
    consequence = SentenceField(blank=True, help_text=_("What it led to, in a sentence."))

    class Meta:
        verbose_name_plural = _("audit entries")
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="audit_by_time"),
            models.Index(fields=["tenant", "action", "-at"], name="audit_by_action_and_time"),
            models.Index(fields=["tenant", "channel", "-at"], name="audit_by_channel_and_time"),
            models.Index(F("tenant"), Upper("actor"), F("at").desc(), name="audit_by_actor_and_time"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
