"""By which mail server, and in whose name, a tenant's messages go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants_app.models.mailboxes import Sealed
from tenants_app.validators import (
    validate_address,
    validate_certificates,
    validate_host,
    validate_one_line,
    validate_selectors,
)

if TYPE_CHECKING:
    from tenants_app.models.tenants import Tenant


class MailServerConnection(Sealed):
    """How a tenant's messages go out: its own mail server or the installation's, and who stands as their author.

    A tenant without one uses the installation's server and names the organizer.
    """

    class Security(models.TextChoices):
        STARTTLS = "starttls", _("STARTTLS")
        TLS = "tls", _("TLS from the start")
        NONE = "none", _("None")

    class SenderMode(models.TextChoices):
        """Who stands in From."""

        ORGANIZER = "organizer", _("The organizer's")
        SERVICE = "service", _("The service's, for the organizer")

    tenant = models.OneToOneField("tenants_app.Tenant", models.CASCADE, related_name="mail_server")
    host = models.CharField(
        max_length=253,
        blank=True,
        validators=[validate_host],
        help_text=_("Of the organization's own SMTP server, like smtp.contoso.com. Empty: the installation's server."),
    )
    port = models.PositiveIntegerField(
        default=587,
        validators=[MinValueValidator(1), MaxValueValidator(65_535)],
        help_text=_("587 with STARTTLS, 465 with TLS from the start."),
    )
    security = models.CharField(
        max_length=8,
        choices=Security.choices,
        default=Security.STARTTLS,
        help_text=_(
            "The server's certificate is always checked. None is only for hosts that the operator of MMS names."
        ),
    )
    username = models.CharField(
        _("user name"),
        max_length=320,
        blank=True,
        validators=[validate_one_line],
        help_text=_("Empty: MMS does not sign in."),
    )
    ca_certificates = models.TextField(
        _("CA certificates"),
        blank=True,
        max_length=100_000,
        validators=[validate_certificates],
        help_text=_("Of authorities that the server's certificate may come from beside the public ones, in PEM form."),
    )
    messages_per_minute = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text=_("How many messages the server may be given in a minute. 0: no limit."),
    )
    per_domain_per_minute = models.PositiveIntegerField(
        _("recipients per domain per minute"),
        default=0,
        validators=[MaxValueValidator(100_000)],
        help_text=_("How many recipients of one domain may be written to in a minute. 0: no limit."),
    )
    sender_mode = models.CharField(
        _("in whose name"),
        max_length=9,
        choices=SenderMode.choices,
        default=SenderMode.ORGANIZER,
        help_text=_("The deliverability check says what recipients' servers make of either."),
    )
    sender = models.CharField(
        _("address of the service"),
        max_length=254,
        blank=True,
        validators=[validate_address],
        help_text=_(
            "To which failures are reported. Empty: the usual one, meeting-migration@ the organization's domain."
        ),
    )
    dkim_selectors = models.CharField(
        _("DKIM selectors"),
        max_length=500,
        blank=True,
        validators=[validate_selectors],
        help_text=_("Names of the keys that the server signs with, separated by commas, for the deliverability check."),
    )

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.host else str(_("the installation's mail server"))

    @property
    def is_own(self) -> bool:
        """Whether the tenant has a server of its own."""
        return bool(self.host)

    @classmethod
    def of(cls, tenant: Tenant) -> MailServerConnection:
        """The tenant's; where none is stored, one as it is without."""
        found = cls.objects.filter(tenant=tenant).first() or cls()
        found.tenant = tenant
        return found
