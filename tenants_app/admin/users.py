"""Users in the Django admin: a change of theirs may be saved as a data fix, which starts no run."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants_app.admin.base import ChangeForm, ThroughChanges
from tenants_app.admin.out_of_date import tell_user_out_of_date
from tenants_app.catalogue import STORED_WITH_USER
from tenants_app.changes.brought_along import left_behind
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import ConferenceId, ConferencingUser
from tenants_app.signals import Consequence
from tenants_app.validators import validate_conference_id


class ConferencingUserForm(ChangeForm):
    conference_id = forms.CharField(
        label=_("Conference ID"),
        required=False,
        validators=[validate_conference_id],
        help_text=_("7 digits, unique on the bridge. Empty: the present one stays, or a free one is given out."),
    )
    reschedule_meetings = forms.BooleanField(
        required=False, help_text=_("Start a run for a changed default number too.")
    )
    is_data_fix = forms.BooleanField(
        label=_("This is a data fix: do not start a migration"),
        required=False,
        help_text=_(
            "The settings are saved and no run starts, whatever was changed. Where invitations show what was "
            "changed, the user is out of date until a run is started by hand. The audit says that it was a data fix."
        ),
    )

    about_the_change = ("reschedule_meetings", "is_data_fix")
    """Fields that are no settings of the user."""

    class Meta:
        model = ConferencingUser
        fields = ["tenant", "upn", *STORED_WITH_USER]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["conference_id"] = self.instance.conference_id

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("is_data_fix") and cleaned.get("reschedule_meetings"):
            told = gettext("A data fix starts no run: untick this, or the one that reschedules the meetings.")
            self.add_error("is_data_fix", told)
        edited = {name: cleaned[name] for name in self.changed_data if name in cleaned}
        return cleaned | (left_behind(self.instance, edited) if self.instance.pk else {})

    def edited(self) -> dict[str, Any]:
        """The settings that were edited on the page."""
        return {name: value for name, value in super().edited().items() if name not in self.about_the_change}

    def make_change(self) -> ConferencingUser | list[Consequence]:
        """Make or change the user. Returns the new user, or what follows from the change."""
        if self.instance.pk is None:
            values = {name: value for name, value in self.cleaned_data.items() if name not in self.about_the_change}
            return create_user(values.pop("tenant"), self.actor, **values)
        values = self.edited()
        return change_user(
            self.instance,
            self.actor,
            reschedule_meetings=self.cleaned_data["reschedule_meetings"],
            # Where no setting was edited nothing is fixed, and the answer says that nothing changed.
            is_data_fix=self.cleaned_data["is_data_fix"] and bool(values),
            **values,
        )

    def _get_validation_exclusions(self) -> set[str]:
        """Left to the change itself, which says at the field that a name is taken."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"upn"}


class ConferenceIdInline(admin.TabularInline[ConferenceId, ConferencingUser]):
    model = ConferenceId
    fields = ("digits", "bridge", "meeting_uid")
    readonly_fields = ("digits", "bridge", "meeting_uid")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ConferencingUser)
class ConferencingUserAdmin(ThroughChanges):
    form = ConferencingUserForm
    list_display = ["upn", "display_name", "tenant", "hosting", "audio_conferencing_license", "bridge"]
    list_filter = ["tenant", "hosting", "mailbox_location", "audio_conferencing_license", "bridge"]
    list_select_related = ["tenant", "bridge"]
    search_fields = ["upn", "sip_address", "display_name"]
    autocomplete_fields = ["bridge", "toll_number", "toll_free_number", "deployment"]
    inlines = [ConferenceIdInline]

    def get_readonly_fields(self, request: HttpRequest, obj: ConferencingUser | None = None) -> list[str]:
        return ["user_id", "tenant", "upn", "created"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: ConferencingUser | None = None) -> list[Any]:
        fields = [*ConferencingUserForm.Meta.fields, "conference_id"]
        if obj is None:
            told = _("A new user starts no migration: their invitations are taken to say what is stored here.")
            return [(None, {"fields": fields, "description": told})]
        kept = self.get_readonly_fields(request, obj)
        others = [name for name in fields if name not in kept]
        return [
            (None, {"fields": [*kept, *others, "reschedule_meetings"]}),
            (_("Data fix"), {"fields": ["is_data_fix"]}),
        ]

    def save_model(self, request: HttpRequest, obj: ConferencingUser, form: Any, change: bool) -> None:
        if not change:
            obj.pk = form.make_change().pk
            return
        for told in form.make_change():
            said = {"upn": told.upn, "sentence": told.sentence}
            messages.info(request, gettext("User %(upn)s: %(sentence)s") % said)
            if form.edited() and not told.starts_run:
                tell_user_out_of_date(request, obj)
