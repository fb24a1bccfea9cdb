"""The list of users with its filters, and one user's page: out of date, dial-in details, what saving would lead to."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.demo import invitations as demo
from migrations_app.invitations.dial_in import EACH_ITS_OWN
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import MeetingResult, Run, Update
from migrations_app.preview import foretold
from migrations_app.runs import outcomes, worker
from migrations_app.runs.movements import movements_of
from migrations_app.screens import users as views
from tenants_app.catalogue import USER_SETTINGS, UserSetting
from tenants_app.changes.bridges import register_number, set_bridge, set_leaving
from tenants_app.changes.users import change_user
from tenants_app.fingerprints import note_own_blocks
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.meetings import body_of, invite, logical_lines, migrate
from tests.support.pages import shown, user_form, users_found, words
from tests.support.rollouts import a_deployment
from tests.support.samples import teams_text
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
MakeUsers = Callable[..., list[ConferencingUser]]
MakeRun = Callable[..., Run]
LEAVING = "+14255550111"


def page_of(user: ConferencingUser) -> str:
    return f"/contoso/users/{user.upn}/"


def outdate(user: ConferencingUser) -> None:
    """A change that shows in the user's invitations, which MMS wrote, and starts no run."""
    note_own_blocks(user)
    change_user(user, ACTOR, language="it-IT")


@pytest.fixture
def leaving(old_bridge: Bridge) -> ServiceNumber:
    """A number on its way off the bridge that nobody has."""
    number = register_number(old_bridge, LEAVING, "toll", ACTOR, country="United States", city="Seattle")
    return set_leaving(number, True)


# --- the list -----------------------------------------------------------------------------------------


@pytest.fixture
def crowd(
    tenant: Tenant, make_users: MakeUsers, make_run: MakeRun, old_bridge: Bridge, new_bridge: Bridge
) -> dict[str, int]:
    """Users of every kind; keys of the rows that filters name."""
    theirs = set_bridge(tenant, "Fabrikam bridge", ACTOR, provider="Fabrikam Conferencing")
    toll, toll_free = new_bridge.numbers.get(kind="toll"), new_bridge.numbers.get(kind="toll-free")
    anna, bruno, _, dario, *_ = make_users(
        {
            "anna": {"sip_address": "a.rossi@contoso.com"},
            "bruno": {"bridge": new_bridge, "toll_number": toll},
            "clara": {"bridge": new_bridge},
            "dario": {"bridge": new_bridge, "toll_free_number": toll_free},
            "elena": {"bridge": None, "audio_conferencing_license": False},
            "fabio": {"conferencing_provider": "InterCall"},
            "gaia": {"bridge": theirs},
        }
    )
    make_run(anna, "Succeeded")
    make_run(bruno, "Failed", last_error_code="no-bridge")
    outdate(dario)
    keys = {"old": old_bridge.pk, "new": new_bridge.pk, "toll": toll.pk, "toll_free": toll_free.pk}
    return keys | {"default": old_bridge.numbers.get().pk}


EVERYBODY = ["anna", "bruno", "clara", "dario", "elena", "fabio", "gaia"]


FOUND = {
    "?q=a.rossi": ["anna"],
    "?q=CLARA@": ["clara"],
    "?q=Dario": ["dario"],
    "?state=Succeeded": ["anna"],
    "?state=Failed": ["bruno"],
    "?state=Pending": [],
    "?state=never": ["clara", "dario", "elena", "fabio", "gaia"],
    "?bridge={new}": ["bruno", "clara", "dario"],
    "?bridge=none": ["elena"],
    "?provider=Microsoft": ["anna", "bruno", "clara", "dario", "elena"],
    "?provider=third-party": ["fabio", "gaia"],
    "?provider=InterCall": ["fabio"],
    "?provider=Fabrikam+Conferencing": ["gaia"],
    "?out_of_date=yes": ["dario"],
    "?out_of_date=no": ["anna", "bruno", "clara", "elena", "fabio", "gaia"],
    "?number={default}": ["anna", "fabio"],
    "?number={toll}": ["bruno", "clara", "dario"],
    "?number={toll_free}": ["dario"],
    "?bridge={new}&state=never&out_of_date=no&provider=Microsoft&number={toll}&q=contoso": ["clara"],
    "?bridge={new}&state=Succeeded": [],
    # What cannot be understood filters nothing.
    "?bridge=nonsense": EVERYBODY,
    "?bridge=" + "9" * 40: EVERYBODY,
    "?number=0": EVERYBODY,
    "?number=none": EVERYBODY,
    "?number=" + "9" * 5000: EVERYBODY,
    "?provider=Nobody": EVERYBODY,
    "?out_of_date=perhaps": EVERYBODY,
}
"""Whom a query of the list finds."""


