"""What this app tells others. It never imports ``migrations_app``; whoever cares about a change listens here.

A receiver of ``users_changed`` may return a list of :class:`Consequence`, which the change hands back to the
screen or command that asked for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.dispatch import Signal

from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tenants_app.sentences import sentence_plural
from tenants_app.user_settings import SettingsChange


@dataclass(frozen=True, slots=True)
class UserChange(SettingsChange):
    """A change of one user that is about to be committed."""

    user: ConferencingUser = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a change of a user leads to, in one sentence."""

    upn: str
    starts_run: bool
    sentence: str
    chosen: str = ""
    """What the change chose by itself, in sentences; empty where nothing."""


users_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant``, ``changes`` (list of UserChange), ``actor``, ``due_now``
(whether the change has settled already, R19) and ``part_of`` (what it is done for, which its caller names to whoever
listens; None: for itself)."""

change_foreseen = Signal()
"""Asks what a change would lead to that is not made, with ``tenant`` and ``changes`` as above. Receivers only read, and
answer as to ``users_changed``."""

Answers = Iterable[tuple[object, Any]]
"""What receivers return; Django's own types know of texts only."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What brings users up to date."""

    page: str
    """The address of a page."""
    command: str
    """A command, but for its ``--tenant``."""


remedy_wanted = Signal()
"""Sent where users are out of date (R36), with ``tenant``, and ``bridge`` or ``user`` where it is about these users
only. A receiver may return a :class:`Remedy`."""

next_steps_wanted = Signal()
"""Sent when ``tenant`` has been made by a command. A receiver may return a list of commands that come next."""


command_wanted = Signal()
"""Sent where a command tells a ``sentence`` that advises something with a page of its own. A receiver may return a
sentence that names its command."""


def command_for(sentences: Iterable[str]) -> str:
    """Which command does what the sentences advise, in a sentence; empty where nobody knows of one."""
    asked: Iterable[Answers] = (command_wanted.send(Tenant, sentence=sentence) for sentence in sentences)
    return next((told for answers in asked for _, told in answers if told), "")


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a tenant needs somebody, and what is under way."""

    failed: int = 0
    """Users whose latest run failed, without those of whom somebody has accepted it."""
    waiting: int = 0
    """Users whose run waits or is in progress."""
    left: int = 0
    """Meetings that need a person."""

    @property
    def in_title(self) -> str:
        """What the title of a page begins with, so that a tab in the background says what needs somebody."""
        told = (
            sentence_plural("%(n)s failed", "%(n)s failed", self.failed) if self.failed else "",
            sentence_plural("%(n)s left for you", "%(n)s left for you", self.left) if self.left else "",
            sentence_plural("%(n)s waiting", "%(n)s waiting", self.waiting) if self.waiting else "",
        )
        return ", ".join(str(each) for each in told if each)


standings_wanted = Signal()
"""Asks how ``tenants`` stand. A receiver may return a :class:`Standing` of each, by its key."""

version_wanted = Signal()
"""Asks for a text that is another after each change of what pages of ``tenants`` show."""


def remedy_for(tenant: Tenant, *, bridge: Bridge | None = None, user: ConferencingUser | None = None) -> Remedy | None:
    """What brings the users up to date, or None where nobody knows."""
    answers: Answers = remedy_wanted.send(Tenant, tenant=tenant, bridge=bridge, user=user)
    return next((remedy for _, remedy in answers if remedy), None)


def standings_of(tenants: Collection[Tenant]) -> Mapping[int, Standing]:
    """How the tenants stand, by their keys; empty where nobody knows."""
    answers: Answers = standings_wanted.send(Tenant, tenants=tenants)
    return next((standings for _, standings in answers if standings), {})


def version_of(tenants: Collection[Tenant]) -> str:
    """Another one after each change of what pages of the tenants show; empty where nobody knows."""
    answers: Answers = version_wanted.send(Tenant, tenants=tenants)
    return next((version for _, version in answers if version), "")


class Page(NamedTuple):
    """A page that shows what an entry of the audit is about."""

    label: str
    address: str


pages_wanted = Signal()
"""Asks which pages show what ``entries`` of the audit of ``tenant`` tell of. A receiver may return a :class:`Page` for
some of them, by their keys."""


def pages_of(tenant: Tenant, entries: Sequence[AuditEntry]) -> Mapping[int, Page]:
    """The pages that others have of what the entries tell of, by the keys of the entries."""
    answers: Answers = pages_wanted.send(Tenant, tenant=tenant, entries=entries)
    return {key: page for _, pages in answers for key, page in (pages or {}).items()}


def next_steps(tenant: Tenant) -> list[str]:
    """The commands that others would have come next."""
    answers: Answers = next_steps_wanted.send(Tenant, tenant=tenant)
    return [command for _, commands in answers for command in commands or ()]


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a letter."""

    problem: str = ""
    """Why the mail server did not take it, in few words; empty where it did."""
    by_mail: bool = True
    """Whether a mail server has it, and not a folder of the installation that has none."""


letter_wanted = Signal()
"""Asks that a letter goes out now by the mail server of ``tenant``, with ``to``, ``subject``, ``text``, ``language``. A
receiver returns what became of it (:class:`Posted`)."""


def post(tenant: Tenant, *, to: str, subject: str, text: str, language: str) -> Posted:
    """Have a letter sent by the mail server of the tenant while one waits."""
    letter = {"to": to, "subject": subject, "text": text, "language": language}
    answers: Answers = letter_wanted.send(Tenant, tenant=tenant, **letter)
    return next((posted for _, posted in answers), Posted(by_mail=False))


tenant_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant`` and ``fields``, the names of what changed."""

mailboxes_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant``: its connections, or who has which, are others now. With
``moved`` where it is a connection that leads to another server now."""

mail_server_changed = Signal()
"""Sent inside the transaction of the change, with ``tenant``: its messages go out in another way now."""
