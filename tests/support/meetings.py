"""Putting believable meetings into a user's mailbox, and reading what came out, for tests and the benchmark."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations, people
from migrations_app.demo.mailbox import plan_meeting
from migrations_app.demo.meetings import Meeting
from migrations_app.demo.people import DemoUser
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, Run
from migrations_app.rewriting import links
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.outcomes import Outcomes
from migrations_app.runs.worker import work_run
from migrations_app.targets import ALL, CURRENT, LINK, Targets
from tenants_app.audit import Actor, Channel
from tenants_app.models import ConferencingUser

EVERYONE = people.users()
STAMPS = ("SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "X-MICROSOFT-CDO-APPT-SEQUENCE")
BLOCK_LINES = ("DESCRIPTION", "X-ALT-DESC", "X-MICROSOFT-")
FOLD = re.compile(rb"\r?\n[ \t]")


def as_demo_user(user: ConferencingUser) -> DemoUser:
    return replace(
        EVERYONE[0],
        upn=user.upn,
        sip_address=user.sip_address,
        display_name=user.display_name,
        language=user.language,
        conference_id=user.conference_id or "7654321",
    )


def plan(user: ConferencingUser, number: int = 0, **changes: Any) -> Meeting:
    """The user's meeting of that number, some time ahead."""
    meeting = plan_meeting(as_demo_user(user), EVERYONE, datetime.now(UTC), 1, number)
    return replace(meeting, **changes)


def invite(
    user: ConferencingUser, number: int = 0, build: Callable[..., bytes] = invitations.skype_text, **changes: Any
) -> tuple[str, bytes]:
    """Store a meeting in the user's mailbox; its UID and its text."""
    text = build(plan(user, number, **changes))
    ((uid, body),) = split_objects(text)
    EmbeddedMailbox(user).store([(uid, body)])
    return uid, body


def body_of(user: ConferencingUser, uid: str) -> bytes:
    return bytes(CalendarObject.objects.get(user=user, uid=uid).body)


ANEW = Targets.of_types(ALL, LINK)
"""A run that makes every meeting anew, so that each of them changes."""
STAY = Targets.of_types(ALL, CURRENT)
"""A run that leaves every meeting in its service, as most changes mean."""


def migrate(user: ConferencingUser, targets: Targets = ANEW) -> Run:
    """Start a run of the user by hand and work it; the run as it ended. Delivers nothing."""
    (run,) = migrate_all([user], targets)
    run.refresh_from_db()
    return run


def migrate_all(users: Sequence[ConferencingUser], targets: Targets = ANEW) -> list[Run]:
    """Start the runs of these users of one tenant by hand and work them. Delivers nothing."""
    start_by_hand(
        users[0].tenant,
        ConferencingUser.objects.select_related("bridge").filter(pk__in=[user.pk for user in users]),
        Actor("alice", Channel.SCREEN),
        targets=targets,
    )
    runs = []
    for _ in users:
        run = queue.claim()
        assert run is not None
        work_run(run)
        runs.append(run)
    return runs


URL = re.compile(r"https?://[^\s<>\"]+")


def join_links(text: str) -> Counter[str]:
    """The links into Teams and Skype for Business meetings, or those of this shape, in a text."""
    found = Counter(url.replace("&amp;", "&").rstrip("\\") for url in URL.findall(text))
    is_one = {url: links.is_teams(url) or links.skype_link(url.removesuffix("?sl=1")) is not None for url in found}
    return Counter({url: count for url, count in found.items() if is_one[url] and "dialin" not in url})


def logical_lines(body: bytes) -> list[str]:
    return FOLD.sub(b"", body).decode("utf-8").splitlines()


STANDARD_LOCATIONS = {f"LOCATION:{label}" for label in ("Skype Meeting", "Microsoft Teams Meeting", "Online Meeting")}


def untouched_lines(body: bytes) -> list[str]:
    """The lines that no migration may change, unfolded."""
    return [
        line
        for line in logical_lines(body)
        if not line.upper().startswith(BLOCK_LINES) and not line.startswith(STAMPS) and line not in STANDARD_LOCATIONS
    ]


def messages_in(folder: Path) -> list[EmailMessage]:
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)  # type: ignore[misc]
        for path in sorted(folder.glob("*.eml"))
    ]


def calendar_of(message: EmailMessage) -> bytes:
    for part in message.walk():
        if part.get_content_type() == "text/calendar":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload
    raise AssertionError("the message has no calendar part")


def uid_of(message: EmailMessage) -> str:
    """The UID of the meeting that a message is about."""
    (uid,) = {line[4:] for line in logical_lines(calendar_of(message)) if line.startswith("UID:")}
    return uid


def addressees(message: EmailMessage) -> set[str]:
    return {address.addr_spec for address in message["To"].addresses}


def told(folder: Path) -> Counter[tuple[str, str]]:
    """How often each address was told about each meeting, by its UID."""
    found: Counter[tuple[str, str]] = Counter()
    for message in messages_in(folder):
        uid = uid_of(message)
        found.update((uid, address) for address in addressees(message))
    return found


def preview(user: ConferencingUser, uids: Sequence[str] | None = None) -> Iterator[tuple[MeetingResult, int]]:
    """What a run of the user would do with each meeting, and how many people it would mail; see ``Outcomes``."""
    outcomes = Outcomes(Run(user=user, tenant=user.tenant))
    return ((outcome.result, outcome.recipient_count) for outcome in outcomes.foreseen(uids))
