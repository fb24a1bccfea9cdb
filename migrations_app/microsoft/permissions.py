"""What Entra has given an application, as its token says."""

from __future__ import annotations

import base64
import binascii
import json


def roles_of(token: str) -> frozenset[str]:
    """The application permissions that a token names; none where it cannot be read, which is no right of ours: Graph
    alone judges tokens, and this is only shown."""
    try:
        _, claims, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        roles = found.get("roles") if isinstance(found, dict) else None
    except (ValueError, binascii.Error, RecursionError):
        return frozenset()
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()