def test_it_finds_users_by_what_they_have_and_lack(vera: Client, crowd: dict[str, int]) -> None:
    assert {query: users_found(vera, query.format(**crowd)) for query in FOUND} == FOUND


def test_r32_it_finds_who_has_a_number_in_invitations_only(
    vera: Client, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]
) -> None:
    """Before a run has rewritten them, the invitations of a user who moved still show the old number."""
    change_user(make_user("anna"), ACTOR, bridge=new_bridge)
    old, new = old_bridge.numbers.get(), new_bridge.numbers.get(kind="toll")

    assert users_found(vera, f"?number={old.pk}") == users_found(vera, f"?number={new.pk}") == ["anna"]


def test_the_filter_offers_what_there_is_in_the_tenant(vera: Client, crowd: dict[str, int]) -> None:
    page = vera.get("/contoso/users/").content.decode()

    def offered(name: str) -> list[str]:
        (select,) = re.findall(rf'<select name="{name}".*?</select>', page, re.DOTALL)
        return [html.unescape(text) for text in re.findall(r"<option[^>]*>([^<]*)</option>", select)]

    assert offered("provider") == ["Any provider", "Microsoft", "Any third party", "Fabrikam Conferencing", "InterCall"]
    assert offered("bridge") == ["Any bridge", "No bridge", "Fabrikam bridge", "New bridge", "Old bridge"]
    assert "+14255550100 · Old bridge · United States, Redmond" in offered("number")


def test_where_all_are_with_microsoft_no_other_provider_is_offered(vera: Client, anna: ConferencingUser) -> None:
    assert "third party" not in vera.get("/contoso/users/").content.decode()


def test_r36_it_marks_who_is_out_of_date(vera: Client, make_user: MakeUser) -> None:
    make_user("anna")
    outdate(make_user("bruno"))
    rows = vera.get("/contoso/users/").content.decode().partition("<tbody>")[2].split("</tr>")

    assert ["Out of date" in row for row in rows[:2]] == [False, True]


def test_the_filter_stays_in_the_address_of_the_other_pages(vera: Client, make_user: MakeUser) -> None:
    for number in range(21):
        make_user(f"user{number:02}")
    page = vera.get("/contoso/users/?out_of_date=no&q=user").content.decode()

    assert 'href="/contoso/users/?out_of_date=no&amp;q=user&amp;page=2"' in page
    assert users_found(vera, "?out_of_date=no&q=user&page=2") == ["user20"]


def test_it_asks_as_often_for_60_users_as_for_10(
    vera: Client, make_user: MakeUser, make_run: MakeRun, old_bridge: Bridge
) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            make_run(make_user(f"user{number}", conferencing_provider="InterCall" if number % 2 else ""), "Succeeded")

    queries = ["", f"?bridge={old_bridge.pk}&state=Succeeded&provider=Microsoft&out_of_date=no&q=user"]
    queries += [f"?number={old_bridge.numbers.get().pk}&state=never", "?sort=-latest_state", "?provider=third-party"]

    def count() -> list[int]:
        counts = []
        for query in queries:
            with CaptureQueriesContext(connection) as asked:
                assert vera.get(f"/contoso/users/{query}").status_code == 200
            counts.append(len(asked))
        return counts

    add(0, 10)
    count()  # what is cached on first use is asked before the counting
    few = count()
    add(10, 60)

    assert count() == few
    assert max(few) <= 14


