"""The digest by which an undo knows whether anybody has changed a meeting since."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from migrations_app.calendars.content_lines import Edit, all_events, insert_lines, splice
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.rewriting.block import PhoneNumber
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import examine
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.rewrite import Identities, write
from migrations_app.rewriting.unchanged import digest_after, digest_of
from tests.support.rewriting import own_of_link
from tests.support.samples import BLOCK, NOW, calendar, event

CATALOGUE = sorted((Path(__file__).parent.parent / "catalogue").glob("*/*.ics"))
ANOTHER_NUMBER = replace(
    BLOCK, toll=PhoneNumber("+31205550171", "+31 20 555 0171", "Amsterdam"), conference_id="7777777"
)
SERIES = calendar(event("CATEGORIES:Sales", text="Agenda"))


@pytest.mark.parametrize("group", sorted({path.parent.name for path in CATALOGUE}))
def test_of_a_rewritten_text_it_is_the_same_whether_its_edits_are_known_or_not(group: str) -> None:
    for path in (path for path in CATALOGUE if path.parent.name == group):
        source = path.read_bytes()
        for is_made in (True, False):
            with suppress(Declined, UnreadableCalendar):
                examined = examine(source, own_of_link(BLOCK.join_url), now=NOW)
                meetings = {each.recurrence_id: OnlineMeeting(BLOCK.join_url) for each in examined.meetings}
                ids = Identities(from_service=True)
                made = write(examined, ANOTHER_NUMBER, meetings if is_made else {}, now=NOW, ids=ids)
                known = digest_after(source, examined.events, made.edits, made.body)
                assert known == digest_of(made.body), path.name
                assert known != digest_of(source), path.name


def edit(old: bytes, new: bytes) -> Edit:
    start = SERIES.index(old)
    return Edit(start, start + len(old), new)


@pytest.mark.parametrize(
    "edits",
    [
        [edit(b"Room 12", b"Room 2")],
        [edit(b"Room 12", b"Room\r\n  2"), edit(b"Sales", b"Purchase")],
        [edit(b"Room 12", b"Room 2\r\nCOMMENT:New")],
        [edit(b"LOCATION", b"COMMENT")],
        [edit(b"LOCATION:", b"LOCATION")],
        [edit(b"LOCATION:Room 12", b"LOCATION:Room 3")],
        [edit(b"LOCATION:Room 12\r\n", b"")],
        [edit(b"CATEGORIES:Sales\r\nDESCRIPTION", b"COMMENT")],
        [edit(b"\r\nCATEGORIES:Sales", b" CATEGORIES:Sales")],
        [insert_lines(SERIES, all_events(SERIES)[0], [b"URL:https://contoso.com/"])],
        [edit(b"END:VEVENT", b"COMMENT:Last\r\nEND:VEVENT")],
    ],
)
def test_it_is_the_same_whatever_the_edits_do(edits: list[Edit]) -> None:
    body = splice(SERIES, edits)
    assert body != SERIES
    assert digest_after(SERIES, all_events(SERIES), edits, body) == digest_of(body)


def test_it_stays_the_same_where_attendees_answer_or_lines_are_folded_otherwise() -> None:
    answered = SERIES.replace(b"\r\nEND:VEVENT", b"\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ben@contoso.com\r\nEND:VEVENT")
    assert digest_of(answered.replace(b"Room 12", b"Ro\r\n om 12")) == digest_of(SERIES)
    assert digest_of(SERIES.replace(b"Room 12", b"Room 2")) != digest_of(SERIES)


def test_it_is_the_one_that_earlier_versions_stored() -> None:
    assert digest_of(SERIES) == "f32fd96496e32d2ea2c128fb7c9083d2"
