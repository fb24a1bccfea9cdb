"""Whom a change leaves out of date (R36), and what brings them up to date, as messages above the page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html

from tenants_app.models import Bridge, ConferencingUser, Tenant
from tenants_app.signals import remedy_for
from tenants_app.wording import counted


def tell_out_of_date(request: HttpRequest, tenant: Tenant, bridge: Bridge | None = None) -> None:
    """Say how many users of the tenant, or of the bridge, have invitations that do not say what is stored now."""
    users = ConferencingUser.objects.filter(tenant=tenant) if bridge is None else bridge.users.all()
    count = users.out_of_date().count()
    if count:
        who = counted(count, "user"), bridge or tenant, "is" if count == 1 else "are"
        told = format_html("{} of {} {} out of date, and saving here started no run.", *who)
        remedy = remedy_for(tenant, bridge=bridge)
        if remedy:
            what_to_do = '{} <a href="{}">Start their runs</a>, or use {} --tenant {}.'
            told = format_html(what_to_do, told, remedy.page, remedy.command, tenant.slug)
        messages.warning(request, told)


def tell_user_out_of_date(request: HttpRequest, user: ConferencingUser) -> None:
    """Say so where the user's invitations do not say what is stored now."""
    if ConferencingUser.objects.filter(pk=user.pk).out_of_date().exists():
        told = format_html("User {} is out of date: invitations do not say what is stored now.", user.upn)
        remedy = remedy_for(user.tenant, user=user)
        if remedy:
            what_to_do = '{} Start a run on the page <a href="{}">of the user</a>, or with {} --tenant {}.'
            told = format_html(what_to_do, told, remedy.page, remedy.command, user.tenant.slug)
        messages.warning(request, told)
