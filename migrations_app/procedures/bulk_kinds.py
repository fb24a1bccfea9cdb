"""What can be done for many users at once: one entry of :data:`KINDS` for each, which pages and the job read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_noop

from migrations_app.models import BulkAction, Plan, Run
from migrations_app.procedures import notices
from migrations_app.runs import undo_start
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.queue import lock_users
from migrations_app.targets import Targets
from tenants_app.audit import Actor
from tenants_app.changes.users import UserEdit, change_users, mark_users_up_to_date
from tenants_app.models import Bridge, ConferencingUser, Role, Tenant
from tenants_app.sentences import one_after_the_other, sentence

NOT_FAILED = sentence("No run, because the latest run has not failed.")
MARKED = sentence("Marked as up to date. No invitation was changed.")
TOLD_ALREADY = sentence("Not told, because they are told already of runs to come.")
TO_BE_TOLD = sentence("Told, if a run would change a meeting of theirs.")
UP_TO_DATE_ALREADY = sentence("Up to date already, so nothing was changed.")


class Answer(NamedTuple):
    """What became of it for one user."""

    is_done: bool
    sentence: str


Users = Sequence[ConferencingUser]
Act = Callable[[Tenant, Users, Actor, Mapping[str, Any], Plan | None], Mapping[int, Answer]]
"""Does it for some of the tenant's users in the transaction of the caller, in as many statements for all as for one,
and answers for each by their key; runs that it starts are of the plan, where there is one. ``ValidationError`` refuses
it for all of them: then it is tried for each alone."""


Foreseen = Callable[[Mapping[str, Any]], tuple[str, Mapping[str, Any], Q]]
"""From how it is done to the kind of preview, its terms without the users, and which of the users it does it for."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that can be done for many users."""

    name: str
    """In addresses and rows."""
    label: str
    """On the button, and before “for 12 users”."""
    icon: str
    role: Role.Name
    """Who may do it, at least."""
    audited: str
    """The action of the job's entry in the audit."""
    done: str
    """What it is called where it was done for a user."""
    refused: str
    act: Act
    how: Callable[[Mapping[str, Any]], str] = lambda options: ""
    """What was chosen beside the users, as the audit and the pages show it."""
    ends_undos: bool = False
    """Whether it ends an undo that holds, so that whose meetings were put back since it was confirmed are left out."""
    may_be_planned: bool = True
    """Whether it can be done at a time to come."""
    foreseen: Foreseen | None = None
    """What its runs would do, so that organizers can be told before; None where it starts none."""
    only_starts: bool = False
    """Whether it does nothing but start runs, so that one that has not begun can be taken back."""

    @property
    def starts_runs(self) -> bool:
        """Whether runs may follow from it."""
        return self.name not in BulkAction.WITHOUT_RUNS


def _start(
    tenant: Tenant, users: Users, actor: Actor, options: Mapping[str, Any], plan: Plan | None
) -> Mapping[int, Answer]:
    targets = Targets.of(options["targets"]) if options.get("targets") else None
    now_due = plan is not None or bool(options.get("now"))
    told = start_by_hand(tenant, users, actor, targets=targets, now_due=now_due, plan=plan)
    return {user.pk: Answer(each.starts_run, each.sentence) for user, each in zip(users, told, strict=True)}


def _foreseen_start(options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Q]:
    return "start", {"targets": options.get("targets")}, Q()


def _foreseen_retry(options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Q]:
    return "start", {"targets": None}, Q(runs__is_latest=True, runs__state=Run.State.FAILED)


def _foreseen_move(options: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Q]:
    values = {"bridge": options["bridge"]}
    return "change", {"values": values, "reschedule_meetings": False}, ~Q(bridge=options["bridge"])


def _how_to_start(options: Mapping[str, Any]) -> str:
    targets = Targets.of(options["targets"]) if options.get("targets") else None
    now = sentence("begin at once")
    if not options.get("now"):
        return targets.words if targets else ""
    return sentence("%(first)s; %(second)s", first=targets.words, second=now) if targets else now


def _retry(
    tenant: Tenant, users: Users, actor: Actor, options: Mapping[str, Any], plan: Plan | None
) -> Mapping[int, Answer]:
    keys = sorted(user.pk for user in users)
    lock_users(keys)  # so that their latest run is not another by the time it is started again
    latest = list(Run.objects.filter(user__in=keys, is_latest=True, state=Run.State.FAILED))
    undos = [run for run in latest if run.is_undo]
    undone = {run.user_id: Answer(each.starts_run, each.sentence) for run, each in undo_start.again(undos, actor)}
    failed = {run.user_id for run in latest} - undone.keys()
    started = _start(tenant, [user for user in users if user.pk in failed], actor, {"now": True}, plan)
    return {key: Answer(False, NOT_FAILED) for key in keys} | undone | dict(started)


