from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0030_chat"),
        ("tenants_app", "0026_lists_of_audit"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["tenant", "state", "-created"], name="runs_by_state_and_time"),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(fields=["tenant", "migration_type", "-created"], name="runs_by_type_and_time"),
        ),
    ]
