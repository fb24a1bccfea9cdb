"""The cast and their organization: Contoso, which the tests change only through the product's own functions."""

from __future__ import annotations

import gc
import importlib
import io
import os
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.template import Context, Template
from django.utils.safestring import SafeString
from hypothesis import settings as hypothesis_settings

from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.installation import Installation, new_installation
from tests.support.migrated import AS_IF_WOKEN, migrated_database, migrated_on_server
from tests.support.pristine import put_back_after_commits
from tests.support.quick_pages import quick_pages
from tests.support.quick_queries import quick_queries
from tests.support.remembered import Keys, Remembered, keys_in
from tests.support.scratch_database import ScratchDatabase, scratch_database

pytest_plugins = ["tests.support.visitors"]
gc.disable()  # until pytest_collection_finish: what is loaded and collected stays

# No deadline: how long an example takes says nothing on a machine that does other things too.
hypothesis_settings.register_profile("default", max_examples=50, derandomize=True, deadline=None)
hypothesis_settings.register_profile("nightly", max_examples=10_000, derandomize=False, deadline=None, print_blob=True)
hypothesis_settings.load_profile(os.environ.get("MMS_HYPOTHESIS_PROFILE", "default"))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests of the cluster wait for processes much of the time."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_sessionstart(session: pytest.Session) -> None:
    """Each process of the suite imports the tests beginning with others, and finds the rest compiled by the others.

    In a fresh clone each would otherwise rewrite the assertions of all of them, which takes it seconds.
    """
    here = getattr(session.config, "workerinput", None)
    if here is None:
        return
    root = session.config.rootpath
    paths = [path for name in session.config.args for path in sorted((root / name).rglob("test_*.py"))]
    begin = len(paths) * int(here["workerid"].removeprefix("gw")) // here["workercount"]
    with warnings.catch_warnings(action="error"):
        for path in paths[begin:] + paths[:begin]:
            with suppress(Exception, pytest.skip.Exception):  # the collection meets it again and says what it is
                importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the cluster are the longest, and wait much of the time: one process begins with them, beside the others.

    The scheduler gives each process a part of what is to be done, in order, and moves the ends of these parts later.
    Tests that commit stay at the end, where pytest-django puts them: on PostgreSQL keys do not begin at 1 any more.
    Those that migrate come before them, so that one process has the states of the models at hand for all of them.
    """
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if _commits(item):
        return 3
    if "database" in getattr(item, "fixturenames", ()):
        return 2
    return 0 if item.nodeid.startswith("tests/cluster/") else 1


def _commits(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("django_db")
    return mark is not None and bool(mark.kwargs.get("transaction"))


@pytest.fixture(autouse=True)
def nobody_has_asked() -> None:
    """No test is refused for what others have asked of a dial-in directory."""
    caches["throttle"].clear()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking through it again and again for garbage would take a tenth of the suite."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def contexts_of_pages(django_test_environment: None) -> Iterator[None]:
    """Answers know the context of their page, and not copies of it for each widget and icon on it, which take long."""
    told = Template._render
    is_inside = False

    def render(template: Template, context: Context) -> SafeString:
        nonlocal is_inside
        if is_inside:
            return template.nodelist.render(context)
        is_inside = True
        try:
            return told(template, context)
        finally:
            is_inside = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@pytest.fixture(scope="session", autouse=True)
def pages_written_quickly() -> Iterator[None]:
    with quick_pages():
        yield


@pytest.fixture(scope="session", autouse=True)
def queries_put_together_quickly() -> Iterator[None]:
    with quick_queries():
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database as ``migrate`` leaves it, to copy; the same one for all processes of the suite."""
    folder = tmp_path_factory.getbasetemp()
    return migrated_database(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder)


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Iterator[Installation]:
    """A database, a data folder and an outbox of its own, for tests that run real processes."""
    with new_installation(tmp_path) as made:
        made.migrate(migrated)
        yield made


@pytest.fixture(scope="session")
def django_db_keepdb(
    django_db_keepdb: bool, django_db_modify_db_settings: None, request: pytest.FixtureRequest
) -> bool:
    """The tests begin with a copy instead of migrating anew in each process."""
    if connection.vendor != "sqlite":
        server, _, _ = os.environ["MMS_TEST_DATABASE_URL"].rpartition("/")
        connection.settings_dict["TEST"]["TEMPLATE"] = migrated_on_server(f"{server}/")
        return django_db_keepdb
    shutil.copy(request.getfixturevalue("migrated"), connection.settings_dict["TEST"]["NAME"])
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            if connection.vendor != "sqlite":  # whose copy looks so already
                with connection.cursor() as cursor:
                    cursor.execute(AS_IF_WOKEN.format("now()"))
            stack.enter_context(put_back_after_commits())
        yield


