"""What a run asks of a meeting service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrations_app.failures import Failure
from migrations_app.rewriting.online_meeting import DialInFacts, OnlineMeeting


@dataclass(frozen=True, slots=True)
class Request:
    """A meeting of the user's calendar for which an online meeting is wanted.

    ``recurrence_id`` is that of an occurrence which has a meeting of its own; empty for a single meeting or a series.
    """

    uid: str
    recurrence_id: str = ""
    subject: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    """When the last occurrence is over; None where there is no last one."""


class MeetingService(ABC):
    """A service, as one user's runs see it."""

    name: str
    """As ``Run.targets`` and the history have it: ``Link``."""
    at_once: int = 100
    """How many it is asked for at most before the run says again that it goes on."""
    makes_nothing: bool = False
    """Whether each meeting is left for a person, so that a preview may say so."""
    says_dial_in: bool = False
    """Whether the service, and not the user's bridge, says how people phone into its meetings (R43)."""
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

    def dial_in(self, join_urls: Sequence[str]) -> Mapping[str, DialInFacts | Failure]:
        """How people phone into meetings of the user that are there already, as the service says now; or why it does
        not. Only reads. Raises ``Failure`` as :meth:`make` does."""
        raise NotImplementedError(f"{self.name} leaves it to the user's bridge.")
