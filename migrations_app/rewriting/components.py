"""An invitation taken apart: its master and overrides, their descriptions, and what there is to see in them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from urllib.parse import unquote

from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    Line,
    events_of,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.calendars.damaged_folds import remainder
from migrations_app.calendars.facts import events_not_over
from migrations_app.calendars.people import organizer
from migrations_app.rewriting.frames import Found, Sight, carries_signature, look
from migrations_app.rewriting.shown_html import body_start, shows_nothing, visible_text
from tenants_app.sentences import Sentence, sentence

DESCRIPTIONS = frozenset([b"DESCRIPTION", b"X-ALT-DESC", b"STYLED-DESCRIPTION"])

_HEAD = re.compile(rb'[A-Z0-9-]+(?:;[A-Z0-9-]+=(?:"[^"]*+"|[^";:,]*+)(?:,(?:"[^"]*+"|[^";:,]*+))*+)*+:')

EXTERNAL_LINK = b"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK"
CONF_LINK = b"X-MICROSOFT-ONLINEMEETINGCONFLINK"
TEAMS_URL = b"X-MICROSOFT-SKYPETEAMSMEETINGURL"
TEAMS_PROPERTIES = b"X-MICROSOFT-SKYPETEAMSPROPERTIES"
TEL_URI = b"X-MICROSOFT-CONFERENCETELURI"
CONFERENCE_ID = b"X-MICROSOFT-ONLINEMEETINGCONFERENCEID"
TOLL_NUMBER = b"X-MICROSOFT-ONLINEMEETINGTOLLNUMBER"
OF_OLD_MEETING = frozenset(
    [
        CONF_LINK,
        TEAMS_PROPERTIES,
        b"X-MICROSOFT-ONLINEMEETINGINTERNALLINK",
        b"X-MICROSOFT-ONLINEMEETINGINFORMATION",
        b"X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL",
        b"X-MICROSOFT-SCHEDULINGSERVICEMEETINGOPTIONSURL",
    ]
)
"""They address the old meeting on its server, which has no counterpart in the new one."""
MACHINE_READ = OF_OLD_MEETING | {EXTERNAL_LINK, TEAMS_URL, TEL_URI, CONFERENCE_ID, TOLL_NUMBER}
"""What the meeting add-ins leave beside the text for programs to read."""


@dataclass(frozen=True, slots=True)
class Description:
    """One description: its line, its unfolded text, where its value starts in that, and what there is to see."""

    line: Line
    unfolded: bytes
    value_start: int
    is_html: bool
    sight: Sight

    @property
    def value(self) -> bytes:
        """The value, unfolded and still escaped."""
        return self.unfolded[self.value_start :]

    @property
    def title(self) -> Sentence:
        """What people call it."""
        return sentence("HTML description") if self.is_html else sentence("Plain-text description")


@dataclass(frozen=True)
class Component:
    """A master (`recurrence_id` is "") or an override with its descriptions.

    `inherited` are the machine-read properties of the master, which hold for an override that has none.
    `organizer_domain` is the domain of the organizer's mail address, as the series names it; "" where it names none.
    """

    source: bytes
    event: Event
    recurrence_id: str
    descriptions: Sequence[Description]
    inherited: Mapping[bytes, str]
    organizer_domain: str

    @cached_property
    def blocks(self) -> list[Found]:
        """The intact meeting blocks of its descriptions."""
        return [each.sight.found for each in self.descriptions if each.sight.found is not None]

    @property
    def descriptions_with_block(self) -> list[Description]:
        """Those of its descriptions that carry an intact meeting block."""
        return [each for each in self.descriptions if each.sight.found is not None]

    @cached_property
    def machine_read(self) -> dict[bytes, str]:
        """Its machine-read properties that say something, unescaped."""
        return _machine_read(self.source, self.event)

    @property
    def effective(self) -> Mapping[bytes, str]:
        """The machine-read properties that hold for it: its own, or the master's where it has none."""
        return self.machine_read or self.inherited

    @cached_property
    def inherits_description(self) -> bool:
        """Whether it is an override that says nothing of its own, so that the master's description holds (R23)."""
        return bool(self.recurrence_id) and all(map(is_blank, self.descriptions))


