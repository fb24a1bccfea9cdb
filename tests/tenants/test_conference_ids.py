"""Who hands out the conference IDs of a bridge (R43), and which ones were ever handed out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from migrations_app.models import Run
from tenants_app.changes.bridges import foresee_conference_ids, remove_bridge, set_bridge
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID, known_conference_ids, private_conference_ids
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, FormerConferenceId, Tenant
from tests.support.actors import ACTOR
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]


def fresh(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


@pytest.fixture
def service_bridge(new_bridge: Bridge) -> Bridge:
    """The new bridge, with IDs from the meeting service."""
    return set_bridge(new_bridge.tenant, new_bridge.name, ACTOR, conference_ids_from="service")


# --- a bridge whose IDs come from the meeting service -------------------------------------------------


def test_r43_mms_hands_out_the_ids_of_a_new_bridge(tenant: Tenant) -> None:
    assert set_bridge(tenant, "Asia", ACTOR).conference_ids_from == "mms"


def test_r43_where_the_service_hands_them_out_nobody_is_given_one(
    anna: ConferencingUser, make_user: MakeUser, service_bridge: Bridge
) -> None:
    had = anna.conference_id
    change_user(anna, ACTOR, bridge=service_bridge)
    bruno = make_user("bruno", bridge=service_bridge)
    clara = make_user("clara", bridge=service_bridge, conference_id_type="private")

    assert (fresh(anna).conference_id, fresh(bruno).conference_id) == ("", "")
    assert private_conference_ids(fresh(clara), ["budget"]) == ({}, set())
    assert not ConferenceId.objects.filter(bridge=service_bridge).exists()
    # Back on the old bridge she has the ID that people know.
    change_user(fresh(anna), ACTOR, bridge=anna.bridge)
    assert fresh(anna).conference_id == had


@pytest.mark.parametrize("wanted", ["7654321", NEW_CONFERENCE_ID])
def test_r43_an_id_for_a_user_there_is_refused(anna: ConferencingUser, service_bridge: Bridge, wanted: str) -> None:
    before = everything_stored()
    with pytest.raises(ValidationError, match="The meeting service hands out the conference IDs of the bridge New"):
        change_user(anna, ACTOR, bridge=service_bridge, conference_id=wanted)
    with pytest.raises(ValidationError, match="The meeting service hands out the conference IDs of the bridge New"):
        create_user(anna.tenant, ACTOR, upn="zoe@contoso.com", bridge=service_bridge, conference_id=wanted)

    assert everything_stored() == before


def test_r43_r36_leaving_the_ids_to_the_service_makes_nobody_out_of_date_and_takes_none_away(
    anna: ConferencingUser, make_user: MakeUser, old_bridge: Bridge
) -> None:
    outdated = make_user("bruno")
    change_user(outdated, ACTOR, is_data_fix=True, conference_id="7654321")
    had = anna.conference_id
    set_bridge(old_bridge.tenant, old_bridge.name, ACTOR, conference_ids_from="service")

    assert list(ConferencingUser.objects.out_of_date()) == [outdated]
    assert fresh(anna).conference_id == ""
    assert had in known_conference_ids(anna)
    with pytest.raises(ValidationError, match="The meeting service hands out"):
        change_user(anna, ACTOR, conference_id=had)
    assert not Run.objects.exists()


def test_r43_r36_taking_them_back_gives_everybody_an_id_and_leaves_them_out_of_date(
    anna: ConferencingUser, make_user: MakeUser, old_bridge: Bridge
) -> None:
    had = anna.conference_id
    set_bridge(old_bridge.tenant, old_bridge.name, ACTOR, conference_ids_from="service")
    old_bridge.refresh_from_db()
    bruno = make_user("bruno")
    make_user("clara", conference_id_type="private")
    make_user("dora", audio_conferencing_license=False)
    earlier = AuditEntry.objects.latest("pk").pk
    set_bridge(old_bridge.tenant, old_bridge.name, ACTOR, conference_ids_from="mms")

    assert fresh(anna).conference_id == had
    assert len(fresh(bruno).conference_id) == 7
    out_of_date = ConferencingUser.objects.out_of_date().order_by("upn").values_list("display_name", flat=True)
    assert list(out_of_date) == ["Anna Rossi", "Bruno", "Clara"]
    entries = AuditEntry.objects.filter(pk__gt=earlier).order_by("pk")
    assert [(row.action, row.target) for row in entries] == [
        ("change bridge", "Old bridge"),
        ("change user", "bruno@contoso.com"),
        ("change user", "dora@contoso.com"),
    ]
    assert entries[0].after == {"conference_ids_from": "mms"}
    assert entries[1].after == {"conference_id": fresh(bruno).conference_id}
    assert not Run.objects.exists()


def test_r43_what_follows_is_said_before(anna: ConferencingUser, make_user: MakeUser, old_bridge: Bridge) -> None:
    old_bridge.conference_ids_from = "service"
    told = foresee_conference_ids(old_bridge)
    set_bridge(old_bridge.tenant, old_bridge.name, ACTOR, conference_ids_from="service")
    old_bridge.refresh_from_db()
    make_user("bruno")
    old_bridge.conference_ids_from = "mms"
    back = foresee_conference_ids(old_bridge)

    assert told == (
        "No run, because invitations keep the IDs that they show. MMS gives 1 user of Old bridge none from now on, and "
        "new meetings have those of the meeting service. Nobody becomes out of date."
    )
    assert back == (
        "No run, because a bridge's own settings start none: MMS gives 1 user of Old bridge a conference ID, and those "
        "from before count again. 2 users with audio conferencing are out of date until the next run, which prints it."
    )
    assert foresee_conference_ids(Bridge(pk=0, name="nobody's")) == ""


def test_r43_r36_the_kind_of_id_does_not_count_where_the_service_hands_them_out(
    anna: ConferencingUser, service_bridge: Bridge
) -> None:
    change_user(anna, ACTOR, is_data_fix=True, bridge=service_bridge)
    ConferencingUser.objects.update(invitations_fingerprint=fresh(anna).settings_fingerprint)
    change_user(fresh(anna), ACTOR, conference_id_type="private")

    assert not ConferencingUser.objects.out_of_date().exists()


# --- IDs that were ever handed out --------------------------------------------------------------------


def test_r43_every_id_that_a_user_ever_had_is_known(
    anna: ConferencingUser, make_user: MakeUser, new_bridge: Bridge, old_bridge: Bridge
) -> None:
    first = anna.conference_id
    change_user(anna, ACTOR, conference_id="2222222")
    change_user(anna, ACTOR, conference_id=first)
    change_user(anna, ACTOR, conference_id="2222222")
    change_user(anna, ACTOR, bridge=new_bridge, conference_id="3333333")
    change_user(anna, ACTOR, conference_id_type="private")
    private, _ = private_conference_ids(fresh(anna), ["budget"])
    bruno = make_user("bruno", conference_id=first)

    assert known_conference_ids(anna) == {first, "2222222", "3333333", private["budget"]}
    assert known_conference_ids(bruno) == {first}
    former = FormerConferenceId.objects.filter(user=anna).order_by("pk")
    assert {(row.digits, row.bridge) for row in former} == {(first, old_bridge), ("2222222", old_bridge)}
    assert former.count() == 2


def test_r43_the_same_digits_on_another_bridge_leave_a_trace_of_the_old_one(
    anna: ConferencingUser, new_bridge: Bridge, old_bridge: Bridge
) -> None:
    digits = anna.conference_id
    change_user(anna, ACTOR, bridge=new_bridge)

    assert fresh(anna).conference_id == digits
    assert list(FormerConferenceId.objects.values_list("bridge", "digits")) == [(old_bridge.pk, digits)]


def test_r43_a_refused_change_leaves_no_trace(anna: ConferencingUser, make_user: MakeUser) -> None:
    make_user("bruno", conference_id="2222222")
    with pytest.raises(ValidationError, match="already in use"):
        change_user(anna, ACTOR, conference_id="2222222")

    assert not FormerConferenceId.objects.exists()


def test_r43_ids_of_a_removed_bridge_stay_known(
    anna: ConferencingUser, make_user: MakeUser, new_bridge: Bridge, old_bridge: Bridge
) -> None:
    clara = make_user("clara", bridge=new_bridge, conference_id_type="private")
    given, _ = private_conference_ids(clara, ["budget", "plan"])
    change_user(clara, ACTOR, bridge=old_bridge)
    clara.invited_numbers.all().delete()
    remove_bridge(new_bridge, ACTOR)

    assert not ConferenceId.objects.filter(user=clara).exists()
    assert known_conference_ids(clara) == set(given.values())
    assert set(FormerConferenceId.objects.values_list("bridge", "meeting_uid")) == {(None, "budget"), (None, "plan")}
