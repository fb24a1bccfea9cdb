"""Upgrading: the migrations from an empty database and from each released state, whatever the code has become since."""

from __future__ import annotations

import ast
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.migrations.state import StateApps
from django.db.models import F, QuerySet
from django.utils import timezone

from migrations_app.models import IndexedMeeting, IntendedWrite, MailboxScan, Run
from migrations_app.targets import SOURCES
from tenants_app import fingerprints
from tenants_app.changes.mailbox_kinds import check_kind
from tenants_app.models import (
    AuditEntry,
    ConferencingUser,
    FormerConferenceId,
    FormerNumber,
    InvitedNumber,
    MailboxConnection,
)
from tests.support.scratch_database import ScratchDatabase

FIRST = [("tenants_app", "0001_initial"), ("migrations_app", "0001_initial")]
RELEASED = {
    "the first release": FIRST,
    "one app ahead of the other": [("tenants_app", "0002_out_of_date"), ("migrations_app", "0001_initial")],
    "out of date": [
        ("tenants_app", "0002_out_of_date"),
        ("migrations_app", "0002_number_releases_and_imports"),
    ],
    "before halved fingerprints": [
        ("tenants_app", "0006_meeting_services"),
        ("migrations_app", "0006_online_meetings"),
    ],
    "before Microsoft": [("tenants_app", "0018_notify_cancelled"), ("migrations_app", "0023_samples")],
}
"""The states of the database that an installation may come from."""

TOLL, OTHER_TOLL, TOLL_FREE = "+14255550100", "+14255550122", "+448081570123"


def fill_first_release(apps: StateApps, alias: str) -> None:
    """Rows of every kind in the columns of the first release."""

    def make(label: str, /, **values: Any) -> Any:
        return apps.get_model(label).objects.using(alias).create(**values)

    tenant = make(
        "tenants_app.Tenant",
        slug="contoso",
        name="Contoso",
        domain="contoso.com",
        meeting_url="https://meet.contoso.com",
        local_numbers_url="https://meet.contoso.com/dialin",
        help_url="https://help.contoso.com",
        footer_text="Recording needs everyone's consent.",
    )
    bridge = make("tenants_app.Bridge", tenant=tenant, name="Europe", is_default=True)
    foreign = make("tenants_app.Bridge", tenant=tenant, name="Asia", provider="Fabrikam")
    number = {"tenant": tenant, "bridge": bridge, "country": "United States", "city": "Redmond"}
    make("tenants_app.ServiceNumber", number=TOLL, kind="toll", is_default=True, **number)
    toll = make("tenants_app.ServiceNumber", number=OTHER_TOLL, kind="toll", **number)
    toll_free = make("tenants_app.ServiceNumber", number=TOLL_FREE, kind="toll-free", **number)
    with_phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "bridge": bridge}
    people: dict[str, dict[str, Any]] = {
        "anna": with_phone | {"toll_number": toll, "toll_free_number": toll_free},
        "bruno": with_phone | {"language": "it-IT"},
        "carla": with_phone | {"language": "ES", "conference_id_type": "private"},
        "dieter": {"language": "de-DE", "hosting": "on-premises"},
        "emma": with_phone | {"sip_address": "emma@fabrikam.com", "audio_conferencing_enabled": False},
        "fred": with_phone | {"conferencing_provider": "Fabrikam"},
        "gina": with_phone | {"bridge": foreign},
    }
    for name, values in people.items():
        upn = f"{name}@contoso.com"
        user = make("tenants_app.ConferencingUser", tenant=tenant, upn=upn, **{"sip_address": upn, **values})
        if name in {"anna", "bruno"}:
            digits = {"anna": "1234567", "bruno": "7654321"}[name]
            make("tenants_app.ConferenceId", bridge=bridge, digits=digits, user=user)
        if name == "anna":
            run = make("migrations_app.Run", tenant=tenant, user=user, due_at=timezone.now(), migration_type="Manual")
            make("migrations_app.MeetingResult", run=run, uid="budget", outcome="Succeeded")
    for actor in ("command:root", "load_demo", "alice"):
        make("tenants_app.AuditEntry", tenant=tenant, actor=actor, action="change user", target="anna@contoso.com")


def fingerprints_of(database: ScratchDatabase) -> list[tuple[str, str, str]]:
    users = ConferencingUser.objects.using(database.alias).order_by("upn")
    return list(users.values_list("upn", "settings_fingerprint", "invitations_fingerprint"))


