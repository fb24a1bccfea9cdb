"""What becomes of answers that no good Exchange gives: a Failure with a code, and never a traceback or a loop."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.exchange.events import Change, Kind
from migrations_app.mailboxes.exchange.source import Unsettled
from tests.support.scripted_server import Asked, ScriptedServer, Told, scripted

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
OF = "http://schemas.microsoft.com/exchange/services/2006"
OPERATIONS = ("GetFolder", "FindFolder", "FindItem", "GetItem", "UpdateItem")


def envelope(body: str, status: int = 200) -> Told:
    text = f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'
    return Told(status, text.encode(), {"Content-Type": "text/xml"})


def answer(operation: str, *inner: str) -> Told:
    messages = "".join(
        f'<m:{operation}ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{each}'
        f"</m:{operation}ResponseMessage>"
        for each in inner
    )
    return envelope(
        f'<m:{operation}Response xmlns:m="{OF}/messages" xmlns:t="{OF}/types"><m:ResponseMessages>{messages}'
        f"</m:ResponseMessages></m:{operation}Response>"
    )


def folder(id_: str) -> str:
    inside = f'<t:FolderId Id="{id_}" ChangeKey="k"/><t:FolderClass>IPF.Appointment</t:FolderClass>'
    return f"<m:Folders><t:CalendarFolder>{inside}</t:CalendarFolder></m:Folders>"


def page(items: str, attributes: str = 'IncludesLastItemInRange="true"') -> str:
    return f'<m:RootFolder {attributes} TotalItemsInView="9"><t:Items>{items}</t:Items></m:RootFolder>'


def item(id_: str) -> str:
    times = "<t:Start>2027-01-01T09:00:00Z</t:Start><t:End>2027-01-01T10:00:00Z</t:End>"
    return (
        f'<t:CalendarItem><t:ItemId Id="{id_}" ChangeKey="k"/><t:UID>uid-{id_}</t:UID>{times}'
        "<t:CalendarItemType>Single</t:CalendarItemType></t:CalendarItem>"
    )


GOOD = {
    "GetFolder": answer("GetFolder", folder("calendar"), folder("trash"), folder("root")),
    "FindFolder": answer(
        "FindFolder", '<m:RootFolder IncludesLastItemInRange="true" TotalItemsInView="0"><t:Folders/></m:RootFolder>'
    ),
    "FindItem": answer("FindItem", page(item("a"))),
    "GetItem": answer("GetItem", f"<m:Items>{item('a')}</m:Items>"),
}


class Exchange:
    """Answers as it is told to, and otherwise as a server would."""

    def __init__(self) -> None:
        self.answers: dict[str, Told] = {}
        self.server: ScriptedServer

    def __call__(self, asked: Asked) -> Told:
        operation = next(each for each in OPERATIONS if f"m:{each}>".encode() in asked.body)
        return self.answers.get(operation) or GOOD[operation]

    def opened(self, sign_in_by: str = "basic") -> EwsSource:
        account = self.server.account("EWS/Exchange.asmx")
        return EwsSource(account, "anna@contoso.com", sign_in_by=sign_in_by, allowed_hosts={"localhost"})

    def list(self, sign_in_by: str = "basic") -> list[str]:
        with self.opened(sign_in_by) as source:
            return [entry.id for entries in source.list(NOW, lambda: None) for entry in entries]

    def read(self, *ids: str) -> set[str]:
        with self.opened() as source:
            return set(source.read(ids))

    def write(self, sign_in_by: str = "basic") -> str:
        with self.opened(sign_in_by) as source:
            return source.apply(Change("a", "k", Kind.SINGLE, "<p>new</p>"))


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    stand_in = Exchange()
    with scripted(stand_in) as server:
        stand_in.server = server
        yield stand_in


def busy(milliseconds: str) -> Told:
    value = f'<t:MessageXml xmlns:t="{OF}/types"><t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value>'
    code = f'<e:ResponseCode xmlns:e="{OF}/errors">ErrorServerBusy</e:ResponseCode>'
    fault = f"<s:Fault><faultcode>x</faultcode><faultstring>x</faultstring><detail>{code}{value}</t:MessageXml>"
    return envelope(f"{fault}</detail></s:Fault>", 500)


@pytest.mark.parametrize(
    ("operation", "told", "code"),
    [
        ("GetFolder", answer("GetFolder", *["<m:Folders><t:CalendarFolder/></m:Folders>"] * 3), "mailbox-answer"),
        ("GetFolder", answer("GetFolder", "<m:Folders/>"), "mailbox-answer"),
        ("FindItem", answer("FindItem", page(item("a"), 'IndexedPagingOffset="x"')), "mailbox-answer"),
        ("FindItem", answer("FindItem", page(item("a") * 900, 'IncludesLastItemInRange="false"')), "mailbox-answer"),
        ("FindItem", envelope(f"&#{'9' * 5000};"), "mailbox-answer"),
        ("FindItem", busy("soon"), "mailbox-answer"),
        ("FindItem", busy("9" * 30), "mailbox-unavailable"),
    ],
)
def test_a_listing_that_cannot_be_used_is_a_failure(exchange: Exchange, operation: str, told: Told, code: str) -> None:
    assert exchange.list() == ["a"]
    exchange.answers[operation] = told
    with pytest.raises(Failure) as raised:
        exchange.list()
    assert raised.value.code == code


def test_what_is_answered_about_another_meeting_is_not_this_one(exchange: Exchange) -> None:
    assert exchange.read("a") == {"a"}
    assert exchange.read("b") == set()
    exchange.answers["GetItem"] = answer("GetItem", *[f"<m:Items>{item('b')}</m:Items>"] * 2)
    assert exchange.read("a", "b") == {"b"}


def test_a_write_whose_answer_asks_to_wait_for_ages_is_not_lost(exchange: Exchange) -> None:
    exchange.answers["UpdateItem"] = busy("9" * 30)
    with pytest.raises(Failure) as raised:
        exchange.write()
    assert raised.value.code == "mailbox-unavailable"
    exchange.answers["UpdateItem"] = busy("soon")
    with pytest.raises(Unsettled):
        exchange.write()


@pytest.mark.parametrize("work", [lambda exchange: exchange.list("ntlm"), lambda exchange: exchange.write("ntlm")])
@pytest.mark.parametrize(
    "challenge",
    [
        "NTLM",
        "NTLM abc",
        "NTLM !!!!",
        f"NTLM {base64.b64encode(b'NTLMSSP' + bytes([0, 2, 0, 0, 0])).decode()}",
        f"NTLM {base64.b64encode(b'NTLMSSP' + bytes([0, 3, 0, 0, 0]) + bytes([255] * 100)).decode()}",
        "Negotiate",
    ],
)
def test_a_sign_in_that_goes_on_and_on_is_refused(
    exchange: Exchange, challenge: str, work: Callable[[Exchange], object]
) -> None:
    for operation in OPERATIONS:
        exchange.answers[operation] = Told(401, headers={"WWW-Authenticate": challenge})
    with pytest.raises(Failure) as raised:
        work(exchange)
    assert raised.value.code == "mailbox-sign-in-refused"
    assert len(exchange.server.asked) <= 6
