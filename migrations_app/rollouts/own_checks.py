"""What a check of kind ``runs`` asks MMS itself (R73): whether earlier waves are through, and MMS is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import randrange
from time import monotonic
from typing import Any

from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet

from migrations_app.failures import Failure
from migrations_app.mailboxes.of_user import try_connection
from migrations_app.models import LeftMeeting, Outcome, RolloutCheck, Run, Update, Wave, WaveMember
from migrations_app.monitoring.health import workers
from migrations_app.rollouts.probes.parameters import Number, Switch, Unusable, as_json, read
from migrations_app.rollouts.recording import Found
from migrations_app.runs.left import to_come
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, one_after_the_other, sentence, sentence_plural

MOST_MAILBOXES = 20
"""Mailboxes of one look: each takes seconds."""

PARAMETERS = (
    Switch(
        "no_failed",
        sentence("No failed runs"),
        sentence("No member of an earlier wave has a latest run that is failed, and that nobody has accepted."),
        default=False,
    ),
    Switch(
        "none_under_way",
        sentence("No runs under way"),
        sentence("No member of an earlier wave has a run that is pending or in progress."),
        default=False,
    ),
    Switch(
        "messages_sent",
        sentence("All messages sent"),
        sentence("No message to attendees waits to be sent, and a person has dealt with each that was given up."),
        default=False,
    ),
    Switch(
        "none_out_of_date",
        sentence("Nobody out of date"),
        sentence("The invitations of everybody who has moved say what their settings ask for."),
        default=False,
    ),
    Number(
        "mailboxes",
        sentence("Mailboxes to try"),
        sentence("So many members of the wave are chosen by chance, and their mailboxes tried. 0: none."),
        default=0,
        most=MOST_MAILBOXES,
    ),
    Switch(
        "worker",
        sentence("Background service alive"),
        sentence("The background service of MMS has given a sign of life."),
        default=False,
    ),
    Switch(
        "waves_accepted",
        sentence("Pilot periods over"),
        sentence("All earlier waves have ended their pilot period and been accepted."),
        default=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    no_failed: bool
    none_under_way: bool
    messages_sent: bool
    none_out_of_date: bool
    mailboxes: int
    worker: bool
    waves_accepted: bool

    @property
    def hosts(self) -> tuple[str, ...]:
        """None: MMS asks itself."""
        return ()


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    parameters = read(Parameters, PARAMETERS, values)
    if not any(as_json(parameters).values()):
        raise Unusable({"no_failed": sentence("Choose at least one question.")})
    return parameters


def look(check: RolloutCheck) -> Found:
    """Ask MMS what the check asks. ``check.rollout`` and ``check.wave`` should be loaded already.

    Raises ``Unusable``. What is wrong is failed; what could not be found out in time is inconclusive.
    """
    began = monotonic()
    asked = parse(check.parameters)
    wrong: list[Sentence] = []
    unknown: list[Sentence] = []
    for question, ask in _QUESTIONS.items():
        if getattr(asked, question):
            wrong += ask(check)
    if asked.mailboxes:
        _try_mailboxes(check, asked.mailboxes, began + check.timeout, wrong, unknown)
    seconds = monotonic() - began
    if wrong:
        return Found(Outcome.FAILED, one_after_the_other(*wrong, *unknown), seconds)
    if unknown:
        return Found(Outcome.INCONCLUSIVE, one_after_the_other(*unknown), seconds)
    return Found(Outcome.PASSED, sentence("MMS has found nothing that is in the way."), seconds)


# --- the questions ------------------------------------------------------------------------------------


def _earlier(check: RolloutCheck) -> QuerySet[Wave]:
    """The waves before the check's own; all of them before retirement."""
    waves = Wave.objects.filter(rollout=check.rollout)
    return waves.filter(position__lt=check.wave.position) if check.wave else waves


def _members(check: RolloutCheck) -> QuerySet[WaveMember]:
    """Who is in earlier waves, for the user of a run."""
    return WaveMember.objects.filter(user=OuterRef("user"), wave__in=_earlier(check), is_current=True)


def _latest_runs(check: RolloutCheck) -> QuerySet[Run]:
    """The latest run of each member of earlier waves."""
    return Run.objects.filter(Exists(_members(check)), tenant=check.rollout.tenant, is_latest=True).order_by()


def _no_failed(check: RolloutCheck) -> list[Sentence]:
    accepted = _members(check).filter(wave__accepted_at__gte=OuterRef("finished_at"))  # seen when its wave was accepted
    failed = _latest_runs(check).filter(~Exists(accepted), state=Run.State.FAILED, accepted_at=None)
    n = failed.count()
    return _if_any(
        n,
        sentence_plural(
            "The latest run of %(n)s member of earlier waves has failed: retry it, or accept the failure.",
            "The latest runs of %(n)s members of earlier waves have failed: retry them, or accept the failures.",
            n,
        ),
    )


