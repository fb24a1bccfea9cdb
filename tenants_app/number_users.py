"""How many users depend on each of many service numbers (R32), in a few questions however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.db.models import Count, F, Q, QuerySet

from tenants_app.models import InvitedNumber, ServiceNumber


def count_dependants(numbers: QuerySet[ServiceNumber]) -> Mapping[int, int]:
    """By the key of each number: users who have it, as their own or as their bridge's default, or whose invitations
    may show it. A user counts once for each number; a number on which nobody depends counts 0.
    """
    numbers = numbers.order_by()
    # What a user has excludes the other ways to have it, so these can be added up; who only shows it comes on top.
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
