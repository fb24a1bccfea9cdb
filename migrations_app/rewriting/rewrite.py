"""Put a new meeting block in the place of the old one, and put the old one back (R20, R21, R23, R25).

Nothing is re-serialised: the octets of the block and of the machine-read properties that carry the same link and
numbers are exchanged, SEQUENCE and the time stamps are refreshed, every other octet stays.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from migrations_app.rewriting import links, markup
from migrations_app.rewriting.block import MeetingBlock, dial_uri, render_html, render_text, safe_url
from migrations_app.rewriting.content_lines import (
    Edit,
    Event,
    Line,
    escaped,
    events_of,
    insert_lines,
    parse,
    replace_in_value,
    replace_line,
    splice,
    uid_of,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.rewriting.errors import Declined, needs_review
from migrations_app.rewriting.facts import events_not_over
from migrations_app.rewriting.frames import Found, Kind, carries_signature, find_block
from migrations_app.rewriting.spans import Span

_DESCRIPTIONS = frozenset([b"DESCRIPTION", b"X-ALT-DESC", b"STYLED-DESCRIPTION"])
_EXTERNAL_LINK = b"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK"
_CONF_LINK = b"X-MICROSOFT-ONLINEMEETINGCONFLINK"
_TEAMS_URL = b"X-MICROSOFT-SKYPETEAMSMEETINGURL"
_TEL_URI = b"X-MICROSOFT-CONFERENCETELURI"
_CONFERENCE_ID = b"X-MICROSOFT-ONLINEMEETINGCONFERENCEID"
_TOLL_NUMBER = b"X-MICROSOFT-ONLINEMEETINGTOLLNUMBER"
# They address the old meeting on its server, which has no counterpart in the new one.
_OF_OLD_MEETING = frozenset(
    [
        _CONF_LINK,
        b"X-MICROSOFT-SKYPETEAMSPROPERTIES",
        b"X-MICROSOFT-ONLINEMEETINGINFORMATION",
        b"X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL",
        b"X-MICROSOFT-SCHEDULINGSERVICEMEETINGOPTIONSURL",
    ]
)
_MACHINE_READ = _OF_OLD_MEETING | {_EXTERNAL_LINK, _TEAMS_URL, _TEL_URI, _CONFERENCE_ID, _TOLL_NUMBER}
_LINK_PROPERTIES = frozenset([b"URL", b"CONFERENCE"])

# Exchange reads its own property before SEQUENCE (MS-OXCICAL), so both are raised.
_SEQUENCES = frozenset([b"SEQUENCE", b"X-MICROSOFT-CDO-APPT-SEQUENCE", b"X-MS-OLK-APPTLASTSEQUENCE"])
_STAMPS = frozenset([b"DTSTAMP", b"LAST-MODIFIED", b"X-MS-OLK-APPTSEQTIME"])
_HIGHEST_SEQUENCE = 2**31 - 1

_IMAGE = re.compile(r"\[https?://[^\s\[\]]*\]")  # how a mail server renders one as text
_FOCUS_ID = re.compile(r"focus:id:([A-Z0-9]{8})(?![A-Za-z0-9:])")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten object, what was replaced in it, and the SEQUENCE it was raised to."""

    body: bytes
    spans: tuple[Span, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class _Description:
    line: Line
    unfolded: bytes
    value_start: int
    is_html: bool
    found: Found | None


@dataclass(frozen=True, slots=True)
class _Component:
    event: Event
    recurrence_id: str
    descriptions: Sequence[_Description]

    @property
    def blocks(self) -> list[Found]:
        return [description.found for description in self.descriptions if description.found is not None]


def rewrite(
    source: bytes,
    block: MeetingBlock,
    *,
    now: datetime,
    belongs_to_someone_else: Callable[[str], bool] | None = None,
) -> Rewrite:
    """Return the object with `block` in place of the meeting block it carries.

    `source` is one object (one UID), `now` is aware. `belongs_to_someone_else` is asked with the user segment of a
    Skype for Business or own join link. Raises Declined with a reason of R20 when the object is to be left as it
    is, UnreadableCalendar when it is no calendar.
    """
    calendars = parse(source)
    events = events_of(calendars)
    components = [
        _Component(event, _recurrence_id(source, event), _descriptions(source, event, block.join_url))
        for event in events_not_over(source, calendars, now)
    ]
    found = [each for component in components for each in component.blocks]
    if not found:
        raise Declined("no-block", "The invitation carries no online-meeting block.")
    _refuse_several_meetings(source, events, found)
    for component in components:
        _refuse_inconsistent(component)
        if component.blocks:
            _refuse_pasted(source, component, block, belongs_to_someone_else)

    old_url = found[0].join_url
    of_master = next((_machine_read(source, each.event) for each in components if not each.recurrence_id), {})
    edits: list[Edit] = []
    spans: list[Span] = []
    for component in components:
        _replace_blocks(source, component, block, edits, spans)
        _replace_properties(source, component, block, old_url, of_master, edits, spans)
    if not edits:
        raise Declined("already-current", "The invitation already says what the organizer's settings say.")
    sequence = _raise_sequence(source, events, [component.event for component in components], now, edits)
    return Rewrite(splice(source, edits), tuple(spans), sequence)


def undo(body: bytes, spans: Iterable[Span], *, now: datetime) -> bytes:
    """Return the object with what `spans` replaced put back, and its SEQUENCE raised once more.

    Overrides that are over by now stay as they are. Raises Declined (needs-review) where the replaced text does
    not stand exactly as it was written, UnreadableCalendar when the object is no calendar.
    """
    calendars = parse(body)
    events = events_of(calendars)
    current = events_not_over(body, calendars, now)
    by_recurrence_id = {_recurrence_id(body, event): event for event in events}
    edits: list[Edit] = []
    for span in spans:
        event = by_recurrence_id.get(span.recurrence_id)
        if event is None:
            raise needs_review("An occurrence that was changed is no longer in the invitation, so it cannot be undone.")
        if event in current:
            edits.append(_put_back(body, event, span))
    if not edits:
        raise needs_review("There is nothing left to undo: every occurrence that was changed is over.")
    _raise_sequence(body, events, current, now, edits)
    return splice(body, edits)


def _recurrence_id(source: bytes, event: Event) -> str:
    for line in event.lines:
        if line.name == b"RECURRENCE-ID":
            return value_of(source, line).decode("utf-8", "surrogateescape").strip()
    return ""


def _descriptions(source: bytes, event: Event, own_url: str) -> list[_Description]:
    descriptions = []
    for line in event.lines:
        if line.name not in _DESCRIPTIONS:
            continue
        unfolded = unfold(source[line.start : line.end])
        start = value_start(unfolded)
        head = unfolded[:start].upper()
        value = unfolded[start:]
        if b"ENCODING=" in head and b"8BIT" not in head:
            raise needs_review("The description is encoded in a way that calendars have given up.")
        if b"ALTREP" in head and carries_signature(unquote(unfolded[:start].decode("utf-8", "replace")), own_url):
            raise needs_review("The description has a second form (ALTREP) with a join link in it.")
        is_html = line.name != b"DESCRIPTION" and (b"HTML" in head or (b"FMTTYPE" not in head and b"<" in value))
        found = find_block(value, is_html=is_html, own_url=own_url)
        if found is not None and line.name == b"STYLED-DESCRIPTION":
            raise needs_review("The meeting block stands in a STYLED-DESCRIPTION, which cannot be rewritten.")
        descriptions.append(_Description(line, unfolded, start, is_html, found))
    return descriptions


def _refuse_several_meetings(source: bytes, events: Sequence[Event], found: Sequence[Found]) -> None:
    if len({uid_of(source, event) for event in events}) > 1:
        raise needs_review("The object holds the events of more than one meeting.")
    if len({_recurrence_id(source, event) for event in events}) < len(events):
        raise needs_review("The object holds the meeting or one of its occurrences more than once.")
    if len({(each.kind, links.comparable(each.join_url)) for each in found}) > 1:
        raise needs_review("The text, the HTML or an occurrence of the meeting carry different join links.")


def _refuse_inconsistent(component: _Component) -> None:
    if not component.blocks:
        return
    for description in component.descriptions:
        if description.found is not None:
            continue
        value = description.unfolded[description.value_start :]
        blank = markup.is_blank(value) if description.is_html else not unescaped(value).strip()
        if not blank:
            raise needs_review("Only one of the text and the HTML description carries the meeting block.")
    names = [(description.line.name, description.is_html) for description in component.descriptions]
    if len(set(names)) < len(names):
        raise needs_review("The event has more than one description of the same kind.")


def _refuse_pasted(
    source: bytes,
    component: _Component,
    block: MeetingBlock,
    belongs_to_someone_else: Callable[[str], bool] | None,
) -> None:
    """Refuse a block that was copied from another meeting: the meeting has no counterpart on the old server."""
    found = component.blocks[0]
    if found.kind is not Kind.TEAMS and belongs_to_someone_else is not None:
        user = _user_segment(found.join_url)
        if user and belongs_to_someone_else(user):
            raise _pasted("The meeting block carries a join link of another person.")
    if found.kind is Kind.OWN:
        if links.key_of(found.join_url) != links.key_of(block.join_url):
            raise _pasted("The meeting block was copied from another meeting of this service.")
        return
    properties = _machine_read(source, component.event)
    for name in (_EXTERNAL_LINK, _TEAMS_URL):
        if name in properties and not links.same_meeting_link(properties[name], found.join_url):
            raise _pasted("The event's own join link is not the one in its meeting block.")
    if _CONF_LINK in properties and not _same_focus(properties[_CONF_LINK], found):
        raise _pasted("The event belongs to another online meeting than its meeting block.")
    if found.kind is Kind.TEAMS:
        organizer, thread = links.teams_organizer(found.join_url), links.teams_thread(found.join_url)
        for each in component.blocks:
            for options in filter(None, map(links.meeting_options, each.links)):
                if _differ(organizer, options[0]) or _differ(thread, options[1]):
                    raise _pasted("The meeting options in the meeting block belong to another meeting.")


def _pasted(detail: str) -> Declined:
    return Declined("pasted-block", detail)


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _user_segment(url: str) -> str:
    segments = url.partition("://")[2].partition("?")[0].rstrip("/").split("/")
    return unquote(segments[-2]) if len(segments) > 2 else ""


def _same_focus(conference_link: str, found: Found) -> bool:
    focus = _FOCUS_ID.search(conference_link)
    if found.kind is Kind.SKYPE:
        key = links.key_of(found.join_url)
        return "focus:id:teams:" not in conference_link and not (focus and key and focus[1] != key)
    thread = links.teams_thread(conference_link)
    return focus is None and not _differ(thread, links.teams_thread(found.join_url))


def _machine_read(source: bytes, event: Event) -> dict[bytes, str]:
    """Return the event's machine-read properties that say something, unescaped."""
    values = {}
    for line in event.lines:
        if line.name in _MACHINE_READ:
            value = unescaped(value_of(source, line)).strip()
            if value:
                values[line.name] = value
    return values


def _replace_blocks(
    source: bytes, component: _Component, block: MeetingBlock, edits: list[Edit], spans: list[Span]
) -> None:
    notes = next((found.shared_notes_url for found in reversed(component.blocks) if found.shared_notes_url), "")
    for description in component.descriptions:
        found = description.found
        if found is None:
            continue
        value = description.unfolded[description.value_start :]
        before = value[found.start : found.end]
        new = render_html(block, notes) if description.is_html else render_text(block, notes)
        after = escaped(new)
        if description.is_html and _is_not_escaped(before):
            after = new.encode()
        if before == after or (found.kind is Kind.OWN and _reads_the_same(before, after, description.is_html)):
            continue
        start = description.value_start + found.start
        end = description.value_start + found.end
        edits.append(replace_in_value(source, description.line, start, end, after))
        spans.append(_span(component, description.line.name, before, after))


def _is_not_escaped(piece: bytes) -> bool:
    """Tell whether a producer plainly wrote its HTML without the escapes of a TEXT value."""
    return (b";" in piece or b"," in piece) and not any(escape in piece for escape in (b"\\;", b"\\,", b"\\n", b"\\N"))


def _reads_the_same(one: bytes, other: bytes, is_html: bool) -> bool:
    """Tell whether two blocks differ only in what a mail server changes by itself: white space, styles, classes."""
    return _reading(one, is_html) == _reading(other, is_html)


def _reading(piece: bytes, is_html: bool) -> tuple[str, list[str]]:
    if not is_html:
        return "".join(_IMAGE.sub("", unescaped(piece)).split()), []
    return "".join(markup.visible_text(piece).split()), markup.targets(piece)


def _span(component: _Component, name: bytes, before: bytes, after: bytes) -> Span:
    return Span(
        component.recurrence_id,
        name.decode("ascii"),
        before.decode("utf-8", "surrogateescape"),
        after.decode("utf-8", "surrogateescape"),
    )


def _replace_properties(
    source: bytes,
    component: _Component,
    block: MeetingBlock,
    old_url: str,
    of_master: dict[bytes, str],
    edits: list[Edit],
    spans: list[Span],
) -> None:
    has_block = bool(component.blocks)
    for line in component.event.lines:
        if line.name not in _MACHINE_READ and line.name not in _LINK_PROPERTIES:
            continue
        unfolded = unfold(source[line.start : line.end])
        start = value_start(unfolded)
        value = unescaped(unfolded[start:]).strip()
        if not value:
            continue
        if line.name in _LINK_PROPERTIES:
            if not links.same_meeting_link(value, old_url):
                continue
            new = safe_url(block.join_url)
        else:
            # An override without a block of its own inherits the master's meeting, if it is that meeting.
            if not has_block and value != of_master.get(line.name) and not links.same_meeting_link(value, old_url):
                continue
            new = _new_value(line.name, block)
        if new == value:
            continue
        if new:
            text = new.encode() if line.name in _LINK_PROPERTIES else escaped(new)
            edits.append(replace_in_value(source, line, start, len(unfolded), text))
            spans.append(_span(component, line.name, unfolded, unfolded[:start] + text))
        else:
            edits.append(replace_line(source, line, b""))
            spans.append(_span(component, line.name, unfolded, b""))


def _new_value(name: bytes, block: MeetingBlock) -> str:
    """Return what a machine-read property has to say; "" where it goes."""
    if name in (_EXTERNAL_LINK, _TEAMS_URL):
        return safe_url(block.join_url)
    number = block.toll or block.toll_free
    if not block.has_phone or number is None:
        return ""
    if name == _TEL_URI:
        return dial_uri(number, block.conference_id)
    if name == _CONFERENCE_ID:
        return block.conference_id
    if name == _TOLL_NUMBER and block.toll is not None:
        return block.toll.e164
    return ""


def highest_sequence(source: bytes, events: Iterable[Event]) -> int:
    """Return the revision of an object: the highest SEQUENCE of its events, Exchange's own property included."""
    highest = 0
    for event in events:
        for line in event.lines:
            if line.name in _SEQUENCES:
                value = value_of(source, line).strip()
                if value.isdigit():
                    highest = max(highest, int(value[:20]))
    return highest


def _raise_sequence(
    source: bytes, events: Sequence[Event], changed: Sequence[Event], now: datetime, edits: list[Edit]
) -> int:
    """Add the edits that mark the changed components as newer than every one there is. Return the new SEQUENCE."""
    highest = highest_sequence(source, events)
    if highest >= _HIGHEST_SEQUENCE:
        raise needs_review("The invitation's SEQUENCE is as high as it can be, so no update of it would be accepted.")
    number = str(highest + 1).encode()
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    for event in changed:
        missing = {b"SEQUENCE": number, b"DTSTAMP": stamp}
        for line in event.lines:
            if line.name in _SEQUENCES or line.name in _STAMPS:
                missing.pop(line.name, None)
                unfolded = unfold(source[line.start : line.end])
                text = number if line.name in _SEQUENCES else stamp
                edits.append(replace_in_value(source, line, value_start(unfolded), len(unfolded), text))
        if missing:
            edits.append(insert_lines(source, event, [name + b":" + value for name, value in missing.items()]))
    return highest + 1


def _put_back(body: bytes, event: Event, span: Span) -> Edit:
    name = span.property.encode("ascii")
    before = span.before.encode("utf-8", "surrogateescape")
    after = span.after.encode("utf-8", "surrogateescape")
    lines = event.named(name)
    if name in _DESCRIPTIONS:
        places = []
        for line in lines:
            unfolded = unfold(body[line.start : line.end])
            start = unfolded.find(after, value_start(unfolded))
            if after and start >= 0:
                places.append((line, start))
                if unfolded.find(after, start + 1) >= 0:
                    places.append((line, start))
        if len(places) == 1:
            line, start = places[0]
            return replace_in_value(body, line, start, start + len(after), before)
    elif after:
        for line in lines:
            if unfold(body[line.start : line.end]) == after:
                return replace_line(body, line, before)
    elif not lines:
        return insert_lines(body, event, [before])
    raise needs_review("The invitation was changed since the migration, so the migration cannot be undone.")
