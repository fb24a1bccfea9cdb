"""Make the meeting block of an object say what it should (R20, R21, R23, R25, R40).

Nothing is re-serialised: the octets of the block, or those in it that are wrong, and of the machine-read properties
that carry the same link and numbers are exchanged, SEQUENCE and the time stamps are renewed, every other octet stays.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from migrations_app.calendars.content_lines import Edit, escaped, replace_in_value, splice, unescaped
from migrations_app.rewriting import links
from migrations_app.rewriting.block import MeetingBlock, Phone, can_be_carried, render_html, render_text
from migrations_app.rewriting.components import Component, Description
from migrations_app.rewriting.errors import Declined, needs_review
from migrations_app.rewriting.examine import Examined
from migrations_app.rewriting.facts import BlockFacts, shown_id
from migrations_app.rewriting.frames import look
from migrations_app.rewriting.in_place import exchanged, exchanges, parts_of
from migrations_app.rewriting.likeness import said
from migrations_app.rewriting.online_meeting import OnlineMeeting, merged
from migrations_app.rewriting.properties import DialledProperties, Properties
from migrations_app.rewriting.revision import renew
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.services import Service
from migrations_app.rewriting.shown_html import images
from migrations_app.rewriting.spans import Span, span
from tenants_app.sentences import Sentence, one_after_the_other, sentence

_IMAGE = re.compile(r"\[https?://[^\s\[\]]*\]")  # how a mail server renders one as text
_URL = re.compile(r"https?://[^\s<>]+")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten object, what was replaced in it, the SEQUENCE it has now, and what a person should know about it.

    `edits` are those that made `body` of the source, which `spans` say in words. `has_own_blocks` tells whether a block
    in it is one that MMS draws.
    """

    body: bytes
    edits: Sequence[Edit]
    spans: tuple[Span, ...]
    sequence: int
    join_url: str
    note: str = ""
    has_own_blocks: bool = True


@dataclass(frozen=True, slots=True)
class Identities:
    """Which conference ID a meeting shows (R43).

    `given` are the IDs that the organization's bridges ever handed out for the organizer. With `from_service` the
    meeting service hands them out, and the one in the block is kept. `was_given` tells that the block showed one of
    `given` before its phone part went.
    """

    given: frozenset[str] = frozenset()
    from_service: bool = False
    was_given: bool = False

    def of(self, service: Service, shown: str, own: str) -> str:
        """Return the ID of a meeting whose block has `shown`, where MMS would print `own`; "" for none."""
        if self.from_service:
            return shown
        if service is Service.LINK:
            return own or shown
        # The telephone side of another service opens only with an ID that it knows.
        is_ours = shown in self.given if shown else self.was_given
        return own if own and is_ours else shown


NO_IDENTITIES = Identities()


def write(
    examined: Examined,
    block: MeetingBlock,
    made: Mapping[str, OnlineMeeting],
    *,
    now: datetime,
    left: Set[str] = frozenset(),
    ids: Identities = NO_IDENTITIES,
    phones: Mapping[str, Phone] | None = None,
    same_sequence: bool = False,
) -> Rewrite:
    """Return the object with the block that it should have.

    `block` is what the organizer's settings say, whatever its join link. `made` are the online meetings that take the
    place of old ones, by the RECURRENCE-ID of `Examined.meetings`; a meeting that has none there stays where it is, and
    only what is wrong about it is exchanged (R40). Those in `left`, which must not be all, are not touched. `phones`
    are the phone parts of meetings whose service says how one dials in, named likewise. Raises
    Declined: `already-current`, `no-conference-id`, or `needs-review` where something that leads into the meeting
    cannot be carried over with certainty.
    """
    source = examined.source
    edits: list[Edit] = []
    spans: list[Span] = []
    notes: dict[Sentence, None] = {}
    has_own_blocks = False
    phones = phones or {}
    plans = {
        each.recurrence_id: (
            _Anew(each, block.dialled(phones.get(seen.recurrence_id)).leading_to(made[seen.recurrence_id]))
            if (seen := examined.meeting_of[each.recurrence_id]).recurrence_id in made
            else _Current(
                each, examined.facts_of[each.recurrence_id], block, seen.service, ids, phones.get(seen.recurrence_id)
            )
        )
        for each in examined.components
        if each.blocks and examined.meeting_of[each.recurrence_id].recurrence_id not in left
    }
    first = next(iter(plans.values()))
    # What has no block of its own follows the series, also where that is left.
    of_master = plans.get("") if "" in examined.meeting_of else first
    for each in examined.components:
        plan = plans.get(each.recurrence_id)
        follows = plan if each.blocks else of_master
        if follows is None:
            continue
        changes = [*plan.block_edits()] if plan else []
        changes += [*follows.property_edits(examined.components, each)]
        for edit, replaced in changes:
            edits.append(edit)
            spans.append(replaced)
        if plan:
            has_own_blocks = has_own_blocks or plan.is_own
            if plan.note:
                notes[plan.note] = None
    if not edits:
        raise Declined("already-current", sentence("The invitation already says what the organizer's settings say."))
    changed = [each.event for each in examined.components]
    sequence = renew(source, examined.events, changed, now, edits, same_sequence=same_sequence)
    body = splice(source, edits)
    return Rewrite(body, edits, tuple(spans), sequence, first.join_url, one_after_the_other(*notes), has_own_blocks)


