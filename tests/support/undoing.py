"""Undoing runs, and working them as other workers do (section 5 of the specification)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from migrations_app.models import Run
from migrations_app.runs import queue
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from tests.support.actors import ACTOR


def undo(run: Run, chosen: list[str] | None = None) -> Run:
    """Start the undo and work it; as it ended. Delivers nothing."""
    started = start_undo(run, ACTOR, chosen=chosen)
    claimed = queue.claim()
    assert claimed == started
    assert claimed is not None
    work_run(claimed)
    started.refresh_from_db()
    return started


def outcomes_of(run: Run) -> dict[str, str]:
    return {result.uid: result.code or result.outcome for result in run.results.all()}


class Killed(BaseException):
    """Stands in for ``kill -9``: nothing of the worker goes on, and its transaction is lost."""


def work(run: Run) -> None:
    """Another worker takes the run up, once the lease of one that was killed is over."""
    Run.objects.filter(state="InProgress").update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    Run.objects.filter(pk=run.pk, state="Pending").update(due_at=timezone.now())
    claimed = queue.claim()
    assert claimed == run
    assert claimed is not None
    work_run(claimed)


def statements_of(action: Callable[[], object], killed_at: int = 0) -> int:
    """How many statements the action sends to the database; it is killed at that one, where one is named."""
    count = 0

    def note(execute: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == killed_at:
            raise Killed
        return execute(*arguments)

    with connection.execute_wrapper(note):
        action()
    return count
