"""Users from a CSV file that came in through the browser: checked first, then applied on request.

A :class:`UserImport` goes from Checking to Checked, and when somebody asks for it through Applying to Applied. Each of
the two steps is one transaction in the background: a worker that is killed leaves nothing half done, and the next
wake-up does the step again. The check makes the change and takes it back, so what it foretells cannot differ.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import UserImport
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, Channel
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import decoded
from tenants_app.csv_files.users_in import Outcome, Plan, UserFile, carry_out, plan
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.wording import counted, escaped, sentences

log = logging.getLogger(__name__)

MAX_OCTETS = 50 * 1024 * 1024
MAX_ROWS = 200_000
"""How large a file may be. Its step must end before the cluster ends the task (``MMS_TASK_SECONDS``)."""

TIME = timedelta(minutes=2)
"""What must be left of a wake-up's time for a step to be begun; a long one may go on for longer."""

IS_WAITED_FOR = True

ATTEMPTS = 5
"""A step that was begun this often and never ended is given up: it kills its worker, or the database refuses it."""

SHOWN_DIFFERENCES = 200
SHOWN_BAD_ROWS = 500
SHOWN_SENTENCES = 100

_LIVELY = timedelta(minutes=1)
"""How long a worker may say nothing about its progress before it is taken to be gone."""


# --- what administrators do ---------------------------------------------------------------------------


def read(octets: bytes) -> str:
    """The text of a file that was uploaded; ``ValidationError`` where it can be seen at once that it cannot be used."""
    text = decoded(octets)
    rows = UserFile(text).count()
    if rows > MAX_ROWS:
        raise ValidationError(
            f"The file has {rows:,} rows, and at most {MAX_ROWS:,} go at once: divide it, or use import_users."
        )
    if not rows:
        raise ValidationError("The file has no rows below its first line: add a row for each user.")
    return text


@transaction.atomic
def submit(tenant: Tenant, file_name: str, text: str, actor: Actor) -> UserImport:
    """Take the file in and have it checked."""
    wake_cluster()
    return UserImport.objects.create(
        tenant=tenant, file_name=escaped(file_name, keeps="")[:200], text=text, requested_by=actor.name
    )


@transaction.atomic
def request_apply(user_import: UserImport, actor: Actor, *, leaves_out_bad_rows: bool) -> bool:
    """Have it applied as it was checked, in the name of ``actor``. Returns whether it was still waiting for that.

    Raises ``ValidationError`` where there are bad rows and nobody said that they may be left out.
    """
    found = _locked(user_import.pk, UserImport.State.CHECKED)
    if found is None:
        return False
    if found.findings["bad"] and not leaves_out_bad_rows:
        raise ValidationError(
            f"{counted(found.findings['bad'], 'row')} cannot be used: tick “Leave out the bad rows”, or correct the "
            "file and upload it again."
        )
    found.skips_bad_rows = leaves_out_bad_rows
    _hand_over(found, UserImport.State.APPLYING, actor)
    return True


@transaction.atomic
def request_check(user_import: UserImport, actor: Actor) -> bool:
    """Have it checked again, because something else has changed. Returns whether it was waiting for a decision."""
    found = _locked(user_import.pk, UserImport.State.CHECKED)
    if found:
        _hand_over(found, UserImport.State.CHECKING, actor)
    return found is not None


@transaction.atomic
def discard(user_import: UserImport) -> bool:
    """Discard it. Returns False where somebody asked for it to be applied, or a worker is checking it right now."""
    found = _locked(user_import.pk, UserImport.State.CHECKED, UserImport.State.CHECKING)
    if found:
        _end(found, UserImport.State.DISCARDED)
    return found is not None


def _hand_over(user_import: UserImport, state: UserImport.State, actor: Actor) -> None:
    """Hand the import to the background service in this state."""
    user_import.state = state
    user_import.findings |= {"attempts": 0, "asked_by": actor.name}
    user_import.save(update_fields=["state", "skips_bad_rows", "findings"])
    wake_cluster()


def _end(user_import: UserImport, state: UserImport.State, problem: str = "") -> None:
    user_import.state, user_import.problem = state, problem[:500]
    user_import.text, user_import.finished_at = "", timezone.now()
    user_import.save(update_fields=["state", "problem", "text", "finished_at", "findings"])


def _locked(pk: int, *states: UserImport.State) -> UserImport | None:
    """The import, where it is in one of the states and nobody is at work on it."""
    found = UserImport.objects.select_for_update(of=("self",), skip_locked=True).select_related("tenant")
    return found.filter(pk=pk, state__in=states).first()


# --- what the background service does -----------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Check and apply what waits, one import per tenant at a time. Returns whether that may have made runs due."""
    started = False
    tried: set[int] = set()
    while timezone.now() + TIME < until and (pk := _next(tried)):
        tried.add(pk)
        try:
            if _begin(pk):
                started |= _step(pk)
                cache.delete(_key(pk))
        except Exception:
            log.exception("import %s could not be finished; it is tried again", pk)
    return started


def is_due(now: datetime) -> bool:
    """Whether an import waits to be checked or applied."""
    return UserImport.objects.filter(state__in=UserImport.WAITING).exists()


def settles_at() -> datetime | None:
    """None: imports do not wait for a settling time."""
    return None