class _Anew:
    """A component whose block is written anew around a meeting that was made for it."""

    is_own = True
    note = Sentence("")

    def __init__(self, component: Component, block: MeetingBlock) -> None:
        self._component = component
        self._block = block
        self.join_url = block.join_url

    def block_edits(self) -> Iterator[tuple[Edit, Span]]:
        return _drawn_edits(self._component, self._block)

    def property_edits(self, components: Sequence[Component], component: Component) -> Iterator[tuple[Edit, Span]]:
        return Properties(components, self._component.blocks[0], self._block).edits(component)


class _Current:
    """A component whose meeting stays in its service; only what is wrong about it is exchanged (R40)."""

    def __init__(
        self,
        component: Component,
        facts: Sequence[BlockFacts],
        block: MeetingBlock,
        service: Service,
        ids: Identities,
        phone: Phone | None,
    ) -> None:
        self._component = component
        self._facts = facts
        self._refuse_disagreement()
        shown = shown_id(facts)
        block = block.dialled(phone)
        wants_phone = block.toll is not None or block.toll_free is not None
        conference_id = block.conference_id
        if phone is None:
            conference_id = ids.of(service, shown, block.conference_id) if wants_phone else ""
        if wants_phone and not conference_id:
            raise Declined(
                "no-conference-id",
                sentence("Its %(product)s block shows no conference ID to print.", product=service.product),
            )
        self.note = Sentence("")
        if conference_id and conference_id == shown != block.conference_id and shown not in ids.given:
            self.note = sentence("The conference ID %(shown)s was not given out by MMS, and is kept.", shown=shown)
        self._keeps_id = conference_id not in {"", block.conference_id}
        self._block = replace(block, conference_id=conference_id).leading_to(self._meeting)
        self.join_url = self._meeting.join_url
        self._edits: list[list[Edit]] | None = None
        self.is_own = any(facts.found.kind is Kind.OWN for facts in self._facts)
        if not self.is_own:
            self._edits = self._in_place()
            self.is_own = self._edits is None
        if self.is_own and not can_be_carried(self._meeting):
            raise needs_review(
                sentence("Something that leads into the meeting could not be written into a new block as it is.")
            )

    @cached_property
    def _meeting(self) -> OnlineMeeting:
        return merged([facts.online_meeting for facts in self._facts])

    def _refuse_disagreement(self) -> None:
        for one, other in pairwise(self._facts):
            for disagreement in one.disagreements(other):
                raise needs_review(disagreement)

    def _in_place(self) -> list[list[Edit]] | None:
        """Return the edits of each description; None where parts come or go, or cannot be told apart."""
        wanted = parts_of(self._block)
        found = []
        for facts, description in zip(self._facts, self._component.descriptions_with_block, strict=True):
            if facts.parts() != wanted or facts.doubt:
                return None
            before = description.value[facts.found.cut.start : facts.found.cut.end]
            is_escaped = not (facts.is_html and _is_not_escaped(before))
            edits = exchanges(facts, self._block, is_escaped=is_escaped)
            if edits is None:
                return None
            if edits and not self._says(splice(description.value, edits), facts):
                return None
            found.append(edits)
        return found

    def _says(self, value: bytes, old: BlockFacts) -> bool:
        """Tell whether a changed description is read as it should be: what leads into the meeting is as it was."""
        found = look(value, is_html=old.is_html).found
        if found is None or found.kind is not old.found.kind:
            return False
        facts = BlockFacts(found, value, is_html=old.is_html, known=old.known)
        numbers = {number.e164 for number in (self._block.toll, self._block.toll_free) if number is not None}
        return (
            facts.online_meeting == old.online_meeting
            and facts.conference_id == (self._block.conference_id if self._block.has_phone else "")
            and {number.e164 for number in facts.numbers} == (numbers if self._block.has_phone else set())
            and not facts.doubt
            and not facts.still_shows(old, numbers)
        )

    def block_edits(self) -> Iterator[tuple[Edit, Span]]:
        if self._edits is None:
            self._refuse_uncertain()
            return self._carried_over()
        return self._exchanged(self._edits)

    def _exchanged(self, all_edits: list[list[Edit]]) -> Iterator[tuple[Edit, Span]]:
        """Yield small edits; the span of the first covers the whole block, so that undo finds it again."""
        component = self._component
        for facts, description, edits in zip(self._facts, component.descriptions_with_block, all_edits, strict=True):
            if not edits:
                continue
            cut, value = facts.found.cut, description.value
            before = value[cut.start : cut.end]
            whole = span(
                component.recurrence_id, description.line.name, before, exchanged(value, cut.start, cut.end, edits)
            )
            yield _edit_of_block(component, description, edits), whole

    def _refuse_uncertain(self) -> None:
        for facts in self._facts:
            if facts.unsure:
                raise needs_review(facts.unsure)
            if self._keeps_id and facts.conference_ids and not facts.has_certain_id:
                raise needs_review(
                    sentence("Nobody can tell for certain which conference ID the meeting block has to keep.")
                )

    def _carried_over(self) -> Iterator[tuple[Edit, Span]]:
        """Draw the block anew with all that leads into the meeting, and read it back to be certain."""
        drawn = [*_drawn_edits(self._component, self._block)]
        meeting = replace(self._meeting, shared_notes_url="")
        for is_html in {facts.is_html for facts in self._facts} if drawn else ():
            rendered = (render_html if is_html else render_text)(self._block, self._meeting.shared_notes_url)
            value = escaped(rendered)
            found = look(value, is_html=is_html).found
            if found is None or not _leads_to(BlockFacts(found, value, is_html=is_html), meeting):
                raise needs_review(
                    sentence("What leads into the meeting cannot be carried over into a new block with certainty.")
                )
        return iter(drawn)

    def property_edits(self, components: Sequence[Component], component: Component) -> Iterator[tuple[Edit, Span]]:
        numbers = {number.e164 for facts in self._facts for number in facts.numbers}
        return DialledProperties(components, self._block, numbers, self._facts[0].known).edits(component)


