"""Searching mailboxes for meetings to come that lead to a deployment's hosts or show its numbers (R85, R88).

A search is a row that says how far it is. Mailboxes are read without locks, some users a step, and what was found is
committed with how far it went: whoever goes on later begins after the last step that was whole. Of mailboxes outside
what is read stands in an index, so that each must be looked at first, as for numbers (:mod:`number_looks`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import Failure
from migrations_app.mailboxes.base import Stored
from migrations_app.mailboxes.upcoming import read_upcoming
from migrations_app.models import FoundMeeting, MeetingResult, MeetingSearch, Rollout, UnreadMailbox, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import beat
from migrations_app.procedures import number_looks
from migrations_app.rewriting.written_hosts import hosts_of, links_to
from migrations_app.rewriting.written_numbers import shown_numbers
from migrations_app.runs.queue import wake_cluster
from migrations_app.targets import UNDO
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Deployment, ServiceNumber
from tenants_app.sentences import sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

USERS = 50
"""Users whose mailboxes are searched in one step."""
ATTENDEES = 50
"""As many addresses of a meeting's attendees are kept."""
WAIT = timedelta(seconds=15)
"""Until it is asked again whether mailboxes outside were looked at."""


# --- asking for it ------------------------------------------------------------------------------------


def hosts_of_new_alone(rollout: Rollout) -> list[str]:
    """The meeting hosts that the new deployment has and the legacy one has not: by these its meetings are known."""
    return sorted(set(rollout.new.meeting_hosts) - set(rollout.legacy.meeting_hosts))


def numbers_of(deployment: Deployment) -> list[str]:
    """The numbers that only the deployment's bridges have: a number is on one bridge of a tenant."""
    numbers = ServiceNumber.objects.filter(tenant=deployment.tenant_id, bridge__deployment=deployment)
    return list(numbers.order_by("number").values_list("number", flat=True))


@transaction.atomic
def search_wave(wave: Wave, actor: Actor) -> MeetingSearch:
    """Have the mailboxes of the wave's members searched for meetings on the new deployment (R85); the open search where
    there is one. Raises ``ValidationError`` where such meetings cannot be told from others.
    """
    Wave.objects.select_for_update(no_key=True).get(pk=wave.pk)
    rollout = wave.rollout
    hosts = hosts_of_new_alone(rollout)
    if not hosts:
        raise ValidationError(
            sentence(
                "%(legacy)s and %(new)s have the same meeting hosts, so nobody can tell their meetings apart by them.",
                legacy=rollout.legacy.name,
                new=rollout.new.name,
            )
        )
    search = begin_for(wave, actor)
    entry(rollout.tenant, actor, "search meetings", wave.name, after={"hosts": ", ".join(hosts)}).save()
    return search


def begin_for(wave: Wave, actor: Actor) -> MeetingSearch:
    """The open search of the wave, or a new one; a part of what the caller audits, who has locked the wave."""
    open_one = MeetingSearch.objects.filter(wave=wave, searched_at=None).first()
    return open_one or _begun(wave.rollout.new, actor, hosts_of_new_alone(wave.rollout), [], wave)


@transaction.atomic
def search_tenant(legacy: Deployment, actor: Actor) -> MeetingSearch:
    """Have all mailboxes searched for what only the legacy deployment has (R88); the open search where there is one."""
    Deployment.objects.select_for_update(no_key=True).get(pk=legacy.pk)
    in_use = Deployment.objects.filter(tenant=legacy.tenant_id).exclude(pk=legacy.pk)
    others = {host for hosts in in_use.values_list("meeting_hosts", flat=True) for host in hosts}
    open_one = MeetingSearch.objects.filter(deployment=legacy, wave=None, searched_at=None).first()
    hosts = sorted(set(legacy.meeting_hosts) - others)
    search = open_one or _begun(legacy, actor, hosts, numbers_of(legacy), None)
    entry(legacy.tenant, actor, "search meetings", legacy.name, after={"hosts": ", ".join(hosts)}).save()
    return search


def _begun(
    deployment: Deployment, actor: Actor, hosts: list[str], numbers: list[str], wave: Wave | None
) -> MeetingSearch:
    now = clock.now()
    search = MeetingSearch.objects.create(
        tenant_id=deployment.tenant_id,
        deployment=deployment,
        wave=wave,
        hosts=hosts,
        numbers=numbers,
        asked_at=now,
        asked_by=actor.name,
        looks_since=now,
        due_at=now,
    )
    wake_cluster()
    return search


