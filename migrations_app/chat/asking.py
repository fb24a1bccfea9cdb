"""The procedure that hands questions to people of rooms to the mail server (R124).

A question is claimed for a lease and handed over by the tenant's server, within its limits. Tried again, it is the same
message: whoever gets it twice, because a worker died between handing over and noting it, knows it by its Message-ID.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from textwrap import wrap

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, override

from migrations_app.alerts.by_mail import NotNow, hand_over
from migrations_app.alerts.composing import address
from migrations_app.calendars.people import Person
from migrations_app.chat.people import digest_of, rooms_of, token_of
from migrations_app.failures import Failure
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.letters import Letter
from migrations_app.mail.servers import Connections
from migrations_app.models import ChatQuestion
from migrations_app.monitoring import clock
from migrations_app.retries import RETRY_WINDOW, pause_before_retry
from tenants_app.sentences import sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

LEASE = timedelta(minutes=8)
"""Longer than a mail server may take for a message."""
TURN = timedelta(seconds=20)
MOST_LISTED = 200
"""Rooms that a mail names; of more it says how many there are."""
_MOST_DOUBLINGS = 9
_WIDTH = 76


def advance(until: datetime) -> bool:
    """Hand over what is due, for a while. No run is due by it."""
    until = min(until, timezone.now() + TURN)
    with Connections() as connections:
        while timezone.now() < until and (question := _claim()):
            _send(question, connections)
    return is_due(clock.now())


def is_due(now: datetime) -> bool:
    """Whether a mail is to be handed over now."""
    return _due(now).exists()


def settles_at() -> datetime | None:
    """None: questions do not wait for a settling time."""
    return None


def _due(now: datetime) -> QuerySet[ChatQuestion]:
    """Mails to be tried that nobody has claimed; a tenant that is switched off is passed over (R12)."""
    free = Q(lease_until=None) | clock.lease_is_over(now, LEASE)
    to_come = Q(due_at__gt=now + RETRY_WINDOW + clock.TOLERANCE)  # by a clock that has been set back since
    due = ChatQuestion.objects.filter(free, Q(due_at__lte=now) | to_come)
    return due.filter(plan__tenant__meeting_migration_enabled=True)


@transaction.atomic
def _claim() -> ChatQuestion | None:
    now = clock.now()
    rows = _due(now).order_by("due_at", "pk").select_for_update(of=("self",), skip_locked=True)
    pk = rows.values_list("pk", flat=True).first()
    if pk is None:
        return None
    changes = {"lease_token": uuid.uuid4(), "lease_until": now + LEASE, "attempts": F("attempts") + 1}
    ChatQuestion.objects.filter(pk=pk).update(**changes)
    return ChatQuestion.objects.select_related("plan__tenant").get(pk=pk)


def _send(question: ChatQuestion, connections: Connections) -> None:
    tenant = question.plan.tenant
    try:
        hand_over(tenant, question.address, lambda service: message(question, service), connections)
    except NotNow as not_now:
        if _is_too_old(question):
            _give_up(question, Failure("chat-question-given-up", not_now.failure.what))
        else:
            _mine(question).update(**_ENDED, due_at=not_now.until, attempts=F("attempts") - 1)
    except Failure as failure:
        _note_failure(question, failure)
    except Exception:
        log.exception("question %s could not be handed over", question.pk)
        _note_failure(
            question, Failure("internal-error", sentence("reference %(reference)s", reference=str(question.pk)))
        )
    else:
        now = clock.now()
        told = {"due_at": None, "mails": F("mails") + 1, "asked_at": question.asked_at or now}
        _mine(question).update(**_ENDED, **told, attempts=0, error_code="", error_detail="")


def _note_failure(question: ChatQuestion, failure: Failure) -> None:
    log.warning("question %s not handed over: %s %s", question.pk, failure.code, failure.detail)
    if failure.code == "alert-refused":
        failure = Failure("chat-question-refused", failure.detail)
    if not failure.cures_by_waiting:
        _give_up(question, failure)
    elif _is_too_old(question):
        _give_up(question, Failure("chat-question-given-up", failure.what))
    else:
        pause = max(pause_before_retry(min(question.attempts, _MOST_DOUBLINGS)), failure.retry_after or timedelta(0))
        why = {"error_code": failure.code, "error_detail": failure.detail}
        _mine(question).update(**_ENDED, **why, due_at=clock.now() + pause)


def _is_too_old(question: ChatQuestion) -> bool:
    return question.queued_at is not None and question.queued_at <= clock.now() - RETRY_WINDOW


def _give_up(question: ChatQuestion, failure: Failure) -> None:
    _mine(question).update(**_ENDED, due_at=None, error_code=failure.code, error_detail=failure.detail)


_ENDED = {"lease_token": None, "lease_until": None}


def _mine(question: ChatQuestion) -> QuerySet[ChatQuestion]:
    """The row, while this worker's claim holds."""
    return ChatQuestion.objects.filter(pk=question.pk, lease_token=question.lease_token)


# --- what it says ---------------------------------------------------------------------------------------------------


def message(question: ChatQuestion, service: str) -> ComposedMessage:
    """The mail in the person's language, the same however often it is made."""
    tenant = question.plan.tenant
    token = token_of(question)
    if digest_of(token) != question.token:  # the secret of the installation was changed since
        question.token = digest_of(token)
        ChatQuestion.objects.filter(pk=question.pk).update(token=question.token)
    with override(question.language or None):
        letter = Letter(
            sender=Person(tenant.name, service),
            to=Person(question.name, question.address),
            subject=_("Is anything missing from your chat rooms?"),
            text=_text(question, address("chat-answer", token)),
            language=question.language or "en",
            message_id=f"<chat-question.{question.pk}.{question.mails}@{tenant.domain}>",
            date=question.queued_at or clock.now(),
        )
        return letter.compose()


def _text(question: ChatQuestion, link: str) -> str:
    names = rooms_of(question)
    rooms = [f"- {' '.join(name.split())}" for name in names[:MOST_LISTED]]
    if (more := len(names) - MOST_LISTED) > 0:
        rooms.append(ngettext("and %(n)s more room", "and %(n)s more rooms", more) % {"n": more})
    paragraphs = [
        _("Hello %(name)s,") % {"name": question.name},
        _("The chat rooms of %(organization)s have moved, with all that was written in them. These are yours:")
        % {"organization": question.plan.tenant.name},
        "\n".join(rooms),
        _("Please look into them, and say on this page whether anything is missing. It asks for no password:"),
        link,
        _("The link is yours alone: whoever has it can answer in your name."),
    ]
    return "\n\n".join(
        each if each.startswith("- ") or each == link else "\n".join(wrap(each, _WIDTH)) for each in paragraphs
    )
