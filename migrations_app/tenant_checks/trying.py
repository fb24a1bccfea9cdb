"""What only writing tells of Exchange Online, tried on events that are made for it in a test mailbox.

One function for each question that Microsoft's documentation leaves open. Every event is deleted at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from html import escape, unescape
from typing import Any

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, Graph, segment
from migrations_app.tenant_checks import round_trip, tidying
from migrations_app.tenant_checks.findings import Finding, failed, note, ok, unknown
from migrations_app.tenant_checks.mailbox import JOIN_LINK
from migrations_app.tenant_checks.own_events import HTML, Mailbox, OwnEvent, listed
from migrations_app.tenant_checks.round_trip import JOIN, PLAIN
from tenants_app.sentences import sentence

LOOKS, PAUSE = 12, 10.0
"""How often, and after how many seconds each, it is looked whether a change has reached the attendee."""
_MARK = "https://teams.microsoft.com/l/meetup-join/mms-check-of-a-property"


def announcement(user: str, attendee: str) -> Sequence[str]:
    """What will be done, before it is."""
    return (
        sentence(
            "MMS will make two events in the calendar of %(user)s, 30 days from now, and invite %(attendee)s to them.",
            user=user,
            attendee=attendee,
        ),
        sentence(
            "It will change them about ten times and delete both, so that %(attendee)s gets about a dozen mails.",
            attendee=attendee,
        ),
        sentence(
            "It takes up to %(minutes)s minutes, because it waits for what reaches %(attendee)s.",
            minutes=round(2 * LOOKS * PAUSE / 60),
            attendee=attendee,
        ),
        *tidying.announced(user, attendee),
    )


def check(
    graph: Graph,
    *,
    user: str,
    attendee: str,
    now: datetime,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Finding]:
    """All questions, on two events. Ends where none can be made."""
    questions = [partial(each, wait=wait) for each in (_of_an_event, _of_a_teams_meeting)]
    yield from tidying.asked(Mailbox(graph, user, attendee, now), questions, wait)


def _of_an_event(mailbox: Mailbox, wait: Callable[[float], object]) -> Iterator[Finding]:
    event = mailbox.make(PLAIN)
    yield ok(
        sentence("test event"),
        sentence("“%(subject)s” was made in the calendar of %(user)s.", subject=event.subject, user=mailbox.user),
    )
    yield conditions(event)
    yield from block(event, mailbox.now)
    copy, finding = text_of_attendee(event, wait)
    yield finding
    yield from properties(event, copy, wait)
    yield mails(event, sentence("mails"), ends_with_a_property=True)
    yield unknown(
        sentence("kind of update"),
        sentence(
            "Whether an update of the text alone asks for a new answer shows in the mailbox of "
            "%(attendee)s: accept a meeting of a pilot there, start a run for the pilot, and see whether "
            "the answer stays.",
            attendee=mailbox.attendee,
        ),
    )


def _of_a_teams_meeting(mailbox: Mailbox, wait: Callable[[float], object]) -> Iterator[Finding]:
    event = mailbox.make(PLAIN, is_online=True)
    yield from join_link(event)
    yield mails(event, sentence("mails of a Teams meeting"))


def conditions(event: OwnEvent) -> Finding:
    """Does Exchange refuse a write whose If-Match is old?"""
    before = str(event.read().get("@odata.etag", ""))
    first = event.write({"body": {"contentType": "html", "content": PLAIN.replace("at once", "soon")}}, before)
    if first is not None and not first.ok:
        return failed(
            sentence("conditions"),
            sentence(
                "Exchange refuses a write whose If-Match is right (%(status)s %(error)s): run the command "
                "again, and report it if it stays so.",
                status=first.status,
                error=first.error,
            ),
        )
    second = event.try_to_write({"body": {"contentType": "html", "content": PLAIN}}, before)
    if second is None:
        return unknown(sentence("conditions"), sentence("The answer was lost on the way: run the command again."))
    if second.status == 412:
        return ok(
            sentence("conditions"),
            sentence("A write whose If-Match is old is refused with 412, and one whose is right is taken."),
        )
    return failed(
        sentence("conditions"),
        sentence(
            "A write whose If-Match is old was answered with %(status)s: MMS could overwrite what "
            "somebody else has changed. Do not use it on this tenant, and report this.",
            status=second.status,
        ),
        status=second.status,
        error=second.error,
    )


def block(event: OwnEvent, now: datetime) -> Iterator[Finding]:
    """Is a block that MMS wrote found again after Exchange has stored it?"""
    sent = round_trip.with_block()
    event.write_body(sent)
    yield from round_trip.findings(sent, _html_of(event.read()), now)


def text_of_attendee(event: OwnEvent, wait: Callable[[float], object]) -> tuple[JSON | None, Finding]:
    """Does the text that was written reach the attendee's copy? With the copy, where there is one to be read."""
    question, attendee = sentence("attendee's text"), event.mailbox.attendee
    try:
        copy = _copy(event, wait, lambda found: JOIN in unescape(_html_of(found)))
    except Failure as failure:
        return None, unknown(
            question,
            sentence(
                "The calendar of %(attendee)s cannot be read, so MMS cannot see what reaches it: put it into "
                "the scope for the test, or look there yourself.",
                attendee=attendee,
            ),
            code=failure.code,
        )
    if copy is None:
        return None, unknown(
            question,
            sentence(
                "No copy has come to the calendar of %(attendee)s in %(looks)s seconds: see whether this is "
                "the address of a mailbox in this organization.",
                attendee=attendee,
                looks=f"{LOOKS * PAUSE:.0f}",
            ),
        )
    if JOIN in unescape(_html_of(copy)):
        return copy, ok(
            question, sentence("A text that is written reaches the copy of %(attendee)s.", attendee=attendee)
        )
    return copy, note(
        question,
        sentence(
            "The text that was written has not reached the copy of %(attendee)s in %(looks)s seconds: "
            "attendees may go on with the old text. See whether they are told by mail at all.",
            attendee=attendee,
            looks=f"{LOOKS * PAUSE:.0f}",
        ),
    )


