"""Django admin for data fixes. Saving goes through ``tenants_app.changes`` like every other change.

People and numbers are not deleted here: they are part of what happened, and of invitations still out. A bridge that
nobody needs any more can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_before_deleting
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst

from tenants_app.audit import Actor, Channel, action_choices
from tenants_app.changes.bridges import describe_number, register_number, remove_bridge, set_bridge, set_default_number
from tenants_app.changes.tenants import change_tenant, create_tenant, grant_role, revoke_role
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, Role, ServiceNumber, Tenant
from tenants_app.screens.forms import MergingForm
from tenants_app.validators import validate_conference_id
from tenants_app.wording import counted


def actor_of(request: HttpRequest) -> Actor:
    return Actor(cast(User, request.user).get_username(), Channel.ADMIN)


def tell_out_of_date(request: HttpRequest, tenant: Tenant, bridge: Bridge | None = None) -> None:
    """How many users of the tenant, or the bridge, have invitations that do not say what is stored now (R36)."""
    users = ConferencingUser.objects.filter(tenant=tenant) if bridge is None else bridge.users.all()
    count = users.out_of_date().count()
    if count:
        page = reverse("out-of-date", args=[tenant.slug]) + (f"?bridge={bridge.pk}" if bridge else "")
        told = (
            "{} of {} {} out of date, and saving here started no run. "
            '<a href="{}">Start their runs</a>, or use start_meeting_migration --out-of-date --tenant {}.'
        )
        who = counted(count, "user"), bridge or tenant, "is" if count == 1 else "are"
        messages.warning(request, format_html(told, *who, page, tenant.slug))


class RefusableForm(MergingForm):
    """Shows beside its fields why the change was refused that was tried with it; see :class:`ThroughChanges`."""

    refusal: ClassVar[ValidationError | None] = None

    def full_clean(self) -> None:
        super().full_clean()
        for name, sentences in _by_field(self.refusal).items() if self.is_bound and self.refusal else ():
            if name in self.fields:
                self.add_error(name, sentences)
            elif name == NON_FIELD_ERRORS:
                self.add_error(None, sentences)
            else:
                label = capfirst(name.replace("_", " "))
                self.add_error(None, [f"{label}: {sentence}" for sentence in sentences])


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}


class ThroughChanges(admin.ModelAdmin):
    """Shows a change that was refused once more, with the reason at its field instead of an error page.

    The transaction is rolled back by then, and a form that says why it was refused is not valid, so nothing is saved.
    """

    form = RefusableForm

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except ValidationError as error:
            request.refusal = error  # type: ignore[attr-defined]
            return super().changeform_view(request, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # a class of its own for every request
        form.refusal = getattr(request, "refusal", None)  # type: ignore[attr-defined]
        for field in form.base_fields.values():
            if isinstance(field.widget, RelatedFieldWidgetWrapper):
                field.widget.can_delete_related = False  # what is chosen here is not removed from here
        return form

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
            change_tenant(obj, actor_of(request), **self.changed(form))
            tell_out_of_date(request, obj)
        else:
            obj.pk = create_tenant(actor_of(request), **form.cleaned_data).pk


@admin.register(Role)
class RoleAdmin(ThroughChanges):
    list_display = ["account", "tenant", "name"]
    list_filter = ["tenant", "name"]
    search_fields = ["account__username", "tenant__name"]
    autocomplete_fields = ["account", "tenant"]

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        return ["account", "tenant"] if obj else []

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        obj.pk = grant_role(obj.tenant, obj.account, obj.name, actor_of(request)).pk

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(cast(User, request.user).is_superuser)

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        revoke_role(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Role]) -> None:
        for role in queryset:
            revoke_role(role, actor_of(request))


class BridgeForm(RefusableForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk is None and {"tenant", "name"} <= cleaned.keys():
            taken = Bridge.objects.filter(tenant=cleaned["tenant"], name__iexact=cleaned["name"]).first()
            if taken:
                self.add_error("name", f"There is already a bridge {taken}: change that one.")
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Left to the change itself, which takes the default away from the bridge that has it."""
        return super()._get_validation_exclusions() | {"is_default"}  # type: ignore[misc]


