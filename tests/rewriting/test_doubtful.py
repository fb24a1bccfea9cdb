"""Blocks in which something cannot be told for certain: drawn anew or left, never half exchanged or lost (R40, R43)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import replace

import pytest

from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.facts import KnownNumbers
from migrations_app.rewriting.links import comparable, unwrapped
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import Identities, Rewrite, write
from tests.support import samples
from tests.support.samples import NOW, calendar, event

OWN = Own(
    key="ABCDEFGH",
    place="https://meet.contoso.com/anna/",
    names=frozenset({"anna"}),
    domains=frozenset({"contoso.com"}),
    remembered=frozenset({comparable(samples.TEAMS_URL)}),
)
FREE = PhoneNumber("+39800555017", "+39 800 555017", "Italy")
BRIDGE = MeetingBlock("", toll=PhoneNumber("+390655550171", "+39 06 5555 0171", "Rome, Italy"), conference_id="9998887")
WITH_FREE = replace(BRIDGE, toll_free=FREE)
NO_LICENCE = MeetingBlock("")
KNOWN = KnownNumbers(toll=frozenset({"+12065550111", "+442055550164"}), toll_free=frozenset({"+39800555017"}))
IDS = ("1234567", "200000087", "2000000", "9998887")
GIVEN = Identities(given=frozenset(IDS))
TEAMS, SKYPE = samples.teams_text(), samples.skype_text()
NUMBER = "+44 20 5555 0164,,200000087#<tel:+442055550164,,200000087> United Kingdom\n"


def seen(text: str) -> Examined:
    return examine(calendar(event(text=text)), OWN, now=NOW, known=KNOWN)


def changed(text: str, block: MeetingBlock = BRIDGE, ids: Identities = GIVEN) -> str:
    return samples.value(write(seen(text), block, {}, now=NOW, ids=ids).body, "DESCRIPTION")


def refusal(text: str, block: MeetingBlock, ids: Identities = GIVEN) -> Declined:
    with pytest.raises(Declined) as declined:
        changed(text, block, ids)
    return declined.value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NUMBER, NUMBER + "0800 555 017,,200000087# Italy (Toll-free)\n"),
        (NUMBER, NUMBER + "0800 555 017 Italy (Toll-free)\n"),
        ("+44 20 5555 0164,,", "+44 20 5555 0164 x55,,"),
        ("+44 20 5555 0164,,", "\uff0b44 20 5555 0164,,"),
        ("> United Kingdom", "> press * for help"),
        ("Find a local", "Phone conference ID: 200 000 088#\nFind a local"),
        ("Find a local", "Phone conference ID: 200.000.087#\nFind a local"),
    ],
)
def test_r40_what_an_exchange_in_place_would_leave_behind_makes_it_anew(old: str, new: str) -> None:
    after = changed(TEAMS.replace(old, new))
    assert samples.OWN_ROW in after
    assert samples.TEAMS_URL in after
    assert "Meeting ID: 300 000 000 149\nPasscode: aB3dE9" in after
    for gone in ("0800 555", "x55", "200 000 088", "200.000.087"):
        assert gone not in after


def test_r40_a_number_in_words_is_not_left_beside_the_link_that_dials_another() -> None:
    text = TEAMS.replace(NUMBER, NUMBER + "1-800-CONTOSO<tel:+18002668676,,200000087> United States\n")
    after = changed(text, WITH_FREE)
    assert samples.OWN_ROW in after
    assert "CONTOSO" not in after


@pytest.mark.parametrize(
    "written",
    ["+44\u202f20\u202f5555\u202f0164", "+44\u200e 20 5555 0164", "+44\xa020 5555 0164"],
)
def test_r40_a_number_between_blanks_and_marks_of_any_kind_is_exchanged_whole(written: str) -> None:
    after = changed(TEAMS.replace("+44 20 5555 0164,,", f"{written},,"))
    assert samples.OWN_ROW not in after
    assert f"\n{written[0]}39 06 5555 0171,,9998887#<tel:+390655550171,,9998887> Italy\n" in after


def test_r40_marks_of_direction_around_a_number_stay() -> None:
    after = changed(TEAMS.replace("+44 20 5555 0164,,", "\u200e+44 20 5555 0164\u200e,,"))
    assert "\n\u200e+39 06 5555 0171\u200e,,9998887#<tel:" in after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("aB3dE9", "12#"),
        ("aB3dE9", "1234#"),
        ("aB3dE9", "+12345678"),
        ("Passcode: aB3dE9", "Passcode aB3dE9"),
        ("Passcode: aB3dE9", "Passcode:\naB3dE9"),
        ("\nPasscode: aB3dE9", " | Passcode: aB3dE9"),
        ("\nPasscode", "\nPlease be on time\nPasscode"),
        ("Passcode: aB3dE9", "Dress code: black tie"),
        ("Meeting ID: ", "Meeting ID:\n"),
        ("Meeting ID: ", "Meeting ID "),
        ("300 000 000 149", "300-000-000-149"),
        ("300 000 000 149", "300.000.000.149"),
        ("300 000 000 149", "300 000 000 149#"),
    ],
)
@pytest.mark.parametrize("block", [WITH_FREE, NO_LICENCE])
def test_r40_an_id_or_passcode_that_cannot_be_told_is_left_to_a_person(old: str, new: str, block: MeetingBlock) -> None:
    assert refusal(TEAMS.replace(old, new), block).reason == "needs-review"


def test_r40_a_passcode_of_digits_is_carried_over_and_over() -> None:
    for passcode in ("123456", "200000087"):
        after = changed(TEAMS.replace("aB3dE9", passcode), WITH_FREE)
        assert f"Passcode: {passcode}\n" in after
        assert f"Passcode: {passcode}\n" in changed(after, NO_LICENCE)


@pytest.mark.parametrize(
    "text",
    [
        TEAMS.replace(NUMBER, NUMBER + "+1 206 555 0111,,200000099#<tel:+12065550111,,200000099> United States\n"),
        SKYPE.replace("Conference ID: 1234567", "Conference ID: 1234568"),
    ],
)
def test_r43_of_two_ids_none_is_kept_by_chance(text: str) -> None:
    assert refusal(text, WITH_FREE, Identities(from_service=True)).reason == "needs-review"
    assert "9998887" in changed(text, WITH_FREE)


def test_r40_a_link_that_url_defense_wrapped_is_carried_over_as_it_was() -> None:
    wrapped = samples.TEAMS_URL.replace("%", "*")
    marks = urlsafe_b64encode(b"%" * samples.TEAMS_URL.count("%")).decode()
    notes = "https://contoso.sharepoint.com/**A/notes.one"
    text = TEAMS.replace(samples.TEAMS_URL, f"https://urldefense.com/v3/__{wrapped}__;{marks}!!Ab1!cd$")
    assert f"<{samples.TEAMS_URL}>" in changed(text, WITH_FREE)
    assert unwrapped(f"https://urldefense.com/v3/__{notes}__;w6nDqA!!Ab1!cd$") == notes.replace("**A", "éè")


def test_r43_a_number_in_the_query_of_a_help_page_is_no_conference_id() -> None:
    text = SKYPE.replace("?id=1234567", "?lcid=1033").replace("\n<tel:+1%20(206)%20555-0111,1234567%23>", "")
    after = changed(text)
    assert "9998887" in after
    assert "1234567" not in after
    phone = SKYPE[SKYPE.index("Join by phone") : SKYPE.index("[!OC")]
    without = SKYPE.replace(phone, "Help <https://www.contoso.com/dialin?article=99887>\n")
    assert refusal(without, BRIDGE).reason == "no-conference-id"


@pytest.mark.parametrize("footer", ["Company ID: 12345678", "Desk: 0800 123456", "video@contoso.com\nID: 123456789"])
@pytest.mark.parametrize("text", [TEAMS, SKYPE])
def test_r43_what_an_organization_writes_below_its_blocks_is_no_id(footer: str, text: str) -> None:
    written = changed(text, replace(NO_LICENCE, footer_text=footer))
    assert footer in written
    assert refusal(written, replace(WITH_FREE, footer_text=footer)).reason == "no-conference-id"
    ours = replace(GIVEN, was_given=True)
    again = changed(written, replace(WITH_FREE, footer_text=footer), ours)
    assert ",,9998887#" in again
    assert refusal(again, replace(WITH_FREE, footer_text=footer), ours).reason == "already-current"


def test_r43_an_id_that_nothing_dials_is_not_kept_as_the_conference_id() -> None:
    phone = SKYPE[SKYPE.index("Join by phone") : SKYPE.index("[!OC")]
    text = SKYPE.replace(phone, "Service desk: +46 8 555 000 10\nOrg.nr: 12345678\n")
    assert refusal(text, WITH_FREE, Identities()).reason == "needs-review"


def test_r41_an_occurrence_that_is_left_keeps_its_join_button() -> None:
    master = event(
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}", "RRULE:FREQ=WEEKLY;COUNT=4", text=SKYPE
    )
    occurrence = event(
        f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{samples.TEAMS_URL}",
        "X-MICROSOFT-CONFERENCETELURI:tel:+12065550111\\,\\,1234567",
        "RECURRENCE-ID:20300308T100000Z",
        text=TEAMS,
        start="DTSTART:20300308T100000Z",
        end="DTEND:20300308T110000Z",
    )
    found = examine(calendar(master, occurrence), OWN, now=NOW, known=KNOWN)
    new = OnlineMeeting("https://meet.contoso.com/anna/NEW1KEY1")

    def occurrence_after(made: dict[str, OnlineMeeting]) -> list[bytes]:
        rewritten: Rewrite = write(found, BRIDGE, made, now=NOW, left={"20300308T100000Z"}, ids=GIVEN)
        lines = samples.without_stamps(rewritten.body)
        return lines[lines.index(b"END:VEVENT") :]

    lines = samples.without_stamps(calendar(master, occurrence))
    before = lines[lines.index(b"END:VEVENT") :]
    assert occurrence_after({"": new}) == before
    assert occurrence_after({}) == before


def test_r41_an_occurrence_without_a_block_keeps_the_join_button_of_a_series_that_is_left() -> None:
    button = f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{samples.SKYPE_URL}"
    bare = event(
        button,
        "RECURRENCE-ID:20300315T100000Z",
        start="DTSTART:20300315T100000Z",
        end="DTEND:20300315T110000Z",
    )
    other = event(
        f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{samples.TEAMS_URL}",
        f"X-GOOGLE-CONFERENCE:{samples.TEAMS_URL}",
        "RECURRENCE-ID:20300322T100000Z",
        text=TEAMS,
        start="DTSTART:20300322T100000Z",
        end="DTEND:20300322T110000Z",
    )
    source = calendar(event(button, "RRULE:FREQ=WEEKLY;COUNT=4", text=SKYPE), bare, other)
    found = examine(source, OWN, now=NOW, known=KNOWN)
    made = {"20300322T100000Z": OnlineMeeting("https://meet.contoso.com/anna/NEW1KEY1")}
    after = samples.without_stamps(write(found, BRIDGE, made, now=NOW, left={""}, ids=GIVEN).body)
    before = samples.without_stamps(source)
    second_event_ends = [at for at, line in enumerate(before) if line == b"END:VEVENT"][1]
    assert after[:second_event_ends] == before[:second_event_ends]
    assert b"meetup-join" not in b"".join(after)


@pytest.mark.parametrize(
    "inside",
    [
        pytest.param("200000087 x\n" * 20_000, id="the ID again and again"),
        pytest.param("a@b.co\n" * 20_000 + ": 12345\n" * 20_000, id="addresses and IDs"),
        pytest.param("x<https://example.org/?id=200000087>\n" * 10_000, id="links with the ID"),
    ],
)
def test_what_would_take_long_does_not(inside: str) -> None:
    # Quadratic, any of these takes minutes.
    found = seen(TEAMS.replace("Dial in by phone", f"{inside}Dial in by phone"))
    with suppress(Declined):
        assert samples.TEAMS_URL.encode() in samples.unfolded(write(found, BRIDGE, {}, now=NOW, ids=GIVEN).body)
