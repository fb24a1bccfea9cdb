"""What ``tenants_app`` tells administrators about this app: how tenants stand, and what comes next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext

from migrations_app.models import Run
from migrations_app.monitoring import activity
from migrations_app.monitoring.progress import standings
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tenants_app.signals import Page, Remedy, Standing

STARTS = "Run,"
"""What the consequence of a change begins with that has started a run."""
ONE_CHANGE = timedelta(minutes=1)
"""How long after a change is noted its run is requested, in the same transaction."""


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


def on_version_wanted(sender: object, *, tenants: Collection[Tenant], **_: Any) -> str:
    """Whether anything has changed that pages of the tenants show."""
    return activity.version(tenants)


def on_pages_wanted(sender: object, *, tenant: Tenant, entries: Sequence[AuditEntry], **_: Any) -> Mapping[int, Page]:
    """The runs that the entries name or have started, as far as they are in the history still: two questions."""
    named = {entry.pk: str(entry.after["run"]) for entry in entries if entry.after.get("run")}
    runs = Run.objects.filter(tenant=tenant, correlation_id__in=set(named.values())) if named else Run.objects.none()
    there = {str(each) for each in runs.values_list("correlation_id", flat=True)}
    found = {key: run for key, run in named.items() if run in there} | _started(
        tenant, [entry for entry in entries if entry.consequence.startswith(STARTS)]
    )
    return {key: Page(gettext("The run"), reverse("run", args=[tenant.slug, run])) for key, run in found.items()}


def _started(tenant: Tenant, entries: Sequence[AuditEntry]) -> dict[int, str]:
    """The run of each entry that is about a user and started one, or joined one that was pending (R18)."""
    if not entries:
        return {}
    moments = [entry.at for entry in entries]
    users = ConferencingUser.objects.with_upns(tenant, {entry.target for entry in entries})
    runs = Run.objects.filter(tenant=tenant, user__in=users, created__lte=max(moments) + ONE_CHANGE)
    runs = runs.filter(Q(finished_at=None) | Q(finished_at__gte=min(moments))).order_by("created", "pk")
    of_user: dict[str, list[Run]] = {}
    for run in runs.select_related("user").only("user__upn", "created", "started_at", "finished_at", "correlation_id"):
        of_user.setdefault(run.user.upn.lower(), []).append(run)
    found: dict[int, str] = {}
    for entry in entries:
        until, theirs = entry.at + ONE_CHANGE, of_user.get(entry.target.lower(), [])
        open_then = [run for run in theirs if run.created <= until and _is_after(run.finished_at, entry.at)]
        # One that was in progress does not know of the change: the first that began later does.
        waiting = [run for run in open_then if _is_after(run.started_at, entry.at)]
        if open_then:
            found[entry.pk] = str((waiting or open_then[-1:])[0].correlation_id)
    return found


def _is_after(moment: datetime | None, then: datetime) -> bool:
    return moment is None or moment >= then


def on_next_steps_wanted(sender: object, *, tenant: Tenant, **_: Any) -> list[str]:
    """What to do when a new tenant has bridges and numbers."""
    return [f"import_users FILE.csv --tenant {tenant.slug}", f"import_meetings PATH --user UPN --tenant {tenant.slug}"]


def on_command_wanted(sender: object, *, sentence: str, **_: Any) -> str:
    """The command of the Meeting Migration Tool, where a refusal advises the tool."""
    return (
        gettext("The command of the tool is migrate_calendar.") if "use the Meeting Migration Tool" in sentence else ""
    )
