"""The gate before the old system is switched off: whether nothing was lost, condition by condition (R125).

It only reads, but for answers of people. It is one of the conditions of retiring a legacy deployment, too (R88).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils.translation import gettext_noop

from migrations_app.chat import archives, step_rows
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.records import Level
from migrations_app.models import (
    ChatArchive,
    ChatDifference,
    ChatEvidence,
    ChatFinding,
    ChatPlan,
    ChatRoom,
    ChatStep,
    ChatTarget,
)
from migrations_app.rollouts.retirement import Condition, Situation
from tenants_app.audit import Actor, entry
from tenants_app.models import Tenant
from tenants_app.sentences import Sentence, english, one_after_the_other, sentence, sentence_plural

NAMED = 20
"""Rooms that a condition names."""
PEOPLE = ("federated", "inactive", "no-account", "group-to-be-granted")
"""Codes of findings about people who have less at the target than they had (R116)."""
MISSING_FILES = "file-missing"
NOT_OF_FILES = ("altered-text", "altered-author", "altered-time", "name", "category", "setting", "missing-people")
"""Codes of differences that leave it true that every file of the room was read back and is the same."""

ROOMS, FILES, ARCHIVE, WHO = "rooms", "files", "archive", "people"
QUIET, BACKUPS, RETENTION = "source-quiet", "backups", "retention-officer"


@dataclass(frozen=True, slots=True)
class ChatCondition:
    """One condition of the gate, and what shows whether it holds."""

    key: str
    title: Sentence
    holds: bool
    evidence: Sentence
    """What was found and, where it does not hold, what to do."""
    named: Sequence[str] = ()
    """The first of the rooms that stand in the way."""
    is_manual: bool = False
    """Whether a person has to answer, because MMS cannot see it."""
    needs_second: bool = False
    """Whether a second account has to confirm the answer."""
    answer: ChatStep | None = None


@dataclass(frozen=True, slots=True)
class ChatGate:
    """All conditions of a plan at a moment."""

    plan: ChatPlan
    conditions: Sequence[ChatCondition]

    @property
    def is_open(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    @property
    def closing(self) -> list[ChatCondition]:
        return [condition for condition in self.conditions if not condition.holds]


@dataclass(slots=True)
class _Asked:
    plan: ChatPlan
    rooms: QuerySet[ChatRoom]
    """Those that are in scope: not deselected, not skipped."""
    said: dict[str, ChatStep] = field(default_factory=dict)


def gate_of(plan: ChatPlan) -> ChatGate:
    """Whether the source of this plan may be switched off, with the evidence; in as many statements for many rooms as
    for few."""
    asked = _Asked(plan, plan.rooms.exclude(state__in=ChatRoom.OUT), step_rows.said_of(plan))
    return ChatGate(plan, [ask(asked) for ask in _CONDITIONS])


def why_closed(plan: ChatPlan) -> Sentence:
    """The evidence of each condition that does not hold; empty where the gate is open."""
    return one_after_the_other(*(condition.evidence for condition in gate_of(plan).closing))


# --- answers ------------------------------------------------------------------------------------------


@transaction.atomic
def answer_condition(
    plan: ChatPlan, actor: Actor, key: str, evidence: str = "", file: ChatEvidence | None = None
) -> ChatStep:
    """A person says that it holds, and how they know. Raises ``ValidationError``."""
    _manual(plan, key)
    row = step_rows.note(plan, actor, key, evidence=evidence, file=file)
    entry(plan.tenant, actor, "answer chat condition", str(plan), {}, step_rows.told(row)).save()
    return row


@transaction.atomic
def confirm_condition(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """A second account confirms what the first one has answered. Raises ``ValidationError``."""
    if not _manual(plan, key).needs_second:
        raise ValidationError(sentence("This condition needs no second account."))
    row = step_rows.confirm(plan, actor, key)
    told = {**step_rows.told(row), "answered by": row.done_by}
    entry(plan.tenant, actor, "confirm chat condition", str(plan), {}, told).save()
    return row


@transaction.atomic
def take_back_answer(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """What was answered does not count any more. Raises ``ValidationError``."""
    if key not in KEYS:
        raise _no_such(key)
    row = step_rows.take_back(plan, actor, key)
    entry(plan.tenant, actor, "take back chat answer", str(plan), step_rows.told(row)).save()
    return row


def _manual(plan: ChatPlan, key: str) -> ChatCondition:
    found = next((each for each in gate_of(plan).conditions if each.key == key), None)
    if found is None:
        raise _no_such(key)
    if not found.is_manual:
        raise ValidationError(sentence("“%(title)s” is seen by MMS itself: nobody has to answer.", title=found.title))
    return found


def _no_such(key: str) -> ValidationError:
    return ValidationError(
        sentence("There is no condition %(key)s. There are: %(keys)s.", key=key, keys=", ".join(KEYS))
    )


# --- the conditions -----------------------------------------------------------------------------------


def _rooms(asked: _Asked) -> ChatCondition:
    out = asked.plan.rooms.filter(state__in=ChatRoom.OUT).count()
    verified = Q(comparison=ChatRoom.Comparison.VERIFIED)
    counts = asked.rooms.aggregate(
        verified=Count("pk", filter=verified), accepted=Count("pk", filter=_is_accepted()), all=Count("pk")
    )
    open_rooms = asked.rooms.exclude(verified | _is_accepted())
    n = counts["all"] - counts["verified"] - counts["accepted"]
    told = [
        sentence_plural("%(n)s room is verified.", "%(n)s rooms are verified.", counts["verified"]),
        _if(
            counts["accepted"],
            sentence_plural(
                "Of %(n)s room the differences were accepted by name.",
                "Of %(n)s rooms the differences were accepted by name.",
                counts["accepted"],
            ),
        ),
        _if(
            out, sentence_plural("%(n)s room was left out by decision.", "%(n)s rooms were left out by decision.", out)
        ),
    ]
    if n:
        told.append(
            sentence_plural(
                "%(n)s room is neither: import it and have it compared, accept its differences, or deselect it.",
                "%(n)s rooms are neither: import them and have them compared, accept their differences, or deselect "
                "them.",
                n,
            )
        )
    elif not counts["all"] and not out:
        told = [sentence("The plan has no room yet, so nothing shows that anything was moved.")]
    return ChatCondition(
        ROOMS,
        sentence("Every room is verified, left out by decision, or accepted"),
        not n and bool(counts["all"] or out),
        one_after_the_other(*told),
        list(open_rooms.order_by("position").values_list("name", flat=True)[:NAMED]) if n else [],
    )


def _files(asked: _Asked) -> ChatCondition:
    with_files = asked.rooms.filter(file_count__gt=0)
    open_rooms = with_files.exclude(Q(comparison=ChatRoom.Comparison.VERIFIED) | _is_accepted() | _has_its_files())
    counts = with_files.aggregate(files=Sum("file_count"))
    n, files = open_rooms.count(), counts["files"] or 0
    missing = _found(asked, [MISSING_FILES])
    answer = asked.said.get(FILES)
    told = [
        sentence_plural(
            "%(n)s file belongs to the rooms that are moved.", "%(n)s files belong to the rooms that are moved.", files
        ),
        _if(
            n,
            sentence_plural(
                "In %(n)s room files are not compared yet, or differ: compare it.",
                "In %(n)s rooms files are not compared yet, or differ: compare them.",
                n,
            ),
        ),
    ]
    if missing:
        told.append(
            sentence_plural(
                "%(n)s file that a message shows was in no file store that was given.",
                "%(n)s files that messages show were in no file store that was given.",
                missing,
            )
        )
        told.append(
            _answered(answer)
            or sentence("Give MMS a copy of the file store and export again, or say why they are gone.")
        )
    return ChatCondition(
        FILES,
        sentence("Every file is copied and verified"),
        not n and (not missing or answer is not None),
        one_after_the_other(*told),
        list(open_rooms.order_by("position").values_list("name", flat=True)[:NAMED]) if n else [],
        is_manual=bool(missing),
        answer=answer,
    )


def _archive(asked: _Asked) -> ChatCondition:
    title = sentence("An archive of everything is stored")
    whole = [asked.plan.archive, *_whole_archives(asked.plan.tenant)]
    found = next((each for each in whole if _is_whole(each)), None)
    if found is None:
        return ChatCondition(
            ARCHIVE,
            title,
            False,
            sentence(
                "The archive “%(name)s” is not of everything: store one with all categories, levels and days.",
                name=asked.plan.archive.name,
            ),
        )
    try:
        archives.open_stored(found).close()
    except (Unusable, OSError) as unusable:
        why = unusable.in_a_sentence if isinstance(unusable, Unusable) else str(unusable)
        told = sentence("The archive “%(name)s” cannot be read: %(why)s", name=found.name, why=why)
        return ChatCondition(ARCHIVE, title, False, told)
    told = sentence(
        "The archive “%(name)s” was stored on %(when)s; the SHA-256 of its manifest is %(sha256)s.",
        name=found.name,
        when=found.stored_at,
        sha256=found.sha256,
    )
    return ChatCondition(ARCHIVE, title, True, told)


def _people(asked: _Asked) -> ChatCondition:
    n = _found(asked, PEOPLE)
    answer = asked.said.get(WHO)
    told = (
        sentence_plural(
            "The plan names %(n)s federated, disabled or deleted person, group, or person without an account.",
            "The plan names %(n)s federated, disabled or deleted people, groups, or people without an account.",
            n,
        )
        if n
        else sentence("The plan names nobody who has less at the target than at the source.")
    )
    ask = sentence("Look at its findings, grant what is to be granted, and say what was done.")
    return ChatCondition(
        WHO,
        sentence("Federated, disabled and deleted people are dealt with"),
        not n or answer is not None,
        one_after_the_other(told, (_answered(answer) or ask) if n else ""),
        is_manual=bool(n),
        answer=answer,
    )


def _source_quiet(asked: _Asked) -> ChatCondition:
    title = sentence("Nothing was written at the source since the export")
    answer = asked.said.get(QUIET)
    exported = asked.plan.archive
    fresh = _fresh_archive(exported)
    if fresh is not None and fresh.newest_at and (exported.newest_at is None or fresh.newest_at > exported.newest_at):
        told = sentence(
            "The archive “%(name)s” of later has a message of %(when)s: make a new plan with it.",
            name=fresh.name,
            when=fresh.newest_at,
        )
        if answer is None or answer.done_at < fresh.stored_at:
            return ChatCondition(QUIET, title, False, told, is_manual=True)
    if fresh is not None and fresh.newest_at == exported.newest_at and answer is None:
        told = sentence(
            "The archive “%(name)s”, stored on %(when)s, has no later message.", name=fresh.name, when=fresh.stored_at
        )
        return ChatCondition(QUIET, title, True, told, is_manual=True)
    ask = sentence(
        "Read a fresh set of tables into an archive, or say since when the services are stopped, and how you know."
    )
    return ChatCondition(QUIET, title, answer is not None, _answered(answer) or ask, is_manual=True, answer=answer)


def _backups(asked: _Asked) -> ChatCondition:
    answer = asked.said.get(BACKUPS)
    ask = sentence(
        "Say where the backups of the source and of the target lie, of when they are, and who has tried them."
    )
    return ChatCondition(
        BACKUPS,
        sentence("Backups of source and target are named"),
        answer is not None,
        _answered(answer) or ask,
        is_manual=True,
        answer=answer,
    )


def _retention(asked: _Asked) -> ChatCondition:
    answer = asked.said.get(RETENTION)
    is_confirmed = answer is not None and answer.confirmed_at is not None
    ask = sentence("Say which retention officer has consented, when, and to what; a second account confirms it.")
    told = _answered(answer) or ask
    if answer is not None:
        second = (
            sentence("%(who)s has confirmed it on %(when)s.", who=answer.confirmed_by, when=answer.confirmed_at)
            if answer.confirmed_at
            else sentence("A second account has to confirm it.")
        )
        told = one_after_the_other(told, second)
    return ChatCondition(
        RETENTION,
        sentence("The retention officer consents"),
        is_confirmed,
        told,
        is_manual=True,
        needs_second=True,
        answer=answer,
    )


_CONDITIONS: Sequence[Callable[[_Asked], ChatCondition]] = (
    *(_rooms, _files, _archive, _people, _source_quiet, _backups, _retention),
)
"""In the order of R125."""
KEYS = (ROOMS, FILES, ARCHIVE, WHO, QUIET, BACKUPS, RETENTION)


def _is_accepted() -> Q:
    """Rooms that differ, and of which every difference was accepted by name (R124)."""
    differences = ChatDifference.objects.filter(room=OuterRef("pk"))
    return (
        Q(comparison__in=[ChatRoom.Comparison.DIFFERS, ChatRoom.Comparison.NOT_READABLE])
        & Q(Exists(differences))
        & ~Q(Exists(differences.filter(accepted_at=None)))
    )


def _has_its_files() -> Q:
    """Rooms that differ, though in nothing that can be about a file: files are compared whatever else differs."""
    differences = ChatDifference.objects.filter(room=OuterRef("pk"))
    return (
        Q(comparison=ChatRoom.Comparison.DIFFERS)
        & Q(Exists(differences))
        & ~Q(Exists(differences.filter(accepted_at=None).exclude(code__in=NOT_OF_FILES)))
    )


def _found(asked: _Asked, codes: Iterable[str]) -> int:
    """How many files or people the findings of these codes stand for, but for rooms that are left out."""
    findings = ChatFinding.objects.filter(plan=asked.plan, code__in=codes).exclude(room__state__in=ChatRoom.OUT)
    return int(findings.aggregate(n=Sum("count"))["n"] or 0)


def _answered(answer: ChatStep | None) -> Sentence | None:
    if answer is None:
        return None
    said = answer.evidence or (answer.file.file_name if answer.file else "")
    return sentence("%(who)s says on %(when)s: %(what)s", who=answer.done_by, when=answer.done_at, what=said)


def _if(count: int, told: Sentence) -> str:
    return told if count else ""


def _whole_archives(tenant: Tenant) -> QuerySet[ChatArchive]:
    """Newest first, but for those that show a target."""
    stored = ChatArchive.objects.filter(tenant=tenant, state=ChatArchive.State.STORED)
    return stored.exclude(name__in=_of_targets(tenant)).order_by("-stored_at")


def _of_targets(tenant: Tenant) -> list[str]:
    """Names of archives that were made of the tables of a target (R123)."""
    options = ChatTarget.objects.filter(tenant=tenant, kind=ChatTarget.Kind.PCHAT).values_list("options", flat=True)
    return [str(each["archive"]) for each in options if each.get("archive")]


def _is_whole(archive: ChatArchive) -> bool:
    is_stored = archive.state == ChatArchive.State.STORED
    return is_stored and archive.level == Level.ALL and not archive.scope and archive.start_date is None


def _fresh_archive(exported: ChatArchive) -> ChatArchive | None:
    """The newest one that was exported after this one from a source of the same kind."""
    kind = english(exported.source).split(":", 1)[0]
    later = _whole_archives(exported.tenant).filter(exported_at__gt=exported.exported_at, source__startswith=kind)
    return next((each for each in later.exclude(pk=exported.pk)[:NAMED] if _is_whole(each)), None)


# --- retiring a deployment (R88) ----------------------------------------------------------------------


def retirement_conditions(situation: Situation) -> Iterable[Condition]:
    """One condition where the tenant has exported chat: the gate of each plan that counts is open."""
    tenant = situation.deployment.tenant
    if not ChatArchive.objects.filter(tenant=tenant).exists():
        return
    title = gettext_noop("Its persistent chat is elsewhere, and nothing of it was lost")
    plans = ChatPlan.objects.filter(tenant=tenant, replaced_by=None, state__in=ChatPlan.STARTED)
    gates = [gate_of(plan) for plan in plans.select_related("archive", "tenant", "target").order_by("number")[:NAMED]]
    if not gates:
        told = sentence("Chat was exported, and no plan has imported it: import it, or delete the archives.")
        yield Condition("chat", title, not _whole_archives(tenant).exists(), told)
        return
    closed = [gate for gate in gates if not gate.is_open]
    told = (
        one_after_the_other(
            *(
                sentence("Plan %(number)s: %(why)s", number=str(gate.plan.number), why=condition.evidence)
                for gate in closed
                for condition in gate.closing[:1]
            )
        )
        if closed
        else sentence_plural("The gate of %(n)s plan is open.", "The gates of %(n)s plans are open.", len(gates))
    )
    yield Condition("chat", title, not closed, told, [str(gate.plan.number) for gate in closed])


def records(gate: ChatGate) -> list[dict[str, object]]:
    """The conditions as commands list them."""
    return [
        {
            "Condition": condition.key,
            "Title": english(condition.title),
            "Holds": condition.holds,
            "Evidence": condition.evidence,
            "Named": ", ".join(condition.named),
            "Answer": condition.answer.done_by if condition.answer else "",
        }
        for condition in gate.conditions
    ]
