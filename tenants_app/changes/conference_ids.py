"""Giving out conference IDs, each of which means one thing on its bridge (R4)."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from tenants_app import bulk
from tenants_app.bulk import BULK
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, FormerConferenceId
from tenants_app.sentences import sentence
from tenants_app.validators import validate_conference_id
from tenants_app.wording import FREE_ID

NEW_CONFERENCE_ID = "new"
"""As the value of ``conference_id``: give the user another free one."""


@transaction.atomic
def private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """The conference ID of each of the user's meetings on their bridge; gives out those that are missing.

    Returns the IDs by meeting UID, and the UIDs of the meetings that had none before. Where the meeting service hands
    out the IDs of the bridge (R43), there are none.
    """
    bridge = user.bridge
    if bridge is not None and not bridge.gives_conference_ids:
        return {}, set()
    if bridge is None:
        raise ValidationError(
            sentence("%(upn)s has no bridge, so meetings cannot get a conference ID: assign one.", upn=user.upn)
        )
    rows = ConferenceId.objects.filter(user=user, bridge=bridge, meeting_uid__in=uids)
    known = dict(rows.values_list("meeting_uid", "digits"))
    if len(known) < len(uids):
        # Looked up once more with the lock: a worker that was taken for lost may number the same meetings.
        _lock_numbering(bridge)
        known = dict(rows.values_list("meeting_uid", "digits"))
    missing = [uid for uid in uids if uid not in known]
    if missing:
        numbers = ConferenceNumbering(len(missing))
        known |= numbers.take(user, bridge, missing)
        numbers.save()
    return known, set(missing)


def given_private_ids(user: ConferencingUser, uids: Sequence[str]) -> dict[str, str]:
    """Of the user's meetings on their bridge, the conference IDs that they have already, by meeting UID."""
    rows = ConferenceId.objects.filter(user=user, bridge=user.bridge_id, meeting_uid__in=uids)
    return dict(rows.values_list("meeting_uid", "digits"))


def _lock_numbering(bridge: Bridge) -> None:
    """Whoever gives out conference IDs on a bridge holds its row, so that two cannot give out the same one."""
    Bridge.objects.select_for_update(no_key=True).get(pk=bridge.pk)


def release_private_conference_ids(user: ConferencingUser, uids: Sequence[str]) -> None:
    """Give back the IDs of meetings that show none; as nobody has seen them, they are not kept as former ones.

    Those of the user's bridge: an invitation may show the one of an earlier bridge still.
    """
    if uids:
        rows = ConferenceId.objects.filter(user=user, bridge=user.bridge_id, meeting_uid__in=uids)
        rows.exclude(meeting_uid="").delete()


def own_conference_ids(users: Iterable[ConferencingUser]) -> dict[int, ConferenceId]:
    """The conference ID of each user that has one, by the user's key: on their bridge, or left from another one."""
    bridges = {user.pk: user.bridge_id for user in users}
    found: dict[int, ConferenceId] = {}
    for row in ConferenceId.objects.filter(user__in=list(bridges), meeting_uid=""):
        if row.user_id not in found or row.bridge_id == bridges[row.user_id]:
            found[row.user_id] = row
    return found


def id_in_use(user: ConferencingUser, own: ConferenceId | None) -> str:
    """The digits that the user has now, where ``own`` is what :func:`own_conference_ids` found; otherwise empty.

    ``user.bridge`` should be loaded already. Of a bridge whose IDs come from the meeting service (R43), an ID that MMS
    gave before is kept for the day when MMS does again, and used for nothing.
    """
    bridge = user.bridge
    is_used = own is not None and bridge is not None and own.bridge_id == bridge.pk and bridge.gives_conference_ids
    return own.digits if own and is_used else ""


def known_conference_ids(user: ConferencingUser) -> frozenset[str]:
    """All IDs that MMS gives or ever gave to the user or to a meeting of theirs, on any bridge of the tenant (R43)."""
    present = ConferenceId.objects.filter(user=user).values_list("digits")
    former = FormerConferenceId.objects.filter(user=user).values_list("digits")
    unsaved = {user.unsaved_id.digits} if user.unsaved_id else set()
    return frozenset({*(digits for (digits,) in present.union(former)), *unsaved} - {""})


