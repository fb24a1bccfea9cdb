"""The key with which telephone bridges ask a tenant's dial-in directory by conference ID (R46)."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_key() -> str:
    """256 random bits, as text that an address may carry."""
    return secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What is kept of a key. Without salt or stretching, because nobody can guess at 256 random bits."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def is_key(key: str, stored_hash: str) -> bool:
    """Whether it is the key of that hash, in constant time; no key is that of an empty one."""
    return hmac.compare_digest(hash_of(key), stored_hash)