@pytest.mark.parametrize("query", ["", "?out_of_date=yes", "?bridge=none"])
def test_to_count_the_users_it_looks_at_no_run(vera: Client, anna: ConferencingUser, query: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        vera.get(f"/contoso/users/{query}")
    (counting,) = [each["sql"] for each in asked if each["sql"].startswith("SELECT COUNT")]

    assert "migrations_app_run" not in counting


# --- out of date --------------------------------------------------------------------------------------


def test_r36_the_page_says_what_out_of_date_means_and_offers_what_the_role_may_do(
    vera: Client, bob: Client, alice: Client, anna: ConferencingUser
) -> None:
    outdate(anna)
    pages = {name: words(client.get(page_of(anna)).content) for name, client in
             (("vera", vera), ("bob", bob), ("alice", alice))}  # fmt: skip

    for page in pages.values():
        assert "Out of date: the invitations do not say what the settings ask for." in page
    assert [name for name, page in pages.items() if "Start a run" in page] == ["bob", "alice"]
    assert [name for name, page in pages.items() if "Mark as up to date" in page] == ["alice"]
    assert "only when you have put the invitations right by other means" in pages["alice"]


def test_it_offers_nothing_to_mark_where_all_is_well(alice: Client, anna: ConferencingUser) -> None:
    page = words(alice.get(page_of(anna)).content)

    assert "Out of date" not in page
    assert "Mark as up to date" not in page
    assert "Start a run" in page


def test_r15_r36_an_admin_marks_a_user_whom_mms_cannot_migrate(alice: Client, make_user: MakeUser) -> None:
    anna = make_user("anna", mailbox_location="on-premises")
    outdate(anna)
    before = words(alice.get(page_of(anna)).content)
    answer = alice.post(f"{page_of(anna)}mark-up-to-date/", follow=True)

    assert "when you have put the invitations right by other means, because MMS cannot" in before
    assert "A run puts them right" not in before
    assert f"{anna.upn} is marked as up to date." in words(answer.content)
    assert "Out of date" not in words(answer.content)
    assert not ConferencingUser.objects.get().is_out_of_date
    assert AuditEntry.objects.get(action="mark as up to date").actor == "alice"


def test_r36_to_mark_who_is_up_to_date_changes_nothing(alice: Client, anna: ConferencingUser) -> None:
    before = everything_stored()
    answer = alice.post(f"{page_of(anna)}mark-up-to-date/", follow=True)

    assert f"{anna.upn} is up to date already, so nothing was changed." in words(answer.content)
    assert everything_stored() == before


def test_r35_who_holds_a_number_that_is_being_taken_off_can_be_marked(
    alice: Client, make_user: MakeUser, old_bridge: Bridge
) -> None:
    number = register_number(old_bridge, LEAVING, "toll", ACTOR)
    anna = make_user("anna", toll_number=number)
    set_leaving(number, True)
    change_user(anna, ACTOR, is_data_fix=True, toll_number=None)
    held = words(alice.get(page_of(anna)).content)
    alice.post(f"{page_of(anna)}mark-up-to-date/")
    released = words(alice.get(page_of(anna)).content)

    sentence = f"Invitations may still show {LEAVING}, which is being taken off the bridge."
    assert sentence in held
    assert sentence not in released
    assert not anna.invited_numbers.filter(number=number).exists()


def test_r35_it_says_which_leaving_number_the_invitations_may_show(
    alice: Client, make_user: MakeUser, old_bridge: Bridge
) -> None:
    number = register_number(old_bridge, LEAVING, "toll", ACTOR)
    anna = make_user("anna", toll_number=number)
    set_leaving(number, True)
    page = words(alice.get(page_of(anna)).content)

    assert f"Invitations may still show {LEAVING}, which is being taken off the bridge." in page
    assert "Mark as up to date" in page


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("Pending", "The pending run puts them right."),
        ("InProgress", "The run in progress puts them right."),
        ("Succeeded", "A run puts them right."),
    ],
)
def test_r36_it_says_what_puts_the_invitations_right(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, state: str, sentence: str
) -> None:
    make_run(anna, state)
    outdate(anna)

    assert sentence in words(vera.get(page_of(anna)).content)


