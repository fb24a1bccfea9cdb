"""Which number of another bridge takes the place of one that a user leaves behind: one of the same country."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import phonenumbers

from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant


def numbers_by_country(
    old: Iterable[ServiceNumber], new: Iterable[ServiceNumber]
) -> Mapping[ServiceNumber, ServiceNumber]:
    """For each of the ``old`` numbers the ``new`` one of its kind and country; those without any are absent.

    Where several are of the country, one of the same city goes first, then the bridge's default, then the lowest.
    None is on its way off its bridge. Reads nothing but what it is given.
    """
    offered = sorted((each for each in new if not each.is_leaving), key=lambda each: each.number)
    found = {}
    for number in old:
        alike = [each for each in offered if each.kind == number.kind and _is_of_same_country(each, number)]
        if alike:
            preferred = [each for each in alike if _is_of_same_city(each, number)] or alike
            found[number] = next((each for each in preferred if each.is_default), preferred[0])
    return found


def _is_of_same_country(one: ServiceNumber, other: ServiceNumber) -> bool:
    """By what was entered, or by the numbers themselves: the same country may be spelled in two ways.

    Toll-free numbers of several countries look alike, so there what was entered is taken at its word.
    """
    if one.country and other.country:
        if one.country.casefold() == other.country.casefold():
            return True
        if one.kind == ServiceNumber.Kind.TOLL_FREE:
            return False
    return _region(one) == _region(other)


def _is_of_same_city(one: ServiceNumber, other: ServiceNumber) -> bool:
    return bool(one.city) and one.city.casefold() == other.city.casefold()


def _region(number: ServiceNumber) -> str:
    """The region of the numbering plan, such as ``IT``; of a number in none of them, the country's calling code."""
    parsed = phonenumbers.parse(number.number)
    return phonenumbers.region_code_for_number(parsed) or f"+{parsed.country_code}"


class NumbersOfMove(NamedTuple):
    """Which numbers users get who are moved to a bridge."""

    old: Mapping[int, ServiceNumber]
    """The numbers of the other bridges, by their keys."""
    by_number: Mapping[int, ServiceNumber]
    """For the key of a number of another bridge, the one that takes its place: of the same kind and country."""
    defaults: Mapping[int, int]
    """The key of each bridge's default number, by the key of the bridge."""
    target_default: ServiceNumber | None

    @classmethod
    def of(cls, tenant: Tenant, target: Bridge) -> NumbersOfMove:
        """As the tenant's numbers are now."""
        numbers = list(ServiceNumber.objects.filter(tenant=tenant))
        old = [number for number in numbers if number.bridge_id != target.pk]
        new = [number for number in numbers if number.bridge_id == target.pk]
        return cls(
            {number.pk: number for number in old},
            {number.pk: successor for number, successor in numbers_by_country(old, new).items()},
            {number.bridge_id: number.pk for number in old if number.is_default},
            next((number for number in new if number.is_default), None),
        )

    def of_user(self, user: ConferencingUser) -> dict[str, ServiceNumber | None]:
        """The user's numbers on the new bridge, by the fields of the user; None is the default, or no number."""
        return {
            "toll_number": self.toll(user.bridge_id, user.toll_number_id),
            "toll_free_number": self.by_number.get(user.toll_free_number_id or 0),
        }

    def toll(self, bridge: int | None, own: int | None) -> ServiceNumber | None:
        """For somebody on this bridge with this number of their own (keys). Who had the old bridge's default has the
        new one's, unless that is of another country and the new bridge has a number of theirs."""
        if own is None:
            old = self.old.get(self.defaults.get(bridge or 0, 0))
            if old is None or (self.target_default and _is_of_same_country(old, self.target_default)):
                return None
            own = old.pk
        return self.by_number.get(own)
