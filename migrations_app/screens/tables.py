"""Tables about runs, their meetings, users and what is done for many of them, imports, and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import django_tables2 as tables

from migrations_app.badges import BADGES
from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.base import Listed
from migrations_app.models import (
    BulkAction,
    BulkActionUser,
    LeftMeeting,
    MeetingResult,
    Notice,
    NumberRelease,
    Plan,
    Preview,
    PreviewedMeeting,
    Run,
    UserImport,
)
from migrations_app.procedures.bulk_kinds import KINDS, Kind
from migrations_app.runs.history import LEFT_FIELDS, LEFT_FIELDS_OF_FILES, MEETING_FIELDS, RUN_FIELDS
from migrations_app.screens.filters import (
    BulkActionUserFilter,
    FailureFilter,
    LeftFilter,
    NoticeFilter,
    PreviewFilter,
    ResultFilter,
    RunFilter,
    UserFilter,
)
from tenants_app.catalogue import USER_SETTINGS, UserSetting
from tenants_app.changes.conference_ids import id_in_use, own_conference_ids
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.records import written
from tenants_app.screens.lists import Cell, ListTable, Read, Text, reads
from tenants_app.wording import counted

_NUMBER = {"th": {"class": "number"}, "td": {"class": "number in-line"}}
_IN_LINE = {"td": {"class": "in-line"}}
"""What stands in one line with its neighbours where rows are cards, on a phone."""
_UPN = {"UserPrincipalName": reads("user__upn")}
_PERSON = {**_UPN, "DisplayName": reads("user__display_name")}


def _some(fields: Mapping[str, Read], *names: str) -> dict[str, Read]:
    """These of the fields by which commands and files tell of a thing."""
    return {name: fields[name] for name in names}


def _number(label: str, files: Mapping[str, Read], unit: str = "", **more: Any) -> tables.Column:
    """A number; where rows are cards, on a phone, its ``unit`` says what it counts."""
    return Cell(
        "{% load humanize %}{{ value|intcomma }}" + (f" <span class='on-phones'>{unit}</span>" if unit else ""),
        verbose_name=label,
        files=files,
        attrs=_NUMBER,
        **more,
    )


def _tick() -> tables.Column:
    """A box for each row, which belongs to the form below the table (``tables/selection.html``)."""
    return Cell(
        template_name="tables/tick.html",
        verbose_name="Select",
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )


def _at(label: str, files: Mapping[str, Read], **more: Any) -> tables.Column:
    """A time; where rows are cards, on a phone, its label stands before it, and nothing where there is none yet."""
    return Cell(
        "{% load page_parts %}{% if value %}<span class='on-phones'>" + label + "</span> {{ value|when }}"
        "{% else %}<span class='text-secondary d-none d-sm-inline'>–</span>{% endif %}",
        verbose_name=label,
        files=files,
        **more,
    )


def _by(label: str) -> tables.Column:
    """Whose doing it was; where rows are cards, on a phone, its label stands before it."""
    return Cell(
        f"<span class='on-phones'>{label}</span> {{{{ value }}}}",
        verbose_name=label,
        files={"RequestedBy": reads("requested_by")},
    )


def _changed() -> tables.Column:
    """When the latest run of a user changed."""
    return Cell(
        "{% load page_parts %}{% if value %}<span class='on-phones'>changed</span> {{ value|ago }}"
        "{% else %}<span class='text-secondary d-none d-sm-inline'>–</span>{% endif %}",
        verbose_name="Changed",
        files={"ModifiedDate": reads("latest_modified")},
        attrs=_IN_LINE,
    )


def _extra(label: str, path: str, field: str, read: Read | None = None, **more: Any) -> tables.Column:
    """A column that is shown only where somebody asks for it, sorted by ``path``; ``field`` is its name in files."""
    read = read or reads(path)
    return Text(label, read, order_by=path, is_extra=True, files={field: read}, **more)


def _reading(setting: UserSetting) -> Read:
    """Reads a setting of a user as commands tell it."""
    return lambda user: written(setting.kind, getattr(user, setting.field))


_SETTINGS = {each.field: (each.name, _reading(each)) for each in USER_SETTINGS}


def _settings(*fields: str) -> dict[str, Read]:
    """Settings of a user as files tell them."""
    return dict(_SETTINGS[field] for field in fields)


def _setting(field: str, label: str, path: str = "", **more: Any) -> tables.Column:
    """A setting of a user that is shown only where somebody asks for it, sorted by ``path``."""
    name, read = _SETTINGS[field]
    return _extra(label, path or field, name, read, **more)


def _seconds(run: Run) -> int | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return max(round((run.finished_at - run.started_at).total_seconds()), 0)


class RunTable(ListTable):
    """The history of a tenant's runs."""

    tick = _tick()
    user = Cell(
        template_name="runs/cells/user.html",
        order_by="user__upn",
        files={**_PERSON, **_some(RUN_FIELDS, "LastErrorMessage")},
    )
    state = Cell(
        "{% load runs %}{% run_badge value record.still_open %}",
        attrs={"td": {"class": "narrow"}},
        files=_some(RUN_FIELDS, "State"),
    )
    why = Cell(
        template_name="runs/cells/why.html",
        verbose_name="Why",
        order_by="migration_type",
        files=_some(RUN_FIELDS, "MigrationType", "Reasons"),
    )
    created = Cell(template_name="runs/cells/times.html", files=_some(RUN_FIELDS, "CreateDate"))
    succeeded_meetings = _number("Updated", _some(RUN_FIELDS, "SucceededMeeting"), unit="updated")
    skipped_meetings = _number("Skipped", _some(RUN_FIELDS, "SkippedMeeting"), unit="skipped")
    failed_meetings = _number("Failed", _some(RUN_FIELDS, "FailedMeeting"), unit="failed")
    invites_update = _number("Messages", _some(RUN_FIELDS, "InvitesUpdate"), unit="message{{ value|pluralize }}")
    total_meetings = _number(
        "Meetings", _some(RUN_FIELDS, "TotalMeeting"), unit="meeting{{ value|pluralize }}", is_extra=True
    )
    left_meetings = _number("Left for a person", _some(RUN_FIELDS, "LeftMeeting"), unit="left", is_extra=True)
    attempts = _extra("Retries", "attempts", "RetryCount", reads("retry_count"))
    started_at = _extra("Started", "started_at", "StartDate")
    finished_at = _extra("Finished", "finished_at", "FinishDate")
    duration = Text("Seconds", _seconds, orderable=False, is_extra=True, files={"Duration": _seconds})
    modified = _extra("Changed", "modified", "ModifiedDate")
    requested_by = _extra("Requested by", "requested_by", "RequestedBy")
    last_error_code = _extra("Last error", "last_error_code", "LastErrorCode")
    correlation_id = _extra("Correlation ID", "correlation_id", "CorrelationId", RUN_FIELDS["CorrelationId"])

    list_name = "runs"
    address = "history"
    caption = "Runs"
    filter_class = RunFilter
    saves_filters = True

    when_empty = "No run was requested yet."

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = "No run matches. Widen the dates or clear the filter."


