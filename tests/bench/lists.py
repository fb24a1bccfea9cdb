"""`make bench ARGS=lists`: what the lists and the dashboard take at 100,000 users and 1,000,000 meetings.

Each page is asked for through Django's test client by a signed-in viewer: the number of queries, which must be the
same as with 100 users, and the milliseconds. Beside the list of users stands the Django admin's own list of the same
table. The database is made for the purpose, next to the one that is configured, and dropped at the end.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID, uuid4

FEW, MANY = 100, 100_000
MEETINGS = 10
"""Meetings of each user."""
SLOW = 150
"""Milliseconds from which a page stands out in the table; printed, never enforced."""
GIVEN = ("anna", "bruno", "carla", "david", "elena", "felix", "greta", "hugo", "irene", "jonas", "karin", "luca")
FAMILY = ("rossi", "costa", "lind", "berg", "moreno", "keller", "abate", "novak", "silva", "weber", "conti", "ruiz")
NOW = datetime.now(UTC)
VIEWER, SUPERUSER = "vera", "root"


class Page(NamedTuple):
    """An address to ask for, and the row of the Django admin that it is measured against."""

    name: str
    path: str
    beside: str = ""
    who: str = VIEWER
    is_fragment: bool = False


ADMIN_LIST, ADMIN_SEARCH, ADMIN_END = "Django admin, first page", "Django admin, search", "Django admin, last page"


def pages() -> list[Page]:
    """The addresses, which name rows that are there with few users as well as with many."""
    from tenants_app.models import ConferencingUser, ServiceNumber

    user = ConferencingUser.objects.select_related("bridge").get(pk=51)
    number = ServiceNumber.objects.filter(bridge=user.bridge, is_default=False).first()
    assert number is not None
    users, admin = "/lists/users/", "/admin/tenants_app/conferencinguser/"
    return [
        Page(ADMIN_LIST, admin, who=SUPERUSER),
        Page(ADMIN_SEARCH, f"{admin}?q=anna", who=SUPERUSER),
        Page(ADMIN_END, f"{admin}?p={MANY // 100}", who=SUPERUSER),
        Page("users, first page", users, ADMIN_LIST),
        Page("users, last page", f"{users}?page={MANY}", ADMIN_END),
        Page("users, search: many", f"{users}?q=anna", ADMIN_SEARCH),
        Page("users, search: one", f"{users}?q={user.upn}", ADMIN_SEARCH),
        Page("users, latest run failed", f"{users}?state=Failed", ADMIN_LIST),
        Page("users, latest run succeeded", f"{users}?state=Succeeded", ADMIN_LIST),
        Page("users, never run", f"{users}?state=never", ADMIN_LIST),
        Page("users, by bridge", f"{users}?bridge={user.bridge_id}", ADMIN_LIST),
        Page("users, by number", f"{users}?number={number.pk}", ADMIN_LIST),
        Page("users, out of date", f"{users}?out_of_date=yes", ADMIN_LIST),
        Page("users, provider Microsoft", f"{users}?provider=Microsoft", ADMIN_LIST),
        Page("users, all of these", f"{users}?q=a&state=Succeeded&bridge={user.bridge_id}&out_of_date=yes", ADMIN_LIST),
        Page("users, some need a person", f"{users}?left=yes", ADMIN_LIST),
        Page("meetings that need a person", "/lists/left/?state=Open"),
        Page("meetings that need a person, search", "/lists/left/?user=weekly"),
        Page("failures", "/lists/failures/"),
        Page("failures, one group", "/lists/failures/mailbox-unavailable/"),
        Page("find a meeting, by organizer", f"/lists/meetings/?organizer={user.upn}"),
        Page("find a meeting, by day", f"/lists/meetings/?day={NOW + timedelta(days=18):%Y-%m-%d}"),
        Page("search: a name", "/lists/search/?q=anna"),
        Page("search: a name, suggestions", "/lists/search/?q=anna", is_fragment=True),
        Page("search: one user", f"/lists/search/?q={user.upn}"),
        Page("search: a number", "/lists/search/?q=(425)+555-0110"),
        Page("search: a subject", "/lists/search/?q=weekly"),
        Page("search: nothing", "/lists/search/?q=nobody-goes-by-this"),
        Page("dashboard", "/lists/"),
        Page("dashboard, live part", "/lists/", is_fragment=True),
        Page("user", f"/lists/users/{user.upn}/"),
        Page("user, meetings", f"/lists/users/{user.upn}/meetings/"),
        Page("bridges", "/lists/bridges/"),
        Page("bridge", f"/lists/bridges/{user.bridge_id}/"),
        Page("number", f"/lists/bridges/{user.bridge_id}/numbers/{number.pk}/"),
        Page("history, first page", "/lists/migrations/"),
        Page("history, failed", "/lists/migrations/?state=Failed"),
        Page(
            "what starting all out of date leads to", "/lists/users/selected/start/?out_of_date=yes&all", who=SUPERUSER
        ),
        Page("what moving all leads to", f"/lists/users/selected/move/?all&to={user.bridge_id}", who=SUPERUSER),
        Page("what retrying leads to", "/lists/users/selected/retry/?failed_by=any&all", who=SUPERUSER),
        Page("done for many users", "/lists/users/actions/"),
        Page("audit, first page", "/lists/audit/"),
        Page("audit, last page", f"/lists/audit/?page={MANY}"),
    ]


def main() -> None:
    """Fill, measure, print."""
    with database_of_its_own() as vendor:
        make_organization()
        fill(range(FEW))
        few = {page.name: queries_of(page) for page in pages()}
        start = time.perf_counter()
        fill(range(FEW, MANY))
        settle()
        show(
            f"\nLists at {MANY:,} users and {MANY * MEETINGS:,} meetings, {vendor}, "
            f"filled in {time.perf_counter() - start:.0f} s"
        )
        show(f"{'':42}{'queries':>9}{f'with {FEW}':>10}{'ms':>9}   median of 5")
        milliseconds: dict[str, float] = {}
        many = {}
        for page in pages():
            many[page.name], milliseconds[page.name] = queries_of(page), time_of(page)
            show(line_of(page, many[page.name], few[page.name], milliseconds))
        show(f"  The number of queries is {'constant' if many == few else 'NOT constant'}.")
        make_everyone_pending()
        show("While a run of nearly everybody is pending")
        for page in pages():
            if page.name.startswith("dashboard"):
                milliseconds[page.name] = time_of(page)
                show(line_of(page, queries_of(page), few[page.name], milliseconds))


def line_of(page: Page, queries: int, before: int, milliseconds: dict[str, float]) -> str:
    taken = milliseconds[page.name]
    line = f"  {page.name:40}{queries:>9}{before:>10}{taken:>9.1f}"
    if page.beside:
        line += f"   {taken / milliseconds[page.beside]:.2f} times {page.beside}"
    if queries != before:
        line += "   NOT constant"
    if taken > SLOW and not page.name.startswith("Django admin"):
        line += f"   over {SLOW} ms"
    return line


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- asking ---------------------------------------------------------------------------------------------


def queries_of(page: Page) -> int:
    """The number of queries that the page takes."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask = asking(page)
    with CaptureQueriesContext(connection) as queries:
        ask()
    return len(queries)


