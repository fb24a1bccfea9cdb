"""The meeting services that a tenant and a user can have (R39): their names, and what they are refused for."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from tenants_app.models import MeetingService, Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import alternatives

TENANTS_OWN = "tenant"
"""As the service of a user, in commands and files: the tenant's. Stored as an empty text."""


def read_meeting_service(word: str, *, of_user: bool = False) -> str:
    """The service as it is stored; ``ValueError`` with a sentence for a word that names none."""
    name = word.strip().lower()
    if of_user and name == TENANTS_OWN:
        return ""
    if name in MeetingService.values:
        return name
    known = alternatives([*MeetingService.values, *([TENANTS_OWN] if of_user else [])])
    raise ValueError(sentence("%(word)r is not a meeting service: write %(known)s.", word=word, known=known))


def check_meeting_service(service: str, tenant: Tenant) -> None:
    """Raise ``ValidationError`` where no meeting of a user of the tenant can be made there."""
    if service == MeetingService.LINK and not tenant.meeting_url:
        problem = sentence(
            "%(tenant)s has no meeting URL, which the Link service needs: give it one, or choose none.",
            tenant=tenant.name,
        )
    elif service == MeetingService.TEAMS and not tenant.reaches_teams:
        problem = sentence(
            "%(tenant)s has no connection to Teams, which the Teams service needs: give it one, or choose none.",
            tenant=tenant.name,
        )
    else:
        return
    raise ValidationError({"meeting_service": problem})
