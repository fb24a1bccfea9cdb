"""Which bridge and number take the place of which (R61)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from migrations_app.models import BridgeMapping, NumberMapping, Rollout
from migrations_app.rollouts.mapping import change_mapping, mapping_of
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import AuditEntry, Bridge, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_deployment, a_rollout, belong_to


@pytest.fixture
def rollout(tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge) -> Rollout:
    rollout = a_rollout(tenant)
    belong_to(rollout.legacy, [], old_bridge)
    belong_to(rollout.new, [], new_bridge)
    old_bridge.refresh_from_db()
    new_bridge.refresh_from_db()
    return rollout


def number(e164: str) -> ServiceNumber:
    return ServiceNumber.objects.select_related("bridge").get(number=e164)


def change(rollout: Rollout, **values: Any) -> None:
    change_mapping(rollout, ACTOR, **values)


def test_lines_and_defaults_become_the_mapping_of_moves_r61(
    rollout: Rollout, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    change(
        rollout,
        bridges={old_bridge: new_bridge},
        numbers={number("+14255550100"): number("+442079460123")},
        default_bridge=new_bridge,
        default_toll_free_number=number("+448081570123"),
    )
    mapping = mapping_of(Rollout.objects.get())
    assert mapping.bridges == {old_bridge.pk: new_bridge.pk}
    assert mapping.numbers == {"+14255550100": "+442079460123"}
    assert (mapping.default_bridge, mapping.default_toll_number) == (new_bridge.pk, None)
    assert mapping.default_toll_free_number == "+448081570123"
    entry = AuditEntry.objects.get(action="change rollout mapping")
    assert entry.after["Old bridge"] == "New bridge"
    assert entry.after["+14255550100"] == "+442079460123"
    change(rollout, bridges={old_bridge: None}, numbers={number("+14255550100"): None}, default_bridge=None)
    assert not BridgeMapping.objects.exists()
    assert not NumberMapping.objects.exists()
    assert mapping_of(Rollout.objects.get()).default_bridge is None
    change(rollout, bridges={old_bridge: None})
    assert AuditEntry.objects.filter(action="change rollout mapping").count() == 2


def refused(rollout: Rollout, **values: Any) -> str:
    with pytest.raises(ValidationError) as error:
        change(rollout, **values)
    assert not BridgeMapping.objects.exists()
    assert not NumberMapping.objects.exists()
    return " ".join(error.value.messages)


def test_a_line_leads_from_the_legacy_deployment_to_the_new_one_r61(
    rollout: Rollout, old_bridge: Bridge, new_bridge: Bridge, tenant: Tenant
) -> None:
    third = set_bridge(tenant, "Third bridge", ACTOR)
    belong_to(a_deployment(tenant, "new", name="Third"), [], third)
    third.refresh_from_db()
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    theirs = set_bridge(other, "Their bridge", ACTOR)
    assert refused(rollout, bridges={old_bridge: third}) == (
        "Third bridge belongs to another deployment than New service: choose one of its bridges."
    )
    assert "another deployment than Old pool" in refused(rollout, bridges={new_bridge: new_bridge})
    assert "another deployment than New service" in refused(rollout, default_bridge=third)
    assert "Contoso has no bridge Their bridge" in refused(rollout, bridges={old_bridge: theirs})


def test_a_number_leads_to_one_of_the_bridge_and_of_the_kind_r61(
    rollout: Rollout, old_bridge: Bridge, new_bridge: Bridge, tenant: Tenant
) -> None:
    second = set_bridge(tenant, "Second new bridge", ACTOR)
    belong_to(rollout.new, [], second)
    register_number(second, "+390212345678", ServiceNumber.Kind.TOLL, ACTOR, country="Italy")
    old = number("+14255550100")
    told = refused(rollout, bridges={old_bridge: new_bridge}, numbers={old: number("+390212345678")})
    assert told.startswith("+390212345678 is not a number of New bridge")
    told = refused(rollout, bridges={old_bridge: new_bridge}, numbers={old: number("+448081570123")})
    assert "toll to toll" in told
    assert "is no toll number" in refused(rollout, default_toll_number=number("+448081570123"))
    assert "is no toll-free number" in refused(rollout, default_toll_free_number=number("+442079460123"))
