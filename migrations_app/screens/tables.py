"""Tables about runs, their meetings, users and what is done for many of them, imports, and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import django_tables2 as tables
from django.db.models import F, QuerySet

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
from migrations_app.procedures.bulk_kinds import Kind
from tenants_app.models import ConferencingUser, ServiceNumber

_NUMBER = {"th": {"class": "number"}, "td": {"class": "number in-line"}}
_IN_LINE = {"td": {"class": "in-line"}}
"""What stands in one line with its neighbours where rows are cards, on a phone."""


def _number(label: str, unit: str = "") -> tables.Column:
    """A number; where rows are cards, on a phone, its ``unit`` says what it counts."""
    return tables.TemplateColumn(
        "{% load humanize %}{{ value|intcomma }}" + (f" <span class='on-phones'>{unit}</span>" if unit else ""),
        verbose_name=label,
        attrs=_NUMBER,
    )


def _tick() -> tables.Column:
    """A box for each row, which belongs to the form below the table (``tables/selection.html``)."""
    return tables.TemplateColumn(
        template_name="tables/tick.html",
        verbose_name="Select",
        orderable=False,
        empty_values=(),
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )


def _at(label: str) -> tables.Column:
    """A time; where rows are cards, on a phone, its label stands before it, and nothing where there is none yet."""
    return tables.TemplateColumn(
        "{% load page_parts %}{% if value %}<span class='on-phones'>" + label + "</span> {{ value|when }}"
        "{% else %}<span class='text-secondary d-none d-sm-inline'>–</span>{% endif %}",
        verbose_name=label,
        empty_values=(),
    )


def _by(label: str) -> tables.Column:
    """Whose doing it was; where rows are cards, on a phone, its label stands before it."""
    return tables.TemplateColumn(f"<span class='on-phones'>{label}</span> {{{{ value }}}}", verbose_name=label)


def _changed() -> tables.Column:
    """When the latest run of a user changed."""
    return tables.TemplateColumn(
        "{% load page_parts %}{% if value %}<span class='on-phones'>changed</span> {{ value|ago }}"
        "{% else %}<span class='text-secondary d-none d-sm-inline'>–</span>{% endif %}",
        verbose_name="Changed",
        empty_values=(),
        attrs=_IN_LINE,
    )


class RunTable(tables.Table):
    """The history of a tenant's runs."""

    tick = _tick()
    user = tables.TemplateColumn(template_name="runs/cells/user.html", order_by="user__upn")
    state = tables.TemplateColumn(
        "{% load runs %}{% run_badge value record.still_open %}", attrs={"td": {"class": "narrow"}}
    )
    why = tables.TemplateColumn(
        template_name="runs/cells/why.html", verbose_name="Why", order_by="migration_type", empty_values=()
    )
    created = tables.TemplateColumn(template_name="runs/cells/times.html")
    succeeded_meetings = _number("Updated", unit="updated")
    skipped_meetings = _number("Skipped", unit="skipped")
    failed_meetings = _number("Failed", unit="failed")
    invites_update = _number("Messages", unit="message{{ value|pluralize }}")

    caption = "Runs"

    when_empty = "No run was requested yet."

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = "No run matches. Widen the dates or clear the filter."


class LeftTable(tables.Table):
    """Meetings that need a person."""

    chosen = tables.TemplateColumn(
        template_name="left/cells/chosen.html",
        verbose_name="Choose",
        orderable=False,
        empty_values=(),
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )
    subject = tables.TemplateColumn(template_name="left/cells/meeting.html", verbose_name="Meeting", empty_values=())
    user = tables.TemplateColumn(
        template_name="left/cells/organizer.html", verbose_name="Organizer", order_by="user__upn"
    )
    code = tables.TemplateColumn(template_name="left/cells/reason.html", verbose_name="Why, and what to do")
    starts_at = tables.TemplateColumn(
        "{% load page_parts %}<span class='on-phones'>Starts</span> "
        "{% if value %}{{ value|when }}{% else %}Not known{% endif %}",
        verbose_name="Starts",
        empty_values=(),
    )
    attendee_count = _number("Attendees", unit="attendee{{ value|pluralize }}")
    state = tables.TemplateColumn(template_name="left/cells/state.html", attrs={"td": {"class": "slim"}})

    caption = "Meetings that need a person"

    def order_starts_at(self, rows: QuerySet[LeftMeeting], is_descending: bool) -> tuple[QuerySet[LeftMeeting], bool]:
        """What cannot be read has no start and comes first, in any database."""
        start = F("starts_at")
        by_start = start.desc(nulls_last=True) if is_descending else start.asc(nulls_first=True)
        return rows.order_by(by_start, "pk"), True

    when_empty = "No meeting needs a person."

    class Meta:
        model = LeftMeeting
        fields: tuple[str, ...] = ()
        order_by = ("starts_at",)
        empty_text = "No meeting matches. Widen the dates or clear the filter."


