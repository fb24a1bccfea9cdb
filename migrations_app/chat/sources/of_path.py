"""Which kind of source lies at a path, and opening it: nothing else knows the kinds by name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Self, cast

from migrations_app.chat.archive.containers import Zip
from migrations_app.chat.archive.limits import MANIFEST
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import Category, ChatFile, Message, Principal, Room
from migrations_app.chat.sources.base import Source
from migrations_app.chat.sources.unpacking import unpack
from tenants_app.sentences import sentence

KINDS: Mapping[str, str] = {
    "mms-chat": "archive:ArchiveSource",
    "mgc-tables": "tables:TablesSource",
    "compliance-xml": "compliance:ComplianceSource",
}
"""Module of this package and class: R103, R104, R105."""
_UNPACKED = {"mgc-tables": (".csv",), "compliance-xml": (".xml", ".csv")}
_TABLES = "tblnode.csv"


def kind_of(path: Path) -> str | None:
    """Which kind it looks like, by the names of what lies in it; None where it is none of them.

    Raises ``Unusable`` where it cannot be read, or is a hostile ZIP file.
    """
    if not path.is_dir() and path.suffix.lower() == ".xml":
        return "compliance-xml"
    entries = _names_in(path)
    names = {name.replace("\\", "/").rsplit("/", 1)[-1].lower() for name in entries}
    if MANIFEST in entries:
        return "mms-chat"
    if _TABLES in names:
        return "mgc-tables"
    is_compliance = any(name.endswith(".xml") for name in names) and all(
        name.endswith(_UNPACKED["compliance-xml"]) for name in names
    )
    return "compliance-xml" if is_compliance else None


def open_source(
    kind: str, path: Path, *, name: str = "", scratch: Path | None = None, leave_out: Collection[str] = ()
) -> Source:
    """Open what lies at the path. Raises ``Unusable`` with all that is wrong with it.

    Tables and compliance files may be packed into a ZIP file. ``scratch`` is a folder for what is made beside it while
    it is open; rooms in ``leave_out`` are passed over with their bad lines (R101).
    """
    if kind not in KINDS:
        raise Unusable(
            [
                Problem(
                    path.name,
                    None,
                    sentence(
                        "“%(kind)s” is no kind of source. Choose one of: %(kinds)s.", kind=kind, kinds=", ".join(KINDS)
                    ),
                )
            ]
        )
    if not path.exists():
        raise Unusable([Problem(path.name, None, sentence("There is neither a file nor a folder of this name."))])
    called = name or path.name
    if kind in _UNPACKED and path.is_file() and path.suffix.lower() != ".xml":
        return _Unpacked(kind, path, called, scratch, leave_out)
    return _opened(kind, path, called, scratch, leave_out)


def _opened(kind: str, path: Path, name: str, scratch: Path | None, leave_out: Collection[str]) -> Source:
    module, _, made = KINDS[kind].partition(":")
    opened = getattr(import_module(f"{__package__}.{module}"), made)
    return cast("Source", opened(path, name=name, scratch=scratch, leave_out=leave_out))


def _names_in(path: Path) -> Sequence[str]:
    if path.is_dir():
        return [each.name for each in path.iterdir()]
    zipped = Zip(path, is_entry=lambda _: True)
    zipped.close()
    return list(zipped.sizes)


class _Unpacked:
    """A source whose folder was unpacked for it, and goes with it."""

    def __init__(self, kind: str, path: Path, name: str, scratch: Path | None, leave_out: Collection[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="unpacked-", dir=scratch))
        try:
            unpack(path, self._folder, _UNPACKED[kind])
            self._source = _opened(kind, self._folder, name, scratch, leave_out)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.kind, self.name = kind, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._source.__exit__(*exception)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def principals(self) -> Iterator[Principal]:
        return self._source.principals()

    def categories(self) -> Iterator[Category]:
        return self._source.categories()

    def rooms(self) -> Iterator[Room]:
        return self._source.rooms()

    def messages(self, room: str) -> Iterator[Message]:
        return self._source.messages(room)

    def files(self) -> Iterator[ChatFile]:
        return self._source.files()

    def octets(self, file: ChatFile) -> IO[bytes] | None:
        return self._source.octets(file)

    @property
    def notes(self) -> Sequence[str]:
        return self._source.notes

    @property
    def ignored(self) -> Mapping[str, int]:
        return self._source.ignored
