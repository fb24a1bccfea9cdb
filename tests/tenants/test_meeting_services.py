"""Which meeting service a tenant and a user have (R39), and what a change of it leads to (R9)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from migrations_app.models import Run
from tenants_app import fingerprints
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.two_tenants import everything_stored

FABRIKAM = {"slug": "fabrikam", "name": "Fabrikam", "domain": "fabrikam.com"}
NO_TEAMS = "The Teams service needs a connection to Teams: choose one of the tenant's connections"


def service_of(user: ConferencingUser) -> str:
    return ConferencingUser.objects.select_related("tenant").get(pk=user.pk).effective_meeting_service.value


def test_r39_a_user_has_the_tenants_service_or_their_own(anna: ConferencingUser) -> None:
    told = [service_of(anna)]
    for values in ({"meeting_service": "none"}, {"meeting_service": ""}):
        change_user(anna, ACTOR, **values)
        told.append(service_of(anna))
    change_tenant(anna.tenant, ACTOR, meeting_service="none")
    told.append(service_of(anna))
    change_user(anna, ACTOR, meeting_service="link")
    told.append(service_of(anna))

    assert told == ["link", "none", "link", "none", "link"]


def test_r39_there_is_no_link_service_without_a_meeting_url(anna: ConferencingUser) -> None:
    change_user(anna, ACTOR, meeting_service="link")
    change_tenant(anna.tenant, ACTOR, meeting_service="none", meeting_url="")

    assert service_of(anna) == "none"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"meeting_service": "link"}, "The Link service needs a meeting URL"),
        ({}, "The Link service needs a meeting URL"),
        ({"meeting_service": "teams"}, NO_TEAMS),
        ({"meeting_service": "none", "meeting_url": "http://meet.fabrikam.com"}, "A meeting URL begins with https://"),
        ({"meeting_url": "meet.fabrikam.com"}, "Give a web address that begins with https://, such as"),
    ],
)
def test_r39_a_tenant_whose_meetings_could_not_be_made_is_refused(
    db: None, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        create_tenant(ACTOR, **FABRIKAM, **values)
    assert not Tenant.objects.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"meeting_service": "teams"}, NO_TEAMS),
        ({"meeting_url": ""}, "The Link service needs a meeting URL"),
        ({"meeting_url": "http://join.contoso.com"}, "A meeting URL begins with https://"),
    ],
)
def test_r39_a_change_of_the_tenant_is_refused_likewise(tenant: Tenant, values: dict[str, Any], sentence: str) -> None:
    before = everything_stored()
    with pytest.raises(ValidationError, match=sentence):
        change_tenant(tenant, ACTOR, **values)
    assert everything_stored() == before


def test_r39_a_user_without_a_meeting_url_cannot_have_the_link_service(db: None) -> None:
    fabrikam = create_tenant(ACTOR, **FABRIKAM, meeting_service="none")
    frank = create_user(fabrikam, ACTOR, upn="frank@fabrikam.com")
    for service, sentence in (
        ("link", "Fabrikam has no meeting URL, which the Link service needs"),
        ("teams", "Fabrikam has no connection to Teams, which the Teams service needs"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            change_user(frank, ACTOR, meeting_service=service)
        with pytest.raises(ValidationError, match=sentence):
            create_user(fabrikam, ACTOR, upn="zoe@fabrikam.com", meeting_service=service)
    assert ConferencingUser.objects.get().meeting_service == ""


def test_a_meeting_url_that_was_stored_with_http_stays_until_it_is_changed(tenant: Tenant) -> None:
    Tenant.objects.update(meeting_url="http://meet.contoso.com")
    change_tenant(tenant, ACTOR, attendee_limit=10, meeting_url="http://meet.contoso.com/")
    assert Tenant.objects.get().attendee_limit == 10
    with pytest.raises(ValidationError, match="A meeting URL begins with https://"):
        change_tenant(tenant, ACTOR, meeting_url="http://join.contoso.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://meet.fabrikam.com/?room=",
        "https://meet.fabrikam.com/#rooms",
        "https://anna:secret@meet.fabrikam.com",
        "https:///rooms",
        "https://[",
        "https://meet.fabrikam.com:99999",
    ],
)
def test_r39_a_meeting_url_that_no_join_link_can_begin_with_is_refused(tenant: Tenant, url: str) -> None:
    before = everything_stored()
    for attempt in (partial(change_tenant, tenant, ACTOR), partial(create_tenant, ACTOR, **FABRIKAM)):
        with pytest.raises(ValidationError, match="Join links begin with the meeting URL: give a server"):
            attempt(meeting_url=url)
    assert everything_stored() == before


def test_r39_a_meeting_url_may_have_a_port_and_a_path(tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, meeting_url="https://meet.fabrikam.com:8443/rooms/")
    assert Tenant.objects.get().meeting_url == "https://meet.fabrikam.com:8443/rooms"


def test_r8_r9_another_url_service_or_address_starts_nothing_and_makes_nobody_out_of_date(
    anna: ConferencingUser,
) -> None:
    fingerprints.note_own_blocks(anna)
    change_tenant(anna.tenant, ACTOR, meeting_url="https://join.contoso.com", domain="contoso.org")
    change_tenant(anna.tenant, ACTOR, meeting_service="none")
    (service,) = change_user(anna, ACTOR, meeting_service="none")
    (address,) = change_user(anna, ACTOR, sip_address="a.rossi@example.org")

    assert service.sentence == (
        "No run, because a changed meeting service does not start one: existing meetings stay where they are hosted."
    )
    assert address.sentence == "No run, because a changed SIP address does not start one: join links stay as they are."
    assert not Run.objects.exists()
    assert not ConferencingUser.objects.out_of_date().exists()