class LeftTable(ListTable):
    """Meetings that need a person."""

    chosen = Cell(
        template_name="left/cells/chosen.html",
        verbose_name="Choose",
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )
    subject = Cell(template_name="left/cells/meeting.html", verbose_name="Meeting", files=_some(LEFT_FIELDS, "Subject"))
    user = Cell(
        template_name="left/cells/organizer.html",
        verbose_name="Organizer",
        order_by="user__upn",
        files={**_UPN, **_some(LEFT_FIELDS_OF_FILES, "Organizer")},
    )
    code = Cell(
        template_name="left/cells/reason.html",
        verbose_name="Why, and what to do",
        files=_some(LEFT_FIELDS, "Reason", "Message"),
    )
    starts_at = Cell(
        "{% load page_parts %}<span class='on-phones'>Starts</span> "
        "{% if value %}{{ value|when }}{% else %}Not known{% endif %}",
        verbose_name="Starts",
        files=_some(LEFT_FIELDS, "StartDate"),
    )
    attendee_count = _number("Attendees", _some(LEFT_FIELDS, "Attendees"), unit="attendee{{ value|pluralize }}")
    state = Cell(
        template_name="left/cells/state.html",
        attrs={"td": {"class": "slim"}},
        files=_some(LEFT_FIELDS_OF_FILES, "State", "By", "At", "Note"),
    )
    uid = _extra("UID", "uid", "MeetingUid")
    run = _extra("Correlation ID", "run__correlation_id", "CorrelationId", LEFT_FIELDS["CorrelationId"])
    created = _extra("In the list since", "created", "CreateDate")

    list_name = "left"
    address = "left-meetings"
    caption = "Meetings that need a person"
    filter_class = LeftFilter
    saves_filters = True
    file_name = "meetings-that-need-a-person"

    when_empty = "No meeting needs a person."

    class Meta:
        model = LeftMeeting
        fields: tuple[str, ...] = ()
        order_by = ("starts_at",)
        empty_text = "No meeting matches. Widen the dates or clear the filter."


