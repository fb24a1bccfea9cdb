"""The report of a rollout and its waves (R93): one set of numbers, counted from the same rows as the pages.

Everything that can grow with the number of members is counted by the database, with as many statements for twenty waves
as for one. What is listed by name, such as accepted items, is read row by row while it is written down (``listed.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.utils.translation import gettext

from migrations_app.failures import happened
from migrations_app.models import (
    CheckAnswer,
    GateOpening,
    MeetingResult,
    Rollout,
    RolloutCheck,
    RolloutEvent,
    Run,
    Update,
    Wave,
    WaveMember,
)
from migrations_app.targets import UNDO

VERSION = 1
"""Of the document, as of that of alerts: it changes where something is taken out or means something else."""

Document = dict[str, Any]
Kind = RolloutEvent.Kind

MEETINGS = {
    MeetingResult.Outcome.SUCCEEDED: "updated",
    MeetingResult.Outcome.SKIPPED: "skipped",
    MeetingResult.Outcome.FAILED: "failed",
}
MESSAGES = {
    Update.State.SENT: "sent",
    Update.State.BY_SERVER: "sent_by_server",
    Update.State.QUEUED: "waiting",
    Update.State.FAILED: "refused",
    Update.State.SUPERSEDED: "not_needed",
}
_RIGHT = "already-current"
_INTERRUPTS = (Kind.PAUSED, Kind.STOPPED)
_GOES_ON = (Kind.RESUMED, Kind.MOVED, Kind.ROLLBACK, Kind.ROLLED_BACK, Kind.ACCEPTED)


def report_of(rollout: Rollout, now: datetime, wave: Wave | None = None) -> Document:
    """What became of the rollout, or of one of its waves, as of ``now``."""
    waves = list(rollout.waves.order_by("position")) if wave is None else [wave]
    checks = _checks(rollout)
    openings = _openings(rollout)
    events = _events(rollout)
    members, runs, undone = _members(waves), _runs(waves), _undone(waves)
    reports = [
        _wave(each, members[each.pk], runs[each.pk], undone[each.pk], events[each.pk], now)
        | {"checks": checks[each.pk], "openings": openings[each.pk]}
        for each in waves
    ]
    return {
        "version": VERSION,
        "title": _title(rollout, wave),
        "created": now,
        "tenant": {"slug": rollout.tenant.slug, "name": rollout.tenant.name},
        "rollout": _rollout(rollout),
        "is_of_one_wave": wave is not None,
        "waves": reports,
        "totals": _totals(reports),
        "retirement": None
        if wave is not None
        else {"checks": checks[None], "openings": openings[None], "events": events[None]},
    }


def _title(rollout: Rollout, wave: Wave | None) -> str:
    if wave is None:
        return gettext("Report of %(rollout)s") % {"rollout": rollout.name}
    return gettext("Report of wave %(wave)s of %(rollout)s") % {"wave": wave.name, "rollout": rollout.name}


def _rollout(rollout: Rollout) -> Document:
    return {
        "id": rollout.pk,
        "name": rollout.name,
        "legacy": rollout.legacy.name,
        "new": rollout.new.name,
        "created": rollout.created,
        "created_by": rollout.created_by,
        "finished": rollout.finished_at,
        "finished_by": rollout.finished_by,
    }


def _wave(
    wave: Wave,
    members: Mapping[str, int],
    runs: Document,
    undone: Document,
    events: Sequence[Document],
    now: datetime,
) -> Document:
    interruptions = interruptions_of(events, now)
    return {
        "id": wave.pk,
        "number": wave.position,
        "name": wave.name,
        "purpose": wave.purpose,
        "state": wave.state,
        "state_label": wave.get_state_display(),
        "started": wave.started_at,
        "started_by": wave.started_by,
        "moved": wave.moved_at,
        "observed_until": wave.observed_until,
        "accepted": wave.accepted_at,
        "accepted_by": wave.accepted_by,
        "batches": wave.batch,
        "planned": wave.planned,
        "members": {"total": sum(members.values()), **{state: members.get(state, 0) for state in WaveMember.State}},
        **runs,
        "taken_back": undone,
        "throughput": _throughput(wave, members, runs, interruptions, now),
        "interruptions": interruptions,
        "events": events,
    }


# --- members, their runs, and what these did --------------------------------------------------------------------------


def _members(waves: Sequence[Wave]) -> Mapping[int, dict[str, int]]:
    """Members by wave and state: the columns of the wave's page."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    rows = _of(waves).values_list("wave", "state").annotate(members=Count("pk"))
    for wave, state, count in rows:
        found[wave][state] = count
    return found


