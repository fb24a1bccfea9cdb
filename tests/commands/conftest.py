"""Running commands as an administrator would, and invitations to give them."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from tenants_app.models import ConferencingUser
from tests.rewriting.samples import escape, skype_text

Command = Callable[..., str]


@pytest.fixture
def command(db: None) -> Command:
    """Runs a command with its arguments as text and returns what it prints; errors are raised."""

    def run(*arguments: str, errors: io.StringIO | None = None) -> str:
        output = io.StringIO()
        call_command(*arguments, stdout=output, stderr=errors or io.StringIO())
        return output.getvalue()

    return run


def invitation(
    user: ConferencingUser, uid: str = "budget@contoso.com", *, days: int = 7, text: str | None = None
) -> bytes:
    """A meeting of the user with Bruno, that many days from now, with an old meeting block unless ``text`` is given."""
    start = timezone.now().replace(microsecond=0) + timedelta(days=days)
    name = user.upn.partition("@")[0]
    text = skype_text(f"https://meet.contoso.com/{name}/OLD1KEY2") if text is None else text
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Contoso//Test//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}",
        "DTSTAMP:20250101T080000Z",
        "SEQUENCE:1",
        f"SUMMARY:Budget {uid}",
        f"ORGANIZER;CN={user.display_name}:mailto:{user.upn}",
        "ATTENDEE;CN=Bruno Costa:mailto:bruno.costa@contoso.com",
        f"DESCRIPTION:Please read the budget.\\n{escape(text)}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines).encode()
