"""Every change of a tenant, user, bridge, number or role: one function per kind of change.

Each locks the rows, checks the whole change, saves it, writes the audit entry and announces it, all in one
transaction. Screens, commands and the Django admin call these and nothing else. A change that cannot be made
raises ``ValidationError`` with a sentence for the administrator and leaves everything as it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import QuerySet

from tenants_app import bulk, invitations
from tenants_app.announcements import (
    Consequence,
    UserChange,
    UserSettings,
    tenant_changed,
    users_changed,
)
from tenants_app.audit import Actor, entry, record
from tenants_app.models import (
    Bridge,
    ConferenceId,
    ConferencingUser,
    InvitedNumber,
    Role,
    ServiceNumber,
    Tenant,
    validate_conference_id,
)
from tenants_app.records import counted

NEW_CONFERENCE_ID = "new"
"""As the value of ``conference_id``: give the user another free one."""

DATA_FIX = "No run, because this was saved as a data fix."
"""What a data fix leads to, on the screen and in the audit."""

BULK = 500
"""Rows per statement of a bulk change; SQLite takes at most 999 to 32,766 values in one."""

_FEW = 20
"""Statements for a batch of rows up to which each may do its own share of them."""

_T = TypeVar("_T")


def _plain(value: Any) -> Any:
    """A value as the audit shows it."""
    return value if isinstance(value, bool | int | type(None)) else str(value)


def _lock(tenant: Tenant) -> Tenant:
    """Changes of one tenant wait for each other: what invitations should say is computed from all of them."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def wait_for_others(tenant: Tenant) -> None:
    """In a transaction: until it ends nobody else changes the tenant, so what is read from now on stays as it is."""
    _lock(tenant)


