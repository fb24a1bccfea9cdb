"""Deployments in the browser: their pages, and moving a user to one from the user's page (R60, R62)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client

from migrations_app.models import Run
from tenants_app.changes.deployments import retire_deployment
from tenants_app.models import Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import shown, user_form, users_found, words
from tests.support.rollouts import a_deployment, belong_to
from tests.support.two_tenants import everything_stored

PAGE = "/contoso/settings/deployments/"
NEW = {
    "name": "Cloud",
    "kind": "online",
    "role": "new",
    "meeting_hosts": "Meet.contoso.com\r\nmeet2.contoso.com, meet.contoso.com",
    "mover": "record",
}


def page_of(deployment: Deployment) -> str:
    return f"{PAGE}{deployment.pk}/"


def test_an_admin_adds_a_deployment(alice: Client, tenant: Tenant) -> None:
    answer = alice.post(PAGE, NEW)
    made = Deployment.objects.get()

    assert (answer.status_code, answer["Location"]) == (302, page_of(made))
    assert made.meeting_hosts == ["meet.contoso.com", "meet2.contoso.com"]
    assert "Cloud" in words(alice.get(PAGE).content)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": ""}, "name"), ({"meeting_hosts": " "}, "meeting_hosts"), ({"mover": "command"}, "mover_command")],
)
def test_what_is_wrong_is_said_at_its_field(alice: Client, tenant: Tenant, values: dict[str, str], field: str) -> None:
    answer = alice.post(PAGE, NEW | values)

    assert (answer.status_code, list(answer.context["form"].errors)) == (200, [field])
    assert not Deployment.objects.exists()


def test_the_page_saves_what_was_edited_only(alice: Client, tenant: Tenant) -> None:
    pool = a_deployment(tenant, check_hosts=["fe1.contoso.com"])
    posted = shown(alice.get(page_of(pool)))
    Deployment.objects.filter(pk=pool.pk).update(highest_client_version="16.0.17000")  # somebody else, meanwhile
    answer = alice.post(page_of(pool), posted | {"check_hosts": "fe1.contoso.com\r\nfe2.contoso.com"})
    pool.refresh_from_db()

    assert answer.status_code == 302
    assert (pool.check_hosts, pool.highest_client_version) == (["fe1.contoso.com", "fe2.contoso.com"], "16.0.17000")


def test_a_viewer_sees_the_settings_and_no_form(vera: Client, tenant: Tenant) -> None:
    page = vera.get(page_of(a_deployment(tenant)))

    assert "lync.contoso.com" in words(page.content)
    assert b"data-keep" not in page.content


def test_r89_a_retired_deployment_says_since_when(alice: Client, tenant: Tenant) -> None:
    pool = a_deployment(tenant)
    retire_deployment(pool, ACTOR)

    assert "Nobody can be moved to it any more." in words(alice.get(page_of(pool)).content)
    assert "Retired" in words(alice.get(PAGE).content)


def test_removing_says_before_what_keeps_it(alice: Client, anna: ConferencingUser) -> None:
    pool = a_deployment(anna.tenant)
    belong_to(pool, [anna])
    page = alice.get(f"{page_of(pool)}remove/")
    assert "1 user belongs to Old pool: move them first." in words(page.content)
    alice.post(f"{page_of(pool)}remove/")
    assert Deployment.objects.exists()
    belong_to(a_deployment(anna.tenant, "new"), [anna])
    alice.post(f"{page_of(pool)}remove/")
    assert not Deployment.objects.filter(pk=pool.pk).exists()


# --- the user's page --------------------------------------------------------------------------------------


@pytest.fixture
def cloud(anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge) -> Deployment:
    """Where Anna, who is on a pool on-premises, may be moved to."""
    belong_to(a_deployment(anna.tenant), [anna], old_bridge)
    made = a_deployment(anna.tenant, "new")
    belong_to(made, [], new_bridge)
    return made


def moving(client: Client, user: ConferencingUser, to: Deployment, **more: Any) -> dict[str, Any]:
    return user_form(client, user.upn, deployment=to.pk) | more


def test_r62_the_preview_says_what_the_move_sets_and_starts_and_writes_nothing(
    alice: Client, anna: ConferencingUser, cloud: Deployment
) -> None:
    invite(anna, 1)
    before = everything_stored()
    answer = alice.post(f"/contoso/users/{anna.upn}/", moving(alice, anna, cloud, preview="asked"))
    told = words(answer.content)

    assert "the user moved to the deployment New service" in told
    assert "The user comes to the bridge New bridge. The user is hosted online there." in told
    assert "1 of 1 future meeting would be updated" in told
    assert everything_stored() == before


def test_r62_saving_moves_the_user_in_one_change(alice: Client, anna: ConferencingUser, cloud: Deployment) -> None:
    answer = alice.post(f"/contoso/users/{anna.upn}/", moving(alice, anna, cloud), follow=True)
    anna.refresh_from_db()

    assert (anna.deployment, anna.hosting, str(anna.bridge)) == (cloud, "online", "New bridge")
    assert "the user moved to the deployment New service" in words(answer.content)
    assert Run.objects.count() == 1


def test_a_retired_deployment_is_not_offered_but_to_who_is_there(
    alice: Client, anna: ConferencingUser, cloud: Deployment
) -> None:
    Deployment.objects.update(retired_at="2026-01-02T00:00:00Z", retired_by="zoe")
    offered = alice.get(f"/contoso/users/{anna.upn}/").context["form"].fields["deployment"].queryset

    assert [each.name for each in offered] == ["Old pool"]
    answer = alice.post(f"/contoso/users/{anna.upn}/", moving(alice, anna, cloud))
    assert list(answer.context["form"].errors) == ["deployment"]


def test_hosting_alone_is_refused_where_the_deployment_says_otherwise(
    alice: Client, anna: ConferencingUser, cloud: Deployment
) -> None:
    answer = alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, hosting="online"))

    assert "belongs to Old pool, which is on-premises" in words(answer.content)


# --- lists and bridges --------------------------------------------------------------------------------------


def test_the_list_of_users_finds_and_shows_the_deployment(
    alice: Client, anna: ConferencingUser, cloud: Deployment, make_user: Any
) -> None:
    make_user("bruno")
    old = Deployment.objects.get(name="Old pool")

    assert users_found(alice, f"?deployment={old.pk}") == ["anna.rossi"]
    assert users_found(alice, f"?deployment={cloud.pk}") == []
    assert users_found(alice, "?deployment=none") == ["bruno"]
    page = alice.get("/contoso/users/?columns=upn,deployment")
    assert "Old pool" in words(page.content)
    file: Any = alice.get("/contoso/users/?columns=upn,deployment&format=csv")
    rows = csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig")))
    assert {row["UserPrincipalName"]: row["Deployment"] for row in rows}["anna.rossi@contoso.com"] == "Old pool"


def test_a_tenant_without_deployments_sees_none_of_it(alice: Client, anna: ConferencingUser) -> None:
    for address in ("/contoso/users/", f"/contoso/users/{anna.upn}/", f"/contoso/bridges/{anna.bridge_id}/"):
        assert 'name="deployment"' not in alice.get(address).content.decode()


def test_a_bridge_says_which_deployment_it_belongs_to_and_can_be_given_another(
    alice: Client, anna: ConferencingUser, cloud: Deployment, old_bridge: Bridge
) -> None:
    page = alice.get(f"/contoso/bridges/{old_bridge.pk}/")
    assert "Old pool" in words(page.content)
    posted = {"provider": "", "conference_ids_from": "mms", "deployment": cloud.pk}
    answer = alice.post(f"/contoso/bridges/{old_bridge.pk}/edit/", posted)
    old_bridge.refresh_from_db()

    assert answer.status_code == 302, "nothing of it shows in meetings, so nobody has to confirm it"
    assert old_bridge.deployment == cloud
