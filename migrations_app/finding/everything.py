"""All that a tenant has and that goes by what was typed: users, numbers, conference IDs, bridges, meetings, runs, jobs,
rooms of persistent chat.

Each question is answered by an index, or looks at rows of a bounded number: a tenant's users, its numbers, the
meetings next to now. Nothing is written and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Generic, TypeVar

from django.db.models import Model, OuterRef, Q, QuerySet, Subquery

from migrations_app.finding.typed import Typed
from migrations_app.models import BulkAction, ChatPlan, ChatRoom, NumberRelease, OnlineMeeting, Preview, Run, UserImport
from migrations_app.stories.search import FoundMeeting, near, these
from tenants_app.folding import any_begins, any_contains, fold
from tenants_app.models import (
    Bridge,
    ConferenceId,
    ConferencingUser,
    FormerConferenceId,
    ServiceNumber,
    Tenant,
)

T = TypeVar("T")
Row = TypeVar("Row", bound=Model)

NAMES = ("display_name", "upn", "sip_address")
_RANKED = 200
"""Rows that are put in order by how well they match; of more, those that begin with it come first."""
_JOBS = 200
"""The newest jobs of each kind, among whose names one is looked for."""
_PLANS = 20
"""The newest plans of chat, among whose rooms one is looked for."""


@dataclass(slots=True)
class Group(Generic[T]):
    """What was found of one kind, best first."""

    rows: Sequence[T] = ()
    is_cut: bool = False
    """Whether there are more."""
    exact: T | None = None
    """The one of them that is exactly what was typed."""

    @classmethod
    def of(cls, rows: Sequence[T], most: int, is_exact: Callable[[T], bool]) -> Group[T]:
        """The first of the rows; exact is one only where no other is."""
        exact = [row for row in rows if is_exact(row)]
        return cls(rows[:most], len(rows) > most, exact[0] if len(exact) == 1 else None)


@dataclass(slots=True)
class Everything:
    """All that was found."""

    users: Group[ConferencingUser] = field(default_factory=Group)
    numbers: Group[ServiceNumber] = field(default_factory=Group)
    releases: Group[NumberRelease] = field(default_factory=Group)
    conference_ids: Group[ConferenceId | FormerConferenceId] = field(default_factory=Group)
    bridges: Group[Bridge] = field(default_factory=Group)
    meetings: Group[FoundMeeting] = field(default_factory=Group)
    are_all_meetings_seen: bool = True
    """Whether all meetings to come were looked at by their subject, and not only those near to now."""
    runs: Group[Run] = field(default_factory=Group)
    imports: Group[UserImport] = field(default_factory=Group)
    actions: Group[BulkAction] = field(default_factory=Group)
    previews: Group[Preview] = field(default_factory=Group)
    rooms: Group[ChatRoom] = field(default_factory=Group)
    """Of persistent chat, each as the newest plan has it."""
    plans: Group[ChatPlan] = field(default_factory=Group)


def look_for(tenant: Tenant, typed: Typed, most: int) -> Everything:
    """What there is by this, at most so many of each kind; nothing where it is refused."""
    found = Everything()
    if typed.refusal:
        return found
    found.users = _users(tenant, typed, most)
    found.bridges = _bridges(tenant, typed, most)
    found.numbers = _numbers(tenant, typed, most)
    if typed.end_of_number:
        releases = tenant.number_releases.filter(
            Q(e164__contains=typed.end_of_number) | Q(replacement_e164__contains=typed.end_of_number)
        )
        found.releases = Group.of(list(releases[: most + 1]), most, lambda release: False)
    if typed.ids:
        found.conference_ids = _conference_ids(tenant, typed.ids, most)
    if typed.correlation_ids:
        runs = Run.objects.filter(tenant=tenant, correlation_id__range=typed.correlation_ids)
        rows = list(runs.select_related("user").order_by("correlation_id")[: most + 1])
        found.runs = Group.of(rows, most, lambda run: True)
    _find_meetings(found, tenant, typed, most)
    _find_jobs(found, tenant, typed, most)
    _find_chat(found, tenant, typed, most)
    return found


def _users(tenant: Tenant, typed: Typed, most: int) -> Group[ConferencingUser]:
    latest = Run.objects.filter(user=OuterRef("pk"), is_latest=True)
    users = ConferencingUser.objects.filter(tenant=tenant).select_related("tenant")
    users = users.annotate(latest_state=Subquery(latest.values("state")))
    addresses = {typed.text, typed.text.lower()}
    exact = [
        *users.with_upns(tenant, [typed.text]),
        *users.filter(sip_address__in=addresses).order_by("upn")[: most + 1],
    ]
    if exact:  # a whole address is meant: nobody need look through all names
        unique = {user.pk: user for user in exact}
        return Group.of(list(unique.values()), most, lambda user: True)
    rows = list(users.filter(any_contains(typed.text, *NAMES)).order_by("upn")[: _RANKED + 1])
    if len(rows) > _RANKED:
        rows = [*users.filter(any_begins(typed.text, *NAMES)).order_by("upn")[: most + 1], *rows]
    elif not rows and len(typed.words) > 1:  # as “Rossi, Anna”
        words = reduce(and_, (Q(any_contains(word, *NAMES)) for word in typed.words))
        rows = list(users.filter(words).order_by("upn")[: most + 1])
    rows.sort(key=lambda user: _distance(fold(typed.text), user))
    unique = {user.pk: user for user in rows}
    return Group.of(list(unique.values()), most, lambda user: False)


def _distance(wanted: str, user: ConferencingUser) -> int:
    """0 where a name or an address begins with it, 1 where a word of the name does, 2 where it is anywhere."""
    if any(fold(getattr(user, name)).startswith(wanted) for name in NAMES):
        return 0
    return 1 if f" {wanted}" in fold(user.display_name) else 2


def _bridges(tenant: Tenant, typed: Typed, most: int) -> Group[Bridge]:
    bridges = tenant.bridges.filter(any_contains(typed.text, "name", "provider")).select_related("tenant")
    rows = list(bridges[: most + 1])
    return Group.of(rows, most, lambda bridge: fold(bridge.name) == fold(typed.text))


def _numbers(tenant: Tenant, typed: Typed, most: int) -> Group[ServiceNumber]:
    end, digits = typed.end_of_number, typed.digits
    wanted = Q(number__contains=end) if end else Q(any_contains(typed.text, "country", "city"))
    numbers = list(tenant.service_numbers.filter(wanted).select_related("tenant", "bridge")[: _RANKED + 1])
    if end:
        numbers.sort(key=lambda number: (not number.number.endswith(end), number.number))

    def is_exact(number: ServiceNumber) -> bool:
        return bool(end) and number.number[1:] in {digits, end}

    return Group.of(numbers, most, is_exact)


def _conference_ids(tenant: Tenant, ids: tuple[str, str], most: int) -> Group[ConferenceId | FormerConferenceId]:
    """Those in use that begin with the digits, and of the former ones those that are exactly them."""
    bridges = list(tenant.bridges.values_list("pk", flat=True))
    now = ConferenceId.objects.filter(bridge__in=bridges, digits__range=ids).select_related("user__tenant", "bridge")
    # The index tells which are the first; only of these the users are looked up.
    keys = list(now.order_by("digits", "pk").values_list("pk", flat=True)[: most + 1])
    rows: list[ConferenceId | FormerConferenceId] = list(now.filter(pk__in=keys).order_by("digits", "pk"))
    is_whole = ids[0] == ids[1]
    if is_whole:
        once = FormerConferenceId.objects.filter(user__tenant=tenant, digits=ids[0])
        rows += once.select_related("user__tenant", "bridge").order_by("-pk")[: most + 1]
    return Group.of(rows, most, lambda row: is_whole and isinstance(row, ConferenceId))


def _find_meetings(found: Everything, tenant: Tenant, typed: Typed, most: int) -> None:
    """By their UID, by what their join link ends with, and by a part of their subject."""
    exact: list[FoundMeeting] = []
    if " " not in typed.text:
        exact += these(tenant, Q(uid=typed.text))
        if joined := _joined_by(tenant, typed, most):
            exact += these(tenant, reduce(or_, (Q(user=user, uid=uid) for user, uid in joined)))
    by_subject = near(tenant, typed.text, most)
    found.are_all_meetings_seen = by_subject.are_all_seen
    unique = {(each.user.pk, each.uid): each for each in [*exact, *by_subject.meetings]}
    first = {(each.user.pk, each.uid) for each in exact if not each.is_copy}
    found.meetings = Group.of(list(unique.values()), most, lambda each: (each.user.pk, each.uid) in first)
    found.meetings.is_cut = found.meetings.is_cut or by_subject.is_cut


def _joined_by(tenant: Tenant, typed: Typed, most: int) -> list[tuple[int, str]]:
    """The users (keys) and UIDs of online meetings that are joined by this link, or by one that ends like it."""
    if not typed.room:
        return []
    meetings = OnlineMeeting.objects.filter(tenant=tenant, room=typed.room)
    links = list(meetings.values_list("user__pk", "uid", "join_url")[:_RANKED])
    same = [(user, uid) for user, uid, link in links if link.casefold() == typed.text.casefold()]
    return (same or [(user, uid) for user, uid, _ in links])[: most + 1]


def _find_jobs(found: Everything, tenant: Tenant, typed: Typed, most: int) -> None:
    """By the file of an import, the title of a preview, and the filter that chose the users of an action."""

    def newest(rows: QuerySet[Row]) -> Iterable[Row]:
        return rows.filter(tenant=tenant)[:_JOBS]

    imports = newest(UserImport.objects.only("file_name", "state", "created"))
    actions = newest(BulkAction.objects.only("kind", "chosen_by", "state", "created"))
    previews = newest(Preview.objects.only("title", "state", "created"))
    wanted = fold(typed.text)
    found.imports = Group.of([row for row in imports if wanted in fold(row.file_name)], most, lambda row: False)
    found.actions = Group.of([row for row in actions if wanted in fold(row.chosen_by)], most, lambda row: False)
    found.previews = Group.of([row for row in previews if wanted in fold(row.title)], most, lambda row: False)


def _find_chat(found: Everything, tenant: Tenant, typed: Typed, most: int) -> None:
    """Rooms by their name at the source or at the target, plans by their number, archive and target; never by text."""
    plans = list(
        ChatPlan.objects.filter(tenant=tenant, replaced_by=None)
        .select_related("archive", "target")
        .only("number", "state", "created", "archive__name", "target__name")
        .order_by("-number")[:_JOBS]
    )
    if not plans:
        return
    wanted = fold(typed.text)
    named = [
        plan
        for plan in plans
        if wanted in fold(plan.archive.name) or wanted in fold(plan.target.name) or wanted == str(plan.number)
    ]
    found.plans = Group.of(named, most, lambda plan: False)
    rooms = ChatRoom.objects.filter(any_contains(typed.text, "name", "becomes"), plan__in=plans[:_PLANS])
    rows = rooms.select_related("plan").order_by("-plan__number", "position")[: _RANKED + 1]
    newest: dict[str, ChatRoom] = {}
    for room in rows:
        newest.setdefault(room.room_id, room)
    found.rooms = Group.of(list(newest.values()), most, lambda room: False)
