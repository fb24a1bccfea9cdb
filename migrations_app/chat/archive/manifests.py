"""The manifest of an archive, compared with the entries that are there (R102)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from migrations_app.chat.archive import fields
from migrations_app.chat.archive.containers import BROKEN, Container
from migrations_app.chat.archive.json_lines import BadLine, object_of
from migrations_app.chat.archive.limits import MANIFEST, is_entry, sha256_of
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.records import Manifest
from tenants_app.sentences import sentence


def read_manifest(container: Container, name: str) -> tuple[Manifest, str]:
    """The manifest and its SHA-256. Raises ``Unusable`` where it cannot be read, or lists other entries, or others'
    sizes, than are there."""
    if MANIFEST not in container.sizes:
        raise Unusable(
            [
                Problem(
                    name,
                    None,
                    sentence(
                        "There is no manifest.json at its top, so this is not a chat archive. If there is a folder "
                        "around the archive, give MMS what is in that folder."
                    ),
                )
            ]
        )
    try:
        with container.open(MANIFEST) as stream:
            octets = stream.read()
    except BROKEN:
        raise Unusable([Problem(MANIFEST, None, sentence("The entry is damaged."))]) from None
    try:
        manifest = fields.manifest_of(object_of(octets, longest=len(octets)))
    except BadLine as bad:
        raise Unusable([Problem(MANIFEST, None, bad.reason)]) from None
    problems = list(_compared(container, manifest))
    if problems:
        raise Unusable(problems)
    return manifest, hashlib.sha256(octets).hexdigest()


def _compared(container: Container, manifest: Manifest) -> Iterator[Problem]:
    listed: set[str] = set()
    for entry in manifest.entries:
        if not is_entry(entry.path):
            yield Problem(MANIFEST, None, sentence("It lists “%(path)s”, which no archive has.", path=entry.path[:300]))
        elif entry.path in listed:
            yield Problem(MANIFEST, None, sentence("It lists %(path)s twice.", path=entry.path))
        elif entry.path not in container.sizes:
            yield Problem(entry.path, None, sentence("The manifest lists this entry, and it is not there."))
        elif container.sizes[entry.path] != entry.bytes:
            yield Problem(
                entry.path,
                None,
                sentence(
                    "It has %(found)s octets, and %(listed)s by the manifest.",
                    found=container.sizes[entry.path],
                    listed=entry.bytes,
                ),
            )
        elif (named := sha256_of(entry.path)) and named != entry.sha256:
            yield Problem(entry.path, None, sentence("Its name is not the checksum that the manifest has of it."))
        listed.add(entry.path)
    for path in container.sizes:
        if path != MANIFEST and path not in listed:
            yield Problem(path, None, sentence("The manifest does not list this entry."))
