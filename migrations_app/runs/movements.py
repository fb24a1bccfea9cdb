"""Whether a meeting stays in its meeting service or moves to another (R40, R44), and how many do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q
from django.utils.text import get_text_list

from migrations_app.models import MeetingResult, Run
from migrations_app.targets import CURRENT, NO_SERVICE, Targets, service_name


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
    def ahead(self) -> str:
        """Of a meeting before the run."""
        return self._words("stays", "moves", "gets")

    @property
    def done(self) -> str:
        """Of a meeting after the run."""
        return self._words("stayed", "moved", "got")

    def of_many(self, stay: str, move: str, get: str) -> str:
        """Of several meetings at once, with these verbs."""
        return self._words(stay, move, get)

    def _words(self, stay: str, move: str, get: str) -> str:
        source, target = service_name(self.source), service_name(self.target)
        if self.source != self.target:
            return f"{move} from {source} to {target}"
        return f"{get} a new {target} link" if self.gets_new_link else f"{stay} in {source}"


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
        return self._sentence("would stay", "would move", "would get")

    @property
    def done(self) -> str:
        """All of it as one sentence after the run; empty where there is nothing to say."""
        return self._sentence("stayed", "moved", "got")

    def _sentence(self, stay: str, move: str, get: str) -> str:
        moving = [(each, count) for each, count in sorted(self.counts.items()) if each.moves]
        staying = self.counts.total() - sum(count for _, count in moving)
        told = [f"{count:,} {each.of_many(stay, move, get)}" for each, count in moving]
        if staying:
            told.append(f"{staying:,} {stay} in {'its' if staying == 1 else 'their'} meeting service")
        return f"{get_text_list(told, 'and')}." if told else ""


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
