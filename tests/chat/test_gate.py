"""The gate before the old system is switched off (R125), and what it says of retiring a deployment (R88)."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.chat import gate as gates
from migrations_app.chat.archives import delete_archive, folder_of
from migrations_app.chat.evidence import store_evidence
from migrations_app.models import ChatArchive, ChatDifference, ChatFinding, ChatPlan, ChatRoom, ChatStep
from migrations_app.rollouts import retirement
from tenants_app.audit import Actor, Channel
from tenants_app.changes.deployments import create_deployment
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, a_target, imported, stored

pytestmark = pytest.mark.django_db

OTHER = Actor("somebody else", Channel.SCREEN)
MANUAL = ("source-quiet", "backups", "retention-officer")


@pytest.fixture
def plan(tenant: Tenant, server: FakeServer) -> ChatPlan:
    """An import that has ended, and of which nothing was compared yet."""
    return imported(a_plan(tenant))


def verified(plan: ChatPlan) -> ChatPlan:
    plan.rooms.update(comparison=ChatRoom.Comparison.VERIFIED)
    return plan


def opened(plan: ChatPlan) -> ChatPlan:
    """The plan with everything that opens its gate."""
    verified(plan)
    for key in MANUAL:
        gates.answer_condition(plan, ACTOR, key, f"I know of {key}")
    gates.confirm_condition(plan, OTHER, "retention-officer")
    return plan


def condition(plan: ChatPlan, key: str) -> gates.ChatCondition:
    return next(each for each in gates.gate_of(plan).conditions if each.key == key)


def test_r125_the_gate_opens_once_every_condition_holds(plan: ChatPlan) -> None:
    assert {each.key for each in gates.gate_of(plan).closing} == {"rooms", "files", *MANUAL}
    verified(plan)
    for key in MANUAL:
        assert not gates.gate_of(plan).is_open
        gates.answer_condition(plan, ACTOR, key, f"I know of {key}")
    assert [each.key for each in gates.gate_of(plan).closing] == ["retention-officer"]
    gates.confirm_condition(plan, OTHER, "retention-officer")
    shown = gates.gate_of(plan)
    assert shown.is_open
    assert [each.key for each in shown.conditions] == list(gates.KEYS)
    assert all(str(each.evidence) and str(each.title) for each in shown.conditions)
    assert gates.why_closed(plan) == ""


def test_r125_a_room_counts_when_it_is_verified_left_out_or_accepted_by_name(plan: ChatPlan) -> None:
    alpha, beta = plan.rooms.order_by("position")
    alpha.comparison = ChatRoom.Comparison.DIFFERS
    alpha.save()
    difference = ChatDifference.objects.create(room=alpha, code="members", sentence="One is missing.")
    beta.state = ChatRoom.State.DESELECTED
    beta.save()
    shown = condition(plan, "rooms")
    assert (shown.holds, list(shown.named)) == (False, ["Alpha"])
    assert "1 room was left out by decision" in str(shown.evidence)

    difference.accepted_at, difference.accepted_by = timezone.now(), "test"
    difference.save()
    shown = condition(plan, "rooms")
    assert (shown.holds, list(shown.named)) == (True, [])
    assert "Of 1 room the differences were accepted by name" in str(shown.evidence)
    # A room that differs, and of which nobody knows how, is not accepted.
    difference.delete()
    assert not condition(plan, "rooms").holds


def test_r125_another_text_says_nothing_against_the_files_of_the_room(plan: ChatPlan) -> None:
    alpha, beta = plan.rooms.order_by("position")
    beta.comparison = ChatRoom.Comparison.VERIFIED
    beta.save()
    alpha.comparison, alpha.file_count = ChatRoom.Comparison.DIFFERS, 1
    alpha.save()
    ChatDifference.objects.create(room=alpha, code="altered-text", n=6, sentence="Message 6 has another text.")
    assert condition(plan, "files").holds
    assert not condition(plan, "rooms").holds
    for code in ("lost-message", "altered-file", "lost-file", "not-listed", "no-room"):
        difference = ChatDifference.objects.create(room=alpha, code=code, sentence="It differs.")
        shown = condition(plan, "files")
        assert (shown.holds, list(shown.named)) == (False, ["Alpha"])
        difference.delete()


def test_r125_a_plan_without_rooms_shows_nothing(tenant: Tenant, server: FakeServer) -> None:
    empty = a_plan(tenant)
    empty.rooms.all().delete()
    shown = condition(empty, "rooms")
    assert not shown.holds
    assert "no room yet" in str(shown.evidence)


def test_r125_files_that_are_missing_must_be_answered_for(plan: ChatPlan) -> None:
    verified(plan)
    assert condition(plan, "files").holds
    assert "2 files belong" in str(condition(plan, "files").evidence)
    with pytest.raises(ValidationError, match="seen by MMS itself"):
        gates.answer_condition(plan, ACTOR, "files", "never mind")
    room = plan.rooms.order_by("position").first()
    ChatFinding.objects.create(plan=plan, room=room, severity="warning", code="file-missing", sentence="x", count=3)
    shown = condition(plan, "files")
    assert (shown.holds, shown.is_manual) == (False, True)
    assert "3 files that messages show" in str(shown.evidence)
    gates.answer_condition(plan, ACTOR, "files", "They were deleted in 2014.")
    assert condition(plan, "files").holds
    assert "They were deleted in 2014." in str(condition(plan, "files").evidence)
    # Of a room that is left out nobody has to answer for files.
    plan.rooms.filter(pk=room.pk).update(state=ChatRoom.State.DESELECTED)  # type: ignore[union-attr]
    assert not condition(plan, "files").is_manual


def test_r125_the_archive_is_of_everything_and_its_checksum_is_shown(tenant: Tenant, plan: ChatPlan) -> None:
    shown = condition(plan, "archive")
    assert shown.holds
    assert plan.archive.sha256 in str(shown.evidence)
    ChatArchive.objects.filter(pk=plan.archive_id).update(scope=["Operations"])
    plan.archive.refresh_from_db()
    shown = condition(plan, "archive")
    assert not shown.holds
    assert "not of everything" in str(shown.evidence)
    # Another one may be the whole.
    whole = stored(tenant, name="Everything")
    assert condition(plan, "archive").holds
    (folder_of(whole) / "manifest.json").write_text("{}")
    assert not condition(plan, "archive").holds


def test_r125_an_archive_that_was_deleted_or_shows_the_target_does_not_count(tenant: Tenant, plan: ChatPlan) -> None:
    delete_archive(plan.archive, ACTOR)
    plan.archive.refresh_from_db()
    assert not condition(plan, "archive").holds
    stored(tenant, name="The new pool")
    target = a_target(tenant, "Pool", kind="pchat")
    target.options = {"archive": "The new pool"}
    target.save()
    assert not condition(plan, "archive").holds


def test_r125_people_who_lose_something_are_to_be_dealt_with(plan: ChatPlan) -> None:
    plan.findings.filter(code__in=gates.PEOPLE).delete()
    shown = condition(plan, "people")
    assert (shown.holds, shown.is_manual) == (True, False)
    for code in gates.PEOPLE:
        ChatFinding.objects.create(plan=plan, severity="warning", code=code, sentence="x", count=2)
    assert "8 federated" in str(condition(plan, "people").evidence)
    assert not condition(plan, "people").holds
    gates.answer_condition(plan, ACTOR, "people", "Partners were told on 3 November.")
    assert condition(plan, "people").holds


def later(archive: ChatArchive, newest: timedelta) -> None:
    """As if it had been exported a day after, with a newest message so much later."""
    first = ChatArchive.objects.exclude(pk=archive.pk).get()
    assert first.newest_at is not None
    archive.exported_at = first.exported_at + timedelta(days=1)
    archive.newest_at = first.newest_at + newest
    archive.save()


def test_r125_a_fresh_archive_shows_whether_something_was_written_since(tenant: Tenant, plan: ChatPlan) -> None:
    assert not condition(plan, "source-quiet").holds
    fresh = stored(tenant, name="Fresh")
    later(fresh, timedelta(0))
    shown = condition(plan, "source-quiet")
    assert shown.holds
    assert "has no later message" in str(shown.evidence)
    later(fresh, timedelta(seconds=1))
    shown = condition(plan, "source-quiet")
    assert not shown.holds
    assert "make a new plan" in str(shown.evidence)
    # What somebody has said before it was read does not count against it; what they say afterwards does.
    gates.answer_condition(plan, ACTOR, "source-quiet", "Stopped since Friday.")
    ChatStep.objects.update(done_at=fresh.stored_at - timedelta(minutes=1))
    assert not condition(plan, "source-quiet").holds
    ChatStep.objects.update(done_at=fresh.stored_at + timedelta(minutes=1))
    assert condition(plan, "source-quiet").holds


def test_r125_a_person_who_answers_says_how_they_know(plan: ChatPlan) -> None:
    for evidence, reason in (("  ", "Say how you know"), ("x" * 4001, "at most"), ("a\0b", "NUL")):
        with pytest.raises(ValidationError, match=reason):
            gates.answer_condition(plan, ACTOR, "backups", evidence)
    with pytest.raises(ValidationError, match="no condition nothing"):
        gates.answer_condition(plan, ACTOR, "nothing", "x")
    assert not ChatStep.objects.exists()
    gates.answer_condition(plan, ACTOR, "backups", " Tape 17 ")
    with pytest.raises(ValidationError, match="test has said so already"):
        gates.answer_condition(plan, OTHER, "backups", "Tape 18")
    shown = condition(plan, "backups")
    assert shown.answer is not None
    assert (shown.answer.evidence, shown.answer.done_by) == ("Tape 17", "test")
    told = AuditEntry.objects.get(action="answer chat condition")
    assert told.after == {"what": "backups", "evidence": "Tape 17"}


def test_r125_the_retention_officers_consent_needs_a_second_account(plan: ChatPlan) -> None:
    with pytest.raises(ValidationError, match="nothing to confirm"):
        gates.confirm_condition(plan, OTHER, "retention-officer")
    gates.answer_condition(plan, ACTOR, "retention-officer", "Rita Records, in writing")
    assert not condition(plan, "retention-officer").holds
    with pytest.raises(ValidationError, match="second account must confirm"):
        gates.confirm_condition(plan, ACTOR, "retention-officer")
    gates.confirm_condition(plan, OTHER, "retention-officer")
    assert condition(plan, "retention-officer").holds
    with pytest.raises(ValidationError, match="confirmed it already"):
        gates.confirm_condition(plan, OTHER, "retention-officer")
    with pytest.raises(ValidationError, match="needs no second account"):
        gates.confirm_condition(plan, OTHER, "backups")
    assert AuditEntry.objects.filter(action="confirm chat condition", actor="somebody else").count() == 1


def test_r125_an_answer_is_taken_back_and_stays_on_record(plan: ChatPlan) -> None:
    gates.answer_condition(plan, ACTOR, "backups", "Tape 17")
    gates.take_back_answer(plan, OTHER, "backups")
    assert condition(plan, "backups").answer is None
    row = ChatStep.objects.get()
    assert (row.taken_back_by, row.evidence) == ("somebody else", "Tape 17")
    assert AuditEntry.objects.filter(action="take back chat answer").count() == 1
    with pytest.raises(ValidationError, match="nothing to take back"):
        gates.take_back_answer(plan, ACTOR, "backups")
    gates.answer_condition(plan, ACTOR, "backups", "Tape 18")
    assert condition(plan, "backups").holds


def test_r125_a_file_is_evidence_too_and_only_of_its_tenant(plan: ChatPlan, tenant: Tenant) -> None:
    file = store_evidence(tenant, ACTOR, [b"consent"], file_name="consent.pdf", what="Consent")
    gates.answer_condition(plan, ACTOR, "backups", file=file)
    assert "consent.pdf" in str(condition(plan, "backups").evidence)
    other = Tenant.objects.create(name="Fabrikam", slug="fabrikam")
    theirs = store_evidence(other, ACTOR, [b"x"], file_name="x", what="x")
    with pytest.raises(ValidationError, match="no such file"):
        gates.answer_condition(plan, ACTOR, "source-quiet", file=theirs)


def test_r125_as_many_statements_for_many_rooms_as_for_few(tenant: Tenant, server: FakeServer) -> None:
    few = imported(a_plan(tenant))
    many = imported(a_plan(tenant, stored(tenant, name="many", rooms=[f"Room {n}" for n in range(12)]), few.target))
    counts = []
    for plan in (few, many):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            gates.gate_of(plan)
        counts.append(len(queries))
    assert counts[0] == counts[1] < 25


# --- retirement ---------------------------------------------------------------------------------------


def retiring(tenant: Tenant) -> Any:
    deployment = create_deployment(
        tenant, ACTOR, name="Old pool", kind="on-premises", role="legacy", meeting_hosts=["meet.contoso.com"]
    )
    return lambda: [each for each in retirement.gate_of(deployment).conditions if each.code == "chat"]


def test_r88_the_gate_of_chat_is_a_condition_of_retirement(tenant: Tenant, server: FakeServer) -> None:
    chat_of = retiring(tenant)
    assert chat_of() == [], "a tenant without chat is not asked"
    archive = stored(tenant)
    (asked,) = chat_of()
    assert not asked.holds
    assert "no plan has imported it" in str(asked.evidence)
    plan = imported(a_plan(tenant, archive))
    (asked,) = chat_of()
    assert (asked.holds, list(asked.named)) == (False, [str(plan.number)])
    opened(plan)
    (asked,) = chat_of()
    assert asked.holds
    assert "gate of 1 plan is open" in str(asked.evidence)


def test_r88_archives_that_were_deleted_without_an_import_close_nothing(tenant: Tenant, data_dir: Path) -> None:
    chat_of = retiring(tenant)
    delete_archive(stored(tenant), ACTOR)
    (asked,) = chat_of()
    assert asked.holds


# --- the command --------------------------------------------------------------------------------------


def test_r128_check_chat_gate_answers_by_its_exit_status(plan: ChatPlan, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("check_chat_gate", str(plan.number))
    assert ended.value.code == 2
    told = capsys.readouterr().out
    assert told.startswith("MMS CRITICAL - ")
    assert "closing=5;;0;0;7" in told
    assert len(told.splitlines()) == 1
    opened(plan)
    with pytest.raises(SystemExit) as ended:
        call_command("check_chat_gate", str(plan.number))
    assert ended.value.code == 0
    assert "is open" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("check_chat_gate", "77")
    assert ended.value.code == 3


def test_r128_conditions_are_listed_and_answered_by_command(plan: ChatPlan, tmp_path: Path) -> None:
    out = StringIO()
    call_command("get_chat_step", str(plan.number), "--of", "gate", "--format", "json", stdout=out)
    assert '"Condition": "retention-officer"' in out.getvalue()
    (tmp_path / "log.txt").write_text("RESTORE VERIFYONLY successful")
    call_command("set_chat_step", str(plan.number), "backups", "--file", str(tmp_path / "log.txt"), stdout=out)
    answer = condition(plan, "backups").answer
    assert answer is not None
    assert answer.file is not None
    assert answer.file.file_name == "log.txt"
    call_command("set_chat_step", str(plan.number), "backups", "--take-back", stdout=out)
    assert condition(plan, "backups").answer is None
