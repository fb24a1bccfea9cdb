"""Changes of users: their settings, new ones, and taking an administrator's word that one is up to date."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import prefetch_related_objects

from tenants_app import bulk, fingerprints
from tenants_app.audit import Actor, entry, record
from tenants_app.bulk import batched
from tenants_app.changes.brought_along import chosen_by_itself, completed, normalized
from tenants_app.changes.conference_ids import ConferenceNumbering, id_in_use, own_conference_ids
from tenants_app.changes.locking import apply_values, lock
from tenants_app.changes.moves import NO_MAPPING, NUMBERS, MoveMapping, Route, Routes, of_new_user
from tenants_app.meeting_services import check_meeting_service
from tenants_app.models import (
    Bridge,
    ConferenceId,
    ConferencingUser,
    Deployment,
    InvitedNumber,
    MailboxConnection,
    ServiceNumber,
    Tenant,
)
from tenants_app.models.users import UnsavedId
from tenants_app.sentences import sentence
from tenants_app.signals import Answers, Consequence, UserChange, change_foreseen, mailboxes_changed, users_changed
from tenants_app.user_settings import UserSettings

DATA_FIX = sentence("No run, because this was saved as a data fix.")
"""What a data fix leads to, on the screen and in the audit."""

_FEW = 20
"""Up to this many statements, the rows of a batch are saved in groups that have the same values."""


@dataclass(frozen=True, slots=True)
class UserEdit:
    """What to change of one user: field names of :class:`ConferencingUser`, and ``conference_id``."""

    user_pk: int
    values: Mapping[str, Any]
    reschedule_meetings: bool = False
    unassigned_number: str = ""
    """The number that the user loses because it is taken off the bridge (R6)."""
    mapping: MoveMapping = NO_MAPPING
    """Where the user moves to another deployment: which bridge and numbers they get there (R61)."""


@dataclass(slots=True)
class UserEffect:
    """What an edit did to a user: the values that differ, as the audit shows them, and what it leads to."""

    change: UserChange
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    consequence: Consequence
    chosen: str = ""
    """What the change chose by itself, in sentences; empty where nothing."""

    @property
    def upn(self) -> str:
        return self.change.user.upn

    @property
    def is_move(self) -> bool:
        """Whether the user came to a deployment, or to another one (R62)."""
        return "deployment" in self.after and self.change.user.deployment_id is not None

    def note_fingerprint(self, before: str, after: str) -> None:
        """Note whether a move changes what the invitations should say, which decides what it starts (R62)."""
        if self.is_move and fingerprints.differ(self.change.user, before, after):
            self.change = replace(self.change, says_otherwise=True)


def change_user(
    user: ConferencingUser,
    actor: Actor,
    *,
    reschedule_meetings: bool = False,
    is_data_fix: bool = False,
    **values: Any,
) -> list[Consequence]:
    """Change one user's settings. Returns what follows from it, in sentences."""
    edit = UserEdit(user.pk, values, reschedule_meetings)
    return change_users(user.tenant, [edit], actor, is_data_fix=is_data_fix)


@transaction.atomic
def change_users(
    tenant: Tenant,
    edits: Iterable[UserEdit],
    actor: Actor,
    *,
    is_data_fix: bool = False,
    due_now: bool = False,
    part_of: object = None,
) -> list[Consequence]:
    """Change many users at once: all of them or, where one change cannot be made, none.

    A data fix starts nothing; the users are out of date where their invitations show what was changed. ``due_now``
    makes the runs that it starts due without the settling time, for a change that has settled already (R19).
    ``part_of`` is handed on to whoever listens (``users_changed``).
    """
    batches = change_in_batches(tenant, edits, actor, is_data_fix=is_data_fix, due_now=due_now, part_of=part_of)
    return [effect.consequence for batch in batches for effect in batch]


