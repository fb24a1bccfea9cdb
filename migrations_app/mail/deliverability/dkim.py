"""Whether a domain has published a key for signatures (RFC 6376 section 3.6.1, RFC 8463)."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from migrations_app.mail.deliverability.names import Names
from tenants_app.sentences import sentence

_FEWEST_BITS, _GOOD_BITS = 1024, 2048


def problem_with(names: Names, selector: str, domain: str) -> tuple[str, bool]:
    """What is wrong with the key, or remarkable, in a sentence, or ""; and whether signatures with it count.

    Raises ``Unknown``.
    """
    name = f"{selector}._domainkey.{domain}"
    keys = [tags for tags in map(_tags, names.texts(name)) if "p" in tags and tags.get("v", "DKIM1") == "DKIM1"]
    if not keys:
        return sentence("There is no DKIM key at %(name)s.", name=name), False
    if len(keys) > 1:
        return sentence(
            "There are %(count)s DKIM keys at %(name)s, and receivers may take any.", count=len(keys), name=name
        ), False
    key = keys[0]
    if not key["p"]:
        return sentence("The DKIM key at %(name)s was revoked.", name=name), False
    try:
        octets = base64.b64decode("".join(key["p"].split()), validate=True)
        if key.get("k", "rsa").lower() == "ed25519":
            return (
                ("", True) if len(octets) == 32 else (sentence("The DKIM key at %(name)s is none.", name=name), False)
            )
        public = load_der_public_key(octets)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return sentence("The DKIM key at %(name)s is none that can be read.", name=name), False
    if not isinstance(public, RSAPublicKey) or public.key_size < _FEWEST_BITS:
        return sentence("The DKIM key at %(name)s is too weak: receivers ignore it.", name=name), False
    if public.key_size < _GOOD_BITS:
        return sentence(
            "The DKIM key at %(name)s has %(bits)s bits: %(better)s would be better.",
            name=name,
            bits=public.key_size,
            better=_GOOD_BITS,
        ), True
    return "", True


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
