"""By which mail server a tenant's messages go out and in whose name, whether it works, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from migrations_app.mail.deliverability.check import check
from migrations_app.mail.findings import Finding
from migrations_app.mail.servers import service_of
from migrations_app.mail.trial import try_server
from migrations_app.monitoring import mail_server
from migrations_app.screens.forms.connections import MailServerForm
from tenants_app.access import Access, access_for
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import MailServerConnection, Role
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request
from tenants_app.validators import is_address


@require_http_methods(["GET", "HEAD", "POST"])
def mail_settings(request: Request, slug: str) -> HttpResponse:
    """The tenant's mail server and sender, with a form that an admin may save."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = MailServerForm(request.POST if is_post else None, instance=MailServerConnection.of(access.tenant))
    if is_post and form.is_valid():
        with refusals_told(form):
            change_mail_server(access.tenant, access.actor, **form.edited())
            messages.success(request, _("The mail settings are saved. Messages that waited are tried at once."))
            return redirect("mail", slug)
    return _page(request, access, form)


@require_POST
def try_mail_server(request: Request, slug: str) -> HttpResponse:
    """Try the mail server step by step, as it is saved; mails nobody."""
    access = access_for(request, slug, Role.Name.ADMIN)
    return _page(request, access, title=_("Test of the mail server"), findings=try_server(access.tenant))


@require_POST
def send_test_message(request: Request, slug: str) -> HttpResponse:
    """Try the mail server, and send one message to who is signed in, and to nobody else."""
    access = access_for(request, slug, Role.Name.ADMIN)
    if not is_address(request.user.email):
        messages.error(
            request, _("Your account has no mail address to which a message could be sent: have one entered.")
        )
        return redirect("mail", slug)
    found = try_server(access.tenant, request.user.email)
    return _page(request, access, title=_("Test message"), findings=found)


@require_POST
def check_deliverability(request: Request, slug: str) -> HttpResponse:
    """Look up what DNS says of the tenant's domain, and tell what becomes of mail in either sender mode."""
    access = access_for(request, slug, Role.Name.ADMIN)
    return _page(request, access, title=_("Deliverability check"), findings=check(access.tenant))


def _page(
    request: Request,
    access: Access,
    form: MailServerForm | None = None,
    *,
    title: str = "",
    findings: Iterable[Finding] = (),
) -> HttpResponse:
    stored = MailServerConnection.of(access.tenant)
    name = mail_server.name_of(stored)
    context: dict[str, Any] = {
        "access": access,
        "form": form or MailServerForm(None, instance=stored),
        "server": stored,
        "service": service_of(access.tenant, stored),
        "silent": mail_server.silence(name),
        "held_until": mail_server.holds().get(name),
        "title": title,
        "findings": list(findings),
    }
    return render(request, "settings/mail.html", context)
