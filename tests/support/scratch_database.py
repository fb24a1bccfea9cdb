"""An empty database of its own beside that of the tests, to carry through the project's migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, cast
from uuid import uuid4

from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.state import ProjectState, StateApps
from django.utils.functional import SimpleLazyObject

Targets = list[tuple[str, str]]

_states: dict[tuple[frozenset[tuple[str, str]], type[Migration] | None, int], ProjectState] = {}
"""The models with these migrations applied, and so many operations of one more."""


class _Executor(MigrationExecutor):
    """Keeps each state of the models for the next database: to render them takes four fifths of a migration."""

    def migrate(self, targets: Targets, *_: Any, **__: Any) -> ProjectState:
        applied = frozenset(self.loader.applied_migrations)
        begin = _states.setdefault((applied, None, 0), self._create_project_state(with_applied_migrations=True))
        state: ProjectState = super().migrate(targets, state=begin)
        return state

    def apply_migration(self, state: ProjectState, migration: Migration, *_: Any, **__: Any) -> ProjectState:
        """As Django does, with the states between the operations kept."""
        applied = frozenset(self.recorder.applied_migrations())
        with self.connection.schema_editor(atomic=migration.atomic) as schema_editor:
            for done, operation in enumerate(migration.operations, 1):
                key = (applied, type(migration), done)
                if key not in _states:
                    _states[key] = state.clone()
                    operation.state_forwards(migration.app_label, _states[key])
                operation.database_forwards(migration.app_label, schema_editor, state, _states[key])
                state = _states[key]
        self.record_migration(migration)
        return state


class ScratchDatabase:
    """Its ``alias`` is what ``QuerySet.using`` takes."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def migrate(self, targets: Targets | None = None) -> StateApps:
        """Migrate to these migrations, or to the latest of the project's apps; the models as they are there."""
        executor = _Executor(connections[self.alias])
        if targets is None:
            leaves = executor.loader.graph.leaf_nodes()
            targets = [node for node in leaves if node[0] in {"tenants_app", "migrations_app"}]
        executor.migrate(targets)
        # Most do not look at them.
        return cast("StateApps", SimpleLazyObject(lambda: executor.loader.project_state(targets).apps))

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Meanwhile the product reads and writes here."""
        default = connections["default"]
        connections["default"] = connections[self.alias]
        try:
            yield
        finally:
            connections["default"] = default


@contextmanager
def scratch_database() -> Iterator[ScratchDatabase]:
    """In memory on SQLite; on PostgreSQL a schema of the test database."""
    alias = f"scratch_{uuid4().hex}"
    is_sqlite = connection.vendor == "sqlite"
    databases: dict[str, Any] = connections.settings
    databases[alias] = made = deepcopy(databases["default"])
    if is_sqlite:
        made["NAME"] = ":memory:"
    else:
        made["NAME"] = connection.settings_dict["NAME"]
        made["OPTIONS"] = {**made["OPTIONS"], "options": f"-c search_path={alias}"}
    try:
        connections[alias].connect()  # Django's tests refuse to, where the alias was not known when they began
        if not is_sqlite:
            with connections[alias].cursor() as cursor:
                cursor.execute(f"CREATE SCHEMA {alias}")
        yield ScratchDatabase(alias)
        if not is_sqlite:
            with connections[alias].cursor() as cursor:
                cursor.execute(f"DROP SCHEMA {alias} CASCADE")
    finally:
        connections[alias].close()
        del connections[alias]
        del databases[alias]
