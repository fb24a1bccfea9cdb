"""What an installation has in its outbox when it is brought to the state in which doubt is recorded."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from migrations_app.mail.outbox import claim, finish, still_to_ask
from migrations_app.models import Update
from tests.support.scratch_database import ScratchDatabase

BEFORE = [("tenants_app", "0002_out_of_date"), ("migrations_app", "0002_number_releases_and_imports")]


def test_messages_that_wait_go_on_where_they_were(database: ScratchDatabase) -> None:
    model, now = database.migrate(BEFORE).get_model, timezone.now()

    def make(label: str, /, **values: Any) -> Any:
        return model(label).objects.using(database.alias).create(**values)

    tenant = make(
        "tenants_app.Tenant",
        slug="contoso",
        name="Contoso",
        domain="contoso.com",
        meeting_url="https://meet.contoso.com",
    )
    user = make("tenants_app.ConferencingUser", tenant=tenant, upn="anna@contoso.com")
    run = make("migrations_app.Run", tenant=tenant, user=user, state="Succeeded", migration_type="Manual", due_at=now)
    for subject, values in {
        "untouched": {},
        "half told": {"recipients_left": ["zoe@fabrikam.com"], "attempts": 3, "error_code": "mail-server-unreachable"},
        "sent": {"state": "Sent", "sent_at": now},
    }.items():
        result = make("migrations_app.MeetingResult", run=run, uid=subject, subject=subject, outcome="Succeeded")
        make("migrations_app.Update", result=result, recipient_count=2, **values)

    with database.as_default():  # which one of the migrations means
        database.migrate()
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
