"""What the engine sees in an invitation, in words: rows, links, evidence. The decision itself is `rewrite`'s."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from migrations_app.calendars.content_lines import unescaped
from migrations_app.rewriting import links
from migrations_app.rewriting.components import Component, Description
from migrations_app.rewriting.evidence import Verdict, evidence_of
from migrations_app.rewriting.facts import NO_NUMBERS, BlockFacts, KnownNumbers
from migrations_app.rewriting.frames import Sight
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.quoting import is_quoted
from migrations_app.rewriting.rows import Kind, Row
from migrations_app.rewriting.services import service_of
from migrations_app.rewriting.shown_html import body_start, visible_text
from tenants_app.sentences import Sentence, sentence, sentence_plural

_ROW_OF: Mapping[Kind, Callable[[int, Sentence], Sentence]] = {
    Kind.SKYPE: lambda n, place: sentence("%(n)s dots, %(place)s", n=str(n), place=place),
    Kind.TEAMS: lambda n, place: sentence("%(n)s underscores, %(place)s", n=str(n), place=place),
    Kind.OWN: lambda n, place: sentence("%(n)s equals signs, %(place)s", n=str(n), place=place),
}
_FAMILY: Mapping[Kind, Callable[[Sentence], Sentence]] = {
    Kind.SKYPE: lambda size: sentence("a Skype for Business block, complete with both rows: %(size)s", size=size),
    Kind.TEAMS: lambda size: sentence("a Microsoft Teams block, complete with both rows: %(size)s", size=size),
    Kind.OWN: lambda size: sentence("a block that this service wrote, complete with both rows: %(size)s", size=size),
}
_SIDES = {
    Verdict.SCHEDULED: sentence("For"),
    Verdict.PASTED: sentence("Against"),
    Verdict.SILENT: sentence("Neutral"),
}
IS_IT_ITS_OWN = sentence("Is the block this meeting's own?")
_ODD = sentence("Odd")
_CONTEXT = 40
_MOST_LISTED = 20
_MOST_FINDINGS = 40
_LONGEST_TEXT = 1_000
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?", re.ASCII)


class Point(NamedTuple):
    """One thing that was seen: what kind of thing, and what there is to say about it.

    `verdict` is set for evidence only. `is_verbatim` marks a link or a value as it stands in the invitation.
    """

    label: str
    text: str
    """A sentence of ours, or words of the invitation."""
    verdict: Verdict | None = None
    is_verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen in one place: its title and the points in the order of reading."""

    title: str
    points: Sequence[Point]


def findings(components: Sequence[Component], own: Own, known: KnownNumbers = NO_NUMBERS) -> list[Finding]:
    """Return what there is to see in each description, occurrence and property of an object's components.

    Where the meeting's key is not known, nothing is said about whether a block of this service's own belongs to the
    meeting. What is the same in several occurrences is told once; of very many different ones only the first are told.
    Texts are showable.
    """
    places: dict[tuple[Sentence, tuple[Point, ...]], list[str]] = {}
    untold = 0
    for component in components:
        if len(places) >= _MOST_FINDINGS:
            untold += 1
            continue
        for title, points in _of_component(component, own, known):
            shown = tuple(point._replace(text=showable(point.text)) for point in points)
            places.setdefault((title, shown), []).append(component.recurrence_id)
    told = [Finding(_with_occurrences(title, ids), points) for (title, points), ids in places.items()]
    if untold:
        more = sentence("%(n)s more, each with its own text", n=untold)
        told.append(Finding(sentence("Further occurrences"), [Point(sentence("Not shown"), more)]))
    return told


