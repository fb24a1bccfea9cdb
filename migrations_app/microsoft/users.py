"""Users as Microsoft Entra has them, of what concerns meetings. Needs the application permission ``User.Read.All``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, Graph
from tenants_app.sentences import sentence

AUDIO_CONFERENCING = frozenset(
    {
        "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40",  # MCOMEETADV
        "f544b08d-1645-4287-82de-8d91f37c02a1",  # MCOMEETADV_GOV
        "9974d6cf-cd24-4ba2-921c-e2aa687da846",  # MCOMEETBASIC, with dial-out to few countries
        "bb038288-76ab-49d6-afc1-eaa6c222c65a",  # MCOMEETACPEA, by the minute
    }
)
"""Service plans by which meetings have dial-in numbers. Graph names a plan by its ID alone (``assignedPlan``)."""

_IN_FORCE = frozenset({"Enabled", "Warning"})
"""Values of ``capabilityStatus`` with which a plan can be used; ``Warning`` is a licence in its grace period."""

_READ = "id,userPrincipalName,mail,displayName,preferredLanguage,accountEnabled,assignedPlans"
_MOST = "999"
"""Users that one page may hold."""


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """A member of the organization (guests are none)."""

    id: str
    upn: str
    mail: str
    """The address under which Exchange has the user organize meetings; empty for who has no mailbox."""
    name: str
    language: str
    """``preferredLanguage``; empty where the directory says nothing."""
    may_sign_in: bool
    """Accounts of rooms, of shared mailboxes and of people who left usually may not."""
    is_licensed: bool | None
    """Whether a licence with audio conferencing is in force; None where the directory does not say."""

    @classmethod
    def of(cls, told: JSON) -> DirectoryUser:
        """Raises ``Failure`` for what is no user."""
        plans = told.get("assignedPlans")
        if plans is not None and not (isinstance(plans, list) and all(isinstance(plan, dict) for plan in plans)):
            raise Failure("mailbox-answer", sentence("Graph named a user whose assignedPlans cannot be read"))
        return cls(
            id=_text(told, "id"),
            upn=_text(told, "userPrincipalName"),
            mail=_text(told, "mail"),
            name=_text(told, "displayName"),
            language=_text(told, "preferredLanguage"),
            may_sign_in=told.get("accountEnabled") is not False,
            is_licensed=None if plans is None else any(map(_is_audio_conferencing, plans)),
        )


def _text(told: JSON, name: str) -> str:
    """Empty where it is missing or null. What no database keeps is shown as a mark, by which a row is a bad one."""
    text = told.get(name)
    if not isinstance(text, str | None):
        raise Failure("mailbox-answer", sentence("Graph named a user whose %(name)s cannot be read", name=name))
    return (text or "").replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _is_audio_conferencing(plan: JSON) -> bool:
    plan_id = str(plan.get("servicePlanId") or "").lower()
    return plan_id in AUDIO_CONFERENCING and str(plan.get("capabilityStatus")) in _IN_FORCE


def members(graph: Graph, told: Callable[[int], object] = lambda read: None) -> Iterator[DirectoryUser]:
    """All members of the organization, page by page. Raises ``Failure``."""
    read = 0
    for page in graph.pages("/users", {"$filter": "userType eq 'Member'", "$select": _READ, "$top": _MOST}):
        yield from map(DirectoryUser.of, page)
        read += len(page)
        told(read)


def ids_in_group(graph: Graph, group: str) -> frozenset[str]:
    """The IDs of those who are in a group or in one inside it. Needs ``GroupMember.Read.All`` too."""
    found: set[str] = set()
    for page in graph.pages(f"/groups/{group}/transitiveMembers", {"$select": "id", "$top": _MOST}):
        found.update(str(member.get("id") or "") for member in page)
    return frozenset(found)
