"""The page of one's own account: password, sessions, name, and how one sees the pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.translation import gettext, override

from migrations_app.models import Plan
from migrations_app.monitoring import clock
from mms_site.accounts.sessions import in_words
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import prefer
from tenants_app.changes.invitations import invite
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AccountEvent, AuditEntry, Invitation, Preferences, Tenant
from tests.support.actors import ACTOR
from tests.support.together import WORKERS, together
from tests.support.visitors import sign_in

pytestmark = pytest.mark.django_db

OWN = "/accounts/own/"
PASSWORD, NEW = "a long pass phrase", "violet otter plays"
CHANGE = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:135.0) Gecko/20100101 Firefox/135.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
    "Mobile/15E148 Safari/604.1"
)


def enter(name: str = "alice", password: str = PASSWORD, agent: str = FIREFOX) -> Client:
    client = Client(headers={"User-Agent": agent})
    assert client.post("/accounts/login/", {"username": name, "password": password}).status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/contoso/").status_code == 200


def text(answer: Any) -> str:
    """What the page says, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


# --- the password -------------------------------------------------------------------------------------


def test_a_changed_password_ends_all_other_sessions(cast: None) -> None:
    here, elsewhere = enter(), enter()
    answer = here.post(f"{OWN}password/", CHANGE, follow=True)

    assert "All other sessions have ended." in text(answer)
    assert is_signed_in(here)
    assert not is_signed_in(elsewhere)
    assert UserSession.objects.get().session_key == here.session.session_key
    assert User.objects.get(username="alice").check_password(NEW)
    assert AuditEntry.objects.get(action="change password", tenant__slug="contoso").target == "alice"
    assert "1 other session was ended" in AccountEvent.objects.get(what="change password").detail


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"old_password": "not it"}, "That is not your current password."),
        ({"old_password": ""}, "Fill this in: it must not be empty."),
        ({"new_password2": "violet otter"}, "The two passwords differ"),
        ({"new_password1": "12345678", "new_password2": "12345678"}, "numeric"),
        ({"new_password1": "alice1", "new_password2": "alice1"}, "too short"),
    ],
)
def test_a_password_that_cannot_be_taken_changes_nothing(cast: None, wrong: dict[str, str], told: str) -> None:
    here, elsewhere = enter(), enter()
    page = text(here.post(f"{OWN}password/", CHANGE | wrong))

    assert told in page
    assert is_signed_in(here)
    assert is_signed_in(elsewhere)
    assert not AccountEvent.objects.filter(what="change password").exists()


def test_an_open_browser_does_not_help_to_guess_the_password(cast: None) -> None:
    here = enter()
    for _ in range(5):
        here.post(f"{OWN}password/", CHANGE | {"old_password": "a guess"})

    assert "too many tries" in text(here.post(f"{OWN}password/", CHANGE))
    assert User.objects.get(username="alice").check_password(PASSWORD)


def test_who_has_no_password_is_offered_none(cast: None, alice: Client) -> None:
    account = User.objects.get(username="alice")
    account.set_unusable_password()
    account.save()
    alice.force_login(account, "mms_site.accounts.backends.AccountBackend")

    assert 'name="old_password"' not in alice.get(OWN).content.decode()
    assert alice.post(f"{OWN}password/", CHANGE).url == OWN
    assert not User.objects.get(username="alice").has_usable_password()


# --- sessions -----------------------------------------------------------------------------------------


def test_it_shows_where_one_is_signed_in_and_nobody_else(cast: None) -> None:
    here = enter()
    enter(agent=SAFARI)
    enter("bob", agent="curl/8")
    page = text(here.get(OWN))

    assert page.index("Firefox on Windows") < page.index("You are here") < page.index("Safari on iPhone")
    assert "From 127.0.0.1" in page
    assert "Unknown browser" not in page


def test_one_session_is_ended(cast: None) -> None:
    here, elsewhere, third = enter(), enter(agent=SAFARI), enter()
    there = UserSession.objects.get(session_key=elsewhere.session.session_key)
    here.post(f"{OWN}sessions/{there.pk}/end/")

    assert [is_signed_in(each) for each in (here, elsewhere, third)] == [True, False, True]
    assert AccountEvent.objects.get(what="end sessions").detail == "1 session was ended."


