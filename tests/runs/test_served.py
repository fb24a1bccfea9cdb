"""Whom MMS cannot serve (R15 to R17): the rules and the database give the same answer for every user."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from migrations_app.runs.served import not_served
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.bridges import set_bridge
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, Tenant
from tenants_app.user_settings import UserSettings
from tests.support.actors import ACTOR


def test_r15_r17_the_database_finds_whom_the_rules_refuse(tenant: Tenant, old_bridge: Bridge, make_user: Any) -> None:
    foreign = set_bridge(tenant, "Asia", ACTOR, provider="Fabrikam")
    places = ("online", "on-premises")
    for number, (hosting, mailbox, provider, bridge) in enumerate(
        product(places, places, ("", "Fabrikam"), (None, old_bridge, foreign))
    ):
        make_user(
            f"user{number}",
            hosting=hosting,
            mailbox_location=mailbox,
            conferencing_provider=provider,
            bridge=bridge,
            audio_conferencing_license=False,
        )
    users = ConferencingUser.objects.select_related("bridge")
    refused = {user for user in users if why_not_served(UserSettings.of(user))}

    assert users.count() == 24
    assert len(refused) == 22
    assert set(ConferencingUser.objects.filter(not_served())) == refused


@pytest.mark.parametrize("default", ["", *MailboxConnection.Kind.values])
def test_r15_a_mailbox_on_premises_is_served_by_a_connection_that_leads_there(
    tenant: Tenant, make_users: Any, default: str
) -> None:
    """The user's own connection goes before the tenant's; Exchange Online does not lead to a mailbox on-premises, and
    of a mailbox online R15 says nothing."""
    of_kind: dict[str, MailboxConnection | None] = {"": None}
    for kind in MailboxConnection.Kind.values:
        of_kind[kind] = MailboxConnection.objects.get_or_create(tenant=tenant, kind=kind, defaults={"name": kind})[0]
    tenant.mailbox = of_kind[default]
    tenant.save()
    cases = {f"of-{own}.{place}": (own, place) for own, place in product(of_kind, ("online", "on-premises"))}
    make_users({name: {"mailbox": of_kind[own], "mailbox_location": place} for name, (own, place) in cases.items()})
    users = ConferencingUser.objects.select_related("bridge", "mailbox", "tenant__mailbox")
    leads_there = {"caldav", "exchange"}
    wanted = {
        name for name, (own, place) in cases.items() if place == "on-premises" and (own or default) not in leads_there
    }

    assert {user.upn.partition("@")[0] for user in users if why_not_served(UserSettings.of(user))} == wanted
    assert {user.upn.partition("@")[0] for user in users.filter(not_served())} == wanted
