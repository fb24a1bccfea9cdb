"""What an installation has in its outbox when it is brought to the state in which doubt is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from migrations_app.mail.outbox import claim, finish, still_to_ask
from migrations_app.models import Update
from migrations_app.monitoring import activity

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ("migrations_app", "0002_number_releases_and_imports")


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


def test_messages_that_wait_go_on_where_they_were(before: Any) -> None:
    now = timezone.now()
    tenant = before.get_model("tenants_app", "Tenant").objects.create(
        slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    user = before.get_model("tenants_app", "ConferencingUser").objects.create(tenant=tenant, upn="anna@contoso.com")
    run = before.get_model("migrations_app", "Run").objects.create(
        tenant=tenant, user=user, state="Succeeded", migration_type="Manual", due_at=now
    )
    old = before.get_model("migrations_app", "Update").objects
    for subject, values in {
        "untouched": {},
        "half told": {"recipients_left": ["zoe@fabrikam.com"], "attempts": 3, "error_code": "mail-server-unreachable"},
        "sent": {"state": "Sent", "sent_at": now},
    }.items():
        result = before.get_model("migrations_app", "MeetingResult").objects.create(
            run=run, uid=subject, subject=subject, outcome="Succeeded"
        )
        old.create(result=result, recipient_count=2, **values)

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())

    updates = {update.result.subject: update for update in claim()}
    everyone = ["yan@fabrikam.com", "zoe@fabrikam.com"]
    assert {subject: still_to_ask(update, everyone) for subject, update in updates.items()} == {
        "untouched": everyone,
        "half told": ["zoe@fabrikam.com"],
    }
    assert {update.tenant_id for update in updates.values()} == {tenant.pk}, "whose mail server they go through"
    assert updates["half told"].attempts == 3
    assert finish(updates["untouched"], everyone)
    assert sorted(Update.objects.values_list("result__subject", "state")) == [
        ("half told", "Queued"),
        ("sent", "Sent"),
        ("untouched", "Sent"),
    ]
