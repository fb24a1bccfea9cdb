"""What happens to people's meetings: mailboxes, the queue of runs, what became of each meeting, updates to send."""

from __future__ import annotations

import uuid
from functools import partial

from django.db import models
from django.db.models import Q
from django.utils import timezone

from migrations_app.failures import describe
from migrations_app.targets import ALL_CURRENT
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant


class CalendarObject(models.Model):
    """One calendar object of an embedded mailbox: a meeting with its overrides, as the exact bytes received.

    Beside the bytes stand the facts that selecting meetings needs, read once when the object was stored.
    """

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="calendar_objects")
    uid = models.CharField(max_length=500)
    body = models.BinaryField()
    etag = models.CharField(max_length=32, help_text="Changes with every change of the bytes.")
    organizer = models.CharField(max_length=320, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text="End of the last occurrence; the year 9999 stands for no end.")
    attendee_count = models.PositiveIntegerField(default=0, help_text="Organizer included.")
    recipient_count = models.PositiveIntegerField(default=0, help_text="Attendees that mail can reach.")
    cancelled = models.BooleanField(default=False)
    unreadable = models.CharField(max_length=500, blank=True, help_text="Why the object cannot be read.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "uid"], name="one_calendar_object_per_uid")]
        indexes = [models.Index(fields=["user", "last_end"], name="calendar_object_by_end")]

    def __str__(self) -> str:
        return self.subject or self.uid


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
    service = models.CharField(max_length=20, help_text="Whose meeting it is: Link.")
    made_under = models.CharField(
        max_length=500, blank=True, help_text="Of a Link meeting: the meeting URL that its link begins with."
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


class Run(models.Model):
    """One migration of one user's meetings. The rows in state Pending are the queue (R26 to R29)."""

    class State(models.TextChoices):
        PENDING = "Pending"
        IN_PROGRESS = "InProgress", "InProgress"
        FAILED = "Failed"
        SUCCEEDED = "Succeeded"

    correlation_id = models.UUIDField("correlation ID", default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="runs")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    is_latest = models.BooleanField(default=True, help_text="The user's newest run: the one that counts (R29).")
    targets = models.JSONField(
        default=partial(dict, **ALL_CURRENT.stored),
        help_text="What becomes of the meetings of each service: Current, or the service in which they are made anew.",
    )
    migration_type = models.CharField(
        max_length=80, default=ALL_CURRENT.migration_type, help_text="What that is called (R44)."
    )
    reasons = models.JSONField(default=list, help_text="Why it was asked for: rule numbers and sentences.")
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    modified = models.DateTimeField(auto_now=True)
    due_at = models.DateTimeField(help_text="When a pending run may begin, or be tried again.")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    total_meetings = models.PositiveIntegerField(default=0)
    succeeded_meetings = models.PositiveIntegerField(default=0)
    skipped_meetings = models.PositiveIntegerField(default=0)
    failed_meetings = models.PositiveIntegerField(default=0)
    invites_update = models.PositiveIntegerField(default=0, help_text="Messages queued.")
    settings_fingerprint = models.CharField(
        max_length=32, blank=True, help_text="Of the settings with which it began to write."
    )
    last_error_code = models.CharField(max_length=40, blank=True)
    last_error_detail = models.CharField(max_length=500, blank=True)

    held_until = 0.0
    """The end of the lease by the clock of the process that has it (``time.monotonic``); stored nowhere."""

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=Q(state="Pending"), name="one_pending_run_per_user"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(state="InProgress"), name="one_run_in_progress_per_user"
            ),
            models.UniqueConstraint(fields=["user"], condition=Q(is_latest=True), name="one_latest_run_per_user"),
            models.CheckConstraint(
                condition=Q(state="InProgress", lease_token__isnull=False, lease_until__isnull=False)
                | (~Q(state="InProgress") & Q(lease_token__isnull=True)),
                name="run_in_progress_has_a_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="Pending"), name="pending_runs_by_due_time"),
            models.Index(fields=["lease_until"], condition=Q(state="InProgress"), name="leases_by_end"),
            models.Index(fields=["tenant", "state"], condition=Q(is_latest=True), name="latest_runs_by_state"),
            models.Index(fields=["tenant", "-created"], name="runs_by_time"),
        ]

    def __str__(self) -> str:
        return str(self.correlation_id)

    @property
    def retry_count(self) -> int:
        """Attempts after the first (RetryCount)."""
        return max(self.attempts - 1, 0)

    @property
    def done_meetings(self) -> int:
        return self.succeeded_meetings + self.skipped_meetings + self.failed_meetings

    @property
    def last_error_message(self) -> str:
        """What happened and what to do, from the catalogue (R31); empty where nothing failed."""
        return describe(self.last_error_code, self.last_error_detail) if self.last_error_code else ""


class MeetingResult(models.Model):
    """What a run did with one meeting (R20, R27)."""

    class Outcome(models.TextChoices):
        SUCCEEDED = "Succeeded"
        SKIPPED = "Skipped"
        FAILED = "Failed"

    run = models.ForeignKey(Run, models.CASCADE, related_name="results")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    attendee_count = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    code = models.CharField(max_length=40, blank=True, help_text="Why it was skipped, or what failed.")
    detail = models.CharField(max_length=500, blank=True)
    meeting_service = models.CharField(
        max_length=20, blank=True, help_text="Whose meeting it was before, as far as its text was read (R39)."
    )
    join_url_before = models.CharField(max_length=2000, blank=True)
    join_url_after = models.CharField(max_length=2000, blank=True)
    sequence = models.PositiveIntegerField(null=True, help_text="The SEQUENCE that the update carries.")
    spans = models.BinaryField(null=True, help_text="What was replaced by what, packed: for the page and for undo.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "uid"], name="one_result_per_run_and_meeting")]

    def __str__(self) -> str:
        return self.subject or self.uid

    @property
    def reason(self) -> str:
        """The sentence that explains a skip or a failure."""
        return describe(self.code, self.detail) if self.code else ""


class Update(models.Model):
    """What tells a changed meeting's attendees: the outbox. One row per changed meeting.

    Committed together with the mailbox write; delivered later, as often as it takes. The message itself is
    composed from the mailbox when it is sent, so that it is stored only once. Guests of single occurrences get messages
    of their own, under the same row.
    """

    class State(models.TextChoices):
        QUEUED = "Queued"
        SENT = "Sent"
        FAILED = "Failed"
        SUPERSEDED = "Superseded", "Not needed any more"

    IN_DOUBT = "mail-unconfirmed"
    """The code of a failed one that the mail server got whole, and did not say whether it took it."""

    result = models.OneToOneField(MeetingResult, models.CASCADE, primary_key=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    recipient_count = models.PositiveIntegerField()
    recipients_left = models.JSONField(null=True, help_text="Addresses still to be told, where not all are.")
    recipients_in_doubt = models.JSONField(
        default=dict,
        help_text="Of those, the ones whose message the server got whole and said nothing to, with its Message-ID.",
    )
    recipients_refused = models.JSONField(
        default=dict, help_text="Of those, the ones whom the server refused, with its answer."
    )
    queued_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Tries since the last recipient was told.")
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="Queued"), name="queued_updates_by_due_time"),
            models.Index(fields=["due_at"], condition=Q(state="Failed"), name="failed_updates_by_due_time"),
        ]

    def __str__(self) -> str:
        return f"update {self.result_id}"

    @property
    def error_message(self) -> str:
        return describe(self.error_code, self.error_detail) if self.error_code else ""


