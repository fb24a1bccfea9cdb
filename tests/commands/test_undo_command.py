"""`undo_meeting_migration` (section 5): what it would do, doing it, and its refusals in one line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management.base import CommandError

from migrations_app.models import Run
from migrations_app.preview.meetings import FORESEEN_FIELDS
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.content_lines import without_stamps
from tests.support.meetings import body_of, invite, migrate
from tests.support.only_reads import only_reads

pytestmark = pytest.mark.django_db(transaction=True)


def refusal(command: Command, *arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        command("undo_meeting_migration", *arguments)
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_lists_then_undoes_and_refuses_what_cannot_be(anna: ConferencingUser, command: Command, outbox: Any) -> None:
    before = dict(invite(anna, number) for number in range(2))
    one, other = before
    run = migrate(anna)
    name = ["--correlation-id", str(run.correlation_id)]
    with only_reads():
        told = json.loads(command("undo_meeting_migration", *name, "--dry-run", "--format", "json"))
    assert [set(each) for each in told] == [set(FORESEEN_FIELDS)] * 2, "as start_meeting_migration --dry-run has them"
    assert {each["MeetingUid"]: each["Outcome"] for each in told} == dict.fromkeys(before, "Succeeded")
    assert all(each["BlockBefore"] and each["BlockAfter"] and each["Recipients"] for each in told)
    assert "Succeeded" in command("undo_meeting_migration", *name, "--dry-run", "--meeting", one)
    assert not Run.objects.filter(migration_type="Undo").exists()
    assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds
    assert "has not changed the meeting nobody" in refusal(command, *name, "--meeting", "nobody")
    assert "has no run" in refusal(command, "--correlation-id", "7f9c24e8-3b12-4fef-91e0-2a5b8c1d6e70")
    assert Run.objects.count() == 1

    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False, settling_time=3600)
    assert f"Undo of {run.correlation_id}" in command("undo_meeting_migration", *name, "--meeting", one, "--now")
    command("run_migrations", "--until-idle")
    undone = Run.objects.get(undoes=run)
    assert (undone.state, list(undone.results.values_list("uid", flat=True))) == ("Succeeded", [one])
    assert sorted(without_stamps(body_of(anna, one))) == sorted(without_stamps(before[one]))
    assert body_of(anna, other) != before[other]
    assert "was put back already" in refusal(command, *name, "--meeting", one)
    assert "This run is an undo itself" in refusal(command, "--correlation-id", str(undone.correlation_id))
    (entry,) = AuditEntry.objects.filter(action="undo migration")
    assert (entry.channel, entry.after["run"]) == ("command", str(run.correlation_id))
    records = json.loads(command("get_meeting_migration_status", "--user", anna.upn, "--format", "json"))
    assert {record["CorrelationId"]: record["Undoes"] for record in records} == {
        str(run.correlation_id): "",
        str(undone.correlation_id): str(run.correlation_id),
    }
    only = command("get_meeting_migration_status", "--migration-type", "Undo", "--format", "csv")
    assert str(undone.correlation_id) in only

    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=True)
    errors = io.StringIO()
    with only_reads():
        assert f"This ends the undo of {anna.upn}." in command("start_meeting_migration", "--out-of-date", "--dry-run")
    listed = command("start_meeting_migration", "--out-of-date", "--dry-run", "--format", "json", errors=errors)
    assert json.loads(listed)
    assert f"This ends the undo of {anna.upn}." in errors.getvalue()
    assert ConferencingUser.objects.get(pk=anna.pk).undo_holds, "a dry run ends nothing"
    numbers = ["--from", "+14255550100", "--to", "+14255550188"]
    with only_reads():
        assert f"This ends the undo of {anna.upn}." in command("replace_service_number", *numbers, "--dry-run")
