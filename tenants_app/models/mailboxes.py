"""Where organizers' mailboxes are, and with what MMS signs in there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants_app.sealing import seal, unseal
from tenants_app.sentence_fields import SentenceField, SentencesField
from tenants_app.sentences import sentence
from tenants_app.validators import (
    validate_certificates,
    validate_mailbox_address,
    validate_one_line,
    validate_path_template,
)

WARN_BEFORE = timedelta(days=30)
"""How long before its end a secret or a certificate is warned of."""


class Sealed(models.Model):
    """A row with a password that is encrypted at rest, under the keys of ``MMS_SECRETS_KEY``, and shown to nobody."""

    sealed_password = models.TextField(blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def password(self) -> str:
        """The password itself; empty where there is none. Raises ``NoSecretsKey`` or ``UnopenableSecret``."""
        return unseal(self.sealed_password, self._bound_to) if self.sealed_password else ""

    def seal_password(self, password: str) -> None:
        """Keep this password; the row has its key already, and is still to be saved. Raises ``NoSecretsKey``."""
        self.sealed_password = seal(password, self._bound_to) if password else ""

    @property
    def _bound_to(self) -> str:
        if self.pk is None:
            raise ValueError("A password is bound to the key of its row: save the row first.")
        return f"{self._meta.label_lower}|{self.pk}"


class MailboxConnection(Sealed):
    """A mail system in which organizers of a tenant have their mailboxes, and how MMS gets to them."""

    class Kind(models.TextChoices):
        EMBEDDED = "embedded", _("Embedded")
        CALDAV = "caldav", _("CalDAV")
        GRAPH = "graph", _("Exchange Online")
        EXCHANGE = "exchange", _("Exchange on-premises")

    REACH_ON_PREMISES = (Kind.CALDAV, Kind.EXCHANGE)
    """Kinds that lead to a mailbox whose Exchange is on-premises (R15)."""

    class WhoTells(models.TextChoices):
        """Who sends attendees the update of a meeting that was changed in a mailbox."""

        DETECT = "detect", _("As the server says")
        SERVER = "server", _("The server")
        MMS = "mms", _("MMS")

    class Cloud(models.TextChoices):
        """Which of Microsoft's clouds an Exchange Online is in."""

        GLOBAL = "global", _("Worldwide, GCC")
        US_GOV = "us-gov", _("US government (GCC High)")
        US_DOD = "us-dod", _("US government (DoD)")
        CHINA = "china", _("China (21Vianet)")

    class SignInBy(models.TextChoices):
        """How MMS signs in to an Exchange on-premises."""

        NTLM = "ntlm", _("NTLM")
        BASIC = "basic", _("Basic")

    tenant = models.ForeignKey("tenants_app.Tenant", models.CASCADE, related_name="mailbox_connections")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.CALDAV)
    address = models.CharField(
        max_length=500,
        blank=True,
        validators=[validate_mailbox_address],
        help_text=_(
            "Where the server is, like https://dav.contoso.com/. MMS finds the calendars from there (RFC 6764)."
        ),
    )
    username = models.CharField(
        _("user name"),
        max_length=320,
        blank=True,
        validators=[validate_one_line],
        help_text=_(
            "Of the service account that may reach the organizers' calendars. Empty: each user has a "
            "password of their own."
        ),
    )
    cloud = models.CharField(
        max_length=6,
        choices=Cloud.choices,
        default=Cloud.GLOBAL,
        help_text=_("Which of Microsoft's clouds the organization is in."),
    )
    directory_id = models.CharField(
        _("directory (tenant) ID"),
        max_length=253,
        blank=True,
        validators=[validate_one_line],
        help_text=_("Of the organization in Microsoft Entra: a GUID, or one of its domains."),
    )
    sign_in_by = models.CharField(
        max_length=5, choices=SignInBy.choices, default=SignInBy.NTLM, help_text=_("How the service account signs in.")
    )
    autodiscover = models.BooleanField(
        default=False,
        help_text=_("Ask the domain of each user where the Exchange server is, instead of giving its address."),
    )
    secret_expires_at = models.DateTimeField(
        _("secret expires"),
        null=True,
        blank=True,
        help_text=_("When the client secret ends; of a certificate MMS reads it. Warned of 30 days before."),
    )
    certificate_fingerprint = models.CharField(
        max_length=40,
        blank=True,
        editable=False,
        help_text="Of the certificate that MMS signs in with to Microsoft, as Microsoft Entra lists it (SHA-1).",
    )
    path_template = models.CharField(
        max_length=500,
        blank=True,
        validators=[validate_path_template],
        help_text=_(
            "Where a user's calendars are, seen from the address, such as /dav/calendars/user/{local}/. "
            "{upn}, {local} and {domain} stand for the user. Empty: the calendars of whoever signs in."
        ),
    )
    calendars = models.CharField(
        max_length=500,
        blank=True,
        validators=[validate_one_line],
        help_text=_("Names of the calendars to look at, separated by commas. Empty: all that the user may change."),
    )
    ca_certificates = models.TextField(
        _("CA certificates"),
        blank=True,
        max_length=100_000,
        validators=[validate_certificates],
        help_text=_("Of authorities that the server's certificate may come from beside the public ones, in PEM form."),
    )
    who_tells = models.CharField(
        _("who tells attendees"),
        max_length=6,
        choices=WhoTells.choices,
        default=WhoTells.DETECT,
        help_text=_(
            "A server that schedules (RFC 6638) mails attendees itself when a meeting changes; for others "
            "MMS does. Where a server only claims to, choose MMS."
        ),
    )
    most_requests = models.PositiveSmallIntegerField(
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("How many workers may ask the server at the same time."),
    )
    server_tells = models.BooleanField(
        null=True, editable=False, help_text="What the server said of itself last: whether it tells attendees."
    )
    found_at = models.CharField(
        max_length=1500,
        blank=True,
        editable=False,
        help_text="Where the server is, if DNS names another than the address.",
    )
    paused_until = models.DateTimeField(
        null=True, editable=False, help_text="Until then no run of its users is begun, because the server refuses."
    )
    problem_code = models.CharField(max_length=40, blank=True, editable=False)
    problem_detail = SentenceField(blank=True, editable=False)
    problem_since = models.DateTimeField(null=True, editable=False)
    tested_at = models.DateTimeField(null=True, editable=False)
    tested_on = models.CharField(max_length=320, blank=True, editable=False, help_text="Whose mailbox it was tried on.")
    findings = SentencesField(default=list, editable=False, help_text="What the last test found, step by step.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("tenant", Lower("name"), name="one_mailbox_connection_per_name"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(kind="embedded"), name="one_embedded_mailbox_per_tenant"
            ),
        ]

    get_absolute_url: Callable[[], str]
    """Where its page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_outside(self) -> bool:
        """Whether its mailboxes are not kept by MMS itself."""
        return self.kind != self.Kind.EMBEDDED

    @property
    def reaches_on_premises(self) -> bool:
        """Whether a mailbox whose Exchange is on-premises can be reached by it (R15)."""
        return self.kind in self.REACH_ON_PREMISES

    @property
    def server(self) -> str:
        """What a password was given for: scheme, host and port of the address, or a directory of Microsoft's."""
        if self.kind == self.Kind.GRAPH:
            return f"{self.cloud}/{self.directory_id}".lower()
        return "/".join(self.address.split("/")[:3]).lower()

    @property
    def where(self) -> str:
        """Where its mailboxes are, for people."""
        return self.directory_id or self.address or "Where users' domains say (autodiscovery)"

    @property
    def secret_ends_soon(self) -> bool:
        """Whether its client secret or certificate has to be renewed, or has ended already."""
        return self.secret_expires_at is not None and self.secret_expires_at <= timezone.now() + WARN_BEFORE

    @property
    def secret_has_ended(self) -> bool:
        return self.secret_expires_at is not None and self.secret_expires_at <= timezone.now()

    @property
    def secret_name(self) -> str:
        """What the secret of a connection to Microsoft is called."""
        return sentence("certificate") if self.certificate_fingerprint else sentence("client secret")

    @property
    def secret_cure(self) -> str:
        """What to do about a secret that ends or has ended, as the rest of a sentence."""
        if self.certificate_fingerprint:
            if self.secret_has_ended:
                return sentence(
                    "make a new one, upload it to the app registration in Microsoft Entra, and enter it here; without "
                    "it no run of its users goes on."
                )
            return sentence(
                "make a new one, upload it to the app registration in Microsoft Entra, and enter it here; without it "
                "no run of its users goes on after that day."
            )
        if self.secret_has_ended:
            return sentence(
                "make a new one under Certificates & secrets of the app registration in Microsoft Entra, and enter it "
                "here; without it no run of its users goes on."
            )
        return sentence(
            "make a new one under Certificates & secrets of the app registration in Microsoft Entra, and enter it "
            "here; without it no run of its users goes on after that day."
        )

    @property
    def tells_attendees(self) -> bool:
        """Whether the server mails attendees itself when a meeting changes."""
        if self.kind in {self.Kind.GRAPH, self.Kind.EXCHANGE}:
            return True
        if self.who_tells == self.WhoTells.DETECT:
            return bool(self.server_tells)
        return self.who_tells == self.WhoTells.SERVER


class MailboxCredential(Sealed):
    """With what MMS signs in to one user's mailbox, where the connection has no service account."""

    user = models.OneToOneField("tenants_app.ConferencingUser", models.CASCADE, related_name="mailbox_credential")
    username = models.CharField(_("user name"), max_length=320, validators=[validate_one_line])
    server = models.CharField(
        max_length=500, blank=True, editable=False, help_text="For which it was given; it is sent to no other."
    )

    def __str__(self) -> str:
        return f"{self.username} for {self.user}"
