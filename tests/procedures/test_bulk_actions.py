"""One thing done for many users as one job: whom it is about, piece by piece, and what became of each (R11, R36)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import BulkAction, BulkActionUser, Run
from migrations_app.procedures import bulk_actions, bulk_kinds
from migrations_app.procedures.bulk_actions import advance, perform, stop
from migrations_app.procedures.bulk_kinds import KINDS, Answer, Kind
from migrations_app.registry import PROCEDURES
from migrations_app.runs.pruning import prune
from tenants_app.changes.bridges import register_number, remove_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.together import together
from tests.support.two_tenants import furnish

MakeUsers = Callable[..., list[ConferencingUser]]
MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
START, RETRY, MOVE, MARK = (KINDS[name] for name in ("start", "retry", "move", "mark"))


def everybody(tenant: Tenant) -> Any:
    return ConferencingUser.objects.filter(tenant=tenant)


def to(bridge: Bridge) -> dict[str, Any]:
    return {"bridge": bridge.pk, "bridge_name": bridge.name}


def go_on(times: int = 100) -> int:
    """Let the main loop do pieces until nothing is left; how many rounds had something to do."""
    return next((rounds for rounds in range(times) if not advance(timezone.now() + timedelta(minutes=1))), times)


def results(action: BulkAction) -> dict[str, tuple[str, str]]:
    return {row.upn.partition("@")[0]: (row.state, row.sentence) for row in action.users.all()}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 2)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 2)
    monkeypatch.setattr(bulk_actions, "TURN", timedelta(0))


@pytest.fixture
def five(make_users: MakeUsers) -> list[ConferencingUser]:
    return make_users({name: {} for name in ("anna", "bruno", "clara", "dario", "emma")})


# --- what is done, and what is said of each ---------------------------------------------------------------


def test_r11_a_few_users_are_done_at_once_each_with_a_result(
    tenant: Tenant, make_users: MakeUsers, make_run: MakeRun, wakes: list[Any]
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    anna, _ = make_users({"anna": {}, "clara": {"mailbox_location": "on-premises"}})
    options = {"targets": {"SkypeForBusiness": "Link"}, "now": False}
    action = perform(tenant, START, everybody(tenant), ACTOR, options=options, chosen_by="Bridge: Old bridge")

    sentence = "Run, because it was started by hand: Skype for Business meetings move to Link, and meetings of other"
    assert (action.state, action.user_count, action.done_count, action.refused_count) == ("Done", 2, 1, 1)
    assert results(action)["anna"][0] == "Done"
    assert results(action)["anna"][1].startswith(sentence)
    assert results(action)["clara"][0] == "NotDone"
    assert results(action)["clara"][1].startswith("No run, because the mailbox is on Exchange on-premises")
    assert sorted((is_done, users) for _, is_done, users in action.sentences) == [(False, 1), (True, 1)]
    run = Run.objects.get()
    assert (run.user, run.targets, run.due_at - run.created) == (
        anna,
        {"SkypeForBusiness": "Link"},
        timedelta(seconds=300),
    )
    entries = AuditEntry.objects.order_by("pk").filter(action__contains="start")
    assert list(entries.values_list("action", "target", "actor")) == [
        ("start runs for many users", "2 users", ACTOR.name),
        ("start migration", "anna@contoso.com", ACTOR.name),
    ]
    assert entries[0].after["chosen by"] == "Bridge: Old bridge"


def test_r11_only_those_whose_latest_run_failed_are_tried_again(
    tenant: Tenant, five: list[ConferencingUser], make_run: MakeRun, wakes: list[Any]
) -> None:
    anna, bruno, clara, *_ = five
    make_run(anna, "Failed", targets={"Teams": "Link"})
    make_run(bruno, "Failed")
    make_run(bruno, "Succeeded")
    make_run(clara, "Failed")
    action = perform(tenant, RETRY, everybody(tenant), ACTOR)

    pending = Run.objects.filter(state="Pending")
    assert {run.user for run in pending} == {anna, clara}
    assert pending.get(user=anna).targets["Teams"] == "Link"
    assert all(run.due_at <= timezone.now() for run in pending)
    assert results(action)["bruno"] == ("NotDone", "No run, because the latest run has not failed.")
    assert AuditEntry.objects.filter(action="retry migration").count() == 2


def test_r36_users_are_marked_as_up_to_date(
    tenant: Tenant, five: list[ConferencingUser], django_assert_max_num_queries: Any
) -> None:
    everybody(tenant).exclude(pk=five[0].pk).update(invitations_fingerprint="")
    action = perform(tenant, MARK, everybody(tenant), ACTOR)

    assert not everybody(tenant).out_of_date().exists()
    assert results(action)["anna"] == ("NotDone", "Up to date already, so nothing was changed.")
    assert (action.done_count, AuditEntry.objects.filter(action="mark as up to date").count()) == (4, 4)


def test_users_are_moved_to_a_bridge_with_the_numbers_of_their_countries(
    tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, make_users: MakeUsers
) -> None:
    rome = register_number(old_bridge, "+390612345678", "toll", ACTOR, country="Italy", city="Rome")
    free = register_number(old_bridge, "+18005550100", "toll-free", ACTOR, country="United States")
    milan = register_number(new_bridge, "+390212345678", "toll", ACTOR, country="Italy", city="Milan")
    make_users(
        {
            "anna": {"toll_number": rome},
            "bruno": {"toll_free_number": free},
            "clara": {"bridge": new_bridge, "toll_number": milan},
            "dario": {"mailbox_location": "on-premises"},
        }
    )
    action = perform(tenant, MOVE, everybody(tenant), ACTOR, options=to(new_bridge))

    numbers = everybody(tenant).order_by("pk").values_list("bridge__name", "toll_number__number", "toll_free_number")
    assert list(numbers) == [
        ("New bridge", "+390212345678", None),
        ("New bridge", None, None),
        ("New bridge", "+390212345678", None),
        ("New bridge", None, None),
    ]
    told = results(action)
    assert told["anna"] == ("Done", "Moved to New bridge. Run, because the user moved to the bridge New bridge.")
    assert told["clara"] == ("NotDone", "Not moved: on New bridge already.")
    assert told["dario"][1].startswith("Moved to New bridge. No run, because the mailbox is on Exchange on-premises")
    assert {run.user.upn[:5] for run in Run.objects.all()} == {"anna@", "bruno"}


# --- whom it is about ---------------------------------------------------------------------------------------


def test_whom_it_is_about_is_settled_when_it_is_confirmed(
    tenant: Tenant,
    five: list[ConferencingUser],
    make_user: MakeUser,
    small_pieces: None,
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks() as wake_ups:
        action = perform(tenant, START, everybody(tenant).filter(display_name__contains="a"), ACTOR)
    assert (action.state, len(wake_ups)) == ("Waiting", 1)  # more than a piece: the cluster does it
    make_user("fabian")
    five[0].delete()
    go_on()
    action.refresh_from_db()

    assert (action.state, action.user_count, action.done_count, action.refused_count) == ("Done", 4, 3, 1)
    assert results(action)["anna"] == ("NotDone", "The user is not there any more, so nothing was done.")
    assert "fabian" not in results(action)
    assert Run.objects.count() == 3


def test_more_users_than_were_shown_are_not_touched_and_fewer_are_told(
    tenant: Tenant, five: list[ConferencingUser], wakes: list[Any]
) -> None:
    with pytest.raises(ValidationError, match="By now it would be 5 users and not 4 as shown, so nothing was done"):
        perform(tenant, START, everybody(tenant), ACTOR, shown=4)
    with pytest.raises(ValidationError, match="Nobody is left of those who were selected"):
        perform(tenant, START, everybody(tenant).none(), ACTOR)
    assert not BulkAction.objects.exists()
    assert not Run.objects.exists()

    assert perform(tenant, START, everybody(tenant), ACTOR, shown=7).missed == 2


def test_users_of_another_tenant_are_never_among_them(
    tenant: Tenant, cast: None, five: list[ConferencingUser], wakes: list[Any]
) -> None:
    fabrikam = furnish(Tenant.objects.get(slug="fabrikam"))
    action = perform(tenant, START, ConferencingUser.objects.all(), ACTOR)

    assert action.user_count == 5
    assert not Run.objects.filter(user=fabrikam.user).exists()
    stolen = BulkActionUser.objects.create(action=action, user=fabrikam.user, upn="frank.moor@fabrikam.com")
    BulkAction.objects.update(state="Working", user_count=6)
    go_on()
    stolen.refresh_from_db()
    assert (stolen.state, Run.objects.filter(user=fabrikam.user).exists()) == ("NotDone", False)


def test_what_is_gone_by_then_is_a_result_with_a_sentence(
    tenant: Tenant, five: list[ConferencingUser], new_bridge: Bridge, small_pieces: None, wakes: list[Any]
) -> None:
    action = perform(tenant, MOVE, everybody(tenant), ACTOR, options=to(new_bridge))
    advance(timezone.now() + timedelta(minutes=1))
    everybody(tenant).update(bridge=None)
    ServiceNumber.objects.filter(bridge=new_bridge).delete()
    remove_bridge(new_bridge, ACTOR)
    go_on()

    states = [state for state, _ in results(action).values()]
    assert states == ["Done", "Done", "NotDone", "NotDone", "NotDone"]
    assert results(action)["emma"][1] == "Not moved: the bridge New bridge is not there any more."


def test_r12_while_the_service_is_off_each_start_is_refused_with_the_reason(
    tenant: Tenant, five: list[ConferencingUser]
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    action = perform(Tenant.objects.get(pk=tenant.pk), START, everybody(tenant), ACTOR)

    assert (action.done_count, action.refused_count) == (0, 5)
    assert action.sentences == [
        [
            "No run, because the service is switched off for this tenant: switch MeetingMigrationEnabled on first.",
            False,
            5,
        ]
    ]


# --- piece by piece -----------------------------------------------------------------------------------------


class Killed(BaseException):
    """What no handler catches, as if the process were gone."""


def acting(kind: Kind, monkeypatch: pytest.MonkeyPatch, act: Callable[..., Mapping[int, Answer]]) -> None:
    """Let the kind do ``act``, which is given how it was done before."""
    changed = {
        name: bulk_kinds.Kind(
            **{field: getattr(each, field) for field in Kind.__dataclass_fields__ if field != "act"},
            act=(lambda *given: act(kind.act, *given)) if each is kind else each.act,
        )
        for name, each in KINDS.items()
    }
    monkeypatch.setattr(bulk_actions, "KINDS", changed)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_that_is_killed_leaves_whole_pieces_and_nobody_is_done_twice(
    tenant: Tenant,
    five: list[ConferencingUser],
    small_pieces: None,
    wakes: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    action = perform(tenant, START, everybody(tenant), ACTOR)
    kills = iter([False, True, True, False, True])
    done: list[int] = []

    def act(real: Any, tenant: Tenant, users: Any, *rest: Any) -> Any:
        killed = next(kills, False)
        if killed and moment == "before":
            raise Killed
        answers = real(tenant, users, *rest)
        if killed:
            raise Killed
        done.extend(user.pk for user in users)
        return answers

    acting(START, monkeypatch, act)
    lives = 0
    while BulkAction.objects.filter(state__in=BulkAction.OPEN).exists() and lives < 20:
        lives += 1
        try:
            go_on()
        except Killed:
            standing = BulkAction.objects.get()
            handled = action.users.exclude(state="Waiting").count()
            assert standing.handled_count == handled == Run.objects.count()
    action.refresh_from_db()

    assert lives == 4
    assert done == [user.pk for user in five]
    assert (action.state, action.done_count, Run.objects.count()) == ("Done", 5, 5)
    assert AuditEntry.objects.filter(action="start migration").count() == 5
    assert all(len(run.reasons) == 1 for run in Run.objects.all())


def test_one_user_for_whom_it_fails_does_not_keep_the_others_from_it(
    tenant: Tenant,
    five: list[ConferencingUser],
    wakes: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def act(real: Any, tenant: Tenant, users: Any, *rest: Any) -> Any:
        answers = real(tenant, users, *rest)
        if five[1] in users:
            raise ValidationError({"bridge": "It is not there."})
        if five[2] in users:
            raise RuntimeError("a fault")
        return answers

    acting(START, monkeypatch, act)
    with caplog.at_level(logging.ERROR):
        action = perform(tenant, START, everybody(tenant), ACTOR)

    assert results(action)["bruno"] == ("NotDone", "bridge: It is not there.")
    assert results(action)["clara"] == ("NotDone", bulk_actions.BROKEN)
    assert {run.user for run in Run.objects.all()} == {five[0], five[3], five[4]}
    assert "a fault" in caplog.text


def test_a_failure_of_the_database_is_nobodys_result_and_the_piece_is_tried_again(
    tenant: Tenant,
    five: list[ConferencingUser],
    wakes: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = iter([True])

    def act(real: Any, *given: Any) -> Any:
        if next(failures, False):
            raise OperationalError("database is locked")
        return real(*given)

    acting(START, monkeypatch, act)
    with caplog.at_level(logging.ERROR):
        action = perform(tenant, START, everybody(tenant), ACTOR)
    assert (action.state, Run.objects.exists()) == ("Waiting", False)
    go_on()
    action.refresh_from_db()
    assert (action.state, action.done_count) == ("Done", 5)


def test_it_can_be_stopped_and_what_was_done_stays_done(
    tenant: Tenant, five: list[ConferencingUser], small_pieces: None, wakes: list[Any]
) -> None:
    action = perform(tenant, START, everybody(tenant), ACTOR)
    advance(timezone.now() + timedelta(minutes=1))
    assert stop(action, ACTOR)
    assert not stop(action, ACTOR)
    go_on()
    action.refresh_from_db()

    assert (action.state, action.done_count, Run.objects.count()) == ("Stopped", 2, 2)
    assert action.users.filter(state="Waiting").count() == 3
    entry = AuditEntry.objects.get(action="stop what is done for many users")
    assert (entry.target, entry.after) == ("3 users", {"action": "start runs for many users", "done": 2})


def test_tenants_take_turns_and_each_turn_is_a_piece(
    tenant: Tenant, cast: None, five: list[ConferencingUser], small_pieces: None, wakes: list[Any]
) -> None:
    fabrikam = furnish(Tenant.objects.get(slug="fabrikam"))
    for name in ("greta", "hugo"):
        ConferencingUser.objects.create(
            tenant=fabrikam.tenant, upn=f"{name}@fabrikam.com", sip_address=f"{name}@fabrikam.com"
        )
    big = perform(tenant, START, everybody(tenant), ACTOR)
    later = perform(tenant, MARK, everybody(tenant), ACTOR)
    other = perform(fabrikam.tenant, START, everybody(fabrikam.tenant), ACTOR)
    soon = timezone.now() + timedelta(minutes=1)
    assert bulk_actions in PROCEDURES
    assert bulk_actions.is_due(soon)

    for handled in ((2, 0, 2), (4, 0, 3), (5, 0, 3), (5, 2, 3)):
        assert advance(soon)
        assert tuple(BulkAction.objects.get(pk=each.pk).handled_count for each in (big, later, other)) == handled
    assert not advance(timezone.now() - timedelta(seconds=1))
    go_on()
    assert not bulk_actions.is_due(soon)
    assert bulk_actions.settles_at() is None


@pytest.mark.parametrize("kind", ["start", "retry", "move", "mark"])
def test_it_asks_the_database_as_much_for_a_piece_of_many_as_of_few(
    tenant: Tenant, make_users: MakeUsers, new_bridge: Bridge, make_run: MakeRun, wakes: list[Any], kind: str
) -> None:
    users = make_users({f"user{number:02}": {} for number in range(33)})
    for user in users:
        make_run(user, "Failed")
    everybody(tenant).update(invitations_fingerprint="")
    asked = []
    for some in (users[:3], users[3:]):
        with CaptureQueriesContext(connection) as queries:
            chosen = everybody(tenant).filter(pk__in=[user.pk for user in some])
            action = perform(tenant, KINDS[kind], chosen, ACTOR, options=to(new_bridge))
        assert action.done_count == len(some)
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_r30_old_ones_are_pruned_with_their_results(
    tenant: Tenant, five: list[ConferencingUser], small_pieces: None, wakes: list[Any]
) -> None:
    done = perform(tenant, MARK, everybody(tenant).filter(pk=five[0].pk), ACTOR)
    open_one = perform(tenant, START, everybody(tenant), ACTOR)
    prune(timezone.now() + timedelta(days=1))

    assert not BulkAction.objects.filter(pk=done.pk).exists()
    assert open_one.users.count() == 5


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_moment_do_nobody_twice(
    tenant: Tenant, five: list[ConferencingUser], new_bridge: Bridge, small_pieces: None
) -> None:
    started = perform(tenant, START, everybody(tenant), ACTOR)
    moved = perform(tenant, MOVE, everybody(tenant), ACTOR, options=to(new_bridge))

    def work(number: int) -> bool:
        has_stopped = number == 0 and stop(moved, ACTOR)
        for _ in range(6):
            advance(timezone.now() + timedelta(minutes=1))
        return has_stopped

    has_stopped, *_ = together(work)
    go_on()
    for action in (started, moved):
        action.refresh_from_db()
        rows = action.users.values_list("state", flat=True)
        assert action.handled_count == sum(state != "Waiting" for state in rows)
    assert (started.state, started.done_count) == ("Done", 5)
    assert (moved.state, moved.user_count) == (("Stopped", 5) if has_stopped else ("Done", moved.done_count))
    assert new_bridge.users.count() == moved.done_count
    assert AuditEntry.objects.filter(action="start migration").count() == 5
    assert Run.objects.filter(state="Pending").count() == 5
