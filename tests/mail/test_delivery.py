"""The updates: who is told, by what message, exactly once, through real mail servers and their faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import connection  # noqa: F401 - for the condition of a skipped test
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations as demo
from migrations_app.demo.meetings import Attendee, Meeting
from migrations_app.mail.actions import send_updates_again
from migrations_app.mail.delivery import deliver
from migrations_app.mail.outbox import claim
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Update
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser
from tests.support import samples
from tests.support.actors import ACTOR
from tests.support.mail_servers import Inbox, serving, silence
from tests.support.meetings import addressees, body_of, calendar_of, invite, logical_lines, messages_in, migrate


def sequence_of(body: bytes) -> int:
    return max(int(line.partition(":")[2]) for line in logical_lines(body) if line.startswith("SEQUENCE:"))


def request_of(body: bytes) -> bytes:
    (request,) = itip.read(body, (), now=timezone.now()).requests
    return request.body


def mailed(body: bytes) -> set[str]:
    return {person.address for person in itip.read(body, (), now=timezone.now()).recipients}


def test_r24_each_attendee_of_each_changed_meeting_is_addressed_by_exactly_one_message(
    anna: ConferencingUser, outbox: Path
) -> None:
    sent = {}
    for number, build in enumerate([demo.skype_text, demo.teams_gen2, demo.series_with_overrides]):
        uid, body = invite(anna, number, build=build)
        sent[uid] = mailed(body)
    migrate(anna)
    assert deliver() == 3
    found = {}
    for message in messages_in(outbox):
        (uid,) = {line[4:] for line in logical_lines(calendar_of(message)) if line.startswith("UID:")}
        assert uid not in found
        found[uid] = addressees(message)
    assert found == sent


def test_it_sends_an_itip_request_wrapped_as_imip_on_the_organizers_behalf(
    anna: ConferencingUser, outbox: Path
) -> None:
    uid, before = invite(anna, build=demo.skype_exchange)
    migrate(anna)
    deliver()
    (message,) = messages_in(outbox)
    part = next(part for part in message.walk() if part.get_content_type() == "text/calendar")
    calendar = calendar_of(message)
    assert part.get_param("method") == "REQUEST"
    assert logical_lines(calendar).count("METHOD:REQUEST") == 1
    assert message["From"].addresses[0].addr_spec == anna.upn
    assert message["Sender"].address.addr_spec == "meeting-migration@contoso.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert sequence_of(calendar) == sequence_of(before) + 1
    assert f"X-MICROSOFT-CDO-APPT-SEQUENCE:{sequence_of(calendar)}" in logical_lines(calendar)
    assert [line for line in logical_lines(calendar) if line.startswith("ATTENDEE")] == [
        line for line in logical_lines(before) if line.startswith("ATTENDEE")
    ]
    assert request_of(body_of(anna, uid)) == calendar
    assert [kind.get_content_type() for kind in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "application/ics",
    ]


def test_the_request_differs_from_the_stored_object_in_method_alarm_and_a_note_only(anna: ConferencingUser) -> None:
    _, body = invite(anna, build=demo.skype_html)
    with_method = request_of(body)
    assert request_of(with_method) == with_method
    text = "\n".join(line for line in logical_lines(body) if not line.startswith("METHOD"))
    before, _, rest = text.partition("BEGIN:VALARM\n")
    sent = before.replace("X-MS-OLK-FORCEINSPECTOROPEN:TRUE\n", "") + rest.partition("END:VALARM\n")[2]
    assert "\n".join(line for line in logical_lines(with_method) if not line.startswith("METHOD")) == sent


def test_a_repeated_delivery_writes_the_same_file_again(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    deliver()
    (path,) = outbox.glob("*.eml")
    first = path.read_bytes()
    # As if the machine had stopped between writing the file and marking the row.
    Update.objects.update(state="Queued", sent_at=None)
    deliver()
    assert list(outbox.glob("*")) == [path]
    assert path.read_bytes() == first


def test_what_was_sent_is_not_sent_again(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    assert (deliver(), deliver()) == (1, 0)


@pytest.mark.parametrize(
    "hostile",
    [
        "mailto:eve@example.org%0d%0aBcc: all@example.org",
        "mailto:eve@example.org?bcc=all@example.org",
        "mailto:eve@example.org\\nBcc: all@example.org",
        "mailto:a@b@example.org",
        "mailto:eve@exa mple.org",
        "invalid:nomail",
        "mailto:用户@example.org",
    ],
)
def test_nothing_from_a_calendar_injects_a_mail_header(anna: ConferencingUser, outbox: Path, hostile: str) -> None:
    def build(meeting: Meeting) -> bytes:
        text = demo.skype_text(meeting)
        line = f'ATTENDEE;CN="Eve^nBcc: all@example.org":{hostile}\r\n'
        return text.replace(b"\r\nATTENDEE", b"\r\n" + line.encode() + b"ATTENDEE", 1)

    subject = "Budget\\nBcc: all@example.org\u2028Bcc: all@example.org"
    invite(anna, build=build, subject=subject)
    assert migrate(anna).state == "Succeeded"
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert message["Bcc"] is None
    assert "all@example.org" not in {address.addr_spec for address in message["To"].addresses}
    raw = next(outbox.glob("*.eml")).read_bytes()
    assert b"\r\nBcc:" not in raw.partition(b"\r\n\r\n")[0]
    assert raw.isascii()


def test_names_and_subjects_keep_their_letters(make_user: Callable[..., ConferencingUser], outbox: Path) -> None:
    user = make_user("joerg.mueller", display_name="Jörg Müller")
    invite(user, subject="Prüfung 🎉 שלום", attendees=(Attendee("zoe@fabrikam.com", "Zoë, “Z” O'Hara"),))
    migrate(user)
    deliver()
    (message,) = messages_in(outbox)
    assert message["Subject"] == "Updated: Prüfung 🎉 שלום"
    assert message["From"].addresses[0].display_name == "Jörg Müller"
    assert message["To"].addresses[0].display_name == "Zoë, “Z” O'Hara"


def test_a_meeting_deleted_meanwhile_is_closed_with_the_reason(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    CalendarObject.objects.all().delete()
    assert deliver() == 0
    assert (Update.objects.get().state, Update.objects.get().error_code) == ("Superseded", "meeting-gone")
    assert not list(outbox.iterdir())


def test_a_meeting_that_names_nobody_any_more_is_closed_with_that_reason(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    stored = CalendarObject.objects.get()
    stored.body = re.sub(rb"ATTENDEE[^\n]*\n(?: [^\n]*\n)*", b"", bytes(stored.body))
    stored.save()
    assert deliver() == 0
    assert (Update.objects.get().state, Update.objects.get().error_code) == ("Superseded", "nobody-to-tell")
    assert not list(outbox.iterdir())


def test_one_message_that_cannot_be_composed_does_not_hold_up_the_others(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna, 0)
    bad, _ = invite(anna, 1)
    migrate(anna)
    read = itip.read

    def broken(body: bytes, own: set[str], **options: Any) -> itip.Invitation:
        if bad.encode() in body.replace(b"\r\n\t", b"").replace(b"\r\n ", b""):
            raise ZeroDivisionError
        return read(body, own, **options)

    monkeypatch.setattr(itip, "read", broken)
    assert deliver() == 1
    assert Update.objects.get(result__uid=bad).error_code == "internal-error"
    assert Update.objects.get(result__uid=bad).state == "Queued"
    for _ in range(9):
        Update.objects.update(due_at=timezone.now())
        deliver()
    assert Update.objects.get(result__uid=bad).error_code == "message-retries-used-up"


def test_one_mailbox_that_cannot_be_read_at_all_does_not_hold_up_the_others(
    anna: ConferencingUser,
    make_user: Callable[..., ConferencingUser],
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bruno = make_user("bruno.costa")
    for user in (anna, bruno):
        invite(user)
        migrate(user)
    read = EmbeddedMailbox.read

    def broken(self: EmbeddedMailbox, uids: Any) -> Any:
        if self.user == anna:
            raise ZeroDivisionError
        return read(self, uids)

    monkeypatch.setattr(EmbeddedMailbox, "read", broken)
    assert deliver() == 1
    waiting = Update.objects.get(state="Queued")
    assert (waiting.result.run.user, waiting.error_code) == (anna, "internal-error")


# --- guests of single occurrences -----------------------------------------------------------------------


BLOCK = samples.skype_text("https://meet.contoso.com/anna.rossi/GUEST123")


def invite_guests(user: ConferencingUser, *, text: str | None = f"For guests\n{BLOCK}") -> str:
    """A series with Bo, and one occurrence to which Gus is invited too; its UID."""
    bo, gus = "ATTENDEE;CN=Bo:mailto:bo@fabrikam.com", "ATTENDEE;CN=Gus:mailto:gus@example.org"
    first = {"start": "DTSTART:20360301T100000Z", "end": "DTEND:20360301T110000Z"}
    second = {"start": "DTSTART:20360308T140000Z", "end": "DTEND:20360308T150000Z"}
    series = samples.event("RRULE:FREQ=WEEKLY;COUNT=8", bo, text=f"Board only: salaries\n{BLOCK}", **first)
    guests = samples.event("RECURRENCE-ID:20360308T100000Z", bo, gus, text=text, **second)
    guests = [line.replace("SUMMARY:Budget", "SUMMARY:Tour") for line in guests]
    body = samples.calendar(series, guests).replace(b"anna@contoso.com", user.upn.encode())
    ((uid, body),) = split_objects(body)
    EmbeddedMailbox(user).store([(uid, body)])
    return uid


def by_recipient(folder: Path) -> dict[str, Any]:
    return {address: message for message in messages_in(folder) for address in addressees(message)}


def shown(message: Any) -> str:
    """Everything that a recipient can read of a message."""
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return f"{message['Subject']}\n" + "\n".join(samples.unfolded(part).decode() for part in parts)


def test_r24_a_guest_of_one_occurrence_is_told_of_nothing_else(anna: ConferencingUser, outbox: Path) -> None:
    uid = invite_guests(anna)
    run = migrate(anna)
    assert (run.succeeded_meetings, run.invites_update) == (1, 1)
    assert Update.objects.get(result__uid=uid).recipient_count == 2
    assert deliver() == 1
    told = by_recipient(outbox)
    assert set(told) == {"bo@fabrikam.com", "gus@example.org"}
    assert told["gus@example.org"]["Subject"] == "Updated: Tour, all teams"
    for secret in ("salaries", "COUNT=8", "20360301", "Budget"):
        assert secret not in shown(told["gus@example.org"])
    for both in told.values():
        assert "For guests" in shown(both)
        assert "+1 425-555-0100" in shown(both)
    assert "salaries" in shown(told["bo@fabrikam.com"])
    assert Update.objects.get().state == "Sent"
    assert deliver() == 0


def test_r24_a_guest_of_an_occurrence_without_a_text_gets_the_new_block_alone(
    anna: ConferencingUser, outbox: Path
) -> None:
    invite_guests(anna, text=None)
    migrate(anna)
    assert deliver() == 1
    told = by_recipient(outbox)
    assert "salaries" not in shown(told["gus@example.org"])
    assert shown(told["gus@example.org"]).count("+1 425-555-0100") == 4, "in both texts, and twice in the calendar"


def test_the_messages_of_one_meeting_have_the_same_ids_every_time(anna: ConferencingUser, outbox: Path) -> None:
    invite_guests(anna)
    migrate(anna)
    deliver()
    first = {path.name: path.read_bytes() for path in outbox.iterdir()}
    assert len(first) == 2
    Update.objects.update(state="Queued", sent_at=None)
    assert deliver() == 1
    assert {path.name: path.read_bytes() for path in outbox.iterdir()} == first


# --- a real SMTP server ---------------------------------------------------------------------------------


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    with serving(Inbox(), settings) as inbox:
        yield inbox


def test_a_mail_server_gets_all_messages_over_one_connection(anna: ConferencingUser, smtp: Inbox) -> None:
    expected = [mailed(invite(anna, number)[1]) for number in range(5)]
    migrate(anna)
    assert deliver() == 5
    assert len(smtp.sessions) == 1
    assert sorted(map(sorted, (envelope.rcpt_tos for envelope in smtp.envelopes))) == sorted(map(sorted, expected))
    assert {envelope.mail_from for envelope in smtp.envelopes} == {"meeting-migration@contoso.com"}


def test_a_message_that_the_server_puts_off_is_sent_later(anna: ConferencingUser, smtp: Inbox) -> None:
    invite(anna)
    migrate(anna)
    smtp.answer = "451 Try again later"
    assert deliver() == 0
    update = Update.objects.get()
    assert (update.state, update.error_code) == ("Queued", "mail-put-off")
    assert update.due_at > timezone.now() + timedelta(minutes=1)
    smtp.answer = "250 OK"
    Update.objects.update(due_at=timezone.now())
    assert deliver() == 1
    assert Update.objects.get().state == "Sent"


def test_a_message_that_the_server_refuses_fails_with_its_answer(anna: ConferencingUser, smtp: Inbox) -> None:
    invite(anna)
    migrate(anna)
    smtp.answer = "550 No such thing here"
    assert deliver() == 0
    update = Update.objects.get()
    assert update.state == "Failed"
    assert "answer 550" in update.error_message
    smtp.answer = "250 OK"
    assert send_updates_again(update.result.run, ACTOR) == 1
    assert deliver() == 1
    assert Update.objects.get().state == "Sent"


def test_an_unreachable_mail_server_loses_no_message(anna: ConferencingUser, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    invite(anna)
    migrate(anna)
    assert deliver() == 0
    update = Update.objects.get()
    assert (update.state, update.error_code, update.lease_token) == ("Queued", "mail-server-unreachable", None)


class HangsUpOnce(Inbox):
    """A server that hangs up in the middle of the first message."""

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if not self.sessions:
            self.sessions.add(id(session))
            server.transport.abort()
            await silence()
        envelope.mail_from = address
        return "250 OK"


def test_a_connection_that_breaks_is_opened_again(anna: ConferencingUser, settings: Any) -> None:
    for number in range(2):
        invite(anna, number)
    migrate(anna)
    with serving(HangsUpOnce(), settings) as server:
        assert deliver() == 1
    assert len(server.envelopes) == 1
    assert Update.objects.filter(state="Queued", error_code="mail-server-unreachable").count() == 1


def test_an_update_that_another_worker_is_sending_is_left_to_it(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    assert len(claim()) == 1
    assert deliver() == 0
    Update.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliver() == 1


class Picky(Inbox):
    """A server that answers 452 after some recipients of a message and refuses others for good."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 1000
        self.never: set[str] = set()
        self.not_now: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.never:
            return "550 No such person"
        if address in self.not_now or len(envelope.rcpt_tos) >= self.most:
            return "452 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def picky(settings: Any) -> Iterator[Picky]:
    with serving(Picky(), settings) as handler:
        yield handler


