"""Content lines of RFC 5545 in raw octets: where they are, how they unfold, how to splice them.

Files fold inside UTF-8 characters, mix tabs and spaces and both line endings, so nothing is decoded here.
All offsets are octet offsets into the source.
"""

import codecs
import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from migrations_app.calendars.errors import NoMeeting, UnreadableCalendar
from migrations_app.calendars.foreign_files import what_else
from tenants_app.sentences import sentence

BOM = b"\xef\xbb\xbf"
FOLD_WIDTH = 75
"""Octets a physical line may have without its line break (RFC 5545, 3.1)."""
MOST_LINES = 200_000
"""Lines of one object, folds counted; each takes a hundred times its room while it is looked at."""

_LINE_BREAK = re.compile(rb"\n(?![ \t])")
_COLON = ord(":")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_NOT_IN_NAME = re.compile(rb"[^A-Z0-9-]")
_NAME = re.compile(rb"[A-Za-z0-9_.-]+(?=[;:])")
_HEAD = re.compile(rb'(?:[^":]++|"[^"]*+")*+:')
_FIRST_FOLD = re.compile(rb"\r?\n[ \t]")


class Line(NamedTuple):
    """One logical line: `source[start:end]` is its folded text, `following` the start of the next line."""

    name: bytes
    start: int
    end: int
    following: int


_new_line = partial(tuple.__new__, Line)
"""Makes a line of its values in half the time of calling its class."""