def _move(
    tenant: Tenant, users: Users, actor: Actor, options: Mapping[str, Any], plan: Plan | None
) -> Mapping[int, Answer]:
    """Each user gets the new bridge's numbers of the countries of their old ones, where it has such."""
    target = Bridge.objects.filter(tenant=tenant, pk=options["bridge"]).first()
    if target is None:
        gone = Answer(
            False, sentence("Not moved: the bridge %(bridge)s is not there any more.", bridge=options["bridge_name"])
        )
        return {user.pk: gone for user in users}
    is_there = Answer(False, sentence("Not moved: on %(bridge)s already.", bridge=target.name))
    there = {user.pk: is_there for user in users if user.bridge == target}
    moving = sorted((user for user in users if user.pk not in there), key=lambda user: user.pk)
    edits = [UserEdit(user.pk, {"bridge": target}) for user in moving]
    told = {each.upn: each for each in change_users(tenant, edits, actor, due_now=plan is not None, part_of=plan)}
    moved = sentence("Moved to %(bridge)s.", bridge=target.name)
    return there | {user.pk: Answer(True, one_after_the_other(moved, told[user.upn].sentence)) for user in moving}


def _notify(
    tenant: Tenant, users: Users, actor: Actor, options: Mapping[str, Any], plan: Plan | None
) -> Mapping[int, Answer]:
    """Tell them of runs that somebody will start at that time; the meetings are counted in the background."""
    keys = [user.pk for user in users]
    told = notices.told_already(keys)
    asked = ConferencingUser.objects.filter(pk__in=[key for key in keys if key not in told])
    notices.announce(
        tenant,
        asked,
        "start",
        {"targets": None},
        datetime.fromisoformat(options["begins_at"]),
        actor.name,
        reference=UUID(options["reference"]),
    )
    return {key: Answer(False, TOLD_ALREADY) if key in told else Answer(True, TO_BE_TOLD) for key in keys}


def _mark(
    tenant: Tenant, users: Users, actor: Actor, options: Mapping[str, Any], plan: Plan | None
) -> Mapping[int, Answer]:
    marked = mark_users_up_to_date(tenant, [user.pk for user in users], actor)
    return {user.pk: Answer(True, MARKED) if user.pk in marked else Answer(False, UP_TO_DATE_ALREADY) for user in users}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                name="start",
                label=sentence("Start runs"),
                icon="player-play",
                role=Role.Name.OPERATOR,
                audited=gettext_noop("start runs for many users"),
                done=sentence("Run started"),
                refused=sentence("No run"),
                act=_start,
                how=_how_to_start,
                ends_undos=True,
                only_starts=True,
                foreseen=_foreseen_start,
            ),
            Kind(
                name="retry",
                label=sentence("Retry"),
                icon="refresh",
                role=Role.Name.OPERATOR,
                audited=gettext_noop("retry runs of many users"),
                done=sentence("Run started"),
                refused=sentence("No run"),
                act=_retry,
                only_starts=True,
                foreseen=_foreseen_retry,
            ),
            Kind(
                name="move",
                label=sentence("Move to a bridge"),
                icon="arrows-exchange",
                role=Role.Name.ADMIN,
                audited=gettext_noop("move many users to a bridge"),
                done=sentence("Moved"),
                refused=sentence("Not moved"),
                act=_move,
                how=lambda options: sentence("to %(bridge)s", bridge=options["bridge_name"]),
                foreseen=_foreseen_move,
            ),
            Kind(
                name="notify",
                label=sentence("Tell organizers"),
                icon="mail",
                role=Role.Name.OPERATOR,
                audited=gettext_noop("tell many users of runs to come"),
                done=sentence("To be told"),
                refused=sentence("Not told"),
                act=_notify,
                how=lambda options: sentence("of runs %(when)s", when=options["when"]),
                may_be_planned=False,
            ),
            Kind(
                name="mark",
                label=sentence("Mark as up to date"),
                icon="check",
                role=Role.Name.ADMIN,
                audited=gettext_noop("mark many users as up to date"),
                done=sentence("Marked"),
                refused=sentence("Not marked"),
                act=_mark,
                ends_undos=True,
                may_be_planned=False,
            ),
        )
    }
)
