"""The guided sequence: what is done in which order, by whom, when, and how they know (R127).

For Persistent Chat it is the documented one; for other targets MMS copies, and it is shorter. No step before its
predecessors, and the gate of R125 before *uninstall*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.chat import endpoint, gate, step_rows
from migrations_app.models import ChatEvidence, ChatPlan, ChatStep, ChatTarget
from tenants_app.audit import Actor, entry
from tenants_app.sentences import Sentence, english, one_after_the_other, sentence

Said = Mapping[str, ChatStep]
_Hindrance = Callable[[ChatPlan, Said], Sentence | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A step as it is for every plan."""

    key: str
    title: Sentence
    what: Sentence
    commands: Callable[[ChatPlan], Sequence[str]] = lambda plan: ()
    hindrance: _Hindrance = lambda plan, said: None
    """Beside predecessors: what MMS itself sees against it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan."""

    key: str
    number: int
    title: Sentence
    what: Sentence
    commands: Sequence[str]
    """Lines to run, where there are some."""
    done: ChatStep | None
    why_not: Sentence | str
    """Why it cannot be ticked now; empty where it can, or is."""


def steps_of(plan: ChatPlan) -> list[Step]:
    """The steps of this plan in their order."""
    said = step_rows.said_of(plan)
    steps, before = [], None
    for number, kind in enumerate(kinds_of(plan), 1):
        done = said.get(kind.key)
        why_not: Sentence | str = ""
        if done is None:
            why_not = (
                sentence("First comes: %(step)s.", step=before.title)
                if before is not None
                else (kind.hindrance(plan, said) or "")
            )
        steps.append(Step(kind.key, number, kind.title, kind.what, list(kind.commands(plan)), done, why_not))
        if done is None and before is None:
            before = kind
    return steps


def kinds_of(plan: ChatPlan) -> Sequence[_Kind]:
    return _OF_PERSISTENT_CHAT if plan.target.kind == ChatTarget.Kind.PCHAT else _OF_OTHERS


@transaction.atomic
def do_step(plan: ChatPlan, actor: Actor, key: str, evidence: str = "", file: ChatEvidence | None = None) -> ChatStep:
    """Tick a step, with how it is known: output, an answer, or a file. Raises ``ValidationError``."""
    plan = step_rows.hold(plan)
    step = _step(plan, key)
    if step.why_not:
        raise ValidationError(step.why_not)
    row = step_rows.note(plan, actor, key, evidence=evidence, file=file)
    entry(plan.tenant, actor, "do chat step", str(plan), {}, step_rows.told(row)).save()
    return row


