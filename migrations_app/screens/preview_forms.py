"""What a posted preview is about, as a plan: the ``kind`` and its parameters."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress

from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.models import Run, UserImport
from migrations_app.preview.plans import Changes, Import, NumberRelease, Plan, Starts, TenantSettings
from migrations_app.preview.undo_plan import Undo
from migrations_app.runs.undo_start import why_not_undone
from migrations_app.screens.forms.starting import MeetingTypesForm
from migrations_app.screens.selection import selection_of
from tenants_app.access import Access
from tenants_app.bulk import batched
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.screens.forms import TenantForm
from tenants_app.screens.refusals import refusal_of
from tenants_app.screens.requests import Request

_GONE = gettext_noop("What the preview was to be about is not there any more: look again.")


def asked_plan(request: Request, access: Access) -> Plan:
    """The plan that a POST asks for. Raises ``ValidationError`` where it asks for nothing that can be looked at.

    ``kind`` is one of: ``start`` (runs of the keys ``user``, or of a ``selection``, or of all out of date), ``move``
    (the keys ``user``, or a ``selection``, ``to`` a bridge), ``release`` (a ``number`` replaced ``by`` another),
    ``import`` (the file ``import``), ``settings`` (the form of the tenant's settings), ``undo`` (of the ``run`` with
    this correlation ID). A selection is as the address of
    a page about one has it.
    """
    make = _KINDS.get(request.POST.get("kind", ""))
    if make is None:
        raise ValidationError(_("Say what the preview is to be about."))
    return make(request, access)


def _start(request: Request, access: Access) -> Plan:
    form = MeetingTypesForm(request.POST, access.tenant)
    if not form.is_valid():
        raise refusal_of(form)
    return Starts.of(access.tenant, users=chosen_users(request, access), targets=form.targets())


def chosen_users(request: Request, access: Access) -> list[int] | None:
    """The keys of the users whom a POST names one by one or by a selection; None where it does neither."""
    users = ConferencingUser.objects.filter(tenant=access.tenant)
    if "user" in request.POST:
        keys = {int(key) for key in request.POST.getlist("user") if key.isascii() and key.isdecimal() and len(key) < 19}
        return [user.pk for some in batched(sorted(keys)) for user in users.filter(pk__in=some).only("pk")]
    if "selection" in request.POST:
        selection = selection_of(QueryDict(request.POST["selection"]), access)
        keys_of_all = list(selection.users.order_by("pk").values_list("pk", flat=True))
        if not keys_of_all:
            raise ValidationError(selection.nobody)
        return keys_of_all
    return None


def _move(request: Request, access: Access) -> Plan:
    bridges = Bridge.objects.filter(tenant=access.tenant)
    target = bridges.filter(pk=_key(request, "to")).first()
    users = chosen_users(request, access)
    if target is None or users is None:
        raise ValidationError(_(_GONE))
    return Changes.of(access.tenant, {"bridge": target}, users=users)


def _release(request: Request, access: Access) -> Plan:
    number = ServiceNumber.objects.filter(tenant=access.tenant, pk=_key(request, "number")).first()
    by = request.POST.get("by", "")
    if number is None or not by:
        raise ValidationError(_(_GONE))
    return NumberRelease(access.tenant, {"number": number.pk, "e164": by})


def _import(request: Request, access: Access) -> Plan:
    waiting = UserImport.objects.filter(tenant=access.tenant, state=UserImport.State.CHECKED)
    if not waiting.filter(pk=_key(request, "import")).exists():
        raise ValidationError(_("The file does not wait for a decision any more: look how it stands."))
    return Import(access.tenant, {"import": _key(request, "import")})


def _settings(request: Request, access: Access) -> Plan:
    form = TenantForm(request.POST, instance=Tenant.objects.get(pk=access.tenant.pk))
    if not form.is_valid():
        raise refusal_of(form)
    return TenantSettings.of(access.tenant, form.edited())


def _undo(request: Request, access: Access) -> Plan:
    with suppress(ValueError):
        named = uuid.UUID(request.POST.get("run", ""))
        runs = Run.objects.filter(tenant=access.tenant, correlation_id=named)
        if run := runs.select_related("tenant", "user__tenant", "user__bridge").first():
            if refusal := why_not_undone(run):
                raise ValidationError(refusal)
            return Undo.of(run)
    raise ValidationError(_(_GONE))


def _key(request: Request, name: str) -> int:
    value = request.POST.get(name, "")
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise ValidationError(_(_GONE))
    return int(value)


_KINDS: Mapping[str, Callable[[Request, Access], Plan]] = {
    "start": _start,
    "move": _move,
    "release": _release,
    "import": _import,
    "settings": _settings,
    "undo": _undo,
}
