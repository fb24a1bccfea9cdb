"""A message of the archive as it is to be at a target (R117, R118): its text and HTML, its time, its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
_NEVER = re.compile("[\ud800-\udfff]")
"""Half characters: no UTF-8 has them."""
_SMALLEST = 16
"""Characters that a part has room for, however small the limit is said to be."""
_ENDS = re.compile("\r\n?")


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
        self._words: Words = words_of(language)
        self._forbidden = _forbidden(limits.forbidden)

    def convert(self, message: Message) -> list[OutgoingMessage]:
        """The message, or its parts in their order, each with the time that it is to have."""
        counts = self.counts
        counts.messages += 1
        author = self._author(message.author)
        file = self._file(message)
        spans = self._allowed(self._spans(message, file))
        header = self._header(author, message.at)
        if header:
            header = self._allowed([Span(header)])[0].text
        text = markup.plain(spans)
        parts = self._parts(text, header)
        html_parts = self._html(spans, header, parts)
        if len(parts) > 1:
            counts.split += 1
            counts.parts += len(parts)
        made = []
        for number, piece in enumerate(parts, start=1):
            is_whole = len(parts) == 1
            at = self._time(message, number)
            made.append(
                OutgoingMessage(
                    key=f"{self.room.room.id}/{message.n}" + ("" if is_whole else f"/{number}"),
                    n=message.n,
                    at=at,
                    author=author,
                    text=self._before(header, number, len(parts)) + text[piece.start : piece.end],
                    html=html_parts[number - 1],
                    kind=message.kind,
                    part=number,
                    parts=len(parts),
                    file=file if number == 1 and file is not None and not file.is_missing else None,
                    shifted=at - message.at,
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
        names = not limits.keeps_author or (limits.authors_need_accounts and author.account is None)
        times = not limits.keeps_time
        if not names and not times:
            return ""
        self.counts.with_line += 1
        self.counts.author_in_text += names
        self.counts.time_in_text += times
        form = self._words.author_and_time if names and times else self._words.author if names else self._words.time
        return form % {"name": one_line(author.shown), "time": f"{at:%Y-%m-%d %H:%M:%S}"} + "\n"

    def _time(self, message: Message, part: int) -> datetime:
        """The message's own time to the millisecond, or the first free one after it (R118)."""
        at = message.at.replace(microsecond=message.at.microsecond // 1000 * 1000)
        if not self.limits.times_are_unique or not self.limits.keeps_time:
            return at
        if self.last_at is not None and at <= self.last_at:
            if self.last_at + _STEP - at > MOST_SHIFT:
                # Later ones stay unique among themselves, but this is no time to import it with.
                self.counts.not_kept += part == 1
            at = self.last_at + _STEP
        self.last_at = at
        return at

    # --- what -----------------------------------------------------------------------------------------

    def _file(self, message: Message) -> ChatFile | None:
        if not message.file:
            return None
        file = self.files.get(message.file)
        if file is None:
            name = next((span.text for span in markup.parse(message.text) if span.file), message.file)
            file = ChatFile(message.file, self.room.room.id, name, is_missing=True)
        if file.is_missing:
            self.counts.files_missing += 1
        else:
            self.counts.files += 1
            self.counts.file_bytes += file.bytes
            self.counts.files_too_large += self.limits.file_bytes is not None and file.bytes > self.limits.file_bytes
        return file

    def _spans(self, message: Message, file: ChatFile | None) -> list[Span]:
        text = _ENDS.sub("\n", message.text) if "\r" in message.text else message.text
        spans = self._story(text) if message.kind is MessageKind.STORY else self._text(text, message.rtf)
        spans = self._with_file(spans, file)
        if message.kind is MessageKind.ALERT:
            spans = [Span(self._words.alert, bold=True), Span(" "), *spans]
        if not any(span.text.strip() for span in spans):
            self.counts.empty += 1
            spans = [Span(self._words.empty)]
        return spans

    def _text(self, text: str, of_rtf: str) -> list[Span]:
        spans = markup.parse(text)
        if not of_rtf or not self.limits.formats:
            return spans
        formatted = rtf.read(of_rtf)
        if formatted is None or _compared(markup.displayed(formatted)) != _compared(markup.displayed(spans)):
            self.counts.formatting_lost += formatted is None or markup.is_formatted(formatted)
            return spans
        return markup.styled(spans, formatted) if markup.is_formatted(formatted) else spans

    def _story(self, text: str) -> list[Span]:
        title, body = markup.story(text)
        spans = [Span(each.text, bold=True, href=each.href, file=each.file) for each in markup.parse(title)]
        return [*spans, Span("\n\n"), *markup.parse(body)] if body else spans

    def _with_file(self, spans: list[Span], file: ChatFile | None) -> list[Span]:
        """The message with the name of each file that it shows, or that the file was not found."""
        made, is_named = [], False
        for span in spans:
            if not span.file:
                made.append(span)
            elif file is not None and not is_named:
                made.append(self._named(file))
                is_named = True
            else:  # a link beside the one that the archive has a record of
                self.counts.files_missing += 1
                made.append(self._named(ChatFile("", "", span.text, is_missing=True)))
        if file is not None and not is_named:
            name = self._named(file)
            if not (not file.is_missing and markup.plain(made).strip() == name.text):
                made += [Span("\n"), name] if any(span.text.strip() for span in made) else [name]
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

    def _before(self, header: str, part: int, parts: int) -> str:
        return header if parts == 1 else f"{header}{self._words.part % {'part': part, 'parts': parts}} "

    def _parts(self, text: str, header: str) -> list[Piece]:
        octets, characters = self.limits.message_bytes, self.limits.message_characters
        whole = [Piece(0, len(text))]
        if (octets is None or size(header) + size(text) <= octets) and (
            characters is None or len(header) + len(text) <= characters
        ):
            return whole
        parts = 9
        while True:  # the more parts there are, the longer is the mark of each
            mark = self._before(header, parts, parts)
            found = pieces(
                text,
                octets=None if octets is None else max(octets - size(mark), _SMALLEST),
                characters=None if characters is None else max(characters - len(mark), _SMALLEST),
            )
            if len(found) <= parts:
                return found
            parts = parts * 10 + 9

    def _html(self, spans: Sequence[Span], header: str, parts: Sequence[Piece]) -> list[str | None]:
        """The HTML of each part; None where the text says all of it, or it would be too long as HTML."""
        if not markup.is_formatted(spans):
            return [None] * len(parts)
        if not self.limits.formats:
            self.counts.formatting_lost += any(span.bold or span.italic or span.underline for span in spans)
            return [None] * len(parts)
        made: list[str | None] = []
        for number, piece in enumerate(parts, start=1):
            before = Span(self._before(header, number, len(parts)))
            html = markup.as_html([before, *markup.part_of(spans, piece.start, piece.end)])
            is_too_long = self.limits.message_bytes is not None and size(html) > self.limits.message_bytes
            made.append(None if is_too_long else html)
        self.counts.formatting_lost += None in made
        return made


def one_line(text: str) -> str:
    """A name in the middle of a line: without ends of lines of its own."""
    return " ".join(text.split())


def _forbidden(of_target: str) -> re.Pattern[str]:
    return re.compile(f"{_NEVER.pattern}|{of_target}" if of_target else _NEVER.pattern)


def _with_text(span: Span, text: str) -> Span:
    return Span(text, span.bold, span.italic, span.underline, span.href, span.only_plain, span.file)


def _compared(text: str) -> str:
    """A plain form as it is compared with that of the RTF, which knows no space at its end, nor which end of line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
