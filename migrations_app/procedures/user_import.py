"""Users from a CSV file that came in through the browser, or from a directory that is read as one: checked first, then
applied on request.

A :class:`UserImport` goes from Checking to Checked, and when somebody asks for it through Applying to Applied, in the
background and by one worker at a time, who has a lease on it. Both steps go through the file piece by piece, each piece
a short transaction: the check applies the change without saving it, by the same code, so what it foretells cannot
differ. A worker that is killed leaves whole pieces; the next one goes on with the rest.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import UserImport
from migrations_app.monitoring import clock
from migrations_app.procedures import directory_users
from migrations_app.procedures.import_progress import LEASE, Progress, key_of
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, Channel
from tenants_app.bulk import batched, let_others_write
from tenants_app.csv_files.cells import decoded
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.csv_files.users_in import Outcome, Plan, UserFile, carry_out, foresee, ignored_in_words, note, plan
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tenants_app.sentences import Sentence, at_most, one_after_the_other, sentence, sentence_plural
from tenants_app.wording import escaped, sentences

log = logging.getLogger(__name__)

MAX_OCTETS = 50 * 1024 * 1024
MAX_ROWS = 200_000
"""How large a file may be. Checking it must end before the cluster ends the task (``MMS_TASK_SECONDS``)."""

TIME = timedelta(minutes=2)
"""What must be left of a wake-up's time for a step to be begun; a long one may go on for longer."""

IS_WAITED_FOR = True

ATTEMPTS = 5
"""A step that was begun this often and never ended is given up: it kills its worker, or the database refuses it."""

_KEPT = frozenset({"written", "changed_to", "directory"})
"""What a check that is made again leaves of the findings before it."""
SHOWN_DIFFERENCES = 200
SHOWN_BAD_ROWS = 500
SHOWN_SENTENCES = 100


# --- what administrators do ---------------------------------------------------------------------------


def read(octets: bytes) -> str:
    """The text of a file that was uploaded; ``ValidationError`` where it can be seen at once that it cannot be used."""
    text = decoded(octets)
    rows = UserFile(text).count()
    if rows > MAX_ROWS:
        raise ValidationError(
            sentence(
                "The file has %(rows)s rows, and at most %(most)s go at once: divide it, or use import_users.",
                rows=rows,
                most=MAX_ROWS,
            )
        )
    if not rows:
        raise ValidationError(sentence("The file has no rows below its first line: add a row for each user."))
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
            sentence_plural(
                "%(n)s row cannot be used: tick “Leave out the bad rows”, or correct the file and upload it again.",
                "%(n)s rows cannot be used: tick “Leave out the bad rows”, or correct the file and upload it again.",
                found.findings["bad"],
            )
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


@transaction.atomic
def submit_directory(
    tenant: Tenant, connection: MailboxConnection, source: directory_users.Source, actor: Actor
) -> UserImport:
    """Have the users of a directory read, and checked as a file of users is. Raises ``ValidationError``."""
    source.check()
    wake_cluster()
    return UserImport.objects.create(
        tenant=tenant,
        file_name=f"Microsoft 365, by {connection.name}"[:200],
        is_from_directory=True,
        connection=connection,
        group=source.group,
        domain=source.domain,
        requested_by=actor.name,
    )


def _hand_over(user_import: UserImport, state: UserImport.State, actor: Actor) -> None:
    """Hand the import to the background service in this state."""
    user_import.state = state
    user_import.findings |= {"attempts": 0, "asked_by": actor.name}
    user_import.save(update_fields=["state", "skips_bad_rows", "findings"])
    wake_cluster()


def _end(user_import: UserImport, state: UserImport.State, problem: str = "") -> None:
    user_import.state, user_import.problem = state, at_most(500, problem)
    user_import.text, user_import.finished_at = "", timezone.now()
    user_import.lease_token = user_import.lease_until = None
    user_import.save(
        update_fields=["state", "problem", "text", "finished_at", "findings", "lease_token", "lease_until"]
    )


def _locked(pk: int, *states: UserImport.State) -> UserImport | None:
    """The import, where it is in one of the states and nobody is at work on it."""
    unread = UserImport.objects.defer("text")  # which is large, and is not needed to say how far it is
    found = unread.select_for_update(of=("self",), skip_locked=True).select_related("tenant")
    is_free = Q(lease_until=None) | clock.lease_is_over(clock.now(), LEASE)
    return found.filter(is_free, pk=pk, state__in=states).first()


def _held(pk: int, token: UUID) -> UserImport:
    """The import, locked, by the worker that has the lease, which is renewed; raises :class:`LeaseLost`."""
    found = UserImport.objects.defer("text").select_for_update(of=("self",)).select_related("tenant")
    user_import = found.filter(pk=pk, lease_token=token, state__in=UserImport.WAITING).first()
    if user_import is None:
        raise LeaseLost
    user_import.lease_until = clock.now() + LEASE
    user_import.save(update_fields=["lease_until"])
    return user_import


