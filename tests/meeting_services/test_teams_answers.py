"""What MMS makes of Teams' answers: a fact that cannot be understood is left out, and nothing else fails."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import pytest

from migrations_app.demo.old_blocks import OldBlock, teams_html
from migrations_app.meeting_services.teams_answers import dial_in_of, meeting_of
from migrations_app.rewriting.online_meeting import DialInFacts

BLOCK = OldBlock("anna@contoso.com", "review", "1234567", "+14255550101", "")
AUDIO = {
    "conferenceId": "515 151 515",
    "tollNumber": "+1 206-555-0142",
    "tollFreeNumber": "+1 800-555-0142",
    "dialinUrl": "https://dialin.teams.microsoft.com/a?id=515151515",
}


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "joinWebUrl": BLOCK.teams_url,
        "joinMeetingIdSettings": {"joinMeetingId": "20000000001", "passcode": "aB3dE6"},
        "audioConferencing": AUDIO,
        "joinInformation": {"contentType": "html", "content": "data:text/html," + quote_plus(teams_html(BLOCK, 3))},
        **changes,
    }


def test_all_that_leads_into_the_meeting() -> None:
    meeting = meeting_of(answer())
    assert meeting is not None
    assert (meeting.join_url, meeting.meeting_id, meeting.passcode) == (BLOCK.teams_url, "200 000 000 01", "aB3dE6")
    assert meeting.options_url == BLOCK.meeting_options_url
    assert meeting.phone == DialInFacts(
        "+12065550142", "+18005550142", "515151515", "https://dialin.teams.microsoft.com/a?id=515151515"
    )


def test_the_text_of_another_meeting_is_not_believed() -> None:
    other = teams_html(OldBlock("anna@contoso.com", "another", "1234567", "+14255550101", ""), 3)
    meeting = meeting_of(answer(joinInformation={"content": "data:text/html," + quote_plus(other)}))
    assert meeting is not None
    assert (meeting.join_url, meeting.options_url) == (BLOCK.teams_url, "")


@pytest.mark.parametrize(
    "join_url", [None, 7, "", "https://evil.example.org/l/meetup-join/19", f"{BLOCK.teams_url}\nX: y", "javascript:1"]
)
def test_without_a_usable_join_link_there_is_no_meeting(join_url: object) -> None:
    assert meeting_of(answer(joinWebUrl=join_url)) is None


@pytest.mark.parametrize(
    "audio",
    [
        None,
        [],
        {},
        {**AUDIO, "conferenceId": None},
        {**AUDIO, "conferenceId": "none yet"},
        {**AUDIO, "tollNumber": "5552478", "tollFreeNumber": None},
        {**AUDIO, "tollNumber": None, "tollFreeNumber": {"number": "+1 800-555-0142"}, "tollNumbers": [None, 7]},
    ],
)
def test_without_a_number_or_an_id_nobody_can_dial_in(audio: object) -> None:
    assert dial_in_of(answer(audioConferencing=audio)) == DialInFacts()


def test_of_several_numbers_the_first_that_can_be_read_counts() -> None:
    audio = {**AUDIO, "tollNumber": None, "tollNumbers": ["5552478", "+39 02 5555 0142", "+1 206-555-0142"]}
    assert dial_in_of({"audioConferencing": audio}).toll == "+390255550142"


@pytest.mark.parametrize(
    "changes",
    [
        {"joinMeetingIdSettings": None, "joinInformation": None},
        {"joinMeetingIdSettings": {"joinMeetingId": 7, "passcode": ["a"]}, "joinInformation": "text"},
        {"joinInformation": {"content": "data:text/html,%3Cdiv%3E" + "%FF" * 100}},
        {"joinInformation": {"content": "x" * 600_000}},
    ],
)
def test_what_cannot_be_understood_is_left_out(changes: dict[str, Any]) -> None:
    meeting = meeting_of(answer(**changes))
    assert meeting is not None
    assert (meeting.join_url, meeting.options_url) == (BLOCK.teams_url, "")


@pytest.mark.parametrize("passcode", ["a\nb", "=" * 80])
def test_a_passcode_that_could_break_the_block_makes_no_meeting(passcode: str) -> None:
    settings = {"joinMeetingId": "20000000001", "passcode": passcode}
    assert meeting_of(answer(joinMeetingIdSettings=settings)) is None
