from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("migrations_app", "0023_samples")]

    operations = [
        migrations.AddField(
            model_name="intendedwrite",
            name="before",
            field=models.BinaryField(
                help_text="The meeting as it was before any part of this was written, packed; null where it is written "
                "whole.",
                null=True,
            ),
        ),
    ]
