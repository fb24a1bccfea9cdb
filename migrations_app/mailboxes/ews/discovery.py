"""Autodiscover, where a connection asks for it: which address of EWS the domain of a user names for the mailbox.

Only over https, only at the two places that are documented for a domain, and without following anybody elsewhere: MMS
signs in there. The address that is found is held to the same rules as one that was entered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from xml.sax.saxutils import escape

import requests
from lxml import etree

from migrations_app.failures import Failure
from migrations_app.https.addresses import parse
from migrations_app.https.session import Account, Interrupted, Limits
from migrations_app.mailboxes.ews.refusals import failure_of_status
from migrations_app.mailboxes.ews.sign_in import auth_for
from migrations_app.mailboxes.ews.transport import Adapter
from tenants_app.sentences import sentence

PLACES = (
    "https://autodiscover.{domain}/autodiscover/autodiscover.xml",
    "https://{domain}/autodiscover/autodiscover.xml",
)
_REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
    "<EMailAddress>{}</EMailAddress><AcceptableResponseSchema>"
    "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    "</AcceptableResponseSchema></Request></Autodiscover>"
)


def discover(
    account: Account,
    upn: str,
    *,
    sign_in_by: str = "ntlm",
    allowed_hosts: Collection[str] = (),
    limits: Limits | None = None,
    places: Sequence[str] = PLACES,
) -> Account:
    """The account, at the address that Autodiscover names for ``upn``. Raises ``Failure``."""
    domain = upn.rpartition("@")[2]
    why: list[str] = []
    for place in places:
        there = replace(account, address=place.format(domain=domain))
        try:
            return replace(account, address=_ask(there, upn, sign_in_by, allowed_hosts, limits))
        except Failure as failure:
            if failure.code == "mailbox-sign-in-refused":
                raise
            why.append(failure.detail)
    raise Failure(
        "mailbox-address",
        sentence("Autodiscover finds no server for %(domain)s: %(why)s", domain=domain, why="; ".join(why)),
    )


def _ask(account: Account, upn: str, sign_in_by: str, allowed_hosts: Collection[str], limits: Limits | None) -> str:
    adapter = Adapter(account, allowed_hosts, limits, check=lambda content, host: content)
    with requests.Session() as session:
        session.trust_env = False
        session.adapters.clear()
        session.mount(adapter.url, adapter)
        session.auth = auth_for(account, sign_in_by, adapter)
        try:
            answer = session.post(
                adapter.url,
                data=_REQUEST.format(escape(upn)).encode(),
                headers={"Content-Type": "text/xml; charset=utf-8"},
                allow_redirects=False,
            )
        except Interrupted as interrupted:
            raise Failure("mailbox-unavailable", interrupted.why) from None
    host = adapter.origin.host
    if answer.status_code != 200:
        raise failure_of_status(answer, host, sign_in_by, writing=False)
    address = _address_in(answer.content)
    if not address:
        raise Failure("mailbox-address", sentence("%(host)s names no address of Exchange web services", host=host))
    if parse(address)[0].scheme != "https":
        raise Failure("mailbox-address", sentence("%(host)s names an address that is not encrypted", host=host))
    return address


def _address_in(content: bytes) -> str:
    """The one for callers from outside (EXPR) before the one for those inside."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return ""
    found: dict[str, str] = {}
    for protocol in root.iter("{*}Protocol"):
        kind, address = protocol.findtext("{*}Type") or "", protocol.findtext("{*}EwsUrl") or ""
        if address:
            found.setdefault(kind, address.strip())
    return found.get("EXPR") or found.get("EXCH") or next(iter(found.values()), "")
