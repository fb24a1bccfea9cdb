"""What the engine sees in an invitation, in words: rows, links, evidence. The decision itself is `rewrite`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from migrations_app.rewriting import links, markup
from migrations_app.rewriting.components import Component, Description
from migrations_app.rewriting.content_lines import parse, unescaped
from migrations_app.rewriting.evidence import Verdict, evidence_of
from migrations_app.rewriting.frames import Kind, Row, Sight
from migrations_app.rewriting.quoting import is_quoted
from migrations_app.rewriting.rewrite import components_of

_ROW_OF = {Kind.SKYPE: "dots", Kind.TEAMS: "underscores", Kind.OWN: "equals signs"}
_FAMILY = {
    Kind.SKYPE: "a Skype for Business block",
    Kind.TEAMS: "a Microsoft Teams block",
    Kind.OWN: "a block that this service wrote",
}
_VERDICTS = {
    Verdict.SCHEDULED: "speaks for this meeting's own block",
    Verdict.PASTED: "speaks for a block pasted from elsewhere",
    Verdict.SILENT: "says nothing",
}
_CONTEXT = 40
_MOST_LISTED = 20


class Point(NamedTuple):
    """One thing that was seen: what kind of thing, and what there is to say about it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen in one place: its title and the points in the order of reading."""

    title: str
    points: list[Point]


def findings(
    source: bytes,
    own_url: str,
    *,
    now: datetime,
    belongs_to_someone_else: Callable[[str], bool] | None = None,
) -> list[Finding]:
    """Return what there is to see in each description, occurrence and property of an object.

    The arguments are those of `rewrite`, `own_url` the join link of its block. Raises UnreadableCalendar.
    """
    return [
        finding
        for component in components_of(source, parse(source), now, own_url)
        for finding in _of_component(component, own_url, belongs_to_someone_else)
    ]


def _of_component(
    component: Component, own_url: str, belongs_to_someone_else: Callable[[str], bool] | None
) -> Iterator[Finding]:
    where = f", occurrence {component.recurrence_id}" if component.recurrence_id else ""
    for description in component.descriptions:
        title = description.title[0].upper() + description.title[1:]
        yield Finding(f"{title}{where}", [*_of_description(description)])
    if not component.descriptions:
        inherits = "It has none and inherits the one of the series." if component.recurrence_id else "There is none."
        yield Finding(f"Description{where}", [Point("Text", inherits)])
    properties = [Point(name.decode("ascii"), value) for name, value in component.machine_read.items()]
    if properties:
        yield Finding(f"Join properties that only machines read{where}", properties)
    if component.blocks:
        evidence = [
            Point(each.sentence, _VERDICTS[each.verdict])
            for each in evidence_of(component, own_url, belongs_to_someone_else)
        ]
        if is_quoted(component):
            evidence.append(Point("The block stands below the header of another message.", "speaks for a quotation"))
        yield Finding(f"Pasted or scheduled{where}", list(dict.fromkeys(evidence)))


def _of_description(description: Description) -> Iterator[Point]:
    sight = description.sight
    rows = sorted((row, kind) for kind, found in sight.rows.items() for row in found)
    for row, kind in rows[:_MOST_LISTED]:
        yield Point("Row", f"{row.length} {_ROW_OF[kind]}, {_place(description, row)}")
    if len(rows) > _MOST_LISTED:
        yield Point("Row", f"and {len(rows) - _MOST_LISTED:,} more")
    if not rows:
        yield Point("Row", "none of the rows that frame a meeting block")
    if sight.found is not None:
        yield Point("Block", _about_block(description))
        if sight.found.shared_notes_url:
            yield Point("Shared notes", f"{sight.found.shared_notes_url} is carried over")
    yield from _about_links(sight)
    if sight.problem:
        yield Point("Odd", sight.problem)


def _about_block(description: Description) -> str:
    found = description.sight.found
    assert found is not None  # noqa: S101 - asked only of descriptions with a block
    replaced = description.value[found.start : found.end]
    size = f"{len(replaced):,} of {len(description.value):,} octets"
    return f"{_FAMILY[found.kind]}, complete with both rows; {size} would be replaced"


def _about_links(sight: Sight) -> Iterator[Point]:
    inside = sight.found.links if sight.found is not None else []
    shown = list(dict.fromkeys([*sight.join_links, *inside]))
    joins = {links.comparable(link) for link in sight.join_links}
    for link in shown[:_MOST_LISTED]:
        if links.comparable(link) in joins:
            yield Point("Join link" if "://" in link else "Mark of a meeting add-in", link)
        else:
            yield Point("Other link in the block", link)
    if len(shown) > _MOST_LISTED:
        yield Point("Other link in the block", f"and {len(shown) - _MOST_LISTED:,} more")


def _place(description: Description, row: Row) -> str:
    """Where a row stands, by the words before it."""
    begin = markup.body_start(description.value) if description.is_html else 0
    above = description.value[max(begin, row.start - 4000) : row.start]
    text = markup.visible_text(above) if description.is_html else " ".join(unescaped(above).split())
    text = text.rstrip("._= ")
    if not text:
        return "at the beginning"
    return f"after “{'…' if len(text) > _CONTEXT else ''}{text[-_CONTEXT:]}”"
