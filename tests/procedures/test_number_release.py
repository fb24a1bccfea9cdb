"""Taking a number off its bridge: nobody is left with a number that does not answer (R32 to R35)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.utils import timezone

from migrations_app import tasks
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import NumberRelease, Run
from migrations_app.preview.many_users import foresee_release
from migrations_app.procedures import number_release
from migrations_app.procedures.number_release import (
    cancel_release,
    holders,
    start_release,
    start_replacement,
)
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.worker import _Attempt
from tenants_app.audit import Channel
from tenants_app.changes.bridges import register_number, release_number, set_default_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_user, change_users, mark_up_to_date
from tenants_app.dependants import dependants
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate

MakeUser = Callable[..., ConferencingUser]
OLD, NEW, DEFAULT = "+14255550111", "+14255550122", "+14255550100"


@pytest.fixture
def old(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation."""
    user = make_user("dora.lind", toll_number=old)
    invite(user)
    migrate(user)
    return user


def go_on() -> None:
    tasks.work_queue()


def state(release: NumberRelease) -> str:
    return NumberRelease.objects.get(pk=release.pk).state


def is_there(number: str) -> bool:
    return ServiceNumber.objects.filter(number=number).exists()


def latest_run(user: ConferencingUser) -> Run:
    return user.runs.get(is_latest=True)


def shows(user: ConferencingUser, number: str) -> bool:
    return any(
        number[2:] in bytes(row.body).decode().replace("-", "").replace(" ", "").replace("\r\n", "")
        for row in user.calendar_objects.all()
    )