def components_of(source: bytes, calendars: list[Calendar], now: datetime, own_place: str = "") -> list[Component]:
    """Return the master and those overrides that are neither over (R23) nor cancelled, taken apart.

    `own_place` is where the organizer's `Link` links begin (see `Own`).
    """
    events = events_of(calendars)
    masters = [event for event in events if not event.named(b"RECURRENCE-ID")]
    inherited = _machine_read(source, masters[0]) if masters and len(events) > 1 else {}
    named = organizer(source, events)
    domain = named.address.rpartition("@")[2].lower() if named else ""
    return [
        Component(
            source,
            event,
            recurrence_id_of(source, event),
            [*_descriptions(source, event, own_place)],
            inherited,
            domain,
        )
        for event in events_not_over(source, calendars, now)
        if len(events) == 1 or not _is_cancelled_override(source, event)
    ]


def shown_text(description: Description) -> str:
    """Return what a reader sees of a description, on one line."""
    if description.is_html:
        return visible_text(description.value[body_start(description.value) :])
    return " ".join(unescaped(description.value).split())


def is_blank(description: Description) -> bool:
    """Tell whether a description shows nothing."""
    if description.is_html:
        return shows_nothing(description.value)
    return not unescaped(description.value).strip()


def _is_cancelled_override(source: bytes, event: Event) -> bool:
    return bool(event.named(b"RECURRENCE-ID")) and any(
        value_of(source, line).strip().upper() == b"CANCELLED" for line in event.named(b"STATUS")
    )


def _machine_read(source: bytes, event: Event) -> dict[bytes, str]:
    values = {}
    for line in event.lines:
        if line.name in MACHINE_READ:
            value = unescaped(value_of(source, line)).strip()
            if value:
                values[line.name] = value
    return values


def recurrence_id_of(source: bytes, event: Event) -> str:
    """Return the raw RECURRENCE-ID of an override; "" of a master."""
    for line in event.named(b"RECURRENCE-ID"):
        return value_of(source, line).decode("utf-8", "surrogateescape").strip()
    return ""


def _descriptions(source: bytes, event: Event, own_place: str) -> Iterator[Description]:
    for line in event.lines:
        if line.name not in DESCRIPTIONS:
            continue
        unfolded = unfold(source[line.start : line.end])
        start = value_start(unfolded)
        head = unfolded[:start].upper()
        value = unfolded[start:]
        is_html = line.name != b"DESCRIPTION" and (b"HTML" in head or (b"FMTTYPE" not in head and b"<" in value))
        sight = look(value, is_html=is_html, own_place=own_place)
        problem = sight.problem
        if b"ENCODING=" in head and b"8BIT" not in head:
            problem = sentence("The description is encoded in a way that calendars have given up.")
        elif sight.join_links and _HEAD.fullmatch(head) is None:
            problem = sentence(
                "The parameters of the description are damaged, so nobody can tell where its text begins."
            )
        elif b"ALTREP" in head and carries_signature(unquote(unfolded[:start].decode("utf-8", "replace")), own_place):
            problem = sentence("The description has a second form (ALTREP) with a join link in it.")
        if sight.found is None and _goes_on_with_block(source, event, line, value, is_html, own_place):
            problem = sentence(
                "The description is cut off where a folded line has lost the blank at its beginning, and a "
                "meeting block or a part of one stands beyond."
            )
        if problem != sight.problem:
            sight = Sight(sight.rows, sight.join_links, None, problem)
        yield Description(line, unfolded, start, is_html, sight)


def _goes_on_with_block(source: bytes, event: Event, line: Line, value: bytes, is_html: bool, own_place: str) -> bool:
    """Tell whether what a damaged fold cut off from a description has to do with a meeting block."""
    rest = remainder(source, event, line)
    if not rest:
        return False
    whole = look(value + rest, is_html=is_html, own_place=own_place)
    return whole.found is not None or bool(whole.problem)
