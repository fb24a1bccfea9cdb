"""From events to what an alert says: grouped, counted, with what to do and where.

The document is what the webhook gets (docs/alerts.md has its schema), and what the mail is written from. It holds no
subject of a meeting and no secret: it goes to other systems.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Model, QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from migrations_app.alerts.kinds import Thing
from migrations_app.failures import do_when_given_up, entry_of, happened
from migrations_app.models import (
    AlertEvent,
    BulkAction,
    ChatPlan,
    LeftMeeting,
    NumberRelease,
    Preview,
    RolloutEvent,
    UserImport,
    WorkerSilence,
)
from migrations_app.procedures.bulk_kinds import KINDS as BULK_KINDS
from migrations_app.runs.failed import UNKNOWN, failed_runs
from migrations_app.runs.left import to_come
from tenants_app.models import MailboxConnection, Tenant
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.site_address import site_address

VERSION = 1
"""Of the document: it changes where something is taken out or means something else, not where something is added."""
MOST_GROUPS, MOST_NAMES, MOST_ROWS = 20, 5, 20
"""What is named; the rest is counted."""

RENEWING = sentence("Make a new one in Microsoft Entra and enter it in the connection; without it no run goes on.")

BULK_ACTION = "bulk-action"
_SECRETS: Mapping[str, str] = {name: name for name in (sentence("certificate"), sentence("client secret"))}
Document = dict[str, Any]


def address(name: str, *args: Any, **query: str) -> str:
    """Where a page is, for somebody who is elsewhere."""
    return site_address(reverse(name, args=args)) + (f"?{urlencode(query)}" if query else "")


def compose(tenant: Tenant, events: QuerySet[AlertEvent]) -> Document | None:
    """What is to be told of these events as things are now; None where nothing is left to be told.

    A failure that was put right meanwhile, or a meeting that somebody has dealt with, is only counted.
    """
    by_thing = dict(events.order_by().values_list("thing").annotate(events=Count("pk")))
    told: Document = {}
    if by_thing.get(Thing.RUN):
        told["failed_runs"] = _failed_runs(tenant, events.filter(thing=Thing.RUN), by_thing[Thing.RUN])
    if by_thing.get(Thing.LEFT_MEETING):
        of = events.filter(thing=Thing.LEFT_MEETING)
        told["left_meetings"] = _left_meetings(tenant, of, by_thing[Thing.LEFT_MEETING])
    if by_thing.get(Thing.CONNECTION):
        told["connections"] = _connections(tenant, events.filter(thing=Thing.CONNECTION))
    if by_thing.get(Thing.CREDENTIAL) and (secrets := _secrets(tenant, events.filter(thing=Thing.CREDENTIAL))):
        told["ending_secrets"] = secrets
    if by_thing.get(Thing.WAVE_STOP) and (stops := _stops(tenant, events.filter(thing=Thing.WAVE_STOP))):
        told["stopped_waves"] = stops
    if by_thing.get(Thing.CHAT_STOP) and (stopped := _chat_stops(tenant, events.filter(thing=Thing.CHAT_STOP))):
        told["stopped_chat_imports"] = stopped
    if by_thing.get(Thing.SILENCE):
        told["silences"] = _silences(events.filter(thing=Thing.SILENCE))
    if jobs := _jobs(tenant, events):
        told["finished_jobs"] = jobs
    title = title_of(told)
    if not title:
        return None
    return {**head(tenant), "title": title, **told}


def head(tenant: Tenant) -> Document:
    """What every document begins with."""
    about = {
        "slug": tenant.slug,
        "name": tenant.name,
        "domain": tenant.domain,
        "url": address("dashboard", tenant.slug),
    }
    return {"version": VERSION, "tenant": about}


def title_of(told: Mapping[str, Any]) -> str:
    """What happened, in one line that may begin with a small letter (:func:`begun_large`); empty where nothing did."""
    parts: list[str] = []
    if count := told.get("failed_runs", {}).get("count"):
        parts.append(sentence_plural("%(n)s run failed", "%(n)s runs failed", count))
    if count := told.get("left_meetings", {}).get("count"):
        parts.append(sentence_plural("%(n)s meeting left for you", "%(n)s meetings left for you", count))
    parts += _title_of_connections(told.get("connections", ()))
    if secrets := told.get("ending_secrets"):
        first = secrets[0]
        parts.append(
            sentence("the %(secret)s of connection %(name)s ends", secret=first["secret"], name=first["name"])
            if len(secrets) == 1
            else sentence("the secrets of %(count)s connections end", count=len(secrets))
        )
    if stops := told.get("stopped_waves"):
        parts.append(
            sentence("wave %(wave)s has stopped", wave=stops[0]["wave"])
            if len(stops) == 1
            else sentence("waves have stopped %(count)s times", count=len(stops))
        )
    if stopped := told.get("stopped_chat_imports"):
        parts.append(
            sentence("import %(number)s of chat has stopped", number=stopped[0]["plan"])
            if len(stopped) == 1
            else sentence("%(count)s imports of chat have stopped", count=len(stopped))
        )
    if silences := told.get("silences"):
        parts.append(
            sentence("the background service was silent")
            if len(silences) == 1
            else sentence("the background service was silent %(count)s times", count=len(silences))
        )
    if jobs := told.get("finished_jobs"):
        count, first = jobs["count"], jobs["jobs"][0]
        if count > 1:
            parts.append(sentence("%(count)s jobs are finished", count=count))
        elif first["kind"] == BULK_ACTION:  # of how many users it was done, the mail says below
            parts.append(sentence("%(job)s is finished", job=first["what"]))
        else:
            parts.append(sentence("%(job)s %(result)s", job=first["what"], result=first["result"]))
    if not parts:
        return ""
    title = parts[0]
    for part in parts[1:]:
        title = sentence("%(row)s, %(next)s", row=title, next=part)
    return title


def begun_large(text: str) -> str:
    """A title or a job in the language that is active, as the beginning of a sentence."""
    said = str(text)
    return said[:1].upper() + said[1:]


def _title_of_connections(connections: Iterable[Mapping[str, Any]]) -> list[str]:
    paused = [each for each in connections if each["state"] == "paused"]
    works = [each for each in connections if each["state"] == "works"]
    parts: list[str] = []
    if paused:
        parts.append(
            sentence("connection %(name)s is paused", name=paused[0]["name"])
            if len(paused) == 1
            else sentence("%(count)s connections are paused", count=len(paused))
        )
    if works:
        parts.append(
            sentence("connection %(name)s works again", name=works[0]["name"])
            if len(works) == 1
            else sentence("%(count)s connections work again", count=len(works))
        )
    return parts


# --- runs and meetings ------------------------------------------------------------------------------------------------


def _failed_runs(tenant: Tenant, events: QuerySet[AlertEvent], happened_count: int) -> Document:
    runs = failed_runs(tenant).filter(accepted_at=None, pk__in=events.values("object_id"))
    rows = runs.order_by().values_list("last_error_code", "last_error_cause").annotate(users=Count("pk"))
    counts: dict[str, int] = defaultdict(int)
    for code, cause, users in rows:
        counts[cause or code or UNKNOWN] += users
    of_code = {
        code: failed_runs(tenant, code).filter(accepted_at=None, pk__in=events.values("object_id"))
        for code in _most(counts)
    }
    groups = [
        {
            **_words(code),
            "count": counts[code],
            "user_count": counts[code],
            "users": list(of_code[code].order_by("user__upn").values_list("user__upn", flat=True)[:MOST_NAMES]),
            "url": address("failure-group", tenant.slug, code),
        }
        for code in of_code
    ]
    return _grouped(counts, happened_count, groups, address("failures", tenant.slug))


def _left_meetings(tenant: Tenant, events: QuerySet[AlertEvent], happened_count: int) -> Document:
    rows = to_come(tenant).filter(state=LeftMeeting.State.OPEN, pk__in=events.values("object_id"))
    counts = dict(rows.order_by().values_list("code").annotate(meetings=Count("pk")))
    groups = []
    for code in _most(counts):
        users = rows.filter(code=code).order_by("user__upn").values_list("user__upn", flat=True).distinct()
        page = address("left-meetings", tenant.slug, state=LeftMeeting.State.OPEN, reason=code)
        named = {"user_count": users.count(), "users": list(users[:MOST_NAMES])}
        groups.append({**_words(code), "count": counts[code], **named, "url": page})
    page = address("left-meetings", tenant.slug, state=LeftMeeting.State.OPEN)
    return _grouped(counts, happened_count, groups, page)


def _most(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda code: (-counts[code], code))[:MOST_GROUPS]


def _grouped(counts: Mapping[str, int], happened_count: int, groups: Sequence[Document], url: str) -> Document:
    count = sum(counts.values())
    return {"count": count, "put_right_meanwhile": max(happened_count - count, 0), "groups": groups, "url": url}


def _words(code: str) -> Document:
    known = entry_of(code)
    return {"code": code, "what": happened(code), "do": do_when_given_up(code) if known.cures_by_waiting else known.do}


# --- what lasts -------------------------------------------------------------------------------------------------------


def _connections(tenant: Tenant, events: QuerySet[AlertEvent]) -> list[Document]:
    """Each connection as it is now, however often it was refused and taken up again meanwhile."""
    by_connection: dict[int, list[AlertEvent]] = defaultdict(list)
    for event in events.order_by("at"):
        by_connection[event.object_id].append(event)
    there = set(MailboxConnection.objects.filter(tenant=tenant).values_list("pk", flat=True))
    return [_connection(tenant, pk, some, is_there=pk in there) for pk, some in by_connection.items()][:MOST_ROWS]


def _connection(tenant: Tenant, pk: int, events: Sequence[AlertEvent], *, is_there: bool) -> Document:
    last = events[-1]
    code, detail = last.facts["code"], last.facts["detail"]
    return {
        "name": last.facts["name"],
        "state": "works" if last.ended_at else "paused",
        "times": len(events),
        "since": events[0].at.isoformat(),
        "until": last.ended_at.isoformat() if last.ended_at else None,
        **(_words(code) | {"what": happened(code, detail)}),
        "url": address("mailbox-connection", tenant.slug, pk) if is_there else "",
    }


def _secrets(tenant: Tenant, events: QuerySet[AlertEvent]) -> list[Document]:
    """Secrets that still end then; those that were renewed meanwhile need nobody."""
    ends = dict(events.order_by("at").values_list("object_id", "at"))
    there = MailboxConnection.objects.filter(tenant=tenant, pk__in=list(ends)).order_by("secret_expires_at", "pk")
    return [
        {
            "name": each.name,
            "secret": _SECRETS[each.secret_name],
            "ends": ends[each.pk].isoformat(),
            "do": RENEWING,
            "url": address("mailbox-connection", tenant.slug, each.pk),
        }
        for each in there
        if each.secret_expires_at == ends[each.pk]
    ][:MOST_ROWS]


def _stops(tenant: Tenant, events: QuerySet[AlertEvent]) -> list[Document]:
    """Each stop once, whatever became of the wave since."""
    found = RolloutEvent.objects.filter(rollout__tenant=tenant, pk__in=events.values("object_id"))
    return [
        {
            "rollout": stop.rollout.name,
            "wave": stop.wave.name,
            "at": stop.at.isoformat(),
            "why": stop.sentence,
            "url": address("wave", tenant.slug, stop.rollout_id, stop.wave.position),
        }
        for stop in found.select_related("rollout", "wave").order_by("at", "pk")[:MOST_ROWS]
        if stop.wave is not None
    ]


def _chat_stops(tenant: Tenant, events: QuerySet[AlertEvent]) -> list[Document]:
    """Imports of chat that are still stopped; what somebody has resumed since needs nobody."""
    stopped = ChatPlan.objects.filter(
        tenant=tenant, pk__in=events.values("object_id"), state=ChatPlan.State.STOPPED, stopped_at__isnull=False
    )
    return [
        {
            "plan": plan.number,
            "archive": plan.archive.name,
            "target": plan.target.name,
            "at": plan.stopped_at.isoformat(),
            "why": plan.problem,
            "url": address("chat-plan", tenant.slug, plan.number),
        }
        for plan in stopped.select_related("archive", "target").order_by("stopped_at", "pk")[:MOST_ROWS]
        if plan.stopped_at is not None
    ]


def _silences(events: QuerySet[AlertEvent]) -> list[Document]:
    found = WorkerSilence.objects.filter(pk__in=events.values("object_id")).order_by("began")[:MOST_ROWS]
    return [{"since": each.began.isoformat(), "until": each.ended.isoformat()} for each in found]


# --- jobs -------------------------------------------------------------------------------------------------------------


def _jobs(tenant: Tenant, events: QuerySet[AlertEvent]) -> Document:
    """The jobs that are finished; of those that are not in the history any more nothing is told."""
    keys: dict[str, list[int]] = defaultdict(list)
    for thing, pk in events.filter(thing__in=_JOBS).order_by("at").values_list("thing", "object_id"):
        keys[thing].append(pk)
    found: list[Document] = []
    for thing, told in _JOBS.items():
        rows = told.model._default_manager.filter(tenant=tenant, pk__in=keys[thing][-MOST_ROWS:])
        found += [_job(tenant, row, told) for row in rows.order_by("finished_at").select_related("tenant")]
    return {"count": max(sum(map(len, keys.values())), len(found)), "jobs": found[:MOST_ROWS]} if found else {}


@dataclass(frozen=True, slots=True)
class _Told:
    """How jobs of one kind are told of."""

    model: type[Model]
    kind: str
    what: Callable[[Any], str]
    result: Callable[[Any], str]
    page: str
    by: str = "requested_by"
    key: str = "pk"


def _job(tenant: Tenant, row: Any, told: _Told) -> Document:
    return {
        "kind": told.kind,
        "what": told.what(row),
        "result": told.result(row),
        "requested_by": getattr(row, told.by),
        "finished": row.finished_at.isoformat(),
        "url": address(told.page, tenant.slug, getattr(row, told.key)),
    }


def _result_of_action(action: BulkAction) -> str:
    done, refused = action.done_count, action.refused_count
    if refused:
        return sentence_plural(
            "is finished: done for %(n)s user, not done for %(refused)s",
            "is finished: done for %(n)s users, not done for %(refused)s",
            done,
            refused=refused,
        )
    return sentence_plural("is finished: done for %(n)s user", "is finished: done for %(n)s users", done)


def _result_of_import(user_import: UserImport) -> str:
    if user_import.state == UserImport.State.REFUSED:
        return sentence("was refused")
    return sentence("is applied")


_JOBS: Mapping[AlertEvent.Thing, _Told] = {
    Thing.BULK_ACTION: _Told(
        BulkAction,
        BULK_ACTION,
        lambda action: (
            sentence("“%(name)s”", name=BULK_KINDS[action.kind].label) if action.kind in BULK_KINDS else action.kind
        ),
        _result_of_action,
        "bulk-action",
    ),
    Thing.USER_IMPORT: _Told(
        UserImport,
        "import",
        lambda found: sentence("import of %(file)s", file=found.file_name),
        _result_of_import,
        "user-import",
    ),
    Thing.NUMBER_RELEASE: _Told(
        NumberRelease,
        "number-release",
        lambda release: release.e164,
        lambda release: sentence("is released"),
        "release",
    ),
    Thing.PREVIEW: _Told(
        Preview,
        "preview",
        lambda preview: sentence("preview of %(title)s", title=preview.title),
        lambda preview: sentence("is ready") if preview.state == Preview.State.READY else sentence("cannot be made"),
        "preview",
    ),
    Thing.CHAT_IMPORT: _Told(
        ChatPlan,
        "chat-import",
        lambda plan: sentence("import %(number)s of chat", number=plan.number),
        lambda plan: sentence("is finished"),
        "chat-plan",
        by="started_by",
        key="number",
    ),
}
