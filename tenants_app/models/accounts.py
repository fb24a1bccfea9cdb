"""What happened to the accounts with which administrators sign in."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants_app.models.tenants import Role, Tenant
from tenants_app.sentence_fields import SentenceField


class AccountEvent(models.Model):
    """Who signed in or was refused, and what became of an account. Accounts belong to no tenant, and so do these."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="events",
        help_text=_("None: it is nobody's."),
    )
    name = models.CharField(_("who"), max_length=200, help_text=_("As they named themselves, or were named."))
    what = models.CharField(max_length=50)
    detail = SentenceField(blank=True, help_text=_("How, or why not, in a sentence."))
    address = models.CharField(_("from where"), max_length=45, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.what}: {self.name}"


class Invitation(models.Model):
    """Somebody was asked by mail to have a role in a tenant. Only the hash of the link's secret is kept."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="invitations")
    email = models.EmailField(_("mail address"), max_length=254)
    role = models.CharField(max_length=10, choices=Role.Name.choices)
    language = models.CharField(max_length=10, blank=True, help_text="That the mail is written in.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email


class Preferences(models.Model):
    """How somebody likes to see the pages. Who has never said has no row, and what is empty is as it comes."""

    class Theme(models.TextChoices):
        """Of colours."""

        LIGHT = "light", "Light"
        DARK = "dark", "Dark"

    account = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="preferences"
    )
    language = models.CharField(max_length=10, blank=True, help_text="Empty: as the browser asks for.")
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty: that of the tenant whose page it is.")
    theme = models.CharField(max_length=5, blank=True, choices=Theme.choices, help_text="Empty: as the system is set.")

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return str(self.account)

    @classmethod
    def of(cls, account: AbstractBaseUser | AnonymousUser) -> Preferences:
        """What they have said, or a row that is not saved. Asks nothing of the database for who is signed in."""
        found: Preferences | None = getattr(account, "preferences", None)
        return found or cls()