class FailureTable(tables.Table):
    """Latest runs of users that failed by one thing."""

    user = tables.TemplateColumn(template_name="failures/cells/user.html", order_by="user__upn")
    last_error_detail = tables.TemplateColumn(
        template_name="failures/cells/what.html", verbose_name="What happened", empty_values=()
    )
    failed_meetings = tables.TemplateColumn(
        "{% load humanize %}<span class='on-phones'>Failed meetings: </span>{{ value|intcomma }}"
    )
    finished_at = tables.TemplateColumn(
        "{% load page_parts %}<span class='on-phones'>Failed </span>{{ value|ago }}",
        verbose_name="Failed",
        empty_values=(),
    )
    accepted_at = tables.TemplateColumn(
        template_name="failures/cells/accepted.html", verbose_name="Accepted", empty_values=()
    )

    caption = "Users whose latest run failed by this"

    when_empty = "Nobody's latest run has failed for this reason."

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = "No user matches. Search for a part of the name or clear the filter."


class ResultTable(tables.Table):
    """A run's meetings."""

    subject = tables.TemplateColumn(template_name="runs/cells/subject.html", verbose_name="Meeting")
    outcome = tables.TemplateColumn(template_name="runs/cells/result_outcome.html")
    starts_at = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="Starts")
    attendee_count = _number("Attendees", unit="attendee{{ value|pluralize }}")
    update = tables.TemplateColumn(
        template_name="runs/cells/result_message.html",
        verbose_name="Message",
        order_by="update__state",
        empty_values=(),
    )
    change = tables.TemplateColumn(
        template_name="runs/cells/result_change.html", verbose_name="Look at", orderable=False, empty_values=()
    )

    caption = "Meetings of this run"

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
    def attendee_count(self) -> int:
        return self.meeting.attendee_count


class MeetingTable(tables.Table):
    """A user's future meetings, each an :class:`UpcomingMeeting`."""

    subject = tables.TemplateColumn(template_name="runs/cells/subject.html", verbose_name="Meeting")
    foreseen = tables.TemplateColumn(
        template_name="meetings/cells/foreseen.html", verbose_name="A run now", empty_values=()
    )
    starts_at = tables.TemplateColumn(template_name="meetings/cells/times.html", verbose_name="Starts", empty_values=())
    attendee_count = _number("Attendees", unit="attendee{{ value|pluralize }}")
    mailed = tables.TemplateColumn(
        template_name="meetings/cells/mailed.html", verbose_name="Would be mailed", empty_values=(), attrs=_NUMBER
    )
    why = tables.TemplateColumn(template_name="meetings/cells/explain.html", verbose_name="Look at", empty_values=())

    caption = "Future meetings"
    now: datetime
    asked = ""
    """The query that the addresses of explanations end with, such as the types that a run would be started with."""

    class Meta:
        orderable = False
        empty_text = "The mailbox has no future meetings."


class FoundMeetingTable(tables.Table):
    """Meetings that a search has found, each a ``stories.search.FoundMeeting``."""

    subject = tables.TemplateColumn(template_name="stories/cells/meeting.html", verbose_name="Meeting", empty_values=())
    user = tables.TemplateColumn(template_name="stories/cells/user.html", verbose_name="Organizer")
    starts_at = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="Starts", empty_values=())
    attendee_count = tables.TemplateColumn(
        "{% load humanize %}<span class='on-phones'>Attendees: </span>{{ value|intcomma }}", verbose_name="Attendees"
    )
    latest = tables.TemplateColumn(
        template_name="stories/cells/latest.html", verbose_name="The latest run", empty_values=()
    )

    caption = "Meetings found"

    class Meta:
        orderable = False
        empty_text = "No meeting matches. Leave a criterion out, or write less of it."


