"""What the story of a rollout asks its installation about itself, and what only pages do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.utils import timezone

from migrations_app.chat import gate, verification
from migrations_app.models import ChatDifference, ChatPlan, MeetingSearch, RolloutCheck, Run, Update, Wave
from migrations_app.rollouts import retirement, searching
from migrations_app.rollouts.checks import remove_check
from tenants_app.audit import Actor
from tenants_app.models import ConferencingUser, Deployment
from tests.support.questions import ACTOR


def manual_checks(wave: str) -> list[int]:
    """The questions before that wave; before retirement where it has no name."""
    checks = RolloutCheck.objects.filter(kind=RolloutCheck.Kind.MANUAL, removed_at=None)
    return list((checks.filter(wave__name=wave) if wave else checks.filter(wave=None)).values_list("pk", flat=True))


def take_servers_off_the_list() -> None:
    """Checks that would ask servers which the demo does not have."""
    for check in RolloutCheck.objects.exclude(kind__in=[RolloutCheck.Kind.MANUAL, RolloutCheck.Kind.RUNS]):
        remove_check(check, "The demo has no servers.", ACTOR)


def runs_of_members(users: Sequence[str]) -> dict[str, int]:
    """How many runs each has that its move to the new deployment started."""
    runs = Run.objects.filter(user__upn__in=users, user__deployment__role="new", wave_members__isnull=False)
    return dict(Counter(runs.values_list("user__upn", flat=True)))


def messages_told() -> int:
    """Messages to attendees that were handed over."""
    return Update.objects.filter(state=Update.State.SENT).count()


def search_has_ended() -> bool:
    """Whether mailboxes were searched for what leads to the legacy deployment."""
    return MeetingSearch.objects.filter(wave=None, searched_at__isnull=False).exists()


def users_on(*bridges: str) -> list[str]:
    """Users with audio conferencing on these bridges."""
    users = ConferencingUser.objects.filter(bridge__name__in=bridges, audio_conferencing_enabled=True)
    return list(users.order_by("upn").values_list("upn", flat=True))


def users_of(deployment: str) -> list[str]:
    """Users who belong to the deployment."""
    return list(ConferencingUser.objects.filter(deployment__name=deployment).values_list("upn", flat=True))


def search_wave_of(wave: str) -> None:
    """Have the mailboxes of the wave's members searched for what cannot go back, as its page does."""
    searching.search_wave(Wave.objects.select_related("rollout__legacy", "rollout__new").get(name=wave), ACTOR)


def open_chat_gate(number: int) -> bool:
    """Accept what differs after that import of chat, and answer what only people know, as its pages do (R125)."""
    plan = ChatPlan.objects.get(number=number)
    differences = ChatDifference.objects.filter(room__plan=plan, accepted_at=None)
    verification.accept(differences, ACTOR, "The text was altered on purpose.")
    for condition in gate.gate_of(plan).closing:
        gate.answer_condition(plan, ACTOR, condition.key, "Seen, and told to whom it concerns.")
        if condition.needs_second:
            gate.confirm_condition(plan, Actor("retention officer", ACTOR.channel), condition.key)
    return gate.gate_of(plan).is_open


def accept_what_leads_to(deployment: str) -> int:
    """Accept by name all meetings that still lead to the legacy deployment, as its page does; how many."""
    legacy = Deployment.objects.get(name=deployment)
    search = searching.latest(deployment=legacy)
    assert search
    found = retirement.open_meetings(search, timezone.now())
    pks = list(found.values_list("pk", flat=True))
    return retirement.accept_meetings(
        legacy, pks, "Other organizers have them, or nobody knows what is in them.", ACTOR
    )
