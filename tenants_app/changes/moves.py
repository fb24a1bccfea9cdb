"""What a move to another deployment sets of a user (R62): hosting, bridge and numbers, by a mapping (R61)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from tenants_app.changes.numbers_by_country import number_after_move
from tenants_app.models import Bridge, ConferencingUser, Deployment, ServiceNumber, Tenant
from tenants_app.sentences import sentence

NUMBERS = ("toll_number", "toll_free_number")
"""The fields of a user that are numbers of their bridge."""


_DEFAULTS = ("default_bridge", "default_toll_number", "default_toll_free_number")


@dataclass(frozen=True, slots=True)
class MoveMapping:
    """Which bridge and which number of the new deployment take the place of which of the legacy one (R61).

    Where nothing is named: a bridge of the new deployment, or of none, stays; of another deployment's the user comes to
    ``default_bridge``, else to the first of the new deployment's, else to the tenant's default. A number follows to one
    of the same country.
    """

    bridges: Mapping[int, int] = field(default_factory=dict)
    """By the key of the old bridge that of the new one."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """By the old number the new one, both in E.164."""
    default_bridge: int | None = None
    """The key of the bridge for everybody whose bridge is not named, and is not one of the new deployment."""
    default_toll_number: str | None = None
    """For whose number is not named and who come to the bridge that has it; in E.164."""
    default_toll_free_number: str | None = None
    """The same for those who had a toll-free number."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> MoveMapping:
        """The mapping as :attr:`stored` has it."""
        bridges = {int(old): int(new) for old, new in stored.get("bridges", {}).items()}
        defaults = {name: stored.get(name) for name in _DEFAULTS}
        return cls(bridges, dict(stored.get("numbers", {})), **defaults)

    @property
    def stored(self) -> dict[str, Any]:
        """As JSON keeps it, whose keys are texts."""
        bridges = {str(old): new for old, new in self.bridges.items()}
        defaults = {name: getattr(self, name) for name in _DEFAULTS}
        return {"bridges": bridges, "numbers": dict(self.numbers), **defaults}

    def reversed(self) -> MoveMapping:
        """The way back (R84). Of several that have become one the first is named: whoever knows what a user had before
        says it in the values of the edit."""
        bridges: dict[int, int] = {}
        numbers: dict[str, str] = {}
        for old, new in self.bridges.items():
            bridges.setdefault(new, old)
        for old_number, new_number in self.numbers.items():
            numbers.setdefault(new_number, old_number)
        return MoveMapping(bridges, numbers)


NO_MAPPING = MoveMapping()


