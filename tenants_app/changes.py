"""Every change of a tenant, user, bridge, number or role: one function per kind of change.

Each locks the rows, checks the whole change, saves it, writes the audit entry and announces it, all in one
transaction. Screens, commands and the Django admin call these and nothing else. A change that cannot be made
raises ``ValidationError`` with a sentence for the administrator and leaves everything as it was.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction

from tenants_app import invitations
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


def _plain(value: Any) -> Any:
    """A value as the audit shows it."""
    return value if isinstance(value, bool | int | type(None)) else str(value)


def _lock(tenant: Tenant) -> Tenant:
    """Changes of one tenant wait for each other: what invitations should say is computed from all of them."""
    return Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


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
    tenant = Tenant(**values)
    tenant.full_clean()
    tenant.save()
    entry(tenant, actor, "create tenant", tenant.slug, {}, {k: _plain(v) for k, v in values.items()}).save()
    return tenant


@transaction.atomic
def change_tenant(tenant: Tenant, actor: Actor, **values: Any) -> Tenant:
    """Change the tenant's settings or switches (R12 to R14)."""
    tenant = _lock(tenant)
    before, after = _apply(tenant, values)
    if after:
        tenant.full_clean()
        tenant.save()
        entry(tenant, actor, "change tenant", tenant.slug, before, after).save()
        if invitations.TENANT_FIELDS.intersection(after):
            invitations.refresh(tenant.users.all())
        tenant_changed.send(Tenant, tenant=tenant, fields=frozenset(after))
    return tenant


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
    bridge = Bridge.objects.select_for_update().get(pk=bridge.pk)
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
    found = ServiceNumber.objects.select_for_update(of=("self",)).select_related("bridge").filter(pk=number.pk).first()
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
    by_pk = {edit.user_pk: edit for edit in edits}
    tenant = _lock(tenant)
    numbers = _ConferenceNumbering(len(by_pk))
    default_bridge = tenant.bridges.filter(is_default=True).first()
    changes: list[UserChange] = []
    audited: list[tuple[ConferencingUser, dict[str, Any], dict[str, Any]]] = []
    changed: list[ConferencingUser] = []
    fields: set[str] = set()
    for user in _locked(tenant, sorted(by_pk)):
        edit = by_pk[user.pk]
        old_id = user.conference_id
        earlier = UserSettings.of(user, old_id)
        values = dict(edit.values)
        wanted_id = values.pop("conference_id", "")
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
        before, after = _apply(user, _normalized(values))
        _check_user(user)
        _check_given(user, after)
        own = next((row for row in user.conference_ids.all() if row.meeting_uid == ""), None)
        new_id = numbers.assign(user, own, wanted_id)
        if new_id != old_id:
            before["conference_id"], after["conference_id"] = old_id, new_id
        if after:
            changed.append(user)
            fields |= values.keys()
        if after or edit.unassigned_number:
            audited.append((user, before, after))
        # A user to whom nothing happened is announced as well: the answer says that nothing changed.
        changes.append(
            UserChange(user, earlier, UserSettings.of(user, new_id), edit.reschedule_meetings, edit.unassigned_number)
        )
    if len(changes) != len(by_pk):
        raise ValidationError("A user to be changed is not there any more: look again and repeat.")
    _save_alike(changed, sorted(fields))
    numbers.save()
    _refresh([user.pk for user in changed])
    if is_data_fix:
        consequences = [Consequence(change.user.upn, False, DATA_FIX) for change in changes]
    else:
        consequences = _announce(tenant, changes, actor, due_now=due_now)
    led_to = {consequence.upn: consequence.sentence for consequence in consequences}
    record(
        entry(tenant, actor, "change user", user.upn, before, after, led_to.get(user.upn, ""))
        for user, before, after in audited
    )
    return consequences


