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

from migrations_app.models import CalendarObject
from tenants_app.changes.bridges import register_number, release_number
from tenants_app.models import Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.meetings import migrate


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


def test_the_same_uid_in_two_files_is_refused_naming_both(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    for name in ("a.ics", "b.ics"):
        (tmp_path / name).write_bytes(invitation(anna))
    errors = io.StringIO()
    with pytest.raises(CommandError):
        command("import_meetings", str(tmp_path), "--user", anna.upn, errors=errors)
    assert str(tmp_path / "a.ics") in errors.getvalue()
    assert str(tmp_path / "b.ics") in errors.getvalue()
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

    monkeypatch.setattr("migrations_app.management.commands.export_meetings.os.replace", full)
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