def time_of(page: Page) -> float:
    """Milliseconds, the median of five.

    Each is asked from another depth of calls. CPython 3.11 keeps its frames in pieces of 16 KB: where the seam of two
    falls into a page's innermost loop, the page takes half as long again. That depends on who calls, not on the page.
    """
    ask = asking(page)
    taken = []
    for depth in range(0, 50, 10):
        start = time.perf_counter()
        call_from_below(depth, ask)
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def call_from_below(depth: int, call: Callable[[], None]) -> None:
    """Call with so many frames more on the stack."""
    if depth:
        call_from_below(depth - 1, call)
    else:
        call()


def asking(page: Page) -> Callable[[], None]:
    """Asks for the page once; it has been asked for before, so that templates are compiled and rows in the cache."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client(SERVER_NAME="localhost", **({"HTTP_HX_REQUEST": "true"} if page.is_fragment else {}))
    account = User.objects.get(username=page.who)
    client.force_login(account, "mms_site.accounts.backends.AccountBackend")

    def ask() -> None:
        response = client.get(page.path)
        words = response.content.decode()
        if response.status_code != 200 or "is-invalid" in words or "matches." in words:
            raise SystemExit(f"{page.name}: {page.path} was not answered with rows, so its figure would not count.")

    ask()
    return ask


# --- filling --------------------------------------------------------------------------------------------


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

    days = [ready(NOW + timedelta(days=day, hours=number)) for number, day in enumerate(range(-90, 180, 27))]
    pour(
        CalendarObject(body=b"BEGIN:VCALENDAR", etag="0" * 32, subject="Weekly", attendee_count=6, recipient_count=5),
        "user_id uid organizer starts_at last_end",
        (
            (number + 1, f"{number:08x}-{meeting:04x}@contoso.com", upn_of(number), days[meeting], days[meeting])
            for number in numbers
            for meeting in range(MEETINGS)
        ),
    )


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
    """A meeting that needs a person of every twentieth user; every other was dealt with."""
    from migrations_app.models import LeftMeeting
    from tenants_app.models import Tenant

    pour(
        LeftMeeting(
            tenant=Tenant.objects.get(), subject="Weekly", starts_at=NOW, last_end=NOW + timedelta(days=90), created=NOW
        ),
        "user_id uid code state",
        (
            (
                number + 1,
                f"{number:08x}-0000@contoso.com",
                ("needs-review", "pasted-block", "mail-refused")[number % 3],
                "Open" if number % 40 == 10 else "DealtWith",
            )
            for number in numbers
            if number % 20 == 10
        ),
    )


def fill_audit(numbers: range) -> None:
    from tenants_app.models import AuditEntry, Tenant

    times = [ready(NOW - timedelta(minutes=minute)) for minute in range(1440)]
    pour(
        AuditEntry(
            tenant=Tenant.objects.get(),
            actor="alice",
            channel="import",
            action="change user",
            before={"bridge": "Bridge 0"},
            after={"bridge": "Bridge 1"},
            consequence="Run, because the user moved to the bridge Bridge 1.",
        ),
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


def ready(value: datetime | UUID) -> Any:
    """The value as the database's driver takes it."""
    from django.db import connection
    from django.db.models import DateTimeField, UUIDField

    field = UUIDField() if isinstance(value, UUID) else DateTimeField()
    return field.get_db_prep_value(value, connection)


def pour(template: Any, names: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows like ``template`` but for the named columns, whose values come ready for the database."""
    from django.db import connection, transaction

    columns = names.split()
    alike = [
        field
        for field in template._meta.concrete_fields
        if field.column not in columns and not (field.primary_key and field.get_internal_type() == "BigAutoField")
    ]
    constants = tuple(field.get_db_prep_save(getattr(template, field.attname), connection) for field in alike)
    columns += [field.column for field in alike]
    into = f"{template._meta.db_table} ({', '.join(map(connection.ops.quote_name, columns))})"
    whole = (tuple(row) + constants for row in rows)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {into} FROM STDIN") as copy:
                for row in whole:
                    copy.write_row(row)
            return
        statement = f"INSERT INTO {into} VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608 - no outside text
        while some := list(islice(whole, 10_000)):
            cursor.executemany(statement, some)


def settle() -> None:
    """What a PostgreSQL server does by itself after so many new rows; SQLite does nothing."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
