import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants_app", "0025_deployments"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["tenant", "action", "-at"], name="audit_by_action_and_time"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["tenant", "channel", "-at"], name="audit_by_channel_and_time"),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(
                models.F("tenant"),
                django.db.models.functions.text.Upper("actor"),
                models.OrderBy(models.F("at"), descending=True),
                name="audit_by_actor_and_time",
            ),
        ),
    ]
