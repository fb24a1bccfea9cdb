"""What only a real organization's Teams can tell of an import: a team made for it, and deleted again."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, Room
from migrations_app.chat.conversion.outgoing import Joining, OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets import teams_messages
from migrations_app.chat.targets.base import TargetProblem, Unanswered
from migrations_app.chat.targets.teams import TeamsTarget
from migrations_app.microsoft.client import segment
from migrations_app.tenant_checks.findings import Finding, Verdict, failed, note, ok, unknown
from tenants_app.sentences import sentence

_TEXT = "MMS check: “quotes”, <angles> & ampersands\n  two lines, ünïcode 漢字 🙂"
_HTML = "MMS check: <b>bold</b><br>and a line"
_OCTETS = b"A file of a check by MMS.\n"


def announcement(author: str) -> Sequence[str]:
    """What will be done, before it is."""
    return (
        sentence(
            "MMS will make a team with two channels, import three messages of %(author)s into one of them, all dated "
            "back by years, and let %(author)s in. Teams may show them the team for a while.",
            author=author,
        ),
        sentence("Microsoft may count the three messages where it takes a fee. The team is deleted at the end."),
    )


def look(target: TeamsTarget) -> Iterator[Finding]:
    """What asking alone tells: whether the application may do all that an import does."""
    try:
        target.teams.sign_in(anew=True)
        target.look()
    except TargetProblem as problem:
        yield failed(sentence("chat permissions"), problem.sentence, code=problem.code)
        return
    yield ok(sentence("chat permissions"), sentence("The application has every permission that an import needs."))


def check(target: TeamsTarget, *, author: str, now: datetime) -> Iterator[Finding]:
    """Everything that the import relies on and no page of Microsoft's promises."""
    category = OutgoingCategory(f"check-{uuid4().hex[:8]}", f"MMS check {uuid4().hex[:8]}")
    found = next(look(target))
    yield found
    if found.verdict == Verdict.FAILED:
        return
    try:
        person = target.account_of(Principal("check", upn=author))
        if person is None:
            yield failed(
                sentence("chat author"), sentence("The organization has no user %(user)s: check the name.", user=author)
            )
            return
        team = target.begin_category(category)
    except TargetProblem as problem:
        yield failed(sentence("chat team"), problem.sentence, code=problem.code)
        return
    except Unanswered as lost:
        yield unknown(
            sentence("chat team"),
            sentence(
                "An answer was lost (%(why)s): look for a team whose name begins with MMS check, and delete it.",
                why=str(lost),
            ),
        )
        return
    try:
        yield from _imported(target, category, team, person, now)
    except TargetProblem as problem:
        yield failed(sentence("chat import"), problem.sentence, code=problem.code)
    except Unanswered as lost:
        yield unknown(sentence("chat import"), sentence("An answer was lost (%(why)s): run it again.", why=str(lost)))
    finally:
        yield _deleted(target, team, category.name)


def _imported(
    target: TeamsTarget, category: OutgoingCategory, team: str, author: str, now: datetime
) -> Iterator[Finding]:
    first = (now - timedelta(days=3650)).replace(microsecond=123_000)
    person = Person(Principal("check", upn=author), author, author)
    file = ChatFile("check", "check", "MMS check.txt", bytes=len(_OCTETS), sha256="-")
    messages = [
        OutgoingMessage("check/1", 1, first, person, _TEXT),
        OutgoingMessage("check/2", 2, first + timedelta(milliseconds=1), person, "MMS check: bold\nand a line", _HTML),
        OutgoingMessage(
            "check/3", 3, first + timedelta(days=1), person, "MMS check.txt", kind=MessageKind.FILE, file=file
        ),
    ]
    closed = _room("closed", category, author, Joining.INVITED, first)
    room = target.begin_room(closed, team)
    yield ok(
        sentence("chat private channel"),
        sentence("A room for those who are invited becomes a private channel, and takes messages of the past."),
    )
    target.write(room, messages, lambda file: io.BytesIO(_OCTETS))
    if target.written(room, messages) == {each.key for each in messages}:
        yield ok(sentence("chat read back"), sentence("What was written is found again before the import ends."))
    else:
        yield failed(
            sentence("chat read back"),
            sentence(
                "Not all that was written is found again: a lost answer could not be settled. Do not import, and "
                "report this."
            ),
        )
    yield _one_time(target, room, messages[0])
    target.finish_room(room, closed)
    yield from _kept(target, room, messages)
    shown = target.read_room(room)
    if shown.members == closed.members and shown.joining is Joining.INVITED:
        yield ok(sentence("chat people"), sentence("Only those of the room are in its channel."))
    else:
        yield failed(
            sentence("chat people"),
            sentence("The channel has other members than the room: do not import, and report this."),
            members=sorted(shown.members or ()),
        )
    opened = _room("open", category, author, Joining.ORGANIZATION, first)
    second = target.begin_room(opened, team)
    target.finish_room(second, opened)
    if target.read_room(second).joining is Joining.ORGANIZATION:
        yield ok(sentence("chat open room"), sentence("An open room can be joined by everybody of the organization."))
    else:
        yield note(
            sentence("chat open room"),
            sentence(
                "Teams left the team private: whoever wants to join an open room asks its owner. Make such teams "
                "public in Teams where that is not wanted."
            ),
        )


