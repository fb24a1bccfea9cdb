"""The people of rooms asked whether anything is missing, and what they say (R124).

Each gets one mail with a link of their own. Of what stands in the link a digest is kept: it is made anew for each mail
from the secret of the installation, so that nobody who reads the database can answer for somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from migrations_app.chat import archives
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.records import Principal, PrincipalKind, PrincipalState, RoleName, Room
from migrations_app.chat.conversion.outgoing import Person
from migrations_app.chat.conversion.people import members_of
from migrations_app.chat.plans import locked
from migrations_app.models import ChatArchive, ChatPlan, ChatQuestion, ChatRoom
from migrations_app.monitoring import clock
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, Channel, entry
from tenants_app.bulk import insert
from tenants_app.languages import is_language, language_of_address
from tenants_app.models import Tenant
from tenants_app.sentences import sentence

Answer = ChatQuestion.Answer
LONGEST = 2_000
"""Characters that somebody can write."""
_TOKEN = re.compile(r"[0-9a-f]{64}")
_SALT = "migrations_app.chat.people"


def token_of(question: ChatQuestion) -> str:
    """What stands in the link of the person."""
    value = f"{question.plan_id}\n{question.principal}"
    return salted_hmac(_SALT, value, algorithm="sha256").hexdigest()


def digest_of(token: str) -> str:
    """What is kept of it."""
    return sha256(token.encode("ascii", "replace")).hexdigest()


def ask_people(plan: ChatPlan, actor: Actor) -> int:
    """Ask everybody who belongs to a room that was imported, and was not asked before. How many mails were queued.

    Who is disabled, deleted, of a foreign domain, or has no mail address, is not asked. Raises ``ValidationError``.
    """
    if why := why_not_asked(plan):
        raise ValidationError(why)
    rooms_of_person = _rooms_by_person(plan)
    with transaction.atomic():
        plan = locked(plan)
        known = {question.principal: question for question in plan.questions.all()}
        now, made = clock.now(), []
        languages = _languages(plan.tenant)
        for person, (principal, address, rooms) in rooms_of_person.items():
            if person in known:
                if known[person].rooms != rooms:
                    plan.questions.filter(principal=person).update(rooms=rooms)
                continue
            question = ChatQuestion(
                plan=plan,
                principal=person,
                name=(principal.name or address)[:300],
                address=address,
                language=languages.get(address.casefold()) or language_of_address(address),
                rooms=rooms,
                asked_by=actor.name,
                queued_at=now,
                due_at=now,
            )
            question.token = digest_of(token_of(question))
            made.append(question)
        insert(made)
        if made:
            entry(plan.tenant, actor, "ask chat people", str(plan), {}, {"people": len(made)}).save()
            wake_cluster()
    return len(made)


def why_not_asked(plan: ChatPlan) -> str:
    """The sentence that says why nobody can be asked now; empty where people can be."""
    if plan.archive.state != ChatArchive.State.STORED:
        return sentence("The archive was deleted, so nobody knows who belonged to the rooms.")
    if not _rooms(plan).exists():
        return sentence("No room was imported yet: there is nothing to ask about.")
    return ""


def _rooms(plan: ChatPlan) -> QuerySet[ChatRoom]:
    """The rooms that people can look at: imported ones, and where others copy, those that were found there."""
    there = ChatRoom.Comparison.VERIFIED, ChatRoom.Comparison.DIFFERS
    return plan.rooms.filter(state=ChatRoom.State.IMPORTED) | plan.rooms.filter(comparison__in=there)


def _rooms_by_person(plan: ChatPlan) -> dict[str, tuple[Principal, str, list[int]]]:
    """Whom to ask at which address about which rooms, by the id of the person."""
    keys = dict(_rooms(plan).order_by("position").values_list("room_id", "pk"))
    found: dict[str, tuple[Principal, str, list[int]]] = {}
    try:
        with archives.open_stored(plan.archive) as archive:
            people = {each.id: Person(each, None, each.name) for each in archive.principals()}
            for room in archive.rooms():
                if room.id in keys:
                    for principal in _people_of(room, people):
                        address = address_of(principal)
                        if address:
                            found.setdefault(principal.id, (principal, address, []))[2].append(keys[room.id])
    except (Unusable, OSError) as problem:
        why = problem.in_a_sentence if isinstance(problem, Unusable) else str(problem)
        raise ValidationError(sentence("The archive cannot be read: %(why)s", why=why)) from None
    return found


def _people_of(room: Room, people: dict[str, Person]) -> Iterable[Principal]:
    """Those who belong to the room, each once."""
    grants = [grant.principal for grant in room.roles if grant.role is not RoleName.CREATOR]
    found = {each.principal.id: each.principal for grant in grants for each in members_of(grant, people)}
    return [
        principal
        for principal in found.values()
        if principal.kind is PrincipalKind.USER
        and principal.state is PrincipalState.ACTIVE
        and not principal.is_federated
    ]


def address_of(principal: Principal) -> str:
    """Where mail reaches the person; empty where nobody knows."""
    for address in (principal.email, principal.upn, principal.sip):
        address = address.strip()  # noqa: PLW2901
        if not address.isascii() or len(address) > 320:
            continue
        try:
            validate_email(address)
        except ValidationError:
            continue
        return address
    return ""


def _languages(tenant: Tenant) -> dict[str, str]:
    """The languages of the tenant's users that the pages speak, by address."""
    found = {}
    for upn, language in tenant.users.values_list("upn", "language").iterator():
        code = language.partition("-")[0].lower()
        if is_language(language) or is_language(code):
            found[upn.casefold()] = language if is_language(language) else code
    return found


