"""Whether a mail server takes messages: a circuit breaker for each server, that all workers share.

While a server answers, messages go out as they are due. Once it was silent, or could not be used several times in
a row, none is tried for a pause. Then a single worker tries a single message: where the server answers, all go on;
where it does not, the next pause is twice as long, up to a quarter of an hour. A server whose limit of messages per
minute is reached is left alone too, until it has room again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from migrations_app.models import MailServer, Notice, SentLately, Update
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sentences import at_most

FAILURES = 3
"""Failures in a row after which there is a pause. One suffices where the server kept a worker waiting."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=15)
TRIAL = timedelta(minutes=5)
"""How long the one who tries has for it, until another may; longer than a message may take."""
GONE = timedelta(minutes=15)
"""After this long it is more than a restart of the server."""
LONGEST_HOLD = timedelta(minutes=2)
"""Longer than a limit per minute ever holds a server up."""


def installations() -> str:
    """The name of the installation's server; another server begins anew."""
    if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return str(settings.EMAIL_BACKEND)


def name_of(connection: MailServerConnection) -> str:
    """The name of the server that a tenant's messages go through.

    A tenant's own is its alone, though another may name the same machine: what is refused to the one says nothing
    about the other.
    """
    return f"{connection}{_end_of(connection.tenant)}" if connection.is_own else installations()


def of_tenant(tenant: Tenant) -> str:
    """The name of the server that the tenant's messages go through."""
    return name_of(MailServerConnection.of(tenant))


def host_of(connection: MailServerConnection) -> str:
    """The host of the SMTP server; empty where messages go to none."""
    if connection.is_own:
        return connection.host
    return str(settings.EMAIL_HOST) if settings.EMAIL_BACKEND.endswith("smtp.EmailBackend") else ""


def forget(tenant: Tenant) -> None:
    """Begin anew with the tenant's own server: its messages go out in another way now."""
    for model, field in ((MailServer, "name"), (SentLately, "server")):
        model._default_manager.filter(**{f"{field}__endswith": _end_of(tenant)}).delete()


def silence(name: str) -> MailServer | None:
    """The server, where it does not answer; None where messages go out as they are due."""
    return MailServer.objects.filter(name=name, next_try_at__isnull=False).first()


def silences() -> list[tuple[MailServer, int]]:
    """The servers in use that do not answer though messages wait for them, and how many these are."""
    found = {server.name: server for server in MailServer.objects.filter(next_try_at__isnull=False)}
    kinds = [rows.objects.filter(state=Update.State.QUEUED) for rows in (Update, Notice)]
    own = MailServerConnection.objects.exclude(host="").select_related("tenant") if found else ()
    waiting = {name_of(each): [queued.filter(tenant=each.tenant) for queued in kinds] for each in own}
    waiting[installations()] = [queued.exclude(tenant__in=[each.tenant_id for each in own]) for queued in kinds]
    counted = [
        (found[name], sum(queued.count() for queued in messages)) for name, messages in waiting.items() if name in found
    ]
    return [(server, count) for server, count in counted if count]


def holds() -> Mapping[str, datetime]:
    """Until when each server is given no message, because its limit is reached."""
    found = MailServer.objects.filter(held_until__gt=timezone.now())
    return {server.name: server.held_until for server in found if server.held_until and _holds(server)}


def length_of(server: MailServer) -> timedelta:
    """For how long it has not answered."""
    now = timezone.now()
    return max(now - (server.failing_since or now), timedelta(0))


def may_try(name: str) -> bool:
    """Whether a message may be tried now."""
    server = MailServer.objects.filter(name=name).first()
    return server is None or (not _holds(server) and (server.next_try_at is None or _is_over(server)))


def room(name: str, most: int) -> int:
    """How many messages the caller may try now, up to ``most``: one where it shows whether the server answers again."""
    server = MailServer.objects.filter(name=name).first()
    if server is None:
        return most
    if _holds(server):
        return 0
    if server.next_try_at is None:
        return most
    if not _is_over(server):
        return 0
    # Whoever moves the time on is the one who tries.
    mine = MailServer.objects.filter(pk=server.pk, next_try_at=server.next_try_at)
    return mine.update(next_try_at=timezone.now() + TRIAL)


def was_not_tried(name: str) -> None:
    """Let another message show whether the server answers: the one that was to show it was not to be sent any more."""
    MailServer.objects.filter(name=name, next_try_at__isnull=False).update(next_try_at=timezone.now())


def failed(name: str, why: str, *, after_waiting: bool) -> bool:
    """Note that the server could not be used, and whether it kept somebody waiting; whether there is a pause now."""
    with transaction.atomic():
        server, _ = MailServer.objects.select_for_update().get_or_create(name=name)
        now = timezone.now()
        server.failures += 1
        server.failing_since = server.failing_since or now
        server.last_error = at_most(200, why)
        if after_waiting or server.failures >= FAILURES or server.next_try_at:
            doublings = min(max(server.failures - FAILURES, 0), 10)
            server.next_try_at = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
        server.save()
    return server.next_try_at is not None


def answered(name: str) -> None:
    """Note that the server does its work."""
    failing = MailServer.objects.filter(name=name, failures__gt=0)
    if failing.exists():  # a look costs less than an update that changes nothing
        failing.update(failures=0, failing_since=None, next_try_at=None, last_error="")


def hold(name: str, until: datetime) -> None:
    """Give the server no message until then, because its limit is reached."""
    MailServer.objects.update_or_create(name=name, defaults={"held_until": until})


def begin_turn(name: str) -> None:
    """Note that a worker turns to the server now, while others wait."""
    MailServer.objects.update_or_create(name=name, defaults={"turn_at": timezone.now()})


def last_turns() -> Mapping[str, datetime]:
    """When a worker turned to each server last."""
    return {name: at for name, at in MailServer.objects.values_list("name", "turn_at") if at}


def _is_over(server: MailServer) -> bool:
    """Whether the pause is over. One that is longer than any was begun by a clock that has been set back since."""
    left = (server.next_try_at or timezone.now()) - timezone.now()
    return left <= timedelta(0) or left > LONGEST_PAUSE + TRIAL


def _holds(server: MailServer) -> bool:
    """Whether its limit is reached. A longer hold than any was begun by a clock that has been set back since."""
    left = (server.held_until or timezone.now()) - timezone.now()
    return timedelta(0) < left <= LONGEST_HOLD


def _end_of(tenant: Tenant) -> str:
    return f" of {tenant.slug}"
