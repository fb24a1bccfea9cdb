"""What mailboxes hold, and the online meetings behind it."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tenants_app.sentence_fields import SentenceField


class MeetingFacts(models.Model):
    """What selecting meetings needs to know of one, read once from its text."""

    uid = models.CharField(max_length=500)
    organizer = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text=_("End of the last occurrence; the year 9999 stands for no end."))
    attendee_count = models.PositiveIntegerField(default=0, help_text=_("Organizer included."))
    recipient_count = models.PositiveIntegerField(default=0, help_text=_("Attendees that mail can reach."))
    cancelled = models.BooleanField(default=False)
    unreadable = SentenceField(blank=True, help_text=_("Why the object cannot be read."))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.subject or self.uid


class CalendarObject(MeetingFacts):
    """One calendar object of an embedded mailbox: a meeting with its overrides, as the exact bytes received."""

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="calendar_objects")
    body = models.BinaryField()
    etag = models.CharField(max_length=32, help_text=_("Changes with every change of the bytes."))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "uid"], name="one_calendar_object_per_uid")]
        indexes = [
            models.Index(fields=["user", "last_end"], name="calendar_object_by_end"),
            models.Index(fields=["uid"], name="calendar_object_by_uid"),
            models.Index(fields=["starts_at"], name="calendar_object_by_start"),
        ]


class IndexedMeeting(MeetingFacts):
    """What MMS knows of a meeting in a mailbox outside, as of the last scan; its text stays there."""

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="indexed_meetings")
    calendar = models.CharField(max_length=1000, help_text="The path of the collection that it is in.")
    href = models.CharField(max_length=1000, help_text="Its path on the server.")
    etag = models.CharField(max_length=300, blank=True, help_text="Empty: to be read anew.")
    schedule_tag = models.CharField(max_length=300, blank=True)
    size = models.PositiveIntegerField(default=0, help_text="Octets of its text.")
    digits = models.TextField(
        null=True, help_text="The rows of digits that its text shows, with blanks between; null where nobody looked."
    )
    version = models.PositiveSmallIntegerField(
        default=0, help_text="Of the way in which this was read from its text: what an older one read is read anew."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "href"], name="one_indexed_meeting_per_href")]
        indexes = [
            models.Index(fields=["user", "last_end"], name="indexed_meeting_by_end"),
            models.Index(fields=["user", "uid"], name="indexed_meeting_by_uid"),
            models.Index(fields=["uid"], name="indexed_meetings_of_uid"),
            models.Index(fields=["starts_at"], name="indexed_meeting_by_start"),
        ]


class MailboxScan(models.Model):
    """How far MMS knows a mailbox outside: when it was looked at last, and from where the next look goes on."""

    user = models.OneToOneField(ConferencingUser, models.CASCADE, related_name="mailbox_scan")
    connection = models.ForeignKey(MailboxConnection, models.CASCADE, related_name="scans")
    calendars = models.JSONField(default=dict, help_text="By path of each calendar, where its next look goes on.")
    scanned_at = models.DateTimeField(null=True, help_text="When the last look that saw everything began.")
    due_at = models.DateTimeField(default=timezone.now)
    failures = models.PositiveSmallIntegerField(default=0, help_text="In a row.")
    code = models.CharField(max_length=40, blank=True, help_text="Why the last look failed.")
    detail = SentenceField(blank=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="mailbox_scans_by_due_time")]

    def __str__(self) -> str:
        return f"scan of the mailbox of {self.user}"

    @property
    def problem(self) -> str:
        """Why the last look failed and what to do; empty where it did not."""
        return describe(self.code, self.detail) if self.code else ""


class OnlineMeeting(models.Model):
    """The online meeting behind a meeting of a user's calendar, made once and found again (R41).

    Written in a transaction of its own before the invitation names it, and never deleted while the user is there
    (R45). A ``link`` meeting that MMS did not make, but found to be its own, is remembered too.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="online_meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="online_meetings")
    uid = models.CharField(max_length=500)
    recurrence_id = models.CharField(
        max_length=100, blank=True, help_text="Of an occurrence that has a meeting of its own, as it stands there."
    )
    service = models.CharField(max_length=20, help_text="Whose meeting it is: Link, Teams.")
    made_under = models.CharField(
        max_length=500,
        blank=True,
        help_text="Of a Link meeting: the meeting URL that its link begins with. Of a Teams meeting: the organization "
        "in Microsoft 365 and its cloud.",
    )
    join_url = models.CharField(max_length=2000)
    facts = models.JSONField(default=dict, help_text="What else leads into it: meeting ID, passcode, …")
    has_given_id = models.BooleanField(
        default=False,
        help_text="Whether its invitation showed a conference ID of ours, so that a phone part can come back (R43).",
    )
    room = models.CharField(max_length=300, help_text="The last segment of the join link, in lower case.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "uid", "recurrence_id", "service", "made_under"], name="one_online_meeting_per_meeting"
            )
        ]
        indexes = [models.Index(fields=["tenant", "room"], name="online_meetings_by_room")]

    def __str__(self) -> str:
        return self.join_url


class TeamsLook(models.Model):
    """When Teams is asked again how people dial into a user's meetings, and about which meeting it is asked (R43)."""

    user = models.OneToOneField(ConferencingUser, models.CASCADE, related_name="teams_look")
    join_url = models.CharField(
        max_length=2000, help_text="Of the meeting of the user that Teams was asked about last."
    )
    due_at = models.DateTimeField(default=timezone.now)
    looked_at = models.DateTimeField(null=True, help_text="When Teams answered last.")
    code = models.CharField(max_length=40, blank=True, help_text="Why the last look failed.")
    detail = SentenceField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["due_at"], name="teams_looks_by_due_time")]

    def __str__(self) -> str:
        return f"look at the Teams meetings of {self.user}"

    @property
    def problem(self) -> str:
        """Why the last look failed and what to do; empty where it did not."""
        return describe(self.code, self.detail) if self.code else ""
