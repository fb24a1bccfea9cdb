"""From a user's settings to what their invitations should say of the phone, and in which words."""

from __future__ import annotations

from collections.abc import Sequence

import phonenumbers

from migrations_app.failures import Failure
from migrations_app.rewriting.block import MeetingBlock, Phone, PhoneNumber
from migrations_app.rewriting.dialling import country_of
from migrations_app.rewriting.labels import language_of
from migrations_app.rewriting.online_meeting import DialInFacts
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.conference_ids import given_private_ids, private_conference_ids
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.sentences import sentence
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
                raise Failure("no-dial-in-number", sentence("bridge %(bridge)s", bridge=user.bridge.name))
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

    def phone_of(self, said: DialInFacts) -> Phone:
        """The phone part of a meeting by what its service says of it (R43). Services do not say where numbers are."""
        toll, toll_free = (_said_number(each, self.user.language) for each in (said.toll, said.toll_free))
        return Phone(toll, toll_free, said.conference_id, said.local_numbers_url)

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
    # The city first, as people write it in most languages.
    return PhoneNumber(row.number, _as_read(row.number), place_of_row(row.city, row.country))


def _said_number(number: str, language: str) -> PhoneNumber | None:
    if not number:
        return None
    return PhoneNumber(number, _as_read(number), country_of(number, language_of(language)))


def _as_read(number: str) -> str:
    return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def place_of_row(city: str, country: str) -> str:
    """A place as blocks show it."""
    return ", ".join(part for part in (city, country) if part)
