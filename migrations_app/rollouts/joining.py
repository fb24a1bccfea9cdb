"""Who may be in a wave (R61, R65): asked for many users in as many statements as for one. Only reads."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from migrations_app.finding.users import find_users
from migrations_app.models import Rollout, Wave, WaveMember
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, sentence


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user is in a rollout, or was."""

    member_pk: int
    wave_pk: int
    wave_name: str
    wave_state: str
    rollout_pk: int
    rollout_name: str
    is_current: bool

    @property
    def has_started(self) -> bool:
        return self.wave_state not in Wave.NOT_STARTED


class Places:
    """Which places some users have in unfinished rollouts, and had in waves of this one."""

    def __init__(self, rollout: Rollout, pks: Collection[int]) -> None:
        self.current: dict[int, Place] = {}
        self.former: set[tuple[int, int]] = set()
        """Wave and user."""
        rows = WaveMember.objects.filter(user__in=pks).filter(Q(is_current=True) | Q(wave__rollout=rollout))
        named = ("pk", "wave", "wave__name", "wave__state", "wave__rollout", "wave__rollout__name", "is_current")
        for user, *values in rows.order_by().values_list("user", *named):
            place = Place(*values)
            if place.is_current:
                self.current[user] = place
            else:
                self.former.add((place.wave_pk, user))

    def is_in(self, wave: Wave, user: ConferencingUser) -> bool:
        place = self.current.get(user.pk)
        return place is not None and place.wave_pk == wave.pk

    def was_in(self, wave: Wave, user: ConferencingUser) -> bool:
        """Whether the user was excluded from the wave, or moved back with it."""
        return (wave.pk, user.pk) in self.former

    def why_not(self, wave: Wave, user: ConferencingUser, *, may_leave: bool = False) -> Sentence | None:
        """Why the user cannot be added to the wave of the rollout; None where they can.

        ``may_leave``: a place in another wave of the rollout, which has not started, is in nobody's way.
        """
        rollout = wave.rollout
        place = self.current.get(user.pk)
        if place is not None and place.rollout_pk != rollout.pk:
            return sentence(
                "%(upn)s is in the wave %(wave)s of the rollout %(rollout)s, which has not ended: a user is in one "
                "rollout at a time.",
                upn=user.upn,
                wave=place.wave_name,
                rollout=place.rollout_name,
            )
        if place is not None and not (may_leave and not place.has_started):
            return sentence(
                "%(upn)s is in the wave %(wave)s of this rollout already: take them out there first.",
                upn=user.upn,
                wave=place.wave_name,
            )
        if self.was_in(wave, user):
            return sentence(
                "%(upn)s was in the wave %(wave)s already, and was excluded or rolled back: choose a later wave.",
                upn=user.upn,
                wave=wave.name,
            )
        if user.deployment_id != rollout.legacy_id:
            return sentence(
                "%(upn)s does not belong to %(legacy)s, from where this rollout moves users.",
                upn=user.upn,
                legacy=rollout.legacy.name,
            )
        return None


def candidates(wave: Wave) -> QuerySet[ConferencingUser] | None:
    """The users who join the wave by its filter, or because it takes whoever is left; None where it does neither.

    Left out is who has a place already, or was in this wave. Raises ``ValidationError`` where the filter asks for what
    is not there any more.
    """
    rollout = wave.rollout
    if not (wave.takes_rest or wave.saved_query):
        return None
    users: QuerySet[ConferencingUser] = ConferencingUser.objects.filter(tenant=rollout.tenant_id)
    if not wave.takes_rest:
        users = find_users(rollout.tenant, wave.saved_query)
    place = WaveMember.objects.filter(user=OuterRef("pk"))
    return users.filter(~Exists(place.filter(is_current=True)), deployment=rollout.legacy_id).exclude(
        Exists(place.filter(wave=wave))
    )
