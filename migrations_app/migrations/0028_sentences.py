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
        ("migrations_app", "0027_directory_imports"),
    ]

    operations = [
        ToText(
            model_name="alertdelivery",
            name="error_detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="bulkaction",
            name="chosen_by",
            field=models.TextField(blank=True, help_text="The filter that found the users, in words.", max_length=500),
        ),
        ToText(
            model_name="bulkactionuser",
            name="sentence",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="calendarobject",
            name="unreadable",
            field=models.TextField(blank=True, help_text="Why the object cannot be read.", max_length=500),
        ),
        ToText(
            model_name="indexedmeeting",
            name="unreadable",
            field=models.TextField(blank=True, help_text="Why the object cannot be read.", max_length=500),
        ),
        ToText(
            model_name="leftmeeting",
            name="detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="mailboxscan",
            name="detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="mailserver",
            name="last_error",
            field=models.TextField(blank=True, max_length=200),
        ),
        ToText(
            model_name="meetingresult",
            name="detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="notice",
            name="error_detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="preview",
            name="problem",
            field=models.TextField(blank=True, help_text="Why it cannot be made.", max_length=500),
        ),
        ToText(
            model_name="preview",
            name="title",
            field=models.TextField(max_length=300),
        ),
        ToText(
            model_name="previewedmeeting",
            name="detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="previewedmeeting",
            name="movement",
            field=models.TextField(blank=True, help_text="Whether it stays in its service (R40).", max_length=100),
        ),
        ToText(
            model_name="previeweduser",
            name="failure_detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="previeweduser",
            name="sentence",
            field=models.TextField(max_length=500),
        ),
        ToText(
            model_name="run",
            name="last_error_detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="teamslook",
            name="detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="update",
            name="error_detail",
            field=models.TextField(blank=True, max_length=500),
        ),
        ToText(
            model_name="userimport",
            name="problem",
            field=models.TextField(blank=True, help_text="Why the file as a whole was refused.", max_length=500),
        ),
    ]
