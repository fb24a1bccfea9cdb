"""The queue of runs, and what became of each meeting."""

from __future__ import annotations

import uuid
from functools import partial

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.plans import Plan
from migrations_app.targets import ALL_CURRENT, UNDO
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField
from tenants_app.sentences import Sentence, sentence

MAY_BE_WORKED = Q(tenant__meeting_migration_enabled=True) | Q(migration_type=UNDO)
"""Runs of tenants that are switched on (R12). An undo is worked all the same: a person wants it just then."""


class Run(models.Model):
    """One migration of one user's meetings. The rows in state Pending are the queue (R26 to R29)."""

    class State(models.TextChoices):
        PENDING = "Pending", _("Pending")
        IN_PROGRESS = "InProgress", _("InProgress")
        FAILED = "Failed", _("Failed")
        SUCCEEDED = "Succeeded", _("Succeeded")

    correlation_id = models.UUIDField(_("correlation ID"), default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="runs")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    is_latest = models.BooleanField(default=True, help_text=_("The user's newest run: the one that counts (R29)."))
    targets = models.JSONField(
        default=partial(dict, **ALL_CURRENT.stored),
        help_text=_(
            "What becomes of the meetings of each service: Current, or the service in which they are made anew."
        ),
    )
    migration_type = models.CharField(
        max_length=80, default=ALL_CURRENT.migration_type, help_text=_("What that is called (R44).")
    )
    undoes = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        related_name="undone_by",
        help_text=_("The run whose meetings an undo puts back; gone once that is pruned."),
    )
    chosen = models.JSONField(
        null=True, help_text=_("UIDs of the meetings that an undo is about; empty: all of the run.")
    )
    reasons = SentencesField(default=list, help_text=_("Why it was asked for: rule numbers and sentences."))
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    modified = models.DateTimeField(auto_now=True)
    due_at = models.DateTimeField(help_text=_("When a pending run may begin, or be tried again."))
    plan = models.ForeignKey(
        Plan,
        models.RESTRICT,
        null=True,
        related_name="runs",
        help_text=_("It begins, and is tried again, only while this is open; none: at any time."),
    )
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    planned_meetings = models.PositiveIntegerField(
        null=True, help_text=_("In the mailbox when it was asked for; null where MMS does not know that yet.")
    )
    total_meetings = models.PositiveIntegerField(default=0)
    succeeded_meetings = models.PositiveIntegerField(default=0)
    skipped_meetings = models.PositiveIntegerField(default=0)
    failed_meetings = models.PositiveIntegerField(default=0)
    left_meetings = models.PositiveIntegerField(default=0, help_text=_("Left for a person, skipped or failed."))
    invites_update = models.PositiveIntegerField(default=0, help_text=_("Messages queued."))
    settings_fingerprint = models.CharField(
        max_length=32, blank=True, help_text=_("Of the settings with which it began to write.")
    )
    last_error_code = models.CharField(max_length=40, blank=True)
    last_error_detail = SentenceField(blank=True)
    last_error_cause = models.CharField(
        max_length=40, blank=True, help_text=_("Where the retries are used up, the code of what failed each time.")
    )
    accepted_at = models.DateTimeField(null=True, help_text=_("When a person accepted that it failed."))
    accepted_by = models.CharField(max_length=200, blank=True)
    accepted_note = models.CharField(max_length=500, blank=True, help_text=_("Why."))

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
            # The lanes of the queue (``runs.lanes``): the key comes last, as in the order in which runs are claimed.
            models.Index(
                fields=["tenant", "due_at", "id"], condition=Q(state="Pending", plan=None), name="waiting_runs"
            ),
            models.Index(
                fields=["plan", "due_at", "id"],
                condition=Q(state="Pending", plan__isnull=False),
                name="waiting_runs_of_plans",
            ),
            models.Index(
                fields=["tenant", "due_at", "id"],
                condition=Q(state="Pending", plan=None, migration_type=UNDO),
                name="waiting_undos",
            ),
            models.Index(
                fields=["modified"], condition=Q(state="Pending", attempts__gt=0), name="runs_to_be_tried_again"
            ),
            models.Index(fields=["tenant", "state"], condition=Q(is_latest=True), name="latest_runs_by_state"),
            models.Index(
                fields=["tenant"],
                condition=Q(is_latest=True, state="Failed", accepted_at__isnull=False),
                name="accepted_failures",
            ),
            models.Index(fields=["tenant", "-created"], name="runs_by_time"),
            models.Index(fields=["tenant", "state", "-created"], name="runs_by_state_and_time"),
            models.Index(fields=["tenant", "migration_type", "-created"], name="runs_by_type_and_time"),
            models.Index(
                fields=["finished_at", "tenant", "state", "total_meetings", "last_error_code"],
                condition=Q(finished_at__isnull=False),
                name="runs_by_end",
            ),
            models.Index(
                fields=["tenant", "due_at", "last_error_code", "planned_meetings", "total_meetings", "created"],
                condition=Q(state="Pending"),
                name="pending_runs_planned",
            ),
            models.Index(fields=["user", "-created"], condition=Q(migration_type=UNDO), name="undos_by_user"),
        ]

    def __str__(self) -> str:
        return str(self.correlation_id)

    @property
    def is_undo(self) -> bool:
        """Whether it puts meetings back that another run had changed."""
        return self.migration_type == UNDO

    @property
    def is_of_tool(self) -> bool:
        """Whether it was done by the Meeting Migration Tool, in files: of the user's mailbox it says nothing (R38)."""
        return any(reason["rule"] == "R38" for reason in self.reasons)

    @property
    def has_ended(self) -> bool:
        return self.state in {self.State.FAILED, self.State.SUCCEEDED}

    @property
    def retry_count(self) -> int:
        """Attempts after the first (RetryCount)."""
        return max(self.attempts - 1, 0)

    @property
    def done_meetings(self) -> int:
        return self.succeeded_meetings + self.skipped_meetings + self.failed_meetings

    @property
    def failed_by(self) -> str:
        """The code to be cured: of what failed each time, where the retries are used up."""
        return self.last_error_cause or self.last_error_code

    @property
    def is_accepted(self) -> bool:
        """Whether a person has accepted that it failed, so that nobody need be alarmed."""
        return self.state == self.State.FAILED and self.accepted_at is not None

    @property
    def why_accepted(self) -> Sentence:
        """What was noted when it was accepted: a person's own words, or a sentence of ours."""
        return Sentence(self.accepted_note)

    @property
    def last_error_message(self) -> str:
        """What happened and what to do, from the catalogue (R31); empty where nothing failed."""
        return describe(self.last_error_code, self.last_error_detail) if self.last_error_code else ""


