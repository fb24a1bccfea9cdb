"""Whether the mail server answers: a circuit breaker that all workers share.

While the server answers, messages go out as they are due. Once it was silent, or could not be used several times in
a row, none is tried for a pause. Then a single worker tries a single message: where the server answers, all go on;
where it does not, the next pause is twice as long, up to a quarter of an hour.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from migrations_app.models import MailServer

FAILURES = 3
"""Failures in a row after which there is a pause. One suffices where the server kept a worker waiting."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=15)
TRIAL = timedelta(minutes=5)
"""How long the one who tries has for it, until another may; longer than a message may take."""
GONE = timedelta(minutes=15)
"""After this long it is more than a restart of the server."""


def silence() -> MailServer | None:
    """The server, where it does not answer; None where messages go out as they are due."""
    return MailServer.objects.filter(name=_name(), next_try_at__isnull=False).first()


def length_of(server: MailServer) -> timedelta:
    """For how long it has not answered."""
    now = timezone.now()
    return max(now - (server.failing_since or now), timedelta(0))


def may_try() -> bool:
    """Whether a message may be tried now."""
    server = silence()
    return server is None or _is_over(server)


def room(most: int) -> int:
    """How many messages the caller may try now, up to ``most``: one where it shows whether the server answers again."""
    server = silence()
    if server is None:
        return most
    if not _is_over(server):
        return 0
    # Whoever moves the time on is the one who tries.
    mine = MailServer.objects.filter(pk=server.pk, next_try_at=server.next_try_at)
    return mine.update(next_try_at=timezone.now() + TRIAL)


def was_not_tried() -> None:
    """Let another message show whether the server answers: the one that was to show it was not to be sent any more."""
    MailServer.objects.filter(name=_name(), next_try_at__isnull=False).update(next_try_at=timezone.now())


def failed(why: str, *, after_waiting: bool) -> bool:
    """Note that the server could not be used, and whether it kept somebody waiting; whether there is a pause now."""
    with transaction.atomic():
        server, _ = MailServer.objects.select_for_update().get_or_create(name=_name())
        now = timezone.now()
        server.failures += 1
        server.failing_since = server.failing_since or now
        server.last_error = why[:200]
        if after_waiting or server.failures >= FAILURES or server.next_try_at:
            doublings = min(max(server.failures - FAILURES, 0), 10)
            server.next_try_at = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
        server.save()
    return server.next_try_at is not None


def answered() -> None:
    """Note that the server does its work."""
    failing = MailServer.objects.filter(name=_name(), failures__gt=0)
    if failing.exists():  # a look costs less than an update that changes nothing
        failing.update(failures=0, failing_since=None, next_try_at=None, last_error="")


def _is_over(server: MailServer) -> bool:
    """Whether the pause is over. One that is longer than any was begun by a clock that has been set back since."""
    left = (server.next_try_at or timezone.now()) - timezone.now()
    return left <= timedelta(0) or left > LONGEST_PAUSE + TRIAL


def _name() -> str:
    """Another server begins anew."""
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return str(settings.EMAIL_BACKEND)
