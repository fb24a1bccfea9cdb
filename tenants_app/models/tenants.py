"""An organization with its settings, and who may do what in it."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models

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
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="Times on the tenant's pages are shown and understood in it, and planned runs begin by it. A name "
        "such as Europe/Rome.",
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
    mailbox = models.ForeignKey(
        "tenants_app.MailboxConnection",
        models.RESTRICT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Where the mailboxes of users are who have no other. Empty: MMS keeps them itself.",
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
    notify_cancelled = models.BooleanField(
        "tell organizers of cancelled runs",
        default=False,
        help_text="Where organizers were told of planned runs, they are told too that these are cancelled, unless the "
        "box for it is cleared where the runs are planned. It counts for what is planned from now on.",
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

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return zone_named(self.time_zone)

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