def test_recipients_that_a_server_puts_off_are_told_later_and_nobody_twice(
    anna: ConferencingUser, picky: Picky
) -> None:
    _, body = invite(anna)
    expected = sorted(mailed(body))
    migrate(anna)
    picky.most = 2
    assert deliver() == 0
    while Update.objects.get().state == "Queued":
        Update.objects.update(due_at=timezone.now())
        deliver()
    assert Update.objects.get().state == "Sent"
    told = [address for envelope in picky.envelopes for address in envelope.rcpt_tos]
    assert sorted(told) == expected
    assert len(picky.envelopes) == -(-len(expected) // 2)


def test_recipients_that_a_server_refuses_are_named_and_can_be_tried_again(
    anna: ConferencingUser, picky: Picky
) -> None:
    _, body = invite(anna)
    everyone = sorted(mailed(body))
    migrate(anna)
    picky.never = {everyone[0]}
    deliver()
    update = Update.objects.get()
    assert (update.state, update.error_code) == ("Failed", "recipients-refused")
    assert everyone[0] in update.error_message
    picky.never = set()
    send_updates_again(update.result.run, ACTOR)
    assert deliver() == 1
    assert picky.envelopes[-1].rcpt_tos == [everyone[0]]


def test_large_meetings_are_told_in_portions_that_every_server_takes(anna: ConferencingUser, picky: Picky) -> None:
    attendees = tuple(Attendee(f"guest{number}@example.org", f"Guest {number}") for number in range(240))
    invite(anna, attendees=attendees)
    migrate(anna)
    assert deliver() == 1
    assert [len(envelope.rcpt_tos) for envelope in picky.envelopes] == [100, 100, 40]
    assert len({address for envelope in picky.envelopes for address in envelope.rcpt_tos}) == 240


@pytest.mark.parametrize("refused", ["bo@fabrikam.com", "gus@example.org"])
@pytest.mark.parametrize("for_good", [True, False])
def test_r24_a_guest_who_is_put_off_is_told_later_and_nobody_twice(
    anna: ConferencingUser, picky: Picky, refused: str, for_good: bool
) -> None:
    invite_guests(anna)
    migrate(anna)
    (picky.never if for_good else picky.not_now).add(refused)
    assert deliver() == 0
    update = Update.objects.get()
    assert update.recipients_left == [refused]
    assert update.error_code == ("recipients-refused" if for_good else "mail-put-off")
    picky.never, picky.not_now = set(), set()
    if for_good:
        send_updates_again(update.result.run, ACTOR)
    Update.objects.update(due_at=timezone.now())
    assert deliver() == 1
    assert Update.objects.get().state == "Sent"
    told = [address for envelope in picky.envelopes for address in envelope.rcpt_tos]
    assert sorted(told) == ["bo@fabrikam.com", "gus@example.org"]


@pytest.mark.parametrize("address", ["a@example..org", "a@" + "x" * 70 + ".org", "a@-.-", "a@example.org."])
def test_an_unusual_address_stops_nobody_elses_mail(anna: ConferencingUser, smtp: Inbox, address: str) -> None:
    odd = (Attendee(address, "Odd"), Attendee("zoe@fabrikam.com", "Zoe"))
    invite(anna, 0, attendees=odd)
    invite(anna, 1)
    migrate(anna)
    deliver()
    assert Update.objects.filter(state="Sent").count() >= 1
    assert not Update.objects.filter(state="Queued", error_code="").exists()


def test_an_update_is_sent_only_for_the_revision_that_it_is_about(anna: ConferencingUser, outbox: Path) -> None:
    _, original = invite(anna)
    migrate(anna)
    uid = Update.objects.get().result.uid
    # The organizer's old copy comes back, before the message went out.
    EmbeddedMailbox(anna).store([(uid, original)])
    assert deliver() == 0
    assert (Update.objects.get().state, Update.objects.get().error_code) == ("Superseded", "meeting-changed-since")
    assert not list(outbox.iterdir())


def test_an_update_taken_up_before_a_second_run_is_not_sent_as_that_runs(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path
) -> None:
    invite(anna)
    migrate(anna)
    assert len(claim()) == 1  # a worker takes it up, and stalls
    change_user(anna, ACTOR, bridge=new_bridge)
    run = queue.claim()
    assert run is not None
    work_run(run)
    Update.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert "+44 20 7946 0123" in "\n".join(logical_lines(calendar_of(message)))


def test_long_names_keep_header_lines_within_the_limit(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna, attendees=(Attendee("zoe@fabrikam.com", "🎉" * 200), Attendee("yan@fabrikam.com", "y" * 500)))
    migrate(anna)
    assert deliver() == 1
    raw = next(outbox.glob("*.eml")).read_bytes()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    (message,) = messages_in(outbox)
    assert addressees(message) == {"zoe@fabrikam.com", "yan@fabrikam.com"}


def test_after_the_last_retry_it_says_that_it_gave_up(anna: ConferencingUser, smtp: Inbox) -> None:
    invite(anna)
    migrate(anna)
    smtp.answer = "451 Try again later"
    for _ in range(10):
        Update.objects.update(due_at=timezone.now())
        deliver()
    update = Update.objects.get()
    assert (update.state, update.error_code) == ("Failed", "message-retries-used-up")
    assert "tries again by itself" not in update.error_message


# --- clocks that are set --------------------------------------------------------------------------------


def test_a_message_queued_before_the_clock_was_set_back_does_not_wait_for_that_time_to_come_again(
    anna: ConferencingUser, outbox: Path
) -> None:
    invite(anna)
    migrate(anna)
    then = timezone.now() + timedelta(hours=2)
    Update.objects.update(queued_at=then, due_at=then)
    work_queue()
    assert len(messages_in(outbox)) == 1


def test_a_lease_on_messages_from_before_the_clock_was_set_back_is_over(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    assert len(claim()) == 1
    Update.objects.update(lease_until=timezone.now() + timedelta(hours=2))
    assert deliver() == 1


def test_a_message_that_waits_for_another_try_goes_on_waiting(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    Update.objects.update(attempts=1, due_at=timezone.now() + timedelta(minutes=5))
    work_queue()
    assert not messages_in(outbox)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no other clock than this machine's")
@pytest.mark.parametrize("hours", [2, -2])
def test_messages_of_a_machine_whose_clock_is_wrong_are_due_by_the_database_servers(
    anna: ConferencingUser, outbox: Path, hours: int
) -> None:
    invite(anna)
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        migrate(anna)
    assert deliver() == 1
