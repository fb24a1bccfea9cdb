"""What Teams says of an online meeting (Graph's ``onlineMeeting``), as MMS understands it. Plain Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from migrations_app.calendars.content_lines import escaped
from migrations_app.rewriting import links
from migrations_app.rewriting.block import can_be_carried
from migrations_app.rewriting.dialling import digits_of, e164
from migrations_app.rewriting.facts import BlockFacts
from migrations_app.rewriting.frames import look
from migrations_app.rewriting.online_meeting import DialInFacts, OnlineMeeting

_CONFERENCE_ID = re.compile(r"\d[\d -]{2,18}\d")
_MEETING_ID = re.compile(r"[\d ]{6,30}")
_DATA_URL = re.compile(r"\s*data(?::|%3A)text(?:/|%2F)html(?:,|%2C)", re.IGNORECASE)
_LONGEST = 500_000
"""Characters of ready-made text that are looked at."""


def meeting_of(answer: Mapping[str, Any]) -> OnlineMeeting | None:
    """The online meeting of an answer; None where it says nowhere how one joins, or in a form that cannot be written.

    What only the ready-made text has, which Teams adds in the language that was asked for, is taken from there: the
    page of options, and how video devices call.
    """
    join_url = _text(answer, "joinWebUrl")
    if not links.is_teams(join_url):
        return None
    by_id = _part(answer, "joinMeetingIdSettings")
    meeting_id = _text(by_id, "joinMeetingId")
    meeting = replace(
        _of_text(_text(_part(answer, "joinInformation"), "content"), join_url),
        join_url=join_url,
        meeting_id=_in_threes(meeting_id) if _MEETING_ID.fullmatch(meeting_id) else "",
        passcode=_text(by_id, "passcode"),
        phone=dial_in_of(answer),
    )
    return meeting if can_be_carried(meeting) else None


def is_meeting_of(answer: object, join_url: str) -> bool:
    """Whether an answer is about the meeting of this link: the numbers of another one lead people astray."""
    if not isinstance(answer, dict):
        return False
    number = links.teams_number(join_url)
    if number and number == digits_of(_text(_part(answer, "joinMeetingIdSettings"), "joinMeetingId")):
        return True
    named = _text(answer, "joinWebUrl")
    return bool(named) and links.comparable(named) == links.comparable(join_url)


def dial_in_of(answer: Mapping[str, Any]) -> DialInFacts:
    """How people phone into the meeting of an answer; empty where the organizer has no audio conferencing."""
    audio = _part(answer, "audioConferencing")
    shown = _text(audio, "conferenceId")
    found = DialInFacts(
        toll=_number(audio, "tollNumber"),
        toll_free=_number(audio, "tollFreeNumber"),
        conference_id=digits_of(shown) if _CONFERENCE_ID.fullmatch(shown) else "",
        local_numbers_url=_web_page(_text(audio, "dialinUrl")),
    )
    return found if found.is_complete else DialInFacts()


def _of_text(content: str, join_url: str) -> OnlineMeeting:
    """What leads into the meeting beside its link and its ID, by the ready-made text; nothing where that is another's
    or nobody can tell."""
    prefix = _DATA_URL.match(content[:_LONGEST])
    if prefix is None:
        return OnlineMeeting(join_url)
    value = escaped(unquote_plus(content[prefix.end() : _LONGEST]))
    found = look(value, is_html=True).found
    if found is None or links.comparable(join_url) not in found.names:
        return OnlineMeeting(join_url)
    facts = BlockFacts(found, value, is_html=True)
    if facts.unsure:
        return OnlineMeeting(join_url)
    said = facts.online_meeting
    return OnlineMeeting(
        join_url,
        tenant_key=said.tenant_key,
        video_id=said.video_id,
        video_help_url=said.video_help_url,
        options_url=said.options_url,
    )


def _part(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    return found.strip() if isinstance(found, str) else ""


def _number(audio: Mapping[str, Any], name: str) -> str:
    """The number of a kind in E.164; of several, in a list beside it, the first that can be read."""
    several = audio.get(f"{name}s")
    listed = [each for each in several if isinstance(each, str)] if isinstance(several, list) else []
    return next(filter(None, map(e164, filter(None, [_text(audio, name), *listed]))), "")


def _web_page(address: str) -> str:
    return address if address.startswith("https://") else ""


def _in_threes(digits: str) -> str:
    digits = digits.replace(" ", "")
    return " ".join(digits[at : at + 3] for at in range(0, len(digits), 3))
