"""A use of the tool from end to end: migrate, send if that was asked for, and write what comes back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from django.db import transaction
from django.utils.translation import gettext as _

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
from tenants_app.sentences import sentence, sentence_plural

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
        summary = _sentence(counts, sending)
        migration.note(actor, summary)
        hand_over()
    return Done(counts, sending, summary)


def _sentence(counts: Counts, sending: Sending | None) -> str:
    told = sentence_plural(
        "%(changed)s of %(n)s meeting changed, %(skipped)s left as they are, %(failed)s failed",
        "%(changed)s of %(n)s meetings changed, %(skipped)s left as they are, %(failed)s failed",
        counts.all,
        changed=counts.changed,
        skipped=counts.skipped,
        failed=counts.failed,
    )
    if counts.loses_dial_in:
        told = sentence("%(told)s, %(count)s lose their dial-in part", told=told, count=counts.loses_dial_in)
    if sending is None:
        return sentence_plural(
            "%(told)s; %(n)s meeting to tell attendees of, by .eml files.",
            "%(told)s; %(n)s meetings to tell attendees of, by .eml files.",
            counts.messages,
            told=told,
        )
    if sending.told_already:
        return sentence_plural(
            "%(told)s; attendees of %(n)s meeting are told by MMS, %(again)s were told already.",
            "%(told)s; attendees of %(n)s meetings are told by MMS, %(again)s were told already.",
            len(sending.queued),
            told=told,
            again=len(sending.told_already),
        )
    return sentence_plural(
        "%(told)s; attendees of %(n)s meeting are told by MMS.",
        "%(told)s; attendees of %(n)s meetings are told by MMS.",
        len(sending.queued),
        told=told,
    )


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
            _(
                "%(filename)s cannot be written (%(strerror)s): check the path, its permissions, and the free space on "
                "the disk."
            )
            % {"filename": error.filename or output, "strerror": error.strerror}
        ) from error
    return done


def check_output(output: Path) -> None:
    """Raise ``Refused`` where something is there already: nothing is ever overwritten."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise Refused(_("%(output)s is no folder: choose one that is not there yet.") % {"output": output})
    try:
        if output.exists() and any(output.iterdir()):
            raise Refused(
                _("%(output)s is not empty, and nothing is overwritten: choose a folder that is not there yet.")
                % {"output": output}
            )
    except OSError as error:
        raise Refused(
            _("%(output)s cannot be read (%(strerror)s): choose another folder.")
            % {"output": output, "strerror": error.strerror}
        ) from error
