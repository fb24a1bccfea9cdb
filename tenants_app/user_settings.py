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
    """Whether a connection of a kind that leads to Exchange on-premises serves the user (R15); told only of those whose
    mailbox is there, since of others it decides nothing."""
    undo_holds: bool = False
    """Whether meetings were put back, and stay so until a person wants them up to date."""
    deployment: str = ""
    """The name of the user's deployment (R60); empty: none."""
    deployment_service: str = ""
    """The meeting service that the deployment names; empty: none."""
    service_there: str = ""
    """Who hosts meetings of the user that are made anew in the deployment; empty where the user has none."""
    is_on_new_deployment: bool = False
    """Whether the user's deployment is the new one of two, so that MMS serves them also on-premises (R62)."""

    @classmethod
    def of(cls, user: ConferencingUser, conference_id: str = "") -> UserSettings:
        """The user's settings now; ``user.bridge`` and ``user.deployment`` should be loaded already."""
        deployment = user.deployment if user.deployment_id else None
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
            is_mailbox_connected=_is_reached_on_premises(user),
            undo_holds=user.undo_holds,
            deployment=deployment.name if deployment else "",
            deployment_service=deployment.meeting_service if deployment else "",
            service_there=str(user.effective_meeting_service) if deployment else "",
            is_on_new_deployment=deployment is not None and deployment.role == deployment.Role.NEW,
        )


def _is_reached_on_premises(user: ConferencingUser) -> bool:
    if user.mailbox_location == user.Hosting.ONLINE:
        return False
    connection = user.mailbox_connection
    return connection is not None and connection.reaches_on_premises


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """A user's settings before and after a change, and what else the rules ask about it."""

    before: UserSettings
    after: UserSettings
    reschedule_meetings: bool = False
    unassigned_number: str = ""
    """The number, toll or toll-free, that the user loses because it is taken off the bridge (R6)."""
    says_otherwise: bool = False
    """Whether the user moves to another deployment and the invitations should say something else there (R36, R62)."""


def acp_is_replaced(is_on: bool, provider: str, *, had_license: bool, has_license: bool) -> bool:
    """Whether a licence that is newly assigned makes Microsoft the provider of a user on an ACP (R14).

    ``is_on`` is the switch AutomaticallyReplaceAcpProvider; an empty ``provider`` is Microsoft.
    """
    return is_on and has_license and not had_license and provider != ""
