"""What a change will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.upcoming import FutureMeetings, future_meetings
from migrations_app.models import MeetingResult, Run
from migrations_app.runs.outcomes import preview
from migrations_app.triggers.rules import decide, decide_start_by_hand
from migrations_app.triggers.switches import switches_of
from tenants_app.audit import Actor
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, Tenant
from tenants_app.records import user_record
from tenants_app.signals import Consequence, UserChange, UserSettings
from tenants_app.wording import counted

DECISIVE = (
    "hosting",
    "mailbox_location",
    "audio_conferencing_license",
    "audio_conferencing_enabled",
    "conferencing_provider",
    "conference_id_type",
)
"""Settings of a user that decide, beside bridge and conference ID, what a move to another bridge starts."""

SERVED_BY = ("hosting", "mailbox_location", "conferencing_provider")
"""Settings of a user that decide, beside the bridge, whether MMS can migrate their meetings (R15 to R17)."""

NOT_THEIRS_TO_COME = ("past", "cancelled", "not-organizer")
"""Why a run skips what is not a future meeting of the user."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """What saving a change of a user would answer and lead to."""

    consequence: Consequence
    effect: str
    """What it means for the meetings; empty where it means nothing."""
    leaves_invitations_wrong: bool
    """Whether they are going to say something else than the settings ask for."""
    settings: Mapping[str, Any]
    """The user's settings afterwards, as ``user_record`` tells them."""

    @property
    def text(self) -> str:
        """All of it, for the screen and the command."""
        return f"{self.consequence.sentence} {self.effect}".strip()


@dataclass(slots=True)
class _Affected:
    """The user's future meetings, and those of them that a run would change."""

    meetings: int = 0
    updated: int = 0
    failed: int = 0
    mailed: int = 0

    @classmethod
    def of(cls, foreseen: Iterable[tuple[MeetingResult, int]]) -> _Affected:
        found = cls()
        for result, recipients in foreseen:
            found.meetings += result.code not in NOT_THEIRS_TO_COME
            found.updated += result.outcome == MeetingResult.Outcome.SUCCEEDED
            found.failed += result.outcome == MeetingResult.Outcome.FAILED
            found.mailed += recipients
        return found


@dataclass(frozen=True, slots=True)
class Move:
    """What moving everyone on a bridge would start: numbers of users, and of those without a run by the sentence."""

    users: int
    runs: int
    without_run: dict[str, int]


@dataclass(frozen=True, slots=True)
class Start:
    """What starting runs by hand would lead to: numbers of users, and of those without a run by the sentence."""

    users: int
    runs: int
    without_run: dict[str, int]
    pending: int
    """Of the users who get a run: those whose run is pending already, which the start joins (R18)."""
    in_progress: int
    """Of the users who get a run: those whose run is in progress, which another one follows."""
    future: FutureMeetings
    """Of the users who get a run."""

    @property
    def without(self) -> int:
        """Users who get no run."""
        return self.users - self.runs


def foresee(tenant: Tenant, edit: UserEdit, actor: Actor) -> Foresight:
    """What saving ``edit`` would lead to. Makes the change and takes it back, so the answer cannot differ.

    The meetings are rewritten, and the rewritten ones counted, when the change has been taken back: it keeps others
    waiting, and a mailbox may be large. Raises ``ValidationError`` as the change itself would.
    """
    users = ConferencingUser.objects.filter(tenant=tenant, pk=edit.user_pk)
    was_out_of_date = users.out_of_date().exists()
    foreseen: Iterable[tuple[MeetingResult, int]] = ()
    failure: Failure | None = None
    with transaction.atomic():
        (consequence,) = change_users(tenant, [edit], actor)
        user = users.select_related("tenant", "bridge", "toll_number", "toll_free_number").get()
        settings = user_record(user)
        if consequence.starts_run or user.is_out_of_date:
            try:
                foreseen = preview(user)
            except Failure as refused:
                failure = refused
        transaction.set_rollback(True)
    if consequence.starts_run:
        effect = _effect_of_run(failure, _Affected.of(foreseen))
    elif user.is_out_of_date:
        effect = _effect_of_no_run(_Affected.of(foreseen), was_out_of_date)
    else:
        effect = "The invitations then say what the settings ask for." if was_out_of_date else ""
    wrong = user.is_out_of_date and (failure is not None or not consequence.starts_run)
    return Foresight(consequence, effect, wrong, settings)


def _effect_of_run(failure: Failure | None, affected: _Affected) -> str:
    if failure:
        return f"It would fail before it looks at any meeting. {describe(failure.code, failure.detail)}"
    if not affected.meetings:
        return "The mailbox has no future meetings, so nobody would be mailed."
    future = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    mailed = f"{counted(affected.mailed, 'invitation')} sent" if affected.mailed else "nobody mailed"
    fail = f" {affected.failed:,} would fail." if affected.failed else ""
    return f"{future} would be updated and {mailed}.{fail}"


def _effect_of_no_run(affected: _Affected, was_out_of_date: bool) -> str:
    """Where the invitations do not say what the settings ask for (R36)."""
    remains = "stays" if was_out_of_date else "is then"
    if not affected.updated:
        return f"The user {remains} out of date: the invitations do not say what the settings ask for."
    wrong = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    said = "does" if affected.updated == 1 else "do"
    return f"The user {remains} out of date: {wrong} {said} not say what the settings ask for."


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


def foresee_start(tenant: Tenant, users: QuerySet[ConferencingUser]) -> Start:
    """What starting runs by hand for the tenant's ``users`` would lead to now (R11). Only reads: they may be all."""
    switches = switches_of(tenant)
    bridges = Bridge.objects.filter(tenant=tenant).in_bulk()
    count = runs = 0
    without_run: dict[str, int] = {}
    startable = Q(pk__in=())
    for row in users.order_by().values("bridge", *SERVED_BY).annotate(users=Count("pk")):
        alike = {name: row[name] for name in SERVED_BY}
        settings = UserSettings.of(ConferencingUser(bridge=bridges.get(row["bridge"]), **alike), "")
        decision = decide_start_by_hand(settings, switches, "")
        count += row["users"]
        if decision.starts_run:
            runs += row["users"]
            startable |= Q(bridge=row["bridge"], **alike)
        else:
            without_run[decision.sentence] = without_run.get(decision.sentence, 0) + row["users"]
    without_run = dict(sorted(without_run.items(), key=lambda told: -told[1]))
    if not runs:
        return Start(count, 0, without_run, 0, 0, FutureMeetings(0, 0))
    starting = users.filter(startable).order_by()
    latest = Run.objects.filter(tenant=tenant, is_latest=True, user__in=starting.values("pk"))
    states = dict(latest.order_by().values_list("state").annotate(Count("pk")))
    under_way = states.get(Run.State.PENDING, 0), states.get(Run.State.IN_PROGRESS, 0)
    return Start(count, runs, without_run, *under_way, future_meetings(starting))
