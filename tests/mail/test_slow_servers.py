"""Mail servers that are slow, silent or gone: nobody is told twice, and nothing else waits for them.

Time stands still but where a server moves it on, so that a minute of waiting costs a test nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import OperationalError, connections
from django.utils import timezone

from migrations_app import tasks
from migrations_app.demo.meetings import Attendee
from migrations_app.mail import outbox, smtp
from migrations_app.mail.actions import confirm_updates_delivered, send_updates_again
from migrations_app.mail.delivery import TURN, deliver, is_due
from migrations_app.models import CalendarObject, MailServer, Run, Update
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import workers
from migrations_app.monitoring.mail_server import FIRST_PAUSE, LONGEST_PAUSE
from migrations_app.runs.actions import start_by_hand
from migrations_app.tasks import work
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.clock import Clock, clock
from tests.support.mail_servers import Inbox, message_id_of, serving, silence
from tests.support.meetings import invite, migrate, migrate_all
from tests.support.remembered import Remembered
from tests.support.together import together

MakeUser = Callable[..., ConferencingUser]
HUNDRED = tuple(Attendee(f"guest{number}@example.org", f"Guest {number}") for number in range(100))
HUNDRED_ADDRESSES = [attendee.address for attendee in HUNDRED]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with clock(monkeypatch) as moved:
        yield moved


class Faulty(Inbox):
    """A server that does what the test says at each step, before it answers."""

    def __init__(self, **steps: Callable[[SMTP], Any]) -> None:
        super().__init__()
        self.steps = steps
        self.asked: list[str] = []

    async def _do(self, step: str, server: SMTP) -> str:
        answer = self.steps.get(step, lambda server: None)(server)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer or "250 OK"

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._do("mail", server)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        answer = await self._do("rcpt", server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return await self._do("end", server)


async def hang_up(server: SMTP) -> None:
    server.transport.abort()
    await silence()


def stall(now: Clock, seconds: float = 31) -> Callable[[SMTP], Any]:
    """Answer nothing for so long that whoever waits gives up."""

    async def step(_: SMTP) -> None:
        now.passes(seconds)
        await silence()

    return step


def trickle(now: Clock, octets: bytes, seconds: int) -> Callable[[SMTP], Any]:
    """Send the octets again and again, every ten seconds, and answer only after all these seconds."""

    async def step(server: SMTP) -> None:
        for _ in range(seconds // 10):
            now.passes(10)
            server.transport.write(octets)
            await now.is_looked_at()

    return step


def well(_: SMTP) -> None:
    """Do what a server does."""


def in_turn(*steps: Callable[[SMTP], Any]) -> Callable[[SMTP], Any]:
    """Do one of them each time."""
    following = iter(steps)

    def step(server: SMTP) -> Any:
        return next(following)(server)

    return step


def taken_over() -> None:
    """Another worker takes everything that it can."""
    Update.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert outbox.claim()


async def elsewhere(work: Callable[[], Any]) -> Any:
    """Ask the database beside the worker that is served."""

    def begin() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    return await asyncio.to_thread(begin)


# --- slow -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_while_a_slow_server_takes_a_message_nobody_else_takes_it_over_or_tells_anybody_twice(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    """1.5 s for each of 100 recipients: 150 s, more than any lease. A second worker looks whenever it can."""
    invite(anna, attendees=HUNDRED)
    migrate(anna)

    async def slowly(_: SMTP) -> None:
        now.passes(1.5)
        assert await elsewhere(outbox.claim) == []

    with serving(Faulty(rcpt=slowly), settings) as server:
        while Update.objects.get().state == "Queued":
            deliver(timezone.now() + TURN)
    assert Update.objects.get().state == "Sent"
    assert set(server.copies().values()) == {1}
    assert len(server.copies()) == 100
    assert Update.objects.get().attempts == 1


def test_a_turn_ends_in_time_though_the_message_is_not_through(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    invite(anna, attendees=HUNDRED)
    migrate(anna)
    began = timezone.now()
    with serving(Faulty(rcpt=lambda _: now.passes(1.5)), settings) as server:
        assert deliver(began + TURN) == 0
    assert timezone.now() - began <= TURN + timedelta(seconds=1.5)
    update = Update.objects.get()
    assert (update.state, update.lease_token) == ("Queued", None)
    assert {*HUNDRED_ADDRESSES} - {address for _, address in server.copies()} == {*update.recipients_left}
    assert is_due()


@pytest.mark.parametrize("octets", [b"250-Wait\r\n", b"250-"])
def test_a_server_that_sends_an_octet_now_and_then_holds_no_worker(
    anna: ConferencingUser, settings: Any, now: Clock, octets: bytes
) -> None:
    invite(anna)
    migrate(anna)
    with serving(Faulty(rcpt=trickle(now, octets, 60)), settings) as server:
        assert deliver() == 0
    assert server.envelopes == []  # though it took the recipient at last
    assert Update.objects.get().error_code == "mail-server-unreachable"
    assert Update.objects.get().error_detail == "no answer in time"


def test_a_server_that_refuses_slowly_is_not_asked_the_same_for_ever(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    invite(anna, attendees=HUNDRED)
    migrate(anna)

    def refuse(_: SMTP) -> str:
        now.passes(10)
        return "550 No such person"

    with serving(Faulty(rcpt=refuse), settings) as server:
        while is_due():
            deliver(timezone.now() + TURN)
    assert sorted(server.asked) == sorted(HUNDRED_ADDRESSES)
    assert Update.objects.get().error_code == "mail-refused"


def test_recipients_that_are_put_off_slowly_wait_their_pause_and_do_not_keep_the_others_from_their_turn(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    invite(anna, attendees=HUNDRED[:6])
    migrate(anna)
    later = {attendee.address for attendee in HUNDRED[:3]}
    server = Faulty()

    def put_off(_: SMTP) -> str:
        now.passes(15)
        return "450 Later" if server.asked[-1] in later else "250 OK"

    server.steps["rcpt"] = put_off
    with serving(server, settings):
        deliver(timezone.now() + TURN)
        assert not is_due()
        for _ in range(2):
            now.passes(3_600)
            deliver(timezone.now() + TURN)
    assert server.asked == HUNDRED_ADDRESSES[:6]
    assert {address for _, address in server.copies()} == {*HUNDRED_ADDRESSES[3:6]}
    assert Update.objects.get().state == "Queued"


def test_the_bounds_leave_the_worker_time_before_the_cluster_ends_it(settings: Any) -> None:
    worst = tasks.TIME_BUDGET + timedelta(seconds=smtp.OPENING + smtp.TRANSACTION + smtp.FINAL_ANSWER)
    assert worst < timedelta(seconds=settings.MMS_TASK_SECONDS)
    assert timedelta(seconds=settings.EMAIL_TIMEOUT) * 1.5 < outbox.LEASE
    assert timedelta(seconds=smtp.OPENING + smtp.TRANSACTION + smtp.FINAL_ANSWER) <= mail_server.TRIAL


# --- in doubt -------------------------------------------------------------------------------------------


@pytest.fixture(params=["stalls", "drops", "babbles"])
def answerless(request: pytest.FixtureRequest, settings: Any, now: Clock) -> Iterator[Faulty]:
    """A server that takes each message whole and does not say so."""
    ends = {"stalls": stall(now, 121), "drops": hang_up, "babbles": trickle(now, b"250-\r\n", 180)}
    with serving(Faulty(end=ends[request.param]), settings) as server:
        yield server


def test_a_message_that_the_server_got_and_did_not_answer_is_not_sent_a_second_time(
    anna: ConferencingUser, answerless: Faulty, now: Clock
) -> None:
    invite(anna)
    migrate(anna)
    for _ in range(5):
        assert deliver() == 0
        now.passes(86_400)
        Update.objects.update(due_at=timezone.now())
    update = Update.objects.get()
    assert (update.state, update.error_code, update.lease_token) == ("Failed", "mail-unconfirmed", None)
    assert set(answerless.copies().values()) == {1}
    assert message_id_of(answerless.envelopes[0]) in update.error_message
    assert f"and {len(answerless.copies()) - 1} more" in update.error_message


def test_a_person_says_that_it_was_not_delivered_and_it_goes_out_again(
    anna: ConferencingUser, answerless: Faulty, now: Clock
) -> None:
    invite(anna)
    migrate(anna)
    deliver()
    run = Run.objects.get()
    now.passes(LONGEST_PAUSE.total_seconds())
    answerless.steps.clear()
    assert send_updates_again(run, ACTOR) == 0  # which is for those that were refused
    assert send_updates_again(run, ACTOR, in_doubt=True) == 1
    assert deliver() == 1
    assert set(answerless.copies().values()) == {2}
    assert Update.objects.get().state == "Sent"


def test_a_person_says_that_it_was_delivered_and_nobody_is_told_again(
    anna: ConferencingUser, answerless: Faulty, now: Clock
) -> None:
    invite(anna)
    migrate(anna)
    deliver()
    now.passes(LONGEST_PAUSE.total_seconds())
    assert confirm_updates_delivered(Run.objects.get(), ACTOR) == 1
    assert deliver() == 1
    assert set(answerless.copies().values()) == {1}
    update = Update.objects.get()
    assert (update.state, update.error_code, update.recipients_in_doubt) == ("Sent", "", {})


def test_of_a_large_meeting_only_the_part_without_an_answer_is_in_doubt(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    attendees = tuple(Attendee(f"guest{number}@example.org", f"Guest {number}") for number in range(240))
    invite(anna, attendees=attendees)
    migrate(anna)
    with serving(Faulty(end=in_turn(hang_up, well, well, well)), settings) as server:
        assert deliver() == 0
        update = Update.objects.get()
        assert (update.state, update.error_code) == ("Failed", "mail-unconfirmed")
        assert len(update.recipients_in_doubt) == 100
        assert len(server.copies()) == 240
        send_updates_again(update.result.run, ACTOR, in_doubt=True)
        assert deliver() == 1
    assert Counter(server.copies().values()) == {1: 140, 2: 100}


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        ("451 Try again", "Queued", "mail-put-off"),
        ("421 Closing", "Queued", "mail-server-unreachable"),
        ("550 No", "Failed", "mail-refused"),
    ],
)
def test_an_answer_that_refuses_leaves_no_doubt(
    anna: ConferencingUser, settings: Any, answer: str, state: str, code: str
) -> None:
    invite(anna)
    migrate(anna)
    with serving(Faulty(end=lambda _: answer), settings):
        assert deliver() == 0
    update = Update.objects.get()
    assert update.recipients_in_doubt == {}
    assert (update.state, update.error_code) == (state, code)


@pytest.mark.parametrize("step", ["mail", "rcpt"])
@pytest.mark.parametrize("fault", ["hangs up", "stalls", "closes"])
def test_a_fault_before_the_end_of_the_message_leaves_no_doubt_and_it_is_tried_again(
    anna: ConferencingUser, settings: Any, now: Clock, step: str, fault: str
) -> None:
    invite(anna)
    migrate(anna)
    faults = {"hangs up": hang_up, "stalls": stall(now), "closes": lambda _: "421 Closing"}
    with serving(Faulty(**{step: faults[fault]}), settings) as server:
        assert deliver() == 0
        update = Update.objects.get()
        assert (update.state, update.error_code, update.attempts) == ("Queued", "mail-server-unreachable", 1)
        server.steps.clear()
        now.passes(86_400)
        assert deliver() == 1
    assert set(server.copies().values()) == {1}


class Killed(BaseException):
    """Stands for the end of the worker: nothing is written after it."""


@pytest.mark.parametrize("after_the_end", [True, False])
def test_a_worker_that_is_killed_leaves_a_row_that_says_who_may_have_been_told(
    anna: ConferencingUser, settings: Any, now: Clock, monkeypatch: pytest.MonkeyPatch, after_the_end: bool
) -> None:
    invite(anna)
    migrate(anna)

    def killed(*_: object) -> None:
        raise Killed

    with serving(Faulty(), settings) as server, monkeypatch.context() as patch:
        patch.setattr(smtp.Session, "_final_answer" if after_the_end else "_send_content", killed)
        patch.setattr(outbox, "put_back", lambda *_: None)
        with pytest.raises(Killed):
            deliver()
        patch.undo()
        assert deliver() == 0  # the lease stands
        now.passes(2 * outbox.LEASE.total_seconds() + smtp.FINAL_ANSWER)
        assert deliver() == (0 if after_the_end else 1)
    assert max(server.copies().values(), default=1) == 1
    state = Update.objects.get().state
    assert state == ("Failed" if after_the_end else "Sent")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_has_lost_the_message_does_not_hand_it_over(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    """It slept, say with its machine, and another has the message by the time that it wakes up."""
    invite(anna)
    migrate(anna)
    with serving(Faulty(rcpt=lambda _: elsewhere(taken_over)), settings) as server:
        assert deliver() == 0
    assert server.envelopes == []
    update = Update.objects.get()
    assert (update.state, update.recipients_in_doubt) == ("Queued", {})
    assert update.lease_until is not None
    assert update.lease_until > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_another_worker_waits_until_the_answer_can_come_no_more(
    anna: ConferencingUser, settings: Any, now: Clock
) -> None:
    invite(anna)
    migrate(anna)
    claimed: list[Any] = []

    async def late(_: SMTP) -> None:
        now.passes(smtp.FINAL_ANSWER - 1)
        claimed.extend(await elsewhere(outbox.claim))

    with serving(Faulty(end=late), settings):
        assert deliver() == 1
    assert claimed == []


@pytest.mark.parametrize("kind", ["tls_context", "ssl_context"])
@pytest.mark.parametrize("fault", [False, True])
def test_over_tls_it_is_the_same(
    anna: ConferencingUser,
    settings: Any,
    now: Clock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    fault: bool,
) -> None:
    authority, server_side = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    invite(anna, attendees=HUNDRED[:4])
    migrate(anna)
    late = trickle(now, b"250-Wait\r\n", 180 if fault else 60)
    options = {kind: server_side} | ({"require_starttls": True} if kind == "tls_context" else {})
    with serving(Faulty(end=late), settings, **options) as server:
        assert deliver() == (0 if fault else 1)
    assert set(server.copies().values()) == {1}
    assert Update.objects.get().error_code == ("mail-unconfirmed" if fault else "")


def test_a_server_that_mms_does_not_trust_gets_nothing(anna: ConferencingUser, settings: Any, now: Clock) -> None:
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(server_side)
    invite(anna)
    migrate(anna)
    with serving(Inbox(), settings, ssl_context=server_side) as server:
        assert deliver() == 0
    assert server.envelopes == []
    update = Update.objects.get()
    assert (update.error_detail, update.attempts) == ("its certificate is not trusted", 0)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_moment_leaves_no_doubt_about_what_the_server_said(
    anna: ConferencingUser, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna, attendees=HUNDRED[:3])
    migrate(anna)
    let_go, away = outbox._let_go, iter([True, True, False])

    def sometimes(*args: Any, **changes: Any) -> None:
        if next(away):
            raise OperationalError("server closed the connection unexpectedly")
        let_go(*args, **changes)

    monkeypatch.setattr(outbox, "_let_go", sometimes)
    monkeypatch.setattr(outbox, "sleep", lambda _: None)
    with serving(Faulty(), settings) as server:
        assert deliver() == 1
    assert set(server.copies().values()) == {1}
    update = Update.objects.get()
    assert (update.state, update.recipients_in_doubt) == ("Sent", {})


# --- silent or gone: the circuit breaker ----------------------------------------------------------------


@pytest.fixture
def ten(make_users: Callable[..., list[ConferencingUser]], remembered: Remembered) -> list[ConferencingUser]:
    """Ten users with a message each to be sent."""

    def make() -> list[ConferencingUser]:
        users = make_users({f"user{number}": {} for number in range(10)})
        for number, user in enumerate(users):
            invite(user, number)
        migrate_all(users)
        return users

    return remembered.make("ten users with a message each", make)


def attempts() -> Counter[int]:
    return Counter(Update.objects.values_list("attempts", flat=True))


def test_a_server_that_is_gone_is_left_alone_and_no_message_loses_a_try(
    ten: list[ConferencingUser], settings: Any, now: Clock
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    pauses = []
    for _ in range(8):
        while is_due():
            deliver()
        server = MailServer.objects.get()
        assert server.next_try_at is not None
        pauses.append(server.next_try_at - timezone.now())
        now.passes(pauses[-1].total_seconds())
    assert attempts() == {0: 10}
    assert set(Update.objects.values_list("state", flat=True)) == {"Queued"}
    assert pauses == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8)] + [LONGEST_PAUSE] * 4
    assert server.failing_since is not None
    assert timezone.now() - server.failing_since == sum(pauses, timedelta(0))


@pytest.mark.parametrize("step", ["mail", "rcpt", "end"])
def test_a_server_that_stalls_costs_one_message_and_the_others_are_not_tried(
    ten: list[ConferencingUser], settings: Any, now: Clock, step: str
) -> None:
    with serving(Faulty(**{step: stall(now, 121)}), settings) as server:
        assert deliver() == 0
        assert not is_due()
        assert deliver() == 0
        assert attempts() == {0: 9, 1: 1}
        server.steps.clear()
        assert MailServer.objects.get().next_try_at == timezone.now() + FIRST_PAUSE
        now.passes(FIRST_PAUSE.total_seconds())
        assert deliver() == 9
    assert not mail_server.silence(mail_server.installations())
    assert max(server.copies().values()) == 1


def test_after_the_pause_one_message_shows_whether_the_server_answers(
    ten: list[ConferencingUser], settings: Any, now: Clock
) -> None:
    with serving(Faulty(mail=stall(now)), settings) as server:
        deliver()
        for _ in range(3):
            now.passes(LONGEST_PAUSE.total_seconds())
            tried = Counter(Update.objects.values_list("attempts", flat=True))[0]
            deliver()
            assert Counter(Update.objects.values_list("attempts", flat=True))[0] == tried - 1
    assert server.envelopes == []


@pytest.mark.django_db(transaction=True)
def test_one_worker_alone_tries_after_the_pause(ten: list[ConferencingUser], settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    for _ in range(3):
        deliver()
    MailServer.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))
    assert sorted(together(lambda _: mail_server.room(mail_server.installations(), 100))) == [0, 0, 0, 1]


def test_a_server_that_answers_in_between_is_not_given_up(ten: list[ConferencingUser], settings: Any) -> None:
    """Two in three messages make it hang up: never three in a row."""
    with serving(Faulty(mail=in_turn(*[hang_up, hang_up, well] * 3, hang_up)), settings) as server:
        assert deliver() == 3
    assert len(server.envelopes) == 3
    assert mail_server.silence(mail_server.installations()) is None


def test_a_message_that_is_not_to_be_sent_any_more_does_not_prolong_the_pause(
    ten: list[ConferencingUser], settings: Any, now: Clock
) -> None:
    with serving(Faulty(mail=stall(now)), settings) as server:
        deliver()
        now.passes(FIRST_PAUSE.total_seconds())
        oldest = Update.objects.filter(attempts=0).order_by("due_at", "pk").first()
        assert oldest
        CalendarObject.objects.filter(uid=oldest.result.uid).delete()
        server.steps.clear()
        assert deliver() == 8
    oldest.refresh_from_db()
    assert oldest.error_code == "meeting-gone"


@pytest.mark.parametrize("answer", ["530 Authentication required", "535 Wrong password", "421 Too many connections"])
def test_a_server_that_turns_mms_away_refuses_no_single_message(
    ten: list[ConferencingUser], settings: Any, now: Clock, answer: str
) -> None:
    with serving(Faulty(mail=lambda _: answer), settings) as server:
        while is_due():
            deliver()
        silent = mail_server.silence(mail_server.installations())
        assert silent is not None
        assert (silent.turns_away, silent.last_error) == (True, f"answer {answer[:3]}")
        assert set(Update.objects.values_list("state", flat=True)) == {"Queued"}
        server.steps.clear()
        now.passes(86_400)
        assert deliver() == 10


@pytest.mark.parametrize(("answer", "turns_away"), [(b"554 Not for you\r\n", True), (b"", False)])
def test_what_the_server_says_first_is_what_the_checks_tell(
    ten: list[ConferencingUser], settings: Any, answer: bytes, turns_away: bool
) -> None:
    """A server that greets with a refusal, or hangs up without a word."""

    def greet(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet, args=[listener])
        thread.start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = listener.getsockname()
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        while is_due():
            deliver()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    server = mail_server.silence(mail_server.installations())
    assert server is not None
    assert server.turns_away == turns_away
    assert server.last_error == ("answer 554" if turns_away else "it hung up")
    assert attempts() == {0: 10}


def test_another_server_begins_anew(ten: list[ConferencingUser], settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    while is_due():
        deliver()
    with serving(Inbox(), settings):
        assert deliver() == 10


def test_a_pause_that_a_clock_set_back_has_made_endless_is_over(ten: list[ConferencingUser], settings: Any) -> None:
    with serving(Inbox(), settings):
        MailServer.objects.create(
            name=f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
            failures=3,
            failing_since=timezone.now() + timedelta(hours=2),
            next_try_at=timezone.now() + timedelta(hours=2),
        )
        assert deliver() == 10


# --- runs go on -----------------------------------------------------------------------------------------


def start_all(users: list[ConferencingUser]) -> None:
    start_by_hand(users[0].tenant, ConferencingUser.objects.select_related("bridge"), ACTOR, now_due=True)


@pytest.mark.parametrize("fault", ["slow", "stalls", "stalls after DATA", "drops after DATA", "gone"])
def test_all_runs_end_though_the_mail_server_does_not_do_its_work(
    make_user: MakeUser, settings: Any, now: Clock, fault: str
) -> None:
    users = [make_user(f"user{number}") for number in range(20)]
    for number, user in enumerate(users):
        invite(user, number, attendees=HUNDRED)
    start_all(users)
    steps = {
        "slow": {"rcpt": lambda _: now.passes(1.5)},
        "stalls": {"rcpt": stall(now)},
        "stalls after DATA": {"end": stall(now, 121)},
        "drops after DATA": {"end": hang_up},
        "gone": {},
    }
    with serving(Faulty(**steps[fault]), settings) as server:
        if fault == "gone":
            settings.EMAIL_PORT = 9
        work(timezone.now() + tasks.TIME_BUDGET, stop=lambda: not Run.objects.filter(state="Pending").exists())
        assert Counter(Run.objects.values_list("state", flat=True)) == {"Succeeded": 20}
    assert max(server.copies().values(), default=1) == 1


def test_runs_get_as_much_time_as_the_messages_of_a_slow_server(
    make_user: MakeUser, settings: Any, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [make_user(f"user{number}") for number in range(12)]
    for number, user in enumerate(users):
        invite(user, number, attendees=HUNDRED)
    start_all(users)
    did: list[tuple[str, float]] = []
    work_run, send = tasks.work_run, tasks.delivery.deliver

    def takes(what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            began = now.since_start()
            now.passes(10 if what == "run" else 0)
            result = do(*args)
            did.append((what, now.since_start() - began))
            return result

        return timed

    monkeypatch.setattr(tasks, "work_run", takes("run", work_run))
    monkeypatch.setattr(tasks.delivery, "deliver", takes("mail", send))
    with serving(Faulty(rcpt=lambda _: now.passes(1.5)), settings):
        work(timezone.now() + tasks.TIME_BUDGET)
    seconds = Counter[str]()
    for what, took in did[: [what for what, _ in did].index("run") + 24]:
        seconds[what] += took
        assert seconds["mail"] <= seconds["run"] + 2 * TURN.total_seconds() or seconds["run"] == 120


def test_a_worker_that_delivers_for_long_gives_signs_of_life(anna: ConferencingUser, settings: Any, now: Clock) -> None:
    invite(anna, attendees=HUNDRED)
    migrate(anna)
    silences: list[timedelta] = []

    async def slowly(_: SMTP) -> None:
        now.passes(9)

    with serving(Faulty(rcpt=slowly), settings):
        deliver()
    silences.append(workers().silence or timedelta(0))
    assert max(silences) <= timedelta(seconds=20)
