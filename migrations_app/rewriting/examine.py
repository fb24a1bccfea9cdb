"""Judge the meeting block that an object carries: whether it may be rewritten, and whose meeting it is (R20, R39)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from migrations_app.calendars.content_lines import Event, events_of, parse, uid_of, unescaped
from migrations_app.calendars.damaged_folds import has_cut_attendee
from migrations_app.rewriting import links
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
from migrations_app.rewriting.facts import NO_NUMBERS, BlockFacts, KnownNumbers, shown_id
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.quoting import is_quoted
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.services import Service, service_of
from migrations_app.rewriting.written_numbers import DialIn
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class Seen:
    """One online meeting behind an invitation: which occurrence it is of ("" for the series), and whose it is."""

    recurrence_id: str
    service: Service
    join_url: str


@dataclass(frozen=True, slots=True)
class Examined:
    """An object with a meeting block that is its own and whole.

    `meetings` are the online meetings behind it: that of the series, and those of occurrences that have one of their
    own. `meeting_of` names for each component with a block, by its RECURRENCE-ID, the one that it leads into, and
    `facts_of` what its blocks say.
    """

    source: bytes
    events: Sequence[Event]
    components: Sequence[Component]
    own: Own
    meetings: Sequence[Seen]
    meeting_of: Mapping[str, Seen]
    facts_of: Mapping[str, Sequence[BlockFacts]]

    @property
    def first(self) -> Seen:
        """The meeting of the series, or of the first occurrence that has one."""
        return self.meetings[0]

    @property
    def has_own_blocks(self) -> bool:
        """Whether MMS drew one of its blocks."""
        return any(each.found.kind is Kind.OWN for facts in self.facts_of.values() for each in facts)

    def shown_id(self, meeting: Seen) -> str:
        """Return the conference ID that a meeting's blocks show; "" where they show none."""
        facts = (facts for rid, facts in self.facts_of.items() if self.meeting_of[rid] is meeting)
        return next(filter(None, map(shown_id, facts)), "")


def examine(
    source: bytes, own: Own, *, now: datetime, dial_in: DialIn | None = None, known: KnownNumbers = NO_NUMBERS
) -> Examined:
    """Return what an object's meeting block leads into.

    `source` is one object (one UID), `now` is aware. `dial_in` is how people dial into the organizer's meetings, and
    `known` what is known of the organization's numbers. Raises Declined with a reason of R20 when the object is to be
    left as it is, UnreadableCalendar when it is no calendar.
    """
    calendars = parse(source)
    events = events_of(calendars)
    components = components_of(source, calendars, now, own.place)
    _refuse_doubtful(source, events, components)
    _refuse_without_block(components, dial_in)
    meetings, meeting_of = _meetings(components, own)
    for each in components:
        if each.blocks:
            is_of_first = meeting_of[each.recurrence_id] is meetings[0]
            _refuse_pasted(each, own) if is_of_first else _refuse_unproven(each, own)
    _refuse_other_join_links(components)
    facts_of = {
        each.recurrence_id: [
            BlockFacts(found, description.value, is_html=description.is_html, known=known)
            for description, found in zip(each.descriptions_with_block, each.blocks, strict=True)
        ]
        for each in components
        if each.blocks
    }
    return Examined(source, events, components, own, meetings, meeting_of, facts_of)


