"""Whom a filter of the user list finds: by what pages ask for, and by a filter that is kept, without any page (R66)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from migrations_app.failures import FAILED
from migrations_app.models import LeftMeeting, Run
from migrations_app.runs.failed import failed_runs
from migrations_app.runs.left import to_come
from tenants_app.dependants import dependants
from tenants_app.folding import any_contains
from tenants_app.models import OUT_OF_DATE, Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import MICROSOFT

Users = QuerySet[ConferencingUser]

NEVER = "never"
NO_BRIDGE = "none"
NO_DEPLOYMENT = "none"
ANY_THIRD_PARTY = "third-party"
YES, NO, UNDO_HOLDS = "yes", "no", "undo"
ANYTHING = "any"
SHORTEST_NUMBER = 8
"""Digits, with the country's: what is shorter is looked for as a conference ID."""
NAMES = ("display_name", "upn", "sip_address")
"""Of a user, what a search by name looks at."""


def by_name(tenant: Tenant, users: Users, value: str) -> Users:
    """By a part of a name, by a conference ID, or by a number on which they depend."""
    found = Q(any_contains(value, *NAMES))
    if value.isdecimal():
        having = ConferenceId.objects.filter(bridge__in=tenant.bridges.all(), digits=value)
        found |= Q(pk__in=having.values("user"))
    digits = re.sub(r"[^0-9]", "", value).removeprefix("00")
    if len(digits) >= SHORTEST_NUMBER:
        for number in tenant.service_numbers.select_related("bridge"):
            if number.number[1:] == digits:
                found |= Q(pk__in=dependants(number).values("pk"))
    return users.filter(found)


def by_state(tenant: Tenant, users: Users, value: str) -> Users:
    """By the state of their latest run."""
    latest = Run.objects.filter(tenant=tenant, is_latest=True)
    if value == NEVER:
        return users.filter(~Exists(latest.filter(user=OuterRef("pk"))))
    if value == Run.State.SUCCEEDED:  # of nearly everybody: the list of all their keys would be long
        return users.filter(Exists(latest.filter(user=OuterRef("pk"), state=value)))
    return users.filter(pk__in=latest.filter(state=value).values("user"))


def by_failure(tenant: Tenant, users: Users, value: str) -> Users:
    """By the code by which their latest run failed, and nobody has accepted it."""
    runs = failed_runs(tenant, "" if value == ANYTHING else value).filter(accepted_at=None)
    return users.filter(pk__in=runs.order_by().values("user"))


def by_invitations(tenant: Tenant, users: Users, value: str) -> Users:
    """By whether their invitations say what they should (R36)."""
    if value == UNDO_HOLDS:
        return users.filter(undo_holds=True)
    return users.filter(OUT_OF_DATE, upn__gt="") if value == YES else users.filter(~OUT_OF_DATE)


def by_left(tenant: Tenant, users: Users, value: str) -> Users:
    """By whether meetings of theirs need a person."""
    having = Q(pk__in=to_come(tenant).filter(state=LeftMeeting.State.OPEN).values("user"))
    return users.filter(having if value == YES else ~having)


def by_number(tenant: Tenant, users: Users, value: ServiceNumber) -> Users:
    """Who depends on the number."""
    return users.filter(pk__in=dependants(value).values("pk"))


def by_provider(tenant: Tenant, users: Users, value: str) -> Users:
    """Who has no provider of their own has that of their bridge, as a run sees it (R16)."""
    theirs = Bridge.objects.filter(tenant=tenant).exclude(provider="")
    if value == MICROSOFT:
        return users.filter(conferencing_provider="").exclude(bridge__in=theirs)
    if value == ANY_THIRD_PARTY:
        return users.filter(~Q(conferencing_provider="") | Q(bridge__in=theirs))
    by_bridge = Q(conferencing_provider="", bridge__in=theirs.filter(provider=value))
    return users.filter(Q(conferencing_provider=value) | by_bridge)


