"""The search index of an archive for people: which pages have which words, in scripts that a browser loads from a file.

Words are divided among files by their first two characters, so that a search loads few of them and finds words that
begin with what is typed. Memory: what one file of the index has, whatever the archive holds.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, Self

from migrations_app.chat.targets.spool import SpooledMessage
from migrations_app.chat.targets.whole_files import private_folder

SHARDS = 256
POSTINGS_A_SHARD = 20_000
LONGEST = 32
"""Characters of a word; of longer ones, these many are looked up."""
_NOT_SPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts without spaces between words (as in ``search.js``): every two characters beside each other are one."""
_WORD = re.compile(rf"[{_NOT_SPACED}]+|[^\W_{_NOT_SPACED}]+")
_UNSPACED = re.compile(rf"[{_NOT_SPACED}]")

Written = Callable[[Path], AbstractContextManager[IO[bytes]]]


def words_of(text: str) -> Iterator[str]:
    """The words of a text as they are looked up: small, without accents. ``search.js`` does the same."""
    text = text.lower()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        bare = "".join(each for each in text if not unicodedata.category(each).startswith("M"))
        text = unicodedata.normalize("NFC", bare).replace("ς", "σ")
    for found in _WORD.finditer(text):
        word = found[0]
        if _UNSPACED.match(word):
            yield from (word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        else:
            yield word[:LONGEST]


def shard_of(word: str, shards: int) -> int:
    first, second = ord(word[0]), ord(word[1]) if len(word) > 1 else 0
    return (first * 31 + second) % shards


class SearchIndex:
    """Is made in a folder of its own beside the index, which is then written at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rooms: list[tuple[str, str]] = []
        self._pages: IO[str] | None = None
        self._page_count = self._postings = 0
        self._open = ExitStack()
        self._buckets: list[IO[str]] = []

    def __enter__(self) -> Self:
        private_folder(self._folder)
        self._made = Path(tempfile.mkdtemp(dir=self._folder.parent.parent, prefix=".new-index-"))
        self._open.callback(shutil.rmtree, self._made, ignore_errors=True)
        self._pages = self._open.enter_context((self._made / "pages").open("w+", encoding="utf-8"))
        self._buckets = [
            self._open.enter_context((self._made / str(number)).open("w+", encoding="utf-8"))
            for number in range(SHARDS)
        ]
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def begin_room(self, name: str, category: str) -> None:
        self._rooms.append((name, category))

    def add(self, path: str, period: str, messages: Iterable[SpooledMessage]) -> None:
        """A page of the room that was begun."""
        words: set[str] = set()
        for message in messages:
            words.update(words_of(message.text))
            words.update(words_of(message.author))
            words.update(words_of(message.file_name))
        words.update(words_of(self._rooms[-1][0]))
        assert self._pages is not None  # noqa: S101 - open
        self._pages.write(_json([path, len(self._rooms) - 1, period]) + "\n")
        for word in words:
            self._buckets[shard_of(word, SHARDS)].write(f"{word}\t{self._page_count}\n")
        self._postings += len(words)
        self._page_count += 1

    def write(self, written: Written) -> None:
        shards = 1
        while shards < SHARDS and self._postings > shards * POSTINGS_A_SHARD:
            shards *= 2
        for number in range(shards):
            with written(self._folder / f"words-{number}.js") as file:
                file.write(f"mmsWords({number},[".encode())
                for at, (word, pages) in enumerate(sorted(self._words(number, shards).items())):
                    file.write(f'{"," if at else ""}{_json(word)},"{_packed(pages)}"'.encode())
                file.write(b"]);\n")
        with written(self._folder / "pages.js") as file:
            file.write(f"mmsPages({shards},{_json(self._rooms)},[\n".encode("utf-8", "replace"))
            assert self._pages is not None  # noqa: S101 - open
            self._pages.seek(0)
            for at, line in enumerate(self._pages):
                file.write(f"{',' if at else ''}{line}".encode())
            file.write(b"]);\n")
        for path in self._folder.glob("words-*.js"):
            if int(path.stem.partition("-")[2]) >= shards:
                path.unlink()

    def _words(self, number: int, shards: int) -> dict[str, array[int]]:
        found: dict[str, array[int]] = {}
        for bucket in range(number, SHARDS, shards):
            self._buckets[bucket].seek(0)
            for line in self._buckets[bucket]:
                word, _, page = line.rstrip("\n").partition("\t")
                found.setdefault(word, array("I")).append(int(page))
        return found


def _packed(pages: Iterable[int]) -> str:
    """The distance from each to the one before, in base 36."""
    before, parts = 0, []
    for page in pages:
        parts.append(_base_36(page - before))
        before = page
    return " ".join(parts)


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits or "0"


def _json(value: object) -> str:
    """As JavaScript reads it, too; half characters by their number."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
