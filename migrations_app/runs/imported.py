"""What meetings say that were imported into a mailbox (R35, R36)."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import MeetingResult
from migrations_app.rewriting.written_numbers import shown_numbers
from migrations_app.runs.outcomes import BATCH, preview
from tenants_app import fingerprints
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser


def note_imported(user: ConferencingUser, uids: Sequence[str]) -> bool:
    """Look at what imported meetings say, and note the tenant's service numbers that they show (R35).

    Returns whether some do not say what the settings ask for; the user is then out of date (R36).
    """
    now = timezone.now()
    numbers = dict(user.tenant.service_numbers.values_list("number", "pk"))
    shown: set[str] = set()
    mailbox = mailbox_of(user)
    for some in batched(uids, BATCH):
        for stored in mailbox.read(some).values():
            meeting = stored.listed
            if meeting.organizer in user.addresses and meeting.last_end > now and not meeting.cancelled:
                shown |= shown_numbers(stored.body, numbers.keys() - shown)
    try:
        is_wrong = any(result.outcome == MeetingResult.Outcome.SUCCEEDED for result, _ in preview(user, uids))
    except Failure:
        is_wrong = False  # whom MMS cannot serve now has no invitation that it could compare
    fingerprints.add_numbers(user, {numbers[number] for number in shown})
    if is_wrong:
        fingerprints.become_unknown(user)
    return is_wrong
