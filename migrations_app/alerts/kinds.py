"""What alerts may be about. Names stand in commands, in the webhook and in stored rows, so they stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrations_app.models import AlertEvent
from tenants_app.sentences import sentence

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
ENDING_SECRETS = "ending-secrets"
SILENT_CLUSTER = "silent-cluster"
STOPPED_WAVES = "stopped-waves"
STOPPED_CHAT = "stopped-chat-imports"
FINISHED_JOBS = "finished-jobs"

KINDS: Mapping[str, Kind] = {
    FAILED_RUNS: Kind(
        sentence("Failed runs"), sentence("A run has failed, and MMS does not try again by itself."), (Thing.RUN,)
    ),
    LEFT_MEETINGS: Kind(
        sentence("Meetings left for you"),
        sentence("A meeting needs a person, or its attendees were not told."),
        (Thing.LEFT_MEETING,),
    ),
    PAUSED_CONNECTIONS: Kind(
        sentence("Paused mailbox connections"),
        sentence("A mail system refuses MMS, so that runs of its users wait; and that it works again."),
        (Thing.CONNECTION,),
    ),
    ENDING_SECRETS: Kind(
        sentence("Ending secrets"),
        sentence("The client secret or certificate of a connection to Microsoft ends within 30 days."),
        (Thing.CREDENTIAL,),
    ),
    SILENT_CLUSTER: Kind(
        sentence("Silent background service"),
        sentence(
            "It gave no sign of life for ten minutes or more. It can tell so only when it is back; check_worker tells "
            "it from outside at once."
        ),
        (Thing.SILENCE,),
    ),
    STOPPED_WAVES: Kind(
        sentence("Stopped waves"),
        sentence("A wave of a rollout has stopped by itself: nobody else is moved until somebody resumes it."),
        (Thing.WAVE_STOP,),
    ),
    STOPPED_CHAT: Kind(
        sentence("Stopped imports of chat"),
        sentence("An import of persistent chat has stopped by itself: no room is begun until somebody resumes it."),
        (Thing.CHAT_STOP,),
    ),
    FINISHED_JOBS: Kind(
        sentence("Finished jobs"),
        sentence(
            "What was done for many users, an import of users or of chat, a number taken off its bridge, or a large "
            "preview."
        ),
        (Thing.BULK_ACTION, Thing.USER_IMPORT, Thing.NUMBER_RELEASE, Thing.PREVIEW, Thing.CHAT_IMPORT),
    ),
}

BY_DEFAULT = (
    FAILED_RUNS,
    LEFT_MEETINGS,
    PAUSED_CONNECTIONS,
    ENDING_SECRETS,
    SILENT_CLUSTER,
    STOPPED_WAVES,
    STOPPED_CHAT,
)
"""What is told where nobody has chosen."""

KIND_OF: Mapping[AlertEvent.Thing, str] = {thing: name for name, kind in KINDS.items() for thing in kind.things}
