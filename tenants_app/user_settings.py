"""The settings of a user that rules are about, apart from the database: before and after a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenants_app.models import ConferencingUser


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
    meeting_service: str
    mailbox: str
    """The name of the user's own connection; empty: the tenant's mailboxes."""
    is_mailbox_connected: bool
    """Whether a connection leads to the mailbox; told only where that matters, of one on-premises (R15)."""
    undo_holds: bool = False
    """Whether meetings were put back, and stay so until a person wants them up to date."""

    @classmethod
    def of(cls, user: ConferencingUser, conference_id: str = "") -> UserSettings:
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
            meeting_service=user.meeting_service,
            mailbox=user.mailbox.name if user.mailbox_id and user.mailbox else "",
            is_mailbox_connected=user.mailbox_location != user.Hosting.ONLINE and user.mailbox_connection is not None,
            undo_holds=user.undo_holds,
        )


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """A user's settings before and after a change, and what else the rules ask about it."""

    before: UserSettings
    after: UserSettings
    reschedule_meetings: bool = False
    unassigned_number: str = ""
    """The number, toll or toll-free, that the user loses because it is taken off the bridge (R6)."""


def acp_is_replaced(is_on: bool, provider: str, *, had_license: bool, has_license: bool) -> bool:
    """Whether a licence that is newly assigned makes Microsoft the provider of a user on an ACP (R14).

    ``is_on`` is the switch AutomaticallyReplaceAcpProvider; an empty ``provider`` is Microsoft.
    """
    return is_on and has_license and not had_license and provider != ""
