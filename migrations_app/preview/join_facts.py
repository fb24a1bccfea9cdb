"""What leads into a meeting before and after a run: links, IDs, passcode, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.facts import NO_NUMBERS
from migrations_app.rewriting.online_meeting import TO_BE_MADE
from migrations_app.runs.outcomes import Outcome
from tenants_app.wording import A_FREE_ONE, FREE_ID

LINK, NUMBERS, CONFERENCE_ID = "Join link", "Dial-in numbers", "Conference ID"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that leads into the meeting, before and after; "" where there is none."""

    name: str
    before: str
    after: str

    @property
    def stays(self) -> bool:
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class JoinFacts:
    """All of it, and whether people can dial in before and not after."""

    facts: Sequence[Fact] = ()
    loses_dial_in: bool = False


def join_facts(outcome: Outcome) -> JoinFacts:
    """Those of a meeting that changes, read from both texts; nothing of any other."""
    if outcome.write is None or outcome.examined is None:
        return JoinFacts()
    before = _shown(outcome.examined)
    after = _shown_after(outcome, outcome.examined)
    names = dict.fromkeys([*before, *after])
    facts = [Fact(name, before.get(name, ""), _in_words(after.get(name, ""))) for name in names]
    had, has = (bool(shown.get(NUMBERS) or shown.get(CONFERENCE_ID)) for shown in (before, after))
    return JoinFacts(facts, loses_dial_in=had and not has)


def _shown(examined: Examined) -> dict[str, str]:
    """What an object's blocks say; of several meetings behind a series that of each, apart by commas."""
    found: dict[str, dict[str, None]] = {LINK: dict.fromkeys(seen.join_url for seen in examined.meetings)}
    for facts in examined.facts_of.values():
        for each in facts:
            for name, value in each.online_meeting.named():
                found.setdefault(name, {})[value] = None
            for number in each.numbers:
                found.setdefault(NUMBERS, {})[number.e164] = None
            if each.conference_id:
                found.setdefault(CONFERENCE_ID, {})[each.conference_id] = None
    return {name: ", ".join(filter(None, values)) for name, values in found.items() if any(values)}


def _shown_after(outcome: Outcome, before: Examined) -> dict[str, str]:
    known = next((each.known for facts in before.facts_of.values() for each in facts), NO_NUMBERS)
    body = outcome.write.body if outcome.write else b""
    # A link that is made when the run starts is none yet, so the words that stand for it cannot be read as one.
    stand_in = f"{before.own.place or 'https://meet.invalid/'}{_STAND_IN}"
    readable = body.replace(TO_BE_MADE.encode(), stand_in.encode())
    try:
        after = examine(readable, before.own, now=timezone.now(), known=known)
    except (Declined, UnreadableCalendar):
        return {LINK: outcome.result.join_url_after}
    return {name: value.replace(stand_in, TO_BE_MADE) for name, value in _shown(after).items()}


_STAND_IN = "MADELATR"


def _in_words(value: str) -> str:
    return value.replace(FREE_ID, A_FREE_ONE)