@admin.register(Bridge)
class BridgeAdmin(ThroughChanges):
    form = BridgeForm
    list_display = ["name", "tenant", "is_default", "provider"]
    list_filter = ["tenant", "is_default"]
    list_select_related = ["tenant"]
    search_fields = ["name", "provider"]
    actions = ["delete_selected"]

    def get_readonly_fields(self, request: HttpRequest, obj: Bridge | None = None) -> list[str]:
        if obj is None:
            return []
        # The default passes to another bridge by making that one the default.
        return ["tenant", "name", *(["is_default"] if obj.is_default else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Bridge | None = None) -> list[Any]:
        told = (
            "Saving a bridge starts no migration. Users whose invitations show what was changed are out of date until "
            "runs are started for them; after saving, a message says how many there are."
        )
        return [(None, {"fields": ["tenant", "name", "is_default", "provider"], "description": told})]

    def save_model(self, request: HttpRequest, obj: Bridge, form: Any, change: bool) -> None:
        bridge = set_bridge(
            obj.tenant,
            obj.name,
            actor_of(request),
            provider=form.cleaned_data["provider"],
            make_default=bool(form.cleaned_data.get("is_default")),
        )
        obj.pk = bridge.pk
        tell_out_of_date(request, obj.tenant, bridge)

    # --- removing one ---------------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The bridges and their numbers. Whether they may be removed is said by the change, in a sentence."""
        bridges = [(bridge, list(bridge.numbers.all())) for bridge in objs]
        named: list[Any] = []
        for bridge, numbers in bridges:
            named += [f"Bridge: {bridge}", *([[f"Service number: {number}" for number in numbers]] if numbers else [])]
        count = sum(len(numbers) for _, numbers in bridges)
        counts = {"bridges": len(bridges)} | ({"service numbers": count} if count else {})
        return named, counts, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            _tell_errors(request, error)
            return redirect("admin:tenants_app_bridge_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Bridge) -> None:
        remove_bridge(obj, actor_of(request))

    @admin.action(permissions=["delete"], description="Delete selected bridges")
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Bridge]) -> HttpResponseBase | None:
        """Each by itself, so that one that is still needed does not keep the others."""
        if not request.POST.get("post"):
            return ask_before_deleting(self, request, queryset)
        for bridge in queryset.select_related("tenant"):
            try:
                with transaction.atomic():
                    self.log_deletions(request, Bridge.objects.filter(pk=bridge.pk))
                    self.delete_model(request, bridge)
            except ValidationError as error:
                _tell_errors(request, error)
            else:
                messages.success(request, f"The bridge {bridge} was removed.")
        return None


def _tell_errors(request: HttpRequest, error: ValidationError) -> None:
    for sentence in error.messages:
        messages.error(request, sentence)


@admin.register(ServiceNumber)
class ServiceNumberAdmin(ThroughChanges):
    list_display = ["number", "kind", "bridge", "tenant", "is_default", "country", "city"]
    list_filter = ["tenant", "kind", "is_default"]
    search_fields = ["number", "country", "city", "bridge__name"]
    list_select_related = ["bridge", "tenant"]
    actions = ["make_default"]

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceNumber | None = None) -> list[str]:
        return ["bridge", "number", "kind", "is_default"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: ServiceNumber | None = None) -> list[Any]:
        fields = ["bridge", "number", "kind", *(["is_default"] if obj else []), "country", "city"]
        told = (
            "Saving a number starts no migration. Users whose invitations show what was changed are out of date until "
            "runs are started for them; after saving, a message says how many there are. An action of the list makes "
            "a number the default of its bridge."
        )
        return [(None, {"fields": fields, "description": told})]

    def save_model(self, request: HttpRequest, obj: ServiceNumber, form: Any, change: bool) -> None:
        values = form.cleaned_data
        place = {"country": values["country"], "city": values["city"]}
        if change:
            number = describe_number(obj, actor_of(request), **place)
        else:
            number = register_number(obj.bridge, obj.number, obj.kind, actor_of(request), **place)
            obj.pk = number.pk
        tell_out_of_date(request, number.bridge.tenant, number.bridge)

    @admin.action(description="Make the default number of its bridge")
    def make_default(self, request: HttpRequest, queryset: QuerySet[ServiceNumber]) -> None:
        """Starts no run; see R10."""
        numbers = list(queryset.select_related("bridge__tenant", "tenant"))
        for bridge, count in Counter(number.bridge for number in numbers).items():
            if count > 1:
                sentence = f"{count:,} of the numbers are on {bridge}, which has one default: choose one of them."
                messages.error(request, sentence)
                return
        for number in numbers:
            if number.is_default:
                messages.info(request, f"{number} is the default number of {number.bridge} already.")
                continue
            try:
                set_default_number(number, actor_of(request), reschedule_meetings=False)
            except ValidationError as error:
                _tell_errors(request, error)
            else:
                messages.success(request, f"{number} is the default number of {number.bridge} now.")
                tell_out_of_date(request, number.bridge.tenant, number.bridge)


