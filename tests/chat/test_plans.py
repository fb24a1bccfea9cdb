"""What would become of rooms, before anything is changed, and what people decide about it (R110, R120)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.chat import import_engine, importing, plan_engine, plans
from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.archives import folder_of, store_export
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.models import ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer, limits
from tests.support.chat_organization import Organization
from tests.support.chat_plans import a_plan, a_target, forget_leases, imported, stored

pytestmark = pytest.mark.django_db
State = ChatPlan.State


def of_organization(tenant: Tenant, organization: Organization) -> ChatPlan:
    archive = store_export(tenant, ACTOR, "Contoso", lambda folder: copy(organization.folder, folder))
    return a_plan(tenant, archive)


def errors(plan: ChatPlan) -> list[tuple[str, str]]:
    found = plan.findings.filter(severity="error").order_by("pk")
    return [(finding.room.name if finding.room else "", finding.code) for finding in found.select_related("room")]


def test_r110_a_plan_says_of_each_room_what_it_becomes_and_touches_nothing(
    tenant: Tenant, server: FakeServer, organization: Organization
) -> None:
    plan = of_organization(tenant, organization)

    assert plan.state == State.READY
    assert {step for step, _ in server.calls} == {"look"}
    rooms = {room.room_id: room for room in plan.rooms.all()}
    assert set(rooms) == set(organization.rooms)
    twin = rooms[organization.special["twin"]]
    assert twin.message_count == organization.rooms[twin.room_id].messages
    assert twin.becomes.endswith(twin.name)
    assert twin.planned["members"]
    assert rooms[organization.special["disabled"]].state == ChatRoom.State.SKIPPED
    codes = set(plan.findings.values_list("code", flat=True))
    assert {"flattened", "root-managers", "federated", "inactive", "file-missing"} <= codes
    assert plan.error_count == plan.findings.filter(severity="error").count()
    assert plan.message_count == sum(
        room.message_count for room in rooms.values() if room.state != ChatRoom.State.SKIPPED
    )


@pytest.mark.parametrize(
    ("answer", "becomes", "state", "code"),
    [
        ("refuse", "Alpha", "Planned", "name-taken"),
        ("merge", "Alpha", "Planned", "merged"),
        ("rename", "Alpha (2)", "Planned", "renamed"),
        ("skip", "Alpha", "Skipped", "skipped"),
    ],
)
def test_r120_four_answers_for_all_or_for_one_room(
    tenant: Tenant, server: FakeServer, answer: str, becomes: str, state: str, code: str
) -> None:
    theirs = server.add("ALPHA")
    by_default = a_plan(tenant, on_conflict=answer)
    of_one = a_plan(tenant, by_default.archive, by_default.target)
    plans.decide(of_one, ACTOR, [of_one.rooms.get(name="Alpha")], on_conflict=answer)

    for plan in (by_default, plans.plan_now(of_one)):
        alpha = plan.rooms.get(name="Alpha")
        assert (alpha.becomes, alpha.state) == (becomes, state)
        assert alpha.findings.filter(code=code).exists()
        assert plan.rooms.get(name="Beta").state == ChatRoom.State.PLANNED
        assert (plan.error_count, bool(plans.why_not_started(plan))) == (
            (1, True) if answer == "refuse" else (0, False)
        )
        assert alpha.planned.get("merges_into") == (theirs.id if answer == "merge" else None)


def test_r110_a_decision_reads_no_messages_again(
    tenant: Tenant, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits(server, message_characters=10)
    plan = a_plan(tenant)
    alpha = plan.rooms.get(name="Alpha")
    assert alpha.findings.filter(code="split").count() == 1
    read: list[str] = []
    messages = Archive.messages

    def watched(archive: Archive, room: str) -> Iterator[Any]:
        read.append(room)
        return messages(archive, room)

    monkeypatch.setattr(Archive, "messages", watched)
    server.add("Beta")
    plans.decide(plan, ACTOR, [alpha], name="First room")
    plan = plans.plan_now(plan)
    assert read == ["1", "2"]  # the target has changed meanwhile: all of it is planned anew
    read.clear()
    plans.decide(plan, ACTOR, [plan.rooms.get(name="Beta")], on_conflict="rename")
    plan = plans.plan_now(plan)

    assert read == []
    alpha.refresh_from_db()
    assert (alpha.becomes, alpha.message_count) == ("First room", 5)
    assert alpha.findings.filter(code="split").count() == 1
    assert plan.state == State.READY


def test_r110_rooms_with_errors_are_left_out_by_name_for_a_reason(tenant: Tenant, server: FakeServer) -> None:
    server.add("Alpha")
    plan = a_plan(tenant)
    alpha = plan.rooms.get(name="Alpha")
    with pytest.raises(ValidationError, match="Say why"):
        plans.decide(plan, ACTOR, [alpha.pk], deselect=True)

    plans.decide(plan, ACTOR, [alpha.pk], deselect=True, reason="It moved before")
    plan = plans.plan_now(plan)

    assert (plan.error_count, plans.why_not_started(plan)) == (0, "")
    alpha.refresh_from_db()
    assert (alpha.state, alpha.decided_by, alpha.reason) == (ChatRoom.State.DESELECTED, ACTOR.name, "It moved before")
    entry = AuditEntry.objects.latest("pk")
    assert entry.action == "decide on chat rooms"
    assert entry.after["rooms"] == "Alpha"
    assert imported(plan).rooms.get(name="Alpha").state == ChatRoom.State.DESELECTED
    assert server.asked("begin_room") == ["Beta"]


def test_r110_a_room_that_was_left_out_comes_back(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    alpha = plan.rooms.get(name="Alpha")
    plans.decide(plan, ACTOR, [alpha], deselect=True, reason="Not now")
    plan = plans.plan_now(plan)
    assert plan.room_count == 1

    plans.decide(plan, ACTOR, [alpha], deselect=False)
    plan = plans.plan_now(plan)

    alpha.refresh_from_db()
    assert (plan.room_count, alpha.state, alpha.reason) == (2, ChatRoom.State.PLANNED, "")


def test_r113_a_name_that_cannot_be_is_an_error_until_a_person_chooses_another(
    tenant: Tenant, server: FakeServer
) -> None:
    limits(server, room_name=4, category_name=6)
    plan = a_plan(tenant)
    assert errors(plan) == [
        *[("Alpha", "name-too-long")] * 2,
        ("Beta", "name-too-long"),
    ]

    plans.decide(plan, ACTOR, [plan.rooms.get(name="Alpha")], name="Alph")
    plan = plans.plan_now(plan)
    plans.name_category(plan, ACTOR, "c1", "Ops")
    plan = plans.plan_now(plan)

    assert errors(plan) == []
    assert plan.rooms.get(name="Alpha").becomes == "Alph"
    imported(plan)
    assert server.categories == {"category-0": "Ops"}


def test_r110_what_the_target_keeps_is_answered_by_a_person_where_it_does_not_say(
    tenant: Tenant, server: FakeServer
) -> None:
    server.retention_is_known = False
    plan = a_plan(tenant)
    assert errors(plan) == [("", "retention-unknown")]
    with pytest.raises(ValidationError, match="1 error is left"):
        importing.start(plan, ACTOR)

    plan = plans.accept_retention(plan, ACTOR, "Asked Rosa")

    assert (plan.error_count, plan.retention_accepted_by) == (0, ACTOR.name)
    assert AuditEntry.objects.latest("pk").action == "accept chat retention"
    assert AuditEntry.objects.latest("pk").after["reason"] == "Asked Rosa"
    assert imported(plan).state == State.IMPORTED


def test_r110_a_policy_that_would_delete_history_is_an_error_nobody_can_accept(
    tenant: Tenant, server: FakeServer
) -> None:
    server.retention_days = 365
    plan = a_plan(tenant)

    assert errors(plan) == [("Alpha", "retention"), ("Beta", "retention")]
    with pytest.raises(ValidationError, match="nothing to accept"):
        plans.accept_retention(plan, ACTOR)


def test_r110_plans_are_numbered_by_tenant(tenant: Tenant, server: FakeServer) -> None:
    archive, target = stored(tenant), a_target(tenant)

    numbers = [plans.make_plan(tenant, ACTOR, archive, target).number for _ in range(3)]

    assert numbers == [1, 2, 3]
    assert plans.plan_numbered(tenant, 2).archive == archive
    with pytest.raises(ValidationError, match="There is no plan 4"):
        plans.plan_numbered(tenant, 4)


def test_r110_a_worker_that_is_killed_leaves_whole_pieces(
    tenant: Tenant, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    monkeypatch.setattr(plan_engine, "PIECE", 2)
    rooms = tuple("ABCDE")
    plan = plans.make_plan(tenant, ACTOR, stored(tenant, rooms=rooms, messages=1), a_target(tenant))
    for cursor in (2, 4):

        def die(plan: ChatPlan) -> None:
            raise Killed

        with pytest.raises(Killed):
            plan_engine.step(plan, None, die)
        plan.refresh_from_db()
        assert (plan.cursor, plan.rooms.count(), plan.state) == (cursor, cursor, State.PLANNING)
        assert not plan_engine.step(plan, None)  # its lease lasts
        forget_leases()

    plan = plans.plan_now(plan)

    assert (plan.state, plan.room_count) == (State.READY, 5)
    assert list(plan.rooms.values_list("name", "position")) == list(zip(rooms, range(1, 6), strict=True))
    once = a_plan(tenant, plan.archive, plan.target)
    assert once.findings.count() == plan.findings.count()


def test_r110_a_plan_gives_way_and_goes_on(tenant: Tenant, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_engine, "PIECE", 1)
    plan = plans.make_plan(tenant, ACTOR, stored(tenant), a_target(tenant))

    plan_engine.step(plan, timezone.now())

    plan.refresh_from_db()
    assert (plan.state, plan.cursor, plan.lease_until) == (State.PLANNING, 1, None)
    assert plan_engine.is_due(clock.now())
    assert not plan_engine.advance(timezone.now() + timedelta(minutes=1))
    plan.refresh_from_db()
    assert plan.state == State.READY


def test_r110_as_many_statements_for_many_rooms_as_for_few(tenant: Tenant, server: FakeServer) -> None:
    target = a_target(tenant)
    counts = []
    for rooms in (("A", "B"), tuple(f"Room {n}" for n in range(60))):
        archive = stored(tenant, name=f"{len(rooms)} rooms", rooms=rooms, messages=1)
        plan = plans.make_plan(tenant, ACTOR, archive, target)
        with CaptureQueriesContext(connection) as queries:
            plans.plan_now(plan)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_r110_a_target_that_does_not_answer_refuses_the_plan_in_the_end(tenant: Tenant, server: FakeServer) -> None:
    def away(step: str, about: str) -> None:
        raise TargetProblem("chat-target-unavailable", "Nobody answers there.", waits=True, is_of_room=False)

    server.at = away
    plan = plans.make_plan(tenant, ACTOR, stored(tenant), a_target(tenant))
    for _ in range(plan_engine.ATTEMPTS):
        assert plan.state == State.PLANNING
        assert plans.plan_now(plan).problem == "Nobody answers there."
        forget_leases()

    assert plan.state == State.REFUSED
    server.at = lambda step, about: None
    assert plans.plan_now(plans.plan_again(plan, ACTOR)).state == State.READY


def test_r102_an_archive_whose_checksums_fail_is_refused(tenant: Tenant, server: FakeServer) -> None:
    archive = stored(tenant)
    entry = folder_of(archive) / "messages" / "1.jsonl"
    entry.write_bytes(entry.read_bytes().replace(b"Alpha", b"alpha"))

    plan = a_plan(tenant, archive)

    assert plan.state == State.REFUSED
    assert "messages/1.jsonl: Its checksum is not the one that the manifest has." in plan.problem


def test_r102_an_archive_that_was_changed_after_planning_stops_the_import(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    entry = folder_of(plan.archive) / "messages" / "2.jsonl"
    entry.write_bytes(entry.read_bytes().replace(b"Beta", b"beta"))

    plan = imported(plan)

    assert plan.state == State.STOPPED
    assert "checksum" in plan.problem
    assert server.there("Beta").keys == []
    assert not import_engine.is_due(clock.now())


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"on_conflict": "overwrite"}, "overwrite is no answer to a name conflict: use refuse, merge, rename, skip."),
    ],
)
def test_r110_bad_choices_are_refused_in_a_sentence(
    tenant: Tenant, server: FakeServer, choices: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        a_plan(tenant, **choices)

    assert refused.value.messages == [sentence]
    assert not ChatPlan.objects.exists()


def test_r109_rooms_that_are_disabled_come_along_only_if_asked(tenant: Tenant, server: FakeServer) -> None:
    archive, target = stored(tenant, disabled=("Alpha",)), a_target(tenant)

    without, with_them = a_plan(tenant, archive, target), a_plan(tenant, archive, target, includes_disabled=True)

    assert without.rooms.get(name="Alpha").state == ChatRoom.State.SKIPPED
    assert with_them.rooms.get(name="Alpha").planned["is_read_only"] is True
    assert (without.room_count, with_them.room_count) == (1, 2)
