"""The meeting services that a tenant and a user can have (R39): their names, and what they are refused for."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from tenants_app.models import MeetingService, Tenant
from tenants_app.wording import alternatives

TENANTS_OWN = "tenant"
"""As the service of a user, in commands and files: the tenant's. Stored as an empty text."""

_NOT_CONNECTED: Mapping[str, str] = {"teams": "Microsoft Teams"}
"""Services that are known by name, but that nothing connects to yet."""


def read_meeting_service(word: str, *, of_user: bool = False) -> str:
    """The service as it is stored; ``ValueError`` with a sentence for a word that names none.

    The name of a service without a connection is read too, and refused by :func:`check_meeting_service`.
    """
    name = word.strip().lower()
    if of_user and name == TENANTS_OWN:
        return ""
    if name in MeetingService.values or name in _NOT_CONNECTED:
        return name
    known = alternatives([*MeetingService.values, *([TENANTS_OWN] if of_user else [])])
    raise ValueError(f"{word!r} is not a meeting service: write {known}.")


def check_meeting_service(service: str, tenant: Tenant | None = None) -> None:
    """Raise ``ValidationError`` where meetings cannot be made there; with ``tenant``, where a user of it cannot."""
    if service in _NOT_CONNECTED:
        choices = alternatives(MeetingService.values)
        problem = f"There is no connection to {_NOT_CONNECTED[service]} yet: choose {choices}."
    elif service == MeetingService.LINK and tenant is not None and not tenant.meeting_url:
        problem = f"{tenant.name} has no meeting URL, which the Link service needs: give it one, or choose none."
    else:
        return
    raise ValidationError({"meeting_service": problem})
