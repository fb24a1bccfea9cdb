"""Running commands as an administrator would, and invitations to give them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from tenants_app.models import ConferencingUser
from tests.support.samples import escape, skype_text

Command = Callable[..., str]


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
