"""Chat by command: targets, plans, imports and reports, as R128 names them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from migrations_app.chat import import_engine, importing, leases, plans
from migrations_app.chat.archive import packing
from migrations_app.chat.report import report_of
from migrations_app.chat.report_files import WRITERS
from migrations_app.chat.target_rows import target_named
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.management import chat_import
from migrations_app.models import ChatArchive, ChatDifference, ChatPlan, ChatRoom, ChatTarget
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer, limits
from tests.support.chat_plans import a_plan, a_target, imported, stored, write_rooms
from tests.support.commands import Command

pytestmark = pytest.mark.django_db


@pytest.fixture
def archive(tenant: Tenant, server: FakeServer, tmp_path: Path) -> str:
    """A file with two rooms, and a target for them."""
    a_target(tenant)
    write_rooms(tmp_path / "chat", ("Alpha", "Beta"), 5)
    packing.pack(tmp_path / "chat", tmp_path / "chat.zip")
    return str(tmp_path / "chat.zip")


def refusal(*arguments: str, status: int = 1) -> str:
    with pytest.raises(CommandError) as refused:
        call_command(*arguments, stdout=io.StringIO(), stderr=io.StringIO())
    assert refused.value.returncode == status
    return str(refused.value)


def rows(command: Command, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(command(*arguments, "--format", "json"))


INTO = ("--target", "New home")


# --- plan and import --------------------------------------------------------------------------------------------------


def test_r128_a_plan_by_command_changes_nothing_and_lists_what_was_found(
    command: Command, archive: str, server: FakeServer
) -> None:
    server.add("Alpha")
    for arguments in (("plan_chat_import", archive, *INTO), ("import_chat", archive, *INTO, "--what-if")):
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 error is left") as refused:
            call_command(*arguments, "--format", "json", stdout=out)
        assert refused.value.returncode == 1
        found = {row["Code"]: row for row in json.loads(out.getvalue())}
        assert (found["name-taken"]["Room"], found["name-taken"]["Severity"]) == ("Alpha", "error")

    assert {step for step, _ in server.calls} == {"look"}
    assert ChatArchive.objects.count() == 1
    assert ChatPlan.objects.count() == 1
    told = command("plan_chat_import", archive, *INTO, "--on-conflict", "skip")
    assert "Rooms: 1, messages: 5, files: 1; errors: 0" in told
    assert "Nothing was changed." in told
    limits(server, messages_per_second=0.001)
    told = command("plan_chat_import", archive, *INTO, "--on-conflict", "skip")
    assert "The import takes about 1 h 23 min, by what is known of the target." in told


def test_r128_an_import_by_command_goes_to_its_end(command: Command, archive: str, server: FakeServer) -> None:
    told = command("import_chat", archive, *INTO)

    assert "2 of 2 rooms ended, 10 messages written." in told
    assert server.there("Alpha").keys == [f"1/{n}" for n in range(1, 6)]
    (plan,) = rows(command, "get_chat_import")
    assert (plan["Plan"], plan["State"], plan["Imported"], plan["Written"]) == (1, "Imported", 2, 10)
    assert AuditEntry.objects.filter(action="start chat import", actor__startswith="command:").count() == 1
    told = command("import_chat", archive, *INTO)  # once more: nothing is added
    assert len(server.there("Alpha").keys) == 5
    assert len(server.rooms) == 2


def test_r128_only_rooms_that_are_named(command: Command, archive: str, server: FakeServer) -> None:
    command("import_chat", archive, *INTO, "--room", "beta")

    assert [room.name for room in server.rooms.values()] == ["Beta"]
    assert refusal("import_chat", archive, *INTO, "--room", "Gamma") == (
        "Plan 2 has no room Gamma: get_chat_room --plan 2 lists them."
    )


@pytest.mark.parametrize("answer", ["merge", "rename", "skip"])
def test_r128_conflicts_are_answered_for_all(command: Command, archive: str, server: FakeServer, answer: str) -> None:
    server.add("Alpha")
    assert refusal("import_chat", archive, *INTO) == "1 error is left: put it right, or leave its room out."

    command("import_chat", archive, *INTO, "--on-conflict", answer)

    names = sorted(room.name for room in server.rooms.values())
    assert (
        names
        == {"merge": ["Alpha", "Beta"], "rename": ["Alpha", "Alpha (2)", "Beta"], "skip": ["Alpha", "Beta"]}[answer]
    )


def test_r128_an_import_that_stopped_goes_on_when_it_is_given_again(
    command: Command, archive: str, server: FakeServer
) -> None:
    def refuse(step: str, about: str) -> None:
        if step == "write":
            raise TargetProblem("chat-target-sign-in", "It does not let MMS in.", is_of_room=False)

    server.at = refuse
    assert refusal("import_chat", archive, *INTO) == (
        "The import has stopped: It does not let MMS in. Give the command again to go on."
    )
    server.at = lambda step, about: None

    command("import_chat", archive, *INTO)

    assert ChatPlan.objects.count() == 1
    assert len(server.there("Beta").keys) == 5


def test_r128_a_room_that_failed_is_said_and_retried(command: Command, archive: str, server: FakeServer) -> None:
    def refuse(step: str, about: str) -> None:
        if (step, about) == ("write", "Alpha"):
            raise TargetProblem("chat-target-refused", "It is not wanted.")

    server.at = refuse
    command("plan_chat_import", archive, *INTO)
    ChatPlan.objects.update(max_failed_percent=90)
    told = refusal("import_chat", archive, *INTO)
    assert told.startswith("1 room failed: get_chat_room --state Failed names it, set_chat_import 1 --retry")
    (room,) = rows(command, "get_chat_room", "--state", "Failed")
    assert (room["Room"], room["ErrorCode"], room["ErrorDetail"]) == (
        "Alpha",
        "chat-target-refused",
        "It is not wanted.",
    )
    server.at = lambda step, about: None

    assert command("set_chat_import", "1", "--retry", "Alpha") == "1 room is tried again.\n"

    command("import_chat", archive, *INTO)
    assert [row["State"] for row in rows(command, "get_chat_room")] == ["Imported", "Imported"]


def test_r128_a_target_that_changed_since_is_planned_anew(command: Command, archive: str, server: FakeServer) -> None:
    looks = 0

    def add(step: str, about: str) -> None:
        nonlocal looks
        looks += step == "look"
        if looks == 2:
            server.add("Alpha")
            looks += 1

    server.at = add
    told = refusal("import_chat", archive, *INTO)

    assert told.endswith("Look at plan 2, then give the command again.")
    assert server.asked("begin_room") == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory): check the path and its permissions."),
        (b"no archive", "1 problem: the archive was not stored."),
    ],
)
def test_r128_what_is_no_archive_is_refused_in_a_sentence(
    archive: str, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / "other.zip"
    if content is not None:
        path.write_bytes(content)

    assert refusal("plan_chat_import", str(path), *INTO).endswith(sentence)
    assert not ChatArchive.objects.exists()


# --- deciding and steering --------------------------------------------------------------------------------------------


def test_r128_decisions_by_command(command: Command, archive: str, server: FakeServer) -> None:
    server.add("Alpha")
    server.retention_is_known = False
    refusal("plan_chat_import", archive, *INTO)

    told = command("set_chat_import", "1", "--room", "Alpha", "--deselect", "--reason", "It is old")
    assert "Plan 1. Rooms: 1" in told
    (row,) = rows(command, "get_chat_room", "--plan", "1", "--state", "Deselected")
    assert (row["Room"], row["Reason"]) == ("Alpha", "It is old")
    command("set_chat_import", "1", "--room", "Alpha", "--select", "--on-conflict", "rename")
    command("set_chat_import", "1", "--room", "Beta", "--new-name", "Gamma")
    assert "errors: 0" in command("set_chat_import", "1", "--accept-retention", "--reason", "Asked Rosa")

    command("import_chat", archive, *INTO)
    names = ["Alpha", "Alpha (2)", "Gamma"]
    assert sorted(room.name for room in server.rooms.values()) == names
    server.retention_is_known = True
    command("import_chat", archive, *INTO)  # once more, with the same decisions
    assert sorted(room.name for room in server.rooms.values()) == names
    (plan,) = rows(command, "get_chat_import", "1")
    assert plan["RetentionAcceptedBy"].startswith("command:")


def test_r128_pause_and_resume_by_command(command: Command, tenant: Tenant, server: FakeServer) -> None:
    importing.start(a_plan(tenant), ACTOR)

    assert command("set_chat_import", "1", "--pause") == "Plan 1 is paused.\n"
    assert refusal("set_chat_import", "1", "--pause") == "Plan 1 is not being imported."
    assert command("set_chat_import", "1", "--resume", "--reason", "Go") == "Plan 1 goes on.\n"
    assert ChatPlan.objects.get().state == ChatPlan.State.IMPORTING


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give one of --pause, --resume, --retry, --room, --accept-retention and --plan-again."),
        (
            ("--pause", "--resume"),
            "Give one of --pause, --resume, --retry, --room, --accept-retention and --plan-again.",
        ),
        (("--room", "Alpha"), "Say what becomes of these rooms: --on-conflict, --new-name, --deselect or --select."),
        (("--accept-retention",), "Say with --reason from whom you know that the target keeps old messages."),
    ],
)
def test_r128_wrong_usage_is_one_line(
    tenant: Tenant, server: FakeServer, arguments: tuple[str, ...], sentence: str
) -> None:
    a_plan(tenant)

    assert refusal("set_chat_import", "1", *arguments, status=2) == sentence


def test_r128_rooms_of_one_name_are_named_by_id(tenant: Tenant, server: FakeServer) -> None:
    a_plan(tenant)
    ChatRoom.objects.update(name="Same")

    told = refusal("set_chat_import", "1", "--room", "same", "--select")

    assert told == "Several rooms are called same: name the one by its id, one of 1 (Operations), 2 (Operations)."


# --- targets ----------------------------------------------------------------------------------------------------------


def test_r128_targets_by_command(command: Command, tenant: Tenant, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    given = ("--kind", "matrix", "--address", "https://matrix.contoso.com", "--account", "@mms:contoso.com")

    told = command(
        "set_chat_target", "Matrix", *given, "--secret-file", str(tmp_path / "secret"), "--option", "space=Contoso"
    )

    assert told == "Matrix: saved.\n"
    (row,) = rows(command, "get_chat_target", "matrix")
    assert (row["Kind"], row["HasSecret"], row["Options"], row["Plans"]) == ("matrix", True, "space=Contoso", 0)
    assert "correct horse" not in command("get_chat_target", "--format", "csv")
    assert command("test_chat_target", "Matrix").startswith("ok      connect: ")
    command("set_chat_target", "Matrix", "--new-name", "Home", "--option", "space=")
    assert command("remove_chat_target", "Home") == "Home: removed.\n"
    assert command("get_chat_target") == "There are no targets: set_chat_target makes one.\n"
    assert refusal("remove_chat_target", "Home") == "There is no target Home: make it with set_chat_target."


def test_r128_a_target_that_refuses_is_exit_status_1(tenant: Tenant, server: FakeServer) -> None:
    def refuse(step: str, about: str) -> None:
        raise TargetProblem("chat-target-sign-in", "It does not let MMS in.")

    server.at = refuse
    a_target(tenant)
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("test_chat_target", "New home", stdout=out)

    assert ended.value.code == 1
    assert out.getvalue().splitlines()[-1] == "FAILED  look: It does not let MMS in."


# --- reports ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def reported(tenant: Tenant, server: FakeServer) -> ChatPlan:
    """An import with a room left out, a finding for it, and a difference that somebody has accepted."""
    server.add("=cmd")
    plan = a_plan(tenant, stored(tenant, rooms=("=cmd", "<b>Beta</b>")))
    plans.decide(plan, ACTOR, [plan.rooms.get(name="=cmd")], deselect=True, reason="Nobody reads it")
    plan = imported(plans.plan_now(plan))
    beta = plan.rooms.get(name="<b>Beta</b>")
    ChatRoom.objects.filter(pk=beta.pk).update(comparison="Differs", difference_count=1)
    ChatDifference.objects.create(room=beta, code="lost-message", n=3, sentence="Message 3 is not there.", do="Retry.")
    return ChatPlan.objects.select_related("tenant", "archive", "target").get(pk=plan.pk)


def test_r128_a_report_has_a_row_for_each_room_finding_and_difference(
    command: Command, reported: ChatPlan, tmp_path: Path
) -> None:
    told = command("get_chat_report", "1", "--output", str(tmp_path / "r.json"))
    command("get_chat_report", "1", "--output", str(tmp_path / "r.csv"))
    command("get_chat_report", "1", "--output", str(tmp_path / "r.html"))

    assert told == f"Report of chat plan 1: written to {tmp_path / 'r.json'}.\n"
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["format"], report["version"]) == ("mms-chat-report", 1)
    assert report["archive"]["sha256"] == reported.archive.sha256  # R125
    assert [(room["room"], room["state"], room["written"]) for room in report["rooms"]] == [
        ("=cmd", "Deselected", 0),
        ("<b>Beta</b>", "Imported", 5),
    ]
    assert report["rooms"][0]["reason"] == "Nobody reads it"
    assert report["totals"]["rooms"] | {"total": 2, "Imported": 1, "Deselected": 1} == report["totals"]["rooms"]
    assert report["totals"]["comparison"] == {"Verified": 0, "Differs": 1, "NotReadable": 0}
    assert len(report["findings"]) == reported.findings.count()
    assert [(each["message"], each["do"]) for each in report["differences"]] == [(3, "Retry.")]

    lines = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text("utf-8-sig"))))
    sections = [line["Section"] for line in lines]
    assert sections.count("room") == 2
    assert sections.count("finding") == reported.findings.count()
    assert sections.count("difference") == 1
    assert next(line for line in lines if line["Section"] == "archive")["Id"] == reported.archive.sha256
    assert [line["Room"] for line in lines if line["Section"] == "room"] == ["'=cmd", "<b>Beta</b>"]

    html = (tmp_path / "r.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "&lt;b&gt;Beta&lt;/b&gt;" in html
    assert "<b>Beta</b>" not in html
    assert reported.archive.sha256 in html
    assert "Message 3 is not there." in html
    assert "says 3" not in html + (tmp_path / "r.csv").read_text() + (tmp_path / "r.json").read_text()  # R129


def test_r128_a_report_replaces_a_report_and_nothing_else(
    command: Command, tenant: Tenant, server: FakeServer, tmp_path: Path
) -> None:
    a_plan(tenant)
    for kind, other in (("html", "csv"), ("csv", "json"), ("json", "html")):
        path = tmp_path / f"r.{kind}"
        command("get_chat_report", "1", "--output", str(path))
        before = path.read_bytes()
        command("get_chat_report", "1", "--output", str(path))
        assert len(path.read_bytes()) == len(before)
        (tmp_path / f"x.{other}").write_bytes(before)
        told = refusal("get_chat_report", "1", "--output", str(tmp_path / f"x.{other}"))
        assert told.endswith("holds something else than such a report, so it is not overwritten: choose another.")
        assert (tmp_path / f"x.{other}").read_bytes() == before
    (tmp_path / "page.html").write_text("<!doctype html><p>Mine</p>")
    refusal("get_chat_report", "1", "--output", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == "<!doctype html><p>Mine</p>"
    assert "let it end in .html" in refusal("get_chat_report", "1", "--output", str(tmp_path / "r.pdf"), status=2)
    assert "cannot be written" in refusal("get_chat_report", "1", "--output", str(tmp_path / "no" / "r.csv"))


def test_r128_a_report_asks_as_much_for_many_rooms_as_for_few(
    tenant: Tenant, server: FakeServer, django_assert_num_queries: Any, tmp_path: Path
) -> None:
    target = a_target(tenant)
    for rooms in (2, 40):
        names = tuple(f"Room {n}" for n in range(rooms))
        plan = a_plan(tenant, stored(tenant, name=f"{rooms}", rooms=names, messages=1), target)
        plan = plans.plan_numbered(tenant, plan.number)
        with django_assert_num_queries(7):
            assert len("".join(WRITERS["csv"](report_of(plan, timezone.now()))).splitlines()) > rooms


def test_r111_a_command_that_waits_for_another_worker_says_so(
    command: Command, tenant: Tenant, archive: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = importing.start(plans.plan_now(plans.make_plan(tenant, ACTOR, *_parts(tenant, archive))), ACTOR)
    import_engine.work(plan, lambda: True)  # begins it
    other = leases.claim_room(ChatPlan.objects.get(pk=plan.pk))
    assert other is not None
    monkeypatch.setattr(importing.time, "sleep", lambda seconds: leases.leave_room(other, ChatRoom.State.WAITING))

    told = command("import_chat", archive, *INTO)

    assert "Waiting for another worker, or for the next attempt at what failed: 1 of 2 rooms ended" in told
    assert "2 of 2 rooms ended" in told


def _parts(tenant: Tenant, archive: str) -> tuple[ChatArchive, ChatTarget]:
    return chat_import.stored(tenant, ACTOR, Path(archive)), target_named(tenant, "New home")
