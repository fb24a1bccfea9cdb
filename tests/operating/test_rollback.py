"""The database goes back to the release before and forward again in the middle of a run, by the guide's steps."""

from __future__ import annotations

import re

import pytest

from tests.support.installation import Installation, wait_for_succeeded
from tests.support.process_tree import kill, with_descendants
from tests.support.written_steps import steps

pytestmark = pytest.mark.servers
PAGE = "docs/operating/upgrade.md"


def test_back_and_forward_again_nothing_is_lost(in_production: Installation) -> None:
    service = in_production
    service.run("load_demo", "--users", "20")
    with service.start("serve", "--once") as running:
        wait_for_succeeded(running, 4)
        kill(with_descendants(running.pid))
    there = rows(service)
    before = set(migrations(service))

    back = [line.removeprefix("python manage.py ").split() for line in steps(PAGE, "Rolling back")]
    assert [line[0] for line in back] == ["migrate", "migrate"]
    for line in back:
        service.run(*line, "--verbosity", "0")
    assert migrations(service) < before
    assert rows(service) == there

    service.run("migrate", "--verbosity", "0")
    assert migrations(service) == before
    assert rows(service) == there
    service.ask("expire_leases()")
    summary = service.run("serve", "--once")
    assert service.ask("states()") == ["Failed", "Succeeded"]
    assert re.search(r"^Failed +2$", summary, re.MULTILINE)
    changed = service.ask("migrated()")
    assert len(changed) == len(set(changed))
    assert service.ask("unsent()") == 0


def rows(service: Installation) -> dict[str, list[tuple[object, ...]]]:
    """What stands in the tables that matter, in the columns that both releases have."""
    with service.watching() as ask:
        return {
            "users": ask("SELECT id, upn, display_name, bridge_id FROM tenants_app_conferencinguser ORDER BY id"),
            "runs": ask("SELECT id, user_id, state, attempts, total_meetings FROM migrations_app_run ORDER BY id"),
            "results": ask("SELECT id, run_id, uid, outcome, code FROM migrations_app_meetingresult ORDER BY id"),
            "updates": ask("SELECT result_id, state, attempts FROM migrations_app_update ORDER BY result_id"),
            "meetings": ask("SELECT user_id, uid, body FROM migrations_app_calendarobject ORDER BY user_id, uid"),
            "audit": ask("SELECT id, action, target FROM tenants_app_auditentry ORDER BY id"),
        }


def migrations(service: Installation) -> set[tuple[object, ...]]:
    with service.watching() as ask:
        return set(ask("SELECT app, name FROM django_migrations WHERE app IN ('migrations_app', 'tenants_app')"))
