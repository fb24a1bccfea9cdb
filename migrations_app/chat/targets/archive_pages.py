"""The pages of an archive for people: HTML that needs neither script nor server, and reads well without its stylesheet.

All links are relative. What a program needs to read the pages again stands in ``data-`` attributes beside what people
see (``archive_reading`` reads both).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import quote

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import Joining
from migrations_app.chat.targets.archive_files import path_of
from migrations_app.chat.targets.archive_markup import BARE, by_number, for_attribute, linked
from migrations_app.chat.targets.spool import SpooledCategory, SpooledMessage, SpooledRoom
from tenants_app.sentences import sentence, sentence_plural

POLICY = (
    "default-src 'none'; style-src 'self' file:; img-src 'self' file:; script-src 'self' file:;"
    " base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded from elsewhere, and no script that stands in a page runs, whatever people wrote."""
PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})


@dataclass(frozen=True, slots=True)
class RoomPage:
    """One of the pages of a room."""

    path: str
    """In the folder of the room."""
    first: datetime
    last: datetime
    count: int

    @property
    def period(self) -> str:
        first, last = f"{self.first:%Y-%m-%d}", f"{self.last:%Y-%m-%d}"
        return first if first == last else str(sentence("%(first)s to %(last)s", first=first, last=last))


def words(text: str) -> str:
    """A sentence of ours in the language that is active, as HTML."""
    return html.escape(str(text), quote=False)


def isolated(name: str) -> str:
    """A name of theirs: its direction does not change what stands around it."""
    return f"<bdi>{by_number(name)}</bdi>"


