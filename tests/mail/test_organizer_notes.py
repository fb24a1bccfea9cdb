"""Assigning meetings to their organizers: one mail for each, in their language, by the tenant's sender, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.demo import invitations as demo
from migrations_app.failures import LEFT_FOR_A_PERSON
from migrations_app.mail import outbox as rows
from migrations_app.mail.actions import send_updates_again
from migrations_app.mail.delivery import deliver
from migrations_app.mail.organizer_notes import Assigned, assign
from migrations_app.models import LeftMeeting, MeetingResult, Run, Update
from migrations_app.runs.left_actions import deal_with, open_again
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import AuditEntry, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.mail_servers import Inbox, serving
from tests.support.meetings import addressees, body_of, invite, messages_in, migrate
from tests.support.together import together


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    with serving(Inbox(), settings) as inbox:
        yield inbox


def leave(user: ConferencingUser, number: int = 0, build: Callable[..., bytes] = demo.damaged_frame) -> LeftMeeting:
    """A meeting of the user that a run has left."""
    uid, _ = invite(user, number, build=build)
    migrate(user)
    return LeftMeeting.objects.get(uid=uid)


def test_the_organizer_is_mailed_once_however_often_it_is_asked_for(anna: ConferencingUser, outbox: Path) -> None:
    row = leave(anna)
    before = body_of(anna, row.uid)
    change_mail_server(anna.tenant, ACTOR, sender="it@contoso.com")
    clicked = [assign(anna.tenant, [row.pk], ACTOR) for _ in range(2)]
    assert clicked == [Assigned(mailed=1), Assigned()]
    assert [deliver(), deliver()] == [1, 0]

    (message,) = messages_in(outbox)
    assert addressees(message) == {anna.upn}
    assert message["From"].addresses[0].addr_spec == "it@contoso.com"
    assert message["From"].addresses[0].display_name == "Contoso"
    assert message["Subject"] == f"Please look at your meeting: {row.subject}"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_content().replace("\r", "")
    assert f"Meeting: {row.subject}\n" in text
    assert f"{row.starts_at:%Y}" in text
    assert "replace them with those of a new online meeting" in text
    assert "Contoso has asked for this message" in text

    row.refresh_from_db()
    update = Update.objects.get()
    assert (row.state, row.by, row.request, update.state) == ("Assigned", ACTOR.name, update, "Sent")
    assert body_of(anna, row.uid) == before
    assert Run.objects.get().invites_update == 0
    entries = AuditEntry.objects.filter(action="assign meeting to organizer")
    assert [(entry.target, entry.after["Meeting"]) for entry in entries] == [(anna.upn, row.subject)]

    open_again(anna.tenant, [row.pk], ACTOR)
    assert assign(anna.tenant, [row.pk], ACTOR) == Assigned(told_before=1), "the same finding is not mailed again"
    assert deliver() == 0
    migrate(anna)
    row.refresh_from_db()
    assert row.state == "Assigned", "a run that finds the same keeps it with the organizer"


def test_a_worker_that_is_killed_while_it_hands_the_message_over_has_nobody_mailed_twice(
    anna: ConferencingUser, smtp: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = leave(anna)
    assign(anna.tenant, [row.pk], ACTOR)
    monkeypatch.setattr(rows, "note_answers", killed)
    with pytest.raises(KeyboardInterrupt):
        deliver()
    monkeypatch.undo()
    Update.objects.update(lease_token=None, lease_until=None, due_at=timezone.now())
    deliver()

    assert len(smtp.envelopes) == 1
    update = Update.objects.get()
    assert (update.state, update.error_code) == ("Failed", Update.IN_DOUBT)
    assert LeftMeeting.objects.get().state == "Assigned", "no attendee waits for it, so it is no row of its own"


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_could_not_be_mailed_can_be_sent_again(anna: ConferencingUser, smtp: Inbox, alice: Any) -> None:
    row = leave(anna)
    assign(anna.tenant, [row.pk], ACTOR)
    smtp.answer = "550 No such thing here"
    deliver()
    page = alice.get("/contoso/left/").content.decode()
    assert "The mail did not arrive." in page
    assert LeftMeeting.objects.count() == 1

    smtp.answer = "250 OK"
    assert send_updates_again(Run.objects.get(), ACTOR) == 1
    assert deliver() == 1
    assert "mailed <time" in alice.get(f"/contoso/left/{row.pk}/").content.decode()
    assert "to its organizer" in alice.get(f"/contoso/migrations/{Run.objects.get()}/").content.decode()


def test_a_meeting_that_a_run_changes_meanwhile_needs_no_mail(anna: ConferencingUser, outbox: Path) -> None:
    row = leave(anna)
    assign(anna.tenant, [row.pk], ACTOR)
    MeetingResult.objects.create(run=Run.objects.get(), uid=f"{row.uid} ", outcome="Skipped")  # so that keys differ
    uid, body = invite(anna, 5)
    anna.calendar_objects.filter(uid=row.uid).delete()
    anna.calendar_objects.filter(uid=uid).update(uid=row.uid, body=body.replace(uid.encode(), row.uid.encode()))
    migrate(anna)
    deliver()

    assert [message["Subject"] for message in messages_in(outbox)] == [
        f"Updated: {MeetingResult.objects.get(outcome='Succeeded').subject}"
    ]
    assert Update.objects.get(result__outcome="Skipped").state == "Superseded"
    assert not LeftMeeting.objects.exists()


def test_a_meeting_that_is_gone_needs_no_mail(anna: ConferencingUser, outbox: Path) -> None:
    row = leave(anna)
    assign(anna.tenant, [row.pk], ACTOR)
    anna.calendar_objects.all().delete()
    deliver()

    assert not messages_in(outbox)
    assert (Update.objects.get().state, Update.objects.get().error_code) == ("Superseded", "meeting-gone")


def test_a_request_that_was_taken_back_is_not_mailed_until_it_is_made_again(
    anna: ConferencingUser, smtp: Inbox
) -> None:
    row = leave(anna)
    assign(anna.tenant, [row.pk], ACTOR)
    deal_with(anna.tenant, [row.pk], ACTOR)
    deliver()
    assert smtp.envelopes == []
    assert (Update.objects.get().state, Update.objects.get().error_code) == ("Superseded", "request-withdrawn")

    open_again(anna.tenant, [row.pk], ACTOR)
    assert assign(anna.tenant, [row.pk], ACTOR) == Assigned(mailed=1)
    smtp.answer = "550 No such thing here"
    deliver()
    open_again(anna.tenant, [row.pk], ACTOR)
    assert assign(anna.tenant, [row.pk], ACTOR) == Assigned(mailed=1)
    smtp.answer = "250 OK"
    assert deliver() == 1
    open_again(anna.tenant, [row.pk], ACTOR)
    assert assign(anna.tenant, [row.pk], ACTOR) == Assigned(told_before=1)
    assert deliver() == 0


@pytest.mark.parametrize(
    ("language", "subject", "words"),
    [("es-MX", "Revise su reunión:", "están dañados"), ("it", "Controlli la sua riunione:", "sono danneggiati")],
)
def test_it_is_in_the_organizers_language(
    make_user: Callable[..., ConferencingUser], outbox: Path, language: str, subject: str, words: str
) -> None:
    row = leave(make_user("bruno.costa", language=language))
    assign(row.tenant, [row.pk], ACTOR)
    deliver()

    (message,) = messages_in(outbox)
    assert message["Subject"].startswith(subject)
    assert words in message.get_content()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        *((code, "") for code in LEFT_FOR_A_PERSON),
        ("unreadable-calendar-object", "save it again"),
        ("meeting-refused-by-server", "could not be put into it"),
    ],
)
def test_each_reason_says_what_to_do(anna: ConferencingUser, outbox: Path, code: str, words: str) -> None:
    row = leave(anna)
    MeetingResult.objects.update(code=code)
    assign(row.tenant, [row.pk], ACTOR)
    deliver()

    text = messages_in(outbox)[0].get_content()
    assert words in text
    assert "Please open the meeting in your calendar" in text


def test_what_cannot_be_assigned_is_passed_over_and_said(anna: ConferencingUser, smtp: Inbox) -> None:
    row, told = leave(anna), invite(anna, 1)[0]
    smtp.answer = "550 No such thing here"
    run = migrate(anna)
    deliver()
    undelivered = LeftMeeting.objects.get(uid=told)
    Run.objects.exclude(pk=run.pk).update(is_latest=False)
    row.refresh_from_db()
    LeftMeeting.objects.filter(pk=row.pk).update(run=None)

    assert assign(anna.tenant, [row.pk, undelivered.pk], ACTOR) == Assigned(messages=1, out_of_history=1)
    assert set(LeftMeeting.objects.values_list("state", flat=True)) == {"Open"}


@pytest.mark.django_db(transaction=True)
def test_who_asks_at_the_same_moment_beside_a_run_has_each_organizer_mailed_once(
    make_users: Callable[..., list[ConferencingUser]], outbox: Path
) -> None:
    users = make_users({f"user{number}": {} for number in range(4)})
    rows = [leave(user, number).pk for number, user in enumerate(users)]

    def do(number: int) -> int:
        if number == 0:
            for user in users:
                migrate(user)
            return 0
        return assign(users[0].tenant, rows if number == 1 else rows[::-1], ACTOR).mailed

    assert sum(together(do)) == len(rows)
    assert deliver() == len(rows)
    assert {frozenset(addressees(message)) for message in messages_in(outbox)} == {
        frozenset({user.upn}) for user in users
    }
    assert len(messages_in(outbox)) == len(rows)
    assert set(LeftMeeting.objects.values_list("state", flat=True)) == {"Assigned"}
