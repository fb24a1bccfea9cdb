"""Taking a number off its bridge, and replacing one, by command (R32 to R35)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migrations_app import tasks
from migrations_app.mail import delivery
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import NumberRelease, Run, Update
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import mark_up_to_date
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.meetings import invite, migrate
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
OLD, NEW, DEFAULT = "+14255550111", "+14255550122", "+14255550100"
TAKE_OFF = ["unassign_service_number", "--number", OLD, "--replace-with", NEW]
REPLACE = ["replace_service_number", "--from", OLD, "--to", "+14255550133"]


@pytest.fixture
def old(old_bridge: Bridge) -> ServiceNumber:
    register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")
    return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation."""
    user = make_user("dora.lind", toll_number=old)
    invite(user)
    migrate(user)
    return user


def listed(command: Command) -> dict[str, dict[str, Any]]:
    return {row["Number"]: row for row in json.loads(command("get_service_number", "--format", "json"))}


def test_r34_it_takes_a_number_off_and_says_what_happens_next(
    command: Command, dora: ConferencingUser, make_user: MakeUser, outbox: Any
) -> None:
    make_user("emil", toll_number=dora.toll_number, mailbox_location="on-premises")
    told = command(*TAKE_OFF)
    release = NumberRelease.objects.get()

    assert f"{OLD} on Old bridge: 2 users depend on it, with 1 future meeting and " in told
    assert f"1 run starts when the users get {NEW}." in told
    assert "1 user: No run, because the mailbox is on Exchange on-premises" in told
    assert f"{OLD} is being taken off Old bridge. It begins at once" in told
    assert f"Follow it at /contoso/releases/{release.pk}/, or with get_service_number" in told
    entry = AuditEntry.objects.get(action="take number off")
    assert (entry.channel, entry.actor == release.requested_by) == ("command", True)

    tasks.work_queue()
    release.refresh_from_db()
    assert (release.state, listed(command)[OLD]["UserCount"]) == ("Updating", 1)
    mark_up_to_date(ConferencingUser.objects.get(upn="emil@contoso.com"), ACTOR)
    tasks.work_queue()
    assert OLD not in listed(command)


@pytest.mark.parametrize("arguments", [TAKE_OFF, REPLACE])
def test_a_dry_run_tells_it_and_writes_nothing(
    command: Command, dora: ConferencingUser, make_user: MakeUser, arguments: list[str]
) -> None:
    make_user("emil", toll_number=dora.toll_number, mailbox_location="on-premises")
    before = everything_stored()
    told = command(*arguments, "--dry-run")

    assert f"{OLD} on Old bridge: 2 users depend on it, with 1 future meeting" in told
    assert f"1 run would start when the users get {arguments[-1]}." in told
    assert "1 user: No run, because the mailbox is on Exchange on-premises" in told
    assert told.endswith("Dry run: nothing was written.\n")
    assert "Follow it" not in told
    assert everything_stored() == before


