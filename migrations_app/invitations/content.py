"""From a user's settings to what their invitations should say."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from urllib.parse import quote

import phonenumbers
from django.db import transaction

from migrations_app.failures import Failure
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.conference_ids import private_conference_ids
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.user_settings import UserSettings


def meeting_key(tenant_slug: str, uid: str) -> str:
    """The 8 characters that end a meeting's join link: the same for the same meeting, always.

    They follow from the meeting's UID, so a block that was copied into another meeting gives itself away.
    """
    digest = hashlib.blake2b(f"{tenant_slug}\n{uid}".encode(), digest_size=5).digest()
    return base64.b32encode(digest).decode("ascii")


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
        name, _, domain = user.sip_address.partition("@")
        hosted = "" if domain.lower() == tenant.domain else f"{domain.lower()}/"
        self._join_prefix = f"{tenant.meeting_url.rstrip('/')}/{hosted}{quote(name.lower(), safe='')}/"
        self.newly_numbered: set[str] = set()
        self.has_phone_part = user.audio_conferencing_license and user.audio_conferencing_enabled
        self.conference_id = ""
        toll = toll_free = None
        if self.has_phone_part:
            if user.bridge is None:
                raise Failure("no-bridge")
            toll_row = user.toll_number or user.bridge.numbers.filter(is_default=True).first()
            if toll_row is None:
                raise Failure("no-dial-in-number", f"bridge {user.bridge.name}")
            toll = _phone_number(toll_row)
            toll_free = _phone_number(user.toll_free_number) if user.toll_free_number else None
            self.number_keys = frozenset(row.pk for row in (toll_row, user.toll_free_number) if row)
            if self.has_public_id:
                self.conference_id = user.conference_id
                if not self.conference_id:
                    raise Failure("user-without-conference-id")
        self.common_block = MeetingBlock(
            join_url=self._join_prefix,
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

    @property
    def has_public_id(self) -> bool:
        return self.user.conference_id_type == ConferencingUser.ConferenceIdType.PUBLIC

    def blocks(self, uids: Sequence[str]) -> dict[str, MeetingBlock]:
        """The block that each meeting should carry; gives out private conference IDs where there are none yet."""
        ids: dict[str, str] = {}
        if self.has_phone_part and not self.has_public_id:
            ids, new = private_conference_ids(self.user, uids)
            self.newly_numbered |= new
        slug = self.user.tenant.slug
        return {
            uid: dataclasses.replace(
                self.common_block,
                join_url=self._join_prefix + meeting_key(slug, uid),
                conference_id=ids.get(uid, self.conference_id),
            )
            for uid in uids
        }

    def blocks_to_show(self, uids: Sequence[str]) -> dict[str, MeetingBlock]:
        """The block that each meeting would get; private conference IDs are only shown, not given out."""
        with transaction.atomic():
            blocks = self.blocks(uids)
            transaction.set_rollback(True)
        return blocks


def _phone_number(row: ServiceNumber) -> PhoneNumber:
    display = phonenumbers.format_number(phonenumbers.parse(row.number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    # The city first, as people write it in most languages.
    return PhoneNumber(row.number, display, ", ".join(part for part in (row.city, row.country) if part))
