"""Users by command: one at a time, and many from a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run
from tenants_app.changes.bridges import register_number, set_leaving
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.two_tenants import everything_stored

MOVED = (
    "Run, because the user moved from on-premises to online: Skype for Business meetings move to Link, and all others "
    "stay in their service."
)
MakeUser = Callable[..., ConferencingUser]


def shown(command: Command, upn: str) -> dict[str, object]:
    return json.loads(command("get_dial_in_conferencing_user", "--user", upn, "--format", "json"))


def test_it_shows_a_user_with_the_numbers_that_invitations_should_show(
    command: Command, anna: ConferencingUser
) -> None:
    user = shown(command, "ANNA.ROSSI@contoso.com")
    assert user["TollNumber"] == "+14255550100"
    assert user["ConferenceId"] == anna.conference_id
    assert (user["ConferencingProvider"], user["Bridge"]) == ("Microsoft", "Old bridge")
    assert "AudioConferencingLicense : true" in command("get_dial_in_conferencing_user", "--user", anna.upn)


def test_it_names_a_user_who_is_not_there(command: Command, anna: ConferencingUser) -> None:
    with pytest.raises(CommandError, match=r"^There is no user x@y in Contoso: ") as caught:
        command("get_dial_in_conferencing_user", "--user", "x@y")
    assert caught.value.returncode == 1


def test_it_does_not_know_the_users_of_another_tenant(command: Command, anna: ConferencingUser) -> None:
    command("new_tenant", "fabrikam", "--name", "Fabrikam", "--domain", "fabrikam.com")
    with pytest.raises(CommandError, match=r"There is no user anna\.rossi@contoso\.com in Fabrikam"):
        command("get_dial_in_conferencing_user", "--user", anna.upn, "--tenant", "fabrikam")


def test_r5_it_moves_a_user_to_another_bridge_and_says_that_a_run_starts(
    command: Command, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    told = command(
        "set_dial_in_conferencing_user",
        "--user",
        anna.upn,
        "--bridge",
        "new BRIDGE",
        "--toll-free-number",
        "+448081570123",
    )
    assert "anna.rossi@contoso.com: Bridge Old bridge → New bridge" in told
    assert "anna.rossi@contoso.com: Run, because the user moved to the bridge New bridge." in told
    assert shown(command, anna.upn)["TollFreeNumber"] == "+448081570123"
    assert Run.objects.get().state == "Pending"


def test_a_dry_run_says_the_same_and_writes_nothing(
    command: Command, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    audited = AuditEntry.objects.count()
    told = command("set_dial_in_conferencing_user", "--user", anna.upn, "--bridge", "New bridge", "--dry-run")
    assert "Run, because the user moved" in told
    assert "Dry run: nothing was written." in told
    assert not Run.objects.exists()
    assert AuditEntry.objects.count() == audited
    assert shown(command, anna.upn)["Bridge"] == "Old bridge"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--license", "remove"], "Run, because the audio conferencing licence was removed."),
        (["--audio-conferencing", "disable"], "Run, because audio conferencing was disabled."),
        (["--reset-conference-id"], "Run, because the conference ID changed."),
        (["--sip-address", "sip:A.Rossi@contoso.com"], "No run, because a changed SIP address"),
        (["--license", "assign"], "No run, because nothing changed"),
    ],
)
def test_it_says_what_each_setting_starts(
    command: Command, anna: ConferencingUser, arguments: list[str], sentence: str
) -> None:
    assert sentence in command("set_dial_in_conferencing_user", "--user", anna.upn, *arguments)


def test_r7_a_user_comes_from_a_provider_to_microsoft(command: Command, make_user: MakeUser) -> None:
    user = make_user("bruno.costa", conferencing_provider="Intercall")
    assert "Intercall" in command("get_dial_in_conferencing_user", "--user", user.upn)
    told = command("set_dial_in_conferencing_user", "--user", user.upn, "--provider", "MICROSOFT")
    assert "ConferencingProvider Intercall → Microsoft" in told
    assert "Run, because the provider changed from Intercall to Microsoft." in told


def test_r10_a_default_number_starts_a_run_only_with_reschedule_meetings(
    command: Command, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    for number in ("+14255550101", "+14255550102"):
        register_number(old_bridge, number, "toll", ACTOR)
    change = ["set_dial_in_conferencing_user", "--user", anna.upn, "--toll-number"]
    assert "No run, because" in command(*change, "+14255550101")
    assert "Run, because the default number changed" in command(*change, "+14255550102", "--reschedule-meetings")


def test_a_change_that_cannot_be_made_is_refused_whole(
    command: Command, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    with pytest.raises(CommandError, match="choose one that is"):
        command(
            *("set_dial_in_conferencing_user", "--user", anna.upn),
            *("--license", "remove", "--toll-number", "+442079460123"),
        )
    assert shown(command, anna.upn)["AudioConferencingLicense"] is True


def test_it_wants_at_least_one_setting(command: Command, anna: ConferencingUser) -> None:
    with pytest.raises(CommandError) as caught:
        command("set_dial_in_conferencing_user", "--user", anna.upn)
    assert caught.value.returncode == 2


def test_r1_r17_it_moves_a_user_online_and_refuses_a_run_for_the_way_back(
    command: Command, make_user: MakeUser
) -> None:
    user = make_user("bruno.costa", hosting="on-premises")
    assert MOVED in command("move_user", "--user", user.upn, "--target", "online")
    told = command("move_user", "--user", user.upn, "--target", "on-premises", "--dry-run")
    assert "use the Meeting Migration Tool instead." in told
    assert "The command of the tool is migrate_calendar." in told
    assert shown(command, user.upn)["Hosting"] == "online"


def test_r8_r36_a_dry_run_counts_the_meetings_or_says_that_the_user_is_out_of_date(
    command: Command, make_user: MakeUser, new_bridge: Bridge
) -> None:
    user = make_user("clara.sanz", hosting="on-premises")
    EmbeddedMailbox(user).store([(uid, invitation(user, uid)) for uid in ("budget", "plan")])
    assert user.bridge
    register_number(user.bridge, "+12535550122", "toll", ACTOR)
    before = everything_stored()
    moved = command("move_user", "--user", user.upn, "--target", "online", "--dry-run")
    renamed = command(
        "set_dial_in_conferencing_user", "--user", user.upn, "--sip-address", "c.sanz@contoso.com", "--dry-run"
    )
    elsewhere = command(
        "set_dial_in_conferencing_user", "--user", user.upn, "--toll-number", "+12535550122", "--dry-run"
    )

    assert everything_stored() == before
    assert moved.splitlines() == [
        f"{user.upn}: Hosting on-premises → online",
        f"{user.upn}: {MOVED} 2 of 2 future meetings would be updated and 2 invitations sent. 2 would move "
        "from Skype for Business to Link.",
        "Dry run: nothing was written.",
    ]
    assert renamed.splitlines()[1:] == [
        f"{user.upn}: No run, because a changed SIP address does not start one: join links stay as they are.",
        "Dry run: nothing was written.",
    ]
    assert elsewhere.splitlines()[1:] == [
        f"{user.upn}: No run, because a changed default number starts one only with “reschedule meetings”. "
        "The user is then out of date: the invitations do not say what the settings ask for.",
        "Dry run: nothing was written.",
    ]


def test_what_is_not_a_dry_run_says_what_it_started_and_no_more(
    command: Command, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    told = command("set_dial_in_conferencing_user", "--user", anna.upn, "--bridge", "New bridge")

    assert told.splitlines() == [
        f"{anna.upn}: Bridge Old bridge → New bridge",
        f"{anna.upn}: TollNumber +14255550100 → +442079460123",
        f"{anna.upn}: Run, because the user moved to the bridge New bridge. "
        "The new toll number is +442079460123 (United Kingdom), the default of New bridge.",
    ]


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--conference-id", "12"], "conference ID: A conference ID is 7 digits and does not begin with 0."),
        (["--conference-id", "0123456"], "conference ID: A conference ID is 7 digits and does not begin with 0."),
        (
            ["--conference-id", "7654321"],
            "conference ID: 7654321 is already in use on the bridge Old bridge: choose another.",
        ),
        (
            ["--toll-number", "+442079460123"],
            "toll number: +442079460123 is not on anna.rossi@contoso.com's bridge (Old bridge): choose one that is.",
        ),
        (
            ["--bridge", "New bridge", "--toll-number", "+448081570123"],
            "toll number: +448081570123 is a toll-free number: choose a toll one.",
        ),
        (
            ["--toll-number", "+14255550111"],
            "toll number: +14255550111 is being taken off the bridge: choose another.",
        ),
        (["--bridge", "Mars"], "Contoso has no bridge Mars: choose one of New bridge, Old bridge."),
        (["--sip-address", "no address"], "sip address: Give an address such as anna@contoso.com, in ASCII letters."),
    ],
)
def test_bad_input_is_answered_in_one_line_and_writes_nothing(
    command: Command,
    anna: ConferencingUser,
    make_user: MakeUser,
    old_bridge: Bridge,
    new_bridge: Bridge,
    arguments: list[str],
    sentence: str,
    dry_run: list[str],
) -> None:
    make_user("bruno.costa", conference_id="7654321")
    set_leaving(register_number(old_bridge, "+14255550111", "toll", ACTOR), True)
    before = everything_stored()

    with pytest.raises(CommandError) as caught:
        command("set_dial_in_conferencing_user", "--user", anna.upn, *arguments, *dry_run)
    assert (str(caught.value), caught.value.returncode) == (sentence, 1)
    assert everything_stored() == before


# --- import_users -------------------------------------------------------------------------------------


@pytest.fixture
def import_users(command: Command, tmp_path: Path) -> Callable[..., str]:
    """Imports a file of this text (or these bytes)."""

    def run(text: str | bytes, *options: str, errors: io.StringIO | None = None) -> str:
        path = tmp_path / "users.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return command("import_users", str(path), *options, errors=errors)

    return run


def test_it_creates_and_changes_users_and_starts_what_the_changes_start(
    command: Command, import_users: Callable[..., str], anna: ConferencingUser, new_bridge: Bridge
) -> None:
    own_id = anna.conference_id
    told = import_users(
        "userprincipalname,DisplayName,Hosting,MailboxLocation,AudioConferencingLicense,AudioConferencingEnabled,"
        "ConferencingProvider,Bridge,ConferenceId,ConferenceIdType,TollNumber,TollFreeNumber,Language,SipAddress\n"
        "ANNA.rossi@contoso.com,,,,,,,New bridge,,,,+448081570123,,\n"
        '"clara.sanz@contoso.com","Sanz, Clara",OnPremises,Exchange on-premises,TRUE,true,Microsoft,new bridge,7654321,'
        "Private,+442079460123,,es-ES,sip:Clara@contoso.com\n"
    )
    assert "1 created, 1 changed, 0 unchanged, 0 skipped; 1 run started." in told
    assert "anna.rossi@contoso.com: Run, because the user moved to the bridge New bridge." in told
    anna_now, clara = shown(command, anna.upn), shown(command, "clara.sanz@contoso.com")
    assert (anna_now["DisplayName"], anna_now["ConferenceId"]) == ("Anna Rossi", own_id)
    assert clara == {
        **clara,
        "DisplayName": "Sanz, Clara",
        "SipAddress": "clara@contoso.com",
        "Hosting": "on-premises",
        "MailboxLocation": "on-premises",
        "ConferenceId": "7654321",
        "ConferenceIdType": "private",
        "TollNumber": "+442079460123",
        "Language": "es-ES",
    }


def test_importing_the_same_file_again_changes_nothing(import_users: Callable[..., str], new_bridge: Bridge) -> None:
    text = "UserPrincipalName,Hosting,Bridge,ConferenceId\nanna.rossi@contoso.com,online,New bridge,7654321\n"
    import_users(text)
    audited = AuditEntry.objects.count()
    assert "0 created, 0 changed, 1 unchanged, 0 skipped; 0 runs started." in import_users(text)
    assert AuditEntry.objects.count() == audited


def test_a_new_licensed_user_without_a_bridge_gets_the_default_one(
    command: Command, import_users: Callable[..., str], old_bridge: Bridge
) -> None:
    import_users(
        "UserPrincipalName,AudioConferencingLicense\nanna.rossi@contoso.com,true\nbruno.costa@contoso.com,false\n"
    )
    assert shown(command, "anna.rossi@contoso.com")["Bridge"] == "Old bridge"
    assert shown(command, "bruno.costa@contoso.com")["Bridge"] == ""


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffUserPrincipalName;DisplayName\r\nanna.rossi@contoso.com;Anna Müller\r\n\r\n;\r\n",
        "DisplayName,UserPrincipalName\nAnna Müller,anna.rossi@contoso.com",
    ],
)
def test_it_reads_what_spreadsheets_write(
    command: Command, import_users: Callable[..., str], tenant: Tenant, text: str
) -> None:
    import_users(text)
    assert shown(command, "anna.rossi@contoso.com")["DisplayName"] == "Anna Müller"


BAD_ROWS = """\
UserPrincipalName,AudioConferencingLicense,Bridge,ConferenceId,TollNumber,Hosting
anna.rossi@contoso.com,true,Old bridge,,,
not an address,,,,,
bruno.costa@contoso.com,perhaps,Mars,,,
clara.sanz@contoso.com,,,,+15550000,
dan@contoso.com,,,12,,
"erik@contoso.com",true,"Old bridge",1234567,,
finn@contoso.com,true,Old bridge,1234567,,
gina@contoso.com,,,,,the moon
ANNA.ROSSI@contoso.com,,,,,
hugo@contoso.com,true
,true,,,,
ida@contoso.com,,,7777777,,
jan@contoso.com,,Old bridge,,+442079460123,
"""


def test_every_bad_row_is_reported_with_its_line_and_nothing_is_written(
    import_users: Callable[..., str], old_bridge: Bridge, new_bridge: Bridge
) -> None:
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^11 bad rows, so nothing was written"):
        import_users(BAD_ROWS, errors=errors)
    lines = errors.getvalue().splitlines()
    for number, words in [
        (3, "UserPrincipalName: Give an address"),
        (4, "AudioConferencingLicense: 'perhaps' is not a switch value"),
        (4, "Bridge: Contoso has no bridge Mars"),
        (5, "TollNumber: +15550000 is not a service number"),
        (6, "ConferenceId: A conference ID is 7 digits"),
        (8, "ConferenceId: 1234567 stands already on line 7"),
        (9, "Hosting: 'the moon' is not a place"),
        (10, "ANNA.ROSSI@contoso.com stands already on line 2"),
        (11, "The row has 2 cells where the header has 6"),
        (12, "The row names no user"),
        (13, "a conference ID belongs to a bridge"),
        (14, "is not on jan@contoso.com's bridge"),
    ]:
        assert any(line.startswith(f"line {number}: ") and words in line for line in lines), (number, words, lines)
    assert not ConferencingUser.objects.exists()


def test_the_good_rows_are_written_where_bad_ones_may_be_skipped(
    import_users: Callable[..., str], old_bridge: Bridge
) -> None:
    errors = io.StringIO()
    assert "2 created, 0 changed, 0 unchanged, 11 skipped" in import_users(BAD_ROWS, "--skip-bad-rows", errors=errors)
    assert set(ConferencingUser.objects.values_list("upn", flat=True)) == {"anna.rossi@contoso.com", "erik@contoso.com"}
    assert "line 3: " in errors.getvalue()


def test_a_conference_id_that_somebody_else_has_is_a_bad_row(
    import_users: Callable[..., str], anna: ConferencingUser
) -> None:
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^1 bad row,"):
        import_users(
            f"UserPrincipalName,Bridge,ConferenceId\nbruno.costa@contoso.com,Old bridge,{anna.conference_id}\n",
            errors=errors,
        )
    assert "already in use on its bridge" in errors.getvalue()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty"),
        ("UserPrincipalName,Brigde\n", "There is no column 'Brigde': did you mean Bridge"),
        ("DisplayName\nAnna\n", "must name the column UserPrincipalName"),
        ("UserPrincipalName,userprincipalname\n", "stands twice"),
        ('UserPrincipalName,DisplayName\nanna@contoso.com,"Anna\nbruno@contoso.com,Bruno\n', "from line 2 on"),
        ("UserPrincipalName\nanna\0@contoso.com\n", "not a text file"),
        ("UserPrincipalName,DisplayName\nanna@contoso.com,Zoë\n".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    import_users: Callable[..., str], tenant: Tenant, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        import_users(text)
    assert "\n" not in str(caught.value)


def test_a_dry_run_of_an_import_writes_nothing(
    import_users: Callable[..., str], anna: ConferencingUser, new_bridge: Bridge
) -> None:
    told = import_users(
        "UserPrincipalName,Bridge\nanna.rossi@contoso.com,New bridge\nbruno.costa@contoso.com,\n", "--dry-run"
    )
    assert "1 created, 1 changed, 0 unchanged, 0 skipped; 1 run would start." in told
    assert "Dry run: nothing was written." in told
    assert ConferencingUser.objects.get() == anna
    assert not Run.objects.exists()


def test_a_thousand_rows_take_a_bounded_number_of_queries(
    import_users: Callable[..., str], old_bridge: Bridge, new_bridge: Bridge, django_assert_max_num_queries: object
) -> None:
    upns = [f"user{n}@contoso.com" for n in range(1000)]
    with django_assert_max_num_queries(70):  # type: ignore[operator]
        import_users("UserPrincipalName,Bridge\n" + "".join(f"{upn},Old bridge\n" for upn in upns))
    with django_assert_max_num_queries(100):  # type: ignore[operator]
        told = import_users("UserPrincipalName,Bridge\n" + "".join(f"{upn},New bridge\n" for upn in upns))
    assert "1,000 changed" in told
    assert "… and 990 more." in told
