"""The certificate, with its private key, by which MMS signs in to Microsoft as an application."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.core.exceptions import ValidationError
from django.utils import timezone

from tenants_app.sentences import sentence

LEAST_BITS = 2048
"""Of an RSA key that Microsoft takes."""
_LONGEST = 100_000
"""Characters of a key with its certificate and those of its issuers."""
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]*(?:-(?!----)[^-]*)*-----END \1-----")


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """What may be shown of it. ``fingerprint`` is the SHA-1 thumbprint, as Microsoft Entra lists it."""

    fingerprint: str
    ends_at: datetime


def is_pem(secret: str) -> bool:
    """Whether a secret is a certificate and its key, and no word."""
    return "-----BEGIN" in secret


def read_certificate(pem: str) -> SigningCertificate:
    """The certificate of a private key, both in one text in PEM form.

    Raises ``ValidationError`` with a sentence, which quotes nothing of the text, where MMS could not sign in by it.
    """
    if len(pem) > _LONGEST:
        raise ValidationError(
            sentence("The file is too large: give one private key and its certificate, and nothing else.")
        )
    key, certificate = _key(pem), _certificate_of(pem)
    if not _belong_together(certificate, key):
        raise ValidationError(
            sentence("The certificate and the private key do not belong together: give those of one pair.")
        )
    now = timezone.now()
    if certificate.not_valid_after_utc <= now:
        raise ValidationError(
            sentence(
                "The certificate ended on %(day)s: make a new one, and upload it to the app registration too.",
                day=format(certificate.not_valid_after_utc, "%Y-%m-%d"),
            )
        )
    if certificate.not_valid_before_utc > now:
        raise ValidationError(
            sentence(
                "The certificate is not valid before %(day)s: wait until then, or make another.",
                day=format(certificate.not_valid_before_utc, "%Y-%m-%d"),
            )
        )
    fingerprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name, and no proof
    return SigningCertificate(fingerprint, certificate.not_valid_after_utc)


def _belong_together(certificate: x509.Certificate, key: RSAPrivateKey) -> bool:
    try:
        return certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm):  # of another kind
        return False


def _key(pem: str) -> RSAPrivateKey:
    found = [match[0] for match in _PEM.finditer(pem) if match[1].endswith("PRIVATE KEY")]
    if not found:
        raise ValidationError(
            sentence("The file holds no private key: give the key and its certificate in one file, in PEM form.")
        )
    if len(found) > 1:
        raise ValidationError(sentence("The file holds more than one private key: give one, with its certificate."))
    try:
        key = serialization.load_pem_private_key(found[0].encode(), password=None)
    except TypeError:
        raise ValidationError(
            sentence(
                "The private key is encrypted: take its passphrase off (openssl pkey); MMS keeps it encrypted itself."
            )
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValidationError(
            sentence("The private key cannot be read: give it in PEM form, as openssl writes it.")
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise ValidationError(sentence("Microsoft takes RSA keys only: make a certificate with an RSA key."))
    if key.key_size < LEAST_BITS:
        raise ValidationError(
            sentence(
                "The RSA key has %(bits)s bits: make one of %(least)s or more.",
                bits=str(key.key_size),
                least=str(LEAST_BITS),
            )
        )
    return key


def _certificate_of(pem: str) -> x509.Certificate:
    """The first one: issuers may follow it."""
    found = next((match[0] for match in _PEM.finditer(pem) if match[1] == "CERTIFICATE"), "")
    if not found:
        raise ValidationError(
            sentence("The file holds no certificate: give the key and its certificate in one file, in PEM form.")
        )
    try:
        return x509.load_pem_x509_certificate(found.encode())
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise ValidationError(
            sentence("The certificate cannot be read: give it in PEM form, as openssl writes it.")
        ) from None
