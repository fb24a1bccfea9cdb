"""What the suite's fixtures write again is what the product's functions wrote (tests/support/remembered.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.remembered import Keys, Remembered, keys_in
from tests.support.taken_back import taken_back
from tests.support.two_tenants import Fabrikam, everything_stored, furnish

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases do not begin with key 1 again"),
]


@pytest.fixture
def worked() -> list[str]:
    """Who worked something out."""
    return []


@pytest.fixture
def first_keys(db: None) -> Keys:
    """Those of now: tests that commit may have run before in this process, after which keys do not begin with 1."""
    connection.ensure_connection()
    return keys_in(connection.connection)


def fabrikam(worked: list[str]) -> Fabrikam:
    worked.append("fabrikam")
    made = create_tenant(ACTOR, slug="fabrikam", name="F", domain="fabrikam.com", meeting_url="https://fabrikam.com")
    return furnish(made)


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    with taken_back(), time_machine.travel(moment, tick=False):
        yield


def later(stored: Any, by: timedelta) -> Any:
    """The same rows, written later."""
    if isinstance(stored, dict):
        return {name: later(value, by) for name, value in stored.items()}
    if isinstance(stored, list):
        return [later(value, by) for value in stored]
    return stored + by if isinstance(stored, datetime) else stored


def test_it_is_the_same_but_for_its_time(first_keys: Keys, worked: list[str]) -> None:
    with at(NOW):
        Remembered(first_keys).make("of this test", lambda: fabrikam(worked))
        before = everything_stored()
    with at(NOW + timedelta(days=1)):
        again = Remembered(first_keys).make("of this test", lambda: fabrikam(worked))
        assert everything_stored() == later(before, timedelta(days=1))
        assert again.user.created == NOW + timedelta(days=1)
        again.user.refresh_from_db()
        assert again.user.created == NOW + timedelta(days=1)
    assert worked == ["fabrikam"]


def test_it_is_worked_out_where_something_else_was_written_before(first_keys: Keys, worked: list[str]) -> None:
    for name in ("Fabrikam", "Harbour"):
        with at(NOW):
            remembered = Remembered(first_keys)
            remembered.make("a tenant of this test", lambda: fabrikam(worked))
            change_tenant(Tenant.objects.get(), ACTOR, name=name)
            remembered.make("what follows from its name", lambda: worked.append(Tenant.objects.get().name))
            remembered.make("what follows from that", lambda: worked.append("that"))
    assert worked == ["fabrikam", "Fabrikam", "that", "Harbour", "that"]
