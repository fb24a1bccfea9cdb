"""The people whose meetings MMS looks after, and what their invitations show."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from tenants_app.models.bridges import Bridge, ServiceNumber
from tenants_app.models.deployments import Deployment
from tenants_app.models.mailboxes import MailboxConnection
from tenants_app.models.tenants import MeetingService, Tenant
from tenants_app.sentences import sentence
from tenants_app.validators import validate_address, validate_language, validate_one_line

OUT_OF_DATE = ~Q(settings_fingerprint=F("invitations_fingerprint"))
"""Users whose invitations do not say what their settings ask for (R36)."""


_OF_OTHER_KIND = {
    ServiceNumber.Kind.TOLL: gettext_noop("%(number)s is a toll-free number: choose a toll one."),
    ServiceNumber.Kind.TOLL_FREE: gettext_noop("%(number)s is a toll number: choose a toll-free one."),
}
"""What is said of a number of the other kind, by the kind that it must be of."""


_HOSTED_ELSEWHERE: dict[str, str] = {
    Deployment.Kind.ONLINE: gettext_noop(
        "%(upn)s belongs to %(deployment)s, which is online: move them to another deployment instead."
    ),
    Deployment.Kind.ON_PREMISES: gettext_noop(
        "%(upn)s belongs to %(deployment)s, which is on-premises: move them to another deployment instead."
    ),
}
"""What is said of a user hosted otherwise than their deployment, by its kind."""


class ConferencingUserQuerySet(models.QuerySet["ConferencingUser"]):
    def out_of_date(self) -> ConferencingUserQuerySet:
        """Users whose invitations do not say what their settings ask for (R36); a tenant's, by an index.

        The name is never empty: asked for it, SQLite prefers the index of these users to that of all of the tenant's.
        """
        return self.filter(OUT_OF_DATE, upn__gt="")

    def with_upns(self, tenant: Tenant, upns: Iterable[str]) -> ConferencingUserQuerySet:
        """The tenant's users of these names, whatever their case; by the index of the constraint."""
        return self.alias(folded=Lower("upn")).filter(tenant=tenant, folded__in={upn.lower() for upn in upns})


class UnsavedId(NamedTuple):
    """A user's conference ID after a change that is not saved, and the one that it takes the place of; "" for none."""

    digits: str
    instead_of: str


