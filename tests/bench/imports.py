"""`make bench ARGS=import`: the command import_users with 100,000 rows, beside the plain script of an administrator.

The same file is imported three times: into a tenant without users, with another bridge for everybody, which starts a
run for each, and once more, which changes nothing. The database is made for the purpose and dropped at the end.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROWS = 100_000
PLAIN_ROWS = 2_000
"""Rows that the plain script is measured with; its seconds are extrapolated from these."""
AIM = 120
"""Seconds that each import should take at most on two cores; printed, never enforced."""
STEPS = {"all created": "Old bridge", "all changed, a run each": "New bridge", "nothing changed": "New bridge"}
LANGUAGES = ("en-US", "es-ES", "it-IT")
COLUMNS = (
    *("UserPrincipalName", "DisplayName", "Language", "AudioConferencingLicense", "AudioConferencingEnabled"),
    *("Bridge", "ConferenceIdType"),
)


def main() -> None:
    """Import, measure, print."""
    from tests.bench.large_tenant import database_of_its_own
    from tests.bench.lists import show

    with database_of_its_own() as vendor, tempfile.TemporaryDirectory() as folder:
        make_organization("import")
        make_organization("plain")
        show(f"\nImport of {ROWS:,} users by command, {vendor}; aim: at most {AIM} s each")
        show(f"{'':28}{'s':>9}{'CPU s':>9}{'rows/s':>9}{'MB':>7}   beside the plain script*")
        for step, bridge in STEPS.items():
            seconds, cpu, megabytes = import_by_command(Path(folder) / "users.csv", file_of(ROWS, bridge))
            plain = plain_script(file_of(PLAIN_ROWS, bridge)) * ROWS / PLAIN_ROWS
            show(
                f"  {step:26}{seconds:>9.1f}{cpu:>9.1f}{ROWS / seconds:>9,.0f}{megabytes:>7.0f}"
                f"   {plain:,.0f} s, {plain / seconds:.1f} times as long"
            )
        show(
            f"  * get_or_create() and save() for each row: extrapolated from {PLAIN_ROWS:,} rows. It checks nothing, "
            "gives out no\n    conference IDs, writes no audit and starts no runs."
        )


def make_organization(slug: str) -> None:
    from tenants_app.changes.bridges import register_number, set_bridge
    from tenants_app.changes.tenants import create_tenant
    from tests.bench.__main__ import actor

    tenant = create_tenant(
        actor(), slug=slug, name=slug.title(), domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    for number, name in enumerate(dict.fromkeys(STEPS.values())):
        bridge = set_bridge(tenant, name, actor(), make_default=number == 0)
        register_number(bridge, f"+1425555010{number}", "toll", actor(), country="United States")


def file_of(rows: int, bridge: str) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for number in range(rows):
        name, language = f"user{number:06}@contoso.com", LANGUAGES[number % len(LANGUAGES)]
        writer.writerow([name, f"User {number}", language, "true", "true", bridge, "public"])
    return buffer.getvalue()


def import_by_command(path: Path, text: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and the most memory in MB, of the command in a process of its own."""
    from django.conf import settings
    from django.db import connection

    path.write_text(text, encoding="utf-8", newline="")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mms_site.settings",
        "MMS_DATA_DIR": str(settings.MMS_DATA_DIR),
        "DATABASE_URL": address_of(connection.settings_dict),
    }
    connection.close()
    start = time.perf_counter()
    command = [sys.executable, "manage.py", "import_users", str(path), "--tenant", "import"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit("The import failed: the figure would not count.")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def address_of(database: Mapping[str, object]) -> str:
    """The address of the database that was made for the purpose."""
    if "sqlite" in str(database["ENGINE"]):
        return f"sqlite:///{database['NAME']}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database['NAME']}"))


def plain_script(text: str) -> float:
    """Seconds for what an administrator would write: fetch or make the user, set what the row says, save."""
    from tenants_app.models import Bridge, ConferencingUser, Tenant

    tenant = Tenant.objects.get(slug="plain")
    start = time.perf_counter()
    for row in csv.DictReader(io.StringIO(text)):
        user, _ = ConferencingUser.objects.get_or_create(
            tenant=tenant, upn=row["UserPrincipalName"], defaults={"sip_address": row["UserPrincipalName"]}
        )
        user.display_name = row["DisplayName"]
        user.language = row["Language"]
        user.audio_conferencing_license = row["AudioConferencingLicense"] == "true"
        user.audio_conferencing_enabled = row["AudioConferencingEnabled"] == "true"
        user.conference_id_type = row["ConferenceIdType"]
        user.bridge = Bridge.objects.get(tenant=tenant, name=row["Bridge"])
        user.save()
    return time.perf_counter() - start
