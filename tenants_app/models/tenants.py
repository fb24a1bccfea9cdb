"""An organization with its settings, and who may do what in it."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants_app.local_times import zone_named
from tenants_app.validators import (
    validate_domain,
    validate_meeting_url,
    validate_one_line,
    validate_slug,
    validate_text,
    validate_time_zone,
    validate_web_address,
)


class MeetingService(models.TextChoices):
    """Who hosts the online meetings that are made anew (R39)."""

    LINK = "link", _("Link")
    TEAMS = "teams", _("Teams")
    NONE = "none", _("None")


class Tenant(models.Model):
    """An organization. Its three switches are R12, R13 and R14; changes of them are audited."""

    slug = models.CharField(
        max_length=50, unique=True, validators=[validate_slug], help_text=_("Stands in the web address.")
    )
    name = models.CharField(
        max_length=200, validators=[validate_one_line], help_text=_("What people call the organization.")
    )
    domain = models.CharField(
        max_length=253,
        validators=[validate_domain],
        help_text=_(
            "Join links of new Link meetings name an organizer's domain where it is another one. Changing "
            "this starts no run: existing meetings keep their links."
        ),
    )
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text=_(
            "Times on the tenant's pages are shown and understood in it, and planned runs begin by it. A "
            "name such as Europe/Rome."
        ),
    )
    meeting_service = models.CharField(
        max_length=5,
        choices=MeetingService.choices,
        default=MeetingService.LINK,
        help_text=_(
            "Who hosts meetings that are made anew, as when a user moves from on-premises to online. Link: "
            "the address is the meeting. Teams: Microsoft Teams, through its connection. None: nobody. "
            "Changing it starts no run: existing meetings stay where they are."
        ),
    )
    meeting_url = models.CharField(
        _("meeting URL"),
        max_length=500,
        blank=True,
        validators=[validate_meeting_url],
        help_text=_(
            "Where the join links of the Link service begin. Changing it starts no run: existing meetings "
            "keep their links."
        ),
    )
    mailbox = models.ForeignKey(
        "tenants_app.MailboxConnection",
        models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("Where the mailboxes of users are who have no other. Empty: MMS keeps them itself."),
    )
    teams_connection = models.ForeignKey(
        "tenants_app.MailboxConnection",
        models.RESTRICT,
        verbose_name=_("connection to Teams"),
        null=True,
        blank=True,
        related_name="+",
        help_text=_(
            "The connection to Microsoft 365 by which Teams meetings are made and asked for their dial-in "
            "facts. Empty: MMS does not reach Teams."
        ),
    )
    meeting_migration_enabled = models.BooleanField(
        default=True,
        help_text=_(
            "The service itself. While it is off no run is requested and none is picked up; pending runs wait."
        ),
    )
    automatically_migrate_user_meetings = models.BooleanField(
        default=True,
        help_text=_(
            "A changed licence, bridge, conference ID or provider starts a run. While it is off only moves "
            "from on-premises to online, changed numbers with “reschedule meetings”, and starts by hand do."
        ),
    )
    automatically_replace_acp_provider = models.BooleanField(
        _("automatically replace ACP provider"),
        default=False,
        help_text=_(
            "Assigning a licence to a user on a third-party provider makes Microsoft their provider and "
            "starts a run. While it is off the provider's numbers stay until you change the provider "
            "yourself."
        ),
    )
    attendee_limit = models.PositiveIntegerField(
        default=250, help_text=_("Meetings with more attendees, organizer included, are skipped.")
    )
    settling_time = models.PositiveIntegerField(
        default=300,
        validators=[MaxValueValidator(86_400)],
        help_text=_("Seconds between a change and its run (0 allowed), so that a burst of changes is one run."),
    )
    same_sequence = models.BooleanField(
        default=False,
        help_text=_(
            "Updates keep the meeting's SEQUENCE and differ by their time stamp alone, so that Thunderbird "
            "and others keep the attendee's answer and do not ask for it again. But Outlook and other "
            "programs may take such an update for one that they have already, and go on showing the old "
            "joining details. While it is off SEQUENCE rises by 1: everybody takes the update for newer, "
            "and some programs ask for an answer again."
        ),
    )
    notify_cancelled = models.BooleanField(
        _("tell organizers of cancelled runs"),
        default=False,
        help_text=_(
            "Where organizers were told of planned runs, they are told too that these are cancelled, "
            "unless the box for it is cleared where the runs are planned. It counts for what is planned "
            "from now on."
        ),
    )
    second_factor_required = models.BooleanField(
        _("second factor required"),
        default=False,
        help_text=_(
            "Only who has signed in with a second factor (a code of an app, a passkey, or the "
            "organization's own sign-in) sees this tenant; others are led to set one up. While it is off a "
            "password is enough, unless the whole installation asks for more."
        ),
    )
    dial_in_directory = models.BooleanField(
        _("dial-in directory"),
        default=False,
        help_text=_(
            "Tells Jitsi Meet and telephone bridges, at public addresses, the tenant's dial-in numbers and "
            "which conference ID leads to which meeting. By ID only bridges are told, which have the "
            "directory key. While it is off the addresses answer as if there were no such tenant."
        ),
    )
    directory_key_hash = models.CharField(
        max_length=64, blank=True, editable=False, help_text="SHA-256 of the directory key; empty: there is none."
    )
    local_numbers_url = models.CharField(
        _("local numbers URL"),
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text=_("The page that lists all dial-in numbers."),
    )
    help_url = models.CharField(
        _("help URL"),
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text=_("Behind “Help” in the invitation."),
    )
    legal_url = models.CharField(
        _("legal URL"),
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text=_("Behind “Legal” in the invitation."),
    )
    logo_url = models.CharField(
        _("logo URL"),
        max_length=500,
        blank=True,
        validators=[validate_web_address],
        help_text=_("A picture in the invitation's HTML block."),
    )
    footer_text = models.TextField(
        blank=True,
        max_length=2000,
        validators=[validate_text],
        help_text=_("Stands below the block, in every language."),
    )
    created = models.DateTimeField(auto_now_add=True)

    get_absolute_url: Callable[[], str]
    """Where its pages begin; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return zone_named(self.time_zone)

    @property
    def reaches_teams(self) -> bool:
        """Whether MMS can ask Teams for meetings."""
        return self.teams_connection_id is not None

    def clean(self) -> None:
        """What each meeting service needs (R39): a meeting URL to begin links with, a connection to Teams."""
        self._check_teams_connection()
        if self.meeting_service == MeetingService.TEAMS and not self.reaches_teams:
            raise ValidationError(
                {
                    "meeting_service": _(
                        "The Teams service needs a connection to Teams: choose one of the tenant's connections to "
                        "Microsoft 365, or another meeting service."
                    )
                }
            )
        if self.meeting_service == MeetingService.LINK and not self.meeting_url:
            raise ValidationError(
                {"meeting_service": _("The Link service needs a meeting URL: give one, or choose none instead.")}
            )

    def _check_teams_connection(self) -> None:
        connection = self.teams_connection
        if connection is None:
            return
        if connection.tenant_id != self.pk:
            problem = _("%(tenant)s has no connection %(connection)s: choose one of its own.")
        elif connection.kind != connection.Kind.GRAPH:
            problem = _(
                "%(connection)s does not lead to Microsoft 365: choose a connection of the kind Exchange Online."
            )
        elif connection.cloud == connection.Cloud.CHINA:
            problem = _("In Microsoft's cloud in China no application can make Teams meetings: choose none.")
        else:
            return
        raise ValidationError({"teams_connection": problem % {"tenant": self.name, "connection": connection}})


class Role(models.Model):
    """What one administrator may do in one tenant: *viewer* reads, *operator* also starts, *admin* also changes."""

    class Name(models.TextChoices):
        VIEWER = "viewer", _("Viewer")
        OPERATOR = "operator", _("Operator")
        ADMIN = "admin", _("Admin")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="roles")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tenant_roles")
    name = models.CharField(max_length=10, choices=Name.choices)
    by_groups = models.BooleanField(
        default=False,
        editable=False,
        help_text="Given at a sign-in because of the account's groups, and taken away so. Others stay until a person "
        "takes them away.",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "account"], name="one_role_per_tenant_and_account")]

    def __str__(self) -> str:
        return _("%(account)s is %(role)s of %(tenant)s") % {
            "account": self.account,
            "role": self.get_name_display().lower(),
            "tenant": self.tenant,
        }