def change_in_batches(
    tenant: Tenant,
    edits: Iterable[UserEdit],
    actor: Actor,
    *,
    is_data_fix: bool = False,
    due_now: bool = False,
    part_of: object = None,
    kept_free: Collection[str] = (),
) -> Iterator[list[UserEffect]]:
    """Change users as :func:`change_users` does, and yield after each batch what was done to each of its users.

    The caller holds the transaction, and takes it back where this raises: earlier batches are written by then.
    ``kept_free`` is as in :func:`create_in_batches`.
    """
    tenant = lock(tenant)
    applied = _Applied(tenant, edits, kept_free)
    for effects in applied:
        numbers = applied.numbers
        changed = [effect.change.user for effect in effects if effect.after]
        _save(changed, sorted({name for effect in effects for name in effect.after} - {"conference_id"}))
        numbers.save()
        fingerprints.refresh(ConferencingUser.objects.filter(pk__in=[user.pk for user in changed]))
        _note_what_moves_change(effects)
        # What the invitations of another mailbox say is not known before a run has looked at them (R36).
        moved = [effect.change.user for effect in effects if "mailbox" in effect.after]
        if moved:
            fingerprints.become_unknown(*moved)
            mailboxes_changed.send(Tenant, tenant=tenant)
        # A user to whom nothing happened is announced as well: the answer says that nothing changed.
        announced = [effect.change for effect in effects]
        if is_data_fix:
            consequences = [Consequence(change.user.upn, False, DATA_FIX) for change in announced]
        else:
            consequences = _announce(tenant, announced, actor, due_now=due_now, part_of=part_of)
        _answer(effects, consequences)
        record(
            entry(tenant, actor, "change user", effect.upn, effect.before, effect.after, effect.consequence.sentence)
            for effect in effects
            if effect.after or effect.change.unassigned_number
        )
        yield effects


def foresee_users(
    tenant: Tenant, edits: Iterable[UserEdit], *, kept_free: Collection[str] = ()
) -> Iterator[list[UserEffect]]:
    """What :func:`change_in_batches` would do to each user and lead to, by the same checks; locks and writes nothing.

    The users of the effects have the settings afterwards, with both fingerprints, and are not saved. A conference ID
    that the change would choose is ``FREE_ID``.
    """
    for effects in _Applied(Tenant.objects.get(pk=tenant.pk), edits, kept_free, ahead=True):
        for effect in effects:
            if effect.after:
                user, before = effect.change.user, effect.change.user.settings_fingerprint
                fingerprints.foresee(user, has_another_mailbox="mailbox" in effect.after)
                effect.note_fingerprint(before, user.settings_fingerprint)
        answers: Answers = change_foreseen.send(
            ConferencingUser, tenant=effects[0].change.user.tenant, changes=[effect.change for effect in effects]
        )
        _answer(effects, [each for _, consequences in answers for each in consequences or ()])
        yield effects


def foresee_user(tenant: Tenant, edit: UserEdit) -> UserEffect:
    """What the change of one user would do and lead to; see :func:`foresee_users`."""
    ((effect,),) = foresee_users(tenant, [edit])
    return effect


def _note_what_moves_change(effects: Iterable[UserEffect]) -> None:
    """Compare what the users' invitations should say, as it is computed by now, with what it was before."""
    moves = [effect for effect in effects if effect.is_move]
    now = fingerprints.of_settings([effect.change.user.pk for effect in moves]) if moves else {}
    for effect in moves:
        effect.note_fingerprint(effect.change.user.settings_fingerprint, now[effect.change.user.pk])


def _answer(effects: Iterable[UserEffect], consequences: Iterable[Consequence]) -> None:
    """Note with each effect what it leads to."""
    led_to = {consequence.upn: consequence for consequence in consequences}
    for effect in effects:
        effect.consequence = replace(led_to.get(effect.upn, effect.consequence), chosen=effect.chosen)


class _Applied:
    """The edits applied to the users batch by batch, checked, not saved. Locks the users, but looking ``ahead``."""

    def __init__(
        self, tenant: Tenant, edits: Iterable[UserEdit], kept_free: Collection[str], *, ahead: bool = False
    ) -> None:
        self.tenant, self.ahead = tenant, ahead
        self.by_pk = {edit.user_pk: edit for edit in _renewed(edits)}
        wanted = {edit.values.get("conference_id", "") for edit in self.by_pk.values()}
        self.numbers = ConferenceNumbering(len(self.by_pk), wanted, kept_free, ahead=ahead)
        self.default_bridge = tenant.bridges.filter(is_default=True).prefetch_related("numbers").first()
        self._routes = Routes(tenant)

    def __iter__(self) -> Iterator[list[UserEffect]]:
        for pks in batched(sorted(self.by_pk)):
            found = _users(self.tenant, pks, is_locked=not self.ahead)
            moving = [(self._bridge_after(self.by_pk[user.pk], user), own_id) for user, own_id in found]
            self.numbers.look_up(
                (bridge, own_id.digits) for bridge, own_id in moving if bridge is not None and own_id is not None
            )
            effects = [self._effect(self.by_pk[user.pk], user, own_id) for user, own_id in found]
            if len(effects) != len(pks):
                raise ValidationError(sentence("A user to be changed is not there any more: look again and repeat."))
            yield effects

    def _bridge_after(self, edit: UserEdit, user: ConferencingUser) -> Bridge | None:
        """The bridge that the change gives the user; None where it names none."""
        route = self._routes.of_change(user, edit.values, edit.mapping)
        values = route.values(user, edit.values) if route is not None else edit.values
        bridge: Bridge | None = values.get("bridge")
        return bridge

    def _effect(self, edit: UserEdit, user: ConferencingUser, own_id: ConferenceId | None) -> UserEffect:
        was = own_id.digits if own_id else ""
        route = self._routes.of_change(user, edit.values, edit.mapping)
        effect = _applied(edit, user, own_id, self.tenant, self.default_bridge, self.numbers, route)
        if self.ahead:
            user.unsaved_id = UnsavedId(effect.change.after.conference_id, was)
            if effect.change.after.conference_id in {"", was}:
                user.unsaved_id = UnsavedId(effect.change.after.conference_id, "")
        return effect


