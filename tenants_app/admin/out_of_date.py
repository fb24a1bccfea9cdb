"""Whom a change leaves out of date (R36), and what brings them up to date, as messages above the page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tenants_app.models import Bridge, ConferencingUser, Tenant
from tenants_app.signals import Remedy, remedy_for


def tell_out_of_date(request: HttpRequest, tenant: Tenant, bridge: Bridge | None = None) -> None:
    """Say how many users of the tenant, or of the bridge, have invitations that do not say what is stored now."""
    users = ConferencingUser.objects.filter(tenant=tenant) if bridge is None else bridge.users.all()
    count = users.out_of_date().count()
    if count:
        sentence = ngettext(
            "{number} user of {whose} is out of date, and saving here started no run.",
            "{number} users of {whose} are out of date, and saving here started no run.",
            count,
        )
        told = format_html(sentence, number=number_format(count, force_grouping=True), whose=bridge or tenant)
        if remedy := remedy_for(tenant, bridge=bridge):
            told = _with_remedy(_('<a href="{page}">Start their runs</a>, or use {command}.'), told, remedy, tenant)
        messages.warning(request, told)


def tell_user_out_of_date(request: HttpRequest, user: ConferencingUser) -> None:
    """Say so where the user's invitations do not say what is stored now."""
    if ConferencingUser.objects.filter(pk=user.pk).out_of_date().exists():
        told = format_html(_("User {upn} is out of date: invitations do not say what is stored now."), upn=user.upn)
        if remedy := remedy_for(user.tenant, user=user):
            what_to_do = _('Start a run on the page <a href="{page}">of the user</a>, or with {command}.')
            told = _with_remedy(what_to_do, told, remedy, user.tenant)
        messages.warning(request, told)


def _with_remedy(what_to_do: str, told: SafeString, remedy: Remedy, tenant: Tenant) -> SafeString:
    command = f"{remedy.command} --tenant {tenant.slug}"
    return format_html("{} {}", told, format_html(what_to_do, page=remedy.page, command=command))
