"""Those who wrote, as the compliance service tells of them with each message, and those whom a CSV names (R105)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from migrations_app.chat.archive.records import Principal

_FALSE = {"false", "0"}


@dataclass(slots=True)
class _Sender:
    at: int
    name: str
    email: str
    uri: str
    is_federated: bool


class Senders:
    """By their number at the source; where there is none, by their address. Of two spellings the later one counts."""

    def __init__(self) -> None:
        self._senders: dict[str, _Sender] = {}
        self._by_address: dict[str, str] = {}
        self._named: dict[str, str] = {}

    @staticmethod
    def key_of(attributes: Mapping[str, str]) -> str:
        """Empty where the message does not say who sent it."""
        return attributes.get("id", "").strip() or _plain(attributes.get("uri", ""))

    def add(self, attributes: Mapping[str, str], at: int) -> str:
        key = self.key_of(attributes)
        known = self._senders.get(key)
        if known is None or known.at <= at:
            uri = _plain(attributes.get("uri", ""))
            email = attributes.get("email", "").strip()
            name = attributes.get("UserName", "").strip() or uri or email
            is_federated = attributes.get("internal", "").strip().casefold() in _FALSE
            self._senders[key] = _Sender(at, name, email, uri, is_federated)
        return key

    def find(self, addresses: Iterable[str]) -> list[str]:
        """The ids of these people; whoever has written nothing is added."""
        if not self._by_address:
            for key, sender in self._senders.items():
                for address in (sender.email, sender.uri):
                    if address:
                        self._by_address[address.casefold()] = key
        found = []
        for address in addresses:
            key = self._by_address.setdefault(address.casefold(), address)
            if key not in self._senders:
                self._named[key] = address
            found.append(key)
        return found

    def principals(self) -> Iterator[Principal]:
        for key, sender in self._senders.items():
            yield Principal(
                id=key, sip=sender.uri, name=sender.name, email=sender.email, is_federated=sender.is_federated
            )
        for key, address in self._named.items():
            yield Principal(id=key, sip=address, name=address)


def _plain(uri: str) -> str:
    uri = uri.strip()
    return uri[4:] if uri.casefold().startswith("sip:") else uri
