"""Bridges and their numbers on screens: adding, describing, taking off and replacing (R32 to R35, R10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app import tasks
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import BulkAction, Heartbeat, NumberRelease, Run
from migrations_app.preview.many_users import BY_DEFAULT_ONLY, foresee_release
from migrations_app.procedures import bulk_actions, number_release
from migrations_app.procedures.number_holders import Why, holders_with_why, progress_of
from migrations_app.procedures.number_release import cancel_release, holders, start_release
from migrations_app.runs import queue
from migrations_app.screens import releases
from tenants_app.changes.bridges import describe_number, register_number, set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user, mark_up_to_date
from tenants_app.dependants import count_dependants, dependants
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate
from tests.support.pages import announced, words
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
OLD, NEW, DEFAULT = "+14255550111", "+14255550122", "+14255550100"


@pytest.fixture
def old(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


@pytest.fixture
def default(old_bridge: Bridge) -> ServiceNumber:
    return old_bridge.numbers.get(is_default=True)


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation."""
    user = make_user("dora.lind", toll_number=old)
    invite(user)
    migrate(user)
    return user


@pytest.fixture
def release(dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber) -> NumberRelease:
    return start_release(old, new, ACTOR)


def advance(release: NumberRelease) -> NumberRelease:
    """Move the users, but work no run."""
    number_release.advance(timezone.now() + timedelta(minutes=1))
    release.refresh_from_db()
    return release


def page_of(number: ServiceNumber) -> str:
    return f"/contoso/bridges/{number.bridge_id}/numbers/{number.pk}/"


def shown(client: Client, address: str, *, fragment: bool = False) -> str:
    answer = client.get(address, headers={"HX-Request": "true"} if fragment else {})
    assert answer.status_code == 200
    return words(answer.content)


def progress_page(client: Client, release: NumberRelease, **options: Any) -> str:
    return shown(client, f"/contoso/releases/{release.pk}/", **options)


def test_every_way_to_depend_on_a_number_is_counted_once(
    make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, default: ServiceNumber, new_bridge: Bridge
) -> None:
    free = register_number(old.bridge, "+18005550111", "toll-free", ACTOR)
    make_user("by.default")
    make_user("no.licence", audio_conferencing_license=False)
    make_user("own", toll_number=old, toll_free_number=free)
    make_user("own.and.default", toll_number=default)
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    change_user(make_user("shown.only", toll_number=old), ACTOR, bridge=new_bridge)
    change_user(make_user("shown.and.default", toll_number=old), ACTOR, toll_number=None)
    change_user(make_user("shown.and.own", toll_number=old), ACTOR, toll_number=new)
    numbers = ServiceNumber.objects.filter(tenant=old.tenant)
    with CaptureQueriesContext(connection) as queries:
        counted = count_dependants(numbers)

    assert len(queries) == 4
    assert {number.number: counted[number.pk] for number in numbers} == {
        number.number: dependants(number).count() for number in numbers
    }
    assert counted[old.pk] == 4


# --- bridges ------------------------------------------------------------------------------------------


def test_it_adds_a_bridge(alice: Client, tenant: Tenant, old_bridge: Bridge) -> None:
    posted = {"name": "Europe", "provider": "microsoft", "conference_ids_from": "mms", "make_default": "on"}
    answer = alice.post("/contoso/bridges/add/", posted, follow=True)

    made = tenant.bridges.get(name="Europe")
    assert (made.provider, made.is_default) == ("", True)
    assert "The bridge Europe is there." in words(answer.content)
    assert answer.redirect_chain[-1][0] == f"/contoso/bridges/{made.pk}/"
    assert AuditEntry.objects.get(action="create bridge", target="Europe").actor == "alice"


@pytest.mark.parametrize(
    ("posted", "sentence"),
    [
        ({"name": "OLD bridge"}, "There is a bridge Old bridge already: choose another name"),
        ({"name": " "}, "Fill this in: it must not be empty."),
        ({"name": "x" * 101}, "Shorten it to 100 characters"),
        ({"name": "E\0"}, "Leave out the invisible character (NUL) in it."),
    ],
)
def test_it_says_why_a_bridge_cannot_be_added_and_adds_none(
    alice: Client, old_bridge: Bridge, posted: dict[str, str], sentence: str
) -> None:
    before = everything_stored()
    answer = alice.post("/contoso/bridges/add/", {**posted, "provider": "InterCall"})

    assert sentence in words(answer.content)
    assert "Nothing was saved." in words(answer.content)
    assert everything_stored() == before


