"""When an import stops by itself: the rule of R78, over rooms (R111)."""

from __future__ import annotations

from django.db.models import Count, Q

from migrations_app.models import ChatPlan, ChatRoom
from migrations_app.rollouts.stopping import Counted, Rule, Thresholds, longest_row, rule_that_stops
from tenants_app.sentences import Sentence, sentence, sentence_plural

LOOKED_BACK = 2_000
"""How many of the rooms that ended last are looked through for a row of failures."""

_State = ChatRoom.State


def counted(plan: ChatPlan) -> Counted:
    """What the rule looks at: rooms that have ended since the import was started or resumed."""
    since = Q(finished_at__gt=plan.counted_from) if plan.counted_from else Q()
    failed = since & Q(state=_State.FAILED)
    ended = since & Q(state__in=(_State.IMPORTED, _State.FAILED))
    sums = plan.rooms.order_by().aggregate(
        size=Count("pk", filter=~Q(state__in=(*ChatRoom.OUT, _State.PLANNED))),
        finished=Count("pk", filter=ended),
        failed=Count("pk", filter=failed),
    )
    last = plan.rooms.filter(ended).order_by("-finished_at", "-pk").values_list("state", flat=True)[:LOOKED_BACK]
    return Counted(**sums, in_a_row=longest_row(state == _State.FAILED for state in last))


def why_stopped(plan: ChatPlan) -> Sentence | None:
    """The sentence that says why the import has to stop now; None where it goes on."""
    found = counted(plan)
    thresholds = Thresholds(plan.max_failed_percent, plan.min_finished, plan.max_failed_in_a_row)
    rule = rule_that_stops(found, thresholds)
    if rule is Rule.FIRST:
        return sentence_plural(
            "%(n)s room has failed, and the import is set to stop at the first.",
            "%(n)s rooms have failed, and the import is set to stop at the first.",
            found.failed,
        )
    if rule is Rule.IN_A_ROW:
        return sentence_plural(
            "%(n)s room has failed, and no more are to fail in a row.",
            "%(n)s rooms have failed one after another.",
            found.in_a_row,
        )
    if rule is Rule.PERCENT:
        return sentence(
            "%(failed)s of %(finished)s finished rooms have failed, which is more than %(percent)s %%.",
            failed=found.failed,
            finished=found.finished,
            percent=thresholds.max_failed_percent,
        )
    return None
