"""Which mailbox a user has. Nothing else knows the kinds by name, but for the commands that fill an embedded one."""

from __future__ import annotations

from collections.abc import Sequence

from migrations_app.mailboxes.base import Mailbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from tenants_app.models import ConferencingUser

KINDS: Sequence[type[Mailbox]] = (EmbeddedMailbox,)
"""Every kind of mailbox there is."""


def mailbox_of(user: ConferencingUser) -> Mailbox:
    """The user's mailbox."""
    return EmbeddedMailbox(user)
