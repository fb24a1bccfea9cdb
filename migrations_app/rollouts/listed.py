"""What the report of a wave lists by name (R93): read row by row, because each may have as many rows as the wave has
members. Pages show the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Q

from migrations_app.models import AcceptedItem, Wave, WaveMember
from migrations_app.rollouts import searching, stranded
from tenants_app.sentences import sentence

ON_A_PAGE = 200
"""How many of each list stand on the page; files have all."""
_CHUNK = 500

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """One of the lists: what it is called, what its columns are called, and its rows, for a wave by its key."""

    name: str
    title: str
    columns: Mapping[str, str]
    rows: Callable[[int], Iterator[Row]]

    def first(self, wave: int) -> tuple[list[Row], bool]:
        """The rows for a page, and whether there are more."""
        rows = list(islice(self.rows(wave), ON_A_PAGE + 1))
        return rows[:ON_A_PAGE], len(rows) > ON_A_PAGE


def _not_moved(wave: int) -> Iterator[Row]:
    """Members who failed or were excluded, with the reason."""
    left = WaveMember.objects.filter(wave=wave, state__in=[WaveMember.State.FAILED, WaveMember.State.EXCLUDED])
    for member in left.select_related("user").order_by("user__upn").iterator(_CHUNK):
        yield {
            "user": member.user.upn,
            "state": member.state,
            "reason": member.failure,
            "by": member.excluded_by,
        }


def _accepted(wave: int) -> Iterator[Row]:
    """What was not as it should be when somebody accepted the wave (R81)."""
    for item in AcceptedItem.objects.filter(wave=wave).order_by("upn", "pk").iterator(_CHUNK):
        yield {
            "user": item.upn,
            "kind": item.get_kind_display(),
            "subject": item.subject,
            "starts": item.starts_at,
            "reason": item.sentence,
        }


def _kept(wave: int) -> Iterator[Row]:
    """Meetings that going back has left as they were, because they were edited since, or for another reason (R86)."""
    of = Wave.objects.get(pk=wave)
    for result in stranded.edited(of).order_by("run__user__upn", "pk").iterator(_CHUNK):
        yield {
            "user": result.run.user.upn,
            "subject": result.subject,
            "starts": result.starts_at,
            "attendees": result.attendee_count,
            "reason": result.reason,
        }


def _stranded(wave: int) -> Iterator[Row]:
    """Meetings that were scheduled on the new side, by the latest search: their organizers schedule them anew (R85)."""
    search = searching.latest(wave=Wave.objects.get(pk=wave))
    if search is None:
        return
    meetings = search.meetings.select_related("user").order_by("user__upn", "starts_at", "pk")
    for meeting in meetings.iterator(_CHUNK):
        yield {
            "user": meeting.user.upn,
            "subject": meeting.subject,
            "starts": meeting.starts_at,
            "attendees": meeting.attendee_count,
            "reason": meeting.join_url,
        }


def _clients(wave: int) -> Iterator[Row]:
    """Members who are back and whose client is newer than the legacy side lets in (R86)."""
    of = Wave.objects.select_related("rollout__legacy").get(pk=wave)
    back = Q(state=WaveMember.State.ROLLED_BACK) | Q(is_going_back=True)
    for member in stranded.clients_to_downgrade(of).filter(back).iterator(_CHUNK):
        yield {"user": member.user.upn, "reason": member.client_version}


LISTS = (
    Listed(
        "not_moved",
        sentence("Members who failed or were excluded"),
        {
            "user": sentence("User"),
            "state": sentence("State"),
            "reason": sentence("Reason"),
            "by": sentence("By"),
        },
        _not_moved,
    ),
    Listed(
        "accepted",
        sentence("What was accepted"),
        {
            "user": sentence("User"),
            "kind": sentence("Kind"),
            "subject": sentence("Subject"),
            "starts": sentence("Start"),
            "reason": sentence("Reason"),
        },
        _accepted,
    ),
    Listed(
        "kept",
        sentence("Meetings that going back has left as they were"),
        {
            "user": sentence("Organizer"),
            "subject": sentence("Subject"),
            "starts": sentence("Start"),
            "attendees": sentence("Attendees"),
            "reason": sentence("Reason"),
        },
        _kept,
    ),
    Listed(
        "cannot_go_back",
        sentence("Meetings that must be scheduled anew"),
        {
            "user": sentence("Organizer"),
            "subject": sentence("Subject"),
            "starts": sentence("Start"),
            "attendees": sentence("Attendees"),
            "reason": sentence("Join link"),
        },
        _stranded,
    ),
    Listed(
        "clients_to_downgrade",
        sentence("Clients to be downgraded"),
        {"user": sentence("User"), "reason": sentence("Client version")},
        _clients,
    ),
)
"""In the order of the report."""
