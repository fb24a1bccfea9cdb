"""Undo (section 5, R45): meetings go back as they were, octet for octet, and attendees are told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migrations_app.mail.delivery import deliver
from migrations_app.models import Run
from migrations_app.runs import queue
from migrations_app.runs.undo_start import foreseen_undo, start_undo, why_not_undone
from migrations_app.runs.worker import work_run
from tenants_app.models import Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import body_of, invite, migrate, told

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db(transaction=True)


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


def test_r45_meetings_go_back_octet_for_octet_with_their_old_link_and_attendees_are_told_once(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path
) -> None:
    before = dict(invite(anna, number) for number in range(3))
    run = migrate(anna)
    deliver()
    assert all(body_of(anna, uid) != body for uid, body in before.items())
    first = told(outbox)
    foreseen = list(foreseen_undo(run))
    undone = undo(run)
    deliver()

    assert (undone.state, undone.migration_type, undone.undoes) == ("Succeeded", "Undo", run)
    assert {uid: sorted(without_stamps(body_of(anna, uid))) for uid in before} == {
        uid: sorted(without_stamps(body)) for uid, body in before.items()
    }
    assert told(outbox) == dict.fromkeys(first, 2), "each attendee once by the run and once by the undo"
    for result in undone.results.all():
        old = run.results.get(uid=result.uid)
        assert (result.join_url_before, result.join_url_after) == (old.join_url_after, old.join_url_before)
        assert result.sequence == (old.sequence or 0) + 1
    recorded = undone.results.order_by("pk").values_list("uid", "outcome", "code", "join_url_after", "sequence")
    assert [
        (each.result.uid, each.result.outcome, each.result.code, each.result.join_url_after, each.result.sequence)
        for each in foreseen
    ] == list(recorded), "what was foreseen is what happened"
    anna.refresh_from_db()
    assert anna.is_out_of_date
    assert anna.undo_holds
    assert why_not_undone(run) == "All of these meetings were put back already, and nothing is undone twice."
    assert "start a run of the user" in why_not_undone(undone)
