"""What the campaign with Teams asks an installation about itself."""

from __future__ import annotations

import base64
from typing import Any

from django.db.models import Max

from migrations_app.calendars.objects import split_objects
from migrations_app.demo.invitations import series_with_overrides, skype_exchange, skype_html, teams_gen2
from migrations_app.demo.meetings import Attendee
from migrations_app.mail import outbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Run, Update
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.undo_start import start_undo, why_not_undone
from migrations_app.targets import SKYPE, TEAMS, UNDO, Targets
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import ConferencingUser
from tests.support.meetings import STAY, plan

ACTOR = Actor("test", Channel.COMMAND)
MOST_UNDOS = 12
"""Of one run: whatever still refuses to go back then will not."""


def connect_teams(
    users: list[str], in_exchange: list[str], directory_id: str, client_id: str, secret: str, languages: list[str]
) -> None:
    """An organization whose meetings are made anew in Teams; some users have their mailboxes in Exchange Online."""
    tenant = create_tenant(
        ACTOR,
        slug="contoso",
        name="Contoso",
        domain="contoso.com",
        meeting_url="https://meet.contoso.com",
        settling_time=0,
    )
    account: dict[str, Any] = {"directory_id": directory_id, "username": client_id, "password": secret}
    connection = create_connection(tenant, ACTOR, "Microsoft 365", kind="graph", **account)
    change_tenant(tenant, ACTOR, teams_connection=connection, meeting_service="teams")
    bridge = set_bridge(tenant, "Europe", ACTOR, make_default=True)
    register_number(bridge, "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
    phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "bridge": bridge}
    rows: list[dict[str, Any]] = [
        {
            "upn": upn,
            "display_name": upn.partition("@")[0],
            "language": languages[number % len(languages)],
            **phone,
            **({"mailbox": connection} if upn in in_exchange else {}),
        }
        for number, upn in enumerate(users)
    ]
    create_users(tenant, rows, ACTOR)


def invitations_for_teams(first: int, meetings: int, guests: list[str]) -> dict[str, dict[str, str]]:
    """New invitations of each user from that number on, by UPN and UID: every other one is into Teams, the last is a
    series with exceptions. Mailboxes that MMS keeps have them then, and nothing else."""
    people = tuple(Attendee(address, address.partition("@")[0]) for address in guests)
    skype = (skype_html, skype_exchange)
    builds = [teams_gen2 if number % 2 else skype[number // 2 % 2] for number in range(meetings - 1)]
    made: dict[str, dict[str, str]] = {}
    CalendarObject.objects.all().delete()
    for user in ConferencingUser.objects.select_related("mailbox", "tenant").order_by("pk"):
        texts = [
            build(plan(user, number, attendees=people))
            for number, build in enumerate([*builds, series_with_overrides], first)
        ]
        objects = [found for text in texts for found in split_objects(text)]
        if user.mailbox is None:
            EmbeddedMailbox(user).store(objects)
        made[user.upn] = {uid: body.decode() for uid, body in objects}
    return made


def texts_in_mms() -> dict[str, str]:
    """What MMS keeps itself, by UID."""
    return {each.uid: base64.b64encode(bytes(each.body)).decode() for each in CalendarObject.objects.all()}


def last_run() -> int:
    return Run.objects.aggregate(last=Max("pk"))["last"] or 0


def begin_in_teams(step: str) -> None:
    """Begin to make all Skype meetings anew in Teams (``anew``), or to bring all meetings up to date there."""
    users = list(ConferencingUser.objects.select_related("bridge"))
    targets = Targets.of_types(SKYPE, TEAMS) if step == "anew" else STAY
    start_by_hand(users[0].tenant, users, ACTOR, targets=targets, now_due=True)


def left_in_teams() -> int:
    """What is still to be done; what failed is tried again, as an administrator would."""
    for run in Run.objects.filter(is_latest=True, state="Failed").exclude(migration_type=UNDO):
        users = ConferencingUser.objects.select_related("bridge").filter(pk=run.user_id)
        start_by_hand(run.tenant, users, ACTOR, targets=Targets.of(run.targets), now_due=True)
    return _unfinished()


def left_to_undo(after: int, until: int) -> int:
    """What is still to be put back of the runs between these keys; each user's runs one after the other."""
    _unfinished()
    left = 0
    for run in Run.objects.filter(pk__gt=after, pk__lte=until).exclude(migration_type=UNDO).order_by("-pk"):
        undos = Run.objects.filter(undoes=run).count()
        if undos < MOST_UNDOS and not why_not_undone(run):
            start_undo(run, ACTOR, now_due=True)
            left += 1
    return left + _unfinished()


def _unfinished() -> int:
    for run in Run.objects.filter(results__update__state="Failed").distinct():
        outbox.send_again(run)
    unfinished = Run.objects.filter(state__in=["Pending", "InProgress"]).count()
    return unfinished + Update.objects.filter(state="Queued").count()