def third_parties(tenant: Tenant) -> list[str]:
    """The other providers than Microsoft that the tenant's users and bridges have."""
    of_users = tenant.users.exclude(conferencing_provider="").order_by().values_list("conferencing_provider", flat=True)
    of_bridges = tenant.bridges.exclude(provider="").order_by().values_list("provider", flat=True)
    return sorted(of_users.union(of_bridges), key=str.casefold)


class _NotUnderstood(Exception):
    """A value that the filter does not know, or does not know any more."""


def _one_of(choices: Callable[[Tenant], object], find: Callable[[Tenant, Users, str], Users]) -> _Criterion:
    def by(tenant: Tenant, users: Users, value: str) -> Users:
        if value not in choices(tenant):  # type: ignore[operator]
            raise _NotUnderstood
        return find(tenant, users, value)

    return by


def _on_bridge(tenant: Tenant, users: Users, value: str) -> Users:
    if value == NO_BRIDGE:
        return users.filter(bridge=None)
    bridge = tenant.bridges.filter(pk=value).first() if _is_key(value) else None
    if bridge is None:
        raise _NotUnderstood
    return users.filter(bridge=bridge)


def _of_deployment(tenant: Tenant, users: Users, value: str) -> Users:
    if value == NO_DEPLOYMENT:
        return users.filter(deployment=None)
    deployment = tenant.deployments.filter(pk=value).first() if _is_key(value) else None
    if deployment is None:
        raise _NotUnderstood
    return users.filter(deployment=deployment)


def _with_number(tenant: Tenant, users: Users, value: str) -> Users:
    number = tenant.service_numbers.select_related("bridge").filter(pk=value).first() if _is_key(value) else None
    if number is None:
        raise _NotUnderstood
    return by_number(tenant, users, number)


def _is_key(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 19


_Criterion = Callable[[Tenant, Users, str], Users]

CRITERIA: Mapping[str, _Criterion] = MappingProxyType(
    {
        "q": by_name,
        "state": _one_of(lambda tenant: {*Run.State.values, NEVER}, by_state),
        "failed_by": _one_of(lambda tenant: {ANYTHING, *FAILED}, by_failure),
        "out_of_date": _one_of(lambda tenant: {YES, NO, UNDO_HOLDS}, by_invitations),
        "bridge": _on_bridge,
        "deployment": _of_deployment,
        "number": _with_number,
        "provider": _one_of(lambda tenant: {MICROSOFT, ANY_THIRD_PARTY, *third_parties(tenant)}, by_provider),
        "left": _one_of(lambda tenant: {YES, NO}, by_left),
    }
)
"""What a filter of the user list may ask, by the names that it has in the list's address."""
_LONGEST = 320


def asked_of(query: str) -> dict[str, str]:
    """What a filter asks, of the query of the list's address: names of :data:`CRITERIA` with their values."""
    asked = QueryDict(query.lstrip("?"))
    return {name: str(asked[name]).strip() for name in CRITERIA if str(asked.get(name, "")).strip()}


def find_users(tenant: Tenant, query: str) -> QuerySet[ConferencingUser]:
    """The users whom the list shows with this filter. Raises ``ValidationError`` where it asks for nothing, or for
    what is not there any more: nobody is found by a filter that says less than somebody meant.
    """
    asked = asked_of(query)
    if not asked:
        raise ValidationError(sentence("The filter asks for nothing, so it would find everybody: choose another."))
    users: Users = ConferencingUser.objects.filter(tenant=tenant)
    for name, value in asked.items():
        try:
            if len(value) > _LONGEST or "\0" in value:
                raise _NotUnderstood
            users = CRITERIA[name](tenant, users, value)
        except _NotUnderstood:
            raise ValidationError(
                sentence(
                    "The filter asks for something that is not there any more (%(name)s): open the user list, choose "
                    "a filter, and set it again.",
                    name=name,
                )
            ) from None
    return users
