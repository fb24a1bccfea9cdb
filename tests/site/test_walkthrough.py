"""Every command that stands in a block of the README and of docs/ is carried out, page by page, as a reader would.

Each page has a folder and a database of its own, into which come the samples, and what the page takes for granted.
The pages of docs/commands/ show the example of each command's help.
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
    "python manage.py test_mailbox_connection Calendars --tenant contoso --user anna@contoso.com": "needs the server",
    "python manage.py test_mailbox_connection Nextcloud --tenant contoso --user anna@contoso.com": "needs the server",
    "python manage.py test_mailbox_connection Exchange --tenant contoso --user anna@contoso.com": "needs the server",
    "python manage.py check_exchange Exchange --tenant contoso --user anna@contoso.com --outside ceo@contoso.com": (
        "needs the server"
    ),
    "python manage.py check_exchange Exchange --tenant contoso --write-to mms.test@contoso.com "
    "--attendee mms.attendee@contoso.com --report check-exchange.txt": "needs the server",
    "pip install '.[exchange]'": "the extra is among what tests need",
    "python manage.py start_meeting_migration --tenant contoso --user anna@contoso.com --dry-run": "needs the server",
    "MMS_SECRETS_KEY=NEWKEY,OLDKEY python manage.py rotate_secrets": "the keys are the reader's own",
    "manage.py check_deliverability --tenant contoso --user anna@contoso.com": "asks the reader's DNS",
    "set -a": "a script for monitoring, of four lines: tests/commands/test_monitoring_commands.py calls what it calls",
    ". /etc/mms.env": "likewise",
    "cd /opt/mms || exit 3": "likewise",
    'exec .venv/bin/python manage.py "$@"': "likewise",
    **dict.fromkeys(
        (
            'pg_dump --format=custom --file=mms.dump "$DATABASE_URL"',
            'sqlite3 /var/lib/mms/db.sqlite3 ".backup /var/backups/mms.sqlite3"',
            "createdb mms_restored",
            "pg_restore --no-owner --exit-on-error --dbname=mms_restored mms.dump",
            "rm -f /var/lib/mms/db.sqlite3-wal /var/lib/mms/db.sqlite3-shm",
            "cp /var/backups/mms.sqlite3 /var/lib/mms/db.sqlite3",
            "python manage.py migrate migrations_app 0024",
            "python manage.py migrate tenants_app 0018",
        ),
        "tests/operating carries it out, on an installation at work",
    ),
    "python manage.py showmigrations --plan > before-the-upgrade.txt": "asks a shell for a file of what it prints",
    **dict.fromkeys(
        (
            'python manage.py test_mailbox_connection "Exchange Online" --tenant contoso --user anna@contoso.com',
            'python manage.py check_graph "Exchange Online" --tenant contoso --user anna@contoso.com '
            "--outside ceo@contoso.com --report check-graph.txt",
            'python manage.py check_teams "Exchange Online" --tenant contoso --user anna@contoso.com '
            "--report check-teams.txt",
            'python manage.py check_graph "Exchange Online" --tenant contoso --write-to mms.test@contoso.com '
            "--attendee mms.attendee@contoso.com --report check-writing.txt",
            'python manage.py check_teams "Exchange Online" --tenant contoso --write-to mms.test@contoso.com '
            "--report check-teams-writing.txt",
            'python manage.py import_users --from-graph "Exchange Online" --tenant contoso --dry-run',
            'python manage.py import_users --from-graph "Exchange Online" --tenant contoso --domain contoso.com',
        ),
        "needs the reader's tenant; tests/tenant_checks does it against what stands in for one",
    ),
    "manage.py test_mail_server --tenant contoso --to alice@contoso.com": "needs the server",
    "python manage.py remove_second_factor alice": "needs an account with one; tests/accounts does it",
    "python manage.py run_cluster": "serves until it is stopped; tests/cluster",
    "python manage.py serve": "likewise; tests/cluster",
    'manage.py start_wave "Redmond goes online/Test users"': "needs a gate that is open; tests/rollouts/test_story.py",
    **dict.fromkeys(
        (
            'manage.py roll_back_wave "Redmond goes online/Pilot" --dry-run',
            'python manage.py start_wave "To the new service/Test users" --wait',
            'python manage.py pause_wave "To the new service/Test users" --reason "The helpdesk is closed today."',
            'python manage.py retry_wave_member "To the new service/Test users" --user anna@contoso.com',
            'python manage.py resume_wave "To the new service/Test users" --reason "The mail server is up again."',
            'python manage.py accept_wave "To the new service/Test users" --note "The last two are told by telephone."',
            'python manage.py confirm_moves "To the new service/Test users" --all',
            'python manage.py export_move_list "To the new service/Test users" --output users-to-move.txt',
            'python manage.py import_wave_members members.csv --rollout "To the new service" --dry-run',
        ),
        "needs a wave that moves; tests/rollouts/test_story.py and test_wave_commands.py do it",
    ),
    'python manage.py check_rollout "To the new service" --wave Pilot': (
        "needs a rollout; tests/rollouts/test_check_commands.py does it"
    ),
    'python manage.py answer_check "Each side can be administered" --yes': "likewise",
    'python manage.py roll_back_wave "To the new service/Test users" --dry-run': (
        "needs a wave that has moved; tests/rollouts/test_going_back_pages.py does it"
    ),
    'python manage.py retire_deployment "Old pool" --accounts accounts.csv --dry-run': "likewise",
    'python manage.py export_redirects "To the new service" --output redirects.map': "likewise",
    "python manage.py load_demo": "takes a minute; tests/demo does it",
    **dict.fromkeys(
        (
            "adduser --system --group --home /var/lib/mms mms",
            "git clone URL /opt/mms",
            "python3 -m venv /opt/mms/.venv",
            "/opt/mms/.venv/bin/pip install /opt/mms",
            "install -d -o root -g mms -m 750 /etc/mms",
            "sudo -u postgres createuser mms",
            "sudo -u postgres createdb --owner=mms mms",
            "systemctl daemon-reload",
            "systemctl enable --now mms-cluster mms-web mms-prune.timer",
        ),
        "installs on the machine itself; tests/operating checks the files that it installs",
    ),
    **dict.fromkeys(
        (
            "python manage.py verify_chat --differences",
            'python manage.py accept_chat_difference --room Handover --code altered-text --reason "Its author has '
            'corrected it."',
            "python manage.py ask_chat_people",
            "python manage.py get_chat_answer",
        ),
        "needs rooms that were imported; tests/chat/test_verification_commands.py does it",
    ),
    **dict.fromkeys(
        (
            "python manage.py check_chat_gate 1",
            "python manage.py get_chat_step 1 --of gate",
            'python manage.py set_chat_step 1 backups --evidence "Tape 17 of 2 November, tried by Ann Lee"',
        ),
        "needs a plan; tests/chat/test_gate.py and tests/chat/test_sequence.py do it",
    ),
    "python manage.py write_documentation": "writes over these pages; tests/site/test_docs.py does it elsewhere",
    "python manage.py start_meeting_migration --user anna@contoso.com bruno@contoso.com --now --wait": (
        "waits for the background service; tests/commands/test_run_commands.py does it"
    ),
    "python manage.py undo_meeting_migration --correlation-id 7f9c24e8-3b12-4fef-91e0-2a5b8c1d6e70 --dry-run": (
        "needs a run; tests/commands/test_undo_command.py does it"
    ),
    'python manage.py release_service_number --number +14255550100 --reason "The carrier has cut it"': (
        "needs meetings that show the number; tests/commands/test_number_commands.py does it"
    ),
    "python manage.py remove_planned_start 17": "needs a plan; tests/commands/test_planned_starts.py does it",
    "python manage.py test_alert --only webhook": "needs the server; tests/alerts does it",
    "python manage.py check_deliverability --user anna@contoso.com": "asks the reader's DNS",
    **dict.fromkeys(
        (
            'python manage.py check_exchange "Exchange" --user anna@contoso.com --outside ceo@contoso.com '
            "--report check.txt",
            'python manage.py check_graph "Exchange Online" --user anna@contoso.com --outside ceo@contoso.com '
            "--report check.txt",
            "python manage.py check_teams --user anna@contoso.com "
            "--join-url https://teams.microsoft.com/l/meetup-join/… --report teams.json",
            'python manage.py test_mailbox_connection "Nextcloud" --user anna@contoso.com',
            "python manage.py test_mail_server --to alice@contoso.com",
        ),
        "needs the reader's servers; tests/tenant_checks, tests/mailboxes and tests/mail do it against stand-ins",
    ),
}
"""Commands that cannot be carried out here, and why."""

ORGANIZATION = (
    "new_tenant contoso --name Contoso --domain contoso.com",
    "set_tenant --meeting-url https://meet.contoso.com --settling-time 0",
    "set_dial_in_conferencing_bridge Seattle --default",
    "register_service_number +14255550101 --bridge Seattle --type toll",
    "register_service_number +14255550100 --bridge Seattle --type toll",
    "register_service_number +14255550122 --bridge Seattle --type toll",
    "set_dial_in_conferencing_bridge Europe",
    "new_administrator demo --email demo@contoso.com",
    'new_deployment "Old pool" --kind on-premises --role legacy --meeting-host lync.contoso.com',
    'new_deployment "New service" --kind online --role new --meeting-host meet.contoso.com',
)
"""What pages take for granted, as commands."""

LONDON = "register_service_number +442079460123 --bridge Europe --type toll"
LEAVING = "unassign_service_number --number +14255550100 --replace-with +14255550122"
POOL = 'new_deployment "Pool B" --kind on-premises --role new --meeting-host meet.contoso.com'
NEXTCLOUD = (
    "new_mailbox_connection Nextcloud --kind caldav --address https://cloud.contoso.com/remote.php/dav/ --username mms "
    "--secret-file password.txt --path-template /calendars/{local}/"
)
ROLLOUT = (
    'set_dial_in_conferencing_user --user anna@contoso.com --deployment "Old pool"',
    'new_rollout "To the new service" --from "Old pool" --to "New service"',
)
HOMESERVER = (
    "set_chat_target Homeserver --tenant contoso --kind matrix --address https://matrix.contoso.com "
    "--option server_name=contoso.com --secret-file password.txt"
)
CHAT = (
    "export_chat --source mgc-tables:samples/chat-tables --output chat.zip",
    'set_chat_target "New home" --kind archive',
)
CHAT_PLANNED = (*CHAT, 'plan_chat_import chat.zip --target "New home"')
GIVEN: dict[str, str | tuple[str, ...]] = {
    "accept_given_up_messages": LEAVING,
    "get_number_release": LEAVING,
    "get_chat_registration": HOMESERVER,
    "check_chat_gate": CHAT_PLANNED,
    "export_wave_report": ROLLOUT,
    "get_chat_product": (*CHAT, 'import_chat chat.zip --target "New home"'),
    "get_chat_report": CHAT_PLANNED,
    "get_chat_room": CHAT_PLANNED,
    "get_chat_step": CHAT_PLANNED,
    "import_chat": CHAT,
    "plan_chat_import": CHAT,
    "remove_chat_target": CHAT,
    "set_chat_import": CHAT_PLANNED,
    "set_chat_step": CHAT_PLANNED,
    "test_chat_target": CHAT,
    "get_wave_member": ROLLOUT,
    "import_wave_members": ROLLOUT,
    "set_rollout": ROLLOUT,
    "grant_role": "new_administrator alice --email alice@contoso.com",
    "remove_deployment": POOL,
    "remove_mailbox_connection": NEXTCLOUD,
    "set_deployment": POOL,
    "set_dial_in_conferencing_bridge": LONDON,
    "set_dial_in_conferencing_user": LONDON,
    "set_mailbox_connection": NEXTCLOUD,
}
"""What the example of a command takes for granted beside that: other commands."""

NEEDS_NOTHING = "docs/commands/new_tenant.md"
"""The page whose example makes the organization that all others have."""

IN_THE_BROWSER = (
    "set_dial_in_conferencing_bridge Seattle --tenant fabrikam --default",
    "register_service_number +14255550100 --tenant fabrikam --bridge Seattle --type toll",
    "import_users samples/users.csv --tenant fabrikam",
)
"""What readers of the first hour do there before they bring in meetings."""

MAY_SAY_NO = {"check_chat_gate", "check_migrations", "check_rollout", "check_worker", "retire_deployment"}
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data of the installation live."""
    return tmp_path_factory.mktemp("walkthrough")


