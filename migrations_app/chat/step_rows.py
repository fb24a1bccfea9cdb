"""What people say of a plan, with who, when and evidence: conditions of the gate, steps, and clients (R125 to R127).

Whoever calls these functions holds a transaction, in which they write the audit entry, too.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError

from migrations_app.models import ChatEvidence, ChatPlan, ChatStep
from migrations_app.monitoring import clock
from tenants_app.audit import Actor
from tenants_app.sentences import sentence

LONGEST_EVIDENCE = 4000


def said_of(plan: ChatPlan) -> dict[str, ChatStep]:
    """What counts now, by its key."""
    rows = ChatStep.objects.filter(plan=plan, taken_back_at=None).select_related("file")
    return {row.key: row for row in rows}


def hold(plan: ChatPlan) -> ChatPlan:
    """The plan, until the transaction ends: whoever else says something of it waits."""
    plans = ChatPlan.objects.select_for_update(of=("self",), no_key=True)
    return plans.select_related("tenant", "archive", "target").get(pk=plan.pk)


def note(
    plan: ChatPlan,
    actor: Actor,
    key: str,
    *,
    evidence: str = "",
    file: ChatEvidence | None = None,
    replaces: bool = False,
) -> ChatStep:
    """Keep what was said. What was said before is refused, or with ``replaces`` taken back.

    Raises ``ValidationError`` without evidence.
    """
    plan = hold(plan)
    evidence = checked_evidence(evidence, file)
    if file is not None and file.tenant_id != plan.tenant_id:
        raise ValidationError({"file": sentence("There is no such file.")})
    before = ChatStep.objects.filter(plan=plan, key=key, taken_back_at=None).first()
    if before and not replaces:
        raise ValidationError(
            sentence("%(who)s has said so already, on %(when)s.", who=before.done_by, when=before.done_at)
        )
    if before:
        _taken_back(before, actor)
    row = ChatStep(plan=plan, key=key, done_at=clock.now(), done_by=actor.name, evidence=evidence, file=file)
    row.save()
    return row


def confirm(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """The second account says the same. Raises ``ValidationError``."""
    plan = hold(plan)
    row = ChatStep.objects.filter(plan=plan, key=key, taken_back_at=None).first()
    if row is None:
        raise ValidationError(sentence("Nobody has answered yet, so there is nothing to confirm."))
    if row.confirmed_at:
        raise ValidationError(
            sentence("%(who)s has confirmed it already, on %(when)s.", who=row.confirmed_by, when=row.confirmed_at)
        )
    if row.done_by == actor.name:
        raise ValidationError(sentence("You have answered yourself: a second account must confirm it."))
    row.confirmed_at, row.confirmed_by = clock.now(), actor.name
    row.save(update_fields=["confirmed_at", "confirmed_by"])
    return row


def take_back(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """It does not count any more, and stays with whoever said it. Raises ``ValidationError``."""
    plan = hold(plan)
    row = ChatStep.objects.filter(plan=plan, key=key, taken_back_at=None).first()
    if row is None:
        raise ValidationError(sentence("Nobody has said so, so there is nothing to take back."))
    _taken_back(row, actor)
    return row


def told(row: ChatStep) -> dict[str, str]:
    """What the audit says of it."""
    return {"what": row.key, "evidence": row.evidence[:400]} | ({"file": row.file.file_name} if row.file else {})


def checked_evidence(evidence: str, file: ChatEvidence | None = None) -> str:
    """The text without blanks around it. Raises ``ValidationError``."""
    evidence = evidence.strip()
    if not evidence and file is None:
        raise ValidationError({"evidence": sentence("Say how you know: what you did or saw, where, and its output.")})
    if len(evidence) > LONGEST_EVIDENCE:
        raise ValidationError(
            {"evidence": sentence("Give the evidence in at most %(most)s characters.", most=LONGEST_EVIDENCE)}
        )
    if "\0" in evidence:
        raise ValidationError({"evidence": sentence("The evidence has a NUL character, which is no text.")})
    return evidence


def _taken_back(row: ChatStep, actor: Actor) -> None:
    row.taken_back_at, row.taken_back_by = clock.now(), actor.name
    row.save(update_fields=["taken_back_at", "taken_back_by"])