def _apply(row: models.Model, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the values that differ on ``row``; the audit's before and after."""
    before, after = {}, {}
    for name, value in values.items():
        old = getattr(row, name)
        if old != value:
            before[name], after[name] = _plain(old), _plain(value)
            setattr(row, name, value)
    return before, after


# --- tenants and roles --------------------------------------------------------------------------------


@transaction.atomic
def create_tenant(actor: Actor, **values: Any) -> Tenant:
    """A new organization; ``values`` are the fields of :class:`Tenant`."""
    values = _as_shown(values)
    tenant = Tenant(**values)
    tenant.full_clean()
    tenant.save()
    entry(tenant, actor, "create tenant", tenant.slug, {}, {k: _plain(v) for k, v in values.items()}).save()
    return tenant


@transaction.atomic
def change_tenant(tenant: Tenant, actor: Actor, **values: Any) -> Tenant:
    """Change the tenant's settings or switches (R12 to R14)."""
    tenant = _lock(tenant)
    before, after = _apply(tenant, _as_shown(values))
    if after:
        tenant.full_clean()
        tenant.save()
        entry(tenant, actor, "change tenant", tenant.slug, before, after).save()
        if invitations.TENANT_FIELDS.intersection(after):
            invitations.refresh(tenant.users.all())
        tenant_changed.send(Tenant, tenant=tenant, fields=frozenset(after))
    return tenant


def _as_shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without what invitations do not show, so that nobody is out of date for a slash or a line break."""
    shown = dict(values)
    if "meeting_url" in shown:
        shown["meeting_url"] = shown["meeting_url"].rstrip("/")
    if "footer_text" in shown:
        text = shown["footer_text"].replace("\r\n", "\n").replace("\r", "\n")
        shown["footer_text"] = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return shown


@transaction.atomic
def grant_role(tenant: Tenant, account: User, name: str, actor: Actor) -> Role:
    """Let ``account`` act in ``tenant``; replaces the role it had there."""
    if name not in Role.Name.values:
        raise ValidationError(f"There is no role {name!r}: use viewer, operator or admin.")
    role = Role.objects.select_for_update().filter(tenant=tenant, account=account).first()
    before = {"role": role.name} if role else {}
    if role is None:
        role = Role(tenant=tenant, account=account)
    role.name = name
    role.save()
    entry(tenant, actor, "grant role", account.get_username(), before, {"role": name}).save()
    return role


@transaction.atomic
def revoke_role(role: Role, actor: Actor) -> None:
    """Take the role away; the account keeps its other tenants."""
    entry(role.tenant, actor, "revoke role", role.account.get_username(), {"role": role.name}).save()
    role.delete()


# --- bridges and numbers ------------------------------------------------------------------------------


@transaction.atomic
def set_bridge(
    tenant: Tenant,
    name: str,
    actor: Actor,
    *,
    provider: str | None = None,
    make_default: bool = False,
    default_number: str | None = None,
) -> Bridge:
    """Make the bridge if it is new and change what is given; ``default_number`` is E.164 and on the bridge."""
    tenant = _lock(tenant)
    bridge = Bridge.objects.filter(tenant=tenant, name__iexact=name).first()
    is_new = bridge is None
    if bridge is None:
        bridge = Bridge(tenant=tenant, name=name)
    before, after = _apply(bridge, {} if provider is None else {"provider": provider})
    if make_default and not bridge.is_default:
        previous = Bridge.objects.filter(tenant=tenant, is_default=True).first()
        before["default bridge"], after["default bridge"] = _plain(previous), bridge.name
        Bridge.objects.filter(tenant=tenant, is_default=True).update(is_default=False)
        bridge.is_default = True
    bridge.full_clean()
    bridge.save()
    if default_number is not None:
        number = ServiceNumber.objects.filter(tenant=tenant, bridge=bridge, number=default_number).first()
        if number is None:
            raise ValidationError(
                f"{default_number} is not a number of the bridge {bridge.name}: register it there first."
            )
        old = _make_default(number)
        if old != number:
            before["default number"], after["default number"] = _plain(old), number.number
    if is_new or after:
        entry(tenant, actor, "create bridge" if is_new else "change bridge", bridge.name, before, after).save()
    if after.keys() & {"provider", "default number"}:
        invitations.refresh(bridge.users.all())
    return bridge


@transaction.atomic
def set_default_number(number: ServiceNumber, actor: Actor, *, reschedule_meetings: bool) -> list[Consequence]:
    """Make the number its bridge's default. Its users without a toll number of their own show it from their next run.

    ``reschedule_meetings`` starts these runs at once (R10); what follows is then told for each of the users.
    """
    tenant = _lock(number.tenant)
    number = _locked_number(number)
    bridge = number.bridge
    old = _make_default(number)
    if old == number:
        return []
    affected = bridge.users.filter(toll_number=None)
    invitations.refresh(affected)
    changes = []
    if reschedule_meetings:
        for user in affected.select_related("bridge").order_by("pk"):
            now = UserSettings.of(user, "")
            before, after = replace(now, toll_number_id=old.pk if old else None), replace(now, toll_number_id=number.pk)
            changes.append(UserChange(user, before, after, reschedule_meetings=True))
    consequences = _announce(tenant, changes, actor)
    runs = sum(consequence.starts_run for consequence in consequences)
    told = (
        f"{counted(runs, 'run')} started." if reschedule_meetings else "No run, because rescheduling was not asked for."
    )
    values = {"default number": _plain(old)}, {"default number": number.number}
    entry(tenant, actor, "change bridge", bridge.name, *values, told).save()
    return consequences


@transaction.atomic
def remove_bridge(bridge: Bridge, actor: Actor) -> None:
    """Remove a bridge that nobody needs any more, with its numbers."""
    tenant = _lock(bridge.tenant)
    found = Bridge.objects.select_for_update().filter(pk=bridge.pk).first()
    if found is None:
        raise ValidationError(f"{bridge.name} has been removed already: look again.")
    bridge = found
    users = bridge.users.count()
    if users:
        is_last = not tenant.bridges.exclude(pk=bridge.pk).exists()
        advice = "it is the last bridge, so make another one and move them there" if is_last else "move them first"
        raise ValidationError(f"{counted(users, 'user')} {'is' if users == 1 else 'are'} on {bridge.name}: {advice}.")
    if bridge.is_default and tenant.bridges.exclude(pk=bridge.pk).exists():
        raise ValidationError(f"{bridge.name} is the default bridge: make another one the default first.")
    shown = InvitedNumber.objects.filter(number__bridge=bridge).values("user").distinct().count()
    if shown:
        raise ValidationError(
            f"Invitations of {counted(shown, 'user')} still show numbers of {bridge.name}: migrate them first."
        )
    leaving = bridge.numbers.filter(is_leaving=True).first()
    if leaving:
        raise ValidationError(f"{leaving} is being taken off {bridge.name}: wait until it is released, or cancel that.")
    numbers = [number.number for number in bridge.numbers.all()]
    bridge.numbers.all().delete()
    bridge.delete()
    entry(tenant, actor, "remove bridge", bridge.name, {"numbers": ", ".join(numbers)}, {}).save()


@transaction.atomic
def register_number(
    bridge: Bridge, number: str, kind: str, actor: Actor, *, country: str = "", city: str = ""
) -> ServiceNumber:
    """Put a new number on the bridge. The bridge's first toll number becomes its default."""
    tenant = _lock(bridge.tenant)
    taken = ServiceNumber.objects.filter(tenant=tenant, number=number).select_related("bridge").first()
    if taken:
        raise ValidationError({"number": f"{number} is already registered, on the bridge {taken.bridge}."})
    row = ServiceNumber(
        tenant=tenant,
        bridge=bridge,
        number=number,
        kind=kind,
        country=country,
        city=city,
        is_default=kind == ServiceNumber.Kind.TOLL and not bridge.numbers.filter(is_default=True).exists(),
    )
    row.full_clean()
    row.save()
    entry(tenant, actor, "register number", number, {}, {"bridge": bridge.name, "kind": kind}).save()
    if row.is_default:
        invitations.refresh(bridge.users.all())
    return row


@transaction.atomic
def describe_number(number: ServiceNumber, actor: Actor, *, country: str, city: str) -> ServiceNumber:
    """Correct the place that invitations show beside the number."""
    tenant = _lock(number.tenant)
    number = _locked_number(number)
    before, after = _apply(number, {"country": country, "city": city})
    if after:
        number.full_clean()
        number.save()
        entry(tenant, actor, "describe number", number.number, before, after).save()
        invitations.refresh(number.bridge.users.all())
    return number


@transaction.atomic
def set_leaving(number: ServiceNumber, is_leaving: bool) -> ServiceNumber:
    """Begin or stop keeping the number from being given to anybody (R35)."""
    _lock(number.tenant)
    number = _locked_number(number)
    number.is_leaving = is_leaving
    number.save(update_fields=["is_leaving"])
    return number


@transaction.atomic
def release_number(number: ServiceNumber, actor: Actor) -> None:
    """Take the number off its bridge for good. The database refuses where a user or an invitation still has it."""
    tenant = _lock(number.tenant)
    number = _locked_number(number)
    if number.is_default:
        raise ValidationError(f"{number} is the default number of {number.bridge}: make another one the default first.")
    entry(
        tenant, actor, "release number", number.number, {"bridge": number.bridge.name, "kind": number.kind}, {}
    ).save()
    number.delete()


def _locked_number(number: ServiceNumber) -> ServiceNumber:
    numbers = ServiceNumber.objects.select_for_update(of=("self",), no_key=True).select_related("bridge")
    found = numbers.filter(pk=number.pk).first()
    if found is None:
        raise ValidationError(f"{number} is not on its bridge any more: look again.")
    return found


def _make_default(number: ServiceNumber) -> ServiceNumber | None:
    """Make it the default of its bridge; which one was until now."""
    if number.kind != ServiceNumber.Kind.TOLL:
        raise ValidationError(
            f"{number} is toll-free, and a bridge's default number must be a toll number: choose another."
        )
    if number.is_leaving:
        raise ValidationError(f"{number} is being taken off the bridge, so it cannot be the default: choose another.")
    previous = ServiceNumber.objects.filter(bridge=number.bridge_id, is_default=True).first()
    if previous != number:
        ServiceNumber.objects.filter(bridge=number.bridge_id, is_default=True).update(is_default=False)
        number.is_default = True
        number.save(update_fields=["is_default"])
    return previous


# --- users --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UserEdit:
    """What to change of one user: field names of :class:`ConferencingUser`, and ``conference_id``."""

    user_pk: int
    values: Mapping[str, Any]
    reschedule_meetings: bool = False
    unassigned_number: str = ""
    """The number that the user loses because it is taken off the bridge (R6)."""


@dataclass(slots=True)
class UserEffect:
    """What an edit did to a user: the values that differ, as the audit shows them, and what it leads to."""

    change: UserChange
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    consequence: Consequence

    @property
    def upn(self) -> str:
        return self.change.user.upn


def change_user(
    user: ConferencingUser,
    actor: Actor,
    *,
    reschedule_meetings: bool = False,
    is_data_fix: bool = False,
    **values: Any,
) -> list[Consequence]:
    """Change one user's settings; what follows from it, in sentences."""
    edit = UserEdit(user.pk, values, reschedule_meetings)
    return change_users(user.tenant, [edit], actor, is_data_fix=is_data_fix)


@transaction.atomic
def change_users(
    tenant: Tenant, edits: Iterable[UserEdit], actor: Actor, *, is_data_fix: bool = False, due_now: bool = False
) -> list[Consequence]:
    """Change many users at once: all of them or, where one change cannot be made, none.

    A data fix starts nothing; the users are out of date where their invitations show what was changed. ``due_now``
    makes the runs that it starts due without the settling time, for a change that has settled already (R19).
    """
    batches = change_in_batches(tenant, edits, actor, is_data_fix=is_data_fix, due_now=due_now)
    return [effect.consequence for batch in batches for effect in batch]


def change_in_batches(
    tenant: Tenant, edits: Iterable[UserEdit], actor: Actor, *, is_data_fix: bool = False, due_now: bool = False
) -> Iterator[list[UserEffect]]:
    """Change users as :func:`change_users` does, and tell after each batch what was done to whom.

    The caller holds the transaction, and takes it back where this raises: earlier batches are written by then.
    """
    tenant = _lock(tenant)
    by_pk = {edit.user_pk: edit for edit in _renewed(edits)}
    numbers = _ConferenceNumbering(len(by_pk), {edit.values.get("conference_id", "") for edit in by_pk.values()})
    default_bridge = tenant.bridges.filter(is_default=True).first()
    for pks in _batches(sorted(by_pk)):
        effects = [
            _applied(by_pk[user.pk], user, own_id, tenant, default_bridge, numbers)
            for user, own_id in _locked(tenant, pks)
        ]
        if len(effects) != len(pks):
            raise ValidationError("A user to be changed is not there any more: look again and repeat.")
        changed = [effect.change.user for effect in effects if effect.after]
        _save(changed, sorted({name for effect in effects for name in effect.after} - {"conference_id"}))
        numbers.save()
        invitations.refresh(ConferencingUser.objects.filter(pk__in=[user.pk for user in changed]))
        # A user to whom nothing happened is announced as well: the answer says that nothing changed.
        announced = [effect.change for effect in effects]
        if is_data_fix:
            consequences = [Consequence(change.user.upn, False, DATA_FIX) for change in announced]
        else:
            consequences = _announce(tenant, announced, actor, due_now=due_now)
        led_to = {consequence.upn: consequence for consequence in consequences}
        for effect in effects:
            effect.consequence = led_to.get(effect.upn, effect.consequence)
        record(
            entry(tenant, actor, "change user", effect.upn, effect.before, effect.after, effect.consequence.sentence)
            for effect in effects
            if effect.after or effect.change.unassigned_number
        )
        yield effects


def _renewed(edits: Iterable[UserEdit]) -> Iterator[UserEdit]:
    """The edits with bridges and numbers as they are by now; one that somebody took away meanwhile is refused."""
    edits = list(edits)
    now: dict[models.Model, models.Model] = {}
    for model in (Bridge, ServiceNumber):
        pks = {value.pk for edit in edits for value in edit.values.values() if isinstance(value, model)}
        now |= {row: row for row in model.objects.in_bulk(list(pks)).values()}
    for edit in edits:
        values = dict(edit.values)
        for name, value in edit.values.items():
            if isinstance(value, Bridge | ServiceNumber):
                if value not in now:
                    raise ValidationError({name: f"{value} is not there any more: choose another."})
                values[name] = now[value]
        yield replace(edit, values=values)


def _applied(
    edit: UserEdit,
    user: ConferencingUser,
    own_id: ConferenceId | None,
    tenant: Tenant,
    default_bridge: Bridge | None,
    numbers: _ConferenceNumbering,
) -> UserEffect:
    """Apply the edit to the user, check the result, and give out the conference ID; nothing is saved yet."""
    old_id = own_id.digits if own_id and own_id.bridge_id == user.bridge_id else ""
    earlier = UserSettings.of(user, old_id)
    values = dict(edit.values)
    wanted_id = values.pop("conference_id", "")
    before, after = _apply(user, completed(user, values, tenant, default_bridge))
    check_user(user, after)
    new_id = numbers.assign(user, own_id, wanted_id)
    if new_id != old_id:
        before["conference_id"], after["conference_id"] = old_id, new_id
    later = UserSettings.of(user, new_id)
    change = UserChange(user, earlier, later, edit.reschedule_meetings, edit.unassigned_number)
    return UserEffect(change, before, after, Consequence(user.upn, False, ""))


@transaction.atomic
def create_users(tenant: Tenant, rows: Sequence[Mapping[str, Any]], actor: Actor) -> list[ConferencingUser]:
    """New users, each a mapping of field names (and ``conference_id``).

    They start no runs, because nothing was before: their invitations are taken to say what their settings ask for.
    """
    return [user for batch in create_in_batches(tenant, rows, actor) for user in batch]


def create_in_batches(
    tenant: Tenant, rows: Sequence[Mapping[str, Any]], actor: Actor, *, kept_free: Collection[str] = ()
) -> Iterator[list[ConferencingUser]]:
    """Make users as :func:`create_users` does, and hand them over batch by batch.

    The caller holds the transaction, and takes it back where this raises: earlier batches are written by then.
    ``kept_free`` are conference IDs that are about to be asked for, so they are given to nobody who asked for none.
    """
    tenant = _lock(tenant)
    numbers = _ConferenceNumbering(len(rows), {*kept_free, *(row.get("conference_id", "") for row in rows)})
    if len({str(row.get("upn", "")).lower() for row in rows}) < len(rows):
        raise ValidationError("Two of the new users have the same user principal name: give each once.")
    for some in _batches(rows):
        users, wanted = [], []
        for row in some:
            values = dict(row)
            wanted.append(values.pop("conference_id", ""))
            values.setdefault("sip_address", values.get("upn", ""))
            user = ConferencingUser(tenant=tenant, **_normalized(values))
            check_user(user, values)
            users.append(user)
        taken = ConferencingUser.objects.with_upns(tenant, [user.upn for user in users]).first()
        if taken:
            raise ValidationError({"upn": f"There is already a user {taken.upn}."})
        bulk.create(users, "user_id")
        for user, digits in zip(users, wanted, strict=True):
            numbers.assign(user, None, digits)
        numbers.save()
        stored = ConferencingUser.objects.filter(pk__in=[user.pk for user in users])
        invitations.refresh(stored)
        invitations.presume_up_to_date(stored)
        record(entry(tenant, actor, "create user", user.upn) for user in users)
        yield users


def create_user(tenant: Tenant, actor: Actor, **values: Any) -> ConferencingUser:
    """One new user."""
    return create_users(tenant, [values], actor)[0]


@transaction.atomic
def mark_up_to_date(user: ConferencingUser, actor: Actor) -> bool:
    """Take an administrator's word that the user's invitations were put right by other means; whether they were not.

    For users whom MMS cannot migrate (R15 to R17), who would otherwise be out of date for ever (R36).
    """
    tenant = _lock(user.tenant)
    user = ConferencingUser.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
    leaving = user.invited_numbers.filter(number__is_leaving=True).exists()
    if not (user.is_out_of_date or leaving):
        return False
    invitations.presume_up_to_date(ConferencingUser.objects.filter(pk=user.pk))
    entry(tenant, actor, "mark as up to date", user.upn).save()
    return True


@transaction.atomic
def private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """The conference ID of each of the user's meetings on their bridge, and which of them were given out just now."""
    bridge = user.bridge
    if bridge is None:
        raise ValidationError(f"{user.upn} has no bridge, so meetings cannot get a conference ID: assign one.")
    rows = ConferenceId.objects.filter(user=user, bridge=bridge, meeting_uid__in=uids)
    known = dict(rows.values_list("meeting_uid", "digits"))
    if len(known) < len(uids):
        # Looked up once more with the lock: a worker that was taken for lost may number the same meetings.
        _lock_numbering(bridge)
        known = dict(rows.values_list("meeting_uid", "digits"))
    missing = [uid for uid in uids if uid not in known]
    if missing:
        numbers = _ConferenceNumbering(len(missing))
        known |= numbers.take(user, bridge, missing)
        numbers.save()
    return known, set(missing)


def _lock_numbering(bridge: Bridge) -> None:
    """Whoever gives out conference IDs on a bridge holds its row, so that two cannot give out the same one."""
    Bridge.objects.select_for_update(no_key=True).get(pk=bridge.pk)


def release_private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> None:
    """Give back the IDs of meetings that show none."""
    if uids:
        ConferenceId.objects.filter(user=user, meeting_uid__in=uids).exclude(meeting_uid="").delete()


def _locked(tenant: Tenant, pks: Sequence[int]) -> list[tuple[ConferencingUser, ConferenceId | None]]:
    """The users and their own conference IDs. Users of a bridge share it, where a join would copy it for each."""
    users = (
        ConferencingUser.objects.select_for_update(no_key=True)
        .filter(tenant=tenant, pk__in=pks)
        .prefetch_related("bridge", "toll_number", "toll_free_number")
        .order_by("pk")
    )
    own_ids = own_conference_ids(users)
    return [(user, own_ids.get(user.pk)) for user in users]


def own_conference_ids(users: Iterable[ConferencingUser]) -> dict[int, ConferenceId]:
    """The conference ID of each user that has one, by the user's key: on their bridge, or left from another one."""
    bridges = {user.pk: user.bridge_id for user in users}
    found: dict[int, ConferenceId] = {}
    for row in ConferenceId.objects.filter(user__in=list(bridges), meeting_uid=""):
        if row.user_id not in found or row.bridge_id == bridges[row.user_id]:
            found[row.user_id] = row
    return found


def _batches(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (rows[start : start + BULK] for start in range(0, len(rows), BULK))


def acp_is_replaced(is_on: bool, provider: str, *, had_license: bool, has_license: bool) -> bool:
    """Whether a licence that is newly assigned makes Microsoft the provider of a user on an ACP (R14).

    ``is_on`` is the switch AutomaticallyReplaceAcpProvider; an empty ``provider`` is Microsoft.
    """
    return is_on and has_license and not had_license and provider != ""


def completed(
    user: ConferencingUser, values: Mapping[str, Any], tenant: Tenant, default_bridge: Bridge | None
) -> dict[str, Any]:
    """The change with what it brings along: Microsoft as provider (R14), a bridge, and no numbers of another bridge."""
    values = _normalized(values)
    if acp_is_replaced(
        tenant.automatically_replace_acp_provider,
        values.get("conferencing_provider", user.conferencing_provider),
        had_license=user.audio_conferencing_license,
        has_license=values.get("audio_conferencing_license", user.audio_conferencing_license),
    ):
        values = _without_acp(user, values, default_bridge)
    if _needs_bridge(user, values):
        values["bridge"] = default_bridge
    if user.bridge_id != getattr(values.get("bridge", user.bridge), "pk", None):
        # Numbers belong to a bridge: what is not chosen anew falls back to the new bridge's default.
        values = {"toll_number": None, "toll_free_number": None} | values
    return values


def _without_acp(user: ConferencingUser, values: dict[str, Any], default_bridge: Bridge | None) -> dict[str, Any]:
    """The change with Microsoft as the provider, on a bridge of Microsoft's (R14)."""
    bridge = values.get("bridge", user.bridge)
    return {
        **values,
        "conferencing_provider": "",
        "bridge": default_bridge if bridge is None or bridge.provider else bridge,
    }


def _needs_bridge(user: ConferencingUser, values: Mapping[str, Any]) -> bool:
    """Whether a licence is being assigned to a user of Microsoft's who has no bridge: they get the default one."""
    provider = values.get("conferencing_provider", user.conferencing_provider)
    return bool(
        values.get("audio_conferencing_license") and not provider and user.bridge is None and not values.get("bridge")
    )


def _save(users: list[ConferencingUser], fields: Sequence[str]) -> None:
    """One statement for all users that have the same values now: most large changes set the same for many."""
    columns = [ConferencingUser._meta.get_field(name).attname for name in fields]  # type: ignore[union-attr]
    alike: dict[tuple[Any, ...], list[int]] = {}
    for user in users:
        alike.setdefault(tuple(getattr(user, column) for column in columns), []).append(user.pk)
    if len(alike) > _FEW:
        bulk.update(users, fields)
        return
    for values, pks in alike.items():
        ConferencingUser.objects.filter(pk__in=pks).update(**dict(zip(columns, values, strict=True)))


def _normalized(values: Mapping[str, Any]) -> dict[str, Any]:
    """SIP addresses are kept in lower case and without their scheme, so that they can be looked up."""
    if "sip_address" not in values:
        return dict(values)
    return {**values, "sip_address": values["sip_address"].lower().removeprefix("sip:")}


def _announce(tenant: Tenant, changes: list[UserChange], actor: Actor, *, due_now: bool = False) -> list[Consequence]:
    answers = users_changed.send(ConferencingUser, tenant=tenant, changes=changes, actor=actor, due_now=due_now)
    told: list[Consequence] = []
    for _, consequences in answers:
        told += consequences or []  # type: ignore[arg-type]  # Signal.send is typed as answering text
    return told


def check_user(user: ConferencingUser, given: Mapping[str, Any]) -> None:
    """Everything about a user that can be checked without asking the database about others.

    Nobody is given a number that is on its way off the bridge (R35); who has it keeps it until they are moved.
    """
    user.clean_fields(exclude=["tenant", "bridge", "toll_number", "toll_free_number"])
    user.clean()
    for field in ("toll_number", "toll_free_number"):
        number = getattr(user, field) if field in given else None
        if number is not None and number.is_leaving:
            raise ValidationError({field: f"{number} is being taken off the bridge: choose another."})


def _check_conference_id(digits: str) -> None:
    try:
        validate_conference_id(digits)
    except ValidationError as error:
        raise ValidationError({"conference_id": error.messages}) from error


def _digits_on(bridge: Bridge) -> QuerySet[ConferenceId, str]:
    return ConferenceId.objects.filter(bridge=bridge).values_list("digits", flat=True)


class _ConferenceNumbering:
    """Gives out conference IDs that are free on their bridge, and writes them in bulk.

    ``many`` says how many users are about to be numbered: for a large change the bridge's IDs are read once,
    for a small one only the candidates are looked up. ``wanted`` are the IDs that some of them ask for: nobody else is
    given one of these.
    """

    def __init__(self, many: int = 1, wanted: Collection[str] = frozenset()) -> None:
        self._read_all = many > BULK
        self._wanted = frozenset(wanted)
        self._taken: dict[int, set[str]] = {}
        self._spare: dict[int, set[str]] = {}
        self._new: list[ConferenceId] = []
        self._changed: list[ConferenceId] = []

    def assign(self, user: ConferencingUser, own: ConferenceId | None, wanted: str) -> str:
        """The user's ID after the change: ``wanted``, their ``own`` present one, or a free one where one is needed."""
        bridge = user.bridge
        if bridge is None:
            if wanted:
                raise ValidationError(
                    {"conference_id": f"{user.upn} has no bridge, and a conference ID belongs to one: assign it first."}
                )
            return ""
        if own is not None and own.bridge_id == bridge.pk and wanted in {"", own.digits}:
            return own.digits
        if user.conference_id_type != ConferencingUser.ConferenceIdType.PUBLIC and not wanted:
            return ""
        if wanted and wanted != NEW_CONFERENCE_ID:
            _check_conference_id(wanted)
            if self._taken_among(bridge, [wanted]):
                raise ValidationError(
                    {"conference_id": f"{wanted} is already in use on the bridge {bridge}: choose another."}
                )
            digits = wanted
        elif own is not None and wanted == "" and self._is_to_spare(bridge, own.digits):
            digits = own.digits  # the same digits on the new bridge: participants need not learn others
        else:
            (digits,) = self._free(bridge, 1)
        self._taken[bridge.pk].add(digits)
        if own is None:
            self._new.append(ConferenceId(bridge=bridge, digits=digits, user=user))
        else:
            own.bridge, own.digits = bridge, digits
            self._changed.append(own)
        return digits

    def _is_to_spare(self, bridge: Bridge, digits: str) -> bool:
        return digits not in self._wanted and not self._taken_among(bridge, [digits])

    def take(self, user: ConferencingUser, bridge: Bridge, meeting_uids: Sequence[str]) -> dict[str, str]:
        """A new private ID for each of the meetings."""
        given = dict(zip(meeting_uids, self._free(bridge, len(meeting_uids)), strict=True))
        self._taken[bridge.pk].update(given.values())
        self._new += [
            ConferenceId(bridge=bridge, digits=digits, user=user, meeting_uid=uid) for uid, digits in given.items()
        ]
        return given

    def save(self) -> None:
        bulk.update(self._changed, ["bridge", "digits"])
        bulk.insert(self._new)
        self._changed, self._new = [], []

    def _taken_among(self, bridge: Bridge, candidates: Collection[str]) -> set[str]:
        if bridge.pk not in self._taken:
            _lock_numbering(bridge)
            self._taken[bridge.pk] = set(_digits_on(bridge).iterator()) if self._read_all else set()
        taken = self._taken[bridge.pk].intersection(candidates)
        return taken if self._read_all else taken.union(_digits_on(bridge).filter(digits__in=candidates))

    def _free(self, bridge: Bridge, count: int) -> list[str]:
        found = self._spare.setdefault(bridge.pk, set())
        for _ in range(20):
            if len(found) < count:
                found |= {str(1_000_000 + secrets.randbelow(9_000_000)) for _ in range(2 * count + 8)}
            found -= self._wanted.intersection(found) | self._taken_among(bridge, found)
            if len(found) >= count:
                return [found.pop() for _ in range(count)]
        raise ValidationError(f"The bridge {bridge} has hardly any free conference IDs left: use another bridge.")
