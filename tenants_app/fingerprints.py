"""What users' invitations should say and what they do say, as far as MMS knows (R36).

Both are kept as a fingerprint that the database computes, so that the users who are out of date can be counted and
listed by an index, however many there are. Beside it stand the service numbers that invitations may show, so that a
number is not released while somebody could still dial it (R35).

A fingerprint has two halves: what every block shows, and what only blocks that MMS wrote show, which is the language
and the tenant's texts. As long as a user has no such block, the second half of what their invitations say is kept the
same as that of their settings: one comparison finds who is out of date, and with the first such block nothing changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, FilteredRelation, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import MD5, Coalesce, Left, Right

from tenants_app.bulk import batched, insert
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, InvitedNumber, Tenant

_TEXT = models.TextField()
_HALF = 16
"""Characters."""


def refresh(users: QuerySet[ConferencingUser], *, invitations_follow: bool = False) -> None:
    """Compute anew what the users' invitations should say. Call it in the transaction of each change that may alter it.

    The tenant's row must be locked, so that nobody changes what is read before this is committed. After a change that
    makes no invitation wrong, with ``invitations_follow``, whoever was up to date stays so.
    """
    # In the order in which everybody locks users: the update takes them as they lie on the disk.
    if not users.order_by("pk").select_for_update(no_key=True).values_list("pk"):
        return  # a new bridge has no users yet, and the statement below costs much to prepare
    users, computed = users.order_by(), _computed(tuple(settings.MMS_INVITATION_LANGUAGES), users.db)
    if invitations_follow:
        said = Case(
            When(invitations_fingerprint=F("settings_fingerprint"), then=computed),
            default=F("invitations_fingerprint"),
            output_field=_TEXT,
        )
        users.update(settings_fingerprint=computed, invitations_fingerprint=said)
    else:
        users.update(settings_fingerprint=computed)
    texts = Right("settings_fingerprint", _HALF)
    others = users.filter(has_own_blocks=False).exclude(invitations_fingerprint="")
    others.alias(texts=texts).exclude(invitations_fingerprint__endswith=F("texts")).update(
        invitations_fingerprint=_halves(Left("invitations_fingerprint", _HALF), texts)
    )


@cache  # it takes longer to put together than to carry out
def _computed(languages: tuple[str, ...], database: str) -> RawSQL:
    """The fingerprint, in SQL for a statement about the table of the users."""
    one = ConferencingUser.objects.filter(pk=OuterRef("pk")).order_by()
    users = ConferencingUser.objects.using(database).order_by()
    query = users.annotate(shown=Subquery(_with_shown(one, languages).values("shown"))).values_list("shown").query
    compiler = query.get_compiler(database)
    compiler.pre_sql_setup()
    sql, parameters = compiler.compile(query.annotations["shown"])
    return RawSQL(sql, parameters, output_field=_TEXT)  # noqa: S611 - no outside text


def user_of_one_moment(pk: int) -> ConferencingUser:
    """The user (key) with all that their invitations should say, none of it from before or after a change of the rest.

    Each statement may see what was committed since the one before: a bridge, and the conference ID of none. But every
    change of any of it writes the fingerprint in the same transaction, so that one that has stayed tells that all has.
    """
    own_ids = ConferenceId.objects.filter(meeting_uid="")
    users = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number", "deployment")
    users = users.prefetch_related("bridge__numbers", Prefetch("conference_ids", own_ids))
    while True:
        user = users.get(pk=pk)
        same = ConferencingUser.objects.filter(pk=pk, bridge=user.bridge_id)
        if same.filter(settings_fingerprint=user.settings_fingerprint).exists():
            return user


def count_out_of_date_after(tenant: Tenant) -> int:
    """How many users of the tenant are out of date once its settings are saved as they are in memory; only reads."""
    users = _with_shown(ConferencingUser.objects.filter(tenant=tenant.pk).order_by(), _languages(), tenant)
    said = Case(
        When(Q(has_own_blocks=True) | Q(invitations_fingerprint=""), then=F("invitations_fingerprint")),
        default=_halves(Left("invitations_fingerprint", _HALF), Right("shown", _HALF)),
        output_field=_TEXT,
    )
    count: int = users.annotate(said=said).exclude(said=F("shown")).count()
    return count


def _languages() -> tuple[str, ...]:
    return tuple(settings.MMS_INVITATION_LANGUAGES)


def foresee(user: ConferencingUser, *, has_another_mailbox: bool = False) -> None:
    """Set both fingerprints of a user whose settings are not saved as saving them would; only in memory.

    The same as the database computes in :func:`refresh`. ``user.tenant``, the bridge and the numbers are those after
    the change.
    """
    user.settings_fingerprint = computed = _of(user)
    if has_another_mailbox:
        user.invitations_fingerprint = ""
    elif user.invitations_fingerprint and not user.has_own_blocks:
        user.invitations_fingerprint = user.invitations_fingerprint[:_HALF] + computed[_HALF:]


def of_settings(pks: Collection[int]) -> dict[int, str]:
    """What the invitations of these users (keys) should say, as it is stored."""
    return dict(ConferencingUser.objects.filter(pk__in=pks).values_list("pk", "settings_fingerprint"))


def differ(user: ConferencingUser, before: str, after: str) -> bool:
    """Whether invitations of the user that say what ``before`` asks for do not say what ``after`` does."""
    return before != after if user.has_own_blocks else before[:_HALF] != after[:_HALF]


def _of(user: ConferencingUser) -> str:
    """What :func:`_with_shown` has the database compute, of one user in memory."""
    tenant, bridge = user.tenant, user.bridge
    provider = user.conferencing_provider or (bridge.provider if bridge else "")
    phone = ""
    if user.audio_conferencing_license and user.audio_conferencing_enabled and not provider:
        toll = user.toll_number or (bridge.default_number if bridge else None)
        places = [(row.number, row.country, row.city) if row else ("", "", "") for row in (toll, user.toll_free_number)]
        whose_id = user.conference_id_type
        if bridge and not bridge.gives_conference_ids:
            whose_id = ""
        elif whose_id == ConferencingUser.ConferenceIdType.PUBLIC:
            whose_id = user.conference_id
        phone = _text("phone", *places[0], *places[1], whose_id, tenant.local_numbers_url)
        if user.teams_dial_in:
            phone += _text("teams", user.teams_dial_in)
    spoken = user.language.lower()
    languages = settings.MMS_INVITATION_LANGUAGES
    language = next((code for code in languages if spoken == code or spoken.startswith(f"{code}-")), "en")
    own_texts = (tenant.help_url, tenant.legal_url, tenant.logo_url, tenant.footer_text)
    shown, own = _text(user.hosting, provider, phone), _text(language, *own_texts)
    return "".join(hashlib.md5(each.encode(), usedforsecurity=False).hexdigest()[:_HALF] for each in (shown, own))


def _text(*parts: str) -> str:
    return "".join(f"{part}\x1f" for part in parts)


def begin(users: QuerySet[ConferencingUser]) -> None:
    """Compute what new users' invitations should say, and note that they say it. Call it in the transaction that makes
    them: nobody else sees them yet."""
    users.update(settings_fingerprint=_computed(tuple(settings.MMS_INVITATION_LANGUAGES), users.db))
    users.update(invitations_fingerprint=F("settings_fingerprint"))
    insert(_invited(users))


@transaction.atomic
def presume_up_to_date(users: QuerySet[ConferencingUser]) -> None:
    """Note that the users' invitations say what their settings ask for, without looking at them."""
    for pks in batched(users.order_by("pk").values_list("pk", flat=True)):
        some = ConferencingUser.objects.filter(pk__in=pks)
        InvitedNumber.objects.filter(user__in=pks).delete()
        insert(_invited(some))
        some.update(invitations_fingerprint=F("settings_fingerprint"))


