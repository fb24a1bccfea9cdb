"""A number is on its way off its bridge, and messages wait, when an installation is brought up to date."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from migrations_app.models import NumberRelease
from migrations_app.procedures.number_release import Holds
from tests.support.scratch_database import ScratchDatabase

BEFORE = [("tenants_app", "0002_out_of_date"), ("migrations_app", "0003_delivery_in_doubt_and_mail_servers")]


def test_r35_messages_that_wait_hold_the_number(database: ScratchDatabase) -> None:
    model, now = database.migrate(BEFORE).get_model, timezone.now()

    def make(label: str, /, **values: Any) -> Any:
        return model(label).objects.using(database.alias).create(**values)

    tenant = make("tenants_app.Tenant", slug="contoso", name="Contoso", domain="contoso.com")
    user = make("tenants_app.ConferencingUser", tenant=tenant, upn="anna@contoso.com")
    bridge = make("tenants_app.Bridge", tenant=tenant, name="Old bridge")
    number = make("tenants_app.ServiceNumber", tenant=tenant, bridge=bridge, number="+14255550111", kind="toll")
    release = make(
        "migrations_app.NumberRelease",
        tenant=tenant,
        bridge=bridge,
        number=number,
        e164=number.number,
        state="Updating",
        due_at=now,
    )
    release.users.add(user)
    run = make("migrations_app.Run", tenant=tenant, user=user, state="Succeeded", migration_type="Manual", due_at=now)
    for uid, state in (("waits", "Queued"), ("given up", "Failed"), ("sent", "Sent"), ("gone", "Queued")):
        result = make("migrations_app.MeetingResult", run=run, uid=uid, outcome="Succeeded")
        make("migrations_app.Update", result=result, recipient_count=2, state=state)
        if uid != "gone":
            end = now + timedelta(days=1)
            make("migrations_app.CalendarObject", user=user, uid=uid, body=b"", last_end=end)

    database.migrate()

    with database.as_default():
        holds = Holds.of(NumberRelease.objects.get())
        assert (holds.unsent, holds.given_up) == (1, 1)