def test_it_changes_the_provider_and_says_that_no_run_starts(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    address = f"/contoso/bridges/{old_bridge.pk}/"
    form = {"provider": "InterCall", "conference_ids_from": "mms"}
    asked = words(alice.post(f"{address}edit/", form).content)
    assert "InterCall provides the conferencing of everyone on Old bridge from then on" in asked
    old_bridge.refresh_from_db()
    assert old_bridge.provider == ""
    answer = alice.post(f"{address}edit/", form | {"confirmed": "yes"}, follow=True)

    old_bridge.refresh_from_db()
    assert old_bridge.provider == "InterCall"
    assert "No run, because a bridge's own settings start none: 1 user on it" in words(answer.content)
    assert "1 user of this bridge is out of date." in words(answer.content)
    overtaken = alice.post(f"{address}edit/", {"provider": "Arkadin", "initial-provider": ""})
    assert "It was changed meanwhile to InterCall" in words(overtaken.content)


def test_it_makes_a_bridge_the_default(alice: Client, old_bridge: Bridge, new_bridge: Bridge) -> None:
    alice.post(f"/contoso/bridges/{new_bridge.pk}/edit/", {"make_default": "yes"})

    assert list(Bridge.objects.filter(is_default=True)) == [new_bridge]


def test_it_removes_a_bridge_that_nobody_needs(alice: Client, new_bridge: Bridge) -> None:
    address = f"/contoso/bridges/{new_bridge.pk}/remove/"
    before = everything_stored()
    page = shown(alice, address)

    assert "Remove New bridge?" in page
    assert "Its 2 numbers go with it: +442079460123" in page
    assert everything_stored() == before
    answer = alice.post(address, follow=True)
    assert "The bridge New bridge is removed." in words(answer.content)
    assert not Bridge.objects.filter(pk=new_bridge.pk).exists()


@pytest.mark.parametrize("case", ["users", "last", "invitations", "leaving", "default"])
def test_it_says_why_a_bridge_cannot_be_removed(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, tenant: Tenant, case: str
) -> None:
    bridge = old_bridge
    if case == "users":
        bridge = set_bridge(tenant, "Other", ACTOR)
        make_user("anna", bridge=bridge)
        sentence = "1 user is on Other: move them first."
    elif case == "last":
        make_user("anna")
        sentence = "1 user is on Old bridge: it is the last bridge, so make another one and move them there."
    elif case == "invitations":
        change_tenant(tenant, ACTOR, automatically_migrate_user_meetings=False)
        change_user(make_user("anna"), ACTOR, bridge=set_bridge(tenant, "Other", ACTOR))
        set_bridge(tenant, "Other", ACTOR, make_default=True)
        sentence = "Invitations of 1 user still show numbers of Old bridge: migrate them first."
    elif case == "leaving":
        old, new = (register_number(bridge, number, "toll", ACTOR) for number in (OLD, NEW))
        start_release(old, new, ACTOR)
        sentence = f"{OLD} is being taken off Old bridge: wait until it is released, or cancel that."
    else:
        set_bridge(tenant, "Other", ACTOR)
        sentence = "Old bridge is the default bridge: make another one the default first."
    before = everything_stored()

    for ask in (alice.get, alice.post):
        answer = ask(f"/contoso/bridges/{bridge.pk}/remove/")
        assert sentence in words(answer.content)
        assert "Remove the bridge" not in words(answer.content)
    assert everything_stored() == before


# --- numbers ------------------------------------------------------------------------------------------


def test_it_adds_a_number_and_opens_it(alice: Client, anna: ConferencingUser, old_bridge: Bridge) -> None:
    posted = {"number": "tel:+1 (425) 555-0133", "kind": "toll", "country": "United States", "city": "Kent"}
    answer = alice.post(f"/contoso/bridges/{old_bridge.pk}/numbers/add/", posted, follow=True)

    added = old_bridge.numbers.get(number="+14255550133")
    assert (added.place, added.is_default) == ("United States, Kent", False)
    assert answer.redirect_chain[-1][0] == page_of(added)
    assert "+14255550133 is on Old bridge." in words(answer.content)

    posted = {"number": "+14255550134", "kind": "toll", "make_default": "on"}
    answer = alice.post(f"/contoso/bridges/{old_bridge.pk}/numbers/add/", posted, follow=True)
    assert old_bridge.numbers.get(is_default=True).number == "+14255550134"
    assert "No run, because a bridge's own settings start none: 1 user" in words(answer.content)


@pytest.mark.parametrize(
    ("posted", "field", "sentence"),
    [
        ({"number": "4255550133"}, "number", "Give the number in E.164 form"),
        ({"number": "+99955550133"}, "number", "Give the number in E.164 form with a country code that exists"),
        ({"number": "+1425555013\0"}, "number", "Leave out the invisible character (NUL) in it."),
        ({"number": ""}, "number", "Fill this in: it must not be empty."),
        ({"number": DEFAULT}, "number", f"{DEFAULT} is already registered, on the bridge Old bridge."),
        ({"kind": "satellite"}, "kind", "choose one of the list."),
        ({"city": "x" * 101}, "city", "Shorten it to 100 characters"),
        (
            {"number": "+18005550133", "kind": "toll-free", "make_default": "on"},
            "make_default",
            "+18005550133 is toll-free, and a bridge's default number must be a toll number",
        ),
    ],
)
def test_it_says_on_the_field_why_a_number_cannot_be_added(
    alice: Client, old_bridge: Bridge, posted: dict[str, str], field: str, sentence: str
) -> None:
    before = everything_stored()
    address = f"/contoso/bridges/{old_bridge.pk}/numbers/add/"
    answer = alice.post(address, {"number": "+14255550133", "kind": "toll"} | posted)

    assert answer.status_code == 200
    assert sentence in " ".join(answer.context["number_form"].errors[field])
    assert f'id="new_number_{field}_error"' in answer.content.decode()
    assert everything_stored() == before


def test_r32_the_bridge_tells_how_many_depend_on_each_number(
    alice: Client, make_user: MakeUser, release: NumberRelease, old_bridge: Bridge
) -> None:
    make_user("emil")
    page = shown(alice, f"/contoso/bridges/{old_bridge.pk}/")

    assert f"{DEFAULT} Default Toll · United States, Redmond 1 user depends on it" in page
    assert f"{OLD} Being taken off Toll · United States, Seattle 1 user depends on it" in page
    assert f"{NEW} Toll · United States, Tacoma Nobody depends on it" in page


def test_r32_the_number_tells_what_depends_on_it(
    alice: Client, make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, default: ServiceNumber
) -> None:
    make_user("emil")
    page = shown(alice, page_of(old))

    assert "Users 1 Future meetings 1 Invitations" in page
    assert "dora.lind@contoso.com Their own number Succeeded" in page
    assert "emil@contoso.com The bridge's default No run yet" in shown(alice, page_of(default))
    change_user(dora, ACTOR, toll_number=None)
    assert "dora.lind@contoso.com Invitations that show it Succeeded" in shown(alice, page_of(old))


def test_r10_making_it_the_default_reschedules_where_that_is_ticked(
    alice: Client, make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    make_user("emil")
    runs = Run.objects.count()
    assert "1 user. Without this no run starts" in shown(alice, page_of(old))
    answer = alice.post(f"{page_of(old)}default/", follow=True)

    assert f"{OLD} is the default number of Old bridge." in words(answer.content)
    assert "No run, because rescheduling was not asked for: 1 user has no toll number" in words(answer.content)
    assert Run.objects.count() == runs

    answer = alice.post(f"{page_of(new)}default/", {"reschedule_meetings": "on"}, follow=True)
    assert "mil@contoso.com: Run, because the default number changed" in words(answer.content)
    assert Run.objects.count() == runs + 1


def test_a_toll_free_number_cannot_be_made_the_default(alice: Client, new_bridge: Bridge) -> None:
    free = new_bridge.numbers.get(kind="toll-free")
    before = everything_stored()
    answer = alice.post(f"{page_of(free)}default/", follow=True)

    assert "must be a toll number: choose another." in words(answer.content)
    assert "Only a toll number can be the default of a bridge." in words(answer.content)
    assert everything_stored() == before


def test_it_corrects_the_place(alice: Client, old: ServiceNumber) -> None:
    posted = {"country": "United States", "city": "Bellevue"}
    answer = alice.post(f"{page_of(old)}describe/", posted, follow=True)

    old.refresh_from_db()
    assert old.place == "United States, Bellevue"
    assert "The place is saved." in words(answer.content)
    describe_number(old, ACTOR, country="Canada", city="Bellevue")
    overtaken = alice.post(
        f"{page_of(old)}describe/", posted | {"country": "Mexico", "initial-country": "United States"}
    )
    assert "It was changed meanwhile to Canada" in words(overtaken.content)


# --- taking off, replacing: first what it leads to ----------------------------------------------------


def ask_to_take_off(number: ServiceNumber, replacement: ServiceNumber | None = None) -> str:
    return f"{page_of(number)}release/?replacement={replacement.pk if replacement else ''}"


def test_r33_it_tells_what_taking_it_off_leads_to_and_then_begins(
    alice: Client, make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, wakes: list[Any]
) -> None:
    make_user("emil", toll_number=old, mailbox_location="on-premises")
    change_tenant(old.tenant, ACTOR, settling_time=300)
    before = everything_stored()
    page = shown(alice, ask_to_take_off(old, new))

    assert f"Take {OLD} off Old bridge? {NEW} takes its place." in page
    assert "Users who depend on it 2 Runs that start 1 Future meetings 1" in page
    assert "1: No run, because the mailbox is on Exchange on-premises" in page
    assert f"{OLD} is kept until their invitations are brought up to date." in page
    assert "Nothing else changes for 300 seconds, the settling time. Until then it can be cancelled." in page
    assert everything_stored() == before

    answer = alice.post(f"{page_of(old)}release/", {"replacement": new.pk}, follow=True)
    release = NumberRelease.objects.get()
    assert answer.redirect_chain[-1][0] == f"/contoso/releases/{release.pk}/"
    assert f"{OLD} is being taken off Old bridge, and {NEW} takes its place." in words(answer.content)
    assert (release.state, release.replacement, release.requested_by) == ("Waiting", new, "alice")
    assert AuditEntry.objects.get(action="take number off").actor == "alice"


@pytest.mark.django_db(transaction=True)
def test_r32_what_it_leads_to_is_told_without_writing_or_locking(
    alice: Client, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    numbers = []
    for name in ("anna", "bruno"):
        make_user(name, toll_number=old)
        for address in (ask_to_take_off(old, new), f"{page_of(old)}replace/?by=%2B14255550133"):
            with CaptureQueriesContext(connection) as queries:
                assert alice.get(address).status_code == 200
            numbers.append(len(queries))
            for query in queries:
                assert query["sql"].startswith("SELECT"), query["sql"]
                assert "FOR UPDATE" not in query["sql"]
    assert numbers[:2] == numbers[2:]


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("is_default", [True, False])
def test_r32_what_is_foreseen_is_what_happens(
    make_user: MakeUser,
    old: ServiceNumber,
    default: ServiceNumber,
    new_bridge: Bridge,
    tenant: Tenant,
    is_default: bool,
    automatic: bool,
) -> None:
    number = default if is_default else old
    own = {"toll_number": number}
    change_tenant(tenant, ACTOR, automatically_migrate_user_meetings=False)
    make_user("by.default")
    make_user("by.default.without.licence", audio_conferencing_license=False)
    # With a licence, but no invitation shows a number yet: there is nothing to take back.
    new_licence = make_user("by.default.with.new.licence", audio_conferencing_license=False)
    change_user(new_licence, ACTOR, audio_conferencing_license=True)
    make_user("own", **own)
    make_user("own.without.licence", audio_conferencing_license=False, **own)
    make_user("own.on.premises", mailbox_location="on-premises", **own)
    make_user("own.of.another.provider", conferencing_provider="InterCall", **own)
    change_user(make_user("shown.only", **own), ACTOR, bridge=new_bridge)
    change_tenant(tenant, ACTOR, automatically_migrate_user_meetings=automatic)
    foreseen = foresee_release(ServiceNumber.objects.get(pk=number.pk))

    release = number_release.start_replacement(number, NEW, ACTOR)
    before = set(Run.objects.values_list("pk", flat=True))
    advance(release)
    assert foreseen.users == (8 if is_default else 5)
    assert foreseen.runs == Run.objects.exclude(pk__in=before).count()
    entries = AuditEntry.objects.filter(action="change user", channel="service", consequence__startswith="No run")
    told = Counter(entries.values_list("consequence", flat=True))
    just_default = foreseen.without_run.pop(BY_DEFAULT_ONLY, 0)
    assert foreseen.without_run == told
    assert just_default == (2 if is_default else 0)
    assert sum(foreseen.without_run.values()) + foreseen.runs + just_default == foreseen.users


def test_r13_it_says_that_the_number_stays_until_the_runs_are_started_by_hand(
    alice: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    page = shown(alice, ask_to_take_off(old, new))

    assert "AutomaticallyMigrateUserMeetings is off, so start the runs by hand on the page that follows." in page


def test_r35_a_default_number_can_only_be_replaced(alice: Client, default: ServiceNumber, new: ServiceNumber) -> None:
    page = shown(alice, page_of(default))
    before = everything_stored()

    assert f"{DEFAULT} is the default number of Old bridge: make another toll number the default first" in page
    assert "Show what taking it off starts" not in page
    assert "Show what replacing it starts" in page
    for ask in (alice.get, alice.post):
        answer = ask(ask_to_take_off(default, new), follow=True)
        assert "make another toll number the default first, or replace it in one step." in words(answer.content)
    assert everything_stored() == before


def test_a_default_number_is_replaced_by_a_new_one(
    alice: Client, make_user: MakeUser, default: ServiceNumber, wakes: list[Any]
) -> None:
    make_user("emil")
    page = shown(alice, f"{page_of(default)}replace/?by=%2B1 425 555 0133")

    assert "Replace +14255550100 by +14255550133?" in page
    assert "+14255550133 is registered on Old bridge at once, as a toll number in United States, Redmond." in page
    assert "+14255550133 becomes the default number of Old bridge." in page
    assert not ServiceNumber.objects.filter(number="+14255550133").exists()
    alice.post(f"{page_of(default)}replace/", {"by": "+14255550133"})
    advance(NumberRelease.objects.get())
    assert default.bridge.numbers.get(is_default=True).number == "+14255550133"


@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        ("", f"Give the number that takes the place of {OLD}."),
        ("0425", "Give the number in E.164 form"),
        ("+1425555\0", "Leave out the invisible character (NUL) in it."),
        (OLD, f"{OLD} cannot replace itself: choose another number."),
        ("+442079460123", "+442079460123 is on the bridge New bridge: choose a number of Old bridge."),
        ("+18005550111", "+18005550111 is a toll-free number: choose a toll one."),
    ],
)
def test_r33_it_says_on_the_field_why_a_number_cannot_replace_it(
    alice: Client, old: ServiceNumber, new_bridge: Bridge, by: str, sentence: str
) -> None:
    register_number(old.bridge, "+18005550111", "toll-free", ACTOR)
    before = everything_stored()

    for ask in (alice.get, alice.post):
        answer = ask(f"{page_of(old)}replace/", {"by": by})
        assert answer.status_code == 200
        assert sentence in " ".join(answer.context["replace_form"].errors["by"])
        assert 'id="replace_by_error"' in answer.content.decode()
    assert everything_stored() == before


@pytest.mark.parametrize("wanted", ["", "nonsense", "0", "²", "9" * 5000, "itself", "elsewhere", "toll-free", "theirs"])
def test_r33_only_another_number_of_the_bridge_and_the_kind_can_be_chosen(
    alice: Client, old: ServiceNumber, new: ServiceNumber, new_bridge: Bridge, wanted: str
) -> None:
    free = register_number(old.bridge, "+18005550111", "toll-free", ACTOR)
    fabrikam = set_bridge(Tenant.objects.get(slug="fabrikam"), "Harbour", ACTOR)
    keys = {
        "itself": old.pk,
        "elsewhere": new_bridge.numbers.get(kind="toll").pk,
        "toll-free": free.pk,
        "theirs": register_number(fabrikam, "+12065550147", "toll", ACTOR).pk,
    }
    before = everything_stored()

    for ask in (alice.get, alice.post):
        answer = ask(f"{page_of(old)}release/", {"replacement": keys.get(wanted, wanted)})
        told = " ".join(answer.context["take_off_form"].errors["replacement"])
        assert told in {
            f"Choose the number that takes the place of {OLD}." if not wanted else "",
            "Choose one of the other toll numbers of Old bridge.",
        }
        assert 'id="take_off_replacement_error"' in answer.content.decode()
    assert everything_stored() == before


@pytest.mark.parametrize("case", ["off", "leaving", "replacement"])
def test_it_says_why_it_cannot_be_taken_off_now(
    alice: Client, old: ServiceNumber, new: ServiceNumber, tenant: Tenant, case: str
) -> None:
    number, other = old, new
    if case == "off":
        change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
        sentence = "switch MeetingMigrationEnabled on first."
    elif case == "leaving":
        start_release(old, new, ACTOR)
        sentence = f"{OLD} is being taken off already."
    else:
        third = register_number(old.bridge, "+14255550133", "toll", ACTOR)
        start_release(old, new, ACTOR)
        number, other = new, third
        sentence = f"{NEW} is just taking the place of {OLD}: wait until {OLD} is released, or cancel that."
    before = everything_stored()

    for address in (ask_to_take_off(number, other), f"{page_of(number)}replace/?by={other}".replace("+", "%2B")):
        for ask in (alice.get, alice.post):
            answer = ask(address, follow=True)
            assert answer.redirect_chain[-1][0] == page_of(number)
            assert sentence in words(answer.content)
            assert "Show what" not in words(answer.content)
    assert everything_stored() == before


def test_a_number_without_an_alternative_is_replaced_by_a_new_one(alice: Client, new_bridge: Bridge) -> None:
    page = shown(alice, page_of(new_bridge.numbers.get(kind="toll-free")))

    assert "There is no other toll-free number on New bridge that could take its place." in page
    assert "Show what replacing it starts" in page


# --- the procedure ------------------------------------------------------------------------------------


def test_it_lists_the_numbers_that_are_taken_off(alice: Client, release: NumberRelease, outbox: Any) -> None:
    assert "Numbers taken off: 1 under way" in shown(alice, "/contoso/bridges/")
    assert f"{OLD} {NEW} takes its place Waiting Old bridge Asked for by test" in shown(alice, "/contoso/releases/")
    tasks.work_queue()
    assert f"{OLD} {NEW} takes its place Released" in shown(alice, "/contoso/releases/")
    assert "under way" not in shown(alice, "/contoso/bridges/")


def test_r19_it_waits_for_the_settling_time_and_can_be_cancelled(
    alice: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, tenant: Tenant
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    release = start_release(old, new, ACTOR)
    page = progress_page(alice, release)

    assert "Nothing is changed yet: users are moved 4 minutes from now ." in page
    assert "1 user depends on the number now" in page
    assert "Begin now" in page
    answer = alice.post(f"/contoso/releases/{release.pk}/cancel/", follow=True)
    page = words(answer.content)
    assert f"Cancelled: {OLD} stays, and nothing was changed." in page
    assert "It was cancelled before anything was changed." in page
    assert "every 3s" not in answer.content.decode()
    old.refresh_from_db()
    assert not old.is_leaving
    assert AuditEntry.objects.get(action="cancel taking number off").actor == "alice"
    again = alice.post(f"/contoso/releases/{release.pk}/cancel/", follow=True)
    assert "It cannot be cancelled any more" in words(again.content)


def test_r19_it_begins_now_on_request(
    alice: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, tenant: Tenant, wakes: list[Any]
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    release = start_release(old, new, ACTOR)
    answer = alice.post(f"/contoso/releases/{release.pk}/begin/", follow=True)

    assert "It begins as soon as a worker is free." in words(answer.content)
    assert AuditEntry.objects.get(action="take number off now").actor == "alice"
    assert advance(release).state == "Updating"
    again = alice.post(f"/contoso/releases/{release.pk}/begin/", follow=True)
    assert "It does not wait any more" in words(again.content)


def test_r35_it_shows_how_far_it_is_until_the_number_is_released(
    alice: Client, dora: ConferencingUser, release: NumberRelease, outbox: Any
) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    assert "It begins as soon as a worker is free." in progress_page(alice, release)
    advance(release)
    page = progress_page(alice, release)
    assert f"Runs are putting {NEW} into the invitations." in page
    assert "Users moved 1 of 1" in page
    assert "Done 0 In progress 0 Pending 1 Failed 0 Nothing under way 0" in page
    assert "Who still holds the number 1 Dora Lind dora.lind@contoso.com Due" in page

    run = queue.claim()
    assert run is not None
    assert "Done 0 In progress 1 Pending 0" in progress_page(alice, release)
    queue.fail(run, queue.Failure("mailbox-unavailable"))
    assert "The mailbox could not be reached." in progress_page(alice, release)
    Run.objects.filter(pk=run.pk).update(due_at=timezone.now())
    tasks.work_queue()
    page = progress_page(alice, release)
    assert "The number is released: nobody has it, and no invitation shows it." in page
    assert f"1 user has {NEW} instead." in page
    assert "Refreshes by itself" not in page


def test_the_page_goes_on_by_itself_and_announces_what_changed(
    alice: Client, release: NumberRelease, outbox: Any
) -> None:
    address = f"/contoso/releases/{release.pk}/"
    assert f'hx-get="{address}" hx-trigger="every 3s, shown"' in alice.get(address).content.decode()
    assert "Refreshes by itself; without JavaScript, reload" in progress_page(alice, release)
    advance(release)
    part = alice.get(address, headers={"HX-Request": "true"}).content
    assert announced(part) == "Updating invitations: 0 of 1 users done"
    tasks.work_queue()
    assert "hx-trigger" not in alice.get(address, headers={"HX-Request": "true"}).content.decode()


def test_r12_it_says_that_it_waits_while_the_service_is_off(
    alice: Client, release: NumberRelease, tenant: Tenant
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    assert "The service is switched off for this tenant, so this waits." in progress_page(alice, release)
    answer = alice.post(f"/contoso/releases/{release.pk}/begin/", follow=True)
    assert "The service is switched off, so it waits all the same." in words(answer.content)
    assert advance(release).state == "Waiting"


def test_it_says_that_nobody_works(alice: Client, release: NumberRelease) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(hours=1))
    assert "The background workers are silent, so this waits." in progress_page(alice, release)


def test_r35_it_tells_of_each_holder_why_and_what_to_do(
    alice: Client,
    make_user: MakeUser,
    dora: ConferencingUser,
    old: ServiceNumber,
    new: ServiceNumber,
    tenant: Tenant,
    outbox: Any,
) -> None:
    def with_old(name: str, **values: Any) -> ConferencingUser:
        return make_user(name, toll_number=old, **values)

    EmbeddedMailbox(with_old("failed")).store([("broken", b"BEGIN:VCALENDAR\r\nnonsense")])
    with_old("on.premises", mailbox_location="on-premises")
    with_old("hosted.on.premises", hosting="on-premises")
    change_user(with_old("acp"), ACTOR, conferencing_provider="InterCall")
    invite(with_old("done"))
    ConferencingUser.objects.filter(pk=with_old("unchangeable").pk).update(language="!!")
    change_tenant(tenant, ACTOR, attendee_limit=1)
    release = start_release(old, new, ACTOR)
    tasks.work_queue()
    with_no_run = with_old_invitation(make_user, old)
    release.refresh_from_db()
    page = progress_page(alice, release)

    assert {user.upn.partition("@")[0]: user.why for user in holders_with_why(release)} == {
        "failed": Why.FAILED,
        "unchangeable": Why.UNCHANGED,
        "on.premises": Why.NOT_SERVED,
        "hosted.on.premises": Why.NOT_SERVED,
        "acp": Why.NOT_SERVED,
        with_no_run.upn.partition("@")[0]: Why.NOT_STARTED,
        "dora.lind": Why.LEFT,
    }
    assert "The number is kept, because nothing is under way for 7 users" in page
    for sentence in (
        "A calendar object in the mailbox cannot be read: 1 meeting of 1. Open the meeting in the organizer's calendar",
        f"Their settings could not be changed, so they still have {OLD}.",
        "The mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool instead. "
        "Migrate their calendar that way, then choose “Mark as up to date” on the user's page.",
        "The user is hosted on-premises: move them online, or use the Meeting Migration Tool instead.",
        "InterCall provides the user's conferencing: use the Meeting Migration Tool instead.",
        "Their invitations were not brought up to date yet, and no run is under way: start one.",
        "The run left meetings as they are, and at least one still shows the number: correct it, then start a run.",
        "1 meeting: The meeting has more attendees than the tenant's limit. Raise the limit",
    ):
        assert sentence in page, sentence
    change_tenant(tenant, ACTOR, automatically_migrate_user_meetings=False)
    assert "AutomaticallyMigrateUserMeetings is off: start it by hand" in progress_page(alice, release)
    assert set(holders(release)) == set(holders_with_why(release))


def with_old_invitation(make_user: MakeUser, number: ServiceNumber) -> ConferencingUser:
    """Somebody who was found to show the number only now, by a run that had begun before the users were moved."""
    user = make_user("late.comer")
    user.invited_numbers.create(number=number)
    ConferencingUser.objects.filter(pk=user.pk).update(invitations_fingerprint="")
    return user


def test_r35_it_starts_runs_for_those_who_hold_it(
    bob: Client, make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    make_user("emil", toll_number=old, mailbox_location="on-premises")
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    release = start_release(old, new, ACTOR)
    address = f"/contoso/releases/{release.pk}/start-runs/"
    answer = bob.post(address, follow=True)
    assert "Nobody was moved yet, so a run would not help: begin first." in words(answer.content)
    advance(release)
    assert "Start 1 run" in progress_page(bob, release)
    runs = Run.objects.count()

    answer = bob.post(address, follow=True)
    assert "ora.lind@contoso.com: Run, because it was started by hand." in words(answer.content)
    assert Run.objects.count() == runs + 1
    assert AuditEntry.objects.filter(action="start migration", actor="bob").count() == 1
    again = bob.post(address, follow=True)
    assert f"There is nobody whom a run would help to give up {OLD}." in words(again.content)
    tasks.work_queue()
    assert "The number is kept for 1 user whom no run can help." in progress_page(bob, release)
    assert mark_up_to_date(ConferencingUser.objects.get(upn="emil@contoso.com"), ACTOR)
    tasks.work_queue()
    assert "The number is released" in progress_page(bob, release)


def test_r35_runs_for_many_who_hold_it_are_started_by_a_job(
    bob: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    release = start_release(old, new, ACTOR)
    advance(release)
    runs = Run.objects.count()
    for module in (releases, bulk_actions):
        monkeypatch.setattr(module, "AT_ONCE", 0)

    answer = bob.post(f"/contoso/releases/{release.pk}/start-runs/")
    action = BulkAction.objects.get()
    assert answer["Location"] == f"/contoso/users/actions/{action.pk}/"
    assert (action.state, action.user_count, Run.objects.count()) == ("Waiting", 1, runs)
    assert bulk_actions.advance(timezone.now() + timedelta(minutes=1))
    assert Run.objects.count() == runs + 1
    assert AuditEntry.objects.filter(action="start migration", actor="bob").count() == 1


def test_roles_see_what_they_may_do(
    alice: Client, bob: Client, vera: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    change_tenant(old.tenant, ACTOR, settling_time=300)
    assert "Show what taking it off starts" in shown(alice, page_of(old))
    assert "An admin of the tenant may change the number" in shown(bob, page_of(old))
    assert "Add a number" not in shown(bob, f"/contoso/bridges/{old.bridge_id}/")
    assert "Add a bridge" not in shown(bob, "/contoso/bridges/")
    release = start_release(old, new, ACTOR)
    assert "Cancel it" in progress_page(alice, release)
    assert "Cancel it" not in progress_page(bob, release)
    change_tenant(old.tenant, ACTOR, automatically_migrate_user_meetings=False)
    NumberRelease.objects.update(due_at=timezone.now())
    advance(release)
    assert "Start 1 run" in progress_page(bob, release)
    assert "Start 1 run" not in progress_page(vera, release)


def test_pages_ask_the_database_the_same_number_of_questions_for_3_and_30_users(
    alice: Client, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, make_run: Callable[..., Run]
) -> None:
    addresses = [
        "/contoso/bridges/",
        f"/contoso/bridges/{old.bridge_id}/",
        page_of(old),
        page_of(new),
        ask_to_take_off(new, old),
        "/contoso/releases/",
    ]

    def count(addresses: list[str]) -> list[int]:
        numbers = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                assert alice.get(address).status_code == 200
            numbers.append(len(queries))
        return numbers

    def add(first: int, last: int) -> None:
        for number in range(first, last):
            make_user(f"old{number}", toll_number=old)
            make_user(f"new{number}", toll_number=new)

    add(0, 3)
    count(addresses)  # what is cached on first use is asked before the counting
    few = count(addresses)
    add(3, 30)
    assert count(addresses) == few
    assert max(few) <= 22

    release = advance(start_release(old, old.bridge.numbers.get(is_default=True), ACTOR))
    Run.objects.filter(user__upn__startswith="old").update(state="Failed", last_error_code="no-bridge")
    many = count([f"/contoso/releases/{release.pk}/"])
    moved = ConferencingUser.objects.filter(upn__startswith="old").order_by("pk").values("pk")[:27]
    Run.objects.filter(user__in=moved).update(state="Succeeded")
    for user in ConferencingUser.objects.filter(pk__in=moved):
        user.invited_numbers.all().delete()
    assert progress_of(release).failed == 3
    assert count([f"/contoso/releases/{release.pk}/"]) == many
    assert many[0] <= 22


# --- what could go wrong in the background ------------------------------------------------------------


def test_r35_a_user_who_cannot_be_changed_starts_nobody_elses_run_again(
    make_user: MakeUser, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    """Every wake-up tries the one again, and leaves the one whose run failed alone."""
    stuck = make_user("stuck", toll_number=old)
    ConferencingUser.objects.filter(pk=stuck.pk).update(language="!!")
    EmbeddedMailbox(dora).store([("broken", b"BEGIN:VCALENDAR\r\nnonsense")])
    release = start_release(old, new, ACTOR)
    tasks.work_queue()
    runs, entries = Run.objects.count(), AuditEntry.objects.count()
    for _ in range(3):
        tasks.work_queue()

    release.refresh_from_db()
    assert release.state == "Updating"
    assert (Run.objects.count(), AuditEntry.objects.count()) == (runs, entries)
    ConferencingUser.objects.filter(pk=stuck.pk).update(language="en-US")
    tasks.work_queue()
    stuck.refresh_from_db()
    assert stuck.toll_number == new


def test_r33_the_number_that_takes_a_place_is_not_taken_off_meanwhile(
    dora: ConferencingUser, release: NumberRelease, old: ServiceNumber, new: ServiceNumber
) -> None:
    third = register_number(old.bridge, "+14255550133", "toll", ACTOR)
    with pytest.raises(ValidationError, match="is just taking the place of"):
        start_release(new, third, ACTOR)
    assert cancel_release(release, ACTOR)
    assert start_release(new, third, ACTOR).state == "Waiting"