def showable(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text of an invitation on one line, shortened, without control characters or broken octets."""
    if isinstance(text, Sentence):
        return text
    text = _NOT_SHOWN.sub("\ufffd", " ".join(text.split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _of_component(component: Component, own: Own, known: KnownNumbers) -> Iterator[tuple[Sentence, list[Point]]]:
    for description in component.descriptions:
        facts = [*_facts(description, own, known)]
        named = {point.text for point in facts}
        seen_there = [point for point in _of_description(description) if point.text not in named]
        yield description.title, seen_there + facts
    if not component.descriptions:
        inherits = (
            sentence("It has none and inherits the one of the series.")
            if component.recurrence_id
            else sentence("There is none.")
        )
        yield sentence("Description"), [Point(sentence("Text"), inherits)]
    properties = [
        Point(name.decode("ascii"), value, is_verbatim=True) for name, value in component.machine_read.items()
    ]
    if properties:
        yield sentence("Join properties that only machines read"), properties
    if component.blocks:
        is_proven = False
        if component.blocks[0].kind is Kind.OWN and not own.key and not links.is_teams(component.blocks[0].join_url):
            evidence = [
                _evidence(
                    Verdict.SILENT,
                    sentence(
                        "This service wrote the block. Whether for this meeting, only the organizer's settings can "
                        "tell."
                    ),
                )
            ]
        else:
            seen = [*evidence_of(component, own)]
            is_proven = any(each.is_proof for each in seen)
            evidence = [_evidence(each.verdict, each.sentence) for each in seen]
        if not is_proven and is_quoted(component):
            evidence.append(
                _evidence(Verdict.PASTED, sentence("The block stands below the header of another message."))
            )
        yield IS_IT_ITS_OWN, list(dict.fromkeys(evidence))


def _evidence(verdict: Verdict, words: Sentence) -> Point:
    return Point(_SIDES[verdict], words, verdict)


def _with_occurrences(title: Sentence, recurrence_ids: list[str]) -> Sentence:
    """The title, with the occurrences of which something is told; of the series itself as it is."""
    moments = [_moment(each) for each in dict.fromkeys(recurrence_ids) if each]
    if not moments:
        return title
    if "" in recurrence_ids:
        return sentence_plural(
            "%(title)s (the same in %(n)s changed occurrence)",
            "%(title)s (the same in %(n)s changed occurrences)",
            len(moments),
            title=title,
        )
    if len(moments) > 3:
        return sentence(
            "%(title)s (occurrences %(moments)s and %(more)s more)",
            title=title,
            moments=", ".join(moments[:3]),
            more=len(moments) - 3,
        )
    return sentence_plural(
        "%(title)s (occurrence %(moments)s)",
        "%(title)s (occurrences %(moments)s)",
        len(moments),
        title=title,
        moments=", ".join(moments),
    )


def _moment(recurrence_id: str) -> str:
    found = _MOMENT.fullmatch(recurrence_id)
    if found is None:
        return showable(recurrence_id, 40)
    year, month, day, hour, minute, is_utc = found.groups()
    clock = f" {hour}:{minute}{' UTC' if is_utc else ''}" if hour else ""
    return f"{year}-{month}-{day}{clock}"


def _of_description(description: Description) -> Iterator[Point]:
    sight = description.sight
    rows = sorted((row, kind) for kind, found in sight.rows.items() for row in found)
    for row, kind in rows[:_MOST_LISTED]:
        yield Point(sentence("Row"), _ROW_OF[kind](row.length, _place(description, row)))
    if len(rows) > _MOST_LISTED:
        yield Point(sentence("Row"), sentence("and %(more)s more", more=len(rows) - _MOST_LISTED))
    if not rows:
        yield Point(sentence("Row"), sentence("none of the rows that frame a meeting block"))
    if sight.found is not None:
        yield Point(sentence("Block"), _about_block(description))
    yield from _about_links(sight)
    if sight.problem:
        yield Point(_ODD, sight.problem)


def _facts(description: Description, own: Own, known: KnownNumbers) -> Iterator[Point]:
    """Yield what the block says, as the engine reads it (R39)."""
    found = description.sight.found
    if found is None:
        return
    facts = BlockFacts(found, description.value, is_html=description.is_html, known=known)
    meeting = facts.online_meeting
    service = service_of(found.joins.values(), own.key, own.remembered_as_link)
    yield Point(sentence("Meeting service"), service.product)
    for name, value in meeting.named():
        yield Point(name, value, is_verbatim=True)
    for number in facts.numbers:
        place = "".join(f", {facts.reading.text[slice(*span)]}" for span, _ in number.places[:1])
        if known.is_toll_free(number.e164):
            told = sentence("%(number)s, a toll-free number%(place)s", number=number.e164, place=showable(place))
        else:
            told = sentence("%(number)s, a toll number%(place)s", number=number.e164, place=showable(place))
        if number.e164 not in known.toll | known.toll_free:
            told = sentence("%(number)s, not one of this tenant", number=told)
        yield Point(sentence("Telephone"), told)
    if facts.conference_id:
        yield Point(sentence("Conference ID"), facts.conference_id, is_verbatim=True)
    if odd := facts.doubt or facts.unsure:
        yield Point(_ODD, odd)


def _about_block(description: Description) -> Sentence:
    found = description.sight.found
    assert found is not None  # noqa: S101 - asked only of descriptions with a block
    replaced = description.value[found.cut.start : found.cut.end]
    return _FAMILY[found.kind](sentence("%(part)s of %(all)s octets", part=len(replaced), all=len(description.value)))


def _about_links(sight: Sight) -> Iterator[Point]:
    inside = sight.found.links if sight.found is not None else []
    joins = set(map(links.comparable, sight.join_links))
    distinct: dict[str, str] = {}
    for link in [*sight.join_links, *inside]:
        distinct.setdefault(links.comparable(link), link)
    for plain, link in [*distinct.items()][:_MOST_LISTED]:
        if plain not in joins:
            yield Point(sentence("Other link in it"), link, is_verbatim=True)
        elif "://" in link:
            yield Point(sentence("Join link"), link, is_verbatim=True)
        else:
            yield Point(sentence("Add-in's mark"), link, is_verbatim=True)
    if len(distinct) > _MOST_LISTED:
        yield Point(sentence("Links"), sentence("and %(more)s more", more=len(distinct) - _MOST_LISTED))


def _place(description: Description, row: Row) -> Sentence:
    """Where a row stands, by the words before it."""
    begin = body_start(description.value) if description.is_html else 0
    above = description.value[max(begin, row.start - 4000) : row.start]
    text = visible_text(above) if description.is_html else " ".join(unescaped(above).split())
    text = text.rstrip("._= ")
    if not text:
        return sentence("at the beginning")
    before = f"{'…' if len(text) > _CONTEXT else ''}{text[-_CONTEXT:]}"
    return sentence("after “%(text)s”", text=showable(before))