@transaction.atomic
def take_back_step(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """It was ticked by mistake. Raises ``ValidationError`` where a later one is done."""
    plan = step_rows.hold(plan)
    step = _step(plan, key)
    later = next((each for each in steps_of(plan) if each.number > step.number and each.done), None)
    if later is not None:
        raise ValidationError(sentence("“%(step)s” comes later and is done: take that back before.", step=later.title))
    row = step_rows.take_back(plan, actor, key)
    entry(plan.tenant, actor, "take back chat step", str(plan), step_rows.told(row)).save()
    return row


def _step(plan: ChatPlan, key: str) -> Step:
    steps = steps_of(plan)
    found = next((each for each in steps if each.key == key), None)
    if found is None:
        raise ValidationError(
            sentence(
                "There is no step %(key)s. There are: %(keys)s.",
                key=key,
                keys=", ".join(each.key for each in steps),
            )
        )
    return found


# --- what MMS sees against a step ---------------------------------------------------------------------


def _has_errors(plan: ChatPlan, said: Said) -> Sentence | None:
    if plan.state in {ChatPlan.State.PLANNING, ChatPlan.State.REFUSED, ChatPlan.State.OUTDATED}:
        return sentence("The plan is not ready: wait until it is planned, or plan anew.")
    if plan.error_count:
        return sentence("The plan has errors: mend each of them, or deselect the rooms by name.")
    return None


def _is_not_imported(plan: ChatPlan, said: Said) -> Sentence | None:
    if plan.state == ChatPlan.State.IMPORTED:
        return None
    return sentence("The import has not ended: start it, and wait until every room is imported.")


def _is_not_verified(plan: ChatPlan, said: Said) -> Sentence | None:
    rooms = next(each for each in gate.gate_of(plan).conditions if each.key == gate.ROOMS)
    return None if rooms.holds else rooms.evidence


def _gate_is_closed(plan: ChatPlan, said: Said) -> Sentence | None:
    why = gate.why_closed(plan)
    return one_after_the_other(sentence("The gate is closed."), why) if why else None


# --- the steps ----------------------------------------------------------------------------------------

_STOP_SOURCE = _Kind(
    "stop-source",
    sentence("Stop the services of the source"),
    sentence(
        "On every server of the old pool, so that nothing is written after the export. Say since when they stand."
    ),
    lambda plan: [
        "Get-Service -DisplayName '*Group Chat*', '*Persistent Chat*' | Stop-Service -WhatIf",
        "Get-Service -DisplayName '*Group Chat*', '*Persistent Chat*' | Stop-Service",
        "Get-Service -DisplayName '*Group Chat*', '*Persistent Chat*' | Set-Service -StartupType Disabled",
    ],
)
_EXPORT = _Kind(
    "export",
    sentence("Export, and look at it"),
    sentence(
        "Export with the cmdlet, and write the tables with MMS's script: get_chat_script prints it. Give both to MMS, "
        "which keeps the ZIP as evidence and reads the tables."
    ),
    lambda plan: [
        "Export-CsPersistentChatData -DBInstance '<server>\\<instance of the old database>' "
        "-FileName 'D:\\chat-export.zip'",
        ".\\write-chat-tables.ps1 -SqlInstance '<server>\\<instance>' -Folder 'D:\\chat-tables'",
    ],
)
_EXPORT_TABLES = _Kind(
    "export",
    _EXPORT.title,
    sentence("Write the tables with MMS's script, which get_chat_script prints, and give them to MMS."),
    lambda plan: [".\\write-chat-tables.ps1 -SqlInstance '<server>\\<instance>' -Folder 'D:\\chat-tables'"],
)
_VERIFY = _Kind(
    "verify",
    sentence("Have both sides compared"),
    sentence("Every room is to be verified, or its differences accepted by name."),
    hindrance=_is_not_verified,
)
_UNINSTALL = _Kind(
    "uninstall",
    sentence("Uninstall the old system"),
    sentence("Only with the gate open. Say which servers, and where their last backups lie."),
    hindrance=_gate_is_closed,
)
_DELETE_TRUSTED = _Kind(
    "trusted-application",
    sentence("Delete the trusted application and its pool"),
    sentence("Of the old system only: look at what is listed first."),
    lambda plan: [
        "Get-CsTrustedApplication | Format-Table Identity, ApplicationId, TrustedApplicationPoolFqdn",
        "Remove-CsTrustedApplication -Identity '<identity of the old application>' -WhatIf",
        "Remove-CsTrustedApplicationPool -Identity '<name of the old pool>' -WhatIf",
    ],
)
_OF_PERSISTENT_CHAT: Sequence[_Kind] = (
    _STOP_SOURCE,
    _EXPORT,
    _Kind(
        "stop-target",
        sentence("Stop the services of the target"),
        sentence("On every server of the new pool: the import needs it."),
        lambda plan: ["Get-Service -DisplayName '*Persistent Chat*' | Stop-Service"],
    ),
    _Kind(
        "back-up-target",
        sentence("Back up the target"),
        sentence("Its database and its file store. Say where the backups lie, and that they can be read."),
        lambda plan: [
            "BACKUP DATABASE [mgc] TO DISK = N'<path>' WITH COPY_ONLY, CHECKSUM;",
            "RESTORE VERIFYONLY FROM DISK = N'<path>' WITH CHECKSUM;",
        ],
    ),
    _Kind(
        "what-if",
        sentence("Import with WhatIf, and mend every error and warning"),
        sentence(
            "Compare its report with the plan of MMS, and keep it as evidence. Correct names at the source and export "
            "again, until neither names an error."
        ),
        lambda plan: [
            "Import-CsPersistentChatData -DBInstance '<server>\\<instance of the new database>' "
            "-FileName 'D:\\chat-export.zip' -Report 'D:\\what-if.html' -WhatIf"
        ],
        _has_errors,
    ),
    _Kind(
        "import",
        sentence("Import"),
        sentence(
            "The same line without WhatIf. It overwrites rooms whose names exist: the plan must have no conflict."
        ),
        lambda plan: [
            "Import-CsPersistentChatData -DBInstance '<server>\\<instance of the new database>' "
            "-FileName 'D:\\chat-export.zip' -Report 'D:\\import.html'"
        ],
        _has_errors,
    ),
    _Kind(
        "copy-files",
        sentence("Copy the files"),
        sentence("From the old file store into the new one. Keep the log of the copy as evidence."),
        lambda plan: [
            "robocopy '<old file store>' '<new file store>' /E /COPY:DAT /DCOPY:T /R:2 /W:5 /LOG:'D:\\chat-files.log'"
        ],
    ),
    _Kind(
        "endpoint",
        sentence("Port the endpoint"),
        sentence(
            "So that old clients go on: the lookup account goes, and the endpoint gets its address, identical "
            "character by character. Have MMS compare both."
        ),
        endpoint.commands_of,
        endpoint.why_not_ported,
    ),
    _Kind(
        "start",
        sentence("Start the services of the target"),
        sentence(
            "On every server of the new pool; then have MMS ask the pool, and open a room with each kind of client."
        ),
        lambda plan: ["Get-Service -DisplayName '*Persistent Chat*' | Start-Service"],
    ),
    _VERIFY,
    _UNINSTALL,
    _DELETE_TRUSTED,
    _Kind(
        "new-clients",
        sentence("Enable the new clients"),
        sentence("By policy, group by group. Say for whom, and when."),
        lambda plan: ["Set-CsPersistentChatPolicy -Identity Global -EnablePersistentChat $true"],
    ),
)
_OF_OTHERS: Sequence[_Kind] = (
    _STOP_SOURCE,
    _EXPORT_TABLES,
    _Kind(
        "what-if",
        sentence("Look at the plan, and mend every error"),
        sentence("Read what becomes of every room, and decide on each error and conflict."),
        hindrance=_has_errors,
    ),
    _Kind("import", sentence("Import"), sentence("MMS writes the rooms to the target."), hindrance=_is_not_imported),
    _VERIFY,
    _Kind(
        "new-clients",
        sentence("Tell people where their rooms are"),
        sentence("Old clients cannot open the new rooms: give people the client of the target, and tell them how."),
    ),
    _UNINSTALL,
    _DELETE_TRUSTED,
)


def records(steps: Sequence[Step]) -> list[dict[str, object]]:
    """The steps as commands list them."""
    return [
        {
            "Step": step.key,
            "Title": english(step.title),
            "Done": step.done is not None,
            "DoneBy": step.done.done_by if step.done else "",
            "DoneAt": step.done.done_at if step.done else None,
            "Evidence": step.done.evidence if step.done else "",
            "File": step.done.file.file_name if step.done and step.done.file else "",
            "WhyNot": step.why_not,
        }
        for step in steps
    ]
