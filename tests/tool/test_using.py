"""The Meeting Migration Tool as a command (R38): what comes back, what is sent, and what is refused."""

from __future__ import annotations

import csv
import email
import email.policy
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError

from migrations_app.demo import invitations as demo
from migrations_app.mail.delivery import deliver
from migrations_app.models import CalendarObject, OnlineMeeting, Run, Update, UpdateText
from migrations_app.runs.actions import start_by_hand
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, InvitedNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.meetings import calendar_of, messages_in, plan, untouched_lines
from tests.support.pages import words
from tests.support.two_tenants import everything_stored

ANEW = ("--target-meeting-type", "Link")


def refusal(command: Command, *arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        command(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def given(anna: ConferencingUser, tmp_path: Path) -> Path:
    """A folder with two meetings of anna's, one below another folder, and one of nobody's."""
    folder = tmp_path / "given"
    (folder / "2026").mkdir(parents=True)
    (folder / "budget.ics").write_bytes(demo.skype_text(plan(anna, 0)))
    (folder / "2026" / "Séance.ics").write_bytes(demo.skype_html(plan(anna, 1)))
    (folder / "plain.ics").write_bytes(invitation(anna, "plain@contoso.com", text="No block here."))
    (folder / "notes.txt").write_text("x")
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "report.csv").read_text("utf-8-sig"))))


REFUSED = {
    "R15": {"mailbox_location": "on-premises"},
    "R16": {"conferencing_provider": "Fabrikam"},
    "R17": {"hosting": "on-premises"},
}


@pytest.mark.parametrize("rule", REFUSED)
def test_r38_it_serves_whom_runs_refuse(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path, rule: str, new_bridge: Bridge
) -> None:
    change_user(anna, ACTOR, **REFUSED[rule])
    output = tmp_path / "out"
    arguments = ["migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(output), *ANEW]
    if rule == "R16":  # whose numbers MMS does not know
        before = everything_stored()
        assert "MMS does not know its numbers: give the toll number" in refusal(command, *arguments)
        assert everything_stored() == before
        assert not output.exists()
        arguments += ["--toll-number", "+34910000100", "--place", "Madrid", "--conference-id", "7654321"]
    told = command(*arguments)
    assert "2 of 3 meetings changed, 1 left as they are, 0 failed" in told
    assert sorted(path.relative_to(output).as_posix() for path in (output / "calendar").rglob("*.ics")) == [
        "calendar/2026/Séance.ics",
        "calendar/budget.ics",
        "calendar/plain.ics",
    ]
    assert (output / "calendar/plain.ics").read_bytes() == (given / "plain.ics").read_bytes()
    for name in ("budget.ics", "2026/Séance.ics"):
        before_, after = (given / name).read_bytes(), (output / "calendar" / name).read_bytes()
        assert untouched_lines(after) == untouched_lines(before_)
        assert after != before_
    if rule == "R16":
        blocks = [row["BlockAfter"] for row in rows(output) if row["BlockAfter"]]
        assert [("+34 910 00 01 00" in block, "7654321" in block) for block in blocks] == 2 * [(True, True)]
    assert {row["File"]: (row["Outcome"], row["Reason"]) for row in rows(output)} == {
        "budget.ics": ("Succeeded", ""),
        "2026/Séance.ics": ("Succeeded", ""),
        "plain.ics": ("Skipped", "no-block"),
    }
    messages = messages_in(output / "messages")
    assert len(messages) == 2
    assert {calendar_of(message).count(b"BEGIN:VEVENT") for message in messages} == {1}
    assert "<script" not in (output / "report.html").read_text("utf-8")
    assert not Run.objects.exists()  # nothing was sent, so nothing stands in the history
    assert not CalendarObject.objects.exists()
    entry = AuditEntry.objects.get(action="use migration tool")
    assert (entry.target, entry.after["Meetings"], entry.after["Changed"]) == (anna.upn, 3, 2)
    assert OnlineMeeting.objects.filter(user=anna, service="Link").count() >= 2  # R41
    again = tmp_path / "again"
    command(*arguments[:6], str(again), *arguments[7:])
    assert OnlineMeeting.objects.filter(user=anna, service="Link").count() == 2
    links = {row["MeetingUid"]: row["JoinUrlAfter"] for row in rows(output)}
    assert links == {row["MeetingUid"]: row["JoinUrlAfter"] for row in rows(again)}


def test_r38_it_sends_by_the_outbox_and_tells_nobody_twice(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path, outbox: Path
) -> None:
    change_user(anna, ACTOR, mailbox_location="on-premises", language="es-ES")

    def use(name: str) -> str:
        return command(
            "migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(tmp_path / name), "--send",
            *ANEW,
        )  # fmt: skip

    told = use("first")
    assert "attendees of 2 meetings are told by MMS" in told
    assert not (tmp_path / "first" / "messages").exists()
    run = Run.objects.get()
    assert (run.state, run.is_latest, run.migration_type) == ("Succeeded", False, "AllToLink")
    assert (run.total_meetings, run.succeeded_meetings, run.skipped_meetings, run.invites_update) == (3, 2, 1, 2)
    assert run.reasons[0]["rule"] == "R38"
    assert UpdateText.objects.count() == 2
    assert deliver() == 2
    messages = messages_in(outbox)
    texts = {path.read_bytes() for path in (tmp_path / "first" / "calendar").rglob("*.ics")}
    for message in messages:
        assert "actualiz" in message.as_string().lower() or "Actualiz" in str(message["Subject"])
        event = calendar_of(message)
        location = next(line for line in event.splitlines() if line.startswith(b"UID:"))
        assert any(location in text for text in texts)
    assert not UpdateText.objects.exists()  # kept until it was sent, and no longer
    assert set(Update.objects.values_list("state", flat=True)) == {"Sent"}

    told = use("second")
    assert "attendees of 0 meetings are told by MMS, 2 were told already" in told
    assert deliver() == 0
    assert Run.objects.count() == 1
    told_already = [row["Told"] for row in rows(tmp_path / "second") if row["Outcome"] == "Succeeded"]
    assert all(str(run.correlation_id) in each for each in told_already)
    assert len(messages_in(outbox)) == 2


def test_sending_is_refused_where_somebody_could_be_told_twice_or_may_not_be(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path
) -> None:
    arguments = ["migrate_calendar", "--input", str(given), "--output", str(tmp_path / "out"), "--send", *ANEW]
    start_by_hand(anna.tenant, [anna], ACTOR)
    before = everything_stored()
    assert "pending or in progress" in refusal(command, *arguments, "--user", anna.upn)
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False)
    Run.objects.all().delete()
    assert "switched off for this tenant" in refusal(command, *arguments, "--user", anna.upn)
    by_hand = ["--address", "carla@example.org", "--no-dial-in"]
    assert "users of the tenant alone" in refusal(command, *arguments[:-2], *by_hand)
    assert not (tmp_path / "out").exists()
    assert everything_stored()["Update"] == before["Update"]
    assert not Update.objects.exists()


