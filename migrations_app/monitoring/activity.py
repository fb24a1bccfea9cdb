"""Whether anything has changed that a tenant's pages show: one look by an index, which cannot miss a change.

Triggers in the database note each change of the tables below in :class:`Activity`, in the same transaction. They are
put there whenever ``migrate`` has run, and taken away before: SQLite makes tables anew to change them, and would
refuse that with triggers around that name them.

What follows from time alone, such as "3 minutes ago" or silent workers, no trigger notes: pages are made anew once a
minute all the same (``screens.live``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.models import Model, Sum

from migrations_app.models import (
    Activity,
    AlertSettings,
    BulkAction,
    ChatArchive,
    ChatDifference,
    ChatEvidence,
    ChatPlan,
    ChatQuestion,
    ChatReading,
    ChatRoom,
    ChatStep,
    ChatTarget,
    CheckAnswer,
    CheckResult,
    LeftMeeting,
    MailboxScan,
    MailServer,
    MeetingSearch,
    Notice,
    NumberRelease,
    Plan,
    Preview,
    Rollout,
    RolloutCheck,
    RolloutEvent,
    Run,
    ShownMeeting,
    UntoldNumber,
    Update,
    UserImport,
    Wave,
    WaveMember,
)
from migrations_app.monitoring import clock
from tenants_app.models import (
    Bridge,
    ConferencingUser,
    Deployment,
    InvitedNumber,
    MailboxConnection,
    ServiceNumber,
    Tenant,
)

OF_ALL = 0
"""The key under which stands what the pages of all tenants show."""
FORGOTTEN_AFTER = timedelta(hours=1)

_TENANT = "{row}.tenant_id"
_OF_USER = "(SELECT tenant_id FROM tenants_app_conferencinguser WHERE id = {row}.user_id)"
_OF_NUMBER = "(SELECT tenant_id FROM tenants_app_servicenumber WHERE id = {row}.number_id)"
_OF_MESSAGE = (
    "COALESCE({row}.tenant_id, (SELECT run.tenant_id FROM migrations_app_meetingresult AS result "
    "JOIN migrations_app_run AS run ON run.id = result.run_id WHERE result.id = {row}.result_id))"
)
_OF_ROLLOUT = "(SELECT tenant_id FROM migrations_app_rollout WHERE id = {row}.rollout_id)"
_OF_CHECK = (
    "(SELECT rollout.tenant_id FROM migrations_app_rolloutcheck AS ours "
    "JOIN migrations_app_rollout AS rollout ON rollout.id = ours.rollout_id WHERE ours.id = {row}.rollout_check_id)"
)
_OF_CHAT_PLAN = "(SELECT tenant_id FROM migrations_app_chatplan WHERE id = {row}.plan_id)"
_OF_CHAT_ROOM = (
    "(SELECT plan.tenant_id FROM migrations_app_chatroom AS room "
    "JOIN migrations_app_chatplan AS plan ON plan.id = room.plan_id WHERE room.id = {row}.room_id)"
)
WATCHED: dict[type[Model], str] = {
    Tenant: "{row}.id",
    ConferencingUser: _TENANT,
    Bridge: _TENANT,
    Deployment: _TENANT,
    ServiceNumber: _TENANT,
    MailboxConnection: _TENANT,
    Run: _TENANT,
    Update: _OF_MESSAGE,
    LeftMeeting: _TENANT,
    NumberRelease: _TENANT,
    UserImport: _TENANT,
    BulkAction: _TENANT,
    Preview: _TENANT,
    Plan: _TENANT,
    Notice: _TENANT,
    AlertSettings: _TENANT,
    InvitedNumber: _OF_USER,
    ShownMeeting: _OF_USER,
    MailboxScan: _OF_USER,
    UntoldNumber: _OF_NUMBER,
    Rollout: _TENANT,
    RolloutCheck: _OF_ROLLOUT,
    RolloutEvent: _OF_ROLLOUT,
    CheckAnswer: _OF_CHECK,
    CheckResult: _OF_CHECK,
    Wave: _OF_ROLLOUT,
    WaveMember: _OF_USER,
    MeetingSearch: _TENANT,
    ChatArchive: _TENANT,
    ChatEvidence: _TENANT,
    ChatReading: _TENANT,
    ChatTarget: _TENANT,
    ChatPlan: _TENANT,
    ChatRoom: _OF_CHAT_PLAN,
    ChatDifference: _OF_CHAT_ROOM,
    ChatQuestion: _OF_CHAT_PLAN,
    ChatStep: _OF_CHAT_PLAN,
    MailServer: str(OF_ALL),
}
"""What live pages show, and whose a row is. Results of meetings are written together with their run or preview, users
of an action together with it."""
_NAME = "mms_activity_"


class Trigger(NamedTuple):
    """A trigger of the database: its name, which follows from what it does, its table, and how it is made."""

    name: str
    table: str
    statements: tuple[str, ...]


def version(tenants: Iterable[Tenant]) -> str:
    """Another one after each change of what pages of the tenants show; one statement, by an index."""
    keys = [OF_ALL, *(tenant.pk for tenant in tenants)]
    total = Activity.objects.filter(tenant_key__in=keys).aggregate(sum=Sum("value"))["sum"]
    return str(total or 0)


def forget() -> None:
    """Drop what connections have noted that have written nothing for a while; pages are made anew for it once."""
    before = clock.now() - FORGOTTEN_AFTER
    with transaction.atomic():
        # Whoever just writes holds the row of its connection: that one is new again.
        old = Activity.objects.select_for_update(skip_locked=True).filter(at__lt=before)
        Activity.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()


def watch(using: str) -> None:
    """Put the triggers into the database that are not there yet."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if Activity._meta.db_table not in tables:
            return  # an older state of the database
        wanted = {each.name: each for each in _triggers(connection.vendor) if each.table in tables}
        present = dict(_present(cursor, connection.vendor))
        for name, table in present.items():
            if name not in wanted:
                _drop(cursor, connection.vendor, name, table)
        for each in wanted.values():
            if each.name not in present:
                for statement in each.statements:
                    cursor.execute(statement)


