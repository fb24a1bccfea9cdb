"""The Django admin of runs, mailboxes and updates, for reading only: the service alone changes these rows."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from migrations_app.models import (
    AlertDelivery,
    CalendarObject,
    Heartbeat,
    LeftMeeting,
    Machine,
    MailServer,
    MeetingResult,
    Run,
    Update,
)
from tenants_app.admin.base import ReadOnly


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ["correlation_id", "user", "tenant", "state", "migration_type", "created", "attempts"]
    list_filter = ["tenant", "state", "migration_type", "last_error_code"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__upn", "correlation_id"]
    date_hierarchy = "created"


@admin.register(MeetingResult)
class MeetingResultAdmin(ReadOnly):
    list_display = ["subject", "run", "starts_at", "outcome", "code", "meeting_service"]
    list_filter = ["outcome", "code", "meeting_service"]
    search_fields = ["run__user__upn", "subject", "uid"]
    exclude = ["spans"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MeetingResult]:
        return super().get_queryset(request).select_related("run").defer("spans")


@admin.register(Update)
class UpdateAdmin(ReadOnly):
    list_display = ["result", "state", "recipient_count", "queued_at", "sent_at", "attempts", "error_code"]
    list_filter = ["state", "error_code"]
    search_fields = ["result__run__user__upn", "result__subject"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Update]:
        return super().get_queryset(request).select_related("result").defer("result__spans")


@admin.register(LeftMeeting)
class LeftMeetingAdmin(ReadOnly):
    list_display = ["subject", "user", "starts_at", "code", "state", "by", "at"]
    list_filter = ["tenant", "state", "code"]
    list_select_related = ["user"]
    search_fields = ["user__upn", "subject", "uid"]


@admin.register(CalendarObject)
class CalendarObjectAdmin(ReadOnly):
    list_display = ["subject", "user", "organizer", "starts_at", "last_end", "attendee_count", "cancelled"]
    list_filter = ["cancelled", "user__tenant"]
    search_fields = ["user__upn", "subject", "uid"]
    list_select_related = ["user"]
    exclude = ["body"]


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnly):
    list_display = ["alert", "channel", "recipient", "state", "queued_at", "attempts", "error_code"]
    list_filter = ["state", "channel", "error_code"]
    list_select_related = ["alert"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at"]


@admin.register(Machine)
class MachineAdmin(ReadOnly):
    list_display = ["name", "workers", "at"]


@admin.register(MailServer)
class MailServerAdmin(ReadOnly):
    list_display = ["name", "failures", "failing_since", "next_try_at", "last_error"]