def properties(event: OwnEvent, before: JSON | None, wait: Callable[[float], object]) -> Iterator[Finding]:
    """What becomes of an update of a named property alone: is it kept, and does it reach the attendee? ``before`` is
    the attendee's copy as it was."""
    attendee = event.mailbox.attendee
    answer = event.write({"singleValueExtendedProperties": [{"id": JOIN_LINK, "value": _MARK}]})
    if answer is not None and not answer.ok:
        yield failed(
            sentence("properties"),
            sentence(
                "Exchange refuses a named property (%(status)s %(error)s): MMS could not keep join links and "
                "numbers together. Do not start a run, and report this.",
                status=answer.status,
                error=answer.error,
            ),
        )
        return
    if _property_of(event.read(_EXPAND)) != _MARK:
        yield failed(
            sentence("properties"),
            sentence(
                "Exchange took the named property, and does not give it back: Join buttons would lead "
                "elsewhere than the text. Do not start a run, and report this."
            ),
        )
        return
    yield ok(sentence("properties"), sentence("A named property that is written alone is kept."))
    if before is None:
        yield unknown(
            sentence("attendee's copy"),
            sentence("Without a copy of %(attendee)s that can be read it cannot be seen.", attendee=attendee),
        )
        return
    copy = _copy(event, wait, lambda found: _property_of(found) == _MARK)
    is_updated = copy is not None and _state_of(copy) != _state_of(before)
    if copy is not None and _property_of(copy) == _MARK:
        yield ok(
            sentence("attendee's copy"),
            sentence(
                "The property has reached the copy of %(attendee)s: a Join button can follow it. Such an "
                "update is sent.",
                attendee=attendee,
            ),
            updated=is_updated,
        )
        return
    yield note(
        sentence("attendee's copy"),
        sentence(
            "The property has not reached the copy of %(attendee)s, and an update was sent all the same: Join buttons "
            "may keep the old link until the organizer changes title or time. The text has the new one.",
            attendee=attendee,
        )
        if is_updated
        else sentence(
            "The property has not reached the copy of %(attendee)s, and nothing shows there that an update was sent "
            "for it at all: Join buttons may keep the old link until the organizer changes title or time. The text has "
            "the new one.",
            attendee=attendee,
        ),
        updated=is_updated,
    )


