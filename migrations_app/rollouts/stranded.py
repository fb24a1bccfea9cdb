"""What cannot go back with a wave: meetings on the new deployment, edited ones, and clients (R85, R86)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from migrations_app.models import (
    FoundMeeting,
    MeetingResult,
    MeetingSearch,
    Notice,
    NoticeKind,
    NoticeRound,
    Wave,
    WaveMember,
)
from migrations_app.monitoring import clock
from migrations_app.rewriting.labels import language_of
from migrations_app.rollouts import searching
from migrations_app.rollouts.readiness import is_below, versions_of
from migrations_app.runs.queue import wake_cluster
from migrations_app.runs.taking_back import members_to_go_back
from migrations_app.targets import UNDO
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import lines
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence

ROUND_KIND = "stranded"
"""As ``NoticeRound.preview_kind``: no run is about to change anything."""
COLUMNS = ("UserPrincipalName", "Subject", "StartDate", "JoinUrl", "AttendeeCount", "Attendees", "ToldAt", "MeetingUid")
_BATCH = 500


def stranded(search: MeetingSearch) -> QuerySet[FoundMeeting]:
    """The meetings to come that the organizers must schedule anew, by organizer and time."""
    return searching.rows_to_come(search).select_related("user", "notice")


def foreseen(wave: Wave, users: Collection[int] | None = None) -> list[FoundMeeting]:
    """What would be stranded now, of the wave's members or of some users (keys), for few of them while somebody waits:
    the mailboxes are read. Raises ``Failure`` where one cannot be.
    """
    if not searching.hosts_of_new_alone(wave.rollout):
        return []
    going = ConferencingUser.objects.filter(pk__in=members_to_go_back(wave, users).values("user"))
    return list(searching.found_at_once(wave, going))


def records(search: MeetingSearch) -> Iterator[dict[str, Any]]:
    """The same as files and commands list them."""
    for row in stranded(search).iterator(chunk_size=_BATCH):
        yield record_of(row)


def record_of(row: FoundMeeting) -> dict[str, Any]:
    """One meeting as files and commands list it."""
    return {
        "UserPrincipalName": row.user.upn,
        "Subject": row.subject,
        "StartDate": row.starts_at,
        "JoinUrl": row.join_url,
        "AttendeeCount": row.attendee_count,
        "Attendees": "; ".join(row.attendees),
        "ToldAt": row.notice.sent_at if row.notice else None,
        "MeetingUid": row.uid,
    }


def csv_lines(search: MeetingSearch) -> Iterator[str]:
    """The list as CSV, piece by piece."""
    yield lines([COLUMNS])
    for some in batched(records(search), _BATCH):
        yield lines([record[name] for name in COLUMNS] for record in some)


# --- telling organizers -------------------------------------------------------------------------------


def untold(search: MeetingSearch) -> QuerySet[FoundMeeting]:
    """Those whose organizer was not told yet; a letter that could not be sent told nobody."""
    failed = Q(notice__state__in=[Notice.State.FAILED, Notice.State.SUPERSEDED])
    not_in_doubt = ~Q(notice__error_code=Notice.IN_DOUBT)
    return stranded(search).filter(Q(notice=None) | failed & not_in_doubt)


@transaction.atomic
def tell_organizers(wave: Wave, actor: Actor) -> int:
    """Mail each organizer of stranded meetings their list, in their language, each meeting once; how many are told.

    Raises ``ValidationError`` where the mailboxes were not searched yet.
    """
    Wave.objects.select_for_update(no_key=True).get(pk=wave.pk)
    search = searching.latest(wave=wave)
    if search is None:
        raise ValidationError(sentence("The mailboxes were not searched yet: have them searched first."))
    by_user: dict[int, int] = dict(
        untold(search).order_by().values_list("user_id").annotate(count=Count("pk")).values_list("user_id", "count")
    )
    if not by_user:
        return 0
    now, tenant = clock.now(), wave.rollout.tenant
    round_ = NoticeRound.objects.create(
        tenant=tenant,
        preview_kind=ROUND_KIND,
        terms={"search": search.pk},
        begins_at=now,
        requested_by=actor.name,
    )
    for some in batched(sorted(by_user), _BATCH):
        _tell(round_, search, {user: by_user[user] for user in some})
    entry(tenant, actor, "tell stranded organizers", wave.name, after={"organizers": len(by_user)}).save()
    wake_cluster()
    return len(by_user)


def _tell(round_: NoticeRound, search: MeetingSearch, by_user: dict[int, int]) -> None:
    now = round_.begins_at
    rows = untold(search).filter(user__in=by_user)
    languages = dict(rows.order_by().values_list("user_id", "user__language"))
    meetings: dict[int, list[int]] = {user: [] for user in by_user}
    for pk, user in rows.order_by("pk").values_list("pk", "user_id"):
        meetings[user].append(pk)
    notices = Notice.objects.bulk_create(
        Notice(
            round=round_,
            tenant_id=round_.tenant_id,
            user_id=user,
            kind=NoticeKind.STRANDED,
            state=Notice.State.QUEUED,
            meetings=count,
            begins_at=now,
            language=language_of(languages[user]),
            queued_at=now,
            due_at=now,
        )
        for user, count in by_user.items()
    )
    for notice in notices:
        FoundMeeting.objects.filter(pk__in=meetings[notice.user_id]).update(notice=notice)


# --- edited meetings, and clients ---------------------------------------------------------------------


def edited(wave: Wave) -> QuerySet[MeetingResult]:
    """Meetings that the undo of the runs has left as they are, since the wave was taken back, with the reason (R86)."""
    begun = wave.rollbacks.order_by("asked_at").first()
    if begun is None:
        return MeetingResult.objects.none()
    going = WaveMember.objects.filter(wave=wave, is_going_back=True).values("user")
    undone = MeetingResult.objects.filter(
        run__user__in=going, run__migration_type=UNDO, run__created__gte=begun.asked_at
    )
    left = undone.exclude(outcome=MeetingResult.Outcome.SUCCEEDED).exclude(code__in=["already-put-back", "past"])
    return left.select_related("run__user").defer("spans").order_by("pk")


def clients_to_downgrade(wave: Wave) -> QuerySet[WaveMember]:
    """Members whose client is newer than what works with the legacy deployment (R86)."""
    highest = wave.rollout.legacy.highest_client_version
    above = [version for version, _ in versions_of(wave) if is_below(highest, version)] if highest else []
    found = wave.members.exclude(state=WaveMember.State.EXCLUDED).filter(client_version__in=above)
    return found.select_related("user").order_by("user__upn")
