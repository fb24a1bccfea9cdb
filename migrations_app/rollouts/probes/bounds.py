"""Within what a probe may reach out: which hosts, for how long, and what it may know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

MOST_SECONDS = 60.0
"""Of any probe, whatever its check asks for (R69)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the caller grants."""

    hosts: Collection[str]
    """Those that the deployments of the check list (R60); no other is reached."""
    seconds: float
    """For the whole probe; at most :data:`MOST_SECONDS`."""
    private_hosts: Collection[str] = ()
    """Those that the operator allows to be at private, local or loopback addresses."""
    programs: Path | None = None
    """The directory of the programs that ``command`` may run; without it there are none."""
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """What ``{deployment}``, ``{host}`` and ``{upn}`` stand for in the arguments of a program."""
    secrets: Collection[str] = field(default=(), repr=False)
    """Texts that must not show in what a program prints."""


class Clock:
    """The time of one probe. Whoever waits asks it how long, so that a server that trickles is given up too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = min(max(seconds, 0.001), MOST_SECONDS)
        self.began = monotonic()
        self.ends = self.began + self.seconds

    def left(self) -> float:
        """The seconds that may still be waited. Raises ``TimeoutError`` where there are none."""
        left = self.ends - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def taken(self) -> float:
        """The seconds since the probe began."""
        return monotonic() - self.began
