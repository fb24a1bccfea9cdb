"""Who meets whom (R67): meetings to come that join members of a wave with people who stay behind.

Seen in the calendars that MMS can read: a meeting joins those in whose calendars it stands, its organizer, and, where
MMS keeps the calendar itself, its attendees. The work is bounded, and :class:`Company` says where the bound was met.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from migrations_app.calendars.people import attendees
from migrations_app.mailboxes.base import AsOf
from migrations_app.mailboxes.upcoming import oldest_look
from migrations_app.models import CalendarObject, IndexedMeeting, Wave, WaveMember
from migrations_app.rollouts.readiness import expected
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser

SHOWN = 20
"""People outside who are shown."""
MOST_MEETINGS = 20_000
"""Meetings of members that are looked at."""
MOST_COPIES = 200_000
"""Rows of other calendars that are looked at for the same meetings."""
MOST_TEXTS = 1_000
"""Meetings in calendars that MMS keeps whose attendees are read from their texts."""
_FEW = 100
"""Texts that are read at once."""
_MOST_BY_SIP = 2_000


@dataclass(slots=True)
class Outsider:
    """Somebody who stays behind, and how many meetings to come they share with members."""

    user: ConferencingUser
    meetings: int
    wave_name: str = ""
    """The other wave of this rollout that they are in; empty: none."""
    may_join: bool = True


@dataclass(slots=True)
class Company:
    """What was seen of a wave."""

    members: int = 0
    members_seen: int = 0
    """Whose meetings were looked at; fewer where the bound was met."""
    meetings: int = 0
    """Different meetings of them to come."""
    joining: int = 0
    """Of these: meetings with somebody who stays behind."""
    outsiders: list[Outsider] = field(default_factory=list)
    """Those who share the most, first."""
    people: int = 0
    """How many people stay behind who share any."""
    is_cut: bool = False
    """Whether there is more than was looked at."""
    unread_texts: int = 0
    """Meetings in calendars that MMS keeps whose attendees were not read."""
    as_of: AsOf | None = None
    """How old what is known of mailboxes outside is; None where no member has one."""

    @property
    def most(self) -> int:
        """The highest number of meetings that anybody shares."""
        return max((each.meetings for each in self.outsiders), default=0)


@dataclass(slots=True)
class _Seen:
    """A meeting, by its UID."""

    people: set[int] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)


def look_around(wave: Wave, now: datetime | None = None) -> Company:
    """Who stays behind and meets members; only reads. Raises ``ValidationError`` where the filter is not understood."""
    now = now or timezone.now()
    keys = list(expected(wave))
    members = set(keys)
    company = Company(members=len(keys))
    found = _meetings_of_members(keys, company, now)
    company.meetings = len(found)
    _add_copies(found, company)
    _add_addresses(wave, found)
    shared = Counter(pk for seen in found.values() for pk in seen.people - members)
    staying = _staying(wave, shared)
    company.joining = sum(1 for seen in found.values() if not seen.people.isdisjoint(staying))
    company.people = len(staying)
    ranked = sorted(staying, key=lambda pk: (-shared[pk], pk))[:SHOWN]
    company.outsiders = _outsiders(wave, ranked, shared)
    company.as_of = oldest_look(ConferencingUser.objects.filter(pk__in=keys[:_FEW]))
    return company


def _meetings_of_members(keys: Sequence[int], company: Company, now: datetime) -> dict[str, _Seen]:
    """The meetings to come in the calendars of members, by UID, until the bound is met."""
    found: dict[str, _Seen] = {}
    texts = 0
    for some in batched(keys):
        if len(found) >= MOST_MEETINGS:
            company.is_cut = True
            break
        for model in (IndexedMeeting, CalendarObject):
            rows = model._default_manager.filter(user__in=some, last_end__gt=now, cancelled=False, unreadable="")
            left = MOST_MEETINGS - len(found) + 1
            named = rows.order_by("user", "pk").values_list("pk", "user", "uid", "organizer")[: max(left, 1)]
            to_read = []
            for pk, user, uid, organizer in named:
                if uid not in found and len(found) >= MOST_MEETINGS:
                    company.is_cut = True
                    continue
                is_new = uid not in found
                seen = found.setdefault(uid, _Seen())
                seen.people.add(int(user))
                if organizer:
                    seen.addresses.add(organizer)
                if is_new and model is CalendarObject:
                    to_read.append(int(pk))
            may_read = max(MOST_TEXTS - texts, 0)
            company.unread_texts += len(to_read[may_read:])
            texts += len(to_read[:may_read])
            _read_attendees(to_read[:may_read], found)
        company.members_seen += len(some)
    return found


def _read_attendees(keys: Sequence[int], found: dict[str, _Seen]) -> None:
    for some in batched(keys, _FEW):
        for uid, body in CalendarObject.objects.filter(pk__in=some).values_list("uid", "body"):
            found[uid].addresses.update(person.address.lower() for person in attendees(bytes(body)) if person.address)


def _add_copies(found: dict[str, _Seen], company: Company) -> None:
    """Whose calendars have the same meetings. Asked by UID alone, so that all users of the tenant are not gone through:
    those of other tenants fall out where it is asked who stays behind.
    """
    copies = 0
    for some in batched(list(found)):
        for model in (IndexedMeeting, CalendarObject):
            if copies >= MOST_COPIES:
                company.is_cut = True
                return
            rows = model._default_manager.filter(uid__in=some).order_by()
            for uid, user in rows.values_list("uid", "user")[: MOST_COPIES - copies]:
                found[uid].people.add(int(user))
                copies += 1


def _add_addresses(wave: Wave, found: dict[str, _Seen]) -> None:
    """Who stands behind the addresses of organizers and attendees."""
    meetings: defaultdict[str, list[_Seen]] = defaultdict(list)
    for seen in found.values():
        for address in seen.addresses:
            meetings[address].append(seen)
    unknown: list[str] = []
    for some in batched(sorted(meetings)):
        users = ConferencingUser.objects.with_upns(wave.rollout.tenant, some).values_list("pk", "upn")
        known = {upn.lower(): pk for pk, upn in users}
        unknown += _note(meetings, known, some)
    # There is no index of SIP addresses, which are nearly always the names: those of strangers are many.
    for some in batched(unknown[:_MOST_BY_SIP]):
        by_sip = ConferencingUser.objects.filter(tenant=wave.rollout.tenant_id, sip_address__in=some)
        _note(meetings, {sip.lower(): pk for pk, sip in by_sip.values_list("pk", "sip_address")}, some)


def _note(meetings: dict[str, list[_Seen]], known: dict[str, int], addresses: Iterable[str]) -> list[str]:
    """Add the users to their meetings; the addresses of nobody."""
    unknown = []
    for address in addresses:
        if (pk := known.get(address)) is None:
            unknown.append(address)
        else:
            for seen in meetings[address]:
                seen.people.add(pk)
    return unknown


def _staying(wave: Wave, people: Iterable[int]) -> set[int]:
    """Who of these people stays on the legacy side when the wave has moved: nobody of an earlier wave does."""
    staying: set[int] = set()
    for some in batched(sorted(people)):
        legacy = ConferencingUser.objects.filter(pk__in=some, deployment=wave.rollout.legacy_id)
        earlier = WaveMember.objects.filter(
            user__in=some, is_current=True, wave__rollout=wave.rollout_id, wave__position__lt=wave.position
        )
        staying |= {*legacy.values_list("pk", flat=True)} - {*earlier.values_list("user", flat=True)}
    return staying


def _outsiders(wave: Wave, ranked: Sequence[int], shared: Counter[int]) -> list[Outsider]:
    users = ConferencingUser.objects.in_bulk(list(ranked))
    places = WaveMember.objects.filter(user__in=ranked, is_current=True).select_related("wave")
    there = {place.user_id: place.wave for place in places}
    outsiders = []
    for pk in ranked:
        other = there.get(pk)
        is_ours = other is not None and other.rollout_id == wave.rollout_id
        may_join = not wave.has_started and (other is None or (is_ours and not other.has_started))
        outsiders.append(Outsider(users[pk], shared[pk], other.name if other is not None else "", may_join))
    return outsiders
