from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class ToText(migrations.AlterField):
    """A column of short text becomes one of text.

    SQLite knows no longest text, so that nothing is to be done there; by Django it would write the whole table anew.
    PostgreSQL notes the new type, and leaves the rows as they are.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "sqlite":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants_app", "0022_invitations"),
    ]

    operations = [
        ToText(
            model_name="accountevent",
            name="detail",
            field=models.TextField(blank=True, help_text="How, or why not, in a sentence.", max_length=500),
        ),
        ToText(
            model_name="auditentry",
            name="consequence",
            field=models.TextField(blank=True, help_text="What it led to, in a sentence.", max_length=500),
        ),
        ToText(
            model_name="auditentry",
            name="target",
            field=models.TextField(max_length=400, verbose_name="to what"),
        ),
        ToText(
            model_name="mailboxconnection",
            name="problem_detail",
            field=models.TextField(blank=True, editable=False, max_length=500),
        ),
    ]
