"""Who depends on a service number (R32)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.db.models import Count, F, Q, QuerySet

from tenants_app.models import ConferencingUser, InvitedNumber, ServiceNumber


def dependants(number: ServiceNumber) -> QuerySet[ConferencingUser]:
    """Users who have the number, as their own or as their bridge's default, or whose invitations may show it (R32)."""
    by_default = Q(toll_number=None, bridge=number.bridge_id) if number.is_default else Q()
    return ConferencingUser.objects.filter(tenant=number.tenant_id).filter(has_or_shows(number) | by_default)


def has_or_shows(number: ServiceNumber) -> Q:
    """Whether a user has the number as their own, or invitations that may show it."""
    users = ConferencingUser.objects.order_by()
    # Three small answers, each by an index, put together: as three conditions they would be asked of every user.
    toll, toll_free = users.filter(toll_number=number).values("pk"), users.filter(toll_free_number=number).values("pk")
    return Q(pk__in=toll.union(toll_free, InvitedNumber.objects.filter(number=number).values("user")))


def count_dependants(numbers: QuerySet[ServiceNumber]) -> Mapping[int, int]:
    """By the key of each number: users who have it, as their own or as their bridge's default, or whose invitations
    may show it. A user counts once for each number; a number on which nobody depends counts 0.
    """
    numbers = numbers.order_by()
    # A user has a number in one way only, so the first counts can be added up. Those who only show it come on top.
    has_it = Q(user__toll_number=F("number")) | Q(user__toll_free_number=F("number"))
    has_it_by_default = Q(number__is_default=True, user__toll_number=None, user__bridge=F("number__bridge"))
    shown_only = InvitedNumber.objects.filter(number__in=numbers).exclude(has_it | has_it_by_default)
    counts: Counter[int] = Counter()
    for pairs in (
        numbers.values_list("pk").annotate(Count("toll_users")),
        numbers.values_list("pk").annotate(Count("toll_free_users")),
        numbers.filter(is_default=True)
        .values_list("pk")
        .annotate(users=Count("bridge__users", filter=Q(bridge__users__toll_number=None))),
        shown_only.order_by().values_list("number").annotate(Count("pk")),
    ):
        counts.update(dict(pairs))
    return counts