# --- dial-in details ----------------------------------------------------------------------------------


def dial_in(client: Client, user: ConferencingUser) -> str:
    page = client.get(page_of(user)).content.decode()
    found = re.search(r'<section class="card" aria-labelledby="dial-in-title">.*?</section>', page, re.DOTALL)
    assert found
    # The text has angle brackets of its own.
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", found[0])))


def test_it_shows_the_dial_in_details_of_the_invitations(vera: Client, make_user: MakeUser) -> None:
    anna = make_user("anna.rossi", conference_id="7654321")
    told = dial_in(vera, anna)

    assert "Join the online meeting <each meeting keeps or gets its own>" in told
    assert "Toll number: +1 425-555-0100 <tel:+14255550100,,7654321#> (Redmond, United States)" in told
    assert "Conference ID: 7654321" in told
    assert "...." not in told


@pytest.mark.parametrize("conference_id_type", ["public", "private"])
def test_it_shows_what_a_run_writes_indeed(vera: Client, make_user: MakeUser, conference_id_type: str) -> None:
    anna = make_user("anna.rossi", conference_id_type=conference_id_type)
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    migrate(anna)
    (line,) = [line for line in logical_lines(body_of(anna, "budget")) if line.startswith("DESCRIPTION:")]
    written = line.replace("\\n", " ").replace("\\,", ",").split("=" * 72)[1]
    written = re.sub(r"<https://meet[^>]*/[A-Z0-9]{8}>", "<each meeting keeps or gets its own>", written)
    if conference_id_type == "private":
        written = re.sub(r",,\d{7}#>", ",,…#>", written).replace("Conference ID: ", f"Conference ID: {EACH_ITS_OWN} ")
        written = re.sub(rf"({EACH_ITS_OWN}) \d{{7}}", r"\1", written)

    assert f"leaves the rest as it is. {' '.join(written.split())} " in dial_in(vera, anna)


def test_r4_private_conference_ids_are_not_invented(vera: Client, make_user: MakeUser) -> None:
    anna = make_user("anna.rossi", conference_id_type="private", language="es-ES")
    before = everything_stored()
    told = dial_in(vera, anna)

    assert "Id. de conferencia: a different one for each meeting" in told
    assert "<tel:+14255550100,,…#>" in told
    assert 'lang="es"' in vera.get(page_of(anna)).content.decode()
    assert everything_stored() == before


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"audio_conferencing_license": False}, "Without numbers, because the user has no audio conferencing licence."),
        ({"audio_conferencing_enabled": False}, "Without numbers, because audio conferencing is disabled."),
    ],
)
def test_it_says_why_there_are_no_numbers(vera: Client, make_user: MakeUser, values: dict, sentence: str) -> None:
    told = dial_in(vera, make_user("anna", **values))

    assert sentence in told
    assert "Toll number" not in told


def test_it_says_how_the_settings_contradict_themselves(vera: Client, make_user: MakeUser, tenant: Tenant) -> None:
    bare = set_bridge(tenant, "Bare", ACTOR)
    assert "the user's bridge has no toll number to print: bridge Bare." in dial_in(vera, make_user("a", bridge=bare))
    assert "the user has no bridge." in dial_in(vera, make_user("b", bridge=None, conference_id_type="private"))
    assert "a user whom it cannot migrate" in dial_in(vera, make_user("c", hosting="on-premises"))


# --- what saving would lead to ------------------------------------------------------------------------


def foreseen(client: Client, user: ConferencingUser, **edited: Any) -> str:
    """What the screen says of the change, with and without JavaScript; in the same words."""
    posted = user_form(client, user.upn, **edited, preview="1")
    fragment, page = (
        client.post(page_of(user), posted, headers=headers).content.decode() for headers in ({"HX-Request": "true"}, {})
    )
    told = words(fragment.encode()).strip()
    assert told in words(page.encode())
    return told.partition("If you save this: ")[2].partition(" Each meeting ")[0].partition(" Dial-in details ")[0]


