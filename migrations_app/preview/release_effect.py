"""What taking a number off its bridge will do to meetings and mail, by the code that will do it (R32)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes.base import AsOf
from migrations_app.mailboxes.upcoming import future_meetings, oldest_look, read_upcoming
from migrations_app.models import Run
from migrations_app.preview.meetings import Tally
from migrations_app.rewriting.written_numbers import where_shown
from migrations_app.runs.outcomes import Outcome, Outcomes
from migrations_app.runs.starts import targets_of_pending
from migrations_app.triggers.rules import Decision, decide
from migrations_app.triggers.switches import Switches
from tenants_app.bulk import batched
from tenants_app.dependants import has_or_shows
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.user_settings import SettingsChange, UserSettings

MOST_ON_A_PAGE = 1_000
"""Meetings of a tenant that are looked at while somebody waits for a page: a second or two."""
MOST_BY_COMMAND = 50_000


@dataclass(slots=True)
class ReleaseEffect(Tally):
    """What the runs will do."""

    still_shown: int = 0
    """Meetings to come, of all users, that show the number afterwards as well, and so hold it."""
    as_of: AsOf | None = None
    """How current this is of mailboxes outside; None where there are none."""


def effect_of_release(number: ServiceNumber, e164: str, most: int) -> ReleaseEffect | None:
    """What replacing the number by ``e164`` for its users will do; None where the tenant has more meetings than
    ``most``. Only reads: the users have the other number for the answer alone. Raises ``Failure`` where a mailbox
    cannot be read.
    """
    everybody = ConferencingUser.objects.filter(tenant=number.tenant_id)
    if future_meetings(everybody).meetings > most:
        return None
    effect, now = ReleaseEffect(as_of=oldest_look(everybody)), timezone.now()
    shows: dict[tuple[int, str], bool] = {}
    for user, outcomes in foresee_release_meetings(number, e164):
        for outcome in outcomes:
            effect.note(outcome)
            if outcome.write:
                shows[user.pk, outcome.result.uid] = bool(where_shown(outcome.write.body, number.number, now))
    for pk, stored in read_upcoming(everybody, now, number.number):
        shown = shows.get((pk, stored.listed.uid))
        effect.still_shown += bool(where_shown(stored.body, number.number, now)) if shown is None else shown
    return effect


def foresee_release_meetings(number: ServiceNumber, e164: str) -> Iterator[tuple[ConferencingUser, Iterator[Outcome]]]:
    """What the runs will make of each meeting that start when ``e164`` takes the number's place, user by user.

    Users whose run will fail before it looks at any meeting are left out. Only reads.
    """
    users = ConferencingUser.objects.filter(has_or_shows(number), tenant=number.tenant_id)
    for some in batched(users.order_by("pk").values_list("pk", flat=True)):
        for user, decision in planned_release(number, e164, some):
            if not decision.starts_run:
                continue
            targets = targets_of_pending([user])[user.pk].joined(decision.targets)
            try:
                yield user, Outcomes(Run(user=user, tenant=number.tenant, targets=targets.stored), user=user).foreseen()
            except Failure:
                continue  # the run will fail before it looks at any meeting


def planned_release(
    number: ServiceNumber, e164: str, pks: Sequence[int]
) -> Iterator[tuple[ConferencingUser, Decision]]:
    """These users, by key, with ``e164`` in the number's place, and whether their run starts then. Only reads."""
    successor = ServiceNumber.objects.filter(tenant=number.tenant_id, number=e164).first() or ServiceNumber(
        tenant_id=number.tenant_id, number=e164, kind=number.kind, country=number.country, city=number.city
    )
    switches = Switches.of(number.tenant)
    users = ConferencingUser.objects.filter(tenant=number.tenant_id, pk__in=pks).order_by("pk")
    for user in users.select_related("tenant", "bridge", "toll_number", "toll_free_number", "deployment"):
        settings = UserSettings.of(user, "")
        decision = decide(SettingsChange(settings, settings, unassigned_number=number.number), switches)
        has_default = number.is_default and user.toll_number is None and user.bridge_id == number.bridge_id
        if has_default or user.toll_number_id == number.pk:
            user.toll_number = successor
        if user.toll_free_number_id == number.pk:
            user.toll_free_number = successor
        yield user, decision
