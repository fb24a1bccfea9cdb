"""What this app tells others. It never imports ``migrations_app``; whoever cares about a change listens here.

A receiver of ``users_changed`` may return a list of :class:`Consequence`, which the change hands back to the
screen or command that asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.dispatch import Signal

from tenants_app.models import Bridge, ConferencingUser, Tenant


@dataclass(frozen=True, slots=True)
class UserSettings:
    """The settings of a user that can make their invitations wrong, at one moment."""

    sip_address: str
    language: str
    hosting: str
    mailbox_location: str
    audio_conferencing_license: bool
    audio_conferencing_enabled: bool
    conferencing_provider: str
    bridge_id: int | None
    bridge_name: str
    bridge_provider: str
    conference_id_type: str
    conference_id: str
    toll_number_id: int | None
    toll_free_number_id: int | None

    @classmethod
    def of(cls, user: ConferencingUser, conference_id: str) -> UserSettings:
        """The user's settings now; ``user.bridge`` should be loaded already."""
        return cls(
            sip_address=user.sip_address,
            language=user.language,
            hosting=user.hosting,
            mailbox_location=user.mailbox_location,
            audio_conferencing_license=user.audio_conferencing_license,
            audio_conferencing_enabled=user.audio_conferencing_enabled,
            conferencing_provider=user.conferencing_provider,
            bridge_id=user.bridge_id,
            bridge_name=user.bridge.name if user.bridge else "",
            bridge_provider=user.bridge.provider if user.bridge else "",
            conference_id_type=user.conference_id_type,
            conference_id=conference_id,
            toll_number_id=user.toll_number_id,
            toll_free_number_id=user.toll_free_number_id,
        )


@dataclass(frozen=True, slots=True)
class UserChange:
    """One user's settings before and after a change that is about to be committed."""

    user: ConferencingUser
    before: UserSettings
    after: UserSettings
    reschedule_meetings: bool = False
    unassigned_number: str = ""
    """The number, toll or toll-free, that the user loses because it is taken off the bridge (R6)."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a change of a user leads to, in one sentence."""

    upn: str
    starts_run: bool
    sentence: str


users_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant``, ``changes`` (list of UserChange), ``actor`` and
``due_now`` (whether the change has settled already, R19)."""


Answers = Iterable[tuple[object, Any]]
"""What receivers return; Django's own types know of texts only."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What brings users up to date."""

    page: str
    """The address of a page."""
    command: str
    """A command, but for its ``--tenant``."""


remedy_wanted = Signal()
"""Sent where users are out of date (R36), with ``tenant``, and ``bridge`` or ``user`` where it is about these users
only. A receiver may return a :class:`Remedy`."""

next_steps_wanted = Signal()
"""Sent when ``tenant`` has been made by a command. A receiver may return a list of commands that come next."""


def remedy_for(tenant: Tenant, *, bridge: Bridge | None = None, user: ConferencingUser | None = None) -> Remedy | None:
    """What brings the users up to date, or None where nobody knows."""
    answers: Answers = remedy_wanted.send(Tenant, tenant=tenant, bridge=bridge, user=user)
    return next((remedy for _, remedy in answers if remedy), None)


def next_steps(tenant: Tenant) -> list[str]:
    """The commands that others would have come next."""
    answers: Answers = next_steps_wanted.send(Tenant, tenant=tenant)
    return [command for _, commands in answers for command in commands or ()]


tenant_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant`` and ``fields``, the names of what changed."""
