"""A number is on its way off its bridge, and messages wait, when an installation is brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from migrations_app.models import NumberRelease
from migrations_app.monitoring import activity
from migrations_app.procedures.number_release import Holds

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("migrations_app", "0003_delivery_in_doubt_and_mail_servers")


@pytest.fixture
def before() -> Iterator[Any]:
    """The models as they were; afterwards the database is as it is now."""
    activity.unwatch(connection.alias)  # as the command does, before tables change
    executor = MigrationExecutor(connection)
    executor.migrate([BEFORE])
    yield executor.loader.project_state([BEFORE, *executor.loader.graph.leaf_nodes("tenants_app")]).apps
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    activity.watch(connection.alias)


def test_r35_messages_that_wait_hold_the_number(before: Any) -> None:
    now = timezone.now()
    model = before.get_model
    tenant = model("tenants_app", "Tenant").objects.create(slug="contoso", name="Contoso", domain="contoso.com")
    user = model("tenants_app", "ConferencingUser").objects.create(tenant=tenant, upn="anna@contoso.com")
    bridge = model("tenants_app", "Bridge").objects.create(tenant=tenant, name="Old bridge")
    number = model("tenants_app", "ServiceNumber").objects.create(
        tenant=tenant, bridge=bridge, number="+14255550111", kind="toll"
    )
    release = model("migrations_app", "NumberRelease").objects.create(
        tenant=tenant, bridge=bridge, number=number, e164=number.number, state="Updating", due_at=now
    )
    release.users.add(user)
    run = model("migrations_app", "Run").objects.create(
        tenant=tenant, user=user, state="Succeeded", migration_type="Manual", due_at=now
    )
    for uid, state in (("waits", "Queued"), ("given up", "Failed"), ("sent", "Sent"), ("gone", "Queued")):
        result = model("migrations_app", "MeetingResult").objects.create(run=run, uid=uid, outcome="Succeeded")
        model("migrations_app", "Update").objects.create(result=result, recipient_count=2, state=state)
        if uid != "gone":
            model("migrations_app", "CalendarObject").objects.create(
                user=user, uid=uid, body=b"", last_end=now + timedelta(days=1)
            )

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())

    holds = Holds.of(NumberRelease.objects.get())
    assert (holds.unsent, holds.given_up) == (1, 1)
