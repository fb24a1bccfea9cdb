"""Tenants, users, bridges and numbers under the names that commands print and files carry (PascalCase)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tenants_app.catalogue import TENANT_SETTINGS, TOLL_NUMBER, USER_SETTINGS, Kind, TenantSetting
from tenants_app.meeting_services import TENANTS_OWN
from tenants_app.models import (
    Bridge,
    ConferencingUser,
    Deployment,
    MailboxConnection,
    MailServerConnection,
    ServiceNumber,
    Tenant,
)
from tenants_app.wording import id_in_words, provider_name


def tenant_record(tenant: Tenant) -> dict[str, Any]:
    return {"Slug": tenant.slug, **settings_record(tenant, TENANT_SETTINGS)}


def settings_record(tenant: Tenant, settings: Iterable[TenantSetting]) -> dict[str, Any]:
    """Some settings of the tenant; a connection by its name, empty where there is none."""
    values = {setting: getattr(tenant, setting.field) for setting in settings}
    return {
        setting.name: str(value or "") if setting.model_field.is_relation else value
        for setting, value in values.items()
    }


def bridge_record(bridge: Bridge) -> dict[str, Any]:
    """``bridge.numbers`` and ``bridge.deployment`` should be loaded already."""
    default = next((row for row in bridge.numbers.all() if row.is_default), None)
    return {
        "Name": bridge.name,
        "IsDefault": bridge.is_default,
        "Provider": provider_name(bridge.provider),
        "ConferenceIdsFrom": bridge.conference_ids_from,
        "Deployment": str(bridge.deployment or ""),
        "DefaultNumber": default.number if default else "",
        "ServiceNumbers": [row.number for row in bridge.numbers.all()],
    }


def deployment_record(deployment: Deployment, users: int) -> dict[str, Any]:
    """``deployment.bridges`` should be loaded already; ``users`` belong to it."""
    return {
        "Name": deployment.name,
        "Kind": deployment.kind,
        "Role": deployment.role,
        "MeetingHosts": deployment.meeting_hosts,
        "MeetingService": deployment.meeting_service or TENANTS_OWN,
        "MeetingUrl": deployment.meeting_url,
        "Bridges": [bridge.name for bridge in deployment.bridges.all()],
        "CheckHosts": deployment.check_hosts,
        "Mover": deployment.mover,
        "MoverCommand": deployment.mover_command,
        "LowestClientVersion": deployment.lowest_client_version,
        "HighestClientVersion": deployment.highest_client_version,
        "Users": users,
        "RetiredDate": deployment.retired_at,
        "RetiredBy": deployment.retired_by,
    }


DEPLOYMENT_COLUMNS = (
    "Name",
    "Kind",
    "Role",
    "MeetingHosts",
    "MeetingService",
    "MeetingUrl",
    "Bridges",
    "CheckHosts",
    "Mover",
    "MoverCommand",
    "LowestClientVersion",
    "HighestClientVersion",
    "Users",
    "RetiredDate",
    "RetiredBy",
)


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


def connection_record(connection: MailboxConnection) -> dict[str, Any]:
    """A mailbox connection, without its password; ``connection.tenant`` should be loaded already."""
    is_default = connection.tenant.mailbox_id == connection.pk
    tells = {True: "server", False: "mms"}[connection.tells_attendees] if connection.is_outside else "mms"
    return {
        "Name": connection.name,
        "Kind": connection.kind,
        "IsDefault": is_default or (not connection.is_outside and connection.tenant.mailbox_id is None),
        "Address": connection.address,
        "Username": connection.username,
        "Cloud": connection.cloud if connection.kind == MailboxConnection.Kind.GRAPH else "",
        "DirectoryId": connection.directory_id,
        "CertificateFingerprint": connection.certificate_fingerprint,
        "SecretExpires": connection.secret_expires_at,
        "SignInBy": connection.sign_in_by if connection.kind == MailboxConnection.Kind.EXCHANGE else "",
        "Autodiscover": connection.autodiscover,
        "PathTemplate": connection.path_template,
        "Calendars": connection.calendars,
        "HasOwnAuthorities": bool(connection.ca_certificates),
        "WhoTells": connection.who_tells if connection.kind == MailboxConnection.Kind.CALDAV else tells,
        "TellsAttendees": tells,
        "MostRequests": connection.most_requests,
        "PausedUntil": connection.paused_until,
        "Problem": connection.problem_code,
        "ProblemSince": connection.problem_since,
    }


CONNECTION_COLUMNS = (
    "Name",
    "Kind",
    "IsDefault",
    "Address",
    "Username",
    "Cloud",
    "DirectoryId",
    "CertificateFingerprint",
    "SecretExpires",
    "SignInBy",
    "Autodiscover",
    "PathTemplate",
    "Calendars",
    "HasOwnAuthorities",
    "WhoTells",
    "TellsAttendees",
    "MostRequests",
    "PausedUntil",
    "Problem",
    "ProblemSince",
)


def mail_server_record(server: MailServerConnection) -> dict[str, Any]:
    """How a tenant's messages go out, without the password."""
    return {
        "Server": server.host or "installation",
        "Port": server.port if server.is_own else "",
        "Security": server.security if server.is_own else "",
        "Username": server.username,
        "HasPassword": bool(server.sealed_password),
        "HasOwnAuthorities": bool(server.ca_certificates),
        "MessagesPerMinute": server.messages_per_minute,
        "PerDomainPerMinute": server.per_domain_per_minute,
        "SenderMode": server.sender_mode,
        "Sender": server.sender,
        "DkimSelectors": server.dkim_selectors,
    }


def user_record(user: ConferencingUser) -> dict[str, Any]:
    """A user's settings under the column names of a file of users; numbers are those that invitations show."""
    shown = {setting: getattr(user, setting.field) for setting in USER_SETTINGS}
    if user.toll_number is None and user.bridge is not None:
        shown[TOLL_NUMBER] = user.bridge.default_number
    settings = {setting.name: id_in_words(written(setting.kind, value)) for setting, value in shown.items()}
    return {"UserId": str(user.user_id), "UserPrincipalName": user.upn, **settings}


def written(kind: Kind, value: Any) -> Any:
    """The stored value of a user's setting as commands print it and files carry it."""
    if kind is Kind.PROVIDER:
        return provider_name(value)
    if kind in {Kind.BRIDGE, Kind.NUMBER, Kind.DEPLOYMENT}:
        return str(value or "")
    if kind in {Kind.MEETING_SERVICE, Kind.MAILBOX}:
        return str(value or TENANTS_OWN)
    return value
