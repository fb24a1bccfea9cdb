"""Contoso's dial-in directory: where it is, when it is asked, and the meetings of that day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from migrations_app.models import OnlineMeeting
from tests.support.samples import event

NOW = datetime(2030, 3, 4, 10, 5, tzinfo=UTC)
NUMBERS = "/contoso/dial-in/phoneNumberList"
MAPPER = "/contoso/dial-in/conferenceMapper"

Hold = Callable[..., OnlineMeeting]


def at(start: str, end: str, *lines: str, uid: str = "budget@contoso.com") -> list[str]:
    """An event of the day of ``NOW``, from one time to the other, as HHMM in UTC."""
    return event(*lines, uid=uid, start=f"DTSTART:20300304T{start}00Z", end=f"DTEND:20300304T{end}00Z")
