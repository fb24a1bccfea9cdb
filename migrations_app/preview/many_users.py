"""What a change of many users will lead to, told before it is made. Only reads: it may be about all there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from migrations_app.mailboxes.base import FutureMeetings
from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.meeting_services.of_user import service_of
from migrations_app.models import Run
from migrations_app.runs.served import OWN_SETTINGS
from migrations_app.targets import ALL_CURRENT, Targets
from migrations_app.triggers.rules import Decision, decide, decide_start_by_hand
from migrations_app.triggers.switches import Switches
from tenants_app.changes.conference_ids import former_ids_kept_on
from tenants_app.dependants import dependants, has_or_shows
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.user_settings import SettingsChange, UserSettings
from tenants_app.wording import all_of

DECISIVE = (
    "hosting",
    "mailbox_location",
    "mailbox_id",
    "audio_conferencing_license",
    "audio_conferencing_enabled",
    "conferencing_provider",
    "conference_id_type",
    "undo_holds",
    "deployment_id",
)
"""Settings of a user that decide, beside bridge and conference ID, what a change of these two starts."""

NAMED = 20
"""Users whose undo ends who are told by name."""
BY_DEFAULT_ONLY = sentence("No run, because their invitations do not show the number: they just get the new default.")
"""Of users who have a default number only by their bridge, such as those without audio conferencing."""


@dataclass(frozen=True, slots=True)
class EndedUndos:
    """Users whose meetings were put back, and are brought up to date again."""

    count: int = 0
    upns: tuple[str, ...] = ()
    """Of very many only the first."""

    @classmethod
    def of(cls, users: QuerySet[ConferencingUser]) -> EndedUndos:
        """Those among the users."""
        held = users.filter(undo_holds=True).order_by("upn")
        upns = tuple(held.values_list("upn", flat=True)[: NAMED + 1])
        return cls(held.count(), upns[:NAMED]) if len(upns) > NAMED else cls(len(upns), upns)

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def others(self) -> int:
        """How many are not told by name."""
        return self.count - len(self.upns)

    @property
    def sentence(self) -> str:
        """Who they are, for the page and the command."""
        others = self.others
        names: list[str] = [*self.upns]
        if others:
            names.append(sentence_plural("%(n)s other", "%(n)s others", others))
        return sentence_plural(
            "This ends the undo of %(users)s. The user's meetings are brought up to date again.",
            "This ends the undo of %(users)s. Their meetings are brought up to date again.",
            self.count,
            users=all_of(names),
        )


@dataclass(slots=True)
class Foreseen:
    """How many users it is about, how many get a run, and how many get none, with the sentence that says why."""

    users: int = 0
    runs: int = 0
    without_run: dict[str, int] = field(default_factory=dict)
    future: FutureMeetings = field(default_factory=FutureMeetings)
    """Meetings that these runs would look at; of a number, those of everybody who depends on it."""
    pending: int = 0
    """Of the users who get a run: those whose run is pending already, which the start joins (R18)."""
    in_progress: int = 0
    """Of the users who get a run: those whose run is in progress, which another one follows."""
    undos: EndedUndos = field(default_factory=EndedUndos)
    """Of the users who get a run: those whose undo it ends."""

    @property
    def without(self) -> int:
        """Users who get no run."""
        return self.users - self.runs

    def add(self, decision: Decision, users: int) -> None:
        """Count ``users`` for whom the same was decided."""
        self.users += users
        if decision.starts_run:
            self.runs += users
        else:
            self.without_run[decision.sentence] = self.without_run.get(decision.sentence, 0) + users


def foresee_move(tenant: Tenant, users: QuerySet[ConferencingUser], target: Bridge) -> Foreseen:
    """What moving the tenant's ``users`` to ``target`` would start. Who is on it already is not among them."""
    switches = Switches.of(tenant)
    bridges = Bridge.objects.filter(tenant=tenant).in_bulk()
    moving = users.exclude(bridge=target).order_by()
    # Where the meeting service hands them out, on either bridge, none is exchanged for another (R43).
    giving = [bridge.pk for bridge in bridges.values() if bridge.gives_conference_ids and target.gives_conference_ids]
    own_ids = ConferenceId.objects.filter(bridge=F("user__bridge"), bridge__in=giving, meeting_uid="")
    # A conference ID that is taken on the new bridge cannot be kept there, nor one that may go back to somebody else.
    is_taken = Q(digits__in=ConferenceId.objects.filter(bridge=target).values("digits"))
    is_kept = Exists(former_ids_kept_on(target).filter(digits=OuterRef("digits")).exclude(user=OuterRef("user")))
    renumbered = own_ids.filter(is_taken | is_kept).values("user")
    foreseen = Foreseen(future=future_meetings(moving))
    alike = moving.values("bridge", *DECISIVE)
    for row in alike.annotate(users=Count("pk"), renumbered=Count("pk", filter=Q(pk__in=renumbered))):
        settings = {name: row[name] for name in DECISIVE}
        source = bridges.get(row["bridge"])
        before = UserSettings.of(ConferencingUser(tenant=tenant, bridge=source, **settings), "kept")
        for conference_id, count in (("kept", row["users"] - row["renumbered"]), ("another", row["renumbered"])):
            if count:
                after = UserSettings.of(ConferencingUser(tenant=tenant, bridge=target, **settings), conference_id)
                foreseen.add(decide(SettingsChange(before, after), switches), count)
    return foreseen