def test_r40_r43_settings_by_hand_are_enough(
    command: Command, tenant: Tenant, old_bridge: Bridge, make_user: Callable[..., ConferencingUser], tmp_path: Path
) -> None:
    carla = ConferencingUser(tenant=tenant, upn="carla@example.org", sip_address="carla@example.org")
    carla.display_name, carla.pk = "Carla Sanz", 0
    source = demo.teams_gen2(plan(make_user("anna.rossi")))
    source = source.replace(b"anna.rossi@contoso.com", b"carla@example.org")
    (tmp_path / "carla.ics").write_bytes(source)
    arguments = ["migrate_calendar", "--input", str(tmp_path / "carla.ics"), "--address", carla.upn]
    before = everything_stored()
    for wrong, told in (
        ([], "Say how people dial in"),
        (["--no-dial-in", "--target-meeting-type", "Link"], "Online meetings are made for users of the tenant alone"),
        (["--bridge", old_bridge.name], "the user has no conference ID there"),
        (["--toll-free-number", "+18005550100"], "Say how people dial in"),
        (["--toll-number", "+34910000100", "--conference-id", "12"], "is no conference ID"),
        (["--no-dial-in", "--toll-number", "+14255550100"], "Without dial-in details"),
        (["--no-dial-in", "--language", "not a language"], "Give a language tag"),
        (
            ["--bridge", old_bridge.name, "--toll-number", "+34910000100", "--conference-id", "1234567"],
            "is no number of the bridge",
        ),
        (["--address", "carla"], "is no address"),
        (["--address", "a@example.org", "--address", "b@example.org"], "at most two addresses"),
        (["--address", "anna.rossi@contoso.com"], "is a user of Contoso"),
    ):
        output = tmp_path / "refused"
        assert told in refusal(command, *arguments, "--output", str(output), *wrong)
        assert not output.exists()
    assert everything_stored() == before
    by_hand = ["--toll-number", "+34910000100", "--place", "Madrid", "--display-name", "Carla Sanz"]
    command(*arguments, "--output", str(tmp_path / "out"), *by_hand)
    (row,) = rows(tmp_path / "out")
    assert row["Outcome"] == "Succeeded", row
    assert "+34 910 00 01 00" in row["BlockAfter"]
    assert "Madrid" in row["BlockAfter"]
    assert row["JoinUrlAfter"] == row["JoinUrlBefore"]
    assert everything_stored().keys() == before.keys()
    changed = {name for name, stored in everything_stored().items() if stored != before[name]}
    assert changed == {"AuditEntry"}
    shown = re.findall(r"\b[0-9 ]{7,15}#", row["BlockBefore"])
    assert all(each in row["BlockAfter"] for each in shown)  # R43: that bridge's ID stays


