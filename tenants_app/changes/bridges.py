"""Changes of bridges and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Model, ProtectedError, QuerySet
from django.db.models.deletion import Collector
from django.utils import timezone

from tenants_app import fingerprints
from tenants_app.audit import Actor, entry, record
from tenants_app.changes.conference_ids import keep_as_former, number_users, users_without_id
from tenants_app.changes.locking import apply_values, audited_value, lock
from tenants_app.changes.users import _announce
from tenants_app.models import Bridge, Deployment, FormerNumber, InvitedNumber, ServiceNumber, Tenant
from tenants_app.sentences import one_after_the_other, sentence, sentence_plural
from tenants_app.signals import Consequence, UserChange
from tenants_app.user_settings import UserSettings
from tenants_app.wording import runs_started


class Unset(Enum):
    """What stands for a value that is not given, where None is one."""

    UNSET = auto()


UNSET = Unset.UNSET
GIVEN = sentence("No run, because a bridge's own settings start none.")
"""Of a user who gets a conference ID because MMS hands out those of the bridge from now on."""


@transaction.atomic
def set_bridge(
    tenant: Tenant,
    name: str,
    actor: Actor,
    *,
    provider: str | None = None,
    make_default: bool = False,
    default_number: str | None = None,
    conference_ids_from: str | None = None,
    deployment: Deployment | Unset | None = UNSET,
) -> Bridge:
    """Make the bridge if it is new and change what is given; ``default_number`` is E.164 and on the bridge.

    What follows for the users of a bridge whose conference IDs others hand out from now on (R43) is what
    :func:`foresee_conference_ids` says.
    """
    tenant = lock(tenant)
    bridge = Bridge.objects.filter(tenant=tenant, name__iexact=name).first()
    is_new = bridge is None
    if bridge is None:
        bridge = Bridge(tenant=tenant, name=name)
    given: dict[str, Any] = {"provider": provider, "conference_ids_from": conference_ids_from}
    given = {name: value for name, value in given.items() if value is not None}
    if deployment is not UNSET:
        given["deployment"] = deployment
    before, after = apply_values(bridge, given)
    is_numbered_anew = not is_new and "conference_ids_from" in after
    follows = foresee_conference_ids(bridge) if is_numbered_anew else ""
    if make_default and not bridge.is_default:
        previous = Bridge.objects.filter(tenant=tenant, is_default=True).first()
        before["default bridge"], after["default bridge"] = audited_value(previous), bridge.name
        Bridge.objects.filter(tenant=tenant, is_default=True).update(is_default=False)
        bridge.is_default = True
    bridge.full_clean()
    bridge.save()
    if default_number is not None:
        number = ServiceNumber.objects.filter(tenant=tenant, bridge=bridge, number=default_number).first()
        if number is None:
            raise ValidationError(
                sentence(
                    "%(default_number)s is not a number of the bridge %(bridge)s: register it there first.",
                    default_number=default_number,
                    bridge=bridge.name,
                )
            )
        old = _make_default(number)
        if old != number:
            before["default number"], after["default number"] = audited_value(old), number.number
    if is_new or after:
        entry(tenant, actor, "create bridge" if is_new else "change bridge", bridge.name, before, after, follows).save()
    if after.keys() & {"provider", "default number"}:
        fingerprints.refresh(bridge.users.all())
    if is_numbered_anew:
        _number_anew(tenant, bridge, actor)
    return bridge


def foresee_conference_ids(bridge: Bridge) -> str:
    """What follows when the IDs of the stored bridge come from whom ``bridge.conference_ids_from`` names; empty where
    nobody is on it."""
    users = bridge.users.count()
    if not users:
        return ""
    if not bridge.gives_conference_ids:
        return sentence_plural(
            "No run, because invitations keep the IDs that they show. MMS gives %(users)s user of %(bridge)s none "
            "from now on, and new meetings have those of the meeting service. Nobody becomes out of date.",
            "No run, because invitations keep the IDs that they show. MMS gives %(users)s users of %(bridge)s none "
            "from now on, and new meetings have those of the meeting service. Nobody becomes out of date.",
            users,
            users=users,
            bridge=bridge.name,
        )
    new = users_without_id(bridge).count()
    gives = sentence(
        "No run, because a bridge's own settings start none: everybody has an ID, and those from before count again."
    )
    if new:
        gives = sentence_plural(
            "No run, because a bridge's own settings start none: MMS gives %(users)s user of %(bridge)s a conference "
            "ID, and those from before count again.",
            "No run, because a bridge's own settings start none: MMS gives %(users)s users of %(bridge)s a conference "
            "ID, and those from before count again.",
            new,
            users=new,
            bridge=bridge.name,
        )
    microsofts = bridge.users.filter(conferencing_provider="") if not bridge.provider else bridge.users.none()
    dial_in = microsofts.filter(audio_conferencing_license=True, audio_conferencing_enabled=True).count()
    wrong = sentence_plural(
        "%(users)s user with audio conferencing is out of date until the next run, which prints it.",
        "%(users)s users with audio conferencing are out of date until the next run, which prints it.",
        dial_in,
        users=dial_in,
    )
    return one_after_the_other(gives, wrong)


def _number_anew(tenant: Tenant, bridge: Bridge, actor: Actor) -> None:
    """Let the IDs of the bridge come from where it says now (R43)."""
    if bridge.gives_conference_ids:
        for given in number_users(bridge):
            record(
                entry(tenant, actor, "change user", user.upn, {"conference_id": ""}, {"conference_id": digits}, GIVEN)
                for user, digits in given
            )
    fingerprints.refresh(bridge.users.all(), invitations_follow=not bridge.gives_conference_ids)


@transaction.atomic
def set_default_number(number: ServiceNumber, actor: Actor, *, reschedule_meetings: bool) -> list[Consequence]:
    """Make the number its bridge's default. Its users without a toll number of their own show it from their next run.

    ``reschedule_meetings`` starts these runs at once (R10). Returns what follows for each of these users, which is
    nothing without it.
    """
    tenant = lock(number.tenant)
    number = _locked_number(number)
    bridge = number.bridge
    old = _make_default(number)
    if old == number:
        return []
    affected = bridge.users.filter(toll_number=None)
    fingerprints.refresh(affected)
    changes = []
    if reschedule_meetings:
        for user in affected.select_related("bridge", "deployment").order_by("pk"):
            user.tenant = tenant  # read once for all of them
            now = UserSettings.of(user, "")
            before, after = replace(now, toll_number_id=old.pk if old else None), replace(now, toll_number_id=number.pk)
            changes.append(UserChange(before, after, reschedule_meetings=True, user=user))
    consequences = _announce(tenant, changes, actor)
    runs = sum(consequence.starts_run for consequence in consequences)
    told = runs_started(runs) if reschedule_meetings else sentence("No run, because rescheduling was not asked for.")
    values = {"default number": audited_value(old)}, {"default number": number.number}
    entry(tenant, actor, "change bridge", bridge.name, *values, told).save()
    return consequences


@transaction.atomic
def remove_bridge(bridge: Bridge, actor: Actor) -> None:
    """Remove a bridge that nobody needs any more, with its numbers."""
    tenant = lock(bridge.tenant)
    found = Bridge.objects.select_for_update().filter(pk=bridge.pk).first()
    if found is None:
        raise ValidationError(sentence("%(bridge)s has been removed already: look again.", bridge=bridge.name))
    bridge = found
    check_can_be_removed(bridge)
    numbers = [number.number for number in bridge.numbers.all()]
    bridge.numbers.all().delete()
    _note_former(tenant, numbers)
    _note_released(bridge, bool(numbers))
    keep_as_former(bridge.conference_ids.all())
    bridge.delete()
    entry(tenant, actor, "remove bridge", bridge.name, {"numbers": ", ".join(numbers)}, {}).save()


def check_can_be_removed(bridge: Bridge) -> None:
    """Raise ``ValidationError`` with the reason where somebody needs the bridge or its numbers; only reads."""
    users = bridge.users.count()
    if users:
        is_last = not Bridge.objects.filter(tenant=bridge.tenant_id).exclude(pk=bridge.pk).exists()
        if is_last:
            why = sentence_plural(
                "%(users)s user is on %(bridge)s: it is the last bridge, so make another one and move them there.",
                "%(users)s users are on %(bridge)s: it is the last bridge, so make another one and move them there.",
                users,
                users=users,
                bridge=bridge.name,
            )
        else:
            why = sentence_plural(
                "%(users)s user is on %(bridge)s: move them first.",
                "%(users)s users are on %(bridge)s: move them first.",
                users,
                users=users,
                bridge=bridge.name,
            )
        raise ValidationError(why)
    if bridge.is_default and Bridge.objects.filter(tenant=bridge.tenant_id).exclude(pk=bridge.pk).exists():
        raise ValidationError(
            sentence("%(bridge)s is the default bridge: make another one the default first.", bridge=bridge.name)
        )
    shown = InvitedNumber.objects.filter(number__bridge=bridge).values("user").distinct().count()
    if shown:
        raise ValidationError(
            sentence_plural(
                "Invitations of %(users)s user still show numbers of %(bridge)s: migrate them first.",
                "Invitations of %(users)s users still show numbers of %(bridge)s: migrate them first.",
                shown,
                users=shown,
                bridge=bridge.name,
            )
        )
    leaving = bridge.numbers.filter(is_leaving=True).first()
    if leaving:
        raise ValidationError(
            sentence(
                "%(leaving)s is being taken off %(bridge)s: wait until it is released, or cancel that.",
                leaving=leaving.number,
                bridge=bridge.name,
            )
        )
    if _protecting([bridge]) & _ROLLOUTS or (holding := _protecting(bridge.numbers.all())) & _ROLLOUTS:
        raise ValidationError(
            sentence(
                "A rollout moves users to %(bridge)s: choose another bridge in the mapping of the rollout first.",
                bridge=bridge.name,
            )
        )
    if holding:
        raise ValidationError(
            sentence(
                "Attendees hold numbers of %(bridge)s and were not told yet that they have changed: wait until "
                "the messages are out, or take the numbers off one by one.",
                bridge=bridge.name,
            )
        )


_ROLLOUTS = frozenset({"rollout", "bridgemapping", "numbermapping"})
"""What names bridges and numbers of the deployment that users move to."""


def _protecting(rows: Sequence[Model] | QuerySet[Any]) -> set[str]:
    """Which kinds of rows do not let these be deleted; deletes nothing."""
    try:
        Collector(using=DEFAULT_DB_ALIAS).collect(rows)
    except ProtectedError as error:
        return {each._meta.model_name or "" for each in error.protected_objects}
    return set()


@transaction.atomic
def register_number(
    bridge: Bridge, number: str, kind: str, actor: Actor, *, country: str = "", city: str = ""
) -> ServiceNumber:
    """Put a new number on the bridge. The bridge's first toll number becomes its default."""
    tenant = lock(bridge.tenant)
    row = new_number(bridge, number, kind, country=country, city=city)
    row.save()
    entry(tenant, actor, "register number", number, {}, {"bridge": bridge.name, "kind": kind}).save()
    if row.is_default:
        fingerprints.refresh(bridge.users.all())
    return row