def _renewed(edits: Iterable[UserEdit]) -> Iterator[UserEdit]:
    """The edits with bridges and numbers as they are by now; one that somebody took away meanwhile is refused."""
    edits = list(edits)
    now: dict[models.Model, models.Model] = {}
    for model in (Bridge, ServiceNumber, MailboxConnection, Deployment):
        pks = {value.pk for edit in edits for value in edit.values.values() if isinstance(value, model)}
        now |= {row: row for row in model.objects.in_bulk(list(pks)).values()}
    prefetch_related_objects([row for row in now if isinstance(row, Bridge)], "numbers")
    for edit in edits:
        values = dict(edit.values)
        for name, value in edit.values.items():
            if isinstance(value, Bridge | ServiceNumber | MailboxConnection | Deployment):
                if value not in now:
                    raise ValidationError(
                        {name: sentence("%(value)s is not there any more: choose another.", value=str(value))}
                    )
                values[name] = now[value]
        yield replace(edit, values=values)


def _applied(
    edit: UserEdit,
    user: ConferencingUser,
    own_id: ConferenceId | None,
    tenant: Tenant,
    default_bridge: Bridge | None,
    numbers: ConferenceNumbering,
    route: Route | None,
) -> UserEffect:
    """Apply the edit to the user, check the result, and give out the conference ID; nothing is saved yet."""
    old_id = id_in_use(user, own_id)
    earlier = UserSettings.of(user, old_id)
    values = dict(edit.values)
    wanted_id = values.pop("conference_id", "")
    bridge_before = user.bridge
    before, after = apply_values(user, completed(user, values, tenant, default_bridge, route))
    check_meeting_service(after.get("meeting_service", ""), tenant)
    check_user(user, after)
    new_id = numbers.assign(user, own_id, wanted_id)
    if new_id != old_id:
        before["conference_id"], after["conference_id"] = old_id, new_id
    later = UserSettings.of(user, new_id)
    change = UserChange(earlier, later, edit.reschedule_meetings, edit.unassigned_number, user=user)
    chosen = chosen_by_itself(edit.values, user, bridge_before, after)
    return UserEffect(change, before, after, Consequence(user.upn, False, ""), chosen)


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
    tenant = lock(tenant)
    numbers = ConferenceNumbering(len(rows), {row.get("conference_id", "") for row in rows}, kept_free)
    for users in _new_users(tenant, rows):
        bulk.create([user for user, _ in users], "user_id")
        for user, digits in users:
            numbers.assign(user, None, digits)
        numbers.save()
        yield _begun(tenant, [user for user, _ in users], actor)


def foresee_new_users(
    tenant: Tenant, rows: Sequence[Mapping[str, Any]], *, kept_free: Collection[str] = ()
) -> Iterator[list[ConferencingUser]]:
    """The users that :func:`create_in_batches` would make, by the same checks; locks and writes nothing."""
    numbers = ConferenceNumbering(len(rows), {row.get("conference_id", "") for row in rows}, kept_free, ahead=True)
    for users in _new_users(tenant, rows):
        for user, digits in users:
            numbers.assign(user, None, digits)
        yield [user for user, _ in users]