class UserTable(tables.Table):
    """The tenant's users with the state of their latest run; see ``screens.users.with_latest_run``."""

    tick = _tick()
    upn = tables.TemplateColumn(template_name="users/cells/name.html", verbose_name="User")
    latest_state = tables.TemplateColumn(
        template_name="users/cells/state.html", verbose_name="Latest run", empty_values=()
    )
    bridge = tables.TemplateColumn(
        "{% if value %}{{ value }}{% else %}<span class='text-secondary'>None</span>{% endif %}",
        order_by="bridge__name",
        empty_values=(),
        attrs=_IN_LINE,
    )
    audio = tables.TemplateColumn(
        template_name="users/cells/audio.html",
        verbose_name="Audio conferencing",
        order_by=("-audio_conferencing_license", "-audio_conferencing_enabled"),
        empty_values=(),
        attrs=_IN_LINE,
    )
    hosting = tables.Column(attrs=_IN_LINE)
    latest_modified = _changed()

    caption = "Users"

    when_empty = "There are no users yet."

    class Meta:
        model = ConferencingUser
        fields: tuple[str, ...] = ()
        empty_text = "No user matches. Search for a part of the name or clear the filter."


class UserImportTable(tables.Table):
    """Files of users that came in through the browser."""

    file_name = tables.TemplateColumn(template_name="user_imports/cells/name.html", verbose_name="File")
    state = tables.TemplateColumn("{% load runs %}{% badge value %}")
    requested_by = _by("Uploaded by")
    created = _at("Uploaded")
    finished_at = _at("Ended")

    caption = "Imports"

    class Meta:
        model = UserImport
        fields: tuple[str, ...] = ()
        empty_text = "No file was uploaded yet."


class BulkActionTable(tables.Table):
    """What was done for many users at once."""

    kind = tables.TemplateColumn(template_name="bulk_actions/cells/name.html", verbose_name="What", orderable=False)
    state = tables.TemplateColumn(
        "{% load runs %}{% if record.plan and record.state == 'Waiting' %}{% badge 'Planned' %}"
        "<span class='meta'>{{ record.plan|begins }}</span>{% else %}{% badge value %}{% endif %}"
    )
    done_count = _number("Done", unit="done")
    refused_count = _number("Not done", unit="not done")
    requested_by = _by("By")
    created = _at("Begun")
    finished_at = _at("Ended")

    caption = "What was done for many users"

    class Meta:
        model = BulkAction
        fields: tuple[str, ...] = ()
        empty_text = "Nothing was done for many users yet. Tick users on the list of users to begin."


class PlanTable(tables.Table):
    """What begins, or has begun, at a time that was planned."""

    name = tables.TemplateColumn(
        template_name="planned/cells/name.html", verbose_name="What", orderable=False, empty_values=()
    )
    state = tables.TemplateColumn("{% load runs %}{% badge value %}")
    opens_at = tables.TemplateColumn(template_name="planned/cells/begins.html", verbose_name="Begins")
    requested_by = _by("By")
    created = _at("Planned")
    finished_at = _at("Ended")

    caption = "Planned"

    class Meta:
        model = Plan
        fields: tuple[str, ...] = ()
        empty_text = "Nothing is planned. Give an earliest start where you start runs, move users or replace a number."


class BulkActionUserTable(tables.Table):
    """What became of an action for each of its users."""

    upn = tables.TemplateColumn(template_name="bulk_actions/cells/user.html", verbose_name="User")
    state = tables.TemplateColumn(template_name="bulk_actions/cells/state.html", verbose_name="Result")
    sentence = tables.Column(verbose_name="What happened", empty_values=())
    run = tables.TemplateColumn(template_name="bulk_actions/cells/run.html", verbose_name="Run", empty_values=())

    caption = "Results"

    class Meta:
        model = BulkActionUser
        fields: tuple[str, ...] = ()
        orderable = False
        empty_text = "No user has this result."

    def __init__(self, data: object, *, kind: Kind, is_open: bool) -> None:
        self.kind, self.is_open = kind, is_open
        super().__init__(data)


