"""What commands share that decide about a number on its way off a bridge."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from migrations_app.models import NumberRelease
from migrations_app.procedures.number_release import Holds
from tenants_app.models import ServiceNumber
from tenants_app.wording import counted, grouped


def open_release(number: ServiceNumber) -> NumberRelease:
    """The procedure that takes the number off; raises ``CommandError`` where none does."""
    releases = NumberRelease.objects.filter(number=number, state__in=NumberRelease.OPEN).select_related("tenant")
    found = releases.first()
    if found is None:
        raise CommandError(
            _("%(number)s is not on its way off a bridge: begin with unassign_service_number.") % {"number": number}
        )
    return found


def told(holds: Holds) -> str:
    """What keeps a number, as a list of counts."""
    counts = _(
        "%(meetings)s still showing it, %(users)s holding it, %(messages)s unsent, %(in_doubt)s in doubt, %(given_up)s "
        "given up"
    ) % {
        "meetings": counted(holds.meetings, "meeting"),
        "users": counted(holds.users, "user"),
        "messages": counted(holds.unsent, "message"),
        "in_doubt": grouped(holds.in_doubt),
        "given_up": grouped(holds.given_up),
    }
    if not holds.mailboxes:
        return counts
    return _("%(counts)s, %(mailboxes)s of the users' mailboxes not looked at") % {
        "counts": counts,
        "mailboxes": grouped(holds.mailboxes),
    }
