"""What ``tenants_app`` tells administrators about this app: how tenants stand, and what comes next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.urls import reverse

from migrations_app.models import Run
from migrations_app.monitoring.progress import standings
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tenants_app.signals import Page, Remedy, Standing


def on_remedy_wanted(
    sender: object, *, tenant: Tenant, bridge: Bridge | None, user: ConferencingUser | None, **_: Any
) -> Remedy:
    """Where runs are started for users who are out of date."""
    if user is not None:
        return Remedy(user.get_absolute_url(), f"start_meeting_migration --user {user.upn}")
    only = f"&bridge={bridge.pk}" if bridge else ""
    page = f"{reverse('selected', args=[tenant.slug, 'start'])}?out_of_date=yes{only}&all"
    return Remedy(page, "start_meeting_migration --out-of-date")


def on_standings_wanted(sender: object, *, tenants: Collection[Tenant], **_: Any) -> Mapping[int, Standing]:
    """What of each tenant failed, waits, and needs a person."""
    return standings(tenants)


def on_pages_wanted(sender: object, *, tenant: Tenant, entries: Sequence[AuditEntry], **_: Any) -> Mapping[int, Page]:
    """The runs that the entries name, as far as they are in the history still: one question."""
    named = {entry.pk: str(entry.after["run"]) for entry in entries if entry.after.get("run")}
    runs = Run.objects.filter(tenant=tenant, correlation_id__in=set(named.values())) if named else Run.objects.none()
    there = {str(each) for each in runs.values_list("correlation_id", flat=True)}
    return {key: Page("The run", reverse("run", args=[tenant.slug, run])) for key, run in named.items() if run in there}


def on_next_steps_wanted(sender: object, *, tenant: Tenant, **_: Any) -> list[str]:
    """What to do when the users of a new tenant are there."""
    return [f"import_meetings PATH --user UPN --tenant {tenant.slug}"]


def on_command_wanted(sender: object, *, sentence: str, **_: Any) -> str:
    """The command of the Meeting Migration Tool, where a refusal advises the tool."""
    return "The command of the tool is migrate_calendar." if "use the Meeting Migration Tool" in sentence else ""