@pytest.mark.parametrize("release", RELEASED)
def test_r36_users_of_each_released_state_are_up_to_date_after_the_upgrade(
    database: ScratchDatabase, release: str
) -> None:
    fill_first_release(database.migrate(FIRST), database.alias)
    database.migrate(RELEASED[release])
    database.migrate()
    stored = fingerprints_of(database)
    with transaction.atomic(database.alias):
        fingerprints.refresh(ConferencingUser.objects.using(database.alias))

    # Fred and Gina have numbers of the same third party's, which are not known here.
    assert len({settings for _, settings, _ in stored}) == 6, "each of the others has other settings"
    assert all(settings == invitations != "" for _, settings, invitations in stored)
    assert fingerprints_of(database) == stored
    shown = InvitedNumber.objects.using(database.alias).order_by("user__upn", "number__number")
    assert list(shown.values_list("user__upn", "number__number")) == [
        ("anna@contoso.com", OTHER_TOLL),
        ("anna@contoso.com", TOLL_FREE),
        ("bruno@contoso.com", TOLL),
        ("carla@contoso.com", TOLL),
    ]
    entries = AuditEntry.objects.using(database.alias)
    assert dict(entries.values_list("actor", "channel")) == {
        "command:root": "command",
        "load_demo": "command",
        "alice": "screen",
    }


def test_r44_runs_from_before_migration_types_are_called_what_they_did_and_go_on_with_what_their_reasons_mean(
    database: ScratchDatabase,
) -> None:
    """What waits, and what is tried again, must not take a Teams meeting away."""
    fill_first_release(database.migrate(FIRST), database.alias)
    apps = database.migrate([("tenants_app", "0006_meeting_services"), ("migrations_app", "0006_online_meetings")])
    users = apps.get_model("tenants_app", "ConferencingUser").objects.using(database.alias)
    runs = apps.get_model("migrations_app", "Run").objects.using(database.alias)
    runs.all().delete()
    for user, state in zip(users.order_by("pk"), ("Succeeded", "Failed", "Pending", "Pending"), strict=False):
        kind = "MoveToOnline" if user.upn.startswith("dieter") else "AudioConferencing"
        code = "no-conference-id" if state == "Failed" else ""
        runs.create(
            tenant_id=user.tenant_id,
            user=user,
            state=state,
            migration_type=kind,
            due_at=timezone.now(),
            last_error_code=code,
        )
    database.migrate()

    now = Run.objects.using(database.alias).order_by("pk")
    stay, move = dict.fromkeys(SOURCES, "Current"), {**dict.fromkeys(SOURCES, "Current"), "SkypeForBusiness": "Link"}
    assert list(now.values_list("state", "migration_type", "targets")) == [
        ("Succeeded", "AllToLink", stay),
        ("Failed", "AllToLink", stay),
        ("Pending", "ToSameType", stay),
        ("Pending", "SkypeForBusinessToLink", move),
    ]
    assert now[1].last_error_message.startswith("Audio conferencing is on, but the user has no conference ID.")


@pytest.mark.parametrize("release", ["out of date", "before halved fingerprints"])
def test_r36_who_is_out_of_date_stays_so(database: ScratchDatabase, release: str) -> None:
    fill_first_release(database.migrate(FIRST), database.alias)
    apps = database.migrate(RELEASED[release])
    users = apps.get_model("tenants_app", "ConferencingUser").objects.using(database.alias)
    users.filter(upn="anna@contoso.com").update(invitations_fingerprint="")
    users.filter(upn="bruno@contoso.com").update(invitations_fingerprint="of other settings")
    database.migrate()

    found = ConferencingUser.objects.using(database.alias).out_of_date()
    assert list(found.values_list("upn", flat=True)) == ["anna@contoso.com", "bruno@contoso.com"]


def test_r36_whose_meetings_a_run_changed_has_own_blocks_after_the_upgrade(database: ScratchDatabase) -> None:
    apps = database.migrate(FIRST)
    fill_first_release(apps, database.alias)
    bruno = apps.get_model("tenants_app", "ConferencingUser").objects.using(database.alias).get(upn="bruno@contoso.com")
    runs = apps.get_model("migrations_app", "Run").objects.using(database.alias)
    run = runs.create(tenant=bruno.tenant, user=bruno, due_at=timezone.now(), migration_type="Manual")
    run.results.create(uid="budget", outcome="Skipped", code="past")
    database.migrate()

    users = ConferencingUser.objects.using(database.alias)
    assert list(users.filter(has_own_blocks=True).values_list("upn", flat=True)) == ["anna@contoso.com"]