def _all_runs(waves: Sequence[Wave]) -> QuerySet[Run]:
    """All runs of the waves' members from their move until they had ended: of who was retried there are several. The
    wave is ``user__wave_members__wave``."""
    member = "user__wave_members__"
    ended = Q(**{f"{member}finished_at": None}) | Q(created__lte=F(f"{member}finished_at"))
    theirs = Q(**{f"{member}run": F("pk")}) | ended & Q(created__gte=F(f"{member}moved_at"))
    found = Run.objects.filter(theirs, **{f"{member}wave__in": [wave.pk for wave in waves]})
    return found.exclude(migration_type=UNDO).order_by()


def _runs(waves: Sequence[Wave]) -> Mapping[int, Document]:
    """By wave: the latest runs of members, their meetings by outcome and reason, and the messages of all their runs."""
    found = _of_runs(waves, _of(waves), "wave", "run__")
    _add_updated_before(found, waves)
    messages = _messages(_all_runs(waves), _OF_RUN, "")
    for wave, section in found.items():
        section["messages"] = _told(messages[wave])
    return found


def _undone(waves: Sequence[Wave]) -> Mapping[int, Document]:
    """By wave: the undos of its runs, their meetings by outcome and reason, the messages."""
    return _of_runs(waves, _all_runs(waves), _OF_RUN, "undone_by__")


_OF_RUN = "user__wave_members__wave"


def _of_runs(waves: Sequence[Wave], rows: QuerySet[Any], of: str, run: str) -> dict[int, Document]:
    """What runs did, where ``of`` leads from a row to the wave, and ``run`` to a run."""
    rows = rows.filter(**{f"{run}pk__isnull": False})
    states = _grouped(rows, of, f"{run}state", Count(f"{run}pk"))
    sums = {
        row[of]: row
        for row in rows.values(of).annotate(
            total=Sum(f"{run}total_meetings"),
            updated=Sum(f"{run}succeeded_meetings"),
            skipped=Sum(f"{run}skipped_meetings"),
            failed=Sum(f"{run}failed_meetings"),
        )
    }
    results = f"{run}results"
    reasons = (
        rows.filter(**{f"{results}__isnull": False})
        .values_list(of, f"{results}__outcome", f"{results}__code")
        .annotate(meetings=Count(results))
        .order_by("-meetings", f"{results}__code")
    )
    by_reason: dict[tuple[int, str], list[Document]] = defaultdict(list)
    for wave, outcome, code, count in reasons:
        by_reason[wave, outcome].append({"code": code, "reason": happened(code) if code else "", "count": count})
    messages = _messages(rows, of, run)
    return {
        wave: {
            "runs": {"total": sum(states[wave].values()), **{state: states[wave].get(state, 0) for state in Run.State}},
            "meetings": _meetings(sums.get(wave, {}), wave, by_reason),
            "messages": _told(messages[wave]),
        }
        for wave in (each.pk for each in waves)
    }


def _messages(rows: QuerySet[Any], of: str, run: str) -> Mapping[int, dict[str, int]]:
    updates = f"{run}results__update"
    return _grouped(rows.filter(**{f"{updates}__isnull": False}), of, f"{updates}__state", Count(updates))


def _told(messages: Mapping[str, int]) -> Document:
    return {"total": sum(messages.values()), **{key: messages.get(state, 0) for state, key in MESSAGES.items()}}


