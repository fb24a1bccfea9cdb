"""Which number of another bridge takes the place of one that a user leaves behind: one of the same country."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from tenants_app.models import Bridge, ServiceNumber


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


def number_after_move(own: ServiceNumber | None, default: ServiceNumber | None, target: Bridge) -> ServiceNumber | None:
    """The number of their own that somebody has on ``target``; None for its default, or where there is none.

    ``own`` is theirs on the bridge that they leave. Who has none has that bridge's ``default``, and gets the new one's,
    unless that is of another country and the new bridge has a number of theirs. ``target.numbers`` should be loaded.
    """
    old, follows = own or default, target.default_number
    if old is None or (own is None and follows is not None and _is_of_same_country(old, follows)):
        return None
    return numbers_by_country([old], target.numbers.all()).get(old)


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
    return _region_of(number.number)


@lru_cache(maxsize=10_000)
def _region_of(e164: str) -> str:
    import phonenumbers  # few commands need it

    parsed = phonenumbers.parse(e164)
    return phonenumbers.region_code_for_number(parsed) or f"+{parsed.country_code}"