def shared_conference_ids(user: ConferencingUser) -> frozenset[str]:
    """The IDs that all of the user's meetings share, on any bridge of the tenant."""
    stored = set(ConferenceId.objects.filter(user=user, meeting_uid="").values_list("digits", flat=True))
    if user.unsaved_id is not None:
        stored = {*(stored - {user.unsaved_id.instead_of}), user.unsaved_id.digits}
    return frozenset(stored - {""})


def whose_conference_id(user: ConferencingUser, digits: str, bridges: Collection[int]) -> frozenset[tuple[int, str]]:
    """Whose an ID is now that a meeting of the user showed before: users (keys), with the UID of a private one.

    ``bridges`` are those (keys) whose numbers it stands beside; those on which the user once had it count too.
    """
    former = FormerConferenceId.objects.filter(user=user, digits=digits)
    had_on = {*bridges, *former.values_list("bridge", flat=True)} - {None}
    rows = ConferenceId.objects.filter(bridge__in=had_on, digits=digits)
    return frozenset(rows.values_list("user__pk", "meeting_uid"))


def note_shown_again(user: ConferencingUser, digits: Collection[str]) -> None:
    """Note that invitations of the user show these former IDs again, so that nobody else is given one."""
    former = FormerConferenceId.objects.filter(user=user, digits__in=digits)
    former.update(taken_out_at=None, is_free=False)


def note_taken_out(user: ConferencingUser, now: datetime) -> None:
    """Note that all of the user's invitations are up to date, so that none shows a former ID any more."""
    FormerConferenceId.objects.filter(user=user, taken_out_at=None).update(taken_out_at=now)


def check_gives_conference_ids(bridge: Bridge) -> None:
    """Raise ``ValidationError`` where MMS does not hand out the bridge's IDs, so that nobody can be given one."""
    if not bridge.gives_conference_ids:
        problem = sentence(
            "The meeting service hands out the conference IDs of the bridge %(bridge)s: give none here.",
            bridge=bridge.name,
        )
        raise ValidationError({"conference_id": problem})


def number_users(bridge: Bridge) -> Iterator[list[tuple[ConferencingUser, str]]]:
    """Give an ID to each user of the bridge who needs one and has none there; yields who got which, some at a time."""
    pks = list(users_without_id(bridge).order_by("pk").values_list("pk", flat=True))
    numbers = ConferenceNumbering(len(pks))
    for some in bulk.batched(pks):
        users = bridge.users.filter(pk__in=some).order_by("pk")
        own = own_conference_ids(users)
        given = [(user, numbers.assign(user, own.get(user.pk), "")) for user in users]
        numbers.save()
        yield given


def users_without_id(bridge: Bridge) -> QuerySet[ConferencingUser]:
    """Users of the bridge who need an ID of their own and have none there."""
    have = ConferenceId.objects.filter(bridge=bridge, meeting_uid="")
    public = ConferencingUser.ConferenceIdType.PUBLIC
    return bridge.users.filter(conference_id_type=public).exclude(pk__in=have.values("user"))


def keep_as_former(rows: Iterable[ConferenceId]) -> None:
    """Note that MMS once gave these IDs to whom they are of now."""
    for some in bulk.batched(rows):
        _keep([_former(row) for row in some])


def _keep(rows: Sequence[FormerConferenceId]) -> None:
    """Save them; one that was former before is so anew."""
    if bulk.insert(rows, unless_there=True) == len(rows):
        return
    FormerConferenceId.objects.bulk_create(
        rows,
        batch_size=100,
        update_conflicts=True,
        unique_fields=["user", "bridge", "digits", "meeting_uid"],
        update_fields=["taken_out_at", "is_free"],
    )


def _former(row: ConferenceId) -> FormerConferenceId:
    return FormerConferenceId(
        user_id=row.user_id, bridge_id=row.bridge_id, digits=row.digits, meeting_uid=row.meeting_uid
    )


