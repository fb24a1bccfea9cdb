"""What of a migration the code before it cannot live with: it goes on running on the new schema while machines are
upgraded one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.operations import (
    AddConstraint,
    AddField,
    AlterField,
    AlterModelTable,
    AlterUniqueTogether,
    CreateModel,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, ManyToManyField
from django.db.models.fields import NOT_PROVIDED


def refusals(migration: Migration, state: ProjectState) -> list[str]:
    """Why old code would fail beside this migration, in sentences; none where it says what it ``contracts``.

    ``contracts`` is an attribute of the class: the release in which the code stopped using what is taken away.
    """
    if getattr(migration, "contracts", ""):
        return []
    made: set[str] = set()
    found: list[str] = []
    state = state.clone()
    for operation in migration.operations:
        if isinstance(operation, CreateModel):
            made.add(operation.name_lower)
        for each in _on_the_database(operation):
            table = getattr(each, "model_name_lower", "") or getattr(each, "name_lower", "")
            if table not in made and (why := _refusal(each, migration.app_label, state)):
                found.append(f"{migration.app_label}.{migration.name}: {each.describe()}: {why}")
        operation.state_forwards(migration.app_label, state)
    return found


def _on_the_database(operation: Operation) -> Iterator[Operation]:
    if isinstance(operation, SeparateDatabaseAndState):
        yield from operation.database_operations
    else:
        yield operation


def _refusal(operation: Operation, app: str, state: ProjectState) -> str:
    match operation:
        case RemoveField() | RenameField() | DeleteModel() | RenameModel() | AlterModelTable():
            return "old code still asks for it"
        case AddField(field=field) if not isinstance(field, ManyToManyField):
            if not field.null and field.db_default is NOT_PROVIDED and not field.primary_key:
                return "old code inserts rows without it: allow NULL, or give it a db_default"
            return "old code writes values that are alike" if field.unique else ""
        case AlterField(field=field):
            return _narrows(state.models[app, operation.model_name_lower].get_field(operation.name), field)
        case AddConstraint():
            return "old code does not keep to it"
        case AlterUniqueTogether() if operation.unique_together:
            return "old code does not keep to it"
        case RunSQL():
            return "nobody can tell from SQL what it takes away"
    return ""


def _narrows(before: Field, after: Field) -> str:  # type: ignore[type-arg]
    if before.null and not after.null and after.db_default is NOT_PROVIDED:
        return "old code writes NULL"
    if after.unique and not before.unique:
        return "old code writes values that are alike"
    if before.db_default is not NOT_PROVIDED and after.db_default is NOT_PROVIDED and not after.null:
        return "old code leaves it to the database"
    longest = (before.max_length or 0, after.max_length or 0)
    if longest[1] and longest[0] > longest[1]:
        return "old code writes what is longer"
    if (before.db_type(connection) or "").partition("(")[0] != (after.db_type(connection) or "").partition("(")[0]:
        return "old code writes another type"
    return ""