class LeaseLost(Exception):
    """Another worker has taken the import over, because this one said nothing for too long."""


# --- what the background service does -----------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Check and apply what waits, one import per tenant at a time. Returns whether that may have made runs due."""
    started = False
    tried: set[int] = set()
    while timezone.now() + TIME < until and (pk := _next(tried)):
        tried.add(pk)
        try:
            if token := _begin(pk):
                started |= _step(pk, token)
                cache.delete(key_of(pk))
        except LeaseLost:
            log.warning("import %s was taken over by another worker", pk)
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
def _begin(pk: int) -> UUID | None:
    """Take the lease, and count the attempt before any work is done. Returns None where there is nothing to do."""
    found = _locked(pk, *UserImport.WAITING)
    if found is None:
        return None
    attempts = found.findings.get("attempts", 0) + 1
    if attempts > ATTEMPTS:
        problem = sentence(
            "It was begun %(times)s times and never finished, so %(written)s: look into the log of the workers, or "
            "divide the file and upload the parts.",
            times=ATTEMPTS,
            written=_written(found),
        )
        _end(found, UserImport.State.REFUSED, problem)
        return None
    found.findings["attempts"] = attempts
    found.lease_token, found.lease_until = uuid4(), clock.now() + LEASE
    found.save(update_fields=["findings", "lease_token", "lease_until"])
    return found.lease_token


def _written(user_import: UserImport) -> Sentence:
    """What of the file is written, for who reads that it was not finished."""
    done = user_import.findings.get("written", {})
    if not done:
        return sentence("nothing was written")
    return sentence_plural(
        "only %(n)s user of the file are written",
        "only %(n)s users of the file are written",
        done["created"] + done["changed"],
    )


def _step(pk: int, token: UUID) -> bool:
    """Check or apply the import. Returns whether runs were started."""
    user_import = UserImport.objects.select_related("tenant", "connection").get(pk=pk)
    progress = Progress(user_import, token)
    try:
        if user_import.is_from_directory and not user_import.text:
            _read_directory(user_import, token, progress)
        changed_to = user_import.findings.get("changed_to", 0)
        planned = plan(user_import.tenant, user_import.text, progress, changed_to)
        if user_import.is_from_directory:
            planned.name_users()
        if user_import.state == UserImport.State.APPLYING:
            return _apply(user_import, token, planned, progress)
        _check(user_import, token, planned, progress)
    except ValidationError as error:
        with transaction.atomic():
            found = _held(pk, token)
            kept = (
                sentence("Of the file, %(written)s.", written=_written(found)) if found.findings.get("written") else ""
            )
            _end(found, UserImport.State.REFUSED, one_after_the_other(sentences(error), kept))
    except Failure as failure:
        with transaction.atomic():
            found = _held(pk, token)
            if failure.cures_by_waiting and found.findings.get("attempts", 0) < ATTEMPTS:
                log.warning("import %s: %s", pk, failure.what)
                found.lease_token = found.lease_until = None
                found.save(update_fields=["lease_token", "lease_until"])
            else:
                _end(found, UserImport.State.REFUSED, describe(failure.code, failure.detail))
    except Exception:
        # Tried again at the next wake-up. A worker that is killed keeps the lease until its time is over.
        UserImport.objects.filter(pk=pk, lease_token=token).update(lease_token=None, lease_until=None)
        raise
    return False


def _read_directory(user_import: UserImport, token: UUID, progress: Progress) -> None:
    """Ask the directory for its users, and keep them as the file that they are from then on."""
    if user_import.connection is None:
        raise ValidationError(sentence("The mailbox connection was removed: choose another, and begin anew."))
    source = directory_users.Source(user_import.group, user_import.domain)
    with directory_users.open_graph(user_import.connection) as graph:
        found = directory_users.read_directory(
            graph, user_import.tenant, source, lambda read: progress("read", read, read)
        )
    if found.rows > MAX_ROWS:
        raise ValidationError(
            sentence(
                "The directory has %(rows)s users, and at most %(most)s go at once: name a group or a domain.",
                rows=found.rows,
                most=MAX_ROWS,
            )
        )
    with transaction.atomic():
        held = _held(user_import.pk, token)
        held.text = found.text
        held.findings |= {"directory": directory_users.summary(found)}
        held.save(update_fields=["text", "findings"])
    user_import.text, user_import.findings = held.text, held.findings


