"""Deployments side by side, a rollout between them, and who is in its waves: what tests of rollouts begin with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from migrations_app.models import CheckAnswer, IndexedMeeting, Outcome, Preview, Rollout, RolloutCheck, Wave, WaveMember
from migrations_app.rollouts.answers import answer
from migrations_app.rollouts.defining import new_rollout
from migrations_app.rollouts.recording import Found, record
from migrations_app.rollouts.waves import add_wave
from tenants_app import fingerprints
from tenants_app.models import Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR


def a_deployment(tenant: Tenant, role: str = "legacy", **values: Any) -> Deployment:
    """Contoso's old pool on-premises, or its new service online."""
    is_legacy = role == Deployment.Role.LEGACY
    usual = {
        "name": "Old pool" if is_legacy else "New service",
        "kind": Deployment.Kind.ON_PREMISES if is_legacy else Deployment.Kind.ONLINE,
        "meeting_hosts": ["lync.contoso.com"] if is_legacy else ["meet.contoso.com"],
    }
    deployment = Deployment(tenant=tenant, role=role, **{**usual, **values})
    deployment.full_clean()
    deployment.save()
    return deployment


def belong_to(deployment: Deployment, users: Iterable[ConferencingUser], *bridges: Bridge) -> None:
    """Let users and bridges belong to the deployment, as if they always had."""
    pks = [user.pk for user in users]
    ConferencingUser.objects.filter(pk__in=pks).update(deployment=deployment, hosting=deployment.kind)
    fingerprints.refresh(ConferencingUser.objects.filter(pk__in=pks), invitations_follow=True)
    Bridge.objects.filter(pk__in=[bridge.pk for bridge in bridges]).update(deployment=deployment)


def a_rollout(
    tenant: Tenant, legacy: Deployment | None = None, new: Deployment | None = None, **values: Any
) -> Rollout:
    """A rollout with its three first waves; the two deployments are made where the test has none."""
    return new_rollout(
        tenant,
        ACTOR,
        **{
            "name": "To the new service",
            "legacy": legacy or a_deployment(tenant),
            "new": new or a_deployment(tenant, "new"),
            **values,
        },
    )


def a_wave(rollout: Rollout, position: int = 1, **values: Any) -> Wave:
    """The wave at that position, from 1, with these values in its row, whatever they mean."""
    Wave.objects.filter(rollout=rollout, position=position).update(**values)
    return Wave.objects.select_related("rollout__tenant").get(rollout=rollout, position=position)


def members(wave: Wave, users: Iterable[ConferencingUser], **values: Any) -> list[WaveMember]:
    """The users as members of the wave, with these values in their rows, whatever they mean."""
    usual = {"source": WaveMember.Source.HAND, "added_by": ACTOR.name}
    WaveMember.objects.bulk_create(WaveMember(wave=wave, user=user, **{**usual, **values}) for user in users)
    return list(wave.members.select_related("user").order_by("pk"))


def rollouts_of_tables(new_bridge: Bridge, *users: ConferencingUser) -> dict[str, Any]:
    """Keys of rollouts on which every request of the table of permissions can act: one that has not begun, with a
    member of its first wave; and one whose waves run, have stopped, and are offered. The last user is in no wave, and a
    newcomer to the one that runs."""
    first, second, third, fourth, idle = users
    tenant = first.tenant
    legacy = a_deployment(tenant, name="Pool of tables")
    new = a_deployment(tenant, "new", name="Service of tables", mover="list")
    belong_to(legacy, users)
    planned = a_rollout(tenant, legacy, new, name="Planned")
    (first_member,) = members(a_wave(planned, 1), [first])
    rolling = a_rollout(tenant, legacy, new, name="Rolling")
    RolloutCheck.objects.filter(wave__rollout__in=[planned, rolling]).delete()
    now = timezone.now()
    begun = {"started_at": now, "started_by": "bob", "frozen_at": now, "counts_from": now, "next_look_at": now}
    running = a_wave(rolling, 1, state="Running", batch=1, saved_query=f"q={idle.upn}", **begun)
    members(running, [second], state="Moving", asked_at=now, batch=1, attempts=1)
    stopped = a_wave(rolling, 2, state="Stopped", batch=1, stop_reason="Too many have failed.", **begun)
    (failed,) = members(stopped, [third], state="Failed", batch=1, failure="Refused.", finished_at=now)
    offered = a_wave(rolling, 3, state="Observing", batch=1, moved_at=now, observed_until=now, offered_at=now, **begun)
    members(offered, [fourth], state="Done", batch=1, moved_at=now, finished_at=now)
    measured = RolloutCheck.objects.create(
        rollout=rolling,
        wave=running,
        position=10,
        name="Front end",
        scope="new",
        kind="tcp",
        parameters={"host": "meet.contoso.com", "port": 443},
    )
    question = RolloutCheck.objects.create(
        rollout=rolling, wave=running, position=20, name="Helpdesk", scope="both", kind="manual"
    )
    return {
        "rollout": planned.pk,
        "rolling": rolling.pk,
        "failed_member": failed.pk,
        "check": measured.pk,
        "question": question.pk,
        "first_wave": first_member.wave_id,
        "second_wave": planned.waves.get(position=2).pk,
        "first_member": first_member.pk,
        "last_wave": add_wave(rolling, ACTOR, name="Later").pk,
        "legacy": legacy.pk,
        "new": new.pk,
        "new_bridge": new_bridge.pk,
        "idle": idle.upn,
        "idle_user": idle.pk,
    }


