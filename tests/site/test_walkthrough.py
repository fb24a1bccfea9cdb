"""Every command that stands in a block of the README and of docs/ is carried out, page by page, as a reader would.

Each page has a folder and a database of its own, into which come the samples, and what the page takes for granted.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from tests.support.processes import ROOT, ManagePy

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

NOT_RUN = {
    "make run": "serves until it is stopped; tests/cluster starts the same programs",
    "make run MAILBOXES=caldav": "likewise; tests/demo/test_on_radicale.py loads the same demo",
    "make test": "is the suite itself",
    "source .venv/bin/activate": "says which Python is meant",
    "gunicorn mms_site.wsgi --threads 4 --timeout 300": "serves until it is stopped",
    "python manage.py run_cluster": "likewise; tests/cluster",
    "python manage.py test_mailbox_connection Calendars --tenant contoso --user anna@contoso.com": "needs the server",
    "python manage.py test_mailbox_connection Nextcloud --tenant contoso --user anna@contoso.com": "needs the server",
    "python manage.py start_meeting_migration --tenant contoso --user anna@contoso.com --dry-run": "needs the server",
    "MMS_SECRETS_KEY=NEWKEY,OLDKEY python manage.py rotate_secrets": "the keys are the reader's own",
    "manage.py check_deliverability --tenant contoso --user anna@contoso.com": "asks the reader's DNS",
    "set -a": "a script for monitoring, of four lines: tests/commands/test_monitoring_commands.py calls what it calls",
    ". /etc/mms.env": "likewise",
    "cd /opt/mms || exit 3": "likewise",
    'exec .venv/bin/python manage.py "$@"': "likewise",
    "manage.py test_mail_server --tenant contoso --to alice@contoso.com": "needs the server",
}
"""Commands that cannot be carried out here, and why."""

MAY_SAY_NO = {"check_migrations", "check_worker"}
"""Checks for monitoring: their exit status is the answer."""


class Line(str):
    """A command line of a page, with what the page shows of its output, if anything."""

    shown: Sequence[str] = ()


def commands(page: str) -> list[Line]:
    """The command lines of the page's blocks, without comments."""
    found = []
    text = (ROOT / page).read_text(encoding="utf-8")
    for indent, kind, block in re.findall(r"^( *)```(sh|console)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        if kind == "sh":
            found += [Line(each) for line in lines for each in re.sub(r"(^|\s+)#.*", "", line).split(" && ") if each]
        elif lines[0].startswith("$ "):
            command = Line(lines[0].removeprefix("$ "))
            command.shown = [part.strip("\n") for part in "\n".join(lines[1:]).split("[…]") if part.strip()]
            found.append(command)
    return [line for line in found if line.strip()]


@pytest.fixture(scope="module")
def manage(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[ManagePy]:
    folder = tmp_path_factory.mktemp("walkthrough")
    shutil.copy(migrated, folder / "db.sqlite3")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMS_", "DJANGO_"))}
    environment = {"MMS_DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
    with ManagePy(kept | environment) as manage:
        for arguments in (
            ["new_tenant", "contoso", "--name", "Contoso", "--domain", "contoso.com"],
            ["set_tenant", "--tenant", "contoso", "--meeting-url", "https://meet.contoso.com", "--settling-time", "0"],
            ["set_dial_in_conferencing_bridge", "Seattle", "--tenant", "contoso", "--default"],
            ["register_service_number", "+14255550101", "--tenant", "contoso", "--bridge", "Seattle", "--type", "toll"],
        ):
            done(manage.run(*arguments))
        header = "UserPrincipalName,AudioConferencingLicense,AudioConferencingEnabled"
        users = "".join(f"\n{name}@contoso.com,true,true" for name in ("anna", "bruno", "carla"))
        done(manage.run("import_users", "-", "--tenant", "contoso", text=f"{header}{users}\n"))
        yield manage


def done(process: subprocess.CompletedProcess[str], statuses: Sequence[int] = (0,)) -> str:
    assert process.returncode in statuses, process.stderr + process.stdout
    return process.stdout


def what_the_page_takes_for_granted(page: str, folder: Path) -> None:
    shutil.copytree(ROOT / "samples", folder / "samples")
    shutil.copytree(ROOT / "samples" / "invitations", folder / "given")
    shutil.make_archive(str(folder / "anna"), "zip", folder / "given")
    for name in ("password.txt", "new-password.txt"):
        (folder / name).write_text("correct horse\n", encoding="utf-8")
    (folder / "avviso.txt").write_text("Le sue riunioni ({meetings}) cambiano {day}.\n", encoding="utf-8")
    trustme.CA().cert_pem.write_to_path(str(folder / "contoso-ca.pem"))
    rows = re.search(r"```csv\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    if rows:
        (folder / "sign-ins.csv").write_text(rows[1], encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_of_the_page_does_what_it_says(page: str, manage: ManagePy, tmp_path: Path) -> None:
    what_the_page_takes_for_granted(page, tmp_path)
    for line in commands(page):
        if line in NOT_RUN:
            continue
        program, *arguments = shlex.split(line)
        if program == "python" and arguments[0] != "manage.py":
            done(subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120))
            continue
        if program == "python":
            program, *arguments = arguments
        assert program == "manage.py", f"{line}: run it, or say in NOT_RUN why not"
        told = done(manage.run(*arguments, folder=tmp_path), (0, 1, 2) if arguments[0] in MAY_SAY_NO else (0,))
        for shown in line.shown:
            assert shown in told, line
    if page == "README.md":
        the_readmes_meetings_are_migrated(tmp_path)


def the_readmes_meetings_are_migrated(folder: Path) -> None:
    """Those two that can be, each with its join link; the others are as they came."""
    given = {path.read_bytes() for path in (folder / "samples" / "invitations").iterdir()}
    corrected = [path.read_bytes() for path in (folder / "corrected").iterdir()]
    changed = [body.replace(b"\r\n ", b"").decode() for body in corrected if body not in given]
    assert len(corrected) == len(given) == 5
    assert len(changed) == 2
    assert all("+44 20 7946 0123" in text and "555-0100" not in text for text in changed)
    assert any("https://meet.fabrikam.com/anna/BKPDHIJS" in text for text in changed)
    assert {path.name for path in (folder / "anna-migrated").iterdir()} >= {"report.html", "calendar"}


def test_what_is_not_run_stands_on_a_page() -> None:
    everything = {line for page in PAGES for line in commands(page)}
    assert NOT_RUN.keys() - everything == set()
