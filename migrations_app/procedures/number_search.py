"""Searching the meetings of all users for a number on its way off a bridge, before it is released (R35).

Mailboxes are read without locks, some users at a time, so that a search may take as long as it likes and goes on where
it was interrupted. Of mailboxes outside only that is read which may show the number, by a look that is new enough
(:mod:`number_looks`). What comes in meanwhile is noted by the import, or the look, itself; what is listed is read again
before every attempt to release the number; and where something held the number in between, all is searched once more.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from migrations_app.mailboxes.shown import note_shown, shown_meeting
from migrations_app.mailboxes.upcoming import read_upcoming
from migrations_app.models import NumberRelease, Run, ShownMeeting
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import beat
from migrations_app.procedures import number_looks
from migrations_app.rewriting.written_numbers import where_shown
from migrations_app.runs.served import not_served
from tenants_app.bulk import batched
from tenants_app.models import OUT_OF_DATE, ConferencingUser, InvitedNumber

USERS = 200
"""Users whose meetings are searched in one step."""
SIGN_OF_LIFE = 1_000
"""Meetings after which a worker shows that it is alive: they take it a second or so."""
LISTED = 1_000
"""Listed meetings that are read again in one step."""


def search(pk: int) -> bool:
    """Take one step of the search for a procedure's number. Returns whether the number may be free to go now, or
    another step may follow.

    Nothing is searched while runs are about to change the meetings, nor once it has ended.
    """
    release = NumberRelease.objects.select_related("tenant").filter(pk=pk).first()
    if release is None or release.state != NumberRelease.State.UPDATING or release.number_id is None:
        return False
    if is_under_way(release):
        return False
    if release.searched_at:
        return _look_again(release)
    if release.looks_since is None:
        release.looks_since = clock.now()
        NumberRelease.objects.filter(pk=pk, looks_since=None).update(looks_since=release.looks_since)
    return _go_on(release)


def is_under_way(release: NumberRelease) -> bool:
    """Whether runs are about to change meetings of the users who were moved; one that waits for a retry is not."""
    first_try = Q(state=Run.State.PENDING, attempts=0)
    return Run.objects.filter(first_try | Q(state=Run.State.IN_PROGRESS), user__in=release.users.values("pk")).exists()


def _go_on(release: NumberRelease) -> bool:
    users = ConferencingUser.objects.filter(tenant=release.tenant_id, pk__gt=release.searched_to)
    pks = list(users.order_by("pk").values_list("pk", flat=True)[:USERS])
    unseen = number_looks.passed_over(release, pks) if pks else set()
    if unseen and number_looks.awaited(release).filter(pk__in=unseen).exists():
        number_looks.ask_for(number_looks.awaited(release))
        return False
    found = _found(release, [pk for pk in pks if pk not in unseen])
    with transaction.atomic():
        same = NumberRelease.objects.filter(pk=release.pk, searched_to=release.searched_to, searched_at=None)
        is_next = same.update(searched_to=pks[-1]) if pks else same.update(searched_at=timezone.now())
        if is_next:  # otherwise another worker was as far
            note_shown(found)
            if not pks:
                _forget_unshown(release)
    return True


def _found(release: NumberRelease, pks: list[int]) -> list[ShownMeeting]:
    now = timezone.now()
    users = ConferencingUser.objects.filter(pk__in=pks)
    rows: dict[tuple[int, str], ShownMeeting] = {}
    for count, (user, stored) in enumerate(read_upcoming(users, now, release.e164)):
        if count % SIGN_OF_LIFE == 0:
            beat()
        places = where_shown(stored.body, release.e164, now)
        if places:  # of one that stands twice in a mailbox either text may show it
            rows[user, stored.listed.uid] = shown_meeting(release, user, stored.listed, places)
    return list(rows.values())


def _look_again(release: NumberRelease) -> bool:
    """Read again what is listed, and forget what does not show the number any more. Returns whether any did not."""
    beat()
    now = timezone.now()
    listed = release.shown_meetings.filter(pk__gt=release.looked_again_to).order_by("pk")[:LISTED]
    by_user: dict[int, dict[str, int]] = {}
    last = 0
    for row in listed:
        by_user.setdefault(row.user_id, {})[row.uid] = row.pk
        last = row.pk
    NumberRelease.objects.filter(pk=release.pk).update(looked_again_to=last if len(listed) == LISTED else 0)
    gone = []
    for user, rows in by_user.items():
        whose = ConferencingUser.objects.filter(pk=user)
        for uids in batched(rows, 100):
            texts = read_upcoming(whose, now, release.e164, uids)
            shown = {stored.listed.uid for _, stored in texts if where_shown(stored.body, release.e164, now)}
            gone += [rows[uid] for uid in uids if uid not in shown]
    with transaction.atomic():
        ShownMeeting.objects.filter(pk__in=gone).delete()
        forgotten = _forget_unshown(release)
    return bool(gone or forgotten)


def _forget_unshown(release: NumberRelease) -> int:
    """Users whose invitations might have shown the number and do not, as a whole search has found, hold it no more.

    Of those whom MMS cannot serve it may not see the meetings; those with a failed run, or without one that they need,
    are for a person.
    """
    unfinished = Run.objects.filter(user=OuterRef("user"), is_latest=True).exclude(state=Run.State.SUCCEEDED)
    at_work = Run.objects.filter(user=OuterRef("user"), state=Run.State.IN_PROGRESS)
    shows_it = ShownMeeting.objects.filter(release=release, user=OuterRef("user"))
    served = ConferencingUser.objects.filter(tenant=release.tenant_id).exclude(not_served() | OUT_OF_DATE)
    rows = InvitedNumber.objects.filter(number=release.number_id, user__in=served.values("pk"))
    unshown = rows.exclude(Exists(shows_it) | Exists(unfinished) | Exists(at_work))
    count, _ = InvitedNumber.objects.filter(pk__in=list(unshown.values_list("pk", flat=True))).delete()
    return count


def search_anew(release: NumberRelease) -> None:
    """Let all meetings be searched once more before the number is released."""
    release.searched_to, release.searched_at, release.is_search_outdated = 0, None, False
    release.looks_since = None
    release.save(update_fields=["searched_to", "searched_at", "is_search_outdated", "looks_since"])
