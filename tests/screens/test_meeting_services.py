"""Meeting services (R39) and who hands out conference IDs (R43), on the pages and in the Django admin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.pages import settings_form, shown, user_form, words

MakeUser = Callable[..., ConferencingUser]
STAY = "does not start one: existing meetings stay where they are hosted."


@pytest.fixture
def service_bridge(new_bridge: Bridge) -> Bridge:
    return set_bridge(new_bridge.tenant, new_bridge.name, ACTOR, conference_ids_from="service")


# --- meeting services ---------------------------------------------------------------------------------


def test_r39_r9_the_settings_name_the_tenants_service(alice: Client, tenant: Tenant) -> None:
    posted = settings_form(alice, meeting_service="none", meeting_url="https://join.contoso.com")
    page = words(alice.post("/contoso/settings/", posted, follow=True).content)

    tenant.refresh_from_db()
    assert (tenant.meeting_service, tenant.meeting_url) == ("none", "https://join.contoso.com")
    assert f"No run, because a changed meeting service {STAY}" in page
    assert f"No run, because a changed meeting URL {STAY}" in page
    assert "out of date" not in page
    assert "Meeting service: Link → None" in words(alice.get("/contoso/audit/").content)


@pytest.mark.parametrize(
    ("edited", "sentence"),
    [
        ({"meeting_url": ""}, "The Link service needs a meeting URL: give one, or choose none instead."),
        ({"meeting_url": "http://join.contoso.com"}, "A meeting URL begins with https://: give one that does."),
        ({"meeting_service": "teams"}, "The Teams service needs a connection to Teams: choose one of the tenant's"),
    ],
)
def test_r39_settings_with_which_no_meeting_could_be_made_are_refused(
    alice: Client, tenant: Tenant, edited: dict[str, str], sentence: str
) -> None:
    answer = alice.post("/contoso/settings/", settings_form(alice, name="Changed", **edited))

    assert sentence in words(answer.content)
    tenant.refresh_from_db()
    assert tenant.name == "Contoso"


def test_r39_a_user_keeps_the_tenants_service_or_has_another(
    alice: Client, vera: Client, anna: ConferencingUser
) -> None:
    address = f"/contoso/users/{anna.upn}/"
    before, read = words(alice.get(address).content), words(vera.get(address).content)
    page = words(alice.post(address, user_form(alice, anna.upn, meeting_service="none"), follow=True).content)

    anna.refresh_from_db()
    assert "The tenant's (Link)" in before
    assert "Meeting service Link" in read
    assert anna.meeting_service == "none"
    assert f"No run, because a changed meeting service {STAY}" in page
    assert "Meeting service None" in words(vera.get(address).content)


# --- conference IDs -----------------------------------------------------------------------------------


def test_r43_a_bridge_says_before_and_after_what_follows(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    address = f"/contoso/bridges/{old_bridge.pk}/"
    follows = "No run, because invitations keep the IDs that they show. MMS gives 1 user of Old bridge none from now on"
    before = words(alice.get(address).content)
    form = {"provider": "", "conference_ids_from": "service", "initial-conference_ids_from": "mms"}
    asked = words(alice.post(f"{address}edit/", form).content)
    assert "Change Old bridge for 1 user?" in asked
    assert follows in asked
    form["confirmed"] = "yes"
    after = words(alice.post(f"{address}edit/", form, follow=True).content)

    old_bridge.refresh_from_db()
    assert f"If you choose The meeting service: {follows}" in before
    assert old_bridge.conference_ids_from == "service"
    assert follows in after
    assert "conference IDs from the meeting service" in after
    assert "If you choose MMS: No run, because a bridge's own settings start none: everybody has an ID" in after
    assert not ConferencingUser.objects.out_of_date().exists()
    assert "IDs from the meeting service" in words(alice.get("/contoso/bridges/").content)


def test_r43_nothing_is_foretold_of_a_bridge_without_users(alice: Client, new_bridge: Bridge) -> None:
    assert "If you choose" not in words(alice.get(f"/contoso/bridges/{new_bridge.pk}/").content)


def test_r43_a_users_page_says_that_the_service_hands_out_the_ids(
    alice: Client, vera: Client, anna: ConferencingUser, service_bridge: Bridge
) -> None:
    address = f"/contoso/users/{anna.upn}/"
    change_user(anna, ACTOR, bridge=service_bridge)
    form, read = words(alice.get(address).content), words(vera.get(address).content)
    refused = words(alice.post(address, user_form(alice, anna.upn, conference_id="7654321")).content)

    assert "Empty: the meeting service hands out the IDs of this bridge." in form
    assert "Conference ID From the meeting service" in read
    assert "Conference ID: the one that the meeting service gave" in read
    assert "The meeting service hands out the conference IDs of the bridge New bridge: give none here." in refused


def test_r43_moving_everyone_to_such_a_bridge_renumbers_nobody(
    alice: Client, anna: ConferencingUser, make_user: MakeUser, service_bridge: Bridge, old_bridge: Bridge
) -> None:
    answer = alice.get(f"/contoso/users/selected/move/?bridge={old_bridge.pk}&all&to={service_bridge.pk}")

    assert answer.status_code == 200
    assert answer.context["foreseen"].runs == 1


# --- the Django admin ---------------------------------------------------------------------------------


def test_r39_r43_the_django_admin_changes_them_too(
    client: Client, anna: ConferencingUser, old_bridge: Bridge, tenant: Tenant
) -> None:
    client.force_login(User.objects.create_superuser("root"))
    for row, values in (
        (tenant, {"meeting_service": "none"}),
        (anna, {"meeting_service": "link"}),
        (old_bridge, {"conference_ids_from": "service"}),
    ):
        address = reverse(f"admin:tenants_app_{row._meta.model_name}_change", args=[row.pk])
        client.post(address, {**shown(client.get(address)), **values})
        row.refresh_from_db()
        assert {name: getattr(row, name) for name in values} == values

    assert AuditEntry.objects.filter(actor="root", channel="admin").count() == 3
