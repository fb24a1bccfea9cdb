"""Numbers that are on no bridge any more, so that an undo does not bring them back (R35)."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models


def note_former_numbers(apps: Any, schema_editor: Any) -> None:
    """Those that went before: the audit says which."""
    alias = schema_editor.connection.alias
    entries = apps.get_model("tenants_app", "AuditEntry").objects.using(alias).order_by()
    found = set(entries.filter(action="release number").values_list("tenant", "target"))
    for tenant, before in entries.filter(action="remove bridge").values_list("tenant", "before"):
        found |= {(tenant, number) for number in str(before.get("numbers", "")).split(", ") if number}
    former = apps.get_model("tenants_app", "FormerNumber")
    rows = [former(tenant_id=tenant, number=number) for tenant, number in sorted(found)]
    former.objects.using(alias).bulk_create(rows, batch_size=100, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants_app", "0014_undo"),
    ]

    operations = [
        migrations.CreateModel(
            name="FormerNumber",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.CharField(max_length=16)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="former_numbers",
                        to="tenants_app.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("tenant", "number"), name="one_row_per_former_number")],
            },
        ),
        migrations.RunPython(note_former_numbers, migrations.RunPython.noop),
    ]