def new_number(bridge: Bridge, number: str, kind: str, *, country: str = "", city: str = "") -> ServiceNumber:
    """The number as it would be registered, checked and not saved; only reads."""
    tenant = bridge.tenant
    taken = ServiceNumber.objects.filter(tenant=tenant, number=number).select_related("bridge").first()
    if taken:
        raise ValidationError(
            {
                "number": sentence(
                    "%(number)s is already registered, on the bridge %(bridge)s.",
                    number=number,
                    bridge=taken.bridge.name,
                )
            }
        )
    row = ServiceNumber(
        tenant=tenant,
        bridge=bridge,
        number=number,
        kind=kind,
        country=country,
        city=city,
        is_default=kind == ServiceNumber.Kind.TOLL and not bridge.numbers.filter(is_default=True).exists(),
    )
    row.full_clean(validate_constraints=False)  # they hold by what stands above, under the tenant's lock
    return row


@transaction.atomic
def describe_number(number: ServiceNumber, actor: Actor, *, country: str, city: str) -> ServiceNumber:
    """Correct the place that invitations show beside the number."""
    tenant = lock(number.tenant)
    number = _locked_number(number)
    before, after = apply_values(number, {"country": country, "city": city})
    if after:
        number.full_clean()
        number.save()
        entry(tenant, actor, "describe number", number.number, before, after).save()
        fingerprints.refresh(number.bridge.users.all())
    return number