class FailureTable(ListTable):
    """Latest runs of users that failed by one thing."""

    user = Cell(template_name="failures/cells/user.html", order_by="user__upn", files=_PERSON)
    last_error_detail = Cell(
        template_name="failures/cells/what.html",
        verbose_name="What happened",
        files={"Reason": reads("failed_by"), "Message": reads("last_error_message")},
    )
    failed_meetings = Cell(
        "{% load humanize %}<span class='on-phones'>Failed meetings: </span>{{ value|intcomma }}",
        files=_some(RUN_FIELDS, "FailedMeeting"),
    )
    finished_at = Cell(
        "{% load page_parts %}<span class='on-phones'>Failed </span>{{ value|ago }}",
        verbose_name="Failed",
        files=_some(RUN_FIELDS, "FinishDate"),
    )
    correlation_id = _extra("Correlation ID", "correlation_id", "CorrelationId", RUN_FIELDS["CorrelationId"])
    accepted_at = Cell(
        template_name="failures/cells/accepted.html",
        verbose_name="Accepted",
        files={
            "AcceptedBy": reads("accepted_by"),
            "AcceptedDate": reads("accepted_at"),
            "Note": reads("accepted_note"),
        },
    )
    attempts = _extra("Retries", "attempts", "RetryCount", reads("retry_count"))
    migration_type = _extra("Type", "migration_type", "MigrationType")
    requested_by = _extra("Requested by", "requested_by", "RequestedBy")

    list_name = "failures"
    caption = "Users whose latest run failed by this"
    filter_class = FailureFilter
    saves_filters = True

    when_empty = "Nobody's latest run has failed for this reason."

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = "No user matches. Search for a part of the name or clear the filter."


