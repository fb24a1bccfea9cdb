"""What commands share that decide about a number on its way off a bridge."""

from __future__ import annotations

from django.core.management.base import CommandError

from migrations_app.models import NumberRelease
from migrations_app.procedures.number_release import Holds
from tenants_app.models import ServiceNumber
from tenants_app.wording import counted


def open_release(number: ServiceNumber) -> NumberRelease:
    """The procedure that takes the number off; raises ``CommandError`` where none does."""
    releases = NumberRelease.objects.filter(number=number, state__in=NumberRelease.OPEN).select_related("tenant")
    found = releases.first()
    if found is None:
        raise CommandError(f"{number} is not on its way off a bridge: begin with unassign_service_number.")
    return found


def told(holds: Holds) -> str:
    """What keeps a number, as a list of counts."""
    return (
        f"{counted(holds.meetings, 'meeting')} still showing it, {counted(holds.users, 'user')} holding it, "
        f"{counted(holds.unsent, 'message')} unsent, {holds.in_doubt:,} in doubt, {holds.given_up:,} given up"
        + (f", {holds.mailboxes:,} of the users' mailboxes not looked at" if holds.mailboxes else "")
    )
