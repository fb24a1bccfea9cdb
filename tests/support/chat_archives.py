"""Archives that are changed by hand: as whoever wants to harm, or has damaged one, would leave them."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def copied(folder: Path, into: Path) -> Path:
    shutil.copytree(folder, into)
    return into


def changed(folder: Path, entry: str, change: Callable[[bytes], bytes], **counts: int) -> None:
    """Change an entry, or make it, so that its checksum is right all the same."""
    path = folder / entry
    octets = change(path.read_bytes() if path.exists() else b"")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(octets)
    with_manifest(folder, lambda manifest: _listed(manifest, entry, octets, counts))


def with_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the manifest says."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")


def with_line(number: int, **fields: Any) -> Callable[[bytes], bytes]:
    """A change of some fields of the line of that number, from 1."""

    def change(octets: bytes) -> bytes:
        lines = octets.splitlines(keepends=True)
        made = json.loads(lines[number - 1]) | fields
        lines[number - 1] = json.dumps(made, ensure_ascii=False).encode() + b"\n"
        return b"".join(lines)

    return change


def instead_of_line(number: int, octets: bytes) -> Callable[[bytes], bytes]:
    """A change that puts these octets in the place of the line of that number."""

    def change(all_octets: bytes) -> bytes:
        lines = all_octets.splitlines(keepends=True)
        lines[number - 1] = octets + b"\n"
        return b"".join(lines)

    return change


def zip_of(path: Path, entries: Mapping[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for name, octets in entries.items():
            zipped.writestr(name, octets)
    return path


def _listed(manifest: dict[str, Any], entry: str, octets: bytes, counts: dict[str, int]) -> None:
    others = [each for each in manifest["entries"] if each["path"] != entry]
    lines = octets.count(b"\n") + (not octets.endswith(b"\n") and bool(octets))
    mine = {"path": entry, "bytes": len(octets), "lines": lines, "sha256": hashlib.sha256(octets).hexdigest()}
    manifest["entries"] = [*others, mine]
    manifest["counts"] |= counts
