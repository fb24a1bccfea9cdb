"""Tables about previews."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from migrations_app.models import (
    Preview,
    PreviewedMeeting,
)
from migrations_app.screens.filters import (
    PreviewFilter,
)
from migrations_app.screens.tables.columns import (
    extra_column,
    number_column,
    person_column,
    time_column,
)
from tenants_app.screens.cells import Cell, reads
from tenants_app.screens.lists import ListTable


class PreviewTable(ListTable):
    """Previews of the last day."""

    title = Cell(
        '<a href="{% url "preview" record.tenant.slug record.pk %}">{{ value }}</a>',
        verbose_name=gettext_noop("Preview"),
        files={"Preview": reads("title")},
    )
    state = Cell(
        "{% load runs %}{% badge record.state %}",
        files={"State": reads("state")},
        verbose_name=gettext_noop("State"),
    )
    total_users = number_column(gettext_noop("Users"), {"Users": reads("total_users")}, unit="user")
    requested_by = person_column(gettext_noop("Asked for by"))
    created = time_column(gettext_noop("Asked for"), {"CreateDate": reads("created")})
    finished_at = time_column(gettext_noop("Ended"), {"FinishDate": reads("finished_at")}, is_extra=True)
    problem = extra_column(gettext_noop("Why it was refused"), "problem", "Message")

    list_name = "previews"
    address = "previews"
    caption = gettext_noop("Previews")

    class Meta:
        model = Preview
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No preview was asked for in the last day.")


def _side(row: PreviewedMeeting, side: int) -> str:
    return "; ".join(f"{fact[0]}: {fact[side]}" for fact in row.facts if fact[side])


class PreviewedMeetingTable(ListTable):
    """What would become of each meeting of a preview."""

    subject = Cell(
        template_name="previews/cells/subject.html",
        verbose_name=gettext_noop("Meeting"),
        files={"UserPrincipalName": reads("upn"), "Subject": reads("subject"), "StartDate": reads("starts_at")},
    )
    outcome = Cell(
        template_name="previews/cells/outcome.html",
        verbose_name=gettext_noop("A run"),
        files={
            "Outcome": reads("outcome"),
            "Reason": reads("code"),
            "Message": reads("reason"),
            "LosesDialIn": reads("loses_dial_in"),
        },
    )
    facts = Cell(
        template_name="previews/cells/facts.html",
        verbose_name=gettext_noop("Before and after"),
        orderable=False,
        files={"Before": lambda row: _side(row, 1), "After": lambda row: _side(row, 2)},
    )
    recipients = Cell(
        template_name="previews/cells/recipients.html",
        verbose_name=gettext_noop("Mailed"),
        orderable=False,
        files={"Recipients": reads("recipients")},
    )
    uid = extra_column("UID", "uid", "MeetingUid")
    starts_at = extra_column(gettext_noop("Starts"), "starts_at", "StartDate")
    movement = extra_column(gettext_noop("Meeting service"), "movement", "Movement")
    join_url_before = extra_column(gettext_noop("Join link before"), "join_url_before", "JoinUrlBefore")
    join_url_after = extra_column(gettext_noop("Join link after"), "join_url_after", "JoinUrlAfter")

    list_name = "previewed-meetings"
    caption = gettext_noop("Meetings")
    usual_rows = 50
    filter_class = PreviewFilter
    saves_filters = True
    file_name = "preview"

    when_empty = gettext_noop("No meeting was looked at yet.")

    class Meta:
        model = PreviewedMeeting
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No meeting.")