def _invited(users: QuerySet[ConferencingUser]) -> list[InvitedNumber]:
    """The numbers that the users' settings ask invitations to show."""
    shown = _with_phone(users).filter(has_phone=True).values_list("pk", "shown_toll", "toll_free_number")
    return [InvitedNumber(user_id=user, number_id=number) for user, *both in shown for number in both if number]


def become_unknown(*users: ConferencingUser) -> None:
    """Note that the users' invitations say different things from now on, or something that MMS did not write."""
    ConferencingUser.objects.filter(pk__in=[user.pk for user in users]).update(invitations_fingerprint="")


def note_own_blocks(user: ConferencingUser) -> None:
    """Note that some of the user's invitations have a block that MMS wrote, before :func:`record` is called.

    Who was up to date stays so, and out of date likewise. From now on their language and the tenant's texts count.
    """
    if not user.has_own_blocks:
        ConferencingUser.objects.filter(pk=user.pk, has_own_blocks=False).update(has_own_blocks=True)
        user.has_own_blocks = True


def add_numbers(user: ConferencingUser, numbers: Collection[int]) -> None:
    """Note that some of the user's invitations show these service numbers (primary keys) too from now on."""
    InvitedNumber.objects.bulk_create(
        [InvitedNumber(user=user, number_id=number) for number in numbers], ignore_conflicts=True
    )


