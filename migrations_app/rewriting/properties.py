"""The machine-read properties that follow the block: join links, numbers, and the label in LOCATION (R21).

A mail program draws its Join button from them, so text that is replaced alone leaves a button for a dead meeting.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from migrations_app.rewriting import links
from migrations_app.rewriting.block import (
    LOCATION_LABELS,
    MeetingBlock,
    dial_uri,
    language_of,
    location_label,
    safe_url,
)
from migrations_app.rewriting.components import (
    CONFERENCE_ID,
    EXTERNAL_LINK,
    MACHINE_READ,
    TEAMS_URL,
    TEL_URI,
    TOLL_NUMBER,
    Component,
)
from migrations_app.rewriting.content_lines import (
    Edit,
    escaped,
    replace_in_value,
    replace_line,
    unescaped,
    unfold,
    value_start,
)
from migrations_app.rewriting.frames import Found, Kind, readable
from migrations_app.rewriting.spans import Span, span

_LABELS = {
    Kind(family): frozenset(map(str.casefold, labels))
    for family, labels in tomllib.loads(
        Path(__file__).with_name("location_labels.toml").read_text(encoding="utf-8")
    ).items()
} | {Kind.OWN: frozenset(map(str.casefold, LOCATION_LABELS))}

_FOLLOWING = MACHINE_READ | {b"URL", b"CONFERENCE", b"LOCATION", b"X-MICROSOFT-LOCATIONS"}
_TEL = re.compile(r"\btel:([^\s<>\"'\\]+)", re.IGNORECASE)
_NOT_DIGITS = re.compile(r"\D+")
# A name with escapes in it is none of the labels.
_DISPLAY_NAME = re.compile(rb'("DisplayName"\s*+:\s*+")([^"\\]*+)(?=")')


@dataclass(frozen=True)
class Properties:
    """What the properties of one object have to say once `block` stands in the place of `old`."""

    components: Sequence[Component]
    old: Found
    block: MeetingBlock

    def edits(self, component: Component) -> Iterator[tuple[Edit, Span]]:
        """Yield what changes in a component."""
        source = component.source
        dial_uris = iter(self._dial_uris)
        for line in component.event.lines:
            if line.name not in _FOLLOWING:
                continue
            unfolded = unfold(source[line.start : line.end])
            start = value_start(unfolded)
            value = unfolded[start:]
            new = self._value(component, line.name, value, dial_uris) if value.strip() else value
            if new == value:
                continue
            if new:
                yield (
                    replace_in_value(source, line, start, len(unfolded), new),
                    span(component.recurrence_id, line.name, unfolded, unfolded[:start] + new),
                )
            else:
                yield (
                    replace_line(source, line, b""),
                    span(component.recurrence_id, line.name, unfolded, b""),
                )

    def _value(self, component: Component, name: bytes, raw: bytes, dial_uris: Iterator[str]) -> bytes:
        """Return what a property has to say, escaped; as it is where it stays, b"" where it goes.

        Of the numbers that lead into the old meeting the first becomes the toll number, the second the toll-free one.
        """
        value = unescaped(raw).strip()
        if name in MACHINE_READ:
            return self._machine_read(component, name, value, raw)
        if name == b"CONFERENCE" and value[:4].lower() == "tel:":
            return next(dial_uris, "").encode() if _digits(value) in self._old_numbers else raw
        if name in (b"URL", b"CONFERENCE"):
            return self._join_url.encode() if self._is_old_link(value) else raw
        if component.descriptions and not component.blocks:
            return raw  # this occurrence was given a text without a meeting block
        if name == b"X-MICROSOFT-LOCATIONS":
            return _DISPLAY_NAME.sub(lambda found: found[1] + self._location(found[2]), raw)
        return self._location(raw)

    def _machine_read(self, component: Component, name: bytes, value: str, raw: bytes) -> bytes:
        # An override without a block of its own inherits the master's meeting, if it is that meeting.
        if not component.blocks and value != self._of_master.get(name) and not self._is_old_link(value):
            return raw
        new = self._new_machine_read(name)
        return raw if new == value else escaped(new)

    def _new_machine_read(self, name: bytes) -> str:
        if name in (EXTERNAL_LINK, TEAMS_URL):
            return self._join_url
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
        value = unescaped(raw).strip()
        if value.casefold() in _LABELS[self.old.kind]:
            new = location_label(language_of(self.block))
            return raw if value.casefold() == new.casefold() else escaped(new)
        return escaped(self._join_url) if self._is_old_link(value) else raw

    def _is_old_link(self, value: str) -> bool:
        return links.comparable(value) in self._old_links and value != self._join_url

    @cached_property
    def _old_links(self) -> set[str]:
        """The block's join link, and the one that an event with that block has of its own, perhaps of another form."""
        properties = (component.machine_read for component in self.components if component.blocks)
        own = (values[name] for values in properties for name in (EXTERNAL_LINK, TEAMS_URL) if name in values)
        return {links.comparable(link) for link in (self.old.join_url, *own)}

    @cached_property
    def _join_url(self) -> str:
        return safe_url(self.block.join_url)

    @cached_property
    def _dial_uris(self) -> list[str]:
        block = self.block
        numbers = [number for number in (block.toll, block.toll_free) if number is not None and block.has_phone]
        return [dial_uri(number, block.conference_id) for number in numbers]

    @cached_property
    def _of_master(self) -> Mapping[bytes, str]:
        return next((each.machine_read for each in self.components if not each.recurrence_id), {})

    @cached_property
    def _old_numbers(self) -> set[str]:
        """The digits of every number that leads into the old meeting: the number itself and the conference ID."""
        texts = [component.machine_read.get(TEL_URI, "") for component in self.components]
        texts += [
            readable(each.value[found.start : found.end], each.is_html)
            for component in self.components
            for each in component.descriptions
            if (found := each.sight.found) is not None
        ]
        return {_digits(target) for text in texts for target in _TEL.findall(text)}


def _digits(target: str) -> str:
    return _NOT_DIGITS.sub("", unquote(target))
