"""One story on a real Radicale: from the connection to the corrected meeting that another program reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import caldav
import pytest

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import CalendarObject, IndexedMeeting, IntendedWrite, MeetingResult, Update
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR
from tests.support.meetings import STAY, migrate, plan
from tests.support.radicale_server import PASSWORD, SERVICE, RadicaleServer, radicale

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadicaleServer]:
    with radicale(tmp_path_factory.mktemp("radicale"), ("anna.rossi@contoso.com",)) as running:
        yield running


@pytest.fixture
def connection(anna: ConferencingUser, server: RadicaleServer, settings: Any) -> MailboxConnection:
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1"]
    return create_connection(
        anna.tenant,
        ACTOR,
        "Radicale",
        address=server.address,
        username=SERVICE,
        password=PASSWORD,
        path_template="/{upn}/",
        make_default=True,
    )


@pytest.fixture
def calendar(anna: ConferencingUser, server: RadicaleServer) -> Iterator[str]:
    href = server.make_calendar(anna.upn, "work")
    yield href
    server.delete(href)


def store(server: RadicaleServer, calendar: str, user: ConferencingUser, number: int = 0) -> tuple[str, bytes]:
    ((uid, body),) = split_objects(invitations.skype_html(plan(user, number)))
    server.put(f"{calendar}{number}.ics", body)
    return uid, body


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


def test_from_the_scan_to_the_update_that_other_programs_read(
    anna: ConferencingUser,
    new_bridge: Bridge,
    connection: MailboxConnection,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
) -> None:
    stored = dict(store(server, calendar, anna, number) for number in range(3))
    anna = reloaded(anna)
    mailbox = mailbox_of(anna)
    mailbox.refresh(lambda: None)
    assert set(IndexedMeeting.objects.values_list("uid", flat=True)) == set(stored)
    assert not CalendarObject.objects.exists()
    assert mailbox.as_of is not None
    assert mailbox.as_of.scanned_at
    connection.refresh_from_db()
    assert connection.server_tells is False

    change_user(anna, ACTOR, bridge=new_bridge)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, run.succeeded_meetings, run.invites_update) == ("Succeeded", 3, 3)
    assert not IntendedWrite.objects.exists()
    deliver()
    assert set(Update.objects.values_list("state", flat=True)) == {"Sent"}
    assert len(list(outbox.iterdir())) == 3

    with caldav.DAVClient(server.address, username=SERVICE, password=PASSWORD) as client:
        read = client.calendar(url=server.address.rstrip("/") + calendar).events()
        texts = [str(each.icalendar_component["DESCRIPTION"]) for each in read]
    assert len(texts) == 3
    for text in texts:
        assert "+44 20 7946 0123" in text
        assert "(425) 555-0101" not in text

    again = migrate(reloaded(anna), STAY)
    codes = Counter(MeetingResult.objects.filter(run=again).values_list("code", flat=True))
    assert (again.state, codes, again.invites_update) == ("Succeeded", Counter({"already-current": 3}), 0)
    assert not reloaded(anna).is_out_of_date
