"""Tables about what takes many runs: imports, actions for many users, numbers taken off, what is planned, notices."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from migrations_app.badges import BADGES
from migrations_app.models import (
    BulkAction,
    BulkActionUser,
    Notice,
    NumberRelease,
    Plan,
    UserImport,
)
from migrations_app.procedures.bulk_kinds import KINDS, Kind
from migrations_app.procedures.plans import job_in_words, job_of
from migrations_app.screens.filters import (
    BulkActionUserFilter,
    NoticeFilter,
)
from migrations_app.screens.tables.columns import (
    PERSON,
    extra_column,
    number_column,
    person_column,
    time_column,
)
from tenants_app.screens.cells import Cell, Text, reads
from tenants_app.screens.lists import ListTable


class UserImportTable(ListTable):
    """Users that came in through the browser, from files or a directory."""

    file_name_of_import = Cell(
        template_name="user_imports/cells/name.html",
        verbose_name=gettext_noop("From"),
        accessor="file_name",
        files={"File": reads("file_name")},
    )
    state = Cell(
        "{% load runs %}{% badge record.state %}",
        files={"State": reads("state")},
        verbose_name=gettext_noop("State"),
    )
    requested_by = person_column(gettext_noop("Asked for by"))
    created = time_column(gettext_noop("Asked for"), {"CreateDate": reads("created")})
    finished_at = time_column(gettext_noop("Ended"), {"FinishDate": reads("finished_at")})
    problem = extra_column(gettext_noop("Why it was refused"), "problem", "Message")

    list_name = "imports"
    address = "user-imports"
    caption = gettext_noop("Imports")

    class Meta:
        model = UserImport
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("Nothing was imported yet.")


class BulkActionTable(ListTable):
    """What was done for many users at once."""

    kind = Cell(
        template_name="bulk_actions/cells/name.html",
        verbose_name=gettext_noop("What"),
        files={
            "Action": lambda action: KINDS[action.kind].label,
            "Users": reads("user_count"),
            "ChosenBy": reads("chosen_by"),
        },
    )
    state = Cell(
        "{% load runs %}{% if record.plan and record.state == 'Waiting' %}{% badge 'Planned' %}"
        "<span class='meta'>{{ record.plan|begins }}</span>{% else %}{% badge record.state %}{% endif %}",
        files={"State": reads("state")},
        verbose_name=gettext_noop("State"),
    )
    done_count = number_column(gettext_noop("Done"), {"Done": reads("done_count")}, unit="done")
    refused_count = number_column(gettext_noop("Not done"), {"NotDone": reads("refused_count")}, unit="not done")
    requested_by = person_column(gettext_noop("By"))
    created = time_column(gettext_noop("Begun"), {"CreateDate": reads("created")})
    finished_at = time_column(gettext_noop("Ended"), {"FinishDate": reads("finished_at")})
    channel = extra_column(gettext_noop("Through what"), "channel", "Channel")
    missed = number_column(
        gettext_noop("Fewer than shown"), {"Missed": reads("missed")}, unit="fewer than shown", is_extra=True
    )

    list_name = "bulk-actions"
    address = "bulk-actions"
    caption = gettext_noop("What was done for many users")
    file_name = "done-for-many-users"

    class Meta:
        model = BulkAction
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("Nothing was done for many users yet. Tick users on the list of users to begin.")


class PlanTable(ListTable):
    """What begins, or has begun, at a time that was planned."""

    what = Cell(
        template_name="planned/cells/name.html",
        verbose_name=gettext_noop("What"),
        orderable=False,
        files={"What": lambda plan: job_in_words(job_of(plan))},
    )
    state = Cell(
        "{% load runs %}{% badge record.state %}",
        files={"State": reads("state")},
        verbose_name=gettext_noop("State"),
    )
    opens_at = Cell(
        template_name="planned/cells/begins.html",
        verbose_name=gettext_noop("Begins"),
        files={"NotBefore": reads("not_before"), "OpensDate": reads("opens_at")},
    )
    requested_by = person_column(gettext_noop("By"))
    created = time_column(gettext_noop("Planned"), {"CreateDate": reads("created")})
    finished_at = time_column(gettext_noop("Ended"), {"FinishDate": reads("finished_at")})

    list_name = "plans"
    address = "plans"
    caption = gettext_noop("Planned")

    class Meta:
        model = Plan
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop(
            "Nothing is planned. Give an earliest start where you start runs, move users or replace a number."
        )


class BulkActionUserTable(ListTable):
    """What became of an action for each of its users."""

    upn = Cell(
        template_name="bulk_actions/cells/user.html",
        verbose_name=gettext_noop("User"),
        files={"UserPrincipalName": lambda row: row.user.upn if row.user else row.upn},
    )
    state = Cell(
        template_name="bulk_actions/cells/state.html",
        verbose_name=gettext_noop("Result"),
        files={"State": lambda row: BADGES[row.state].english},
    )
    sentence = Cell("{{ value }}", verbose_name=gettext_noop("What happened"), files={"Message": reads("sentence")})
    run = Cell(
        template_name="bulk_actions/cells/run.html",
        verbose_name=gettext_noop("Run"),
        accessor="pk",
        orderable=False,
        files={"RunState": reads("run_state"), "CorrelationId": reads("run_id")},
    )
    display_name = extra_column(gettext_noop("Name"), "user__display_name", "DisplayName")

    list_name = "bulk-action-users"
    caption = gettext_noop("Results")
    usual_rows = 50
    filter_class = BulkActionUserFilter
    saves_filters = True

    class Meta:
        model = BulkActionUser
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No user has this result.")

    def __init__(self, data: object, *, kind: Kind, is_open: bool) -> None:
        self.kind, self.is_open = kind, is_open
        super().__init__(data)


class NoticeTable(ListTable):
    """Whom a round of notices is about, and what became of each."""

    upn = Cell(
        template_name="bulk_actions/cells/user.html",
        verbose_name=gettext_noop("Organizer"),
        accessor="user__upn",
        files=PERSON,
    )
    state = Cell(
        template_name="notices/cells/state.html",
        verbose_name=gettext_noop("Notice"),
        files={"Notice": reads("kind"), "State": reads("state")},
    )
    meetings = number_column(gettext_noop("Meetings"), {"Meetings": reads("meetings")}, unit="meeting")
    sent_at = time_column(gettext_noop("Sent"), {"SentDate": reads("sent_at")})
    why = Text(gettext_noop("Why not"), reads("why"), orderable=False, files={"Message": reads("why")})
    language = extra_column(gettext_noop("Language"), "language", "Language")
    begins_at = extra_column(gettext_noop("Runs begin"), "begins_at", "BeginDate")

    list_name = "notices"
    caption = gettext_noop("Organizers")
    usual_rows = 50
    filter_class = NoticeFilter
    saves_filters = True

    class Meta:
        model = Notice
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No notice has this result.")


class ReleaseTable(ListTable):
    """Numbers that are or were taken off their bridges."""

    e164 = Cell(
        template_name="releases/cells/number.html",
        verbose_name=gettext_noop("Number"),
        files={"Number": reads("e164"), "Replacement": reads("replacement_e164")},
    )
    state = Cell(
        "{% load runs %}{% badge record.state %}",
        files={"State": reads("state")},
        verbose_name=gettext_noop("State"),
    )
    bridge = Cell(
        "{{ value }}",
        order_by="bridge__name",
        files={"Bridge": reads("bridge__name")},
        verbose_name=gettext_noop("Bridge"),
    )
    requested_by = person_column(gettext_noop("Asked for by"))
    created = time_column(gettext_noop("Asked for"), {"CreateDate": reads("created")})
    finished_at = time_column(gettext_noop("Ended"), {"FinishDate": reads("finished_at")})
    began_at = extra_column(gettext_noop("Begun"), "began_at", "BeginDate")
    reason = extra_column(gettext_noop("Released anyway, because"), "reason", "Reason")

    list_name = "releases"
    address = "releases"
    caption = gettext_noop("Numbers taken off their bridges")
    file_name = "numbers-taken-off"

    class Meta:
        model = NumberRelease
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No number was taken off a bridge yet. It is begun on the page of a number.")
