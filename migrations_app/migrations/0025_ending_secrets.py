from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("migrations_app", "0024_intended_before")]

    operations = [
        migrations.AlterField(
            model_name="alertevent",
            name="thing",
            field=models.CharField(
                choices=[
                    ("run", "Run"),
                    ("left", "Left Meeting"),
                    ("connection", "Connection"),
                    ("silence", "Silence"),
                    ("bulk-action", "Bulk Action"),
                    ("import", "User Import"),
                    ("release", "Number Release"),
                    ("preview", "Preview"),
                    ("credential", "Credential"),
                ],
                max_length=11,
            ),
        ),
    ]
