"""Filters of the lists. A value that cannot be understood is reported at its field and filters nothing."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from migrations_app.badges import BADGES, NEVER_RUN
from migrations_app.failures import CATALOGUE, FAILED, LEFT_FOR_A_PERSON, NEEDS_A_PERSON
from migrations_app.finding import users as found_users
from migrations_app.finding.users import (
    ANY_THIRD_PARTY,
    ANYTHING,
    NAMES,
    NEVER,
    NO,
    NO_BRIDGE,
    NO_DEPLOYMENT,
    UNDO_HOLDS,
    YES,
    third_parties,
)
from migrations_app.models import BulkActionUser, LeftMeeting, MeetingResult, Notice, PreviewedMeeting, Run
from migrations_app.targets import MIGRATION_TYPES
from tenants_app.folding import any_contains
from tenants_app.models import Bridge, ConferencingUser, Deployment, ServiceNumber, Tenant
from tenants_app.screens.filters import DayFilter, StyledForm, search_box
from tenants_app.screens.forms import number_in_words
from tenants_app.wording import MICROSOFT

STATES = [(state, BADGES[state].said) for state in Run.State.values]
OUTCOMES = [(outcome, BADGES[outcome].said) for outcome in MeetingResult.Outcome.values]
MOST_KEYS = 1000
"""Users whose keys are named to the database, one by one."""
UNDONE = "undone"
LEFT = "Left"


class RunFilter(django_filters.FilterSet):
    """History by user, state, type and time."""

    caption = _("Filter the history")

    user = django_filters.CharFilter(
        label=_("User"),
        method="by_user",
        max_length=320,
        widget=search_box(_("Name, user principal name or correlation ID")),
    )
    state = django_filters.ChoiceFilter(label=_("State"), choices=STATES, empty_label=_("Any state"))
    migration_type = django_filters.ChoiceFilter(
        label=_("Type"), choices=[(name, name) for name in MIGRATION_TYPES], empty_label=_("Any type")
    )
    created_from = DayFilter(_("Created from"), "created")
    created_to = DayFilter(_("Created until"), "created", is_last=True)

    class Meta:
        model = Run
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, runs: QuerySet[Run], tenant: Tenant) -> None:
        super().__init__(data, runs)
        self.tenant = tenant

    def by_user(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        with suppress(ValueError):
            return runs.filter(correlation_id=UUID(value))
        meant = self.tenant.users.filter(any_contains(value, "upn", "display_name")).order_by()
        # Of few the keys first, so that all names are looked through once; runs of many are met soon, by time.
        keys = list(meant.values_list("pk", flat=True)[: MOST_KEYS + 1])
        if len(keys) > MOST_KEYS:
            return runs.filter(any_contains(value, "user__upn", "user__display_name"))
        return runs.filter(user__in=keys)


class FailureFilter(django_filters.FilterSet):
    """Failed runs by their users, and by whether somebody has accepted them."""

    caption = _("Search these users")

    q = django_filters.CharFilter(
        label=_("User"),
        method="by_name",
        max_length=320,
        widget=search_box(_("Name, user principal name or SIP address")),
    )
    accepted = django_filters.ChoiceFilter(
        label=_("Accepted"),
        choices=[(NO, _("Not accepted")), (YES, _("Accepted"))],
        empty_label=_("Any"),
        method="by_acceptance",
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

    caption = _("Filter the meetings")

    user = django_filters.CharFilter(
        label=_("Organizer or meeting"),
        method="by_text",
        max_length=320,
        widget=search_box(_("Name, user principal name or subject")),
    )
    reason = django_filters.ChoiceFilter("code", label=_("Reason"), empty_label=_("Any reason"))
    state = django_filters.ChoiceFilter(
        label=_("State"),
        choices=[
            (UNDONE, _("Not dealt with")),
            *((state, BADGES[state].said) for state in LeftMeeting.State.values),
        ],
        empty_label=_("Any state"),
        method="by_state",
    )
    starts_from = DayFilter(_("Starts from"), "starts_at")
    starts_to = DayFilter(_("Starts until"), "starts_at", is_last=True)

    class Meta:
        model = LeftMeeting
        form = StyledForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, rows: QuerySet[LeftMeeting]) -> None:
        super().__init__(data, rows)
        self.filters["reason"].extra["choices"] = [
            (gettext(group), [(code, gettext(CATALOGUE[code].what).rstrip(".")) for code in codes])
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
        label=_("Outcome"),
        choices=[*OUTCOMES, (LEFT, _("Left for a person"))],
        empty_label=_("Any outcome"),
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

    state = django_filters.ChoiceFilter(
        label=_("Result"), choices=BulkActionUser.State.choices, empty_label=_("Any result")
    )
    run = django_filters.ChoiceFilter("run_state", label=_("Run"), choices=STATES, empty_label=_("Any state"))

    class Meta:
        model = BulkActionUser
        form = StyledForm
        fields: list[str] = []


class NoticeFilter(django_filters.FilterSet):
    """The notices of a round by what became of them."""

    state = django_filters.ChoiceFilter(
        label=_("Result"),
        choices=[(Notice.COUNTING, _("Counting")), *Notice.State.choices],
        empty_label=_("Any result"),
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

    caption = _("Search the users")

    q = django_filters.CharFilter(
        label=_("User"),
        method="by_name",
        max_length=320,
        widget=search_box(_("Name, user principal name, SIP address, conference ID or number")),
    )
    state = django_filters.ChoiceFilter(
        label=_("Latest run"),
        choices=[*STATES, (NEVER, NEVER_RUN.said)],
        empty_label=_("Any state"),
        method="by_state",
    )
    failed_by = django_filters.ChoiceFilter(
        label=_("Failed by"),
        choices=[(ANYTHING, _("Anything not accepted")), *((code, _(entry.what)) for code, entry in FAILED.items())],
        empty_label=_("Anything or nothing"),
        method="by_failure",
    )
    out_of_date = django_filters.ChoiceFilter(
        label=_("Invitations"),
        choices=[(YES, _("Out of date")), (NO, _("Up to date")), (UNDO_HOLDS, _("An undo holds"))],
        empty_label=_("Any"),
        method="by_invitations",
    )
    bridge = django_filters.ModelChoiceFilter(
        label=_("Bridge"),
        queryset=Bridge.objects.none(),
        null_label=_("No bridge"),
        null_value=NO_BRIDGE,
        empty_label=_("Any bridge"),
    )
    deployment = django_filters.ModelChoiceFilter(
        label=_("Deployment"),
        queryset=Deployment.objects.none(),
        null_label=_("No deployment"),
        null_value=NO_DEPLOYMENT,
        empty_label=_("Any deployment"),
    )
    number = _NumberFilter(
        label=_("Service number"),
        queryset=ServiceNumber.objects.none(),
        empty_label=_("Any number"),
        method="by_number",
    )
    provider = django_filters.ChoiceFilter(label=_("Provider"), empty_label=_("Any provider"), method="by_provider")
    left = django_filters.ChoiceFilter(
        label=_("Need a person"),
        choices=[(YES, _("Some meetings")), (NO, _("No meeting"))],
        empty_label=_("Any"),
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
        if tenant.deployments.exists():
            self.filters["deployment"].queryset = tenant.deployments.all()
        else:
            del self.filters["deployment"]
        self.filters["number"].queryset = tenant.service_numbers.select_related("bridge")
        names = [(name, name) for name in third_parties(tenant)]
        offered = [(MICROSOFT, MICROSOFT), *([(ANY_THIRD_PARTY, gettext("Any third party")), *names] if names else [])]
        self.filters["provider"].extra["choices"] = offered

    def by_name(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_name(self.tenant, users, value)

    def by_state(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_state(self.tenant, users, value)

    def by_failure(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_failure(self.tenant, users, value)

    def by_invitations(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_invitations(self.tenant, users, value)

    def by_left(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_left(self.tenant, users, value)

    def by_number(
        self, users: QuerySet[ConferencingUser], name: str, value: ServiceNumber
    ) -> QuerySet[ConferencingUser]:
        return found_users.by_number(self.tenant, users, value)

    def by_provider(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return found_users.by_provider(self.tenant, users, value)


class PreviewFilter(django_filters.FilterSet):
    """The meetings of a preview by what would become of them."""

    caption = _("Filter the meetings")

    show = django_filters.ChoiceFilter(
        label=_("Meetings"),
        empty_label=_("All meetings"),
        choices=[
            ("dial-in", _("Lose their dial-in part")),
            ("changed", pgettext_lazy("what meetings do", "Change")),
            ("mailed", _("Mail somebody")),
            ("left", _("Left as they are")),
            ("failed", _("Fail")),
        ],
        method="by_kind",
    )
    q = django_filters.CharFilter(
        label=_("Search"), method="by_text", max_length=320, widget=search_box(_("Subject or user"))
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
