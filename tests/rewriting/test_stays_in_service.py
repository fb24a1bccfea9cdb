"""A meeting stays where it is hosted: what a change of bridge, of the licence or of the service leaves alone (R40).

Each invitation of `tests/catalogue/current` is looked at three times. Its `.toml` file names the facts that lead into
its meeting, and every property as it must read after a change of bridge, number and conference ID.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from migrations_app.calendars.content_lines import parse
from migrations_app.rewriting import links
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.rewriting.components import components_of
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined, examine
from migrations_app.rewriting.facts import BlockFacts, KnownNumbers
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import Identities, Rewrite, write
from migrations_app.rewriting.spans import pack, unpack
from migrations_app.rewriting.undo import undo
from tests.support.content_lines import STAMPS, head, physical, physical_length, unescaped, unfolded, without_stamps
from tests.support.samples import NOW

FOLDER = Path(__file__).parent.parent / "catalogue" / "current"
INVITATIONS = sorted(FOLDER.glob("*.ics"))
OWN = Own(
    key="ABCDEFGH",
    place="https://meet.contoso.com/anna/",
    names=frozenset({"anna"}),
    domains=frozenset({"contoso.com"}),
)
BRIDGE = MeetingBlock(
    join_url="",
    toll=PhoneNumber("+390655550171", "+39 06 5555 0171", "Rome, Italy"),
    conference_id="9998887",
    local_numbers_url="https://dialin.contoso.com",
    help_url="https://help.contoso.com",
)
NO_LICENCE = replace(BRIDGE, toll=None, conference_id="", local_numbers_url="")
KNOWN = KnownNumbers(toll=frozenset({"+14255550100", "+390655550171"}))
GIVEN = Identities(given=frozenset({"4334578", "580849884", "9998887"}))
NEW = OnlineMeeting(
    join_url="https://teams.microsoft.com/l/meetup-join/19%3ameeting_bmV3%40thread.v2/0?context=%7b%22Tid%22%3a%22x%22%7d",
    meeting_id="399 888 777 666 5",
    passcode='N"e<w>&;,\\1',
    options_url="https://teams.microsoft.com/meetingOptions/?organizerId=11111111-2222-3333-4444-555555555555"
    "&tenantId=x&threadId=19_meeting_bmV3@thread.v2&messageId=0&language=en-US",
)


@dataclass(frozen=True)
class Case:
    path: Path
    service: str
    facts: Mapping[str, str]
    after: tuple[Mapping[str, Any], ...]

    @property
    def source(self) -> bytes:
        return self.path.read_bytes()


def case_of(path: Path) -> Case:
    said = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    return Case(path, said["service"], said["facts"], tuple(said["after"]))


CASES = [pytest.param(case_of(path), id=path.stem) for path in INVITATIONS]


def looked_at(source: bytes) -> Examined:
    return examine(source, OWN, now=NOW, known=KNOWN)


def changed(source: bytes, block: MeetingBlock, **made: OnlineMeeting) -> Rewrite:
    return write(looked_at(source), block, made, now=NOW, ids=GIVEN)


def made_anew(source: bytes, meeting: OnlineMeeting, block: MeetingBlock = BRIDGE) -> Rewrite:
    return write(looked_at(source), block, {"": meeting}, now=NOW, ids=GIVEN)


def is_current(source: bytes, block: MeetingBlock) -> bool:
    with pytest.raises(Declined) as declined:
        changed(source, block)
    return declined.value.reason == "already-current"


def facts_in(body: bytes) -> list[dict[str, str]]:
    """What leads into the meeting, for each description that carries a block."""
    found = []
    for component in components_of(body, parse(body), NOW, OWN.place):
        for description in component.descriptions_with_block:
            assert description.sight.found is not None
            facts = BlockFacts(description.sight.found, description.value, is_html=description.is_html, known=KNOWN)
            meeting = facts.online_meeting
            found.append({name: getattr(meeting, name) for name in meeting.__slots__ if getattr(meeting, name)})
    return found


@pytest.mark.parametrize("case", CASES)
def test_r40_a_changed_bridge_changes_number_link_place_and_id_alone(case: Case) -> None:
    made = changed(case.source, BRIDGE)
    wanted = {each["property"]: each["value"] for each in case.after}
    before, after = physical(case.source), physical(made.body)
    untouched = {key for key, _ in before if key[1] not in wanted and key[1].encode() not in STAMPS}
    assert [line for key, line in after if key in untouched] == [line for key, line in before if key in untouched]
    for name, value in wanted.items():
        ((line),) = [unfolded(line) for key, line in after if key == ("", name)]
        assert unescaped(line[len(head(line)) :], raw=False) == value
    assert all(physical_length(line) <= 75 for _, line in after)
    assert is_current(made.body, BRIDGE), "a second run finds something to do (R25)"
    back = undo(made.body, unpack(pack(made.spans)), now=NOW).body
    assert sorted(without_stamps(back)) == sorted(without_stamps(case.source))


@pytest.mark.parametrize("case", CASES)
def test_r40_the_span_of_a_change_in_place_covers_the_whole_block(case: Case) -> None:
    spans = [span for span in changed(case.source, BRIDGE).spans if span.property in {"DESCRIPTION", "X-ALT-DESC"}]
    sides = [side for span in spans for side in (span.before, span.after)]
    assert sides
    assert all(side.count("." * 60) >= 2 or side.count("_" * 80) >= 2 for side in sides)


@pytest.mark.parametrize("case", CASES)
def test_r40_what_leads_into_the_meeting_survives_a_changed_licence(case: Case) -> None:
    assert looked_at(case.source).first.service == case.service
    assert facts_in(case.source) == [dict(case.facts)] * len(facts_in(case.source))
    without = changed(case.source, NO_LICENCE)
    assert facts_in(without.body) == [dict(case.facts)] * len(facts_in(case.source))
    assert is_current(without.body, NO_LICENCE)
    assert b"555-0100" not in without.body
    seen = looked_at(without.body)
    assert seen.first.service == case.service, "a block that MMS wrote is still a meeting of its service"
    back = undo(without.body, unpack(pack(without.spans)), now=NOW).body
    assert sorted(without_stamps(back)) == sorted(without_stamps(case.source))


@pytest.mark.parametrize("case", CASES)
def test_r40_a_meeting_made_anew_shows_the_new_service_alone(case: Case) -> None:
    made = made_anew(case.source, NEW)
    wanted = {name: getattr(NEW, name) for name in NEW.__slots__ if getattr(NEW, name)}
    assert facts_in(made.body) == [wanted] * len(facts_in(case.source))
    text = b"".join(unfolded(line) for _, line in physical(made.body)).decode()
    for name, value in case.facts.items():
        assert value not in text, f"the old {name} is still there"
    again = examine(
        made.body, replace(OWN, remembered=frozenset({links.comparable(NEW.join_url)})), now=NOW, known=KNOWN
    )
    with pytest.raises(Declined, match="already-current"):
        write(again, BRIDGE, {}, now=NOW, ids=GIVEN)


def test_the_catalogue_has_every_family_form_and_language() -> None:
    names = {path.stem for path in INVITATIONS}
    families = ("skype-online", "skype-premises", "teams1", "teams2", "teams3", "teams4")
    wanted = {
        f"{family}-{form}-{language}"
        for family in families
        for form in ("text", "html", "both")
        for language in ("en", "sv", "de", "es", "ja")
    }
    assert names >= wanted
    assert len(names) >= 80