@transaction.atomic
def create_users(tenant: Tenant, rows: Sequence[Mapping[str, Any]], actor: Actor) -> list[ConferencingUser]:
    """New users, each a mapping of field names (and ``conference_id``).

    They start no runs, because nothing was before: their invitations are taken to say what their settings ask for.
    """
    tenant = _lock(tenant)
    numbers = _ConferenceNumbering(len(rows))
    users, wanted = [], []
    for row in rows:
        values = dict(row)
        wanted.append(values.pop("conference_id", ""))
        values.setdefault("sip_address", values.get("upn", ""))
        user = ConferencingUser(tenant=tenant, **_normalized(values))
        _check_user(user)
        _check_given(user, values)
        users.append(user)
    if len({user.upn.lower() for user in users}) < len(users):
        raise ValidationError("Two of the new users have the same user principal name: give each once.")
    for start in range(0, len(users), BULK):
        upns = [user.upn for user in users[start : start + BULK]]
        taken = ConferencingUser.objects.with_upns(tenant, upns).first()
        if taken:
            raise ValidationError({"upn": f"There is already a user {taken.upn}."})
    users = ConferencingUser.objects.bulk_create(users, batch_size=BULK)
    for user, digits in zip(users, wanted, strict=True):
        numbers.assign(user, None, digits)
    numbers.save()
    _refresh([user.pk for user in users])
    for start in range(0, len(users), BULK):
        pks = [user.pk for user in users[start : start + BULK]]
        invitations.presume_up_to_date(ConferencingUser.objects.filter(pk__in=pks))
    record(entry(tenant, actor, "create user", user.upn) for user in users)
    return users


def create_user(tenant: Tenant, actor: Actor, **values: Any) -> ConferencingUser:
    """One new user."""
    return create_users(tenant, [values], actor)[0]


@transaction.atomic
def mark_up_to_date(user: ConferencingUser, actor: Actor) -> bool:
    """Take an administrator's word that the user's invitations were put right by other means; whether they were not.

    For users whom MMS cannot migrate (R15 to R17), who would otherwise be out of date for ever (R36).
    """
    tenant = _lock(user.tenant)
    user = ConferencingUser.objects.select_for_update(of=("self",)).get(pk=user.pk)
    leaving = user.invited_numbers.filter(number__is_leaving=True).exists()
    if not (user.is_out_of_date or leaving):
        return False
    invitations.presume_up_to_date(ConferencingUser.objects.filter(pk=user.pk))
    entry(tenant, actor, "mark as up to date", user.upn).save()
    return True


def _refresh(pks: Sequence[int]) -> None:
    for start in range(0, len(pks), BULK):
        invitations.refresh(ConferencingUser.objects.filter(pk__in=pks[start : start + BULK]))


@transaction.atomic
def private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """The conference ID of each of the user's meetings on their bridge, and which of them were given out just now."""
    bridge = user.bridge
    if bridge is None:
        raise ValidationError(f"{user.upn} has no bridge, so meetings cannot get a conference ID: assign one.")
    rows = ConferenceId.objects.filter(user=user, bridge=bridge, meeting_uid__in=uids)
    known = {row.meeting_uid: row.digits for row in rows}
    missing = [uid for uid in uids if uid not in known]
    if missing:
        numbers = _ConferenceNumbering(len(missing))
        known |= numbers.take(user, bridge, missing)
        numbers.save()
    return known, set(missing)


def release_private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> None:
    """Give back the IDs of meetings that show none."""
    if uids:
        ConferenceId.objects.filter(user=user, meeting_uid__in=uids).exclude(meeting_uid="").delete()


def _locked(tenant: Tenant, pks: Sequence[int]) -> Iterable[ConferencingUser]:
    users = ConferencingUser.objects.filter(tenant=tenant).select_related("bridge", "toll_number", "toll_free_number")
    for start in range(0, len(pks), BULK):
        yield from (
            users.select_for_update(of=("self",))
            .filter(pk__in=pks[start : start + BULK])
            .prefetch_related("conference_ids")
            .order_by("pk")
        )


