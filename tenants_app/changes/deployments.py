"""Changes of deployments (R60, R89), and moving users to one (R62)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone

from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import audited_value, lock
from tenants_app.changes.moves import NO_MAPPING, MoveMapping
from tenants_app.changes.tenants import check_meeting_url
from tenants_app.changes.users import UserEdit, UserEffect, change_users, foresee_users
from tenants_app.meeting_services import check_meeting_service
from tenants_app.models import Deployment, MeetingService, Tenant
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.signals import Consequence

NO_DEPLOYMENT = "none"
"""As the deployment of a user or bridge, in commands and files: none."""

SETTINGS = (
    "name",
    "kind",
    "role",
    "meeting_hosts",
    "meeting_service",
    "meeting_url",
    "check_hosts",
    "mover",
    "mover_command",
    "lowest_client_version",
    "highest_client_version",
)
"""The fields that :func:`create_deployment` and :func:`change_deployment` set, as they are listed."""
_LISTS = frozenset({"meeting_hosts", "check_hosts"})


def read_deployment(tenant: Tenant, name: str, known: Mapping[str, Deployment] | None = None) -> Deployment | None:
    """The tenant's deployment of that name; None for ``none``. ``ValueError`` with a sentence where there is none such.

    ``known`` has the tenant's deployments by their names in lower case, where they are read already.
    """
    word = name.strip().lower()
    if word == NO_DEPLOYMENT:
        return None
    found = (
        known.get(word) if known is not None else Deployment.objects.filter(tenant=tenant, name__iexact=word).first()
    )
    if found is None:
        raise ValueError(
            sentence(
                "%(tenant)s has no deployment %(deployment)s: add it first, or correct the name.",
                tenant=tenant.name,
                deployment=name.strip(),
            )
        )
    return found


@transaction.atomic
def create_deployment(tenant: Tenant, actor: Actor, **values: Any) -> Deployment:
    """A new deployment; ``values`` are its :data:`SETTINGS`."""
    tenant = lock(tenant)
    deployment = Deployment(tenant=tenant, **_tidied(values))
    _check(tenant, deployment)
    deployment.save()
    after = {name: _audited(name, getattr(deployment, name)) for name in SETTINGS if getattr(deployment, name)}
    entry(tenant, actor, "create deployment", deployment.name, {}, after).save()
    return deployment


@transaction.atomic
def change_deployment(deployment: Deployment, actor: Actor, **values: Any) -> Deployment:
    """Change what is given. No run comes of it: meetings stay where they are (R9), users are moved one by one."""
    tenant, deployment = _locked(deployment)
    before, after = {}, {}
    for name, value in _tidied(values).items():
        old = getattr(deployment, name)
        if old != value:
            before[name], after[name] = _audited(name, old), _audited(name, value)
            setattr(deployment, name, value)
    if not after:
        return deployment
    if "kind" in after:
        users = deployment.users.count()
        if users:
            raise ValidationError(
                {
                    "kind": sentence_plural(
                        "%(users)s user belongs to %(deployment)s and is hosted as it is: move them first.",
                        "%(users)s users belong to %(deployment)s and are hosted as it is: move them first.",
                        users,
                        users=users,
                        deployment=deployment.name,
                    )
                }
            )
    _check(tenant, deployment)
    deployment.save()
    entry(tenant, actor, "change deployment", deployment.name, before, after).save()
    return deployment


@transaction.atomic
def remove_deployment(deployment: Deployment, actor: Actor) -> None:
    """Remove a deployment that nobody belongs to. Its bridges stay, and belong to none."""
    tenant, deployment = _locked(deployment)
    check_can_be_removed(deployment)
    bridges = ", ".join(deployment.bridges.values_list("name", flat=True))
    name = deployment.name
    try:
        with transaction.atomic():
            deployment.delete()
    except ProtectedError as error:
        raise ValidationError(
            sentence("%(deployment)s is part of a rollout, whose record stays: retire it instead.", deployment=name)
        ) from error
    entry(tenant, actor, "remove deployment", name, {"bridges": bridges} if bridges else {}, {}).save()


def check_can_be_removed(deployment: Deployment) -> None:
    """Raise ``ValidationError`` with the reason where users belong to the deployment; only reads."""
    users = deployment.users.count()
    if users:
        raise ValidationError(
            sentence_plural(
                "%(users)s user belongs to %(deployment)s: move them first.",
                "%(users)s users belong to %(deployment)s: move them first.",
                users,
                users=users,
                deployment=deployment.name,
            )
        )


@transaction.atomic
def retire_deployment(deployment: Deployment, actor: Actor, *, reason: str = "") -> Deployment:
    """Set the deployment to retired: nobody is moved to it any more (R89). Whether it may be is for the caller to know,
    but for this: nobody belongs to it."""
    tenant, deployment = _locked(deployment)
    if deployment.retired_at is not None:
        raise ValidationError(
            sentence(
                "%(deployment)s is retired already, since %(since)s.",
                deployment=deployment.name,
                since=deployment.retired_at,
            )
        )
    check_can_be_removed(deployment)
    deployment.retired_at, deployment.retired_by = timezone.now(), actor.name
    deployment.save(update_fields=["retired_at", "retired_by"])
    after = {"retired": True} | ({"reason": reason} if reason else {})
    entry(tenant, actor, "retire deployment", deployment.name, {"retired": False}, after).save()
    return deployment


@transaction.atomic
def unretire_deployment(deployment: Deployment, actor: Actor, *, reason: str = "") -> Deployment:
    """Take the retirement back, as long as the deployment's numbers are not released (R89)."""
    tenant, deployment = _locked(deployment)
    if deployment.retired_at is None:
        raise ValidationError(
            sentence("%(deployment)s is not retired: nothing to take back.", deployment=deployment.name)
        )
    if deployment.numbers_released_at is not None:
        raise ValidationError(
            sentence(
                "%(deployment)s stays retired: numbers of its bridges were released on %(when)s.",
                deployment=deployment.name,
                when=deployment.numbers_released_at,
            )
        )
    after = {"retired": False} | ({"reason": reason} if reason else {})
    deployment.retired_at, deployment.retired_by = None, ""
    deployment.save(update_fields=["retired_at", "retired_by"])
    entry(tenant, actor, "take back retirement", deployment.name, {"retired": True}, after).save()
    return deployment


