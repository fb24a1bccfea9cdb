"""How MMS signs in to an Exchange server."""

from __future__ import annotations

import struct
from typing import Any

import requests
import requests_ntlm
from requests_ntlm.requests_ntlm import _get_certificate_hash
from spnego.exceptions import SpnegoError

from migrations_app.failures import Failure
from migrations_app.https.session import Account
from migrations_app.mailboxes.ews.transport import Adapter
from tenants_app.sentences import sentence

_NO_ANSWER = (PermissionError, LookupError, ValueError, ArithmeticError, AttributeError, struct.error, SpnegoError)
"""What the libraries raise of a challenge that is none."""


class Ntlm(requests_ntlm.HttpNtlmAuth):
    """Bound to the certificate of the connection, which Extended Protection asks for."""

    def __init__(self, username: str, password: str, adapter: Adapter) -> None:
        super().__init__(username, password)
        self._adapter = adapter

    def _get_server_cert(self, response: requests.Response) -> bytes | None:
        certificate = self._adapter.certificate_der
        return _get_certificate_hash(certificate) if certificate else None

    def retry_using_http_NTLM_auth(self, *args: Any) -> requests.Response:  # noqa: N802 - the name is the library's
        try:
            return super().retry_using_http_NTLM_auth(*args)
        except _NO_ANSWER:
            host = self._adapter.origin.host
            raise Failure(
                "mailbox-sign-in-refused", sentence("%(host)s does not go on with the sign-in by NTLM", host=host)
            ) from None


def auth_for(account: Account, sign_in_by: str, adapter: Adapter) -> requests.auth.AuthBase:
    """What signs each request of an account in."""
    if sign_in_by == "ntlm":
        return Ntlm(account.username, account.password, adapter)
    if ":" in account.username:
        raise Failure(
            "mailbox-sign-in-refused", sentence("a user name with a colon cannot be used to sign in (RFC 7617)")
        )
    return requests.auth.HTTPBasicAuth(account.username.encode(), account.password.encode())
