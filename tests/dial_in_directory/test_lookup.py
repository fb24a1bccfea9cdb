"""R43, R46: the numbers and IDs that invitations print lead to the same meeting as their join link."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from migrations_app.dial_in_directory import lookup
from migrations_app.failures import Failure
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.meeting_services.base import Request
from migrations_app.meeting_services.link import LinkService
from migrations_app.meeting_services.remembered import Remembered, SeenMeeting
from migrations_app.models import OnlineMeeting
from migrations_app.rewriting.online_meeting import OnlineMeeting as Made
from tenants_app.changes.bridges import register_number, set_bridge, set_leaving
from tenants_app.changes.conference_ids import private_conference_ids
from tenants_app.changes.tenants import change_tenant, create_tenant, renew_directory_key
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferenceId, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.directory import MAPPER, NOW, NUMBERS, Hold, at
from tests.support.jitsi_client import JitsiMeet, TelephoneBridge, in_process, room_address
from tests.support.samples import event
from tests.support.two_tenants import furnish

MakeUser = Callable[..., ConferencingUser]
BUDGET, REVIEW = "budget@contoso.com", "review@contoso.com"


@pytest.fixture
def bruno(make_user: MakeUser) -> ConferencingUser:
    """Each of whose meetings has an ID of its own."""
    return make_user("bruno.costa", conference_id_type="private")


def id_of(user: ConferencingUser, uid: str) -> str:
    return private_conference_ids(user, [uid])[0][uid]


# --- what Jitsi Meet asks -----------------------------------------------------------------------------


def test_r46_by_name_anyone_learns_the_id_that_the_invitation_prints(
    jitsi: JitsiMeet, anna: ConferencingUser, bruno: ConferencingUser, hold: Hold
) -> None:
    shared, own, new = hold(anna, "AAAA2222"), hold(bruno, "BBBB3333"), hold(bruno, "CCCC4444", REVIEW)
    digits = id_of(bruno, BUDGET)

    assert str(jitsi.conference_id(shared.join_url)) == anna.conference_id
    assert str(jitsi.conference_id(own.join_url)) == digits
    assert jitsi.conference_id(new.join_url) is None, "whose invitation shows no ID yet"


@pytest.mark.parametrize(
    "address",
    [
        "aaaa2222@conference.meet.contoso.com",
        "AAAA2222@conference.meet.contoso.com",
        "aaaa2222@conference.anna_rossi.meet.contoso.com",
        "aaaa2222@conference.anna.rossi.meet.contoso.com",
        "AAAA2222@CONFERENCE.Anna.Rossi.MEET.contoso.com",
    ],
)
def test_r46_a_room_is_known_in_any_case_with_its_path_or_without(
    key: str, anna: ConferencingUser, hold: Hold, address: str
) -> None:
    hold(anna, "AAAA2222")

    found = in_process()(f"{MAPPER}?conference={address}", {}).json

    assert found == {"message": lookup.FOUND, "id": int(anna.conference_id), "conference": address.lower()}


@pytest.mark.parametrize(
    "address",
    [
        "aaaa2222@conference.meet.fabrikam.com",
        "aaaa2222@conference.evil-meet.contoso.com",
        "aaaa2222@conference.contoso.com",
        "aaaa2222@conference.meet.contoso.com.example.org",
        "aaaa2222@conference.bruno_costa.meet.contoso.com",
        "aaaa2222@meet.contoso.com",
        "aaaa2223@conference.meet.contoso.com",
        "aaaa2222",
        "@conference.meet.contoso.com",
    ],
)
def test_r46_a_room_that_is_elsewhere_is_unknown(key: str, anna: ConferencingUser, hold: Hold, address: str) -> None:
    hold(anna, "AAAA2222")

    asked = in_process()(f"{MAPPER}?conference={address}", {})

    assert asked.status == 200
    assert asked.json == {"message": lookup.UNKNOWN, "id": False, "conference": False}


@pytest.mark.parametrize(
    ("join_url", "muc"),
    [
        ("https://meet.contoso.com/AAAA2222", "conference.meet.contoso.com"),
        ("https://meet.contoso.com:8443/anna/AAAA2222", "conference.anna.meet.contoso.com"),
        ("https://meet.contoso.com/rooms/fabrikam.com/o%27brien/AAAA2222", "conference.o'brien.meet.contoso.com"),
        ("https://meet.contoso.com/fabrikam.com/a.b/AAAA2222", "conference.a_b.meet.contoso.com"),
    ],
)
def test_r46_the_room_by_id_is_the_one_that_jitsi_opens_at_the_link(
    jitsi: JitsiMeet, bridge: TelephoneBridge, bruno: ConferencingUser, hold: Hold, join_url: str, muc: str
) -> None:
    hold(bruno, "AAAA2222", join_url=join_url)

    assert bridge.room(id_of(bruno, BUDGET)) == f"aaaa2222@{muc}"
    assert str(jitsi.conference_id(join_url)) == id_of(bruno, BUDGET)


def test_r46_the_list_has_the_numbers_by_country_with_the_toll_free_ones_told_apart(
    jitsi: JitsiMeet, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    acp = set_bridge(old_bridge.tenant, "Intercall", ACTOR, provider="Intercall")
    register_number(acp, "+390612345678", "toll", ACTOR)
    set_leaving(register_number(old_bridge, "+14255550111", "toll", ACTOR), True)
    register_number(old_bridge, "+18005550199", "toll-free", ACTOR)

    assert jitsi.numbers("https://meet.contoso.com/anna/AAAA2222") == [
        {"countryCode": "US", "tollFree": False, "formattedNumber": "+1 425-555-0100", "default": True},
        {"countryCode": "GB", "tollFree": False, "formattedNumber": "+44 20 7946 0123"},
        {"countryCode": "GB", "tollFree": True, "formattedNumber": "+44 808 157 0123"},
        {"countryCode": "US", "tollFree": True, "formattedNumber": "+1 800-555-0199"},
    ]
    assert jitsi.default_number("https://meet.contoso.com/anna/AAAA2222") == "+1 425-555-0100"


def test_r46_a_tenant_without_numbers_has_an_empty_list(jitsi: JitsiMeet) -> None:
    assert jitsi.numbers("https://meet.contoso.com/anna/AAAA2222") == []


def test_a_meeting_without_a_phone_part_has_no_id(
    jitsi: JitsiMeet, bridge: TelephoneBridge, bruno: ConferencingUser, hold: Hold
) -> None:
    meeting = hold(bruno, "BBBB3333")
    digits = id_of(bruno, BUDGET)
    change_user(bruno, ACTOR, audio_conferencing_license=False)

    assert jitsi.conference_id(meeting.join_url) is None
    assert bridge.room(digits) is None


# --- what a telephone bridge asks ---------------------------------------------------------------------


def test_r43_a_private_id_leads_to_its_meeting_at_any_time(
    bridge: TelephoneBridge, bruno: ConferencingUser, hold: Hold
) -> None:
    budget, review = hold(bruno, "AAAA2222"), hold(bruno, "BBBB3333", REVIEW)

    assert bridge.room(id_of(bruno, BUDGET)) == room_address(budget.join_url)
    assert bridge.room(id_of(bruno, REVIEW)) == room_address(review.join_url)


def test_r40_of_two_rooms_of_a_meeting_both_answer_and_the_id_leads_to_the_newest(
    jitsi: JitsiMeet, bridge: TelephoneBridge, bruno: ConferencingUser, hold: Hold
) -> None:
    new = hold(bruno, "AAAA2222", made_under="https://join.contoso.com")
    old = hold(bruno, "AAAA2222", age=timedelta(days=9))
    digits = id_of(bruno, BUDGET)

    assert str(jitsi.conference_id(old.join_url)) == str(jitsi.conference_id(new.join_url)) == digits
    assert bridge.room(digits) == room_address(new.join_url)


def test_r40_an_old_link_that_is_noted_after_a_new_one_was_made_is_the_older_of_the_two(
    jitsi: JitsiMeet, bridge: TelephoneBridge, bruno: ConferencingUser
) -> None:
    """A run makes the new one first, and notes what the invitations showed with what it has written."""
    service = LinkService(bruno)
    with time_machine.travel(NOW, tick=True):
        remembered = Remembered(bruno)
        (made,) = remembered.make(service, [Request(BUDGET)]).values()
        assert isinstance(made, Made)
        new, old = made.join_url, made.join_url.replace("//meet.", "//old.")
        remembered.remember([SeenMeeting(Request(BUDGET), "Link", old, has_given_id=False)])
    digits = id_of(bruno, BUDGET)

    assert str(jitsi.conference_id(old)) == str(jitsi.conference_id(new)) == digits
    assert bridge.room(digits) == room_address(new)


@pytest.mark.parametrize("service", ["Teams", "SkypeForBusiness"])
def test_r46_the_id_of_a_meeting_hosted_elsewhere_is_one_that_does_not_exist(
    key: str, anna: ConferencingUser, bruno: ConferencingUser, hold: Hold, service: str
) -> None:
    hold(anna, "AAAA2222", BUDGET, at("1000", "1100"), service=service)
    hold(bruno, "BBBB3333", service=service)
    ask = in_process()
    bearer = {"Authorization": f"Bearer {key}"}

    for digits in (anna.conference_id, id_of(bruno, BUDGET), id_of(bruno, REVIEW), "9999999"):
        found = ask(f"{MAPPER}?id={digits}", bearer).json
        assert found == {"message": lookup.UNKNOWN, "id": int(digits), "conference": False}
    assert ask(f"{MAPPER}?conference=aaaa2222@conference.meet.contoso.com", {}).json["conference"] is False


@pytest.mark.parametrize(
    ("budget", "review", "leads_to"),
    [
        (at("1000", "1100"), at("1200", "1300", uid=REVIEW), "AAAA2222"),
        (at("0900", "1100"), at("1000", "1100", uid=REVIEW), "BBBB3333"),
        (at("1000", "1100"), at("1015", "1100", uid=REVIEW), "AAAA2222"),
        (at("0900", "1005"), at("1020", "1100", uid=REVIEW), "BBBB3333"),
        (at("1010", "1100"), at("1020", "1100", uid=REVIEW), "AAAA2222"),
        (at("0900", "1005"), at("1021", "1100", uid=REVIEW), None),
        (at("0900", "1005"), at("1000", "1100", "STATUS:CANCELLED", uid=REVIEW), None),
        (
            at("1000", "1100"),
            event(uid=REVIEW, start="DTSTART;VALUE=DATE:20300304", end="DTEND;VALUE=DATE:20300305"),
            "AAAA2222",
        ),
        (
            at("0900", "1005"),
            event(uid=REVIEW, start="DTSTART;VALUE=DATE:20300304", end="DTEND;VALUE=DATE:20300305"),
            "BBBB3333",
        ),
        (
            at("0900", "1005"),
            event(
                "RRULE:FREQ=WEEKLY",
                uid=REVIEW,
                start="DTSTART;TZID=Europe/Rome:20290305T110000",
                end="DTEND;TZID=Europe/Rome:20290305T120000",
            ),
            "BBBB3333",
        ),
    ],
)
def test_r46_a_public_id_leads_to_the_meeting_that_is_on_or_about_to_begin(
    key: str,
    bridge: TelephoneBridge,
    anna: ConferencingUser,
    hold: Hold,
    budget: list[str],
    review: list[str],
    leads_to: str | None,
) -> None:
    """It is 10:05 UTC."""
    rooms = {room: hold(anna, room, uid, lines) for room, uid, lines in [("AAAA2222", BUDGET, budget)]}
    rooms["BBBB3333"] = hold(anna, "BBBB3333", REVIEW, review)

    assert bridge.room(anna.conference_id) == (room_address(rooms[leads_to].join_url) if leads_to else None)
    if leads_to is None:
        asked = in_process()(f"{MAPPER}?id={anna.conference_id}", {"Authorization": f"Bearer {key}"})
        assert asked.json["message"] == lookup.NOTHING_ON


def test_r46_a_meeting_that_is_not_on_jitsi_does_not_take_a_public_id(
    bridge: TelephoneBridge, anna: ConferencingUser, hold: Hold
) -> None:
    here = hold(anna, "AAAA2222", BUDGET, at("0900", "1100"))
    hold(anna, "BBBB3333", REVIEW, at("1000", "1100", uid=REVIEW), service="Teams")

    assert bridge.room(anna.conference_id) == room_address(here.join_url)


def test_r46_a_meeting_of_another_organizer_in_the_mailbox_does_not_take_a_public_id(
    bridge: TelephoneBridge, anna: ConferencingUser, make_user: MakeUser, hold: Hold
) -> None:
    hold(anna, "AAAA2222", BUDGET, at("1000", "1100"))
    body = bytes(anna.calendar_objects.get().body).replace(b"anna.rossi@contoso.com", b"zoe@contoso.com")
    EmbeddedMailbox(anna).store([(BUDGET, body)])

    assert bridge.room(anna.conference_id) is None


def test_r41_an_occurrence_with_a_room_of_its_own_is_found_while_it_is_on(
    bridge: TelephoneBridge, anna: ConferencingUser, bruno: ConferencingUser, hold: Hold, clock: Any
) -> None:
    series = event("RRULE:FREQ=DAILY", start="DTSTART:20300301T100000Z", end="DTEND:20300301T110000Z")
    moved = event("RECURRENCE-ID:20300305T100000Z", start="DTSTART:20300304T100000Z", end="DTEND:20300304T103000Z")
    off = event("RECURRENCE-ID:20300304T100000Z", "STATUS:CANCELLED", start="DTSTART:20300304T100000Z")
    for user, digits in ((anna, anna.conference_id), (bruno, id_of(bruno, BUDGET))):
        usual = hold(user, "AAAA2222", BUDGET, series, off, moved, age=timedelta(days=1))
        own = hold(user, "CCCC4444", recurrence_id="20300305T100000Z")

        assert bridge.room(digits) == room_address(own.join_url)
        clock.shift(timedelta(days=2))
        assert bridge.room(digits) == room_address(usual.join_url)
        clock.move_to(NOW)


def test_r46_nobody_is_put_through_by_a_calendar_that_cannot_be_read(
    bridge: TelephoneBridge, anna: ConferencingUser, hold: Hold
) -> None:
    hold(anna, "AAAA2222", BUDGET, at("1000", "1100"))
    review = hold(anna, "BBBB3333", REVIEW, at("0900", "1100", uid=REVIEW))
    anna.calendar_objects.filter(uid=BUDGET).update(body=b"BEGIN:VCALENDAR")

    assert bridge.room(anna.conference_id) == room_address(review.join_url)


def test_a_mailbox_that_does_not_answer_is_asked_again(
    key: str, anna: ConferencingUser, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(anna, "AAAA2222", BUDGET, at("1000", "1100"))

    def refuse(_: ConferencingUser) -> Any:
        raise Failure("mailbox-unavailable", "connection refused by 192.0.2.7")

    monkeypatch.setattr(lookup, "mailbox_of", refuse)
    asked = in_process()(f"{MAPPER}?id={anna.conference_id}", {"Authorization": f"Bearer {key}"})

    assert (asked.status, asked.headers["retry-after"]) == (503, "60")
    assert asked.json["conference"] is False
    assert "192.0.2.7" not in asked.text


# --- bridges and tenants ------------------------------------------------------------------------------


def test_r43_an_id_on_two_bridges_is_told_apart_by_the_dialled_number(
    key: str, bridge: TelephoneBridge, bruno: ConferencingUser, make_user: MakeUser, new_bridge: Bridge, hold: Hold
) -> None:
    clara = make_user("clara.vega", conference_id_type="private", bridge=new_bridge)
    here, there = hold(bruno, "AAAA2222"), hold(clara, "BBBB3333", REVIEW)
    for user, uid in ((bruno, BUDGET), (clara, REVIEW)):
        ConferenceId.objects.create(bridge=user.bridge, digits="7654321", user=user, meeting_uid=uid)

    asked = in_process()(f"{MAPPER}?id=7654321", {"Authorization": f"Bearer {key}"})
    assert asked.json == {"message": lookup.TWICE, "id": 7654321, "conference": False}
    assert bridge.room("7654321", "+14255550100") == room_address(here.join_url)
    assert bridge.room("7654321", "+442079460123") == room_address(there.join_url)
    assert bridge.room("7654321", "+15555555555") is None


def test_r43_an_id_of_the_bridge_that_a_user_has_left_still_leads_to_its_meeting(
    bridge: TelephoneBridge, bruno: ConferencingUser, new_bridge: Bridge, hold: Hold
) -> None:
    budget, digits = hold(bruno, "AAAA2222"), id_of(bruno, BUDGET)
    change_user(bruno, ACTOR, bridge=new_bridge)
    bruno.refresh_from_db()

    assert bridge.room(digits) == bridge.room(id_of(bruno, BUDGET)) == room_address(budget.join_url)


@pytest.fixture
def theirs(db: None, hold: Hold) -> OnlineMeeting:
    """A meeting of Fabrikam, which has a directory of its own."""
    fabrikam = furnish(
        create_tenant(
            ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.contoso.com"
        )
    )
    change_tenant(fabrikam.tenant, ACTOR, dial_in_directory=True)
    change_user(fabrikam.user, ACTOR, conference_id_type="private")
    fabrikam.user.refresh_from_db()
    meeting = hold(fabrikam.user, "FFFF6666", join_url="https://meet.contoso.com/FFFF6666")
    id_of(fabrikam.user, BUDGET)
    return meeting


def test_r46_what_is_another_tenants_is_as_unknown_as_what_nobody_has(
    key: str, jitsi: JitsiMeet, theirs: OnlineMeeting, anna: ConferencingUser, hold: Hold
) -> None:
    digits = id_of(theirs.user, BUDGET)
    their_key = renew_directory_key(theirs.tenant, ACTOR)
    ask = in_process()
    for mapper, right, wrong in ((MAPPER, key, their_key), (MAPPER.replace("contoso", "fabrikam"), their_key, key)):
        assert ask(f"{mapper}?id={digits}", {"Authorization": f"Bearer {wrong}"}).status == 401
        found = ask(f"{mapper}?id={digits}", {"Authorization": f"Bearer {right}"}).json
        assert found["conference"] == (room_address(theirs.join_url) if "fabrikam" in mapper else False)
        nobodys = ask(f"{mapper}?id=9999999", {"Authorization": f"Bearer {right}"}).json
        if "contoso" in mapper:
            assert found | {"id": 0} == nobodys | {"id": 0}
    assert jitsi.conference_id(theirs.join_url) is None
    assert "206" not in in_process()(NUMBERS, {}).text