class ResultTable(ListTable):
    """A run's meetings."""

    subject = Cell(
        template_name="runs/cells/subject.html", verbose_name="Meeting", files=_some(MEETING_FIELDS, "Subject")
    )
    outcome = Cell(
        template_name="runs/cells/result_outcome.html", files=_some(MEETING_FIELDS, "Outcome", "Reason", "Message")
    )
    starts_at = Cell(
        "{% load page_parts %}{{ value|when }}", verbose_name="Starts", files=_some(MEETING_FIELDS, "StartDate")
    )
    attendee_count = _number("Attendees", _some(MEETING_FIELDS, "Attendees"), unit="attendee{{ value|pluralize }}")
    update = Cell(
        template_name="runs/cells/result_message.html",
        verbose_name="Message",
        order_by="update__state",
        files={
            "UpdateState": reads("update__state"),
            "Recipients": reads("update__recipient_count"),
            "UpdateErrorCode": reads("update__error_code"),
        },
    )
    change = Cell(template_name="runs/cells/result_change.html", verbose_name="Look at", orderable=False)
    uid = _extra("UID", "uid", "MeetingUid")
    meeting_service = _extra("Meeting service", "meeting_service", "MeetingService")
    join_url_before = _extra("Join link before", "join_url_before", "JoinUrlBefore")
    join_url_after = _extra("Join link after", "join_url_after", "JoinUrlAfter")
    sequence = _extra("SEQUENCE", "sequence", "Sequence")

    list_name = "results"
    caption = "Meetings of this run"
    usual_rows = 50
    filter_class = ResultFilter
    saves_filters = True
    file_name = "meetings-of-a-run"

    when_empty = "This run has looked at no meeting."

    class Meta:
        model = MeetingResult
        fields: tuple[str, ...] = ()
        empty_text = "No meeting matches."


@dataclass(slots=True)
class UpcomingMeeting:
    """A row of :class:`MeetingTable`: the meeting, what a run now would do with it, and how many it would mail."""

    meeting: Listed
    foreseen: MeetingResult | None = None
    recipients: int = 0

    @property
    def subject(self) -> str:
        return self.meeting.subject

    @property
    def starts_at(self) -> datetime | None:
        return self.meeting.starts_at

    @property
    def attendee_count(self) -> int:
        return self.meeting.attendee_count


class MeetingTable(ListTable):
    """A user's future meetings, each an :class:`UpcomingMeeting`."""

    subject = Cell(template_name="runs/cells/subject.html", verbose_name="Meeting", files={"Subject": reads("subject")})
    foreseen = Cell(
        template_name="meetings/cells/foreseen.html",
        verbose_name="A run now",
        orderable=False,
        files={
            "Outcome": reads("foreseen__outcome"),
            "Reason": reads("foreseen__code"),
            "Message": reads("foreseen__reason"),
        },
    )
    starts_at = Cell(
        template_name="meetings/cells/times.html", verbose_name="Starts", files={"StartDate": reads("starts_at")}
    )
    attendee_count = _number("Attendees", {"Attendees": reads("attendee_count")}, unit="attendee{{ value|pluralize }}")
    mailed = Cell(
        template_name="meetings/cells/mailed.html",
        verbose_name="Would be mailed",
        orderable=False,
        attrs=_NUMBER,
        files={"Recipients": reads("recipients")},
    )
    why = Cell(template_name="meetings/cells/explain.html", verbose_name="Look at", orderable=False)
    uid = _extra("UID", "meeting__uid", "MeetingUid", reads("meeting__uid"))
    organizer = _extra("Organizer", "meeting__organizer", "Organizer", reads("meeting__organizer"))

    list_name = "user-meetings"
    caption = "Future meetings"
    file_name = "future-meetings"
    now: datetime
    asked = ""
    """The query that the addresses of explanations end with, such as the types that a run would be started with."""
    foretell: Callable[[Sequence[UpcomingMeeting]], Failure | None]
    """Notes at meetings what a run would do with them, or says why it would fail."""
    failure: Failure | None = None

    class Meta:
        empty_text = "The mailbox has no future meetings."

    def prepare(self, rows: Sequence[UpcomingMeeting]) -> None:
        if self.failure is None:
            self.failure = self.foretell(rows)
        if self.failure:
            for name in ("foreseen", "mailed"):
                self.columns.hide(name)


