"""What an OpenID provider says of a person, read: who they are, and which roles their groups give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import normalize

from django.conf import settings

RANK = ("viewer", "operator", "admin")


def name_for(claims: Mapping[str, Any]) -> str:
    """The user name of a new account: the one that people know, of characters that a user name may have."""
    wanted = str(claims.get("preferred_username") or claims.get("email") or claims.get("sub"))
    return re.sub(r"[^\w.@+-]", "_", normalize("NFKC", wanted))[:150]


def is_verified(claims: Mapping[str, Any]) -> bool:
    """Whether the provider vouches for the address; anything but a plain yes is a no."""
    vouched = claims.get("email_verified")
    return vouched is True or vouched == "true"


def groups_of(claims: Mapping[str, Any]) -> list[str]:
    """The groups, where ``MMS_OIDC_GROUPS_CLAIM`` says that they stand; dots lead into objects, as in Keycloak."""
    found: Any = claims
    if settings.MMS_OIDC_GROUPS_CLAIM in claims:
        found = claims[settings.MMS_OIDC_GROUPS_CLAIM]
    else:
        for part in settings.MMS_OIDC_GROUPS_CLAIM.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found]
    return [group for group in found if isinstance(group, str)] if isinstance(found, list) else []


def roles_of(groups: Iterable[str]) -> dict[str, str]:
    """The role in each tenant, by its slug, that the groups give: the greatest, where several do."""
    roles: dict[str, str] = {}
    for group in groups:
        for of_group, slug, role in settings.MMS_OIDC_ROLES:
            if group == of_group and RANK.index(role) >= RANK.index(roles.get(slug, "viewer")):
                roles[slug] = role
    return roles