def _check_conference_id(digits: str) -> None:
    try:
        validate_conference_id(digits)
    except ValidationError as error:
        raise ValidationError({"conference_id": error.messages}) from error


def former_ids_kept_on(bridge: Bridge) -> QuerySet[FormerConferenceId]:
    """IDs of old on the bridge that go to nobody else yet."""
    return FormerConferenceId.objects.filter(bridge=bridge, is_free=False)


def _digits_on(bridge: Bridge) -> QuerySet[ConferenceId, str]:
    return ConferenceId.objects.filter(bridge=bridge).values_list("digits", flat=True)


class ConferenceNumbering:
    """Gives out conference IDs that are free on their bridge, and writes them in bulk.

    ``many`` says how many users are about to be numbered: for a large change the bridge's IDs are read once,
    for a small one only the candidates are looked up. ``wanted`` are the IDs that some of them ask for, and
    ``kept_free`` those that others are about to: nobody else is given one of these. Looking ``ahead`` it locks nothing,
    and what it would choose is :data:`FREE_ID`.
    """

    def __init__(
        self,
        many: int = 1,
        wanted: Collection[str] = frozenset(),
        kept_free: Collection[str] = frozenset(),
        *,
        ahead: bool = False,
    ) -> None:
        self._ahead = ahead
        self._read_all = many > BULK
        self._many = min(many, BULK)
        self._wanted = frozenset(wanted)
        self._kept_free = kept_free
        self._taken: dict[int, set[str]] = {}
        self._kept: dict[int, dict[str, set[int]]] = {}
        self._looked_up: dict[int, set[str]] = {}
        self._spare: dict[int, set[str]] = {}
        self._new: list[ConferenceId] = []
        self._changed: list[ConferenceId] = []
        self._former: list[FormerConferenceId] = []

    def look_up(self, asked: Iterable[tuple[Bridge, str]]) -> None:
        """Find out at once which of these IDs are taken or kept; :meth:`assign` is about to ask of each."""
        by_bridge: dict[Bridge, set[str]] = {}
        for bridge, digits in asked:
            if bridge.gives_conference_ids:
                by_bridge.setdefault(bridge, set()).add(digits)
        for bridge, some in by_bridge.items():
            taken = self._taken_among(bridge, some)
            self._kept_among(bridge, some)
            self._taken[bridge.pk] |= taken
            self._looked_up.setdefault(bridge.pk, set()).update(some)

    def assign(self, user: ConferencingUser, own: ConferenceId | None, wanted: str) -> str:
        """The user's ID after the change: ``wanted``, their ``own`` present one, or a free one where one is needed."""
        bridge = user.bridge
        if bridge is None:
            if wanted:
                raise ValidationError(
                    {
                        "conference_id": sentence(
                            "%(upn)s has no bridge, and a conference ID belongs to one: assign it first.", upn=user.upn
                        )
                    }
                )
            return ""
        if wanted:
            check_gives_conference_ids(bridge)
        if not bridge.gives_conference_ids:
            return ""
        if own is not None and own.bridge_id == bridge.pk and wanted in {"", own.digits}:
            return own.digits
        if user.conference_id_type != ConferencingUser.ConferenceIdType.PUBLIC and not wanted:
            return ""
        if wanted and wanted != NEW_CONFERENCE_ID:
            _check_conference_id(wanted)
            if self._taken_among(bridge, [wanted]):
                raise ValidationError(
                    {
                        "conference_id": sentence(
                            "%(wanted)s is already in use on the bridge %(bridge)s: choose another.",
                            wanted=wanted,
                            bridge=bridge.name,
                        )
                    }
                )
            self._check_not_shown_again(bridge, wanted, user)
            digits = wanted
        elif own is not None and wanted == "" and self._is_to_spare(bridge, own.digits, user):
            digits = own.digits  # the same digits on the new bridge: participants need not learn others
        else:
            (digits,) = self._free(bridge, 1)
        if self._ahead:
            self._given(bridge, digits)
            return digits
        self._taken[bridge.pk].add(digits)
        if own is None:
            self._new.append(ConferenceId(bridge=bridge, digits=digits, user=user))
        else:
            self._former.append(_former(own))
            own.bridge, own.digits = bridge, digits
            self._changed.append(own)
        return digits

    def _check_not_shown_again(self, bridge: Bridge, digits: str, user: ConferencingUser) -> None:
        """Raise ``ValidationError`` where an undo has brought the ID back: whoever dials it means somebody else."""
        if not self._kept_among(bridge, [digits], user):
            return
        shown = former_ids_kept_on(bridge).filter(digits=digits, taken_out_at=None, user__undo_holds=True)
        other = shown.exclude(user=user.pk).select_related("user").first()
        if other is not None:
            raise ValidationError(
                {
                    "conference_id": sentence(
                        "%(digits)s is not free. An invitation of %(upn)s prints it again since an undo: choose "
                        "another, or start them.",
                        digits=digits,
                        upn=other.user.upn,
                    )
                }
            )

    def _given(self, bridge: Bridge, digits: str) -> None:
        """Looking ahead: note that nobody else can have these digits on the bridge."""
        if digits != FREE_ID:
            self._taken_among(bridge, [])
            self._taken[bridge.pk].add(digits)

    def _is_to_spare(self, bridge: Bridge, digits: str, user: ConferencingUser) -> bool:
        is_free = not self._is_asked_for(digits) and not self._taken_among(bridge, [digits])
        return is_free and not self._kept_among(bridge, [digits], user)

    def _is_asked_for(self, digits: str) -> bool:
        return digits in self._wanted or digits in self._kept_free

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
        if self._former:
            _keep(self._former)
        self._changed, self._new, self._former = [], [], []

    def _taken_among(self, bridge: Bridge, candidates: Collection[str]) -> set[str]:
        if bridge.pk not in self._taken:
            if not self._ahead:
                _lock_numbering(bridge)
            self._taken[bridge.pk] = set(_digits_on(bridge).iterator()) if self._read_all else set()
        taken = self._taken[bridge.pk].intersection(candidates)
        unknown = set(candidates) - self._looked_up.get(bridge.pk, set())
        if self._read_all or not unknown:
            return taken
        return taken.union(_digits_on(bridge).filter(digits__in=unknown))

    def _kept_among(
        self, bridge: Bridge, candidates: Collection[str], user: ConferencingUser | None = None
    ) -> set[str]:
        """Those that were somebody else's and may come back to them, because what took them out can be undone.

        Whoever asks for one of these gets it all the same: then it does not go back.
        """
        if bridge.pk not in self._kept:
            self._kept[bridge.pk] = {}
            if self._read_all:
                self._note_kept(former_ids_kept_on(bridge), bridge)
        unknown = set(candidates) - self._looked_up.get(bridge.pk, set())
        if not self._read_all and unknown:
            self._note_kept(former_ids_kept_on(bridge).filter(digits__in=unknown), bridge)
        kept, own = self._kept[bridge.pk], {user.pk} if user else set()
        return {each for each in candidates if kept.get(each, set()) - own}

    def _note_kept(self, rows: QuerySet[FormerConferenceId], bridge: Bridge) -> None:
        for digits, whose in rows.values_list("digits", "user__pk").iterator():
            self._kept[bridge.pk].setdefault(digits, set()).add(whose)

    def _free(self, bridge: Bridge, count: int) -> list[str]:
        if self._ahead:
            return [FREE_ID] * count
        found = self._spare.setdefault(bridge.pk, set())
        for _ in range(20):
            if len(found) < count:
                new = {str(1_000_000 + secrets.randbelow(9_000_000)) for _ in range(max(2 * count + 8, self._many))}
                self.look_up((bridge, digits) for digits in new)
                found |= new
            found -= {digits for digits in found if self._is_asked_for(digits)}
            found -= self._taken_among(bridge, found)
            found -= self._kept_among(bridge, found)
            if len(found) >= count:
                return [found.pop() for _ in range(count)]
        raise ValidationError(
            sentence(
                "The bridge %(bridge)s has hardly any free conference IDs left: use another bridge.", bridge=bridge.name
            )
        )
