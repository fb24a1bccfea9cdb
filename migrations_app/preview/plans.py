"""What can be previewed: each kind says whom it is about and what is planned for them. Only reads.

A plan can be made again from its ``terms``, which are stored with a preview that is made in the background.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, Protocol, cast

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from migrations_app.mailboxes.upcoming import future_meetings
from migrations_app.models import Run, UserImport
from migrations_app.preview.foretold import Foreseeing, Planned
from migrations_app.preview.release_effect import planned_release
from migrations_app.preview.rollback_plan import RollbackOfWave
from migrations_app.preview.undo_plan import Undo
from migrations_app.runs.out_of_date import users_out_of_date
from migrations_app.runs.outcomes import Outcomes
from migrations_app.runs.starts import decide_changes, decide_starts, targets_of_pending
from migrations_app.targets import Targets
from tenants_app import fingerprints
from tenants_app.audit import Actor, Channel
from tenants_app.bulk import batched
from tenants_app.changes.deployments import edits_of_move
from tenants_app.changes.moves import MoveMapping
from tenants_app.changes.tenants import foresee_tenant
from tenants_app.changes.users import UserEdit, foresee_users
from tenants_app.csv_files.users_in import plan as plan_of_file
from tenants_app.dependants import has_or_shows
from tenants_app.models import Bridge, ConferencingUser, Deployment, MailboxConnection, ServiceNumber, Tenant
from tenants_app.models.users import UnsavedId
from tenants_app.sentences import one_after_the_other, sentence
from tenants_app.wording import FREE_ID

_LOADED = ("bridge", "toll_number", "toll_free_number", "mailbox", "deployment")

MOST_AT_ONCE = 250
"""Meetings, or users, that are looked at while somebody waits for a page: a few seconds; more, in the background."""


class Plan(Protocol):
    """What would be done to some users of a tenant."""

    kind: ClassVar[str]
    tenant: Tenant
    needs_admin: ClassVar[bool]
    """Whether only who administers the tenant may do it, and so may look."""

    @property
    def terms(self) -> dict[str, Any]:
        """From which it can be made again, as JSON has it."""

    @property
    def title(self) -> str:
        """What people call it."""

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        """Whom it is about."""

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        """What is planned for these of them. Raises ``ValidationError`` where it would be refused."""


def keys_after(plan: Plan, cursor: int, most: int) -> list[int]:
    """The keys of the next users whom the plan is about. A plan of named users may name more than a query takes."""
    named = plan.terms.get("users")
    if named is not None:
        begin = bisect_right(named, cursor)
        return list(named[begin : begin + most])
    return list(plan.users.filter(pk__gt=cursor).order_by("pk").values_list("pk", flat=True)[:most])


def count_users(plan: Plan) -> int:
    """How many users the plan is about."""
    named = plan.terms.get("users")
    return plan.users.count() if named is None else len(named)


def users_in_parts(plan: Plan) -> Iterator[QuerySet[ConferencingUser]]:
    """The users whom the plan is about, no more at once than a query takes."""
    named = plan.terms.get("users")
    if named is None:
        yield plan.users
        return
    for some in batched(named):
        yield ConferencingUser.objects.filter(tenant=plan.tenant, pk__in=some)


def work_of(user: ConferencingUser, targets: Targets | None = None) -> Callable[[], Foreseeing]:
    """A run of the user, with settings saved or not."""
    run = Run(user=user, tenant=user.tenant, **({"targets": targets.stored} if targets else {}))
    return partial(Outcomes, run, user=user)


class Starts:
    """Runs started by hand (R11, R40): of users named by key, or of all out of date (R36)."""

    kind: ClassVar[str] = "start"
    needs_admin: ClassVar[bool] = False

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @classmethod
    def of(cls, tenant: Tenant, *, users: Sequence[int] | None = None, targets: Targets | None = None) -> Starts:
        """Of these users, by key; else of those out of date."""
        return cls(
            tenant,
            {
                "users": sorted(users) if users is not None else None,
                "targets": targets.stored if targets else None,
            },
        )

    @property
    def targets(self) -> Targets | None:
        return Targets.of(self.terms["targets"]) if self.terms.get("targets") else None

    @property
    def title(self) -> str:
        if self.terms.get("users") is None:
            return sentence("Runs for everyone out of date")
        return sentence("Runs for chosen users")

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        if self.terms.get("users") is not None:
            return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=self.terms["users"])
        return users_out_of_date(self.tenant)

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        found = ConferencingUser.objects.filter(tenant=self.tenant, pk__in=pks).select_related(*_LOADED).order_by("pk")
        for start in decide_starts(self.tenant, list(found), _NOBODY, self.targets):
            starts = start.decision.starts_run
            work = work_of(start.user, start.targets) if starts else None
            yield Planned(start.user, starts, start.decision.sentence, work)


_NOBODY = Actor("", Channel.SCREEN)
"""A preview says what a start would answer, not who asks for it."""


class Changes:
    """The same change of some users' settings: of one user's form, or of a selection."""

    kind: ClassVar[str] = "change"
    needs_admin: ClassVar[bool] = True

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @classmethod
    def of(
        cls,
        tenant: Tenant,
        values: Mapping[str, Any],
        *,
        users: Sequence[int],
        reschedule_meetings: bool = False,
    ) -> Changes:
        """``values`` are as ``UserEdit`` takes them; of these users, by key."""
        stored = {name: value.pk if isinstance(value, Model) else value for name, value in values.items()}
        return cls(tenant, {"values": stored, "reschedule_meetings": reschedule_meetings, "users": sorted(users)})

    @property
    def title(self) -> str:
        return sentence("A change of users' settings")

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=self.terms["users"])

    @cached_property
    def values(self) -> dict[str, Any]:
        """With rows of the tenant where keys are stored."""
        models = {
            "bridge": Bridge,
            "toll_number": ServiceNumber,
            "toll_free_number": ServiceNumber,
            "mailbox": MailboxConnection,
            "deployment": Deployment,
        }
        values = dict(self.terms["values"])
        for name, model in models.items():
            if values.get(name) is not None:
                values[name] = cast(Any, model).objects.filter(tenant=self.tenant, pk=values[name]).first()
                if values[name] is None:
                    raise ValidationError(
                        sentence("Something that the change names is not there any more: look again.")
                    )
        return values

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        reschedule = self.terms["reschedule_meetings"]
        yield from planned_edits(self.tenant, [UserEdit(pk, self.values, reschedule) for pk in pks])


class DeploymentMove:
    """Users who move to another deployment by a mapping (R62), such as the members of a wave (R68)."""

    kind: ClassVar[str] = "deployment"
    needs_admin: ClassVar[bool] = False

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @classmethod
    def of(
        cls,
        tenant: Tenant,
        deployment: Deployment,
        mapping: MoveMapping,
        *,
        users: Sequence[int],
        wave: int | None = None,
        wave_name: str = "",
    ) -> DeploymentMove:
        """Of these users, by key; ``wave`` is the key of the one whose members they are."""
        return cls(
            tenant,
            {
                "deployment": deployment.pk,
                "mapping": mapping.stored,
                "wave": wave,
                "wave_name": wave_name,
                "users": sorted(users),
            },
        )

    @property
    def title(self) -> str:
        if self.terms.get("wave_name"):
            return sentence("The move of the wave %(wave)s", wave=self.terms["wave_name"])
        return sentence("A move to another deployment")

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=self.terms["users"])

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        deployment = Deployment.objects.filter(tenant=self.tenant, pk=self.terms["deployment"]).first()
        if deployment is None:
            raise ValidationError(sentence("The deployment is not there any more: look again."))
        there = ConferencingUser.objects.filter(tenant=self.tenant, pk__in=pks)
        keys = list(there.order_by("pk").values_list("pk", flat=True))  # who was removed meanwhile is not told of
        yield from planned_edits(self.tenant, edits_of_move(keys, deployment, MoveMapping.of(self.terms["mapping"])))


def planned_edits(tenant: Tenant, edits: Sequence[UserEdit], kept_free: Sequence[str] = ()) -> Iterator[Planned]:
    """What is planned for each user by these changes; see ``foresee_users``."""
    for effects in foresee_users(tenant, edits, kept_free=kept_free) if edits else ():
        changes = [effect.change for effect in effects]
        pending = targets_of_pending([change.user for change in changes])
        decided = decide_changes(changes[0].user.tenant, changes)
        for effect, (user, decision) in zip(effects, decided, strict=True):
            told = one_after_the_other(effect.consequence.sentence, effect.chosen)
            work = None
            if decision.starts_run:
                work = work_of(user, pending[user.pk].joined(decision.targets))
            elif effect.after and user.is_out_of_date:
                told = one_after_the_other(told, sentence("The user is out of date then: the next run would do this."))
                work = work_of(user)
            yield Planned(user, decision.starts_run, told, work)


class NumberRelease:
    """A number that another takes the place of for everyone (R32 to R35)."""

    kind: ClassVar[str] = "release"
    needs_admin: ClassVar[bool] = True

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @cached_property
    def number(self) -> ServiceNumber:
        numbers = ServiceNumber.objects.select_related("bridge", "tenant")
        found = numbers.filter(tenant=self.tenant, pk=self.terms["number"]).first()
        if found is None:
            raise ValidationError(sentence("The number is not on its bridge any more: look again."))
        return found

    @property
    def title(self) -> str:
        return sentence(
            "%(number)s replaced by %(replacement)s", number=self.number.number, replacement=self.terms["e164"]
        )

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        return ConferencingUser.objects.filter(has_or_shows(self.number), tenant=self.tenant)

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        for user, decision in planned_release(self.number, self.terms["e164"], pks):
            work = work_of(user, targets_of_pending([user])[user.pk].joined(decision.targets))
            yield Planned(user, decision.starts_run, decision.sentence, work if decision.starts_run else None)


class Import:
    """The rows of an uploaded file that change users; new users have no meetings yet."""

    kind: ClassVar[str] = "import"
    needs_admin: ClassVar[bool] = True

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @cached_property
    def _import(self) -> UserImport:
        found = UserImport.objects.filter(tenant=self.tenant, pk=self.terms["import"], state=UserImport.State.CHECKED)
        user_import = found.first()
        if user_import is None:
            raise ValidationError(sentence("The file does not wait for a decision any more: upload it again."))
        return user_import

    @cached_property
    def _edits(self) -> dict[int, UserEdit]:
        self._planned = plan_of_file(self.tenant, self._import.text)
        return {edit.user_pk: edit for edit in self._planned.edits}

    @property
    def title(self) -> str:
        return sentence("Import of %(file)s", file=self._import.file_name)

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=list(self._edits))

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        edits = [self._edits[pk] for pk in pks if pk in self._edits]
        yield from planned_edits(self.tenant, edits, kept_free=sorted(self._planned.wanted_ids))


class TenantSettings:
    """Settings of the tenant, or of one of its bridges, that invitations show. Saving them starts no run (R36): this is
    what the next runs of the users would do who are out of date then."""

    kind: ClassVar[str] = "settings"
    needs_admin: ClassVar[bool] = True

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @property
    def title(self) -> str:
        return sentence("Settings of a bridge") if self.terms.get("bridge") else sentence("Settings of the tenant")

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        of_tenant = ConferencingUser.objects.filter(tenant=self.tenant)
        return of_tenant.filter(bridge=self.terms["bridge"]) if self.terms.get("bridge") else of_tenant

    @classmethod
    def of(cls, tenant: Tenant, values: Mapping[str, Any]) -> TenantSettings:
        """Of the tenant itself; ``values`` are as ``foresee_tenant`` takes them."""
        stored = {name: value.pk if isinstance(value, Model) else value for name, value in values.items()}
        return cls(tenant, {"values": stored})

    @property
    def _values(self) -> dict[str, Any]:
        """With the tenant's connection where its key is stored."""
        values = dict(self.terms["values"])
        if values.get("teams_connection") is not None:
            rows = MailboxConnection.objects.filter(tenant=self.tenant, pk=values["teams_connection"])
            values["teams_connection"] = rows.first()
        return values

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        tenant = foresee_tenant(self.tenant, {} if self.terms.get("bridge") else self._values)
        bridge = None
        if self.terms.get("bridge"):
            bridge = Bridge.objects.filter(tenant=tenant, pk=self.terms["bridge"]).prefetch_related("numbers").first()
        for name, value in self.terms["values"].items() if bridge else ():
            setattr(bridge, name, value)
        users = ConferencingUser.objects.filter(tenant=tenant, pk__in=pks).order_by("pk")
        loaded = ("bridge__numbers", "toll_number", "toll_free_number", "mailbox", "deployment", "conference_ids")
        for user in users.prefetch_related(*loaded):
            was_right = not user.is_out_of_date
            user.tenant = tenant
            user.bridge = bridge or user.bridge
            if bridge and _gets_id(user):
                user.unsaved_id = UnsavedId(FREE_ID, "")
            fingerprints.foresee(user)
            # Invitations keep the IDs that they show where the meeting service hands them out from then on (R43).
            keeps_ids = self.terms["values"].get("conference_ids_from") == Bridge.ConferenceIdsFrom.SERVICE
            if user.is_out_of_date and not (keeps_ids and was_right and "provider" not in self.terms["values"]):
                yield Planned(user, starts_run=False, sentence=_WRONG_THEN, work=work_of(user))
            else:
                yield Planned(user, starts_run=False, sentence=_RIGHT_THEN)