def foresee_start(tenant: Tenant, users: QuerySet[ConferencingUser], targets: Targets | None = None) -> Foreseen:
    """What starting runs by hand for the tenant's ``users`` would lead to now (R11, R40)."""
    switches = Switches.of(tenant)
    bridges = Bridge.objects.filter(tenant=tenant).in_bulk()
    foreseen = Foreseen()
    startable = Q(pk__in=())
    deciding = (*OWN_SETTINGS, "mailbox_id", "meeting_service", "deployment_id")
    for row in users.order_by().values("bridge", *deciding).annotate(users=Count("pk")):
        alike = {name: row[name] for name in deciding}
        user = ConferencingUser(tenant=tenant, bridge=bridges.get(row["bridge"]), **alike)
        settings = UserSettings.of(user, "")
        decision = decide_start_by_hand(settings, switches, "", targets or ALL_CURRENT, service_of(user))
        foreseen.add(decision, row["users"])
        if decision.starts_run:
            startable |= Q(bridge=row["bridge"], **alike)
    foreseen.without_run = dict(sorted(foreseen.without_run.items(), key=lambda told: -told[1]))
    if foreseen.runs:
        starting = users.filter(startable).order_by()
        latest = Run.objects.filter(tenant=tenant, is_latest=True, user__in=starting.values("pk"))
        states = dict(latest.order_by().values_list("state").annotate(Count("pk")))
        foreseen.pending = states.get(Run.State.PENDING, 0)
        foreseen.in_progress = states.get(Run.State.IN_PROGRESS, 0)
        foreseen.future = future_meetings(starting)
        foreseen.undos = EndedUndos.of(starting)
    return foreseen


def foresee_release(number: ServiceNumber) -> Foreseen:
    """What taking the number off its bridge would lead to now (R32)."""
    users = dependants(number)
    switches = Switches.of(number.tenant)
    bridges = Bridge.objects.in_bulk(list(users.order_by().values_list("bridge", flat=True).distinct()))
    foreseen = Foreseen(future=future_meetings(users))
    moved = users.filter(has_or_shows(number)).order_by()
    startable = Q(pk__in=())
    for row in moved.values("bridge", *DECISIVE).annotate(users=Count("pk")):
        alike = ConferencingUser(
            tenant=number.tenant, bridge=bridges.get(row["bridge"]), **{name: row[name] for name in DECISIVE}
        )
        settings = UserSettings.of(alike, "")
        change = SettingsChange(settings, settings, unassigned_number=number.number)
        decision = decide(change, switches)
        foreseen.add(decision, row["users"])
        if decision.starts_run:
            startable |= Q(bridge=row["bridge"], **{name: row[name] for name in DECISIVE})
    if foreseen.runs:
        foreseen.undos = EndedUndos.of(moved.filter(startable))
    unseen = users.count() - foreseen.users
    if unseen:
        foreseen.users += unseen
        foreseen.without_run[BY_DEFAULT_ONLY] = unseen
    return foreseen
