"""The stand-in lets in whom Entra would let in, and says why it does not let in the others."""

from __future__ import annotations

import base64
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.graph_stand_in.conftest import ANNA, EVENTS, Asking, error, meeting


def assertion(asks: Asking, pem: str, key: str = "", **claims: Any) -> dict[str, str]:
    """The form of a sign-in by certificate, as msal sends it."""
    client, url = asks.stand_in.client_id, f"{asks.stand_in.authority}/{asks.stand_in.directory_id}/oauth2/v2.0/token"
    certificate = x509.load_pem_x509_certificate(pem[pem.index("-----BEGIN CERT") :].encode())
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    given = {"aud": url, "iss": client, "sub": client, "exp": time.time() + 600, "jti": str(uuid.uuid4()), **claims}
    token = jwt.encode(given, (key or pem).encode(), algorithm="PS256", headers={"x5t#S256": thumbprint})
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return {"client_secret": "", "client_assertion_type": kind, "client_assertion": token}


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"tenant": "fabrikam.com"}, (400, 90002)),
        ({"client_id": str(uuid.uuid4())}, (400, 700016)),
        ({"client_secret": "another"}, (401, 7000215)),
        ({"client_secret": ""}, (401, 7000218)),
        ({"scope": "https://graph.example.org/.default"}, (400, 500011)),
        ({"scope": "https://graph.microsoft.com/Calendars.Read"}, (400, 1002012)),
        ({"grant_type": "password"}, (400, 70003)),
    ],
)
def test_a_wrong_sign_in_is_refused(asks: Asking, form: dict[str, str], answer: tuple[int, int]) -> None:
    response = asks.sign_in(**form)

    assert (response.status_code, response.json()["error_codes"][0]) == answer
    assert f"AADSTS{answer[1]}" in response.json()["error_description"]


def test_a_secret_ends(asks: Asking) -> None:
    asks.stand_in.application.secrets["old"] = datetime.now(UTC) - timedelta(seconds=1)

    assert asks.sign_in(client_secret="old").json()["error_codes"] == [7000222]


def test_a_certificate_signs_in(asks: Asking) -> None:
    pem = asks.stand_in.add_certificate()

    assert asks.sign_in(**assertion(asks, pem)).status_code == 200


def test_a_certificate_that_is_not_right_is_refused(asks: Asking) -> None:
    pem = asks.stand_in.add_certificate()
    client = asks.stand_in.add_application(str(uuid.uuid4()))
    foreign = asks.stand_in.add_certificate(client_id=client.client_id)
    ended = asks.stand_in.add_certificate(days=1, begins=datetime.now(UTC) - timedelta(days=2))
    for number, form in (
        (700027, assertion(asks, foreign)),
        (700027, assertion(asks, pem, key=foreign)),
        (1000502, assertion(asks, ended)),
        (700024, assertion(asks, pem, exp=time.time() - 1)),
        (700023, assertion(asks, pem, aud="https://login.example.org/token")),
        (700021, assertion(asks, pem, sub=client.client_id)),
        (50027, {**assertion(asks, pem), "client_assertion": "none"}),
    ):
        response = asks.sign_in(**form)
        assert (response.status_code, response.json()["error_codes"]) == (401, [number])


def test_the_configuration_leads_to_the_tenant(asks: Asking) -> None:
    found = asks.http.get("/contoso.com/v2.0/.well-known/openid-configuration").json()

    assert found["token_endpoint"].endswith(f"/{asks.stand_in.directory_id}/oauth2/v2.0/token")
    assert asks.http.get("/fabrikam.com/v2.0/.well-known/openid-configuration").status_code == 400


def test_a_token_is_needed_that_is_good(asks: Asking) -> None:
    good = asks.token
    application = asks.stand_in.application
    tokens = asks.stand_in.tokens
    for bad in ("none", good + "x", tokens.issue(application, "https://graph.microsoft.us")):
        asks.token = bad
        assert error(asks.get(EVENTS)) == (401, "InvalidAuthenticationToken")
    assert error(asks("GET", EVENTS, headers={"Authorization": "none"})) == (401, "InvalidAuthenticationToken")
    asks.token = good
    assert asks.get(EVENTS).status_code == 200


def test_a_token_ends(asks: Asking) -> None:
    asks.stand_in.clock.advance(3598)
    assert asks.get(EVENTS).status_code == 200
    asks.stand_in.clock.advance(2)

    answer = asks.get(EVENTS)

    assert error(answer) == (401, "InvalidAuthenticationToken")
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_token_is_withdrawn(asks: Asking) -> None:
    asks.stand_in.clock.advance(1)
    asks.stand_in.tokens.revoke()

    assert error(asks.get(EVENTS)) == (401, "InvalidAuthenticationToken")


def test_permissions_are_those_of_the_application(asks: Asking) -> None:
    application = asks.stand_in.application
    application.roles = ("Calendars.Read",)
    key = asks.stand_in.add_event(ANNA, meeting())

    assert asks.get(EVENTS).status_code == 200
    assert error(asks.patch(key, {"subject": "Other"})) == (403, "ErrorAccessDenied")
    assert error(asks.get("/users")) == (403, "Authorization_RequestDenied")
    application.roles = ("User.Read.All",)
    assert error(asks.get(EVENTS)) == (403, "ErrorAccessDenied")
    assert asks.get("/users").status_code == 200


def test_a_scope_and_a_policy_keep_mailboxes_apart(asks: Asking) -> None:
    asks.stand_in.add_mailbox("ben@contoso.com")
    asks.stand_in.add_mailbox("cleo@contoso.com", denied=True)
    asks.stand_in.add_mailbox("dora@contoso.com", has_mailbox=False)

    assert error(asks.get("/users/cleo@contoso.com/events")) == (403, "ErrorAccessDenied")
    assert "OData is disabled" in asks.get("/users/cleo@contoso.com/events").text
    assert error(asks.get("/users/dora@contoso.com/events")) == (404, "MailboxNotEnabledForRESTAPI")
    assert error(asks.get("/users/eve@contoso.com/events")) == (404, "ErrorInvalidUser")
    assert asks.get("/users/ben@contoso.com/events").status_code == 200
    asks.stand_in.restrict(ANNA)
    assert error(asks.get("/users/ben@contoso.com/events")) == (403, "ErrorAccessDenied")
    assert asks.get(EVENTS).status_code == 200
