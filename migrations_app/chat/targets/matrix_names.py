"""What people, rooms and spaces are called on a Matrix homeserver, always the same for the same, and the registration
that gives these names to MMS."""

from __future__ import annotations

import hashlib
import hmac
import json
import re

from migrations_app.chat.archive.records import Principal, PrincipalKind, PrincipalState, Room
from migrations_app.chat.conversion.outgoing import OutgoingCategory

LONGEST_NAME = 256
"""Characters of the name under which somebody is shown (Synapse)."""
_OF_LOCALPARTS = "abcdefghijklmnopqrstuvwxyz0123456789._-"
_LONGEST_IN_GHOST = 40
"""Octets of the readable part of an author's account: 255 are all that an id may have, with the server's name."""
PREFIX = re.compile(r"[a-z0-9][a-z0-9._-]{0,29}\Z")
"""What our names may begin with."""
SERVER_NAME = re.compile(r"[A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?\Z")


def identity_of(room: Room) -> str:
    """By what a room is known in every archive (``Found.ours``)."""
    return room.guid or room.id


def room_alias(prefix: str, room: Room) -> str:
    """The local part of a room's alias. Numbers are used by every source anew, so they count together with names."""
    seed = ["guid", room.guid.lower()] if room.guid else ["id", room.id, room.name, room.category]
    return f"{prefix}room_{_digest(seed)}"


def space_alias(prefix: str, category: OutgoingCategory) -> str:
    """The local part of a space's alias."""
    seed = ["guid", category.guid.lower()] if category.guid else ["id", category.id, category.name]
    return f"{prefix}space_{_digest(seed)}"


def transaction_of(key: str, what: str = "") -> str:
    """The transaction of a message: the same for the same key, so that a homeserver which still remembers it does not
    write it again."""
    return f"mms{_digest([key, what])}"


def localpart_of(principal: Principal, account_from: str, domains: frozenset[str], server_name: str) -> str | None:
    """What the homeserver would call somebody; None for whoever can have no account there.

    Only people of the organization's own domains: ``ann@contoso.com`` is nobody else's ``ann``.
    """
    if principal.kind is not PrincipalKind.USER or principal.state is PrincipalState.DELETED or principal.is_federated:
        return None
    address = {"upn": principal.upn, "email": principal.email}.get(account_from, principal.sip)
    local, _, domain = address.strip().lower().rpartition("@")
    host = server_name.lower().partition(":")[0]
    known = domain in domains if domains else host == domain or host.endswith(f".{domain}")
    return _mapped(local) if local and domain and known else None


def ghost_of(prefix: str, principal: Principal, name: str) -> str:
    """The local part of an account that is made for an author who writes under none of their own."""
    who = principal.guid.lower() or principal.sip.lower() or principal.upn.lower() or principal.id
    readable = (principal.sip or principal.upn or name).partition("@")[0].lower()
    readable = re.sub(r"[^a-z0-9._-]+", "-", readable)[:_LONGEST_IN_GHOST].strip("-")
    return f"{prefix}{readable}_{_digest([who])[:10]}" if readable else f"{prefix}{_digest([who])[:10]}"


def shown(name: str, fallback: str) -> str:
    """A name as the homeserver takes it."""
    name = " ".join(name.split()) or fallback
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def registration(token: str, sender: str, prefix: str, server_name: str, *, speaks_for_accounts: bool) -> str:
    """The registration of MMS as an application service, in YAML, for the homeserver's administrator."""
    own = re.escape(prefix)
    server = re.escape(server_name)
    users = [_space(f"@{own}.*:{server}", is_exclusive=True)]
    if speaks_for_accounts:
        users.append(_space(f"@.*:{server}", is_exclusive=False))
    # Nothing is ever sent to MMS ("url: null"): this one stands here because the format asks for it.
    to_us = hmac.new(token.encode(), b"hs_token", hashlib.sha256).hexdigest()
    lines = [
        f"id: {json.dumps(f'mms-{sender}')}",
        "url: null",
        f"as_token: {json.dumps(token)}",
        f"hs_token: {json.dumps(to_us)}",
        f"sender_localpart: {json.dumps(sender)}",
        "rate_limited: false",
        "namespaces:",
        "  users:",
        *users,
        "  aliases:",
        _space(f"#{own}.*:{server}", is_exclusive=True),
        "  rooms: []",
    ]
    return "\n".join(lines) + "\n"


def _space(regex: str, *, is_exclusive: bool) -> str:
    return f"    - exclusive: {str(is_exclusive).lower()}\n      regex: {json.dumps(regex)}"


def _mapped(local: str) -> str:
    """An address's name as a localpart: what it cannot have is written as the specification maps it."""
    return "".join(
        character if character in _OF_LOCALPARTS else "".join(f"={octet:02x}" for octet in character.encode())
        for character in local
    )


def _digest(seed: list[str]) -> str:
    return hashlib.sha256(json.dumps(seed, ensure_ascii=False).encode()).hexdigest()[:32]