def test_r40_r44_a_move_to_online_says_of_each_meeting_whether_it_moves(alice: Client, make_user: MakeUser) -> None:
    anna = make_user("anna", hosting="on-premises")
    teams = invitation(anna, "teams", text=teams_text())
    past = invitation(anna, "past", days=-7)
    EmbeddedMailbox(anna).store([("skype", invitation(anna, "skype")), ("teams", teams), ("past", past)])
    posted = user_form(alice, anna.upn, hosting="online", preview="1")
    before = everything_stored()
    page = alice.post(page_of(anna), posted, headers={"HX-Request": "true"}).content
    told = words(page).partition(" Each meeting ")[2]

    assert re.search(r"Budget skype [^B]+ UTC Would be updated moves from Skype for Business to Link", told)
    assert re.search(r"Budget teams [^B]+ UTC Would be (updated|skipped) stays in Teams", told)
    assert "Budget past" not in told
    assert everything_stored() == before


def test_r40_of_very_many_meetings_the_first_are_told(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foretold, "LISTED", 2)
    EmbeddedMailbox(anna).store([(uid, invitation(anna, uid)) for uid in ("m1", "m2", "m3", "m4")])
    posted = user_form(alice, anna.upn, bridge=new_bridge.pk, preview="1")
    told = words(alice.post(page_of(anna), posted).content)

    assert told.count("Would be updated stays in Skype for Business") == 2
    assert "And 2 more" in told


@pytest.fixture
def mailbox(make_user: MakeUser) -> ConferencingUser:
    """Somebody with meetings of every kind, two of which a run has rewritten already."""
    user = make_user("dora.lind", sip_address="d.lind@contoso.com")
    for number, build in enumerate([demo.skype_text, demo.infinite_series]):
        invite(user, number, build=build)
    migrate(user)
    every = [demo.teams_gen2, demo.no_block, demo.pasted_block, demo.damaged_frame, demo.no_attendees]
    for number, build in enumerate([*every, demo.cancelled, demo.past_meeting, demo.too_large], 10):
        invite(user, number, build=build)
    foreign = invitation(user, "foreign").replace(b"ORGANIZER;CN=Dora Lind:mailto:dora.lind@", b"ORGANIZER:mailto:x@")
    named_by_sip = invitation(user, "sip").replace(b"/dora.lind/", b"/d.lind/")
    EmbeddedMailbox(user).store([("foreign", foreign), ("sip", named_by_sip), ("broken", b"no calendar")])
    return user


@pytest.mark.parametrize(
    "edited",
    [
        {"bridge": "new"},
        {"bridge": "new", "sip_address": "dora.berg@contoso.com"},
        {"bridge": "new", "conference_id_type": "private"},
        {"audio_conferencing_license": None},
        {"audio_conferencing_enabled": None, "language": "it-IT"},
        {"reset_conference_id": "on"},
        {"conference_id": "7654321"},
    ],
)
def test_it_counts_exactly_what_the_run_then_does(
    alice: Client, mailbox: ConferencingUser, new_bridge: Bridge, wakes: list[Any], edited: dict[str, Any]
) -> None:
    if "bridge" in edited:
        edited = edited | {"bridge": new_bridge.pk}
    before = everything_stored()
    told = foreseen(alice, mailbox, **edited)
    assert everything_stored() == before
    alice.post(page_of(mailbox), user_form(alice, mailbox.upn, **edited))
    run = worker.queue.claim()
    assert run is not None
    worker.work_run(run)

    theirs = run.results.exclude(code__in=["past", "cancelled", "not-organizer"])
    updated = theirs.filter(outcome=MeetingResult.Outcome.SUCCEEDED).count()
    mailed = sum(Update.objects.filter(result__run=run).values_list("recipient_count", flat=True))
    assert updated >= 4
    assert told.endswith(
        f"{updated} of {theirs.count()} future meetings would be updated and {mailed} invitations sent. 1 would fail. "
        f"{movements_of(run).ahead}"
    )


