"""What the tests of the running cluster ask an installation about itself."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from tests.mailboxes import logical_lines


def sequences() -> dict[str, int]:
    """The highest SEQUENCE of every stored meeting, by mailbox and UID."""
    return {
        f"{mailbox_object.user_id} {mailbox_object.uid}": max(
            (int(line[9:]) for line in logical_lines(bytes(mailbox_object.body)) if line.startswith("SEQUENCE:")),
            default=0,
        )
        for mailbox_object in CalendarObject.objects.all()
    }


def migrated() -> list[str]:
    """The meetings that runs changed, once per change."""
    return [
        f"{user} {uid}"
        for user, uid in MeetingResult.objects.filter(outcome="Succeeded").values_list("run__user_id", "uid")
    ]


def expire_leases() -> int:
    """Let the time pass after which a silent worker counts as lost; how many runs were left in its hands."""
    past = timezone.now() - timedelta(seconds=1)
    Update.objects.exclude(lease_until=None).update(lease_until=past)
    return Run.objects.filter(state="InProgress").update(lease_until=past)


def states() -> list[str]:
    return sorted(set(Run.objects.values_list("state", flat=True)))


def unsent() -> int:
    return Update.objects.exclude(state="Sent").count()
