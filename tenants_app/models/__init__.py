"""Who people are and how they dial in: tenants, users, deployments, bridges, numbers, conference IDs, roles, lists.

Rows change only through the functions of ``tenants_app.changes``: they lock, check, save, audit and announce.
"""

from tenants_app.models.accounts import AccountEvent, Invitation, Preferences
from tenants_app.models.audit import AuditEntry
from tenants_app.models.bridges import Bridge, FormerNumber, ServiceNumber
from tenants_app.models.conference_ids import ConferenceId, FormerConferenceId
from tenants_app.models.deployments import Deployment
from tenants_app.models.lists import DefaultFilter, ListLayout, SavedFilter
from tenants_app.models.mail_servers import MailServerConnection
from tenants_app.models.mailboxes import WARN_BEFORE, MailboxConnection, MailboxCredential, Sealed
from tenants_app.models.tenants import MeetingService, Role, Tenant
from tenants_app.models.users import OUT_OF_DATE, ConferencingUser, ConferencingUserQuerySet, InvitedNumber

__all__ = [
    "OUT_OF_DATE",
    "WARN_BEFORE",
    "AccountEvent",
    "AuditEntry",
    "Bridge",
    "ConferenceId",
    "ConferencingUser",
    "ConferencingUserQuerySet",
    "DefaultFilter",
    "Deployment",
    "FormerConferenceId",
    "FormerNumber",
    "Invitation",
    "InvitedNumber",
    "ListLayout",
    "MailServerConnection",
    "MailboxConnection",
    "MailboxCredential",
    "MeetingService",
    "Preferences",
    "Role",
    "SavedFilter",
    "Sealed",
    "ServiceNumber",
    "Tenant",
]
