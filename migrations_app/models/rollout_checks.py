"""Checks of a rollout, what they found and what people answered, and gates that were opened by hand (R69 to R76)."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.models.rollouts import Rollout, Wave
from tenants_app.sentence_fields import NameOrSentenceField, SentenceField


class Outcome(models.TextChoices):
    """What a check found (R70)."""

    PASSED = "Passed", _("Passed")
    FAILED = "Failed", _("Failed")
    INCONCLUSIVE = "Inconclusive", _("Inconclusive")


class RolloutCheck(models.Model):
    """A question that is asked before a wave, or before retirement, and whose answers open or close its gate."""

    class Scope(models.TextChoices):
        LEGACY = "legacy", _("Legacy side")
        NEW = "new", _("New side")
        BOTH = "both", _("Both sides")
        BETWEEN = "between", _("Between both sides")

    class Kind(models.TextChoices):
        TCP = "tcp", _("TCP or TLS connection")
        HTTP = "http", _("Web page")
        DNS = "dns", _("DNS records")
        SIP = "sip", _("SIP OPTIONS")
        COMMAND = "command", _("Command")
        RUNS = "runs", _("Runs of MMS")
        MANUAL = "manual", _("A person answers")

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="checks")
    wave = models.ForeignKey(
        Wave, models.CASCADE, null=True, blank=True, related_name="checks", help_text="Empty: before retirement (R88)."
    )
    position = models.PositiveSmallIntegerField(default=0)
    name = NameOrSentenceField(max_length=200)
    scope = models.CharField(max_length=7, choices=Scope.choices)
    kind = models.CharField(max_length=7, choices=Kind.choices)
    parameters = models.JSONField(default=dict, blank=True, help_text="As the probe of this kind reads them (R71).")
    instructions = SentenceField(blank=True, default="", max_length=2000, help_text="What a person does to answer.")
    interval = models.PositiveIntegerField(
        _("seconds between two looks"), default=300, validators=[MinValueValidator(10)]
    )
    timeout = models.PositiveSmallIntegerField(
        _("seconds it may take"), default=10, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    valid_for = models.PositiveIntegerField(
        _("seconds a result is valid"),
        null=True,
        blank=True,
        help_text=_("Empty: an hour; an answer of a person until the wave is completed."),
    )
    is_advisory = models.BooleanField(_("advisory"), default=False, help_text=_("It is shown and never closes a gate."))
    needs_second_account = models.BooleanField(
        default=False, help_text=_("Two accounts must have answered before it counts.")
    )
    removed_at = models.DateTimeField(null=True, editable=False)
    removed_by = models.CharField(max_length=200, blank=True, editable=False)
    removal_reason = models.CharField(max_length=500, blank=True, editable=False)
    due_at = models.DateTimeField(
        null=True, editable=False, help_text="When the background service looks next; null: it does not."
    )
    asked_by = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Who asked for the next look; empty: nobody, it is due."
    )
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    last_result = models.ForeignKey(
        "CheckResult", models.SET_NULL, null=True, editable=False, related_name="+", db_index=False
    )
    failed_in_a_row = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["wave__position", "position", "pk"]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="checks_by_due_time")]

    def __str__(self) -> str:
        return str(self.name)

    @property
    def is_manual(self) -> bool:
        return self.kind == self.Kind.MANUAL


class CheckResult(models.Model):
    """What a look of a check found; every one is kept as long as history is (R69), and the last one always."""

    rollout_check = models.ForeignKey(RolloutCheck, models.CASCADE, related_name="results")
    at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    seconds = models.FloatField(default=0)
    sentence = SentenceField(max_length=1000)
    by = models.CharField(max_length=200, blank=True, help_text="Who asked for it; empty: the background service.")
    output = models.TextField(blank=True, help_text="What a program printed, cut and without secrets (R71).")

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["rollout_check", "-at"], name="check_results_by_time"),
            models.Index(fields=["at"], name="check_results_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome}: {self.sentence}"


class CheckAnswer(models.Model):
    """What a person answered; appended, never changed (R72)."""

    class Answer(models.TextChoices):
        YES = "yes", _("Yes")
        NO = "no", _("No")
        NOT_APPLICABLE = "not-applicable", _("Not applicable")

    rollout_check = models.ForeignKey(RolloutCheck, models.CASCADE, related_name="answers")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200)
    answer = models.CharField(max_length=14, choices=Answer.choices)
    note = models.CharField(max_length=2000, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["rollout_check", "-at"], name="check_answers_by_time")]

    def __str__(self) -> str:
        return f"{self.answer} by {self.by}"


class GateOpening(models.Model):
    """A closed gate that an admin opened once, with a reason (R76)."""

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="openings")
    wave = models.ForeignKey(
        Wave, models.CASCADE, null=True, related_name="openings", help_text="Empty: the gate of retirement."
    )
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    closed_by = SentenceField(max_length=2000, help_text="What closed the gate at that moment.")
    covers = models.JSONField(
        default=list, help_text="The keys of the checks that closed it. What another one closes stays closed."
    )
    used_at = models.DateTimeField(null=True, help_text="When the wave went through it: once.")
    used_by = models.CharField(max_length=200, blank=True, help_text="Who let the wave go through; empty: MMS itself.")

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return self.reason
