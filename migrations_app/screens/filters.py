"""Filters of the lists. A value that cannot be understood is reported at its field and filters nothing."""

from __future__ import annotations

import re
from contextlib import suppress
from uuid import UUID

import django_filters
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import QueryDict

from migrations_app.badges import BADGES, NEVER_RUN
from migrations_app.failures import CATALOGUE, FAILED, LEFT_FOR_A_PERSON, NEEDS_A_PERSON
from migrations_app.models import BulkActionUser, LeftMeeting, MeetingResult, Notice, PreviewedMeeting, Run
from migrations_app.runs.failed import failed_runs
from migrations_app.runs.left import to_come
from migrations_app.targets import MIGRATION_TYPES
from tenants_app.dependants import dependants
from tenants_app.folding import any_contains
from tenants_app.models import OUT_OF_DATE, Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tenants_app.screens.filters import DayFilter, StyledForm, search_box
from tenants_app.screens.forms import number_in_words
from tenants_app.wording import MICROSOFT

STATES = [(state, BADGES[state].label) for state in Run.State.values]
OUTCOMES = [(outcome, BADGES[outcome].label) for outcome in MeetingResult.Outcome.values]
NEVER = "never"
UNDONE = "undone"
LEFT = "Left"
NO_BRIDGE = "none"
ANY_THIRD_PARTY = "third-party"
YES, NO, UNDO_HOLDS = "yes", "no", "undo"
ANYTHING = "any"
SHORTEST_NUMBER = 8
"""Digits, with the country's: what is shorter is looked for as a conference ID."""
NAMES = ("display_name", "upn", "sip_address")
"""Of a user, what a search by name looks at."""