class UntoldNumber(models.Model):
    """A service number that an update takes out of attendees' hands, as long as not all of them were told.

    While there is one, the database keeps the number (R35). It goes when the update was sent or is not needed any
    more; a newer update of the same meeting takes it over; for one that was given up a person may accept that.
    """

    update = models.ForeignKey(Update, models.CASCADE, related_name="untold_numbers")
    number = models.ForeignKey(ServiceNumber, models.PROTECT, related_name="untold_numbers")
    meeting_ends_at = models.DateTimeField(help_text="From then on nobody dials it any more, told or not.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["update", "number"], name="one_row_per_update_and_number")]

    def __str__(self) -> str:
        return f"{self.number} until {self.update} is sent"


class NumberRelease(models.Model):
    """A service number on its way off a bridge, with the number that takes its place (R32 to R35)."""

    class State(models.TextChoices):
        WAITING = "Waiting"
        MOVING = "Moving"
        UPDATING = "Updating"
        RELEASED = "Released"
        CANCELLED = "Cancelled"

    OPEN = (State.WAITING, State.MOVING, State.UPDATING)
    """States in which it has not ended."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="number_releases")
    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="number_releases")
    number = models.ForeignKey(ServiceNumber, models.SET_NULL, null=True, related_name="releases")
    e164 = models.CharField("number", max_length=16, help_text="Kept when the number itself is gone.")
    replacement = models.ForeignKey(ServiceNumber, models.SET_NULL, null=True, related_name="replacements")
    replacement_e164 = models.CharField("replacement", max_length=16)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="When the first user may be moved; until then it can be cancelled.")
    began_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True, help_text="When nobody had the number in their settings any more.")
    finished_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=0, help_text="The last user, by key, that was looked at.")
    users = models.ManyToManyField(ConferencingUser, related_name="number_releases")
    searched_to = models.BigIntegerField(default=0, help_text="The last user, by key, whose meetings were searched.")
    searched_at = models.DateTimeField(null=True, help_text="When all users' meetings had been searched for it.")
    looked_again_to = models.BigIntegerField(
        default=0, help_text="The last meeting listed, by key, that was read again."
    )
    is_search_outdated = models.BooleanField(
        default=False, help_text="Something held the number since, so all meetings are searched once more at the end."
    )
    reason = models.CharField(max_length=500, blank=True, help_text="Why a person released it although it was held.")

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"], condition=Q(state__in=["Waiting", "Moving", "Updating"]), name="one_open_release"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-created"], name="releases_by_time")]

    def __str__(self) -> str:
        return self.e164

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN


class ShownMeeting(models.Model):
    """A meeting to come that shows a number on its way off a bridge, and so holds it (R35)."""

    release = models.ForeignKey(NumberRelease, models.CASCADE, related_name="shown_meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="shown_meetings")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text="When it is over, and holds nothing any more.")
    places = models.JSONField(help_text="Components and properties that show the number, in capital letters.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "user", "uid"], name="one_row_per_shown_meeting")]

    def __str__(self) -> str:
        return self.subject or self.uid


class UserImport(models.Model):
    """A CSV file of users that came in through the browser: first checked, then applied on request."""

    class State(models.TextChoices):
        CHECKING = "Checking"
        CHECKED = "Checked"
        APPLYING = "Applying"
        APPLIED = "Applied"
        REFUSED = "Refused"
        DISCARDED = "Discarded"

    WAITING = (State.CHECKING, State.APPLYING)
    """States in which the background service has something to do."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="user_imports")
    file_name = models.CharField(max_length=200)
    text = models.TextField(help_text="The file; emptied when it has been applied or discarded.")
    state = models.CharField(max_length=9, choices=State.choices, default=State.CHECKING)
    requested_by = models.CharField(max_length=200)
    skips_bad_rows = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    findings = models.JSONField(default=dict, help_text="What the check found, or what applying it did.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why the file as a whole was refused.")
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [models.Index(fields=["tenant", "-created"], name="user_imports_by_time")]

    def __str__(self) -> str:
        return self.file_name


class Heartbeat(models.Model):
    """The last time the cluster did something; a silent one is stalled or gone."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class MailServer(models.Model):
    """Whether a mail server answers, as all workers know it: while it does not, none of them waits for it."""

    name = models.CharField(max_length=300, primary_key=True)
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    failing_since = models.DateTimeField(null=True, help_text="The first failure of those in a row.")
    next_try_at = models.DateTimeField(
        null=True, help_text="Until then no message is tried, and one at this time; empty while messages go out."
    )
    last_error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def turns_away(self) -> bool:
        """Whether it does answer, but only to refuse: a sign-in, or any service at all."""
        return self.last_error.startswith("answer ")
