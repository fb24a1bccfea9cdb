"""Moving users between two deployments, wave by wave: what is planned, and how far it is (R60 to R93)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from migrations_app.models.runs import Run
from tenants_app.local_times import DailyWindow, zone_named
from tenants_app.models import Bridge, ConferencingUser, Deployment, Sealed, ServiceNumber, Tenant
from tenants_app.sentence_fields import SentenceField
from tenants_app.validators import validate_one_line

DEFAULT_BATCHES = (1, 10, 100, 500)
"""How many members each batch has where nothing else is said; the last size repeats (R77)."""


class Rollout(Sealed):
    """A legacy and a new deployment of a tenant, and the users who move from one to the other (R61).

    The password is the secret that signs what is posted to the webhook of its people (R92).
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="rollouts")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    legacy = models.ForeignKey(
        Deployment, models.PROTECT, verbose_name=_("legacy deployment"), related_name="rollouts_from"
    )
    new = models.ForeignKey(Deployment, models.PROTECT, verbose_name=_("new deployment"), related_name="rollouts_to")
    default_bridge = models.ForeignKey(
        Bridge,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("The bridge of members whose bridge has no line in the mapping. Empty: the tenant's default."),
    )
    default_toll_number = models.ForeignKey(
        ServiceNumber,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("For members whose number has no line in the mapping. Empty: the new bridge's default number."),
    )
    default_toll_free_number = models.ForeignKey(
        ServiceNumber,
        models.PROTECT,
        verbose_name=_("default toll-free number"),
        null=True,
        blank=True,
        related_name="+",
    )
    batches = models.JSONField(
        _("batch sizes"),
        default=list,
        blank=True,
        help_text=_("How many members move at a time; the last size repeats. Empty: 1, 10, 100, 500."),
    )
    max_failed_percent = models.PositiveSmallIntegerField(
        _("highest percentage of failed members"),
        default=5,
        validators=[MaxValueValidator(100)],
        help_text=_("A wave stops when more of its finished members have failed. 0: at the first."),
    )
    min_finished = models.PositiveIntegerField(
        _("finished members before the percentage counts"), default=10, validators=[MinValueValidator(1)]
    )
    max_failed_in_a_row = models.PositiveIntegerField(
        _("highest number of failed members in a row"), default=3, validators=[MinValueValidator(1)]
    )
    retire_after = models.PositiveSmallIntegerField(
        _("days of use before retirement"),
        default=14,
        help_text=_("For so many days the last wave must have been in use before the legacy deployment is retired."),
    )
    people = models.TextField(
        _("mail addresses of the rollout's people"),
        blank=True,
        max_length=6000,
        help_text=_("One on each line, at most 20: they are told of gates, waves, stops and retirement."),
    )
    webhook_url = models.CharField(
        _("webhook address"),
        max_length=500,
        blank=True,
        help_text=_("Where the same is posted as JSON, signed, such as https://hooks.contoso.com/rollout."),
    )
    webhook_off_at = models.DateTimeField(
        null=True, editable=False, help_text="When the receiver said that it is gone for good (410)."
    )
    created = models.DateTimeField(default=timezone.now)
    created_by = models.CharField(max_length=200)
    finished_at = models.DateTimeField(
        null=True, editable=False, help_text="When it ended: by retirement, or closed by an admin. Its users are free."
    )
    finished_by = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint("tenant", Lower("name"), name="one_rollout_per_name"),
            models.CheckConstraint(condition=~Q(legacy=F("new")), name="rollout_joins_two_deployments"),
            models.CheckConstraint(condition=Q(max_failed_percent__lte=100), name="rollout_percentage_to_100"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    @property
    def addresses(self) -> list[str]:
        return self.people.split()

    @property
    def has_webhook(self) -> bool:
        """Whether its people are told by a post: there is an address, and it has not said that it is gone."""
        return self.webhook_url != "" and self.webhook_off_at is None


class BridgeMapping(models.Model):
    """Which bridge of the new deployment takes the place of a legacy one (R61)."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="bridge_mappings")
    legacy_bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="+")
    new_bridge = models.ForeignKey(Bridge, models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rollout", "legacy_bridge"], name="one_mapping_per_legacy_bridge")
        ]

    def __str__(self) -> str:
        return f"{self.legacy_bridge} → {self.new_bridge}"


class NumberMapping(models.Model):
    """Which number takes the place of an old one (R61)."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="number_mappings")
    old_number = models.ForeignKey(ServiceNumber, models.CASCADE, related_name="+")
    new_number = models.ForeignKey(ServiceNumber, models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollout", "old_number"], name="one_mapping_per_old_number")]

    def __str__(self) -> str:
        return f"{self.old_number} → {self.new_number}"


class Wave(models.Model):
    """Users of a rollout who move together, batch by batch (R64, R77)."""

    class Purpose(models.TextChoices):
        """What it is for: it decides the checklist and the pilot period that it starts with (R74, R81)."""

        TEST = "test", _("Test users")
        PILOT = "pilot", _("Pilot")
        EVERYONE = "everyone", _("Everyone")

    class State(models.TextChoices):
        DRAFT = "Draft", _("Draft")
        READY = "Ready", _("Ready")
        RUNNING = "Running", _("Running")
        PAUSED = "Paused", _("Paused")
        STOPPED = "Stopped", pgettext_lazy("a wave", "Stopped")
        OBSERVING = "Observing", _("Observing")
        COMPLETED = "Completed", _("Completed")
        COMPLETED_WITH_ERRORS = "CompletedWithErrors", _("Completed with errors")
        ROLLING_BACK = "RollingBack", _("Rolling back")
        ROLLED_BACK = "RolledBack", _("Rolled back")

    NOT_STARTED = (State.DRAFT, State.READY)
    MOVES = (State.RUNNING, State.ROLLING_BACK)
    """States in which the background service has something to do with members."""
    ENDED = (State.COMPLETED, State.COMPLETED_WITH_ERRORS, State.ROLLED_BACK)

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="waves")
    position = models.PositiveSmallIntegerField(help_text="From 1, in the order in which waves start.")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.EVERYONE)
    takes_rest = models.BooleanField(
        _("takes whoever is left"),
        default=False,
        help_text=_("When it starts, all users of the legacy deployment join who are in no other wave."),
    )
    saved_query = models.CharField(
        _("filter of the user list"),
        max_length=2000,
        blank=True,
        help_text=_("Users whom the list shows with it join when the wave starts (R66)."),
    )
    state = models.CharField(
        max_length=19,
        choices=State.choices,
        default=State.DRAFT,
        help_text="Before the start the row says Draft; it shows as Ready while its gate is open.",
    )
    batches = models.JSONField(_("batch sizes"), null=True, blank=True, help_text=_("Empty: those of the rollout."))
    not_before = models.DateTimeField(_("earliest start"), null=True, blank=True)
    window_from = models.TimeField(null=True, blank=True, help_text=_("Batches begin only from here each day …"))
    window_to = models.TimeField(
        null=True, blank=True, help_text=_("… to here, on the next day where this is earlier.")
    )
    time_zone = models.CharField(max_length=64, blank=True, help_text=_("Of the window. Empty: the tenant's."))
    observe_days = models.PositiveSmallIntegerField(
        _("pilot period in days"), default=0, help_text=_("For so long the wave is observed before it can be accepted.")
    )
    min_client_version = models.CharField(
        _("lowest client version"), max_length=50, blank=True, validators=[validate_one_line]
    )
    tells_before = models.BooleanField(
        _("tell organizers before"), default=False, help_text=_("They are told the wave's date in advance (R37, R82).")
    )
    tells_after = models.BooleanField(
        _("tell organizers after"), default=False, help_text=_("They get one mail with what changed (R82).")
    )

    started_at = models.DateTimeField(null=True, editable=False)
    started_by = models.CharField(max_length=200, blank=True, editable=False)
    frozen_at = models.DateTimeField(
        null=True, editable=False, help_text="When all who are to move were listed as members (R66)."
    )
    cursor = models.BigIntegerField(
        default=0, editable=False, help_text="The last user that was taken in, by key, or member who was told after."
    )
    told_after_at = models.DateTimeField(
        null=True, editable=False, help_text="When the mails about what changed were queued (R82), for all of it."
    )
    batch = models.PositiveIntegerField(
        default=0, editable=False, help_text="The batch that moves or moved last, from 1."
    )
    counts_from = models.DateTimeField(
        null=True, editable=False, help_text="Failures before this moment count for no stop (R79)."
    )
    stop_reason = SentenceField(blank=True, default="", editable=False)
    planned = models.JSONField(
        null=True,
        editable=False,
        help_text="What readiness said when it started (R68), beside which the report counts.",
    )
    moved_at = models.DateTimeField(null=True, editable=False, help_text="When its last member had ended.")
    observed_until = models.DateTimeField(null=True, editable=False)
    offered_at = models.DateTimeField(null=True, editable=False, help_text="When it was offered for acceptance (R81).")
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.CharField(max_length=200, blank=True, editable=False)
    back_from = models.CharField(
        max_length=19, choices=State.choices, blank=True, editable=False, help_text="The state before a rollback."
    )
    gate_passed_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When all checks of its gate were first seen to pass; null: one closes it, or none ever passed.",
    )
    next_look_at = models.DateTimeField(
        null=True, editable=False, help_text="When the background service has to look after it again; null: not at all."
    )

    class Meta:
        ordering = ["rollout", "position"]
        constraints = [
            models.UniqueConstraint(fields=["rollout", "position"], name="one_wave_per_position"),
            models.UniqueConstraint("rollout", Lower("name"), name="one_wave_per_name"),
            models.CheckConstraint(
                condition=Q(window_from=None, window_to=None)
                | Q(window_from__isnull=False, window_to__isnull=False) & ~Q(window_from=F("window_to")),
                name="wave_has_a_whole_window_or_none",
            ),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], condition=Q(next_look_at__isnull=False), name="waves_to_look_after")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_started(self) -> bool:
        return self.state not in self.NOT_STARTED

    @property
    def window(self) -> DailyWindow | None:
        """The daily window; None where batches may begin at any time."""
        if self.window_from is None or self.window_to is None:
            return None
        return DailyWindow(self.window_from, self.window_to)

    @property
    def zone(self) -> ZoneInfo:
        """In which its window is read. ``self.rollout.tenant`` should be loaded already."""
        return zone_named(self.time_zone) if self.time_zone else self.rollout.tenant.zone

    def batch_sizes(self) -> list[int]:
        """How many members each batch has; the last size repeats. ``self.rollout`` should be loaded already."""
        return list(self.batches or self.rollout.batches or DEFAULT_BATCHES)


