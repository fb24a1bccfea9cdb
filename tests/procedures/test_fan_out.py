"""What concerns very many users: in pieces, resumable, each user once, and others go on beside it (R18, R19)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import BulkAction, BulkActionUser, Run
from migrations_app.procedures import bulk_actions, bulk_kinds
from migrations_app.procedures.bulk_actions import advance, perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user, create_users
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.together import elsewhere
from tests.support.two_tenants import furnish

MakeUsers = Callable[..., list[ConferencingUser]]
NAMES = ("anna", "bruno", "clara", "dario", "emma")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 2)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 2)


def soon() -> Any:
    return timezone.now() + timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_r18_a_worker_that_is_killed_leaves_whole_pieces_and_the_next_one_makes_each_run_once(
    make_users: MakeUsers, new_bridge: Bridge, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = make_users({name: {} for name in NAMES})
    tenant = users[0].tenant
    options = {"bridge": new_bridge.pk, "bridge_name": new_bridge.name}
    action = perform(tenant, KINDS["move"], ConferencingUser.objects.filter(tenant=tenant), ACTOR, options=options)
    pieces = iter(range(9))
    act = bulk_kinds.change_users

    def killed(*asked: Any, **how: Any) -> Any:
        done = act(*asked, **how)
        if next(pieces) == 1:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(bulk_kinds, "change_users", killed)
        with pytest.raises(KeyboardInterrupt):
            advance(soon())
    action.refresh_from_db()
    assert (action.state, action.done_count, Run.objects.count()) == ("Working", 2, 2)

    # Meanwhile others change what they like: a user who is not done yet, and the tenant.
    change_user(ConferencingUser.objects.get(pk=users[4].pk), ACTOR, display_name="Emma Neri")
    change_tenant(Tenant.objects.get(pk=tenant.pk), ACTOR, settling_time=60)

    while advance(soon()):
        pass
    action.refresh_from_db()
    assert (action.state, action.done_count) == ("Done", 5)
    assert sorted(Run.objects.values_list("user__upn", "state")) == [(user.upn, "Pending") for user in users]
    moved = AuditEntry.objects.filter(action="change user", after__bridge=new_bridge.name).order_by("target")
    assert list(moved.values_list("target", flat=True)) == [user.upn for user in users]
    assert ConferencingUser.objects.get(pk=users[4].pk).display_name == "Emma Neri"


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: others wait for a piece")
def test_in_the_middle_of_a_piece_others_go_on(
    cast: None, make_users: MakeUsers, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = make_users({name: {} for name in NAMES})
    tenant = users[0].tenant
    fabrikam = Tenant.objects.get(slug="fabrikam")
    frank = furnish(fabrikam).user
    start_by_hand(tenant, [users[4]], ACTOR, now_due=True)
    perform(tenant, KINDS["start"], ConferencingUser.objects.filter(tenant=tenant), ACTOR)
    seen: list[str] = []
    begin = bulk_kinds.start_by_hand

    def others_go_on(*asked: Any, **how: Any) -> Any:
        told = begin(*asked, **how)
        if not seen:
            run = elsewhere(queue.claim)
            assert run is not None
            seen.append(run.user.upn)
            elsewhere(lambda: change_user(frank, ACTOR, display_name="Frank"))
            elsewhere(lambda: change_tenant(fabrikam, ACTOR, settling_time=60))
        return told

    monkeypatch.setattr(bulk_kinds, "start_by_hand", others_go_on)
    assert advance(soon())
    assert seen == [users[4].upn]
    assert ConferencingUser.objects.get(pk=frank.pk).display_name == "Frank"


def test_a_turn_ends_so_that_runs_get_theirs(
    make_users: MakeUsers, small_pieces: None, monkeypatch: pytest.MonkeyPatch, wakes: list[Any]
) -> None:
    users = make_users({name: {} for name in NAMES})
    perform(users[0].tenant, KINDS["start"], ConferencingUser.objects.all(), ACTOR)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_actions, "TURN", timedelta(0))
        assert advance(soon())
    assert BulkActionUser.objects.filter(state=BulkActionUser.State.DONE).count() == 2
    assert advance(soon())
    assert BulkAction.objects.get().state == "Done"


@pytest.mark.django_db
def test_new_users_get_their_conference_ids_in_as_many_statements_as_one(tenant: Tenant, old_bridge: Bridge) -> None:
    asked: Mapping[int, int] = {}
    for many in (2, 60):
        rows = [{"upn": f"user{many}-{number}@contoso.com", "bridge": old_bridge} for number in range(many)]
        with CaptureQueriesContext(connection) as queries:
            create_users(tenant, rows, ACTOR)
        asked = {**asked, many: len(queries)}
    assert asked[2] == asked[60]
    assert ConferenceId.objects.filter(bridge=old_bridge).values("digits").distinct().count() == 62
