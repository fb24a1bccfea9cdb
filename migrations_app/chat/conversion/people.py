"""Who belongs to a room at the target, and with what rights; never more people than at the source (R114 to R116)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from migrations_app.chat.archive.records import (
    Category,
    Grant,
    Principal,
    PrincipalKind,
    PrincipalState,
    RoleName,
    Room,
)
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.outgoing import Person
from migrations_app.chat.conversion.words import words_of
from tenants_app.sentences import sentence, sentence_plural

NAMED = 20
"""People whose names a sentence gives; of more it says how many there are."""


class HasPrincipals(Protocol):
    def principals(self) -> Iterator[Principal]: ...


class KnowsAccounts(Protocol):
    def account_of(self, principal: Principal) -> str | None: ...


def people_of(archive: HasPrincipals, target: KnowsAccounts, language: str = "en") -> dict[str, Person]:
    """Everybody of the archive by id, as the target knows them (R116)."""
    words = words_of(language)
    people = {}
    for principal in archive.principals():
        is_person = principal.kind is PrincipalKind.USER
        name = principal.name or principal.sip or principal.upn or principal.email or principal.id
        form = {PrincipalState.DISABLED: words.disabled, PrincipalState.DELETED: words.deleted}.get(principal.state)
        shown = form % {"name": name} if form else name
        people[principal.id] = Person(principal, target.account_of(principal) if is_person else None, shown)
    return people


def named(names: Iterable[str]) -> str:
    """Names one after the other, each once, in their order; of many, the first and how many there are besides."""
    each = sorted(dict.fromkeys(names), key=str.casefold)
    shown = ", ".join(each[:NAMED])
    if len(each) <= NAMED:
        return shown
    return sentence_plural("%(names)s and %(n)s other", "%(names)s and %(n)s others", len(each) - NAMED, names=shown)


@dataclass(slots=True)
class Rights:
    """Who belongs to a room there: accounts. Managers and presenters are members, too."""

    members: set[str] = field(default_factory=set)
    managers: set[str] = field(default_factory=set)
    presenters: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Seen:
    """Who has no access there, by why, and groups by what becomes of them."""

    federated: list[str] = field(default_factory=list)
    inactive: list[str] = field(default_factory=list)
    without_account: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    expanded: list[str] = field(default_factory=list)


def roots_of(path: Sequence[Category], categories: Mapping[str, Category]) -> list[Category]:
    """The root category above a room: the one that the source marks as such, else what its path begins with."""
    marked = [category for category in categories.values() if category.more.get("root") is True]
    return marked or list(path[:1])


def managers_of(categories: Iterable[Category]) -> list[str]:
    """The ids of their managers, each once."""
    grants = [grant for category in categories for grant in category.roles]
    return list(dict.fromkeys(grant.principal for grant in grants if grant.role is RoleName.MANAGER))


def rights_of(room: Room, people: Mapping[str, Person], *, managers: Sequence[str] = ()) -> Rights:
    """Who belongs to the room at the target, and what was found; ``managers`` are those of the root (R114)."""
    rights, seen = Rights(), _Seen()
    for grant in [*room.roles, *(Grant(principal, RoleName.MANAGER) for principal in managers)]:
        if grant.role is RoleName.CREATOR:
            continue  # may make rooms, which is a right of the category
        for person in _expanded(grant.principal, people, seen):
            account = _account(person, seen)
            if account is None:
                continue
            rights.members.add(account)
            if grant.role is RoleName.MANAGER:
                rights.managers.add(account)
            elif grant.role is RoleName.PRESENTER:
                rights.presenters.add(account)
    rights.findings = [*_findings(room, seen)]
    if not rights.members:
        text = (
            sentence("Nobody of this room has access at the target: name a manager.")
            if any(grant.role is not RoleName.CREATOR for grant in room.roles)
            else sentence("This room has no members, at the source either: nobody has access.")
        )
        rights.findings.append(_finding(room, "no-members", text))
    return rights


def members_of(principal: str, people: Mapping[str, Person]) -> Iterator[Person]:
    """The people that a principal stands for: itself, or whoever is in the group as far as the source lists it."""
    yield from _expanded(principal, people, _Seen())


def _expanded(principal: str, people: Mapping[str, Person], seen: _Seen) -> Iterator[Person]:
    done: set[str] = set()
    waiting = [principal]
    while waiting:
        id_ = waiting.pop()
        if id_ in done:
            continue
        done.add(id_)
        person = people.get(id_)
        if person is None:
            seen.inactive.append(id_)
        elif person.principal.kind is PrincipalKind.USER:
            yield person
        elif person.principal.state is PrincipalState.DELETED:
            seen.inactive.append(person.shown)
        elif person.principal.members is None:
            seen.granted.append(person.shown)
        else:
            seen.expanded.append(person.shown)
            waiting += reversed(person.principal.members)


def _account(person: Person, seen: _Seen) -> str | None:
    principal = person.principal
    if principal.state is not PrincipalState.ACTIVE:
        seen.inactive.append(person.shown)
        return None
    if principal.is_federated:
        seen.federated.append(person.shown)
        return None
    if person.account is None:
        seen.without_account.append(person.shown)
    return person.account


_SENTENCES: Mapping[str, Callable[[int, str], str]] = {
    "federated": lambda n, names: sentence_plural(
        "%(n)s person of a foreign domain loses access to this room: %(names)s.",
        "%(n)s people of foreign domains lose access to this room: %(names)s.",
        n,
        names=names,
    ),
    "inactive": lambda n, names: sentence_plural(
        "%(n)s person who is disabled or deleted gets no membership: %(names)s.",
        "%(n)s people who are disabled or deleted get no membership: %(names)s.",
        n,
        names=names,
    ),
    "no-account": lambda n, names: sentence_plural(
        "%(n)s person has no account at the target and gets no access: %(names)s.",
        "%(n)s people have no account at the target and get no access: %(names)s.",
        n,
        names=names,
    ),
    "group-to-be-granted": lambda n, names: sentence_plural(
        "The source does not list who is in %(n)s group, to be granted at the target: %(names)s.",
        "The source does not list who is in %(n)s groups, to be granted at the target: %(names)s.",
        n,
        names=names,
    ),
    "group-expanded": lambda n, names: sentence_plural(
        "Of %(n)s group, those who are in it now get access one by one: %(names)s.",
        "Of %(n)s groups, those who are in them now get access one by one: %(names)s.",
        n,
        names=names,
    ),
}


def _findings(room: Room, seen: _Seen) -> Iterator[Finding]:
    for code, names in (
        ("federated", seen.federated),
        ("inactive", seen.inactive),
        ("no-account", seen.without_account),
        ("group-to-be-granted", seen.granted),
        ("group-expanded", seen.expanded),
    ):
        if names:
            count = len(set(names))
            yield _finding(room, code, _SENTENCES[code](count, named(names)), count)


def _finding(room: Room, code: str, text: str, count: int = 1) -> Finding:
    return Finding(CODES[code], code, text, room.id, count)