def test_all_others_are_ended(cast: None) -> None:
    here, elsewhere, third = enter(), enter(), enter()
    told = text(here.post(f"{OWN}sessions/end-others/", follow=True))

    assert "2 other sessions have ended." in told
    assert [is_signed_in(each) for each in (here, elsewhere, third)] == [True, False, False]
    assert "signed in nowhere else" in text(here.post(f"{OWN}sessions/end-others/", follow=True))


def test_nobody_ends_the_session_of_somebody_else_or_their_own_by_mistake(cast: None) -> None:
    here, bob = enter(), enter("bob")
    of_bob = UserSession.objects.get(user__username="bob")
    own = UserSession.objects.get(user__username="alice")

    assert "ended already" in text(here.post(f"{OWN}sessions/{of_bob.pk}/end/", follow=True))
    assert "sign out instead" in text(here.post(f"{OWN}sessions/{own.pk}/end/", follow=True))
    assert is_signed_in(here)
    assert is_signed_in(bob)


def test_its_use_is_noted_now_and_then_and_not_for_each_page(cast: None, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        here = enter()
    with time_machine.travel(now + timedelta(minutes=4), tick=False):
        here.get(OWN)
    assert UserSession.objects.get().last_seen_at == now
    with time_machine.travel(now + timedelta(minutes=6), tick=False):
        here.get(OWN, headers={"User-Agent": SAFARI})
    used = UserSession.objects.get()
    assert used.last_seen_at == now + timedelta(minutes=6)
    assert used.user_agent == SAFARI


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (SAFARI, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36 Edg/131.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 "
            "Safari/605.1.15",
            "Safari on macOS",
        ),
        ("curl/8.5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_are_named_as_people_call_them(agent: str, words: str) -> None:
    assert in_words(agent) == words


# --- how one sees the pages ---------------------------------------------------------------------------


def test_name_and_preferences_are_kept_and_audited(cast: None, alice: Client) -> None:
    alice.post(f"{OWN}name/", {"full_name": " Alice   Keller Frey "})
    alice.post(f"{OWN}preferences/", {"language": "en", "time_zone": "america/new york", "theme": "dark"})

    account = User.objects.get(username="alice")
    assert (account.first_name, account.last_name) == ("Alice", "Keller Frey")
    kept = Preferences.objects.get(account=account)
    assert (kept.language, kept.time_zone, kept.theme) == ("en", "America/New_York", "dark")
    assert 'data-bs-theme="dark"' in alice.get(OWN).content.decode()
    assert list(AccountEvent.objects.values_list("what", flat=True)) == ["change preferences", "change name"]

    alice.post(f"{OWN}preferences/", {"language": "", "time_zone": "", "theme": ""})
    assert 'data-theme="auto"' in alice.get(OWN).content.decode()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"language": "tlh"}, "There is no such language here"),
        ({"language": "../../etc"}, "There is no such language here"),
        ({"time_zone": "Europe/Atlantis"}, "There is no time zone of that name"),
        ({"time_zone": "/etc/passwd"}, "There is no time zone of that name"),
        ({"theme": "pink"}, "There are no such colours"),
    ],
)
def test_what_does_not_exist_is_not_kept(cast: None, alice: Client, wrong: dict[str, str], told: str) -> None:
    answer = alice.post(f"{OWN}preferences/", {"language": "en", "time_zone": "", "theme": ""} | wrong)

    assert told in text(answer)
    assert not Preferences.objects.exists()
    events = list(AccountEvent.objects.values_list("name", "what", "detail"))
    assert events == [("alice", "refuse language", wrong[name]) for name in ["language"] if name in wrong]


def test_the_menu_of_colours_and_the_page_are_one(cast: None, alice: Client) -> None:
    alice.post("/accounts/theme/", {"theme": "light"})
    assert Preferences.objects.get().theme == "light"
    other = Client()
    other.force_login(User.objects.get(username="alice"), "mms_site.accounts.backends.AccountBackend")
    assert 'data-bs-theme="light"' in other.get(OWN).content.decode()

    alice.post("/accounts/theme/", {"theme": "auto"})
    assert 'data-theme="auto"' in other.get(OWN).content.decode()
    alice.post("/accounts/theme/", {"theme": "pink"})
    assert Preferences.objects.get().theme == ""


