"""A time zone for each tenant: until it has another, the one in which its pages have shown times."""

from typing import Any

from django.conf import settings
from django.db import migrations, models

import tenants_app.validators


def keep_what_pages_show(apps: Any, schema_editor: Any) -> None:
    """Pages have shown the site's time zone (``TIME_ZONE``)."""
    if settings.TIME_ZONE != "UTC":
        tenants = apps.get_model("tenants_app", "Tenant").objects.using(schema_editor.connection.alias)
        tenants.update(time_zone=settings.TIME_ZONE)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants_app", "0015_former_numbers"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="time_zone",
            field=models.CharField(
                default="UTC",
                help_text="Times on the tenant's pages are shown and understood in it, and planned runs begin by it. A "
                "name such as Europe/Rome.",
                max_length=64,
                validators=[tenants_app.validators.validate_time_zone],
            ),
        ),
        migrations.RunPython(keep_what_pages_show, migrations.RunPython.noop),
    ]
