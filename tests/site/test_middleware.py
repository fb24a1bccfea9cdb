"""What every request passes, whichever page it is for."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tenants_app.models import ConferencingUser


def refuse(*_: Any) -> None:
    raise OperationalError("connection refused")


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/contoso/",
        "/contoso/bridges/",
        "/contoso/settings/",
        "/contoso/settings/rules/",
        "/contoso/users/selected/start/?all",
        "/contoso/users/anna.rossi@contoso.com/",
        "/contoso/audit/export.csv",
        "/contoso/nowhere/",
    ],
)
def test_no_private_page_is_kept(alice: Client, anna: ConferencingUser, address: str) -> None:
    assert "no-store" in alice.get(address)["Cache-Control"]


def test_it_says_that_the_database_is_down_also_to_a_browser_with_a_session(alice: Client) -> None:
    assert alice.get("/healthz").status_code == 200
    with connection.execute_wrapper(refuse):
        assert alice.get("/healthz").status_code == 503
