"""Changes of tenants, users, bridges and numbers: checked whole, saved whole, audited."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tenants_app.changes.bridges import register_number, release_number, remove_bridge, set_bridge, set_leaving
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID, private_conference_ids, release_private_conference_ids
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import UserEdit, change_user, change_users, create_user, create_users
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR

MakeUser = Callable[..., ConferencingUser]


def reload(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("bridge").get(pk=user.pk)


def test_it_audits_who_changed_what_from_what_to_what(tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.actor, entry.channel) == ("test", "screen")
    assert (entry.action, entry.target) == ("change tenant", "contoso")
    assert entry.before == {"meeting_migration_enabled": True}
    assert entry.after == {"meeting_migration_enabled": False}


def test_it_does_not_audit_a_change_that_changes_nothing(tenant: Tenant) -> None:
    before = AuditEntry.objects.count()
    change_tenant(tenant, ACTOR, meeting_migration_enabled=True)
    assert AuditEntry.objects.count() == before


def test_it_refuses_a_tenant_whose_slug_would_hide_an_address(db: None) -> None:
    with pytest.raises(ValidationError, match="taken"):
        create_tenant(ACTOR, slug="admin", name="A", domain="contoso.com", meeting_url="https://m.contoso.com")


def test_it_knows_a_user_whatever_the_case_of_the_name(anna: ConferencingUser, make_user: MakeUser) -> None:
    with pytest.raises(ValidationError, match="already a user"):
        make_user("Anna.Rossi")
    assert ConferencingUser.objects.with_upns(anna.tenant, ["ANNA.ROSSI@contoso.com"]).get() == anna


def test_the_database_itself_refuses_a_second_user_of_that_name(anna: ConferencingUser) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ConferencingUser.objects.create(tenant=anna.tenant, upn="ANNA.ROSSI@CONTOSO.COM", sip_address="a@contoso.com")


def test_the_database_itself_refuses_a_second_default_bridge(old_bridge: Bridge, new_bridge: Bridge) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Bridge.objects.filter(pk=new_bridge.pk).update(is_default=True)


def test_the_database_itself_refuses_a_toll_free_default_number(new_bridge: Bridge) -> None:
    ServiceNumber.objects.filter(bridge=new_bridge).update(is_default=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        ServiceNumber.objects.filter(bridge=new_bridge, kind="toll-free").update(is_default=True)


def test_the_database_itself_refuses_a_conference_id_twice_on_a_bridge(anna: ConferencingUser) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ConferenceId.objects.create(bridge=anna.bridge, digits=anna.conference_id, user=anna, meeting_uid="x")


def test_the_first_toll_number_becomes_the_default_of_its_bridge(new_bridge: Bridge) -> None:
    assert new_bridge.numbers.get(is_default=True).number == "+442079460123"


def test_the_default_passes_from_one_bridge_to_another(old_bridge: Bridge, new_bridge: Bridge) -> None:
    set_bridge(new_bridge.tenant, "NEW BRIDGE", ACTOR, make_default=True)
    assert list(Bridge.objects.filter(is_default=True)) == [new_bridge]


def test_it_refuses_a_toll_free_number_as_a_bridge_default(new_bridge: Bridge) -> None:
    with pytest.raises(ValidationError, match="must be a toll number"):
        set_bridge(new_bridge.tenant, new_bridge.name, ACTOR, default_number="+448081570123")


def test_a_new_user_gets_a_conference_id_of_seven_digits(anna: ConferencingUser) -> None:
    assert len(anna.conference_id) == 7
    assert anna.conference_id.isdigit()


def test_a_user_keeps_the_conference_id_on_another_bridge(anna: ConferencingUser, new_bridge: Bridge) -> None:
    digits = anna.conference_id
    change_user(anna, ACTOR, bridge=new_bridge)
    assert reload(anna).conference_id == digits
    assert ConferenceId.objects.get(user=anna).bridge == new_bridge


def test_a_user_gets_another_conference_id_where_theirs_is_taken(
    make_user: MakeUser, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    make_user("bruno.costa", bridge=new_bridge, conference_id=anna.conference_id)
    digits = anna.conference_id
    change_user(anna, ACTOR, bridge=new_bridge)
    assert len(reload(anna).conference_id) == 7
    assert reload(anna).conference_id != digits


def test_it_refuses_a_conference_id_that_is_in_use(make_user: MakeUser, anna: ConferencingUser) -> None:
    bruno = make_user("bruno.costa")
    with pytest.raises(ValidationError, match="already in use"):
        change_user(bruno, ACTOR, conference_id=anna.conference_id)


def test_it_gives_out_a_new_conference_id_on_request(anna: ConferencingUser) -> None:
    digits = anna.conference_id
    change_user(anna, ACTOR, conference_id=NEW_CONFERENCE_ID)
    assert reload(anna).conference_id not in {"", digits}


def test_numbers_of_the_old_bridge_do_not_move_along(anna: ConferencingUser, new_bridge: Bridge) -> None:
    assert anna.bridge is not None
    change_user(anna, ACTOR, toll_number=anna.bridge.numbers.get())
    change_user(anna, ACTOR, bridge=new_bridge)
    assert reload(anna).toll_number is None


def test_it_refuses_a_number_of_another_bridge(anna: ConferencingUser, new_bridge: Bridge) -> None:
    with pytest.raises(ValidationError, match="choose one that is"):
        change_user(anna, ACTOR, toll_number=new_bridge.numbers.get(kind="toll"))


def test_it_refuses_a_toll_free_number_as_toll_number(make_user: MakeUser, new_bridge: Bridge) -> None:
    user = make_user("bruno.costa", bridge=new_bridge)
    with pytest.raises(ValidationError, match="choose a toll one"):
        change_user(user, ACTOR, toll_number=new_bridge.numbers.get(kind="toll-free"))


def test_it_refuses_a_bridge_of_another_tenant(anna: ConferencingUser) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    foreign = set_bridge(fabrikam, "Foreign", ACTOR)
    with pytest.raises(ValidationError, match="choose one of its own"):
        change_user(anna, ACTOR, bridge=foreign)


def test_one_bad_change_among_many_changes_nothing(
    make_user: MakeUser, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    bruno = make_user("bruno.costa")
    wrong = UserEdit(bruno.pk, {"toll_number": new_bridge.numbers.get(kind="toll")})
    audited = AuditEntry.objects.count()
    with pytest.raises(ValidationError):
        change_users(anna.tenant, [UserEdit(anna.pk, {"display_name": "Anna"}), wrong], ACTOR)
    assert reload(anna).display_name == "Anna Rossi"
    assert AuditEntry.objects.count() == audited


def test_it_refuses_to_change_a_user_of_another_tenant(anna: ConferencingUser) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    with pytest.raises(ValidationError, match="not there any more"):
        change_users(fabrikam, [UserEdit(anna.pk, {"display_name": "X"})], ACTOR)
    assert reload(anna).display_name == "Anna Rossi"


def test_sip_addresses_are_kept_without_scheme_and_in_lower_case(anna: ConferencingUser) -> None:
    change_user(anna, ACTOR, sip_address="sip:Anna@Contoso.com")
    assert reload(anna).sip_address == "anna@contoso.com"


def test_private_conference_ids_are_kept_per_meeting(make_user: MakeUser) -> None:
    user = make_user("bruno.costa", conference_id_type="private")
    first, new = private_conference_ids(user, ["a", "b"])
    assert len(set(first.values())) == 2
    assert new == {"a", "b"}
    assert private_conference_ids(user, ["b", "a"]) == (first, set())
    release_private_conference_ids(user, ["a"])
    assert list(user.conference_ids.values_list("meeting_uid", flat=True)) == ["b"]


def test_r43_a_private_id_of_an_earlier_bridge_is_not_given_back(make_user: MakeUser, new_bridge: Bridge) -> None:
    user = make_user("bruno.costa", conference_id_type="private")
    earlier, _ = private_conference_ids(user, ["a"])
    change_user(user, ACTOR, bridge=new_bridge)
    user = reload(user)
    private_conference_ids(user, ["a"])
    release_private_conference_ids(user, ["a"])  # the new one, which the invitation does not show
    assert dict(user.conference_ids.values_list("meeting_uid", "digits")) == earlier


def test_a_thousand_users_change_in_a_bounded_number_of_queries(
    tenant: Tenant, new_bridge: Bridge, old_bridge: Bridge, django_assert_max_num_queries: object
) -> None:
    rows = [{"upn": f"user{n}@contoso.com", "bridge": old_bridge} for n in range(1000)]
    users = create_users(tenant, rows, ACTOR)
    with django_assert_max_num_queries(100):  # type: ignore[operator]
        told = change_users(tenant, [UserEdit(user.pk, {"bridge": new_bridge}) for user in users], ACTOR)
    assert sum(consequence.starts_run for consequence in told) == 1000
    assert ConferenceId.objects.filter(bridge=new_bridge).values("digits").distinct().count() == 1000


def test_a_licence_brings_the_default_bridge_to_a_user_without_one(make_user: MakeUser, old_bridge: Bridge) -> None:
    user = make_user("bruno.costa", audio_conferencing_license=False, bridge=None)
    change_user(user, ACTOR, audio_conferencing_license=True)
    assert reload(user).bridge == old_bridge
    assert len(reload(user).conference_id) == 7


def test_a_large_change_with_different_values_saves_each(make_user: MakeUser) -> None:
    users = [make_user(name) for name in ("a", "b", "c")]
    edits = [UserEdit(user.pk, {"display_name": f"{user.upn}!"}) for user in users]
    change_users(users[0].tenant, edits, ACTOR)
    assert [reload(user).display_name for user in users] == [f"{user.upn}!" for user in users]


@pytest.mark.parametrize("replaces", [True, False])
def test_r14_a_licence_replaces_the_acp_only_where_the_tenant_says_so(
    make_user: MakeUser, old_bridge: Bridge, replaces: bool
) -> None:
    tenant = change_tenant(old_bridge.tenant, ACTOR, automatically_replace_acp_provider=replaces)
    acp_bridge = set_bridge(tenant, "Fabrikam", ACTOR, provider="Fabrikam")
    user = make_user(
        "bruno.costa", audio_conferencing_license=False, conferencing_provider="Fabrikam", bridge=acp_bridge
    )
    (told,) = change_users(tenant, [UserEdit(user.pk, {"audio_conferencing_license": True})], ACTOR)
    user = reload(user)
    assert told.starts_run is replaces
    assert (user.conferencing_provider, user.bridge) == (("", old_bridge) if replaces else ("Fabrikam", acp_bridge))
    if not replaces:
        (told,) = change_user(user, ACTOR, conferencing_provider="", bridge=old_bridge)
        assert told.starts_run


@pytest.mark.parametrize(
    "upn", ["josé@contoso.com", "a..b@contoso.com", "a@contoso..com", "a b@contoso.com", "a@contoso"]
)
def test_it_refuses_a_name_that_mail_cannot_carry(make_user: MakeUser, old_bridge: Bridge, upn: str) -> None:
    with pytest.raises(ValidationError, match=r"anna@contoso\.com"):
        create_user(old_bridge.tenant, ACTOR, upn=upn)


@pytest.mark.parametrize("number", ["+9991234567", "14255550100", "+1", "+1425555O100", "+٣٤٩١٠٥٥٥١٠١"])
def test_it_refuses_a_number_that_no_country_has(old_bridge: Bridge, number: str) -> None:
    with pytest.raises(ValidationError, match=r"E\.164"):
        register_number(old_bridge, number, "toll", ACTOR)


def test_a_number_or_bridge_that_was_taken_away_meanwhile_is_refused_at_its_field(
    make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    user = make_user()
    number = register_number(old_bridge, "+14255550111", "toll", ACTOR)
    release_number(ServiceNumber.objects.get(pk=number.pk), ACTOR)
    remove_bridge(Bridge.objects.get(pk=new_bridge.pk), ACTOR)
    for field, value in (("toll_number", number), ("bridge", new_bridge)):
        with pytest.raises(ValidationError) as refused:
            change_user(user, ACTOR, **{field: value})
        assert refused.value.message_dict == {field: [f"{value} is not there any more: choose another."]}


def test_r35_nobody_is_given_a_number_that_began_to_leave_since_the_page_was_shown(
    make_user: MakeUser, old_bridge: Bridge
) -> None:
    user = make_user()
    number = register_number(old_bridge, "+14255550111", "toll", ACTOR)
    set_leaving(ServiceNumber.objects.get(pk=number.pk), True)
    with pytest.raises(ValidationError, match="is being taken off the bridge"):
        change_user(user, ACTOR, toll_number=number)


def test_a_bridge_that_somebody_else_removed_is_not_removed_again(tenant: Tenant, new_bridge: Bridge) -> None:
    empty = set_bridge(tenant, "Empty bridge", ACTOR)
    remove_bridge(Bridge.objects.get(pk=empty.pk), ACTOR)
    with pytest.raises(ValidationError, match="has been removed already"):
        remove_bridge(empty, ACTOR)
    assert AuditEntry.objects.filter(action="remove bridge").count() == 1
