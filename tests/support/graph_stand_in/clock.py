"""The stand-in's own clock, which a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Goes with the machine's, displaced by what it was moved; ``stop`` holds it until it is moved."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._displaced = timedelta()
        self._held: datetime | None = None

    def now(self) -> datetime:
        return self._held or datetime.now(UTC) + self._displaced

    def stop(self, at: datetime | None = None) -> None:
        """Stand still, at this moment or now."""
        self._held = at or self.now()

    def advance(self, seconds: float) -> None:
        if self._held is not None:
            self._held += timedelta(seconds=seconds)
        else:
            self._displaced += timedelta(seconds=seconds)
