"""What alerts may be about. Names stand in commands, in the webhook and in stored rows, so they stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrations_app.models import AlertEvent

Thing = AlertEvent.Thing


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: how it reads, and which things it is about."""

    label: str
    help: str
    things: tuple[AlertEvent.Thing, ...]


FAILED_RUNS = "failed-runs"
LEFT_MEETINGS = "left-meetings"
PAUSED_CONNECTIONS = "paused-connections"
SILENT_CLUSTER = "silent-cluster"
FINISHED_JOBS = "finished-jobs"

KINDS: Mapping[str, Kind] = {
    FAILED_RUNS: Kind("Failed runs", "A run has failed, and MMS does not try again by itself.", (Thing.RUN,)),
    LEFT_MEETINGS: Kind(
        "Meetings left for you", "A meeting needs a person, or its attendees were not told.", (Thing.LEFT_MEETING,)
    ),
    PAUSED_CONNECTIONS: Kind(
        "Paused mailbox connections",
        "A mail system refuses MMS, so that runs of its users wait; and that it works again.",
        (Thing.CONNECTION,),
    ),
    SILENT_CLUSTER: Kind(
        "Silent background service",
        "It gave no sign of life for ten minutes or more. It can tell so only when it is back; check_worker tells it "
        "from outside at once.",
        (Thing.SILENCE,),
    ),
    FINISHED_JOBS: Kind(
        "Finished jobs",
        "What was done for many users, an import, a number taken off its bridge, or a large preview.",
        (Thing.BULK_ACTION, Thing.USER_IMPORT, Thing.NUMBER_RELEASE, Thing.PREVIEW),
    ),
}

BY_DEFAULT = (FAILED_RUNS, LEFT_MEETINGS, PAUSED_CONNECTIONS, SILENT_CLUSTER)
"""What is told where nobody has chosen."""

KIND_OF: Mapping[AlertEvent.Thing, str] = {thing: name for name, kind in KINDS.items() for thing in kind.things}
