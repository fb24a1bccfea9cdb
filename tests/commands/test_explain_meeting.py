"""explain_meeting: what MMS sees in an invitation, what it decides, and why, for every kind of file."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management.base import CommandError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migrations_app.models import CalendarObject, Run
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, FormerConferenceId, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.meetings import invite, migrate
from tests.support.samples import TEAMS_URL, calendar, document, event, paragraph, skype_html, skype_text, teams_text

MakeUser = Callable[..., ConferencingUser]
JOIN = "https://meet.contoso.com/anna.rossi/OLD1KEY2"
PHONE = '<p><a href="tel:+12065550111,1234567%23">+1 (206) 555-0111</a></p><p>Conference ID: 1234567</p>'
LINK = b"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes], str]:
    def write(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


File = Callable[[str, bytes], str]


def with_property(body: bytes, line: bytes) -> bytes:
    return body.replace(b"BEGIN:VEVENT\r\n", b"BEGIN:VEVENT\r\n" + line + b"\r\n")


def one_line(text: str) -> str:
    return " ".join(text.split())


def records(command: Command, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(command("explain_meeting", *arguments, "--format", "json"))


def points(record: dict[str, Any], title: str) -> list[tuple[str, str]]:
    (found,) = [finding for finding in record["Findings"] if finding["Title"] == title]
    return [(point["Label"], point["Text"]) for point in found["Points"]]


# --- what is told ---------------------------------------------------------------------------------------


def test_r20_it_tells_what_it_sees_what_it_decides_and_what_would_be_replaced(
    command: Command, anna: ConferencingUser, file: File
) -> None:
    told = command("explain_meeting", file("a.ics", with_property(invitation(anna), LINK + JOIN.encode())))

    for line in (
        "UID   budget@contoso.com",
        "User  anna.rossi@contoso.com, found in Contoso by the organizer's address",
        "  Organizer  anna.rossi@contoso.com",
        "  Row               137 dots, after “Please read the budget”",
        f"  Join link         {JOIN}",
        "  X-MICROSOFT-ONLINEMEETINGEXTERNALLINK",
        "  + For  The join link names the organizer.",
        "DECISION  Would be updated (migrated)",
        "What would be replaced (- before, + after)",
        "  DESCRIPTION",
        "    - Toll number: +1 (206) 555-0111",
    ):
        assert line in told.splitlines(), line
    assert "    + Toll number: +1 425-555-0100" in told
    assert told.index("Is the block this meeting's own?") < told.index("DECISION") < told.index("What would be")


def test_r20_it_says_what_to_do_where_a_meeting_is_skipped(
    command: Command, anna: ConferencingUser, file: File
) -> None:
    body = with_property(invitation(anna), LINK + b"https://meet.contoso.com/anna.rossi/ELSE3KEY")
    told = command("explain_meeting", file("a.ics", body))

    assert "DECISION  Would be skipped (pasted-block)" in told
    assert "TO DO     Ask the organizer to schedule the meeting anew with the add-in." in told
    assert "  - Against  The event's own join link is not the one in its meeting block." in told
    assert "What would be replaced" not in told


@pytest.mark.parametrize(
    ("change", "decision"),
    [
        (lambda body: body, "migrated"),
        (lambda body: body.replace(b"BEGIN:VEVENT", b"BEGIN:VEVENT\r\nSTATUS:CANCELLED"), "cancelled"),
        (lambda body: body.replace(b"mailto:anna.rossi", b"mailto:bruno"), "not-organizer"),
        (lambda body: body.replace(b"DTSTART:", b"DTSTART:x"), "unreadable-calendar-object"),
        (lambda body: re.sub(rb"\.{60,}", b"...", body), "needs-review"),
        (lambda body: re.sub(rb"DESCRIPTION:.*", b"DESCRIPTION:Lunch\r", body), "no-block"),
        (lambda body: re.sub(rb"(DTSTART|DTEND):\d{4}", rb"\1:2019", body), "past"),
    ],
)
def test_r20_it_explains_every_decision_with_exit_status_0(
    command: Command, anna: ConferencingUser, file: File, change: Callable[[bytes], bytes], decision: str
) -> None:
    (record,) = records(command, file("a.ics", change(invitation(anna))), "--user", anna.upn)

    assert record["Decision"] == decision
    assert record["What"]


def test_r25_it_knows_its_own_block_only_with_a_user(command: Command, anna: ConferencingUser, file: File) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    path = file("own.ics", bytes(CalendarObject.objects.get(uid=uid).body))
    (known,) = records(command, path)
    change_user(anna, ACTOR, upn="anna.bianchi@contoso.com", sip_address="anna.bianchi@contoso.com")
    (unknown,) = records(command, path)

    assert (known["Decision"], known["UserPrincipalName"]) == ("already-current", anna.upn)
    assert (unknown["Decision"], unknown["UserPrincipalName"]) == ("not-known", "")
    assert [verdict for verdict, _ in points(unknown, "Is the block this meeting's own?")] == ["Neutral"]


def test_a_meeting_that_every_run_would_miss_says_why(
    command: Command, anna: ConferencingUser, tenant: Tenant, file: File
) -> None:
    change_user(anna, ACTOR, bridge=set_bridge(tenant, "Empty bridge", ACTOR))
    told = command("explain_meeting", file("a.ics", invitation(anna)))

    assert "DECISION  Would fail (no-dial-in-number)" in told
    assert "A run fails before it looks at any meeting." in told
    assert "Once that is put right: a run would bring the meeting block in DESCRIPTION up to date." in one_line(told)


def test_what_several_occurrences_have_in_common_is_told_once(
    command: Command, anna: ConferencingUser, file: File
) -> None:
    changed = [
        event(
            f"RECURRENCE-ID:203003{day:02}T100000Z",
            text=f"Changed\n{teams_text()}",
            start=f"DTSTART:203003{day:02}T120000Z",
            end=f"DTEND:203003{day:02}T130000Z",
        )
        for day in (2, 3, 4, 5)
    ]
    body = calendar(event("RRULE:FREQ=DAILY;COUNT=9", text=teams_text()), *changed)
    told = command("explain_meeting", file("a.ics", body.replace(b"anna@contoso.com", anna.upn.encode())))

    assert told.count("80 underscores, after “Changed”") == 1
    assert "occurrences 2030-03-02 10:00 UTC, 2030-03-03 10:00 UTC, 2030-03-04 10:00 UTC and 1 more" in one_line(told)
    assert "Is the block this meeting's own? (the same in 4 changed occurrences)" in told
    assert "  DESCRIPTION, the same 5 times" in told


@pytest.mark.parametrize(("columns", "width"), [("40", 80), ("80", 80), ("100", 100), ("300", 120)])
def test_it_is_as_wide_as_the_terminal_within_reason(
    command: Command, anna: ConferencingUser, file: File, monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    body = calendar(event(text=teams_text(), html=document(paragraph("Hello " * 90), skype_html())))
    told = command("explain_meeting", file("a.ics", body.replace(b"anna@contoso.com", anna.upn.encode())))

    too_long = [line for line in told.splitlines() if len(line) > width and "http" not in line and "/a.ics" not in line]
    assert too_long == []
    assert "=" * width in told.splitlines()


# --- whose settings -------------------------------------------------------------------------------------


def test_without_a_user_the_new_block_is_not_known(command: Command, db: None, file: File) -> None:
    told = command("explain_meeting", file("a.ics", calendar(event(text=skype_text()))))

    expected = "User Not known: no user has the organizer's address, so nobody's settings were read and the new block"
    assert expected in one_line(told)
    assert "DECISION  Would be updated (migrated)" in told
    assert "What would be replaced (- before)" in told
    assert not re.search(r"^    \+ ", told, re.MULTILINE)
    assert "meet.example.org" not in told


def test_without_a_user_it_looks_in_every_tenant_or_in_the_one_named(
    command: Command, anna: ConferencingUser, file: File
) -> None:
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    path = file("a.ics", invitation(anna))

    assert records(command, path)[0]["UserPrincipalName"] == anna.upn
    assert records(command, path, "--tenant", "contoso")[0]["UserPrincipalName"] == anna.upn
    assert records(command, path, "--tenant", other.slug)[0]["UserPrincipalName"] == ""
    create_user(other, ACTOR, upn="anna.rossi@contoso.com")
    assert "several users have the organizer's address" in one_line(command("explain_meeting", path))
    assert records(command, path, "--tenant", "contoso")[0]["UserPrincipalName"] == anna.upn


def test_the_organizer_is_found_by_their_sip_address_in_any_case(
    command: Command, make_user: MakeUser, file: File
) -> None:
    user = make_user("anna.rossi", sip_address="arossi@contoso.com")
    body = invitation(user).replace(b"mailto:anna.rossi@contoso.com", b"mailto:ARossi@Contoso.com")

    (record,) = records(command, file("a.ics", body))
    assert (record["UserPrincipalName"], record["Decision"]) == (user.upn, "migrated")


def test_a_user_who_is_named_is_taken(
    command: Command, anna: ConferencingUser, make_user: MakeUser, file: File
) -> None:
    make_user("bruno.costa")
    (record,) = records(command, file("a.ics", invitation(anna)), "--user", "BRUNO.COSTA@contoso.com")

    assert (record["UserPrincipalName"], record["Decision"]) == ("bruno.costa@contoso.com", "not-organizer")


# --- files ----------------------------------------------------------------------------------------------


def test_several_files_and_a_file_of_several_meetings_are_explained_in_turn(
    command: Command, anna: ConferencingUser, file: File
) -> None:
    both = file("both.ics", invitation(anna, "one") + invitation(anna, "two", text="Lunch"))
    third = file("third.ics", invitation(anna, "three"))

    told = command("explain_meeting", both, third, both)
    assert re.findall(r"^(\d of \d: .*)$", told, re.MULTILINE) == [
        "1 of 3: Budget one",
        "2 of 3: Budget two",
        "3 of 3: Budget three",
    ]
    assert [each["Decision"] for each in records(command, both, third)] == ["migrated", "no-block", "migrated"]


def test_files_without_a_meeting_are_passed_over(command: Command, anna: ConferencingUser, file: File) -> None:
    task = b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:task\r\nEND:VTODO\r\nEND:VCALENDAR\r\n"
    errors = io.StringIO()
    paths = [file("a.ics", task), file("b.ics", invitation(anna)), file("c.ics", task)]
    told = json.loads(command("explain_meeting", *paths, "--format", "json", errors=errors))

    assert [each["File"] for each in told] == [paths[1]]
    assert errors.getvalue() == "2 files without any meeting (to-dos, journals, free/busy times) passed over.\n"


def test_it_reads_standard_input(command: Command, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(invitation(anna))))

    assert "File  standard input" in command("explain_meeting", "-")


@pytest.mark.parametrize(
    ("name", "text", "encoding", "place"),
    [
        ("body.txt", f"Grüße\r\n{skype_text(JOIN)}", "utf-8", "DESCRIPTION"),
        ("body.TXT", f"Grüße\r\n{skype_text(JOIN)}", "utf-8-sig", "DESCRIPTION"),
        ("body.txt", f"Grüße\n{skype_text(JOIN)}", "cp1252", "DESCRIPTION"),
        ("body.txt", f"Grüße\n{teams_text()}", "utf-16", "DESCRIPTION"),
        ("body.html", document(paragraph("Grüße"), skype_html(JOIN, inside=PHONE)), "utf-8", "X-ALT-DESC"),
        ("body.htm", document(paragraph("Grüße"), skype_html(JOIN, inside=PHONE)), "utf-16", "X-ALT-DESC"),
    ],
)
def test_a_body_alone_is_taken_for_an_invitation(
    command: Command, anna: ConferencingUser, file: File, name: str, text: str, encoding: str, place: str
) -> None:
    path = file(name, text.encode(encoding))
    (record,) = records(command, path)
    told = command("explain_meeting", path, "--user", anna.upn)

    assert record["IsBodyOnly"]
    assert (record["Decision"], record["UserPrincipalName"]) == ("migrated", "")
    assert [each["Property"] for each in record["Replaced"]] == [place]
    assert "Taken as the body of an invitation" in one_line(told)
    assert "after “Grüße”" in told
    assert "+1 425-555-0100" in told


def test_a_calendar_is_one_whatever_its_file_is_called(command: Command, anna: ConferencingUser, file: File) -> None:
    (record,) = records(command, file("a.txt", b"\xef\xbb\xbf" + invitation(anna)))

    assert (record["Uid"], record["IsBodyOnly"]) == ("budget@contoso.com", False)


def test_an_own_block_in_a_body_alone_is_not_judged(command: Command, anna: ConferencingUser, file: File) -> None:
    text = f"{'=' * 72}\nJoin the online meeting\n<https://meet.contoso.com/anna.rossi/ABCD2345>\n{'=' * 72}\n"
    (record,) = records(command, file("body.txt", text.encode()), "--user", anna.upn)

    assert record["Decision"] == "not-known"


# --- safety ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "json"])
def test_control_characters_do_not_reach_the_terminal(
    command: Command, anna: ConferencingUser, file: File, form: str
) -> None:
    evil = b"\x1b[2J\x07\x9b31m\xc2\x9b31m\xe2\x80\xae\xff"
    body = invitation(anna, text="@EVIL@\n" + skype_text(JOIN, inside="@EVIL@ <https://example.org/@EVIL@>\n"))
    body = with_property(body, LINK + JOIN.encode() + b"@EVIL@").replace(b"SUMMARY:", b"SUMMARY:@EVIL@")
    body = body.replace(b"UID:", b"UID:@EVIL@").replace(b"@EVIL@", evil)
    told = command("explain_meeting", file("a.ics", body), "--format", form)

    assert not CONTROL.search(told)
    assert "DECISION" in told or json.loads(told)


def test_a_refusal_stays_on_one_line_without_control_characters(command: Command, db: None, file: File) -> None:
    with pytest.raises(CommandError) as refused:
        command("explain_meeting", file("a.ics", b"BEGIN:VCALENDAR\nEND:\x1b[2J\xff\n"))

    assert refused.value.returncode == 1
    assert not CONTROL.search(str(refused.value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.ics", b"", "The object is empty: it holds no calendar."),
        ("a.ics", b"\x89PNG\r\n", "The object has text outside BEGIN:VCALENDAR and END:VCALENDAR, in line 1."),
        ("a.ics", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\n", "is cut off"),
        ("a.ics", calendar(event(uid="")), "The event in line 4, “Budget, all teams”, has no UID."),
        ("a.ics", calendar(event(uid="u" * 501)), "A UID has more than 500 characters."),
        ("a.txt", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "is cut off"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_a_sentence(
    command: Command, anna: ConferencingUser, file: File, name: str, content: bytes, sentence: str
) -> None:
    good = file("good.ics", invitation(anna))
    with pytest.raises(CommandError) as refused:
        command("explain_meeting", good, file(name, content))

    assert refused.value.returncode == 1
    assert sentence in str(refused.value)
    assert f"/{name}: " in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere/a.ics"], "/nowhere/a.ics cannot be read (No such file or directory)"),
        (["/"], "/ cannot be read (Is a directory)"),
        (["/nowhere/a.ics", "--user", "nobody@contoso.com"], "There is no user nobody@contoso.com"),
        (["/nowhere/a.ics", "--user", ""], "There is no user"),
        (["/nowhere/a.ics", "--tenant", "nowhere"], "There is no tenant nowhere"),
    ],
)
def test_what_does_not_exist_is_named(
    command: Command, anna: ConferencingUser, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError) as refused:
        command("explain_meeting", *arguments)

    assert refused.value.returncode == 1
    assert sentence in str(refused.value)


@pytest.mark.parametrize("arguments", [[], ["a.ics", "--format", "csv"], ["a.ics", "--userr", "x"]])
def test_wrong_usage_is_refused_before_anything_is_read(command: Command, arguments: list[str]) -> None:
    with pytest.raises(CommandError) as refused:
        command("explain_meeting", *arguments)

    assert refused.value.returncode == 2


def test_it_writes_nothing(command: Command, make_user: MakeUser, new_bridge: Bridge, file: File) -> None:
    user = make_user("anna.rossi", conference_id_type="private")
    FormerConferenceId.objects.create(bridge=user.bridge, user=user, digits="1234567", meeting_uid="earlier")

    def rows() -> list[object]:
        return [
            list(model.objects.order_by("pk").values()) for model in (ConferenceId, CalendarObject, AuditEntry, Run)
        ]

    before = rows()
    told = command("explain_meeting", file("a.ics", invitation(user)))

    assert "+ Conference ID: " in told
    assert rows() == before


PIECES = [
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b'"',
    b"\\",
    b"\r\n ",
    b"\r\n",
    b"<",
    b"&#9999999999;",
    b"." * 137,
    b"_" * 80,
    b"=" * 72,
    b"BEGIN:VEVENT\r\n",
    b"RECURRENCE-ID:20300302T100000Z\r\n",
    b"RRULE:FREQ=DAILY\r\n",
    TEAMS_URL.encode(),
]
BODIES = [
    calendar(event(LINK.decode() + JOIN, text=skype_text(JOIN), html=document(skype_html(JOIN)))),
    calendar(event("RRULE:FREQ=WEEKLY", text=teams_text())),
    skype_text(JOIN).encode(),
    document(paragraph("Hello"), skype_html(JOIN)).encode(),
]


@given(
    name=st.sampled_from(["a.ics", "a.txt", "a.html"]),
    body=st.sampled_from([b"", *BODIES]) | st.binary(max_size=200),
    changes_made=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(PIECES) | st.binary(max_size=6), st.integers(0, 40)), max_size=4
    ),
    form=st.sampled_from(["table", "json"]),
)
@example(name="a.txt", body=b"", changes_made=[], form="table")
@example(name="a.html", body=b"\xff\xfe<", changes_made=[], form="json")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_is_explained_or_refused_in_a_sentence(
    command: Command,
    anna: ConferencingUser,
    file: File,
    name: str,
    body: bytes,
    changes_made: list[tuple[float, bytes, int]],
    form: str,
) -> None:
    for share, piece, removed in changes_made:
        at = int(share * len(body))
        body = body[:at] + piece + body[at + removed :]
    path = file(name, body.replace(b"anna@contoso.com", anna.upn.encode()))
    try:
        told = command("explain_meeting", path, "--format", form)
    except CommandError as error:
        refused, told = error, str(error)
    else:
        refused = None
    assert not CONTROL.search(told)
    if refused:
        assert (refused.returncode, len(told.splitlines())) == (1, 1)
    else:
        assert "DECISION" in told or json.loads(told)[0]["Decision"]
