"""Tables about runs: the history, what failed, and the meetings of one."""

from __future__ import annotations

from django.utils.translation import gettext_noop, pgettext_lazy

from migrations_app.models import (
    MeetingResult,
    Run,
)
from migrations_app.runs.history import MEETING_FIELDS, RUN_FIELDS
from migrations_app.screens.filters import (
    FailureFilter,
    ResultFilter,
    RunFilter,
)
from migrations_app.screens.tables.columns import (
    PERSON,
    extra_column,
    number_column,
    some_of,
    tick_column,
)
from tenants_app.screens.cells import Cell, Text, reads
from tenants_app.screens.lists import ListTable


def _seconds(run: Run) -> int | None:
    if run.started_at is None or run.finished_at is None:
        return None
    return max(round((run.finished_at - run.started_at).total_seconds()), 0)


class RunTable(ListTable):
    """The history of a tenant's runs."""

    tick = tick_column()
    user = Cell(
        template_name="runs/cells/user.html",
        order_by="user__upn",
        files={**PERSON, **some_of(RUN_FIELDS, "LastErrorMessage")},
        verbose_name=gettext_noop("User"),
    )
    state = Cell(
        "{% load runs %}{% run_badge record.state record.still_open %}",
        attrs={"td": {"class": "narrow"}},
        files=some_of(RUN_FIELDS, "State"),
        verbose_name=gettext_noop("State"),
    )
    why = Cell(
        template_name="runs/cells/why.html",
        verbose_name=gettext_noop("Why"),
        order_by="migration_type",
        files=some_of(RUN_FIELDS, "MigrationType", "Reasons"),
    )
    created = Cell(
        template_name="runs/cells/times.html",
        files=some_of(RUN_FIELDS, "CreateDate"),
        verbose_name=gettext_noop("Created"),
    )
    succeeded_meetings = number_column(gettext_noop("Updated"), some_of(RUN_FIELDS, "SucceededMeeting"), unit="updated")
    skipped_meetings = number_column(
        pgettext_lazy("of many", "Skipped"), some_of(RUN_FIELDS, "SkippedMeeting"), unit="skipped"
    )
    failed_meetings = number_column(
        pgettext_lazy("of many", "Failed"), some_of(RUN_FIELDS, "FailedMeeting"), unit="failed"
    )
    invites_update = number_column(gettext_noop("Messages"), some_of(RUN_FIELDS, "InvitesUpdate"), unit="message")
    total_meetings = number_column(
        gettext_noop("Meetings"), some_of(RUN_FIELDS, "TotalMeeting"), unit="meeting", is_extra=True
    )
    left_meetings = number_column(
        gettext_noop("Left for a person"), some_of(RUN_FIELDS, "LeftMeeting"), unit="left", is_extra=True
    )
    attempts = extra_column(gettext_noop("Retries"), "attempts", "RetryCount", reads("retry_count"))
    started_at = extra_column(gettext_noop("Started"), "started_at", "StartDate")
    finished_at = extra_column(gettext_noop("Finished"), "finished_at", "FinishDate")
    duration = Text(gettext_noop("Seconds"), _seconds, orderable=False, is_extra=True, files={"Duration": _seconds})
    modified = extra_column(gettext_noop("Changed"), "modified", "ModifiedDate")
    requested_by = extra_column(gettext_noop("Requested by"), "requested_by", "RequestedBy")
    last_error_code = extra_column(gettext_noop("Last error"), "last_error_code", "LastErrorCode")
    correlation_id = extra_column(
        gettext_noop("Correlation ID"), "correlation_id", "CorrelationId", RUN_FIELDS["CorrelationId"]
    )

    list_name = "runs"
    address = "history"
    caption = gettext_noop("Runs")
    grows_by = "created"
    filter_class = RunFilter
    saves_filters = True

    when_empty = gettext_noop("No run was requested yet.")

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No run matches. Widen the dates or clear the filter.")


