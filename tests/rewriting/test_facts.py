"""What a block says is read with its places, whatever IDs, passcodes and links it has (R39, R40)."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.calendars.content_lines import escaped, parse
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber, render_html, render_text
from migrations_app.rewriting.components import components_of
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import examine
from migrations_app.rewriting.facts import BlockFacts
from migrations_app.rewriting.frames import look
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.reading import END, LINK, Reading
from migrations_app.rewriting.rewrite import Identities, write
from tests.support import samples
from tests.support.samples import NOW

OWN = Own(key="ABCDEFGH", place="https://meet.contoso.com/anna/", names=frozenset({"anna"}))
WITH_PHONE = MeetingBlock(
    "", toll=PhoneNumber("+390655550171", "+39 06 5555 0171", "Rome, Italy"), conference_id="1234567"
)
WITHOUT = MeetingBlock("")


class _Anything(frozenset[str]):
    """Every ID was given out by MMS."""

    def __contains__(self, item: object) -> bool:
        return True


GIVEN = Identities(given=_Anything())

_PASSCODES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=("L", "N", "P", "S")), min_size=1, max_size=20
)
_GROUPS = st.lists(st.integers(0, 999).map("{:03}".format), min_size=3, max_size=4)
_MEETING_IDS = st.tuples(_GROUPS, st.integers(0, 99)).map(lambda both: " ".join([*both[0], str(both[1])]))
_CONFERENCE_IDS = st.integers(10_000_000, 999_999_999).map(str)
_WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_%~", min_size=1, max_size=24)
_SHORT_LINKS = st.tuples(st.integers(10**11, 10**14), _WORDS).map(
    lambda both: f"https://teams.microsoft.com/meet/{both[0]}?p={both[1]}"
)
_LONG_LINKS = _WORDS.map(
    lambda word: (
        f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{word}%40thread.v2/0?context=%7b%22Tid%22%3a%221%22%7d"
    )
)
MEETINGS = st.builds(
    OnlineMeeting,
    join_url=st.one_of(_SHORT_LINKS, _LONG_LINKS),
    meeting_id=_MEETING_IDS,
    passcode=_PASSCODES,
)


def in_groups(digits: str) -> str:
    return " ".join(digits[at : at + 3] for at in range(0, len(digits), 3))


def teams_text(meeting: OnlineMeeting, conference_id: str) -> str:
    return (
        f"{samples.BAR}\nMicrosoft Teams-Besprechung\nJetzt teilnehmen<{meeting.join_url}>\n"
        f"Besprechungs-ID: {meeting.meeting_id}\nKennwort: {meeting.passcode}\n{'_' * 32}\nPer Telefon\n"
        f"+1 425-555-0100,,{conference_id}#<tel:+14255550100,,{conference_id}> United States, Redmond\n"
        f"Nummer<https://dialin.teams.microsoft.com/usp?id={conference_id}>\n"
        f"Telefonkonferenz-ID: {in_groups(conference_id)}#\n{samples.BAR}"
    )


def teams_html(meeting: OnlineMeeting, conference_id: str) -> str:
    row = f"<div>{samples.BAR}</div>"
    return (
        f'<div class="me-email-text" lang="de-DE">{row}<div><a href="{html.escape(meeting.join_url)}">Jetzt</a></div>'
        f"<div><span>Besprechungs-ID:\n</span><span>{meeting.meeting_id}</span></div>"
        f"<div><span>Kennwort:\n</span><span>{html.escape(meeting.passcode)}</span></div>"
        f'<div><a href="tel:+14255550100,,{conference_id}">+1 425-555-0100,,{conference_id}#</a> '
        "<span>United States, Redmond</span></div>"
        f"<div><span>Telefonkonferenz-ID: </span>{in_groups(conference_id)}#</div>{row}</div>"
    )


def facts_of(body: bytes) -> list[BlockFacts]:
    return [
        BlockFacts(description.sight.found, description.value, is_html=description.is_html)
        for component in components_of(body, parse(body), NOW)
        for description in component.descriptions_with_block
        if description.sight.found
    ]


@given(meeting=MEETINGS, conference_id=_CONFERENCE_IDS, block=st.sampled_from([WITH_PHONE, WITHOUT]))
def test_r40_what_leads_into_a_meeting_survives(
    meeting: OnlineMeeting, conference_id: str, block: MeetingBlock
) -> None:
    source = samples.calendar(
        samples.event(
            text=teams_text(meeting, conference_id), html=samples.document(teams_html(meeting, conference_id))
        )
    )
    assert [each.online_meeting for each in facts_of(source)] == [meeting, meeting]
    assert [each.conference_id for each in facts_of(source)] == [conference_id, conference_id]
    made = write(examine(source, OWN, now=NOW), block, {}, now=NOW, ids=GIVEN)
    assert [each.online_meeting for each in facts_of(made.body)] == [meeting, meeting]
    assert {each.conference_id for each in facts_of(made.body)} == {block.conference_id}
    with pytest.raises(Declined, match="already-current"):
        write(examine(made.body, OWN, now=NOW), block, {}, now=NOW, ids=GIVEN)


@given(meeting=MEETINGS, block=st.sampled_from([WITH_PHONE, WITHOUT]))
def test_r40_a_block_of_our_own_says_what_leads_into_any_meeting(meeting: OnlineMeeting, block: MeetingBlock) -> None:
    whole = replace(
        meeting,
        tenant_key="teams@video.contoso.com",
        video_id="118 220 001 4",
        video_help_url="https://video.contoso.com/?a=1&b=2",
        options_url=samples.TEAMS_OPTIONS,
    )
    for is_html, render in ((False, render_text), (True, render_html)):
        value = escaped(render(block.leading_to(whole)))
        found = look(value, is_html=is_html).found
        assert found is not None
        facts = BlockFacts(found, value, is_html=is_html)
        assert facts.online_meeting == whole
        assert facts.conference_id == block.conference_id
        assert not facts.doubt


@settings(max_examples=200)
@given(st.text(max_size=60), st.booleans())
def test_each_character_of_a_reading_stands_where_it_says(text: str, is_html: bool) -> None:
    written = html.escape(text) if is_html else text
    value = escaped(written)
    reading = Reading(value, 0, len(value), is_html=is_html)
    for at, character in enumerate(reading.text):
        if character in {LINK, END, "\n", " ", "<", ">"}:
            continue
        ((start, end),) = reading.octets(at, at + 1)
        assert reading.encoded(character, is_escaped=True) in {value[start:end], escaped(character)}
