"""Persistent chat of a tenant: stored archives, targets, and the plans by which rooms are imported (R100 to R130).

No row holds the text of a message: that lies in archives and targets only (R129).
"""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants_app.models import Sealed, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField
from tenants_app.validators import validate_one_line


class ChatSettings(models.Model):
    """How a tenant wants its chat to be treated; a tenant without a row has the defaults."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="chat_settings")
    separator = models.CharField(
        max_length=10,
        default=" - ",
        help_text=_("Between the names of nested categories when they become one (R113)."),
    )
    keep_archives_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("After so many days stored archives are deleted. Empty: they are kept."),
    )

    def __str__(self) -> str:
        return f"chat settings of {self.tenant_id}"


class ChatArchive(models.Model):
    """An archive that MMS has stored, as a folder of the format's shape below ``MMS_DATA_DIR`` (R129)."""

    class State(models.TextChoices):
        STORED = "Stored", _("Stored")
        DELETED = "Deleted", pgettext_lazy("archive", "Deleted")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="chat_archives")
    name = models.CharField(max_length=150, validators=[validate_one_line])
    state = models.CharField(max_length=7, choices=State.choices, default=State.STORED)
    folder = models.CharField(max_length=64, unique=True, help_text="Its folder, a random name below the tenant's.")
    source = models.CharField(max_length=300, help_text="The kind of the source and what it is called.")
    level = models.CharField(max_length=13)
    scope = models.JSONField(default=list, help_text="Names of categories to which it is limited; empty: all.")
    start_date = models.DateField(null=True)
    exported_at = models.DateTimeField(help_text="As its manifest says.")
    counts = models.JSONField(default=dict, help_text="Users, categories, rooms, messages, files, left out, ignored.")
    notes = SentencesField(default=list, help_text="What the source did not know, or was made up.")
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, help_text="Of its manifest, which has the checksum of every entry.")
    newest_at = models.DateTimeField(null=True, help_text="The time of its newest message.")
    stored_at = models.DateTimeField(default=timezone.now)
    stored_by = models.CharField(max_length=200)
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.CharField(max_length=200, blank=True, help_text="Empty: by the time the tenant set.")

    class Meta:
        ordering = ["-stored_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                "tenant", Lower("name"), condition=Q(state="Stored"), name="one_stored_chat_archive_per_name"
            )
        ]
        indexes = [models.Index(fields=["state", "stored_at"], name="chat_archives_by_age")]

    def __str__(self) -> str:
        return self.name


