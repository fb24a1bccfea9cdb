"""Lists and counts of meetings by the facts that stand in rows, whatever kind of mailbox they are of."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.mailboxes.base import NO_END, FutureMeetings, Listed
from migrations_app.models import MeetingFacts
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence

LONGEST_UID = 500
"""Characters of a UID by which a meeting is known."""
FACTS = tuple(field.name for field in fields(Listed))
"""What a listed meeting says stands in columns of the same names."""


class ListedByRows:
    """The part of :class:`migrations_app.mailboxes.base.Mailbox` that needs no text: over rows of one model."""

    related: ClassVar[str]
    """The rows, seen from the user."""
    whose: ClassVar[Q]
    """Users whose mailbox is of this kind."""

    def __init__(self, user: ConferencingUser) -> None:
        self.user = user

    @property
    def rows(self) -> QuerySet[Any]:
        """The user's, each with its ``size``."""
        raise NotImplementedError

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        found = self.rows.filter(self._candidates(organizers, now)).order_by("starts_at", "uid")
        return [Listed(*row) for row in found.values_list(*FACTS)]

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        rows = self.rows.exclude(self._candidates(organizers, now)).values_list(*FACTS)
        return (Listed(*row) for row in rows.iterator())

    def list_upcoming(self, now: datetime) -> Sequence[Listed]:
        to_come = self.rows.filter(last_end__gt=now).order_by(F("starts_at").asc(nulls_first=True), "uid")
        return [Listed(*row) for row in to_come.values_list(*FACTS)]

    def known(self, uids: Sequence[str]) -> Mapping[str, tuple[datetime, str]]:
        rows = self.rows.filter(uid__in=uids).values_list("uid", "last_end", "etag")
        return {uid: (last_end, etag) for uid, last_end, etag in rows}

    @classmethod
    def count_upcoming(cls, users: QuerySet[ConferencingUser], now: datetime) -> FutureMeetings:
        # Asked of the users, who may be few, and not of all the meetings that there are.
        of = cls.related
        theirs = Q(**{f"{of}__organizer": Lower("upn")}) | Q(**{f"{of}__organizer": Lower("sip_address")})
        readable = Q(**{f"{of}__cancelled": False, f"{of}__unreadable": "", f"{of}__last_end__gt": now})
        attendees = F(f"{of}__attendee_count")
        found = (
            users.order_by()
            .filter(theirs, readable, cls.whose)
            .aggregate(
                meetings=Count(of),
                invitations=Coalesce(Sum(attendees - 1, filter=Q(**{f"{of}__attendee_count__gt": 0})), 0),
            )
        )
        return FutureMeetings(**found)

    @classmethod
    def count_stored(cls, users: QuerySet[ConferencingUser]) -> dict[int, int]:
        counted = users.filter(cls.whose).annotate(meetings=Count(cls.related))
        return dict(counted.values_list("pk", "meetings"))

    @staticmethod
    def _candidates(organizers: Collection[str], now: datetime) -> Q:
        # An unreadable object may be anything; it is listed, so that it fails by itself instead of vanishing.
        mine = Q(organizer__in=organizers, cancelled=False) | ~Q(unreadable="")
        return Q(last_end__gt=now) & mine


def facts_of(uid: str, body: bytes, user: ConferencingUser) -> dict[str, Any]:
    """What the columns of :class:`MeetingFacts` hold for this text; one that cannot be read says why.

    ``uid`` is how its mailbox knows it.
    """
    try:
        facts = read_facts(body)
    except UnreadableCalendar as error:
        return {"uid": uid, "last_end": NO_END, "unreadable": error.sentence}
    if len(facts.uid) > LONGEST_UID:
        told = sentence("Its UID has more than %(most)s characters.", most=str(LONGEST_UID))
        return {"uid": uid, "last_end": NO_END, "unreadable": told}
    recipients = itip.read(body, user.addresses, now=timezone.now()).recipients
    listed = replace(Listed.of(facts, len(recipients)), uid=uid, subject=facts.subject[:255])
    return {name: value for name, value in asdict(listed).items() if name in COLUMNS}


COLUMNS = tuple(field.name for field in MeetingFacts._meta.get_fields())
"""The columns that hold facts."""
