"""What the tests of the running cluster ask an installation about itself."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.utils import timezone

from migrations_app.calendars.objects import split_objects
from migrations_app.demo.invitations import series_with_overrides, skype_html, teams_gen2
from migrations_app.demo.meetings import Attendee
from migrations_app.mail import outbox
from migrations_app.models import CalendarObject, IntendedWrite, MeetingResult, OnlineMeeting, Run, Update
from migrations_app.procedures.number_release import start_replacement
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.queue import wake_cluster
from migrations_app.runs.undo_start import start_undo
from migrations_app.targets import LINK, SKYPE, Targets
from migrations_app.tasks import work_queue
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.mailboxes import create_connection, set_credentials
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, create_users
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.content_lines import without_stamps
from tests.support.meetings import ANEW, STAY, calendar_of, invite, logical_lines, messages_in, plan

ACTOR = Actor("test", Channel.COMMAND)


def sequences() -> dict[str, int]:
    """The highest SEQUENCE of every stored meeting, by mailbox and UID."""
    return {
        f"{mailbox_object.user_id} {mailbox_object.uid}": max(
            (int(line[9:]) for line in logical_lines(bytes(mailbox_object.body)) if line.startswith("SEQUENCE:")),
            default=0,
        )
        for mailbox_object in CalendarObject.objects.all()
    }


def migrated() -> list[str]:
    """The meetings that runs changed, once per change."""
    return [
        f"{user} {uid}"
        for user, uid in MeetingResult.objects.filter(outcome="Succeeded").values_list("run__user_id", "uid")
    ]


def expire_leases() -> int:
    """Let the time pass after which a silent worker counts as lost; how many runs were left in its hands."""
    past = timezone.now() - timedelta(seconds=1)
    Update.objects.exclude(lease_until=None).update(lease_until=past)
    return Run.objects.filter(state="InProgress").update(lease_until=past)


def states() -> list[str]:
    return sorted(set(Run.objects.values_list("state", flat=True)))


def unsent() -> int:
    return Update.objects.exclude(state="Sent").count()


def furnish(number: str, *, users: int, meetings: int) -> None:
    """An organization whose users all have this toll number, in their settings and in their invitations."""
    tenant = create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    bridge = set_bridge(tenant, "Europe", ACTOR, make_default=True)
    register_number(bridge, "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
    toll = register_number(bridge, number, "toll", ACTOR, country="United States", city="Seattle")
    phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "toll_number": toll}
    rows = [{"upn": f"user{one}@contoso.com", "bridge": bridge, **phone} for one in range(users)]
    everyone = create_users(tenant, rows, ACTOR)
    for user in everyone:
        for meeting in range(meetings):
            invite(user, meeting)
    start_by_hand(tenant, everyone, ACTOR, targets=ANEW, now_due=True)
    work_queue()


def replace_number(number: str, by: str) -> None:
    """Begin to replace the number at once."""
    start_replacement(ServiceNumber.objects.get(number=number), by, ACTOR, now_due=True)


def start_again() -> int:
    """What a restart of the whole service does, some time after it was lost; how many runs were left in its hands."""
    left = expire_leases()
    wake_cluster()
    return left


# --- of a campaign with mail servers ----------------------------------------------------------------------


def begin_mailing(*, users: int, attendees: int) -> None:
    """One user with a meeting of so many attendees, others with a meeting of two; their runs wait for the service."""
    tenant = create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    bridge = set_bridge(tenant, "Europe", ACTOR, make_default=True)
    register_number(bridge, "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
    phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True}
    rows = [{"upn": f"user{one}@contoso.com", "bridge": bridge, **phone} for one in range(users)]
    everyone = create_users(tenant, rows, ACTOR)
    for number, user in enumerate(everyone):
        guests = range(attendees if number == 0 else 2)
        invite(user, attendees=tuple(Attendee(f"guest{one}@example.org", f"Guest {one}") for one in guests))
    start_by_hand(tenant, everyone, ACTOR, targets=ANEW, now_due=True)


def mailing() -> dict[str, Any]:
    """What became of runs and messages."""
    return {
        "runs": Counter(Run.objects.values_list("state", flat=True)),
        "updates": Counter(" ".join(row).strip() for row in Update.objects.values_list("state", "error_code")),
        "attempts": Counter(Update.objects.values_list("attempts", flat=True)),
        "in_doubt": sum(len(doubt) for doubt in Update.objects.values_list("recipients_in_doubt", flat=True)),
    }


# --- of a campaign that kills while meetings are made anew ------------------------------------------------


def begin_undoing(kept: str, *, users: int, meetings: int) -> None:
    """Users whose meetings a run has changed, and told, and whose undo is pending. The file ``kept`` notes what each
    meeting said before, and the revision that the run gave it."""
    before = list(Run.objects.values_list("pk", flat=True))
    begin_moving(users=users, meetings=meetings)
    said = {f"{each.user_id} {each.uid}": _said(bytes(each.body)) for each in CalendarObject.objects.all()}
    work_queue()
    known = json.loads(Path(kept).read_text()) if Path(kept).exists() else {}
    revisions = sequences()
    new = Run.objects.exclude(pk__in=before).select_related("user")
    of_new = {f"{run.user_id} {uid}" for run in new for uid in run.results.values_list("uid", flat=True)}
    known |= {key: [said[key], revisions[key]] for key in of_new}
    Path(kept).write_text(json.dumps(known))
    for run in new:
        start_undo(run, ACTOR, now_due=True)


def _said(body: bytes) -> str:
    return sha256(b"\n".join(sorted(without_stamps(body)))).hexdigest()


def undone(outbox: str, kept: str) -> dict[str, Any]:
    """What became of the meetings: how many there are, and how many of them are as they should be."""
    known = json.loads(Path(kept).read_text())
    revisions = sequences()
    restored = [
        known[key] == [_said(bytes(each.body)), revisions[key] - 1]
        for each in CalendarObject.objects.all()
        if (key := f"{each.user_id} {each.uid}")
    ]
    told = Counter(
        next(line for line in logical_lines(calendar_of(message)) if line.startswith("UID:"))
        for message in messages_in(Path(outbox))
    )
    return {
        "meetings": len(restored),
        "restored_once": sum(restored),
        "told_twice": sum(count == 2 for count in told.values()),
        "messages": told.total(),
        "open": Run.objects.exclude(state="Succeeded").count(),
    }


def begin_moving(*, users: int, meetings: int) -> None:
    """Users with Skype for Business meetings, whose runs move them to Link."""
    tenant = Tenant.objects.filter(slug="contoso").first() or create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    bridge = set_bridge(tenant, "Europe", ACTOR, make_default=True)
    if not bridge.numbers.exists():
        register_number(bridge, "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
    there = tenant.users.count()
    rows = [{"upn": f"user{there + one}@contoso.com", "bridge": bridge} for one in range(users)]
    everyone = create_users(tenant, rows, ACTOR)
    for user in everyone:
        for number in range(meetings):
            invite(user, number, attendees=(Attendee(f"guest{number}@example.org", "Guest"),))
    start_by_hand(tenant, everyone, ACTOR, targets=Targets.of_types(SKYPE, LINK), now_due=True)


def moved(outbox: str) -> dict[str, Any]:
    """What became of the meetings: how many there are, and how many of them are not as they should be."""
    meetings = list(CalendarObject.objects.all())
    links = defaultdict[tuple[int, str], list[str]](list)
    for user, uid, join_url in OnlineMeeting.objects.values_list("user", "uid", "join_url"):
        links[user, uid].append(join_url)
    shown = [
        len(links[each.user_id, each.uid]) == 1
        and any(links[each.user_id, each.uid][0] in line for line in logical_lines(bytes(each.body)))
        for each in meetings
    ]
    told = Counter(
        next(line for line in logical_lines(calendar_of(message)) if line.startswith("UID:"))
        for message in messages_in(Path(outbox))
    )
    return {
        "meetings": len(meetings),
        "with_one_link": sum(shown),
        "messages": told.total(),
        "told_once": sum(count == 1 for count in told.values()),
        "results": Counter(MeetingResult.objects.values_list("outcome", flat=True)),
    }


# --- of a campaign with mailboxes outside -----------------------------------------------------------------

GUESTS = ("guest.one@example.org", "guest.two@example.org")
"""Who is invited to each meeting."""


def connect_outside(address: str, users: list[str], *, service: str, password: str) -> None:
    """Users whose mailboxes are on the server there, reached by a service account, or by their own sign-ins if none
    is named; and the two bridges that they are moved between."""
    tenant = _to_be_moved(users)
    if service:
        account = {"username": service, "password": password, "path_template": "/{upn}/"}
        create_connection(tenant, ACTOR, "outside", address=address, make_default=True, **account)
    else:
        connection = create_connection(tenant, ACTOR, "outside", address=address, make_default=True)
        set_credentials(connection, [(upn, upn.partition("@")[0], password) for upn in users], ACTOR)


def connect_graph(users: list[str], directory_id: str, client_id: str, secret: str) -> None:
    """The same, with mailboxes in Exchange Online."""
    account = {"directory_id": directory_id, "username": client_id, "password": secret}
    create_connection(_to_be_moved(users), ACTOR, "outside", kind="graph", make_default=True, **account)


def connect_exchange(users: list[str], address: str, service: str, password: str) -> None:
    """The same, with mailboxes in an Exchange on-premises."""
    account = {"address": address, "username": service, "password": password, "sign_in_by": "basic"}
    create_connection(_to_be_moved(users), ACTOR, "outside", kind="exchange", make_default=True, **account)


def _to_be_moved(users: list[str]) -> Tenant:
    tenant = create_tenant(
        ACTOR,
        slug="contoso",
        name="Contoso",
        domain="contoso.com",
        meeting_url="https://meet.contoso.com",
        settling_time=0,
    )
    bridges = [set_bridge(tenant, name, ACTOR, make_default=name == "one") for name in ("one", "two")]
    register_number(bridges[0], "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
    register_number(bridges[1], "+442079460123", "toll", ACTOR, country="United Kingdom")
    phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "bridge": bridges[0]}
    create_users(tenant, [{"upn": upn, "display_name": upn.partition("@")[0], **phone} for upn in users], ACTOR)
    return tenant


def invitations_of(meetings: int, has_teams: bool, has_series: bool) -> dict[str, dict[str, str]]:
    """So many invitations of each user, by UPN and UID; with ``has_teams`` every other one is into Teams,
    with ``has_series`` the last is a series with exceptions."""
    guests = tuple(Attendee(address, address.partition("@")[0]) for address in GUESTS)
    made = {}
    for user in ConferencingUser.objects.order_by("pk"):
        builds = [teams_gen2 if has_teams and number % 2 else skype_html for number in range(meetings)]
        if has_series:
            builds[-1] = series_with_overrides
        texts = [build(plan(user, number, attendees=guests)) for number, build in enumerate(builds)]
        made[user.upn] = {uid: body.decode() for text in texts for uid, body in split_objects(text)}
    return made


def move_everybody(bridge: str) -> None:
    """Begin to move all users to this bridge."""
    users = list(ConferencingUser.objects.select_related("bridge"))
    for user in users:
        change_user(user, ACTOR, bridge=Bridge.objects.get(name=bridge))
    start_by_hand(users[0].tenant, users, ACTOR, targets=STAY, now_due=True)


def left_to_move() -> int:
    """What is still to be done; runs and messages that failed are tried again, as an administrator would."""
    for run in Run.objects.filter(results__update__state="Failed").distinct():
        outbox.send_again(run)
    failed = [run.user for run in Run.objects.filter(is_latest=True, state="Failed").select_related("user__bridge")]
    if failed:
        start_by_hand(failed[0].tenant, failed, ACTOR, now_due=True)
    unfinished = Run.objects.filter(state__in=["Pending", "InProgress"]).count()
    return unfinished + Update.objects.filter(state="Queued").count()


def moved_outside() -> dict[str, Any]:
    """How many runs there were, and how many announced writes were never settled."""
    return {"runs": Run.objects.count(), "intents": IntendedWrite.objects.count()}


# --- of a campaign that kills -----------------------------------------------------------------------------


def two_users(meetings: int) -> tuple[ConferencingUser, ConferencingUser]:
    """One with a meeting, and one with so many that a run of theirs takes a while."""
    furnish("+14255550111", users=2, meetings=1)
    first, second = ConferencingUser.objects.order_by("pk")
    for number in range(1, meetings):
        invite(second, number)
    start_by_hand(second.tenant, [second], ACTOR, targets=ANEW, now_due=True)
    work_queue()
    return first, second


def begin_short_run(user: ConferencingUser) -> int:
    """Start a run that finds nothing to do, and leave it to the service; its key."""
    return _begin(ConferencingUser.objects.get(pk=user.pk))


def begin_long_run(user: ConferencingUser) -> int:
    """Start a run that changes every meeting of the user, and leave it to the service; its key."""
    user = ConferencingUser.objects.get(pk=user.pk)
    change_user(user, ACTOR, language="it-IT" if user.language == "en-US" else "en-US")
    return _begin(user)


def _begin(user: ConferencingUser) -> int:
    start_by_hand(user.tenant, [user], ACTOR, now_due=True)
    return Run.objects.get(user=user, is_latest=True).pk


def is_half_way(run: int) -> bool:
    """Whether the run has begun to write, and goes on."""
    found = Run.objects.get(pk=run)
    assert found.state in {"Pending", "InProgress"}, "the run was over too quickly"
    return found.state == "InProgress" and found.succeeded_meetings > 0


def has_succeeded(run: int) -> bool:
    """Whether the run has succeeded; that it may fail is not meant to be."""
    found = Run.objects.get(pk=run)
    assert found.state != "Failed", found.last_error_message
    return found.state == "Succeeded"


def is_idle() -> bool:
    """Whether there is nothing to do."""
    return not (
        Run.objects.filter(state__in=["Pending", "InProgress"]).exists()
        or Update.objects.filter(state="Queued").exists()
    )
