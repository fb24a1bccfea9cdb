"""A file of users by command: every difference before it is made, progress, and rows that depend on each other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from migrations_app.management.commands import import_users as command_module
from tenants_app.changes import conference_ids
from tenants_app.changes.bridges import register_number, set_bridge, set_leaving
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import create_user
from tenants_app.csv_files import users_in
from tenants_app.csv_files.cells import guarded, restored
from tenants_app.csv_files.users_out import user_lines
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
Import = Callable[..., str]
TWO_CHANGES = """\
UserPrincipalName,DisplayName,AudioConferencingEnabled,Bridge
anna.rossi@contoso.com,,,New bridge
clara.sanz@contoso.com,Clara Sanz,,
bruno.costa@contoso.com,Bruno,false,
dario.neri@contoso.com,,,Old bridge
"""


@pytest.fixture
def import_users(command: Command, tmp_path: Path) -> Import:
    """Imports a file of this text."""

    def run(text: str, *options: str, errors: io.StringIO | None = None) -> str:
        path = tmp_path / "users.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return command("import_users", str(path), *options, errors=errors)

    return run


@pytest.fixture
def people(make_user: MakeUser, new_bridge: Bridge) -> None:
    make_user("anna.rossi", toll_number=None)
    make_user("bruno.costa")
    make_user("dario.neri")


# --- differences --------------------------------------------------------------------------------------


def test_a_dry_run_lists_what_differs_row_by_row_and_then_the_totals(import_users: Import, people: None) -> None:
    told = import_users(TWO_CHANGES, "--dry-run").splitlines()

    assert told[0].split() == ["Line", "UserPrincipalName", "Change", "StartsRun", "Sentence"]
    listed = [" | ".join(cell.strip() for cell in line.split("  ") if cell.strip()) for line in told[2:5]]
    assert listed == [
        "2 | anna.rossi@contoso.com | Bridge Old bridge → New bridge | true | Run, because the user moved to the "
        "bridge New bridge.",
        "3 | clara.sanz@contoso.com | create | false | No run, because the user is new.",
        "4 | bruno.costa@contoso.com | DisplayName Bruno Costa → Bruno; AudioConferencingEnabled true → false | true | "
        "Run, because audio conferencing was disabled.",
    ]
    assert told[5:] == [
        "1 created, 2 changed, 1 unchanged, 0 skipped; 2 runs would start.",
        "1 user: Run, because the user moved to the bridge New bridge.",
        "1 user: No run, because the user is new.",
        "1 user: Run, because audio conferencing was disabled.",
        "DisplayName differs for 1 user.",
        "AudioConferencingEnabled differs for 1 user.",
        "Bridge differs for 1 user.",
        "Dry run: nothing was written.",
    ]


def test_json_and_csv_have_the_rows_alone(import_users: Import, people: None) -> None:
    as_json = json.loads(import_users(TWO_CHANGES, "--dry-run", "--format", "json"))
    as_csv = list(csv.DictReader(io.StringIO(import_users(TWO_CHANGES, "--dry-run", "--format", "csv"))))

    assert as_json[0] == {
        "Line": 2,
        "UserPrincipalName": "anna.rossi@contoso.com",
        "Change": "Bridge Old bridge → New bridge",
        "StartsRun": True,
        "Sentence": "Run, because the user moved to the bridge New bridge.",
    }
    assert [row["Line"] for row in as_json] == [2, 3, 4]
    assert as_csv == [{**row, "Line": str(row["Line"]), "StartsRun": str(row["StartsRun"]).lower()} for row in as_json]


def test_a_file_that_changes_nothing_has_no_differences(import_users: Import, people: None) -> None:
    text = "UserPrincipalName,Bridge\nanna.rossi@contoso.com,Old bridge\n"
    assert "No row differs from what is there." in import_users(text, "--dry-run")
    assert json.loads(import_users(text, "--dry-run", "--format", "json")) == []


def test_the_differences_are_told_with_what_a_dry_run_is_for(import_users: Import, people: None) -> None:
    with pytest.raises(CommandError, match=r"add --dry-run\.$") as caught:
        import_users(TWO_CHANGES, "--format", "json")
    assert caught.value.returncode == 2


def test_a_dry_run_wakes_nobody_and_leaves_no_trace(
    import_users: Import, people: None, django_capture_on_commit_callbacks: Any
) -> None:
    before = everything_stored()
    with django_capture_on_commit_callbacks() as wakes:
        import_users(TWO_CHANGES, "--dry-run")
    assert everything_stored() == before
    assert wakes == []
    with django_capture_on_commit_callbacks() as wakes:
        import_users(TWO_CHANGES)
    assert len(wakes) == 1


def test_a_number_that_falls_back_is_said_to_be_the_default(
    import_users: Import, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    make_user("anna.rossi", toll_number=old_bridge.numbers.get())
    (row,) = json.loads(
        import_users("UserPrincipalName,Bridge\nanna.rossi@contoso.com,New bridge\n", "--dry-run", "--format", "json")
    )
    assert row["Change"] == "Bridge Old bridge → New bridge; TollNumber +14255550100 → the bridge's default"


def test_the_import_itself_stands_in_the_audit(import_users: Import, people: None) -> None:
    import_users(TWO_CHANGES)
    entry = AuditEntry.objects.get(action="import users")
    assert (entry.channel, entry.after) == ("import", {"created": 1, "changed": 2})
    assert entry.target.endswith("users.csv")


# --- progress -----------------------------------------------------------------------------------------


def test_a_large_import_says_on_standard_error_how_far_it_is(
    import_users: Import, old_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_module, "TOLD_EVERY", 1000)
    errors = io.StringIO()
    rows = "".join(f"user{number}@contoso.com\n" for number in range(2100))
    told = import_users(f"UserPrincipalName\nnobody\n{rows}", "--skip-bad-rows", errors=errors)

    assert [line for line in errors.getvalue().splitlines() if "rows" in line] == [
        "1,000 of 2,101 rows checked",
        "2,000 of 2,101 rows checked",
        "2,101 of 2,101 rows checked",
        "1,000 of 2,100 rows created",
        "2,000 of 2,100 rows created",
        "2,100 of 2,100 rows created",
    ]
    assert "rows" not in told


def test_an_import_that_breaks_off_goes_on_with_the_same_file(
    import_users: Import, make_user: MakeUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("anna.rossi")
    monkeypatch.setattr(users_in, "PIECE", 10)
    rows = "".join(f"user{number:02}@contoso.com,\n" for number in range(25))
    text = f"UserPrincipalName,Bridge\n{rows}anna.rossi@contoso.com,New bridge\n"
    assert "25 created, 1 changed" in import_users(text, "--dry-run")
    assert ConferencingUser.objects.count() == 1

    def stopped() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(command_module, "let_others_write", stopped)
        with pytest.raises(CommandError, match=r"^Stopped\.$"):
            import_users(text)
    assert ConferencingUser.objects.count() == 11
    assert "15 created, 1 changed, 10 unchanged, 0 skipped; 1 run started." in import_users(text)


def test_what_somebody_else_did_between_two_pieces_is_told_with_what_is_written(
    import_users: Import, old_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_in, "PIECE", 10)
    rows = "".join(f"user{number:02}@contoso.com\n" for number in range(25))

    def taken() -> None:
        monkeypatch.setattr(command_module, "let_others_write", lambda: None)
        create_user(old_bridge.tenant, ACTOR, upn="user12@contoso.com")

    monkeypatch.setattr(command_module, "let_others_write", taken)
    with pytest.raises(CommandError, match=r"There is already a user user12@contoso\.com\. 10 users are created and 0"):
        import_users(f"UserPrincipalName\n{rows}")
    assert ConferencingUser.objects.count() == 11


def test_a_short_import_says_nothing_about_its_progress(import_users: Import, old_bridge: Bridge) -> None:
    errors = io.StringIO()
    import_users("UserPrincipalName\nanna.rossi@contoso.com\n", errors=errors)
    assert errors.getvalue() == ""


# --- rows that depend on others -----------------------------------------------------------------------


def digits_of(bridge: Bridge) -> dict[str, str]:
    return dict(ConferenceId.objects.filter(bridge=bridge).values_list("user__upn", "digits"))


def test_an_id_that_a_row_asks_for_is_kept_by_nobody_who_did_not_ask(
    import_users: Import, make_user: MakeUser, new_bridge: Bridge
) -> None:
    make_user("anna.rossi", conference_id="7654321")
    make_user("bruno.costa", conference_id="1111111")
    told = import_users(
        "UserPrincipalName,Bridge,ConferenceId\n"
        "anna.rossi@contoso.com,New bridge,\nbruno.costa@contoso.com,New bridge,7654321\n"
    )
    assert "0 created, 2 changed" in told
    given = digits_of(new_bridge)
    assert given["bruno.costa@contoso.com"] == "7654321"
    assert given["anna.rossi@contoso.com"] not in {"", "7654321"}


def test_an_id_that_a_row_asks_for_is_given_to_no_new_user(
    import_users: Import, make_user: MakeUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("bruno.costa")
    drawn = iter([7654321 - 1_000_000, *range(1_234_567, 1_234_667)])
    monkeypatch.setattr(conference_ids.secrets, "randbelow", lambda _: next(drawn))
    import_users(
        "UserPrincipalName,Bridge,ConferenceId\n"
        "clara.sanz@contoso.com,New bridge,\nbruno.costa@contoso.com,New bridge,7654321\n"
    )
    given = digits_of(new_bridge)
    assert given["bruno.costa@contoso.com"] == "7654321"
    assert given["clara.sanz@contoso.com"] not in {"", "7654321"}


def test_many_users_change_to_values_of_their_own(import_users: Import, old_bridge: Bridge) -> None:
    """More different values than there are statements for alike ones, and an ID of each user's own."""
    upns = [f"user{number:03}@contoso.com" for number in range(60)]
    import_users("UserPrincipalName,Bridge\n" + "".join(f"{upn},Old bridge\n" for upn in upns))
    drawn = set(digits_of(old_bridge).values())
    ids = [digits for digits in map(str, range(2_000_000, 2_000_200)) if digits not in drawn]
    rows = "".join(f"{upn},Name of {upn},{digits}\n" for upn, digits in zip(upns, ids, strict=False))
    told = import_users(f"UserPrincipalName,DisplayName,ConferenceId\n{rows}")

    assert "60 changed" in told
    stored = ConferencingUser.objects.values_list("upn", "display_name", "conference_ids__digits").order_by("upn")
    assert list(stored) == [(upn, f"Name of {upn}", digits) for upn, digits in zip(upns, ids, strict=False)]


