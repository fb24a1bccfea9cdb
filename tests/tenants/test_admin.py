"""The Django admin: a data fix behaves like any other change."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app.models import Run
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Role, ServiceNumber, Tenant


@pytest.fixture
def admin(db: None) -> Client:
    User.objects.create_superuser("root", "root@contoso.com", "x")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    return client


def form_of(user: ConferencingUser, **changes: Any) -> dict[str, Any]:
    """What the admin's form of the user posts, with changes."""
    fields = {
        "sip_address": user.sip_address,
        "display_name": user.display_name,
        "language": user.language,
        "hosting": user.hosting,
        "mailbox_location": user.mailbox_location,
        "audio_conferencing_license": "on" if user.audio_conferencing_license else "",
        "audio_conferencing_enabled": "on" if user.audio_conferencing_enabled else "",
        "conferencing_provider": user.conferencing_provider,
        "bridge": user.bridge_id or "",
        "conference_id_type": user.conference_id_type,
        "conference_id": user.conference_id if user.pk else "",
        "toll_number": user.toll_number_id or "",
        "toll_free_number": user.toll_free_number_id or "",
        "conference_ids-TOTAL_FORMS": "0",
        "conference_ids-INITIAL_FORMS": "0",
    }
    return {name: value for name, value in (fields | changes).items() if value != ""}


def change_page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def test_a_changed_bridge_starts_a_run_is_audited_and_says_so(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    answer = admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk), follow=True)
    assert "Run, because the user moved to the bridge New bridge." in answer.content.decode()
    assert Run.objects.get().requested_by == "root"
    assert AuditEntry.objects.filter(actor="root", action="change user").count() == 1
    assert ConferencingUser.objects.get().bridge == new_bridge


def test_a_change_that_cannot_be_made_is_shown_at_its_field(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    foreign = new_bridge.numbers.get(kind="toll")
    answer = admin.post(change_page(anna), form_of(anna, toll_number=foreign.pk))
    assert answer.status_code == 200
    assert "choose one that is" in answer.content.decode()
    assert ConferencingUser.objects.get().toll_number is None


def test_a_change_that_the_rules_refuse_is_a_message_and_no_error_page(
    admin: Client, anna: ConferencingUser, make_user: Any
) -> None:
    bruno = make_user("bruno.costa")
    answer = admin.post(change_page(bruno), form_of(bruno, conference_id=anna.conference_id), follow=True)
    assert answer.status_code == 200
    assert "already in use" in answer.content.decode()
    assert ConferencingUser.objects.get(pk=bruno.pk).conference_id == bruno.conference_id


def test_a_new_user_is_made_with_a_conference_id(admin: Client, old_bridge: Bridge) -> None:
    blank = ConferencingUser(sip_address="bruno@contoso.com", bridge=old_bridge, language="it-IT")
    form = form_of(blank, tenant=old_bridge.tenant_id, upn="bruno@contoso.com", bridge=old_bridge.pk, conference_id="")
    admin.post(reverse("admin:tenants_app_conferencinguser_add"), form)
    assert len(ConferencingUser.objects.get(upn="bruno@contoso.com").conference_id) == 7
    assert AuditEntry.objects.filter(actor="root", action="create user").exists()


def test_a_switch_is_audited(admin: Client, tenant: Tenant) -> None:
    form = {
        "name": tenant.name,
        "domain": tenant.domain,
        "meeting_url": tenant.meeting_url,
        "automatically_migrate_user_meetings": "on",
        "attendee_limit": "250",
        "settling_time": "0",
        "local_numbers_url": tenant.local_numbers_url,
    }
    admin.post(change_page(tenant), form)
    assert Tenant.objects.get().meeting_migration_enabled is False
    assert AuditEntry.objects.get(actor="root").after == {"meeting_migration_enabled": False}


def test_a_number_is_registered_and_made_the_default(admin: Client, old_bridge: Bridge) -> None:
    form = {"bridge": old_bridge.pk, "number": "+14255550199", "kind": "toll", "country": "", "city": ""}
    admin.post(reverse("admin:tenants_app_servicenumber_add"), form)
    number = ServiceNumber.objects.get(number="+14255550199")
    assert (number.tenant, number.is_default) == (old_bridge.tenant, False)
    action = {"action": "make_default", "_selected_action": [number.pk]}
    admin.post(reverse("admin:tenants_app_servicenumber_changelist"), action)
    assert old_bridge.numbers.get(is_default=True) == number


def test_a_role_is_granted_and_revoked_with_a_trace(admin: Client, tenant: Tenant) -> None:
    alice = User.objects.create_user("alice")
    form = {"tenant": tenant.pk, "account": alice.pk, "name": "viewer"}
    admin.post(reverse("admin:tenants_app_role_add"), form)
    role = Role.objects.get(account=alice)
    admin.post(reverse("admin:tenants_app_role_delete", args=[role.pk]), {"post": "yes"})
    assert not Role.objects.filter(account=alice).exists()
    assert list(AuditEntry.objects.filter(actor="root").values_list("action", flat=True)) == [
        "revoke role",
        "grant role",
    ]


@pytest.mark.parametrize("name", ["run", "meetingresult", "update", "calendarobject", "heartbeat"])
def test_what_the_service_keeps_is_to_be_looked_at_only(admin: Client, anna: ConferencingUser, name: str) -> None:
    assert (
        admin.get(
            reverse(f"admin:migrations_app_{name}_changelist"), {"q": "x"} if name != "heartbeat" else {}
        ).status_code
        == 200
    )
    assert admin.get(reverse(f"admin:migrations_app_{name}_add")).status_code == 403


@pytest.mark.parametrize("name", ["tenant", "conferencinguser", "bridge", "servicenumber", "role", "auditentry"])
def test_every_list_can_be_searched(admin: Client, anna: ConferencingUser, name: str) -> None:
    assert admin.get(reverse(f"admin:tenants_app_{name}_changelist"), {"q": "anna"}).status_code == 200
