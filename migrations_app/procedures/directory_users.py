"""Users from Microsoft Entra as a file of users: what follows is the import of any other file.

Nothing is guessed. A column that the directory does not know is not in the file, so the setting stays as it is, and so
it does where a cell is empty. Nobody is deleted: who is not in the directory any more is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from django.core.exceptions import ValidationError

from migrations_app.failures import Failure, describe
from migrations_app.graph_access import graph_for
from migrations_app.microsoft.client import Graph
from migrations_app.microsoft.users import DirectoryUser, ids_in_group, members
from tenants_app.csv_files.cells import lines
from tenants_app.csv_files.user_columns import UPN
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tenants_app.sentences import Sentence, one_after_the_other, sentence, sentence_plural

COLUMNS = (UPN, "SipAddress", "DisplayName", "Language", "AudioConferencingLicense")
"""What the directory knows of a user."""
SHOWN_GONE = 200
"""Users who are named because the directory does not have them."""

NO_MAIL, BLOCKED, OUTSIDE = "without a mail address", "whose sign-in is blocked", "of other groups or domains"
_LEFT_OUT: Mapping[str, Callable[[int], Sentence]] = {
    NO_MAIL: lambda n: sentence_plural("%(n)s without a mail address", "%(n)s without a mail address", n),
    BLOCKED: lambda n: sentence_plural("%(n)s whose sign-in is blocked", "%(n)s whose sign-in is blocked", n),
    OUTSIDE: lambda n: sentence_plural("%(n)s of other groups or domains", "%(n)s of other groups or domains", n),
}
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FORBIDDEN = frozenset({"mailbox-forbidden", "application-without-consent"})


@dataclass(frozen=True, slots=True)
class Source:
    """Which users are asked for: all members of the organization, those in a group, those of a domain, or of both."""

    group: str = ""
    """The object ID of a group."""
    domain: str = ""
    """What stands behind the @ of the user principal name."""

    def check(self) -> None:
        """Raise ``ValidationError`` where one of the two cannot be what it should be."""
        if self.group and not _GUID.fullmatch(self.group):
            raise ValidationError(
                {
                    "group": sentence(
                        "%(group)r is not the ID of a group: copy its Object ID from Microsoft Entra.",
                        group=self.group[:60],
                    )
                }
            )
        if "@" in self.domain or " " in self.domain:
            raise ValidationError({"domain": "Give a domain such as contoso.com, without an @."})


@dataclass(slots=True)
class Directory:
    """What the directory gave."""

    text: str = ""
    """A file of users (CSV) with the columns :data:`COLUMNS`, a row for each who can have meetings to migrate."""
    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """How many members have no row, by the reason."""
    gone: list[str] = field(default_factory=list)
    """Users of MMS whom the directory does not have as members; in order, and at most :data:`SHOWN_GONE`."""
    gone_count: int = 0

    @property
    def left_out_in_words(self) -> str:
        """Who was not brought in and why, in one sentence; empty where everybody was."""
        told = [_LEFT_OUT[why](count) for why, count in sorted(self.left_out.items())]
        if not told:
            return ""
        first, *others = told
        for each in others:
            first = sentence("%(first)s, %(second)s", first=first, second=each)
        return sentence("Left out of what the directory has: %(who)s.", who=first)

    @property
    def gone_in_words(self) -> str:
        """Whom the directory does not have any more, in one sentence; empty where it has all."""
        if not self.gone_count:
            return ""
        more = self.gone_count - len(self.gone)
        who = Sentence(", ".join(self.gone))
        if more:
            who = sentence("%(names)s and %(more)s more", names=who, more=more)
        return sentence_plural(
            "%(n)s user of MMS not among the directory's members, and left as they are: %(who)s.",
            "%(n)s users of MMS not among the directory's members, and left as they are: %(who)s.",
            self.gone_count,
            who=who,
        )


def read_directory(
    graph: Graph, tenant: Tenant, source: Source, told: Callable[[int], object] = lambda read: None
) -> Directory:
    """Ask Microsoft Entra for the users. Raises ``ValidationError`` where the directory refuses, with what to do, and
    ``Failure`` where waiting may help."""
    source.check()
    chosen = _chosen(graph, source)
    found = Directory()
    rows: dict[str, list[str]] = {}
    known: set[str] = set()
    try:
        for user in members(graph, told):
            known.add(user.upn.lower())
            if why := _why_left_out(user, source, chosen):
                found.left_out[why] = found.left_out.get(why, 0) + 1
            elif user.upn:
                rows[user.upn.lower()] = _cells(user)
    except Failure as failure:
        _explain(failure, "User.Read.All")
    if not known:
        raise ValidationError(
            sentence("The directory named no members: check that the connection is that of the organization.")
        )
    if not rows:
        nobody = sentence("No user of the directory can be brought in.")
        raise ValidationError(one_after_the_other(nobody, found.left_out_in_words))
    found.rows = len(rows)
    found.text = lines([COLUMNS, *(rows[upn] for upn in sorted(rows))])
    for upn in _upns(tenant):
        if upn.lower() not in known:
            found.gone_count += 1
            if len(found.gone) < SHOWN_GONE:
                found.gone.append(upn)
    return found


def open_graph(connection: MailboxConnection) -> Graph:
    """A session with the organization's Graph. Raises ``Failure``."""
    return graph_for(connection)


