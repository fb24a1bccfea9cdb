"""An alert as a mail: plain text in the language of whoever gets it, with what to do and links to the pages where that
is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any
from uuid import UUID

from django.utils.formats import date_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from migrations_app.alerts.composing import address, begun_large
from migrations_app.calendars.people import Person
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.letters import Letter
from tenants_app.models import Tenant
from tenants_app.wording import grouped

_WIDTH = 76

Told = Mapping[str, Any]


def message(
    tenant: Tenant, content: Told, sender: str, recipient: str, delivery_id: UUID, created: datetime
) -> ComposedMessage:
    """The whole message, the same however often it is made."""
    letter = Letter(
        sender=Person(f"MMS {tenant.name}", sender),
        to=Person("", recipient),
        subject=f"[MMS {tenant.name}] {begun_large(content['title'])}",
        text=text(tenant, content),
        language=get_language() or "en",
        message_id=f"<alert.{delivery_id}@{tenant.domain}>",
        date=created,
    )
    return letter.compose()


def text(tenant: Tenant, content: Told) -> str:
    """What the mail says."""
    parts = ["\n".join(part) for part in _parts(tenant, content)]
    return "\n\n".join([f"{begun_large(content['title'])}.", *parts, f"-- \n{_why(tenant, content)}"])


def _why(tenant: Tenant, content: Told) -> str:
    """Why one gets it, and where that is changed."""
    if rollout := content.get("rollout"):
        end = _("MMS sends this because you are among the people of rollout %(rollout)s. Who is told:")
        return f"{end % {'rollout': rollout['name']}}\n{rollout['people_url']}"
    end = _("MMS sends this because alerts are on for %(tenant)s. Who gets which, and when:")
    return f"{end % {'tenant': tenant.name}}\n{address('alerts', tenant.slug)}"


def _parts(tenant: Tenant, content: Told) -> Iterator[list[str]]:
    if failed := content.get("failed_runs"):
        yield from _groups(
            _("Failed runs: %(count)s"),
            failed,
            ngettext(
                "%(count)s other run needed you too, and does not any more.",
                "%(count)s other runs needed you too, and does not any more.",
                failed["put_right_meanwhile"],
            ),
        )
    if left := content.get("left_meetings"):
        yield from _groups(
            _("Meetings left for you: %(count)s"),
            left,
            ngettext(
                "%(count)s other meeting needed you too, and does not any more.",
                "%(count)s other meetings needed you too, and does not any more.",
                left["put_right_meanwhile"],
            ),
        )
    for connection in content.get("connections", ()):
        yield list(_connection(tenant, connection))
    for secret in content.get("ending_secrets", ()):
        yield list(_secret(tenant, secret))
    if silences := content.get("silences"):
        yield [*_heading(_("Silent background service")), *_silences(tenant, silences)]
    for stop in content.get("stopped_waves", ()):
        yield [*_stop(tenant, stop)]
    for stop in content.get("stopped_chat_imports", ()):
        yield [*_chat_stop(tenant, stop)]
    if jobs := content.get("finished_jobs"):
        yield [*_heading(_("Finished jobs")), *_jobs(jobs)]
    if sentence := content.get("sentence"):
        yield wrap(str(sentence), _WIDTH)
    if "rollout" in content:
        yield from _rollout(tenant, content)


def _heading(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _groups(title: str, told: Told, meanwhile: str) -> Iterator[list[str]]:
    """``title`` and what is said of those that were put right meanwhile, each with ``%(count)s``."""
    if not told["count"]:
        return
    lines = [*_heading(title % {"count": grouped(told["count"])}), told["url"]]
    if put_right := told["put_right_meanwhile"]:
        lines += wrap(meanwhile % {"count": grouped(put_right)}, _WIDTH)
    yield lines
    for group in told["groups"]:
        lines = wrap(f"{grouped(group['count'])} × {group['what']}", _WIDTH, subsequent_indent="    ")
        lines += [f"    {line}" for line in wrap(str(group["do"]), _WIDTH - 4)]
        lines += [f"    {line}" for line in wrap(_names(group), _WIDTH - 4)]
        yield [*lines, f"    {group['url']}"]
    if (rest := told["count"] - sum(group["count"] for group in told["groups"])) > 0:
        yield [_("%(count)s more for other reasons.") % {"count": grouped(rest)}]


def _names(group: Told) -> str:
    names = ", ".join(group["users"])
    more = group["user_count"] - len(group["users"])
    return _("%(names)s and %(count)s more") % {"names": names, "count": grouped(more)} if more > 0 else names


def _connection(tenant: Tenant, told: Told) -> Iterator[str]:
    if told["state"] == "paused":
        yield from _heading(_("Mailbox connection %(name)s is paused") % {"name": told["name"]})
        wait = _("Runs of its users wait.")
        yield from wrap(f"{told['what']} {wait} {told['do']}", _WIDTH)
        yield _("It began %(time)s.") % {"time": _when(tenant, told["since"])}
    else:
        yield from _heading(_("Mailbox connection %(name)s works again") % {"name": told["name"]})
        yield from wrap(str(told["what"]), _WIDTH)
        yield _("From %(since)s to %(until)s; runs of its users go on.") % {
            "since": _when(tenant, told["since"]),
            "until": _when(tenant, told["until"]),
        }
    if told["times"] > 1:
        yield _("It was refused %(count)s times since the last alert.") % {"count": grouped(told["times"])}
    if told["url"]:
        yield told["url"]


def _secret(tenant: Tenant, told: Told) -> Iterator[str]:
    yield from _heading(_("The %(secret)s of %(name)s ends") % {"secret": told["secret"], "name": told["name"]})
    yield _("It ends %(time)s.") % {"time": _when(tenant, told["ends"])}
    yield from wrap(str(told["do"]), _WIDTH)
    yield told["url"]


def _stop(tenant: Tenant, told: Told) -> Iterator[str]:
    yield from _heading(
        _("Wave %(wave)s of %(rollout)s has stopped") % {"wave": told["wave"], "rollout": told["rollout"]}
    )
    yield from wrap(str(told["why"]), _WIDTH)
    yield _("It stopped %(time)s. Nobody else is moved until somebody resumes it.") % {
        "time": _when(tenant, told["at"])
    }
    yield told["url"]


def _chat_stop(tenant: Tenant, told: Told) -> Iterator[str]:
    yield from _heading(
        _("Import %(number)s of chat, %(archive)s to %(target)s, has stopped")
        % {"number": told["plan"], "archive": told["archive"], "target": told["target"]}
    )
    yield from wrap(str(told["why"]), _WIDTH)
    yield _("It stopped %(time)s. No other room is begun until somebody resumes it.") % {
        "time": _when(tenant, told["at"])
    }
    yield told["url"]


def _silences(tenant: Tenant, silences: Sequence[Told]) -> Iterator[str]:
    for each in silences:
        length = datetime.fromisoformat(each["until"]) - datetime.fromisoformat(each["since"])
        minutes = int(length.total_seconds()) // 60
        told = ngettext(
            "From %(since)s to %(until)s: %(minutes)s minute.",
            "From %(since)s to %(until)s: %(minutes)s minutes.",
            minutes,
        )
        yield told % {
            "since": _when(tenant, each["since"]),
            "until": _when(tenant, each["until"]),
            "minutes": grouped(minutes),
        }
    told = _("Nothing was lost: runs and messages that were due go on now. Look why it stood still.")
    yield from wrap(told, _WIDTH)


def _jobs(told: Told) -> Iterator[str]:
    for job in told["jobs"]:
        about = {"job": begun_large(job["what"]), "result": job["result"], "name": job["requested_by"]}
        sentence = _("%(job)s %(result)s, asked for by %(name)s.") if about["name"] else _("%(job)s %(result)s.")
        yield from wrap(sentence % about, _WIDTH)
        yield job["url"]
    if (rest := told["count"] - len(told["jobs"])) > 0:
        yield _("%(count)s more.") % {"count": grouped(rest)}


def _rollout(tenant: Tenant, told: Told) -> Iterator[list[str]]:
    """Who did it and why, and where to go."""
    when = _when(tenant, told["at"])
    by = _("%(time)s, by %(name)s.") % {"time": when, "name": told["by"]} if told["by"] else f"{when}."
    lines = wrap(by, _WIDTH)
    if told["reason"]:
        lines += wrap(_("Reason: %(reason)s") % {"reason": told["reason"]}, _WIDTH)
    yield lines
    yield [(told["wave"] or told["rollout"])["url"]]


def _when(tenant: Tenant, moment: str) -> str:
    local = datetime.fromisoformat(moment).astimezone(tenant.zone)
    return f"{date_format(local, 'SHORT_DATETIME_FORMAT')} {local.tzname()}"
