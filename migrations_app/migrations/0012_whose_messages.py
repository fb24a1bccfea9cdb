from django.db import migrations
from django.db.models import OuterRef, Subquery


def tell_whose(apps, schema_editor):
    """Messages that can still be sent belong to a tenant; those that are through need not be touched."""
    update = apps.get_model("migrations_app", "Update")
    result = apps.get_model("migrations_app", "MeetingResult")
    of_run = result.objects.filter(pk=OuterRef("pk")).values("run__tenant")[:1]
    update.objects.filter(state__in=["Queued", "Failed"]).update(tenant=Subquery(of_run))


class Migration(migrations.Migration):
    # Apart from the one before: PostgreSQL makes no index in a transaction that has written to its table.
    dependencies = [("migrations_app", "0011_mail_servers_of_tenants")]

    operations = [migrations.RunPython(tell_whose, migrations.RunPython.noop, elidable=True)]
