"""A page learns by one look whether what it shows has changed: whoever changes it, and however."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.base import NO_END
from migrations_app.models import Activity, LeftMeeting, MailServer, Run, Update
from migrations_app.monitoring import activity
from migrations_app.monitoring.activity import version
from tenants_app.models import ConferencingUser, Tenant
from tests.support.only_reads import only_reads

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]


@pytest.fixture
def fabrikam(db: None) -> Tenant:
    return Tenant.objects.create(slug="fabrikam", name="Fabrikam", domain="fabrikam.com")


CHANGES: dict[str, Callable[[Run], object]] = {
    "a row saved": lambda run: run.save(),
    "many rows in one statement": lambda run: Run.objects.filter(pk=run.pk).update(succeeded_meetings=7),
    "a row beside the ORM": lambda run: _execute("UPDATE migrations_app_run SET attempts = attempts + 1"),
    "a message": lambda run: Update.objects.filter(result__run=run).update(state="Sent"),
    "a row deleted": lambda run: run.delete(),
    "rows made, passing over those that exist": lambda run: LeftMeeting.objects.bulk_create(
        [LeftMeeting(tenant=run.tenant, user=run.user, uid="a", last_end=NO_END, code="past")], ignore_conflicts=True
    ),
    "the user": lambda run: ConferencingUser.objects.filter(pk=run.user_id).update(display_name="Anna"),
    "the tenant": lambda run: Tenant.objects.filter(pk=run.tenant_id).update(meeting_migration_enabled=False),
}


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_shows_whoever_makes_it_and_only_to_its_tenant(
    anna: ConferencingUser, make_run: MakeRun, fabrikam: Tenant, change: Callable[[Run], object]
) -> None:
    run = make_run(anna, meetings=[("Budget", "Succeeded", "")])
    ours, theirs = version([run.tenant]), version([fabrikam])

    change(run)

    assert version([run.tenant]) != ours
    assert version([fabrikam]) == theirs


def test_a_mail_server_that_falls_silent_shows_to_all(tenant: Tenant, fabrikam: Tenant) -> None:
    before = version([tenant]), version([fabrikam])
    MailServer.objects.create(name="smtp.contoso.com")
    after = version([tenant]), version([fabrikam])

    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_was_taken_back_does_not_show(tenant: Tenant, anna: ConferencingUser) -> None:
    before = version([tenant])
    with transaction.atomic():
        anna.save()
        transaction.set_rollback(True)

    assert version([tenant]) == before


def test_asking_is_one_statement_that_only_reads(tenant: Tenant, anna: ConferencingUser) -> None:
    with only_reads(), CaptureQueriesContext(connection) as queries:
        version([tenant])

    assert len(queries) == 1


def test_notes_of_old_are_forgotten(tenant: Tenant, anna: ConferencingUser) -> None:
    Activity.objects.create(tenant_key=tenant.pk, writer=-1, value=1, at=timezone.now() - timedelta(hours=2))
    activity.forget()

    assert not Activity.objects.filter(writer=-1).exists()
    assert Activity.objects.filter(tenant_key=tenant.pk).exists()


def test_migrating_leaves_every_trigger_in_place(db: None, tenant: Tenant) -> None:
    activity.unwatch("default")
    before = version([tenant])
    tenant.save()
    assert version([tenant]) == before

    call_command("migrate", verbosity=0)
    tenant.save()
    assert version([tenant]) != before
