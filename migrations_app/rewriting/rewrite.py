"""Put a new meeting block in the place of the old one (R20, R21, R23, R25).

Nothing is re-serialised: the octets of the block and of the machine-read properties that carry the same link and
numbers are exchanged, SEQUENCE and the time stamps are renewed, every other octet stays.
"""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from migrations_app.calendars.content_lines import (
    Edit,
    Event,
    escaped,
    events_of,
    parse,
    replace_in_value,
    splice,
    uid_of,
    unescaped,
)
from migrations_app.calendars.damaged_folds import has_cut_attendee
from migrations_app.rewriting import links
from migrations_app.rewriting.block import MeetingBlock, render_html, render_text
from migrations_app.rewriting.components import (
    EXTERNAL_LINK,
    TEAMS_URL,
    Component,
    components_of,
    is_blank,
    recurrence_id_of,
    shown_text,
)
from migrations_app.rewriting.errors import Declined, needs_review
from migrations_app.rewriting.evidence import Verdict, evidence_of
from migrations_app.rewriting.properties import Properties
from migrations_app.rewriting.quoting import is_quoted
from migrations_app.rewriting.revision import renew
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.shown_html import images, targets, visible_text
from migrations_app.rewriting.shown_numbers import DialIn
from migrations_app.rewriting.spans import Span, span

