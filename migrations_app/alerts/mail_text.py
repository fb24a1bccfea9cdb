"""An alert as a mail: plain text, in English, with what to do and links to the pages where that is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any
from uuid import UUID

from migrations_app.alerts.composing import address
from migrations_app.calendars.people import Person
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.letters import Letter
from tenants_app.models import Tenant
from tenants_app.wording import counted

_WIDTH = 76

Told = Mapping[str, Any]


def message(
    tenant: Tenant, content: Told, sender: str, recipient: str, delivery_id: UUID, created: datetime
) -> ComposedMessage:
    """The whole message, the same however often it is made."""
    letter = Letter(
        sender=Person(f"MMS {tenant.name}", sender),
        to=Person("", recipient),
        subject=f"[MMS {tenant.name}] {content['title']}",
        text=text(tenant, content),
        language="en",
        message_id=f"<alert.{delivery_id}@{tenant.domain}>",
        date=created,
    )
    return letter.compose()


def text(tenant: Tenant, content: Told) -> str:
    """What the mail says."""
    parts = ["\n".join(part) for part in _parts(tenant, content)]
    settings = address("alerts", tenant.slug)
    end = f"MMS sends this because alerts are on for {tenant.name}. Who gets which, and when:\n{settings}"
    return "\n\n".join([f"{content['title']}.", *parts, f"-- \n{end}"])


def _parts(tenant: Tenant, content: Told) -> Iterator[list[str]]:
    if failed := content.get("failed_runs"):
        yield from _groups("Failed runs", failed, "run")
    if left := content.get("left_meetings"):
        yield from _groups("Meetings left for you", left, "meeting")
    for connection in content.get("connections", ()):
        yield list(_connection(tenant, connection))
    if silences := content.get("silences"):
        yield [*_heading("Silent background service"), *_silences(tenant, silences)]
    if jobs := content.get("finished_jobs"):
        yield [*_heading("Finished jobs"), *_jobs(jobs)]
    if sentence := content.get("sentence"):
        yield wrap(sentence, _WIDTH)


def _heading(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _groups(title: str, told: Told, noun: str) -> Iterator[list[str]]:
    if not told["count"]:
        return
    lines = [*_heading(f"{title}: {told['count']:,}"), told["url"]]
    if meanwhile := told["put_right_meanwhile"]:
        lines += wrap(f"{counted(meanwhile, f'other {noun}')} needed you too, and does not any more.", _WIDTH)
    yield lines
    for group in told["groups"]:
        lines = wrap(f"{group['count']:,} × {group['what']}", _WIDTH, subsequent_indent="    ")
        lines += [f"    {line}" for line in wrap(group["do"], _WIDTH - 4)]
        lines += [f"    {line}" for line in wrap(_names(group), _WIDTH - 4)]
        yield [*lines, f"    {group['url']}"]
    if (rest := told["count"] - sum(group["count"] for group in told["groups"])) > 0:
        yield [f"{rest:,} more for other reasons."]


def _names(group: Told) -> str:
    names = ", ".join(group["users"])
    more = group["user_count"] - len(group["users"])
    return f"{names} and {more:,} more" if more > 0 else names


def _connection(tenant: Tenant, told: Told) -> Iterator[str]:
    if told["state"] == "paused":
        yield from _heading(f"Mailbox connection {told['name']} is paused")
        yield from wrap(f"{told['what']} Runs of its users wait. {told['do']}", _WIDTH)
        yield f"It began {_when(tenant, told['since'])}."
    else:
        yield from _heading(f"Mailbox connection {told['name']} works again")
        yield from wrap(told["what"], _WIDTH)
        yield f"From {_when(tenant, told['since'])} to {_when(tenant, told['until'])}; runs of its users go on."
    if told["times"] > 1:
        yield f"It was refused {told['times']} times since the last alert."
    if told["url"]:
        yield told["url"]


def _silences(tenant: Tenant, silences: Sequence[Told]) -> Iterator[str]:
    for each in silences:
        length = datetime.fromisoformat(each["until"]) - datetime.fromisoformat(each["since"])
        minutes = counted(int(length.total_seconds()) // 60, "minute")
        yield f"From {_when(tenant, each['since'])} to {_when(tenant, each['until'])}: {minutes}."
    yield from wrap("Nothing was lost: runs and messages that were due go on now. Look why it stood still.", _WIDTH)


def _jobs(told: Told) -> Iterator[str]:
    for job in told["jobs"]:
        by = f", asked for by {job['requested_by']}" if job["requested_by"] else ""
        yield from wrap(f"{job['what'][:1].upper()}{job['what'][1:]} {job['result']}{by}.", _WIDTH)
        yield job["url"]
    if (rest := told["count"] - len(told["jobs"])) > 0:
        yield f"{rest:,} more."


def _when(tenant: Tenant, moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone(tenant.zone).strftime("%Y-%m-%d %H:%M (%Z)")