@transaction.atomic
def remind(plan: ChatPlan, actor: Actor, questions: Iterable[ChatQuestion | int] | None = None) -> int:
    """Send those who have not answered, these or all, their question once more. How many; those to whom a mail is on
    its way already get no other. Raises ``ValidationError`` where there is nobody."""
    plan = locked(plan)
    silent = plan.questions.filter(answer=Answer.NONE, due_at=None)
    if questions is not None:
        silent = silent.filter(pk__in=[each.pk if isinstance(each, ChatQuestion) else each for each in questions])
    now = clock.now()
    count = silent.update(queued_at=now, due_at=now, attempts=0, error_code="", error_detail="")
    if not count:
        raise ValidationError(sentence("There is nobody to remind: all have answered, or their mail is on its way."))
    entry(plan.tenant, actor, "remind chat people", str(plan), {}, {"people": count}).save()
    wake_cluster()
    return count


def question_of(token: str) -> ChatQuestion | None:
    """The question that a link leads to; None where there is none."""
    if not _TOKEN.fullmatch(token):
        return None
    found = ChatQuestion.objects.filter(token=digest_of(token)).select_related("plan__tenant", "plan__target")
    return found.first()


def rooms_of(question: ChatQuestion) -> list[str]:
    """The names of the person's rooms as the target has them, in the order of the plan."""
    rows = question.plan.rooms.filter(pk__in=question.rooms).order_by("position")
    return [becomes or name for becomes, name in rows.values_list("becomes", "name")]


@transaction.atomic
def answer(token: str, answer: str, said: str = "") -> ChatQuestion:
    """Keep what somebody says; who answers again corrects what they said. Raises ``ValidationError``."""
    question = question_of(token)
    if question is None:
        raise ValidationError(sentence("This link leads to no question any more: ask whoever sent it."))
    if answer not in (Answer.COMPLETE, Answer.MISSING):
        raise ValidationError({"answer": sentence("Say whether everything is there, or something is missing.")})
    said = said.replace("\r\n", "\n").replace("\0", "").strip()
    if len(said) > LONGEST:
        raise ValidationError(
            {"said": sentence("Write at most %(limit)s characters; this has %(n)s.", limit=LONGEST, n=len(said))}
        )
    if answer == Answer.MISSING and not said:
        raise ValidationError({"said": sentence("Say what is missing, and in which room.")})
    question = ChatQuestion.objects.select_for_update(of=("self",)).select_related("plan__tenant").get(pk=question.pk)
    before = {"answer": question.answer} if question.answer else {}
    question.answer, question.said, question.answered_at = answer, said, clock.now()
    question.due_at = None  # a reminder that is still on its way is not needed any more
    question.save(update_fields=["answer", "said", "answered_at", "due_at"])
    actor = Actor(question.address[:200], Channel.SCREEN)
    entry(question.plan.tenant, actor, "answer chat question", str(question.plan), before, {"answer": answer}).save()
    return question
