"""People of the organization as Entra has them, and their places in teams and channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from migrations_app.chat.targets.base import TargetProblem
from migrations_app.chat.targets.teams_graph import TeamsGraph
from migrations_app.microsoft.client import segment
from tenants_app.sentences import sentence

_AT_ONCE = 200
"""Members that Graph adds to a team in one request."""
_NAMED = 10


@dataclass(slots=True)
class People:
    """Members of the organization, each by their names; guests are none."""

    ids: dict[str, str] = field(default_factory=dict)
    """Object ids by every name, in lower case."""
    names: dict[str, str] = field(default_factory=dict)
    """User principal names by object id."""

    @classmethod
    def read(cls, teams: TeamsGraph) -> People:
        """All of them, asked for once."""
        found = cls()
        mails: dict[str, str] = {}
        asked = {"$filter": "userType eq 'Member'", "$select": "id,userPrincipalName,mail", "$top": "999"}
        for told in teams.list("/users", asked):
            id_, upn, mail = (str(told.get(name) or "") for name in ("id", "userPrincipalName", "mail"))
            found.names[id_] = upn.casefold()
            found.ids[upn.casefold()] = id_
            if mail:
                mails.setdefault(mail.casefold(), id_)
        found.ids = mails | found.ids  # a user principal name is nobody else's mail
        return found

    def known_as(self, *names: str) -> str | None:
        """The user principal name of the first of these names that somebody has; None where nobody has any."""
        for name in names:
            id_ = self.ids.get(name.casefold()) if name else None
            if id_ is not None:
                return self.names[id_]
        return None

    def id_of(self, account: str) -> str:
        """The object id of an account."""
        found = self.ids.get(account.casefold())
        if found is None:
            raise TargetProblem(
                "chat-target-refused",
                sentence("“%(name)s” is no user of the organization any more. Plan again.", name=account),
            )
        return found

    def name_of(self, id_: str) -> str:
        """The user principal name of an object id; the id itself for whoever is not among the members."""
        return self.names.get(id_, id_)

    def member(self, account: str, *, owns: bool) -> dict[str, Any]:
        return _member(self.id_of(account), owns=owns)


def add_to_team(teams: TeamsGraph, team: str, people: Mapping[str, object], *, is_foreign: bool) -> None:
    """Let people into a team, as members only: nobody becomes more there than they were in a room. Into one that MMS
    did not make (``is_foreign``) it lets nobody: they would read what was written there by others."""
    path = f"/teams/{segment(team)}/members"
    there = {str(each.get("userId")) for each in teams.list(path)}
    missing = sorted(id_ for id_ in people if id_ not in there)
    if is_foreign and missing:
        raise TargetProblem(
            "chat-target-refused",
            sentence(
                "%(count)s people of the room are not in the team that has its category's name (%(ids)s). MMS lets "
                "nobody into a team that it did not make, as they would read its channels: add them there, then retry.",
                count=len(missing),
                ids=", ".join(missing[:_NAMED]),
            ),
        )
    for begin in range(0, len(missing), _AT_ONCE):
        values = [_member(id_, owns=False) for id_ in missing[begin : begin + _AT_ONCE]]
        answer = teams.post(f"{path}/add", {"values": values})
        told = answer.body.get("value")
        failed = [
            str(each.get("userId"))
            for each in (told if isinstance(told, list) else [])
            if each.get("error") is not None
        ]
        if failed or not answer.ok:
            raise _not_let_in(failed or missing)


def add_to_channel(teams: TeamsGraph, path: str, people: Mapping[str, bool], owner: str) -> None:
    """Let people into a private channel; those who manage the room own the channel. ``owner`` made it, and leaves it
    where somebody else owns it."""
    there = {str(each.get("userId")): each for each in teams.list(f"{path}/members")}
    for id_, owns in sorted(people.items()):
        known = there.get(id_)
        if known is None:
            answer = teams.post(f"{path}/members", _member(id_, owns=owns))
        elif owns and "owner" not in (known.get("roles") or []):
            changed = {"@odata.type": "#microsoft.graph.aadUserConversationMember", "roles": ["owner"]}
            answer = teams.patch(f"{path}/members/{segment(str(known.get('id')))}", changed)
        else:
            continue
        if not answer.ok:
            raise _not_let_in([id_])
    if owner in there and owner not in people and any(people.values()):
        teams.delete(f"{path}/members/{segment(str(there[owner].get('id')))}")


def _member(id_: str, *, owns: bool) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.aadUserConversationMember",
        "roles": ["owner"] if owns else [],
        "user@odata.bind": f"https://graph.microsoft.com/v1.0/users('{id_}')",
    }


def _not_let_in(ids: list[str]) -> TargetProblem:
    return TargetProblem(
        "chat-target-refused",
        sentence(
            "Teams did not let in %(count)s people of the room (%(ids)s): look whether they have a licence for Teams, "
            "then retry.",
            count=len(ids),
            ids=", ".join(ids[:_NAMED]),
        ),
    )
