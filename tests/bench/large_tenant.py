"""A tenant of 100,000 users with all that lists show of it: for benches of pages.

Rows go past the functions for changes, straight into the tables: poured in, and then multiplied by the database itself
(``INSERT … SELECT``), so that a million runs take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.bench import large_tenant_jobs
from tests.bench.many_rows import a_uuid, copy, days_before, for_users, is_postgresql, pour, ready

FEW, MANY = 100, 100_000
MEETINGS = 10
"""Meetings of each user."""
OLDER_RUNS = 9
"""Runs of each user who has one, beside the latest and, for every other user, one more."""
AUDIT_ENTRIES = 10
"""Of each user."""
GIVEN = ("anna", "bruno", "carla", "david", "elena", "felix", "greta", "hugo", "irene", "jonas", "karin", "luca")
FAMILY = ("rossi", "costa", "lind", "berg", "moreno", "keller", "abate", "novak", "silva", "weber", "conti", "ruiz")
NOW = datetime.now(UTC)
VIEWER, SUPERUSER = "vera", "root"


@contextmanager
def database_of_its_own() -> Iterator[str]:
    """A new database beside the configured one, dropped at the end; what kind it is."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "postgresql":
        connection.settings_dict["TEST"]["NAME"] = f"{name}_lists"
    connection.close()
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.vendor]
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def make_organization() -> None:
    """The tenant with its bridges and numbers, a viewer and a superuser."""
    from django.contrib.auth.models import User

    from tenants_app.changes.bridges import register_number, set_bridge
    from tenants_app.changes.tenants import create_tenant, grant_role
    from tests.bench.__main__ import actor

    tenant = create_tenant(
        actor(), slug="lists", name="Lists", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    for place in range(6):
        bridge = set_bridge(tenant, f"Bridge {place}", actor(), make_default=place == 0)
        for number in range(4):
            register_number(bridge, f"+1425555{place}1{number}0", "toll", actor(), country="United States")
        register_number(bridge, f"+1800555{place}100", "toll-free", actor(), country="United States")
    grant_role(tenant, User.objects.create_user(VIEWER), "viewer", actor())
    User.objects.create_superuser(SUPERUSER)
    large_tenant_jobs.begin(tenant)


def fill(numbers: range) -> None:
    """Users of these numbers with their meetings, runs, results, messages and audit; past the functions for changes."""
    from django.db import connection

    with connection.constraint_checks_disabled():
        fill_users(numbers)
        fill_meetings(numbers)
        fill_runs(numbers)
        fill_results(numbers)
        fill_left(numbers)
        fill_audit(numbers)
        multiply_runs(numbers)
        multiply_audit(numbers)
        large_tenant_jobs.fill(numbers)


def fill_users(numbers: range) -> None:
    from tenants_app.models import ConferenceId, ConferencingUser, InvitedNumber, ServiceNumber, Tenant

    tenant = Tenant.objects.get()
    tolls = list(ServiceNumber.objects.filter(kind="toll").order_by("bridge", "number").values_list("bridge", "pk"))

    def row(number: int) -> tuple[Any, ...]:
        bridge, toll = tolls[number % len(tolls)]
        out_of_date = number % 50 == 0
        fingerprint = f"{number % 997:032x}"
        return (
            number + 1,
            ready(uuid4()),
            upn_of(number),
            upn_of(number),
            name_of(number).title(),
            bridge,
            toll,
            fingerprint,
            "" if out_of_date else fingerprint,
        )

    pour(
        ConferencingUser(tenant=tenant, audio_conferencing_license=True, audio_conferencing_enabled=True, created=NOW),
        "id user_id upn sip_address display_name bridge_id toll_number_id settings_fingerprint invitations_fingerprint",
        map(row, numbers),
    )
    pour(
        ConferenceId(meeting_uid=""),
        "bridge_id digits user_id",
        ((tolls[number % len(tolls)][0], str(1_000_000 + number), number + 1) for number in numbers),
    )
    pour(
        InvitedNumber(),
        "user_id number_id",
        ((number + 1, tolls[number % len(tolls)][1]) for number in numbers),
    )


def fill_meetings(numbers: range) -> None:
    from migrations_app.models import CalendarObject

    digits = "lpad(to_hex(u.id - 1), 8, '0')" if is_postgresql() else "printf('%%08x', u.id - 1)"
    for meeting, day in enumerate(range(-90, 180, 27)):
        time = NOW + timedelta(days=day, hours=meeting)
        weekly = CalendarObject(body=b"BEGIN:VCALENDAR", etag="0" * 32, subject="Weekly", starts_at=time, last_end=time)
        weekly.attendee_count, weekly.recipient_count = 6, 5
        for_users(weekly, numbers, user_id="u.id", organizer="u.upn", uid=f"{digits} || '-{meeting:04x}@contoso.com'")


def fill_runs(numbers: range) -> None:
    """A latest run for most users, and an older one for every other."""
    from migrations_app.models import Run
    from tenants_app.models import Tenant

    tenant = Tenant.objects.get()
    times = [ready(NOW - timedelta(minutes=minute)) for minute in range(1440)]

    def latest(number: int, state: str) -> tuple[Any, ...]:
        time = times[number % len(times)]
        is_working = state == "InProgress"
        return (
            2 * number + 1,
            ready(uuid4()),
            number + 1,
            state,
            True,
            time,
            time,
            ready(uuid4()) if is_working else None,
            ready(NOW + timedelta(hours=1)) if is_working else None,
            time if state in {"Succeeded", "Failed"} else None,
            "mailbox-unavailable" if state == "Failed" else "",
        )

    def earlier(number: int) -> tuple[Any, ...]:
        time = times[number % len(times)]
        return 2 * number + 2, ready(uuid4()), number + 1, "Succeeded", False, time, time, None, None, time, ""

    reasons = [{"rule": "R5", "sentence": "The user moved to the bridge Bridge 1."}]
    pour(
        Run(
            tenant=tenant,
            reasons=reasons,
            requested_by="alice",
            modified=NOW,
            started_at=NOW,
            total_meetings=MEETINGS,
            succeeded_meetings=MEETINGS,
        ),
        "id correlation_id user_id state is_latest created due_at lease_token lease_until finished_at last_error_code",
        (
            row
            for number in numbers
            for row in (
                [latest(number, state_of(number))] * (state_of(number) != "never") + [earlier(number)] * (number % 2)
            )
        ),
    )


def multiply_runs(numbers: range) -> None:
    """Older runs for everybody who has a latest one, each a day older than the one before."""
    from migrations_app.models import Run

    for turn in range(1, OLDER_RUNS + 1):
        copy(
            Run,
            "one.is_latest AND one.user_id BETWEEN %s AND %s",
            (numbers.start + 1, numbers.stop),
            id=f"one.id + {turn} * {10 * MANY}",
            correlation_id=a_uuid(),
            is_latest="FALSE",
            state="'Succeeded'",
            lease_token="NULL",
            lease_until="NULL",
            last_error_code="''",
            created=days_before("one.created", turn),
            due_at=days_before("one.created", turn),
            finished_at=days_before("one.created", turn),
        )


def multiply_audit(numbers: range) -> None:
    from tenants_app.models import AuditEntry

    newest = AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    for turn in range(1, AUDIT_ENTRIES // 2):
        copy(
            AuditEntry,
            "one.id > %s AND one.id <= %s",
            (newest - 2 * len(numbers), newest),
            at=days_before("one.at", turn),
        )


def make_everyone_pending() -> None:
    """As after a start of all users: what the queue holds is all at once in one state."""
    from migrations_app.models import Run

    Run.objects.filter(is_latest=True, state="Succeeded").update(state="Pending", attempts=0, finished_at=None)
    settle()


def fill_results(numbers: range) -> None:
    """What became of the meetings of every fifth user, and their messages; few of them are not sent."""
    from migrations_app.models import MeetingResult, Update

    some = [number for number in numbers if number % 5 == 0 and state_of(number) != "never"]
    pour(
        MeetingResult(subject="Weekly", attendee_count=6, outcome="Succeeded", sequence=1, starts_at=NOW),
        "id run_id uid",
        (
            (number * MEETINGS + meeting + 1, 2 * number + 1, f"{number:08x}-{meeting:04x}@contoso.com")
            for number in some
            for meeting in range(MEETINGS)
        ),
    )
    states = {0: "Failed", 5: "Queued"}
    pour(
        Update(recipient_count=5, queued_at=NOW, due_at=NOW, attempts=1),
        "result_id state",
        (
            (number * MEETINGS + meeting + 1, states.get(number % 1000, "Sent"))
            for number in some
            for meeting in range(MEETINGS)
        ),
    )


def fill_left(numbers: range) -> None:
    """A meeting that needs a person of every twentieth user, of whom every other was dealt with; and those whose
    message was not delivered."""
    from migrations_app.models import LeftMeeting
    from tenants_app.models import Tenant

    template = LeftMeeting(
        tenant=Tenant.objects.get(), subject="Weekly", starts_at=NOW, last_end=NOW + timedelta(days=90), created=NOW
    )
    pour(
        template,
        "user_id uid code state",
        (
            (
                number + 1,
                f"{number:08x}-0000@contoso.com",
                ("needs-review", "pasted-block")[number % 3 % 2],
                "Open" if number % 40 == 10 else "DealtWith",
            )
            for number in numbers
            if number % 20 == 10
        ),
    )
    pour(
        template,
        "user_id uid code state message_id",
        (
            (
                number + 1,
                f"{number:08x}-{meeting:04x}@contoso.com",
                "mail-refused",
                "Open",
                number * MEETINGS + meeting + 1,
            )
            for number in numbers
            if number % 1000 == 0
            for meeting in range(MEETINGS)
        ),
    )


def audited(tenant: Any) -> Any:
    """An entry of the audit, as a move to another bridge leaves one for each user."""
    from tenants_app.models import AuditEntry

    return AuditEntry(
        tenant=tenant,
        actor="alice",
        channel="import",
        action="change user",
        before={"bridge": "Bridge 0"},
        after={"bridge": "Bridge 1"},
        consequence="Run, because the user moved to the bridge Bridge 1.",
    )


def fill_audit(numbers: range) -> None:
    from tenants_app.models import Tenant

    times = [ready(NOW - timedelta(minutes=minute)) for minute in range(1440)]
    pour(
        audited(Tenant.objects.get()),
        "at target",
        ((times[(number + turn) % len(times)], upn_of(number)) for number in numbers for turn in range(2)),
    )


def name_of(number: int) -> str:
    return f"{GIVEN[number % len(GIVEN)]} {FAMILY[number // len(GIVEN) % len(FAMILY)]}"


def upn_of(number: int) -> str:
    return f"{name_of(number).replace(' ', '.')}{number}@contoso.com"


def state_of(number: int) -> str:
    """The state of the user's latest run; most succeeded."""
    share = number % 1000
    for state, up_to in (("Failed", 12), ("Pending", 20), ("InProgress", 22), ("never", 50)):
        if share < up_to:
            return state
    return "Succeeded"


def settle() -> None:
    """What a PostgreSQL server does by itself after so many new rows; SQLite does nothing."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
