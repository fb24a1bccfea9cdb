"""What happens to people's meetings: mailboxes, the queue of runs, what became of each meeting, updates to send."""

from migrations_app.models.acceptance import AcceptedItem
from migrations_app.models.alerts import Alert, AlertDelivery, AlertEvent, AlertSettings, WorkerSilence
from migrations_app.models.chat import (
    ChatArchive,
    ChatDifference,
    ChatEvidence,
    ChatFinding,
    ChatPlan,
    ChatQuestion,
    ChatReading,
    ChatRoom,
    ChatSettings,
    ChatShift,
    ChatStep,
    ChatTarget,
)
from migrations_app.models.left_meetings import LeftMeeting
from migrations_app.models.mailboxes import (
    CalendarObject,
    IndexedMeeting,
    MailboxScan,
    MeetingFacts,
    OnlineMeeting,
    TeamsLook,
)
from migrations_app.models.notices import Notice, NoticeKind, NoticeRound, NoticeText
from migrations_app.models.plans import Plan, runs_may_begin
from migrations_app.models.previews import Preview, PreviewedMeeting, PreviewedUser
from migrations_app.models.procedures import BulkAction, BulkActionUser, NumberRelease, ShownMeeting, UserImport
from migrations_app.models.retirement import (
    AcceptedMeeting,
    FoundMeeting,
    MeetingSearch,
    Retirement,
    Rollback,
    TakenListing,
    UnreadMailbox,
)
from migrations_app.models.rollout_checks import CheckAnswer, CheckResult, GateOpening, Outcome, RolloutCheck
from migrations_app.models.rollouts import BridgeMapping, NumberMapping, Rollout, RolloutEvent, Wave, WaveMember
from migrations_app.models.runs import MAY_BE_WORKED, IntendedWrite, MeetingResult, Run
from migrations_app.models.service import Activity, Heartbeat, MailServer, Sample, SentLately, Turn
from migrations_app.models.updates import Outgoing, UntoldNumber, Update, UpdateText

__all__ = [
    "MAY_BE_WORKED",
    "AcceptedItem",
    "AcceptedMeeting",
    "Activity",
    "Alert",
    "AlertDelivery",
    "AlertEvent",
    "AlertSettings",
    "BridgeMapping",
    "BulkAction",
    "BulkActionUser",
    "CalendarObject",
    "ChatArchive",
    "ChatDifference",
    "ChatEvidence",
    "ChatFinding",
    "ChatPlan",
    "ChatQuestion",
    "ChatReading",
    "ChatRoom",
    "ChatSettings",
    "ChatShift",
    "ChatStep",
    "ChatTarget",
    "CheckAnswer",
    "CheckResult",
    "FoundMeeting",
    "GateOpening",
    "Heartbeat",
    "IndexedMeeting",
    "IntendedWrite",
    "LeftMeeting",
    "MailServer",
    "MailboxScan",
    "MeetingFacts",
    "MeetingResult",
    "MeetingSearch",
    "Notice",
    "NoticeKind",
    "NoticeRound",
    "NoticeText",
    "NumberMapping",
    "NumberRelease",
    "OnlineMeeting",
    "Outcome",
    "Outgoing",
    "Plan",
    "Preview",
    "PreviewedMeeting",
    "PreviewedUser",
    "Retirement",
    "Rollback",
    "Rollout",
    "RolloutCheck",
    "RolloutEvent",
    "Run",
    "Sample",
    "SentLately",
    "ShownMeeting",
    "TakenListing",
    "TeamsLook",
    "Turn",
    "UnreadMailbox",
    "UntoldNumber",
    "Update",
    "UpdateText",
    "UserImport",
    "Wave",
    "WaveMember",
    "WorkerSilence",
    "runs_may_begin",
]
