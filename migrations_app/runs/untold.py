"""Numbers that attendees hold until an update has reached them (R35)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from migrations_app.calendars.content_lines import unescaped
from migrations_app.models import UntoldNumber
from migrations_app.rewriting.spans import Span
from migrations_app.rewriting.written_numbers import digits_in, numbers_in
from migrations_app.runs.outcomes import Outcome
from tenants_app.bulk import insert
from tenants_app.models import Tenant


def note_untold(
    tenant: Tenant,
    kept: Collection[int],
    told: Mapping[str, Outcome],
    updates: Mapping[str, int],
    earlier_runs: Sequence[int],
) -> None:
    """Note which of the tenant's numbers the new ``updates`` (keys by UID) take out of attendees' hands.

    ``told`` are the changed meetings, ``kept`` the keys of numbers that they show from now on. What an update of the
    user's ``earlier_runs`` was to take out, and has not, is up to the meeting's newer one: attendees hold it still.
    Call it in the transaction that queues the updates.
    """
    numbers = dict(tenant.service_numbers.exclude(pk__in=kept).values_list("number", "pk"))
    untold = {
        uid: {numbers[number] for number in _taken_out(outcome.replaced, numbers)} for uid, outcome in told.items()
    }
    if earlier_runs:
        for uid, number in _taken_over(earlier_runs, told):
            untold[uid] |= {number} - set(kept)
    insert(
        [
            UntoldNumber(update_id=updates[uid], number_id=number, meeting_ends_at=told[uid].ends_at)
            for uid, each in untold.items()
            for number in each
        ]
    )


def _taken_over(earlier_runs: Sequence[int], uids: Collection[str]) -> list[tuple[str, int]]:
    """Take from earlier updates of these meetings what they were to take out: meetings by UID, numbers by key."""
    earlier = UntoldNumber.objects.filter(update__result__run__in=earlier_runs, update__result__uid__in=list(uids))
    found = list(earlier.values_list("pk", "update__result__uid", "number"))
    UntoldNumber.objects.filter(pk__in=[pk for pk, _, _ in found]).delete()
    return [(uid, number) for _, uid, number in found]


def _taken_out(replaced: Sequence[Span], numbers: Collection[str]) -> set[str]:
    gone = _shown_in([span.before for span in replaced], numbers)
    return gone - _shown_in([span.after for span in replaced], gone) if gone else gone


def _shown_in(texts: Sequence[str], numbers: Collection[str]) -> set[str]:
    """Those of the numbers that one of these pieces of meeting blocks shows."""
    if not numbers:
        return set()
    octets = "\n".join(texts).encode("utf-8", "surrogateescape")
    found = digits_in(octets, numbers)
    if b"&#" in octets and len(found) < len(numbers):  # digits of character references may stand between
        found |= numbers_in(unescaped(octets), set(numbers) - found)
    return found
