"""Tables about meetings: those to come, those that were found, and those that need a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext_noop

from migrations_app.failures import Failure
from migrations_app.mailboxes.base import Listed
from migrations_app.models import (
    LeftMeeting,
    MeetingResult,
)
from migrations_app.runs.history import LEFT_FIELDS, LEFT_FIELDS_OF_FILES
from migrations_app.screens.filters import (
    LeftFilter,
)
from migrations_app.screens.tables.columns import (
    NUMBER,
    PERSON,
    UPN,
    extra_column,
    number_column,
    some_of,
)
from tenants_app.screens.cells import Cell, reads
from tenants_app.screens.lists import ListTable


class LeftTable(ListTable):
    """Meetings that need a person."""

    chosen = Cell(
        template_name="left/cells/chosen.html",
        verbose_name=gettext_noop("Choose"),
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )
    subject = Cell(
        template_name="left/cells/meeting.html",
        verbose_name=gettext_noop("Meeting"),
        files=some_of(LEFT_FIELDS, "Subject"),
    )
    user = Cell(
        template_name="left/cells/organizer.html",
        verbose_name=gettext_noop("Organizer"),
        order_by="user__upn",
        files={**UPN, **some_of(LEFT_FIELDS_OF_FILES, "Organizer")},
    )
    code = Cell(
        template_name="left/cells/reason.html",
        verbose_name=gettext_noop("Why, and what to do"),
        files=some_of(LEFT_FIELDS, "Reason", "Message"),
    )
    starts_at = Cell(
        "{% load i18n page_parts %}<span class='on-phones'>{% translate '"
        + gettext_noop("Starts")
        + "' %}</span> {% if value %}{{ value|when }}{% else %}{% translate '"
        + gettext_noop("Not known")
        + "' %}{% endif %}",
        verbose_name=gettext_noop("Starts"),
        files=some_of(LEFT_FIELDS, "StartDate"),
    )
    attendee_count = number_column(gettext_noop("Attendees"), some_of(LEFT_FIELDS, "Attendees"), unit="attendee")
    state = Cell(
        template_name="left/cells/state.html",
        attrs={"td": {"class": "slim"}},
        files=some_of(LEFT_FIELDS_OF_FILES, "State", "By", "At", "Note"),
        verbose_name=gettext_noop("State"),
    )
    uid = extra_column("UID", "uid", "MeetingUid")
    run = extra_column(
        gettext_noop("Correlation ID"), "run__correlation_id", "CorrelationId", LEFT_FIELDS["CorrelationId"]
    )
    created = extra_column(gettext_noop("In the list since"), "created", "CreateDate")

    list_name = "left"
    address = "left-meetings"
    caption = gettext_noop("Meetings that need a person")
    filter_class = LeftFilter
    saves_filters = True
    file_name = "meetings-that-need-a-person"

    when_empty = gettext_noop("No meeting needs a person.")

    class Meta:
        model = LeftMeeting
        fields: tuple[str, ...] = ()
        order_by = ("starts_at",)
        empty_text = gettext_noop("No meeting matches. Widen the dates or clear the filter.")


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

    subject = Cell(
        template_name="runs/cells/subject.html",
        verbose_name=gettext_noop("Meeting"),
        files={"Subject": reads("subject")},
    )
    foreseen = Cell(
        template_name="meetings/cells/foreseen.html",
        verbose_name=gettext_noop("A run now"),
        orderable=False,
        files={
            "Outcome": reads("foreseen__outcome"),
            "Reason": reads("foreseen__code"),
            "Message": reads("foreseen__reason"),
        },
    )
    starts_at = Cell(
        template_name="meetings/cells/times.html",
        verbose_name=gettext_noop("Starts"),
        files={"StartDate": reads("starts_at")},
    )
    attendee_count = number_column(gettext_noop("Attendees"), {"Attendees": reads("attendee_count")}, unit="attendee")
    mailed = Cell(
        template_name="meetings/cells/mailed.html",
        verbose_name=gettext_noop("Would be mailed"),
        orderable=False,
        attrs=NUMBER,
        files={"Recipients": reads("recipients")},
    )
    why = Cell(template_name="meetings/cells/explain.html", verbose_name=gettext_noop("Look at"), orderable=False)
    uid = extra_column("UID", "meeting__uid", "MeetingUid", reads("meeting__uid"))
    organizer = extra_column(gettext_noop("Organizer"), "meeting__organizer", "Organizer", reads("meeting__organizer"))

    list_name = "user-meetings"
    caption = gettext_noop("Future meetings")
    file_name = "future-meetings"
    now: datetime
    asked = ""
    """The query that the addresses of explanations end with, such as the types that a run would be started with."""
    foretell: Callable[[Sequence[UpcomingMeeting]], Failure | None]
    """Notes at meetings what a run would do with them, or says why it would fail."""
    failure: Failure | None = None

    class Meta:
        empty_text = gettext_noop("The mailbox has no future meetings.")

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
        verbose_name=gettext_noop("Meeting"),
        files={"Subject": reads("subject"), "IsInMailbox": reads("is_in_mailbox")},
    )
    user = Cell(
        template_name="stories/cells/user.html",
        verbose_name=gettext_noop("Organizer"),
        order_by="user__upn",
        files={**PERSON, "Organizer": reads("organizer")},
    )
    starts_at = Cell(
        "{% load page_parts %}{{ value|when }}",
        verbose_name=gettext_noop("Starts"),
        files={"StartDate": reads("starts_at")},
    )
    attendee_count = Cell(
        "{% load i18n humanize %}<span class='on-phones'>{% translate '"
        + gettext_noop("Attendees:")
        + "' %} </span>{{ value|intcomma }}",
        verbose_name=gettext_noop("Attendees"),
        files={"Attendees": reads("attendee_count")},
    )
    latest = Cell(
        template_name="stories/cells/latest.html",
        verbose_name=gettext_noop("The latest run"),
        orderable=False,
        files={
            "Outcome": reads("latest__outcome"),
            "Reason": reads("latest__code"),
            "Message": reads("latest__reason"),
        },
    )
    uid = extra_column("UID", "uid", "MeetingUid")

    list_name = "found-meetings"
    caption = gettext_noop("Meetings found")
    usual_rows = 100
    file_name = "meetings-found"

    class Meta:
        empty_text = gettext_noop("No meeting matches. Leave a criterion out, or write less of it.")
