"""Which meeting service makes a user's meetings anew. Nothing else knows the kinds by name."""

from __future__ import annotations

from migrations_app.meeting_services.base import MeetingService
from migrations_app.meeting_services.link import LinkService
from migrations_app.meeting_services.none import NoService
from migrations_app.rewriting.services import Service
from tenants_app import models
from tenants_app.models import ConferencingUser


def service_of(user: ConferencingUser) -> str:
    """The name of the user's service: their own, else the tenant's; ``none`` where it could make nothing."""
    chosen = user.meeting_service or user.tenant.meeting_service
    has_link = chosen == models.MeetingService.LINK and user.tenant.meeting_url
    return Service.LINK if has_link else NoService.name


def service_named(name: str, user: ConferencingUser) -> MeetingService:
    """The service of that name, as the user's runs ask it; one that makes nothing where the tenant has none such."""
    if name == Service.LINK and user.tenant.meeting_url:
        return LinkService(user)
    return NoService()