def _gets_id(user: ConferencingUser) -> bool:
    """Whether the user's bridge, which hands out IDs, gives the user one that they have not."""
    is_public = user.conference_id_type == ConferencingUser.ConferenceIdType.PUBLIC
    return bool(user.bridge and user.bridge.gives_conference_ids and is_public and not user.conference_id)


_RIGHT_THEN = sentence("No run, because their invitations stay right.")
_WRONG_THEN = sentence(
    "No run, because settings of all start none: their invitations are out of date until the next run."
)

PLANS: dict[str, Callable[[Tenant, Mapping[str, Any]], Plan]] = {
    each.kind: each
    for each in (
        Starts,
        Changes,
        DeploymentMove,
        NumberRelease,
        Import,
        TenantSettings,
        Undo,
        RollbackOfWave,
    )
}
"""Every kind of plan there is."""


def plan_of(tenant: Tenant, kind: str, terms: Mapping[str, Any]) -> Plan:
    """The plan of that kind. Raises ``ValidationError`` where there is no such kind."""
    if kind not in PLANS:
        raise ValidationError(sentence("There is no preview of that kind."))
    return PLANS[kind](tenant, terms)


def is_small(plan: Plan) -> bool:
    """Whether it can be made while somebody waits."""
    return count_users(plan) <= MOST_AT_ONCE and future_meetings(plan.users.order_by()).meetings <= MOST_AT_ONCE


def planned_now(plan: Plan) -> Iterator[Planned]:
    """All that is planned, for one that :func:`is_small`."""
    yield from plan.planned(list(plan.users.order_by("pk").values_list("pk", flat=True)))