def _leads_to(facts: BlockFacts, meeting: OnlineMeeting) -> bool:
    return replace(facts.online_meeting, shared_notes_url="") == meeting


def _edit_of_block(component: Component, description: Description, edits: Sequence[Edit]) -> Edit:
    """Return the edit of the source that makes some edits of a description's value.

    They are made one by one, the last first, so that each sees the folds that those after it leave.
    """
    source, line = component.source, description.line
    for first, last, text in reversed(edits):
        edit = replace_in_value(source, line, description.value_start + first, description.value_start + last, text)
        source = splice(source, [edit])
        grown = len(edit.replacement) - (edit.end - edit.start)
        line = line._replace(end=line.end + grown, following=line.following + grown)
    old = description.line
    return Edit(old.start, old.end, source[line.start : line.end])


def _drawn_edits(component: Component, block: MeetingBlock) -> Iterator[tuple[Edit, Span]]:
    notes = next((found.shared_notes_url for found in reversed(component.blocks) if found.shared_notes_url), "")
    for description, found in zip(component.descriptions_with_block, component.blocks, strict=True):
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
    """Return what a block says, and where its links lead without what mail filters wrap around them."""
    if not is_html:
        text = _IMAGE.sub("", unescaped(piece))
        return "".join(_URL.sub(lambda found: links.unwrapped(found[0]), text).split()), []
    text, addresses = said(piece)
    return text, [addresses, *images(piece)]
