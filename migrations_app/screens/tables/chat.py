"""Tables about rooms of persistent chat, and what plans found."""

from __future__ import annotations

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from migrations_app.badges import CHAT
from migrations_app.chat.names import FINDINGS
from migrations_app.models import ChatFinding, ChatPlan, ChatRoom
from migrations_app.screens.tables.columns import NUMBER, extra_column
from tenants_app.folding import any_contains
from tenants_app.screens.cells import Cell, Text, reads
from tenants_app.screens.filters import StyledForm, search_box
from tenants_app.screens.lists import ListTable


def _codes_of(plan: ChatPlan | None) -> list[tuple[str, str]]:
    """The kinds of findings that a plan has, by what people call them."""
    if plan is None:
        return []
    codes = ChatFinding.objects.filter(plan=plan).order_by().values_list("code", flat=True).distinct()
    return sorted(((code, gettext(FINDINGS.get(code, code))) for code in codes), key=lambda each: each[1])


class RoomFilter(django_filters.FilterSet):
    """Rooms of a plan by name, state, comparison and what was found of them."""

    caption = _("Filter the rooms")

    q = django_filters.CharFilter(
        label=_("Room"), method="by_name", max_length=300, widget=search_box(_("Name of the room or its category"))
    )
    state = django_filters.ChoiceFilter(
        label=_("State"),
        choices=[(state, CHAT[state].said) for state in ChatRoom.State.values],
        empty_label=_("Any state"),
    )
    found = django_filters.ChoiceFilter(
        label=_("Findings"),
        empty_label=_("With or without"),
        choices=[
            ("error", _("With errors")),
            ("warning", _("With warnings, without errors")),
            ("none", _("With neither")),
        ],
        method="by_found",
    )
    code = django_filters.CharFilter(label=_("Finding"), method="by_code", max_length=40)
    comparison = django_filters.ChoiceFilter(
        label=_("Comparison"),
        empty_label=_("Any comparison"),
        choices=[
            ("none", _("Not compared")),
            *((value, CHAT[value].said) for value in ChatRoom.Comparison.values if value),
        ],
        method="by_comparison",
    )

    class Meta:
        model = ChatRoom
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, rows: QuerySet[ChatRoom], *, plan: ChatPlan | None = None) -> None:
        super().__init__(data, rows)
        self.filters["code"] = django_filters.ChoiceFilter(
            field_name="code",
            label=_("Finding"),
            empty_label=_("Any finding"),
            choices=_codes_of(plan),
            method="by_code",
        )
        self.filters["code"].parent = self
        self.filters["code"].model = ChatRoom

    def by_name(self, rows: QuerySet[ChatRoom], name: str, value: str) -> QuerySet[ChatRoom]:
        return rows.filter(any_contains(value, "name", "category", "becomes"))

    def by_found(self, rows: QuerySet[ChatRoom], name: str, value: str) -> QuerySet[ChatRoom]:
        if value == "error":
            return rows.filter(error_count__gt=0)
        has_warnings = Q(warning_count__gt=0) if value == "warning" else Q(warning_count=0)
        return rows.filter(has_warnings, error_count=0)

    def by_code(self, rows: QuerySet[ChatRoom], name: str, value: str) -> QuerySet[ChatRoom]:
        return rows.filter(Exists(ChatFinding.objects.filter(room=OuterRef("pk"), code=value)))

    def by_comparison(self, rows: QuerySet[ChatRoom], name: str, value: str) -> QuerySet[ChatRoom]:
        return rows.filter(comparison="" if value == "none" else value)


