"""Finding a meeting by whatever a caller knows of it, without looking at all of them (R20, R43)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.base import NO_END
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import IndexedMeeting, Run
from migrations_app.stories import search
from migrations_app.stories.search import Found, Wanted, find
from tenants_app.changes.users import change_user
from tenants_app.models import (
    Bridge,
    ConferenceId,
    ConferencingUser,
    InvitedNumber,
    MailboxConnection,
    ServiceNumber,
    Tenant,
)
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.pages import key_of, words
from tests.support.two_tenants import everything_stored, furnish
from tests.support.visitors import sign_in

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
TODAY = timezone.now().date()


def body(user: ConferencingUser, uid: str, subject: str, days: int = 7, *lines: str) -> tuple[str, bytes]:
    text = invitation(user, uid, days=days).replace(f"SUMMARY:Budget {uid}".encode(), f"SUMMARY:{subject}".encode())
    return uid, text.replace(
        b"BEGIN:VEVENT\r\n", b"".join([b"BEGIN:VEVENT\r\n", *(f"{line}\r\n".encode() for line in lines)])
    )


@pytest.fixture
def anna(make_user: MakeUser) -> ConferencingUser:
    """Anna, who organizes a meeting, a series that began long ago, and has a copy of one of Bruno's."""
    anna = make_user("anna.rossi", display_name="Anna Álvarez")
    bruno = make_user("bruno.costa")
    copied, copy = body(bruno, "copy", "Jour fixe")
    EmbeddedMailbox(anna).store(
        [
            body(anna, "one", "Revisión del presupuesto"),
            body(anna, "series", "Weekly", -60, "RRULE:FREQ=DAILY"),
            (copied, copy),
        ]
    )
    EmbeddedMailbox(bruno).store([(copied, copy)])
    return anna


@pytest.fixture
def outside(make_user: MakeUser) -> ConferencingUser:
    """Clara, of whose mailbox MMS has an index alone."""
    clara = make_user("clara.sanz")
    IndexedMeeting.objects.create(
        user=clara,
        uid="outside",
        href="/a.ics",
        calendar="/",
        subject="Presupuesto",
        organizer=clara.upn,
        starts_at=timezone.now() + timedelta(days=7),
        last_end=NO_END,
    )
    return clara


def found(tenant: Tenant, **wanted: Any) -> list[str]:
    """The mailbox and the UID of each meeting."""
    answer = find(tenant, Wanted(**wanted))
    assert not answer.needs
    return [f"{each.user.upn.partition('.')[0]} {each.uid}" for each in answer.meetings]


def test_it_finds_by_each_of_what_a_caller_may_know(
    tenant: Tenant, anna: ConferencingUser, outside: ConferencingUser, new_bridge: Bridge
) -> None:
    day = TODAY + timedelta(days=7)
    everything = ["anna series", "anna one", "anna copy"]

    assert found(tenant, organizer="ANNA ALVAREZ") == found(tenant, organizer="anna.rossi@contoso.com") == everything
    assert found(tenant, organizer="alvarez", subject="revision DEL") == ["anna one"]
    assert set(found(tenant, day=day, subject="presupuesto")) == {"anna one", "clara outside"}
    assert found(tenant, day=day, organizer="anna") == ["anna one", "anna series", "anna copy"]
    assert found(tenant, day=day) == ["bruno copy", "anna one", "anna series", "clara outside", "anna copy"]
    assert found(tenant, uid="copy") == ["bruno copy", "anna copy"]
    assert found(tenant, uid="outside") == ["clara outside"]
    assert found(tenant, conference_id=anna.conference_id, subject="week") == ["anna series"]
    assert found(tenant, organizer="anna", day=TODAY - timedelta(days=90)) == []
    # a former ID, and one of a single meeting
    old = anna.conference_id
    change_user(anna, ACTOR, is_data_fix=True, conference_id="7654321")
    assert found(tenant, conference_id=old) == everything
    ConferenceId.objects.create(bridge=new_bridge, digits="1112223", user=anna, meeting_uid="one")
    assert found(tenant, conference_id="111 222 3#") == ["anna one"]


def test_a_number_narrows_and_is_read_as_people_write_it(
    tenant: Tenant, anna: ConferencingUser, outside: ConferencingUser
) -> None:
    number = ServiceNumber.objects.get(number="+14255550100")
    InvitedNumber.objects.all().delete()
    InvitedNumber.objects.create(user=outside, number=number)
    day = TODAY + timedelta(days=7)

    for typed in ("+1 (425) 555-0100", "0014255550100", "(425) 555-0100", "425.555.0100"):
        assert found(tenant, day=day, number=typed) == ["clara outside"]
    assert find(tenant, Wanted(day=day, number="+39 06 1")).remarks == ["No service number of Contoso is +39 06 1."]