class ChatEvidence(models.Model):
    """A file of the original export that MMS keeps and does not read: what it is, when it was made, its checksum
    (R106); or the evidence of a step of the guided sequence (R127)."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="chat_evidence")
    file_name = models.CharField(max_length=255)
    folder = models.CharField(max_length=64, unique=True)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    dated = models.DateTimeField(null=True, help_text="The newest date inside the file, or as it was given.")
    what = SentenceField(help_text="What it is, and what can be done with it.")
    stored_at = models.DateTimeField(default=timezone.now)
    stored_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-stored_at", "-pk"]

    def __str__(self) -> str:
        return self.file_name


class ChatReading(models.Model):
    """Something that was given on the page, to be read in the background: it becomes an archive or evidence, or is
    refused with each of its problems."""

    class State(models.TextChoices):
        WAITING = "Waiting", _("Waiting")
        READ = "Read", pgettext_lazy("file", "Read")
        REFUSED = "Refused", _("Refused")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="chat_readings")
    file_name = models.CharField(max_length=255)
    folder = models.CharField(max_length=64, unique=True, help_text="Where what was given lies until it is read.")
    kind = models.CharField(max_length=14, blank=True, help_text="Of the source; empty: as it looks.")
    options = models.JSONField(default=dict, help_text="Name, level, scope, start date, disabled rooms.")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    problems = SentencesField(default=list)
    problem_count = models.PositiveIntegerField(default=0)
    archive = models.ForeignKey(ChatArchive, models.SET_NULL, null=True, related_name="+")
    evidence = models.ForeignKey(ChatEvidence, models.SET_NULL, null=True, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    created = models.DateTimeField(default=timezone.now)
    requested_by = models.CharField(max_length=200)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [models.Index(fields=["created"], condition=Q(state="Waiting"), name="chat_to_read")]

    def __str__(self) -> str:
        return self.file_name


class ChatTarget(Sealed):
    """Where rooms of a tenant are written to (R121). Its password is the secret of the account."""

    class Kind(models.TextChoices):
        ARCHIVE = "archive", _("Archive to read")
        PCHAT = "pchat", _("Persistent Chat")
        MATRIX = "matrix", _("Matrix")
        TEAMS = "teams", _("Microsoft Teams")
        MATTERMOST = "mattermost", _("Mattermost")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="chat_targets")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    kind = models.CharField(max_length=10, choices=Kind.choices)
    address = models.CharField(max_length=500, blank=True)
    account = models.CharField(max_length=320, blank=True)
    options = models.JSONField(default=dict, blank=True, help_text="What only this kind has.")
    folder = models.CharField(max_length=64, unique=True, help_text="Where it keeps what it makes.")
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("tenant", Lower("name"), name="one_chat_target_per_name")]

    def __str__(self) -> str:
        return self.name


class ChatPlan(models.Model):
    """What would become of the rooms of an archive at a target, and the import that follows it (R110, R111).

    The stop rule's three numbers are those of a rollout (R78), over rooms.
    """

    class State(models.TextChoices):
        PLANNING = "Planning", _("Planning")
        REFUSED = "Refused", _("Refused")
        READY = "Ready", _("Ready")
        IMPORTING = "Importing", _("Importing")
        PAUSED = "Paused", _("Paused")
        STOPPED = "Stopped", _("Stopped")
        IMPORTED = "Imported", _("Imported")
        OUTDATED = "Outdated", _("Outdated")

    UNDER_WAY = (State.PLANNING, State.IMPORTING)
    """States in which the background service has something to do."""
    STARTED = (State.IMPORTING, State.PAUSED, State.STOPPED, State.IMPORTED)

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="chat_plans")
    number = models.PositiveIntegerField(help_text="Of this tenant's plans, from 1.")
    archive = models.ForeignKey(ChatArchive, models.PROTECT, related_name="plans")
    target = models.ForeignKey(ChatTarget, models.PROTECT, related_name="plans")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PLANNING)
    problem = SentenceField(blank=True, help_text="Why it was refused, stopped, or is out of date.")
    on_conflict = models.CharField(max_length=6, default="refuse")
    keeps_root_managers = models.BooleanField(default=True, help_text="R114.")
    prefixes_rooms = models.BooleanField(default=False, help_text="R113: asked for where the target does not need it.")
    includes_disabled = models.BooleanField(default=False, help_text="R109: rooms that are disabled at the source.")
    category_names = models.JSONField(
        default=dict, help_text="Names that were chosen for categories, by their ids, where theirs cannot be (R113)."
    )
    retention_accepted_by = models.CharField(
        max_length=200, blank=True, help_text="Who said that the target keeps the history (R110)."
    )
    retention_accepted_at = models.DateTimeField(null=True)
    source_digest = models.CharField(max_length=64, blank=True)
    target_digest = models.CharField(max_length=64, blank=True)
    estimate_seconds = models.FloatField(null=True)
    max_failed_percent = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(100)])
    min_finished = models.PositiveIntegerField(default=10, validators=[MinValueValidator(1)])
    max_failed_in_a_row = models.PositiveIntegerField(default=3, validators=[MinValueValidator(1)])
    counted_from = models.DateTimeField(null=True, help_text="Since when the stop rule counts: start, or resuming.")
    cursor = models.PositiveIntegerField(default=0, help_text="Rooms that were planned so far.")
    keeps_content = models.BooleanField(
        default=False, help_text="Planned again after a decision: what was found of messages is still true."
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it last came further.")
    retry_at = models.DateTimeField(null=True, help_text="Until then nothing of it is begun.")
    lease_token = models.UUIDField(null=True, help_text="Of the worker that plans, makes categories, or finishes.")
    lease_until = models.DateTimeField(null=True)
    prepared_at = models.DateTimeField(
        null=True, help_text="When source and target were found to be as planned, and categories were made."
    )
    rooms_at_once = models.PositiveIntegerField(
        null=True, help_text="How many rooms its target takes at a time; empty: as many as there are workers."
    )
    categories = models.JSONField(default=dict, help_text="The target's own ids, by ids of categories in the archive.")
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=200)
    planned_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    started_by = models.CharField(max_length=200, blank=True)
    stopped_at = models.DateTimeField(null=True, help_text="When it last stopped by itself.")
    finished_at = models.DateTimeField(null=True)
    replaced_by = models.ForeignKey("self", models.SET_NULL, null=True, related_name="+")
    room_count = models.PositiveIntegerField(default=0)
    message_count = models.BigIntegerField(default=0)
    file_count = models.PositiveIntegerField(default=0)
    error_count = models.PositiveIntegerField(default=0, help_text="Of rooms that are not deselected, and of the plan.")
    warning_count = models.PositiveIntegerField(default=0)
    note_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="one_chat_plan_per_number")]
        indexes = [
            models.Index(fields=["state"], condition=Q(state__in=["Planning", "Importing"]), name="chat_plans_to_do")
        ]

    def __str__(self) -> str:
        return f"{self.number}"


class ChatRoom(models.Model):
    """A room of an archive in a plan: what it becomes, how far its import is, and how both sides compare."""

    class State(models.TextChoices):
        PLANNED = "Planned", _("Planned")
        DESELECTED = "Deselected", _("Deselected")
        SKIPPED = "Skipped", _("Skipped")
        WAITING = "Waiting", _("Waiting")
        WRITING = "Writing", _("Writing")
        IMPORTED = "Imported", _("Imported")
        FAILED = "Failed", _("Failed")

    class Comparison(models.TextChoices):
        NOT_COMPARED = "", _("Not compared")
        VERIFIED = "Verified", _("Verified")
        DIFFERS = "Differs", _("Differs")
        NOT_READABLE = "NotReadable", _("Not readable")

    OUT = (State.DESELECTED, State.SKIPPED)
    """Not imported, because somebody decided so."""
    UNDER_WAY = (State.WAITING, State.WRITING)

    plan = models.ForeignKey(ChatPlan, models.CASCADE, related_name="rooms")
    position = models.PositiveIntegerField()
    room_id = models.CharField(max_length=200, help_text="In the archive.")
    name = models.CharField(max_length=300)
    category = models.CharField(max_length=1000, help_text="Its path at the source, such as “A / B”.")
    becomes = models.CharField(max_length=1000, blank=True)
    becomes_category = models.CharField(max_length=1000, blank=True)
    planned = models.JSONField(default=dict, help_text="What it is to be at the target: settings, people, merging.")
    on_conflict = models.CharField(max_length=6, blank=True, help_text="Empty: as the plan has it.")
    chosen_name = models.CharField(
        max_length=256, blank=True, help_text="What it is to be called, where its name cannot be (R113)."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    decided_by = models.CharField(max_length=200, blank=True, help_text="Who deselected it.")
    reason = models.CharField(max_length=500, blank=True, help_text="Why it was deselected.")
    message_count = models.BigIntegerField(default=0)
    file_count = models.PositiveIntegerField(default=0)
    file_bytes = models.BigIntegerField(default=0)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    error_count = models.PositiveIntegerField(default=0)
    warning_count = models.PositiveIntegerField(default=0)
    estimate_seconds = models.FloatField(null=True)
    # The import of this room
    target_id = models.CharField(max_length=500, blank=True, help_text="What the target calls it.")
    cursor_n = models.BigIntegerField(default=0, help_text="The number of the last message that is in the target.")
    cursor_offset = models.BigIntegerField(default=0, help_text="Where the next line begins in its file.")
    cursor_at = models.DateTimeField(null=True, help_text="The time that was given to the last message.")
    written = models.BigIntegerField(default=0, help_text="Messages of the archive that are in the target.")
    unanswered = models.BooleanField(default=False, help_text="A batch was begun; whether it is there is to be read.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it last came further.")
    retry_at = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True, help_text="Of the worker that writes it.")
    lease_until = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = SentenceField(blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Both sides compared
    comparison = models.CharField(
        max_length=11, choices=Comparison.choices, blank=True, default=Comparison.NOT_COMPARED
    )
    compare_asked_at = models.DateTimeField(null=True, help_text="Set: it is to be compared in the background.")
    compare_attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it was asked for.")
    compare_problem = SentenceField(blank=True, help_text="Why both sides could not be compared.")
    compared_at = models.DateTimeField(null=True)
    compared = models.JSONField(default=dict, help_text="Counts and digests of both sides.")
    difference_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["plan", "position"]
        constraints = [models.UniqueConstraint(fields=["plan", "room_id"], name="one_chat_room_per_plan")]
        indexes = [
            models.Index(fields=["plan", "position"], name="chat_rooms_in_order"),
            models.Index(fields=["plan", "state", "retry_at"], name="chat_rooms_by_state"),
            models.Index(fields=["plan", "comparison"], name="chat_rooms_by_comparison"),
            models.Index(
                fields=["compare_asked_at"], condition=Q(compare_asked_at__isnull=False), name="chat_rooms_to_compare"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ChatFinding(models.Model):
    """What the plan found (R110)."""

    class Severity(models.TextChoices):
        ERROR = "error", _("Error")
        WARNING = "warning", _("Warning")
        NOTE = "note", pgettext_lazy("severity", "Note")

    plan = models.ForeignKey(ChatPlan, models.CASCADE, related_name="findings")
    room = models.ForeignKey(ChatRoom, models.CASCADE, null=True, related_name="findings")
    severity = models.CharField(max_length=7, choices=Severity.choices)
    code = models.CharField(max_length=40)
    sentence = SentenceField(max_length=2000)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["plan", "pk"]
        indexes = [
            models.Index(fields=["plan", "severity"], name="chat_findings_by_severity"),
            models.Index(fields=["plan", "code"], name="chat_findings_by_code"),
        ]

    def __str__(self) -> str:
        return self.sentence


class ChatShift(models.Model):
    """That a message got another time at the target (R118)."""

    room = models.ForeignKey(ChatRoom, models.CASCADE, related_name="shifts")
    n = models.BigIntegerField()
    milliseconds = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["room", "n"]
        constraints = [models.UniqueConstraint(fields=["room", "n"], name="one_shift_per_chat_message")]

    def __str__(self) -> str:
        return f"{self.n}: {self.milliseconds} ms"


class ChatDifference(models.Model):
    """One difference between a room of the archive and the target (R123, R124)."""

    room = models.ForeignKey(ChatRoom, models.CASCADE, related_name="differences")
    code = models.CharField(max_length=40, help_text="What differs, such as lost-message or members.")
    n = models.BigIntegerField(null=True, help_text="The message that it is about.")
    sentence = SentenceField(max_length=1000, help_text="What differs; never the text of a message.")
    do = SentenceField(max_length=500, blank=True, help_text="What to do.")
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["room", "pk"]
        indexes = [models.Index(fields=["room", "code"], name="chat_differences_by_code")]

    def __str__(self) -> str:
        return self.sentence


class ChatQuestion(models.Model):
    """That somebody was asked whether anything of their rooms is missing, and what they said (R124)."""

    class Answer(models.TextChoices):
        NONE = "", _("No answer")
        COMPLETE = "complete", _("Everything is there")
        MISSING = "missing", _("Something is missing")

    plan = models.ForeignKey(ChatPlan, models.CASCADE, related_name="questions")
    principal = models.CharField(max_length=200, help_text="The id of the person in the archive.")
    name = models.CharField(max_length=300)
    address = models.CharField(max_length=320)
    language = models.CharField(max_length=35, blank=True)
    token = models.CharField(max_length=64, unique=True, help_text="A digest of what stands in their link.")
    rooms = models.JSONField(default=list, help_text="Keys of their rooms.")
    asked_at = models.DateTimeField(null=True, help_text="When the first mail was handed over.")
    asked_by = models.CharField(max_length=200)
    mails = models.PositiveSmallIntegerField(default=0, help_text="Handed over so far: the question, and reminders.")
    queued_at = models.DateTimeField(null=True, help_text="When the next mail was asked for; null: none is.")
    due_at = models.DateTimeField(null=True, help_text="When it is tried next; null: no mail waits.")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = SentenceField(blank=True)
    answer = models.CharField(max_length=8, choices=Answer.choices, blank=True, default=Answer.NONE)
    said = models.TextField(max_length=2000, blank=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["plan", "name", "pk"]
        constraints = [models.UniqueConstraint(fields=["plan", "principal"], name="one_chat_question_per_person")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="chat_questions_to_send"),
        ]

    def __str__(self) -> str:
        return self.name


class ChatStep(models.Model):
    """A step of the guided sequence, or a manual condition of the gate, that a person has answered (R125, R127)."""

    plan = models.ForeignKey(ChatPlan, models.CASCADE, related_name="steps")
    key = models.CharField(max_length=30, help_text="Which one (chat/sequence.py, chat/gate.py).")
    done_at = models.DateTimeField(default=timezone.now)
    done_by = models.CharField(max_length=200)
    evidence = models.TextField(max_length=4000, blank=True, help_text="Output, or an answer.")
    file = models.ForeignKey(ChatEvidence, models.PROTECT, null=True, related_name="+")
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=200, blank=True, help_text="The second account, where one is needed.")
    taken_back_at = models.DateTimeField(null=True)
    taken_back_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["plan", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "key"], condition=Q(taken_back_at=None), name="one_answer_per_chat_step"
            )
        ]

    def __str__(self) -> str:
        return self.key