class Route:
    """A move to one deployment by one mapping, with the rows that it leads to. Making it checks both."""

    def __init__(self, tenant: Tenant, deployment: Deployment, mapping: MoveMapping) -> None:
        """Raises ``ValidationError`` where nobody can be moved so. It asks the database as much for many users as for
        one, and only reads."""
        self.deployment, self._mapping = deployment, mapping
        check_can_be_joined(tenant, deployment)
        self._bridges = _bridges_of(tenant)
        self._numbers = _numbers_of(tenant, mapping)
        self._check()

    def values(self, user: ConferencingUser, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the move beside those that were ``given``; ``user`` is as before, with the bridge's numbers."""
        values: dict[str, Any] = {"hosting": self.deployment.kind, **given}
        if "bridge" not in given:
            values["bridge"] = self._bridge(user.bridge)
        bridge = values["bridge"]
        if bridge is None or user.bridge is None:
            return values
        for name in NUMBERS:
            if name not in given:
                values |= self._number(user, name, user.bridge, bridge)
        return values

    def _bridge(self, old: Bridge | None) -> Bridge | None:
        if old is None:
            return None
        if old.pk in self._mapping.bridges:
            return self._bridges[self._mapping.bridges[old.pk]]
        if old.deployment_id == self.deployment.pk:
            return old
        if self._mapping.default_bridge is not None:
            return self._bridges[self._mapping.default_bridge]
        return old if old.deployment_id is None else self._first or self._usual or old

    @property
    def _first(self) -> Bridge | None:
        """The bridge of the new deployment where nothing is said: the tenant's default, or the first by name."""
        own = [bridge for bridge in self._bridges.values() if bridge.deployment_id == self.deployment.pk]
        return min(own, key=lambda bridge: (not bridge.is_default, bridge.name.casefold()), default=None)

    @property
    def _usual(self) -> Bridge | None:
        """The tenant's default bridge, where it belongs to no deployment."""
        bridges = self._bridges.values()
        return next((bridge for bridge in bridges if bridge.is_default and bridge.deployment_id is None), None)

    def _number(self, user: ConferencingUser, name: str, old: Bridge, new: Bridge) -> dict[str, ServiceNumber | None]:
        """The number in the field of that name, where the move says one."""
        own: ServiceNumber | None = getattr(user, name)
        default = old.default_number if name == "toll_number" else None
        had = own or default
        if had is not None and had.number in self._mapping.numbers:
            mapped = self._numbers[self._mapping.numbers[had.number]]
            return {name: None if own is None and mapped.is_default and mapped.bridge_id == new.pk else mapped}
        if old == new:
            return {}
        usual = self._numbers.get(getattr(self._mapping, f"default_{name}") or "")
        if had is not None and usual is not None and usual.bridge_id == new.pk:
            return {name: None if usual.is_default else usual}
        return {name: number_after_move(own, default, new)}

    def _check(self) -> None:
        """The mapping leads to bridges and numbers that a user can have there."""
        for old, new in self._mapping.bridges.items():
            for key in (old, new):
                if key not in self._bridges:
                    raise ValidationError(_GONE)
        default = self._mapping.default_bridge
        if default is not None and default not in self._bridges:
            raise ValidationError(_GONE)
        for key in {*self._mapping.bridges.values(), *([default] if default is not None else [])}:
            bridge = self._bridges[key]
            if bridge.deployment_id not in {None, self.deployment.pk}:
                raise ValidationError(
                    sentence(
                        "%(bridge)s belongs to another deployment than %(deployment)s: map to a bridge of its own.",
                        bridge=bridge.name,
                        deployment=self.deployment.name,
                    )
                )
        for name, kind in zip(NUMBERS, ServiceNumber.Kind, strict=True):
            self._check_default(getattr(self._mapping, f"default_{name}"), kind)
        for old_number, new_number in self._mapping.numbers.items():
            self._check_number(old_number, new_number)

    def _check_default(self, number: str | None, kind: str) -> None:
        if number is None:
            return
        row = self._numbers.get(number)
        if row is None:
            raise ValidationError(sentence("%(number)s is not a service number: correct the mapping.", number=number))
        if row.kind != kind:
            raise ValidationError(
                sentence("%(number)s is not of the kind that it is the default for: choose another.", number=number)
            )
        if row.is_leaving:
            raise ValidationError(
                sentence("%(number)s is being taken off the bridge: map to another one.", number=number)
            )

    def _check_number(self, old_number: str, new_number: str) -> None:
        old, new = self._numbers.get(old_number), self._numbers.get(new_number)
        if old is None or new is None:
            missing = old_number if old is None else new_number
            raise ValidationError(sentence("%(number)s is not a service number: correct the mapping.", number=missing))
        bridge = self._bridge(self._bridges[old.bridge_id])
        if bridge is not None and new.bridge_id != bridge.pk:
            raise ValidationError(
                sentence(
                    "%(new)s is not a number of %(bridge)s, where users with %(old)s come to: map it to one that is.",
                    new=new.number,
                    old=old.number,
                    bridge=bridge.name,
                )
            )
        if new.kind != old.kind:
            raise ValidationError(
                sentence(
                    "%(new)s is not of the kind of %(old)s: map toll to toll, and toll-free to toll-free.",
                    new=new.number,
                    old=old.number,
                )
            )
        if new.is_leaving:
            raise ValidationError(
                sentence("%(number)s is being taken off the bridge: map to another one.", number=new.number)
            )


_GONE = sentence("A bridge of the mapping is not there any more: correct the mapping.")


class Routes:
    """The routes of one change of many users, each made once."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._known: dict[tuple[int, int], Route] = {}

    def of_change(
        self, user: ConferencingUser, values: Mapping[str, Any], mapping: MoveMapping = NO_MAPPING
    ) -> Route | None:
        """The route of a user whom the change ``values`` moves to another deployment; None where it does not."""
        deployment: Deployment | None = values.get("deployment")
        if deployment is None or deployment.pk == user.deployment_id:
            return None
        key = deployment.pk, id(mapping)  # the edits of one change keep their mappings as long as it lasts
        if key not in self._known:
            self._known[key] = Route(self._tenant, deployment, mapping)
        return self._known[key]


def of_new_user(tenant: Tenant, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a user who is made; one in a deployment is hosted as it is."""
    deployment: Deployment | None = values.get("deployment")
    if deployment is None:
        return values
    check_can_be_joined(tenant, deployment)
    return {"hosting": deployment.kind, **values}


def check_can_be_joined(tenant: Tenant, deployment: Deployment) -> None:
    """Raise ``ValidationError`` where nobody of the tenant can be moved to the deployment."""
    if deployment.tenant_id != tenant.pk:
        raise ValidationError(
            {
                "deployment": sentence(
                    "%(tenant)s has no deployment %(deployment)s: choose one of its own.",
                    tenant=tenant.name,
                    deployment=deployment.name,
                )
            }
        )
    if deployment.retired_at is not None:
        raise ValidationError(
            {
                "deployment": sentence(
                    "Nobody can be moved to %(deployment)s: it has been retired since %(since)s.",
                    deployment=deployment.name,
                    since=deployment.retired_at,
                )
            }
        )


def check_mapping(tenant: Tenant, deployment: Deployment, mapping: MoveMapping) -> None:
    """Raise ``ValidationError`` with the reason where nobody can be moved to the deployment by the mapping."""
    Route(tenant, deployment, mapping)


def _bridges_of(tenant: Tenant) -> dict[int, Bridge]:
    """The tenant's bridges with their numbers, by key: of them there are few."""
    bridges: QuerySet[Bridge] = Bridge.objects.filter(tenant=tenant).prefetch_related("numbers")
    return {bridge.pk: bridge for bridge in bridges}


def _numbers_of(tenant: Tenant, mapping: MoveMapping) -> dict[str, ServiceNumber]:
    """The numbers that the mapping names, by themselves."""
    named = {*mapping.numbers, *mapping.numbers.values(), mapping.default_toll_number, mapping.default_toll_free_number}
    named -= {None}
    if not named:
        return {}
    return {row.number: row for row in ServiceNumber.objects.filter(tenant=tenant, number__in=named)}
