"""The machine-read properties that follow the block: join links, numbers, and the label in LOCATION (R21).

A mail program draws its Join button from them, so text that is replaced alone leaves a button for a dead meeting.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from migrations_app.calendars.content_lines import (
    Edit,
    Line,
    escaped,
    insert_lines,
    replace_in_value,
    replace_line,
    unescaped,
    unfold,
    value_of,
    value_start,
)
from migrations_app.rewriting import links
from migrations_app.rewriting.block import (
    LOCATION_LABELS,
    MeetingBlock,
    PhoneNumber,
    dial_uri,
    location_label,
    way_in,
)
from migrations_app.rewriting.components import (
    CONFERENCE_ID,
    EXTERNAL_LINK,
    MACHINE_READ,
    TEAMS_PROPERTIES,
    TEAMS_URL,
    TEL_URI,
    TOLL_NUMBER,
    Component,
)
from migrations_app.rewriting.dialling import TARGET, digits_of, e164
from migrations_app.rewriting.errors import needs_review
from migrations_app.rewriting.facts import KnownNumbers
from migrations_app.rewriting.frames import Found, readable
from migrations_app.rewriting.labels import language_of
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.spans import Span, span
from tenants_app.sentences import sentence

_LABELS = {
    Kind(family): frozenset(map(str.casefold, labels))
    for family, labels in tomllib.loads(
        Path(__file__).with_name("location_labels.toml").read_text(encoding="utf-8")
    ).items()
} | {Kind.OWN: frozenset(map(str.casefold, LOCATION_LABELS))}

_FOLLOWING = MACHINE_READ | {
    b"URL",
    b"CONFERENCE",
    b"X-GOOGLE-CONFERENCE",
    b"LOCATION",
    b"X-MICROSOFT-LOCATIONDISPLAYNAME",
    b"X-MICROSOFT-LOCATIONS",
}
_OF_PHONE = frozenset([TEL_URI, CONFERENCE_ID, TOLL_NUMBER, b"CONFERENCE"])
_TEL = re.compile(r"\btel:([^\s<>\"'\\]+)", re.IGNORECASE)
_LABEL_WITH_NUMBER = re.compile(rb';LABEL=(?:"[^"]*?\d{3}[^"]*"|[^";:]*?\d{3}[^";:]*)', re.IGNORECASE)
_ALTREP = re.compile(rb'(;ALTREP=")([^"]*)"', re.IGNORECASE)
_AROUND_LOCATION = " \t\r\n;,<>"
_NOT_DIGITS = re.compile(r"\D+")
# A name with escapes in it is none of the labels.
_DISPLAY_NAME = re.compile(rb'("(?:DisplayName|LocationUri)"\s*+:\s*+")([^"\\]*+)(?=")')


@dataclass(frozen=True)
class Properties:
    """What the properties of one object have to say once `block` stands in the place of `old`."""

    components: Sequence[Component]
    old: Found
    block: MeetingBlock

    def edits(self, component: Component) -> Iterator[tuple[Edit, Span]]:
        """Yield what changes in a component."""
        source = component.source
        lines = [line for line in component.event.lines if line.name in _FOLLOWING]
        unfolded_lines = [unfold(source[line.start : line.end]) for line in lines]
        dial_uris = self._unused_dial_uris(lines, unfolded_lines)
        has_changed = False
        for line, unfolded in zip(lines, unfolded_lines, strict=True):
            start = value_start(unfolded)
            head, value = unfolded[:start], unfolded[start:]
            new = self._value(component, line.name, value, dial_uris) if value.strip() else value
            new_head = self._head(line.name, head, has_changed=new != value)
            if new_head + new != unfolded:
                has_changed = has_changed or line.name in MACHINE_READ
                yield _written(component, line, unfolded, new_head, new)
        if has_changed:
            yield from self._added(component, {line.name for line in lines})

    def _added(self, component: Component, there: Set[bytes]) -> Iterator[tuple[Edit, Span]]:
        """Yield the properties by which programs know a Teams meeting, where an event had those of another service."""
        for name in (TEAMS_URL, TEAMS_PROPERTIES) if links.is_teams(self._join_url) else ():
            if name not in there and (value := self._new_machine_read(name)):
                line = name + b":" + escaped(value)
                added = span(component.recurrence_id, name, b"", line)
                yield insert_lines(component.source, component.event, [line]), added

    def _unused_dial_uris(self, lines: Sequence[Line], unfolded_lines: Sequence[bytes]) -> Iterator[str]:
        """Yield the new numbers that no CONFERENCE has yet: a server may have changed their order."""
        there = [
            unescaped(unfolded[value_start(unfolded) :]).strip()
            for line, unfolded in zip(lines, unfolded_lines, strict=True)
            if line.name == b"CONFERENCE"
        ]
        yield from (uri for uri in self._dial_uris if uri not in there)

    def _head(self, name: bytes, head: bytes, *, has_changed: bool) -> bytes:
        """Return name and parameters without what names the old link or numbers."""
        if name == b"CONFERENCE" and has_changed:
            return _LABEL_WITH_NUMBER.sub(b"", head)
        if name == b"LOCATION" and b"ALTREP" in head.upper():
            return _ALTREP.sub(self._altrep, head)
        return head

    def _altrep(self, found: re.Match[bytes]) -> bytes:
        is_old = self._is_old_link(found[2].decode("utf-8", "surrogateescape"))
        return found[1] + self._join_url.encode() + b'"' if is_old else found[0]

    def _value(self, component: Component, name: bytes, raw: bytes, dial_uris: Iterator[str]) -> bytes:
        """Return what a property has to say, escaped; as it is where it stays, b"" where it goes.

        Of the numbers that lead into the old meeting the first becomes the toll number, the second the toll-free one.
        """
        value = unescaped(raw).strip()
        if name in MACHINE_READ:
            return self._machine_read(component, name, value, raw)
        if name == b"CONFERENCE" and value[:4].lower() == "tel:":
            is_old = value not in self._dial_uris and not _numbers(value).isdisjoint(self._old_numbers)
            return next(dial_uris, "").encode() if is_old else raw
        if name in (b"URL", b"CONFERENCE", b"X-GOOGLE-CONFERENCE"):
            return self._join_url.encode() if self._is_old_link(value) else raw
        if not component.blocks and not component.inherits_description:
            return raw  # nothing was said of a meeting here, or a text without a meeting block was given
        if name == b"X-MICROSOFT-LOCATIONS":
            follows = all(self._names_meeting(line) for line in component.event.named(b"LOCATION"))
            return _DISPLAY_NAME.sub(lambda found: found[1] + self._location(found[2]), raw) if follows else raw
        return self._location(raw)

    def _machine_read(self, component: Component, name: bytes, value: str, raw: bytes) -> bytes:
        # An override without a block of its own inherits the master's meeting, if it is that meeting.
        inherits = bool(component.recurrence_id) and value == self._of_master.get(name)
        if not component.blocks and not inherits and not self._is_old_link(value):
            return raw
        new = self._new_machine_read(name)
        return raw if new == value else escaped(new)

    def _new_machine_read(self, name: bytes) -> str:
        if name in (EXTERNAL_LINK, TEAMS_URL):
            return self._join_url
        if name == TEAMS_PROPERTIES:
            return _teams_properties(self._join_url)
        block = self.block
        number = block.toll or block.toll_free
        if not block.has_phone or number is None:
            return ""
        if name == TEL_URI:
            return dial_uri(number, block.conference_id)
        if name == CONFERENCE_ID:
            return block.conference_id
        if name == TOLL_NUMBER and block.toll is not None:
            return block.toll.e164
        return ""

    def _location(self, raw: bytes) -> bytes:
        value = unescaped(raw).strip(_AROUND_LOCATION)
        if value.casefold() in _LABELS[self.old.kind]:
            new = location_label(language_of(self.block.language))
            return raw if value.casefold() == new.casefold() else escaped(new)
        return escaped(self._join_url) if self._is_old_link(value) else raw

    def _names_meeting(self, location: Line) -> bool:
        """Tell whether a LOCATION says nothing but that the meeting is online, or nothing at all."""
        source = self.components[0].source
        value = unescaped(value_of(source, location)).strip(_AROUND_LOCATION)
        if not value:
            return True
        label = location_label(language_of(self.block.language))
        return value.casefold() in _LABELS[self.old.kind] | {label.casefold()} or self._is_old_link(value)

    def _is_old_link(self, value: str) -> bool:
        """Tell whether a link leads into the old meeting; for a meeting of our own every spelling but the new one.

        Raises Declined (needs-review) for a Teams link that may be it, but names its meeting in another way.
        """
        if value == self._join_url:
            return False
        if links.comparable(value) in self._old_links:
            return True
        thread = links.teams_thread(value)
        if thread and self.old.thread:
            return thread == self.old.thread
        if all(links.other_form(value, url) for url in self.old.joins.values()):
            raise needs_review(
                sentence("The event has a second Teams link that cannot be compared with the one in its block.")
            )
        return False

    @cached_property
    def _old_links(self) -> set[str]:
        """The blocks' join links, and those that events with a block have of their own, perhaps of another form."""
        with_block = [component for component in self.components if component.blocks]
        properties = (component.effective for component in with_block)
        own = (values[name] for values in properties for name in (EXTERNAL_LINK, TEAMS_URL) if name in values)
        names = (block.names for component in with_block for block in component.blocks)
        return set(map(links.comparable, own)).union(*names)

    @cached_property
    def _join_url(self) -> str:
        return way_in(self.block.join_url)

    @cached_property
    def _dial_uris(self) -> list[str]:
        block = self.block
        numbers = [number for number in (block.toll, block.toll_free) if number is not None and block.has_phone]
        return [dial_uri(number, block.conference_id) for number in numbers]

    @cached_property
    def _of_master(self) -> Mapping[bytes, str]:
        return next((each.machine_read for each in self.components if not each.recurrence_id and each.blocks), {})

    @cached_property
    def _old_numbers(self) -> set[str]:
        """The digits of every number that leads into the old meeting: the number itself and the conference ID."""
        texts = [component.machine_read.get(TEL_URI, "") for component in self.components]
        texts += [
            readable(each.value[found.cut.start : found.cut.end], each.is_html)
            for component in self.components
            for each in component.descriptions
            if (found := each.sight.found) is not None
        ]
        return {number for text in texts for target in _TEL.findall(text) for number in _numbers(target)}