@transaction.atomic
def set_leaving(number: ServiceNumber, is_leaving: bool) -> ServiceNumber:
    """Mark the number as being taken off its bridge, so that it is given to nobody (R35), or take the mark away."""
    lock(number.tenant)
    number = _locked_number(number)
    number.is_leaving = is_leaving
    number.save(update_fields=["is_leaving"])
    return number


@transaction.atomic
def release_number(number: ServiceNumber, actor: Actor) -> None:
    """Take the number off its bridge for good. The database refuses where a user or an invitation still has it."""
    tenant = lock(number.tenant)
    number = _locked_number(number)
    if number.is_default:
        raise ValidationError(
            sentence(
                "%(number)s is the default number of %(bridge)s: make another one the default first.",
                number=number.number,
                bridge=number.bridge.name,
            )
        )
    entry(
        tenant, actor, "release number", number.number, {"bridge": number.bridge.name, "kind": number.kind}, {}
    ).save()
    _note_former(tenant, [number.number])
    _note_released(number.bridge)
    number.delete()


def _note_released(bridge: Bridge, has_numbers: bool = True) -> None:
    """A retired deployment whose numbers have begun to go cannot be taken back (R89)."""
    if bridge.deployment_id is not None and has_numbers:
        retired = Deployment.objects.filter(pk=bridge.deployment_id, retired_at__isnull=False)
        retired.filter(numbers_released_at=None).update(numbers_released_at=timezone.now())