class NoticeTable(tables.Table):
    """Whom a round of notices is about, and what became of each."""

    upn = tables.TemplateColumn(
        template_name="bulk_actions/cells/user.html", verbose_name="Organizer", accessor="user__upn"
    )
    state = tables.TemplateColumn(template_name="notices/cells/state.html", verbose_name="Notice")
    meetings = _number("Meetings", "meetings")
    sent_at = _at("Sent")
    why = tables.Column(verbose_name="Why not", empty_values=(), accessor="why")

    caption = "Organizers"

    class Meta:
        model = Notice
        fields: tuple[str, ...] = ()
        orderable = False
        empty_text = "No notice has this result."


class DependantTable(tables.Table):
    """Users who depend on a number; see ``tenants_app.dependants`` and ``screens.users.with_latest_run``."""

    upn = tables.TemplateColumn(template_name="users/cells/name.html", verbose_name="User")
    how = tables.Column(verbose_name="Depends on it by", orderable=False, empty_values=())
    latest_state = tables.TemplateColumn(
        "{% load runs %}{% run_badge value record.still_open %}", verbose_name="Latest run", empty_values=()
    )
    latest_modified = _changed()

    caption = "Users who depend on the number"

    class Meta:
        model = ConferencingUser
        fields: tuple[str, ...] = ()
        empty_text = "Nobody has this number, and no invitation shows it."

    def __init__(self, data: object, number: ServiceNumber) -> None:
        self.number = number
        super().__init__(data)

    def render_how(self, record: ConferencingUser) -> str:
        number = self.number
        if number.pk in {record.toll_number_id, record.toll_free_number_id}:
            return "Their own number"
        if number.is_default and record.toll_number_id is None and record.bridge_id == number.bridge_id:
            return "The bridge's default"
        return "Invitations that show it"


class ReleaseTable(tables.Table):
    """Numbers that are or were taken off their bridges."""

    e164 = tables.TemplateColumn(template_name="releases/cells/number.html", verbose_name="Number")
    state = tables.TemplateColumn("{% load runs %}{% badge value %}")
    bridge = tables.Column(order_by="bridge__name")
    requested_by = _by("Asked for by")
    created = _at("Asked for")
    finished_at = _at("Ended")

    caption = "Numbers taken off their bridges"

    class Meta:
        model = NumberRelease
        fields: tuple[str, ...] = ()
        empty_text = "No number was taken off a bridge yet. It is begun on the page of a number."


class PreviewTable(tables.Table):
    """Previews of the last day."""

    title = tables.TemplateColumn(
        '<a href="{% url "preview" record.tenant.slug record.pk %}">{{ value }}</a>', verbose_name="Preview"
    )
    state = tables.TemplateColumn("{% load runs %}{% badge value %}")
    total_users = _number("Users", unit="user{{ value|pluralize }}")
    requested_by = _by("Asked for by")
    created = _at("Asked for")

    caption = "Previews"

    class Meta:
        model = Preview
        fields: tuple[str, ...] = ()
        empty_text = "No preview was asked for in the last day."


class PreviewedMeetingTable(tables.Table):
    """What would become of each meeting of a preview."""

    subject = tables.TemplateColumn(template_name="previews/cells/subject.html", verbose_name="Meeting")
    outcome = tables.TemplateColumn(template_name="previews/cells/outcome.html", verbose_name="A run")
    facts = tables.TemplateColumn(
        template_name="previews/cells/facts.html", verbose_name="Before and after", orderable=False, empty_values=()
    )
    recipients = tables.TemplateColumn(
        template_name="previews/cells/recipients.html", verbose_name="Mailed", orderable=False, empty_values=()
    )

    caption = "Meetings"

    when_empty = "No meeting was looked at yet."

    class Meta:
        model = PreviewedMeeting
        fields: tuple[str, ...] = ()
        orderable = False
        empty_text = "No meeting."
