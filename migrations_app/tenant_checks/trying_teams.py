"""What only writing tells of Teams: a meeting that is made for it, twice under one name, and taken away again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, Graph, Unsettled, segment
from migrations_app.tenant_checks.findings import Finding, failed, note, of_failure, ok, unknown
from migrations_app.tenant_checks.teams import licence
from tenants_app.sentences import sentence


def announcement(user: str) -> Sequence[str]:
    """What will be done, before it is."""
    return (
        sentence(
            "MMS will have Teams make one online meeting of %(user)s, 30 days from now. It stands in no calendar, and "
            "nobody is invited or told.",
            user=user,
        ),
        sentence("It is deleted at the end."),
    )


def check(graph: Graph, *, user: str, now: datetime) -> Iterator[Finding]:
    """Is a meeting that is asked for twice made once, and in which language is its text?"""
    person, finding = licence(graph, user)
    if person is None:
        yield finding
        return
    path = f"/users/{segment(person.id)}/onlineMeetings"
    name = f"mms-check-{uuid4()}"
    made: list[JSON] = []
    try:
        made.append(_asked(graph, path, name, now, "en-US"))
        made.append(_asked(graph, path, name, now, "de-DE"))
    except Failure as failure:
        yield of_failure(sentence("made once"), failure)
    except Unsettled as lost:
        yield unknown(
            sentence("made once"),
            sentence("An answer was lost (%(why)s): run it again. Nothing stands in a calendar.", why=lost.why),
        )
    else:
        yield from _compared(*made)
    for meeting_id in dict.fromkeys(str(meeting["id"]) for meeting in made if meeting.get("id")):
        yield _deleted(graph, path, meeting_id, user)


def _compared(first: JSON, second: JSON) -> Iterator[Finding]:
    if (
        not first.get("id")
        or first.get("id") != second.get("id")
        or first.get("joinWebUrl") != second.get("joinWebUrl")
    ):
        yield failed(
            sentence("made once"),
            sentence(
                "Teams made two meetings for one name: MMS could leave meetings without their attendees. Do "
                "not use it on this tenant, and report this."
            ),
            first=first.get("joinWebUrl"),
            second=second.get("joinWebUrl"),
        )
    else:
        yield ok(
            sentence("made once"),
            sentence("Asked twice under one name, Teams made one meeting."),
            link=first.get("joinWebUrl"),
        )
    texts = [_text(meeting) for meeting in (first, second)]
    if not all(texts):
        yield note(sentence("language"), sentence("Teams gives no text of an invitation."))
    elif texts[0] == texts[1]:
        yield note(sentence("language"), sentence("Teams gives the same text whatever language is asked for."))
    else:
        yield ok(sentence("language"), sentence("Teams gives the text in the language that is asked for."))


def _asked(graph: Graph, path: str, name: str, now: datetime, language: str) -> JSON:
    begins = now + timedelta(days=30)
    wanted = {
        "externalId": name,
        "subject": "MMS check: please ignore",
        "startDateTime": f"{begins:%Y-%m-%dT%H:%M:%SZ}",
        "endDateTime": f"{begins + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}",
    }
    try:
        answer = graph.post(f"{path}/createOrGet", wanted, language=language)
    except Unsettled:
        answer = graph.post(f"{path}/createOrGet", wanted, language=language)  # the same meeting, by its name
    if not answer.ok:
        raise Failure(
            "service-refused", sentence("Teams answered %(status)s %(error)s", status=answer.status, error=answer.error)
        )
    return answer.body


def _text(meeting: JSON) -> str:
    join = meeting.get("joinInformation")
    return str(join.get("content") or "") if isinstance(join, dict) else ""


def _deleted(graph: Graph, path: str, meeting_id: str, user: str) -> Finding:
    try:
        answer = graph.delete(f"{path}/{segment(meeting_id)}")
    except Unsettled as lost:
        return note(
            sentence("tidying up"),
            sentence(
                "Nobody knows whether the meeting of %(user)s was deleted (%(why)s). It stands in no "
                "calendar and harms nobody.",
                user=user,
                why=lost.why,
            ),
        )
    except Failure as failure:
        return note(
            sentence("tidying up"),
            sentence(
                "The meeting of %(user)s could not be deleted. It stands in no calendar and harms nobody.", user=user
            ),
            code=failure.code,
        )
    if answer.ok or answer.status == 404:
        return ok(sentence("tidying up"), sentence("The meeting was deleted."))
    return note(
        sentence("tidying up"),
        sentence("Teams answered %(status)s to the deletion of the meeting. It harms nobody.", status=answer.status),
    )
