"""Which number of another bridge takes the place of one that a user leaves behind."""

from __future__ import annotations

import pytest

from tenants_app.changes.numbers_by_country import numbers_by_country
from tenants_app.models import ServiceNumber


def number(e164: str, country: str = "", city: str = "", kind: str = "toll", **more: bool) -> ServiceNumber:
    return ServiceNumber(pk=int(e164), number=e164, country=country, city=city, kind=kind, **more)


MILAN = number("+390212345678", "Italy", "Milan")
MILAN_TOO = number("+390212345679", "Italy", "milan")
ROME = number("+390612345678", "ITALY", "Rome", is_default=True)
PLAIN_ROME = number("+390612345999")
LONDON = number("+442079460123", "United Kingdom", "London")
FREE = number("+448081570123", "United Kingdom", kind="toll-free")
LEAVING = number("+390112345678", "Italy", "Turin", is_leaving=True)
SEATTLE = number("+12065550123", "United States", "Seattle")
TORONTO = number("+14165550123", "Canada", "Toronto")
CANADIAN = number("+18005550123", "Canada", kind="toll-free")
CALLED_USA = number("+13125550123", "USA", "Chicago")


@pytest.mark.parametrize(
    ("old", "new", "chosen"),
    [
        (number("+390299999999", "Italy", "Milan"), [ROME, MILAN_TOO, MILAN, LONDON], MILAN),  # the city, the lowest
        (number("+390819999999", "Italy", "Naples"), [MILAN, ROME], ROME),  # the default
        (number("+390819999999", "italy"), [MILAN_TOO, MILAN], MILAN),  # the lowest
        (number("+390119999999", "Italy", "Turin"), [LEAVING, MILAN], MILAN),  # not one that is leaving
        (number("+390119999999", "Italy", "Turin"), [LEAVING], None),
        (number("+390819999999", "Italy"), [LONDON, FREE], None),
        (number("+442079999999", "United Kingdom"), [FREE], None),  # not of another kind
        (number("+448089999999", "United Kingdom", kind="toll-free"), [LONDON, FREE], FREE),
        (number("+390819999999"), [MILAN], MILAN),  # where nothing was entered, by the number itself
        (number("+390819999999", "Italy"), [PLAIN_ROME], PLAIN_ROME),
        (number("+14259999999"), [TORONTO, SEATTLE], SEATTLE),  # countries that share a calling code
        (number("+14259999999", "United States"), [TORONTO, CALLED_USA], CALLED_USA),  # spelled in another way
        (number("+18009999999", "United States", kind="toll-free"), [CANADIAN], None),  # taken at its word
        (number("+18009999999", kind="toll-free"), [CANADIAN], CANADIAN),
        (number("+14259999999", "United States"), [], None),
    ],
)
def test_it_is_of_the_same_kind_and_country(
    old: ServiceNumber, new: list[ServiceNumber], chosen: ServiceNumber | None
) -> None:
    assert numbers_by_country([old], new).get(old) is chosen
