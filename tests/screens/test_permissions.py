"""Every address below a tenant, for everybody: signed out, a stranger, and each role."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve

from migrations_app.models import Run
from mms_site.urls import migrations_patterns, tenants_patterns
from tenants_app.models import Bridge, ConferencingUser, Tenant

from .conftest import sign_in

READ = [
    "/contoso/",
    "/contoso/migrations/",
    "/contoso/migrations/{run}/",
    "/contoso/migrations/{run}/meetings/{meeting}/",
    "/contoso/migrations/{run}/meetings/{meeting}/explain/",
    "/contoso/users/",
    "/contoso/users/anna.rossi@contoso.com/",
    "/contoso/bridges/",
    "/contoso/bridges/{bridge}/",
    "/contoso/settings/",
    "/contoso/audit/",
]
OPERATE = [
    "/contoso/retry-failed/",
    "/contoso/migrations/{run}/run-now/",
    "/contoso/migrations/{run}/start-again/",
    "/contoso/migrations/{run}/send-again/",
    "/contoso/users/anna.rossi@contoso.com/start/",
]
ADMINISTER = [
    "/contoso/users/anna.rossi@contoso.com/",
    "/contoso/bridges/{bridge}/move/",
    "/contoso/settings/",
    "/contoso/settings/MeetingMigrationEnabled/",
]
REQUESTS = (
    [("get", address, "viewer") for address in READ]
    + [("post", address, "operator") for address in OPERATE]
    + [("post", address, "admin") for address in ADMINISTER]
    + [("get", "/contoso/bridges/{bridge}/move/?to={other}", "admin")]
)
RANK = ["viewer", "operator", "admin"]


def without_tokens(answer: HttpResponse) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())


@pytest.fixture
def fill(cast: None, anna: ConferencingUser, new_bridge: Bridge, make_run: Callable[..., Run]) -> Callable[[str], str]:
    """Puts the keys of rows that exist into an address."""
    run = make_run(anna, meetings=[("Weekly sync", "Succeeded", "")])
    keys = {
        "run": run.correlation_id,
        "meeting": run.results.get().pk,
        "bridge": anna.bridge_id,
        "other": new_bridge.pk,
    }
    return lambda address: address.format(**keys)


@pytest.mark.parametrize("name", ["vera", "bob", "alice"])
@pytest.mark.parametrize(("method", "address", "least"), REQUESTS)
def test_it_answers_a_role_by_what_it_may_do(
    fill: Callable[[str], str], method: str, address: str, least: str, name: str
) -> None:
    role = {"vera": "viewer", "bob": "operator", "alice": "admin"}[name]
    answer = getattr(sign_in(name), method)(fill(address))

    if RANK.index(role) < RANK.index(least):
        assert answer.status_code == 403
        assert f"This needs the role {least}; yours in Contoso is {role}." in answer.content.decode()
    else:
        assert answer.status_code in {200, 302}


@pytest.mark.parametrize(("method", "address", "least"), REQUESTS)
def test_it_tells_strangers_nothing(fill: Callable[[str], str], method: str, address: str, least: str) -> None:
    charlie = sign_in("charlie")
    real = getattr(charlie, method)(fill(address))
    invented = getattr(charlie, method)(fill(address).replace("contoso/", "nowhere/", 1))

    assert (real.status_code, invented.status_code) == (404, 404)
    assert without_tokens(real).replace("/contoso/", "/nowhere/") == without_tokens(invented)


@pytest.mark.parametrize(("method", "address", "least"), REQUESTS)
def test_it_sends_the_signed_out_to_sign_in(fill: Callable[[str], str], method: str, address: str, least: str) -> None:
    answer = getattr(Client(), method)(fill(address))

    assert answer.status_code == 302
    assert answer.url.startswith("/accounts/login/?next=")


def test_it_covers_every_address_below_a_tenant(fill: Callable[[str], str]) -> None:
    tested = {resolve(fill(address).partition("?")[0]).url_name for _, address, _ in REQUESTS}

    assert tested == {pattern.name for pattern in [*migrations_patterns, *tenants_patterns]}


def test_it_reaches_no_row_of_another_tenant(cast: None, anna: ConferencingUser, make_run: Callable[..., Run]) -> None:
    run = make_run(anna, meetings=[("Weekly sync", "Succeeded", "")])
    charlie = sign_in("charlie")

    for address in (
        f"/fabrikam/migrations/{run.correlation_id}/",
        f"/fabrikam/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/",
        f"/fabrikam/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/explain/",
        "/fabrikam/users/anna.rossi@contoso.com/",
        f"/fabrikam/bridges/{anna.bridge_id}/",
        f"/fabrikam/bridges/{anna.bridge_id}/move/?to={anna.bridge_id}",
    ):
        assert charlie.get(address).status_code == 404, address
    for address in (
        "/fabrikam/",
        "/fabrikam/migrations/",
        "/fabrikam/users/",
        "/fabrikam/bridges/",
        "/fabrikam/audit/",
    ):
        page = charlie.get(address).content.decode()
        assert "anna.rossi" not in page
        assert "Contoso" not in page


def test_it_lets_a_superuser_administer_every_tenant(cast: None) -> None:
    User.objects.create_superuser("root", "root@example.org", "a long pass phrase")
    client = sign_in("root")

    assert client.get("/contoso/settings/").status_code == 200
    assert client.get("/fabrikam/settings/").status_code == 200
    assert client.get("/nowhere/").status_code == 404


def test_it_shows_no_button_that_the_role_may_not_press(
    cast: None, anna: ConferencingUser, make_run: Callable[..., Run], vera: Client, bob: Client, tenant: Tenant
) -> None:
    make_run(anna, "Failed", last_error_code="no-bridge")

    assert "Retry" not in vera.get("/contoso/").content.decode()
    assert "Retry" in bob.get("/contoso/").content.decode()
    assert "Save changes" not in bob.get("/contoso/users/anna.rossi@contoso.com/").content.decode()
    assert "Start a run" in bob.get("/contoso/users/anna.rossi@contoso.com/").content.decode()
    assert "disabled title=" in bob.get("/contoso/settings/").content.decode()
