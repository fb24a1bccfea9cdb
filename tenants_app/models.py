"""Who people are and how they dial in: tenants, users, bridges, service numbers, conference IDs, roles, audit.

Rows change only through the functions of ``tenants_app.changes``: they lock, check, save, audit and announce.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from tenants_app.validators import (
    validate_address,
    validate_conference_id,
    validate_domain,
    validate_e164,
    validate_language,
    validate_meeting_url,
    validate_one_line,
    validate_slug,
    validate_text,
    validate_web_address,
)


class MeetingService(models.TextChoices):
    """Who hosts the online meetings that are made anew (R39)."""

    LINK = "link", "Link"
    NONE = "none", "None"


class Tenant(models.Model):
    """An organization. Its three switches are R12, R13 and R14; changes of them are audited."""

    slug = models.CharField(
        max_length=50, unique=True, validators=[validate_slug], help_text="Stands in the web address."
    )
    name = models.CharField(
        max_length=200, validators=[validate_one_line], help_text="What people call the organization."
    )
    domain = models.CharField(
        max_length=253,
        validators=[validate_domain],
        help_text="Join links of new Link meetings name an organizer's domain where it is another one. Changing this "
        "starts no run: existing meetings keep their links.",
    )
    meeting_service = models.CharField(
        max_length=5,
        choices=MeetingService.choices,
        default=MeetingService.LINK,
        help_text="Who hosts meetings that are made anew, as when a user moves from on-premises to online. Link: the "
        "address is the meeting. None: nobody. Changing it starts no run: existing meetings stay where they are.",
    )
    meeting_url = models.CharField(
        "meeting URL",
        max_length=500,
        blank=True,
        validators=[validate_meeting_url],
        help_text="Where the join links of the Link service begin. Changing it starts no run: existing meetings keep "
        "their links.",
    )
    meeting_migration_enabled = models.BooleanField(
        default=True,
        help_text="The service itself. While it is off no run is requested and none is picked up; pending runs wait.",
    )
    automatically_migrate_user_meetings = models.BooleanField(
        default=True,
        help_text="A changed licence, bridge, conference ID or provider starts a run. While it is off only moves from "
        "on-premises to online, changed numbers with “reschedule meetings”, and starts by hand do.",
    )
    automatically_replace_acp_provider = models.BooleanField(
        "automatically replace ACP provider",
        default=False,
        help_text="Assigning a licence to a user on a third-party provider makes Microsoft their provider and starts a "
        "run. While it is off the provider's numbers stay until you change the provider yourself.",
    )
    attendee_limit = models.PositiveIntegerField(
        default=250, help_text="Meetings with more attendees, organizer included, are skipped."
    )
    settling_time = models.PositiveIntegerField(
        default=300,
        validators=[MaxValueValidator(86_400)],
        help_text="Seconds between a change and its run (0 allowed), so that a burst of changes is one run.",
    )
    same_sequence = models.BooleanField(
        default=False,
        help_text="Updates keep the meeting's SEQUENCE and differ by their time stamp alone, so that Thunderbird and "
        "others keep the attendee's answer and do not ask for it again. But Outlook and other programs may take such "
        "an update for one that they have already, and go on showing the old joining details. While it is off "
        "SEQUENCE rises by 1: everybody takes the update for newer, and some programs ask for an answer again.",
    )
    dial_in_directory = models.BooleanField(
        "dial-in directory",
        default=False,
        help_text="Tells Jitsi Meet and telephone bridges, at public addresses, the tenant's dial-in numbers and which "
        "conference ID leads to which meeting. By ID only bridges are told, which have the directory key. While it is "
        "off the addresses answer as if there were no such tenant.",
    )
    directory_key_hash = models.CharField(
        max_length=64, blank=True, editable=False, help_text="SHA-256 of the directory key; empty: there is none."
    )
    local_numbers_url = models.CharField(
        "local numbers URL",
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text="The page that lists all dial-in numbers.",
    )
    help_url = models.CharField(
        "help URL",
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text="Behind “Help” in the invitation.",
    )
    legal_url = models.CharField(
        "legal URL",
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text="Behind “Legal” in the invitation.",
    )
    logo_url = models.CharField(
        "logo URL",
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text="A picture in the invitation's HTML block.",
    )
    footer_text = models.TextField(
        blank=True, max_length=2000, validators=[validate_text], help_text="Stands below the block, in every language."
    )
    created = models.DateTimeField(auto_now_add=True)

    get_absolute_url: Callable[[], str]
    """Where its pages begin; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """The Link service makes links of the meeting URL, so it needs one (R39)."""
        if self.meeting_service == MeetingService.LINK and not self.meeting_url:
            raise ValidationError(
                {"meeting_service": "The Link service needs a meeting URL: give one, or choose none instead."}
            )


