"""What was given on the page, read in the background: it becomes an archive or evidence, or is refused (R101 to R106).

A reading is done by one process at a time, which holds the lock of its folder. One that is killed leaves the reading
as it was, and the next begins it again; what it had stored was stored with the reading's end in one transaction.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from migrations_app.chat import folders
from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.records import Level, Manifest
from migrations_app.chat.archives import check_name, store_export
from migrations_app.chat.evidence import chunks_of, kept_or_refused, store_evidence
from migrations_app.chat.exporting import Asked, ExportRefused, export, why_refused
from migrations_app.chat.sources.cmdlet_export import recognise
from migrations_app.chat.sources.of_path import KINDS, kind_of, open_source
from migrations_app.models import ChatArchive, ChatEvidence, ChatReading
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, Channel
from tenants_app.models import Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import escaped, sentences

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

MOST_OCTETS = 2 * 1024**3
"""Of a file that is given on the page: reading it must end before the cluster ends the task (``MMS_TASK_SECONDS``)."""
SUFFIXES = (".zip", ".xml")
ATTEMPTS = 3
"""A reading that was begun this often and never ended is given up."""


def submit(
    tenant: Tenant,
    actor: Actor,
    file: UploadedFile[bytes],
    *,
    kind: str = "",
    name: str = "",
    options: Mapping[str, Any],
) -> ChatReading:
    """Take a file in and have it read. ``options`` are those of :func:`asked_of`. Raises ``ValidationError``."""
    file_name = Path(str(file.name or "").replace("\\", "/")).name
    suffix = Path(file_name).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValidationError(
            {
                "file": sentence(
                    "Give a ZIP file, or one XML file of compliance: a chat archive, or a ZIP of the CSV files of the "
                    "tables, or of XML files."
                )
            }
        )
    if file.size is not None and file.size > MOST_OCTETS:
        raise ValidationError({"file": _too_large()})
    if kind and kind not in KINDS:
        raise ValidationError({"kind": sentence("Choose one of: %(kinds)s.", kinds=", ".join(KINDS))})
    refused = why_refused(asked_of(options))
    if refused:
        raise ValidationError({"level": refused})
    called = check_name(tenant, name or Path(file_name).stem[:150])
    with kept_or_refused(), folders.new_folder(tenant.pk, folders.READINGS) as (folder, path):
        _write(path / f"given{suffix}", file)
        with transaction.atomic():
            reading = ChatReading.objects.create(
                tenant=tenant,
                file_name=escaped(file_name, keeps="")[:255],
                folder=folder,
                kind=kind,
                options={**_plain(options), "name": called},
                requested_by=actor.name,
            )
            wake_cluster()
    return reading


def asked_of(options: Mapping[str, Any]) -> Asked:
    """What is to be exported, by ``level``, ``scope``, ``start_date`` (ISO), ``include_disabled``.

    Raises ``ValidationError``.
    """
    try:
        level = Level(options.get("level") or Level.ALL)
    except ValueError:
        raise ValidationError({"level": sentence("Choose one of: %(levels)s.", levels=", ".join(Level))}) from None
    start = options.get("start_date") or None
    try:
        start_date = date.fromisoformat(start) if isinstance(start, str) else start
    except ValueError:
        raise ValidationError({"start_date": sentence("Give a date such as 2012-01-31.")}) from None
    return Asked(
        level=level,
        scope=tuple(options.get("scope") or ()),
        start_date=start_date,
        include_disabled=bool(options.get("include_disabled")),
    )


# --- what the background service does -----------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Read what waits, oldest first. It makes no run due."""
    tried: set[int] = set()
    waiting = ChatReading.objects.filter(state=ChatReading.State.WAITING)
    waiting = waiting.order_by("created", "pk")
    while timezone.now() < until and (reading := waiting.exclude(pk__in=tried).select_related("tenant").first()):
        tried.add(reading.pk)
        with folders.held(reading.tenant_id, folders.READINGS, reading.folder, waits=False) as is_held:
            if is_held and _is_waiting(reading):
                _attempt(reading)
    return False


def is_due(now: datetime) -> bool:
    """Whether something waits to be read."""
    return ChatReading.objects.filter(state=ChatReading.State.WAITING).exists()


def settles_at() -> datetime | None:
    """None: readings do not wait for a settling time."""
    return None


def sweep() -> int:
    """Remove what was given and has been read, or never got a row. Returns how many folders that were."""
    removed = 0
    for found in folders.lying(folders.READINGS):
        with folders.held(found.tenant, folders.READINGS, found.name, waits=False) as is_held:
            waiting = ChatReading.objects.filter(
                tenant=found.tenant, folder=found.name, state=ChatReading.State.WAITING
            )
            if is_held and not waiting.exists():
                folders.remove(found.tenant, folders.READINGS, found.name)
                removed += 1
    return removed