class FoundMeetingTable(ListTable):
    """Meetings that a search has found, each a ``stories.search.FoundMeeting``."""

    subject = Cell(
        template_name="stories/cells/meeting.html",
        verbose_name="Meeting",
        files={"Subject": reads("subject"), "IsInMailbox": reads("is_in_mailbox")},
    )
    user = Cell(
        template_name="stories/cells/user.html",
        verbose_name="Organizer",
        order_by="user__upn",
        files={**_PERSON, "Organizer": reads("organizer")},
    )
    starts_at = Cell(
        "{% load page_parts %}{{ value|when }}", verbose_name="Starts", files={"StartDate": reads("starts_at")}
    )
    attendee_count = Cell(
        "{% load humanize %}<span class='on-phones'>Attendees: </span>{{ value|intcomma }}",
        verbose_name="Attendees",
        files={"Attendees": reads("attendee_count")},
    )
    latest = Cell(
        template_name="stories/cells/latest.html",
        verbose_name="The latest run",
        orderable=False,
        files={
            "Outcome": reads("latest__outcome"),
            "Reason": reads("latest__code"),
            "Message": reads("latest__reason"),
        },
    )
    uid = _extra("UID", "uid", "MeetingUid")

    list_name = "found-meetings"
    caption = "Meetings found"
    usual_rows = 100
    file_name = "meetings-found"

    class Meta:
        empty_text = "No meeting matches. Leave a criterion out, or write less of it."


def _conference_id(user: ConferencingUser) -> str:
    return id_in_use(user, getattr(user, "own_id", None))


def _latest_error(user: Any) -> str:
    return describe(user.latest_error, user.latest_detail) if user.latest_error else ""


class UserTable(ListTable):
    """The tenant's users with the state of their latest run; see ``screens.users.with_latest_run``."""

    tick = _tick()
    upn = Cell(
        template_name="users/cells/name.html",
        verbose_name="User",
        files={"UserPrincipalName": reads("upn"), "DisplayName": reads("display_name")},
    )
    latest_state = Cell(
        template_name="users/cells/state.html",
        verbose_name="Latest run",
        files={
            "State": reads("latest_state"),
            "LastErrorCode": lambda user: user.latest_error or "",
            "LastErrorMessage": _latest_error,
            "LeftMeeting": reads("still_open"),
            "OutOfDate": reads("is_out_of_date"),
        },
    )
    bridge = Cell(
        "{% if value %}{{ value }}{% else %}<span class='text-secondary'>None</span>{% endif %}",
        order_by="bridge__name",
        attrs=_IN_LINE,
        files=_settings("bridge"),
    )
    audio = Cell(
        template_name="users/cells/audio.html",
        verbose_name="Audio conferencing",
        order_by=("-audio_conferencing_license", "-audio_conferencing_enabled"),
        attrs=_IN_LINE,
        files=_settings("audio_conferencing_license", "audio_conferencing_enabled", "conferencing_provider"),
    )
    hosting = Cell("{{ record.get_hosting_display }}", attrs=_IN_LINE, files=_settings("hosting"))
    latest_modified = _changed()
    conference_id = Text(
        "Conference ID", _conference_id, orderable=False, is_extra=True, files={"ConferenceId": _conference_id}
    )
    conference_id_type = _setting("conference_id_type", "Conference ID type")
    toll_number = _setting("toll_number", "Toll number", "toll_number__number", loads=["toll_number"])
    toll_free_number = _setting(
        "toll_free_number", "Toll-free number", "toll_free_number__number", loads=["toll_free_number"]
    )
    language = _setting("language", "Language")
    sip_address = _setting("sip_address", "SIP address")
    mailbox = _setting("mailbox", "Mailbox", "mailbox__name", loads=["mailbox"])
    mailbox_location = _setting("mailbox_location", "Mailbox location")
    meeting_service = _setting("meeting_service", "Meeting service")
    created = _extra("Created", "created", "CreateDate")
    user_id = _extra("User ID", "user_id", "UserId")

    list_name = "users"
    address = "users"
    caption = "Users"
    filter_class = UserFilter
    saves_filters = True

    when_empty = "There are no users yet."

    class Meta:
        model = ConferencingUser
        fields: tuple[str, ...] = ()
        empty_text = "No user matches. Search for a part of the name or clear the filter."

    def prepare(self, rows: Sequence[Any]) -> None:
        if self.shows("conference_id"):
            own = own_conference_ids(rows)
            for user in rows:
                user.own_id = own.get(user.pk)


