"""How far taking a number off its bridge has come, and which users still keep it there (R35)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from django.db.models import Case, Count, Exists, FilteredRelation, IntegerField, OuterRef, Q, QuerySet, Value, When

from migrations_app.failures import describe
from migrations_app.models import NumberRelease, Run, ShownMeeting
from migrations_app.procedures.number_release import holders
from migrations_app.runs.left import to_come
from migrations_app.runs.served import not_served
from migrations_app.triggers.rules import decide, why_not_served
from migrations_app.triggers.switches import Switches
from tenants_app.models import OUT_OF_DATE, ConferencingUser
from tenants_app.sentences import one_after_the_other, sentence, whole
from tenants_app.user_settings import SettingsChange, UserSettings
from tenants_app.wording import counted


class Why(IntEnum):
    """Why a user still holds the number. Reasons that a person must deal with come first."""

    FAILED = 1
    UNCHANGED = 2
    NOT_SERVED = 3
    NOT_STARTED = 4
    LEFT = 5
    RUNNING = 6
    PENDING = 7
    TO_BE_MOVED = 8


STARTABLE = (Why.FAILED, Why.NOT_STARTED, Why.LEFT)
"""Users for whom nothing is under way and to whom a run may help."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of users: moved, still to be moved, and how far the invitations of those who were moved are."""

    moved: int
    to_move: int
    done: int
    running: int
    pending: int
    failed: int
    stuck: int
    """Nothing is under way for them, and no run has failed: see :class:`Why`."""
    left: int
    """Of these: those whose run has done all it can, and left meetings that show the number."""
    startable: int
    holders: int
    """Users because of whom the number is kept."""

    @property
    def all(self) -> int:
        return self.moved + self.to_move

    @property
    def under_way(self) -> int:
        """Users whose run is in progress or pending."""
        return self.running + self.pending

    @property
    def held(self) -> int:
        """Users because of whom the number is kept although nothing is under way for them."""
        return self.failed + self.stuck


@dataclass(frozen=True, slots=True)
class Holder:
    """A user because of whom the number is kept, the sentences that say why, and the run that these are about."""

    user: ConferencingUser
    why: Why
    sentences: Sequence[str]
    run: Run | None

    @property
    def shows_error(self) -> bool:
        """Whether the page shows the run's last error as the reason."""
        return self.run is not None and self.run.last_error_code != "" and self.why in {Why.FAILED, Why.PENDING}

    @property
    def is_left(self) -> bool:
        return self.why == Why.LEFT


def progress_of(release: NumberRelease) -> Progress:
    """How far it has come. Takes the same few queries however many users it is about."""
    users = release.users.count()
    is_among_them = Exists(release.users.through.objects.filter(numberrelease=release, conferencinguser=OuterRef("pk")))
    rows = list(
        holders_with_why(release)
        .order_by()
        .values_list("why")
        .annotate(holders=Count("pk"), among_them=Count("pk", filter=is_among_them))
    )
    counts = {why: holders for why, holders, _ in rows}
    return Progress(
        moved=users - counts.get(Why.UNCHANGED, 0),
        to_move=counts.get(Why.TO_BE_MOVED, 0) + counts.get(Why.UNCHANGED, 0),
        done=users - sum(among_them for _, _, among_them in rows),
        running=counts.get(Why.RUNNING, 0),
        pending=counts.get(Why.PENDING, 0),
        failed=counts.get(Why.FAILED, 0),
        stuck=sum(counts.get(why, 0) for why in (Why.UNCHANGED, Why.NOT_SERVED, Why.NOT_STARTED, Why.LEFT)),
        left=counts.get(Why.LEFT, 0),
        startable=sum(counts.get(why, 0) for why in STARTABLE),
        holders=sum(counts.values()),
    )


