"""Django admin for data fixes. Saving goes through ``tenants_app.changes`` like every other change.

Rows are not deleted here: people, bridges and numbers are part of what happened, and of invitations still out.
"""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from tenants_app import changes
from tenants_app.audit import Actor, Channel
from tenants_app.forms import MergingForm
from tenants_app.models import (
    AuditEntry,
    Bridge,
    ConferenceId,
    ConferencingUser,
    Role,
    ServiceNumber,
    Tenant,
    validate_conference_id,
)


def actor_of(request: HttpRequest) -> Actor:
    return Actor(cast(User, request.user).get_username(), Channel.ADMIN)


class ThroughChanges(admin.ModelAdmin):
    """Shows a refused change as a message instead of an error page; the transaction is rolled back by then."""

    form = MergingForm

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ValidationError as error:
            for sentence in error.messages:
                messages.error(request, sentence)
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """The audit trail holds who changed what; the admin's own log needs only that something was done."""
        return "Added." if add else "Changed."

    @staticmethod
    def changed(form: forms.ModelForm) -> dict[str, Any]:
        return {name: form.cleaned_data[name] for name in form.changed_data}


class ReadOnly(admin.ModelAdmin):
    """To be looked at only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Tenant)
class TenantAdmin(ThroughChanges):
    list_display = ["name", "slug", "domain", "meeting_migration_enabled", "automatically_migrate_user_meetings"]
    list_filter = ["meeting_migration_enabled", "automatically_migrate_user_meetings"]
    search_fields = ["name", "slug", "domain"]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        return ["created", "slug"] if obj else ["created"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            changes.change_tenant(obj, actor_of(request), **self.changed(form))
        else:
            obj.pk = changes.create_tenant(actor_of(request), **form.cleaned_data).pk


@admin.register(Role)
class RoleAdmin(ThroughChanges):
    list_display = ["account", "tenant", "name"]
    list_filter = ["tenant", "name"]
    search_fields = ["account__username", "tenant__name"]
    autocomplete_fields = ["account", "tenant"]

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        return ["account", "tenant"] if obj else []

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        obj.pk = changes.grant_role(obj.tenant, obj.account, obj.name, actor_of(request)).pk

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(cast(User, request.user).is_superuser)

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        changes.revoke_role(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Role]) -> None:
        for role in queryset:
            changes.revoke_role(role, actor_of(request))


@admin.register(Bridge)
class BridgeAdmin(ThroughChanges):
    list_display = ["name", "tenant", "is_default", "provider"]
    list_filter = ["tenant", "is_default"]
    search_fields = ["name", "provider"]

    def get_readonly_fields(self, request: HttpRequest, obj: Bridge | None = None) -> list[str]:
        if obj is None:
            return []
        # The default passes to another bridge by making that one the default.
        return ["tenant", "name", *(["is_default"] if obj.is_default else [])]

    def save_model(self, request: HttpRequest, obj: Bridge, form: Any, change: bool) -> None:
        obj.pk = changes.set_bridge(
            obj.tenant,
            obj.name,
            actor_of(request),
            provider=form.cleaned_data["provider"],
            make_default=bool(form.cleaned_data.get("is_default")),
        ).pk


@admin.register(ServiceNumber)
class ServiceNumberAdmin(ThroughChanges):
    list_display = ["number", "kind", "bridge", "tenant", "is_default", "country", "city"]
    list_filter = ["tenant", "kind", "is_default"]
    search_fields = ["number", "country", "city", "bridge__name"]
    list_select_related = ["bridge", "tenant"]
    actions = ["make_default"]
    exclude = ["tenant", "is_default"]

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceNumber | None = None) -> list[str]:
        return ["bridge", "number", "kind"] if obj else []

    def save_model(self, request: HttpRequest, obj: ServiceNumber, form: Any, change: bool) -> None:
        values = form.cleaned_data
        place = {"country": values["country"], "city": values["city"]}
        if change:
            changes.describe_number(obj, actor_of(request), **place)
        else:
            obj.pk = changes.register_number(obj.bridge, obj.number, obj.kind, actor_of(request), **place).pk

    @admin.action(description="Make the default number of its bridge")
    def make_default(self, request: HttpRequest, queryset: QuerySet[ServiceNumber]) -> None:
        for number in queryset.select_related("bridge", "tenant"):
            try:
                changes.set_bridge(number.tenant, number.bridge.name, actor_of(request), default_number=number.number)
            except ValidationError as error:
                messages.error(request, error.messages[0])


class ConferencingUserForm(MergingForm):
    conference_id = forms.CharField(
        label="Conference ID",
        required=False,
        validators=[validate_conference_id],
        help_text="7 digits, unique on the bridge. Empty: the present one stays, or a free one is given out.",
    )
    reschedule_meetings = forms.BooleanField(
        required=False, help_text="Start a run for a changed default number too (R10)."
    )

    class Meta:
        model = ConferencingUser
        fields = [
            "tenant",
            "upn",
            "sip_address",
            "display_name",
            "language",
            "hosting",
            "mailbox_location",
            "audio_conferencing_license",
            "audio_conferencing_enabled",
            "conferencing_provider",
            "bridge",
            "conference_id_type",
            "toll_number",
            "toll_free_number",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["conference_id"] = self.instance.conference_id


class ConferenceIdInline(admin.TabularInline):
    model = ConferenceId
    fields = ("digits", "bridge", "meeting_uid")
    readonly_fields = ("digits", "bridge", "meeting_uid")
    extra = 0
    max_num = 0
    can_delete = False


@admin.register(ConferencingUser)
class ConferencingUserAdmin(ThroughChanges):
    form = ConferencingUserForm
    list_display = ["upn", "display_name", "tenant", "hosting", "audio_conferencing_license", "bridge"]
    list_filter = ["tenant", "hosting", "mailbox_location", "audio_conferencing_license", "bridge"]
    list_select_related = ["tenant", "bridge"]
    search_fields = ["upn", "sip_address", "display_name"]
    autocomplete_fields = ["bridge", "toll_number", "toll_free_number"]
    inlines = [ConferenceIdInline]

    def get_readonly_fields(self, request: HttpRequest, obj: ConferencingUser | None = None) -> list[str]:
        return ["user_id", "tenant", "upn", "created"] if obj else []

    def save_model(self, request: HttpRequest, obj: ConferencingUser, form: Any, change: bool) -> None:
        values = self.changed(form) if change else dict(form.cleaned_data)
        reschedule = values.pop("reschedule_meetings", False)
        if change:
            told = changes.change_user(obj, actor_of(request), reschedule_meetings=reschedule, **values)
            for consequence in told:
                messages.info(request, f"{consequence.upn}: {consequence.sentence}")
        else:
            obj.pk = changes.create_user(values.pop("tenant"), actor_of(request), **values).pk


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["at", "tenant", "actor", "action", "target"]
    list_filter = ["tenant", "action"]
    search_fields = ["actor", "target"]
    date_hierarchy = "at"
