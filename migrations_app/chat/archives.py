"""Archives that MMS keeps: stored whole or not at all, read, downloaded, deleted (R100, R102, R129)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from migrations_app.chat import folders
from migrations_app.chat.archive.limits import MANIFEST
from migrations_app.chat.archive.packing import packed
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.reading import Archive, open_archive
from migrations_app.chat.archive.records import Manifest
from migrations_app.models import ChatArchive, ChatPlan, ChatSettings
from tenants_app.audit import SERVICE, Actor, entry
from tenants_app.models import Tenant
from tenants_app.sentences import sentence
from tenants_app.validators import validate_one_line

NEEDED_BY = (
    ChatPlan.State.PLANNING,
    ChatPlan.State.READY,
    ChatPlan.State.IMPORTING,
    ChatPlan.State.PAUSED,
    ChatPlan.State.STOPPED,
)
"""States of a plan that is not finished: its archive is needed."""

KEPT_WITHOUT_ROW = timedelta(days=7)
"""How long a whole archive that no row names is kept."""
_LONGEST_NAME = 150


def settings_of(tenant: Tenant) -> ChatSettings:
    """How the tenant wants its chat to be treated; the defaults, unsaved, where nobody has said anything."""
    return ChatSettings.objects.filter(tenant=tenant).first() or ChatSettings(tenant=tenant)


@transaction.atomic
def set_settings(tenant: Tenant, actor: Actor, **values: Any) -> ChatSettings:
    """Change ``separator`` or ``keep_archives_days``. Raises ``ValidationError``."""
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    settings = settings_of(tenant)
    before = {name: getattr(settings, name) for name in values}
    for name, value in values.items():
        setattr(settings, name, value)
    settings.full_clean(exclude=["tenant"], validate_unique=False)
    if not settings.separator.strip():
        raise ValidationError(
            {"separator": sentence("Between two names something must stand that is seen, such as “ - ”.")}
        )
    after = {name: getattr(settings, name) for name in values}
    changed = [name for name in values if before[name] != after[name]]
    if changed:
        settings.save()
        entry(
            tenant,
            actor,
            "change chat settings",
            tenant.name,
            {name: before[name] for name in changed},
            {name: after[name] for name in changed},
        ).save()
    return settings


def find_archive(tenant: Tenant, name: str) -> ChatArchive:
    """The stored archive of that name, whatever its capital letters. Raises ``ValidationError``."""
    found = ChatArchive.objects.filter(tenant=tenant, name__iexact=name.strip(), state=ChatArchive.State.STORED).first()
    if found is None:
        names = ChatArchive.objects.filter(tenant=tenant, state=ChatArchive.State.STORED).values_list("name", flat=True)
        named = ", ".join(names[:10])
        raise ValidationError(
            sentence("There is no archive “%(name)s”. There are: %(names)s.", name=name, names=named)
            if named
            else sentence("There is no archive “%(name)s”, and no other one.", name=name)
        )
    return found


def check_name(tenant: Tenant, name: str) -> str:
    """The name, cleaned. Raises ``ValidationError`` where no archive can have it, or a stored one has it already."""
    name = name.strip()
    if not name:
        raise ValidationError({"name": sentence("Give the archive a name.")})
    if len(name) > _LONGEST_NAME:
        raise ValidationError({"name": sentence("Let the name have at most %(n)s characters.", n=_LONGEST_NAME)})
    validate_one_line(name)
    if ChatArchive.objects.filter(tenant=tenant, state=ChatArchive.State.STORED, name__iexact=name).exists():
        raise _taken(name)
    return name


def store_export(
    tenant: Tenant,
    actor: Actor,
    name: str,
    fill: Callable[[Path], Manifest],
    also: Callable[[ChatArchive], None] = lambda archive: None,
) -> ChatArchive:
    """Store an archive that ``fill`` writes into an empty folder; ``also`` is done in the transaction that stores it.

    Whatever ``fill`` raises is raised; there is then nothing left. The row, its audit entry and the folder are there
    together or not at all: a process that is killed leaves a folder that no row names, and :func:`sweep` removes it.
    """
    name = check_name(tenant, name)
    with folders.new_folder(tenant.pk, folders.ARCHIVES) as (folder, path):
        manifest = fill(path)
        archive = ChatArchive(
            tenant=tenant,
            name=name,
            folder=folder,
            source=manifest.source[:300],
            level=manifest.level.value,
            scope=list(manifest.scope),
            start_date=manifest.start_date,
            exported_at=manifest.created,
            counts=_counts(manifest),
            notes=list(manifest.notes),
            bytes=folders.size_of(path),
            sha256=_sha256(path / MANIFEST),
            newest_at=_newest(path),
            stored_by=actor.name,
        )
        try:
            with transaction.atomic():
                archive.save()
                also(archive)
                entry(
                    tenant,
                    actor,
                    "store chat archive",
                    name,
                    after={
                        "source": archive.source,
                        "level": archive.level,
                        "sha256": archive.sha256,
                        "rooms": manifest.counts.get("rooms", 0),
                        "messages": manifest.counts.get("messages", 0),
                    },
                ).save()
        except IntegrityError:  # meanwhile somebody else has stored one of this name
            raise _taken(name) from None
    return archive


def open_stored(archive: ChatArchive) -> Archive:
    """Open it for reading; each entry is verified before its first line is given (R102).

    Raises ``Unusable`` where it was deleted, or is not the one that was stored.
    """
    if archive.state != ChatArchive.State.STORED:
        raise Unusable([Problem(archive.name, None, sentence("The archive was deleted."))])
    path = folder_of(archive)
    if not path.is_dir():
        raise Unusable(
            [
                Problem(
                    archive.name,
                    None,
                    sentence(
                        "Its folder is gone. Bring it back from the backup of MMS_DATA_DIR: chat/%(tenant)s/archives/"
                        "%(folder)s.",
                        tenant=str(archive.tenant_id),
                        folder=archive.folder,
                    ),
                )
            ]
        )
    opened = open_archive(path, check=False)
    if opened.digest != archive.sha256:
        opened.close()
        raise Unusable([Problem(MANIFEST, None, sentence("This is not the manifest of the archive that was stored."))])
    return opened


def folder_of(archive: ChatArchive) -> Path:
    """Its folder."""
    return folders.folder_of(archive.tenant_id, folders.ARCHIVES, archive.folder)


def zipped(archive: ChatArchive, actor: Actor) -> Iterator[bytes]:
    """The archive as a ZIP file, by stream. Who takes it away is audited before the first octet is given (R129).

    Raises ``ValidationError`` where it cannot be read.
    """
    try:
        open_stored(archive).close()
    except Unusable as unusable:
        raise ValidationError(unusable.in_a_sentence) from None
    entry(archive.tenant, actor, "download chat archive", archive.name, after={"sha256": archive.sha256}).save()
    return packed(folder_of(archive))


def why_not_deleted(archive: ChatArchive) -> str:
    """Which plan needs it still; empty where none does."""
    plan = archive.plans.filter(state__in=NEEDED_BY).order_by("number").first()
    if plan is None:
        return ""
    return sentence(
        "Plan %(number)s needs the archive and is not finished: end its import, or replace the plan, before.",
        number=str(plan.number),
    )


@transaction.atomic
def delete_archive(archive: ChatArchive, actor: Actor) -> bool:
    """Delete what it holds; its row stays, and says who did it. Returns whether it was there still.

    Raises ``ValidationError`` where a plan that is not finished needs it.
    """
    Tenant.objects.select_for_update().get(pk=archive.tenant_id)
    found = ChatArchive.objects.select_for_update().get(pk=archive.pk)
    if found.state != ChatArchive.State.STORED:
        return False
    why_not = why_not_deleted(found)
    if why_not:
        raise ValidationError(why_not)
    _mark_deleted(found, actor)
    return True


def delete_old(now: datetime) -> int:
    """Delete what tenants do not want to be kept any longer. Returns how many archives that were."""
    deleted = 0
    for settings in ChatSettings.objects.filter(keep_archives_days__isnull=False).select_related("tenant"):
        until = now - timedelta(days=settings.keep_archives_days or 0)
        for archive in ChatArchive.objects.filter(
            tenant=settings.tenant, state=ChatArchive.State.STORED, stored_at__lt=until
        ).order_by("stored_at"):
            with suppress(ValidationError):  # a plan needs it still: the next look asks again
                deleted += delete_archive(archive, SERVICE)
    return deleted


def sweep(now: datetime) -> int:
    """Remove the folders that no stored archive has: of what was deleted, and of what was cut off.

    One that was written to its end, but has no row, may be of a database that was brought back from a backup: it is
    kept for a while. Returns how many were removed.
    """
    removed = 0
    for found in folders.lying(folders.ARCHIVES):
        with folders.held(found.tenant, folders.ARCHIVES, found.name, waits=False) as is_held:
            if not is_held:
                continue
            row = ChatArchive.objects.filter(tenant=found.tenant, folder=found.name).only("state").first()
            if row is None and (found.path / MANIFEST).exists() and _age(found.path, now) < KEPT_WITHOUT_ROW:
                continue
            if row is None or row.state == ChatArchive.State.DELETED:
                folders.remove(found.tenant, folders.ARCHIVES, found.name)
                removed += 1
    return removed


def _mark_deleted(archive: ChatArchive, actor: Actor) -> None:
    archive.state = ChatArchive.State.DELETED
    archive.deleted_at = timezone.now()
    archive.deleted_by = "" if actor == SERVICE else actor.name
    archive.save(update_fields=["state", "deleted_at", "deleted_by"])
    entry(
        archive.tenant,
        actor,
        "delete chat archive",
        archive.name,
        before={"sha256": archive.sha256, "bytes": archive.bytes},
    ).save()
    tenant, folder = archive.tenant_id, archive.folder
    transaction.on_commit(lambda: folders.remove(tenant, folders.ARCHIVES, folder))


def _counts(manifest: Manifest) -> dict[str, Any]:
    """As the manifest has them; what was not taken of each kind in one of its own."""
    prefix = "ignored:"
    counts: dict[str, Any] = {name: count for name, count in manifest.counts.items() if not name.startswith(prefix)}
    ignored = {name.removeprefix(prefix): count for name, count in manifest.counts.items() if name.startswith(prefix)}
    return counts | {"ignored": ignored}


def _newest(path: Path) -> datetime | None:
    with open_archive(path, check=False) as opened:
        return max((room.last for room in opened.rooms() if room.last is not None), default=None)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _age(path: Path, now: datetime) -> timedelta:
    return timedelta(seconds=now.timestamp() - path.stat().st_mtime)


def _taken(name: str) -> ValidationError:
    return ValidationError(
        {"name": sentence("There is an archive “%(name)s” already: choose another name.", name=name)}
    )