class BridgeUserTable(UserTable):
    """The users on one bridge."""

    list_name = "bridge-users"
    address = ""
    caption = "Users on this bridge"
    saves_filters = False
    file_name = "users-of-a-bridge"

    class Meta(UserTable.Meta):
        exclude = ("tick", "bridge")
        empty_text = "Nobody is on this bridge."


class UserImportTable(ListTable):
    """Files of users that came in through the browser."""

    file_name_of_import = Cell(
        template_name="user_imports/cells/name.html",
        verbose_name="File",
        accessor="file_name",
        files={"File": reads("file_name")},
    )
    state = Cell("{% load runs %}{% badge value %}", files={"State": reads("state")})
    requested_by = _by("Uploaded by")
    created = _at("Uploaded", {"CreateDate": reads("created")})
    finished_at = _at("Ended", {"FinishDate": reads("finished_at")})
    problem = _extra("Why it was refused", "problem", "Message")

    list_name = "imports"
    address = "user-imports"
    caption = "Imports"

    class Meta:
        model = UserImport
        fields: tuple[str, ...] = ()
        empty_text = "No file was uploaded yet."


class BulkActionTable(ListTable):
    """What was done for many users at once."""

    kind = Cell(
        template_name="bulk_actions/cells/name.html",
        verbose_name="What",
        files={
            "Action": lambda action: KINDS[action.kind].label,
            "Users": reads("user_count"),
            "ChosenBy": reads("chosen_by"),
        },
    )
    state = Cell(
        "{% load runs %}{% if record.plan and record.state == 'Waiting' %}{% badge 'Planned' %}"
        "<span class='meta'>{{ record.plan|begins }}</span>{% else %}{% badge value %}{% endif %}",
        files={"State": reads("state")},
    )
    done_count = _number("Done", {"Done": reads("done_count")}, unit="done")
    refused_count = _number("Not done", {"NotDone": reads("refused_count")}, unit="not done")
    requested_by = _by("By")
    created = _at("Begun", {"CreateDate": reads("created")})
    finished_at = _at("Ended", {"FinishDate": reads("finished_at")})
    channel = _extra("Through what", "channel", "Channel")
    missed = _number("Fewer than shown", {"Missed": reads("missed")}, unit="fewer than shown", is_extra=True)

    list_name = "bulk-actions"
    address = "bulk-actions"
    caption = "What was done for many users"
    file_name = "done-for-many-users"

    class Meta:
        model = BulkAction
        fields: tuple[str, ...] = ()
        empty_text = "Nothing was done for many users yet. Tick users on the list of users to begin."


def _planned(plan: Plan) -> str:
    """What begins at the time that was planned. Both kinds of jobs should be loaded already."""
    for release in plan.number_releases.all():
        return f"Take {release.e164} off its bridge"
    return ", ".join(
        f"{KINDS[job.kind].label} for {counted(job.user_count, 'user')}" for job in plan.bulk_actions.all()
    )


class PlanTable(ListTable):
    """What begins, or has begun, at a time that was planned."""

    what = Cell(template_name="planned/cells/name.html", verbose_name="What", orderable=False, files={"Job": _planned})
    state = Cell("{% load runs %}{% badge value %}", files={"State": reads("state")})
    opens_at = Cell(
        template_name="planned/cells/begins.html", verbose_name="Begins", files={"NotBefore": reads("not_before")}
    )
    requested_by = _by("By")
    created = _at("Planned", {"CreateDate": reads("created")})
    finished_at = _at("Ended", {"FinishDate": reads("finished_at")})

    list_name = "plans"
    address = "plans"
    caption = "Planned"

    class Meta:
        model = Plan
        fields: tuple[str, ...] = ()
        empty_text = "Nothing is planned. Give an earliest start where you start runs, move users or replace a number."


