"""What can be set of a tenant and of a user stands in one table each, and what depends on a setting follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import BooleanField, IntegerField

from tenants_app.catalogue import TENANT_SETTINGS, USER_SETTINGS, TenantSetting
from tenants_app.changes.tenants import change_tenant
from tenants_app.fingerprints import note_own_blocks
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.records import tenant_record, user_record
from tests.support.actors import ACTOR
from tests.support.teams import teams_connection

NO_SETTINGS_OF_A_TENANT = {"id", "slug", "created", "directory_key_hash", "mailbox"}
NO_SETTINGS_OF_A_USER = {
    "id",
    "tenant",
    "user_id",
    "upn",
    "has_own_blocks",
    "undo_holds",
    "settings_fingerprint",
    "teams_dial_in",
    "invitations_fingerprint",
    "created",
}


def test_every_field_of_a_tenant_is_a_setting_or_known_to_be_none() -> None:
    fields = {field.name for field in Tenant._meta.fields}

    assert {setting.field for setting in TENANT_SETTINGS} == fields - NO_SETTINGS_OF_A_TENANT
    assert all(setting.does for setting in TENANT_SETTINGS)


def test_every_field_of_a_user_is_a_setting_or_known_to_be_none() -> None:
    fields = {field.name for field in ConferencingUser._meta.fields}

    assert {setting.field for setting in USER_SETTINGS} == fields - NO_SETTINGS_OF_A_USER | {"conference_id"}


def another_value(tenant: Tenant, setting: TenantSetting) -> Any:
    """One that the setting does not have, and may have."""
    field, value = setting.model_field, getattr(tenant, setting.field)
    if isinstance(field, BooleanField):
        return not value
    if isinstance(field, IntegerField):
        return value + 1
    if field.choices:
        return next(each for each, _ in field.choices if each not in {value, "teams"})
    if field.is_relation:
        return teams_connection(tenant)
    if setting.field == "time_zone":
        return "Europe/Rome"
    return "https://other.contoso.com" if setting.field.endswith("_url") else "other.contoso.com"


@pytest.mark.parametrize("setting", TENANT_SETTINGS, ids=lambda setting: setting.field)
def test_r36_users_are_out_of_date_after_a_change_of_what_invitations_show(
    anna: ConferencingUser, setting: TenantSetting
) -> None:
    note_own_blocks(anna)
    change_tenant(anna.tenant, ACTOR, **{setting.field: another_value(anna.tenant, setting)})

    assert ConferencingUser.objects.get().is_out_of_date is setting.shows_in_invitations


def test_a_record_has_every_setting_by_its_name(anna: ConferencingUser) -> None:
    assert list(tenant_record(anna.tenant)) == [
        "Slug",
        "Name",
        "Domain",
        "TimeZone",
        "MeetingUrl",
        "MeetingService",
        "TeamsConnection",
        "MeetingMigrationEnabled",
        "AutomaticallyMigrateUserMeetings",
        "AutomaticallyReplaceAcpProvider",
        "SameSequence",
        "NotifyCancelled",
        "SecondFactorRequired",
        "DialInDirectory",
        "AttendeeLimit",
        "SettlingTime",
        "LocalNumbersUrl",
        "HelpUrl",
        "LegalUrl",
        "LogoUrl",
        "FooterText",
    ]
    assert list(user_record(anna)) == [
        "UserId",
        "UserPrincipalName",
        "SipAddress",
        "DisplayName",
        "Language",
        "Hosting",
        "MailboxLocation",
        "AudioConferencingLicense",
        "AudioConferencingEnabled",
        "ConferencingProvider",
        "Bridge",
        "ConferenceId",
        "ConferenceIdType",
        "TollNumber",
        "TollFreeNumber",
        "MeetingService",
        "Mailbox",
        "Deployment",
    ]
