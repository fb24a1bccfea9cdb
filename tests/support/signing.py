"""Private keys with their certificates, as administrators make them for an app registration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tenants_app.changes.mailboxes import create_connection
from tenants_app.models import MailboxConnection, Tenant
from tests.support.actors import ACTOR


@lru_cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key; another ``number`` is another key."""
    return rsa.generate_private_key(65537, bits)


@lru_cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, ends_in: timedelta = timedelta(days=365), begins: int = -10
) -> str:
    """A self-signed certificate in PEM form, which begins after so many days."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MMS")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days=begins)).not_valid_after(now + ends_in)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: str = "") -> str:
    """The key in PEM form."""
    closed = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, closed).decode()


def pair(ends_in: timedelta = timedelta(days=365)) -> str:
    """A key and its certificate in one text."""
    return private(rsa_key()) + certificate(rsa_key(), ends_in)


def connection_to_microsoft(tenant: Tenant) -> MailboxConnection:
    """One whose certificate ends soon."""
    return create_connection(
        tenant,
        ACTOR,
        "Microsoft 365",
        kind="graph",
        directory_id="b7e0a1d2-0000-4000-8000-00000000c0de",
        username="5f6a0613-55e2-4074-a8b4-060000000001",
        password=pair(timedelta(days=20)),
    )