def test_r34_it_moves_the_users_migrates_their_meetings_and_releases_the_number(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    assert shows(dora, OLD)
    release = start_release(old, new, ACTOR)
    go_on()
    dora.refresh_from_db()

    assert dora.toll_number == new
    assert shows(dora, NEW)
    assert not shows(dora, OLD)
    assert state(release) == "Released"
    assert not is_there(OLD)
    assert [reason["sentence"] for reason in latest_run(dora).reasons] == [
        f"The number {OLD} was taken off the bridge."
    ]


def test_r35_it_stays_assigned_while_a_run_is_pending_or_in_progress(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    release = start_release(old, new, ACTOR)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert (state(release), is_there(OLD)) == ("Updating", True)
    assert list(holders(release)) == [dora]
    Run.objects.filter(user=dora, state="Pending").update(
        state="InProgress", lease_token=dora.user_id, lease_until=timezone.now()
    )
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert (state(release), is_there(OLD)) == ("Updating", True)


# --- who depends on it, and what it would start (R32) -------------------------------------------------


def test_r32_who_depends_on_a_number(
    make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, new_bridge: Bridge
) -> None:
    by_setting = make_user("emil.vega", toll_number=old, audio_conferencing_enabled=False)
    by_invitation = make_user("fred.ward", toll_number=old)
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    change_user(by_invitation, ACTOR, bridge=new_bridge)
    make_user("gina.hall")

    assert set(dependants(old)) == {dora, by_setting, by_invitation}


def test_r32_the_users_of_a_bridge_depend_on_its_default_number(
    dora: ConferencingUser, old_bridge: Bridge, make_user: MakeUser, new_bridge: Bridge
) -> None:
    by_default = make_user("emil.vega")
    make_user("fred.ward", bridge=new_bridge)

    assert list(dependants(old_bridge.numbers.get(number=DEFAULT))) == [by_default]


def test_r32_it_foresees_users_meetings_and_runs(
    dora: ConferencingUser, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    make_user("emil.vega", toll_number=old, mailbox_location="on-premises")
    foreseen = foresee_release(old)

    assert (foreseen.users, foreseen.runs, foreseen.future.meetings) == (2, 1, 1)
    because = "the mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool instead"
    assert foreseen.without_run == {f"No run, because {because}.": 1}
    start_release(old, new, ACTOR)
    go_on()
    assert Run.objects.filter(reasons__0__rule="R6").count() == foreseen.runs


# --- what it needs (R33) ------------------------------------------------------------------------------


def test_r33_the_number_that_takes_its_place_is_on_the_same_bridge_and_of_the_same_kind(
    old: ServiceNumber, new: ServiceNumber, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    free = register_number(old_bridge, "+18005550111", "toll-free", ACTOR)
    elsewhere = new_bridge.numbers.get(kind="toll")
    for replacement, problem in (
        (old, "cannot replace itself"),
        (free, "is a toll-free number: choose a toll one"),
        (elsewhere, "is on the bridge New bridge: choose a number of Old bridge"),
    ):
        with pytest.raises(ValidationError, match=problem) as refused:
            start_release(old, replacement, ACTOR)
        assert list(refused.value.message_dict) == ["replacement"]
    assert not NumberRelease.objects.exists()
    assert not ServiceNumber.objects.filter(is_leaving=True).exists()


def test_r33_a_number_that_is_leaving_takes_nobodys_place(old: ServiceNumber, new: ServiceNumber) -> None:
    start_release(old, new, ACTOR)
    for number, replacement, problem in (
        (new, old, "is being taken off the bridge itself"),
        (old, new, "is being taken off already"),
    ):
        with pytest.raises(ValidationError, match=problem):
            start_release(number, replacement, ACTOR)
    assert NumberRelease.objects.count() == 1


def test_r35_a_default_number_cannot_be_taken_off(old_bridge: Bridge, new: ServiceNumber) -> None:
    with pytest.raises(ValidationError, match="is the default number of Old bridge"):
        start_release(old_bridge.numbers.get(number=DEFAULT), new, ACTOR)


def test_r12_it_does_not_begin_while_the_service_is_off(old: ServiceNumber, new: ServiceNumber) -> None:
    change_tenant(old.tenant, ACTOR, meeting_migration_enabled=False)
    with pytest.raises(ValidationError, match="switch MeetingMigrationEnabled on first"):
        start_release(old, new, ACTOR)


@pytest.mark.parametrize("field", ["toll_number", "toll_free_number"])
def test_r35_nobody_is_given_a_number_that_is_leaving(
    make_user: MakeUser, old_bridge: Bridge, new: ServiceNumber, field: str
) -> None:
    kind = field.removesuffix("_number").replace("_", "-")
    leaving, other = (register_number(old_bridge, f"+1800555013{digit}", kind, ACTOR) for digit in range(2))
    user = make_user("emil.vega")
    start_release(leaving, other, ACTOR)
    leaving.refresh_from_db()
    with pytest.raises(ValidationError, match="is being taken off the bridge: choose another") as refused:
        change_users(user.tenant, [UserEdit(user.pk, {field: leaving})], ACTOR)
    assert list(refused.value.message_dict) == [field]
    if kind == "toll":
        with pytest.raises(ValidationError, match="cannot be the default"):
            set_default_number(leaving, ACTOR, reschedule_meetings=False)


# --- when it moves, and when it can be cancelled ------------------------------------------------------


def test_r19_nobody_is_moved_before_the_settling_time_is_over(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_tenant(old.tenant, ACTOR, settling_time=300)
    release = start_release(old, new, ACTOR)
    go_on()
    dora.refresh_from_db()
    assert (state(release), dora.toll_number) == ("Waiting", old)

    assert number_release.begin_now(release, ACTOR)
    go_on()
    dora.refresh_from_db()
    # It has settled already: the runs do not wait a second time.
    assert (state(release), dora.toll_number) == ("Released", new)
    assert not number_release.begin_now(release, ACTOR)


def test_it_can_be_cancelled_before_anybody_was_moved(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_tenant(old.tenant, ACTOR, settling_time=300)
    release = start_release(old, new, ACTOR)
    assert cancel_release(release, ACTOR)
    NumberRelease.objects.update(due_at=timezone.now())
    go_on()
    old.refresh_from_db()
    dora.refresh_from_db()

    assert (state(release), old.is_leaving, dora.toll_number) == ("Cancelled", False, old)
    assert start_release(old, new, ACTOR).state == "Waiting"


def test_it_cannot_be_cancelled_afterwards(dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber) -> None:
    release = start_release(old, new, ACTOR)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert not cancel_release(release, ACTOR)
    assert state(release) == "Updating"


def test_r12_it_waits_while_the_service_is_off_and_goes_on_after(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    release = start_release(old, new, ACTOR)
    change_tenant(old.tenant, ACTOR, meeting_migration_enabled=False)
    go_on()
    dora.refresh_from_db()
    assert (state(release), dora.toll_number) == ("Waiting", old)
    change_tenant(old.tenant, ACTOR, meeting_migration_enabled=True)
    go_on()
    assert (state(release), is_there(OLD)) == ("Released", False)


def test_it_goes_on_in_batches_from_where_it_was(
    make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [make_user(f"user{number}", toll_number=old) for number in range(5)]
    monkeypatch.setattr(number_release, "BATCH", 2)
    release = start_release(old, new, ACTOR)
    moved = []
    while NumberRelease.objects.get(pk=release.pk).state in {"Waiting", "Moving"}:
        number_release._step(release.pk)
        moved.append(ConferencingUser.objects.filter(toll_number=new).count())
    assert moved == [2, 4, 5, 5]
    assert set(release.users.all()) == set(users)
    assert AuditEntry.objects.filter(action="change user", channel=Channel.SERVICE).count() == 5


# --- when the number is kept (R35) --------------------------------------------------------------------


def test_r35_a_failed_run_keeps_the_number_until_it_has_succeeded(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    broken = EmbeddedMailbox(dora)
    broken.store([("broken", b"BEGIN:VCALENDAR\r\nnonsense")])
    release = start_release(old, new, ACTOR)
    go_on()
    assert latest_run(dora).state == "Failed"
    assert (state(release), is_there(OLD)) == ("Updating", True)
    assert list(holders(release)) == [dora]

    dora.calendar_objects.filter(uid="broken").delete()
    start_by_hand(dora.tenant, [ConferencingUser.objects.select_related("bridge").get(pk=dora.pk)], ACTOR)
    go_on()
    assert (state(release), is_there(OLD)) == ("Released", False)


def test_r35_a_user_without_a_run_keeps_the_number(make_user: MakeUser, old: ServiceNumber, new: ServiceNumber) -> None:
    user = make_user("emil.vega", toll_number=old, mailbox_location="on-premises")
    release = start_release(old, new, ACTOR)
    go_on()
    user.refresh_from_db()
    assert (state(release), is_there(OLD), user.toll_number) == ("Updating", True, new)
    assert list(holders(release)) == [user]
    assert user.is_out_of_date

    assert mark_up_to_date(user, ACTOR)
    go_on()
    assert (state(release), is_there(OLD)) == ("Released", False)


def test_r13_with_automatic_migration_off_the_number_stays_until_the_runs_are_started_by_hand(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    release = start_release(old, new, ACTOR)
    go_on()
    assert (state(release), shows(dora, OLD)) == ("Updating", True)
    migrate(dora)
    go_on()
    assert (state(release), shows(dora, OLD), is_there(OLD)) == ("Released", False, False)


def test_r35_a_meeting_that_was_left_as_it_is_keeps_the_number(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    """The run succeeds, and still one invitation shows the number: it has too many attendees to be migrated."""
    change_tenant(old.tenant, ACTOR, attendee_limit=1)
    release = start_release(old, new, ACTOR)
    go_on()
    assert latest_run(dora).state == "Succeeded"
    assert shows(dora, OLD)
    assert (state(release), is_there(OLD)) == ("Updating", True)
    assert list(holders(release)) == [dora]

    change_tenant(old.tenant, ACTOR, attendee_limit=250)
    migrate(dora)
    go_on()
    assert (state(release), shows(dora, OLD), is_there(OLD)) == ("Released", False, False)


def test_r35_an_invitation_that_was_not_migrated_at_an_earlier_change_keeps_the_number_too(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    """R10: the user has another number since, without rescheduling, so the invitations still show this one."""
    change_user(dora, ACTOR, toll_number=new)
    assert shows(dora, OLD)
    release = start_release(old, new, ACTOR)
    go_on()
    assert (state(release), shows(dora, OLD), is_there(OLD)) == ("Released", False, False)


def test_r35_the_database_itself_keeps_a_number_that_an_invitation_shows(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_user(dora, ACTOR, toll_number=new)
    with pytest.raises(ProtectedError):
        release_number(old, ACTOR)
    assert is_there(OLD)


def test_r35_a_run_that_began_with_the_number_and_wrote_it_holds_it(
    make_user: MakeUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    """The user is moved while their run is at work; what it has written until then shows the number."""
    user = make_user("emil.vega")
    invite(user)
    change_user(user, ACTOR, toll_number=old)
    start_by_hand(user.tenant, [ConferencingUser.objects.select_related("bridge").get(pk=user.pk)], ACTOR)
    run = queue.claim()
    assert run is not None
    at_work = _Attempt(run)
    release = start_release(old, new, ACTOR)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    at_work.work()
    assert shows(user, OLD)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert (state(release), is_there(OLD)) == ("Updating", True)
    at_work.committer.record_what_invitations_say()
    queue.succeed(run)
    go_on()
    assert (state(release), shows(user, OLD), is_there(OLD)) == ("Released", False, False)


# --- replacing ----------------------------------------------------------------------------------------


def test_a_default_number_is_replaced_in_one_step(
    make_user: MakeUser, old_bridge: Bridge, outbox: Any, tenant: Tenant
) -> None:
    user = make_user("emil.vega")
    invite(user)
    migrate(user)
    assert shows(user, DEFAULT)
    release = start_replacement(old_bridge.numbers.get(number=DEFAULT), NEW, ACTOR)
    go_on()
    number = old_bridge.numbers.get(number=NEW)

    assert (state(release), shows(user, NEW), is_there(DEFAULT)) == ("Released", True, False)
    assert (number.is_default, number.kind, number.country, number.city) == (True, "toll", "United States", "Redmond")


def test_the_default_stays_until_the_replacement_begins(old_bridge: Bridge, tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    release = start_replacement(old_bridge.numbers.get(number=DEFAULT), NEW, ACTOR)
    assert old_bridge.numbers.get(is_default=True).number == DEFAULT
    assert cancel_release(release, ACTOR)
    assert {number.number for number in old_bridge.numbers.filter(is_leaving=False)} == {DEFAULT, NEW}


def test_a_number_that_is_refused_as_replacement_is_not_registered_either(old: ServiceNumber) -> None:
    with pytest.raises(ValidationError, match=r"E\.164"):
        start_replacement(old, "4255550122", ACTOR)
    change_tenant(old.tenant, ACTOR, meeting_migration_enabled=False)
    with pytest.raises(ValidationError, match="switch MeetingMigrationEnabled on first"):
        start_replacement(old, NEW, ACTOR)
    assert not is_there(NEW)


def test_it_is_audited_from_the_start_to_the_release(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    start_release(old, new, ACTOR)
    go_on()
    told = AuditEntry.objects.filter(target=OLD).order_by("pk").values_list("action", "actor", "channel")
    assert list(told)[-2:] == [
        ("take number off", "test", "screen"),
        ("release number", "test", "service"),
    ]
    change = AuditEntry.objects.get(action="change user", channel="service")
    assert (change.before, change.after) == ({"toll_number": OLD}, {"toll_number": NEW})
    assert change.consequence == f"Run, because the number {OLD} was taken off the bridge."


def test_a_procedure_that_cannot_go_on_does_not_hold_up_the_others(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, old_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = register_number(old_bridge, "+14255550133", "toll", ACTOR)
    first, second = start_release(old, new, ACTOR), start_release(other, new, ACTOR)
    step = number_release._step

    def stumble(pk: int) -> bool:
        if pk == first.pk:
            raise RuntimeError
        return step(pk)

    monkeypatch.setattr(number_release, "_step", stumble)
    go_on()
    assert (state(first), state(second)) == ("Waiting", "Released")
    monkeypatch.undo()
    go_on()
    assert state(first) == "Released"