@pytest.fixture(scope="module")
def manage(folder: Path, migrated: Path) -> Iterator[ManagePy]:
    shutil.copy(migrated, folder / "db.sqlite3")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMS_", "DJANGO_"))}
    environment = {"MMS_DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
    with ManagePy(kept | environment) as manage:
        for line in ORGANIZATION:
            done(manage.run(*shlex.split(line)))
        done(manage.run("import_users", "-", text=USERS))
        shutil.copy(folder / "db.sqlite3", folder / "prepared.sqlite3")
        yield manage


USERS = "UserPrincipalName,AudioConferencingLicense,AudioConferencingEnabled\n" + "".join(
    f"{name}@contoso.com,true,true\n" for name in ("anna", "bruno", "carla")
)


@pytest.fixture
def prepared(manage: ManagePy, folder: Path, page: str, migrated: Path) -> ManagePy:
    """With a database for this page alone."""
    for path in folder.glob("db.sqlite3*"):
        path.unlink()
    shutil.copy(migrated if page == NEEDS_NOTHING else folder / "prepared.sqlite3", folder / "db.sqlite3")
    return manage


def done(process: subprocess.CompletedProcess[str], statuses: Sequence[int] = (0,)) -> str:
    assert process.returncode in statuses, process.stderr + process.stdout
    return process.stdout


def what_the_page_takes_for_granted(page: str, folder: Path) -> None:
    shutil.copytree(ROOT / "samples", folder / "samples")
    shutil.copytree(ROOT / "samples" / "invitations", folder / "given")
    shutil.copytree(ROOT / "samples" / "chat-tables", folder / "tables")
    (folder / "store").mkdir()
    shutil.make_archive(str(folder / "anna"), "zip", folder / "given")
    shutil.copytree(folder / "given", folder / "more")
    shutil.copy(folder / "given" / "budget.ics", folder / "budget.ics")
    (folder / "more" / "budget.ics").rename(folder / "anna.ics")
    (folder / "users.csv").write_text(USERS, encoding="utf-8")
    (folder / "members.csv").write_text("UserPrincipalName,Wave\nanna@contoso.com,Pilot\n", encoding="utf-8")
    for name in ("password.txt", "new-password.txt"):
        (folder / name).write_text("correct horse\n", encoding="utf-8")
    (folder / "avviso.txt").write_text("Le sue riunioni ({meetings}) cambiano {day}.\n", encoding="utf-8")
    trustme.CA().cert_pem.write_to_path(str(folder / "contoso-ca.pem"))
    rows = re.search(r"```csv\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    if rows:
        for name in ("sign-ins.csv", "members.csv"):
            (folder / name).write_text(rows[1], encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_of_the_page_does_what_it_says(page: str, prepared: ManagePy, tmp_path: Path) -> None:
    what_the_page_takes_for_granted(page, tmp_path)
    if Path(page).parent.name == "commands" and (given := GIVEN.get(Path(page).stem)):
        for line in (given,) if isinstance(given, str) else given:
            done(prepared.run(*shlex.split(line), folder=tmp_path))
    for line in commands(page):
        if line in NOT_RUN:
            continue
        program, *arguments = shlex.split(line)
        if program == "python" and arguments[0] != "manage.py":
            done(subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120))
            continue
        if program == "openssl":
            done(subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120))
            continue
        if program == "python":
            program, *arguments = arguments
        if Path(page).name == "first-hour.md" and arguments[0] == "import_meetings":
            for done_there in IN_THE_BROWSER:
                done(prepared.run(*shlex.split(done_there), folder=tmp_path))
        assert program == "manage.py", f"{line}: run it, or say in NOT_RUN why not"
        told = done(prepared.run(*arguments, folder=tmp_path), (0, 1, 2, 3) if arguments[0] in MAY_SAY_NO else (0,))
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


def test_every_block_of_a_terminal_begins_with_a_command() -> None:
    """So that none is passed over."""
    for page in PAGES:
        blocks = re.findall(r"^ *```console\n(.*?)\n", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert [block for block in blocks if not block.lstrip().startswith("$ ")] == [], page


def test_what_is_not_run_stands_on_a_page() -> None:
    everything = {line for page in PAGES for line in commands(page)}
    assert NOT_RUN.keys() - everything == set()
