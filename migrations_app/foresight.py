"""What a change will lead to, told before it is saved."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from migrations_app.decisions import decide
from migrations_app.models import CalendarObject
from migrations_app.reactions import switches_of
from tenants_app.announcements import Consequence, UserChange, UserSettings
from tenants_app.audit import Actor
from tenants_app.changes import UserEdit, change_users
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, Tenant

DECISIVE = (
    "hosting",
    "mailbox_location",
    "audio_conferencing_license",
    "audio_conferencing_enabled",
    "conferencing_provider",
    "conference_id_type",
)
"""Settings of a user that decide, beside bridge and conference ID, what a move to another bridge starts."""


@dataclass(frozen=True, slots=True)
class FutureMeetings:
    """Meetings with an occurrence still to come that a run would look at, and how many invitations they stand for."""

    meetings: int
    invitations: int


@dataclass(frozen=True, slots=True)
class Move:
    """What moving everyone on a bridge would start: numbers of users, and of those without a run by the sentence."""

    users: int
    runs: int
    without_run: dict[str, int]


def foresee(tenant: Tenant, edit: UserEdit, actor: Actor) -> Consequence:
    """What saving ``edit`` would answer. Makes the change and takes it back, so the answer cannot differ.

    Raises ``ValidationError`` as the change itself would.
    """
    with transaction.atomic():
        (consequence,) = change_users(tenant, [edit], actor)
        transaction.set_rollback(True)
    return consequence


def foresee_move(tenant: Tenant, source: Bridge, target: Bridge) -> Move:
    """What moving everyone on ``source`` to ``target`` would start. Only reads: it may be about all users there are."""
    switches = switches_of(tenant)
    own_ids = ConferenceId.objects.filter(bridge=source, meeting_uid="")
    # A conference ID that is taken on the new bridge cannot be kept there.
    renumbered = own_ids.filter(digits__in=ConferenceId.objects.filter(bridge=target).values("digits")).values("user")
    alike = (
        ConferencingUser.objects.filter(bridge=source)
        .order_by()
        .values(*DECISIVE)
        .annotate(users=Count("pk"), renumbered=Count("pk", filter=Q(pk__in=renumbered)))
    )
    users = runs = 0
    without_run: dict[str, int] = {}
    for row in alike:
        settings = {name: row[name] for name in DECISIVE}
        before = UserSettings.of(ConferencingUser(bridge=source, **settings), "kept")
        for conference_id, count in (("kept", row["users"] - row["renumbered"]), ("another", row["renumbered"])):
            if not count:
                continue
            after = UserSettings.of(ConferencingUser(bridge=target, **settings), conference_id)
            decision = decide(UserChange(ConferencingUser(), before, after), switches)
            users += count
            if decision.starts_run:
                runs += count
            else:
                without_run[decision.sentence] = without_run.get(decision.sentence, 0) + count
    return Move(users, runs, without_run)


def future_meetings(users: QuerySet[ConferencingUser]) -> FutureMeetings:
    """The meetings that the users organize and that are not over (R20), by the facts stored with each."""
    found = (
        CalendarObject.objects.filter(user__in=users.order_by().values("pk"), last_end__gt=timezone.now())
        .filter(cancelled=False, unreadable="")
        .filter(Q(organizer=Lower("user__upn")) | Q(organizer=Lower("user__sip_address")))
        .aggregate(
            meetings=Count("pk"),
            invitations=Coalesce(Sum(F("attendee_count") - 1, filter=Q(attendee_count__gt=0)), 0),
        )
    )
    return FutureMeetings(**found)