def move_users(
    tenant: Tenant,
    pks: Iterable[int],
    deployment: Deployment,
    actor: Actor,
    *,
    mapping: MoveMapping = NO_MAPPING,
    due_now: bool = False,
    part_of: object = None,
) -> list[Consequence]:
    """Move users (keys) to the deployment in one change: hosting, bridge and numbers by the mapping (R62).

    All of them or, where one cannot be moved, none (``ValidationError``). ``due_now`` and ``part_of`` are as in
    :func:`tenants_app.changes.users.change_users`, which this calls.
    """
    return change_users(tenant, edits_of_move(pks, deployment, mapping), actor, due_now=due_now, part_of=part_of)


def foresee_moves(
    tenant: Tenant, pks: Iterable[int], deployment: Deployment, *, mapping: MoveMapping = NO_MAPPING
) -> Iterator[Sequence[UserEffect]]:
    """What :func:`move_users` would do to each user and lead to, by the same checks; locks and writes nothing."""
    return foresee_users(tenant, edits_of_move(pks, deployment, mapping))


def edits_of_move(pks: Iterable[int], deployment: Deployment, mapping: MoveMapping = NO_MAPPING) -> list[UserEdit]:
    """The edits of moving users (keys) to the deployment."""
    return [UserEdit(pk, {"deployment": deployment}, mapping=mapping) for pk in pks]


def _locked(deployment: Deployment) -> tuple[Tenant, Deployment]:
    tenant = lock(deployment.tenant)
    found = Deployment.objects.select_for_update(no_key=True, of=("self",)).filter(pk=deployment.pk).first()
    if found is None:
        raise ValidationError(
            sentence("%(deployment)s has been removed already: look again.", deployment=deployment.name)
        )
    found.tenant = tenant
    return tenant, found


def _check(tenant: Tenant, deployment: Deployment) -> None:
    if deployment.name.lower() == NO_DEPLOYMENT:
        raise ValidationError(
            {"name": sentence("%(name)s has a meaning of its own: choose another name.", name=deployment.name)}
        )
    taken = Deployment.objects.filter(tenant=tenant, name__iexact=deployment.name).exclude(pk=deployment.pk).first()
    if taken:
        raise ValidationError(
            {"name": sentence("There is already a deployment %(name)s: choose another name.", name=taken.name)}
        )
    deployment.full_clean()
    check_meeting_url(deployment.meeting_url)
    if not (deployment.meeting_service == MeetingService.LINK and deployment.meeting_url):
        check_meeting_service(deployment.meeting_service, tenant)


def _tidied(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are kept: names of servers in lower case and each once, no blanks around names."""
    tidied = dict(values)
    for name in _LISTS & tidied.keys():
        hosts = (str(host).strip().lower().removesuffix(".") for host in tidied[name])
        tidied[name] = list(dict.fromkeys(host for host in hosts if host))
    if "name" in tidied:
        tidied["name"] = tidied["name"].strip()
    if "meeting_url" in tidied:
        tidied["meeting_url"] = tidied["meeting_url"].rstrip("/")
    return tidied


def _audited(name: str, value: Any) -> Any:
    return ", ".join(value) if name in _LISTS else audited_value(value)