@pytest.mark.parametrize("now", [True, False])
def test_r19_it_waits_for_the_settling_time_unless_told_not_to(
    command: Command, dora: ConferencingUser, tenant: Tenant, now: bool
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    told = command(*TAKE_OFF, *(["--now"] if now else []))
    tasks.work_queue()

    assert ("It begins at once" in told) is now
    assert ("until then it can be cancelled there" in told) is not now
    assert NumberRelease.objects.get().state == ("Released" if now else "Waiting")


def test_it_replaces_a_default_number_by_a_new_one(
    command: Command, make_user: MakeUser, old: ServiceNumber, outbox: Any
) -> None:
    make_user("emil")
    make_user("no.licence", audio_conferencing_license=False)
    told = command("replace_service_number", "--from", DEFAULT, "--to", "+1 425 555 0133")

    assert f"{DEFAULT} on Old bridge: 2 users depend on it, with 0 future meetings and 0 invitations." in told
    assert "1 user: No run, because their invitations do not show the number: they just get the new default." in told
    assert listed(command)["+14255550133"]["City"] == "Redmond"
    tasks.work_queue()
    numbers = listed(command)
    assert DEFAULT not in numbers
    assert numbers["+14255550133"]["IsDefault"] is True


def test_it_lists_what_is_leaving_and_who_depends_on_it(
    command: Command, dora: ConferencingUser, make_user: MakeUser, tenant: Tenant
) -> None:
    make_user("emil")
    change_tenant(tenant, ACTOR, automatically_migrate_user_meetings=False)
    command(*TAKE_OFF)
    assert [(row["State"], row["AssignedCount"], row["UserCount"]) for row in listed(command).values()] == [
        ("assigned", 0, 1),
        ("leaving", 1, 1),
        ("assigned", 0, 0),
    ]
    tasks.work_queue()
    rows = listed(command)
    assert (rows[OLD]["AssignedCount"], rows[OLD]["UserCount"], rows[NEW]["AssignedCount"]) == (0, 1, 1)
    assert command("get_service_number", "--format", "csv").splitlines()[0] == (
        "Number,Type,Bridge,IsDefault,Country,City,UserCount,AssignedCount,State"
    )


def test_listing_asks_the_database_the_same_number_of_questions_for_3_and_30_numbers(
    command: Command, old: ServiceNumber, make_user: MakeUser
) -> None:
    asked = []
    for first, last in ((0, 3), (3, 30)):
        for digits in range(first, last):
            number = register_number(old.bridge, f"+1425555{digits:04}", "toll", ACTOR)
            make_user(f"user{digits}", toll_number=number)
        with CaptureQueriesContext(connection) as queries:
            command("get_service_number")
        asked.append(len(queries))
    assert asked[0] == asked[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["unassign_service_number", "--number", DEFAULT, "--replace-with", NEW],
            "make another toll number the default",
        ),
        (["unassign_service_number", "--number", OLD, "--replace-with", OLD], "cannot replace itself"),
        (
            ["unassign_service_number", "--number", OLD, "--replace-with", "+442079460123"],
            "is on the bridge New bridge",
        ),
        (["unassign_service_number", "--number", OLD, "--replace-with", "+14255550199"], "is not a service number of"),
        (["unassign_service_number", "--number", "+14255550199", "--replace-with", NEW], "is not a service number of"),
        (["replace_service_number", "--from", "+14255550199", "--to", NEW], "is not a service number of Contoso"),
        (["replace_service_number", "--from", OLD, "--to", "+442079460123"], "is on the bridge New bridge"),
        (["replace_service_number", "--from", OLD, "--to", OLD], "cannot replace itself"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_r33_what_does_not_fit_is_refused_in_one_line(
    old: ServiceNumber, new_bridge: Bridge, arguments: list[str], sentence: str, dry_run: bool
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError, match=sentence) as caught:
        call_command(*arguments, *(["--dry-run"] if dry_run else []))
    assert caught.value.returncode == 1
    assert "\n" not in str(caught.value)
    assert everything_stored() == before


@pytest.mark.parametrize("arguments", [TAKE_OFF, REPLACE])
def test_r12_it_is_refused_while_the_service_is_off(
    old: ServiceNumber, tenant: Tenant, arguments: list[str], command: Command
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    with pytest.raises(CommandError, match="switch MeetingMigrationEnabled on first"):
        command(*arguments)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=True)
    command(*arguments)
    with pytest.raises(CommandError, match="is being taken off already"):
        command(*arguments)
    assert Run.objects.count() == 0


# --- what keeps it, and releasing it knowingly (R35) --------------------------------------------------


@pytest.fixture
def held(command: Command, dora: ConferencingUser, outbox: Any) -> NumberRelease:
    """Two meetings show the number outside of their blocks, and a message to attendees was given up."""
    for number in (1, 2):
        uid, body = invite(dora, number)
        noted = body.replace(b"END:VEVENT", b"LOCATION:Room 4\\, 425.555.0111\r\nEND:VEVENT")
        EmbeddedMailbox(dora).store([(uid, noted)])
    command(*TAKE_OFF)
    with delivery_stopped():
        tasks.work_queue()
    (given_up, *others) = Update.objects.filter(state="Queued", untold_numbers__number__number=OLD)
    assert not others
    Update.objects.filter(pk=given_up.pk).update(state="Failed", error_code="mail-refused", error_detail="answer 550")
    tasks.work_queue()
    return NumberRelease.objects.get()


@contextmanager
def delivery_stopped() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "deliver", lambda *_: 0)
        patch.setattr(delivery, "is_due", lambda: False)
        yield


def test_r35_it_lists_what_keeps_a_number(command: Command, held: NumberRelease, dora: ConferencingUser) -> None:
    rows = json.loads(command("get_number_release", "--number", OLD, "--format", "json"))

    meetings = [row for row in rows if row["HeldBy"] == "Meeting"]
    assert [(row["UserPrincipalName"], row["Where"]) for row in meetings] == [(dora.upn, "location")] * 2
    assert {row["Subject"] for row in meetings} <= set(dora.calendar_objects.values_list("subject", flat=True))
    (given_up,) = [row for row in rows if row["HeldBy"] == "GivenUp"]
    assert "answer 550" in given_up["Message"]
    assert given_up["CorrelationId"] == str(dora.runs.get(is_latest=True).correlation_id)
    assert "location" in command("get_number_release")


def test_r35_messages_that_were_given_up_are_accepted_by_command(command: Command, held: NumberRelease) -> None:
    before = everything_stored()
    assert "1 message accepted." in command("accept_given_up_messages", "--number", OLD, "--dry-run")
    assert everything_stored() == before
    told = command("accept_given_up_messages", "--number", OLD)
    assert "1 message accepted." in told
    assert "2 meetings still showing it" in told
    assert "0 given up" in told


def test_r35_a_number_is_released_knowingly_by_command(command: Command, held: NumberRelease) -> None:
    arguments = ["release_service_number", "--number", OLD, "--reason", "The carrier has cut it"]
    before = everything_stored()
    assert f"{OLD} would be released with 2 meetings still showing it" in command(*arguments, "--dry-run")
    assert everything_stored() == before
    with pytest.raises(CommandError, match="Say why"):
        command("release_service_number", "--number", OLD, "--reason", " ")
    assert everything_stored() == before

    assert f"{OLD} is released with 2 meetings still showing it" in command(*arguments)
    assert not ServiceNumber.objects.filter(number=OLD).exists()
    entry = AuditEntry.objects.get(action="release number anyway")
    assert (entry.channel, entry.after["reason"], entry.after["meetings"]) == ("command", "The carrier has cut it", 2)


@pytest.mark.parametrize("name", ["get_number_release", "accept_given_up_messages", "release_service_number"])
def test_r35_a_number_that_is_not_on_its_way_off_is_refused(command: Command, old: ServiceNumber, name: str) -> None:
    reason = ["--reason", "cut"] if name == "release_service_number" else []
    with pytest.raises(CommandError, match="is not on its way off a bridge"):
        command(name, "--number", OLD, *reason)


def test_r32_a_dry_run_counts_exactly_what_changes_and_what_shows_the_number_afterwards(
    command: Command, dora: ConferencingUser, outbox: Any
) -> None:
    uid, body = invite(dora, 1)
    noted = body.replace(b"END:VEVENT", b"LOCATION:Room 4\\, 425.555.0111\r\nEND:VEVENT")
    EmbeddedMailbox(dora).store([(uid, noted)])
    before = everything_stored()
    told = command(*TAKE_OFF, "--dry-run")
    assert everything_stored() == before
    updated = re.search(r"(\d+) meetings? would be updated, 0 would fail, and (\d+) invitations? would be sent", told)
    assert updated
    assert f"1 meeting to come would show {OLD} afterwards as well and hold it." in told

    command(*TAKE_OFF)
    tasks.work_queue()
    run = dora.runs.get(is_latest=True)
    sent = sum(Update.objects.filter(result__run=run).values_list("recipient_count", flat=True))
    assert (run.succeeded_meetings, sent) == tuple(map(int, updated.groups()))
