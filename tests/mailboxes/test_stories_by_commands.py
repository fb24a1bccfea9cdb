"""Each kind of mailbox at Microsoft by commands alone, with a worker of its own: from the connection to the undo."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import html as markup

from migrations_app.demo import invitations
from migrations_app.demo.mailbox import plan_meeting
from migrations_app.demo.meetings import Attendee
from tests.campaigns.on_graph import known_to_server
from tests.support.ews_stand_in import PASSWORD, SERVICE, ews_stand_in
from tests.support.ews_stand_in.invitations import item_of
from tests.support.exchange_events import event_of
from tests.support.graph_stand_in import graph_stand_in
from tests.support.installation import Installation, new_installation
from tests.support.meetings import EVERYONE, join_links

ANNA = "anna.rossi@contoso.com"
GUESTS = (Attendee("guest.one@example.org", "Guest One"), Attendee("guest.two@example.org", "Guest Two"))
OLD, NEW = "5550101", "2079460123"
IN_TEAMS = "5550166"
"""The number that the stand-in's Teams has."""


@dataclass(frozen=True)
class MailSystem:
    """Anna's mailbox, looked at past MMS, and what an administrator says to reach it."""

    settings: dict[str, str]
    options: Sequence[str]
    """Of ``new_mailbox_connection``."""
    secret: str
    put: Callable[[bytes], object]
    bodies: Callable[[], list[str]]
    """Of all meetings and exceptions."""
    mails: Callable[[], list[int]]
    """How many people each message went to that the server has sent."""
    start: Sequence[str] = ()
    """Options of ``start_meeting_migration``."""
    number: str = NEW
    """What invitations show in the end."""


@contextmanager
def exchange_online() -> Iterator[MailSystem]:
    with graph_stand_in() as server:
        server.add_mailbox(ANNA)

        def put(text: bytes) -> None:
            event = known_to_server(event_of(text))
            to_come = tuple(each for each in event.exceptions if each.ends_at > datetime.now(UTC))
            server.add_event(ANNA, replace(event, exceptions=to_come))

        directory = ["--directory", server.directory_id, "--username", server.client_id]
        yield MailSystem(
            settings=server.environment,
            options=["--kind", "graph", *directory],
            secret=server.secret,
            put=put,
            bodies=lambda: [
                part.body for event in server.events(ANNA) for part in (event, *event.exceptions) if part.body_is_html
            ],
            mails=lambda: [len(mail.recipients) for mail in server.mails],
        )


@contextmanager
def exchange_on_premises(folder: Path) -> Iterator[MailSystem]:
    with ews_stand_in() as server:
        mailbox = server.mailbox(ANNA)
        (folder / "ca.pem").write_text(server.ca)
        address = ["--address", server.address, "--username", SERVICE, "--sign-in-by", "basic"]
        yield MailSystem(
            settings={"MMS_ALLOWED_MAIL_HOSTS": "localhost"},
            options=["--kind", "exchange", *address, "--ca-file", str(folder / "ca.pem")],
            secret=PASSWORD,
            put=lambda text: mailbox.add(item_of(text)),
            bodies=lambda: [
                part.body
                for item in mailbox.calendar.items
                for part in (item, *item.exceptions)
                if part is item or part.ends_at > datetime.now(UTC)
            ],
            mails=lambda: [len(mail.recipients) for mail in server.mails],
        )


@contextmanager
def teams() -> Iterator[MailSystem]:
    with exchange_online() as there:
        move = ["--source-meeting-type", "SkypeForBusiness", "--target-meeting-type", "Teams"]
        yield replace(there, start=move, number=IN_TEAMS)


@contextmanager
def mail_system(kind: str, folder: Path) -> Iterator[MailSystem]:
    with (
        exchange_on_premises(folder) if kind == "exchange" else teams() if kind == "teams" else exchange_online() as it
    ):
        yield it


class Administrator:
    """Runs commands for Contoso, and knows what the server sent since it was last asked."""

    def __init__(self, installation: Installation, there: MailSystem) -> None:
        self._installation, self._there = installation, there
        self._seen = 0

    def does(self, command: str, *arguments: str) -> str:
        return self._installation.run(command, *arguments, "--tenant", "contoso")

    def sees(self, command: str, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.does(command, *arguments, "--format", "json"))
        return found

    def foresees(self, command: str, *arguments: str) -> tuple[int, set[int]]:
        """How many messages a dry run says that the server will send, and to how many people each may go."""
        rows = self.sees(command, *arguments, "--dry-run")
        said = re.search(r"Exchange sends ([\d,]+) message", self.does(command, *arguments, "--dry-run"))
        to = {row["Recipients"] for row in rows if row["Outcome"] == "Succeeded"}
        return int(said[1].replace(",", "")) if said else 0, to

    def works(self) -> tuple[int, set[int]]:
        """Let a worker do what is due; how many messages the server has sent, and to how many people each."""
        self._installation.run("run_migrations", "--until-idle")
        new, self._seen = self._there.mails()[self._seen :], len(self._there.mails())
        return len(new), set(new)