class ConferencingUserForm(RefusableForm):
    conference_id = forms.CharField(
        label="Conference ID",
        required=False,
        validators=[validate_conference_id],
        help_text="7 digits, unique on the bridge. Empty: the present one stays, or a free one is given out.",
    )
    reschedule_meetings = forms.BooleanField(
        required=False, help_text="Start a run for a changed default number too (R10)."
    )
    is_data_fix = forms.BooleanField(
        label="This is a data fix: do not start a migration",
        required=False,
        help_text="The settings are saved and no run starts, whatever was changed. Where invitations show what was "
        "changed, the user is out of date until a run is started by hand. The audit says that it was a data fix.",
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

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("is_data_fix") and cleaned.get("reschedule_meetings"):
            self.add_error(
                "is_data_fix", "A data fix starts no run: untick this, or the one that reschedules the meetings."
            )
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Left to the change itself, which says at the field that a name is taken."""
        return super()._get_validation_exclusions() | {"upn"}  # type: ignore[misc]


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

    def get_fieldsets(self, request: HttpRequest, obj: ConferencingUser | None = None) -> list[Any]:
        fields = [*ConferencingUserForm.Meta.fields, "conference_id"]
        if obj is None:
            told = "A new user starts no migration: their invitations are taken to say what is stored here."
            return [(None, {"fields": fields, "description": told})]
        kept = self.get_readonly_fields(request, obj)
        others = [name for name in fields if name not in kept]
        return [
            (None, {"fields": [*kept, *others, "reschedule_meetings"]}),
            ("Data fix", {"fields": ["is_data_fix"]}),
        ]

    def save_model(self, request: HttpRequest, obj: ConferencingUser, form: Any, change: bool) -> None:
        values = self.changed(form) if change else dict(form.cleaned_data)
        asked = {name: values.pop(name, False) for name in ("reschedule_meetings", "is_data_fix")}
        if not change:
            obj.pk = create_user(values.pop("tenant"), actor_of(request), **values).pk
            return
        if not values:
            asked["is_data_fix"] = False  # nothing is fixed, and the answer says that nothing changed
        for told in change_user(obj, actor_of(request), **asked, **values):
            messages.info(request, f"User {told.upn}: {told.sentence}")
            if values and not told.starts_run:
                self._tell_out_of_date(request, obj)

    @staticmethod
    def _tell_out_of_date(request: HttpRequest, user: ConferencingUser) -> None:
        if ConferencingUser.objects.filter(pk=user.pk).out_of_date().exists():
            told = (
                "User {} is out of date: invitations do not say what is stored now. Start a run on the page "
                '<a href="{}">of the user</a>, or with start_meeting_migration --user {} --tenant {}.'
            )
            page = reverse("user", args=[user.tenant.slug, user.upn])
            messages.warning(request, format_html(told, user.upn, page, user.upn, user.tenant.slug))


class ActionFilter(admin.SimpleListFilter):
    """What was done, from the list of what there is: asking all entries for it would take long."""

    title = "what"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [choice for _, choices in action_choices() for choice in choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["at", "tenant", "actor", "channel", "action", "target", "consequence"]
    list_filter = ["tenant", "channel", ActionFilter]
    list_select_related = ["tenant"]
    search_fields = ["actor", "target"]
    date_hierarchy = "at"
    show_full_result_count = False


admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Accounts, which belong to no tenant. Deleting one takes its roles away, each with a trace in its tenant."""

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self._revoke_roles(request, [obj])
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._revoke_roles(request, list(queryset))
        super().delete_queryset(request, queryset)

    @staticmethod
    def _revoke_roles(request: HttpRequest, accounts: Sequence[User]) -> None:
        for role in Role.objects.filter(account__in=accounts).select_related("tenant", "account"):
            revoke_role(role, actor_of(request))
