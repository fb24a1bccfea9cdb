"""Tables about the members of waves, and what their moves would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db.models import Exists, OuterRef, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from migrations_app.badges import MEMBERS
from migrations_app.failures import describe
from migrations_app.finding.users import NAMES
from migrations_app.models import Preview, PreviewedMeeting, PreviewedUser, Run, Wave, WaveMember
from migrations_app.rollouts import readiness
from migrations_app.screens.tables.columns import IN_LINE, NUMBER, PERSON, extra_column, number_column, time_column
from tenants_app.folding import any_contains
from tenants_app.screens.cells import Cell, Text, reads
from tenants_app.screens.filters import StyledForm, search_box
from tenants_app.screens.lists import ListTable


class MemberFilter(django_filters.FilterSet):
    """Members of a wave by name, state, and how they came into it."""

    caption = _("Filter the members")

    q = django_filters.CharFilter(
        label=_("User"),
        method="by_name",
        max_length=320,
        widget=search_box(_("Name, user principal name or SIP address")),
    )
    state = django_filters.ChoiceFilter(
        label=_("State"),
        choices=[(state, MEMBERS[state].said) for state in WaveMember.State.values],
        empty_label=_("Any state"),
    )
    source = django_filters.ChoiceFilter(
        label=_("Came by"), choices=WaveMember.Source.choices, empty_label=_("Anything")
    )

    class Meta:
        model = WaveMember
        form = StyledForm
        fields: list[str] = []

    def by_name(self, rows: QuerySet[WaveMember], name: str, value: str) -> QuerySet[WaveMember]:
        return rows.filter(any_contains(value, *(f"user__{field}" for field in NAMES)))


class MemberTable(ListTable):
    """The members of a wave, and what became of each."""

    choose = Cell(
        template_name="rollouts/cells/choose.html",
        verbose_name=gettext_noop("Select"),
        accessor="pk",
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )
    upn = Cell(
        template_name="rollouts/cells/user.html",
        verbose_name=gettext_noop("User"),
        accessor="user__upn",
        files=PERSON,
    )
    state = Cell(
        template_name="rollouts/cells/state.html",
        verbose_name=gettext_noop("State"),
        files={"State": reads("state"), "Message": lambda row: row.failure or row.decision},
    )
    batch = Text(gettext_noop("Batch"), reads("batch"), order_by="batch", files={"Batch": reads("batch")})
    source = Text(
        gettext_noop("Came by"),
        lambda row: row.get_source_display(),
        order_by="source",
        files={"Source": reads("source")},
    )
    client_version = Text(
        gettext_noop("Client"),
        reads("client_version"),
        order_by="client_version",
        files={"ClientVersion": reads("client_version")},
    )
    reason = Text(gettext_noop("Reason"), reads("reason"), order_by="reason", files={"Reason": reads("reason")})
    moved_at = time_column(gettext_noop("Moved"), {"MoveDate": reads("moved_at")})
    run = Cell(
        template_name="rollouts/cells/run.html",
        verbose_name=gettext_noop("Run"),
        accessor="pk",
        orderable=False,
        attrs=IN_LINE,
        files={"RunState": reads("run__state"), "CorrelationId": reads("run__correlation_id")},
    )
    decision = extra_column(gettext_noop("Decision"), "decision", "Decision")
    attempts = extra_column(gettext_noop("Attempts"), "attempts", "Attempts")
    finished_at = extra_column(gettext_noop("Ended"), "finished_at", "FinishDate")
    added_at = extra_column(gettext_noop("Added"), "added_at", "AddDate")
    added_by = extra_column(gettext_noop("Added by"), "added_by", "AddedBy")

    list_name = "wave-members"
    caption = gettext_noop("Members")
    usual_rows = 50
    filter_class = MemberFilter
    saves_filters = True
    file_name = "wave-members"

    class Meta:
        model = WaveMember
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No member matches. Clear the filter to see all.")

    when_empty = gettext_noop("Nobody is listed yet.")

    def __init__(self, data: object, *, wave: Wave, may_change: bool) -> None:
        self.wave = wave
        hidden = () if may_change and not wave.has_started else ("choose",)
        super().__init__(data, exclude=hidden)
        self.may_exclude = may_change and wave.has_started


class ReadinessFilter(django_filters.FilterSet):
    """Members of a look by what would happen to them."""

    caption = _("Filter the members")

    q = django_filters.CharFilter(
        label=_("User"), method="by_name", max_length=320, widget=search_box(_("Name or user principal name"))
    )
    show = django_filters.ChoiceFilter(
        label=_("Members"),
        empty_label=_("All members"),
        choices=[
            ("run", _("Get a run")),
            ("no-run", _("Get no run")),
            ("refused", _("Cannot be served")),
            ("unreachable", _("Mailbox not reachable")),
            ("busy", _("Run in progress")),
            ("over-limit", _("Meetings over the limit")),
            ("review", _("Meetings in need of review")),
            ("client-unknown", _("Client unknown")),
            ("client-below", _("Client too old")),
        ],
        method="by_kind",
    )

    class Meta:
        model = PreviewedUser
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, rows: QuerySet[PreviewedUser], wave: Wave, preview: Preview) -> None:
        super().__init__(data, rows)
        self.wave, self.preview = wave, preview

    def by_name(self, rows: QuerySet[PreviewedUser], name: str, value: str) -> QuerySet[PreviewedUser]:
        return rows.filter(any_contains(value, "user__upn", "user__display_name"))

    def by_kind(self, rows: QuerySet[PreviewedUser], name: str, value: str) -> QuerySet[PreviewedUser]:
        if value in {"run", "no-run"}:
            return rows.filter(starts_run=value == "run")
        if value == "refused":
            return rows.filter(starts_run=False, sentence__in=readiness.refusals(self.preview))
        if value == "unreachable":
            return rows.filter(starts_run=True, failure_code__in=readiness.unreachable_codes(self.preview))
        if value == "busy":
            busy = Run.objects.filter(
                user=OuterRef("user"), is_latest=True, state__in=(Run.State.PENDING, Run.State.IN_PROGRESS)
            )
            return rows.filter(Exists(busy))
        if value in {"over-limit", "review"}:
            codes = [readiness.OVER_LIMIT] if value == "over-limit" else list(readiness.IN_NEED_OF_REVIEW)
            meetings = PreviewedMeeting.objects.filter(preview=self.preview, code__in=codes)
            return rows.filter(user__upn__in=meetings.values("upn"))
        member = WaveMember.objects.filter(wave=self.wave, user=OuterRef("user"))
        if value == "client-below":
            return rows.filter(Exists(member.filter(client_version__in=readiness.versions_below(self.wave))))
        return rows.filter(~Exists(member.filter(client_version__in=readiness.versions_known(self.wave))))


class ReadinessTable(ListTable):
    """Each member of a wave, and what their move would do (R68)."""

    upn = Cell(
        template_name="rollouts/cells/user.html",
        verbose_name=gettext_noop("User"),
        accessor="user__upn",
        files=PERSON,
    )
    sentence = Cell(
        template_name="rollouts/cells/foreseen.html",
        verbose_name=gettext_noop("What would happen"),
        files={
            "StartsRun": reads("starts_run"),
            "Sentence": reads("sentence"),
            "ErrorCode": reads("failure_code"),
            "ErrorMessage": lambda row: describe(row.failure_code, row.failure_detail) if row.failure_code else "",
        },
    )
    updated = number_column(
        gettext_noop("Meetings updated"),
        {"MeetingsUpdated": reads("counted__updated")},
        unit="updated",
        accessor="counted__updated",
        orderable=False,
    )
    over_limit = Text(
        gettext_noop("Over the limit"),
        reads("counted__over_limit"),
        orderable=False,
        files={"OverLimit": reads("counted__over_limit")},
        attrs=NUMBER,
    )
    needs_review = Text(
        gettext_noop("Need review"),
        reads("counted__needs_review"),
        orderable=False,
        files={"NeedReview": reads("counted__needs_review")},
        attrs=NUMBER,
    )
    latest_state = Cell(
        "{% load runs %}{% badge value %}",
        verbose_name=gettext_noop("Latest run"),
        files={"LatestRun": reads("latest_state")},
    )
    client = Cell(
        template_name="rollouts/cells/client.html",
        verbose_name=gettext_noop("Client"),
        files={"ClientVersion": reads("client"), "ClientBelowMinimum": reads("is_below")},
    )

    list_name = "wave-readiness"
    caption = gettext_noop("Member by member")
    usual_rows = 50
    filter_class = ReadinessFilter
    saves_filters = True
    file_name = "wave-readiness"

    class Meta:
        model = PreviewedUser
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No member matches. Clear the filter to see all.")

    def __init__(self, data: object, *, wave: Wave, preview: Preview) -> None:
        self.preview, self.minimum = preview, readiness.minimum_of(wave)
        super().__init__(data)

    def prepare(self, rows: Sequence[Any]) -> None:
        counted = readiness.meetings_of(self.preview, [row.user for row in rows])
        nothing = {"meetings": 0, "updated": 0, "over_limit": 0, "needs_review": 0}
        for row in rows:
            row.counted = counted.get(row.user.upn, nothing)
            row.is_below = readiness.is_below(row.client or "", self.minimum)
