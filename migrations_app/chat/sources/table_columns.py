"""The tables of Persistent Chat and Group Chat that MMS reads, with the names of columns that Microsoft publishes for
reporting queries (R104; chat.md, F3; *Persistent Chat database schema*, and *Group Chat database schema* of 2010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NODE = "tblNode"
PRINCIPAL = "tblPrincipal"
PRINCIPAL_TYPE = "tblPrincipalType"
ROLE_TYPE = "tblRoleType"
PRINCIPAL_ROLE = "tblPrincipalRole"
SCOPE = "tblScopePrincipal"
AFFILIATION = "tblPrincipalAffiliations"
CHAT = "tblChat"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that mean something to MMS. Whatever else a file has is kept under its name."""

    required: Sequence[str]
    optional: Sequence[str] = ()
    """Published for some versions only: Group Chat has no display names and no RTF, Persistent Chat no topic."""
    order: Sequence[str] = ()
    """By which the script sorts: what is sorted is read faster."""


TABLES: Mapping[str, Columns] = {
    PRINCIPAL_TYPE: Columns(
        ("ptypeID", "ptypeDesc", "ptypeIsSystemUser", "ptypeIsUser"), ("ptypeIsFederated",), ("ptypeID",)
    ),
    PRINCIPAL: Columns(
        (
            *("prinID", "prinGuid", "prinUri", "prinName", "prinEmail", "prinADPath", "prinADUserPrincipalName"),
            *("prinDisabled", "prinTypeID"),
        ),
        ("prinDisplayName", "prinCompanyName", "prinAddedOn", "prinUpdatedOn"),
        ("prinID",),
    ),
    AFFILIATION: Columns(("principalID", "affiliationID"), (), ("affiliationID", "principalID")),
    NODE: Columns(
        (
            *("nodeID", "nodeGuid", "parentID", "nodeType", "nodeName", "nodeDesc"),
            *("invite", "logged", "filePost", "disabled", "behavior", "visibility"),
        ),
        (
            *("siopID", "nodeAddedBy", "nodeAddedOn", "nodeUpdatedBy", "nodeUpdatedOn"),
            *("topic", "inheritance", "scopeChange", "overrideMember", "restrictChildCreate"),
        ),
        ("nodeID",),
    ),
    ROLE_TYPE: Columns(("rtypeID", "rtypeDesc"), ("rtypeAllowedPermSet",), ("rtypeID",)),
    PRINCIPAL_ROLE: Columns(
        ("prinRoleNodeID", "prinRolePrinID", "prinRoleTypeID"), (), ("prinRoleNodeID", "prinRolePrinID")
    ),
    SCOPE: Columns(("scopeNodeID", "scopePrinID", "scopeIsDenied"), (), ("scopeNodeID", "scopePrinID")),
    CHAT: Columns(
        ("channelId", "chatId", "chatDate", "userId", "isAlert", "content"), ("rtf",), ("channelId", "chatId")
    ),
}
"""In the order in which they are checked: what others name comes first."""