def unwatch(using: str) -> None:
    """Take the triggers away, before tables change."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for name, table in list(_present(cursor, connection.vendor)):
            _drop(cursor, connection.vendor, name, table)


def _drop(cursor: Any, vendor: str, name: str, table: str) -> None:
    if vendor == "postgresql":
        cursor.execute(f'DROP TRIGGER "{name}" ON "{table}"')
        cursor.execute(f'DROP FUNCTION IF EXISTS "{name}"()')
    else:
        cursor.execute(f'DROP TRIGGER "{name}"')


def _present(cursor: Any, vendor: str) -> list[tuple[str, str]]:
    """Names and tables of the triggers of this module that are in the database."""
    if vendor == "postgresql":
        cursor.execute(
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE starts_with(tgname, %s) AND pg_table_is_visible(tgrelid)",
            [_NAME],
        )
    else:
        cursor.execute(
            "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s", [f"{_NAME}%"]
        )
    return [(name, table) for name, table in cursor.fetchall()]


def _triggers(vendor: str) -> Iterator[Trigger]:
    make = _for_postgresql if vendor == "postgresql" else _for_sqlite
    for model, whose in WATCHED.items():
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            yield make(model._meta.db_table, whose, event, row)


def _for_postgresql(table: str, whose: str, event: str, row: str) -> Trigger:
    """One note for each statement and tenant, however many rows it changes."""
    note = f"""
        INSERT INTO {Activity._meta.db_table} (tenant_key, writer, value, at)
        SELECT whose, pg_backend_pid(), (random() * 1e15)::bigint, clock_timestamp()
        FROM (SELECT DISTINCT {whose.format(row="changed")} AS whose FROM changed) AS found WHERE whose IS NOT NULL
        ON CONFLICT (tenant_key, writer) DO UPDATE SET value = excluded.value, at = excluded.at;"""  # noqa: S608
    name = _name(table, event, note)
    return Trigger(
        name,
        table,
        (
            f'CREATE OR REPLACE FUNCTION "{name}"() RETURNS trigger LANGUAGE plpgsql '
            f"AS $$BEGIN {note} RETURN NULL; END$$",
            f'CREATE TRIGGER "{name}" AFTER {event} ON "{table}" REFERENCING {row} TABLE AS changed '
            f'FOR EACH STATEMENT EXECUTE FUNCTION "{name}"()',
        ),
    )


def _for_sqlite(table: str, whose: str, event: str, row: str) -> Trigger:
    whose = whose.format(row=row)
    note = f"""
        INSERT INTO {Activity._meta.db_table} (tenant_key, writer, value, at)
        SELECT {whose}, 0, abs(random() % 1000000000000000), datetime('now') WHERE {whose} IS NOT NULL
        ON CONFLICT (tenant_key, writer) DO UPDATE SET value = excluded.value, at = excluded.at;"""
    name = _name(table, event, note)
    return Trigger(name, table, (f'CREATE TRIGGER "{name}" AFTER {event} ON "{table}" BEGIN {note} END',))


def _name(table: str, event: str, note: str) -> str:
    digest = hashlib.blake2b(f"{table} {event} {note}".encode(), digest_size=6).hexdigest()
    return f"{_NAME}{digest}"
