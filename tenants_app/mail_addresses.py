"""Whose a mail address is."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet


def is_same(one: str, other: str) -> bool:
    """Whether two addresses are one: the case of the letters from A to Z does not matter, everything else does."""
    return one.encode(errors="replace").lower() == other.encode(errors="replace").lower()


def accounts_with(address: str) -> list[User]:
    """The accounts with that address, whoever came first before.

    Databases take more for the same than ``is_same``: to PostgreSQL a dotless ı is an i, and its owner would be the
    administrator whose address is written with an i.
    """
    found: QuerySet[User] = User.objects.filter(email__iexact=address.replace("\0", "")).select_related("preferences")
    return [account for account in found.order_by("pk") if is_same(account.email, address)] if address else []