class BulkActionUserTable(ListTable):
    """What became of an action for each of its users."""

    upn = Cell(
        template_name="bulk_actions/cells/user.html",
        verbose_name="User",
        files={"UserPrincipalName": lambda row: row.user.upn if row.user else row.upn},
    )
    state = Cell(
        template_name="bulk_actions/cells/state.html",
        verbose_name="Result",
        files={"State": lambda row: BADGES[row.state].label},
    )
    sentence = Cell("{{ value }}", verbose_name="What happened", files={"Message": reads("sentence")})
    run = Cell(
        template_name="bulk_actions/cells/run.html",
        verbose_name="Run",
        accessor="pk",
        orderable=False,
        files={"RunState": reads("run_state"), "CorrelationId": reads("run_id")},
    )
    display_name = _extra("Name", "user__display_name", "DisplayName")

    list_name = "bulk-action-users"
    caption = "Results"
    usual_rows = 50
    filter_class = BulkActionUserFilter
    saves_filters = True

    class Meta:
        model = BulkActionUser
        fields: tuple[str, ...] = ()
        empty_text = "No user has this result."

    def __init__(self, data: object, *, kind: Kind, is_open: bool) -> None:
        self.kind, self.is_open = kind, is_open
        super().__init__(data)


class NoticeTable(ListTable):
    """Whom a round of notices is about, and what became of each."""

    upn = Cell(
        template_name="bulk_actions/cells/user.html",
        verbose_name="Organizer",
        accessor="user__upn",
        files=_PERSON,
    )
    state = Cell(
        template_name="notices/cells/state.html",
        verbose_name="Notice",
        files={"Notice": reads("kind"), "State": reads("state")},
    )
    meetings = _number("Meetings", {"Meetings": reads("meetings")}, unit="meeting{{ value|pluralize }}")
    sent_at = _at("Sent", {"SentAt": reads("sent_at")})
    why = Text("Why not", reads("why"), orderable=False, files={"Message": reads("why")})
    language = _extra("Language", "language", "Language")
    begins_at = _extra("Runs begin", "begins_at", "NotBefore")

    list_name = "notices"
    caption = "Organizers"
    usual_rows = 50
    filter_class = NoticeFilter
    saves_filters = True

    class Meta:
        model = Notice
        fields: tuple[str, ...] = ()
        empty_text = "No notice has this result."


class DependantTable(UserTable):
    """Users who depend on a number; see ``tenants_app.dependants`` and ``screens.users.with_latest_run``."""

    how = Cell(
        "{{ value }}",
        accessor="pk",
        verbose_name="Depends on it by",
        orderable=False,
        files={"DependsBy": reads("depends_by")},
    )

    list_name = "dependants"
    usual = ("upn", "how", "latest_state", "latest_modified")
    address = ""
    caption = "Users who depend on the number"
    saves_filters = False
    file_name = "users-of-a-number"

    class Meta(UserTable.Meta):
        exclude = ("tick",)
        empty_text = "Nobody has this number, and no invitation shows it."

    def __init__(self, data: object, number: ServiceNumber) -> None:
        self.number = number
        super().__init__(data)

    def prepare(self, rows: Sequence[Any]) -> None:
        super().prepare(rows)
        for user in rows:
            user.depends_by = self._how(user)

    def render_how(self, record: Any) -> str:
        return str(record.depends_by)

    def _how(self, record: ConferencingUser) -> str:
        number = self.number
        if number.pk in {record.toll_number_id, record.toll_free_number_id}:
            return "Their own number"
        if number.is_default and record.toll_number_id is None and record.bridge_id == number.bridge_id:
            return "The bridge's default"
        return "Invitations that show it"