def reference_to(run: Run) -> Sentence:
    """What to look for in the service's log, as the detail of a failure."""
    return sentence("reference %(reference)s", reference=str(run.correlation_id))


class MeetingResult(models.Model):
    """What a run did with one meeting (R20, R27)."""

    class Outcome(models.TextChoices):
        SUCCEEDED = "Succeeded", _("Succeeded")
        SKIPPED = "Skipped", _("Skipped")
        FAILED = "Failed", _("Failed")

    run = models.ForeignKey(Run, models.CASCADE, related_name="results")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    attendee_count = models.PositiveIntegerField(default=0)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    code = models.CharField(max_length=40, blank=True, help_text=_("Why it was skipped, or what failed."))
    detail = SentenceField(blank=True)
    meeting_service = models.CharField(
        max_length=20, blank=True, help_text=_("Whose meeting it was before, as far as its text was read (R39).")
    )
    join_url_before = models.CharField(max_length=2000, blank=True)
    join_url_after = models.CharField(max_length=2000, blank=True)
    sequence = models.PositiveIntegerField(null=True, help_text=_("The SEQUENCE that the update carries."))
    spans = models.BinaryField(null=True, help_text=_("What was replaced by what, packed: for the page and for undo."))
    digest = models.CharField(
        max_length=32,
        blank=True,
        default="",
        help_text=_("Of what the meeting said after the change; empty: not known."),
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "uid"], name="one_result_per_run_and_meeting")]
        indexes = [models.Index(fields=["uid"], name="results_by_uid")]

    def __str__(self) -> str:
        return self.subject or self.uid

    @property
    def reason(self) -> str:
        """The sentence that explains a skip or a failure."""
        return describe(self.code, self.detail) if self.code else ""


class IntendedWrite(models.Model):
    """What a run is about to write into a mailbox outside, committed before the write and gone with its result.

    One that is found later was cut off: the mailbox is read back then, and says whether the write had happened.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="intended_writes")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="intended_writes")
    uid = models.CharField(max_length=500)
    etag = models.CharField(max_length=300, help_text="Of the text that was read.")
    result = SentencesField(help_text="The result as it is recorded once the write has happened.")
    spans = models.BinaryField(null=True)
    before = models.BinaryField(
        null=True,
        help_text="The meeting as it was before any part of this was written, packed; null where it is written whole.",
    )
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "uid"], name="one_intended_write_per_meeting")]

    def __str__(self) -> str:
        return self.uid
