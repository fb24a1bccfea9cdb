"""What a run asks of a meeting service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrations_app.failures import Failure
from migrations_app.rewriting.online_meeting import OnlineMeeting


@dataclass(frozen=True, slots=True)
class Request:
    """A meeting of the user's calendar for which an online meeting is wanted.

    ``recurrence_id`` is that of an occurrence which has a meeting of its own; empty for a single meeting or a series.
    """

    uid: str
    recurrence_id: str = ""
    subject: str = ""
    starts_at: datetime | None = None


class MeetingService(ABC):
    """A service, as one user's runs see it."""

    name: str
    """As ``Run.targets`` and the history have it: ``Link``."""
    makes_nothing: bool = False
    """Whether each meeting is left for a person, so that a preview may say so."""
    made_under: str = ""
    """What besides the service tells its meetings apart: the same meeting is made anew where this has changed."""

    @abstractmethod
    def make(self, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        """Make online meetings, or say for each why it cannot be made (R42).

        Asked twice for the same one, it answers with the same, since a run may be killed in between. Raises ``Failure``
        with the code ``service-unavailable`` where the service is down or asks to wait: the run waits and tries again.
        """

    @abstractmethod
    def is_there_already(self, join_url: str) -> bool:
        """Whether a meeting of this service is where it would be made today (R40)."""
