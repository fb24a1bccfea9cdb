"""What the pages of the Django admin share: a change is tried when its form is checked, and made when it is saved."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest

from tenants_app.audit import Actor, Channel
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import Tenant
from tenants_app.screens.forms import MergingForm
from tenants_app.screens.refusals import tell_refusal


def actor_of(request: HttpRequest) -> Actor:
    return Actor(cast(User, request.user).get_username(), Channel.ADMIN)


class ChangeForm(MergingForm):
    """A form of a row that is changed by ``tenants_app.changes``.

    The last check of the form is to make the change and to take it back, so what a change is refused for stands at
    its field like any other mistake. Whoever saves the form makes the change again, to stay.
    """

    actor: Actor
    """Who changes it. The admin sets it on the class, which it makes anew for every request."""

    def make_change(self) -> Any:
        """Make the change that the form asks for; raises ``ValidationError`` where it cannot be made."""
        raise NotImplementedError

    @property
    def tenant(self) -> Tenant | None:
        """Whose row it is; None where it is the tenant itself that is made."""
        return cast(Tenant, self.instance.tenant)

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and not self.errors:
            try:
                self._try_change()
            except ValidationError as error:
                tell_refusal(self, error)

    def _try_change(self) -> None:
        if self.tenant is not None:
            wait_for_others(self.tenant)  # so that what can be made now can be made when the form is saved
        with transaction.atomic():
            self.make_change()
            transaction.set_rollback(True)


class ThroughChanges(admin.ModelAdmin[Any]):
    """Rows that are changed by ``tenants_app.changes``; ``form`` is a :class:`ChangeForm`."""

    view_on_site = False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # a class of its own for every request
        form.actor = actor_of(request)  # type: ignore[attr-defined]
        for field in form.base_fields.values():
            if isinstance(field.widget, RelatedFieldWidgetWrapper):
                field.widget.can_delete_related = False  # what is chosen here is not removed from here
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """The audit trail holds who changed what; the admin's own log needs only that something was done."""
        return "Added." if add else "Changed."


class ReadOnly(admin.ModelAdmin[Any]):
    """To be looked at only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
