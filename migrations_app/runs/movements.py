"""Whether a meeting stays in its meeting service or moves to another (R40, R44), and how many do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q

from migrations_app.models import MeetingResult, Run
from migrations_app.targets import CURRENT, NO_SERVICE, Targets, service_name
from tenants_app.sentences import Sentence, sentence, sentence_plural, whole
from tenants_app.wording import all_of


class Movement(NamedTuple):
    """From which service a meeting comes and in which it is afterwards; the same where it stays."""

    source: str
    target: str
    gets_new_link: bool = False
    """Of a meeting that stays: whether it is made anew all the same, as one of Link whose meeting URL is an old one."""

    @property
    def moves(self) -> bool:
        return self.source != self.target or self.gets_new_link

    @property
    def ahead(self) -> Sentence:
        """Of a meeting before the run."""
        source, target = service_name(self.source), service_name(self.target)
        if self.source != self.target:
            return sentence("moves from %(source)s to %(target)s", source=source, target=target)
        if self.gets_new_link:
            return sentence("gets a new %(service)s link", service=target)
        return sentence("stays in %(service)s", service=source)

    @property
    def done(self) -> Sentence:
        """Of a meeting after the run."""
        source, target = service_name(self.source), service_name(self.target)
        if self.source != self.target:
            return sentence("moved from %(source)s to %(target)s", source=source, target=target)
        if self.gets_new_link:
            return sentence("got a new %(service)s link", service=target)
        return sentence("stayed in %(service)s", service=source)

    def ahead_of_many(self, count: int) -> Sentence:
        """Of so many meetings before the run, which do not stay as they are."""
        source, target = service_name(self.source), service_name(self.target)
        if self.source != self.target:
            return sentence_plural(
                "%(n)s would move from %(source)s to %(target)s",
                "%(n)s would move from %(source)s to %(target)s",
                count,
                source=source,
                target=target,
            )
        return sentence_plural(
            "%(n)s would get a new %(service)s link", "%(n)s would get a new %(service)s link", count, service=target
        )

    def done_of_many(self, count: int) -> Sentence:
        """Of so many meetings after the run, which did not stay as they are."""
        source, target = service_name(self.source), service_name(self.target)
        if self.source != self.target:
            return sentence_plural(
                "%(n)s moved from %(source)s to %(target)s",
                "%(n)s moved from %(source)s to %(target)s",
                count,
                source=source,
                target=target,
            )
        return sentence_plural(
            "%(n)s got a new %(service)s link", "%(n)s got a new %(service)s link", count, service=target
        )


def movement_of(result: MeetingResult) -> Movement | None:
    """What its run makes of the meeting, or made of it; None where the meeting's service is not known.

    ``result.run`` should be loaded already. What is skipped or fails stays where it is.
    """
    has_new_link = result.join_url_before != result.join_url_after
    if result.run.is_undo:
        # Where it goes back to another meeting, its join links tell more than the names of services.
        stays = bool(result.meeting_service) and not has_new_link
        return Movement(result.meeting_service, result.meeting_service) if stays else None
    return _movement(result.meeting_service, result.outcome, has_new_link, Targets.of(result.run.targets))


def _movement(source: str, outcome: str, has_new_link: bool, targets: Targets) -> Movement | None:
    if not source:
        return None
    target = targets.target_of(source)
    if outcome != MeetingResult.Outcome.SUCCEEDED or target in {None, CURRENT, NO_SERVICE}:
        return Movement(source, source)
    return Movement(source, str(target), has_new_link)


@dataclass(slots=True)
class Movements:
    """How many meetings there are of each movement."""

    counts: Counter[Movement] = field(default_factory=Counter)

    def note(self, result: MeetingResult) -> Movement | None:
        """Count what becomes of the meeting, where its service is known."""
        movement = movement_of(result)
        if movement:
            self.counts[movement] += 1
        return movement

    def __bool__(self) -> bool:
        return bool(self.counts)

    @property
    def ahead(self) -> str:
        """All of it as one sentence before the run; empty where there is nothing to say."""
        told = [each.ahead_of_many(count) for each, count in self._moving]
        if staying := self._staying:
            told.append(
                sentence_plural(
                    "%(n)s would stay in its meeting service", "%(n)s would stay in their meeting service", staying
                )
            )
        return whole(all_of(told)) if told else ""

    @property
    def done(self) -> str:
        """All of it as one sentence after the run; empty where there is nothing to say."""
        told = [each.done_of_many(count) for each, count in self._moving]
        if staying := self._staying:
            told.append(
                sentence_plural("%(n)s stayed in its meeting service", "%(n)s stayed in their meeting service", staying)
            )
        return whole(all_of(told)) if told else ""

    @property
    def _moving(self) -> list[tuple[Movement, int]]:
        return [(each, count) for each, count in sorted(self.counts.items()) if each.moves]

    @property
    def _staying(self) -> int:
        return self.counts.total() - sum(count for _, count in self._moving)


def movements_of(run: Run) -> Movements:
    """What the run made of its meetings so far; one question to the database."""
    if run.is_undo:
        return Movements()
    targets = Targets.of(run.targets)
    has_new_link = ExpressionWrapper(~Q(join_url_before=F("join_url_after")), BooleanField())
    rows: Iterable[tuple[str, str, bool, int]] = (
        MeetingResult.objects.filter(run=run)
        .exclude(meeting_service="")
        .order_by()
        .values_list("meeting_service", "outcome", has_new_link)
        .annotate(Count("pk"))
    )
    found = Movements()
    for source, outcome, is_new, count in rows:
        movement = _movement(source, outcome, is_new, targets)
        if movement:
            found.counts[movement] += count
    return found