def _room(name: str, category: OutgoingCategory, author: str, joining: Joining, first: datetime) -> OutgoingRoom:
    whole = frozenset({author})
    room = Room(f"check-{name}", category.id, f"MMS check {name}", first=first)
    return OutgoingRoom(room, category, room.name, joining=joining, members=whole, managers=whole)


def _one_time(target: TeamsTarget, room: str, message: OutgoingMessage) -> Finding:
    other = OutgoingMessage("check/4", 4, message.at, message.author, "MMS check: a message too many")
    try:
        target.write(room, [other], lambda file: io.BytesIO())
    except TargetProblem:
        return ok(
            sentence("chat times"), sentence("Teams takes no second message of one millisecond, as is documented.")
        )
    return note(
        sentence("chat times"),
        sentence(
            "Teams takes two messages of one millisecond, against what is documented. MMS moves them all the same."
        ),
    )


def _kept(target: TeamsTarget, room: str, messages: Sequence[OutgoingMessage]) -> Iterator[Finding]:
    found = {each.at: each for each in target.read_messages(room)}
    there = [(each, found[each.at]) for each in messages if each.at in found]
    if len(there) == len(messages) and all(one.author == each.author.account for each, one in there):
        yield ok(sentence("chat time and author"), sentence("Times, to the millisecond, and authors are kept."))
    else:
        yield failed(
            sentence("chat time and author"),
            sentence("Times or authors are not kept: verification would show every room as different."),
            found=[f"{one.at} {one.author}" for one in found.values()],
        )
    changed = [each.n for each, one in there if one.text != each.text]
    if changed:
        yield note(
            sentence("chat text"),
            sentence("Teams changes texts when it stores them: verification will list these messages."),
            sent=[each.text for each, one in there if one.text != each.text],
            stored=[one.text for each, one in there if one.text != each.text],
        )
    else:
        yield ok(sentence("chat text"), sentence("Texts come back as they were sent, with and without formatting."))
    sizes = [one.file_bytes for each, one in there if each.file is not None]
    if sizes == [len(_OCTETS)]:
        yield ok(sentence("chat file"), sentence("A file lies in the folder of its channel, and its message shows it."))
    else:
        yield note(sentence("chat file"), sentence("A message does not show its file: files will be listed as lost."))
    path = "/teams/{}/channels/{}/messages/".format(*map(segment, room.partition("/")[::2]))
    if target.teams.get(path + teams_messages.id_of_time(messages[0].at)) is not None:
        yield ok(
            sentence("chat ids"), sentence("A message is found by its time, so that a lost answer is settled quickly.")
        )
    else:
        yield note(
            sentence("chat ids"),
            sentence("A message is not found by its time: after a lost answer MMS reads the whole channel."),
        )


def _deleted(target: TeamsTarget, team: str, name: str) -> Finding:
    by_hand = sentence("Delete the team “%(name)s” in Teams.", name=name)
    try:
        answer = target.teams.delete(f"/groups/{segment(team)}")
    except (TargetProblem, Unanswered):
        return note(sentence("tidying up"), by_hand)
    if answer.ok or answer.status == 404:
        return ok(sentence("tidying up"), sentence("The team was deleted."))
    return note(sentence("tidying up"), by_hand)