def _note_former(tenant: Tenant, numbers: Iterable[str]) -> None:
    rows = [FormerNumber(tenant=tenant, number=number) for number in numbers]
    FormerNumber.objects.bulk_create(rows, ignore_conflicts=True)


def _locked_number(number: ServiceNumber) -> ServiceNumber:
    numbers = ServiceNumber.objects.select_for_update(of=("self",), no_key=True).select_related("bridge")
    found = numbers.filter(pk=number.pk).first()
    if found is None:
        raise ValidationError(sentence("%(number)s is not on its bridge any more: look again.", number=number.number))
    return found


def _make_default(number: ServiceNumber) -> ServiceNumber | None:
    """Make it the default of its bridge. Returns the number that was the default until now."""
    if number.kind != ServiceNumber.Kind.TOLL:
        raise ValidationError(
            sentence(
                "%(number)s is toll-free, and a bridge's default number must be a toll number: choose another.",
                number=number.number,
            )
        )
    if number.is_leaving:
        raise ValidationError(
            sentence(
                "%(number)s is being taken off the bridge, so it cannot be the default: choose another.",
                number=number.number,
            )
        )
    previous = ServiceNumber.objects.filter(bridge=number.bridge_id, is_default=True).first()
    if previous != number:
        ServiceNumber.objects.filter(bridge=number.bridge_id, is_default=True).update(is_default=False)
        number.is_default = True
        number.save(update_fields=["is_default"])
    return previous
