"""Whether a tenant's organizers are told that planned runs are cancelled, where nobody says otherwise."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants_app", "0017_saved_lists"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="notify_cancelled",
            field=models.BooleanField(
                default=False,
                help_text="Where organizers were told of planned runs, they are told too that these are cancelled, unless "
                "the box for it is cleared where the runs are planned. It counts for what is planned from now on.",
                verbose_name="tell organizers of cancelled runs",
            ),
        ),
    ]
