import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models
from django.db.models import Max, Q
from django.utils import timezone

USERS = 1_000
"""Users whose rows are in memory at a time."""
ROWS = 500
"""Rows in one statement."""
LEFT_FOR_A_PERSON = ("needs-review", "pasted-block", "too-many-attendees", "no-conference-id", "no-meeting-service")

# The functions below are copies of what the product did when this migration was released, on purpose. A migration
# reads the columns of its own time: code of today asks for columns that later migrations add.


def list_what_is_left(apps, schema_editor):
    """What the latest runs have left, and the messages that were given up, are listed as if they had been all along."""
    database = schema_editor.connection.alias
    users = apps.get_model("tenants_app", "ConferencingUser").objects.using(database).order_by("pk")
    last = 0
    while pks := list(users.filter(pk__gt=last).values_list("pk", flat=True)[:USERS]):
        list_some(apps, database, pks)
        last = pks[-1]


def list_some(apps, database, users):
    def rows(name):
        return apps.get_model("migrations_app", name).objects.using(database)

    # The latest run that has looked at meetings and is over.
    runs = rows("Run").filter(user__in=users, state__in=["Succeeded", "Failed"]).exclude(last_error_code="newer-run")
    runs = runs.exclude(succeeded_meetings=0, skipped_meetings=0, failed_meetings=0)
    latest = [pk for _, pk in runs.order_by().values_list("user").annotate(Max("pk"))]
    counts = {}
    for some in pieces(latest):
        is_left = Q(outcome="Skipped", code__in=LEFT_FOR_A_PERSON) | Q(outcome="Failed")
        results = rows("MeetingResult").filter(is_left, run__in=some).select_related("run").defer("spans")
        for found in pieces(results.iterator(chunk_size=ROWS)):
            note(apps, rows, [(result, result.code, result.detail, None) for result in found])
            for result in found:
                counts[result.run_id] = counts.get(result.run_id, 0) + 1
    for count in set(counts.values()):
        for some in pieces(pk for pk, number in counts.items() if number == count):
            rows("Run").filter(pk__in=some).update(left_meetings=count)
    given_up = rows("Update").filter(state="Failed", result__run__user__in=users, result__outcome="Succeeded")
    for found in pieces(given_up.select_related("result__run").defer("result__spans").iterator(chunk_size=ROWS)):
        changed = rows("MeetingResult").filter(run__user__in={update.result.run.user_id for update in found})
        changed = changed.filter(uid__in={update.result.uid for update in found}, sequence__isnull=False)
        newest = {
            (user, uid): pk for user, uid, pk in changed.order_by().values_list("run__user", "uid").annotate(Max("pk"))
        }
        told = [update for update in found if newest.get((update.result.run.user_id, update.result.uid)) == update.pk]
        note(apps, rows, [(update.result, update.error_code, update.error_detail, update.pk) for update in told])


def note(apps, rows, found):
    """List these results, each with why and with the message that was given up, where the meeting is still to come."""
    users, uids = {result.run.user_id for result, *_ in found}, {result.uid for result, *_ in found}
    facts = {}
    for name in ("CalendarObject", "IndexedMeeting"):
        known = rows(name).filter(user__in=users, uid__in=uids, last_end__gt=timezone.now())
        facts |= {(user, uid): fact for user, uid, *fact in known.values_list("user", "uid", "last_end", "etag")}
    rows("LeftMeeting").bulk_create(
        apps.get_model("migrations_app", "LeftMeeting")(
            tenant_id=result.run.tenant_id,
            user_id=result.run.user_id,
            uid=result.uid,
            subject=result.subject,
            starts_at=result.starts_at,
            attendee_count=result.attendee_count,
            code=code,
            detail=detail,
            run_id=result.run_id,
            message_id=message,
            last_end=facts[result.run.user_id, result.uid][0],
            etag=facts[result.run.user_id, result.uid][1],
        )
        for result, code, detail, message in found
        if code and (result.run.user_id, result.uid) in facts
    )


def pieces(rows):
    """The rows in lists."""
    piece = []
    for row in rows:
        piece.append(row)
        if len(piece) == ROWS:
            yield piece
            piece = []
    if piece:
        yield piece


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0013_tool"),
        ("tenants_app", "0012_where_servers_are_found"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="left_meetings",
            field=models.PositiveIntegerField(default=0, help_text="Left for a person, skipped or failed."),
        ),
        migrations.CreateModel(
            name="LeftMeeting",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.CharField(max_length=500)),
                ("subject", models.CharField(blank=True, max_length=255)),
                ("starts_at", models.DateTimeField(null=True)),
                ("last_end", models.DateTimeField(help_text="When it is over, and needs nobody any more.")),
                ("attendee_count", models.PositiveIntegerField(default=0)),
                ("code", models.CharField(help_text="Why it needs a person.", max_length=40)),
                ("detail", models.CharField(blank=True, max_length=500)),
                ("etag", models.CharField(blank=True, help_text="Of the text that was left.", max_length=300)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("Open", "Open"),
                            ("Assigned", "Assigned"),
                            ("DealtWith", "Dealt with"),
                        ],
                        default="Open",
                        max_length=9,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500)),
                ("by", models.CharField(blank=True, help_text="Who assigned it, or dealt with it.", max_length=200)),
                ("at", models.DateTimeField(null=True)),
                ("created", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "message",
                    models.OneToOneField(
                        help_text="The message that was given up.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="left_meeting",
                        to="migrations_app.update",
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        help_text="The message that asks the organizer.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="migrations_app.update",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        help_text="The last one that left it.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="still_left",
                        to="migrations_app.run",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="left_meetings",
                        to="tenants_app.tenant",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="left_meetings",
                        to="tenants_app.conferencinguser",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "state", "last_end"], name="left_meetings_by_state"),
                    models.Index(fields=["tenant", "starts_at"], name="left_meetings_by_start"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("message", None)), fields=("user", "uid"), name="one_left_row_per_meeting"
                    )
                ],
            },
        ),
        migrations.RunPython(list_what_is_left, migrations.RunPython.noop, elidable=True),
    ]