_IMAGE = re.compile(r"\[https?://[^\s\[\]]*\]")  # how a mail server renders one as text


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten object, what was replaced in it, and the SEQUENCE it has now."""

    body: bytes
    spans: tuple[Span, ...]
    sequence: int


def rewrite(
    source: bytes,
    block: MeetingBlock,
    *,
    now: datetime,
    belongs_to_someone_else: Callable[[str], bool] | None = None,
    dial_in: DialIn | None = None,
    same_sequence: bool = False,
) -> Rewrite:
    """Return the object with `block` in place of the meeting block it carries.

    `source` is one object (one UID), `now` is aware. `belongs_to_someone_else` is asked with the user segment of a
    Skype for Business or own join link. `dial_in` is how people dial into the organizer's meetings. With
    `same_sequence` the object becomes newer by its time stamps alone. Raises Declined with a reason of R20 when the
    object is to be left as it is, UnreadableCalendar when it is no calendar.
    """
    calendars = parse(source)
    events = events_of(calendars)
    components = components_of(source, calendars, now, block.join_url)
    _refuse_doubtful(source, events, components)
    _refuse_without_block(components, dial_in)
    for each in components:
        if each.blocks:
            _refuse_pasted(each, block.join_url, belongs_to_someone_else)
    _refuse_other_join_links(components)
    properties = Properties(components, next(found for each in components for found in each.blocks), block)
    edits: list[Edit] = []
    spans: list[Span] = []
    for each in components:
        for edit, replaced in (*_block_edits(each, block), *properties.edits(each)):
            edits.append(edit)
            spans.append(replaced)
    if not edits:
        raise Declined("already-current", "The invitation already says what the organizer's settings say.")
    changed = [each.event for each in components]
    sequence = renew(source, events, changed, now, edits, same_sequence=same_sequence)
    return Rewrite(splice(source, edits), tuple(spans), sequence)


def _refuse_doubtful(source: bytes, events: Sequence[Event], components: Sequence[Component]) -> None:
    """Refuse everything that is neither one intact block, the same in every place, nor none at all (R20)."""
    for each in components:
        _refuse_different_links(each)
        for description in each.descriptions:
            if description.sight.problem:
                raise needs_review(description.sight.problem)
    found = [block for each in components for block in each.blocks]
    if not found:
        if any({EXTERNAL_LINK, TEAMS_URL} & each.machine_read.keys() for each in components):
            raise needs_review(
                "The event's join properties name an online meeting, but its description carries no block."
            )
        return
    if len({uid_of(source, event) for event in events}) > 1:
        raise needs_review("The object holds the events of more than one meeting.")
    if len({recurrence_id_of(source, event) for event in events}) < len(events):
        raise needs_review("The object holds the meeting or one of its occurrences more than once.")
    if len({block.kind for block in found}) > 1 or not _are_of_one_meeting([block.names for block in found]):
        raise needs_review("The meeting and one of its occurrences carry different join links.")
    if any(has_cut_attendee(source, event) for event in events):
        raise needs_review("The line of an attendee is cut off, so that nobody can tell who must be told.")
    for each in components:
        if each.blocks:
            _refuse_inconsistent(each)


def _refuse_without_block(components: Sequence[Component], dial_in: DialIn | None) -> None:
    if any(each.blocks for each in components):
        return
    texts = (shown_text(description) for each in components for description in each.descriptions)
    if dial_in is not None and any(map(dial_in.is_shown_in, texts)):
        raise needs_review(
            "The description shows a dial-in number and the conference ID of the organizer, but no meeting block that "
            "could be brought up to date."
        )
    raise Declined("no-block", "The invitation carries no online-meeting block.")


def _are_of_one_meeting(names: Sequence[Set[str]]) -> bool:
    """Tell whether blocks join one meeting: each has a link with one of the others in common."""
    known, *others = sorted(names, key=len, reverse=True)
    for each in others:
        if known.isdisjoint(each):
            return False
        known = known | each
    return True


def _refuse_different_links(component: Component) -> None:
    text, html = (
        {
            links.comparable(link)
            for description in component.descriptions
            if description.is_html is is_html
            for link in description.sight.join_links
            if "://" in link
        }
        for is_html in (False, True)
    )
    if text and html and not text & html:
        raise needs_review("The plain-text and the HTML description carry the join links of different meetings.")


def _refuse_inconsistent(component: Component) -> None:
    for description in component.descriptions:
        if description.sight.found is None and not is_blank(description):
            raise needs_review("Only one of the text and the HTML description carries the meeting block.")
    names = [(description.line.name, description.is_html) for description in component.descriptions]
    if len(set(names)) < len(names):
        raise needs_review("The event has more than one description of the same kind.")


def _refuse_pasted(component: Component, own_url: str, belongs_to_someone_else: Callable[[str], bool] | None) -> None:
    is_proven = is_foreign = False
    for evidence in evidence_of(component, own_url, belongs_to_someone_else):
        if evidence.verdict is Verdict.PASTED:
            raise Declined("pasted-block", evidence.sentence)
        is_proven = is_proven or evidence.is_proof
        is_foreign = is_foreign or evidence.is_foreign
    if is_foreign and not is_proven:
        raise needs_review(
            "Neither the server nor the name in the join link is the organizer's, and nothing else says that the "
            "meeting block is this meeting's own."
        )
    # Who answers a mail with a meeting has the mail quoted above a block that is the meeting's own.
    if not is_proven and is_quoted(component):
        raise needs_review("The meeting block stands in a quoted invitation, below another message.")


def _refuse_other_join_links(components: Sequence[Component]) -> None:
    """Refuse a series in which the master or an occurrence without a block has the join link of another meeting."""
    known = {name for each in components for block in each.blocks for name in block.names}
    known |= {
        links.comparable(each.effective[name])
        for each in components
        if each.blocks
        for name in (EXTERNAL_LINK, TEAMS_URL)
        if name in each.effective
    }
    for each in components:
        for name in () if each.blocks else (EXTERNAL_LINK, TEAMS_URL):
            if name in each.machine_read and links.comparable(each.machine_read[name]) not in known:
                raise needs_review("The meeting or one of its occurrences has a join link that is not the block's.")


def _block_edits(component: Component, block: MeetingBlock) -> Iterator[tuple[Edit, Span]]:
    notes = next((found.shared_notes_url for found in reversed(component.blocks) if found.shared_notes_url), "")
    for description in component.descriptions:
        found = description.sight.found
        if found is None:
            continue
        before = description.value[found.cut.start : found.cut.end]
        after = _drawn(block, notes, before, description.is_html)
        if before == after:
            continue
        if found.kind is Kind.OWN and any(
            _reads_the_same(before, _drawn(each, notes, before, description.is_html), description.is_html)
            for each in (block, block.earlier)
        ):
            continue
        after = found.cut.before + after + found.cut.after
        start = description.value_start + found.cut.start
        end = description.value_start + found.cut.end
        yield (
            replace_in_value(component.source, description.line, start, end, after),
            span(component.recurrence_id, description.line.name, before, after),
        )


def _drawn(block: MeetingBlock, notes: str, before: bytes, is_html: bool) -> bytes:
    """Return a block as the value that stands in the place of `before`."""
    new = render_html(block, notes) if is_html else render_text(block, notes)
    return new.encode() if is_html and _is_not_escaped(before) else escaped(new)


def _is_not_escaped(piece: bytes) -> bool:
    """Tell whether a producer plainly wrote its HTML without the escapes of a TEXT value."""
    escapes = sum(map(piece.count, (b"\\;", b"\\,")))
    return piece.count(b";") + piece.count(b",") > 2 * escapes


def _reads_the_same(one: bytes, other: bytes, is_html: bool) -> bool:
    """Tell whether two blocks differ only in what a mail server changes by itself: white space, styles, classes."""
    return _reading(one, is_html) == _reading(other, is_html)


def _reading(piece: bytes, is_html: bool) -> tuple[str, list[str]]:
    if not is_html:
        return "".join(_IMAGE.sub("", unescaped(piece)).split()), []
    return "".join(visible_text(piece).split()), [*targets(piece), *images(piece)]