def holders_with_why(release: NumberRelease) -> QuerySet[Any]:
    """The users because of whom the number is kept, with ``why`` and their ``latest`` run."""
    since = release.began_at or release.created
    by_setting = Q(toll_number=release.number_id) | Q(toll_free_number=release.number_id)
    at_work = Run.objects.filter(user=OuterRef("pk"), state=Run.State.IN_PROGRESS)
    reasons = [
        When(by_setting, then=Value(Why.UNCHANGED)),
        When(Exists(at_work), then=Value(Why.RUNNING)),
        When(latest__state=Run.State.PENDING, then=Value(Why.PENDING)),
        When(latest__state=Run.State.FAILED, latest__modified__gte=since, then=Value(Why.FAILED)),
        When(not_served(), then=Value(Why.NOT_SERVED)),
        When(OUT_OF_DATE, then=Value(Why.NOT_STARTED)),
    ]
    if release.state in {NumberRelease.State.WAITING, NumberRelease.State.MOVING}:
        reasons.insert(0, When(pk__gt=release.cursor, then=Value(Why.TO_BE_MOVED)))
    return holders(release).annotate(
        latest=FilteredRelation("runs", condition=Q(runs__is_latest=True)),
        why=Case(*reasons, default=Value(Why.LEFT), output_field=IntegerField()),
    )


def startable(release: NumberRelease) -> QuerySet[ConferencingUser]:
    """Those who hold the number, for whom nothing is under way, and to whom a run may help."""
    return holders_with_why(release).filter(why__in=STARTABLE).select_related("bridge", "deployment").order_by("pk")


def explain(release: NumberRelease, users: Sequence[Any]) -> list[Holder]:
    """Why each of these ``holders_with_why`` still holds the number, with ``latest`` and ``bridge`` loaded."""
    runs = {user.pk: getattr(user, "latest", None) for user in users}  # no attribute where there was never a run
    left = _left_meetings(release, [user.pk for user in users if user.why == Why.LEFT])
    switches = Switches.of(release.tenant)
    told = []
    for user in users:
        user.tenant = release.tenant  # read once for all of them
        settings = UserSettings.of(user, "")
        run = runs[user.pk]
        sentences: list[str] = []
        if user.why == Why.UNCHANGED:
            sentences = [
                sentence(
                    "Their settings could not be changed, so they still have %(number)s. Open the user, save the "
                    "settings, and correct what is marked then; MMS tries again by itself.",
                    number=release.e164,
                )
            ]
        elif user.why == Why.NOT_SERVED and (refusal := why_not_served(settings)):
            sentences = [
                one_after_the_other(
                    whole(refusal.sentence),
                    sentence("Migrate their calendar that way, then choose “Mark as up to date” on the user's page."),
                )
            ]
        elif user.why == Why.NOT_STARTED:
            decision = decide(SettingsChange(settings, settings, unassigned_number=release.e164), switches)
            sentences = [
                sentence("Their invitations were not brought up to date yet, and no run is under way: start one.")
                if decision.starts_run
                else decision.sentence
            ]
        elif user.why == Why.LEFT:
            sentences = [
                sentence(
                    "The run left meetings as they are, and at least one still shows the number: correct it, then "
                    "start a run."
                ),
                *left.get(user.pk, ()),
            ]
        told.append(Holder(user, Why(user.why), sentences, run))
    return told


def _left_meetings(release: NumberRelease, users: Sequence[int]) -> Mapping[int, list[str]]:
    """By user (key): how many meetings are left for a person by the reason, and what to do.

    Only those that hold the number, as soon as all meetings have been searched for it.
    """
    found = to_come(release.tenant).filter(user__in=users, message=None)
    if release.searched_at:
        shown = ShownMeeting.objects.filter(release=release, user=OuterRef("user"), uid=OuterRef("uid"))
        found = found.filter(Exists(shown))
    told: dict[int, list[str]] = {}
    for user, code, count in found.order_by("code").values_list("user", "code").annotate(Count("pk")):
        told.setdefault(user, []).append(
            sentence("%(meetings)s: %(reason)s", meetings=counted(count, "meeting"), reason=describe(code))
        )
    return told
