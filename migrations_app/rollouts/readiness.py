"""What a wave would lead to before anything moves (R68): counted from a preview of the move of each member, and from
rows. The numbers are kept when the wave starts, so that the report shows them beside what happened (R93).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from migrations_app.failures import LEFT_FOR_A_PERSON
from migrations_app.models import MeetingResult, Preview, PreviewedMeeting, PreviewedUser, Run, Wave, WaveMember
from migrations_app.preview.foretold import Totals
from migrations_app.preview.plans import DeploymentMove
from migrations_app.procedures import previews
from migrations_app.rollouts.joining import candidates
from migrations_app.rollouts.locking import locked_wave
from migrations_app.rollouts.mapping import mapping_of
from migrations_app.triggers.rules import OBSTACLES
from tenants_app.audit import Actor
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, english, sentence

OVER_LIMIT = "too-many-attendees"
IN_NEED_OF_REVIEW = tuple(code for code in LEFT_FOR_A_PERSON if code != OVER_LIMIT)
UNREACHABLE = ("mailbox-", "secret-", "application-", "directory-", "certificate-", "exchange-")
"""How the codes begin of runs that fail because MMS does not get into the mailbox."""
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(slots=True)
class Numbers:
    """What is foreseen of a wave; the names are those in ``Wave.planned`` and in files of the report."""

    members: int = 0
    run: int = 0
    no_run: int = 0
    refused: int = 0
    """Of those without a run: whom MMS cannot serve (R15 to R17)."""
    meetings: int = 0
    """That are updated."""
    attendees: int = 0
    """Who get mail: each once for each meeting."""
    over_limit: int = 0
    """Meetings with more attendees than the tenant allows (R22)."""
    needs_review: int = 0
    """Meetings that are left for a person."""
    unreachable: int = 0
    """Members with a run whose mailbox does not let MMS in."""
    failing: int = 0
    """Members whose run would fail as a whole for another reason."""
    run_in_progress: int = 0
    """Members whose latest run is pending or in progress now."""
    client_unknown: int = 0
    client_below: int = 0
    """Members with a client older than the wave, or else the new deployment, asks for."""
    without_run: dict[str, int] = field(default_factory=dict)
    """Members by the sentence why they get no run, in English."""
    foreseen_at: str = ""
    """When the moves were looked at; empty: they were not, and what depends on it is nought."""
    foreseen: int = 0
    """How many members were looked at."""


def expected(wave: Wave) -> Iterator[int]:
    """The keys of the users who would move if the wave started now, in order.

    Raises ``ValidationError`` where the wave's filter asks for what is not there any more.
    """
    rows = wave.members.exclude(state=WaveMember.State.EXCLUDED).order_by("user")
    keys: Iterable[Any] = rows.values_list("user", flat=True)
    users = candidates(wave) if not wave.has_started else None
    more: Iterable[int] = users.order_by("pk").values_list("pk", flat=True) if users is not None else ()
    yield from sorted({*keys, *more})


@transaction.atomic
def look(wave: Wave, actor: Actor) -> Preview:
    """Have it looked at in the background what the move of each member would do. Raises ``ValidationError``."""
    wave = locked_wave(wave)
    if wave.has_started:
        raise ValidationError(
            sentence("The wave %(wave)s has started: what was foreseen then stands in the report.", wave=wave.name)
        )
    users = list(expected(wave))
    if not users:
        raise ValidationError(
            sentence("The wave %(wave)s has no members yet: add some, or give it a filter.", wave=wave.name)
        )
    rollout = wave.rollout
    plan = DeploymentMove.of(
        rollout.tenant, rollout.new, mapping_of(rollout), users=users, wave=wave.pk, wave_name=wave.name
    )
    return previews.submit(rollout.tenant, plan, actor)


def latest_look(wave: Wave) -> Preview | None:
    """The latest look that is not over, ready or not; without its terms, which are long."""
    found = Preview.objects.filter(
        tenant=wave.rollout.tenant_id,
        kind=DeploymentMove.kind,
        terms__wave=wave.pk,
        created__gte=timezone.now() - previews.KEPT,
    )
    return found.defer("terms").first()


def numbers_of(wave: Wave, preview: Preview | None = None) -> Numbers:
    """What is known by now: of members from rows, and of their moves from a look that is ready.

    Asks the database as much for many members as for few.
    """
    numbers = Numbers()
    _count_members(wave, numbers)
    if preview is not None and preview.state == Preview.State.READY:
        _count_moves(preview, numbers)
    return numbers


def plan_of(wave: Wave, now: datetime) -> dict[str, Any]:
    """The numbers as they are kept with a wave that starts now (``Wave.planned``)."""
    return asdict(numbers_of(wave, latest_look(wave))) | {"at": now.isoformat()}


def minimum_of(wave: Wave) -> str:
    """The oldest client that members may have; empty: any."""
    return wave.min_client_version or wave.rollout.new.lowest_client_version


def is_below(version: str, minimum: str) -> bool:
    """Whether a client is older than another, by their numbers; of what has none nobody knows."""
    return bool(minimum) and bool(_parts(version)) and _parts(version) < _parts(minimum)


def _parts(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in _NUMBER.findall(version)]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers) or ((0,) if _NUMBER.search(version) else ())


def versions_of(wave: Wave) -> list[tuple[str, int]]:
    """The client versions of members with how many have each; empty text for those of whom nobody knows."""
    rows = wave.members.exclude(state=WaveMember.State.EXCLUDED).order_by("client_version")
    return list(rows.values_list("client_version").annotate(members=Count("pk")))


def versions_below(wave: Wave) -> list[str]:
    """The client versions of members that are too old."""
    minimum = minimum_of(wave)
    return [version for version, _ in versions_of(wave) if is_below(version, minimum)]


def versions_known(wave: Wave) -> list[str]:
    """The client versions of members that say anything."""
    return [version for version, _ in versions_of(wave) if _parts(version)]


def unreachable_codes(preview: Preview) -> list[str]:
    """Why runs of a look would not get into mailboxes."""
    rows = PreviewedUser.objects.filter(preview=preview).order_by()
    return [code for code, _ in _failing(rows) if code.startswith(UNREACHABLE)]


def _count_members(wave: Wave, numbers: Numbers) -> None:
    minimum, listed = minimum_of(wave), 0
    for version, count in versions_of(wave):
        listed += count
        numbers.client_unknown += count if not _parts(version) else 0
        numbers.client_below += count if is_below(version, minimum) else 0
    open_runs = Q(is_latest=True, state__in=(Run.State.PENDING, Run.State.IN_PROGRESS))
    rows = wave.members.exclude(state=WaveMember.State.EXCLUDED)
    of_members = Run.objects.filter(open_runs, tenant=wave.rollout.tenant_id)
    numbers.run_in_progress = of_members.filter(user__in=rows.order_by().values("user")).count()
    numbers.members = listed
    users = _joining(wave)
    if users is not None:
        more = users.count()
        numbers.members += more
        numbers.client_unknown += more
        numbers.run_in_progress += of_members.filter(user__in=users.order_by().values("pk")).count()


def _joining(wave: Wave) -> Any:
    """Who would join when the wave starts; None where nobody is asked for, or the filter is not understood."""
    try:
        return candidates(wave) if not wave.has_started else None
    except ValidationError:
        return None


def _count_moves(preview: Preview, numbers: Numbers) -> None:
    totals = Totals.of(preview.totals)
    rows = PreviewedUser.objects.filter(preview=preview).order_by()
    numbers.foreseen = preview.done_users
    numbers.foreseen_at = (preview.finished_at or preview.created).isoformat()
    for starts_run, told, count in rows.values_list("starts_run", "sentence").annotate(users=Count("pk")):
        if starts_run:
            numbers.run += count
            continue
        numbers.no_run += count
        numbers.without_run[english(told)] = numbers.without_run.get(english(told), 0) + count
        if is_refusal(told):
            numbers.refused += count
    for code, count in _failing(rows):
        if code.startswith(UNREACHABLE):
            numbers.unreachable += count
        else:
            numbers.failing += count
    numbers.meetings, numbers.attendees = totals.updated, totals.recipients
    numbers.over_limit = totals.left.get(OVER_LIMIT, 0)
    numbers.needs_review = sum(totals.left.get(code, 0) for code in IN_NEED_OF_REVIEW)


def _failing(rows: Any) -> list[tuple[str, int]]:
    failing = rows.filter(starts_run=True).exclude(failure_code="")
    return list(failing.values_list("failure_code").annotate(users=Count("pk")))


_REFUSED = frozenset(
    {
        *(english(obstacle.clause) for obstacle in OBSTACLES),
        "MMS does not migrate meetings from online to on-premises: use the Meeting Migration Tool instead",
    }
)
"""Why MMS serves a user not at all (R15 to R17), before names are put in."""


def is_refusal(told: str) -> bool:
    """Whether the sentence why a user gets no run says that MMS cannot serve them (R15 to R17)."""
    if not isinstance(told, Sentence):
        return False
    parts = told.parts
    inner = [value for value in parts.values.values() if isinstance(value, Sentence)]
    return parts.text in _REFUSED or any(map(is_refusal, (*parts.each, *inner)))


def refusals(preview: Preview) -> list[str]:
    """The sentences of a look that say that MMS cannot serve a user, as they are stored."""
    rows = PreviewedUser.objects.filter(preview=preview, starts_run=False).order_by()
    return [told for told in rows.values_list("sentence", flat=True).distinct() if is_refusal(told)]


def meetings_of(preview: Preview, users: Sequence[ConferencingUser]) -> dict[str, dict[str, int]]:
    """By the name of each of these users, how many meetings of theirs are updated, over the limit and to be reviewed,
    and how many there are; one statement for all."""
    rows = PreviewedMeeting.objects.filter(preview=preview, upn__in=[user.upn for user in users]).order_by()
    counted = rows.values_list("upn").annotate(
        meetings=Count("pk"),
        updated=Count("pk", filter=Q(outcome=MeetingResult.Outcome.SUCCEEDED)),
        over_limit=Count("pk", filter=Q(code=OVER_LIMIT)),
        needs_review=Count("pk", filter=Q(code__in=IN_NEED_OF_REVIEW)),
    )
    names = ("meetings", "updated", "over_limit", "needs_review")
    return {upn: dict(zip(names, counts, strict=True)) for upn, *counts in counted}