def latest(*, wave: Wave | None = None, deployment: Deployment | None = None) -> MeetingSearch | None:
    """The newest search that has ended, of a wave or of a legacy deployment."""
    ended = MeetingSearch.objects.filter(searched_at__isnull=False)
    found = ended.filter(wave=wave) if wave else ended.filter(wave=None, deployment=deployment)
    return found.order_by("-searched_at", "-pk").first()


def under_way(*, wave: Wave | None = None, deployment: Deployment | None = None) -> MeetingSearch | None:
    """The search that is going on."""
    going = MeetingSearch.objects.filter(searched_at=None)
    return (going.filter(wave=wave) if wave else going.filter(wave=None, deployment=deployment)).first()


def users_of(search: MeetingSearch) -> QuerySet[ConferencingUser]:
    """Whose mailboxes are searched."""
    users = ConferencingUser.objects.filter(tenant=search.tenant_id)
    return users if search.wave_id is None else users.filter(pk__in=_who_moved(search.wave_id))


def _who_moved(wave: int) -> QuerySet[WaveMember, Any]:
    never = [WaveMember.State.WAITING, WaveMember.State.EXCLUDED]
    moved = Q(moved_at__isnull=False) | ~Q(state__in=never)
    return WaveMember.objects.filter(moved, wave=wave).order_by().values("user")


# --- finding ------------------------------------------------------------------------------------------


def meetings_found(search: MeetingSearch, user: ConferencingUser, now: datetime) -> list[FoundMeeting]:
    """The user's meetings to come that the search is for, as rows that are not saved. Raises ``Failure``."""
    found: dict[str, FoundMeeting] = {}
    whose = ConferencingUser.objects.filter(pk=user.pk)
    for _, stored in read_upcoming(whose, now):
        links = links_to(stored.body, search.hosts, now)
        shows = [*hosts_of(links), *sorted(shown_numbers(stored.body, search.numbers, now))]
        if shows:
            found[stored.listed.uid] = _row(search, user, stored, shows, links, now)
    if search.wave_id is None:
        return list(found.values())
    made = _made_by_runs(search, user, list(found))
    return [row for uid, row in found.items() if uid not in made]


def _row(
    search: MeetingSearch, user: ConferencingUser, stored: Stored, shows: list[str], links: list[str], now: datetime
) -> FoundMeeting:
    listed = stored.listed
    try:
        people = itip.read(stored.body, user.addresses, now=now).recipients
    except UnreadableCalendar:
        people = []
    return FoundMeeting(
        search=search,
        user=user,
        uid=listed.uid,
        subject=listed.subject,
        starts_at=listed.starts_at,
        last_end=listed.last_end,
        attendee_count=listed.attendee_count,
        attendees=[person.address for person in people[:ATTENDEES]],
        shows=shows,
        join_url=links[0][:2000] if links else "",
    )