def _meetings(components: Sequence[Component], own: Own) -> tuple[list[Seen], dict[str, Seen]]:
    """Return the online meetings behind an invitation, and which of them each component leads into."""
    meetings: list[Seen] = []
    names: list[Set[str]] = []
    meeting_of: dict[str, Seen] = {}
    for component in components:
        if not component.blocks:
            continue
        its_names = set[str]().union(*(block.names for block in component.blocks))
        place = next((at for at, known in enumerate(names) if not known.isdisjoint(its_names)), len(names))
        if place == len(names):
            joins = [url for block in component.blocks for url in block.joins.values()]
            service = service_of(joins, own.key, own.remembered_as_link)
            meetings.append(Seen(component.recurrence_id, service, component.blocks[0].join_url))
            names.append(its_names)
        else:
            names[place] = names[place] | its_names
        meeting_of[component.recurrence_id] = meetings[place]
    return meetings, meeting_of


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
                sentence("The event's join properties name an online meeting, but its description carries no block.")
            )
        return
    if len(events) > 1 and len({uid_of(source, event) for event in events}) > 1:
        raise needs_review(sentence("The object holds the events of more than one meeting."))
    if len(events) > 1 and len({recurrence_id_of(source, event) for event in events}) < len(events):
        raise needs_review(sentence("The object holds the meeting or one of its occurrences more than once."))
    for each in components:
        if each.blocks and not _are_of_one_meeting([block.names for block in each.blocks]):
            raise needs_review(
                sentence("The plain-text and the HTML description carry the join links of different meetings.")
            )
    if any(has_cut_attendee(source, event) for event in events):
        raise needs_review(sentence("The line of an attendee is cut off, so that nobody can tell who must be told."))
    for each in components:
        if each.blocks:
            _refuse_inconsistent(each)


def _refuse_without_block(components: Sequence[Component], dial_in: DialIn | None) -> None:
    if any(each.blocks for each in components):
        return
    texts = (shown_text(description) for each in components for description in each.descriptions)
    if dial_in is not None and any(map(dial_in.is_shown_in, texts)):
        raise needs_review(
            sentence(
                "The description shows a dial-in number and the conference ID of the organizer, but no meeting "
                "block that could be brought up to date."
            )
        )
    for each in components:
        for description in each.descriptions:
            if provider := links.other_provider(unescaped(description.value).lower()):
                raise Declined(
                    "other-service", sentence("The meeting is one of %(provider)s.", provider=provider), provider
                )
    raise Declined("no-block", sentence("The invitation carries no online-meeting block."))


def _are_of_one_meeting(names: Sequence[Set[str]]) -> bool:
    """Tell whether blocks join one meeting: each has a link with one of the others in common."""
    known, *others = sorted(names, key=len, reverse=True)
    for each in others:
        if known.isdisjoint(each):
            return False
        known = known | each
    return True


def _refuse_different_links(component: Component) -> None:
    if len(component.descriptions) < 2:
        return
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
        raise needs_review(
            sentence("The plain-text and the HTML description carry the join links of different meetings.")
        )


def _refuse_inconsistent(component: Component) -> None:
    for description in component.descriptions:
        if description.sight.found is None and not is_blank(description):
            raise needs_review(sentence("Only one of the text and the HTML description carries the meeting block."))
    names = [(description.line.name, description.is_html) for description in component.descriptions]
    if len(set(names)) < len(names):
        raise needs_review(sentence("The event has more than one description of the same kind."))


def _refuse_pasted(component: Component, own: Own) -> None:
    is_proven = is_foreign = False
    for evidence in evidence_of(component, own):
        if evidence.verdict is Verdict.PASTED:
            raise Declined("pasted-block", evidence.sentence)
        is_proven = is_proven or evidence.is_proof
        is_foreign = is_foreign or evidence.is_foreign
    if is_foreign and not is_proven:
        raise needs_review(
            sentence(
                "Neither the server nor the name in the join link is the organizer's, and nothing else says "
                "that the meeting block is this meeting's own."
            )
        )
    # Who answers a mail with a meeting has the mail quoted above a block that is the meeting's own.
    if not is_proven and is_quoted(component):
        raise needs_review(sentence("The meeting block stands in a quoted invitation, below another message."))


def _refuse_unproven(component: Component, own: Own) -> None:
    """Refuse an occurrence that leads into another meeting than its series, unless that is surely its own (R41)."""
    evidence = [*evidence_of(component, own)]
    if not any(each.is_proof for each in evidence) or any(each.verdict is Verdict.PASTED for each in evidence):
        raise needs_review(sentence("The meeting and one of its occurrences carry different join links."))


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
                raise needs_review(
                    sentence("The meeting or one of its occurrences has a join link that is not the block's.")
                )