def _check(user_import: UserImport, token: UUID, planned: Plan, progress: Progress, *, overtaken: bool = False) -> None:
    """Look piece by piece what the change would do, and keep what was found for the one who decides."""
    outcome = Outcome(unchanged=planned.unchanged)
    for piece in planned.pieces():
        outcome.add(foresee(user_import.tenant, piece, progress))
        with transaction.atomic():
            _held(user_import.pk, token)
        let_others_write()
    users = outcome.users_with_run
    future = [future_meetings(ConferencingUser.objects.filter(pk__in=pks)) for pks in batched(users)]
    with transaction.atomic():
        found = _held(user_import.pk, token)
        kept = {name: value for name, value in found.findings.items() if name in _KEPT}
        found.findings = (
            kept
            | _stored(planned, outcome)
            | {
                "meetings": sum(some.meetings for some in future),
                "invitations": sum(some.invitations for some in future),
                "checked_at": timezone.now().isoformat(),
                "overtaken": overtaken,
            }
        )
        found.state = UserImport.State.CHECKED
        found.lease_token = found.lease_until = None
        found.save(update_fields=["state", "findings", "lease_token", "lease_until"])


def _apply(user_import: UserImport, token: UUID, planned: Plan, progress: Progress) -> bool:
    """Change the users piece by piece, and end the import in the transaction of the last one.

    Where other rows are bad than those that were seen, nothing is written, and it waits for another decision. What was
    written before a worker was killed is counted in ``findings["written"]``, and up to which line users were changed
    stands in ``findings["changed_to"]``. Returns whether runs were started.
    """
    seen = user_import.findings
    if planned.bad != seen["bad"] or _lines(_bad_rows(planned)) != _lines(seen["bad_rows"]):
        _check(user_import, token, planned, progress, overtaken=True)
        return False
    actor, started = _actor(user_import), False
    pieces = list(planned.pieces())
    for piece in pieces:
        with transaction.atomic():
            found = _held(user_import.pk, token)
            outcome = carry_out(found.tenant, piece, actor, progress)
            written = _merged(found.findings.get("written"), _stored(planned, outcome))
            found.findings |= {"written": written, "attempts": 0}
            if piece.edit_lines:
                found.findings["changed_to"] = piece.edit_lines[-1]
            found.save(update_fields=["findings"])
            if piece is pieces[-1]:
                note(found.tenant, actor, found.file_name, written["created"], written["changed"], written["runs"])
                del found.findings["written"]
                found.findings.pop("changed_to", None)
                left = planned.unchanged - _done_before(user_import)
                found.findings |= written | {"unchanged": written["unchanged"] + left}
                _end(found, UserImport.State.APPLIED)
        started |= bool(outcome.users_with_run)
        let_others_write()
    return started


def _actor(user_import: UserImport) -> Actor:
    return Actor(user_import.findings.get("asked_by", user_import.requested_by), Channel.IMPORT)


def _done_before(user_import: UserImport) -> int:
    """How many users an earlier worker wrote, whose rows differ no more."""
    written = user_import.findings.get("written", {})
    return int(written.get("created", 0) + written.get("changed", 0) + written.get("unchanged", 0))


def _merged(earlier: dict[str, Any] | None, later: dict[str, Any]) -> dict[str, Any]:
    """What two pieces did, as :func:`_stored` has it."""
    if earlier is None:
        return later
    columns = Counter(dict(earlier["by_column"]))
    columns.update(dict(later["by_column"]))
    differences = sorted([*earlier["differences"], *later["differences"]])
    # Of what is equally frequent, what comes first in the file comes first.
    told = Counter({(sentence, starts_run): 0 for *_, starts_run, sentence in differences})
    for said, starts_run, count in [*earlier["by_sentence"], *later["by_sentence"]]:
        told[said, starts_run] += count
    return later | {
        **{name: earlier[name] + later[name] for name in ("created", "changed", "unchanged", "runs")},
        "by_column": [[column, columns[column]] for column in COLUMNS if column in columns],
        "by_sentence": [[*which, count] for which, count in told.most_common()],
        "differences": differences[:SHOWN_DIFFERENCES],
    }


def _stored(planned: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "created": outcome.created,
        "changed": outcome.changed,
        "unchanged": outcome.unchanged,
        "bad": planned.bad,
        "ignored": ignored_in_words(planned.ignored),
        "runs": len(outcome.users_with_run),
        "by_column": list(outcome.by_column.items()),
        "by_sentence": outcome.by_sentence[:SHOWN_SENTENCES],
        "differences": [
            [difference.line, difference.upn, difference.change, difference.starts_run, difference.sentence]
            for difference in outcome.by_line[:SHOWN_DIFFERENCES]
        ],
        "bad_rows": _bad_rows(planned),
    }


def _lines(bad_rows: list[list[Any]]) -> set[int]:
    """Which rows are bad. Why one is may change with what is written already: its ID, wanted twice, is in use then."""
    return {line for line, _ in bad_rows}


def _bad_rows(planned: Plan) -> list[list[Any]]:
    return [list(row) for row in sorted(planned.bad_rows)[:SHOWN_BAD_ROWS]]
