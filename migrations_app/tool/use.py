"""A use of the tool from end to end: migrate, send if that was asked for, and write what comes back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from django.db import transaction

from migrations_app.failures import Failure
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.eml_files import EmailBackend
from migrations_app.mail.messages import contents_of
from migrations_app.mail.servers import service_of
from migrations_app.tool.errors import Refused
from migrations_app.tool.migration import Counts, Migration
from migrations_app.tool.report import as_csv, as_page, rows_of
from migrations_app.tool.sending import Sending, check_may_send, send
from tenants_app.audit import Actor
from tenants_app.bulk import batched
from tenants_app.models import MailServerConnection
from tenants_app.wording import counted

CALENDAR, MESSAGES = "calendar", "messages"
"""The folders of what comes back."""
_TOGETHER = 100
"""Messages that are composed together."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a use of the tool has done."""

    counts: Counts
    sending: Sending | None
    sentence: str


def use(
    migration: Migration,
    folder: Path,
    actor: Actor,
    *,
    sends: bool = False,
    hand_over: Callable[[], object] = lambda: None,
) -> Done:
    """Migrate, and write the result into an empty ``folder``: the calendars, the report, and the messages, unless they
    are sent.

    All is written, and ``hand_over`` is called, before anything is committed that leads to mail: what fails on the way
    tells nobody anything. Raises ``Refused``, and ``OSError`` where the folder cannot be written.
    """
    if sends:
        check_may_send(migration.user)
    migration.work()
    counts, sending = migration.counts(), None
    _write_calendars(migration, folder / CALENDAR)
    if not sends:
        _write_messages(migration, folder / MESSAGES)
        _write_report(migration, folder, None)
    with transaction.atomic():
        if sends:
            sending = send(migration, actor)
            _write_report(migration, folder, sending)
        sentence = _sentence(counts, sending)
        migration.note(actor, sentence)
        hand_over()
    return Done(counts, sending, sentence)


def _sentence(counts: Counts, sending: Sending | None) -> str:
    told = (
        f"{counts.changed:,} of {counted(counts.all, 'meeting')} changed, {counts.skipped:,} left as they are, "
        f"{counts.failed:,} failed"
    )
    if counts.loses_dial_in:
        told += f", {counts.loses_dial_in:,} lose their dial-in part"
    if sending is None:
        return f"{told}; {counted(counts.messages, 'meeting')} to tell attendees of, by .eml files."
    again = f", {len(sending.told_already):,} were told already" if sending.told_already else ""
    return f"{told}; attendees of {counted(len(sending.queued), 'meeting')} are told by MMS{again}."


def _write_calendars(migration: Migration, folder: Path) -> None:
    for source in migration.mailbox.migrated():
        path = folder / PurePosixPath(source.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.octets)


def _write_report(migration: Migration, folder: Path, sending: Sending | None) -> None:
    with (folder / "report.csv").open("wb") as file:
        file.writelines(as_csv(rows_of(migration, sending)))
    with (folder / "report.html").open("wb") as file:
        file.writelines(as_page(migration, rows_of(migration, sending), sending))


def _write_messages(migration: Migration, folder: Path) -> None:
    """The messages as the outbox of files writes them: one file each, named after its Message-ID."""
    user = migration.user
    service = service_of(user.tenant, MailServerConnection.of(user.tenant))
    backend = EmailBackend(file_path=str(folder))
    to_tell = (outcome for outcome in migration.changed if outcome.recipient_count)
    for some in batched(to_tell, _TOGETHER):
        found = migration.mailbox.read([outcome.result.uid for outcome in some])
        messages: list[ComposedMessage] = []
        for outcome in some:
            stored = found[outcome.result.uid]
            with suppress(Failure):  # nobody is to be told of it
                contents = contents_of(outcome.result, user, stored, service, migration.run.created, user.language)
                messages += map(ComposedMessage.of, contents)
        backend.send_messages(messages)


def write_into(output: Path, migration: Migration, actor: Actor, *, sends: bool = False) -> Done:
    """:func:`use`, with a folder that is there only once all of it is written.

    ``output`` must not be there yet, or be empty. Raises ``Refused``.
    """
    check_output(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output.parent, prefix=".migrate-") as made:
            whole = Path(made, "whole")
            whole.mkdir()
            # An empty folder gives way.
            done = use(migration, whole, actor, sends=sends, hand_over=lambda: whole.replace(output))
    except OSError as error:
        raise Refused(
            f"{error.filename or output} cannot be written ({error.strerror}): check the path and its permissions."
        ) from error
    return done


def check_output(output: Path) -> None:
    """Raise ``Refused`` where something is there already: nothing is ever overwritten."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise Refused(f"{output} is no folder: choose one that is not there yet.")
    try:
        if output.exists() and any(output.iterdir()):
            raise Refused(f"{output} is not empty, and nothing is overwritten: choose a folder that is not there yet.")
    except OSError as error:
        raise Refused(f"{output} cannot be read ({error.strerror}): choose another folder.") from error
