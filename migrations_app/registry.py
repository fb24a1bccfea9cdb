"""The procedures that there are: what goes on by itself beside the runs. The main loop knows them only by this list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from migrations_app.chat import asking, compare_engine, import_engine, keeping, plan_engine, readings
from migrations_app.procedures import (
    bulk_actions,
    mailbox_scans,
    notices,
    number_release,
    plans,
    previews,
    teams_looks,
    user_import,
)
from migrations_app.rollouts import engine, looking, searching, telling


class Procedure(Protocol):
    """A module whose work stands in rows that say how far it is, and each of whose steps is a transaction that can be
    repeated: wherever a worker was killed, the next one goes on."""

    IS_WAITED_FOR: bool
    """Whether somebody waits before a page for its next step. Such a procedure goes on before the next run does."""

    def advance(self, until: datetime) -> bool:
        """Go as far as possible now, but begin no step after ``until``. Returns whether runs may be due now, or it gave
        way to something else before it was through."""

    def is_due(self, now: datetime) -> bool:
        """Whether there is a step to be done at this moment."""

    def settles_at(self) -> datetime | None:
        """When the next step that waits for a tenant's settling time is due; None where none waits."""


PROCEDURES: Sequence[Procedure] = (
    plans,
    bulk_actions,
    user_import,
    previews,
    notices,
    number_release,
    mailbox_scans,
    teams_looks,
    engine,
    looking,
    searching,
    telling,
    readings,
    keeping,
    plan_engine,
    import_engine,
    compare_engine,
    asking,
)


def advance_what_is_waited_for(until: datetime) -> None:
    """Take those procedures further that somebody waits for."""
    for procedure in PROCEDURES:
        if procedure.IS_WAITED_FOR:
            procedure.advance(until)


def advance(until: datetime) -> bool:
    """Take all procedures further. Returns whether runs may be due now, or one of them is to go on after others."""
    goes_on = [procedure.advance(until) for procedure in PROCEDURES]  # each of them, whatever the first one says
    return any(goes_on)


def is_due(now: datetime) -> bool:
    """Whether some procedure has a step to be done at this moment."""
    return any(procedure.is_due(now) for procedure in PROCEDURES)


def settles_at() -> datetime | None:
    """When the first step will be due that waits for a settling time."""
    return min(filter(None, (procedure.settles_at() for procedure in PROCEDURES)), default=None)
