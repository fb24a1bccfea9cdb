"""A wave on its way back without the engine: its members one after the other, as the engine takes them (R84)."""

from __future__ import annotations

from django.utils import timezone

from migrations_app.models import Run, Wave, WaveMember
from migrations_app.rollouts import going_back
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from tenants_app.changes.deployments import move_users
from tests.support.actors import ACTOR

KEPT = ("hosting", "bridge_id", "toll_number_id", "toll_free_number_id")


def move_forward(wave: Wave) -> list[WaveMember]:
    """Move the wave's members, work their runs, and note what a wave that runs notes of them."""
    moved = []
    for member in wave.members.select_related("user"):
        user = member.user
        before = {name.removesuffix("_id"): getattr(user, name) for name in KEPT}
        before |= {"deployment": user.deployment_id, "conference_id": user.conference_id}
        member.before, member.moved_at, member.state = before, timezone.now(), WaveMember.State.DONE
        told = move_users(wave.rollout.tenant, [user.pk], wave.rollout.new, ACTOR, due_now=True)
        member.decision = told[0].sentence
        member.run = Run.objects.filter(user=user, state=Run.State.PENDING).first()
        work_all()
        member.finished_at = timezone.now()
        member.save()
        moved.append(member)
    Wave.objects.filter(pk=wave.pk).update(state=Wave.State.OBSERVING, started_at=timezone.now())
    wave.refresh_from_db()
    return moved


def work_all() -> None:
    """Work all runs that are due."""
    while run := queue.claim():
        work_run(run)


def go_all_the_way_back(wave: Wave) -> None:
    """Take every member back who was asked to go, and end the rollback."""
    wave = Wave.objects.select_related("rollout__tenant", "rollout__legacy", "rollout__new").get(pk=wave.pk)
    going = wave.members.filter(is_going_back=True).select_related("user")
    going.filter(state=WaveMember.State.WAITING).update(state=WaveMember.State.MOVING)
    while under_way := list(going.filter(state__in=WaveMember.UNDER_WAY)):
        moving = [member for member in under_way if member.state == WaveMember.State.MOVING]
        going_back.change(wave, moving, ACTOR, timezone.now())
        updating = [member for member in under_way if member not in moving]
        ended = [(member, Run.objects.filter(user=member.user_id, is_latest=True).first()) for member in updating]
        going_back.settle(wave, ended, timezone.now())
        for member in under_way:
            member.save()
        work_all()
    going_back.end(wave, timezone.now())
    wave.save()