def test_a_visitor_keeps_the_colours_in_the_browser(cast: None) -> None:
    visitor = Client()
    visitor.post("/accounts/theme/", {"theme": "dark"})

    assert 'data-bs-theme="dark"' in visitor.get("/accounts/login/").content.decode()
    assert not Preferences.objects.exists()


def test_times_are_shown_in_the_time_zone_of_the_person_and_plans_in_the_tenants(
    cast: None, alice: Client, tenant: Tenant, make_run: Any, make_user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_tenant(tenant, ACTOR, time_zone="Europe/Rome")
    ended = datetime(2026, 7, 1, 12, tzinfo=UTC)
    run = make_run(make_user(), due_at=ended, started_at=ended, finished_at=ended)
    page = f"/contoso/migrations/{run.correlation_id}/"
    assert "1 Jul 2026, 14:00 CEST" in text(alice.get(page))

    alice.post(f"{OWN}preferences/", {"language": "", "time_zone": "Asia/Tokyo", "theme": ""})
    assert "1 Jul 2026, 21:00 JST" in text(alice.get(page))
    assert "1 Jul 2026, 14:00 CEST" in text(sign_in("vera").get(page))
    monkeypatch.setattr(clock, "now", timezone.now)
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False):
        alice.post("/contoso/users/selected/start/?all", {"not_before": "Saturday 22:00"})
    plan = Plan.objects.get()
    assert plan.not_before == datetime(2026, 12, 5, 21, tzinfo=UTC)
    assert "Saturday 5 December 2026, 22:00, Rome time" in text(alice.get(f"/contoso/users/planned/{plan.pk}/"))


def test_a_language_that_is_chosen_on_a_page_is_that_of_the_account(cast: None, alice: Client) -> None:
    alice.post("/accounts/language/", {"language": "es", "next": "/contoso/"})
    assert Preferences.objects.get().language == "es"
    assert alice.post("/accounts/language/", {"language": "tlh"}).status_code == 400
    assert Preferences.objects.get().language == "es"


def test_the_language_is_that_of_the_account_and_no_browser_keeps_it_longer(cast: None, alice: Client) -> None:
    alice.post(f"{OWN}preferences/", {"language": "it", "time_zone": "", "theme": ""})
    assert '<html lang="it"' in alice.get(OWN).content.decode()
    alice.post(f"{OWN}preferences/", {"language": "", "time_zone": "", "theme": ""})
    assert '<html lang="es"' in alice.get(OWN, headers={"Accept-Language": "es"}).content.decode()


def test_that_it_was_saved_is_told_as_the_browser_asks_where_it_decides_again(cast: None, alice: Client) -> None:
    alice.post(f"{OWN}preferences/", {"language": "en", "time_zone": "", "theme": ""})
    chosen = {"language": "", "time_zone": "", "theme": ""}
    told = alice.post(f"{OWN}preferences/", chosen, follow=True, headers={"accept-language": "es"})
    with override("es"):
        saved = gettext("Saved: this is how you see the pages from now on.")
    assert [str(each) for each in told.context["messages"]][-1] == saved
    assert not saved.startswith("Saved")


@pytest.mark.django_db(transaction=True)
def test_what_is_chosen_twice_at_once_is_kept(cast: None) -> None:
    actor = Actor("bob", Channel.SCREEN)
    bobs = [User.objects.get(username="bob") for _ in range(WORKERS)]
    together(lambda number: prefer(bobs[number], actor, theme="dark"))
    assert Preferences.objects.get().theme == "dark"


@pytest.mark.django_db(transaction=True)
def test_of_invitations_at_once_one_is_left(tenant: Tenant) -> None:
    together(lambda _number: invite(tenant, ACTOR, "yves@contoso.com", "viewer"))
    assert Invitation.objects.count() == 1
