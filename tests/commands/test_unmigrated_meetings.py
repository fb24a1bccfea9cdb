"""What commands tell of meetings that need a person."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
from django.core.management import CommandError, call_command

from migrations_app.demo import invitations as demo
from migrations_app.models import LeftMeeting
from migrations_app.runs.left import count_open
from tenants_app.models import ConferencingUser
from tests.support.commands import Command
from tests.support.meetings import invite, migrate, migrate_all


def test_get_unmigrated_meeting_lists_what_needs_a_person(
    command: Command, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    anna, bruno = make_users({"anna.rossi": {}, "bruno.costa": {}})
    assert "No meeting needs a person." in command("get_unmigrated_meeting")
    uid, _ = invite(anna, 0, build=demo.damaged_frame)
    invite(anna, 1, build=demo.pasted_block)
    invite(bruno, 2, build=demo.pasted_block)
    runs = migrate_all([anna, bruno])

    everything = json.loads(command("get_unmigrated_meeting", "--format", "json"))
    assert len(everything) == 3
    (row,) = json.loads(
        command("get_unmigrated_meeting", "--user", anna.upn, "--reason", "needs-review", "--format", "json")
    )
    left = LeftMeeting.objects.get(uid=uid)
    assert row == {
        "UserPrincipalName": anna.upn,
        "MeetingUid": uid,
        "Subject": left.subject,
        "StartDate": left.starts_at.isoformat(),
        "Attendees": left.attendee_count,
        "Reason": "needs-review",
        "Message": left.reason,
        "CorrelationId": str(runs[0]),
        "State": "Open",
    }
    (header, *_) = csv.reader(io.StringIO(command("get_unmigrated_meeting", "--format", "csv")))
    assert header == list(row)
    assert "bruno.costa@contoso.com" in command("get_unmigrated_meeting", "--reason", "pasted-block")
    with pytest.raises(CommandError, match="nonsense"):
        command("get_unmigrated_meeting", "--reason", "nonsense")
    with pytest.raises(CommandError, match="There is no user"):
        command("get_unmigrated_meeting", "--user", "nobody@contoso.com")
    (status,) = json.loads(command("get_meeting_migration_status", "--user", anna.upn, "--format", "json"))
    assert status["LeftMeeting"] == 2

    LeftMeeting.objects.filter(uid=uid).update(state="Assigned")
    assert "2 meetings open, as the dashboard counts; 1 assigned to its organizer." in command("get_unmigrated_meeting")
    assert count_open(anna.tenant) == 2
    LeftMeeting.objects.filter(uid=uid).update(state="DealtWith")
    LeftMeeting.objects.exclude(uid=uid).update(state="Assigned")
    assert len(json.loads(command("get_unmigrated_meeting", "--format", "json"))) == 2


def test_check_migrations_warns_of_more_than_so_many(
    anna: ConferencingUser,
) -> None:
    for number in range(2):
        invite(anna, number, build=demo.damaged_frame)
    migrate(anna)

    def check(*arguments: str) -> tuple[int, str]:
        output = io.StringIO()
        with redirect_stdout(output), pytest.raises(SystemExit) as stopped:
            call_command("check_migrations", *arguments)
        return int(str(stopped.value.code)), output.getvalue()

    status, line = check("--left", "1")
    assert (status, "2 meetings need a person" in line, "left=2;1;;0" in line) == (1, True, True)
    assert check("--left", "2")[0] == 0
    status, line = check()
    assert (status, "left=2;;;0" in line) == (0, True)
    assert check("--left", "-1")[0] == 3
    LeftMeeting.objects.update(state="Assigned")
    assert check("--left", "0")[0] == 0