@dataclass(slots=True)
class Event:
    """A VEVENT that is a direct child of its VCALENDAR; `lines` are its own properties, not its alarms'.

    `inner` are the components in it, its alarms for one: the name, where it starts and where the next line starts.
    """

    start: int
    body: int  # where a new property may be inserted: right after BEGIN:VEVENT
    end: int = 0
    lines: list[Line] = field(default_factory=list)
    inner: list[tuple[bytes, int, int]] = field(default_factory=list)
    _by_name: dict[bytes, list[Line]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def named(self, name: bytes) -> Sequence[Line]:
        """Return the lines of a property, in the order of the file. Asked for only once all lines are there."""
        if not self._by_name:
            self._sort_by_name()
        return self._by_name.get(name, ())

    @property
    def names(self) -> Set[bytes]:
        """The names of its properties, each once; b"" is that of lines without any."""
        if not self._by_name:
            self._sort_by_name()
        return self._by_name.keys()

    def _sort_by_name(self) -> None:
        for line in self.lines:
            self._by_name.setdefault(line.name, []).append(line)


@dataclass(slots=True)
class Calendar:
    """A VCALENDAR: the offsets of its own lines, its time zones and its events."""

    start: int
    header: list[tuple[int, int]] = field(default_factory=list)
    timezones: list[tuple[int, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    footer: tuple[int, int] = (0, 0)


def parse(source: bytes, only: Set[bytes] | None = None, most_lines: int = MOST_LINES) -> list[Calendar]:
    """Return the calendars of a file (several may be concatenated; a leading BOM is tolerated).

    `only` names the properties whose lines the events get, where they do not need all.
    Raises UnreadableCalendar when there is no calendar, its components do not nest, or it has too many lines.
    """
    if len(source) > most_lines and source.count(b"\n") > most_lines:
        raise UnreadableCalendar(sentence("The calendar object has more than %(most)s lines.", most=most_lines))
    calendars: list[Calendar] = []
    open_components: list[bytes] = []
    calendar: Calendar | None = None
    event: Event | None = None
    component_start = inner_start = 0
    position = len(BOM) if source.startswith(BOM) else 0
    name_of = _NAME.match
    for raw in _LINE_BREAK.split(source[position:] if position else source):
        start = position
        position += len(raw) + 1
        found = name_of(raw)
        if found is not None:
            name = found[0].upper() if raw[found.end()] == _COLON or b":" in raw else b""
        elif not raw.strip():
            continue
        else:
            # A name may itself be folded; a line without any name is somebody's accident and is kept.
            found = name_of(unfold(raw))
            name = found[0].upper() if found and b":" in raw else b""
        if event is not None and name != b"BEGIN" and name != b"END":
            if len(open_components) == 2 and (only is None or name in only):
                end = position - (2 if raw[-1:] == b"\r" else 1)
                event.lines.append(_new_line((name, start, end, position)))
            continue
        following = min(position, len(source))
        if name == b"BEGIN":
            component = _component_name(raw)
            if not open_components:
                if component != b"VCALENDAR":
                    raise UnreadableCalendar(sentence("The calendar object does not start with BEGIN:VCALENDAR."))
                calendar = Calendar(start, header=[(start, following)])
                calendars.append(calendar)
            elif component == b"VCALENDAR":
                raise UnreadableCalendar(sentence("The calendar object has one calendar inside another."))
            elif len(open_components) == 1:
                component_start = start
                if component == b"VEVENT":
                    event = Event(start, following)
            elif len(open_components) == 2:
                inner_start = start
            open_components.append(component)
        elif name == b"END":
            component = _component_name(raw)
            if not open_components or open_components.pop() != component:
                raise UnreadableCalendar(
                    sentence(
                        "The calendar object is damaged: END:%(name)s, in line %(line)s, closes nothing that is open.",
                        name=_printable(component),
                        line=str(line_number(source, start)),
                    )
                )
            if calendar is not None and not open_components:
                calendar.footer = (start, following)
                calendar = None
            elif calendar is not None and len(open_components) == 1:
                if event is not None:
                    event.end = following
                    calendar.events.append(event)
                    event = None
                elif component == b"VTIMEZONE":
                    calendar.timezones.append((component_start, following))
            elif event is not None and len(open_components) == 2:
                event.inner.append((component, inner_start, following))
        elif calendar is None:
            raise UnreadableCalendar(
                what_else(source)
                or sentence(
                    "The object has text outside BEGIN:VCALENDAR and END:VCALENDAR, in line %(line)s.",
                    line=str(line_number(source, start)),
                )
            )
        elif len(open_components) == 1:
            calendar.header.append((start, following))
    if open_components:
        raise UnreadableCalendar(
            sentence("The calendar object is cut off: END:%(name)s is missing.", name=_printable(open_components[-1]))
        )
    if not calendars:
        raise UnreadableCalendar(sentence("The object is empty: it holds no calendar."))
    return calendars


def all_events(source: bytes) -> list[Event]:
    """Return every VEVENT of a file. Raises UnreadableCalendar; NoMeeting when there is none."""
    return events_of(parse(source))


def events_of(calendars: Iterable[Calendar]) -> list[Event]:
    """Return every VEVENT of the calendars. Raises NoMeeting when there is none."""
    events = [event for calendar in calendars for event in calendar.events]
    if not events:
        raise NoMeeting(sentence("The calendar object holds no event (VEVENT)."))
    return events


def methods_of(source: bytes, calendars: Iterable[Calendar]) -> set[str]:
    """Return the METHODs of the calendars, in upper case; stored objects should have none (RFC 4791, 4.1)."""
    header = [source[start:end] for calendar in calendars for start, end in calendar.header]
    lines = [unfold(line) for line in header if property_name(line) == b"METHOD"]
    return {line[value_start(line) :].decode("ascii", "replace").strip().upper() for line in lines}


def property_name(raw: bytes) -> bytes:
    """Return the name of a content line in upper case, also where the name is folded; b"" when it has none."""
    found = _NAME.match(raw) or _NAME.match(unfold(raw))
    return found[0].upper() if found else b""


def uid_of(source: bytes, event: Event) -> str:
    """Return an event's UID as it stands in the file, unfolded; "" when it has none."""
    for line in event.named(b"UID"):
        return value_of(source, line).decode("utf-8", "replace").replace("\0", "").strip()
    return ""


def text_of(source: bytes, event: Event, name: bytes) -> str:
    """Return the first value of a property as text on one line; "" when there is none."""
    for line in event.named(name):
        text = unescaped(value_of(source, line), AS_WINDOWS_1252)
        return " ".join(_CONTROL.sub(" ", text).split())
    return ""


def line_number(source: bytes, at: int) -> int:
    """Return the number of the line in the file that begins there."""
    return source.count(b"\n", 0, at) + 1


_USUAL_COMPONENTS = {
    word + b":" + component + ending: component
    for word in (b"BEGIN", b"END")
    for component in (b"VCALENDAR", b"VEVENT", b"VALARM", b"VTIMEZONE", b"STANDARD", b"DAYLIGHT")
    for ending in (b"", b"\r")
}


def _component_name(raw: bytes) -> bytes:
    return _USUAL_COMPONENTS.get(raw) or unfold(raw).partition(b":")[2].strip().upper()


def _printable(name: bytes) -> str:
    return _NOT_IN_NAME.sub(b"?", name[:40]).decode("ascii")


def unfold(raw: bytes) -> bytes:
    """Return a logical line without its folds, which are a line break and one space or tab."""
    if b"\n" not in raw:
        return raw
    fold = _FIRST_FOLD.search(raw)
    if fold is not None and (b"\r" not in raw or fold[0][:1] == b"\r"):
        unfolded = b"".join(raw.split(fold[0]))  # most programs write one kind of fold, and this takes half the time
        if b"\n" not in unfolded:
            return unfolded
    if b"\r" in raw:
        first, *folds = raw.split(b"\r\n")
        unfolded = b"".join([first, *[fold[1:] for fold in folds]])
        if b"\n" not in unfolded:
            return unfolded
        raw = raw.replace(b"\r\n", b"\n")  # both line endings in one line
    first, *folds = raw.split(b"\n")
    return b"".join([first, *[fold[1:] for fold in folds]])


def value_start(unfolded: bytes) -> int:
    """Return the offset right after the colon that ends name and parameters (quoted values may hold colons)."""
    colon = unfolded.find(b":")
    if colon >= 0 and unfolded.find(b'"', 0, colon) < 0:
        return colon + 1
    found = _HEAD.match(unfolded)
    return found.end() if found else colon + 1  # quotes that do not pair mean nothing


def value_of(source: bytes, line: Line) -> bytes:
    """Return the unfolded value of a line, still escaped."""
    unfolded = unfold(source[line.start : line.end])
    return unfolded[value_start(unfolded) :]


def raw_end(raw: bytes, length: int) -> int:
    """Return the offset in `raw` right after its first `length` unfolded octets, before a fold that follows."""
    position = length
    counted = 0
    has_returns = b"\r" in raw
    while True:
        folds = 2 * raw.count(b"\n", counted, position)
        if has_returns:
            folds += raw.count(b"\r\n", max(counted - 1, 0), position)
        counted = position
        if folds:
            position += folds
        elif position and raw[position - 1 : position + 1] == b"\r\n":
            counted += 1  # between the two octets of a line break: that fold was not counted yet
            position += 3
        else:
            return position


def raw_start(raw: bytes, offset: int) -> int:
    """Return the offset in `raw` of the unfolded octet at `offset`, after a fold that precedes it."""
    position = raw_end(raw, offset)
    while (fold := _FIRST_FOLD.match(raw, position)) is not None:
        position = fold.end()
    return position


def fold_of(source: bytes, line: Line) -> bytes:
    """Return the fold to write in this line: the line's own first one, else the file's line ending and a space."""
    found = _FIRST_FOLD.search(source, line.start, line.end)
    return found.group() if found else line_ending(source) + b" "


def line_ending(source: bytes) -> bytes:
    """Return the line ending of the file, by its first line."""
    first = source.find(b"\n")
    return b"\n" if first > 0 and source[first - 1 : first] != b"\r" else b"\r\n"


def folded(text: bytes, fold: bytes, column: int = 0) -> bytes:
    """Return `text` folded to 75 octets a line at UTF-8 boundaries, when it starts at `column` of a line."""
    if column + len(text) <= FOLD_WIDTH:
        return text
    pieces = []
    start = 0
    room = max(FOLD_WIDTH - column, 0)
    while len(text) - start > room:
        end = start + room
        while end > start and text[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(text[start:end])
        start = end
        room = FOLD_WIDTH - 1
    pieces.append(text[start:])
    return fold.join(pieces)


class Edit(NamedTuple):
    """Replace `source[start:end]`."""

    start: int
    end: int
    replacement: bytes


def replace_in_value(source: bytes, line: Line, start: int, end: int, text: bytes) -> Edit:
    """Return the edit that puts `text` in place of the octets start:end of a line's unfolded text.

    What precedes and follows keeps its folds; one fold is put before the rest only where its first physical line
    would otherwise grow beyond 75 octets.
    """
    raw = source[line.start : line.end]
    if b"\n" not in raw and len(raw) - (end - start) + len(text) <= FOLD_WIDTH:
        return Edit(line.start + start, line.start + end, text)
    first = raw_start(raw, start)
    last = first + raw_end(raw[first:], end - start)
    fold = fold_of(source, line)
    column = first - (raw.rfind(b"\n", 0, first) + 1)
    replacement = folded(text, fold, column)
    next_break = _FIRST_FOLD.search(raw, last)
    rest = (next_break.start() if next_break else len(raw)) - last
    last_break = replacement.rfind(b"\n")
    end_column = len(replacement) - last_break - 1 if last_break >= 0 else column + len(replacement)
    if rest and end_column + rest > FOLD_WIDTH:
        replacement += fold
    return Edit(line.start + first, line.start + last, replacement)


def replace_line(source: bytes, line: Line, unfolded: bytes) -> Edit:
    """Return the edit that writes a whole line anew; an empty text removes the line with its line ending."""
    if not unfolded:
        return Edit(line.start, line.following, b"")
    return Edit(line.start, line.end, folded(unfolded, fold_of(source, line)))


def insert_lines(source: bytes, event: Event, unfolded: Iterable[bytes]) -> Edit:
    """Return the edit that inserts properties right after BEGIN:VEVENT."""
    ending = line_ending(source)
    text = b"".join(folded(line, ending + b" ") + ending for line in unfolded)
    return Edit(event.body, event.body, text)


def splice(source: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the source with the edits applied. They must not overlap."""
    pieces = []
    position = 0
    for start, end, replacement in sorted(edits):
        pieces.append(source[position:start])
        pieces.append(replacement)
        position = end
    pieces.append(source[position:])
    return b"".join(pieces)


def escaped(text: str) -> bytes:
    """Return text as the value of a TEXT property (RFC 5545, 3.3.11)."""
    return (
        text.replace("\\", "\\\\")
        .replace(";", "\\;")
        .replace(",", "\\,")
        .replace("\n", "\\n")
        .encode("utf-8", "surrogateescape")
    )


_LONG = 8_000
"""Octets from which a value is cut at its escapes: it takes half the time of replacing each kind of them in turn."""
_MEANINGS = {b"n": b"\n", b"N": b"\n", b",": b",", b";": b";"}
_ESCAPE = re.compile(rb"\\(r\\[nN]|[nN,;\\])")


def unescaped(value: bytes, errors: str = "surrogateescape") -> str:
    """Return the text of an escaped value; octets that are not UTF-8 come as surrogates, or as `errors` says.

    Some programs write a line break as \\r\\n; RFC 5545 knows no \\r.
    """
    if b"\\\\" in value:
        value = _ESCAPE.sub(lambda found: found[1] if found[1] in b",;\\" else b"\n", value)
    elif b"\\" in value:
        if b"\\r\\" in value:
            value = value.replace(b"\\r\\n", b"\n").replace(b"\\r\\N", b"\n")
        if len(value) < _LONG:
            value = value.replace(b"\\n", b"\n").replace(b"\\,", b",").replace(b"\\;", b";").replace(b"\\N", b"\n")
        else:
            first, *others = value.split(b"\\")
            value = first + b"".join([(_MEANINGS.get(each[:1]) or b"\\" + each[:1]) + each[1:] for each in others])
    return value.decode("utf-8", errors)


AS_WINDOWS_1252 = "as-windows-1252"
"""How octets that are not UTF-8 are decoded to be read: it is what most programs wrote before, and ISO 8859-1 is a part
of it. What is no character there either becomes U+FFFD."""


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(AS_WINDOWS_1252, _as_windows_1252)