def test_r36_a_run_under_way_during_the_upgrade_makes_up_to_date_as_it_would_have(database: ScratchDatabase) -> None:
    fill_first_release(database.migrate(FIRST), database.alias)
    apps = database.migrate(RELEASED["before halved fingerprints"])
    runs = apps.get_model("migrations_app", "Run").objects.using(database.alias)
    anna = apps.get_model("tenants_app", "ConferencingUser").objects.using(database.alias).get(upn="anna@contoso.com")
    run = runs.get()
    assert run.state == "Pending"
    runs.update(settings_fingerprint=anna.settings_fingerprint)
    other = runs.create(tenant=anna.tenant, user=anna, due_at=timezone.now(), state="Failed", is_latest=False)
    runs.filter(pk=other.pk).update(settings_fingerprint="others")
    database.migrate()

    now = ConferencingUser.objects.using(database.alias).get(upn="anna@contoso.com").settings_fingerprint
    assert now != anna.settings_fingerprint
    assert Run.objects.using(database.alias).get(pk=run.pk).settings_fingerprint == now
    assert Run.objects.using(database.alias).get(pk=other.pk).settings_fingerprint == "others"


def test_r43_conference_ids_of_old_are_known_from_the_audit_after_the_upgrade(database: ScratchDatabase) -> None:
    fill_first_release(database.migrate(FIRST), database.alias)
    apps = database.migrate(RELEASED["before halved fingerprints"])
    tenants = apps.get_model("tenants_app", "Tenant").objects.using(database.alias)
    entries = apps.get_model("tenants_app", "AuditEntry").objects.using(database.alias)
    fabrikam = tenants.create(slug="fabrikam", name="F", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com")
    contoso = tenants.get(slug="contoso")
    for tenant, action, target, before in (
        (contoso, "change user", "anna@contoso.com", {"conference_id": "2222222", "language": "it"}),
        (contoso, "change user", "anna@contoso.com", {"conference_id": "3333333"}),
        (contoso, "change user", "anna@contoso.com", {"conference_id": "2222222"}),
        (contoso, "change user", "anna@contoso.com", {"conference_id": ""}),
        (contoso, "change user", "nobody@contoso.com", {"conference_id": "4444444"}),
        (fabrikam, "change user", "anna@contoso.com", {"conference_id": "5555555"}),
        (contoso, "change user", "bruno@contoso.com", {"language": "it"}),
    ):
        entries.create(tenant=tenant, actor="alice", action=action, target=target, before=before)
    database.migrate()

    former = FormerConferenceId.objects.using(database.alias).order_by("digits")
    assert list(former.values_list("user__upn", "digits", "bridge", "meeting_uid")) == [
        ("anna@contoso.com", "2222222", None, ""),
        ("anna@contoso.com", "3333333", None, ""),
    ]


def test_many_users_are_brought_up_to_date_batch_by_batch(
    database: ScratchDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "tenants_app.migrations.0002_out_of_date",
        "tenants_app.migrations.0007_settings_of_meetings",
        "migrations_app.migrations.0008_halved_fingerprints",
    ):
        monkeypatch.setattr(import_module(name), "BATCH", 2)
    fill_first_release(database.migrate(FIRST), database.alias)
    database.migrate()

    assert not ConferencingUser.objects.using(database.alias).out_of_date().exists()
    assert InvitedNumber.objects.using(database.alias).count() == 4


@pytest.mark.parametrize("release", ["an empty database", "the first release"])
def test_migrations_stand_a_fingerprint_of_fields_that_are_added_later(
    database: ScratchDatabase, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    """A later release has a column more in the fingerprint. While 0002 runs, the column is not there yet."""
    today = fingerprints._with_shown

    def with_one_field_more(users: QuerySet[ConferencingUser]) -> QuerySet[Any]:
        return today(users).annotate(more=F("a_field_of_a_later_release"))

    monkeypatch.setattr(fingerprints, "_with_shown", with_one_field_more)
    if release == "the first release":
        fill_first_release(database.migrate(FIRST), database.alias)
    database.migrate()

    assert all(settings == invitations != "" for _, settings, invitations in fingerprints_of(database))


def migration_files() -> list[Path]:
    return sorted(settings.BASE_DIR.glob("*_app/migrations/0*.py"))


@pytest.mark.parametrize("path", migration_files(), ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_no_migration_runs_code_that_may_change(path: Path) -> None:
    """The validators alone: migrations name them, and each says what it means by its own text."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in imported if name.partition(".")[0] in {"tenants_app", "migrations_app", "mms_site"}}

    assert ours <= {"tenants_app.validators"}


def test_r35_numbers_that_went_before_are_known_from_the_audit(database: ScratchDatabase) -> None:
    apps = database.migrate([("tenants_app", "0014_undo"), FIRST[1]])
    tenants, entries = (
        apps.get_model("tenants_app", name).objects.using(database.alias) for name in ("Tenant", "AuditEntry")
    )
    tenant, other = (tenants.create(slug=slug, name=slug, domain=f"{slug}.com") for slug in ("contoso", "fabrikam"))
    for _ in range(2):
        entries.create(tenant=tenant, actor="alice", action="release number", target=TOLL)
    bridge = {"actor": "bob", "action": "remove bridge", "target": "Europe"}
    entries.create(tenant=other, before={"numbers": f"{OTHER_TOLL}, {TOLL_FREE}"}, **bridge)
    entries.create(tenant=other, before={"numbers": ""}, **bridge)
    database.migrate()
    found = FormerNumber.objects.using(database.alias).order_by("number").values_list("tenant__slug", "number")
    assert [*found] == [("contoso", TOLL), ("fabrikam", OTHER_TOLL), ("fabrikam", TOLL_FREE)]


def test_mailboxes_outside_are_reached_after_the_upgrade_as_before(
    database: ScratchDatabase,
) -> None:
    """From before there were other kinds of them than CalDAV: connections, sign-ins, index, and what was announced."""
    fill_first_release(database.migrate(FIRST), database.alias)
    apps = database.migrate(RELEASED["before Microsoft"])

    def rows(label: str) -> Any:
        return apps.get_model(label).objects.using(database.alias)

    anna = rows("tenants_app.ConferencingUser").get(upn="anna@contoso.com")
    server = {"tenant": anna.tenant, "kind": "caldav", "address": "https://dav.contoso.com/"}
    served = rows("tenants_app.MailboxConnection").create(name="DAV", username="mms", server_tells=True, **server)
    own = rows("tenants_app.MailboxConnection").create(name="Own", who_tells="mms", **server)
    for connection in (served, own):
        now = MailboxConnection(pk=connection.pk)
        now.seal_password("correct horse")
        rows("tenants_app.MailboxConnection").filter(pk=connection.pk).update(sealed_password=now.sealed_password)
    rows("tenants_app.Tenant").filter(pk=anna.tenant_id).update(mailbox=served)
    rows("tenants_app.ConferencingUser").filter(upn="bruno@contoso.com").update(mailbox=own)
    rows("migrations_app.MailboxScan").create(user=anna, connection=served, calendars={"/c/": "token"})
    ends = timezone.now() + timedelta(days=9)
    rows("migrations_app.IndexedMeeting").create(user=anna, href="/c/1.ics", uid="budget", etag='"1"', last_end=ends)
    run = rows("migrations_app.Run").get()
    rows("migrations_app.IntendedWrite").create(run=run, user=anna, uid="budget", etag='"1"', result={}, spans=b"")
    database.migrate()

    connections = MailboxConnection.objects.using(database.alias).order_by("name")
    assert [(each.kind, each.password, each.tells_attendees) for each in connections] == [
        ("caldav", "correct horse", True),
        ("caldav", "correct horse", False),
    ]
    for connection in connections:
        check_kind(connection, has_password=bool(connection.username))
        assert not connection.secret_ends_soon
    users = ConferencingUser.objects.using(database.alias).select_related("tenant__mailbox", "mailbox")
    assert {user.upn.partition("@")[0]: str(user.mailbox_connection) for user in users.order_by("pk")[:2]} == {
        "anna": "DAV",
        "bruno": "Own",
    }
    assert MailboxScan.objects.using(database.alias).get().calendars == {"/c/": "token"}
    assert IndexedMeeting.objects.using(database.alias).get().etag == '"1"'
    assert IntendedWrite.objects.using(database.alias).get().before is None, "it was to be written at once"
