"""Which meeting service makes a user's meetings anew (R39). Nothing else knows the kinds by name."""

from __future__ import annotations

from migrations_app.meeting_services.base import MeetingService as Service
from migrations_app.meeting_services.link import LinkService
from migrations_app.meeting_services.none import NoService
from migrations_app.meeting_services.teams import TeamsService
from migrations_app.targets import LINK, NO_SERVICE, TEAMS, service_name
from tenants_app.models import ConferencingUser, MeetingService, Tenant
from tenants_app.sentences import sentence

_NAMES = {MeetingService.LINK: LINK, MeetingService.TEAMS: TEAMS}


def service_of(user: ConferencingUser) -> str:
    """The service in which the user's meetings are made anew: ``Link``, ``Teams`` or ``none``.

    ``user.tenant`` is read.
    """
    return _NAMES.get(user.effective_meeting_service, NO_SERVICE)


def services_of(tenant: Tenant) -> list[str]:
    """The services in which meetings of at least one of the tenant's users can be made anew."""
    of_deployments = list(tenant.deployments.exclude(meeting_service="", meeting_url=""))
    has_url = bool(tenant.meeting_url) or any(each.meeting_url for each in of_deployments)
    connected = {MeetingService.LINK: has_url, MeetingService.TEAMS: tenant.reaches_teams}
    named = {tenant.meeting_service, *(each.meeting_service for each in of_deployments)}
    return [
        name
        for service, name in _NAMES.items()
        if connected[service] and (service in named or tenant.users.filter(meeting_service=service).exists())
    ]


def why_no_target(tenant: Tenant, target: str) -> str:
    """Why no meeting of the tenant can be made anew in the service, in one sentence; empty where one can."""
    if target in services_of(tenant):
        return ""
    if target == TEAMS and not tenant.reaches_teams:
        return sentence(
            "%(tenant)s has no connection to Teams, so no meeting can move there: choose another target.",
            tenant=tenant.name,
        )
    named = {"tenant": tenant.name, "service": service_name(target)}
    if target == TEAMS or tenant.meeting_url:
        return sentence(
            "%(tenant)s has no meeting service %(service)s, so no meeting can move there: make %(service)s its meeting "
            "service, or choose the target Current.",
            **named,
        )
    return sentence(
        "%(tenant)s has no meeting service %(service)s, so no meeting can move there: give it a meeting URL, or choose "
        "the target Current.",
        **named,
    )


def service_named(name: str, user: ConferencingUser) -> Service:
    """The service of that name, as the user's runs ask it; one that makes nothing where the tenant has none such."""
    if name == LINK and user.meeting_url:
        return LinkService(user)
    if name == TEAMS and user.tenant.reaches_teams:
        return TeamsService(user)
    return NoService()
