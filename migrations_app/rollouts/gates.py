"""Gates: what all checks of a wave say together, and what an admin has opened by hand (R70, R75, R76). It only reads,
but for :func:`use_opening`.

A check stands as its last result says, as long as that is valid; one of people as they have answered. What is too old,
or not there, is inconclusive: it closes the gate as a failure does, and asks a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from migrations_app.models import CheckAnswer, CheckResult, GateOpening, Outcome, Rollout, RolloutCheck, Wave
from tenants_app.sentences import Sentence, one_after_the_other, sentence, sentence_plural

VALID_FOR = timedelta(hours=1)
"""For so long a result counts where the check says nothing else; answers of people count until the wave has ended."""
IN_SUCCESSION = 2
"""So often a check fails in a row until it stops its wave (R78)."""

_NAMED = 3
"""Checks that a sentence names."""
_SHOWN_ACCOUNTS = 50
"""The accounts whose last answers are looked at; those who answered last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a check stands at a moment."""

    check: RolloutCheck
    outcome: Outcome
    sentence: str
    """What was found and, where it closes, what to do."""
    at: datetime | None
    """When that was found or answered; None where it never was."""
    result: CheckResult | None = None
    """The last result, of a kind that MMS measures, however old."""
    answers: Sequence[CheckAnswer] = ()
    """The last answer of each account, newest first, of a check that people answer."""

    @property
    def closes(self) -> bool:
        return self.outcome != Outcome.PASSED and not self.check.is_advisory

    @property
    def asks_a_person(self) -> bool:
        """Whether somebody has to look, because nothing was found out (R70)."""
        return self.outcome == Outcome.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Gate:
    """The checks of a wave, or those before retirement where ``wave`` is None, and whether they let it go on."""

    wave: Wave | None
    standings: Sequence[Standing]
    openings: Sequence[GateOpening] = ()
    """All that were ever made by hand, newest first."""

    @property
    def closing(self) -> list[Standing]:
        """The checks that close it: failed ones first."""
        return sorted((each for each in self.standings if each.closes), key=lambda each: each.asks_a_person)

    @property
    def others(self) -> list[Standing]:
        """The checks that do not close it."""
        return [each for each in self.standings if not each.closes]

    @property
    def outcome(self) -> Outcome:
        """What the checks say, whatever was opened by hand."""
        closing = self.closing
        if not closing:
            return Outcome.PASSED
        return Outcome.FAILED if closing[0].outcome == Outcome.FAILED else Outcome.INCONCLUSIVE

    @property
    def opening(self) -> GateOpening | None:
        """What opens it now by hand: made for all that closes it, and not used yet."""
        closing = {each.check.pk for each in self.closing}
        if not closing:
            return None
        return next((each for each in self.openings if not each.used_at and closing <= set(each.covers)), None)

    @property
    def is_open(self) -> bool:
        return not self.closing or self.is_opened_by_hand

    @property
    def is_opened_by_hand(self) -> bool:
        """Whether it is open by an opening alone, which :func:`use_opening` then uses up."""
        return self.opening is not None

    @property
    def sentence(self) -> Sentence:
        """What closes it and what to do, or that it is open."""
        closing = self.closing
        if not closing:
            return sentence("The gate is open.")
        if self.opening:
            return sentence("The gate was opened by hand by %(who)s.", who=self.opening.by)
        return one_after_the_other(sentence("The gate is closed."), self.why_closed)

    @property
    def why_closed(self) -> Sentence:
        """The checks that close it, each with what to do."""
        named = [
            sentence("“%(check)s” closes it: %(why)s", check=each.check.name, why=each.sentence)
            for each in self.closing
        ]
        return one_after_the_other(*named[:_NAMED], _and_more(len(named) - _NAMED))


def gates_of(waves: Iterable[Wave], now: datetime | None = None) -> dict[int, Gate]:
    """The gates of waves by their keys, in as many statements for many as for one."""
    now = now or timezone.now()
    by_pk = {wave.pk: wave for wave in waves}
    checks = _checks().filter(wave__in=by_pk)
    openings = GateOpening.objects.filter(wave__in=by_pk)
    standing = _standings(list(checks), now, has_ended={pk for pk, wave in by_pk.items() if wave.state in Wave.ENDED})
    opened = defaultdict(list)
    for opening in openings:
        opened[opening.wave_id].append(opening)
    return {pk: Gate(wave, standing[pk], opened[pk]) for pk, wave in by_pk.items()}


def gate_of(wave: Wave, now: datetime | None = None) -> Gate:
    """The gate of one wave."""
    return gates_of([wave], now)[wave.pk]


def retirement_checklist(rollout: Rollout, now: datetime | None = None) -> Gate:
    """The checks before retirement (R88), which are a gate as those of a wave."""
    checks = list(_checks().filter(rollout=rollout, wave=None))
    openings = list(GateOpening.objects.filter(rollout=rollout, wave=None))
    return Gate(None, _standings(checks, now or timezone.now())[None], openings)


def standing_of(check: RolloutCheck, now: datetime | None = None) -> Standing:
    """How one check stands. ``check.wave`` and ``check.last_result`` should be loaded already."""
    has_ended = [check.wave.pk] if check.wave and check.wave.state in Wave.ENDED else []
    return _standings([check], now or timezone.now(), has_ended)[check.wave_id][0]


def shown_state(wave: Wave, gate: Gate) -> Wave.State:
    """How a wave shows: before its start it is ready while its gate is open (R77)."""
    if wave.has_started:
        return Wave.State(wave.state)
    return Wave.State.READY if gate.is_open else Wave.State.DRAFT


def use_opening(wave: Wave, by: str) -> bool:
    """Let a batch of the wave through a gate that was opened by hand: the opening is used up. Whether there was one.

    To be called in the transaction in which the batch begins, where ``gate.is_opened_by_hand``: a start alone uses up
    nothing, and the batch after it needs the checks to pass, or another opening.
    """
    return _use(gate_of(wave), by)


def use_retirement_opening(rollout: Rollout, by: str) -> bool:
    """As :func:`use_opening`, in the transaction in which the legacy deployment is retired."""
    return _use(retirement_checklist(rollout), by)


def _use(gate: Gate, by: str) -> bool:
    if gate.opening is None:
        return False
    unused = GateOpening.objects.filter(pk=gate.opening.pk, used_at=None)
    return bool(unused.update(used_at=timezone.now(), used_by=by))


def failing_twice(wave: Wave, now: datetime | None = None) -> list[RolloutCheck]:
    """The checks that MMS measures and that have failed twice in succession, which stops a wave (R78).

    What was found before the wave was resumed does not count any more (R79), nor what is too old.
    """
    now = now or timezone.now()
    since = Q(results__at__gt=wave.counts_from) if wave.counts_from else Q(results__isnull=False)
    failing = _checks().filter(wave=wave, is_advisory=False, failed_in_a_row__gte=IN_SUCCESSION)
    failing = failing.exclude(kind=RolloutCheck.Kind.MANUAL)
    counted = failing.annotate(counting=Count("results", filter=since)).filter(counting__gte=IN_SUCCESSION)
    return [check for check in counted if check.last_result and not _is_too_old(check, check.last_result.at, now)]


# --- how a check stands -------------------------------------------------------------------------------


def _checks() -> QuerySet[RolloutCheck]:
    return RolloutCheck.objects.filter(removed_at=None).select_related("last_result").order_by("position", "pk")


def _standings(
    checks: Sequence[RolloutCheck], now: datetime, has_ended: Collection[int] = ()
) -> dict[int | None, list[Standing]]:
    """How checks stand, by their wave. Those of a wave that has ended stand as they stood: nobody looks any more."""
    answered = last_answers([check for check in checks if check.is_manual])
    found: dict[int | None, list[Standing]] = defaultdict(list)
    for check in checks:
        ages = None if check.wave_id in has_ended else now
        if check.is_manual:
            found[check.wave_id].append(_of_answers(check, answered[check.pk], ages))
        else:
            found[check.wave_id].append(_of_result(check, check.last_result, ages))
    return found


def last_answers(checks: Sequence[RolloutCheck]) -> dict[int, list[CheckAnswer]]:
    """The last answer of each account to each check, newest first."""
    last = CheckAnswer.objects.filter(rollout_check__in=checks).annotate(
        nth_of_account=Window(
            RowNumber(), partition_by=[F("rollout_check"), F("by")], order_by=[F("at").desc(), F("pk").desc()]
        )
    )
    found: dict[int, list[CheckAnswer]] = defaultdict(list)
    for answer in last.filter(nth_of_account=1).order_by("-at", "-pk") if checks else ():
        if len(found[answer.rollout_check_id]) < _SHOWN_ACCOUNTS:
            found[answer.rollout_check_id].append(answer)
    return found


def _of_result(check: RolloutCheck, result: CheckResult | None, now: datetime | None) -> Standing:
    if result is None:
        return Standing(check, Outcome.INCONCLUSIVE, _NEVER, None)
    if now and _is_too_old(check, result.at, now):
        return Standing(check, Outcome.INCONCLUSIVE, _TOO_OLD, result.at, result)
    return Standing(check, Outcome(result.outcome), result.sentence, result.at, result)


def _of_answers(check: RolloutCheck, answers: Sequence[CheckAnswer], now: datetime | None) -> Standing:
    if not answers:
        return Standing(check, Outcome.INCONCLUSIVE, _NOBODY, None)
    last = answers[0]
    valid = [each for each in answers if not (now and _is_too_old(check, each.at, now))]
    if not valid:
        return Standing(check, Outcome.INCONCLUSIVE, _ANSWER_TOO_OLD, last.at, answers=answers)
    if last.answer == CheckAnswer.Answer.NO:
        said = sentence("%(who)s has answered no (“%(note)s”).", who=last.by, note=last.note)
        return Standing(check, Outcome.FAILED, one_after_the_other(said, _ANSWER_ANEW), last.at, answers=answers)
    agreed = [each for each in valid if each.answer != CheckAnswer.Answer.NO]
    if check.needs_second_account and len(agreed) < 2:
        said = sentence("%(who)s has answered; a second account must answer too.", who=last.by)
        return Standing(check, Outcome.INCONCLUSIVE, said, last.at, answers=answers)
    return Standing(check, Outcome.PASSED, _agreed(last), last.at, answers=answers)


def _agreed(last: CheckAnswer) -> Sentence:
    if last.answer == CheckAnswer.Answer.NOT_APPLICABLE:
        return sentence("%(who)s has answered that it does not apply (“%(note)s”).", who=last.by, note=last.note)
    return sentence("%(who)s has answered yes.", who=last.by)


def _is_too_old(check: RolloutCheck, at: datetime, now: datetime) -> bool:
    if check.valid_for is None:
        return not check.is_manual and at < now - VALID_FOR
    return at < now - timedelta(seconds=check.valid_for)


def _and_more(n: int) -> str:
    return sentence_plural("%(n)s more closes it too.", "%(n)s more close it too.", n) if n > 0 else ""


_NEVER = sentence("It has not been looked at yet. Check now, or look whether the background service runs.")
_TOO_OLD = sentence("The last result is too old to count. Check now, or look whether the background service runs.")
_NOBODY = sentence("Nobody has answered yet. Do what the instructions say, and answer.")
_ANSWER_TOO_OLD = sentence("The last answer is too old to count. Look again, and answer.")
_ANSWER_ANEW = sentence("Answer anew once that is put right.")
