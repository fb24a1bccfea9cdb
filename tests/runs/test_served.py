"""Whom MMS cannot serve (R15 to R17): the rules and the database give the same answer for every user."""

from __future__ import annotations

from itertools import product
from typing import Any

from migrations_app.runs.served import not_served
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.bridges import set_bridge
from tenants_app.models import Bridge, ConferencingUser, Tenant
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
