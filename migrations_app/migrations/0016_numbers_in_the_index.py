from django.db import migrations, models


def search_anew(apps, schema_editor):
    """What a search has found until now went by looks at mailboxes outside of any age."""
    releases = apps.get_model("migrations_app", "NumberRelease").objects.using(schema_editor.connection.alias)
    releases.filter(state="Updating").update(searched_to=0, searched_at=None)


class Migration(migrations.Migration):
    dependencies = [("migrations_app", "0015_story")]

    operations = [
        migrations.AddField(
            model_name="indexedmeeting",
            name="digits",
            field=models.TextField(
                help_text="The rows of digits that its text shows, with blanks between; null where nobody looked.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="indexedmeeting",
            name="version",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="Of the way in which this was read from its text: what an older one read is read anew.",
            ),
        ),
        migrations.AddField(
            model_name="numberrelease",
            name="looks_since",
            field=models.DateTimeField(
                help_text="Mailboxes outside are searched by what a look has found that began later.", null=True
            ),
        ),
        migrations.RunPython(search_anew, migrations.RunPython.noop),
    ]