class ReleaseTable(ListTable):
    """Numbers that are or were taken off their bridges."""

    e164 = Cell(
        template_name="releases/cells/number.html",
        verbose_name="Number",
        files={"Number": reads("e164"), "Replacement": reads("replacement_e164")},
    )
    state = Cell("{% load runs %}{% badge value %}", files={"State": reads("state")})
    bridge = Cell("{{ value }}", order_by="bridge__name", files={"Bridge": reads("bridge__name")})
    requested_by = _by("Asked for by")
    created = _at("Asked for", {"CreateDate": reads("created")})
    finished_at = _at("Ended", {"FinishDate": reads("finished_at")})
    began_at = _extra("Begun", "began_at", "BeginDate")
    reason = _extra("Released anyway, because", "reason", "Reason")

    list_name = "releases"
    address = "releases"
    caption = "Numbers taken off their bridges"
    file_name = "numbers-taken-off"

    class Meta:
        model = NumberRelease
        fields: tuple[str, ...] = ()
        empty_text = "No number was taken off a bridge yet. It is begun on the page of a number."


class PreviewTable(ListTable):
    """Previews of the last day."""

    title = Cell(
        '<a href="{% url "preview" record.tenant.slug record.pk %}">{{ value }}</a>',
        verbose_name="Preview",
        files={"Preview": reads("title")},
    )
    state = Cell("{% load runs %}{% badge value %}", files={"State": reads("state")})
    total_users = _number("Users", {"Users": reads("total_users")}, unit="user{{ value|pluralize }}")
    requested_by = _by("Asked for by")
    created = _at("Asked for", {"CreateDate": reads("created")})
    finished_at = _at("Ended", {"FinishDate": reads("finished_at")}, is_extra=True)
    problem = _extra("Why it was refused", "problem", "Message")

    list_name = "previews"
    address = "previews"
    caption = "Previews"

    class Meta:
        model = Preview
        fields: tuple[str, ...] = ()
        empty_text = "No preview was asked for in the last day."


def _side(row: PreviewedMeeting, side: int) -> str:
    return "; ".join(f"{fact[0]}: {fact[side]}" for fact in row.facts if fact[side])


class PreviewedMeetingTable(ListTable):
    """What would become of each meeting of a preview."""

    subject = Cell(
        template_name="previews/cells/subject.html",
        verbose_name="Meeting",
        files={"UserPrincipalName": reads("upn"), "Subject": reads("subject"), "StartDate": reads("starts_at")},
    )
    outcome = Cell(
        template_name="previews/cells/outcome.html",
        verbose_name="A run",
        files={
            "Outcome": reads("outcome"),
            "Reason": reads("code"),
            "Message": reads("reason"),
            "LosesDialIn": reads("loses_dial_in"),
        },
    )
    facts = Cell(
        template_name="previews/cells/facts.html",
        verbose_name="Before and after",
        orderable=False,
        files={"Before": lambda row: _side(row, 1), "After": lambda row: _side(row, 2)},
    )
    recipients = Cell(
        template_name="previews/cells/recipients.html",
        verbose_name="Mailed",
        orderable=False,
        files={"Recipients": reads("recipients")},
    )
    uid = _extra("UID", "uid", "MeetingUid")
    starts_at = _extra("Starts", "starts_at", "StartDate")
    movement = _extra("Meeting service", "movement", "Movement")
    join_url_before = _extra("Join link before", "join_url_before", "JoinUrlBefore")
    join_url_after = _extra("Join link after", "join_url_after", "JoinUrlAfter")

    list_name = "previewed-meetings"
    caption = "Meetings"
    usual_rows = 50
    filter_class = PreviewFilter
    saves_filters = True
    file_name = "preview"

    when_empty = "No meeting was looked at yet."

    class Meta:
        model = PreviewedMeeting
        fields: tuple[str, ...] = ()
        empty_text = "No meeting."
