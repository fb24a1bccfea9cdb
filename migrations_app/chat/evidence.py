"""Files that MMS keeps and does not read: what was exported (R106), and what proves a step (R127)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.chat import folders
from migrations_app.models import ChatEvidence
from tenants_app.audit import Actor, entry
from tenants_app.models import Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import escaped

MOST_OCTETS = 64 * 1024**3
_FILE = "given"
_CHUNK = 256 * 1024


def store_evidence(
    tenant: Tenant,
    actor: Actor,
    chunks: Iterable[bytes],
    *,
    file_name: str,
    what: str,
    dated: datetime | None = None,
    also: Callable[[ChatEvidence], None] = lambda evidence: None,
) -> ChatEvidence:
    """Keep a file as it is, with its checksum; ``also`` is done in the transaction that stores it.

    Raises ``ValidationError`` where it is too large, and ``OSError`` where it cannot be read or written.
    """
    with folders.new_folder(tenant.pk, folders.EVIDENCE) as (folder, path):
        sha256, count = _written(path / _FILE, chunks)
        evidence = ChatEvidence(
            tenant=tenant,
            file_name=escaped(file_name, keeps="")[:255],
            folder=folder,
            bytes=count,
            sha256=sha256,
            dated=dated,
            what=what,
            stored_by=actor.name,
        )
        with transaction.atomic():
            evidence.save()
            also(evidence)
            entry(
                tenant,
                actor,
                "store chat evidence",
                evidence.file_name,
                after={"sha256": sha256, "bytes": count},
            ).save()
    return evidence


@contextmanager
def kept_or_refused() -> Iterator[None]:
    """For what is given on a page: raises ``ValidationError`` where the disk does not take it."""
    try:
        yield
    except OSError as error:
        raise ValidationError(
            sentence(
                "The file cannot be kept (%(what)s): look at the disk of MMS_DATA_DIR, and give it again.",
                what=error.strerror or type(error).__name__,
            )
        ) from error


def download(evidence: ChatEvidence, actor: Actor) -> Iterator[bytes]:
    """The file, by stream, audited before the first octet. Raises ``ValidationError`` where it is gone."""
    path = folders.folder_of(evidence.tenant_id, folders.EVIDENCE, evidence.folder) / _FILE
    if not path.is_file():
        raise ValidationError(
            sentence("The file is gone. Bring it back from the backup of MMS_DATA_DIR, where it lay below chat/.")
        )
    entry(
        evidence.tenant, actor, "download chat evidence", evidence.file_name, after={"sha256": evidence.sha256}
    ).save()
    return chunks_of(path)


def chunks_of(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def sweep() -> int:
    """Remove the folders that no row names. Returns how many."""
    removed = 0
    for found in folders.lying(folders.EVIDENCE):
        with folders.held(found.tenant, folders.EVIDENCE, found.name, waits=False) as is_held:
            if is_held and not ChatEvidence.objects.filter(tenant=found.tenant, folder=found.name).exists():
                folders.remove(found.tenant, folders.EVIDENCE, found.name)
                removed += 1
    return removed


def _written(path: Path, chunks: Iterable[bytes]) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        for chunk in chunks:
            count += len(chunk)
            if count > MOST_OCTETS:
                raise ValidationError(sentence("The file is larger than %(n)s octets.", n=MOST_OCTETS))
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), count
