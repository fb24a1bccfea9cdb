"""A form that stood open while somebody else changed the same row: nothing of theirs is undone unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app.models import Run
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.pages import shown, words

MakeUser = Callable[..., ConferencingUser]
OPEN_AGAIN = ": look again and save once more."


def without(fields: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in names}


def page_of(user: ConferencingUser) -> str:
    return f"/contoso/users/{user.upn}/"


def test_it_leaves_alone_what_was_not_edited_on_the_page(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]
) -> None:
    anna = make_user("anna", toll_number=old_bridge.numbers.get())
    posted = shown(alice.get(page_of(anna)))
    change_user(
        anna, ACTOR, bridge=new_bridge, language="it-IT", audio_conferencing_enabled=False, conference_id="7654321"
    )
    runs = Run.objects.count()
    answer = alice.post(page_of(anna), {**posted, "display_name": "Anna R."}, follow=True)

    anna = ConferencingUser.objects.get(pk=anna.pk)
    assert "are saved." in words(answer.content)
    assert AuditEntry.objects.get(actor="alice").after == {"display_name": "Anna R."}
    assert (anna.bridge, anna.toll_number, anna.language) == (new_bridge, None, "it-IT")
    assert (anna.audio_conferencing_enabled, anna.conference_id) == (False, "7654321")
    assert Run.objects.count() == runs


@pytest.mark.parametrize(
    ("theirs", "edited", "sentence"),
    [
        ({"language": "it-IT"}, {"language": "es-ES"}, "It was changed meanwhile to it-IT"),
        ({"display_name": ""}, {"display_name": "Anna R."}, "It was changed meanwhile to an empty text"),
        ({"mailbox_location": "on-premises"}, {"mailbox_location": ""}, "It was changed meanwhile to On-premises"),
        ({"conference_id": "7654321"}, {"conference_id": "1234567"}, "It was changed meanwhile to 7654321"),
        ({"sip_address": "a@contoso.com"}, {"sip_address": "no"}, "It was changed meanwhile to a@contoso.com"),
    ],
)
def test_it_refuses_to_overwrite_what_somebody_else_changed(
    alice: Client, anna: ConferencingUser, wakes: list[Any], theirs: dict, edited: dict, sentence: str
) -> None:
    posted = shown(alice.get(page_of(anna)))
    change_user(anna, ACTOR, **theirs)
    for preview in ({}, {"preview": "1"}):
        answer = alice.post(page_of(anna), posted | edited | preview)

        assert sentence + OPEN_AGAIN in words(answer.content)
    assert not AuditEntry.objects.filter(actor="alice").exists()


def test_it_saves_when_one_has_looked_again(
    alice: Client, anna: ConferencingUser, tenant: Tenant, new_bridge: Bridge, wakes: list[Any]
) -> None:
    third = set_bridge(tenant, "Third", ACTOR)
    posted = shown(alice.get(page_of(anna)))
    change_user(anna, ACTOR, bridge=third, language="it-IT")
    refused = alice.post(page_of(anna), {**posted, "bridge": str(new_bridge.pk)})
    seen = shown(refused)
    answer = alice.post(page_of(anna), seen, follow=True)

    assert f"It was changed meanwhile to Third{OPEN_AGAIN}" in words(refused.content)
    assert (seen["bridge"], seen["initial-bridge"], seen["language"]) == (str(new_bridge.pk), str(third.pk), "it-IT")
    assert "are saved." in words(answer.content)
    anna.refresh_from_db()
    assert (anna.bridge, anna.language) == (new_bridge, "it-IT")


def test_a_box_that_both_have_ticked_off_is_no_conflict(
    alice: Client, anna: ConferencingUser, wakes: list[Any]
) -> None:
    posted = shown(alice.get(page_of(anna)))
    change_user(anna, ACTOR, audio_conferencing_license=False)
    answer = alice.post(page_of(anna), without(posted, "audio_conferencing_license"), follow=True)

    assert "are saved." in words(answer.content)
    assert not ConferencingUser.objects.get().audio_conferencing_license


def test_a_number_is_checked_against_the_bridge_that_the_user_has_by_now(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]
) -> None:
    anna = make_user("anna")
    posted = shown(alice.get(page_of(anna)))
    change_user(anna, ACTOR, bridge=new_bridge)
    answer = alice.post(page_of(anna), {**posted, "toll_number": str(old_bridge.numbers.get().pk)})

    assert "+14255550100 is not on anna@contoso.com's bridge (New bridge)" in words(answer.content)


@pytest.mark.parametrize("claimed", ["", "nonsense", "0", "9" * 5000, "\0", "\r\n"])
def test_what_the_page_claims_to_have_shown_opens_no_way_around_a_check(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, claimed: str
) -> None:
    posted = shown(alice.get(page_of(anna)))
    claims = {name: claimed for name in posted if name.startswith("initial-")}
    before = ConferencingUser.objects.values().get()
    refused = alice.post(page_of(anna), posted | claims | {"bridge": str(new_bridge.pk)})
    invalid = alice.post(page_of(anna), posted | claims | {"bridge": "99999", "language": "?"})

    assert f"It was changed meanwhile to Old bridge{OPEN_AGAIN}" in words(refused.content)
    assert "What was chosen is not on offer" in words(invalid.content)
    assert ConferencingUser.objects.values().get() == before


def test_a_claim_to_have_shown_what_is_posted_changes_nothing(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    foreign = {"bridge": str(new_bridge.pk), "initial-bridge": str(new_bridge.pk)}
    alice.post(page_of(anna), shown(alice.get(page_of(anna))) | foreign)

    assert ConferencingUser.objects.get().bridge == anna.bridge


def test_where_nothing_is_claimed_the_stored_values_count_as_shown(
    alice: Client, anna: ConferencingUser, wakes: list[Any]
) -> None:
    posted = shown(alice.get(page_of(anna)))
    unclaimed = {name: value for name, value in posted.items() if not name.startswith("initial-")}
    alice.post(page_of(anna), unclaimed | {"language": "it-IT"})

    assert AuditEntry.objects.get(actor="alice").after == {"language": "it-IT"}


def test_settings_that_somebody_else_changed_stay(alice: Client, tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, footer_text="One\nTwo")
    posted = shown(alice.get("/contoso/settings/"))
    change_tenant(tenant, ACTOR, attendee_limit=100, meeting_url="https://join.contoso.com")
    refused = alice.post("/contoso/settings/", {**posted, "attendee_limit": "300", "help_url": "https://contoso.com/"})
    untouched = not AuditEntry.objects.filter(actor="alice").exists()
    alice.post("/contoso/settings/", shown(refused))

    assert untouched
    assert f"It was changed meanwhile to 100{OPEN_AGAIN}" in words(refused.content)
    assert AuditEntry.objects.get(actor="alice").after == {"attendee_limit": 300, "help_url": "https://contoso.com/"}


def test_line_breaks_that_a_browser_rewrites_are_no_change(alice: Client, tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, footer_text="One\nTwo")
    posted = shown(alice.get("/contoso/settings/"))
    alice.post("/contoso/settings/", {**posted, "name": "Contoso Ltd"})
    alice.post("/contoso/settings/", {**posted, "footer_text": "One\r\nTwo\r\nThree"})

    assert [entry.after for entry in AuditEntry.objects.filter(actor="alice")] == [
        {"footer_text": "One\nTwo\nThree"},
        {"name": "Contoso Ltd"},
    ]


def test_the_django_admin_keeps_to_it_as_well(
    db: None, anna: ConferencingUser, tenant: Tenant, new_bridge: Bridge, wakes: list[Any]
) -> None:
    User.objects.create_superuser("root", "root@contoso.com", "x")
    root = Client()
    root.force_login(User.objects.get(username="root"))
    user_page = reverse("admin:tenants_app_conferencinguser_change", args=[anna.pk])
    tenant_page = reverse("admin:tenants_app_tenant_change", args=[tenant.pk])
    posted, posted_tenant = shown(root.get(user_page)), shown(root.get(tenant_page))
    change_user(anna, ACTOR, bridge=new_bridge, language="it-IT")
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    refused = root.post(user_page, {**posted, "language": "es-ES"})
    saved = root.post(user_page, {**posted, "display_name": "Anna R."})
    root.post(tenant_page, {**posted_tenant, "name": "Contoso Ltd"})

    assert f"It was changed meanwhile to it-IT{OPEN_AGAIN}" in words(refused.content)
    assert saved.status_code == 302
    assert [entry.after for entry in AuditEntry.objects.filter(actor="root")] == [
        {"name": "Contoso Ltd"},
        {"display_name": "Anna R."},
    ]
