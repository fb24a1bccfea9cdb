"""Limits per minute and per domain: held by all workers together, and told to who looks at the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.demo.meetings import Attendee
from migrations_app.mail import limits
from migrations_app.mail.delivery import deliver, is_due
from migrations_app.mail.limits import Limits
from migrations_app.mail.waiting import Queue
from migrations_app.models import MailServer, Run, SentLately, Update
from migrations_app.monitoring import clock as database_clock
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.clock import Clock, clock
from tests.support.mail_servers import HOST, Inbox, Served, relay, serving
from tests.support.meetings import invite, migrate
from tests.support.together import together
from tests.support.visitors import sign_in

ONE = (Attendee("bo@example.org", "Bo"),)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with clock(monkeypatch) as moved:
        yield moved


@pytest.fixture
def own(anna: ConferencingUser, settings: Any, now: Clock) -> Iterator[Served]:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_ALLOWED_MAIL_HOSTS = [HOST]
    with relay() as served:
        change_mail_server(anna.tenant, ACTOR, **served.settings)
        yield served


def queue_of(user: ConferencingUser, count: int, attendees: tuple[Attendee, ...] = ONE) -> Run:
    for number in range(count):
        invite(user, number, attendees=attendees)
    return migrate(user)


def why(user: ConferencingUser) -> list[tuple[str, datetime | None]]:
    queue = Queue(user.tenant)
    found = [queue.why(update) for update in Update.objects.filter(state="Queued").order_by("pk")]
    return [(each.reason, each.until) for each in found if each]


def test_no_more_messages_go_out_in_a_minute_than_the_limit_says(
    anna: ConferencingUser, own: Served, now: Clock
) -> None:
    change_mail_server(anna.tenant, ACTOR, messages_per_minute=3)
    queue_of(anna, 7)
    assert deliver() == 3
    assert not is_due()
    assert deliver() == 0
    ((reason, until), *_) = why(anna)
    assert reason == "As many messages as the limit allows were sent in this minute."
    assert until
    assert timedelta(seconds=59) < until - timezone.now() <= timedelta(seconds=61)
    now.passes(62)
    assert deliver() == 3
    now.passes(62)
    assert deliver() == 1
    assert set(own.relay.copies().values()) == {1}
    assert set(Update.objects.values_list("state", "attempts")) == {("Sent", 1)}, "waiting is no try"


def test_no_more_recipients_of_a_domain_are_written_to_than_the_limit_says(
    anna: ConferencingUser, own: Served, now: Clock
) -> None:
    change_mail_server(anna.tenant, ACTOR, per_domain_per_minute=2)
    many = tuple(Attendee(f"guest{number}@example.org", f"Guest {number}") for number in range(5))
    queue_of(anna, 1, (*many, Attendee("ada@fabrikam.com", "Ada")))
    assert deliver() == 0
    told = Counter(address.rpartition("@")[2] for _, address in own.relay.copies())
    assert told == {"example.org": 2, "fabrikam.com": 1}
    (update,) = Update.objects.all()
    assert (update.state, update.error_code) == ("Queued", "mail-limit")
    assert "example.org" in update.error_detail
    ((reason, until),) = why(anna)
    assert "limit" in reason
    assert until == update.due_at
    while Update.objects.get().state == "Queued":
        now.passes(31)
        deliver()
    assert set(own.relay.copies().values()) == {1}
    assert len(own.relay.copies()) == 6


def test_those_who_sleep_come_back_one_after_the_other(anna: ConferencingUser, own: Served, now: Clock) -> None:
    change_mail_server(anna.tenant, ACTOR, per_domain_per_minute=6)
    queue_of(anna, 30)
    assert deliver() == 6
    asleep = sorted(Update.objects.filter(state="Queued").values_list("due_at", flat=True))
    assert len(asleep) == len(set(asleep)) == 24
    assert asleep[-1] - asleep[0] == timedelta(seconds=230), "10 seconds apart: 6 a minute"
    taken = []
    while Update.objects.filter(state="Queued").exists():
        now.passes(10)
        taken.append(deliver())
    assert max(taken) <= 2
    assert len(taken) < 40


def test_the_installations_server_has_limits_too(anna: ConferencingUser, settings: Any, now: Clock) -> None:
    settings.MMS_MAIL_PER_MINUTE = 2
    with serving(Inbox(), settings) as inbox:
        queue_of(anna, 3)
        assert deliver() == 2
        assert len(inbox.envelopes) == 2


def test_without_limits_nothing_is_counted(anna: ConferencingUser, settings: Any) -> None:
    with serving(Inbox(), settings):
        queue_of(anna, 3)
        assert deliver() == 3
    assert not SentLately.objects.exists()
    assert not MailServer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_workers_hold_a_limit_together() -> None:
    granted = together(lambda number: len(limits.take("a", Limits(messages=2), [f"guest{number}@example.org"]).now))
    assert sum(granted) == 2


@pytest.mark.django_db
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=20), st.integers(1, 8))
def test_in_no_sixty_seconds_there_is_more_than_the_limit(steps: list[tuple[int, int]], limit: int) -> None:
    SentLately.objects.all().delete()
    moment = timezone.now()
    given_out: list[datetime] = []
    original = database_clock.now
    try:
        for pause, recipients in steps:
            moment += timedelta(seconds=pause)
            database_clock.now = lambda at=moment: at
            grant = limits.take(
                "a", Limits(per_domain=limit), [f"{number}@example.org" for number in range(recipients)]
            )
            assert len(grant.now) + len(grant.asleep) == recipients
            assert all(until >= moment for until in grant.asleep.values())
            given_out += [moment] * len(grant.now)
    finally:
        database_clock.now = original
    for begin in given_out:
        assert sum(begin <= each < begin + timedelta(seconds=60) for each in given_out) <= limit


def test_a_changed_limit_wakes_who_sleeps_because_of_the_old_one(
    anna: ConferencingUser, own: Served, now: Clock
) -> None:
    change_mail_server(anna.tenant, ACTOR, messages_per_minute=1, per_domain_per_minute=1)
    queue_of(anna, 4)
    assert deliver() == 1
    change_mail_server(anna.tenant, ACTOR, messages_per_minute=0, per_domain_per_minute=0)
    assert deliver() == 3


# --- visible --------------------------------------------------------------------------------------------


def test_the_pages_of_run_and_meeting_and_the_check_say_why_a_message_sleeps(
    anna: ConferencingUser, own: Served, cast: None, now: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    own.relay.greylist()
    run = queue_of(anna, 1)
    deliver()
    alice = sign_in("alice")
    page = f"/contoso/migrations/{run.correlation_id}/"
    for address in (page, f"{page}meetings/{run.results.get().pk}/"):
        text = alice.get(address).content.decode()
        assert "asks to be given the message later" in text
        assert "MMS tries again" in text
    call_command("get_mail_server", "--tenant", "contoso")
    shown = capsys.readouterr().out
    assert "MessagesWaiting    : 1" in shown
    assert "WaitingBecause     : The mail server asks to be given the message later" in shown
    Update.objects.update(queued_at=timezone.now() - timedelta(hours=3))
    with pytest.raises(SystemExit) as ended:
        call_command("check_migrations")
    assert ended.value.code == 2
    assert "a message has waited for 3 h (The mail server asks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({"failures": 9, "last_error": "no answer in time"}, "The mail server does not answer (no answer in time)."),
        ({"failures": 9, "last_error": "answer 535"}, "The mail server turns MMS away (answer 535)."),
    ],
)
def test_a_silent_server_is_the_reason_for_all_that_waits_for_it(
    anna: ConferencingUser, own: Served, now: Clock, server: dict[str, Any], told: str
) -> None:
    queue_of(anna, 2)
    until = timezone.now() + timedelta(minutes=5)
    MailServer.objects.create(
        name=f"{HOST}:{own.port} of contoso", failing_since=timezone.now(), next_try_at=until, **server
    )
    assert why(anna) == [(told, until)] * 2


def test_a_message_that_waits_for_nothing_is_next(anna: ConferencingUser, own: Served) -> None:
    queue_of(anna, 1)
    assert why(anna) == [("It is next, as soon as a worker is free.", None)]


# --- many recipients, and clocks that are set back ------------------------------------------------------


@pytest.mark.parametrize(("limit", "recipients", "messages"), [(20, 1000, 1), (1, 100, 1), (20, 100, 3), (20, 1, 200)])
@pytest.mark.django_db
def test_large_messages_take_the_time_that_the_limit_leaves_them_and_no_more(
    limit: int, recipients: int, messages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = began = timezone.now()
    monkeypatch.setattr(database_clock, "now", lambda: now)
    left = {each: [f"{each}-{number}@example.org" for number in range(recipients)] for each in range(messages)}
    due = dict.fromkeys(left, began)
    while due:
        message = min(due, key=lambda each: due[each])
        now = due[message]
        asleep: dict[str, datetime] = {}
        while some := [address for address in left[message] if address not in asleep][:100]:
            grant = limits.take("a", Limits(per_domain=limit), some)
            asleep |= grant.asleep
            left[message] = [address for address in left[message] if address not in grant.now]
        due[message] = min(asleep.values(), default=now)
        if not left[message]:
            del due[message]

    assert now - began <= 1.5 * timedelta(minutes=recipients * messages / limit) + timedelta(minutes=2)


@pytest.mark.django_db
def test_room_that_was_booked_by_a_clock_ahead_is_forgotten() -> None:
    ahead = timezone.now() + timedelta(days=1)
    for domain in ("", "example.org"):
        SentLately.objects.create(
            server="a", domain=domain, seconds={str(int(ahead.timestamp())): 1}, booked_until=ahead
        )
    one = Limits(per_domain=1)
    assert limits.take("a", one, ["bo@example.org"]).now
    waits = [limits.take("a", one, [f"guest{number}@example.org"]).asleep.popitem()[1] for number in range(2)]
    assert timedelta(seconds=59) <= waits[1] - waits[0] <= timedelta(seconds=61)
    assert waits[1] < timezone.now() + timedelta(minutes=3)
