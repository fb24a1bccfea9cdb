"""Mailbox connections: where organizers' mailboxes are, trying one, and looking at one user's mailbox now."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.mailboxes.of_user import try_connection
from migrations_app.models import MailboxScan
from migrations_app.procedures.mailbox_scans import request_scan
from migrations_app.screens.forms.connections import ConnectionForm, NewConnectionForm, SignInsForm, TryForm
from tenants_app.access import Access, access_for
from tenants_app.changes.mailboxes import (
    change_connection,
    check_can_be_removed,
    create_connection,
    remove_connection,
    set_credentials,
    use_embedded_by_default,
)
from tenants_app.models import ConferencingUser, MailboxConnection, MailboxCredential, Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request

Kind = MailboxConnection.Kind
_KINDS = [
    (Kind.GRAPH, gettext_noop("Mailboxes in Microsoft 365, reached through Microsoft Graph.")),
    (Kind.EXCHANGE, gettext_noop("Mailboxes on servers of your own, reached through EWS.")),
    (Kind.CALDAV, gettext_noop("Nextcloud, Cyrus and other calendar servers (RFC 4791).")),
]
"""The kinds of connections that can be made, with what each is for."""


@require_http_methods(["GET", "HEAD", "POST"])
def connections(request: Request, slug: str) -> HttpResponse:
    """All connections. A POST by an admin makes one, or with ``embedded`` has MMS keep the mailboxes by default."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    if "embedded" in request.POST:
        use_embedded_by_default(access.tenant, access.actor)
        messages.success(request, _("MMS keeps the mailboxes of users who have no other."))
        return redirect("mailboxes", slug)
    kind = _kind_chosen(request)
    posted = (request.POST, request.FILES) if is_post else (None, None)
    form = NewConnectionForm(*posted, tenant=access.tenant, kind=kind) if kind else None
    if is_post and form and form.is_valid():
        with refusals_told(form):
            made = create_connection(access.tenant, access.actor, **form.entered())
            told = _("The connection %(name)s is there. Try it on one user's mailbox first.")
            messages.success(request, told % {"name": made})
            return redirect("mailbox-connection", slug, made.pk)
    found = _outside(access).annotate(
        scan_count=Count("scans"), scanned_count=Count("scans", filter=~Q(scans__scanned_at=None))
    )
    kinds = [(each.value, each.label, _(meaning)) for each, meaning in _KINDS]
    context = {"access": access, "connections": found, "form": form, "kind": kind, "kinds": kinds}
    return render(request, "mailboxes/connections.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def connection(request: Request, slug: str, pk: int) -> HttpResponse:
    """One connection. A POST by an admin saves the form, or with ``make_default`` makes it the tenant's default."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = _connection(access, pk)
    if "make_default" in request.POST:
        change_connection(shown, access.actor, make_default=True)
        told = _("%(name)s has the mailboxes of all users who have no other.")
        messages.success(request, told % {"name": shown})
        return redirect("mailbox-connection", slug, pk)
    posted = (request.POST, request.FILES) if is_post else (None, None)
    form = ConnectionForm(*posted, instance=_connection(access, pk))
    if is_post and form.is_valid():
        with refusals_told(form):
            change_connection(shown, access.actor, **form.edited())
            messages.success(request, _("The settings of %(name)s are saved.") % {"name": shown})
            return redirect("mailbox-connection", slug, pk)
    return _connection_page(request, access, shown, form=form)


@require_POST
def try_it(request: Request, slug: str, pk: int) -> HttpResponse:
    """Try the connection on one user's mailbox, step by step, and keep what is found; changes nothing there."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _connection(access, pk)
    form = TryForm(request.POST, access.tenant)
    if not form.is_valid():
        return _connection_page(request, access, shown, try_form=form)
    for _finding in try_connection(shown, form.cleaned_data["user"]):
        """What is found is kept with the connection."""
    return redirect("mailbox-connection", slug, pk)


@require_POST
def sign_ins(request: Request, slug: str, pk: int) -> HttpResponse:
    """Keep the sign-ins of a file: users' own, where the connection has no service account."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _connection(access, pk)
    form = SignInsForm(request.POST, request.FILES)
    if form.is_valid():
        with refusals_told(form):
            count = set_credentials(shown, form.cleaned_data["file"], access.actor)
            told = ngettext(
                "The sign-ins of %(number)s user are kept.", "The sign-ins of %(number)s users are kept.", count
            )
            messages.success(request, told % {"number": number_format(count, force_grouping=True)})
            return redirect("mailbox-connection", slug, pk)
    return _connection_page(request, access, shown, sign_ins_form=form)


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Remove the connection. GET says whether that is possible, POST removes it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _connection(access, pk)
    refusal = ""
    try:
        if request.method == "POST":
            remove_connection(_connection(access, pk), access.actor)
        else:
            check_can_be_removed(shown, access.tenant)
    except ValidationError as error:
        refusal = " ".join(error.messages)
    if request.method == "POST" and not refusal:
        messages.success(request, _("The connection %(name)s is removed.") % {"name": shown})
        return redirect("mailboxes", slug)
    return render(request, "mailboxes/remove.html", {"access": access, "connection": shown, "refusal": refusal})


@require_POST
def scan_now(request: Request, slug: str, upn: str) -> HttpResponse:
    """Let the background service look at the user's mailbox now."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    user = ConferencingUser.objects.with_upns(access.tenant, [upn]).first()
    if user is None:
        raise Http404
    if request_scan(user):
        messages.success(request, _("The mailbox is looked at now. What has changed there shows in a moment."))
    else:
        messages.info(request, _("MMS keeps this mailbox itself, so there is nothing to look at."))
    return redirect("user", slug, user.upn)


def _connection_page(
    request: Request,
    access: Access,
    shown: MailboxConnection,
    form: ConnectionForm | None = None,
    **more: Any,
) -> HttpResponse:
    of_it = MailboxScan.objects.filter(connection=shown)
    context = {
        "access": access,
        "connection": shown,
        "is_default": access.tenant.mailbox_id == shown.pk,
        "form": form or ConnectionForm(None, None, instance=_connection(access, shown.pk)),
        "try_form": TryForm(None, access.tenant),
        "sign_ins_form": SignInsForm(),
        "sign_in_count": MailboxCredential.objects.filter(user__mailbox_scan__connection=shown).count(),
        "user_count": of_it.count(),
        "scanned_count": of_it.exclude(scanned_at=None).count(),
        "failing": of_it.exclude(code="").select_related("user").order_by("user__upn")[:10],
        "failing_count": of_it.exclude(code="").count(),
    } | more
    return render(request, "mailboxes/connection.html", context)


def _kind_chosen(request: Request) -> str:
    """Of the connection that is to be made; empty before one is chosen."""
    given = request.POST.get("kind", Kind.CALDAV) if request.method == "POST" else request.GET.get("kind", "")
    return given if given in {name for name, _meaning in _KINDS} else ""


def _outside(access: Access) -> Any:
    return MailboxConnection.objects.filter(tenant=access.tenant).exclude(kind=MailboxConnection.Kind.EMBEDDED)


def _connection(access: Access, pk: int) -> MailboxConnection:
    found: MailboxConnection = get_object_or_404(_outside(access).select_related("tenant"), pk=pk)
    return found