def test_numbers_of_the_old_bridge_stay_behind_unless_the_row_names_them(
    import_users: Import, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    own = register_number(old_bridge, "+14255550199", "toll", ACTOR)
    make_user("anna.rossi", toll_number=own)
    with pytest.raises(CommandError, match="1 bad row"):
        import_users("UserPrincipalName,Bridge,TollNumber\nanna.rossi@contoso.com,New bridge,+14255550199\n")
    import_users("UserPrincipalName,Bridge\nanna.rossi@contoso.com,New bridge\n")

    anna = ConferencingUser.objects.get()
    assert (anna.bridge, anna.toll_number) == (new_bridge, None)


def test_r14_a_row_is_judged_by_the_bridge_that_the_licence_brings(
    import_users: Import, make_user: MakeUser, old_bridge: Bridge, tenant: Tenant
) -> None:
    tenant = change_tenant(tenant, ACTOR, automatically_replace_acp_provider=True)
    theirs = set_bridge(tenant, "Fabrikam", ACTOR, provider="Fabrikam")
    toll = register_number(theirs, "+12065550100", "toll", ACTOR)
    make_user(
        "anna.rossi", audio_conferencing_license=False, conferencing_provider="Fabrikam", bridge=theirs, tenant=tenant
    )
    errors = io.StringIO()
    header = "UserPrincipalName,AudioConferencingLicense,TollNumber\n"
    with pytest.raises(CommandError, match=r"^1 bad row,"):
        import_users(f"{header}anna.rossi@contoso.com,true,{toll}\n", errors=errors)
    assert errors.getvalue().startswith("line 2: TollNumber: +12065550100 is not on anna.rossi@contoso.com's bridge")
    assert "1 changed" in import_users(f"{header}anna.rossi@contoso.com,true,+14255550100\n")


def test_r35_a_number_that_is_being_taken_off_is_a_bad_row(
    import_users: Import, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    leaving = register_number(old_bridge, "+14255550101", "toll", ACTOR)
    set_leaving(leaving, True)
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^1 bad row,"):
        import_users(f"UserPrincipalName,TollNumber\nanna.rossi@contoso.com,{leaving}\n", errors=errors)
    assert errors.getvalue().startswith("line 2: TollNumber: +14255550101 is being taken off the bridge")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_counts_them(import_users: Import, tenant: Tenant, end: str) -> None:
    errors = io.StringIO()
    rows = ["UserPrincipalName,DisplayName", '"anna.rossi@contoso.com","Anna', 'Rossi"', "", "nobody,"]
    with pytest.raises(CommandError):
        import_users(end.join(rows), errors=errors)
    assert [line.partition(": ")[0] for line in errors.getvalue().splitlines()] == ["line 2", "line 5"]


# --- and back again -----------------------------------------------------------------------------------


def test_what_is_exported_goes_in_again_and_changes_nothing(
    import_users: Import, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, tenant: Tenant
) -> None:
    set_bridge(tenant, "Fabrikam", ACTOR, provider="Fabrikam")
    make_user("anna.rossi", display_name="Rossi, Anna \"la\" 'Capo'", toll_number=old_bridge.numbers.get())
    make_user("bruno.costa", display_name="=HYPERLINK(1)", bridge=None, language="it-IT")
    make_user("clara.sanz", display_name="'=1", conference_id_type="private", bridge=new_bridge)
    make_user("dario.neri", display_name="-1+1", hosting="on-premises", mailbox_location="on-premises")
    make_user("elena.vega", display_name="Елена 李", conferencing_provider="Fabrikam", audio_conferencing_enabled=False)
    make_user("finn.moe", toll_free_number=new_bridge.numbers.get(kind="toll-free"), bridge=new_bridge)
    before = everything_stored()
    text = "".join(user_lines(tenant.users.all()))

    assert text.startswith("\ufeffUserPrincipalName,SipAddress,")
    assert "\r\nbruno.costa@contoso.com,bruno.costa@contoso.com,'=HYPERLINK(1),it-IT,online," in text
    assert import_users(text).splitlines() == ["0 created, 0 changed, 6 unchanged, 0 skipped; 0 runs started."]
    assert everything_stored() == before


@pytest.mark.parametrize("cell", ["=1", "'=1", "''=1", "@x", "-x", "+x", "+14255550100", "'", "'Ndrangheta", "O'Neil"])
def test_a_guarded_cell_is_read_as_what_it_was(cell: str) -> None:
    safe = guarded(cell)
    assert restored(safe) == cell
    assert not safe.startswith(("=", "@", "-", "+x"))


def test_a_number_without_its_plus_sign_is_understood(
    import_users: Import, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    """Spreadsheets take it for a sum."""
    import_users("UserPrincipalName,TollNumber\nanna.rossi@contoso.com,14255550100\n")
    anna.refresh_from_db()
    assert anna.toll_number == old_bridge.numbers.get()


# --- columns ------------------------------------------------------------------------------------------


DIRECTORY = (
    "userPrincipalName,displayName,surname,mail,givenName,objectId,userType,jobTitle,department,usageLocation,country,"
    "officeLocation,city,telephoneNumber,companyName,preferredLanguage,onPremisesSipAddress,proxyAddresses"
)
"""As directories export them."""


def test_a_directorys_export_is_taken_as_it_is(import_users: Import, tenant: Tenant) -> None:
    errors = io.StringIO()
    cells = ["clara.sanz@contoso.com", "Clara Sanz", *["x"] * 16]
    told = import_users(f"{DIRECTORY}\n{','.join(cells)}\n", errors=errors)
    assert told.startswith("1 created, 0 changed")
    assert ConferencingUser.objects.get().display_name == "Clara Sanz"
    assert "Ignored, because MMS knows no such column: surname, mail, givenName, objectId" in errors.getvalue()


def test_of_thousands_of_unknown_columns_some_are_named(import_users: Import, tenant: Tenant) -> None:
    errors = io.StringIO()
    names = [f"extension{number}" + "x" * 200 for number in range(3000)]
    import_users(f"UserPrincipalName,{','.join(names)}\nclara.sanz@contoso.com{',' * 3000}\n", errors=errors)
    (told,) = errors.getvalue().splitlines()
    assert told.endswith(" and 2,970 more.")
    assert len(told) < 3000


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DispalyName", "DisplayName"),
        ("Langauge", "Language"),
        ("Sip_Address", "SipAddress"),
        ("Toll Number", "TollNumber"),
        ("ConferenceIDs", "ConferenceId"),
        ("AudioConferencingLicence", "AudioConferencingLicense"),
        ("User Principal Name", "UserPrincipalName"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_what_was_meant(
    import_users: Import, tenant: Tenant, written: str, meant: str
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError, match=f"There is no column '{written}': did you mean {meant}[?]"):
        import_users(f"UserPrincipalName,{written}\nclara.sanz@contoso.com,x\n")
    assert everything_stored() == before


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_it_names_the_command_for_users_whom_mms_cannot_serve(
    import_users: Import, make_user: MakeUser, new_bridge: Bridge, options: list[str]
) -> None:
    make_user("anna.rossi", hosting="on-premises")
    make_user("bruno.costa")
    told = import_users("UserPrincipalName,Bridge\nbruno.costa@contoso.com,New bridge\n", *options)
    assert "migrate_calendar" not in told
    told = import_users("UserPrincipalName,Bridge\nanna.rossi@contoso.com,New bridge\n", *options)
    assert "use the Meeting Migration Tool" in told
    assert told.count("The command of the tool is migrate_calendar.") == 1
