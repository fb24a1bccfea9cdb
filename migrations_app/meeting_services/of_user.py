"""Which meeting service makes a user's meetings anew (R39). Nothing else knows the kinds by name."""

from __future__ import annotations

from migrations_app.meeting_services.base import MeetingService as Service
from migrations_app.meeting_services.link import LinkService
from migrations_app.meeting_services.none import NoService
from migrations_app.targets import LINK, NO_SERVICE, TEAMS, service_name
from tenants_app.models import ConferencingUser, MeetingService, Tenant


def service_of(user: ConferencingUser) -> str:
    """The service in which the user's meetings are made anew: ``Link``, or ``none``. ``user.tenant`` is read."""
    return LINK if user.effective_meeting_service == MeetingService.LINK else NO_SERVICE


def services_of(tenant: Tenant) -> list[str]:
    """The services in which meetings of at least one of the tenant's users can be made anew."""
    if not tenant.meeting_url:
        return []
    link = MeetingService.LINK
    is_used = tenant.meeting_service == link or tenant.users.filter(meeting_service=link).exists()
    return [LINK] if is_used else []


def why_no_target(tenant: Tenant, target: str) -> str:
    """Why no meeting of the tenant can be made anew in the service, in one sentence; empty where one can."""
    if target in services_of(tenant):
        return ""
    if target == TEAMS:
        return f"{tenant.name} has no connection to Teams, so no meeting can move there: choose another target."
    what_to_do = "make Link its meeting service" if tenant.meeting_url else "give it a meeting URL"
    return (
        f"{tenant.name} has no meeting service {service_name(target)}, so no meeting can move there: {what_to_do}, or "
        "choose the target Current."
    )


def service_named(name: str, user: ConferencingUser) -> Service:
    """The service of that name, as the user's runs ask it; one that makes nothing where the tenant has none such."""
    if name == LINK and user.tenant.meeting_url:
        return LinkService(user)
    return NoService()
