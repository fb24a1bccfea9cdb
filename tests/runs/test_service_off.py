"""The service off and on again (R12): what waits goes on, what changed meanwhile is offered, nothing doubles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.out_of_date import count_out_of_date, users_out_of_date
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import addressees, invite, logical_lines, messages_in
from tests.support.together import WORKERS, together

MakeUser = Callable[..., ConferencingUser]


def switch(tenant: Tenant, on: bool) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=on)


def fresh(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


@pytest.fixture
def moved(make_user: MakeUser, new_bridge: Bridge) -> list[ConferencingUser]:
    """Three users with two meetings each, whose runs are due."""
    users = [make_user(f"user{number}") for number in range(3)]
    for number, user in enumerate(users):
        invite(user, number)
        invite(user, number + 100)
        change_user(user, ACTOR, bridge=new_bridge)
    return users


def assert_each_meeting_was_updated_once(outbox: Path) -> None:
    """Every meeting in one result, and every attendee of it in one message."""
    meetings = {uid: set() for uid in CalendarObject.objects.values_list("uid", flat=True)}
    assert Counter(MeetingResult.objects.values_list("uid", flat=True)) == Counter(list(meetings))
    assert set(MeetingResult.objects.values_list("outcome", flat=True)) == {"Succeeded"}
    assert set(Update.objects.values_list("state", "attempts")) == {("Sent", 1)}
    messages = messages_in(outbox)
    assert len(messages) == len(meetings)
    assert sum(len(addressees(message)) for message in messages) == sum(
        Update.objects.values_list("recipient_count", flat=True)
    )


def test_r12_pending_runs_wait_and_go_on(moved: list[ConferencingUser], tenant: Tenant, outbox: Path) -> None:
    switch(tenant, False)
    assert queue.claim() is None
    assert work_queue() == 0
    assert list(Run.objects.values_list("state", "attempts")) == [("Pending", 0)] * 3
    switch(tenant, True)
    assert work_queue() == 3
    assert set(Run.objects.values_list("state", flat=True)) == {"Succeeded"}
    assert_each_meeting_was_updated_once(outbox)


def test_r12_switching_on_wakes_the_cluster_and_switching_off_does_not(
    tenant: Tenant, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as off:
        switch(tenant, False)
    with django_capture_on_commit_callbacks() as on:
        switch(tenant, True)
    assert (len(off), len(on)) == (0, 1)


def test_r12_changes_are_recorded_and_start_nothing(
    anna: ConferencingUser, tenant: Tenant, new_bridge: Bridge, django_capture_on_commit_callbacks: Any
) -> None:
    switch(tenant, False)
    with django_capture_on_commit_callbacks() as wakes:
        (consequence,) = change_user(anna, ACTOR, bridge=new_bridge)
    sentence = "No run, because the service is switched off for this tenant (MeetingMigrationEnabled)."
    assert (consequence.starts_run, consequence.sentence) == (False, sentence)
    assert AuditEntry.objects.get(action="change user").consequence == sentence
    assert fresh(anna).bridge == new_bridge
    assert not Run.objects.exists()
    assert list(users_out_of_date(tenant)) == [anna]
    assert not wakes


def test_r12_a_move_to_online_starts_nothing_either(make_user: MakeUser, tenant: Tenant) -> None:
    user = make_user("bruno.costa", hosting="on-premises")
    switch(tenant, False)
    (consequence,) = change_user(user, ACTOR, hosting="online")
    assert "the service is switched off" in consequence.sentence
    assert not Run.objects.exists()
    assert count_out_of_date(tenant).users == 1


def test_r12_a_start_by_hand_is_refused_with_the_reason_and_not_audited(anna: ConferencingUser, tenant: Tenant) -> None:
    switch(tenant, False)
    (consequence,) = start_by_hand(tenant, [fresh(anna)], ACTOR)
    assert consequence.sentence == (
        "No run, because the service is switched off for this tenant: switch MeetingMigrationEnabled on first."
    )
    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(action="start migration").exists()


def test_r12_a_pending_run_does_with_what_changed_while_it_waited(
    moved: list[ConferencingUser], tenant: Tenant, old_bridge: Bridge, outbox: Path
) -> None:
    switch(tenant, False)
    change_user(moved[0], ACTOR, bridge=old_bridge, language="it-IT")
    assert Run.objects.filter(user=moved[0]).count() == 1
    switch(tenant, True)
    work_queue()
    assert_each_meeting_was_updated_once(outbox)
    texts = ["".join(logical_lines(bytes(row.body))) for row in CalendarObject.objects.filter(user=moved[0])]
    assert all("+1 425-555-0100" in text and "+44 20 7946 0123" not in text for text in texts)
    assert count_out_of_date(tenant).users == 0


def test_r12_a_run_in_progress_finishes_and_its_messages_go_out(
    moved: list[ConferencingUser], tenant: Tenant, outbox: Path
) -> None:
    run = queue.claim()
    assert run is not None
    switch(tenant, False)
    work_run(run)
    deliver()
    run.refresh_from_db()
    assert run.state == "Succeeded"
    assert len(messages_in(outbox)) == 2
    assert Run.objects.filter(state="Pending").count() == 2
    assert work_queue() == 0


def test_r12_a_retry_waits_as_well(
    anna: ConferencingUser, tenant: Tenant, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    start_by_hand(tenant, [fresh(anna)], ACTOR)
    run = queue.claim()
    assert run is not None
    switch(tenant, False)

    def fail(*_: object) -> None:
        raise Failure("mailbox-unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedMailbox, "list_candidates", fail)
        work_run(run)
    Run.objects.update(due_at=timezone.now())
    assert queue.claim() is None
    switch(tenant, True)
    assert work_queue() == 1
    assert_each_meeting_was_updated_once(outbox)


def test_r12_who_changed_meanwhile_is_offered_and_started_and_nobody_twice(
    moved: list[ConferencingUser], make_user: MakeUser, tenant: Tenant, new_bridge: Bridge, outbox: Path
) -> None:
    switch(tenant, False)
    late = make_user("late.comer")
    invite(late, 200)
    change_user(late, ACTOR, bridge=new_bridge)
    found = count_out_of_date(tenant)
    assert (found.users, found.with_run, found.need_a_start) == (4, 3, True)
    assert not any(told.starts_run for told in start_by_hand(tenant, users_out_of_date(tenant), ACTOR))
    assert not Run.objects.filter(user=late).exists()
    switch(tenant, True)
    assert all(told.starts_run for told in start_by_hand(tenant, users_out_of_date(tenant), ACTOR))
    assert Counter(Run.objects.values_list("user__upn", flat=True)) == {user.upn: 1 for user in [*moved, late]}
    work_queue()
    assert_each_meeting_was_updated_once(outbox)
    assert count_out_of_date(tenant).users == 0
    assert start_by_hand(tenant, users_out_of_date(tenant), ACTOR) == []


def test_r12_another_tenant_goes_on(moved: list[ConferencingUser], tenant: Tenant) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    frank = create_user(fabrikam, ACTOR, upn="frank@fabrikam.com")
    start_by_hand(fabrikam, [fresh(frank)], ACTOR, now_due=True)
    switch(tenant, False)
    assert work_queue() == 1
    assert Run.objects.get(user=frank).state == "Succeeded"


# --- while workers are at it --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_r12_switching_while_workers_claim_loses_and_doubles_nothing(
    make_user: MakeUser, tenant: Tenant, new_bridge: Bridge, outbox: Path
) -> None:
    users = [make_user(f"user{number}") for number in range(12)]
    for number, user in enumerate(users):
        invite(user, number)
    start_by_hand(tenant, ConferencingUser.objects.filter(tenant=tenant), ACTOR)

    def act(number: int) -> None:
        for turn in range(8):
            if number == 0:
                switch(tenant, on=bool(turn % 2))
            else:
                work_queue()
        if number == 0:
            switch(tenant, on=False)

    together(act)
    assert WORKERS > 1
    while_off = Counter(Run.objects.values_list("state", flat=True))
    assert set(while_off) <= {"Pending", "Succeeded"}
    assert work_queue() == 0
    assert Counter(Run.objects.values_list("state", flat=True)) == while_off
    switch(tenant, on=True)
    assert work_queue() == while_off["Pending"]
    assert Counter(Run.objects.values_list("state", "attempts")) == {("Succeeded", 1): 12}
    assert_each_meeting_was_updated_once(outbox)


@pytest.mark.django_db(transaction=True)
def test_r12_changes_beside_the_switch_either_start_a_run_or_leave_out_of_date(
    make_user: MakeUser, tenant: Tenant, new_bridge: Bridge, outbox: Path
) -> None:
    users = [make_user(f"user{number}") for number in range(9)]
    for number, user in enumerate(users):
        invite(user, number)

    def act(number: int) -> list[bool]:
        if number == 0:
            for turn in range(9):
                switch(tenant, on=bool(turn % 2))
            return []
        mine = users[number - 1 :: WORKERS - 1]
        return [change_user(user, ACTOR, bridge=new_bridge)[0].starts_run for user in mine]

    started = sum(sum(answers) for answers in together(act))
    assert Run.objects.count() == started
    found = count_out_of_date(tenant)
    assert (found.users, found.with_run) == (9, started)
    switch(tenant, on=True)
    start_by_hand(tenant, users_out_of_date(tenant), ACTOR)
    work_queue()
    assert Counter(Run.objects.values_list("state", flat=True)) == {"Succeeded": 9}
    assert_each_meeting_was_updated_once(outbox)
    assert count_out_of_date(tenant).users == 0
