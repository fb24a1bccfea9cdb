"""Plain SOAP, for tests of the stand-in itself."""

from __future__ import annotations

import httpx2 as httpx
from lxml import etree

from tests.support.ews_stand_in import PASSWORD, SERVICE, EwsStandIn
from tests.support.ews_stand_in.shapes import NAMES

_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"'
    ' xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header>'
    '<t:RequestServerVersion Version="{version}"/>{whom}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
)


class Asker:
    """Asks the stand-in as ``account``, in the mailbox of ``whom``; as itself where that is empty."""

    def __init__(self, stand_in: EwsStandIn, account: str = SERVICE, whom: str = "anna@contoso.com") -> None:
        self.stand_in, self.account, self.whom = stand_in, account, whom

    def ask(self, body: str, *, password: str = PASSWORD, version: str = "Exchange2013_SP1") -> Answer:
        whom = f"<t:PrincipalName>{self.whom}</t:PrincipalName>"
        whom = f"<t:ExchangeImpersonation><t:ConnectingSID>{whom}</t:ConnectingSID></t:ExchangeImpersonation>"
        text = _ENVELOPE.format(version=version, whom=whom if self.whom else "", body=body)
        answer = httpx.post(
            self.stand_in.address,
            content=text.encode(),
            auth=(self.account, password),
            headers={"Content-Type": "text/xml; charset=utf-8"},
            verify=False,
        )
        return Answer(answer)


class Answer:
    """``code`` is that of the fault or of the first response."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status, self.content = answer.status_code, answer.content
        is_soap = answer.content.startswith(b"<?xml") and b"Envelope" in answer.content[:200]
        self.root = etree.fromstring(answer.content, etree.XMLParser(recover=True)) if is_soap else None

    @property
    def code(self) -> str:
        assert self.root is not None, self.content
        return self.root.xpath("string((//e:ResponseCode | //m:ResponseCode)[1])", namespaces=NAMES)

    def texts(self, name: str) -> list[str]:
        """Of all elements ``t:name``."""
        assert self.root is not None, self.content
        return [each.text or "" for each in self.root.iterfind(f".//t:{name}", NAMES)]

    def values(self, name: str, attribute: str) -> list[str]:
        assert self.root is not None, self.content
        return [each.get(attribute) for each in self.root.iterfind(f".//t:{name}", NAMES)]