class RoomTable(ListTable):
    """The rooms of a plan: what each becomes, and how far it is."""

    choose = Cell(
        template_name="chat/cells/choose.html",
        verbose_name=gettext_noop("Select"),
        accessor="pk",
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )
    name = Cell(
        template_name="chat/cells/room.html",
        verbose_name=gettext_noop("Room"),
        files={"Room": reads("name"), "Category": reads("category")},
    )
    becomes = Cell(
        template_name="chat/cells/becomes.html",
        verbose_name=gettext_noop("Becomes"),
        files={"Becomes": reads("becomes"), "BecomesCategory": reads("becomes_category")},
    )
    state = Cell(
        template_name="chat/cells/state.html",
        verbose_name=gettext_noop("State"),
        files={"State": reads("state"), "Reason": lambda row: row.reason or row.error_detail},
    )
    messages = Text(
        gettext_noop("Messages"),
        reads("message_count"),
        order_by="message_count",
        files={"Messages": reads("message_count"), "Written": reads("written")},
        attrs=NUMBER,
    )
    files_of_room = Text(
        gettext_noop("Files"),
        reads("file_count"),
        order_by="file_count",
        files={"Files": reads("file_count")},
        attrs=NUMBER,
    )
    findings = Cell(
        template_name="chat/cells/findings.html",
        verbose_name=gettext_noop("Findings"),
        accessor="error_count",
        order_by=("error_count", "warning_count"),
        files={"Errors": reads("error_count"), "Warnings": reads("warning_count")},
    )
    comparison = Cell(
        template_name="chat/cells/comparison.html",
        verbose_name=gettext_noop("Comparison"),
        files={"Comparison": reads("comparison"), "Differences": reads("difference_count")},
    )
    on_conflict = Text(
        gettext_noop("Name exists"),
        lambda row: row.on_conflict,
        order_by="on_conflict",
        files={"OnConflict": reads("on_conflict")},
        is_extra=True,
    )
    first_at = extra_column(gettext_noop("First message"), "first_at", "First")
    last_at = extra_column(gettext_noop("Last message"), "last_at", "Last")
    finished_at = extra_column(gettext_noop("Ended"), "finished_at", "FinishDate")
    target_id = extra_column(gettext_noop("Called at the target"), "target_id", "TargetId")

    list_name = "chat-rooms"
    caption = gettext_noop("Rooms")
    usual_rows = 50
    filter_class = RoomFilter
    file_name = "chat-rooms"

    class Meta:
        model = ChatRoom
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No room matches. Clear the filter to see all.")

    when_empty = gettext_noop("The plan has no rooms yet.")

    def __init__(self, data: object, *, may_choose: bool) -> None:
        super().__init__(data, exclude=() if may_choose else ("choose",))


class FindingFilter(django_filters.FilterSet):
    """Findings of a plan by severity, kind and room."""

    caption = _("Filter the findings")

    q = django_filters.CharFilter(
        label=_("Room"), method="by_room", max_length=300, widget=search_box(_("Name of the room"))
    )
    severity = django_filters.ChoiceFilter(
        label=_("Severity"), choices=ChatFinding.Severity.choices, empty_label=_("Any severity")
    )
    code = django_filters.CharFilter(label=_("Kind"), max_length=40)

    class Meta:
        model = ChatFinding
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, rows: QuerySet[ChatFinding], *, plan: ChatPlan) -> None:
        super().__init__(data, rows)
        self.filters["code"] = django_filters.ChoiceFilter(
            field_name="code", label=_("Kind"), empty_label=_("Any kind"), choices=_codes_of(plan)
        )
        self.filters["code"].parent = self
        self.filters["code"].model = ChatFinding

    def by_room(self, rows: QuerySet[ChatFinding], name: str, value: str) -> QuerySet[ChatFinding]:
        return rows.filter(any_contains(value, "room__name"))


class FindingTable(ListTable):
    """What a plan found, one row for each."""

    sentence = Cell(
        "{{ value }}",
        verbose_name=gettext_noop("What was found"),
        orderable=False,
        files={"Sentence": reads("sentence")},
    )
    severity = Cell(
        "{% load chat %}{% chat_badge record.severity %}",
        verbose_name=gettext_noop("Severity"),
        files={"Severity": reads("severity")},
    )
    code = Cell(
        "{% load chat %}{{ value|finding_name }}",
        verbose_name=gettext_noop("Kind"),
        files={"Code": reads("code")},
    )
    room = Cell(
        template_name="chat/cells/finding_room.html",
        verbose_name=gettext_noop("Room"),
        accessor="room__name",
        files={"Room": reads("room__name")},
    )
    count = Text(gettext_noop("Count"), reads("count"), order_by="count", files={"Count": reads("count")}, attrs=NUMBER)

    list_name = "chat-findings"
    caption = gettext_noop("Findings")
    usual_rows = 50
    filter_class = FindingFilter
    file_name = "chat-findings"

    class Meta:
        model = ChatFinding
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No finding matches. Clear the filter to see all.")

    when_empty = gettext_noop("Nothing was found that somebody should know.")