def a_rollout_of_others(user: ConferencingUser) -> dict[str, int]:
    """The same keys of another tenant, as far as they stand in addresses."""
    rollout = a_rollout(user.tenant, name="Of others")
    (member,) = members(a_wave(rollout), [user])
    check = RolloutCheck.objects.create(rollout=rollout, name="Harbour check", scope="new", kind="manual")
    return {
        **dict.fromkeys(["rollout", "rolling", "retirable", "retired"], rollout.pk),
        "failed_member": member.pk,
        "idle_user": user.pk,
        "found": user.pk,
        "check": check.pk,
        "question": check.pk,
    }


def rollout_of_pages(first: ConferencingUser, second: ConferencingUser, bridge: Bridge, text: str) -> dict[str, int]:
    """Keys of a rollout for a look at every page: the first user is in a wave that has not started, was looked at, and
    shares a meeting with the second, who is in one that runs. ``text`` is what people wrote."""
    tenant = first.tenant
    legacy = a_deployment(tenant, kind="online", name=f"Old {text}"[:100])
    new = a_deployment(tenant, "new", name=f"New {text}"[:100], lowest_client_version="17")
    belong_to(legacy, [first, second])
    belong_to(new, [], bridge)
    rollout = a_rollout(tenant, legacy, new, name=text[:100])
    waiting = a_wave(rollout, 1, saved_query="q=nobody-of-that-name")
    members(waiting, [first], reason=text[:500], client_version=text[:50])
    running = a_wave(rollout, 2, name=text[:100], state="Running", started_at=timezone.now(), started_by="bob")
    (failed,) = members(running, [second], state="Failed", failure=text[:300], batch=1)
    end = timezone.now() + timedelta(days=5)
    IndexedMeeting.objects.create(user=second, uid="shared", href="/shared", organizer=first.upn, last_end=end)
    preview = Preview.objects.create(
        tenant=tenant,
        kind="deployment",
        terms={"wave": waiting.pk, "users": [first.pk], "deployment": new.pk, "mapping": {}, "wave_name": waiting.name},
        title=text[:300],
        state="Ready",
        finished_at=timezone.now(),
        total_users=1,
        done_users=1,
    )
    preview.users.create(
        user=first, starts_run=True, sentence=text[:500], failure_code="mailbox-unavailable", failure_detail=text[:500]
    )
    preview.meetings.create(upn=first.upn, uid="shared", subject=text[:255], outcome="Succeeded")
    measured = RolloutCheck.objects.create(
        rollout=rollout, wave=waiting, name=text[:200], scope="new", kind="tcp", instructions=text[:500]
    )
    question = RolloutCheck.objects.create(rollout=rollout, wave=waiting, name=text[:200], scope="new", kind="manual")
    record(measured, Found(Outcome.FAILED, text[:400], 0.5, text[:500]))
    answer(question, CheckAnswer.Answer.NO, text[:500], ACTOR)
    return {"rollout": rollout.pk, "wave_member": failed.pk, "check": measured.pk, "question": question.pk}
