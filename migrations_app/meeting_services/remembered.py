"""The online meetings of a user's calendar that MMS knows: made once, and found again after any crash (R41)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from migrations_app import models
from migrations_app.failures import Failure
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.rewriting import links
from migrations_app.rewriting.online_meeting import NAMES, DialInFacts, OnlineMeeting
from migrations_app.rewriting.services import Service
from tenants_app.bulk import insert
from tenants_app.models import ConferencingUser

_NOBODY = frozenset[str]()


class SeenMeeting(NamedTuple):
    """A meeting that an invitation leads into, and whether it showed a conference ID that MMS gave."""

    request: Request
    service: str
    join_url: str
    has_given_id: bool


class Remembered:
    """What is remembered of one user's meetings, read once."""

    def __init__(self, user: ConferencingUser) -> None:
        self._user = user
        self._since = timezone.now()
        self._rows: set[tuple[str, str]] = set()
        self._links: defaultdict[str, set[str]] = defaultdict(set)
        self._of_link: defaultdict[str, set[str]] = defaultdict(set)
        self._uids: defaultdict[str, set[str]] = defaultdict(set)
        self._with_given_id: set[str] = set()
        fields = ("uid", "service", "join_url", "has_given_id")
        for uid, service, join_url, has_given_id in (
            models.OnlineMeeting.objects.filter(user=user).values_list(*fields).iterator()
        ):
            self._note(uid, service, join_url)
            if has_given_id:
                self._with_given_id.add(uid)

    def _note(self, uid: str, service: str, join_url: str) -> None:
        name = links.comparable(join_url)
        self._rows.add((uid, join_url))
        self._links[uid].add(name)
        self._uids[name].add(uid)
        if service == Service.LINK:
            self._of_link[uid].add(name)

    def of(self, uid: str) -> frozenset[str]:
        """The join links of a meeting, as ``links.comparable`` has them."""
        return frozenset(self._links.get(uid, _NOBODY))

    def of_link(self, uid: str) -> frozenset[str]:
        """Those of the ``Link`` service."""
        return frozenset(self._of_link.get(uid, _NOBODY))

    def is_of_another(self, uid: str, name: str) -> bool:
        """Whether a join link leads into another meeting of the user."""
        return bool(self._uids.get(name, _NOBODY) - {uid})

    def find(self, service: MeetingService, requests: Sequence[Request]) -> dict[Request, OnlineMeeting]:
        """The online meetings that the service has made already."""
        rows = models.OnlineMeeting.objects.filter(
            user=self._user,
            service=service.name,
            made_under=service.made_under,
            uid__in={each.uid for each in requests},
        ).values_list("uid", "recurrence_id", "join_url", "facts")
        found = {(uid, recurrence_id): _of_row(join_url, facts) for uid, recurrence_id, join_url, facts in rows}
        known = ((each, found.get((each.uid, each.recurrence_id))) for each in requests)
        return {each: meeting for each, meeting in known if meeting is not None}

    def make(self, service: MeetingService, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        """The online meetings that the service has made, or makes now; or why it does not (R42).

        What is made is written in a transaction of its own, before any invitation names it. A service that says how
        people dial in is asked for that again: since then its numbers may have changed. Raises ``Failure`` where the
        service is down.
        """
        made: dict[Request, OnlineMeeting | Failure] = {**_as_said_now(service, self.find(service, requests))}
        missing = [each for each in requests if each not in made]
        if not missing:
            return made
        answers = service.make(missing)
        new = {each: meeting for each, meeting in answers.items() if isinstance(meeting, OnlineMeeting)}
        made |= answers
        if new:  # a preview, which may be part of a larger transaction, has none
            rows = [self._row(each, service.name, service.made_under, meeting) for each, meeting in new.items()]
            with transaction.atomic(durable=True):
                inserted = insert(rows, unless_there=True)
            if inserted < len(rows):  # another worker, taken for lost, was quicker: its answer counts
                made |= self.find(service, list(new))
        for each, meeting in made.items():
            if isinstance(meeting, OnlineMeeting):
                self._note(each.uid, service.name, meeting.join_url)
        return made

    def had_given_id(self, uid: str) -> bool:
        """Whether a meeting's invitation showed a conference ID of ours, so that MMS may print one again (R43)."""
        return uid in self._with_given_id

    def remember(self, seen: Iterable[SeenMeeting]) -> None:
        """Note meetings that invitations lead into.

        Those of the ``Link`` service answer in the directory from then on (R46); others prove that a block which MMS
        drew around them is their own. They were there before what has been made meanwhile, and the newest counts.
        """
        rows = []
        shown = []
        for request, service, join_url, has_given_id in seen:
            uid = request.uid
            if has_given_id and uid not in self._with_given_id:
                self._with_given_id.add(uid)
                shown.append(uid)
            if (uid, join_url) in self._rows:  # not as they compare: a link at an old server answers beside the new one
                continue
            self._note(uid, service, join_url)
            begins_with = self._beginning(join_url) if service == Service.LINK else ""
            row = self._row(request, service, begins_with, OnlineMeeting(join_url))
            row.created = self._since
            rows.append(row)
        insert(rows, unless_there=True)
        if shown:
            models.OnlineMeeting.objects.filter(user=self._user, uid__in=shown).update(has_given_id=True)

    def renew(self, leads: Iterable[tuple[str, str]]) -> None:
        """Note that invitations of these meetings (UID) lead into these links again: of several the newest counts."""
        now = timezone.now()
        for uid, join_url in leads:
            rows = models.OnlineMeeting.objects.filter(user=self._user, uid=uid)
            rows.filter(join_url=join_url).update(created=now)

    def learn(self, seen: Iterable[SeenMeeting]) -> None:
        """Know these meetings as :meth:`remember` does, but without storing anything: for whom only looks."""
        for request, service, join_url, has_given_id in seen:
            if has_given_id:
                self._with_given_id.add(request.uid)
            self._note(request.uid, service, join_url)

    def _beginning(self, join_url: str) -> str:
        """The meeting URL below which a ``Link`` meeting lies: the user's, or an earlier one."""
        today = self._user.meeting_url.rstrip("/")
        return today if join_url.startswith(f"{today}/") else join_url.rpartition("/")[0].rpartition("/")[0]

    def _row(self, request: Request, service: str, made_under: str, meeting: OnlineMeeting) -> models.OnlineMeeting:
        facts: dict[str, Any] = {name: value for name in NAMES if (value := getattr(meeting, name))}
        if meeting.phone is not None:
            facts["phone"] = asdict(meeting.phone)
        return models.OnlineMeeting(
            tenant_id=self._user.tenant_id,
            user=self._user,
            uid=request.uid,
            recurrence_id=request.recurrence_id[:100],
            service=service,
            made_under=made_under,
            join_url=meeting.join_url,
            facts=facts,
            room=meeting.join_url.partition("?")[0].rstrip("/").rpartition("/")[2].lower()[:300],
        )


def _as_said_now(
    service: MeetingService, found: Mapping[Request, OnlineMeeting]
) -> Mapping[Request, OnlineMeeting | Failure]:
    """The meetings with what their service says of dialling in by now, or why it says nothing of one."""
    if not service.says_dial_in or not found:
        return found
    said = service.dial_in(list(dict.fromkeys(meeting.join_url for meeting in found.values())))
    answers = {each: said[meeting.join_url] for each, meeting in found.items()}
    return {
        each: answer if isinstance(answer, Failure) else replace(found[each], phone=answer)
        for each, answer in answers.items()
    }


def _of_row(join_url: str, facts: Mapping[str, Any]) -> OnlineMeeting:
    phone = facts.get("phone")
    return OnlineMeeting(join_url, **{**facts, "phone": DialInFacts(**phone) if phone is not None else None})