class WaveMember(models.Model):
    """A user in a wave, and what became of moving them (R80)."""

    class State(models.TextChoices):
        WAITING = "Waiting", _("Waiting")
        MOVING = "Moving", _("Moving")
        UPDATING = "Updating", _("Updating")
        DONE = "Done", _("Done")
        FAILED = "Failed", _("Failed")
        EXCLUDED = "Excluded", _("Excluded")
        ROLLED_BACK = "RolledBack", _("Rolled back")

    class Source(models.TextChoices):
        """By what they became a member (R65)."""

        FILE = "file", _("File")
        FILTER = "filter", _("Filter")
        HAND = "hand", _("By hand")
        REST = "rest", _("Whoever is left")

    UNDER_WAY = (State.MOVING, State.UPDATING)
    FINISHED = (State.DONE, State.FAILED, State.ROLLED_BACK)

    wave = models.ForeignKey(Wave, models.CASCADE, related_name="members")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="wave_members")
    source = models.CharField(max_length=6, choices=Source.choices)
    reason = models.CharField(max_length=500, blank=True, help_text="From the file, or by whoever added them.")
    client_version = models.CharField(max_length=50, blank=True)
    added_at = models.DateTimeField(default=timezone.now)
    added_by = models.CharField(max_length=200)
    is_current = models.BooleanField(
        default=True,
        help_text="Whether it is the user's place in an unfinished rollout; not once rolled back or excluded.",
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    batch = models.PositiveIntegerField(null=True, help_text="The batch in which they moved, from 1.")
    is_going_back = models.BooleanField(default=False, help_text="Whether Moving and Updating lead back (R84).")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Counted before the mover is asked.")
    asked_at = models.DateTimeField(null=True, help_text="When the mover was asked; it waits for an answer since.")
    began_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True, help_text="When their settings were changed.")
    finished_at = models.DateTimeField(null=True, help_text="When they were Done, Failed or RolledBack.")
    before = models.JSONField(
        default=dict, help_text="Deployment, hosting, bridge and numbers before the move, by key."
    )
    decision = SentenceField(blank=True, default="", help_text="What the decision table said of the move (R62).")
    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, related_name="wave_members", help_text="The run that the move started."
    )
    undo_run = models.ForeignKey(Run, models.SET_NULL, null=True, related_name="+", help_text="What took it back.")
    failure = SentenceField(blank=True, default="", help_text="Why it failed, or was excluded.")
    excluded_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["wave", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["wave", "user"], name="one_member_per_wave_and_user"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(is_current=True), name="one_place_in_unfinished_rollouts"
            ),
        ]
        indexes = [
            models.Index(fields=["wave", "state", "batch"], name="members_by_state"),
            models.Index(fields=["wave", "finished_at"], name="members_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.wave}"

    @property
    def may_be_excluded(self) -> bool:
        """Whether they are where they were: they wait, or their move failed. Whose run failed has moved (R65)."""
        is_there = self.state in {self.State.WAITING, self.State.FAILED} and self.moved_at is None
        return is_there and not self.is_going_back


class RolloutEvent(models.Model):
    """Something that happened in a rollout: the timeline of pages and report, and what its people are told (R92)."""

    class Kind(models.TextChoices):
        CREATED = "created", _("Created")
        CHANGED = "changed", _("Changed")
        GATE_CLOSED = "gate-closed", _("Gate closed by a check")
        GATE_OPENED = "gate-opened", _("Gate opened by hand")
        STARTED = "started", _("Wave started")
        BATCH = "batch", _("Batch begun")
        PAUSED = "paused", _("Wave paused")
        STOPPED = "stopped", _("Wave stopped")
        RESUMED = "resumed", _("Wave resumed")
        MOVED = "moved", _("All members have ended")
        OFFERED = "offered", _("Ready for acceptance")
        ACCEPTED = "accepted", _("Wave accepted")
        ROLLBACK = "rollback", _("Rollback begun")
        ROLLED_BACK = "rolled-back", _("Rolled back")
        RETIRED = "retired", _("Deployment retired")
        UNRETIRED = "unretired", _("Retirement taken back")
        CLOSED = "closed", _("Rollout ended")

    TOLD = (
        Kind.GATE_CLOSED,
        Kind.GATE_OPENED,
        Kind.STARTED,
        Kind.STOPPED,
        Kind.OFFERED,
        Kind.ACCEPTED,
        Kind.ROLLED_BACK,
        Kind.RETIRED,
    )
    """What the rollout's people are told (R76, R92)."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="events")
    wave = models.ForeignKey(Wave, models.CASCADE, null=True, related_name="events")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200, blank=True, help_text="Empty: MMS itself.")
    sentence = SentenceField(help_text="What happened.")
    reason = models.CharField(max_length=500, blank=True, help_text="In the words of whoever did it.")
    told_at = models.DateTimeField(null=True, help_text="When the messages about it were queued, or none were needed.")

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["rollout", "-at"], name="rollout_events_by_time"),
            models.Index(fields=["rollout"], condition=Q(told_at=None), name="rollout_events_to_be_told"),
        ]

    def __str__(self) -> str:
        return str(self.sentence)