@pytest.mark.parametrize(
    ("edited", "command"),
    [
        ({"bridge": "New bridge"}, ["--bridge", "New bridge"]),
        ({"bridge": "Bare"}, ["--bridge", "Bare"]),
        ({"audio_conferencing_license": None}, ["--license", "remove"]),
        ({"audio_conferencing_enabled": None}, ["--audio-conferencing", "disable"]),
        ({"conferencing_provider": "InterCall"}, ["--provider", "InterCall"]),
        ({"sip_address": "dora@contoso.com"}, ["--sip-address", "dora@contoso.com"]),
        ({"reset_conference_id": "on"}, ["--reset-conference-id"]),
        ({"conference_id": "7654321"}, ["--conference-id", "7654321"]),
        ({"hosting": "on-premises"}, ["on-premises"]),
        ({"hosting": "online"}, ["online"]),
    ],
)
def test_a_dry_run_of_the_command_says_the_same(
    alice: Client, mailbox: ConferencingUser, new_bridge: Bridge, edited: dict[str, Any], command: list[str]
) -> None:
    set_bridge(mailbox.tenant, "Bare", ACTOR)
    if "bridge" in edited:
        edited = {"bridge": Bridge.objects.get(name=edited["bridge"]).pk}
    is_move = "hosting" in edited
    name = ["move_user", "--target"] if is_move else ["set_dial_in_conferencing_user"]
    printed = io.StringIO()
    call_command(*name, *command, "--user", mailbox.upn, "--dry-run", "--tenant", "contoso", stdout=printed)

    assert f"{mailbox.upn}: {foreseen(alice, mailbox, **edited)}" in printed.getvalue().splitlines()


def test_it_says_how_many_meetings_would_be_updated(alice: Client, anna: ConferencingUser, new_bridge: Bridge) -> None:
    assert foreseen(alice, anna, bridge=new_bridge.pk) == (
        "Run, because the user moved to the bridge New bridge. "
        "The new toll number is +442079460123 (United Kingdom), the default of New bridge. "
        "The mailbox has no future meetings, so nobody would be mailed."
    )
    EmbeddedMailbox(anna).store([("one", invitation(anna, "one"))])
    assert foreseen(alice, anna, bridge=new_bridge.pk) == (
        "Run, because the user moved to the bridge New bridge. "
        "The new toll number is +442079460123 (United Kingdom), the default of New bridge. "
        "1 of 1 future meeting would be updated and 1 invitation sent. 1 would stay in its meeting service."
    )
    EmbeddedMailbox(anna).store([("two", invitation(anna, "two", text="Hello")), ("past", invitation(anna, days=-7))])
    assert foreseen(alice, anna, bridge=new_bridge.pk).endswith(
        "1 of 2 future meetings would be updated and 1 invitation sent. 1 would stay in its meeting service."
    )


def test_a_run_without_effect_mails_nobody(alice: Client, anna: ConferencingUser, new_bridge: Bridge) -> None:
    EmbeddedMailbox(anna).store([("plain", invitation(anna, "plain", text="Hello"))])

    assert foreseen(alice, anna, bridge=new_bridge.pk).endswith(
        "0 of 1 future meeting would be updated and nobody mailed."
    )


def test_it_says_why_the_run_would_fail_as_a_whole(alice: Client, anna: ConferencingUser, tenant: Tenant) -> None:
    bare = set_bridge(tenant, "Bare", ACTOR)
    EmbeddedMailbox(anna).store([("one", invitation(anna, "one"))])

    assert foreseen(alice, anna, bridge=bare.pk) == (
        "Run, because the user moved to the bridge Bare. It would fail before it looks at any meeting. Audio "
        "conferencing is on, but the user's bridge has no toll number to print: bridge Bare. Register a toll number "
        "on the bridge or move the user to another bridge, then retry."
    )


def test_r36_it_says_when_the_user_would_be_out_of_date(alice: Client, anna: ConferencingUser) -> None:
    no_run = "No run, because a changed language alone does not start one. The user is then out of date: "
    note_own_blocks(anna)
    assert foreseen(alice, anna, language="it-IT") == f"{no_run}the invitations do not say what the settings ask for."
    invite(anna)
    migrate(anna)
    EmbeddedMailbox(anna).store([("plain", invitation(anna, "plain", text="Hello"))])
    assert foreseen(alice, anna, language="it-IT") == (
        f"{no_run}1 of 2 future meetings does not say what the settings ask for."
    )


