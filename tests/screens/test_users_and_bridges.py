"""Users, what changing them starts, and moving everyone on a bridge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Run
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.only_reads import only_reads
from tests.support.pages import user_form, users_found, words

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]


def give_meetings(user: ConferencingUser, **values: Any) -> None:
    CalendarObject.objects.create(
        **{
            "user": user,
            "uid": f"meeting-{CalendarObject.objects.count()}",
            "body": b"",
            "organizer": user.upn.lower(),
            "last_end": timezone.now() + timedelta(days=3),
            "attendee_count": 4,
            **values,
        }
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["anna", "bruno", "clara"]),
        ("?q=BRUNO", ["bruno"]),
        ("?state=Failed", ["bruno"]),
        ("?state=never", ["clara"]),
        ("?state=Nonsense", ["anna", "bruno", "clara"]),
        ("?sort=-upn", ["clara", "bruno", "anna"]),
        ("?q=%00", ["anna", "bruno", "clara"]),
    ],
)
def test_r29_it_lists_users_with_the_state_of_their_latest_run(
    alice: Client, make_user: MakeUser, make_run: MakeRun, query: str, expected: list[str]
) -> None:
    anna, bruno = make_user("anna"), make_user("bruno")
    make_user("clara")
    make_run(anna, "Failed", last_error_code="no-bridge")
    make_run(anna, "Succeeded")
    make_run(bruno, "Failed", last_error_code="no-bridge")

    assert users_found(alice, query) == expected


def test_it_sorts_users_by_every_column(alice: Client, make_user: MakeUser, make_run: MakeRun) -> None:
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    make_user("bruno", bridge=None)
    columns = alice.get("/contoso/users/").context["table"].columns
    for column in columns:
        assert len(users_found(alice, f"?sort={column.name}")) == 2


def test_it_tells_what_saving_would_start_and_saves_nothing(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    EmbeddedMailbox(anna).store((uid, invitation(anna, uid)) for uid in ("budget", "plan"))
    posted = user_form(alice, anna.upn, bridge=new_bridge.pk, preview="1")
    page = alice.post(f"/contoso/users/{anna.upn}/", posted)
    fragment = alice.post(f"/contoso/users/{anna.upn}/", posted, headers={"HX-Request": "true"})

    anna.refresh_from_db()
    assert anna.bridge != new_bridge
    assert Run.objects.count() == 0
    assert AuditEntry.objects.filter(action="change user").count() == 0
    for answer in (page, fragment):
        assert "If you save this: Run, because the user moved to the bridge New bridge." in words(answer.content)
        assert "2 of 2 future meetings would be updated and 2 invitations sent." in words(answer.content)


def test_r5_it_saves_a_change_and_says_what_it_started(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, wakes: list[Any]
) -> None:
    answer = alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, bridge=new_bridge.pk), follow=True)

    anna.refresh_from_db()
    assert anna.bridge == new_bridge
    assert Run.objects.get().requested_by == "alice"
    assert "Run, because the user moved to the bridge New bridge." in words(answer.content)
    assert AuditEntry.objects.filter(actor="alice", action="change user").count() == 1


def test_r8_it_says_why_a_change_starts_nothing(alice: Client, anna: ConferencingUser) -> None:
    posted = user_form(alice, anna.upn, sip_address="anna.bianchi@contoso.com")
    answer = alice.post(f"/contoso/users/{anna.upn}/", posted, follow=True)

    assert "No run, because a changed SIP address does not start one: join links stay" in words(answer.content)


def test_r4_it_gives_a_new_conference_id(alice: Client, anna: ConferencingUser, wakes: list[Any]) -> None:
    before = anna.conference_id
    alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, reset_conference_id="on"))

    after = ConferencingUser.objects.get(pk=anna.pk).conference_id
    assert after != before
    assert len(after) == 7


def test_it_drops_the_numbers_of_the_bridge_that_a_user_leaves(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]
) -> None:
    anna = make_user("anna", toll_number=old_bridge.numbers.get())
    alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, bridge=new_bridge.pk))

    anna.refresh_from_db()
    assert (anna.bridge, anna.toll_number) == (new_bridge, None)


@pytest.mark.parametrize(
    ("edited", "sentence"),
    [
        ({"conference_id": "12"}, "A conference ID is 7 digits"),
        ({"sip_address": "not an address"}, "Give an address such as anna@contoso.com"),
        ({"bridge": "99999"}, "What was chosen is not on offer"),
        ({"language": ""}, "Fill this in: it must not be empty."),
    ],
)
def test_it_says_what_is_wrong_and_saves_nothing(
    alice: Client, anna: ConferencingUser, edited: dict[str, str], sentence: str
) -> None:
    answer = alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, **edited))

    assert answer.status_code == 200
    assert sentence in words(answer.content)
    assert "Nothing was saved." in words(answer.content)
    assert Run.objects.count() == 0


def test_it_refuses_a_conference_id_that_another_user_has(
    alice: Client, make_user: MakeUser, anna: ConferencingUser
) -> None:
    taken = make_user("bruno").conference_id
    answer = alice.post(f"/contoso/users/{anna.upn}/", user_form(alice, anna.upn, conference_id=taken))

    assert f"{taken} is already in use on the bridge Old bridge: choose another." in words(answer.content)


def test_r11_it_starts_a_run_by_hand(bob: Client, anna: ConferencingUser, wakes: list[Any]) -> None:
    answer = bob.post(f"/contoso/users/{anna.upn}/start/", follow=True)

    assert Run.objects.get().due_at <= timezone.now()
    assert "Run, because it was started by hand." in words(answer.content)


def test_r16_it_says_why_a_user_cannot_be_migrated(alice: Client, make_user: MakeUser) -> None:
    anna = make_user("anna", conferencing_provider="InterCall")
    page = words(alice.get(f"/contoso/users/{anna.upn}/").content)

    assert "MMS cannot migrate this user." in page
    assert "InterCall provides the user" in page
    assert "Start a run" not in page


@pytest.mark.parametrize("name", ["a/b", "o'neill", "x+y", "100%"])
def test_it_has_a_page_for_every_name_that_a_user_may_have(alice: Client, make_user: MakeUser, name: str) -> None:
    make_user(name)
    listed = alice.get("/contoso/users/").context["table"].paginated_rows[0].record
    link = alice.get("/contoso/users/").content.decode().partition('class="name" href="')[2].partition('"')[0]

    assert listed.upn == f"{name}@contoso.com"
    assert alice.get(link.replace("&#x27;", "'")).status_code == 200


def test_it_finds_a_user_whatever_the_case_of_the_name(alice: Client, anna: ConferencingUser) -> None:
    assert alice.get("/contoso/users/ANNA.rossi@CONTOSO.com/").status_code == 200
    assert alice.get("/contoso/users/nobody@contoso.com/").status_code == 404
    assert alice.get("/contoso/users/a%00b@contoso.com/").status_code == 404


def test_it_shows_a_bridge_with_its_numbers_and_users(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    everything = words(alice.get("/contoso/bridges/").content)
    page = words(alice.get(f"/contoso/bridges/{old_bridge.pk}/").content)

    assert "1 user · 1 toll and 0 toll-free numbers" in everything
    for text in ("+14255550100", "Toll · United States, Redmond", "anna.rossi@contoso.com"):
        assert text in page


def moving(source: Bridge, target: Bridge) -> str:
    """Where everybody on a bridge is moved to another."""
    return f"/contoso/users/selected/move/?bridge={source.pk}&all&to={target.pk}"


def test_it_tells_what_moving_everyone_starts_before_anything_is_changed(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    give_meetings(make_user("anna"))
    make_user("bruno", mailbox_location="on-premises")
    page = words(alice.get(moving(old_bridge, new_bridge)).content)

    assert "Users who move 2" in page
    assert "Runs that start 1" in page
    assert "Future meetings 1" in page
    assert "1: No run, because the mailbox is on Exchange on-premises" in page
    assert Run.objects.count() == 0
    assert old_bridge.users.count() == 2


@pytest.mark.parametrize("service", [True, False])
@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("provider", ["", "InterCall"])
def test_what_it_tells_of_a_move_is_what_the_move_answers(
    alice: Client,
    tenant: Tenant,
    make_user: MakeUser,
    old_bridge: Bridge,
    new_bridge: Bridge,
    wakes: list[Any],
    service: bool,
    automatic: bool,
    provider: str,
) -> None:
    make_user("anna", toll_number=old_bridge.numbers.get())
    make_user("bruno", mailbox_location="on-premises")
    make_user("clara", hosting="on-premises")
    make_user("dario", conferencing_provider="InterCall")
    make_user("elena", audio_conferencing_license=False, audio_conferencing_enabled=False)
    make_user("fabio", conference_id_type="private")
    make_user("gaia", conference_id="1234567")
    make_user("there.already", conference_id="1234567", bridge=new_bridge)
    target = set_bridge(tenant, new_bridge.name, ACTOR, provider=provider)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=service, automatically_migrate_user_meetings=automatic)
    told = alice.get(moving(old_bridge, target)).context["foreseen"]

    tenant.refresh_from_db()
    edits = [UserEdit(user.pk, {"bridge": target}) for user in old_bridge.users.all()]
    answered = change_users(tenant, edits, ACTOR)
    assert told.users == len(edits) == 7
    assert told.runs == sum(consequence.starts_run for consequence in answered)
    assert told.without_run == Counter(consequence.sentence for consequence in answered if not consequence.starts_run)
    assert ConferencingUser.objects.get(upn="gaia@contoso.com").conference_id != "1234567"


@pytest.mark.django_db(transaction=True)
def test_it_tells_what_a_move_starts_without_writing_or_locking(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    address = moving(old_bridge, new_bridge)
    numbers = []
    for name in ("anna", "bruno"):
        make_user(name)
        with only_reads(), CaptureQueriesContext(connection) as queries:
            assert alice.get(address).status_code == 200
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_r5_it_moves_everyone_on_a_bridge(
    alice: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]
) -> None:
    for name in ("anna", "bruno", "clara"):
        make_user(name)
    offered = alice.get(f"/contoso/bridges/{old_bridge.pk}/").content.decode()
    answer = alice.post(moving(old_bridge, new_bridge), {"to": new_bridge.pk, "seen": "3"}, follow=True)

    assert 'action="/contoso/users/selected/move/"' in offered
    assert f'name="bridge" value="{old_bridge.pk}"' in offered
    assert new_bridge.users.count() == 3
    assert Run.objects.filter(state="Pending").count() == 3
    assert "Moved to New bridge. Run, because the user moved to the bridge New bridge. 3 users" in words(answer.content)


def test_it_warns_that_the_new_bridge_has_no_number(
    alice: Client, anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge
) -> None:
    bare = set_bridge(tenant, "Bare", ACTOR)
    page = words(alice.get(moving(old_bridge, bare)).content)

    assert "Bare has no toll number to print." in page


@pytest.mark.parametrize("to", ["", "nonsense", "0", "²", "9" * 40, "9" * 3000])
def test_it_asks_for_the_bridge_to_move_to(alice: Client, anna: ConferencingUser, old_bridge: Bridge, to: str) -> None:
    address = f"/contoso/users/selected/move/?bridge={old_bridge.pk}&all=1"
    for answer in (alice.get(f"{address}&to={to}"), alice.post(address, {"to": to}, follow=True)):
        assert "Choose the bridge that the users should move to." in words(answer.content)
    assert old_bridge.users.count() == 1


# --- lists with nothing in them -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("/contoso/bridges/{bridge}/", "Nobody is on this bridge."),
        ("/contoso/failures/no-bridge/", "Nobody's latest run has failed for this reason."),
        ("/contoso/failures/no-bridge/?q=anna", "No user matches. Search for a part of the name or clear the filter."),
        ("/contoso/users/?q=zzz", "No user matches. Search for a part of the name or clear the filter."),
        ("/contoso/users/", "There are no users yet"),
        ("/contoso/users/?page=3", "There are no users yet"),
        ("/contoso/migrations/", "No migration has run yet"),
        ("/contoso/audit/?who=nobody", "No entry matches. Widen the dates or clear the filter."),
    ],
)
def test_an_empty_list_speaks_of_a_filter_only_where_there_is_one(
    alice: Client, new_bridge: Bridge, make_user: Callable[..., ConferencingUser], address: str, sentence: str
) -> None:
    if "?q" in address:
        make_user("bruno.costa")
    page = words(alice.get(address.format(bridge=new_bridge.pk)).content)

    assert sentence in page
    assert ("clear the filter" in page) == ("clear the filter" in sentence)
