"""What holds of Teams for one user: permission, policy, dial-in facts of a meeting. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, Graph, segment
from migrations_app.microsoft.users import AUDIO_CONFERENCING, DirectoryUser
from migrations_app.tenant_checks.findings import Finding, failed, note, of_failure, ok, unknown
from migrations_app.tenant_checks.mailbox import signed_in
from tenants_app.sentences import sentence

PERMISSION = "OnlineMeetings.ReadWrite.All"
_NOBODYS = "https://teams.microsoft.com/l/meetup-join/mms-check"
"""A join link of no meeting: asked for where none was named, to see whether MMS may ask."""
_NO_POLICY = "application access policy"


def check(graph: Graph, *, user: str, join_url: str = "") -> Iterator[Finding]:
    """All questions that reading answers."""
    found = signed_in(graph)
    yield found
    if found.verdict == "FAILED":
        return
    yield permission(graph)
    person, finding = licence(graph, user)
    yield finding
    if person is None:
        return
    answer, finding = policy(graph, user, person.id, join_url)
    yield finding
    if answer is None:
        return
    if join_url:
        yield from facts(answer, user)
    else:
        yield unknown(
            sentence("dial-in facts"),
            sentence("Name a meeting of the user with --join-url to see what Teams tells of it."),
        )


def permission(graph: Graph) -> Finding:
    """May the application make and read meetings at all?"""
    if PERMISSION in graph.roles:
        return ok(sentence("permission"), sentence("%(permission)s is consented to.", permission=PERMISSION))
    return failed(
        sentence("permission"),
        sentence(
            "%(permission)s is not consented to: add this application permission in Microsoft Entra and "
            "grant admin consent.",
            permission=PERMISSION,
        ),
    )


def licence(graph: Graph, user: str) -> tuple[DirectoryUser | None, Finding]:
    """Who is the user, and have their meetings dial-in numbers?"""
    asked = {"$select": "id,userPrincipalName,mail,displayName,preferredLanguage,accountEnabled,assignedPlans"}
    try:
        answer = graph.get(f"/users/{segment(user)}", asked)
    except Failure as failure:
        return None, of_failure(sentence("licence"), failure)
    if not answer.ok:
        return None, failed(
            sentence("licence"), sentence("The directory has no user %(user)s: check the name.", user=user)
        )
    person = DirectoryUser.of(answer.body)
    if person.is_licensed:
        return person, ok(
            sentence("licence"), sentence("%(user)s has a licence with audio conferencing.", user=user), id=person.id
        )
    return person, note(
        sentence("licence"),
        sentence(
            "%(user)s has no licence with audio conferencing, so Teams gives no numbers for their meetings.", user=user
        ),
        id=person.id,
        plans=sorted(AUDIO_CONFERENCING),
    )


def policy(graph: Graph, user: str, user_id: str, join_url: str = "") -> tuple[JSON | None, Finding]:
    """Does a policy of Teams let the application act for the user? With the answer about the meeting."""
    wanted = (join_url or _NOBODYS).replace("'", "''")
    try:
        answer = graph.get(f"/users/{segment(user_id)}/onlineMeetings", {"$filter": f"JoinWebUrl eq '{wanted}'"})
    except Failure as failure:
        message = getattr(getattr(failure, "answer", None), "message", "")
        if _NO_POLICY in str(message).lower():
            return None, failed(
                sentence("policy"),
                sentence(
                    "No application access policy of Teams lets the application act for %(user)s: grant one with "
                    "Grant-CsApplicationAccessPolicy, and wait half an hour.",
                    user=user,
                ),
            )
        return None, of_failure(sentence("policy"), failure)
    said = sentence("Teams lets the application act for %(user)s.", user=user)
    if answer.ok or answer.status == 404:
        return answer.body, ok(sentence("policy"), said)
    return None, failed(
        sentence("policy"),
        sentence(
            "Teams answered %(status)s %(error)s about meetings of %(user)s: try again later.",
            status=answer.status,
            error=answer.error,
            user=user,
        ),
    )


def facts(answer: JSON, user: str) -> Iterator[Finding]:
    """What does Teams tell of the meeting behind the join link?"""
    values = answer.get("value")
    meeting: Any = values[0] if isinstance(values, list) and values else None
    if not isinstance(meeting, dict):
        yield failed(
            sentence("dial-in facts"),
            sentence(
                "Teams knows no meeting of %(user)s with this join link: name its organizer with --user.", user=user
            ),
        )
        return
    audio = meeting.get("audioConferencing")
    if not isinstance(audio, dict):
        yield note(
            sentence("dial-in facts"),
            sentence("The meeting has a join link, and no numbers: its organizer has no licence for them."),
        )
        return
    seen = {name: audio.get(name) for name in ("tollNumber", "tollFreeNumber", "conferenceId", "dialinUrl")}
    yield ok(
        sentence("dial-in facts"),
        sentence(
            "Teams tells %(toll)s, %(toll_free)s and the conference ID %(conference_id)s.",
            toll=seen["tollNumber"] or sentence("no toll number"),
            toll_free=seen["tollFreeNumber"] or sentence("no toll-free number"),
            conference_id=seen["conferenceId"] or sentence("none"),
        ),
        **seen,
    )
    join = meeting.get("joinInformation")
    if isinstance(join, dict) and join.get("content"):
        yield ok(
            sentence("text"),
            sentence("Teams gives the text of an invitation, %(count)s characters.", count=len(str(join["content"]))),
        )
    else:
        yield note(sentence("text"), sentence("Teams gives no text of an invitation for this meeting."))