def _new_users(tenant: Tenant, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[tuple[ConferencingUser, str]]]:
    """The users, checked and not saved, batch by batch, each with the conference ID that they ask for."""
    if len({str(row.get("upn", "")).lower() for row in rows}) < len(rows):
        raise ValidationError(sentence("Two of the new users have the same user principal name: give each once."))
    for some in batched(rows):
        users, wanted = [], []
        for row in some:
            values = dict(row)
            wanted.append(values.pop("conference_id", ""))
            values.setdefault("sip_address", values.get("upn", ""))
            user = ConferencingUser(tenant=tenant, **of_new_user(tenant, normalized(values)))
            check_meeting_service(user.meeting_service, tenant)
            check_user(user, values)
            users.append(user)
        taken = ConferencingUser.objects.with_upns(tenant, [user.upn for user in users]).first()
        if taken:
            raise ValidationError({"upn": sentence("There is already a user %(upn)s.", upn=taken.upn)})
        yield list(zip(users, wanted, strict=True))


def _begun(tenant: Tenant, users: list[ConferencingUser], actor: Actor) -> list[ConferencingUser]:
    """The new users, saved by now, with what their invitations are taken to say."""
    fingerprints.begin(ConferencingUser.objects.filter(pk__in=[user.pk for user in users]))
    if tenant.mailbox_id or any(user.mailbox_id for user in users):
        # What invitations say that MMS has not seen is not known (R36).
        fingerprints.become_unknown(*(user for user in users if user.mailbox_connection))
        mailboxes_changed.send(Tenant, tenant=tenant)
    record(entry(tenant, actor, "create user", user.upn) for user in users)
    return users


def create_user(tenant: Tenant, actor: Actor, **values: Any) -> ConferencingUser:
    """One new user."""
    return create_users(tenant, [values], actor)[0]


def mark_up_to_date(user: ConferencingUser, actor: Actor) -> bool:
    """Take an administrator's word that the user's invitations were put right by other means.

    For users whom MMS cannot migrate (R15 to R17), who would otherwise be out of date for ever (R36). Returns False,
    and writes nothing, where MMS took the invitations to be right already.
    """
    return bool(mark_users_up_to_date(user.tenant, [user.pk], actor))


@transaction.atomic
def mark_users_up_to_date(tenant: Tenant, pks: Iterable[int], actor: Actor) -> set[int]:
    """Take the word for many of the tenant's users, each by their key; the keys of those who were marked."""
    tenant = lock(tenant)
    marked: set[int] = set()
    for some in batched(sorted(pks)):
        users = ConferencingUser.objects.select_for_update(of=("self",), no_key=True)
        locked = list(users.filter(tenant=tenant, pk__in=some).order_by("pk"))
        shown = InvitedNumber.objects.filter(user__in=some, number__is_leaving=True)
        leaving = set(shown.values_list("user", flat=True))
        wrong = [user for user in locked if user.is_out_of_date or user.pk in leaving]
        found = ConferencingUser.objects.filter(pk__in=[user.pk for user in wrong])
        found.filter(undo_holds=True).update(undo_holds=False)
        fingerprints.presume_up_to_date(found)
        record(entry(tenant, actor, "mark as up to date", user.upn) for user in wrong)
        marked |= {user.pk for user in wrong}
    return marked


def _users(
    tenant: Tenant, pks: Sequence[int], *, is_locked: bool
) -> list[tuple[ConferencingUser, ConferenceId | None]]:
    """The users, each with their own conference ID. A join would copy the bridge for each."""
    users = (
        ConferencingUser.objects.filter(tenant=tenant, pk__in=pks)
        .prefetch_related("bridge__numbers", "toll_number", "toll_free_number", "mailbox", "deployment")
        .order_by("pk")
    )
    if is_locked:
        users = users.select_for_update(no_key=True)
    for user in users:
        user.tenant = tenant
    own_ids = own_conference_ids(users)
    return [(user, own_ids.get(user.pk)) for user in users]


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


def _announce(
    tenant: Tenant, changes: list[UserChange], actor: Actor, *, due_now: bool = False, part_of: object = None
) -> list[Consequence]:
    answers: Answers = users_changed.send(
        ConferencingUser, tenant=tenant, changes=changes, actor=actor, due_now=due_now, part_of=part_of
    )
    return [consequence for _, consequences in answers for consequence in consequences or ()]


def check_user(user: ConferencingUser, given: Mapping[str, Any]) -> None:
    """Everything about a user that can be checked without asking the database about others.

    Nobody is given a number that is on its way off the bridge (R35); who has it keeps it until they are moved.
    """
    user.clean_fields(exclude=["tenant", "deployment", "bridge", "toll_number", "toll_free_number", "mailbox"])
    user.clean()
    for field in NUMBERS:
        number = getattr(user, field) if field in given else None
        if number is not None and number.is_leaving:
            raise ValidationError(
                {field: sentence("%(number)s is being taken off the bridge: choose another.", number=number.number)}
            )