def test_r36_it_says_when_the_user_stays_out_of_date_or_is_not_any_more(alice: Client, anna: ConferencingUser) -> None:
    outdate(anna)
    stays = "The user stays out of date: the invitations do not say what the settings ask for."

    assert foreseen(alice, anna, language="es-ES").endswith(f"does not start one. {stays}")
    assert foreseen(alice, anna, display_name="Anna R.").endswith(f"that the invitations show. {stays}")
    assert foreseen(alice, anna, language="en-US").endswith("The invitations then say what the settings ask for.")


def test_r17_a_move_on_premises_leaves_the_user_out_of_date(alice: Client, anna: ConferencingUser) -> None:
    assert foreseen(alice, anna, hosting="on-premises") == (
        "No run, because MMS does not migrate meetings from online to on-premises: use the Meeting Migration Tool "
        "instead. The user is then out of date: the invitations do not say what the settings ask for."
    )


def test_what_the_invitations_do_not_show_has_no_effect(alice: Client, anna: ConferencingUser) -> None:
    assert foreseen(alice, anna, display_name="Anna R.") == (
        "No run, because nothing changed that the invitations show."
    )


@pytest.mark.django_db(transaction=True)
def test_others_do_not_wait_while_the_meetings_are_counted(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    examine, in_transaction = outcomes.examine, []

    def noted(*args: Any, **kwargs: Any) -> Any:
        in_transaction.append(connection.in_atomic_block)
        return examine(*args, **kwargs)

    monkeypatch.setattr(outcomes, "examine", noted)
    assert "1 of 1 future meeting" in foreseen(alice, anna, bridge=new_bridge.pk)
    assert in_transaction == [False, False]


# --- bad input ----------------------------------------------------------------------------------------


def refused(client: Client, user: ConferencingUser, field: str, **edited: Any) -> str:
    """What stands at the field, when saving and when looking ahead; nothing was written."""
    before = everything_stored()
    posted = user_form(client, user.upn, **edited)
    page = client.post(page_of(user), posted)
    ahead = client.post(page_of(user), posted | {"preview": "1"}, headers={"HX-Request": "true"})
    (told,) = page.context["form"].errors[field]

    assert f'<ul class="errors" id="id_{field}_error"><li>{html.escape(told)}</li></ul>' in page.content.decode()
    assert f"{page.context['form'][field].label}: {told}" in words(ahead.content)
    assert "Nothing was saved." in words(page.content)
    assert everything_stored() == before
    return told


@pytest.mark.parametrize("setting", USER_SETTINGS, ids=lambda setting: setting.field)
def test_every_setting_can_be_changed(alice: Client, anna: ConferencingUser, setting: UserSetting) -> None:
    if setting.field == "deployment":  # offered where there is one
        assert 'name="deployment"' not in alice.get(page_of(anna)).content.decode()
        a_deployment(anna.tenant)
    assert f'name="{setting.field}"' in alice.get(page_of(anna)).content.decode()


def test_a_viewer_sees_every_setting_there_is(vera: Client, anna: ConferencingUser) -> None:
    change_user(anna, ACTOR, deployment=a_deployment(anna.tenant, kind="online"))
    (facts,) = re.findall(r'<dl class="facts">(.*?)</dl>', vera.get(page_of(anna)).content.decode(), re.DOTALL)

    assert facts.count("<dt>") == len(USER_SETTINGS) - 1  # the display name is the heading


@pytest.mark.parametrize("digits", ["12", "12345678", "0123456", "12345a7", "１２３４５６７", "1234567\n8"])
def test_a_conference_id_that_is_not_7_digits(alice: Client, anna: ConferencingUser, digits: str) -> None:
    told = refused(alice, anna, "conference_id", conference_id=digits)

    assert told == "A conference ID is 7 digits and does not begin with 0."


def test_a_conference_id_that_is_taken(alice: Client, anna: ConferencingUser, make_user: MakeUser) -> None:
    taken = make_user("bruno").conference_id
    told = refused(alice, anna, "conference_id", conference_id=taken)

    assert told == f"{taken} is already in use on the bridge Old bridge: choose another."


def test_a_number_of_another_bridge(alice: Client, anna: ConferencingUser, new_bridge: Bridge) -> None:
    told = refused(alice, anna, "toll_number", toll_number=new_bridge.numbers.get(kind="toll").pk)

    assert told == "+442079460123 is not on anna.rossi@contoso.com's bridge (Old bridge): choose one that is."


def test_a_number_of_another_kind(alice: Client, make_user: MakeUser, new_bridge: Bridge) -> None:
    anna = make_user("anna", bridge=new_bridge)
    told = refused(alice, anna, "toll_number", toll_number=new_bridge.numbers.get(kind="toll-free").pk)

    assert told == "What was chosen is not on offer any more: choose another one."


def test_r35_a_number_that_is_being_taken_off_is_not_offered(
    alice: Client, anna: ConferencingUser, leaving: ServiceNumber
) -> None:
    page = alice.get(page_of(anna)).content.decode()
    told = refused(alice, anna, "toll_number", toll_number=leaving.pk)

    assert LEAVING not in page
    assert told == "What was chosen is not on offer any more: choose another one."


def test_r35_who_has_a_number_that_is_being_taken_off_keeps_it(
    alice: Client, make_user: MakeUser, old_bridge: Bridge
) -> None:
    number = register_number(old_bridge, LEAVING, "toll", ACTOR)
    anna = make_user("anna", toll_number=number)
    set_leaving(number, True)
    answer = alice.post(page_of(anna), user_form(alice, anna.upn, display_name="Anna R."), follow=True)
    anna.refresh_from_db()

    assert "are saved." in words(answer.content)
    assert (anna.display_name, anna.toll_number) == ("Anna R.", number)


def test_r35_a_number_that_begins_to_leave_in_the_last_moment(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = register_number(old_bridge, LEAVING, "toll", ACTOR)
    posted = user_form(alice, anna.upn, toll_number=number.pk)
    wait = views.wait_for_others
    monkeypatch.setattr(views, "wait_for_others", lambda tenant: (set_leaving(number, True), wait(tenant)))
    answer = alice.post(page_of(anna), posted)
    anna.refresh_from_db()

    assert "What was chosen is not on offer any more: choose another one." in words(answer.content)
    assert anna.toll_number is None


@pytest.mark.parametrize("spelling", ["Microsoft", "microsoft ", "MICROSOFT"])
def test_microsoft_by_name_is_microsoft(alice: Client, make_user: MakeUser, wakes: list[Any], spelling: str) -> None:
    anna = make_user("anna", conferencing_provider="InterCall")
    answer = alice.post(page_of(anna), user_form(alice, anna.upn, conferencing_provider=spelling), follow=True)

    assert "the provider changed from InterCall to Microsoft." in words(answer.content)
    assert ConferencingUser.objects.get().conferencing_provider == ""


def test_what_another_admin_saves_in_the_last_moment_is_seen(
    alice: Client, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two who save at once waits for the first, and its form is held against what the first saved."""
    posted = shown(alice.get(page_of(anna)))
    wait = views.wait_for_others

    def while_another_saves(tenant: Tenant) -> None:
        change_user(anna, ACTOR, language="it-IT", display_name="Anna Bianchi")
        wait(tenant)

    monkeypatch.setattr(views, "wait_for_others", while_another_saves)
    refused = alice.post(page_of(anna), {**posted, "language": "es-ES", "sip_address": "a.rossi@contoso.com"})
    monkeypatch.undo()
    anna.refresh_from_db()
    assert "It was changed meanwhile to it-IT: look again and save once more." in words(refused.content)
    assert (anna.language, anna.sip_address) == ("it-IT", "anna.rossi@contoso.com")

    alice.post(page_of(anna), shown(refused))
    anna.refresh_from_db()
    assert (anna.language, anna.sip_address, anna.display_name) == ("es-ES", "a.rossi@contoso.com", "Anna Bianchi")