def join_link(event: OwnEvent) -> Iterator[Finding]:
    """What becomes of a Teams meeting's link when the text is written, with it and without it?"""
    first = event.read()
    link = _join_of(first)
    if not link:
        yield unknown(
            sentence("Teams link"),
            sentence(
                "Exchange made no Teams meeting for %(user)s: see whether the user has Teams.", user=event.mailbox.user
            ),
        )
        return
    text = _html_of(first)
    if link not in unescape(text):
        yield note(
            sentence("Teams link"),
            sentence("The text of a new Teams meeting does not show its join link; MMS would not find a block."),
        )
    event.write_body(text.replace("</body>", "<p>A line more.</p></body>"))
    kept = _join_of(event.read())
    if kept == link:
        yield ok(sentence("Teams link kept"), sentence("The join link stays when the text is written with it."))
    else:
        yield failed(
            sentence("Teams link kept"),
            sentence(
                "The join link changes although the text that is written holds it: MMS would break meetings. "
                "Do not use it on this tenant, and report this."
            ),
            before=link,
            after=kept,
        )
    seen = []
    for number in range(3):
        event.write_body(PLAIN.replace("</body>", f"<p>{number}</p></body>"))
        seen.append(_join_of(event.read()))
    event.write_body(f"<html><body><a href='{escape(link)}'>Join</a></body></html>")
    back = _join_of(event.read())
    behaviour = _behaviour(link, seen, back)
    yield ok(
        sentence("Teams link lost"), _BEHAVIOURS[behaviour], behaviour=behaviour, before=link, without=seen, again=back
    )


def mails(event: OwnEvent, question: str, *, ends_with_a_property: bool = False) -> Finding:
    """How many mails did it take? Only the attendee can count them."""
    counted: dict[str, Any] = {
        "attendee": event.mailbox.attendee,
        "subject": event.subject,
        "told": event.told - 1,
    }
    return unknown(
        question,
        sentence(
            "Count what comes to %(attendee)s for “%(subject)s”: one invitation, %(told)s updates, the last of them of "
            "a property alone, which may send none, and one cancellation at the end. With more or fewer the preview "
            "counts wrongly.",
            **counted,
        )
        if ends_with_a_property
        else sentence(
            "Count what comes to %(attendee)s for “%(subject)s”: one invitation, %(told)s updates, and one "
            "cancellation at the end. With more or fewer the preview counts wrongly.",
            **counted,
        ),
        updates=event.told - 1,
    )


_EXPAND = f"singleValueExtendedProperties($filter=id eq '{JOIN_LINK}')"
_BEHAVIOURS = {
    "documented": sentence("Without its link in the text the event is no online meeting any more, as documented."),
    "alternating": sentence(
        "Without its link in the text the meeting goes away, and comes back with the next write, in turns."
    ),
    "new-link": sentence("Without its link in the text every write makes a new meeting with another link."),
    "follows-body": sentence("The meeting is whichever Teams link stands in the text; without one there is none."),
    "kept": sentence("The meeting stays although its link is not in the text."),
}
"""What becomes of a Teams meeting whose link is missing in a text that is written."""


def _behaviour(link: str, seen: Sequence[str], back: str) -> str:
    if any(each not in {"", link} for each in seen):
        return "new-link"
    if all(each == link for each in seen):
        return "kept"
    if link in seen:
        return "alternating"
    return "follows-body" if back == link else "documented"


def _copy(event: OwnEvent, wait: Callable[[float], object], is_as_awaited: Callable[[JSON], bool]) -> JSON | None:
    """The attendee's copy, as soon as it is as it should be; else as it is in the end. Raises ``Failure``."""
    mailbox = event.mailbox
    path = f"/users/{segment(mailbox.attendee)}/events"
    shown = "id,iCalUId,subject,body,changeKey,lastModifiedDateTime"
    asked = {"$filter": f"iCalUId eq '{event.uid}'", "$expand": _EXPAND, "$select": shown}
    found: JSON | None = None
    for look in range(LOOKS):
        answer = mailbox.graph.get(path, asked, HTML)
        found = next(iter(listed(answer)), found) if answer.ok else found
        if found is not None and is_as_awaited(found):
            break
        if look < LOOKS - 1:
            wait(PAUSE)
    return found


def _state_of(event: JSON) -> tuple[str, str]:
    """What is another one after every change."""
    return str(event.get("changeKey", "")), str(event.get("lastModifiedDateTime", ""))


def _html_of(event: JSON) -> str:
    body = event.get("body")
    return str(body.get("content", "")) if isinstance(body, dict) else ""


def _join_of(event: JSON) -> str:
    meeting = event.get("onlineMeeting")
    return str(meeting.get("joinUrl") or "") if isinstance(meeting, dict) else ""


def _property_of(event: JSON) -> str:
    values = event.get("singleValueExtendedProperties")
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict) and str(value.get("id", "")).lower() == JOIN_LINK.lower():
            return str(value.get("value", ""))
    return ""