class Role(models.Model):
    """What one administrator may do in one tenant: *viewer* reads, *operator* also starts, *admin* also changes."""

    class Name(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        OPERATOR = "operator", "Operator"
        ADMIN = "admin", "Admin"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="roles")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tenant_roles")
    name = models.CharField(max_length=10, choices=Name.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "account"], name="one_role_per_tenant_and_account")]

    def __str__(self) -> str:
        return f"{self.account} is {self.name} of {self.tenant}"


class Bridge(models.Model):
    """A conferencing bridge. An empty provider is Microsoft; any other is a third party's (R16)."""

    class ConferenceIdsFrom(models.TextChoices):
        MMS = "mms", "MMS"
        SERVICE = "service", "The meeting service"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="bridges")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    is_default = models.BooleanField(default=False)
    provider = models.CharField(
        max_length=100, blank=True, validators=[validate_one_line], help_text="Empty: Microsoft."
    )
    conference_ids_from = models.CharField(
        "conference IDs from",
        max_length=7,
        choices=ConferenceIdsFrom.choices,
        default=ConferenceIdsFrom.MMS,
        help_text="Who hands out conference IDs. MMS may only where the bridge learns them from MMS. Where the meeting "
        "service does, invitations keep the IDs that it gave.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("tenant", Lower("name"), name="one_bridge_per_name"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_default=True), name="one_default_bridge_per_tenant"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def gives_conference_ids(self) -> bool:
        """Whether MMS hands out its conference IDs (R43); otherwise the meeting service does."""
        return self.conference_ids_from == self.ConferenceIdsFrom.MMS


class ServiceNumber(models.Model):
    """A toll or toll-free number of a bridge. A bridge's default is one of its own toll numbers, by constraint."""

    class Kind(models.TextChoices):
        TOLL = "toll", "Toll"
        TOLL_FREE = "toll-free", "Toll-free"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="service_numbers")
    bridge = models.ForeignKey(Bridge, models.PROTECT, related_name="numbers")
    number = models.CharField(max_length=16, validators=[validate_e164])
    kind = models.CharField(max_length=10, choices=Kind.choices)
    is_default = models.BooleanField(default=False)
    country = models.CharField(max_length=100, blank=True, validators=[validate_one_line])
    city = models.CharField(max_length=100, blank=True, validators=[validate_one_line])
    is_leaving = models.BooleanField(
        default=False, editable=False, help_text="On its way off the bridge, so nobody is given it any more (R35)."
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="one_service_number_per_tenant"),
            models.UniqueConstraint(
                fields=["bridge"], condition=Q(is_default=True), name="one_default_number_per_bridge"
            ),
            models.CheckConstraint(condition=Q(is_default=False) | Q(kind="toll"), name="default_number_is_toll"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def place(self) -> str:
        return ", ".join(part for part in (self.country, self.city) if part)


OUT_OF_DATE = ~Q(settings_fingerprint=F("invitations_fingerprint"))
"""Users whose invitations do not say what their settings ask for (R36)."""


class ConferencingUserQuerySet(models.QuerySet["ConferencingUser"]):
    def out_of_date(self) -> ConferencingUserQuerySet:
        """Users whose invitations do not say what their settings ask for (R36); a tenant's, by an index.

        The name is never empty: asked for it, SQLite prefers the index of these users to that of all of the tenant's.
        """
        return self.filter(OUT_OF_DATE, upn__gt="")

    def with_upns(self, tenant: Tenant, upns: Iterable[str]) -> ConferencingUserQuerySet:
        """The tenant's users of these names, whatever their case; by the index of the constraint."""
        return self.alias(folded=Lower("upn")).filter(tenant=tenant, folded__in={upn.lower() for upn in upns})


class ConferencingUser(models.Model):
    """A person of the tenant whose meetings MMS looks after."""

    class Hosting(models.TextChoices):
        ONLINE = "online", "Online"
        ON_PREMISES = "on-premises", "On-premises"

    class ConferenceIdType(models.TextChoices):
        PUBLIC = "public", "Public (one for all meetings)"
        PRIVATE = "private", "Private (one per meeting)"

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="users")
    user_id = models.UUIDField("user ID", default=uuid.uuid4, unique=True, editable=False)
    upn = models.CharField("user principal name", max_length=320, validators=[validate_address])
    sip_address = models.CharField(
        "SIP address",
        max_length=320,
        validators=[validate_address],
        help_text="Changing it starts no run: join links stay as they are.",
    )
    display_name = models.CharField(max_length=200, blank=True, validators=[validate_one_line])
    language = models.CharField(max_length=35, default="en-US", validators=[validate_language])
    hosting = models.CharField(max_length=12, choices=Hosting.choices, default=Hosting.ONLINE)
    mailbox_location = models.CharField(max_length=12, choices=Hosting.choices, default=Hosting.ONLINE)
    audio_conferencing_license = models.BooleanField("audio conferencing licence", default=False)
    audio_conferencing_enabled = models.BooleanField(default=False)
    conferencing_provider = models.CharField(
        max_length=100,
        blank=True,
        validators=[validate_one_line],
        help_text="Empty: Microsoft; otherwise the audio conferencing provider (ACP).",
    )
    bridge = models.ForeignKey(Bridge, models.PROTECT, null=True, blank=True, related_name="users")
    meeting_service = models.CharField(
        max_length=5,
        blank=True,
        choices=MeetingService.choices,
        help_text="Who hosts the user's online meetings that are made anew. Empty: the tenant's meeting service.",
    )
    conference_id_type = models.CharField(
        max_length=7, choices=ConferenceIdType.choices, default=ConferenceIdType.PUBLIC
    )
    toll_number = models.ForeignKey(
        ServiceNumber,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="toll_users",
        help_text="Empty: the bridge's default number.",
    )
    toll_free_number = models.ForeignKey(
        ServiceNumber,
        models.PROTECT,
        verbose_name="toll-free number",
        null=True,
        blank=True,
        related_name="toll_free_users",
    )
    has_own_blocks = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether invitations have blocks that MMS wrote, which show language and texts (R36).",
    )
    settings_fingerprint = models.CharField(
        max_length=32, default="", editable=False, help_text="Of what the settings ask the invitations to say."
    )
    invitations_fingerprint = models.CharField(
        max_length=32,
        default="",
        editable=False,
        help_text="The same of what they say as far as MMS knows; empty while they say different things.",
    )
    created = models.DateTimeField(auto_now_add=True)

    objects = ConferencingUserQuerySet.as_manager()

    get_absolute_url: Callable[[], str]
    """Where their page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    class Meta:
        verbose_name = "user"
        ordering = ["upn"]
        constraints = [models.UniqueConstraint("tenant", Lower("upn"), name="one_user_per_upn")]
        indexes = [
            models.Index(fields=["tenant", "sip_address"], name="user_by_sip_address"),
            models.Index(fields=["tenant", "upn"], name="user_by_upn"),
            models.Index(fields=["tenant", "upn"], condition=OUT_OF_DATE, name="users_out_of_date"),
        ]

    def __str__(self) -> str:
        return self.upn

    def clean(self) -> None:
        """The invariants that span tables: the bridge is the tenant's, the numbers are the bridge's, of their kind."""
        if self.bridge and self.bridge.tenant_id != self.tenant_id:
            raise ValidationError({"bridge": f"{self.tenant} has no bridge {self.bridge}: choose one of its own."})
        for field, kind in (
            ("toll_number", ServiceNumber.Kind.TOLL),
            ("toll_free_number", ServiceNumber.Kind.TOLL_FREE),
        ):
            number: ServiceNumber | None = getattr(self, field)
            if number is None:
                continue
            if number.bridge_id != self.bridge_id:
                raise ValidationError(
                    {field: f"{number} is not on {self.upn}'s bridge ({self.bridge or 'none'}): choose one that is."}
                )
            if number.kind != kind:
                raise ValidationError({field: f"{number} is a {number.kind} number: choose a {kind} one."})

    @property
    def is_out_of_date(self) -> bool:
        """Whether the invitations do not say what the settings ask for (R36)."""
        return self.settings_fingerprint != self.invitations_fingerprint

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses under which the user organizes meetings, in lower case."""
        return frozenset({self.upn.lower(), self.sip_address.lower()})

    @property
    def effective_meeting_service(self) -> MeetingService:
        """Who hosts meetings of the user that are made anew: their own choice, else the tenant's (R39).

        ``self.tenant`` should be loaded already. Without a meeting URL there is no Link service.
        """
        service = MeetingService(self.meeting_service or self.tenant.meeting_service)
        return MeetingService.NONE if service == MeetingService.LINK and not self.tenant.meeting_url else service

    @property
    def conference_id(self) -> str:
        """The 7 digits that all of the user's meetings share; empty where MMS gives none (R43).

        ``self.bridge`` should be loaded already.
        """
        if self.bridge and self.bridge.gives_conference_ids:
            for row in self.conference_ids.all():
                if row.meeting_uid == "" and row.bridge_id == self.bridge_id:
                    return row.digits
        return ""


