"""From a user's settings to what their invitations should say of the phone, and in which words."""

from __future__ import annotations

from collections.abc import Sequence

import phonenumbers

from migrations_app.failures import Failure
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.conference_ids import given_private_ids, private_conference_ids
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.user_settings import UserSettings
from tenants_app.wording import FREE_ID


class InvitationSettings:
    """What one user's invitations should say. Raises ``Failure`` where they cannot be migrated, or lack a setting."""

    def __init__(self, user: ConferencingUser) -> None:
        """``user.tenant`` and ``user.bridge`` should be loaded already."""
        refusal = why_not_served(UserSettings.of(user, ""))
        if refusal:
            raise Failure("cannot-be-served", refusal.sentence)
        self.user = user
        self.fingerprint = user.settings_fingerprint
        self.number_keys: frozenset[int] = frozenset()
        """The service numbers that the invitations show."""
        tenant = user.tenant
        self.newly_numbered: set[str] = set()
        self.has_phone_part = user.audio_conferencing_license and user.audio_conferencing_enabled
        self.conference_id = ""
        toll = toll_free = None
        if self.has_phone_part:
            if user.bridge is None:
                raise Failure("no-bridge")
            toll_row = user.toll_number or user.bridge.default_number
            if toll_row is None:
                raise Failure("no-dial-in-number", f"bridge {user.bridge.name}")
            toll = _phone_number(toll_row)
            toll_free = _phone_number(user.toll_free_number) if user.toll_free_number else None
            self.number_keys = frozenset(row.pk for row in (toll_row, user.toll_free_number) if row)
            if self.has_public_id and user.bridge.gives_conference_ids:
                self.conference_id = user.conference_id
                if not self.conference_id:
                    raise Failure("user-without-conference-id")
        self.block = MeetingBlock(
            join_url="",
            language=user.language,
            toll=toll,
            toll_free=toll_free,
            conference_id=self.conference_id,
            local_numbers_url=tenant.local_numbers_url if self.has_phone_part else "",
            help_url=tenant.help_url,
            legal_url=tenant.legal_url,
            logo_url=tenant.logo_url,
            footer_text=tenant.footer_text,
            organization=tenant.name,
        )
        """What the block of any meeting says, but for what leads into it and for private conference IDs."""

    @property
    def has_public_id(self) -> bool:
        return self.user.conference_id_type == ConferencingUser.ConferenceIdType.PUBLIC

    @property
    def gives_ids(self) -> bool:
        """Whether MMS hands out the conference IDs of the user's bridge, and not the meeting service (R43)."""
        return self.user.bridge is None or self.user.bridge.gives_conference_ids

    @property
    def gives_private_ids(self) -> bool:
        """Whether MMS gives each meeting a conference ID of its own."""
        return self.has_phone_part and self.gives_ids and not self.has_public_id

    def private_ids(self, uids: Sequence[str]) -> dict[str, str]:
        """The conference IDs of meetings that have their own; gives out those that are missing."""
        if not uids or not self.gives_private_ids:
            return {}
        ids, new = private_conference_ids(self.user, uids)
        self.newly_numbered |= new
        return ids

    def private_ids_to_show(self, uids: Sequence[str]) -> dict[str, str]:
        """The same for a preview: :data:`FREE_ID` stands for those that are missing. Nothing is given out."""
        if not uids or not self.gives_private_ids:
            return {}
        return dict.fromkeys(uids, FREE_ID) | given_private_ids(self.user, uids)


def _phone_number(row: ServiceNumber) -> PhoneNumber:
    display = phonenumbers.format_number(phonenumbers.parse(row.number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    # The city first, as people write it in most languages.
    return PhoneNumber(row.number, display, place_of_row(row.city, row.country))


def place_of_row(city: str, country: str) -> str:
    """A place as blocks show it."""
    return ", ".join(part for part in (city, country) if part)
