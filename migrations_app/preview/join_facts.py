"""What leads into a meeting before and after a run: links, IDs, passcode, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils import timezone

from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.components import components_of
from migrations_app.rewriting.examine import Examined
from migrations_app.rewriting.facts import NO_NUMBERS, BlockFacts
from migrations_app.rewriting.online_meeting import TO_BE_MADE
from migrations_app.runs.outcomes import Outcome
from tenants_app.sentences import sentence
from tenants_app.wording import A_FREE_ONE, FREE_ID

LINK, NUMBERS, CONFERENCE_ID = sentence("Join link"), sentence("Dial-in numbers"), sentence("Conference ID")


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
    before = _shown_before(outcome.examined)
    after = _shown_after(outcome, outcome.examined)
    names = dict.fromkeys([*before, *after])
    facts = [Fact(name, before.get(name, ""), _in_words(after.get(name, ""))) for name in names]
    had, has = (bool(shown.get(NUMBERS) or shown.get(CONFERENCE_ID)) for shown in (before, after))
    return JoinFacts(facts, loses_dial_in=had and not has)


def _shown(links: Iterable[str], facts: Iterable[BlockFacts]) -> dict[str, str]:
    """What an object's blocks say; where a series has several meetings behind it that of each, apart by commas."""
    found: dict[str, dict[str, None]] = {LINK: dict.fromkeys(links)}
    for each in facts:
        for name, value in each.online_meeting.named():
            found.setdefault(name, {})[value] = None
        for number in each.numbers:
            found.setdefault(NUMBERS, {})[number.e164] = None
        if each.conference_id:
            found.setdefault(CONFERENCE_ID, {})[each.conference_id] = None
    return {name: ", ".join(filter(None, values)) for name, values in found.items() if any(values)}


def _shown_before(examined: Examined) -> dict[str, str]:
    links = (seen.join_url for seen in examined.meetings)
    return _shown(links, (each for facts in examined.facts_of.values() for each in facts))


def _shown_after(outcome: Outcome, before: Examined) -> dict[str, str]:
    """The same of the new text. Where meetings are made anew their facts come with them, from the service."""
    links = [outcome.result.join_url_after]
    if outcome.write is None:
        return {}
    known = next((each.known for facts in before.facts_of.values() for each in facts), NO_NUMBERS)
    # A link that is made when the run starts is none yet, so the words that stand for it cannot be read as one.
    body = _WORDS.sub(f"{before.own.place or _ANYWHERE}{before.own.key}".encode(), outcome.write.body)
    try:
        components = components_of(body, parse(body), timezone.now(), before.own.place)
    except UnreadableCalendar:
        return _shown(links, ())
    facts = (
        BlockFacts(found, description.value, is_html=description.is_html, known=known)
        for each in components
        for description, found in zip(each.descriptions_with_block, each.blocks, strict=True)
    )
    return _shown(links, facts)


_SAID = {TO_BE_MADE: sentence("made when the run starts"), FREE_ID: A_FREE_ONE}
"""What stands for a fact that is not known yet."""
_ANYWHERE = "https://meet.invalid/"
_WORDS = re.compile(rb"(?:\r?\n[ \t])?".join(re.escape(each.encode()) for each in TO_BE_MADE))
"""The words that stand for a link, wherever their line is folded."""


def _in_words(value: str) -> str:
    if value in _SAID:
        return _SAID[value]
    return value.replace(FREE_ID, str(A_FREE_ONE))
