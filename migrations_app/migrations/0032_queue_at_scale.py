from __future__ import annotations

from typing import Any

from django.db import migrations, models

STORAGE = {
    "migrations_app_run": {
        # A run is written some ten times while it is worked: room for the new versions beside the old ones, so that
        # those which change no indexed column change no index.
        "fillfactor": 85,
        # Claims read the head of an index, where each claim leaves an entry that is dead. A fifth of the table, as
        # usual, would be 200,000 of them in a table of a million.
        "autovacuum_vacuum_scale_factor": 0.02,
        "autovacuum_analyze_scale_factor": 0.02,
    },
    "migrations_app_update": {
        "fillfactor": 85,
        "autovacuum_vacuum_scale_factor": 0.02,
        "autovacuum_analyze_scale_factor": 0.02,
    },
}


def set_storage(apps: Any, schema_editor: Any) -> None:
    for table, values in STORAGE.items():
        settings = ", ".join(f"{name} = {value}" for name, value in values.items())
        _alter(schema_editor, f"ALTER TABLE {table} SET ({settings})")


def reset_storage(apps: Any, schema_editor: Any) -> None:
    for table, values in STORAGE.items():
        _alter(schema_editor, f"ALTER TABLE {table} RESET ({', '.join(values)})")


def _alter(schema_editor: Any, statement: str) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0031_lists_of_runs"),
        ("tenants_app", "0026_lists_of_audit"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="run", name="leases_by_end"),
        migrations.RemoveIndex(model_name="run", name="pending_runs_by_tenant"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(plan=None, state="Pending"),
                fields=["tenant", "due_at", "id"],
                name="waiting_runs",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(plan__isnull=False, state="Pending"),
                fields=["plan", "due_at", "id"],
                name="waiting_runs_of_plans",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(migration_type="Undo", plan=None, state="Pending"),
                fields=["tenant", "due_at", "id"],
                name="waiting_undos",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(attempts__gt=0, state="Pending"),
                fields=["modified"],
                name="runs_to_be_tried_again",
            ),
        ),
        migrations.RemoveIndex(model_name="update", name="queued_updates_by_due_time"),
        migrations.RemoveIndex(model_name="update", name="queued_updates_by_tenant"),
        migrations.AddIndex(
            model_name="update",
            index=models.Index(condition=models.Q(state="Queued"), fields=["due_at", "result"], name="waiting_updates"),
        ),
        migrations.AddIndex(
            model_name="update",
            index=models.Index(
                condition=models.Q(state="Queued"),
                fields=["tenant", "due_at", "result"],
                name="waiting_updates_by_tenant",
            ),
        ),
        migrations.RunPython(set_storage, reset_storage),
    ]
