"""Which numbers users will have when they are moved to another bridge, told before it is done. Only reads."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet, prefetch_related_objects

from tenants_app.changes.numbers_by_country import number_after_move, numbers_by_country
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant


@dataclass(frozen=True, slots=True)
class Exchange:
    """A number of users who are moved, and what takes its place."""

    kind: str
    old: ServiceNumber | None
    """None where the old bridge, if any, has no number at all to print."""
    is_old_default: bool
    """Whether they have it because it is their bridge's default."""
    new: ServiceNumber | None
    """None where nothing takes its place: no toll-free number, or no default to print."""
    is_default: bool
    """Whether they get it because it is the new bridge's default."""
    is_match: bool
    """Whether it was chosen by its country."""
    users: int


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The numbers of all who are moved, the most frequent first."""

    rows: list[Exchange]

    @property
    def without_match(self) -> int:
        """Users who had a toll number, and get the default one for lack of a number of the same country."""
        return sum(
            row.users for row in self.rows if row.kind == ServiceNumber.Kind.TOLL and row.old and not row.is_match
        )

    @property
    def without_toll_free(self) -> int:
        """Users who lose their toll-free number for lack of one of the same country."""
        return sum(row.users for row in self.rows if row.kind == ServiceNumber.Kind.TOLL_FREE and not row.is_match)

    @property
    def key(self) -> str:
        """What a page carries along, so that it can be told whether the same numbers would be chosen still."""
        chosen = {f"{row.old.pk}-{row.new.pk if row.new else 0}" for row in self.rows if row.old}
        return " ".join(sorted(chosen))


def foresee_numbers(tenant: Tenant, users: QuerySet[ConferencingUser], target: Bridge) -> Exchanges:
    """What becomes of the numbers of the tenant's ``users`` who are not on ``target`` yet."""
    numbers = ServiceNumber.objects.filter(tenant=tenant).in_bulk()
    defaults = {number.bridge_id: number for number in numbers.values() if number.is_default}
    prefetch_related_objects([target], "numbers")
    moving = users.exclude(bridge=target).order_by()
    rows = []
    for bridge, own, count in moving.values_list("bridge", "toll_number").annotate(Count("pk")):
        old = numbers.get(own or 0) or defaults.get(bridge)
        chosen = number_after_move(numbers.get(own or 0), defaults.get(bridge), target)
        rows.append(
            Exchange(
                kind=ServiceNumber.Kind.TOLL,
                old=old,
                is_old_default=own is None,
                new=chosen or target.default_number,
                is_default=chosen is None,
                is_match=bool(old and numbers_by_country([old], target.numbers.all())),
                users=count,
            )
        )
    having = moving.exclude(toll_free_number=None)
    for own, count in having.values_list("toll_free_number").annotate(Count("pk")):
        new = number_after_move(numbers[own], None, target)
        rows.append(
            Exchange(
                kind=ServiceNumber.Kind.TOLL_FREE,
                old=numbers[own],
                is_old_default=False,
                new=new,
                is_default=False,
                is_match=new is not None,
                users=count,
            )
        )
    return Exchanges(sorted(rows, key=lambda row: -row.users))
