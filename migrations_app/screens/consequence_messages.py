"""Telling the administrator, after a redirect, what their change or start led to."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import ngettext

from tenants_app.signals import Consequence


def tell_consequences(request: HttpRequest, consequences: Sequence[Consequence]) -> None:
    """Show one message per sentence, with the number of users where it is true of several."""
    users: dict[tuple[bool, str], list[str]] = {}
    for consequence in consequences:
        sentence = f"{consequence.sentence} {consequence.chosen}".rstrip()
        users.setdefault((consequence.starts_run, sentence), []).append(consequence.upn)
    for (starts, sentence), upns in users.items():
        many = ngettext("%(number)s user: %(sentence)s", "%(number)s users: %(sentence)s", len(upns))
        told = "%(upn)s: %(sentence)s" if len(upns) == 1 else many
        values = {"upn": upns[0], "number": number_format(len(upns), force_grouping=True), "sentence": sentence}
        messages.add_message(request, messages.SUCCESS if starts else messages.WARNING, told % values)
