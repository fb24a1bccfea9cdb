"""What saving settings of the tenant leads to, told before it is saved (R36)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from migrations_app.demo import invitations as demo
from migrations_app.preview.plans import TenantSettings, planned_now
from tenants_app import fingerprints
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant, foresee_tenant
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.only_reads import only_reads
from tests.support.pages import shown, words
from tests.support.taken_back import taken_back

CHANGES = [
    {"help_url": "https://help.contoso.com/"},
    {"local_numbers_url": ""},
    {"footer_text": "Grüße\r\n"},
    {"name": "Contoso Ltd"},
    {"attendee_limit": 5},
]


def test_r36_it_counts_exactly_who_is_out_of_date_then(
    tenant: Tenant, make_users: Callable[..., list[ConferencingUser]], subtests: pytest.Subtests
) -> None:
    _, bruno, clara, *_ = make_users(
        {"anna": {}, "bruno": {}, "clara": {"audio_conferencing_license": False}, "dario": {"language": "it-IT"}}
    )
    fingerprints.note_own_blocks(bruno)
    fingerprints.become_unknown(clara)
    for values in CHANGES:
        with subtests.test(str(values)), taken_back():
            with only_reads():
                foreseen = fingerprints.count_out_of_date_after(foresee_tenant(tenant, values))
            change_tenant(tenant, ACTOR, **values)
            assert foreseen == tenant.users.out_of_date().count()


def test_r36_saving_asks_first_where_users_become_out_of_date(
    alice: Client, tenant: Tenant, anna: ConferencingUser
) -> None:
    invite(anna, build=demo.skype_text)
    form = shown(alice.get("/contoso/settings/")) | {"local_numbers_url": "https://dial.contoso.com/"}
    before = Tenant.objects.values().get(pk=tenant.pk)
    with only_reads():
        asked = alice.post("/contoso/settings/", form)
    assert Tenant.objects.values().get(pk=tenant.pk) == before
    assert "Nothing is saved yet. If you save this: No run" in words(asked.content)
    assert "1 more user is out of date until the next run, 1 in all." in words(asked.content)
    assert "Save all the same" in words(asked.content)
    stale = alice.post("/contoso/settings/", form | {"confirmed": "7"})
    assert stale.status_code == 200
    again = shown(asked)
    assert again["confirmed"] == "1"
    assert alice.post("/contoso/settings/", again).status_code == 302
    assert Tenant.objects.get(pk=tenant.pk).local_numbers_url == "https://dial.contoso.com/"


def test_what_makes_nobody_out_of_date_is_saved_at_once(alice: Client, tenant: Tenant, anna: ConferencingUser) -> None:
    form = shown(alice.get("/contoso/settings/")) | {"attendee_limit": "7", "help_url": "https://help.contoso.com/"}
    assert alice.post("/contoso/settings/", form).status_code == 302
    assert Tenant.objects.get(pk=tenant.pk).attendee_limit == 7


def test_the_page_says_it_beside_the_button_and_writes_nothing(
    alice: Client, tenant: Tenant, anna: ConferencingUser
) -> None:
    invite(anna, build=demo.skype_text)
    form = shown(alice.get("/contoso/settings/")) | {
        "local_numbers_url": "https://dial.contoso.com/",
        "preview": "asked",
    }
    with only_reads():
        page = words(alice.post("/contoso/settings/", form).content)
    assert "1 more user is out of date until the next run, 1 in all." in page
    form["attendee_limit"] = "x"
    assert "Give a whole number" in words(alice.post("/contoso/settings/", form).content)
    assert Tenant.objects.get(pk=tenant.pk).local_numbers_url == tenant.local_numbers_url


def test_r16_r43_settings_of_a_bridge_make_those_out_of_date_who_were_named(
    tenant: Tenant, make_users: Callable[..., list[ConferencingUser]], old_bridge: Bridge, subtests: pytest.Subtests
) -> None:
    make_users({"anna": {}, "bruno": {"conference_id_type": "private"}, "clara": {"audio_conferencing_license": False}})
    for values in (
        {"provider": "InterCall"},
        {"conference_ids_from": "service"},
        {"provider": "InterCall", "conference_ids_from": "service"},
    ):
        with subtests.test(str(values)), taken_back():
            with only_reads():
                planned = list(planned_now(TenantSettings(tenant, {"bridge": old_bridge.pk, "values": values})))
            set_bridge(tenant, old_bridge.name, ACTOR, **values)  # type: ignore[arg-type]
            assert {each.user.pk for each in planned if each.work} == {user.pk for user in tenant.users.out_of_date()}


def test_the_service_is_switched_off_after_one_more_question_in_numbers(alice: Client, anna: ConferencingUser) -> None:
    page = words(alice.get("/contoso/settings/service/off/").content)
    assert "Pending runs that wait 0" in page
    assert "no change of the 1 user starts a run" in page
    assert 'action="/contoso/settings/service/off/"' in alice.get("/contoso/settings/").content.decode()