@transaction.atomic(savepoint=False)
def record(
    user: ConferencingUser, fingerprint: str, numbers: Collection[int], *, shown: Collection[int] | None = None
) -> None:
    """Note that all invitations say what the settings of this ``fingerprint`` ask for, and show these numbers only.

    ``shown`` are those that they may show until now, where the caller has read them in its transaction.
    """
    said = Case(
        When(has_own_blocks=True, then=Value(fingerprint)),
        # Texts that changed during the run are in no invitation.
        default=_halves(Value(fingerprint[:_HALF]), Right("settings_fingerprint", _HALF)),
        output_field=_TEXT,
    )
    users = ConferencingUser.objects.filter(pk=user.pk)
    users.exclude(invitations_fingerprint=fingerprint).update(invitations_fingerprint=said)
    if shown is None:
        shown = invited_numbers(user)
    if set(shown) - set(numbers):
        user.invited_numbers.exclude(number__in=numbers).delete()
    add_numbers(user, set(numbers) - set(shown))


def invited_numbers(user: ConferencingUser) -> set[int]:
    """The service numbers (keys) that some of the user's invitations may show."""
    return set(user.invited_numbers.values_list("number_id", flat=True))


def _with_phone(users: QuerySet[ConferencingUser]) -> QuerySet[Any]:
    """The users with whether a phone part shows in their invitations, and the toll number in it by its key."""
    return users.annotate(
        default_number=FilteredRelation("bridge__numbers", condition=Q(bridge__numbers__is_default=True)),
        provider=Case(
            When(~Q(conferencing_provider=""), then=F("conferencing_provider")),
            default=Coalesce("bridge__provider", Value("")),
        ),
    ).annotate(
        shown_toll=Coalesce("toll_number", "default_number__pk"),
        has_phone=Q(audio_conferencing_license=True, audio_conferencing_enabled=True, provider=""),
    )


def _with_shown(
    users: QuerySet[ConferencingUser], languages: Iterable[str], unsaved: Tenant | None = None
) -> QuerySet[Any]:
    """The users with what shows in their invitations, as a fingerprint (R36); with the texts of an ``unsaved`` tenant.

    A third party's numbers are not known here, so its name stands for them. What Teams says of dialling in counts too,
    since invitations to its meetings show that. Where a user is hosted counts because the
    meetings of an on-premises deployment do not outlive the move (R1). What leads into a meeting does not count: it
    stays as it is whatever the SIP address and the meeting URL are (R40).
    """
    own_id = ConferenceId.objects.filter(user=OuterRef("pk"), bridge=OuterRef("bridge"), meeting_uid="")
    phone = Case(
        When(
            has_phone=True,
            then=_joined(
                Value("phone"),
                *(
                    Coalesce(f"toll_number__{field}", f"default_number__{field}", Value(""))
                    for field in ("number", "country", "city")
                ),
                *(Coalesce(f"toll_free_number__{field}", Value("")) for field in ("number", "country", "city")),
                Case(
                    When(bridge__conference_ids_from=Bridge.ConferenceIdsFrom.SERVICE, then=Value("")),
                    When(
                        conference_id_type=ConferencingUser.ConferenceIdType.PUBLIC,
                        then=Coalesce(Subquery(own_id.values("digits")), Value("")),
                    ),
                    default=F("conference_id_type"),
                ),
                _of_tenant("local_numbers_url", unsaved),
            ),
        ),
        default=Value(""),
        output_field=_TEXT,
    )
    # Of whom Teams has said nothing, the fingerprint is what it was before anybody asked Teams.
    of_teams = Case(
        When(Q(has_phone=True) & ~Q(teams_dial_in=""), then=_joined(Value("teams"), F("teams_dial_in"))),
        default=Value(""),
        output_field=_TEXT,
    )
    language = Case(
        *(When(Q(language__iexact=code) | Q(language__istartswith=f"{code}-"), then=Value(code)) for code in languages),
        default=Value("en"),
    )
    users = _with_phone(users)
    return users.annotate(
        shown=_halves(
            Left(MD5(_joined(F("hosting"), F("provider"), _halves(phone, of_teams))), _HALF),
            Left(MD5(_joined(language, *(_of_tenant(name, unsaved) for name in _OF_OWN_BLOCKS))), _HALF),
        )
    )


_OF_OWN_BLOCKS = ("help_url", "legal_url", "logo_url", "footer_text")


def _of_tenant(name: str, unsaved: Tenant | None) -> Value | F:
    return F(f"tenant__{name}") if unsaved is None else Value(getattr(unsaved, name))


def _halves(first: models.Expression, second: models.Expression) -> models.Func:
    return models.Func(first, second, template="(%(expressions)s)", arg_joiner=" || ", output_field=_TEXT)


def _joined(*parts: models.Expression | F | Value) -> models.Func:
    """The parts as one text, with a character after each that stands in none.

    Not ``Concat``, which nests a call for each part, deeper than SQLite's parser goes.
    """
    return models.Func(*parts, template="(%(expressions)s || '\x1f')", arg_joiner=" || '\x1f' || ", output_field=_TEXT)
