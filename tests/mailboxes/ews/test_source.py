"""A calendar on an Exchange server, read and written by its web services."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.exchange.events import Change, Entry, ExchangeEvent, Kind, Person
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Unsettled
from tests.mailboxes.ews.conftest import ANNA, Open
from tests.support.ews_stand_in import ONE_BY_ONE, PASSWORD, TOGETHER, EwsStandIn
from tests.support.ews_stand_in.store import Item

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GUESTS = (("bob@fabrikam.com", "Bob", "Accept"), ("cleo@fabrikam.com", "Cleo", "Decline"))
BODY = "<html>\r\n<body>50 % of it,\r\rü \U0001f600 &amp; &#38; <!-- x -->\u2028\xa0</body>\n</html>"


def listed(source: EwsSource) -> list[Entry]:
    return [entry for entries in source.list(NOW, lambda: None) for entry in entries]


def read(source: EwsSource, item: Item) -> ExchangeEvent:
    return source.read([item.id])[item.id]


def change(event: ExchangeEvent, body: str | None = "<p>new</p>", **more: object) -> Change:
    return replace(Change(event.id, event.change_key, event.kind, body), **more)


def a_meeting(exchange: EwsStandIn, **more: object) -> Item:
    item = Item("One", NOW + HOUR, NOW + 2 * HOUR, BODY, required=GUESTS, **more)  # type: ignore[arg-type]
    return exchange.mailbox(ANNA).add(item)


def a_series(exchange: EwsStandIn) -> Item:
    first = NOW - 14 * DAY
    later = Item("Late", first + 21 * DAY + HOUR, first + 21 * DAY + 2 * HOUR, "<p>late</p>", required=GUESTS)
    later.original_start = first + 21 * DAY
    other = Item("Other", first + 28 * DAY, first + 28 * DAY + HOUR, "<p>other</p>", required=GUESTS)
    item = Item("Weekly", first, first + HOUR, BODY, zone="W. Europe Standard Time", required=GUESTS)
    item.rrule, item.exceptions, item.deleted = "FREQ=WEEKLY;BYDAY=MO;COUNT=9", [other, later], [first + 35 * DAY]
    return exchange.mailbox(ANNA).add(item)


def test_lists_what_is_to_come_and_every_series_of_the_calendars_it_may_write(
    exchange: EwsStandIn, opened: Open
) -> None:
    box = exchange.mailbox(ANNA)
    box.add(Item("Over", NOW - 2 * HOUR, NOW - HOUR))
    meeting, series = a_meeting(exchange), a_series(exchange)
    own, trash = box.add_folder("Work", parent=box.calendar.id), box.add_folder("Old", parent=box.trash.id)
    other = box.add_folder("Holidays", parent=box.calendar.id, may_write=False)
    mail = box.add_folder("Mail", "IPF.Note", parent=box.root.id)
    second = box.add(Item("Two", NOW + HOUR, NOW + 2 * HOUR), own)
    for folder in (trash, other, mail):
        box.add(Item("Not mine", NOW + HOUR, NOW + 2 * HOUR), folder)
    exchange.most_on_a_page = 1
    with opened() as source:
        assert listed(source) == [
            Entry(meeting.id, meeting.change_key, Kind.SINGLE),
            Entry(series.id, series.change_key, Kind.SERIES),
            Entry(second.id, second.change_key, Kind.SINGLE),
        ]
    with opened(calendars=["work "]) as source:
        assert [entry.id for entry in listed(source)] == [second.id]
    with opened(calendars=["Nowhere"]) as source, pytest.raises(Failure) as caught:
        listed(source)
    assert caught.value.code == "mailbox-not-found"


def test_keeps_its_lease_before_every_request(exchange: EwsStandIn, opened: Open) -> None:
    a_meeting(exchange)
    asked: list[int] = []
    with opened() as source:
        for _ in source.list(NOW, lambda: asked.append(exchange.requests.total())):
            pass
    assert asked == [*range(exchange.requests.total())]


def test_reads_a_meeting_character_for_character(exchange: EwsStandIn, opened: Open) -> None:
    named = {"ConferenceTelURI": "tel:+1;x=1", "SkypeTeamsProperties": '{"cid":"19:x"}', "Unknown": "left"}
    item = a_meeting(
        exchange,
        named=named,
        location="Room 1",
        optional=(("dan@fabrikam.com", "Dan", "Tentative"),),
        resources=(("room@contoso.com", "Room 1", "Accept"),),
        sequence=7,
        state=5,
    )
    with opened() as source:
        event = read(source, item)
    assert event == ExchangeEvent(
        id=item.id,
        change_key=item.change_key,
        uid=item.uid,
        kind=Kind.SINGLE,
        subject="One",
        organizer=Person(ANNA, "Anna"),
        starts_at=NOW + HOUR,
        ends_at=NOW + 2 * HOUR,
        body=BODY,
        zone="Etc/UTC",
        is_cancelled=True,
        attendees=(
            Person("bob@fabrikam.com", "Bob", "ACCEPTED"),
            Person("cleo@fabrikam.com", "Cleo", "DECLINED"),
            Person("dan@fabrikam.com", "Dan", "TENTATIVE", "OPT-PARTICIPANT"),
            Person("room@contoso.com", "Room 1", "ACCEPTED", "NON-PARTICIPANT", is_room=True),
        ),
        location="Room 1",
        properties={"ConferenceTelURI": "tel:+1;x=1", "SkypeTeamsProperties": '{"cid":"19:x"}'},
        sequence=7,
    )


@pytest.mark.parametrize("change_keys", [TOGETHER, ONE_BY_ONE])
def test_a_series_is_read_and_written_part_by_part(exchange: EwsStandIn, opened: Open, change_keys: str) -> None:
    exchange.change_keys = change_keys
    item = a_series(exchange)
    with opened() as source:
        event = read(source, item)
        assert (event.rrule, event.zone) == ("FREQ=WEEKLY;BYDAY=MO;WKST=MO;COUNT=9", "Europe/Berlin")
        assert event.excluded == (item.starts_at + 35 * DAY,)
        assert [(each.subject, each.recurrence_id) for each in event.exceptions] == [
            ("Late", item.starts_at + 21 * DAY),
            ("Other", item.starts_at + 28 * DAY),
        ]
        for at in range(2):
            source.apply(change(read(source, item).exceptions[at], body=f"<p>{at}</p>"))
        key = source.apply(change(read(source, item)))
        assert key == item.change_key
    assert [each.body for each in (item, *item.exceptions)] == ["<p>new</p>", "<p>1</p>", "<p>0</p>"]
    assert [mail.original_start for mail in exchange.mails] == [
        item.starts_at + 21 * DAY,
        item.starts_at + 28 * DAY,
        None,
    ]


def test_what_is_written_arrives_as_it_is_and_everybody_is_told(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(
        exchange, named={"ConferenceTelURI": "tel:+1", "OnlineMeetingConfLink": "sip:old"}, location="Skype"
    )
    with opened() as source:
        event = read(source, item)
        what = {"OnlineMeetingConfLink": "", "OnlineMeetingExternalLink": "https://meet.contoso.com/x?a=1&b=2"}
        key = source.apply(change(event, BODY + "100 %s %", properties=what, location=""))
        assert key == read(source, item).change_key != event.change_key
    assert item.body == BODY + "100 %s %"
    assert (item.body_type, item.location) == ("HTML", "")
    assert item.named == {"ConferenceTelURI": "tel:+1", "OnlineMeetingExternalLink": what["OnlineMeetingExternalLink"]}
    assert exchange.requests["UpdateItem"] == len(exchange.mails) == 1
    sent = next(body for body in exchange.bodies if b"UpdateItem" in body)
    for part in (b'"NeverOverwrite"', b'"SendToAllAndSaveCopy"', f'Id="{item.id}" ChangeKey="'.encode()):
        assert part in sent
    for part in (b"IsOnlineMeeting", b"calendar:Start", b"TimeZone>", b"Attendees", b"item:Subject"):
        assert part not in sent


def test_a_text_body_stays_text(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange, body_type="Text")
    with opened() as source:
        event = read(source, item)
        assert not event.body_is_html
        source.apply(change(event, "plain & simple\r\n", body_is_html=False))
    assert (item.body, item.body_type) == ("plain & simple\r\n", "Text")


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1f", "\ufffe", "\x85\x92"])
def test_what_cannot_be_carried_is_read_and_never_written(exchange: EwsStandIn, opened: Open, character: str) -> None:
    item = a_meeting(exchange)
    item.body = f"<p>a{character}b</p>"
    with opened() as source:
        event = read(source, item)
        assert event.body == item.body
        with pytest.raises(Refused, match="meeting-refused-by-server") as caught:
            source.apply(change(event, event.body + "x"))
    assert "cannot be written unchanged" in caught.value.detail
    assert exchange.requests["UpdateItem"] == 0


def test_somebody_else_was_faster(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        event = read(source, item)
        item.version += 1
        with pytest.raises(Changed):
            source.apply(change(event))
        exchange.mailbox(ANNA).delete(item)
        with pytest.raises(Gone):
            source.apply(change(event))
        assert source.read([item.id, "AAMkNone"]) == {}
    assert item.body == BODY
    assert not exchange.mails


@pytest.mark.parametrize(
    ("fault", "body"), [("cut-before", BODY), ("cut-after", "<p>new</p>"), ("short", "<p>new</p>")]
)
def test_nobody_knows_what_became_of_a_write_that_was_cut_off(
    exchange: EwsStandIn, opened: Open, fault: str, body: str
) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        event = read(source, item)
        exchange.faults = [("UpdateItem", fault)]
        with pytest.raises(Unsettled):
            source.apply(change(event))
        assert read(source, item).body == body
    assert exchange.requests["UpdateItem"] == 1  # it is not sent again


@pytest.mark.parametrize("fault", ["503", "page", "store", "item-store"])
def test_nobody_knows_what_became_of_a_write_that_was_answered_oddly(
    exchange: EwsStandIn, opened: Open, fault: str
) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        event = read(source, item)
        exchange.faults = [("UpdateItem", fault)]
        with pytest.raises(Unsettled):
            source.apply(change(event))
    assert exchange.requests["UpdateItem"] == 1


def test_what_was_lost_on_the_way_is_asked_again_once(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        read(source, item)
        exchange.faults = [("GetItem", "cut-before")]
        assert read(source, item).body == BODY
        exchange.faults = [("GetItem", "cut-before")] * 2
        with pytest.raises(Failure, match="mailbox-unavailable"):
            read(source, item)


@pytest.mark.parametrize(
    ("fault", "code", "seconds"),
    [
        ("busy", "mailbox-unavailable", 120),
        ("item-busy", "mailbox-unavailable", 120),
        ("store", "mailbox-unavailable", None),
        ("503", "mailbox-unavailable", None),
        ("401", "mailbox-sign-in-refused", None),
        ("moved", "mailbox-address", None),
        ("page", "mailbox-answer", None),
    ],
)
def test_every_refusal_has_a_code(
    exchange: EwsStandIn, opened: Open, fault: str, code: str, seconds: int | None
) -> None:
    item = a_meeting(exchange)
    exchange.faults = [("GetItem", fault)]
    with opened() as source, pytest.raises(Failure) as caught:
        read(source, item)
    assert caught.value.code == code
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert caught.value.is_of_one_mailbox == (fault == "store")
    assert PASSWORD not in caught.value.detail


def test_a_busy_server_has_not_written(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        event = read(source, item)
        exchange.faults = [("UpdateItem", "busy")]
        with pytest.raises(Failure) as caught:
            source.apply(change(event))
        assert caught.value.retry_after == timedelta(minutes=2)
        source.apply(change(event))
    assert item.body == "<p>new</p>"
    assert len(exchange.mails) == 1


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"password": "wrong"}, "mailbox-sign-in-refused", "user name or the password"),
        ({"upn": "nobody@contoso.com"}, "mailbox-not-found", "nobody@contoso.com"),
        ({"upn": "no address"}, "mailbox-not-found", "no address"),
        ({"ca_certificates": ""}, "mailbox-certificate", "localhost"),
        ({"allowed_hosts": set()}, "mailbox-address", "private network"),
        ({"username": "a:b"}, "mailbox-sign-in-refused", "colon"),
    ],
)
def test_connections_that_do_not_work(
    exchange: EwsStandIn, opened: Open, changes: dict[str, object], code: str, told: str
) -> None:
    with pytest.raises(Failure) as caught, opened(**changes) as source:
        listed(source)
    assert caught.value.code == code
    assert told in caught.value.detail
    assert exchange.requests.total() == 0


def test_a_wrong_path_and_a_way_in_that_the_server_does_not_take(exchange: EwsStandIn, opened: Open) -> None:
    with pytest.raises(Failure) as caught, opened(address=f"{exchange.origin}/owa/") as source:
        listed(source)
    assert caught.value.code == "mailbox-address"
    exchange.sign_in = {"ntlm"}
    with pytest.raises(Failure) as caught, opened() as source:
        listed(source)
    assert caught.value.code == "mailbox-sign-in-refused"
    assert "but NTLM" in caught.value.detail


def test_without_the_role_nothing_is_read(exchange: EwsStandIn, opened: Open) -> None:
    exchange.may_impersonate = set()
    with opened() as source, pytest.raises(Failure) as caught:
        listed(source)
    assert caught.value.code == "mailbox-forbidden"
    assert "ApplicationImpersonation" in caught.value.detail


def test_signs_in_by_ntlm_once_for_each_connection(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange)
    exchange.sign_in = {"ntlm"}
    with opened(username="CONTOSO\\svc-mms", sign_in_by="ntlm") as source:
        source.apply(change(read(source, item)))
        exchange.faults = [("GetItem", "cut-before")]
        assert read(source, item).body == "<p>new</p>"
        assert source.client.adapter.opened == 2
    wrong = {"username": "CONTOSO\\svc-mms", "password": "wrong", "sign_in_by": "ntlm"}
    with opened(**wrong) as source, pytest.raises(Failure) as caught:
        read(source, item)
    assert caught.value.code == "mailbox-sign-in-refused"


def test_a_user_signs_in_to_their_own_mailbox(exchange: EwsStandIn, opened: Open) -> None:
    item = a_meeting(exchange)
    exchange.passwords.set({ANNA: "her own"})
    with opened(username=ANNA, password="her own", impersonate=False) as source:
        source.apply(change(read(source, item)))
    assert item.body == "<p>new</p>"
    assert not any(b"ExchangeImpersonation" in body for body in exchange.bodies)


def test_what_nobody_can_read_keeps_nobody_from_the_rest(exchange: EwsStandIn, opened: Open) -> None:
    good, broken = a_meeting(exchange), a_series(exchange)
    broken.rrule = "FREQ=WEEKLY;BYDAY=MO;COUNT=9"
    broken.uid = broken.exceptions[0].uid = ""
    with opened() as source:
        assert set(source.read([good.id, broken.id])) == {good.id}


def test_an_exception_that_is_deleted_meanwhile_is_none_any_more(exchange: EwsStandIn, opened: Open) -> None:
    item = a_series(exchange)
    box = exchange.mailbox(ANNA)
    with opened() as source:
        ask = source.client.read
        deleted = []

        def read_and_delete(ids: list[str]) -> object:
            found = ask(ids)
            if not deleted:
                deleted.append(item.exceptions[0])
                box.delete(item.exceptions[0])
            return found

        source.client.read = read_and_delete  # type: ignore[method-assign, assignment]
        event = read(source, item)
    assert [each.subject for each in event.exceptions] == ["Late"]
    assert len(event.excluded) == 2


def test_nothing_of_a_meeting_is_logged(exchange: EwsStandIn, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    item = a_meeting(exchange)
    with opened() as source:
        event = read(source, item)
        exchange.faults = [("*", "cut-after"), ("*", "busy"), ("*", "401")]
        for _ in range(3):
            with pytest.raises((Failure, Unsettled)):
                source.apply(change(event, "<p>secret text</p>"))
    assert "secret text" not in caplog.text
    assert PASSWORD not in caplog.text
