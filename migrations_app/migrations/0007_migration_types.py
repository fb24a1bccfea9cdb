"""What a run makes of the meetings of each service, and what that is called (R40, R44)."""

from functools import partial

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

OF_A_MOVE = {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"}


def name_what_runs_did(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Runs that have ended made all meetings anew; those that go on do what their reasons mean by now.

    The targets of those that have ended are what to try again would mean: it must not take a Teams meeting away.
    """
    runs = apps.get_model("migrations_app", "Run").objects.using(schema_editor.connection.alias)
    moves = runs.filter(migration_type="MoveToOnline")
    moves.update(targets=OF_A_MOVE)
    are_open = models.Q(state__in=["Pending", "InProgress"])
    moves.filter(are_open).update(migration_type="SkypeForBusinessToLink")
    runs.filter(are_open).exclude(migration_type="SkypeForBusinessToLink").update(migration_type="ToSameType")
    runs.exclude(are_open).update(migration_type="AllToLink")
    # The old code is by now one of a meeting that is skipped.
    runs.filter(last_error_code="no-conference-id").update(last_error_code="user-without-conference-id")


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0006_online_meetings"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="targets",
            field=models.JSONField(
                default=partial(dict, SkypeForBusiness="Current", Teams="Current", Link="Current"),
                help_text="What becomes of the meetings of each service: Current, or the service in which they are made anew.",
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="migration_type",
            field=models.CharField(default="ToSameType", help_text="What that is called (R44).", max_length=80),
        ),
        migrations.RunPython(name_what_runs_did, migrations.RunPython.noop),
    ]
