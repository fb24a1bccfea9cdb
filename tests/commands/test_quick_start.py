"""Commands start quickly: cron and monitoring run them every minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.core.checks import run_checks

from tests.support.processes import ROOT

SLOW = ["fido2", "httpx2", "icalendar", "lxml", "migrations_app.screens", "mms_site.urls", "phonenumbers", "requests"]
"""What takes long to load, and is for pages, meetings and mail systems."""
PROGRAM = """
import sys
from django.core.management import execute_from_command_line
try:
    execute_from_command_line(["manage.py", "get_tenant"])
finally:
    sys.stderr.write(" ".join(sys.modules))
"""


def test_a_command_that_only_reads_rows_loads_neither_pages_nor_what_meetings_are_read_with(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MMS_", "DATABASE"))}
    environment |= {"MMS_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "mms_site.settings"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert "tenants_app.management.commands.get_tenant" in loaded
    assert [name for name in SLOW if name in loaded] == []


def test_the_system_checks_that_commands_leave_out_find_nothing() -> None:
    assert run_checks() == []