@dataclass(frozen=True)
class DialledProperties:
    """What the properties of one object have to say of the phone, where its meeting stays as it is (R40).

    `numbers` are those that the block showed before (E.164). Links into the meeting and LOCATION are left alone.
    """

    components: Sequence[Component]
    block: MeetingBlock
    numbers: Set[str]
    known: KnownNumbers

    def edits(self, component: Component) -> Iterator[tuple[Edit, Span]]:
        """Yield what changes in a component."""
        source = component.source
        for line in component.event.lines:
            if line.name not in _OF_PHONE:
                continue
            unfolded = unfold(source[line.start : line.end])
            start = value_start(unfolded)
            value = unescaped(unfolded[start:]).strip()
            new = self._value(line.name, value) if value else value
            if new == value:
                continue
            head = unfolded[:start]
            if line.name == b"CONFERENCE":
                head = _LABEL_WITH_NUMBER.sub(b"", head)
            # Commas in the value of a CONFERENCE have no escapes, those of the others do.
            is_escaped = escaped(value) == unfolded[start:].strip()
            yield _written(component, line, unfolded, head, escaped(new) if is_escaped else new.encode())

    def _value(self, name: bytes, value: str) -> str:
        if name == CONFERENCE_ID:
            return value if digits_of(value) == self.block.conference_id else self.block.conference_id
        if name == TOLL_NUMBER:
            return self._toll_number(value)
        target = TARGET.fullmatch(value)
        if target is None:
            return value
        number = e164(("+" if target["plus"] else "") + digits_of(target["number"]))
        if name == b"CONFERENCE" and number not in self.numbers:
            return value  # another way to phone, which is none of ours
        if not self.block.has_phone:
            return ""
        new = self._in_place_of(number)
        if new is None:
            return ""
        pieces = [
            *([] if number == new.e164 else [(target.span("number"), digits_of(new.e164))]),
            *([(target.span("id"), self.block.conference_id)] if target["id"] else []),
        ]
        for (first, last), text in reversed(pieces):
            value = value[:first] + text + value[last:]
        return value

    def _toll_number(self, value: str) -> str:
        if not self.block.has_phone or self.block.toll is None:
            return ""
        if e164(value) == self.block.toll.e164:
            return value
        return self.block.toll.e164 if value[1:].isdigit() else self.block.toll.display

    def _in_place_of(self, number: str) -> PhoneNumber | None:
        block = self.block
        if number and self.known.is_toll_free(number):
            return block.toll_free or block.toll
        return block.toll or block.toll_free


def _teams_properties(join_url: str) -> str:
    """Return what Outlook's add-in keeps of a Teams meeting beside its link; "" where the link names no thread."""
    found = links.teams_place(join_url)
    if found is None:
        return ""
    facts = {"cid": found[0], "private": True, "type": 0, "mid": found[1], "rid": 0, "uid": None}
    return json.dumps(facts, separators=(",", ":"))


def _written(component: Component, line: Line, unfolded: bytes, head: bytes, value: bytes) -> tuple[Edit, Span]:
    """Return what writes a property anew, with the record of it; without a value the property goes."""
    source, start = component.source, value_start(unfolded)
    text = head + value if value else b""
    if text and head == unfolded[:start]:
        edit = replace_in_value(source, line, start, len(unfolded), value)
    else:
        edit = replace_line(source, line, text)
    return edit, span(component.recurrence_id, line.name, unfolded, text)


def _numbers(target: str) -> set[str]:
    """Return the digits of a tel: link with and without what is dialled after the number."""
    decoded = unquote(target).rstrip("#")
    number = re.split(r"[,;]", decoded, maxsplit=1)[0]
    return {_NOT_DIGITS.sub("", decoded), _NOT_DIGITS.sub("", number)} - {""}
