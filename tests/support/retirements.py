"""Rollouts at their end: what is shown before a legacy deployment is retired."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from migrations_app.models import (
    AcceptedMeeting,
    FoundMeeting,
    MeetingSearch,
    Rollout,
    RolloutCheck,
    TakenListing,
    UnreadMailbox,
    Wave,
)
from migrations_app.rollouts import taken_listings
from migrations_app.rollouts.retirement import retire
from tenants_app.csv_files.cells import lines
from tenants_app.models import ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_deployment, a_rollout


def a_retirable_rollout(tenant: Tenant, name: str) -> Rollout:
    """One whose legacy deployment, of that name, may be retired now: all of it is shown."""
    legacy = a_deployment(tenant, name=f"{name} pool", meeting_hosts=[f"{name.lower()}.contoso.com"])
    new = a_deployment(tenant, "new", name=f"{name} service", meeting_hosts=["cloud.contoso.com"])
    rollout = a_rollout(tenant, legacy, new, name=name)
    long_ago = timezone.now() - timedelta(days=30)
    done = {"state": "Completed", "moved_at": long_ago, "accepted_at": long_ago, "accepted_by": ACTOR.name}
    Wave.objects.filter(rollout=rollout).update(**done)
    RolloutCheck.objects.filter(rollout=rollout).delete()
    show(legacy)
    return rollout


def show(legacy: Deployment) -> MeetingSearch:
    """Take both listings, and have a search that found nothing."""
    taken_listings.take(legacy, TakenListing.Kind.ACCOUNTS, b"SipAddress\n", "accounts.csv", ACTOR)
    taken_listings.take(legacy, TakenListing.Kind.DIRECTORIES, b"", "directories.csv", ACTOR)
    now = timezone.now()
    return MeetingSearch.objects.create(
        tenant=legacy.tenant, deployment=legacy, asked_by=ACTOR.name, searched_at=now, hosts=legacy.meeting_hosts
    )


def retirements_of_tables(user: ConferencingUser) -> dict[str, int]:
    """Keys of rollouts whose legacy deployment may be retired, and is retired; and of a meeting that a search of the
    rollout ``Rolling`` has found, whose third wave was searched as well."""
    rolling = Rollout.objects.select_related("legacy__tenant", "new").get(tenant=user.tenant, name="Rolling")
    search = show(rolling.legacy)
    to_come = {"user": user, "last_end": timezone.now() + timedelta(days=9)}
    found = FoundMeeting.objects.create(search=search, uid="found", subject="Budget", shows=["x"], **to_come)
    wave = rolling.waves.get(position=3)
    of_wave = MeetingSearch.objects.create(
        tenant=user.tenant, deployment=rolling.new, wave=wave, asked_by=ACTOR.name, searched_at=timezone.now()
    )
    FoundMeeting.objects.create(search=of_wave, uid="stranded", subject="Plans", **to_come)
    retired = a_retirable_rollout(user.tenant, "Retired")
    retire(retired.legacy, ACTOR)
    return {
        "found": found.pk,
        "retirable": a_retirable_rollout(user.tenant, "Retirable").pk,
        "retired": retired.pk,
    }


def retirement_of_pages(user: ConferencingUser, rollout: int, text: str) -> dict[str, int]:
    """What pages show of the way back and of retirement for a rollout (key) whose second wave the user has moved in;
    and the key of a rollout whose legacy deployment is retired. ``text`` is what people wrote."""
    found_by = Rollout.objects.select_related("legacy__tenant", "new").get(pk=rollout)
    legacy, now = found_by.legacy, timezone.now()
    wave = found_by.waves.get(position=2)
    wave.members.update(moved_at=now, client_version="99.1")
    Deployment.objects.filter(pk=legacy.pk).update(highest_client_version="16.0")
    taken_listings.take(
        legacy, TakenListing.Kind.ACCOUNTS, lines([["SipAddress"], [text[:300]]]).encode(), text[:200], ACTOR
    )
    shown = {"subject": text[:255], "starts_at": now, "last_end": now + timedelta(days=9), "shows": [text[:100]]}
    for of in (wave, None):
        search = MeetingSearch.objects.create(
            tenant=legacy.tenant,
            deployment=legacy if of is None else found_by.new,
            wave=of,
            asked_by=ACTOR.name,
            searched_at=now,
            hosts=["join.contoso.com"],
        )
        for uid in ("stranded", "accepted"):
            FoundMeeting.objects.create(
                search=search, user=user, uid=uid, attendees=[text[:100]], join_url=f"https://x/{text[:100]}", **shown
            )
        UnreadMailbox.objects.create(search=search, user=user, code="mailbox-unavailable", detail=text[:300])
    accepted = {"subject": text[:255], "by": text[:200], "reason": text[:500]}
    AcceptedMeeting.objects.create(deployment=legacy, user=user, uid="accepted", **accepted)
    retired = a_retirable_rollout(user.tenant, "Retired")
    retire(retired.legacy, ACTOR, text[:500])
    return {"retired": retired.pk}
