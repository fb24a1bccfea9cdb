"""What a check asks MMS itself (R73)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from migrations_app.mailboxes.findings import Finding
from migrations_app.models import Heartbeat, LeftMeeting, MeetingResult, Run, Update, Wave
from migrations_app.monitoring.health import beat
from migrations_app.rollouts import own_checks
from migrations_app.rollouts.recording import Found
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tests.support.checks import FAILED, INCONCLUSIVE, PASSED, a_check, without_checks
from tests.support.rollouts import a_rollout, a_wave, belong_to, members

ALONE = {"anna.rossi": {}}


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    """The second one, so that there is an earlier one."""
    without_checks(a_rollout(tenant))
    return a_wave(Wave.objects.get(position=2).rollout, 2)


@pytest.fixture
def first(wave: Wave) -> Wave:
    return a_wave(wave.rollout, 1)


def ask(wave: Wave, **parameters: Any) -> Found:
    return own_checks.look(a_check(wave, "runs", scope="both", parameters=parameters))


def a_run(user: ConferencingUser, state: str, **values: Any) -> Run:
    usual: dict[str, Any] = {
        "due_at": timezone.now(),
        "finished_at": timezone.now() if state in {"Failed", "Succeeded"} else None,
    }
    if state == "InProgress":
        usual |= {"lease_token": uuid4(), "lease_until": timezone.now() + timedelta(minutes=1)}
    return Run.objects.create(tenant=user.tenant, user=user, state=state, is_latest=True, **{**usual, **values})


@pytest.mark.parametrize(
    ("state", "no_failed", "none_under_way"),
    [
        ("Succeeded", PASSED, PASSED),
        ("Failed", FAILED, PASSED),
        ("Pending", PASSED, FAILED),
        ("InProgress", PASSED, FAILED),
    ],
)
def test_latest_runs_of_earlier_waves(
    wave: Wave, first: Wave, anna: ConferencingUser, state: str, no_failed: Any, none_under_way: Any
) -> None:
    members(first, [anna], moved_at=timezone.now())
    a_run(anna, state)
    assert ask(wave, no_failed=True).outcome == no_failed
    assert ask(wave, none_under_way=True).outcome == none_under_way


def test_runs_of_others_do_not_count(wave: Wave, first: Wave, make_users: Any) -> None:
    anna, bruno, clara = make_users({"anna.rossi": {}, "bruno.costa": {}, "clara.sanz": {}})
    a_run(anna, "Failed")
    members(wave, [bruno])
    a_run(bruno, "Failed")
    members(first, [clara], is_current=False, state="RolledBack")
    a_run(clara, "Failed")
    assert ask(wave, no_failed=True).outcome == PASSED


def test_before_retirement_all_waves_count(wave: Wave, anna: ConferencingUser) -> None:
    members(wave, [anna])
    a_run(anna, "Failed")
    check = a_check(wave, "runs", scope="both", parameters={"no_failed": True})
    check.wave = None
    assert own_checks.look(check).outcome == FAILED


def test_failures_that_somebody_has_accepted_do_not_count(wave: Wave, first: Wave, anna: ConferencingUser) -> None:
    members(first, [anna])
    run = a_run(anna, "Failed", accepted_at=timezone.now())
    assert ask(wave, no_failed=True).outcome == PASSED
    Run.objects.filter(pk=run.pk).update(accepted_at=None)
    assert ask(wave, no_failed=True).outcome == FAILED
    a_wave(wave.rollout, 1, state=Wave.State.COMPLETED_WITH_ERRORS, accepted_at=timezone.now() + timedelta(minutes=1))
    assert ask(wave, no_failed=True).outcome == PASSED, "it was seen when its wave was accepted"
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now() + timedelta(minutes=2))
    assert ask(wave, no_failed=True).outcome == FAILED, "this one came afterwards"


def test_messages_must_be_sent_and_those_given_up_be_dealt_with(wave: Wave, anna: ConferencingUser) -> None:
    run = a_run(anna, "Succeeded")
    result = MeetingResult.objects.create(run=run, uid="a@contoso.com", outcome="Succeeded")
    update = Update.objects.create(result=result, tenant=anna.tenant, recipient_count=1)
    assert "1 message waits to be sent" in ask(wave, messages_sent=True).sentence
    Update.objects.filter(pk=update.pk).update(state=Update.State.FAILED)
    soon = timezone.now() + timedelta(days=1)
    left = LeftMeeting.objects.create(
        tenant=anna.tenant, user=anna, uid="a@contoso.com", message=update, starts_at=soon, last_end=soon, run=run
    )
    assert "was given up, and nobody has dealt with it" in ask(wave, messages_sent=True).sentence
    LeftMeeting.objects.filter(pk=left.pk).update(state=LeftMeeting.State.DEALT_WITH)
    assert ask(wave, messages_sent=True).outcome == PASSED


def test_nobody_who_has_moved_may_be_out_of_date(
    wave: Wave, first: Wave, anna: ConferencingUser, new_bridge: Any
) -> None:
    from tenants_app.changes.users import UserEdit, change_users
    from tests.support.actors import ACTOR

    change_users(anna.tenant, [UserEdit(anna.pk, {"bridge": new_bridge})], ACTOR)
    assert ConferencingUser.objects.out_of_date().filter(pk=anna.pk).exists()
    (member,) = members(first, [anna])
    assert ask(wave, none_out_of_date=True).outcome == PASSED, "Anna has not moved yet"
    first.members.filter(pk=member.pk).update(moved_at=timezone.now(), state="Done")
    assert ask(wave, none_out_of_date=True).outcome == FAILED


@pytest.mark.parametrize("state", ["Updating", "Failed"])
def test_a_wave_is_not_stopped_by_its_own_members_whose_runs_are_to_come_or_have_failed(
    wave: Wave, anna: ConferencingUser, new_bridge: Any, state: str
) -> None:
    """The rule for stops (R78) says how many may fail; this check, failed twice, would stop it at the first."""
    from tenants_app.changes.users import UserEdit, change_users
    from tests.support.actors import ACTOR

    change_users(anna.tenant, [UserEdit(anna.pk, {"bridge": new_bridge})], ACTOR)
    members(wave, [anna], state=state, moved_at=timezone.now())
    assert ConferencingUser.objects.out_of_date().filter(pk=anna.pk).exists()
    assert ask(wave, none_out_of_date=True).outcome == PASSED


def test_the_background_service_must_be_alive(wave: Wave) -> None:
    Heartbeat.objects.all().delete()
    assert ask(wave, worker=True).outcome == FAILED
    beat()
    assert ask(wave, worker=True).outcome == PASSED


@pytest.mark.parametrize(
    ("state", "accepted", "outcome"),
    [
        ("Draft", False, FAILED),
        ("Observing", False, FAILED),
        ("Completed", True, PASSED),
        ("RolledBack", False, PASSED),
    ],
)
def test_pilot_periods_must_be_over(wave: Wave, state: str, accepted: bool, outcome: Any) -> None:
    a_wave(wave.rollout, 1, state=state, accepted_at=timezone.now() if accepted else None)
    assert ask(wave, waves_accepted=True).outcome == outcome


# --- mailboxes ----------------------------------------------------------------------------------------


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose mailboxes were tried; those of Bruno cannot be reached."""
    names: list[str] = []

    def try_it(connection: MailboxConnection, user: ConferencingUser) -> list[Finding]:
        names.append(user.upn)
        ok = not user.upn.startswith("bruno")
        return [Finding("address", True, "There."), Finding("mailbox", ok, "It cannot be opened.")]

    monkeypatch.setattr(own_checks, "try_connection", try_it)
    return names