def _add_updated_before(found: Mapping[int, Document], waves: Sequence[Wave]) -> None:
    """Meetings that a retry found right, because an earlier run of the wave had updated them, were updated by it."""
    earlier = MeetingResult.objects.filter(
        outcome=MeetingResult.Outcome.SUCCEEDED,
        uid=OuterRef("uid"),
        run__user=OuterRef("run__user"),
        run__created__gte=OuterRef("run__wave_members__moved_at"),
        run__created__lt=OuterRef("run__created"),
    ).exclude(run__migration_type=UNDO)
    right = MeetingResult.objects.filter(run__wave_members__wave__in=[wave.pk for wave in waves], code=_RIGHT)
    by_wave = right.filter(Exists(earlier)).order_by().values_list("run__wave_members__wave")
    for wave, count in by_wave.annotate(meetings=Count("pk")):
        meetings = found[wave]["meetings"]
        meetings["updated"] += count
        meetings["skipped"] -= count
        for reason in meetings["skipped_by_reason"]:
            reason["count"] -= count if reason["code"] == _RIGHT else 0
        meetings["skipped_by_reason"] = [each for each in meetings["skipped_by_reason"] if each["count"]]


def _meetings(sums: Mapping[str, Any], wave: int, by_reason: Mapping[tuple[int, str], list[Document]]) -> Document:
    counts = {key: sums.get(key) or 0 for key in MEETINGS.values()}
    total = sums.get("total") or 0
    outcomes = MeetingResult.Outcome
    return {
        "total": total,
        **counts,
        "to_do": max(total - sum(counts.values()), 0),
        "skipped_by_reason": by_reason.get((wave, outcomes.SKIPPED), []),
        "failed_by_reason": by_reason.get((wave, outcomes.FAILED), []),
    }


def _of(waves: Sequence[Wave]) -> QuerySet[WaveMember]:
    return WaveMember.objects.filter(wave__in=[wave.pk for wave in waves]).order_by()


