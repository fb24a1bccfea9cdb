"""Exchange in a block exactly what is wrong: numbers, their places, the conference ID, and nothing else (R40)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from migrations_app.calendars.content_lines import Edit, splice
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.rewriting.dialling import digits_of, grouped_like, place_of
from migrations_app.rewriting.facts import BlockFacts, Link, Number, Span, query_ids

_MOST_EDITS = 100


def parts_of(block: MeetingBlock) -> tuple[int, int, bool]:
    """Return how many toll and toll-free numbers a block shows, and whether it shows a conference ID."""
    if not block.has_phone:
        return 0, 0, False
    return int(block.toll is not None), int(block.toll_free is not None), True


def exchanges(facts: BlockFacts, block: MeetingBlock, *, is_escaped: bool) -> list[Edit] | None:
    """Return the edits of the description's value that make an old block say what `block` says of the phone.

    Both must have the same parts. Empty where it says so already; None where the edits would get into each other's way,
    or are more than any block needs.
    `is_escaped` tells whether the value has the escapes of a TEXT value.
    """
    edits: list[Edit] = []
    for span, text in _changes(facts, block):
        first, *others = facts.reading.octets(*span)
        edits.append(Edit(*first, facts.reading.encoded(text, is_escaped=is_escaped)))
        edits += [Edit(*each, b"") for each in others]
    edits.sort()
    if len(edits) > _MOST_EDITS or any(one.end > other.start for one, other in pairwise(edits)):
        return None
    return edits


def exchanged(value: bytes, start: int, end: int, edits: list[Edit]) -> bytes:
    """Return a part of a value with the edits that lie in it applied."""
    return splice(value[start:end], [Edit(each.start - start, each.end - start, each.replacement) for each in edits])


def new_numbers(facts: BlockFacts, block: MeetingBlock) -> Mapping[str, PhoneNumber]:
    """Return which number takes the place of each one that `block` does not have (E.164)."""
    found = {}
    for new, is_toll_free in ((block.toll, False), (block.toll_free, True)):
        for old in facts.of_kind(toll_free=is_toll_free):
            if new is not None and old.e164 != new.e164:
                found[old.e164] = new
    return found


def _changes(facts: BlockFacts, block: MeetingBlock) -> Iterator[tuple[Span, str]]:
    """Yield the parts of the reading's text to exchange, each with what takes its place."""
    replacements = new_numbers(facts, block)
    for number in facts.numbers:
        if number.e164 in replacements:
            yield from _of_number(facts, number, replacements[number.e164])
    new_id, text = block.conference_id, facts.reading.text
    if facts.conference_id and facts.conference_id != new_id:
        for span in facts.id_places:
            yield span, grouped_like(new_id, text[slice(*span)])
        for link in facts.links_with_id:
            yield from _in_link(link, facts.conference_id, new_id)


def _of_number(facts: BlockFacts, old: Number, new: PhoneNumber) -> Iterator[tuple[Span, str]]:
    text = facts.reading.text
    for start, end in old.shown:
        # A plus stays as it is written, perhaps as a character reference.
        if text[start] == "+":
            yield Span(start + 1, end), new.display.removeprefix("+")
        else:
            yield Span(start, end), new.display
    for target in old.targets:
        yield target.number, digits_of(new.e164) if target.has_plus else new.e164
    for span, place in old.places:
        name = place_of(new, facts.language, place)
        if name:
            if name != text[slice(*span)]:
                yield span, name
        else:
            yield _with_surroundings(facts, span), ""


def _with_surroundings(facts: BlockFacts, span: Span) -> Span:
    """Return a place with the brackets and the blanks before it, as far as no markup stands between them."""
    text, (start, end) = facts.reading.text, span
    if text[start - 1 : start] == "(" and text[end : end + 1] == ")":
        start, end = start - 1, end + 1
    while text[start - 1 : start] in {" ", "\xa0"}:
        start -= 1
    return Span(start, end)


def _in_link(link: Link, old: str, new: str) -> Iterator[tuple[Span, str]]:
    if link.raw == link.url:
        for start, end in query_ids(link.url, old):
            yield Span(link.at.start + start, link.at.start + end), new
        return
    url = link.url
    for start, end in reversed(query_ids(url, old)):
        url = url[:start] + new + url[end:]
    yield link.at, url
