"""Meetings into the embedded mailbox and out of it again."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management.base import CommandError
from django.db.models import ProtectedError

from migrations_app.calendars.facts import read_facts
from migrations_app.models import CalendarObject
from tenants_app.changes.bridges import register_number, release_number
from tenants_app.models import Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.meetings import migrate
from tests.support.samples import calendar, event, fold, skype_text


def test_what_goes_in_comes_out_byte_for_byte(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "deeper").mkdir(parents=True)
    one = invitation(anna, "one@contoso.com")
    two = invitation(anna, "two").replace(b"\r\n", b"\n").rstrip()
    three = b"\xef\xbb\xbf" + invitation(anna, "three/../x")
    (source / "one.ics").write_bytes(one)
    (source / "deeper" / "two.ICS").write_bytes(two)
    (source / "notes.txt").write_text("not a calendar")
    (tmp_path / "three.ics").write_bytes(three)
    told = command("import_meetings", str(source), str(tmp_path / "three.ics"), "--user", anna.upn)
    assert told.splitlines()[0] == "anna.rossi@contoso.com: 3 meetings stored, 3 of them new."
    command("export_meetings", "--user", anna.upn, "--output", str(tmp_path / "out" / "anna"))
    written = {path.name: path.read_bytes() for path in (tmp_path / "out" / "anna").iterdir()}
    assert sorted(written.values()) == sorted([one, two, three])
    assert written["one@contoso.com.ics"] == one


def test_one_file_holds_all_meetings_and_can_be_imported_again(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    first, second = invitation(anna, "a").rstrip(), invitation(anna, "b")
    for name, body in (("a.ics", first), ("b.ics", second)):
        (tmp_path / name).write_bytes(body)
    command("import_meetings", str(tmp_path / "a.ics"), str(tmp_path / "b.ics"), "--user", anna.upn)
    command("export_meetings", "--user", anna.upn, "--output", str(tmp_path / "all.ics"))
    assert (tmp_path / "all.ics").read_bytes() == first + b"\r\n" + second
    told = command("import_meetings", str(tmp_path / "all.ics"), "--user", anna.upn)
    assert told.splitlines()[0].endswith("2 meetings stored, 0 of them new.")
    assert bytes(CalendarObject.objects.get(uid="b").body) == second


def test_it_reads_standard_input(command: Command, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(invitation(anna))))
    command("import_meetings", "-", "--user", anna.upn)
    assert CalendarObject.objects.get().user == anna


def test_uids_that_no_file_can_be_named_after_get_names_of_their_own(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    uids = ["../../etc/passwd", "..", "a/b", "a:b", "A", "a", "ü" * 400, ".hidden", "-rf"]
    for number, uid in enumerate(uids):
        (tmp_path / f"{number}.ics").write_bytes(invitation(anna, uid))
    command("import_meetings", str(tmp_path), "--user", anna.upn)
    output = tmp_path / "out"
    command("export_meetings", "--user", anna.upn, "--output", str(output))
    names = [path.name for path in output.iterdir()]
    assert len(names) == len({name.lower() for name in names}) == len(uids)
    assert not any(name.startswith((".", "-")) for name in names)
    command("export_meetings", "--user", anna.upn, "--output", str(output))
    assert sorted(path.name for path in output.iterdir()) == sorted(names)


def test_one_broken_file_is_named_and_nothing_is_stored(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    (tmp_path / "good.ics").write_bytes(invitation(anna))
    (tmp_path / "broken.ics").write_bytes(b"this is no calendar")
    (tmp_path / "undated.ics").write_bytes(invitation(anna, "undated").replace(b"DTSTART:", b"DTSTART:x"))
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^2 bad files, so nothing was stored"):
        command("import_meetings", str(tmp_path), "--user", anna.upn, errors=errors)
    lines = errors.getvalue().splitlines()
    assert [line.partition(":")[0] for line in lines] == [str(tmp_path / "broken.ics"), str(tmp_path / "undated.ics")]
    assert not CalendarObject.objects.exists()


def test_two_different_meetings_of_one_uid_are_refused_naming_both_files(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    (tmp_path / "a.ics").write_bytes(invitation(anna))
    (tmp_path / "b.ics").write_bytes(invitation(anna, text="Lunch"))
    errors = io.StringIO()
    with pytest.raises(CommandError):
        command("import_meetings", str(tmp_path), "--user", anna.upn, errors=errors)
    assert errors.getvalue() == (
        f"{tmp_path / 'b.ics'}: It has the same UID as {tmp_path / 'a.ics'} (budget@contoso.com), "
        "but it says something else about the same series: keep one of them.\n"
    )
    assert not CalendarObject.objects.exists()


def test_the_same_file_under_two_names_is_one_meeting(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    body = invitation(anna)
    (tmp_path / "a.ics").write_bytes(body)
    (tmp_path / "b.ics").write_bytes(body.replace(b"//Test//", b"//Other program//"))
    assert "1 meeting stored, 1 of them new." in command("import_meetings", str(tmp_path), "--user", anna.upn)
    assert bytes(CalendarObject.objects.get().body) == body


# --- a series and its changed occurrences ---------------------------------------------------------------

ZONE = (
    b"BEGIN:VTIMEZONE\r\nTZID:%s\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\n"
    b"TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)
SERIES = event("RRULE:FREQ=WEEKLY", text=skype_text())


def occurrence(day: str, text: str) -> list[str]:
    return event(f"RECURRENCE-ID:{day}T100000Z", text=text, start=f"DTSTART:{day}T120000Z", end=f"DTEND:{day}T130000Z")


def with_zone(body: bytes, name: bytes) -> bytes:
    return body.replace(b"BEGIN:VEVENT", ZONE % name + b"BEGIN:VEVENT", 1)


def stored(user: ConferencingUser) -> bytes:
    return bytes(CalendarObject.objects.get(user=user).body)


@pytest.fixture
def bring_in(command: Command, anna: ConferencingUser, tmp_path: Path) -> Callable[..., str]:
    """Imports one folder of files with these texts, in this order."""

    def run(*bodies: bytes) -> str:
        folder = tmp_path / f"import-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for number, body in enumerate(bodies):
            (folder / f"{number}.ics").write_bytes(body)
        return command("import_meetings", str(folder), "--user", anna.upn)

    return run


BringIn = Callable[..., str]


@pytest.mark.parametrize("is_series_first", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_a_series_and_its_occurrence_in_two_files_are_one_meeting(
    bring_in: BringIn, anna: ConferencingUser, is_series_first: bool, together: bool
) -> None:
    series, moved = with_zone(calendar(SERIES), b"Here"), calendar(occurrence("20300308", "Moved"))
    files = [series, moved] if is_series_first else [moved, series]
    for some in [files] if together else [[file] for file in files]:
        assert "1 meeting stored" in bring_in(*some)
    assert stored(anna) == with_zone(calendar(SERIES, occurrence("20300308", "Moved")), b"Here")
    assert read_facts(stored(anna)).ends_at is None


def test_time_zones_come_along_with_the_occurrence_that_needs_them(bring_in: BringIn, anna: ConferencingUser) -> None:
    moved = with_zone(with_zone(calendar(occurrence("20300308", "Moved")), b"Here"), b"There")
    bring_in(with_zone(calendar(SERIES), b"Here"), moved)
    together = calendar(SERIES, occurrence("20300308", "Moved"))
    assert stored(anna) == with_zone(with_zone(together, b"Here"), b"There")


def test_what_else_stands_beside_the_series_stays(bring_in: BringIn, anna: ConferencingUser) -> None:
    task = b"BEGIN:VTODO\r\nUID:task\r\nSUMMARY:Buy paper\r\nEND:VTODO\r\n"
    series = calendar(SERIES).replace(b"END:VCALENDAR", task + b"END:VCALENDAR")
    bring_in(b"\xef\xbb\xbf" + series, calendar(occurrence("20300308", "Moved"), eol=b"\n"))
    moved = b"".join(fold(line, b"\n") for line in occurrence("20300308", "Moved"))
    assert stored(anna) == b"\xef\xbb\xbf" + series.replace(b"END:VCALENDAR", moved + b"END:VCALENDAR")


def test_an_occurrence_takes_the_place_of_the_stored_one_that_it_changes(
    bring_in: BringIn, anna: ConferencingUser
) -> None:
    bring_in(calendar(SERIES, occurrence("20300308", "Moved"), occurrence("20300315", "Moved too")))
    same = occurrence("20300308", "Moved again")
    in_rome = "RECURRENCE-ID;TZID=Europe/Rome:20300308T110000"
    in_another_zone = [line.replace("RECURRENCE-ID:20300308T100000Z", in_rome) for line in same]
    bring_in(calendar(in_another_zone))
    assert stored(anna) == calendar(SERIES, in_another_zone, occurrence("20300315", "Moved too"))


def test_a_series_takes_the_place_of_a_stored_series(bring_in: BringIn, anna: ConferencingUser) -> None:
    bring_in(calendar(SERIES, occurrence("20300308", "Moved")))
    bring_in(calendar(event("RRULE:FREQ=DAILY", text="Daily")))
    assert stored(anna) == calendar(event("RRULE:FREQ=DAILY", text="Daily"))


def test_two_different_texts_of_one_occurrence_are_refused(bring_in: BringIn, anna: ConferencingUser) -> None:
    with pytest.raises(CommandError, match="1 bad file"):
        bring_in(calendar(SERIES), calendar(occurrence("20300308", "Moved")), calendar(occurrence("20300308", "Kept")))
    assert not CalendarObject.objects.exists()
    bring_in(calendar(SERIES), calendar(occurrence("20300308", "Moved")), calendar(occurrence("20300308", "Moved")))
    assert stored(anna) == calendar(SERIES, occurrence("20300308", "Moved"))


@pytest.mark.parametrize("is_stored", [True, False])
def test_an_answer_joins_no_meeting(bring_in: BringIn, anna: ConferencingUser, is_stored: bool) -> None:
    answer = calendar(occurrence("20300308", "Accepted")).replace(b"VERSION", b"METHOD:REPLY\r\nVERSION", 1)
    files = [calendar(SERIES), answer]
    if is_stored:
        bring_in(files.pop(0))
    with pytest.raises(CommandError, match="1 bad file"):
        bring_in(*files)
    assert [bytes(each.body) for each in CalendarObject.objects.all()] == ([calendar(SERIES)] if is_stored else [])


# --- files that hold no meeting, or cannot be read ------------------------------------------------------


@pytest.mark.parametrize("component", ["VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY", "VTIMEZONE", ""])
def test_a_file_without_a_meeting_is_passed_over(bring_in: BringIn, anna: ConferencingUser, component: str) -> None:
    inside = f"BEGIN:{component}\r\nUID:task\r\nTZID:x\r\nEND:{component}\r\n" if component else ""
    file = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{inside}END:VCALENDAR\r\n".encode()
    told = bring_in(file, invitation(anna), file)
    assert "1 meeting stored, 1 of them new." in told
    assert "2 files without any meeting (to-dos, journals, free/busy times) passed over." in told
    assert "0 meetings stored, 0 of them new." in bring_in(file)
    assert "passed over" not in bring_in(invitation(anna))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: body.decode().encode("utf-16"), "The file is in UTF-16"),
        (lambda body: body.decode().encode("utf-16-le"), "The file is in UTF-16"),
        (lambda body: body.decode().encode("utf-16-be"), "The file is in UTF-16"),
        (lambda body: body.decode().encode("utf-32"), "The file is in UTF-32"),
        (lambda body: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + body, "Outlook's own format"),
        (lambda body: b"PK\x03\x04" + body, "compressed archive"),
        (lambda body: b"<!DOCTYPE html><html>", "The file is an HTML or XML page"),
        (lambda body: b"BEGIN:VCARD\r\nEND:VCARD\r\n", "does not start with BEGIN:VCALENDAR"),
        (lambda body: body + b"\r\nSent from my phone", "in line 32."),
        (lambda body: body.replace(b"END:VEVENT\r\n", b"", 1), "END:VCALENDAR, in line 14, closes nothing"),
        (
            lambda body: body.replace(b"\r\nUID:budget@contoso.com", b"", 1),
            "The event in line 4, “Budget budget@contoso.com”, has no UID.",
        ),
        (
            lambda body: body.replace(b"\r\nUID:b\r\nDTSTART:", b"\r\nUID:b\r\nDTSTART:x"),
            "It is the meeting “Budget b” with UID b.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(
    command: Command, anna: ConferencingUser, tmp_path: Path, change: Callable[[bytes], bytes], sentence: str
) -> None:
    errors = io.StringIO()
    (tmp_path / "a.ics").write_bytes(change(invitation(anna) + invitation(anna, "b")))
    with pytest.raises(CommandError, match="1 bad file"):
        command("import_meetings", str(tmp_path), "--user", anna.upn, errors=errors)
    assert sentence in errors.getvalue()
    assert not CalendarObject.objects.exists()


def test_a_file_given_twice_is_read_once(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    path = tmp_path / "a.ics"
    path.write_bytes(invitation(anna))
    assert "1 meeting stored" in command("import_meetings", str(path), str(path), "--user", anna.upn)


def test_a_path_that_leads_nowhere_is_named(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.ics cannot be read \(No such file or directory\)"):
        command("import_meetings", str(tmp_path / "missing.ics"), "--user", anna.upn)
    with pytest.raises(CommandError, match=r"There is no \.ics file in"):
        command("import_meetings", str(tmp_path), "--user", anna.upn)
    with pytest.raises(CommandError, match=r"cannot be written \(No such file or directory\)"):
        command("export_meetings", "--user", anna.upn, "--output", str(tmp_path / "missing" / "all.ics"))


def test_an_export_that_fails_leaves_the_file_as_it_was(
    command: Command, anna: ConferencingUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.ics").write_bytes(invitation(anna))
    command("import_meetings", str(tmp_path / "in.ics"), "--user", anna.upn)
    output = tmp_path / "all.ics"
    output.write_bytes(b"an earlier export")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("migrations_app.management.whole_file.os.replace", full)
    with pytest.raises(CommandError, match="No space left on device"):
        command("export_meetings", "--user", anna.upn, "--output", str(output))
    assert output.read_bytes() == b"an earlier export"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.ics", "in.ics"]


OLD = "+12065550111"
"""A number of the bridge that nobody has in the settings; the invitations below show it."""


def imported(command: Command, user: ConferencingUser, folder: Path, body: bytes) -> str:
    (folder / "meeting.ics").write_bytes(body)
    return command("import_meetings", str(folder / "meeting.ics"), "--user", user.upn)


def test_r36_meetings_that_come_in_with_an_old_block_make_the_user_out_of_date(
    command: Command, anna: ConferencingUser, old_bridge: Bridge, tmp_path: Path
) -> None:
    register_number(old_bridge, OLD, "toll", ACTOR)
    told = imported(command, anna, tmp_path, invitation(anna))
    anna.refresh_from_db()
    assert anna.is_out_of_date
    assert "is out of date: some of these invitations do not say what the settings ask for." in told
    assert OLD in set(anna.invited_numbers.values_list("number__number", flat=True))

    migrate(anna)
    anna.refresh_from_db()
    assert not anna.is_out_of_date
    assert OLD not in set(anna.invited_numbers.values_list("number__number", flat=True))
    command("export_meetings", "--user", anna.upn, "--output", str(tmp_path / "migrated.ics"))
    assert "out of date" not in imported(command, anna, tmp_path, (tmp_path / "migrated.ics").read_bytes())
    anna.refresh_from_db()
    assert not anna.is_out_of_date


@pytest.mark.parametrize("kind", ["past", "without a block", "of somebody else"])
def test_r36_meetings_that_no_run_would_touch_make_nobody_out_of_date(
    command: Command, anna: ConferencingUser, make_user: Callable[..., ConferencingUser], tmp_path: Path, kind: str
) -> None:
    body = {
        "past": lambda: invitation(anna, days=-7),
        "without a block": lambda: invitation(anna, text="See you there."),
        "of somebody else": lambda: invitation(make_user("bruno.costa")),
    }[kind]()
    assert "out of date" not in imported(command, anna, tmp_path, body)
    anna.refresh_from_db()
    assert not anna.is_out_of_date


def test_r35_a_meeting_of_a_user_whom_mms_cannot_serve_keeps_its_number(
    command: Command, make_user: Callable[..., ConferencingUser], old_bridge: Bridge, tmp_path: Path
) -> None:
    number = register_number(old_bridge, OLD, "toll", ACTOR)
    user = make_user("emil.vega", mailbox_location="on-premises")
    imported(command, user, tmp_path, invitation(user))
    with pytest.raises(ProtectedError):
        release_number(number, ACTOR)
