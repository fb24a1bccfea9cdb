"""The whole story of one meeting over all runs: what it said, what it says, who was told, what failed, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import IntendedWrite, MailboxScan, MeetingResult, Run, Update
from migrations_app.rewriting.spans import pack
from migrations_app.runs.actions import start_by_hand
from migrations_app.stories import story
from migrations_app.stories.story import Kind, Standing, story_of
from migrations_app.tasks import work_queue
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.pages import key_of, words
from tests.support.two_tenants import everything_stored
from tests.support.visitors import SPANS

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]


def address(user: ConferencingUser, uid: str) -> str:
    return f"/contoso/users/{user.upn}/meetings/{key_of(uid)}/story/"


def read(user: ConferencingUser, uid: str) -> story.Story:
    return story_of(ConferencingUser.objects.select_related("tenant", "bridge", "mailbox").get(pk=user.pk), uid)


def told(client: Client, user: ConferencingUser, uid: str) -> str:
    answer = client.get(address(user, uid))
    assert answer.status_code == 200
    return words(answer.content)


def kinds(user: ConferencingUser, uid: str) -> list[Kind]:
    return [entry.kind for entry in read(user, uid).entries]


@pytest.fixture
def eventful(anna: ConferencingUser, make_run: MakeRun, tenant: Tenant) -> ConferencingUser:
    """Anna, with a meeting that three runs have dealt with: changed and told, changed and given up, and one that failed
    before it came to it; one more is ahead."""
    EmbeddedMailbox(anna).store([("meeting-0", invitation(anna, "meeting-0"))])
    now = timezone.now()
    first, second = (make_run(anna, meetings=[("Budget", "Succeeded", "")]) for _ in range(2))
    third = make_run(anna, "Failed", last_error_code="no-dial-in-number", last_error_detail="bridge Old bridge")
    ahead = make_run(anna, "Pending", due_at=now + timedelta(minutes=5, seconds=30))
    for days, run in ((9, first), (6, second), (3, third), (0, ahead)):
        at = now - timedelta(days=days)
        Run.objects.filter(pk=run.pk).update(created=at, finished_at=at if run != ahead else None)
        Update.objects.filter(result__run=run).update(queued_at=at, due_at=at, sent_at=at)
    Update.objects.filter(result__run=second).update(
        state="Failed",
        sent_at=None,
        error_code="recipients-refused",
        error_detail="bruno.costa@contoso.com, answer 550",
        recipients_left=["bruno.costa@contoso.com"],
    )
    return anna


def test_three_runs_are_told_in_the_order_of_time(vera: Client, eventful: ConferencingUser) -> None:
    assert kinds(eventful, "meeting-0") == [
        Kind.CHANGED,
        Kind.TOLD,
        Kind.CHANGED,
        Kind.NOT_TOLD,
        Kind.RUN_FAILED,
        Kind.RUN_AHEAD,
    ]
    page = told(vera, eventful, "meeting-0")
    sentences = [
        "The block was changed.",
        "Asked for by alice: The user moved to the bridge New bridge.",
        "3 attendees were told by mail.",
        "2 of 3 attendees were told by mail, and the others not. The mail server took the message for some attendees "
        "and refused it for others: bruno.costa@contoso.com, answer 550.",
        "Tell these attendees yourself",
        "Open the run",
        "Not told: bruno.costa@contoso.com",
        "A run failed before it came to this meeting. Audio conferencing is on, but the user's bridge has no toll",
        "Register a toll number on the bridge",
        "Open the bridge Old bridge",
        "A run is pending, and is due 5 minutes from now",
        "Still to come",
        "What it said before the first change Join Skype Meeting Toll number: +1 425-555-0100, Redmond",
        "What it says now Read from the mailbox",
        "Join Skype Meeting",
        "Who is invited 1 Bruno Costa bruno.costa@contoso.com Not told",
        f"Conference ID that MMS gave {eventful.conference_id}",
    ]
    places = [page.find(sentence) for sentence in sentences]
    assert -1 not in places, sentences[places.index(-1)]
    assert places[:12] == sorted(places[:12])


def test_a_real_change_is_told_from_both_ends(
    vera: Client, anna: ConferencingUser, new_bridge: Bridge, tenant: Tenant, outbox: Any
) -> None:
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    assert "No run has looked at this meeting yet, so MMS has changed nothing of it." in told(vera, anna, "budget")
    change_user(anna, ACTOR, bridge=new_bridge)
    Run.objects.update(due_at=timezone.now())
    work_queue()
    page = told(vera, anna, "budget")

    assert kinds(anna, "budget") == [Kind.CHANGED, Kind.TOLD]
    before, now = page.partition("What it said before the first change")[2], page.partition("What it says now")[2]
    assert "7946 0123" in now.partition("Who is invited")[0]
    assert "7946 0123" not in before.partition("What it says now")[0]
    assert "1 attendee was told by mail." in page
    assert [each.standing for each in read(anna, "budget").now.attendees] == [Standing.TOLD]
    for link in (f"/contoso/migrations/{Run.objects.get().correlation_id}/", f"/contoso/users/{anna.upn}/meetings/"):
        assert f'href="{address(anna, "budget")}"' in vera.get(link).content.decode()


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        ({"state": "Superseded"}, Kind.WITHDRAWN, "was not needed any more. A newer change tells them."),
        (
            {"state": "Superseded", "error_code": "meeting-gone"},
            Kind.WITHDRAWN,
            "The meeting is not in the mailbox any more",
        ),
        ({"state": "ByServer"}, Kind.TOLD, "The mailbox's server was given the change, and tells the 3 attendees."),
        ({"state": "Queued", "sent_at": None}, Kind.TO_BE_TOLD, "It is next, as soon as a worker is free."),
        (
            {"state": "Failed", "error_code": "mail-refused"},
            Kind.NOT_TOLD,
            "3 attendees were not told. The mail server refused",
        ),
    ],
)
def test_it_says_what_became_of_each_message(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, values: dict[str, Any], kind: Kind, sentence: str
) -> None:
    make_run(anna, meetings=[("Budget", "Succeeded", "")])
    Update.objects.update(**values)

    assert kinds(anna, "meeting-0") == [Kind.CHANGED, kind]
    page = told(vera, anna, "meeting-0")
    assert sentence in page
    assert "The meeting is not in the mailbox any more: it has been deleted, or moved" in page


def test_who_knows_of_the_latest_change_is_told_person_by_person(anna: ConferencingUser, make_run: MakeRun) -> None:
    body = invitation(anna, "meeting-0")
    for name in ("clara", "dora"):
        line = f"ATTENDEE;CN={name.title()}:mailto:{name}@fabrikam.com\r\nDESCRIPTION"
        body = body.replace(b"DESCRIPTION", line.encode(), 1)
    EmbeddedMailbox(anna).store([("meeting-0", body)])

    def standings() -> dict[str, Standing | None]:
        return {each.address.partition("@")[0]: each.standing for each in read(anna, "meeting-0").now.attendees}

    assert set(standings().values()) == {None}
    make_run(anna, meetings=[("Budget", "Succeeded", "")])
    left, doubt = ["clara@fabrikam.com", "dora@fabrikam.com"], {"Dora@fabrikam.com": "<a@contoso.com>"}
    values = {"recipients_left": left, "recipients_in_doubt": doubt}
    Update.objects.update(state="Failed", error_code="mail-unconfirmed", **values)
    expected = {"bruno.costa": Standing.TOLD, "clara": Standing.NOT_TOLD, "dora": Standing.IN_DOUBT}
    assert standings() == expected
    Update.objects.update(state="Queued", recipients_left=None, recipients_in_doubt={})
    assert set(standings().values()) == {Standing.TO_BE_TOLD}


def test_what_was_left_what_failed_and_what_is_not_settled(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, tenant: Tenant
) -> None:
    make_run(anna, meetings=[("Budget", "Skipped", "needs-review")])
    make_run(anna, "Failed", [("Budget", "Failed", "unreadable-calendar-object")])
    Run.objects.update(finished_at=timezone.now())
    running = make_run(anna, "InProgress", started_at=timezone.now())
    IntendedWrite.objects.create(run=running, user=anna, uid="meeting-0", result={})
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    assert kinds(anna, "meeting-0") == [Kind.LEFT, Kind.FAILED, Kind.UNSETTLED, Kind.RUN_AHEAD]
    page = told(vera, anna, "meeting-0")

    assert "A run left it as it was. The block is damaged or ambiguous" in page
    assert "Open the meeting in the organizer's calendar and correct the block by hand." in page
    assert "A run could not change it. A calendar object in the mailbox cannot be read." in page
    assert "whether that happened is not known yet" in page
    assert "A run is in progress, and has not come to this meeting yet." in page
    MeetingResult.objects.filter(outcome="Skipped").update(outcome="Succeeded", code="", spans=b"\x01damaged")
    MeetingResult.objects.filter(outcome="Failed").update(outcome="Succeeded", code="", spans=SPANS)
    page = told(vera, anna, "meeting-0")
    assert "Nobody was mailed: the meeting has no attendees whom mail can reach." in page
    assert "What it said before the first change Join Skype Meeting" in page


def test_a_message_about_a_meeting_that_was_left_asks_its_organizer(
    vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(anna, meetings=[("Budget", "Skipped", "needs-review")])
    now = timezone.now() + timedelta(minutes=5)
    Update.objects.create(result=run.results.get(), recipient_count=1, state="Sent", queued_at=now, sent_at=now)

    assert kinds(anna, "meeting-0") == [Kind.LEFT, Kind.ASKED]
    assert "A message asks the organizer to look at it: sent." in told(vera, anna, "meeting-0")


def test_a_mailbox_outside_that_does_not_answer_says_so(
    vera: Client, bob: Client, anna: ConferencingUser, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = create_connection(anna.tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")
    change_user(anna, ACTOR, is_data_fix=True, mailbox=outside)
    MailboxScan.objects.update(scanned_at=timezone.now() - timedelta(minutes=40))

    def silent(*_: object) -> Any:
        raise Failure("mailbox-unavailable", "dav.contoso.com does not answer")

    monkeypatch.setattr(CalDavMailbox, "read", silent)
    make_run(anna, meetings=[("Budget", "Succeeded", "")])
    page = told(vera, anna, "meeting-0")
    assert "The meeting could not be read. The mailbox could not be reached: dav.contoso.com does not answer." in page
    assert "Open the connection Nextcloud" in page
    assert "MMS last looked at the mailbox 40 minutes ago" in page
    assert "The block was changed" in page

    stored = EmbeddedMailbox(anna)
    stored.store([("meeting-0", invitation(anna, "meeting-0"))])
    monkeypatch.setattr(CalDavMailbox, "read", lambda self, uids: stored.read(uids))
    page = told(vera, anna, "meeting-0")
    assert "Read from the mailbox" in page
    assert "Lists of Nextcloud are as of 40 minutes ago" in page
    scan = f'action="/contoso/users/{anna.upn}/scan-now/"'
    assert scan not in vera.get(address(anna, "meeting-0")).content.decode()
    assert scan in bob.get(address(anna, "meeting-0")).content.decode()
    for query in (f"organizer={anna.upn}", f"day={timezone.localdate()}"):
        found = words(vera.get(f"/contoso/meetings/?{query}").content)
        assert "Of mailboxes in mail systems as of 40 minutes ago" in found
    assert "mail systems" not in words(vera.get("/contoso/meetings/?organizer=bruno").content)


def test_html_alone_is_read_as_its_text_and_a_meeting_without_a_block_says_so(
    vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    EmbeddedMailbox(anna).store([("meeting-0", invitation(anna, "meeting-0", text="Come along."))])
    make_run(anna, meetings=[("Budget", "Succeeded", "")])
    (html,) = [each for each in story.unpack(SPANS) if each.property == "X-ALT-DESC"]
    MeetingResult.objects.update(spans=pack([html]))
    page = told(vera, anna, "meeting-0")

    assert "It has no meeting block that MMS can tell." in page
    assert "What it said before the first change Join" in page
    assert "steal()" not in page
    assert "Come along." not in page


def test_a_meeting_of_which_nothing_is_known_is_none(vera: Client, anna: ConferencingUser) -> None:
    assert vera.get(address(anna, "nothing")).status_code == 404
    assert vera.get(f"/contoso/users/nobody@contoso.com/meetings/{key_of('x')}/story/").status_code == 404


def test_looking_writes_nothing_and_asks_as_often_for_many_runs_as_for_one(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmbeddedMailbox(anna).store([("meeting-0", invitation(anna, "meeting-0"))])
    make_run(anna, meetings=[("Budget", "Succeeded", "")])

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert vera.get(address(anna, "meeting-0")).status_code == 200
        return len(queries)

    count()  # what is cached on first use is asked before the counting
    few = count()
    for _ in range(5):
        make_run(anna, meetings=[("Budget", "Succeeded", "")])
        make_run(anna, "Failed", [("Other", "Skipped", "past")], last_error_code="no-bridge")
    before = everything_stored()
    assert count() == few <= 20
    assert everything_stored() == before
    monkeypatch.setattr(story, "MOST_RUNS", 3)
    assert "The user has had more runs than these" in told(vera, anna, "meeting-0")
    assert len({entry.run.pk for entry in read(anna, "meeting-0").entries}) == 3


def test_a_run_started_by_hand_says_by_whom(
    bob: Client, anna: ConferencingUser, tenant: Tenant, wakes: list[Any]
) -> None:
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    start_by_hand(tenant, [anna], ACTOR)

    assert "Asked for by test: Started by hand by test." in told(bob, anna, "budget")
