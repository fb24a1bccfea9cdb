"""The list of accounts that somebody moves with Move-CsUser, and what became of it (R63)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import Wave, WaveMember
from migrations_app.rollouts import movers, moving
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Deployment
from tenants_app.sentences import sentence
from tenants_app.wording import counted


def target_of(wave: Wave) -> Deployment:
    """To which deployment the accounts are moved now: the legacy one where the wave is taken back."""
    return moving.DIRECTIONS[bool(wave.back_from)].target(wave)


def waits_for_list(wave: Wave) -> bool:
    """Whether the wave's accounts are moved by a list, which somebody confirms."""
    return wave.has_started and target_of(wave).mover == Deployment.Mover.LIST


def users_to_move(wave: Wave) -> list[ConferencingUser]:
    """Whose accounts are to be moved now: at most a batch."""
    waiting = wave.members.filter(state=WaveMember.State.MOVING, asked_at__isnull=False)
    return list(ConferencingUser.objects.filter(pk__in=waiting.values("user")).order_by("sip_address"))


def command_line(wave: Wave, file_name: str = movers.LIST_NAME) -> str:
    """The command for PowerShell."""
    target = target_of(wave)
    rollout = wave.rollout
    source = rollout.new if target == rollout.legacy else rollout.legacy
    return movers.command_line(source, target, file_name)


@transaction.atomic
def confirm(wave: Wave, actor: Actor, users: Collection[ConferencingUser] | None = None) -> int:
    """Take somebody's word that the accounts of these members, or of all who wait, were moved; how many waited."""
    pks = [user.pk for user in (users_to_move(wave) if users is None else users)]
    return _note(wave, actor, dict.fromkeys(pks, movers.CONFIRMED))


@transaction.atomic
def import_results(wave: Wave, text: str, actor: Actor) -> int:
    """Note what a file says of each account; how many of them waited for that.

    Raises ``ValidationError``, and notes nothing, where a line cannot be used or names somebody who does not wait.
    """
    said = movers.read_result(text)
    by_address: dict[str, int] = {}
    for user in users_to_move(wave):
        by_address |= {user.sip_address.lower(): user.pk, user.upn.lower(): user.pk}
    unknown = [address for address in said if address not in by_address]
    if unknown:
        raise ValidationError(
            sentence(
                "%(users)s does not wait for a move, so nothing was noted: take these lines out of the file.",
                users=", ".join(unknown[:5]),
            )
        )
    return _note(wave, actor, {by_address[address]: moved for address, moved in said.items()})


def _note(wave: Wave, actor: Actor, answers: Mapping[int, movers.Moved]) -> int:
    noted = 0
    for some in batched(sorted(answers)):
        noted += moving.note_answers(wave, {pk: answers[pk] for pk in some}, actor=actor)
    if noted:
        moved = sum(answer.is_done for answer in answers.values())
        told = {"moved": moved, "failed": len(answers) - moved}
        target = f"{wave.rollout}/{wave.name}"
        entry(
            wave.rollout.tenant, actor, "confirm moved accounts", target, after=told, consequence=counted(noted, "user")
        ).save()
        wake_cluster()
    return noted