def is_directory(connection: MailboxConnection) -> bool:
    """Whether users can be brought in by this connection."""
    return connection.kind == MailboxConnection.Kind.GRAPH


def _chosen(graph: Graph, source: Source) -> frozenset[str] | None:
    """The IDs of those in the group; None where no group was asked for."""
    if not source.group:
        return None
    try:
        chosen = ids_in_group(graph, source.group)
    except Failure as failure:
        if failure.code == "mailbox-not-found":
            chosen = frozenset()
        else:
            _explain(failure, "GroupMember.Read.All", source.group)
    if not chosen:
        raise ValidationError(
            sentence("The group %(group)s has no members, or is not there: check its Object ID.", group=source.group)
        )
    return chosen


def _why_left_out(user: DirectoryUser, source: Source, chosen: frozenset[str] | None) -> str:
    if chosen is not None and user.id not in chosen:
        return OUTSIDE
    if source.domain and user.upn.rpartition("@")[2].lower() != source.domain.lower():
        return OUTSIDE
    if not user.may_sign_in:
        return BLOCKED
    return "" if user.mail else NO_MAIL


def _cells(user: DirectoryUser) -> list[str]:
    licence = {None: "", True: "true", False: "false"}[user.is_licensed]
    return [user.upn, user.mail, " ".join(user.name.split()), user.language, licence]


def _upns(tenant: Tenant) -> Iterator[str]:
    return ConferencingUser.objects.filter(tenant=tenant).order_by("upn").values_list("upn", flat=True).iterator()


def _explain(failure: Failure, permission: str, group: str = "") -> NoReturn:
    """Raise it as what an administrator can do about it, where waiting will not help."""
    if failure.code in _FORBIDDEN:
        raise ValidationError(
            sentence(
                "Microsoft Entra does not let the application read members of groups: give it the application "
                "permission %(permission)s, grant admin consent, and try again.",
                permission=permission,
            )
            if group
            else sentence(
                "Microsoft Entra does not let the application read users: give it the application permission "
                "%(permission)s, grant admin consent, and try again.",
                permission=permission,
            )
        ) from failure
    if failure.cures_by_waiting:
        raise failure
    raise ValidationError(describe(failure.code, failure.detail)) from failure


def summary(found: Directory) -> Mapping[str, Any]:
    """What a page shows of it beside the rows, as JSON."""
    return {"left_out": found.left_out_in_words, "gone": found.gone, "gone_count": found.gone_count}