def acp_is_replaced(is_on: bool, provider: str, *, had_license: bool, has_license: bool) -> bool:
    """Whether a licence that is newly assigned makes Microsoft the provider of a user on an ACP (R14).

    ``is_on`` is the switch AutomaticallyReplaceAcpProvider; an empty ``provider`` is Microsoft.
    """
    return is_on and has_license and not had_license and provider != ""


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


def _save_alike(users: list[ConferencingUser], fields: Sequence[str]) -> None:
    """One statement for all users that have the same values now: most large changes set the same for many."""
    columns = [ConferencingUser._meta.get_field(name).attname for name in fields]  # type: ignore[union-attr]
    alike: dict[tuple[Any, ...], list[int]] = {}
    for user in users:
        alike.setdefault(tuple(getattr(user, column) for column in columns), []).append(user.pk)
    for values, pks in alike.items():
        for start in range(0, len(pks), BULK):
            some = ConferencingUser.objects.filter(pk__in=pks[start : start + BULK])
            some.update(**dict(zip(columns, values, strict=True)))


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


def _check_user(user: ConferencingUser) -> None:
    """Everything about a user that can be checked without asking the database about others."""
    user.clean_fields(exclude=["tenant", "bridge", "toll_number", "toll_free_number"])
    user.clean()


def _check_conference_id(digits: str) -> None:
    try:
        validate_conference_id(digits)
    except ValidationError as error:
        raise ValidationError({"conference_id": error.messages}) from error


def _check_given(user: ConferencingUser, given: Mapping[str, Any]) -> None:
    """Nobody is given a number that is on its way off the bridge (R35); who has it keeps it until they are moved."""
    for field in ("toll_number", "toll_free_number"):
        number = getattr(user, field) if field in given else None
        if number is not None and number.is_leaving:
            raise ValidationError({field: f"{number} is being taken off the bridge: choose another."})


class _ConferenceNumbering:
    """Gives out conference IDs that are free on their bridge, and writes them in bulk.

    ``many`` says how many users are about to be numbered: for a large change the bridge's IDs are read once,
    for a small one only the candidates are looked up.
    """

    def __init__(self, many: int = 1) -> None:
        self._read_all = many > BULK
        self._taken: dict[int, set[str]] = {}
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
        elif own is not None and wanted == "" and not self._taken_among(bridge, [own.digits]):
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

    def take(self, user: ConferencingUser, bridge: Bridge, meeting_uids: Sequence[str]) -> dict[str, str]:
        """A new private ID for each of the meetings."""
        given = dict(zip(meeting_uids, self._free(bridge, len(meeting_uids)), strict=True))
        self._taken[bridge.pk].update(given.values())
        self._new += [
            ConferenceId(bridge=bridge, digits=digits, user=user, meeting_uid=uid) for uid, digits in given.items()
        ]
        return given

    def save(self) -> None:
        ConferenceId.objects.bulk_update(self._changed, ["bridge", "digits"], batch_size=BULK)
        ConferenceId.objects.bulk_create(self._new, batch_size=BULK)

    def _taken_among(self, bridge: Bridge, candidates: Sequence[str]) -> set[str]:
        rows = ConferenceId.objects.filter(bridge=bridge).values_list("digits", flat=True)
        if bridge.pk not in self._taken:
            # Whoever gives out IDs on a bridge holds its row, so that two cannot give out the same one.
            Bridge.objects.select_for_update().get(pk=bridge.pk)
            self._taken[bridge.pk] = set(rows.iterator()) if self._read_all else set()
        taken = self._taken[bridge.pk].intersection(candidates)
        return taken if self._read_all else taken.union(rows.filter(digits__in=candidates))

    def _free(self, bridge: Bridge, count: int) -> list[str]:
        found: set[str] = set()
        for _ in range(20):
            candidates = {str(1_000_000 + secrets.randbelow(9_000_000)) for _ in range(2 * (count - len(found)) + 8)}
            found |= candidates - self._taken_among(bridge, sorted(candidates))
            if len(found) >= count:
                return sorted(found)[:count]
        raise ValidationError(f"The bridge {bridge} has hardly any free conference IDs left: use another bridge.")