def _none_under_way(check: RolloutCheck) -> list[Sentence]:
    n = _latest_runs(check).filter(state__in=[Run.State.PENDING, Run.State.IN_PROGRESS]).count()
    return _if_any(
        n,
        sentence_plural(
            "%(n)s member of earlier waves has a run pending or in progress: wait for it.",
            "%(n)s members of earlier waves have a run pending or in progress: wait for them.",
            n,
        ),
    )


def _messages_sent(check: RolloutCheck) -> list[Sentence]:
    tenant = check.rollout.tenant
    waiting = Update.objects.filter(tenant=tenant, state=Update.State.QUEUED).count()
    given_up = to_come(tenant).exclude(message=None).exclude(state=LeftMeeting.State.DEALT_WITH).count()
    return [
        *_if_any(
            waiting,
            sentence_plural(
                "%(n)s message waits to be sent: wait for it, or look whether the mail server answers.",
                "%(n)s messages wait to be sent: wait for them, or look whether the mail server answers.",
                waiting,
            ),
        ),
        *_if_any(
            given_up,
            sentence_plural(
                "%(n)s message was given up, and nobody has dealt with it: see the meetings that need a person.",
                "%(n)s messages were given up, and nobody has dealt with them: see the meetings that need a person.",
                given_up,
            ),
        ),
    ]


def _none_out_of_date(check: RolloutCheck) -> list[Sentence]:
    # Those who are done: the run of a member of the batch under way is still to come, and it is the rule for stops that
    # says how many members of the wave may fail. A check that counted them would stop each wave at its first failure.
    moved = WaveMember.objects.filter(wave__rollout=check.rollout, is_current=True, state=WaveMember.State.DONE)
    users = ConferencingUser.objects.filter(tenant=check.rollout.tenant).out_of_date()
    n = users.filter(Exists(moved.filter(user=OuterRef("pk")))).count()
    return _if_any(
        n,
        sentence_plural(
            "%(n)s user who has moved is out of date: start a run.",
            "%(n)s users who have moved are out of date: start runs.",
            n,
        ),
    )


def _worker(check: RolloutCheck) -> list[Sentence]:
    if not workers().are_silent:
        return []
    return [sentence("The background service is silent: look whether it runs, and start it again.")]


def _waves_accepted(check: RolloutCheck) -> list[Sentence]:
    ended = Q(state=Wave.State.ROLLED_BACK) | Q(accepted_at__isnull=False)
    waiting = _earlier(check).exclude(ended).order_by("position").first()
    if waiting is None:
        return []
    return [
        sentence(
            "The wave %(wave)s has not been accepted yet: wait for the end of its pilot period.", wave=waiting.name
        )
    ]


_QUESTIONS: Mapping[str, Callable[[RolloutCheck], list[Sentence]]] = {
    "worker": _worker,
    "waves_accepted": _waves_accepted,
    "none_under_way": _none_under_way,
    "no_failed": _no_failed,
    "messages_sent": _messages_sent,
    "none_out_of_date": _none_out_of_date,
}


def _if_any(n: int, told: Sentence) -> list[Sentence]:
    return [told] if n else []


# --- mailboxes ----------------------------------------------------------------------------------------


def _try_mailboxes(
    check: RolloutCheck, most: int, until: float, wrong: list[Sentence], unknown: list[Sentence]
) -> None:
    """Try mailboxes of people who are to move next, as long as there is time."""
    for user in _sample(_next_to_move(check), most):
        if monotonic() >= until:
            unknown.append(
                sentence("Not all mailboxes could be tried in time: give the check more time, or try fewer.")
            )
            return
        connection = user.mailbox_connection
        if connection is None or not connection.is_outside:
            continue  # MMS keeps it itself
        try:
            found = next((each for each in try_connection(connection, user) if not each.ok), None)
        except Failure as failure:
            wrong.append(sentence("The mailbox of %(who)s cannot be reached: %(why)s", who=user.upn, why=failure.told))
        else:
            if found is not None:
                wrong.append(sentence("The mailbox of %(who)s: %(why)s", who=user.upn, why=found.sentence))


def _next_to_move(check: RolloutCheck) -> QuerySet[ConferencingUser]:
    """The members of the check's wave; while it has none, everybody on the legacy side. Nobody before retirement."""
    users = ConferencingUser.objects.filter(tenant=check.rollout.tenant)
    if check.wave is None:
        return users.none()
    waiting = WaveMember.objects.filter(wave=check.wave, is_current=True, state=WaveMember.State.WAITING)
    if waiting.exists():
        return users.filter(Exists(waiting.filter(user=OuterRef("pk"))))
    return users.filter(deployment=check.rollout.legacy)


def _sample(users: QuerySet[ConferencingUser], most: int) -> list[ConferencingUser]:
    """Some of them, from a place on that is chosen by chance: looked up by key, however many they are."""
    ends = users.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return []
    place = randrange(ends["first"], ends["last"] + 1)  # noqa: S311 - a sample
    in_order = users.select_related("tenant__mailbox", "mailbox", "mailbox_credential").order_by("pk")
    found = list(in_order.filter(pk__gte=place)[:most])
    return found + list(in_order.filter(pk__lt=place)[: most - len(found)])