def _next(tried: set[int]) -> int | None:
    """The oldest import of some tenant that waits, and was not tried in this wake-up."""
    oldest: dict[int, int] = {}
    waiting = UserImport.objects.filter(state__in=UserImport.WAITING).order_by("-pk").values_list("tenant", "pk")
    oldest.update(waiting)
    return next((pk for pk in oldest.values() if pk not in tried), None)


@transaction.atomic
def _begin(pk: int) -> bool:
    """Count the attempt before any work is done. Returns whether there is work to do."""
    found = _locked(pk, *UserImport.WAITING)
    if found is None:
        return False
    attempts = found.findings.get("attempts", 0) + 1
    if attempts > ATTEMPTS:
        problem = (
            f"It was begun {ATTEMPTS} times and never finished, so nothing was written: look into the log of the "
            "workers, or divide the file and upload the parts."
        )
        _end(found, UserImport.State.REFUSED, problem)
        return False
    found.findings["attempts"] = attempts
    found.save(update_fields=["findings"])
    return True


@transaction.atomic
def _step(pk: int) -> bool:
    """Check or apply the import. Returns whether runs were started."""
    found = _locked(pk, *UserImport.WAITING)
    if found is None:
        return False
    try:
        if found.state == UserImport.State.APPLYING:
            return _apply(found)
        _check(found)
    except ValidationError as error:
        _end(found, UserImport.State.REFUSED, sentences(error))
    return False


def _check(user_import: UserImport) -> None:
    """Make the change and take it back."""
    with transaction.atomic():
        findings = _carry_out(user_import)
        transaction.set_rollback(True)
    _keep_findings(user_import, findings)


def _apply(user_import: UserImport) -> bool:
    """Change the users, and end the import in the same transaction.

    Where other rows are bad than those that were seen, nothing is written, and it waits for another decision.
    """
    with transaction.atomic():
        findings = _carry_out(user_import)
        is_as_seen = all(findings.stored[name] == user_import.findings[name] for name in ("bad", "bad_rows"))
        transaction.set_rollback(not is_as_seen)
    if not is_as_seen:
        _keep_findings(user_import, findings, overtaken=True)
        return False
    user_import.findings |= findings.stored
    _end(user_import, UserImport.State.APPLIED)
    return bool(findings.users_with_run)


def _keep_findings(user_import: UserImport, findings: _Findings, *, overtaken: bool = False) -> None:
    """Keep what the check found, for the administrator who decides about the import."""
    users = findings.users_with_run
    future = [future_meetings(ConferencingUser.objects.filter(pk__in=pks)) for pks in batched(users)]
    user_import.findings = findings.stored | {
        "meetings": sum(some.meetings for some in future),
        "invitations": sum(some.invitations for some in future),
        "checked_at": timezone.now().isoformat(),
        "overtaken": overtaken,
    }
    user_import.state = UserImport.State.CHECKED
    user_import.save(update_fields=["state", "findings"])


@dataclass(frozen=True, slots=True)
class _Findings:
    """What the import does: as it is stored for the page, and the keys of the users whose runs start."""

    stored: dict[str, Any]
    users_with_run: list[int]


def _carry_out(user_import: UserImport) -> _Findings:
    """Make the change, in a transaction that the caller may take back."""
    tenant, progress = user_import.tenant, _Progress(user_import)
    actor = Actor(user_import.findings.get("asked_by", user_import.requested_by), Channel.IMPORT)
    planned = plan(tenant, user_import.text, progress)
    outcome = carry_out(tenant, planned, actor, user_import.file_name, progress)
    return _Findings(_stored(planned, outcome), outcome.users_with_run)


def _stored(planned: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "created": outcome.created,
        "changed": outcome.changed,
        "unchanged": outcome.unchanged,
        "bad": planned.bad,
        "runs": len(outcome.users_with_run),
        "by_column": list(outcome.by_column.items()),
        "by_sentence": outcome.by_sentence[:SHOWN_SENTENCES],
        "differences": [
            [difference.line, difference.upn, difference.change, difference.starts_run, difference.sentence]
            for difference in outcome.differences[:SHOWN_DIFFERENCES]
        ],
        "bad_rows": [list(row) for row in sorted(planned.bad_rows)[:SHOWN_BAD_ROWS]],
    }


# --- progress -----------------------------------------------------------------------------------------


def progress_of(user_import: UserImport) -> dict[str, Any] | None:
    """What a worker that is at work on the import said last: ``happened``, ``done`` and ``total``."""
    said = cache.get(_key(user_import.pk))
    return said if said and timezone.now() - said["at"] < _LIVELY else None


def _key(pk: int) -> str:
    return f"user-import-{pk}"


class _Progress:
    """Shows the page how far it is, through the cache: nobody else sees what is in the transaction."""

    def __init__(self, user_import: UserImport) -> None:
        self.key = _key(user_import.pk)
        self.told = 0.0

    def __call__(self, happened: str, done: int, total: int) -> None:
        if time.monotonic() - self.told > 0.5:
            said = {"happened": happened, "done": done, "total": total, "at": timezone.now()}
            cache.set(self.key, said, _LIVELY.total_seconds())
            self.told = time.monotonic()
