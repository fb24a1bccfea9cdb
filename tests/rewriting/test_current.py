"""What stays and what is exchanged where a meeting stays in its service, case by case (R40, R41, R43)."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from urllib.parse import quote

import pytest

from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.rewriting.dialling import digits_of
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.facts import KnownNumbers
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import Identities, Rewrite, write
from migrations_app.rewriting.services import Service
from tests.support import samples
from tests.support.samples import NOW, calendar, document, event

OWN = Own(
    key="ABCDEFGH",
    place="https://meet.contoso.com/anna/",
    names=frozenset({"anna"}),
    domains=frozenset({"contoso.com"}),
)
ROME = PhoneNumber("+390655550171", "+39 06 5555 0171", "Rome, Italy")
FREE = PhoneNumber("+39800555017", "+39 800 555017", "Italy")
BLOCK = MeetingBlock("", toll=ROME, conference_id="9998887")
KNOWN = KnownNumbers(toll=frozenset({"+12065550111", "+442055550164"}), toll_free=frozenset({"+39800555017"}))
GIVEN = Identities(given=frozenset({"1234567", "200000087"}))


def looked_at(source: bytes, own: Own = OWN, known: KnownNumbers = KNOWN) -> Examined:
    return examine(source, own, now=NOW, known=known)


def changed(source: bytes, block: MeetingBlock = BLOCK, ids: Identities = GIVEN, own: Own = OWN) -> Rewrite:
    return write(looked_at(source, own), block, {}, now=NOW, ids=ids)


def reason(source: bytes, block: MeetingBlock = BLOCK, ids: Identities = GIVEN) -> Declined:
    with pytest.raises(Declined) as declined:
        changed(source, block, ids)
    return declined.value


def text_after(source: bytes, block: MeetingBlock = BLOCK, ids: Identities = GIVEN) -> str:
    return samples.value(changed(source, block, ids).body, "DESCRIPTION")


def test_a_right_number_in_odd_spelling_is_left() -> None:
    text = samples.skype_text().replace("+1 (206) 555-0111", "+1.206.555-0111")
    same = replace(BLOCK, toll=PhoneNumber("+12065550111", "+1 206-555-0111", "Seattle"), conference_id="1234567")
    assert reason(calendar(event(text=text)), same).reason == "already-current"


def test_the_number_of_a_help_desk_below_the_phone_part_is_none_of_the_meetings() -> None:
    text = samples.skype_text(inside="Service desk: +1 425 555 0188 <tel:+14255550188>\n")
    after = text_after(calendar(event(text=text)))
    assert "Service desk: +1 425 555 0188 <tel:+14255550188>" in after
    assert "+39 06 5555 0171" in after


@pytest.mark.parametrize(
    ("block", "gone"),
    [(replace(BLOCK, toll_free=FREE), False), (replace(BLOCK, toll=None, toll_free=None, conference_id=""), True)],
)
def test_where_parts_come_or_go_the_block_is_drawn_anew_around_the_same_meeting(
    block: MeetingBlock, gone: bool
) -> None:
    after = text_after(calendar(event(text=samples.teams_text())), block)
    assert samples.OWN_ROW in after
    assert samples.TEAMS_URL in after
    assert samples.TEAMS_OPTIONS in after
    assert "Meeting ID: 300 000 000 149\nPasscode: aB3dE9" in after
    assert ("9998887" not in after) is gone


def test_numbers_that_cannot_be_told_apart_are_drawn_anew() -> None:
    text = samples.skype_text().replace("<tel:+1%20(206)%20555-0111", "<tel:+1%20(206)%20555-0199")
    after = text_after(calendar(event(text=text)))
    assert samples.OWN_ROW in after
    assert samples.SKYPE_URL in after


def as_html(line: str) -> str:
    """A line of a Teams block with its links as markup."""
    return re.sub(
        r"([^|<]*)<((?:https|tel):[^>]*)>", lambda found: f'<a href="{escape(found[2])}">{found[1]}</a>', line
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("300 000 000 149", "300 000 000 150", "meeting ID"),
        ("aB3dE9", "xY7zW2", "passcode"),
        ("200000087#<tel:+442055550164,,200000087>", "200000088#<tel:+442055550164,,200000088>", "conference ID"),
        (
            "+44 20 5555 0164,,200000087#<tel:+442055550164",
            "+44 20 5555 0165,,200000087#<tel:+442055550165",
            "telephone",
        ),
    ],
)
def test_text_and_html_that_disagree_are_left_to_a_person(old: str, new: str, what: str) -> None:
    text = samples.teams_text().replace("?id=200000087", "?x=1")
    html = document("".join(f"<div>{line}</div>" for line in map(as_html, text.split("\n"))))
    assert looked_at(calendar(event(text=text, html=html))).first.service is Service.TEAMS
    declined = reason(calendar(event(text=text.replace(old, new), html=html)))
    assert declined.reason == "needs-review"
    assert what in declined.detail


def test_ids_and_numbers_that_a_server_broke_over_lines_of_html_are_read_and_exchanged() -> None:
    lines = "".join(f"<div>{line}</div>" for line in map(as_html, samples.teams_text().split("\n")))
    broken = lines.replace("300 000 000 149", "300\r\n 000 000\n149").replace(
        "+44 20 5555 0164,,", "+44\r\n 20 5555 0164,,"
    )
    found = looked_at(calendar(event(html=document(broken)))).facts_of[""][0]
    assert digits_of(found.online_meeting.meeting_id) == "300000000149"
    after = samples.value(changed(calendar(event(html=document(broken)))).body, "X-ALT-DESC")
    assert samples.OWN_ROW not in after
    assert "+39 06 5555 0171,,9998887#" in after
    assert "300\r\n 000 000\n149" in after


def test_a_wrapped_link_stays_wrapped_unless_it_carries_a_changed_id() -> None:
    def wrapped(url: str) -> str:
        return f"https://eu01.safelinks.protection.outlook.com/?url={quote(url, safe='')}&data=05%7C01"

    local = "https://dialin.teams.microsoft.com/usp?id=200000087"
    text = samples.teams_text(wrapped(samples.TEAMS_URL)).replace(local, wrapped(local))
    after = text_after(calendar(event(text=text)))
    assert f"<{wrapped(samples.TEAMS_URL)}>" in after
    assert "<https://dialin.teams.microsoft.com/usp?id=9998887>" in after
    anew = text_after(calendar(event(text=text)), replace(BLOCK, toll_free=FREE))
    assert f"<{samples.TEAMS_URL}>" in anew
    assert "safelinks" not in anew


def test_r43_an_id_of_another_service_that_no_bridge_gave_is_kept_and_named() -> None:
    made = changed(calendar(event(text=samples.teams_text())), ids=Identities())
    after = samples.value(made.body, "DESCRIPTION")
    assert "+39 06 5555 0171,,200000087#" in after
    assert "200000087 was not given out by MMS" in made.note


def test_r43_without_an_id_no_phone_part_is_drawn() -> None:
    text = samples.teams_text().replace("200000087", "")
    lines = [line for line in text.split("\n") if "tel:" not in line and "dialin" not in line]
    assert reason(calendar(event(text="\n".join(lines)))).reason == "no-conference-id"


def test_r40_the_properties_keep_their_links_and_get_the_new_numbers() -> None:
    lines = (
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}",
        "X-MICROSOFT-ONLINEMEETINGCONFLINK:conf:sip:anna@contoso.com\\;gruu\\;opaque=app:conf:focus:id:OLD1KEY2",
        "X-MICROSOFT-CONFERENCETELURI:tel:+12065550111\\,\\,1234567",
        "CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+12065550111,,1234567#",
        f"URL:{samples.SKYPE_URL}",
    )
    body = changed(calendar(event(*lines, text=samples.skype_text()))).body
    after = samples.unfolded(body)
    assert f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}".encode() in after
    assert b"focus:id:OLD1KEY2" in after
    assert b"CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+390655550171,,9998887#\n" in after
    assert b"X-MICROSOFT-CONFERENCETELURI:tel:+390655550171\\,\\,9998887" in after
    assert f"URL:{samples.SKYPE_URL}".encode() in after
    assert b"1234567" not in after
    assert b"12065550111" not in after


def series(*more: str, text: str) -> bytes:
    master = event(
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}",
        "RRULE:FREQ=WEEKLY;COUNT=4",
        text=samples.skype_text(),
    )
    own = event(
        *more,
        "RECURRENCE-ID:20300308T100000Z",
        text=text,
        start="DTSTART:20300308T100000Z",
        end="DTEND:20300308T110000Z",
    )
    return calendar(master, own)


def test_r41_an_occurrence_with_a_meeting_of_its_own_gets_one_of_its_own() -> None:
    other = samples.skype_text(url=samples.OTHER_SKYPE_URL)
    source = series(f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.OTHER_SKYPE_URL}", text=other)
    seen = looked_at(source)
    assert [(each.recurrence_id, each.join_url) for each in seen.meetings] == [
        ("", samples.SKYPE_URL),
        ("20300308T100000Z", samples.OTHER_SKYPE_URL),
    ]
    one, two = (OnlineMeeting(f"https://meet.contoso.com/anna/NEW{number}KEY{number}") for number in (1, 2))
    made = write(seen, BLOCK, {"": one, "20300308T100000Z": two}, now=NOW)
    master, _, occurrence = samples.unfolded(made.body).partition(b"RECURRENCE-ID")
    assert b"NEW1KEY1" in master
    assert b"NEW2KEY2" in occurrence
    assert b"NEW1KEY1" not in occurrence
    alone = write(seen, BLOCK, {"20300308T100000Z": two}, now=NOW, left={""}, ids=GIVEN)
    assert samples.SKYPE_URL.encode() in samples.unfolded(alone.body)


def test_r41_other_occurrences_share_the_meeting_of_their_series() -> None:
    seen = looked_at(series(text=samples.skype_text(inside="Bring the plans\n")))
    assert [each.recurrence_id for each in seen.meetings] == [""]


def test_an_occurrence_with_another_link_and_no_proof_is_left_to_a_person() -> None:
    source = series(text=samples.skype_text(url=samples.OTHER_SKYPE_URL))
    with pytest.raises(Declined, match="different join links"):
        looked_at(source)


def test_r39_a_link_is_of_link_only_by_its_key_or_because_it_is_remembered() -> None:
    for key, remembered, service in (
        ("ABCDEFGH", frozenset[str](), Service.LINK),
        ("OTHERKEY", frozenset[str](), Service.SKYPE),
        ("OTHERKEY", frozenset({"skype:anna/OTHERKEY"}), Service.LINK),
    ):
        url = f"https://meet.contoso.com/anna/{key}"
        own = replace(OWN, remembered=remembered, remembered_as_link=remembered)
        assert looked_at(calendar(event(text=samples.skype_text(url=url))), own).first.service is service
