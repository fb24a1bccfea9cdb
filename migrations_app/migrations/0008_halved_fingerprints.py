from django.db import migrations
from django.db.models import Case, F, FilteredRelation, Func, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models.functions import MD5, Coalesce, Left

BATCH = 2_000
"""Users whose rows are in memory at a time."""

# The functions below are copies of what the product did when this migration was released, on purpose. A migration
# reads the columns of its own time: code of today asks for columns that later migrations add.


def compute_anew(apps, schema_editor):
    """The fingerprint is of other things than before; who was up to date stays so, and out of date likewise (R36)."""
    database = schema_editor.connection.alias
    users = apps.get_model("tenants_app", "ConferencingUser").objects.using(database).order_by("pk")
    last = 0
    while pks := list(users.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        compute_some(apps, database, pks)
        last = pks[-1]


def compute_some(apps, database, pks):
    objects = apps.get_model("tenants_app", "ConferencingUser").objects.using(database)
    runs = apps.get_model("migrations_app", "Run").objects.using(database)
    results = apps.get_model("migrations_app", "MeetingResult").objects.using(database)
    # Until now every block that was written, or found current, was one that MMS wrote.
    own = results.filter(Q(outcome="Succeeded") | Q(code="already-current"), run__user__in=pks)
    objects.filter(pk__in=list(own.order_by().values_list("run__user", flat=True).distinct())).update(
        has_own_blocks=True
    )
    # Runs under way whose attempts all had the settings of now.
    under_way = runs.filter(user__in=pks, state__in=["Pending", "InProgress"])
    alike = list(
        under_way.filter(settings_fingerprint=F("user__settings_fingerprint")).exclude(settings_fingerprint="")
    )
    computed = Subquery(with_shown(apps, objects.filter(pk=OuterRef("pk")).order_by()).values("shown"))
    said = Case(
        When(invitations_fingerprint=F("settings_fingerprint"), then=computed),
        default=F("invitations_fingerprint"),
        output_field=TextField(),
    )
    objects.filter(pk__in=pks).update(settings_fingerprint=computed, invitations_fingerprint=said)
    for run in alike:
        run.settings_fingerprint = objects.get(pk=run.user_id).settings_fingerprint
        run.save(update_fields=["settings_fingerprint"])


def with_shown(apps, users):
    """The users with what shows in their invitations, as a fingerprint."""
    conference_ids = apps.get_model("tenants_app", "ConferenceId").objects
    own_id = conference_ids.filter(user=OuterRef("pk"), bridge=OuterRef("bridge"), meeting_uid="")
    users = users.annotate(
        default_number=FilteredRelation("bridge__numbers", condition=Q(bridge__numbers__is_default=True)),
        provider=Case(
            When(~Q(conferencing_provider=""), then=F("conferencing_provider")),
            default=Coalesce("bridge__provider", Value("")),
        ),
    ).annotate(has_phone=Q(audio_conferencing_license=True, audio_conferencing_enabled=True, provider=""))
    place = ("number", "country", "city")
    phone = Case(
        When(
            has_phone=True,
            then=joined(
                Value("phone"),
                *(Coalesce(f"toll_number__{name}", f"default_number__{name}", Value("")) for name in place),
                *(Coalesce(f"toll_free_number__{name}", Value("")) for name in place),
                Case(
                    When(bridge__conference_ids_from="service", then=Value("")),
                    When(conference_id_type="public", then=Coalesce(Subquery(own_id.values("digits")), Value(""))),
                    default=F("conference_id_type"),
                ),
                F("tenant__local_numbers_url"),
            ),
        ),
        default=Value(""),
        output_field=TextField(),
    )
    language = Case(
        *(
            When(Q(language__iexact=name) | Q(language__istartswith=f"{name}-"), then=Value(name))
            for name in ("es", "it")
        ),
        default=Value("en"),
    )
    texts = (f"tenant__{name}" for name in ("help_url", "legal_url", "logo_url", "footer_text"))
    return users.annotate(
        shown=Func(
            Left(MD5(joined(F("hosting"), F("provider"), phone)), 16),
            Left(MD5(joined(language, *map(F, texts))), 16),
            template="(%(expressions)s)",
            arg_joiner=" || ",
            output_field=TextField(),
        )
    )


def joined(*parts):
    """The parts as one text, each followed by a character that stands in none of them."""
    pieces = [piece for part in parts for piece in (part, Value("\x1f"))]
    return Func(*pieces, template="(%(expressions)s)", arg_joiner=" || ", output_field=TextField())


class Migration(migrations.Migration):
    dependencies = [
        ("migrations_app", "0007_migration_types"),
        ("tenants_app", "0007_settings_of_meetings"),
    ]

    operations = [
        migrations.RunPython(compute_anew, migrations.RunPython.noop, elidable=True),
    ]