class FailureTable(ListTable):
    """Latest runs of users that failed by one thing."""

    user = Cell(
        template_name="failures/cells/user.html",
        order_by="user__upn",
        files=PERSON,
        verbose_name=gettext_noop("User"),
    )
    last_error_detail = Cell(
        template_name="failures/cells/what.html",
        verbose_name=gettext_noop("What happened"),
        files={"Reason": reads("failed_by"), "Message": reads("last_error_message")},
    )
    failed_meetings = Cell(
        "{% load i18n humanize %}<span class='on-phones'>{% translate '"
        + gettext_noop("Failed meetings:")
        + "' %} </span>{{ value|intcomma }}",
        files=some_of(RUN_FIELDS, "FailedMeeting"),
        verbose_name=gettext_noop("Failed meetings"),
    )
    finished_at = Cell(
        "{% load i18n page_parts %}<span class='on-phones'>{% translate '"
        + gettext_noop("Failed")
        + "' %} </span>{{ value|ago }}",
        verbose_name=gettext_noop("Failed"),
        files=some_of(RUN_FIELDS, "FinishDate"),
    )
    correlation_id = extra_column(
        gettext_noop("Correlation ID"), "correlation_id", "CorrelationId", RUN_FIELDS["CorrelationId"]
    )
    accepted_at = Cell(
        template_name="failures/cells/accepted.html",
        verbose_name=gettext_noop("Accepted"),
        files={
            "AcceptedBy": reads("accepted_by"),
            "AcceptedDate": reads("accepted_at"),
            "Note": reads("accepted_note"),
        },
    )
    attempts = extra_column(gettext_noop("Retries"), "attempts", "RetryCount", reads("retry_count"))
    migration_type = extra_column(gettext_noop("Type"), "migration_type", "MigrationType")
    requested_by = extra_column(gettext_noop("Requested by"), "requested_by", "RequestedBy")

    list_name = "failures"
    caption = gettext_noop("Users whose latest run failed by this")
    filter_class = FailureFilter
    saves_filters = True

    when_empty = gettext_noop("Nobody's latest run has failed for this reason.")

    class Meta:
        model = Run
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No user matches. Search for a part of the name or clear the filter.")


class ResultTable(ListTable):
    """A run's meetings."""

    subject = Cell(
        template_name="runs/cells/subject.html",
        verbose_name=gettext_noop("Meeting"),
        files=some_of(MEETING_FIELDS, "Subject"),
    )
    outcome = Cell(
        template_name="runs/cells/result_outcome.html",
        files=some_of(MEETING_FIELDS, "Outcome", "Reason", "Message"),
        verbose_name=gettext_noop("Outcome"),
    )
    starts_at = Cell(
        "{% load page_parts %}{{ value|when }}",
        verbose_name=gettext_noop("Starts"),
        files=some_of(MEETING_FIELDS, "StartDate"),
    )
    attendee_count = number_column(gettext_noop("Attendees"), some_of(MEETING_FIELDS, "Attendees"), unit="attendee")
    update = Cell(
        template_name="runs/cells/result_message.html",
        verbose_name=gettext_noop("Message"),
        order_by="update__state",
        files={
            "UpdateState": reads("update__state"),
            "Recipients": reads("update__recipient_count"),
            "UpdateErrorCode": reads("update__error_code"),
        },
    )
    change = Cell(template_name="runs/cells/result_change.html", verbose_name=gettext_noop("Look at"), orderable=False)
    uid = extra_column("UID", "uid", "MeetingUid")
    meeting_service = extra_column(gettext_noop("Meeting service"), "meeting_service", "MeetingService")
    join_url_before = extra_column(gettext_noop("Join link before"), "join_url_before", "JoinUrlBefore")
    join_url_after = extra_column(gettext_noop("Join link after"), "join_url_after", "JoinUrlAfter")
    sequence = extra_column("SEQUENCE", "sequence", "Sequence")

    list_name = "results"
    caption = gettext_noop("Meetings of this run")
    usual_rows = 50
    filter_class = ResultFilter
    saves_filters = True
    file_name = "meetings-of-a-run"

    when_empty = gettext_noop("This run has looked at no meeting.")

    class Meta:
        model = MeetingResult
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No meeting matches.")
