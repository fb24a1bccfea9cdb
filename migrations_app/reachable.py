"""Which machines MMS may connect to where an administrator of a tenant names one, and why one is not trusted."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection

from tenants_app.sentences import Sentence, sentence

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_WHY_NOT_TRUSTED = {
    9: sentence("is not valid yet"),
    10: sentence("has expired"),
    18: sentence("is signed by the server itself"),
    19: sentence("is issued by a CA that is not known here"),
    20: sentence("is issued by a CA that is not known here"),
    21: sentence("comes without the certificates that lead to a known CA"),
    23: sentence("was revoked"),
    62: sentence("is made out to another host"),
    64: sentence("is made out to another address"),
}
"""By the verification codes of OpenSSL (``X509_V_ERR_…``)."""


def is_allowed_host(host: str, allowed_hosts: Collection[str]) -> bool:
    """Whether the operator has named this host, as it stands in the address."""
    return host in {name.strip().strip("[]").rstrip(".").lower() for name in allowed_hosts}


def is_public(address: str) -> bool:
    """Whether an IP address is one of the Internet: not private, not this machine's, not the local network's.

    An IPv4 address inside an IPv6 one counts as what it is, so that nobody hides in one.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def why_not_trusted(error: ssl.SSLCertVerificationError) -> Sentence:
    """What is wrong with a certificate; goes on after its name."""
    return _WHY_NOT_TRUSTED.get(error.verify_code, sentence("does not stand up to the check"))