@pytest.fixture
def outside(tenant: Tenant) -> MailboxConnection:
    return MailboxConnection.objects.create(tenant=tenant, name="Nextcloud", kind="caldav", address="https://x.test/")


Make = Callable[..., list[ConferencingUser]]


def test_mailboxes_of_a_sample_of_the_wave_are_tried(
    wave: Wave, make_users: Make, tried: list[str], outside: MailboxConnection
) -> None:
    users = make_users({name: {"mailbox": outside} for name in ("anna.rossi", "clara.sanz", "dora.weiss", "eva.braun")})
    members(wave, users)
    assert ask(wave, mailboxes=3).outcome == PASSED
    assert len(set(tried)) == len(tried) == 3


def test_a_mailbox_that_cannot_be_reached_fails_and_is_named(
    wave: Wave, make_users: Make, tried: list[str], outside: MailboxConnection
) -> None:
    members(wave, make_users({name: {"mailbox": outside} for name in ("anna.rossi", "bruno.costa")}))
    found = ask(wave, mailboxes=5)
    assert found.outcome == FAILED
    assert found.sentence == "The mailbox of bruno.costa@contoso.com: It cannot be opened."


def test_mailboxes_that_mms_keeps_itself_need_not_be_tried(wave: Wave, make_users: Make, tried: list[str]) -> None:
    members(wave, make_users({"anna.rossi": {}}))
    assert ask(wave, mailboxes=5).outcome == PASSED
    assert not tried


def test_a_wave_without_members_yet_is_tried_by_those_of_the_legacy_side(
    wave: Wave, make_users: Make, tried: list[str], outside: MailboxConnection
) -> None:
    users = make_users({name: {"mailbox": outside} for name in ("anna.rossi", "clara.sanz")})
    belong_to(wave.rollout.legacy, users[:1])
    ask(wave, mailboxes=5)
    assert tried == ["anna.rossi@contoso.com"]


def test_what_cannot_be_tried_in_time_is_inconclusive(
    wave: Wave, make_users: Make, tried: list[str], outside: MailboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    members(wave, make_users({"anna.rossi": {"mailbox": outside}}))
    moments = iter([0.0, 11.0, 11.0])
    monkeypatch.setattr(own_checks, "monotonic", lambda: next(moments))
    found = ask(wave, mailboxes=5)
    assert (found.outcome, found.seconds) == (INCONCLUSIVE, 11.0)
    assert not tried


# --- all of it ----------------------------------------------------------------------------------------


def test_all_that_is_wrong_is_said(wave: Wave, first: Wave, make_users: Make) -> None:
    Heartbeat.objects.all().delete()
    anna, clara = make_users({"anna.rossi": {}, "clara.sanz": {}})
    members(first, [anna, clara])
    a_run(anna, "Failed")
    a_run(clara, "Pending")
    found = ask(wave, no_failed=True, none_under_way=True, worker=True)
    for part in ("service is silent", "has a run pending", "has failed"):
        assert part in found.sentence


def test_many_members_are_asked_about_in_as_many_statements(
    wave: Wave, first: Wave, make_users: Make, django_assert_max_num_queries: Any
) -> None:
    users = make_users({f"user{number}": {} for number in range(50)})
    members(first, users, moved_at=timezone.now())
    beat()
    check = a_check(
        wave,
        "runs",
        parameters={
            "no_failed": True,
            "none_under_way": True,
            "messages_sent": True,
            "none_out_of_date": True,
            "worker": True,
            "waves_accepted": True,
        },
    )
    with django_assert_max_num_queries(9):
        own_checks.look(check)
