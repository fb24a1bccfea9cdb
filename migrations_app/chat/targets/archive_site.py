"""Writing the pages of an archive for people from its spool: each file whole or not at all, any number of times."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from migrations_app.chat.targets import archive_pages as pages
from migrations_app.chat.targets.archive_files import path_of
from migrations_app.chat.targets.archive_markup import by_number, for_attribute
from migrations_app.chat.targets.archive_search import SearchIndex
from migrations_app.chat.targets.spool import Spool, SpooledMessage, SpooledRoom, milliseconds, of_milliseconds
from migrations_app.chat.targets.whole_files import PIECE, written_whole
from tenants_app.sentences import sentence, sentence_plural

ASSETS = Path(__file__).parent / "archive_assets"
MESSAGES_A_PAGE = 500
BYTES_A_PAGE = 2_000_000
"""Of messages as the spool has them: no page is longer, but for one message that is."""
SUMS = "SHA256SUMS"
DEFLATED = frozenset({"html", "css", "js", "txt", ""})


class PagesOfRoom:
    """How the messages of a room are divided into pages: by month, several short ones together, long ones in parts."""

    def __init__(self, spool: Spool, room: int) -> None:
        months: dict[str, int] = {}
        for place, _, _ in spool.places(room):
            month = _month(place)
            months[month] = months.get(month, 0) + 1
        self.pages: list[pages.RoomPage] = []
        self.starts: list[tuple[int, int] | None] = []
        """Behind which message each page begins."""
        self._divide(spool, room, months)

    def _divide(self, spool: Spool, room: int, months: dict[str, int]) -> None:
        count = size = first = last = 0
        month, before, begin = "", None, None
        for place, seq, octets in spool.places(room):
            is_new_month = _month(place) != month
            month = _month(place)
            is_full = count >= MESSAGES_A_PAGE or size + octets > BYTES_A_PAGE
            if count and (is_full or (is_new_month and count + months[month] > MESSAGES_A_PAGE)):
                self._add(first, last, count, begin)
                count = size = 0
                begin = before
            if not count:
                first = place
            count, size, last, before = count + 1, size + octets, place, (place, seq)
        self._add(first, last, count, begin)

    def _add(self, first: int, last: int, count: int, begin: tuple[int, int] | None) -> None:
        start = of_milliseconds(first)
        name = f"{start:%Y-%m}"
        same = sum(page.path.startswith(name) for page in self.pages[-1:]) and self.pages[-1].path
        if same:
            number = re.fullmatch(rf"{name}-(\d+)\.html", same)
            name = f"{name}-{int(number[1]) + 1 if number else 2}"
        self.pages.append(pages.RoomPage(f"{name}.html", start, of_milliseconds(last), count))
        self.starts.append(begin)

    @property
    def is_one(self) -> bool:
        return len(self.pages) == 1

    def messages(self, spool: Spool, room: int) -> Iterator[tuple[pages.RoomPage, Iterator[SpooledMessage]]]:
        for page, start in zip(self.pages, self.starts, strict=True):
            yield page, spool.messages(room, after=start, count=page.count)


class Site:
    """The folder of pages that people get."""

    def __init__(self, folder: Path, spool: Spool, language: str, title: str) -> None:
        self.folder = folder
        self._spool = spool
        self._language = language
        self._title = title

    # --- one room ---------------------------------------------------------------------------------------

    def write_room(self, key: int) -> None:
        """All of its pages; its first page, which leads to the others, is written behind them."""
        room = self._spool.room_of(key)
        folder = self.folder / folder_of(room)
        division = PagesOfRoom(self._spool, key)
        files = self._spool.extent(key)[1]
        if not division.is_one:
            for number, (page, messages) in enumerate(division.messages(self._spool, key)):
                before = division.pages[number - 1] if number else None
                after = division.pages[number + 1] if number + 1 < len(division.pages) else None
                _write(folder / page.path, self._page(room, page, messages, before, after))
        if files:
            _write(folder / "files.html", self._files(room, division))
        _write(folder / "index.html", self._first_page(room, division, files))
        wanted = {"index.html", *(["files.html"] if files else [])}
        wanted |= set() if division.is_one else {page.path for page in division.pages}
        for path in folder.glob("*.html"):
            if path.name not in wanted:
                path.unlink()

    def _trail(self, room: SpooledRoom, *, to_room: bool) -> list[tuple[str, str]]:
        trail = [(f"index.html#c{room.category.id}", pages.isolated(room.category.name))]
        return [*trail, (f"{folder_of(room)}/index.html", pages.isolated(room.name))] if to_room else trail

    def _opening(self, title: str, to_top: str, trail: list[tuple[str, str]] | None = None) -> Iterator[str]:
        return pages.opening(title, to_top=to_top, language=self._language, trail=trail or [])

    def _page(
        self,
        room: SpooledRoom,
        page: pages.RoomPage,
        messages: Iterator[SpooledMessage],
        before: pages.RoomPage | None,
        after: pages.RoomPage | None,
    ) -> Iterator[str]:
        yield from self._opening(f"{room.name}, {page.period}", "../../", self._trail(room, to_room=True))
        yield f"<h1>{pages.isolated(room.name)}, {pages.words(page.period)}</h1>\n"
        yield pages.neighbours(before, after)
        yield from pages.days(messages, "../../")
        yield pages.neighbours(before, after, is_again=True)
        yield pages.closing()

    def _first_page(self, room: SpooledRoom, division: PagesOfRoom, files: int) -> Iterator[str]:
        yield from self._opening(room.name, "../../", self._trail(room, to_room=False))
        people = self._people(room)
        links = [(f"#{role}", title) for role, title, accounts in people if accounts]
        if files:
            links.append(("files.html", sentence_plural("%(n)s file", "%(n)s files", files)))
        yield from pages.room_head(room, self._extent(room.id), links)
        if division.is_one:
            for _, messages in division.messages(self._spool, room.id):
                yield from pages.days(messages, "../../")
        else:
            yield from pages.list_of_pages(division.pages)
        for role, title, accounts in people:
            yield from pages.people_of_room(
                role, title, [(account, self._spool.name_of(account)) for account in accounts]
            )
        yield pages.closing()

    def _extent(self, room: int) -> str:
        count, _, first, last = self._spool.extent(room)
        if first is None or last is None:
            return sentence("No messages.")
        return sentence_plural(
            "%(n)s message, of %(first)s.",
            "%(n)s messages, from %(first)s to %(last)s.",
            count,
            first=f"{first:%Y-%m-%d}",
            last=f"{last:%Y-%m-%d}",
        )

    def _people(self, room: SpooledRoom) -> list[tuple[str, str, list[str]]]:
        """Each role with its title and the accounts of those who have it."""
        managers, presenters, members = (room.settings[role] for role in ("managers", "presenters", "members"))
        return [
            ("managers", sentence_plural("%(n)s manager", "%(n)s managers", len(managers)), managers),
            ("presenters", sentence_plural("%(n)s presenter", "%(n)s presenters", len(presenters)), presenters),
            ("members", sentence_plural("%(n)s member", "%(n)s members", len(members)), members),
        ]

    def _files(self, room: SpooledRoom, division: PagesOfRoom) -> Iterator[str]:
        yield from self._opening(
            sentence("Files of %(room)s", room=room.name), "../../", self._trail(room, to_room=True)
        )
        yield f'<h1>{pages.words(sentence("Files of this room"))}</h1>\n<ul class="files">\n'
        for message in self._spool.with_files(room.id):
            href = for_attribute("../../" + quote(path_of(message.file_sha256, message.file_name)))
            page = self.page_of(division, message)
            yield (
                f'<li><a class="name" href="{href}" download>{pages.isolated(message.file_name)}</a>'
                f' <span class="size">{pages.words(pages.size(message.file_bytes))}</span>'
                f' <a href="{page}#{pages.anchor(message)}"><time datetime="{pages.moment(message.at)}">'
                f"{message.at:%Y-%m-%d}</time></a> {pages.isolated(message.author)}</li>\n"
            )
        yield "</ul>\n" + pages.closing()

    def page_of(self, division: PagesOfRoom, message: SpooledMessage) -> str:
        if division.is_one:
            return "index.html"
        at, low, high = (milliseconds(message.place), message.seq), 0, len(division.starts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            start = division.starts[middle]
            low, high = (middle, high) if start is not None and start < at else (low, middle - 1)
        return division.pages[low].path

    # --- all of it --------------------------------------------------------------------------------------

    def write_top(self, archives: Iterable[str]) -> None:
        """What is made of all rooms together: the list of rooms, the people, the search, and what is beside them."""
        archives = sorted(archives)
        for asset in ("style.css", "search/search.js", "search/marks.js"):
            _write(self.folder / asset, [(ASSETS / Path(asset).name).read_text(encoding="utf-8")])
        self._write_search()
        _write(self.folder / "people.html", self._all_people())
        _write(self.folder / "search.html", self._search_page())
        _write(self.folder / "README.txt", self._readme(archives))
        _write(self.folder / "index.html", self._index(archives))

    def _lines(self, category: int) -> Iterator[pages.RoomLine]:
        for room in self._spool.rooms(category):
            if room.is_finished:
                yield pages.RoomLine(room, folder_of(room), *self._spool.extent(room.id))

    def _index(self, archives: list[str]) -> Iterator[str]:
        yield from self._opening(self._title, "")
        yield f'<h1 dir="auto">{by_number(self._title)}</h1>\n'
        made = sentence("Made on %(day)s. All times are UTC.", day=datetime.now(UTC).date())
        yield f"<p>{pages.words(made)}</p>\n"
        lines = {category: list(self._lines(category.id)) for category in self._spool.categories()}
        yield f"<p>{pages.words(self._sum(list(itertools.chain(*lines.values()))))}</p>\n"
        yield from pages.list_of_categories([(category, len(each)) for category, each in lines.items() if each])
        for category, each in lines.items():
            if each:
                yield from pages.category_section(category, each)
        if archives:
            title = sentence("The same as data, complete, for programs")
            yield f'<section>\n<h2>{pages.words(title)}</h2>\n<ul class="files">\n'
            for name in archives:
                yield f'<li><a href="{quote(name)}" download>{by_number(name)}</a></li>\n'
            yield "</ul>\n</section>\n"
        yield pages.closing()

    def _sum(self, lines: list[pages.RoomLine]) -> str:
        count = sum(line.messages for line in lines)
        messages = sentence_plural("%(n)s message", "%(n)s messages", count)
        return sentence_plural(
            "%(n)s room with %(messages)s", "%(n)s rooms with %(messages)s", len(lines), messages=messages
        )

    def _all_people(self) -> Iterator[str]:
        yield from self._opening(sentence("People"), "")
        yield f"<h1>{pages.words(sentence('People'))}</h1>\n"
        yield f'<p>{pages.words(sentence("Everybody who wrote in these rooms."))}</p>\n<ul class="writers">\n'
        for account, name, count in self._spool.writers():
            address = "" if account == name else f' <span class="account">{pages.isolated(account)}</span>'
            written = pages.words(sentence_plural("%(n)s message", "%(n)s messages", count))
            yield f'<li>{pages.isolated(name)}{address} <span class="size">{written}</span></li>\n'
        yield "</ul>\n" + pages.closing()

    def _search_page(self) -> Iterator[str]:
        yield from self._opening(sentence("Search"), "")
        says = {
            "label": sentence("Words"),
            "button": sentence("Search"),
            "help": sentence("Pages are found that have all of these words, or words that begin with them."),
            "none": sentence("No page has all of these words."),
            "one": sentence("1 page has all of these words."),
            "many": sentence("{n} pages have all of these words."),
            "more": sentence("Only the first {n} are listed: add a word."),
            "broken": sentence("The search index cannot be read. Is the folder complete?"),
        }
        data = "".join(f' data-{name}="{for_attribute(str(text))}"' for name, text in says.items())
        yield f'<h1>{pages.words(sentence("Search"))}</h1>\n<div id="search"{data}>\n<p>'
        yield pages.words(
            sentence(
                "The search needs JavaScript, which is off here. Everything else can be read without it: open a room,"
                " and look for words with the search of your browser."
            )
        )
        yield '</p>\n</div>\n<script src="search/search.js" defer></script>\n' + pages.closing()

    def _write_search(self) -> None:
        with SearchIndex(self.folder / "search") as index:
            for category in list(self._spool.categories()):
                for line in list(self._lines(category.id)):
                    division = PagesOfRoom(self._spool, line.room.id)
                    index.begin_room(line.room.name, category.name)
                    for page, messages in division.messages(self._spool, line.room.id):
                        path = "index.html" if division.is_one else page.path
                        index.add(f"{line.folder}/{path}", page.period, messages)
            index.write(written_whole)

    def _readme(self, archives: list[str]) -> Iterator[str]:
        for each in (
            sentence("This folder is an archive of persistent chat, to be read by people."),
            sentence("Open index.html in any browser. Nothing is loaded from elsewhere; no server is needed."),
            sentence("Each room has a folder below “rooms”; the files that were posted are below “files”."),
            sentence("Files that a browser would run have “.txt” added to their names."),
            sentence("%(file)s has the SHA-256 of every file: “sha256sum -c %(file)s” checks them.", file=SUMS),
            *[sentence("%(file)s has the same as data (format mms-chat, version 1).", file=name) for name in archives],
        ):
            yield f"{each}\n"

    def pack(self, path: Path) -> None:
        """A ZIP of the folder, and the checksums of all that is in it, beside it and in it."""
        with (
            written_whole(self.folder / SUMS) as sums,
            written_whole(path) as file,
            ZipFile(file, "w", allowZip64=True) as made,
        ):
            for each in _files_below(self.folder):
                name = each.relative_to(self.folder).as_posix()
                sums.write(f"{_packed(made, each, f'{path.stem}/{name}')}  {name}\n".encode())
            sums.flush()
            _packed(made, Path(sums.name), f"{path.stem}/{SUMS}")


def folder_of(room: SpooledRoom) -> str:
    """From the top. Its number makes it one; the words are for whoever looks at the folder."""
    plain = unicodedata.normalize("NFKD", room.name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
    return f"rooms/{room.id}-{words}" if words else f"rooms/{room.id}"


def _month(place: int) -> str:
    return f"{of_milliseconds(place):%Y-%m}"


def _write(path: Path, parts: Iterable[str]) -> None:
    with written_whole(path) as file:
        for part in parts:
            file.write(part.encode("utf-8", "replace"))


def _files_below(folder: Path) -> Iterator[Path]:
    """By stream, in the order of their names; without what is being written and without the checksums."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files_below(path)
        elif path.is_file() and path.name != SUMS and not path.name.startswith(".new-"):
            yield path


def _packed(made: ZipFile, path: Path, name: str) -> str:
    """Add a file; its SHA-256."""
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16
    info.file_size = path.stat().st_size
    info.compress_type = ZIP_DEFLATED if path.suffix.lstrip(".") in DEFLATED else ZIP_STORED
    digest = hashlib.sha256()
    with path.open("rb") as source, made.open(info, "w") as entry:
        while piece := source.read(PIECE):
            digest.update(piece)
            entry.write(piece)
    return digest.hexdigest()
