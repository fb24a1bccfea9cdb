"""Tenants, users, bridges and numbers under the names that commands print and files carry (PascalCase)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.wording import provider_name

TENANT_FIELDS: Mapping[str, str] = {
    "Slug": "slug",
    "Name": "name",
    "Domain": "domain",
    "MeetingUrl": "meeting_url",
    "MeetingMigrationEnabled": "meeting_migration_enabled",
    "AutomaticallyMigrateUserMeetings": "automatically_migrate_user_meetings",
    "AutomaticallyReplaceAcpProvider": "automatically_replace_acp_provider",
    "AttendeeLimit": "attendee_limit",
    "SettlingTime": "settling_time",
    "LocalNumbersUrl": "local_numbers_url",
    "HelpUrl": "help_url",
    "LegalUrl": "legal_url",
    "LogoUrl": "logo_url",
    "FooterText": "footer_text",
}


def tenant_record(tenant: Tenant) -> dict[str, Any]:
    return {name: getattr(tenant, field) for name, field in TENANT_FIELDS.items()}


def bridge_record(bridge: Bridge) -> dict[str, Any]:
    """``bridge.numbers`` should be loaded already."""
    default = next((row for row in bridge.numbers.all() if row.is_default), None)
    return {
        "Name": bridge.name,
        "IsDefault": bridge.is_default,
        "Provider": provider_name(bridge.provider),
        "DefaultNumber": default.number if default else "",
        "ServiceNumbers": [row.number for row in bridge.numbers.all()],
    }


def number_record(number: ServiceNumber) -> dict[str, Any]:
    """``number.bridge`` should be loaded already."""
    return {
        "Number": number.number,
        "Type": number.kind,
        "Bridge": number.bridge.name,
        "IsDefault": number.is_default,
        "Country": number.country,
        "City": number.city,
    }


def user_record(user: ConferencingUser) -> dict[str, Any]:
    """A user's settings under the column names of ``import_users``; numbers are those that invitations show."""
    toll = user.toll_number
    if toll is None and user.bridge is not None:
        toll = user.bridge.numbers.filter(is_default=True).first()
    return {
        "UserId": str(user.user_id),
        "UserPrincipalName": user.upn,
        "SipAddress": user.sip_address,
        "DisplayName": user.display_name,
        "Language": user.language,
        "Hosting": user.hosting,
        "MailboxLocation": user.mailbox_location,
        "AudioConferencingLicense": user.audio_conferencing_license,
        "AudioConferencingEnabled": user.audio_conferencing_enabled,
        "ConferencingProvider": provider_name(user.conferencing_provider),
        "Bridge": user.bridge.name if user.bridge else "",
        "ConferenceId": user.conference_id,
        "ConferenceIdType": user.conference_id_type,
        "TollNumber": toll.number if toll else "",
        "TollFreeNumber": user.toll_free_number.number if user.toll_free_number else "",
    }