def _grouped(rows: QuerySet[Any], of: str, field: str, count: Count) -> Mapping[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for wave, value, number in rows.values_list(of, field).annotate(number=count):
        found[wave][value] = number
    return found


# --- what happened ----------------------------------------------------------------------------------------------------


def _events(rollout: Rollout) -> Mapping[int | None, list[Document]]:
    """The timeline, oldest first, by wave; batches are only counted."""
    found: dict[int | None, list[Document]] = defaultdict(list)
    for event in rollout.events.exclude(kind=Kind.BATCH).order_by("at", "pk"):
        found[event.wave_id].append(
            {
                "kind": event.kind,
                "label": event.get_kind_display(),
                "at": event.at,
                "by": event.by,
                "sentence": event.sentence,
                "reason": event.reason,
            }
        )
    return found


def interruptions_of(events: Iterable[Document], now: datetime) -> list[Document]:
    """Each pause and stop, until it went on or ``now``: when, how long, by whom and why."""
    found: list[Document] = []
    open_: Document | None = None
    for event in events:
        if open_ is not None and event["kind"] in (*_INTERRUPTS, *_GOES_ON):
            open_["until"], open_["seconds"] = event["at"], _seconds(event["at"] - open_["from"])
            open_ = None
        if event["kind"] in _INTERRUPTS:
            open_ = {
                "kind": event["kind"],
                "label": event["label"],
                "from": event["at"],
                "until": None,
                "seconds": _seconds(now - event["at"]),
                "by": event["by"],
                "sentence": event["sentence"],
                "reason": event["reason"],
            }
            found.append(open_)
    return found


def _seconds(length: timedelta) -> int:
    return max(int(length.total_seconds()), 0)


def _throughput(
    wave: Wave, members: Mapping[str, int], runs: Document, interruptions: Sequence[Document], now: datetime
) -> Document | None:
    """How much in an hour, between the start and the last member, without pauses and stops; None before the start."""
    if wave.started_at is None:
        return None
    ends = wave.moved_at or now
    stood = sum(each["seconds"] for each in interruptions if each["from"] < ends)
    seconds = max(_seconds(ends - wave.started_at) - stood, 0)
    ended = sum(members.get(state, 0) for state in WaveMember.FINISHED)
    meetings = sum(runs["meetings"][key] for key in MEETINGS.values())
    return {
        "seconds": seconds,
        "members_per_hour": round(ended * 3600 / seconds, 1) if seconds else None,
        "meetings_per_hour": round(meetings * 3600 / seconds, 1) if seconds else None,
    }


# --- checks, answers, gates -------------------------------------------------------------------------------------------


def _checks(rollout: Rollout) -> Mapping[int | None, list[Document]]:
    """Each check with its last result, and all that people answered, by wave; those of retirement under None."""
    answers: dict[int, list[Document]] = defaultdict(list)
    for answer in CheckAnswer.objects.filter(rollout_check__rollout=rollout).order_by("at", "pk"):
        answers[answer.rollout_check_id].append(
            {
                "answer": answer.answer,
                "label": answer.get_answer_display(),
                "at": answer.at,
                "by": answer.by,
                "note": answer.note,
            }
        )
    found: dict[int | None, list[Document]] = defaultdict(list)
    checks = rollout.checks.select_related("last_result").order_by("wave__position", "position", "pk")
    for check in checks:
        found[check.wave_id].append(_check(check, answers[check.pk]))
    return found


def _check(check: RolloutCheck, answers: list[Document]) -> Document:
    result = check.last_result
    return {
        "id": check.pk,
        "name": check.name,
        "scope": check.scope,
        "scope_label": check.get_scope_display(),
        "kind": check.kind,
        "kind_label": check.get_kind_display(),
        "is_manual": check.is_manual,
        "is_advisory": check.is_advisory,
        "removed": check.removed_at,
        "removed_by": check.removed_by,
        "removal_reason": check.removal_reason,
        "last_result": None
        if result is None
        else {
            "outcome": result.outcome,
            "label": result.get_outcome_display(),
            "at": result.at,
            "seconds": round(result.seconds, 3),
            "sentence": result.sentence,
            "by": result.by,
        },
        "answers": answers,
    }


def _openings(rollout: Rollout) -> Mapping[int | None, list[Document]]:
    """Gates that were opened by hand, by wave; that of retirement under None."""
    found: dict[int | None, list[Document]] = defaultdict(list)
    for opening in GateOpening.objects.filter(rollout=rollout).order_by("at", "pk"):
        found[opening.wave_id].append(
            {
                "at": opening.at,
                "by": opening.by,
                "reason": opening.reason,
                "closed_by": opening.closed_by,
                "used": opening.used_at,
            }
        )
    return found


# --- all waves together -----------------------------------------------------------------------------------------------


def _totals(waves: Sequence[Document]) -> Document:
    """The sums of what the waves counted. A user who was rolled back and moved again counts in both waves."""
    return {name: _sum(waves, name) for name in ("members", "runs", "meetings", "messages")} | {
        "taken_back": {
            name: _sum([wave["taken_back"] for wave in waves], name) for name in ("runs", "meetings", "messages")
        },
        "stops": sum(1 for wave in waves for each in wave["interruptions"] if each["kind"] == Kind.STOPPED),
        "pauses": sum(1 for wave in waves for each in wave["interruptions"] if each["kind"] == Kind.PAUSED),
        "openings": sum(len(wave["openings"]) for wave in waves),
    }


def _sum(parts: Sequence[Document], name: str) -> Document:
    """The sums of the numbers of one section, and of its reasons by code."""
    sums: Document = {}
    for part in parts:
        for key, value in part[name].items():
            if isinstance(value, int):
                sums[key] = sums.get(key, 0) + value
            else:
                sums[key] = _add_reasons(sums.get(key, []), value)
    return sums


def _add_reasons(some: list[Document], more: Iterable[Document]) -> list[Document]:
    by_code = {each["code"]: dict(each) for each in some}
    for each in more:
        known = by_code.setdefault(each["code"], each | {"count": 0})
        known["count"] += each["count"]
    return sorted(by_code.values(), key=lambda each: (-each["count"], each["code"]))