def _is_waiting(reading: ChatReading) -> bool:
    """Asked again under the lock: another process may have read it meanwhile."""
    reading.refresh_from_db(fields=["state", "attempts"])
    return reading.state == ChatReading.State.WAITING


def _attempt(reading: ChatReading) -> None:
    if reading.attempts >= ATTEMPTS:
        _refuse(
            reading,
            [
                sentence(
                    "Reading it was begun several times and never ended. Read it with the command export_chat, which "
                    "has all the time it needs, or look into the log of the workers."
                )
            ],
        )
        return
    ChatReading.objects.filter(pk=reading.pk).update(attempts=F("attempts") + 1)
    try:
        _read(reading)
    except Unusable as unusable:
        _refuse(reading, [problem.in_a_sentence for problem in unusable.problems], unusable.count)
    except ExportRefused as refused:
        _refuse(reading, [refused.sentence])
    except ValidationError as error:
        _refuse(reading, [sentences(error)])
    except OSError as error:
        log.exception("chat reading %s could not be stored", reading.pk)
        _refuse(
            reading,
            [
                sentence(
                    "It could not be stored (%(what)s). Look at the disk of MMS_DATA_DIR, and give the file again.",
                    what=error.strerror or type(error).__name__,
                )
            ],
        )
    except Exception:
        log.exception("chat reading %s could not go on; it is tried again", reading.pk)


def _read(reading: ChatReading) -> None:
    folder = folders.folder_of(reading.tenant_id, folders.READINGS, reading.folder)
    path = (
        next((each for each in folder.iterdir() if each.name.startswith("given.")), None) if folder.is_dir() else None
    )
    if path is None:
        raise ValidationError(sentence("What was given is not there any more: give the file again."))
    actor = Actor(reading.requested_by, Channel.SERVICE)
    kind = reading.kind or kind_of(path)
    if kind is None or kind_of(path) is None:
        evidence = recognise(path)
        if evidence is not None:
            _store_evidence(reading, actor, path, evidence.what, evidence.dated)
            return
    if kind is None:
        raise ValidationError(
            sentence(
                "This is no chat archive, no ZIP of tables (there is no tblNode.csv), no compliance file, and no ZIP "
                "of Export-CsPersistentChatData."
            )
        )
    options = reading.options

    def fill(into: Path) -> Manifest:
        asked = asked_of(options)
        leave_out = tuple(options.get("leave_out") or ())
        if kind == "mms-chat" and not leave_out and asked == Asked(include_disabled=asked.include_disabled):
            # As it is, with the manifest that it has: what a plan leaves out is decided there.
            return copy(path, into)
        with open_source(kind, path, name=reading.file_name, scratch=folder, leave_out=leave_out) as source:
            return export(source, into, asked)

    store_export(reading.tenant, actor, options["name"], fill, lambda archive: _end(reading, archive=archive))
    _forget(reading)


def _store_evidence(reading: ChatReading, actor: Actor, path: Path, what: str, dated: datetime | None) -> None:
    store_evidence(
        reading.tenant,
        actor,
        chunks_of(path),
        file_name=reading.file_name,
        what=what,
        dated=dated,
        also=lambda evidence: _end(reading, evidence=evidence),
    )
    _forget(reading)


def _end(reading: ChatReading, *, archive: ChatArchive | None = None, evidence: ChatEvidence | None = None) -> None:
    reading.state = ChatReading.State.READ
    reading.archive, reading.evidence, reading.finished_at = archive, evidence, timezone.now()
    reading.save(update_fields=["state", "archive", "evidence", "finished_at"])


def _refuse(reading: ChatReading, problems: list[str], count: int | None = None) -> None:
    reading.state = ChatReading.State.REFUSED
    reading.problems, reading.finished_at = problems, timezone.now()
    reading.problem_count = len(problems) if count is None else count
    reading.save(update_fields=["state", "problems", "problem_count", "finished_at"])
    _forget(reading)


def _forget(reading: ChatReading) -> None:
    """What was given has text in it: it goes as soon as nobody needs it."""
    folders.remove(reading.tenant_id, folders.READINGS, reading.folder)


def _write(path: Path, file: UploadedFile[bytes]) -> None:
    count = 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as into:
        for chunk in file.chunks():
            count += len(chunk)
            if count > MOST_OCTETS:
                raise ValidationError({"file": _too_large()})
            into.write(chunk)
        into.flush()
        os.fsync(into.fileno())


def _too_large() -> str:
    return sentence(
        "The file is larger than %(n)s octets, which is too much for a page. Copy it to the server, and read it with "
        "the command export_chat.",
        n=MOST_OCTETS,
    )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As the row keeps them."""
    asked = asked_of(options)
    return {
        "level": asked.level.value,
        "scope": list(asked.scope),
        "start_date": None if asked.start_date is None else asked.start_date.isoformat(),
        "include_disabled": asked.include_disabled,
        "leave_out": list(options.get("leave_out") or ()),
    }
