"""What a new tenant needs before its first migration: ticked as it is there, and gone when a run has succeeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from migrations_app.models import CalendarObject, Run, Update
from tenants_app.access import Access, access_for
from tenants_app.models import Bridge, ConferencingUser, MailServerConnection, Role, ServiceNumber, Tenant
from tenants_app.screens.requests import Request

_HIDDEN = "first-steps"
"""The cookie of a browser in which somebody has put the steps away; it lies below the tenant's address."""
_A_YEAR = 31_536_000  # seconds
_SHOWN = 3
"""Names of those who may do a step."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do once, on a page."""

    name: str
    why: str
    page: str
    least: Role.Name
    is_done: bool


def first_steps(request: Request, access: Access, *, has_succeeded: bool) -> dict[str, Any]:
    """For the dashboard: the steps, who may do those that the visitor may not, and whether they are put away.

    ``has_succeeded``: whether somebody's latest run has, so that nothing of this is needed. Then it asks nothing.
    """
    if has_succeeded:
        return {}
    steps = _steps(access.tenant)
    return {
        "steps": [(step, access.allows(step.least)) for step in steps],
        "steps_left": sum(not step.is_done for step in steps),
        "steps_are_hidden": bool(request.COOKIES.get(_HIDDEN)),
        "who_can": {least.value: _who_can(access, least) for least in (Role.Name.ADMIN, Role.Name.OPERATOR)},
    }


def _steps(tenant: Tenant) -> Sequence[Step]:
    slug = tenant.slug
    of_tenant = {"tenant": OuterRef("pk")}
    users = ConferencingUser.objects.filter(**of_tenant)
    numbers = ServiceNumber.objects.filter(**of_tenant, kind=ServiceNumber.Kind.TOLL)
    there = Tenant.objects.values(
        bridge=Exists(Bridge.objects.filter(**of_tenant)),
        number=Exists(numbers),
        user=Exists(users),
        connected=Exists(users.filter(mailbox__isnull=False)) | Q(mailbox__isnull=False),
        meeting=Exists(CalendarObject.objects.filter(user__tenant=OuterRef("pk"))),
        mail=Exists(MailServerConnection.objects.filter(**of_tenant)),
        run=Exists(Run.objects.filter(**of_tenant)),
        message=Exists(Update.objects.filter(result__run__tenant=OuterRef("pk"), state=Update.State.SENT)),
    ).get(pk=tenant.pk)
    bridge = tenant.bridges.order_by("pk").first()
    number_page = bridge.get_absolute_url() if bridge else reverse("bridges", args=[slug])
    admin, operator = Role.Name.ADMIN, Role.Name.OPERATOR
    return [
        Step(_("Add a bridge"), _("Where people dial in."), reverse("bridges", args=[slug]), admin, there["bridge"]),
        Step(_("Give it a toll number"), _("What invitations show."), number_page, admin, there["number"]),
        Step(
            _("Import your users"),
            _("From a CSV file, such as an export of your directory."),
            reverse("user-imports", args=[slug]),
            admin,
            there["user"],
        ),
        Step(
            _("Connect the mailboxes"),
            _("Where the meetings of your users are."),
            reverse("mailboxes", args=[slug]),
            admin,
            there["connected"] or there["meeting"],
        ),
        Step(
            _("Choose how mail goes out"),
            _("By which server, and in whose name, attendees are told."),
            reverse("mail", args=[slug]),
            admin,
            there["mail"] or there["message"],
        ),
        Step(
            _("Switch meeting migration on"),
            _("While it is off, no run begins."),
            reverse("settings", args=[slug]),
            admin,
            tenant.meeting_migration_enabled,
        ),
        Step(
            _("Migrate a first user"),
            _("Open one, see what a run would do to each meeting, and start it."),
            reverse("users", args=[slug]),
            operator,
            there["run"],
        ),
    ]


def _who_can(access: Access, least: Role.Name) -> str:
    """Who may do what the visitor may not, in a sentence; empty where the visitor may."""
    if access.allows(least):
        return ""
    enough = [Role.Name.ADMIN] if least == Role.Name.ADMIN else [Role.Name.OPERATOR, Role.Name.ADMIN]
    roles = Role.objects.filter(tenant=access.tenant, name__in=enough, account__is_active=True)
    names = list(roles.order_by("account__username").values_list("account__username", flat=True)[: _SHOWN + 1])
    if not names:
        if least == Role.Name.ADMIN:
            return _("Nobody has the role admin yet: whoever runs MMS for you gives it.")
        return _("Nobody has the role operator yet: whoever runs MMS for you gives it.")
    who = {"names": ", ".join(names[:_SHOWN])}
    if least == Role.Name.ADMIN:
        told = _("This needs the role admin: %(names)s and others can do it.")
        few = _("This needs the role admin: %(names)s can do it.")
    else:
        told = _("This needs the role operator: %(names)s and others can do it.")
        few = _("This needs the role operator: %(names)s can do it.")
    return (told if len(names) > _SHOWN else few) % who


@require_POST
def put_away(request: Request, slug: str) -> HttpResponse:
    """Put the steps away in this browser, or get them out again."""
    access = access_for(request, slug)
    home = access.tenant.get_absolute_url()
    response = redirect(home)
    if request.POST.get("show"):
        response.delete_cookie(_HIDDEN, path=home, samesite="Lax")
    else:
        response.set_cookie(
            _HIDDEN, "away", max_age=_A_YEAR, path=home, secure=request.is_secure(), httponly=True, samesite="Lax"
        )
    return response
