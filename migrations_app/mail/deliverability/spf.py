"""Whether a domain lets a machine send in its name (RFC 7208)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from migrations_app.mail.deliverability.names import Address, Names, Unknown
from tenants_app.sentences import sentence

Found = TypeVar("Found")

MOST_LOOK_UPS = 10
"""Terms that ask DNS (section 4.6.4)."""
_MOST_VOID = 2
_MOST_HOSTS = 10
_TERM = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)(?:([:=])(\S*?))?((?:/\d{1,3}){0,1}(?://\d{1,3})?)", re.IGNORECASE)


class Result(Enum):
    """What the record says of the machine (section 2.6)."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    UNKNOWN = "unknown"


_QUALIFIERS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL, "": Result.PASS}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result, and for a record that is at fault what is wrong with it."""

    result: Result
    why: str = ""


class _Wrong(Exception):
    """The record is at fault, so that receivers do as if it said nothing."""


class _CannotTell(Exception):
    """It depends on what is known only when a message arrives."""


def record_of(names: Names, domain: str) -> list[str]:
    """The SPF records of a domain; more than one is a fault. Raises ``Unknown``."""
    return [text for text in names.texts(domain) if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)]


def check(names: Names, domain: str, address: Address) -> Verdict:
    """What the domain says of the machine at the address. Raises nothing, whatever the records are."""
    try:
        return Verdict(_Check(names, address).of(domain))
    except _Wrong as wrong:
        return Verdict(Result.PERMERROR, wrong.args[0])
    except (_CannotTell, Unknown) as unknown:
        return Verdict(Result.UNKNOWN, unknown.args[0])


class _Check:
    def __init__(self, names: Names, address: Address) -> None:
        self._names, self._address = names, address
        self._look_ups = self._voids = 0

    def of(self, domain: str) -> Result:
        records = record_of(self._names, domain)
        if len(records) > 1:
            raise _Wrong(
                sentence("%(domain)s has %(count)s SPF records, and one is allowed", domain=domain, count=len(records))
            )
        if not records:
            return Result.NONE
        redirect = ""
        for term in records[0].split()[1:]:
            found = _TERM.fullmatch(term)
            if not found:
                raise _Wrong(sentence("%(term)s in the record of %(domain)s is no term", term=term[:60], domain=domain))
            qualifier, name, sign, value, length = found.groups()
            if sign == "=":
                if name.lower() == "redirect":
                    redirect = value + length
            elif self._matches(name.lower(), value or "", length or "", domain):
                return _QUALIFIERS[qualifier]
        if redirect:
            self._count()
            result = self.of(_plain(redirect))
            if result is Result.NONE:
                raise _Wrong(
                    sentence(
                        "%(redirect)s, to which %(domain)s redirects, has no SPF record",
                        redirect=redirect[:60],
                        domain=domain,
                    )
                )
            return result
        return Result.NEUTRAL

    def _matches(self, name: str, value: str, length: str, domain: str) -> bool:
        if name == "all":
            return True
        if name in {"ip4", "ip6"}:
            return self._is_in(value + length)
        if name in {"a", "mx", "include", "exists", "ptr"}:
            self._count()
        target = _plain(value) if value else domain
        if name == "include":
            result = self.of(target)
            if result is Result.NONE:
                raise _Wrong(
                    sentence(
                        "%(target)s, which %(domain)s includes, has no SPF record", target=target[:60], domain=domain
                    )
                )
            return result is Result.PASS
        if name == "a":
            return self._is_one_of([target], length)
        if name == "mx":
            return self._is_one_of(self._not_void(self._names.mail_exchangers(target))[:_MOST_HOSTS], length)
        if name == "exists":
            return bool(self._not_void(self._names.addresses(target)))
        if name == "ptr":
            return False  # not to be used (section 5.5), and many receivers do not
        raise _Wrong(sentence("%(name)s in the record of %(domain)s is no mechanism", name=name[:60], domain=domain))

    def _is_in(self, network: str) -> bool:
        try:
            return self._address in ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise _Wrong(sentence("%(network)s is no network", network=network[:60])) from None

    def _is_one_of(self, hosts: list[str], length: str) -> bool:
        four, _, six = length.partition("//")
        bits = (six if self._address.version == 6 else four.removeprefix("/")) or str(self._address.max_prefixlen)
        if int(bits) > self._address.max_prefixlen:
            raise _Wrong(sentence("%(length)s is no length of a network", length=length))
        addresses = [found for host in hosts for found in self._names.addresses(host)]
        for found in self._not_void(addresses):
            if found.version == self._address.version:
                network = ipaddress.ip_network(f"{found}/{bits}", strict=False)
                if self._address in network:
                    return True
        return False

    def _not_void(self, found: list[Found]) -> list[Found]:
        self._voids += not found
        if self._voids > _MOST_VOID:
            raise _Wrong(sentence("more than %(most_void)s of its look-ups lead to nothing", most_void=_MOST_VOID))
        return found

    def _count(self) -> None:
        self._look_ups += 1
        if self._look_ups > MOST_LOOK_UPS:
            raise _Wrong(
                sentence(
                    "it takes more than %(most_look_ups)s look-ups, which is the limit", most_look_ups=MOST_LOOK_UPS
                )
            )


def _plain(name: str) -> str:
    if "%" in name:
        raise _CannotTell(sentence("the record has macros, which only a message fills in"))
    return name.rstrip(".").lower()
