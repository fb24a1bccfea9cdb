"""Migrations expand, and contract a release later: code of the release before runs on the schema of the next."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration
from django.db.migrations import operations as of
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from tests.support.expanding import refusals
from tests.support.released import new_migrations

LOADER = MigrationLoader(None)


def test_old_code_can_live_with_every_migration_that_no_release_has() -> None:
    found: list[str] = []
    for path in new_migrations():
        key = (path.parents[1].name, path.stem)
        found += refusals(LOADER.graph.nodes[key], LOADER.project_state(key, at_end=False))
    assert found == []


def migration(*operations: Any, contracts: str = "") -> Migration:
    made = Migration("0099_tried", "migrations_app")
    made.operations = list(operations)
    made.contracts = contracts
    return made


def state() -> ProjectState:
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=40)),
        ("at", models.DateTimeField(null=True)),
        ("workers", models.IntegerField(db_default=0)),
    ]
    return ProjectState({("migrations_app", "thing"): ModelState("migrations_app", "Thing", fields)})


NOT_LIVED_WITH = {
    "a column that goes": of.RemoveField("thing", "name"),
    "a column that is renamed": of.RenameField("thing", "name", "title"),
    "a table that goes": of.DeleteModel("Thing"),
    "a table that is renamed": of.RenameModel("Thing", "Other"),
    "a table of another name": of.AlterModelTable("Thing", "other"),
    "a column that must be given": of.AddField("thing", "size", models.IntegerField(default=0)),
    "a new column of different values": of.AddField("thing", "size", models.IntegerField(null=True, unique=True)),
    "no NULL any more": of.AlterField("thing", "at", models.DateTimeField()),
    "no default any more": of.AlterField("thing", "workers", models.IntegerField()),
    "shorter texts": of.AlterField("thing", "name", models.CharField(max_length=20)),
    "another type": of.AlterField("thing", "name", models.IntegerField()),
    "a column of different values": of.AlterField("thing", "name", models.CharField(max_length=40, unique=True)),
    "a constraint": of.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="one_name")),
    "different together": of.AlterUniqueTogether("thing", {("name", "at")}),
    "SQL": of.RunSQL("DROP TABLE thing"),
    "hidden": of.SeparateDatabaseAndState(database_operations=[of.RemoveField("thing", "name")]),
}


@pytest.mark.parametrize("operation", NOT_LIVED_WITH.values(), ids=NOT_LIVED_WITH.keys())
def test_what_old_code_cannot_live_with_is_refused_unless_a_release_before_stopped_using_it(operation: Any) -> None:
    (refusal,) = refusals(migration(operation), state())
    assert refusal.startswith("migrations_app.0099_tried: ")
    assert refusals(migration(operation, contracts="0.2 reads Thing.title instead"), state()) == []


LIVED_WITH = {
    "a column that may be NULL": [of.AddField("thing", "size", models.IntegerField(null=True))],
    "a column with a default of the database": [of.AddField("thing", "size", models.IntegerField(db_default=0))],
    "NULL from now on": [of.AlterField("thing", "name", models.CharField(max_length=40, null=True))],
    "longer texts": [of.AlterField("thing", "name", models.CharField(max_length=80))],
    "an index": [of.AddIndex("thing", models.Index(fields=["name"], name="by_name"))],
    "filling": [of.RunPython(of.RunPython.noop)],
    "a table with all that belongs to it": [
        of.CreateModel("Part", [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]),
        of.AddField("part", "thing", models.ForeignKey("migrations_app.Thing", models.CASCADE)),
        of.AddConstraint("part", models.UniqueConstraint(fields=["name"], name="one_part")),
    ],
}


@pytest.mark.parametrize("operations", LIVED_WITH.values(), ids=LIVED_WITH.keys())
def test_what_only_adds_is_taken(operations: list[Any]) -> None:
    assert refusals(migration(*operations), state()) == []
