"""Every invitation of the catalogue gets the decision that stands beside it, and nothing else of it changes.

An invitation is `tests/catalogue/<group>/<name>.ics`; its expectation is the `.toml` file of the same name.
The format is described in `tests/catalogue/README.md`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.rewriting.block import MeetingBlock, render_html, render_text
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite
from migrations_app.rewriting.spans import pack, unpack
from migrations_app.rewriting.undo import undo
from migrations_app.rewriting.written_numbers import DialIn
from tests.support.content_lines import STAMPS, head, physical, physical_length, unescaped, unfolded, without_stamps
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NO_PHONE, NOW

CATALOGUE = Path(__file__).parent.parent / "catalogue"
STAYING = "current"  # invitations for tests of their own: what stays when a meeting stays in its service
INVITATIONS = sorted(path for path in CATALOGUE.glob("*/*.ics") if path.parent.name != STAYING)
KEYS = {
    "shows",
    "decision",
    "because",
    "now",
    "addresses",
    "others",
    "numbers",
    "conference_ids",
    "limit",
    "language",
    "phone",
    "notes",
    "over",
    "after",
}


@dataclass
class Expected:
    """What the `.toml` file says."""

    shows: str
    decision: str
    because: str = ""
    now: datetime = NOW
    addresses: tuple[str, ...] = ("anna@contoso.com",)
    others: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    conference_ids: tuple[str, ...] = ()
    limit: int = 250
    language: str = "en"
    phone: bool = True
    notes: str = ""
    over: tuple[str, ...] = ()
    after: tuple[dict[str, Any], ...] = ()

    @property
    def block(self) -> MeetingBlock:
        return replace(BLOCK if self.phone else NO_PHONE, language=self.language)


def expected_of(path: Path) -> Expected:
    said = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert said.keys() <= KEYS, f"{path.stem}: unknown keys {said.keys() - KEYS}"
    return Expected(**said)


def decide(source: bytes, expected: Expected) -> tuple[str, str, Rewrite | None]:
    """(decision, detail, rewrite) of one object, as a run takes it (R20, R22)."""
    try:
        facts = read_facts(source)
    except UnreadableCalendar as error:
        return "unreadable", str(error), None
    if facts.ends_at is not None and facts.ends_at <= expected.now:
        return "past", "", None
    if facts.cancelled:
        return "cancelled", "", None
    if facts.organizer not in expected.addresses:
        return "not-organizer", "", None
    if facts.attendee_count > expected.limit:
        return "too-many-attendees", "", None
    try:
        made = rewrite(
            source,
            expected.block,
            now=expected.now,
            belongs_to_someone_else=lambda user: user in expected.others,
            dial_in=DialIn(frozenset(expected.numbers), frozenset(expected.conference_ids)),
        )
    except Declined as declined:
        return declined.reason, declined.detail, None
    except UnreadableCalendar as error:
        return "unreadable", str(error), None
    return "migrated", "", made


@pytest.mark.parametrize("path", INVITATIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_r20_r21_decision_and_result(path: Path) -> None:
    source, expected = path.read_bytes(), expected_of(path)
    decision, detail, made = decide(source, expected)
    assert (decision, detail) == (expected.decision, detail)
    assert expected.because.lower() in detail.lower()
    if made is None:
        assert not expected.after
        return
    compare(source, made.body, expected)
    again, _, _ = decide(made.body, expected)
    assert again == "already-current"
    other = replace(expected, language="es" if expected.language.startswith("it") else "it")
    assert decide(made.body, other)[0] == "migrated", "the block that was written is not found again"
    back = undo(made.body, unpack(pack(made.spans)), now=expected.now).body
    assert sorted(without_stamps(back)) == sorted(without_stamps(source))


def test_the_catalogue_is_complete() -> None:
    assert len(INVITATIONS) >= 120
    strays = [path for path in CATALOGUE.glob("*/*.toml") if not path.with_suffix(".ics").exists()]
    assert strays == []
    shown = [expected_of(path).shows for path in INVITATIONS]
    assert len(set(shown)) == len(shown), "two invitations claim to show the same"


def compare(source: bytes, body: bytes, expected: Expected) -> None:
    """Every line comes back octet for octet, folds included, but for what `after` names and the stamps."""
    changed = {(each.get("component", ""), each["property"]): each for each in expected.after}
    assert len(changed) == len(expected.after)
    before, after = physical(source), physical(body)

    def is_untouched(key: tuple[str, str]) -> bool:
        component, name = key
        is_stamp = name.encode() in STAMPS and component not in expected.over and not component.startswith("V")
        return key not in changed and not is_stamp

    assert [line for key, line in after if is_untouched(key)] == [line for key, line in before if is_untouched(key)]
    for component in expected.over:
        assert component in {key[0] for key, _ in before}
    there = {key for key, _ in before}
    assert {key for key in changed if not changed[key].get("added")} <= there, "`after` names what is not there"
    longest = max(75, *map(physical_length, (line for _, line in before)))
    assert all(physical_length(line) <= longest for _, line in after), "a line grew beyond 75 octets"
    for key, each in changed.items():
        lines = [unfolded(line) for found, line in after if found == key]
        if each.get("gone"):
            assert lines == [], f"{key} should be gone"
            continue
        heads = [head(unfolded(line)) for found, line in before if found == key] or [key[1].encode() + b":"]
        values = each["value"] if isinstance(each["value"], list) else [each["value"]]
        assert [head(line) for line in lines] == heads[: len(lines)]
        is_html = b"HTML" in heads[0].upper() or key[1] != "DESCRIPTION"
        render = render_html if is_html else render_text
        block = render(expected.block, expected.notes)
        assert [unescaped(line[len(head(line)) :], each.get("raw", False)) for line in lines] == [
            value.replace("{block}", block).replace("{join}", expected.block.join_url) for value in values
        ]
