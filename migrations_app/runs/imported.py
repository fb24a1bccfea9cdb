"""What meetings say that were imported into a mailbox (R35, R36)."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.mailboxes.shown import is_before, note_shown, shown_meeting
from migrations_app.models import NumberRelease, Run, ShownMeeting
from migrations_app.rewriting.written_numbers import shown_numbers, where_shown
from migrations_app.runs.outcomes import BATCH, Outcomes
from tenants_app import fingerprints
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser


def note_imported(user: ConferencingUser, uids: Sequence[str]) -> bool:
    """Look at what imported meetings say, and note the tenant's service numbers that they show (R35).

    Returns whether some do not say what the settings ask for; the user is then out of date (R36). Call it in the
    transaction of the import, in which the tenant was locked before: no number is released meanwhile.
    """
    now = timezone.now()
    numbers = dict(user.tenant.service_numbers.values_list("number", "pk"))
    leaving = {
        release.e164: release
        for release in NumberRelease.objects.filter(tenant=user.tenant, state__in=NumberRelease.OPEN)
    }
    shown: set[str] = set()
    mailbox = mailbox_of(user)
    for some in batched(uids, BATCH):
        rows: list[ShownMeeting] = []
        ShownMeeting.objects.filter(user=user, release__in=[*leaving.values()], uid__in=some).delete()
        for stored in mailbox.read(some).values():
            if not is_before(user, stored.listed, now):
                continue
            shown |= shown_numbers(stored.body, numbers.keys() - shown, now)
            for number in shown_numbers(stored.body, leaving, now):
                places = where_shown(stored.body, number, now)
                rows.append(shown_meeting(leaving[number], user.pk, stored.listed, places))
        note_shown(rows)
    is_wrong = has_own = False
    try:
        for outcome in Outcomes(Run(user=user, tenant=user.tenant)).foreseen(uids):  # not kept: they may be many
            is_wrong |= outcome.write is not None
            has_own |= outcome.has_own_blocks and outcome.write is None
    except Failure:
        is_wrong = has_own = False  # whom MMS cannot serve now has no invitation that it could compare
    if has_own:
        fingerprints.note_own_blocks(user)
    fingerprints.add_numbers(user, {numbers[number] for number in shown})
    if is_wrong:
        fingerprints.become_unknown(user)
    return is_wrong