class ConferenceId(models.Model):
    """A conference ID in use on a bridge: a user's own (empty meeting UID) or one private meeting's.

    One table for both kinds, because they share one number space: the constraint keeps an ID from meaning two
    meetings on a bridge.
    """

    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="conference_ids")
    digits = models.CharField(max_length=7, validators=[validate_conference_id])
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="conference_ids")
    meeting_uid = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "conference ID"
        verbose_name_plural = "conference IDs"
        constraints = [
            models.UniqueConstraint(fields=["bridge", "digits"], name="one_use_per_conference_id"),
            models.UniqueConstraint(fields=["user", "bridge", "meeting_uid"], name="one_conference_id_per_meeting"),
        ]

    def __str__(self) -> str:
        return self.digits


class FormerConferenceId(models.Model):
    """A conference ID that MMS once gave to a user, or to one of their meetings, and that is theirs no more (R43).

    Invitations may still show it. It may be somebody else's by now.
    """

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="former_conference_ids")
    bridge = models.ForeignKey(
        Bridge, models.SET_NULL, null=True, related_name="former_conference_ids", help_text="Empty: a bridge of old."
    )
    digits = models.CharField(max_length=7)
    meeting_uid = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "former conference ID"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "bridge", "digits", "meeting_uid"],
                name="one_row_per_former_conference_id",
            )
        ]

    def __str__(self) -> str:
        return self.digits


class InvitedNumber(models.Model):
    """A service number that a user's invitations may show. While there is one, the database keeps the number (R35)."""

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="invited_numbers")
    number = models.ForeignKey(ServiceNumber, models.PROTECT, related_name="invitations")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "number"], name="one_row_per_user_and_number")]

    def __str__(self) -> str:
        return f"{self.number} in invitations of {self.user}"


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
