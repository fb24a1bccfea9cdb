from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from migrations_app.cures import place_of
from migrations_app.failures import ALERTS, FAILED, SKIPPED, UNSENT, Entry
from migrations_app.retries import RETRIES, RETRY_WINDOW
from migrations_app.triggers.switches import Switches
from migrations_app.triggers.table import COMBINATIONS, SERVED, SWITCHES, USERS, KindOfChange, table
from tenants_app.management.base import SafeOutput


class Command(SafeOutput):
    help = "Write the pages of the documentation that follow from the code: docs/decisions.md and docs/errors.md."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--output",
            type=Path,
            default=settings.BASE_DIR / "docs",
            metavar="FOLDER",
            help="where to write them (default: docs)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for name, lines in {"decisions.md": _decisions(), "errors.md": _errors()}.items():
            (options["output"] / name).write_text("\n".join(lines), encoding="utf-8")


# --- decisions.md -------------------------------------------------------------------------------------

MICROSOFT, THIRD_PARTY = SERVED, USERS["User on a third-party provider"]

INTRODUCTION = """\
# What starts a run

Written by `make docs` from the decision table itself (`migrations_app/triggers/rules.py`): do not edit it by hand.
The page *Settings → What starts a run* shows the same for a tenant's switches as they are now.
"""
OVERVIEW = """\
## Every change under every combination of switches

E is `MeetingMigrationEnabled` (R12), A is `AutomaticallyMigrateUserMeetings` (R13), P is
`AutomaticallyReplaceAcpProvider` (R14); + is on and − is off. *run*: a run starts, whether the user's provider before
the change is Microsoft or a third party. *Microsoft*, *third party*: for those users only. –: none starts. The account,
the mailbox and the bridge are online and Microsoft's.
"""
SENTENCES = """\
## Every sentence

Switches that make no difference are left out. Bridges, the provider Fabrikam and the number are examples.
"""


def _decisions() -> Iterator[str]:
    yield INTRODUCTION
    yield OVERVIEW
    yield from _overview()
    yield ""
    yield SENTENCES
    yield from _sentences()


def _overview() -> Iterator[str]:
    yield "| rule | change | " + " | ".join(map(_short, COMBINATIONS)) + " |"
    yield "|---|---|" + "---|" * len(COMBINATIONS)
    for kind, _ in table():
        yield f"| {kind.rule} | {kind.action} | " + " | ".join(_cell(kind, some) for some in COMBINATIONS) + " |"


def _short(switches: Switches) -> str:
    states = (getattr(switches, name) for name in SWITCHES)
    return " ".join(letter + ("+" if is_on else "−") for letter, is_on in zip("EAP", states, strict=True))


def _cell(kind: KindOfChange, switches: Switches) -> str:
    starts = [kind.decided(user, switches).starts_run for user in (MICROSOFT, THIRD_PARTY)]
    if all(starts):
        return "run"
    return {(True, False): "Microsoft", (False, True): "third party"}.get((starts[0], starts[1]), "–")


def _sentences() -> Iterator[str]:
    for kind, answers in table():
        yield f"### {kind.action}{kind.rule and f' ({kind.rule})'}\n"
        yield "| user | switches | what is said |"
        yield "|---|---|---|"
        for group in answers:
            for answer in group.answers:
                yield f"| {group.who} | {answer.when} | {answer.decision.sentence} |"
        yield ""


# --- errors.md ----------------------------------------------------------------------------------------

_HOURS = RETRY_WINDOW // timedelta(hours=1)
CODES = f"""\
# Codes: why a meeting is skipped, and what can fail

Written by `make docs` from the catalogue itself (`migrations_app/failures.py`): do not edit it by hand.

Screens and commands show the sentences below, followed by what is known of the single case. The code itself stands in
the column `Reason` of `get_meeting_migration_history`, in the answer of `explain_meeting`, and in the service's log.
*Where* names the page on which it is put right, to which each failure leads; the site shows this catalogue too, on a
page of each tenant, `/<tenant>/errors/`.
MMS tries again where the tables say so: by itself, up to {RETRIES} times in {_HOURS} hours, with growing pauses (R28).
"""


def _errors() -> Iterator[str]:
    yield CODES
    yield "## Why a meeting is skipped (R20)\n"
    yield "The meeting stays exactly as it is and nobody is told. A skipped meeting does not make its run fail.\n"
    yield "| code | what happened | what to do | where |"
    yield "|---|---|---|---|"
    for code, entry in SKIPPED.items():
        yield f"| `{code}` | {entry.what} | {entry.do or '–'} | {_where(code)} |"
    yield "\n## Why a meeting or a run fails\n"
    yield "A meeting that fails stays as it is, and the others go on. A run is `Failed` when no further try can help.\n"
    yield from _failures(FAILED)
    yield "\n## Why a message to attendees is not sent\n"
    yield "The meeting itself is migrated. `internal-error` can stand here too.\n"
    yield from _failures(UNSENT)
    yield "\n## Why an alert is not delivered\n"
    yield "Alerts tell administrators, by mail and webhook ([alerts.md](alerts.md)). What keeps messages from a mail"
    yield "server for a while, as above, can stand here too.\n"
    yield from _failures(ALERTS)
    yield ""


def _failures(entries: Mapping[str, Entry]) -> Iterator[str]:
    yield "| code | what happened | what to do | where | tries again |"
    yield "|---|---|---|---|---|"
    for code, entry in entries.items():
        again = "yes" if entry.cures_by_waiting else "no"
        yield f"| `{code}` | {entry.what} | {entry.do or '–'} | {_where(code)} | {again} |"


def _where(code: str) -> str:
    place = place_of(code)
    return place.value if place else "–"