class RunFilter(django_filters.FilterSet):
    """History by user, state, type and time."""

    caption = "Filter the history"

    user = django_filters.CharFilter(
        label="User", method="by_user", max_length=320, widget=search_box("Name, user principal name or correlation ID")
    )
    state = django_filters.ChoiceFilter(label="State", choices=STATES, empty_label="Any state")
    migration_type = django_filters.ChoiceFilter(
        label="Type", choices=[(name, name) for name in MIGRATION_TYPES], empty_label="Any type"
    )
    created_from = DayFilter("Created from", "created")
    created_to = DayFilter("Created until", "created", is_last=True)

    class Meta:
        model = Run
        form = StyledForm
        fields: list[str] = []

    def by_user(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        with suppress(ValueError):
            return runs.filter(correlation_id=UUID(value))
        return runs.filter(any_contains(value, "user__upn", "user__display_name"))


class FailureFilter(django_filters.FilterSet):
    """Failed runs by their users, and by whether somebody has accepted them."""

    caption = "Search these users"

    q = django_filters.CharFilter(
        label="User",
        method="by_name",
        max_length=320,
        widget=search_box("Name, user principal name or SIP address"),
    )
    accepted = django_filters.ChoiceFilter(
        label="Accepted", choices=[(NO, "Not accepted"), (YES, "Accepted")], empty_label="Any", method="by_acceptance"
    )

    class Meta:
        model = Run
        form = StyledForm
        fields: list[str] = []

    def by_name(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        return runs.filter(any_contains(value, *(f"user__{field}" for field in NAMES)))

    def by_acceptance(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        return runs.filter(accepted_at__isnull=value == NO)


class LeftFilter(django_filters.FilterSet):
    """Meetings that need a person, by organizer, reason, what was done, and day."""

    caption = "Filter the meetings"

    user = django_filters.CharFilter(
        label="Organizer or meeting",
        method="by_text",
        max_length=320,
        widget=search_box("Name, user principal name or subject"),
    )
    reason = django_filters.ChoiceFilter("code", label="Reason", empty_label="Any reason")
    state = django_filters.ChoiceFilter(
        label="State",
        choices=[(UNDONE, "Not dealt with"), *((state, BADGES[state].label) for state in LeftMeeting.State.values)],
        empty_label="Any state",
        method="by_state",
    )
    starts_from = DayFilter("Starts from", "starts_at")
    starts_to = DayFilter("Starts until", "starts_at", is_last=True)

    class Meta:
        model = LeftMeeting
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, rows: QuerySet[LeftMeeting]) -> None:
        super().__init__(data, rows)
        self.filters["reason"].extra["choices"] = [
            (group, [(code, CATALOGUE[code].what.rstrip(".")) for code in codes])
            for group, codes in NEEDS_A_PERSON.items()
        ]

    def by_text(self, rows: QuerySet[LeftMeeting], name: str, value: str) -> QuerySet[LeftMeeting]:
        return rows.filter(any_contains(value, "user__upn", "user__display_name", "subject"))

    def by_state(self, rows: QuerySet[LeftMeeting], name: str, value: str) -> QuerySet[LeftMeeting]:
        if value == UNDONE:
            return rows.exclude(state=LeftMeeting.State.DEALT_WITH)
        return rows.filter(state=value)


class ResultFilter(django_filters.FilterSet):
    """A run's meetings by what became of them."""

    outcome = django_filters.ChoiceFilter(
        label="Outcome",
        choices=[*OUTCOMES, (LEFT, "Left for a person")],
        empty_label="Any outcome",
        method="by_outcome",
    )

    class Meta:
        model = MeetingResult
        form = StyledForm
        fields: list[str] = []

    def by_outcome(self, results: QuerySet[MeetingResult], name: str, value: str) -> QuerySet[MeetingResult]:
        if value == LEFT:
            return results.filter(Q(outcome=MeetingResult.Outcome.FAILED) | Q(code__in=LEFT_FOR_A_PERSON))
        return results.filter(outcome=value)


class BulkActionUserFilter(django_filters.FilterSet):
    """The users of an action by what became of it for them."""

    state = django_filters.ChoiceFilter(label="Result", choices=BulkActionUser.State.choices, empty_label="Any result")
    run = django_filters.ChoiceFilter("run_state", label="Run", choices=STATES, empty_label="Any state")

    class Meta:
        model = BulkActionUser
        form = StyledForm
        fields: list[str] = []


class NoticeFilter(django_filters.FilterSet):
    """The notices of a round by what became of them."""

    state = django_filters.ChoiceFilter(
        label="Result", choices=[(Notice.COUNTING, "Counting"), *Notice.State.choices], empty_label="Any result"
    )

    class Meta:
        model = Notice
        form = StyledForm
        fields: list[str] = []


class _NumberField(django_filters.fields.ModelChoiceField):
    def label_from_instance(self, number: ServiceNumber) -> str:
        return number_in_words(number)


class _NumberFilter(django_filters.ModelChoiceFilter):
    field_class = _NumberField


class UserFilter(django_filters.FilterSet):
    """A tenant's users by name, and by what they have and lack."""

    caption = "Search the users"

    q = django_filters.CharFilter(
        label="User",
        method="by_name",
        max_length=320,
        widget=search_box("Name, user principal name, SIP address, conference ID or number"),
    )
    state = django_filters.ChoiceFilter(
        label="Latest run", choices=[*STATES, (NEVER, NEVER_RUN.label)], empty_label="Any state", method="by_state"
    )
    failed_by = django_filters.ChoiceFilter(
        label="Failed by",
        choices=[(ANYTHING, "Anything not accepted"), *((code, entry.what) for code, entry in FAILED.items())],
        empty_label="Anything or nothing",
        method="by_failure",
    )
    out_of_date = django_filters.ChoiceFilter(
        label="Invitations",
        choices=[(YES, "Out of date"), (NO, "Up to date"), (UNDO_HOLDS, "An undo holds")],
        empty_label="Any",
        method="by_invitations",
    )
    bridge = django_filters.ModelChoiceFilter(
        queryset=Bridge.objects.none(), null_label="No bridge", null_value=NO_BRIDGE, empty_label="Any bridge"
    )
    number = _NumberFilter(
        label="Service number", queryset=ServiceNumber.objects.none(), empty_label="Any number", method="by_number"
    )
    provider = django_filters.ChoiceFilter(label="Provider", empty_label="Any provider", method="by_provider")
    left = django_filters.ChoiceFilter(
        label="Need a person",
        choices=[(YES, "Some meetings"), (NO, "No meeting")],
        empty_label="Any",
        method="by_left",
    )

    class Meta:
        model = ConferencingUser
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, users: QuerySet[ConferencingUser], tenant: Tenant) -> None:
        super().__init__(data, users)
        self.tenant = tenant
        self.filters["bridge"].queryset = tenant.bridges.all()
        self.filters["number"].queryset = tenant.service_numbers.select_related("bridge")
        names = [(name, name) for name in _third_parties(tenant)]
        offered = [(MICROSOFT, MICROSOFT), *([(ANY_THIRD_PARTY, "Any third party"), *names] if names else [])]
        self.filters["provider"].extra["choices"] = offered

    def by_name(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        found = Q(any_contains(value, *NAMES))
        if value.isdecimal():
            having = ConferenceId.objects.filter(bridge__in=self.tenant.bridges.all(), digits=value)
            found |= Q(pk__in=having.values("user"))
        digits = re.sub(r"[^0-9]", "", value).removeprefix("00")
        if len(digits) >= SHORTEST_NUMBER:
            for number in self.tenant.service_numbers.select_related("bridge"):
                if number.number[1:] == digits:
                    found |= Q(pk__in=dependants(number).values("pk"))
        return users.filter(found)

    def by_state(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        latest = Run.objects.filter(tenant=self.tenant, is_latest=True)
        if value == NEVER:
            return users.filter(~Exists(latest.filter(user=OuterRef("pk"))))
        if value == Run.State.SUCCEEDED:  # of nearly everybody: the list of all their keys would be long
            return users.filter(Exists(latest.filter(user=OuterRef("pk"), state=value)))
        return users.filter(pk__in=latest.filter(state=value).values("user"))

    def by_failure(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        runs = failed_runs(self.tenant, "" if value == ANYTHING else value).filter(accepted_at=None)
        return users.filter(pk__in=runs.order_by().values("user"))

    def by_invitations(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        if value == UNDO_HOLDS:
            return users.filter(undo_holds=True)
        return users.filter(OUT_OF_DATE, upn__gt="") if value == YES else users.filter(~OUT_OF_DATE)

    def by_left(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        having = Q(pk__in=to_come(self.tenant).filter(state=LeftMeeting.State.OPEN).values("user"))
        return users.filter(having if value == YES else ~having)

    def by_number(
        self, users: QuerySet[ConferencingUser], name: str, value: ServiceNumber
    ) -> QuerySet[ConferencingUser]:
        return users.filter(pk__in=dependants(value).values("pk"))

    def by_provider(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        """Who has no provider of their own has that of their bridge, as a run sees it (R16)."""
        theirs = Bridge.objects.filter(tenant=self.tenant).exclude(provider="")
        if value == MICROSOFT:
            return users.filter(conferencing_provider="").exclude(bridge__in=theirs)
        if value == ANY_THIRD_PARTY:
            return users.filter(~Q(conferencing_provider="") | Q(bridge__in=theirs))
        by_bridge = Q(conferencing_provider="", bridge__in=theirs.filter(provider=value))
        return users.filter(Q(conferencing_provider=value) | by_bridge)


def _third_parties(tenant: Tenant) -> list[str]:
    """The other providers than Microsoft that the tenant's users and bridges have."""
    of_users = tenant.users.exclude(conferencing_provider="").order_by().values_list("conferencing_provider", flat=True)
    of_bridges = tenant.bridges.exclude(provider="").order_by().values_list("provider", flat=True)
    return sorted(of_users.union(of_bridges), key=str.casefold)


class PreviewFilter(django_filters.FilterSet):
    """The meetings of a preview by what would become of them."""

    caption = "Filter the meetings"

    show = django_filters.ChoiceFilter(
        label="Meetings",
        empty_label="All meetings",
        choices=[
            ("dial-in", "Lose their dial-in part"),
            ("changed", "Change"),
            ("mailed", "Mail somebody"),
            ("left", "Left as they are"),
            ("failed", "Fail"),
        ],
        method="by_kind",
    )
    q = django_filters.CharFilter(
        label="Search", method="by_text", max_length=320, widget=search_box("Subject or user")
    )

    class Meta:
        model = PreviewedMeeting
        form = StyledForm
        fields: list[str] = []

    def by_kind(self, rows: QuerySet[PreviewedMeeting], name: str, value: str) -> QuerySet[PreviewedMeeting]:
        outcomes = MeetingResult.Outcome
        return {
            "dial-in": rows.filter(loses_dial_in=True),
            "changed": rows.filter(outcome=outcomes.SUCCEEDED),
            "mailed": rows.filter(outcome=outcomes.SUCCEEDED).exclude(recipients=[]),
            "left": rows.filter(outcome=outcomes.SKIPPED),
            "failed": rows.filter(outcome=outcomes.FAILED),
        }[value]

    def by_text(self, rows: QuerySet[PreviewedMeeting], name: str, value: str) -> QuerySet[PreviewedMeeting]:
        return rows.filter(Q(subject__icontains=value) | Q(upn__icontains=value))
