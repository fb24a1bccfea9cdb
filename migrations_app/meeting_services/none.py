"""``none``: nothing can be made anew (R39)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migrations_app.failures import Failure
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.rewriting.online_meeting import OnlineMeeting


class NoService(MeetingService):
    """Makes nothing: each meeting is left for a person."""

    name = "none"
    makes_nothing = True

    def make(self, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        return {each: Failure("no-meeting-service") for each in requests}

    def is_there_already(self, join_url: str) -> bool:
        return False