def _made_by_runs(search: MeetingSearch, user: ConferencingUser, uids: Collection[str]) -> set[str]:
    """Of these meetings those that a run of the wave led to the new deployment: undo puts them back."""
    member = WaveMember.objects.filter(wave=search.wave_id, user=user).first()
    made: set[str] = set()
    if member is None or (member.moved_at is None and member.run_id is None):
        return made
    since = Q(run=member.run_id) if member.run_id else Q(pk__in=[])
    if member.moved_at is not None:
        since |= Q(run__created__gte=member.moved_at)
    for some in batched(uids):
        results = MeetingResult.objects.filter(since, run__user=user, uid__in=some).exclude(run__migration_type=UNDO)
        after = results.exclude(join_url_before=F("join_url_after")).values_list("uid", "join_url_after")
        made |= {uid for uid, url in after if not set(search.hosts).isdisjoint(hosts_of([url]))}
    return made


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Take every search as far as possible now. No run becomes due by it."""
    for pk in _due(clock.now()).order_by("pk").values_list("pk", flat=True):
        while timezone.now() < until and _step(pk):
            pass
    return False


def is_due(now: datetime) -> bool:
    """Whether there is a step to be done at this moment."""
    return _due(now).exists()


def settles_at() -> datetime | None:
    """When it is asked again whether mailboxes were looked at."""
    later = MeetingSearch.objects.filter(searched_at=None, due_at__gt=clock.now())
    return later.order_by("due_at").values_list("due_at", flat=True).first()


def _due(now: datetime) -> QuerySet[MeetingSearch]:
    too_late = Q(due_at__gt=now + WAIT + clock.TOLERANCE)  # of a clock that was set back since
    return MeetingSearch.objects.filter(Q(due_at__lte=now) | too_late, searched_at=None)


def _step(pk: int) -> bool:
    """Search the next mailboxes. Returns whether another step may follow at once."""
    search = MeetingSearch.objects.select_related("tenant").filter(pk=pk, searched_at=None).first()
    if search is None:
        return False
    beat()
    users = list(
        users_of(search)
        .filter(pk__gt=search.searched_to)
        .select_related("tenant__mailbox", "mailbox", "mailbox_credential")
        .order_by("pk")[:USERS]
    )
    pks = [user.pk for user in users]
    unseen = number_looks.passed_over(search, pks) if pks else set()
    if unseen and number_looks.awaited(search).filter(pk__in=unseen).exists():
        number_looks.ask_for(number_looks.awaited(search).filter(pk__in=users_of(search).values("pk")))
        MeetingSearch.objects.filter(pk=pk).update(due_at=clock.now() + WAIT)
        return False
    rows: list[FoundMeeting] = []
    unread: list[UnreadMailbox] = []
    for user in users:
        beat()
        try:
            rows += _looked_at(search, user, is_unseen=user.pk in unseen)
        except Failure as failure:
            unread.append(UnreadMailbox(search=search, user=user, code=failure.code, detail=failure.detail))
    return _committed(search, pks, rows, unread)


def _looked_at(search: MeetingSearch, user: ConferencingUser, *, is_unseen: bool) -> list[FoundMeeting]:
    if is_unseen:
        scan = getattr(user, "mailbox_scan", None)
        raise Failure(scan.code if scan and scan.code else "mailbox-unavailable", scan.detail if scan else "")
    try:
        return meetings_found(search, user, timezone.now())
    except Failure:
        raise
    except Exception as error:
        log.exception("the mailbox of %s could not be searched", user.upn)
        raise Failure("internal-error", sentence("reference %(reference)s", reference=f"search {search.pk}")) from error


@transaction.atomic
def _committed(search: MeetingSearch, pks: list[int], rows: list[FoundMeeting], unread: list[UnreadMailbox]) -> bool:
    same = MeetingSearch.objects.filter(pk=search.pk, searched_to=search.searched_to, searched_at=None)
    if not pks:
        if same.update(searched_at=clock.now()):
            _replace_older(search)
        return False
    went_on = same.update(
        searched_to=pks[-1],
        searched_users=F("searched_users") + len(pks),
        searched_meetings=F("searched_meetings") + len(rows),
    )
    if went_on:  # otherwise another worker was as far
        FoundMeeting.objects.bulk_create(rows, batch_size=100)
        UnreadMailbox.objects.bulk_create(unread, batch_size=100)
    return True


def _replace_older(search: MeetingSearch) -> None:
    """What was told of a meeting stays told; of what older searches found nothing else is kept."""
    older = MeetingSearch.objects.filter(
        tenant=search.tenant_id, deployment=search.deployment_id, wave=search.wave_id, searched_at__isnull=False
    ).exclude(pk=search.pk)
    told = FoundMeeting.objects.filter(search__in=older, notice__isnull=False).order_by("pk")
    for user, uid, notice in told.values_list("user_id", "uid", "notice_id").iterator(chunk_size=1000):
        FoundMeeting.objects.filter(search=search, user_id=user, uid=uid).update(notice=notice)
    older.delete()


def rows_to_come(search: MeetingSearch) -> QuerySet[FoundMeeting]:
    """What it has found and is not over yet."""
    return (
        search.meetings.filter(last_end__gt=timezone.now())
        .select_related("user")
        .order_by("user__upn", "starts_at", "pk")
    )


def found_at_once(wave: Wave, users: QuerySet[ConferencingUser]) -> Iterator[FoundMeeting]:
    """The same of these users, for few of them while somebody waits; writes nothing. Raises ``Failure``."""
    hosts = hosts_of_new_alone(wave.rollout)
    search = MeetingSearch(tenant_id=wave.rollout.tenant_id, deployment=wave.rollout.new, wave=wave, hosts=hosts)
    for user in users.select_related("tenant__mailbox", "mailbox", "mailbox_credential").order_by("upn"):
        yield from meetings_found(search, user, timezone.now())