def test_numbers_that_migrated_invitations_show_are_not_deleted_unasked(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path, new_bridge: Bridge
) -> None:
    """R35, and private IDs that were given out are remembered, but not those that no invitation shows."""
    InvitedNumber.objects.all().delete()
    change_user(anna, ACTOR, conference_id_type="private", mailbox_location="on-premises")
    command("migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(tmp_path / "out"), *ANEW)
    assert set(InvitedNumber.objects.values_list("user__upn", "number__number")) == {(anna.upn, "+14255550100")}
    private = ConferenceId.objects.filter(user=anna).exclude(meeting_uid="")
    given_out = dict(private.values_list("meeting_uid", "digits"))
    assert given_out.keys() == {row["MeetingUid"] for row in rows(tmp_path / "out") if row["Outcome"] == "Succeeded"}
    for row in rows(tmp_path / "out"):
        if row["Outcome"] == "Succeeded":
            assert given_out[row["MeetingUid"]] in row["BlockAfter"]


def test_bad_input_is_refused_and_nothing_is_overwritten(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path
) -> None:
    text = (given / "budget.ics").read_bytes()
    bad = {
        "utf16.ics": (text.decode().encode("utf-16"), "The file is in UTF-16"),
        "empty.ics": (b"", "is empty"),
        "page.ics": (b"<html>", "HTML or XML page"),
        "garbage.ics": (b"\x00\x01\x02garbage", "text outside BEGIN:VCALENDAR"),
        "cut.ics": (text[:500], "cut off"),
        "twin.ics": (text, "has the same meeting as budget.ics"),
        "long.ics": (invitation(anna, "u" * 501), "more than 500 characters"),
        "plain.eml": (b"Subject: x\r\n\r\nHello", "holds no invitation"),
    }
    before = everything_stored()
    arguments = ["migrate_calendar", "--user", anna.upn, "--input", str(given), "--output"]
    for name, (octets, told) in bad.items():
        (given / name).write_bytes(octets)
        sentence = refusal(command, *arguments, str(tmp_path / "out"))
        assert told in sentence
        assert name in sentence
        assert not (tmp_path / "out").exists()
        (given / name).unlink()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    assert "is not empty, and nothing is overwritten" in refusal(command, *arguments, str(tmp_path / "full"))
    assert "is no folder" in refusal(command, *arguments, str(tmp_path / "full" / "mine"))
    for inside in (given, given / "out"):
        assert "would lie in what was given" in refusal(command, *arguments, str(inside))
    assert (tmp_path / "full" / "mine").read_text() == "x"
    (tmp_path / "tasks.ics").write_bytes(b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:t\r\nEND:VTODO\r\nEND:VCALENDAR\r\n")
    tasks = ["--input", str(tmp_path / "tasks.ics"), "--output", str(tmp_path / "x")]
    only_tasks = refusal(command, *arguments[:3], *tasks)
    assert "There is no meeting in what was given" in only_tasks
    assert everything_stored() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_meeting_that_cannot_be_read_fails_alone_and_stays_as_it_was(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path
) -> None:
    broken = invitation(anna, "broken@contoso.com").replace(b"DTSTART:", b"DTSTART:no")
    (given / "broken.ics").write_bytes(broken)
    output = tmp_path / "out"
    told = refusal(
        command, "migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(output), *ANEW
    )
    assert told == "Of 4 meetings 1 failed: see the report."
    assert (output / "calendar" / "broken.ics").read_bytes() == broken
    (row,) = [row for row in rows(output) if row["Outcome"] == "Failed"]
    assert row["Reason"] == "unreadable-calendar-object"
    assert "Open the meeting in the organizer's calendar" in row["Message"]


def test_a_zip_file_comes_back_as_a_folder_and_a_message_as_a_calendar(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path
) -> None:
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "Invitation"
    message.set_content("Hello")
    calendar = (given / "budget.ics").read_bytes()
    message.add_attachment(calendar, maintype="text", subtype="calendar", filename="invite.ics")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("mail/invitation.eml", message.as_bytes())
        archive.write(given / "2026" / "Séance.ics", "Séance.ics")
    output = tmp_path / "out"
    command(
        "migrate_calendar", "--user", anna.upn, "--input", str(tmp_path / "all.zip"), "--output", str(output), *ANEW
    )
    assert {path.relative_to(output).as_posix() for path in output.rglob("*.ics")} == {
        "calendar/Séance.ics",
        "calendar/mail/invitation.eml.ics",
    }
    migrated = (output / "calendar/mail/invitation.eml.ics").read_bytes()
    assert untouched_lines(migrated) == untouched_lines(calendar)
    assert migrated != calendar


def test_r16_a_third_partys_bridge_whose_numbers_are_here_needs_nothing_by_hand(
    command: Command, anna: ConferencingUser, old_bridge: Bridge, given: Path, tmp_path: Path
) -> None:
    set_bridge(anna.tenant, old_bridge.name, ACTOR, provider="InterCall")
    command("migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(tmp_path / "out"), *ANEW)
    blocks = [row["BlockAfter"] for row in rows(tmp_path / "out") if row["Outcome"] == "Succeeded"]
    assert len(blocks) == 2
    assert all("+1 425-555-0100" in block for block in blocks)
    assert Bridge.objects.get(pk=old_bridge.pk).provider == "InterCall"
    assert ConferencingUser.objects.get(pk=anna.pk).conferencing_provider == ""


def test_r14_r16_numbers_that_people_dial_are_taken_away_only_if_somebody_says_so(
    command: Command, anna: ConferencingUser, old_bridge: Bridge, given: Path, tmp_path: Path
) -> None:
    """With a provider of their own, a user needs no licence of Microsoft's, and the invitations show its numbers."""
    arguments = ["migrate_calendar", "--user", anna.upn, "--input", str(given), "--output", str(tmp_path / "out")]
    change_user(anna, ACTOR, conferencing_provider="Fabrikam", audio_conferencing_license=False)
    assert "MMS does not know its numbers" in refusal(command, *arguments)
    change_user(anna, ACTOR, conferencing_provider="")
    set_bridge(anna.tenant, old_bridge.name, ACTOR, provider="InterCall")
    assert "belongs to InterCall, and anna.rossi@contoso.com has no audio" in refusal(command, *arguments)
    assert not (tmp_path / "out").exists()
    assert "0 failed, 2 lose their dial-in part;" in command(*arguments, "--no-dial-in")
    found = rows(tmp_path / "out")
    assert all("425" not in row["BlockAfter"] for row in found)
    # They stand first, and the report says how many before anything else.
    assert [(row["LosesDialIn"], bool(row["BlockBefore"])) for row in found] == 2 * [("true", True)] + [
        ("false", False)
    ]
    report = words((tmp_path / "out/report.html").read_bytes())
    assert report.index("2 meetings lose their dial-in part.") < report.index("Changed")
    assert report.count("It loses its dial-in part.") == 2
    assert AuditEntry.objects.get(action="use migration tool").after["LoseDialIn"] == 2


def test_r43_only_the_ids_that_are_named_give_way(
    command: Command, make_user: Callable[..., ConferencingUser], tmp_path: Path
) -> None:
    source = demo.teams_gen2(plan(make_user("anna.rossi")))
    (tmp_path / "carla.ics").write_bytes(source.replace(b"anna.rossi@contoso.com", b"carla@example.org"))
    arguments = ["migrate_calendar", "--input", str(tmp_path / "carla.ics"), "--address", "carla@example.org"]
    arguments += ["--toll-number", "+34910000100", "--place", "Madrid", "--conference-id", "2345678"]

    def shown(name: str, *others: str) -> tuple[str, str]:
        command(*arguments, "--output", str(tmp_path / name), *others)
        (row,) = rows(tmp_path / name)
        return row["BlockBefore"].replace(" ", ""), row["BlockAfter"].replace(" ", "")

    before, after = shown("kept")
    (old,) = set(re.findall(r"ConferenceID:([0-9]+)#", before))
    assert old in after
    assert "2345678" not in after
    before, after = shown("exchanged", "--former-conference-id", "1112223", "--former-conference-id", old)
    assert "2345678" in after
    assert old not in after
    assert (tmp_path / "exchanged" / "messages").is_dir()


def test_r40_a_meeting_service_by_hand_decides_where_meetings_are_made_anew(
    command: Command, anna: ConferencingUser, given: Path, tmp_path: Path
) -> None:
    change_user(anna, ACTOR, meeting_service="none", mailbox_location="on-premises")
    arguments = [
        "migrate_calendar",
        "--user",
        anna.upn,
        "--input",
        str(given),
        "--output",
        str(tmp_path / "out"),
        *ANEW,
    ]
    assert "Link is not the user's meeting service" in refusal(command, *arguments)
    assert "2 of 3 meetings changed" in command(*arguments, "--meeting-service", "link")
    assert ConferencingUser.objects.get(pk=anna.pk).meeting_service == "none"
