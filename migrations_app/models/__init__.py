"""What happens to people's meetings: mailboxes, the queue of runs, what became of each meeting, updates to send."""

from migrations_app.models.alerts import Alert, AlertDelivery, AlertEvent, AlertSettings, WorkerSilence
from migrations_app.models.left_meetings import LeftMeeting
from migrations_app.models.mailboxes import CalendarObject, IndexedMeeting, MailboxScan, MeetingFacts, OnlineMeeting
from migrations_app.models.notices import Notice, NoticeKind, NoticeRound, NoticeText
from migrations_app.models.plans import Plan, runs_may_begin
from migrations_app.models.previews import Preview, PreviewedMeeting, PreviewedUser
from migrations_app.models.procedures import BulkAction, BulkActionUser, NumberRelease, ShownMeeting, UserImport
from migrations_app.models.runs import MAY_BE_WORKED, IntendedWrite, MeetingResult, Run
from migrations_app.models.service import Activity, Heartbeat, MailServer, Sample, SentLately, Turn
from migrations_app.models.updates import Outgoing, UntoldNumber, Update, UpdateText

__all__ = [
    "MAY_BE_WORKED",
    "Activity",
    "Alert",
    "AlertDelivery",
    "AlertEvent",
    "AlertSettings",
    "BulkAction",
    "BulkActionUser",
    "CalendarObject",
    "Heartbeat",
    "IndexedMeeting",
    "IntendedWrite",
    "LeftMeeting",
    "MailServer",
    "MailboxScan",
    "MeetingFacts",
    "MeetingResult",
    "Notice",
    "NoticeKind",
    "NoticeRound",
    "NoticeText",
    "NumberRelease",
    "OnlineMeeting",
    "Outgoing",
    "Plan",
    "Preview",
    "PreviewedMeeting",
    "PreviewedUser",
    "Run",
    "Sample",
    "SentLately",
    "ShownMeeting",
    "Turn",
    "UntoldNumber",
    "Update",
    "UpdateText",
    "UserImport",
    "WorkerSilence",
    "runs_may_begin",
]