def test_what_would_take_a_look_at_everything_asks_for_more(
    tenant: Tenant, anna: ConferencingUser, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    with CaptureQueriesContext(connection) as queries:
        subject, number = find(tenant, Wanted(subject="budget")), find(tenant, Wanted(number="+14255550100"))
    assert len(queries) == 0
    assert subject.needs.startswith("A subject alone would take a look at every meeting of Contoso: give the organizer")
    assert number.needs.startswith("A number alone")
    make_users({f"namesake{number}": {} for number in range(search.MOST_ORGANIZERS + 1)})
    assert "More than 20 users match the organizer" in find(tenant, Wanted(organizer="namesake")).needs
    assert found(tenant, organizer="namesake1@contoso.com") == []
    assert "No user of Contoso has “nobody”" in find(tenant, Wanted(organizer="nobody")).remarks[0]
    assert "MMS gave nobody the conference ID 999" in find(tenant, Wanted(conference_id="999")).remarks[0]
    assert "only what is in a mailbox now is found" in find(tenant, Wanted(day=TODAY)).remarks[0]


def test_by_day_a_series_is_found_by_each_of_its_occurrences(
    tenant: Tenant, anna: ConferencingUser, outside: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = -60
    EmbeddedMailbox(anna).store([body(anna, "weekly", "Weekly", begun, "RRULE:FREQ=WEEKLY")])
    IndexedMeeting.objects.update(starts_at=timezone.now() + timedelta(days=begun))
    first = TODAY + timedelta(days=begun)
    on, off = (first + timedelta(days=70 + more) for more in (0, 3))

    assert found(tenant, day=on) == found(tenant, day=on, organizer="anna") == ["anna series", "anna weekly"]
    assert found(tenant, day=off) == found(tenant, day=off, organizer="anna") == ["anna series"]
    (_, weekly) = find(tenant, Wanted(day=on)).meetings
    assert weekly.starts_at
    assert weekly.starts_at.date() == on
    MailboxConnection.objects.create(tenant=tenant, name="Radicale", kind="caldav", address="https://mail.contoso.com")
    # Of a mailbox outside the text is not here: what runs over the day is told where the subject narrows it.
    assert any("Of mailboxes outside" in remark for remark in find(tenant, Wanted(day=on)).remarks)
    assert found(tenant, day=off, subject="presupuesto") == ["clara outside"]
    monkeypatch.setattr(search, "MOST_TEXTS", 1)
    assert found(tenant, day=on, subject="weekly") == []
    assert any("More than 1 series run over this day" in told for told in find(tenant, Wanted(day=on)).remarks)


def test_r43_an_id_that_a_meeting_service_gave_is_found_in_the_texts_of_an_organizer_or_a_day(
    tenant: Tenant, anna: ConferencingUser, outside: ConferencingUser
) -> None:
    uid, text = body(anna, "theirs", "Kickoff")
    text = text.replace(b"DESCRIPTION:", b"DESCRIPTION:Phone Conference ID: 555 666 777#\\n", 1)
    assert b"555 666 777#" in text
    EmbeddedMailbox(anna).store([(uid, text)])
    IndexedMeeting.objects.update(digits="14255550100 555666777 1234")
    day = TODAY + timedelta(days=7)

    assert found(tenant, conference_id="555666777", organizer="anna") == ["anna theirs"]
    assert found(tenant, conference_id="555 666 777#", organizer="clara") == ["clara outside"]
    assert set(found(tenant, conference_id="555666777", day=day)) == {"anna theirs", "clara outside"}
    assert found(tenant, conference_id="555666", day=day) == found(tenant, conference_id="5556667", organizer="a") == []
    assert "give the organizer or the day as well" in find(tenant, Wanted(conference_id="555666777")).remarks[0]


def test_meetings_that_are_in_no_mailbox_any_more_are_found_by_what_runs_recorded(
    tenant: Tenant, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, meetings=[("Budgét", "Succeeded", "")])
    make_run(anna, meetings=[("Budgét", "Skipped", "already-current")])

    assert found(tenant, organizer="anna", subject="BUDGET") == ["anna meeting-0"]
    (meeting,) = find(tenant, Wanted(uid="meeting-0")).meetings
    assert (meeting.is_in_mailbox, meeting.latest and meeting.latest.code) == (False, "already-current")


def test_the_list_is_cut_and_says_so(
    vera: Client, tenant: Tenant, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST", 2)
    page = words(vera.get("/contoso/meetings/?organizer=anna").content)

    assert "More than 2 meetings match, and these are the first: narrow it." in page
    assert "Jour fixe" not in page


def test_the_page_tells_what_was_found_and_leads_to_the_story(vera: Client, anna: ConferencingUser) -> None:
    empty = words(vera.get("/contoso/meetings/").content)
    assert "Nothing is looked for yet" in empty
    assert "A subject alone" in words(vera.get("/contoso/meetings/?subject=x").content)
    answer = vera.get("/contoso/meetings/?organizer=alvarez")
    address = f"/contoso/users/{anna.upn}/meetings/{key_of('one')}/story/"
    assert f'href="{address}"' in answer.content.decode()
    assert "A copy, in the mailbox of Anna Álvarez" in words(answer.content)
    assert vera.get(address).status_code == 200
    wrong = words(vera.get("/contoso/meetings/?day=1066-10-14&number=x&conference_id=y").content)
    assert "Give a date from 1970 to 2999." in wrong
    assert "Write a telephone number with its digits." in wrong
    assert "Write a conference ID with its digits." in wrong
    for page in ("/contoso/", f"/contoso/users/{anna.upn}/"):
        assert 'href="/contoso/search/"' in vera.get(page).content.decode()
    assert 'href="/contoso/meetings/"' in vera.get("/contoso/search/?q=anna").content.decode()
    for name in ("organizer", "subject", "day", "conference_id", "number", "uid"):
        for value in ("%00", "%C2%B2", "9" * 5000, "(((%25", "%ED%A0%80"):
            assert vera.get(f"/contoso/meetings/?organizer=a&{name}={value}").status_code == 200


def test_no_tenant_finds_another_ones_meetings(
    tenant: Tenant, anna: ConferencingUser, make_run: MakeRun, cast: None
) -> None:
    theirs = furnish(Tenant.objects.get(slug="fabrikam"))
    EmbeddedMailbox(theirs.user).store([body(theirs.user, "one", "Harbour"), body(theirs.user, "harbour", "Harbour")])
    make_run(theirs.user, meetings=[("Harbour", "Succeeded", "")])
    before = everything_stored()
    day = TODAY + timedelta(days=7)

    assert found(tenant, uid="one") == ["anna one"]
    for wanted in ({"uid": "harbour"}, {"uid": "meeting-0"}, {"day": day, "subject": "harbour"}):
        assert found(tenant, **wanted) == []
    nothing: list[dict[str, Any]] = [{"organizer": "frank"}, {"conference_id": theirs.user.conference_id}]
    for wanted in (*nothing, {"day": day, "number": "+12065550147"}):
        answer = find(tenant, Wanted(**wanted))
        assert (answer.meetings, len(answer.remarks)) == ((), 1)
    assert {*found(theirs.tenant, organizer="frank")} == {"frank one", "frank harbour", "frank meeting-0"}
    charlie = sign_in("charlie")
    assert charlie.get("/contoso/meetings/?uid=one").status_code == 404
    assert charlie.get(f"/contoso/users/{anna.upn}/meetings/{key_of('one')}/story/").status_code == 404
    assert charlie.get(f"/fabrikam/users/{anna.upn}/meetings/{key_of('one')}/story/").status_code == 404
    assert everything_stored() == before


def test_it_asks_as_often_for_many_meetings_as_for_few_and_by_indexes(
    tenant: Tenant, anna: ConferencingUser, make_run: MakeRun
) -> None:
    def asked(wanted: Wanted) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert isinstance(find(tenant, wanted), Found)
        return [query["sql"] for query in queries]

    kinds = [
        Wanted(organizer="anna", number="+14255550100"),
        Wanted(uid="one"),
        Wanted(conference_id=anna.conference_id),
        Wanted(day=TODAY + timedelta(days=7), subject="presupuesto"),
        Wanted(day=TODAY + timedelta(days=7), conference_id="555666777"),
        Wanted(organizer="anna", conference_id="555666777"),
    ]
    few = [len(asked(wanted)) for wanted in kinds]
    EmbeddedMailbox(anna).store([body(anna, f"m{number}", "Presupuesto") for number in range(30)])
    make_run(anna, meetings=[(f"Meeting {number}", "Succeeded", "") for number in range(30)])
    many = [asked(wanted) for wanted in kinds]

    assert [len(each) for each in many] == few
    assert max(few) <= 10
    if connection.vendor == "sqlite":  # PostgreSQL plans by statistics, which the few rows of a test do not have
        with connection.cursor() as cursor:
            for sql in (sql for each in many for sql in each):
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                scanned = re.findall(r"SCAN (\w+)", str(cursor.fetchall()))
                assert not {"migrations_app_calendarobject", "migrations_app_indexedmeeting"} & set(scanned), sql
                assert "migrations_app_meetingresult" not in scanned, sql