def tell_the_story(there: MailSystem, installation: Installation, folder: Path) -> None:
    """All of it, in the order in which an administrator does it."""
    admin = Administrator(installation, there)
    installation.run(
        *("new_tenant", "contoso", "--name", "Contoso", "--domain", "contoso.com", "--settling-time", "0"),
        *("--meeting-url", "https://meet.contoso.com"),
    )
    for name, number, country in (("One", "+14255550100", "United States"), ("Two", "+442079460123", "United Kingdom")):
        admin.does("set_dial_in_conferencing_bridge", name)
        admin.does("register_service_number", number, "--bridge", name, "--type", "toll", "--country", country)
    (folder / "users.csv").write_text(f"UserPrincipalName,DisplayName,Bridge\n{ANNA},Anna Rossi,One\n")
    admin.does("import_users", str(folder / "users.csv"))
    admin.does("set_dial_in_conferencing_user", "--user", ANNA, "--license", "assign", "--audio-conferencing", "enable")
    assert admin.works() == (0, set())

    (folder / "secret.txt").write_text(there.secret)
    admin.does("new_mailbox_connection", "Exchange", *there.options, "--secret-file", str(folder / "secret.txt"))
    assert "FAILED" not in admin.does("test_mailbox_connection", "Exchange", "--user", ANNA)
    admin.does("set_dial_in_conferencing_user", "--user", ANNA, "--mailbox", "Exchange")
    if there.start:
        admin.does("set_tenant", "--teams-connection", "Exchange", "--meeting-service", "teams")

    assert admin.works() == (0, set())  # it looks into the mailbox for the first time

    before = list(map(seen, there.bodies()))
    assert all(OLD in digits(text) for text in before)
    start = ["start_meeting_migration", "--user", ANNA, *there.start]
    foreseen = admin.foresees(*start)
    assert foreseen[0] > 2
    assert foreseen[1] == {len(GUESTS)}
    assert admin.works() == (0, set())  # to look sends nothing

    if there.start:
        admin.does(*start)
    else:
        admin.does("set_dial_in_conferencing_user", "--user", ANNA, "--bridge", "Two")
    assert admin.works() == foreseen
    after = list(map(seen, there.bodies()))
    assert all(there.number in digits(text) and OLD not in digits(text) for text in after)
    history = admin.sees("get_meeting_migration_history", "--user", ANNA)
    changed = [row for row in history if row["Outcome"] == "Succeeded"]
    assert len(changed) == 3

    admin.does("start_meeting_migration", "--user", ANNA)
    assert admin.works() == (0, set())
    assert list(map(seen, there.bodies())) == after

    undo = ["undo_meeting_migration", "--correlation-id", changed[0]["CorrelationId"]]
    foreseen = admin.foresees(*undo)
    admin.does(*undo)
    assert admin.works() == foreseen
    assert list(map(seen, there.bodies())) == before
    installation.run_in_vain(*undo, "--tenant", "contoso")

    admin.does("check_migrations")


def seen(body: str) -> str:
    """What a reader sees, and where it leads."""
    return " ".join([*markup.fromstring(body).text_content().split(), *sorted(join_links(body))])


def digits(text: str) -> str:
    return re.sub(r"[\s().-]", "", text)


@pytest.mark.parametrize("kind", ["graph", "exchange", "teams"])
def test_from_the_connection_to_the_undo_by_commands_alone(kind: str, tmp_path: Path, migrated: Path) -> None:
    anna = replace(EVERYONE[0], upn=ANNA, display_name="Anna Rossi")
    builds = [invitations.skype_html, invitations.skype_exchange, invitations.series_with_overrides]
    with mail_system(kind, tmp_path) as there:
        for number, build in enumerate(builds):
            meeting = plan_meeting(anna, EVERYONE, datetime.now(UTC), 1, number)
            there.put(build(replace(meeting, attendees=GUESTS)))
        with new_installation(tmp_path, **there.settings) as installation:
            installation.migrate(migrated)
            tell_the_story(there, installation, tmp_path)