class ConferencingUser(models.Model):
    """A person of the tenant whose meetings MMS looks after."""

    class Hosting(models.TextChoices):
        ONLINE = "online", _("Online")
        ON_PREMISES = "on-premises", _("On-premises")

    class ConferenceIdType(models.TextChoices):
        PUBLIC = "public", _("Public (one for all meetings)")
        PRIVATE = "private", _("Private (one per meeting)")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="users")
    user_id = models.UUIDField(_("user ID"), default=uuid.uuid4, unique=True, editable=False)
    upn = models.CharField(_("user principal name"), max_length=320, validators=[validate_address])
    sip_address = models.CharField(
        _("SIP address"),
        max_length=320,
        validators=[validate_address],
        help_text=_("Changing it starts no run: join links stay as they are."),
    )
    display_name = models.CharField(max_length=200, blank=True, validators=[validate_one_line])
    language = models.CharField(max_length=35, default="en-US", validators=[validate_language])
    deployment = models.ForeignKey(
        Deployment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="users",
        help_text=_("Which deployment the user belongs to. Empty: none."),
    )
    hosting = models.CharField(max_length=12, choices=Hosting.choices, default=Hosting.ONLINE)
    mailbox_location = models.CharField(max_length=12, choices=Hosting.choices, default=Hosting.ONLINE)
    audio_conferencing_license = models.BooleanField(_("audio conferencing licence"), default=False)
    audio_conferencing_enabled = models.BooleanField(default=False)
    conferencing_provider = models.CharField(
        max_length=100,
        blank=True,
        validators=[validate_one_line],
        help_text=_("Empty: Microsoft; otherwise the audio conferencing provider (ACP)."),
    )
    bridge = models.ForeignKey(Bridge, models.PROTECT, null=True, blank=True, related_name="users")
    meeting_service = models.CharField(
        max_length=5,
        blank=True,
        choices=MeetingService.choices,
        help_text=_("Who hosts the user's online meetings that are made anew. Empty: the tenant's meeting service."),
    )
    mailbox = models.ForeignKey(
        MailboxConnection,
        models.RESTRICT,
        null=True,
        blank=True,
        related_name="users",
        help_text=_("Where the user's mailbox is. Empty: where the tenant's mailboxes are."),
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
        help_text=_("Empty: the bridge's default number."),
    )
    toll_free_number = models.ForeignKey(
        ServiceNumber,
        models.PROTECT,
        verbose_name=_("toll-free number"),
        null=True,
        blank=True,
        related_name="toll_free_users",
    )
    has_own_blocks = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether invitations have blocks that MMS wrote, which show language and texts (R36).",
    )
    undo_holds = models.BooleanField(
        default=False,
        editable=False,
        help_text="Whether meetings were put back as they were, so that no change starts anything by itself.",
    )
    teams_dial_in = models.CharField(
        max_length=700,
        blank=True,
        default="",
        editable=False,
        help_text="What Teams said last of dialling into the user's meetings: numbers and the page of local ones.",
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

    unsaved_id: UnsavedId | None = None
    """In a preview: the conference ID that a change would give; stored nowhere."""

    get_absolute_url: Callable[[], str]
    """Where their page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    class Meta:
        verbose_name = _("user")
        ordering = ["upn"]
        constraints = [models.UniqueConstraint("tenant", Lower("upn"), name="one_user_per_upn")]
        indexes = [
            models.Index(fields=["tenant", "sip_address"], name="user_by_sip_address"),
            models.Index(fields=["tenant", "upn"], name="user_by_upn"),
            models.Index(fields=["tenant", "upn"], condition=OUT_OF_DATE, name="users_out_of_date"),
            models.Index(fields=["tenant", "upn"], condition=Q(undo_holds=True), name="users_whose_undo_holds"),
        ]

    def __str__(self) -> str:
        return self.upn

    def clean(self) -> None:
        """The invariants that span tables: the bridge is the tenant's, the numbers are the bridge's, of their kind."""
        if self.mailbox and self.mailbox.tenant_id != self.tenant_id:
            raise ValidationError(
                {
                    "mailbox": sentence(
                        "%(tenant)s has no connection %(connection)s: choose one of its own.",
                        tenant=self.tenant.name,
                        connection=self.mailbox.name,
                    )
                }
            )
        if self.bridge and self.bridge.tenant_id != self.tenant_id:
            raise ValidationError(
                {
                    "bridge": sentence(
                        "%(tenant)s has no bridge %(bridge)s: choose one of its own.",
                        tenant=self.tenant.name,
                        bridge=self.bridge.name,
                    )
                }
            )
        if self.deployment and self.deployment.tenant_id != self.tenant_id:
            raise self.deployment.not_of(self.tenant)
        if self.deployment and self.deployment.kind != self.hosting:
            told = sentence(_HOSTED_ELSEWHERE[self.deployment.kind], deployment=self.deployment.name, upn=self.upn)
            raise ValidationError({"hosting": told})
        for field, kind in (
            ("toll_number", ServiceNumber.Kind.TOLL),
            ("toll_free_number", ServiceNumber.Kind.TOLL_FREE),
        ):
            number: ServiceNumber | None = getattr(self, field)
            if number is None:
                continue
            if number.bridge_id != self.bridge_id:
                raise ValidationError({field: self._not_on_bridge(number)})
            if number.kind != kind:
                raise ValidationError({field: sentence(_OF_OTHER_KIND[kind], number=number.number)})

    def _not_on_bridge(self, number: ServiceNumber) -> str:
        if self.bridge is None:
            return sentence(
                "%(number)s is not on %(upn)s's bridge (none): choose one that is.", number=number.number, upn=self.upn
            )
        return sentence(
            "%(number)s is not on %(upn)s's bridge (%(bridge)s): choose one that is.",
            number=number.number,
            upn=self.upn,
            bridge=self.bridge.name,
        )

    @property
    def is_out_of_date(self) -> bool:
        """Whether the invitations do not say what the settings ask for (R36)."""
        return self.settings_fingerprint != self.invitations_fingerprint

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses under which the user organizes meetings, in lower case."""
        return frozenset({self.upn.lower(), self.sip_address.lower()})

    @property
    def mailbox_connection(self) -> MailboxConnection | None:
        """The connection that leads to the user's mailbox: their own, else the tenant's; None where MMS keeps it.

        ``self.tenant`` should be loaded already.
        """
        connection = self.mailbox if self.mailbox_id else self.tenant.mailbox
        return connection if connection and connection.is_outside else None

    @property
    def effective_meeting_service(self) -> MeetingService:
        """Who hosts meetings of the user that are made anew: whom their deployment names (R62), else their own choice,
        else the tenant's (R39).

        ``self.tenant`` and ``self.deployment`` should be loaded already. Without a meeting URL there is no Link
        service, and without a connection to Teams no Teams.
        """
        of_deployment = self.deployment.meeting_service if self.deployment_id and self.deployment else ""
        service = MeetingService(of_deployment or self.meeting_service or self.tenant.meeting_service)
        is_there = {MeetingService.LINK: bool(self.meeting_url), MeetingService.TEAMS: self.tenant.reaches_teams}
        return service if is_there.get(service) else MeetingService.NONE

    @property
    def meeting_url(self) -> str:
        """Where join links of the Link service begin that are made anew for the user: of their deployment where it
        names one (R60), else of the tenant. Both should be loaded already."""
        of_deployment = self.deployment.meeting_url if self.deployment_id and self.deployment else ""
        return of_deployment or self.tenant.meeting_url

    @property
    def conference_id(self) -> str:
        """The 7 digits that all of the user's meetings share; empty where MMS gives none (R43).

        ``self.bridge`` should be loaded already.
        """
        if self.unsaved_id is not None:
            return self.unsaved_id.digits
        if self.bridge and self.bridge.gives_conference_ids:
            for row in self.conference_ids.all():
                if row.meeting_uid == "" and row.bridge_id == self.bridge_id:
                    return row.digits
        return ""


class InvitedNumber(models.Model):
    """A service number that a user's invitations may show. While there is one, the database keeps the number (R35)."""

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="invited_numbers")
    number = models.ForeignKey(ServiceNumber, models.PROTECT, related_name="invitations")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "number"], name="one_row_per_user_and_number")]

    def __str__(self) -> str:
        return f"{self.number} in invitations of {self.user}"
