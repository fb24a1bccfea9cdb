"""A message of the archive as it is to be at a target (R117, R118): its text and HTML, its time, its parts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from migrations_app.chat.archive.records import ChatFile, Message, MessageKind, Principal
from migrations_app.chat.conversion import markup, rtf
from migrations_app.chat.conversion.markup import Span
from migrations_app.chat.conversion.outgoing import Limits, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.splitting import Piece, pieces, size
from migrations_app.chat.conversion.words import Words, words_of

MOST_SHIFT = timedelta(seconds=1)
"""By how much a message can be moved in time at the most (R118)."""
REPLACEMENT = "\ufffd"
"""What stands where a target forbids the character."""
_STEP = timedelta(milliseconds=1)
_LATEST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
"""A message that is dated later is never moved, and keeps its room from such a target."""
_NEVER = re.compile("[\ud800-\udfff]")
"""Half characters: no UTF-8 has them."""
_SMALLEST = 16
"""Characters that a part has room for, however small the limit is said to be."""
_ENDS = re.compile("\r\n?")


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    html: str | None
    file: ChatFile | None = None
    """Of a message with several files, one after the first."""


@dataclass(slots=True)
class Counts:
    """What was done to the messages of a room so far, each number one of messages unless it says otherwise."""

    messages: int = 0
    outgoing: int = 0
    """Messages as they are at the target: parts are counted each."""
    with_line: int = 0
    """Those that begin with a line of author or time."""
    author_in_text: int = 0
    time_in_text: int = 0
    shifted: int = 0
    not_kept: int = 0
    """Those for which there is no free millisecond within a second (R118)."""
    split: int = 0
    parts: int = 0
    """Of messages that were split."""
    replaced: int = 0
    """Characters."""
    with_replaced: int = 0
    formatting_lost: int = 0
    files: int = 0
    file_bytes: int = 0
    files_missing: int = 0
    files_too_large: int = 0
    empty: int = 0
    unknown_authors: int = 0


class Converter:
    """Converts the messages of one room, by number. What it needs to go on after a break is ``last_at``.

    ``people`` are those of the archive by id; an author who is not among them is named by that id. ``files`` are those
    of the room by id. Nothing that a message says makes it raise.
    """

    def __init__(
        self,
        room: OutgoingRoom,
        people: Mapping[str, Person],
        limits: Limits,
        *,
        files: Mapping[str, ChatFile] | None = None,
        last_at: datetime | None = None,
        language: str = "en",
    ) -> None:
        self.room = room
        self.people = people
        self.limits = limits
        self.files = files or {}
        self.last_at = last_at
        """The latest time that was given so far: keep it, and go on with it."""
        self.counts = Counts()
        self.left_behind: dict[int, int] = {}
        """Messages that got no time of their own, by number, and how many parts each has: a plan looks for one."""
        self._words: Words = words_of(language)
        self._forbidden = _forbidden(limits.forbidden)

    def convert(self, message: Message) -> list[OutgoingMessage]:
        """The message, or its parts in their order, each with the time that it is to have."""
        counts = self.counts
        counts.messages += 1
        author = self._author(message.author)
        files = self._files(message)
        spans = self._allowed(self._spans(message, files))
        header = self._header(author, message.at)
        if header:
            header = self._allowed([Span(header)])[0].text
        there = [file for file in files if not file.is_missing]
        parts = self._parts(spans, header, there[1:])
        is_whole = len(parts) == 1
        if not is_whole:
            counts.split += 1
            counts.parts += len(parts)
        made = []
        for number, part in enumerate(parts, start=1):
            at = self._time(message, number)
            made.append(
                OutgoingMessage(
                    key=f"{self.room.room.id}/{message.n}" + ("" if is_whole else f"/{number}"),
                    n=message.n,
                    at=at,
                    author=author,
                    text=part.text,
                    html=part.html,
                    kind=message.kind,
                    part=number,
                    parts=len(parts),
                    file=there[0] if number == 1 and there else part.file,
                    shifted=at - to_the_millisecond(message.at),
                )
            )
        if made[0].shifted:
            counts.shifted += 1
        counts.outgoing += len(made)
        return made

    # --- who and when ---------------------------------------------------------------------------------

    def _author(self, principal: str) -> Person:
        person = self.people.get(principal)
        if person is None:
            self.counts.unknown_authors += 1
            name = self._words.unknown % {"id": principal}
            return Person(Principal(principal, name=name), None, name)
        return person

    def _header(self, author: Person, at: datetime) -> str:
        """The line of author and time, with its end; empty where the target keeps both."""
        limits = self.limits
        is_of_others = limits.authors_need_accounts and author.account is None
        names = not limits.keeps_author or is_of_others
        times = not limits.keeps_time or is_of_others
        if not names and not times:
            return ""
        self.counts.with_line += 1
        self.counts.author_in_text += names
        self.counts.time_in_text += not limits.keeps_time
        form = self._words.author_and_time if names and times else self._words.author if names else self._words.time
        return form % {"name": one_line(author.shown), "time": f"{at:%Y-%m-%d %H:%M:%S}"} + "\n"

    def _time(self, message: Message, part: int) -> datetime:
        """The message's own time to the millisecond, or the first free one after it (R118)."""
        at = to_the_millisecond(message.at)
        if not self.limits.times_are_unique or not self.limits.keeps_time:
            return at
        if at > _LATEST:
            self.counts.not_kept += part == 1
            return at
        if message.n in self.room.moved:
            return at + (self.room.moved[message.n] + part - 1) * _STEP
        if self.last_at is None or at > self.last_at:
            self.last_at = at
            return at
        next_free = self.last_at + _STEP
        if message.n not in self.left_behind and next_free - at <= MOST_SHIFT + (part - 1) * _STEP:
            self.last_at = next_free
            return next_free
        # The clock was set back, or a second has more messages than milliseconds: all messages decide what is free.
        self.counts.not_kept += part == 1
        self.left_behind[message.n] = part
        return at

    # --- what -----------------------------------------------------------------------------------------

    def _files(self, message: Message) -> list[ChatFile]:
        """The records of the files that the message shows, in their order; missing ones as such."""
        further = message.more.get("files")
        ids = [message.file, *(further if isinstance(further, (list, tuple)) else ())]
        return [
            self._file(id_, message) for id_ in dict.fromkeys(each for each in ids if isinstance(each, str) and each)
        ]

    def _file(self, id_: str, message: Message) -> ChatFile:
        file = self.files.get(id_)
        if file is None:
            name = next((span.text for span in markup.parse(message.text) if span.file), id_)
            file = ChatFile(id_, self.room.room.id, name, is_missing=True)
        if file.is_missing:
            self.counts.files_missing += 1
        else:
            self.counts.files += 1
            self.counts.file_bytes += file.bytes
            self.counts.files_too_large += self.limits.file_bytes is not None and file.bytes > self.limits.file_bytes
        return file

    def _spans(self, message: Message, files: Sequence[ChatFile]) -> list[Span]:
        text = _ENDS.sub("\n", message.text) if "\r" in message.text else message.text
        spans = self._story(text) if message.kind is MessageKind.STORY else self._text(text, message.rtf)
        spans = self._with_files(spans, files)
        if message.kind is MessageKind.ALERT:
            spans = [Span(self._words.alert, bold=True), Span(" "), *spans]
        if not any(span.text.strip() for span in spans):
            self.counts.empty += 1
            spans = [Span(self._words.empty)]
        return spans

    def _text(self, text: str, of_rtf: str) -> list[Span]:
        spans = markup.parse(text)
        if not of_rtf:
            return spans
        formatted = rtf.read(of_rtf)
        if not self.limits.formats:
            self.counts.formatting_lost += formatted is None or markup.is_formatted(formatted)
            return spans
        if formatted is None or _compared(markup.displayed(formatted)) != _compared(markup.displayed(spans)):
            self.counts.formatting_lost += formatted is None or markup.is_formatted(formatted)
            return spans
        return markup.styled(spans, formatted) if markup.is_formatted(formatted) else spans

    def _story(self, text: str) -> list[Span]:
        title, body = markup.story(text)
        spans = [Span(each.text, bold=True, href=each.href, file=each.file) for each in markup.parse(title)]
        return [*spans, Span("\n\n"), *markup.parse(body)] if body else spans

    def _with_files(self, spans: list[Span], files: Sequence[ChatFile]) -> list[Span]:
        """The message with the name of each file that it shows, or that the file was not found."""
        made, waiting = [], list(files)
        for span in spans:
            if not span.file:
                made.append(span)
            elif waiting:
                made.append(self._named(waiting.pop(0)))
            else:  # a link that the archive has no record of
                self.counts.files_missing += 1
                made.append(self._named(ChatFile("", "", span.text, is_missing=True)))
        for file in waiting:
            name = self._named(file)
            if not any(span.text.strip() for span in made):
                made = [name]
            elif file.is_missing or name.text not in markup.plain(made):
                made += [Span("\n"), name]
        return made

    def _named(self, file: ChatFile) -> Span:
        name = one_line(file.name or file.id)
        return Span(self._words.not_found % {"name": name} if file.is_missing else name)

    def _allowed(self, spans: Sequence[Span]) -> list[Span]:
        """The spans without characters that the target forbids, each replaced visibly."""
        made, replaced = [], 0
        for span in spans:
            text, count = self._forbidden.subn(REPLACEMENT, span.text)
            replaced += count
            made.append(_with_text(span, text) if count else span)
        self.counts.replaced += replaced
        self.counts.with_replaced += bool(replaced)
        return made

    # --- parts ----------------------------------------------------------------------------------------

    def _parts(self, spans: Sequence[Span], header: str, further: Sequence[ChatFile]) -> list[_Part]:
        """The message as one, or split so that each part is as short as the target wants; further files as parts of
        their own, because a message has one file at the most."""
        text = markup.plain(spans)
        is_formatted = self.limits.formats and markup.is_formatted(spans)
        whole = _Part(header + text, markup.as_html([Span(header), *spans]) if is_formatted else None)
        if not further and self._fits(whole):
            return [whole]
        octets = self.limits.message_bytes
        while True:
            found = self._pieces(text, header, octets, len(further))
            total = len(found) + len(further)
            parts = []
            for number, piece in enumerate(found, start=1):
                before = self._before(header, number, total)
                html = None
                if is_formatted:
                    html = markup.as_html([Span(before), *markup.part_of(spans, piece.start, piece.end)])
                parts.append(_Part(before + text[piece.start : piece.end], html))
            largest = max(piece.end - piece.start for piece in found)
            if largest <= _SMALLEST or all(map(self._fits, parts)):
                break
            octets = min(octets or size(text), 4 * largest, size(text)) * 3 // 4
        for number, file in enumerate(further, start=len(found) + 1):
            parts.append(_Part(self._before(header, number, total) + self._named(file).text, None, file))
        return parts

    def _fits(self, part: _Part) -> bool:
        limits = self.limits
        if limits.message_characters is not None and len(part.text) > limits.message_characters:
            return False
        if limits.message_bytes is not None:
            # What is short in characters is short in octets: most messages are not encoded to be measured.
            for form in (part.text, part.html or ""):
                if 4 * len(form) > limits.message_bytes and size(form) > limits.message_bytes:
                    return False
        if limits.message_json_bytes is None or 6 * (len(part.text) + len(part.html or "")) < limits.message_json_bytes:
            return True
        each = [json.dumps(form, ensure_ascii=False) for form in (part.text, part.html) if form is not None]
        return sum(map(size, each)) <= limits.message_json_bytes

    def _pieces(self, text: str, header: str, octets: int | None, further: int) -> list[Piece]:
        characters = self.limits.message_characters
        parts = 9
        while True:  # the more parts there are, the longer is the mark of each
            mark = self._before(header, parts, parts)
            found = pieces(
                text,
                octets=None if octets is None else max(octets - size(mark), _SMALLEST),
                characters=None if characters is None else max(characters - len(mark), _SMALLEST),
            )
            if len(found) + further <= parts:
                return found
            parts = parts * 10 + 9

    def _before(self, header: str, part: int, parts: int) -> str:
        return header if parts == 1 else f"{header}{self._words.part % {'part': part, 'parts': parts}} "


def to_the_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def one_line(text: str) -> str:
    """A name in the middle of a line: without ends of lines of its own."""
    return " ".join(text.split())


def _forbidden(of_target: str) -> re.Pattern[str]:
    return re.compile(f"{_NEVER.pattern}|{of_target}" if of_target else _NEVER.pattern)


def _with_text(span: Span, text: str) -> Span:
    return Span(text, span.bold, span.italic, span.underline, span.href, span.is_added, span.file)


def _compared(text: str) -> str:
    """A plain form as it is compared with that of the RTF, which knows no space at its end, nor which end of line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