@pytest.fixture
def database(db: None) -> Iterator[ScratchDatabase]:
    """An empty database beside that of the tests."""
    with scratch_database() as made:
        yield made


@pytest.fixture
def outbox(settings: Any, tmp_path: Path) -> Path:
    """A folder of its own for the messages of one test."""
    settings.EMAIL_BACKEND = "migrations_app.mail.eml_files.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "outbox")
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def first_keys(request: pytest.FixtureRequest) -> Keys:
    if connection.vendor != "sqlite":
        return []
    with closing(sqlite3.connect(request.getfixturevalue("migrated"))) as database:
        return keys_in(database)


@pytest.fixture
def remembered(db: None, first_keys: Keys) -> Remembered:
    return Remembered(first_keys)


@pytest.fixture
def tenant(remembered: Remembered) -> Tenant:
    def make() -> Tenant:
        return create_tenant(
            ACTOR,
            slug="contoso",
            name="Contoso",
            domain="contoso.com",
            meeting_url="https://meet.contoso.com",
            settling_time=0,
            local_numbers_url="https://meet.contoso.com/dialin",
        )

    return remembered.make("tenant", make)


@pytest.fixture
def old_bridge(tenant: Tenant, remembered: Remembered) -> Bridge:
    def make() -> Bridge:
        bridge = set_bridge(tenant, "Old bridge", ACTOR, make_default=True)
        register_number(bridge, "+14255550100", ServiceNumber.Kind.TOLL, ACTOR, country="United States", city="Redmond")
        return bridge

    return remembered.make("old_bridge", make)


@pytest.fixture
def new_bridge(tenant: Tenant, remembered: Remembered) -> Bridge:
    def make() -> Bridge:
        bridge = set_bridge(tenant, "New bridge", ACTOR)
        register_number(bridge, "+442079460123", ServiceNumber.Kind.TOLL, ACTOR, country="United Kingdom")
        register_number(bridge, "+448081570123", ServiceNumber.Kind.TOLL_FREE, ACTOR, country="United Kingdom")
        return bridge

    return remembered.make("new_bridge", make)


@pytest.fixture
def make_users(tenant: Tenant, old_bridge: Bridge) -> Callable[..., list[ConferencingUser]]:
    """Makes licensed users on the old bridge, each a name with what is different about them; quicker than singly."""

    def make(users: Mapping[str, Mapping[str, Any]], of: Tenant = tenant) -> list[ConferencingUser]:
        rows = [
            {
                "upn": f"{name}@contoso.com",
                "display_name": name.replace(".", " ").title(),
                "audio_conferencing_license": True,
                "audio_conferencing_enabled": True,
                "bridge": old_bridge,
                **values,
            }
            for name, values in users.items()
        ]
        return create_users(of, rows, ACTOR)

    return make


@pytest.fixture
def make_user(make_users: Callable[..., list[ConferencingUser]], tenant: Tenant) -> Callable[..., ConferencingUser]:
    """Makes a licensed user on the old bridge; keyword arguments change that."""

    def make(name: str = "anna.rossi", **values: Any) -> ConferencingUser:
        return make_users({name: values}, of=values.pop("tenant", tenant))[0]

    return make


@pytest.fixture
def anna(make_user: Callable[..., ConferencingUser], remembered: Remembered) -> ConferencingUser:
    return remembered.make("anna", lambda: make_user("anna.rossi"))


@pytest.fixture
def wakes(django_capture_on_commit_callbacks: Any) -> Iterator[list[Any]]:
    """The wake-ups that the test asks for; none is acted on."""
    with django_capture_on_commit_callbacks() as callbacks:
        yield callbacks


@pytest.fixture
def command(db: None) -> Command:
    """Runs a command with its arguments as text and returns what it prints; errors are raised."""

    def run(*arguments: str, errors: io.StringIO | None = None) -> str:
        output = io.StringIO()
        call_command(*arguments, stdout=output, stderr=errors or io.StringIO())
        return output.getvalue()

    return run
