"""R93: one set of numbers, counted from the same rows as the pages, which add up; as page, HTML, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import (
    CheckAnswer,
    CheckResult,
    GateOpening,
    MeetingResult,
    Rollout,
    RolloutCheck,
    RolloutEvent,
    Run,
    Update,
    Wave,
    WaveMember,
)
from migrations_app.rollouts.listed import ON_A_PAGE
from migrations_app.rollouts.report import interruptions_of, report_of
from migrations_app.rollouts.report_files import as_csv, as_html, as_json
from migrations_app.runs.pruning import prune
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import sentence
from tests.support.commands import Command
from tests.support.rollouts import a_rollout, a_wave, members
from tests.support.visitors import sign_in

Kind = RolloutEvent.Kind
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
MakeRun = Callable[..., Run]


def note(rollout: Rollout, wave: Wave | None, kind: str, at: datetime, said: str, **values: Any) -> None:
    RolloutEvent.objects.create(
        rollout=rollout, wave=wave, kind=kind, at=at, sentence=sentence(said), told_at=at, **values
    )


@pytest.fixture
def pilot(tenant: Tenant, make_users: Any, make_run: MakeRun) -> Wave:
    """A pilot that stopped for an hour, went on, and has members in every state."""
    rollout = a_rollout(tenant)
    wave = a_wave(
        rollout,
        2,
        state="Observing",
        started_at=NOW - timedelta(hours=5),
        started_by="alice",
        moved_at=NOW - timedelta(hours=1),
        planned={
            "members": 7,
            "run": 5,
            "no_run": 2,
            "meetings": 9,
            "attendees": 40,
            "foreseen_at": "2026-12-01T06:00:00+00:00",
        },
    )
    users = make_users({f"user{number}": {} for number in range(7)})
    states = ("Done", "Done", "Done", "Failed", "Excluded", "Waiting", "RolledBack")
    meetings = [
        ("Weekly", "Succeeded", ""),
        ("Budget", "Skipped", "no-block"),
        ("Plans", "Failed", "mailbox-not-found"),
    ]
    for user, state in zip(users, states, strict=True):
        runs = state not in ("Excluded", "Waiting")
        run = make_run(user, "Failed" if state == "Failed" else "Succeeded", meetings) if runs else None
        members(wave, [user], state=state, run=run, failure="It could not be read." if state == "Failed" else "")
    note(rollout, wave, Kind.STARTED, NOW - timedelta(hours=5), "The wave started.", by="alice")
    note(rollout, wave, Kind.STOPPED, NOW - timedelta(hours=4), "Too many members failed.")
    note(
        rollout, wave, Kind.RESUMED, NOW - timedelta(hours=3), "It goes on.", by="bob", reason="The cause is corrected."
    )
    note(rollout, wave, Kind.MOVED, NOW - timedelta(hours=1), "All members have ended.")
    check = RolloutCheck.objects.create(
        rollout=rollout, wave=wave, name="Call from old to new", scope="between", kind="manual"
    )
    CheckAnswer.objects.create(rollout_check=check, answer="no", by="bob", note="No call came through.", at=NOW)
    CheckAnswer.objects.create(rollout_check=check, answer="yes", by="vera", at=NOW)
    probe = RolloutCheck.objects.create(rollout=rollout, wave=wave, name="Front end", scope="new", kind="tcp")
    probe.last_result = CheckResult.objects.create(
        rollout_check=probe, outcome="Failed", sentence=sentence("Nobody listens there.")
    )
    probe.save()
    GateOpening.objects.create(
        rollout=rollout, wave=wave, by="alice", reason="The front end is known to be away.", closed_by="Front end"
    )
    return Wave.objects.select_related("rollout__tenant", "rollout__legacy", "rollout__new").get(pk=wave.pk)


def report(wave: Wave) -> dict[str, Any]:
    rollout = Rollout.objects.select_related("tenant", "legacy", "new").get(pk=wave.rollout_id)
    return report_of(rollout, NOW, wave)


def numbers(section: dict[str, Any], *without: str) -> int:
    return sum(value for name, value in section.items() if isinstance(value, int) and name not in ("total", *without))


def rows_of(text: Iterable[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(text).removeprefix("\ufeff"))))


def test_what_is_counted_is_what_the_rows_say(pilot: Wave) -> None:
    (wave,) = report(pilot)["waves"]
    assert wave["members"] == {
        "total": 7,
        "Waiting": 1,
        "Moving": 0,
        "Updating": 0,
        "Done": 3,
        "Failed": 1,
        "Excluded": 1,
        "RolledBack": 1,
    }
    runs = Run.objects.filter(wave_members__wave=pilot)
    assert wave["runs"]["total"] == runs.count() == 5
    outcomes = Counter(MeetingResult.objects.filter(run__in=runs).values_list("outcome", flat=True))
    counted = wave["meetings"]
    assert (counted["updated"], counted["skipped"], counted["failed"]) == (
        outcomes["Succeeded"],
        outcomes["Skipped"],
        outcomes["Failed"],
    )
    assert wave["messages"] == {
        "total": 5,
        "sent": 5,
        "sent_by_server": 0,
        "waiting": 0,
        "refused": 0,
        "not_needed": 0,
    }


def test_what_a_run_updated_counts_though_the_member_was_retried(pilot: Wave, make_run: MakeRun) -> None:
    (failed,) = pilot.members.filter(state="Failed")
    assert failed.run is not None
    first, now = failed.run, timezone.now()
    before = report(pilot)["waves"][0]
    retried = make_run(
        failed.user,
        meetings=[
            ("Weekly", "Skipped", "already-current"),
            ("Budget", "Skipped", "no-block"),
            ("Plans", "Succeeded", ""),
        ],
        created=now,
    )
    WaveMember.objects.filter(pk=failed.pk).update(
        run=retried, state="Done", moved_at=first.created, finished_at=now + timedelta(minutes=2)
    )
    make_run(failed.user, meetings=[("Later", "Succeeded", "")], created=now + timedelta(days=1))  # of nobody's wave

    after = report(pilot)["waves"][0]
    assert after["runs"] == {**before["runs"], "Failed": 0, "Succeeded": 5}
    counted = after["meetings"]
    assert (counted["updated"], counted["skipped"], counted["failed"]) == (
        before["meetings"]["updated"] + 1,
        before["meetings"]["skipped"],
        before["meetings"]["failed"] - 1,
    )
    assert [each["code"] for each in counted["skipped_by_reason"]] == ["no-block"]
    assert after["messages"]["sent"] == before["messages"]["sent"] + 1
    assert numbers(counted) == counted["total"]


def test_the_parts_of_every_section_are_its_sum(pilot: Wave) -> None:
    Update.objects.filter(pk=Update.objects.earliest("pk").pk).update(state="Failed")
    document = report(pilot)
    for part in (*document["waves"], document["totals"]):
        for name in ("members", "runs", "meetings", "messages"):
            assert numbers(part[name]) == part[name]["total"] > 0
        counted = part["meetings"]
        assert sum(each["count"] for each in counted["skipped_by_reason"]) == counted["skipped"]
        assert sum(each["count"] for each in counted["failed_by_reason"]) == counted["failed"]
    assert document["waves"][0]["messages"]["refused"] == 1


def test_the_whole_is_the_sum_of_its_waves(pilot: Wave, make_user: Any, make_run: MakeRun) -> None:
    first = a_wave(pilot.rollout, 1, state="Completed")
    clara = make_user("clara")
    members(first, [clara], state="Done", run=make_run(clara, meetings=[("Call", "Skipped", "no-block")]))
    rollout = Rollout.objects.select_related("tenant", "legacy", "new").get(pk=pilot.rollout_id)
    whole = report_of(rollout, NOW)
    assert [wave["name"] for wave in whole["waves"]] == ["Test users", "Pilot", "Everyone"]
    for section in ("members", "runs", "meetings", "messages"):
        for name, total in whole["totals"][section].items():
            if isinstance(total, int):
                assert total == sum(wave[section][name] for wave in whole["waves"]), (section, name)
    assert whole["totals"]["meetings"]["skipped_by_reason"][0]["count"] == 6
    assert (whole["totals"]["stops"], whole["totals"]["pauses"], whole["totals"]["openings"]) == (1, 0, 1)


def test_planned_stands_beside_actual(pilot: Wave, alice: Client) -> None:
    (wave,) = report(pilot)["waves"]
    assert wave["planned"]["members"] == 7
    page = alice.get(f"/contoso/rollouts/{pilot.rollout_id}/waves/2/report/").content.decode()
    assert "Planned when it started" in page
    assert "Attendees who are told" in page


def test_a_stop_says_why_how_long_and_what_it_cost(pilot: Wave) -> None:
    (wave,) = report(pilot)["waves"]
    (stop,) = wave["interruptions"]
    assert (stop["kind"], stop["sentence"], stop["seconds"]) == ("stopped", "Too many members failed.", 3600)
    assert wave["throughput"]["seconds"] == 3 * 3600
    assert wave["throughput"]["members_per_hour"] == round(5 / 3, 1)
    assert wave["throughput"]["meetings_per_hour"] == 5.0


def at(hours: int, kind: str) -> dict[str, Any]:
    return {"kind": kind, "at": NOW + timedelta(hours=hours), "label": kind, "by": "", "sentence": "", "reason": ""}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([at(0, "started"), at(1, "paused")], [("paused", 9 * 3600, True)]),
        ([at(0, "paused"), at(2, "resumed")], [("paused", 2 * 3600, False)]),
        ([at(0, "paused"), at(1, "stopped"), at(3, "resumed")], [("paused", 3600, False), ("stopped", 7200, False)]),
        ([at(0, "stopped"), at(4, "rollback"), at(5, "rolled-back")], [("stopped", 4 * 3600, False)]),
        ([at(0, "stopped"), at(1, "gate-closed"), at(2, "resumed")], [("stopped", 7200, False)]),
    ],
)
def test_pauses_and_stops_last_until_it_goes_on(
    events: list[dict[str, Any]], expected: list[tuple[str, int, bool]]
) -> None:
    found = interruptions_of(events, NOW + timedelta(hours=10))
    assert [(each["kind"], each["seconds"], each["until"] is None) for each in found] == expected


def test_every_check_answer_and_opened_gate_is_there_with_who_and_when(pilot: Wave) -> None:
    (wave,) = report(pilot)["waves"]
    probe = next(check for check in wave["checks"] if check["name"] == "Front end")
    assert probe["last_result"]["sentence"] == "Nobody listens there."
    (answered,) = [check for check in wave["checks"] if check["answers"]]
    assert [(answer["answer"], answer["by"], answer["note"]) for answer in answered["answers"]] == [
        ("no", "bob", "No call came through."),
        ("yes", "vera", ""),
    ]
    assert len(wave["checks"]) == RolloutCheck.objects.filter(wave=pilot).count()
    (opening,) = wave["openings"]
    assert (opening["by"], opening["reason"]) == ("alice", "The front end is known to be away.")


# --- the same in all forms --------------------------------------------------------------------------------------------


def test_page_html_csv_and_json_tell_the_same_numbers(pilot: Wave, alice: Client) -> None:
    document = report(pilot)
    (counted,) = document["waves"]
    told = json.loads("".join(as_json(document)))
    for section in ("members", "runs", "meetings", "messages"):
        assert {name: value for name, value in told["waves"][0][section].items() if isinstance(value, int)} == {
            name: value for name, value in counted[section].items() if isinstance(value, int)
        }
        in_file = {
            row["Item"]: int(row["Count"])
            for row in rows_of(as_csv(document))
            if (row["Wave"], row["Section"]) == ("Pilot", section) and ":" not in row["Item"]
        }
        assert in_file == {name: value for name, value in counted[section].items() if isinstance(value, int)}
    page = alice.get(f"/contoso/rollouts/{pilot.rollout_id}/waves/2/report/").content.decode()
    for text in (page, "".join(as_html(document))):
        for said in ("Too many members failed.", "No call came through.", "Nobody listens there.", "user3@contoso.com"):
            assert said in text
        assert "The front end is known to be away." in text


def test_the_html_file_loads_nothing(pilot: Wave) -> None:
    text = "".join(as_html(report(pilot)))
    assert "default-src 'none'" in text
    assert not any(tag in text for tag in ("<script", "<link", "<img", "src=", "url("))
    assert text.count("<html") == text.count("</html>") == 1


def test_a_spreadsheet_runs_nothing_of_the_csv(pilot: Wave) -> None:
    WaveMember.objects.filter(wave=pilot, state="Failed").update(failure="=cmd|' /C calc'!A0")
    CheckAnswer.objects.update(note="=1+1")
    assert not any(cell.startswith(("=", "@")) for row in rows_of(as_csv(report(pilot))) for cell in row.values())


def test_all_forms_are_files_to_download(pilot: Wave, vera: Client) -> None:
    for kind in ("html", "csv", "json"):
        for part in (f"rollouts/{pilot.rollout_id}", f"rollouts/{pilot.rollout_id}/waves/2"):
            answer = vera.get(f"/contoso/{part}/report/{kind}/")
            assert answer.status_code == 200
            assert f".{kind}" in answer["Content-Disposition"]
            assert b"".join(answer.streaming_content)
    assert vera.get(f"/contoso/rollouts/{pilot.rollout_id}/report/exe/").status_code == 404
    assert vera.get(f"/contoso/rollouts/{pilot.rollout_id}/waves/9/report/").status_code == 404


def test_strangers_find_nothing(pilot: Wave, cast: None) -> None:
    assert sign_in("charlie").get(f"/contoso/rollouts/{pilot.rollout_id}/report/").status_code == 404
    assert sign_in("charlie").get(f"/fabrikam/rollouts/{pilot.rollout_id}/report/").status_code == 404


def test_by_command(pilot: Wave, command: Command, tmp_path: Path) -> None:
    told = command("export_wave_report", "Pilot", "--output", str(tmp_path / "pilot.json"))
    assert "Report of wave Pilot of To the new service" in told
    assert json.loads((tmp_path / "pilot.json").read_text())["waves"][0]["members"]["total"] == 7
    command("export_wave_report", "--rollout", "To the new service", "--output", str(tmp_path / "all.csv"))
    assert {row["Wave"] for row in rows_of((tmp_path / "all.csv").read_text())} >= {"Test users", "Pilot", "Everyone"}
    command("export_wave_report", "To the new service/2", "--output", str(tmp_path / "pilot.html"))
    assert "</html>" in (tmp_path / "pilot.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Pilot", "--output", "report.doc"), "let it end in .html, .csv or .json"),
        (("--output", "report.csv"), "either a wave or"),
        (("Pilots", "--output", "report.csv"), "There is no wave Pilots"),
        (("Pilot", "--output", "/nowhere/report.csv"), "cannot be written"),
    ],
)
def test_what_is_wrong_by_command_is_one_sentence(
    pilot: Wave, command: Command, arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(CommandError, match=told):
        command("export_wave_report", *arguments)


# --- large waves ------------------------------------------------------------------------------------------------------


def test_a_report_of_many_asks_as_much_as_one_of_few_and_its_page_is_bounded(
    pilot: Wave, make_users: Any, alice: Client
) -> None:
    address = f"/contoso/rollouts/{pilot.rollout_id}/report/"
    alice.get(address)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = alice.get(address)
        assert answer.status_code == 200
        return len(asked)

    few = queries()
    users = make_users({f"more{number}": {} for number in range(ON_A_PAGE + 30)})
    everyone = a_wave(pilot.rollout, 3)
    members(everyone, users, state="Failed", failure="The mailbox was not there.")
    assert queries() == few
    page = alice.get(address).content.decode()
    assert f"Only the first {ON_A_PAGE} are shown here; the files have all." in page
    document = report_of(Rollout.objects.select_related("tenant", "legacy", "new").get(pk=pilot.rollout_id), NOW)
    listed = [row for row in rows_of(as_csv(document)) if (row["Wave"], row["Section"]) == ("Everyone", "not_moved")]
    assert len(listed) == len(users)


# --- what is kept for it ----------------------------------------------------------------------------------------------


def test_runs_of_a_rollout_are_kept_until_it_has_ended(pilot: Wave, make_run: MakeRun) -> None:
    user = ConferencingUser.objects.get(upn="user0@contoso.com")
    old = Run.objects.get(user=user)
    make_run(user)
    later = timezone.now() + timedelta(days=400)
    prune(later)
    assert Run.objects.filter(pk=old.pk).exists()
    Rollout.objects.update(finished_at=timezone.now())
    prune(later)
    assert not Run.objects.filter(pk=old.pk).exists()