def opening(title: str, *, to_top: str, language: str, trail: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
    """Everything up to the main heading. ``trail`` has what is above the page: address (from the top) and HTML."""
    yield (
        f'<!DOCTYPE html>\n<html lang="{for_attribute(language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{for_attribute(title)}</title>\n"
        f'<link rel="stylesheet" href="{to_top}style.css">\n<script src="{to_top}search/marks.js" defer></script>\n'
        f'</head>\n<body>\n<a class="skip" href="#main">{words(sentence("Skip to the content"))}</a>\n'
    )
    label = for_attribute(str(sentence("Where you are")))
    links = [
        f'<li><a href="{to_top}{address}">{name}</a></li>'
        for address, name in (
            ("index.html", words(sentence("All rooms"))),
            ("people.html", words(sentence("People"))),
            ("search.html", words(sentence("Search"))),
        )
    ]
    archive = for_attribute(str(sentence("Archive")))
    yield f'<header class="top"><nav aria-label="{archive}"><ul>{"".join(links)}</ul></nav>\n'
    above = [f'<a href="{to_top}{address}">{name}</a>' if address else name for address, name in trail]
    if above:
        yield f'<nav aria-label="{label}" class="trail"><ul><li>{"</li><li>".join(above)}</li></ul></nav>\n'
    yield '</header>\n<main id="main">\n'


def closing() -> str:
    return "</main>\n</body>\n</html>\n"


# --- messages --------------------------------------------------------------------------------------------


def days(messages: Iterable[SpooledMessage], to_top: str) -> Iterator[str]:
    """The messages, each day with its heading."""
    day: date | None = None
    for message in messages:
        if message.place.date() != day:
            if day is not None:
                yield "</section>\n"
            day = message.place.date()
            yield f'<section class="day">\n<h2>{words(sentence("%(day)s (UTC)", day=day))}</h2>\n'
        yield from article(message, to_top)
    if day is not None:
        yield "</section>\n"


def anchor(message: SpooledMessage) -> str:
    """The id of a message on its page, for links to it."""
    origin = "" if message.origin == 1 else f"o{message.origin}-"
    return f"{origin}m{message.n}" + ("" if message.part == 1 else f"-{message.part}")


def clock(at: datetime, day: date) -> str:
    """A time as it is shown under the heading of that day."""
    return f"{at:%H:%M:%S}" if at.date() == day else f"{at:%Y-%m-%d %H:%M:%S}"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def article(message: SpooledMessage, to_top: str) -> Iterator[str]:
    key, kind = anchor(message), message.kind
    address = "" if message.account == message.author else f' <span class="account">{isolated(message.account)}</span>'
    yield (
        f'<article id="{key}" data-key="{for_attribute(message.key)}" data-kind="{kind.value}">\n'
        f'<p class="head"><b class="author">{isolated(message.author)}</b>{address}'
        f' <a class="at" href="#{key}"><time datetime="{moment(message.at)}">'
        f"{clock(message.at, message.place.date())}</time></a>{_kind(kind)}</p>\n"
    )
    content, form = (message.html, message.form) if message.html is not None else (linked(message.text), BARE)
    names_its_file = bool(message.file_sha256) and message.html is None and message.text.endswith(message.file_name)
    if names_its_file:  # as messages do that show a file: their own words are the link to it
        before = message.text[: len(message.text) - len(message.file_name)]
        content = linked(before) + _link(message, to_top)
    if content:
        yield f'<div class="text" dir="auto" data-form="{form}">{content}</div>\n'
    if message.file_name:
        yield from _file(message, to_top, is_named=names_its_file)
    yield "</article>\n"


def _kind(kind: MessageKind) -> str:
    shown = {MessageKind.STORY: sentence("Story")}.get(kind)  # an alert says so itself
    return "" if shown is None else f' <span class="kind">{words(shown)}</span>'


def _address(message: SpooledMessage, to_top: str) -> str:
    return for_attribute(to_top + quote(path_of(message.file_sha256, message.file_name)))


def _link(message: SpooledMessage, to_top: str) -> str:
    return f'<a class="name" href="{_address(message, to_top)}" download>{isolated(message.file_name)}</a>'


def _file(message: SpooledMessage, to_top: str, *, is_named: bool) -> Iterator[str]:
    """The file of a message; ``is_named`` where the link to it stands in the text."""
    name = isolated(message.file_name)
    if not message.file_sha256:
        missing = words(sentence("This file was not found."))
        yield f'<p class="file missing"><span class="name">{name}</span> <span class="size">{missing}</span></p>\n'
        return
    href = _address(message, to_top)
    if message.file_name.rpartition(".")[2].lower() in PICTURES:
        label = for_attribute(str(sentence("Picture %(name)s", name=message.file_name)))
        yield f'<p class="picture"><a href="{href}"><img src="{href}" alt="{label}" loading="lazy"></a></p>\n'
    link = "" if is_named else f"{_link(message, to_top)} "
    yield f'<p class="file">{link}<span class="size">{words(size(message.file_bytes))}</span></p>\n'


def size(octets: int) -> str:
    if octets < 10_000:
        return sentence_plural("%(n)s byte", "%(n)s bytes", octets)
    if octets < 10_000_000:
        return sentence("%(n)s KB", n=round(octets / 1000))
    return sentence("%(n)s MB", n=round(octets / 1_000_000))


# --- rooms -----------------------------------------------------------------------------------------------


def room_head(room: SpooledRoom, extent: str, links: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The heading of the first page of a room, with what it was like, and links to what is further down or beside."""
    settings = room.settings
    yield f'<h1 class="name" dir="auto">{by_number(room.name)}</h1>\n'
    if settings["description"]:
        yield f'<p class="description" dir="auto">{by_number(settings["description"])}</p>\n'
    flags = "".join(
        f' data-{name}="{str(value).lower()}"'
        for name, value in (
            ("joining", settings["joining"]),
            ("auditorium", settings["is_auditorium"]),
            ("read-only", settings["is_read_only"]),
            ("invitations", settings["allows_invitations"]),
        )
    )
    yield f'<ul class="settings"{flags}>\n<li>{words(extent)}</li>\n'
    for each in _settings(settings):
        yield f"<li>{words(each)}</li>\n"
    for address, text in links:
        yield f'<li><a href="{address}">{words(text)}</a></li>\n'
    yield "</ul>\n"


def _settings(settings: dict[str, object]) -> Iterator[str]:
    if settings["joining"] == Joining.ORGANIZATION.value:
        yield sentence("Anybody in the organization could join.")
    else:
        yield sentence("Only those who were invited could join.")
    if settings["is_auditorium"]:
        yield sentence("Only presenters and managers could write.")
    if settings["is_read_only"]:
        yield sentence("The room was disabled.")
    if not settings["allows_invitations"]:
        yield sentence("New members got no invitation.")


def people_of_room(role: str, title: str, people: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Those with a role: account and name of each."""
    if not people:
        return
    yield f'<section class="people" id="{role}" data-role="{role}">\n<h2>{words(title)}</h2>\n<ul>\n'
    for account, name in people:
        named = "" if name in ("", account) else f"{isolated(name)} "
        yield f'<li>{named}<span class="account">{isolated(account)}</span></li>\n'
    yield "</ul>\n</section>\n"


def list_of_pages(pages: Sequence[RoomPage]) -> Iterator[str]:
    """Plain links to the pages of a long room, year by year."""
    yield f'<nav class="pages" aria-labelledby="pages">\n<h2 id="pages">{words(sentence("Messages by time"))}</h2>\n'
    year = None
    for page in pages:
        if page.first.year != year:
            yield "" if year is None else "</ul>\n"
            year = page.first.year
            yield f"<h3>{year}</h3>\n<ul>\n"
        count = words(sentence_plural("%(n)s message", "%(n)s messages", page.count))
        yield f'<li><a href="{page.path}">{words(page.period)}</a> <span class="size">{count}</span></li>\n'
    yield "</ul>\n</nav>\n"


def neighbours(before: RoomPage | None, after: RoomPage | None, *, is_again: bool = False) -> str:
    """Links to the pages beside this one; the second time they are no landmark of their own."""
    links = []
    if before is not None:
        earlier = words(sentence("Earlier: %(period)s", period=before.period))
        links.append(f'<a rel="prev" href="{before.path}">{earlier}</a>')
    if after is not None:
        later = words(sentence("Later: %(period)s", period=after.period))
        links.append(f'<a rel="next" href="{after.path}">{later}</a>')
    if not links:
        return ""
    if is_again:
        return f'<p class="neighbours">{" ".join(links)}</p>\n'
    label = for_attribute(str(sentence("Pages of this room")))
    return f'<nav class="neighbours" aria-label="{label}">{" ".join(links)}</nav>\n'


# --- all of it -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoomLine:
    """A room in the list of all rooms."""

    room: SpooledRoom
    folder: str
    messages: int
    files: int
    first: datetime | None
    last: datetime | None


def list_of_categories(categories: Sequence[tuple[SpooledCategory, int]]) -> Iterator[str]:
    """Where there are several, links to each, with the number of its rooms."""
    if len(categories) < 2:
        return
    label = for_attribute(str(sentence("Categories")))
    yield f'<nav class="categories" aria-label="{label}">\n<ul>\n'
    for category, count in categories:
        rooms = words(sentence_plural("%(n)s room", "%(n)s rooms", count))
        yield f'<li><a href="#c{category.id}">{isolated(category.name)}</a> <span class="size">{rooms}</span></li>\n'
    yield "</ul>\n</nav>\n"


def category_section(category: SpooledCategory, rooms: Sequence[RoomLine]) -> Iterator[str]:
    titles = [
        str(each)
        for each in (
            sentence("Room"),
            sentence("Messages"),
            sentence("Files"),
            sentence("First message"),
            sentence("Last message"),
        )
    ]
    labels = [for_attribute(each) for each in titles[1:]]
    yield (
        f'<section class="category" id="c{category.id}">\n<h2 dir="auto">{by_number(category.name)}</h2>\n'
        + (f'<p class="description" dir="auto">{by_number(category.description)}</p>\n' if category.description else "")
        + "<table>\n<thead><tr>"
        + "".join(f'<th scope="col">{words(each)}</th>' for each in titles)
        + "</tr></thead>\n<tbody>\n"
    )
    for line in rooms:
        described = line.room.settings["description"]
        under = f'<br><span class="description">{isolated(described)}</span>' if described else ""
        yield (
            f'<tr><th scope="row"><a href="{line.folder}/index.html">{isolated(line.room.name)}</a>{under}</th>'
            + "".join(
                f'<td data-label="{label}">{value}</td>'
                for label, value in zip(
                    labels, (line.messages, line.files, _day(line.first), _day(line.last)), strict=True
                )
            )
            + "</tr>\n"
        )
    yield "</tbody>\n</table>\n</section>\n"


def _day(at: datetime | None) -> str:
    return "–" if at is None else f'<time datetime="{at:%Y-%m-%d}">{at:%Y-%m-%d}</time>'
