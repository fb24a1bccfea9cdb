"""The list that a rollout starts with, and what administrators make of it (R69, R74)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from migrations_app.models import RolloutCheck, RolloutEvent, Wave
from migrations_app.rollouts.checks import (
    add_checklist,
    change_check,
    copy_checks,
    define_check,
    move_check,
    remove_check,
)
from migrations_app.rollouts.gates import gate_of
from migrations_app.rollouts.kinds import checked
from tenants_app.models import AuditEntry, Tenant
from tests.support.checks import ALICE, FAILED, PASSED, a_check, finds, says, without_checks
from tests.support.rollouts import a_deployment, a_rollout, a_wave

MANUAL = {"name": "Ask Bruno", "scope": "both", "instructions": "Call him."}
TCP = {
    "name": "Front end",
    "scope": "new",
    "parameters": {"host": "meet.contoso.com", "port": "5061", "tls": True},
    "interval": 120,
    "timeout": 20,
}


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    new = a_deployment(tenant, "new", check_hosts=["sip.contoso.com"])
    without_checks(a_rollout(tenant, new=new))
    return a_wave(Wave.objects.get(position=1).rollout)


def define(wave: Wave, kind: str, values: Any) -> RolloutCheck:
    return define_check(wave.rollout, wave, kind, values, ALICE)


# --- R74: the list it starts with ---------------------------------------------------------------------


def test_a_new_rollout_starts_with_the_list(wave: Wave) -> None:
    add_checklist(wave.rollout)
    found = Counter(
        (check.wave.purpose if check.wave else "", check.kind, check.scope)
        for check in RolloutCheck.objects.select_related("wave")
    )
    assert found == {
        ("test", "manual", "legacy"): 3,
        ("test", "manual", "both"): 1,
        ("test", "tcp", "new"): 3,  # both hosts are started, and one has a certificate for meetings
        ("test", "dns", "new"): 1,
        ("pilot", "manual", "between"): 7,
        ("pilot", "manual", "new"): 1,
        ("pilot", "manual", "both"): 2,
        ("pilot", "runs", "both"): 1,
        ("pilot", "sip", "legacy"): 1,
        ("pilot", "sip", "new"): 1,
        ("everyone", "runs", "new"): 1,
        ("everyone", "manual", "new"): 3,
        ("everyone", "runs", "both"): 1,
        ("everyone", "manual", "both"): 1,
        ("", "manual", "legacy"): 12,
    }


def test_what_the_list_measures_can_be_measured(wave: Wave) -> None:
    """But for the records, which nobody can know."""
    add_checklist(wave.rollout)
    for check in RolloutCheck.objects.exclude(kind="manual"):
        assert checked(check.kind, check.parameters, wave.rollout, check.scope), check.name
        assert check.due_at is not None
        assert ("expected" in check.parameters) is False


def test_every_question_has_instructions_and_closes_its_gate_until_it_is_answered(wave: Wave) -> None:
    add_checklist(wave.rollout)
    assert not RolloutCheck.objects.filter(kind="manual", instructions="").exists()
    assert not gate_of(wave).is_open


def test_event_30024_is_asked_for_before_anybody_of_the_pilot_is_moved(wave: Wave) -> None:
    add_checklist(wave.rollout)
    check = RolloutCheck.objects.filter(wave__purpose="pilot").order_by("position")[0]
    assert "event 30024 of LS User Replicator" in check.instructions


# --- defining -----------------------------------------------------------------------------------------


def test_a_check_is_added_behind_the_others_and_is_looked_at_soon(
    wave: Wave, django_capture_on_commit_callbacks: Any
) -> None:
    define(wave, "manual", MANUAL)
    with django_capture_on_commit_callbacks() as wakes:
        check = define(wave, "tcp", TCP)
    assert wakes
    assert check.due_at is not None
    assert check.parameters["port"] == 5061
    assert [each.check.name for each in gate_of(wave).standings] == ["Ask Bruno", "Front end"]
    entry = AuditEntry.objects.filter(action="add check").latest("pk")
    assert entry.target == "To the new service: Test users: Front end"
    assert entry.after["host"] == "meet.contoso.com"


@pytest.mark.parametrize(
    ("kind", "changed", "field", "why"),
    [
        ("tcp", {"parameters": {"host": "evil.example.org", "port": 443}}, "parameter_host", "not among the hosts"),
        ("tcp", {"parameters": {"host": "lync.contoso.com", "port": 443}}, "parameter_host", "not among the hosts"),
        ("sip", {"parameters": {"host": "10.0.0.7"}}, "parameter_host", "not among the hosts"),
        ("http", {"parameters": {"url": "https://evil.example.org/"}}, "parameter_url", "not among the hosts"),
        ("tcp", {"parameters": {"host": "meet.contoso.com"}}, "parameter_port", "Give a whole number"),
        ("tcp", {"parameters": {"host": "meet.contoso.com", "port": 70_000}}, "parameter_port", "Give a whole number"),
        ("runs", {"parameters": {}}, "parameter_no_failed", "Choose at least one question"),
        ("tcp", {"timeout": 61}, "timeout", "60"),
        ("tcp", {"interval": 59}, "interval", "at least 60"),
        ("tcp", {"valid_for": 139}, "valid_for", "more than interval and timeout"),
        ("tcp", {"interval": 3600}, "valid_for", "more than interval and timeout"),
        ("tcp", {"scope": "moon"}, "scope", "is not on offer"),
        ("tcp", {"name": ""}, "name", "must not be empty"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(wave: Wave, kind: str, changed: Any, field: str, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        define(wave, kind, {**TCP, **changed})
    assert why in refused.value.message_dict[field][0]
    assert not RolloutCheck.objects.exists()


def test_hosts_of_either_side_may_be_named_where_it_is_about_both(wave: Wave) -> None:
    values = {**TCP, "scope": "between", "parameters": {"host": "lync.contoso.com", "port": 443}}
    assert define(wave, "tcp", values)


def test_a_program_needs_no_host(wave: Wave) -> None:
    values = {**TCP, "parameters": {"program": "look", "arguments": ["--host={host}"]}}
    assert define(wave, "command", values).parameters == {"program": "look", "arguments": ["--host={host}"]}


def test_a_check_is_changed_and_what_was_measured_otherwise_counts_no_more(wave: Wave) -> None:
    check = define(wave, "tcp", TCP)
    finds(check, PASSED)
    assert change_check(check, {"name": "Front end 1"}, ALICE)
    assert gate_of(wave).is_open
    assert change_check(check, {"parameters": {**TCP["parameters"], "port": 443}}, ALICE)  # type: ignore[dict-item]
    assert not gate_of(wave).is_open
    assert check.results.count() == 1
    assert not change_check(check, {"name": "Front end 1"}, ALICE)
    entries = AuditEntry.objects.filter(action="change check").order_by("pk")
    assert [entry.after for entry in entries] == [{"name": "Front end 1"}, {"port": 443}]


def test_a_check_is_removed_with_a_reason_and_stays_for_the_report(wave: Wave) -> None:
    check = define(wave, "manual", MANUAL)
    says(check)
    with pytest.raises(ValidationError, match="Say why"):
        remove_check(check, "  ", ALICE)
    remove_check(check, "Bruno has left.", ALICE)
    check.refresh_from_db()
    assert (check.removed_by, check.removal_reason) == ("alice", "Bruno has left.")
    assert check.answers.count() == 1
    assert gate_of(wave).standings == []
    assert AuditEntry.objects.get(action="remove check").after == {"reason": "Bruno has left."}
    with pytest.raises(ValidationError, match="was removed by alice"):
        change_check(check, {"name": "Again"}, ALICE)


def test_checks_change_places(wave: Wave) -> None:
    for name in "abc":
        define(wave, "manual", {**MANUAL, "name": name})

    def names() -> str:
        return "".join(each.check.name for each in gate_of(wave).standings)

    last = RolloutCheck.objects.get(name="c")
    assert move_check(last, ALICE, up=True)
    assert names() == "acb"
    assert move_check(last, ALICE, up=True)
    assert not move_check(last, ALICE, up=True)
    assert names() == "cab"
    assert move_check(last, ALICE, up=False)
    assert names() == "acb"


def test_a_gate_that_an_admin_changes_is_not_told_as_closed_by_a_check(wave: Wave) -> None:
    finds(define(wave, "tcp", TCP), PASSED)
    define(wave, "manual", MANUAL)
    assert not gate_of(wave).is_open
    assert not RolloutEvent.objects.filter(kind="gate-closed").exists()


def test_a_wave_that_is_split_off_gets_the_same_checks_unanswered(wave: Wave) -> None:
    finds(a_check(wave, name="Measured"), FAILED)
    says(a_check(wave, "manual", name="Asked"))
    a_check(wave, "manual", name="Removed", removed_at=wave.rollout.created)
    other = a_wave(wave.rollout, 2)
    copy_checks(wave, other)
    assert [(each.check.name, each.at) for each in gate_of(other).standings] == [("Measured", None), ("Asked", None)]
    assert RolloutCheck.objects.get(wave=other, name="Measured").failed_in_a_row == 0
    assert gate_of(wave).standings[1].outcome == PASSED
