"""Starting runs in the browser: which meetings, in which service, and what it leads to before it is done (R11, R40)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run
from migrations_app.preview import plans
from migrations_app.rewriting.online_meeting import TO_BE_MADE
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.pages import shown, words
from tests.support.samples import teams_text
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
ANNA = "/contoso/users/anna@contoso.com/start/"
OPTIONS = f"{ANNA}options/"
TO_LINK = {"source_meeting_type": "SkypeForBusiness", "target_meeting_type": "Link"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def anna(make_user: MakeUser) -> ConferencingUser:
    """With a meeting of Skype for Business and one of Teams."""
    user = make_user("anna")
    teams = invitation(user, "teams", text=teams_text())
    EmbeddedMailbox(user).store([("skype", invitation(user, "skype")), ("teams", teams)])
    return user


def options(page: str, name: str) -> list[str]:
    (select,) = re.findall(rf'<select name="{name}".*?</select>', page, re.DOTALL)
    return re.findall(r'<option value="(\w+)"', select)


def explanation_of(user: ConferencingUser, uid: str) -> str:
    return reverse("user-meeting", args=["contoso", user.upn, uid])


# --- one user -------------------------------------------------------------------------------------------


def test_r11_the_page_of_a_user_starts_at_once_and_leads_to_the_options(bob: Client, anna: ConferencingUser) -> None:
    page = bob.get(f"/contoso/users/{anna.upn}/").content.decode()
    assert f'action="{ANNA}"' in page
    assert f'id="start-with-options" href="{OPTIONS}"' in page
    told = bob.post(ANNA, follow=True)

    assert "Run, because it was started by hand." in words(told.content)
    assert Run.objects.get().migration_type == "ToSameType"


def test_r11_r12_the_page_of_a_user_follows_the_run_and_gives_the_reason_instead_of_the_button(
    bob: Client, anna: ConferencingUser, tenant: Tenant
) -> None:
    address = f"/contoso/users/{anna.upn}/"

    def page(client: Client = bob) -> str:
        return client.get(address).content.decode()

    def live() -> str:
        return bob.get(address, headers={"HX-Request": "true"}).content.decode()

    refreshes = f'hx-get="{address}" hx-trigger="every'
    assert refreshes not in page()
    bob.post(ANNA)
    run = Run.objects.get()
    of_run = f'href="/contoso/migrations/{run.correlation_id}/"'
    assert f"{refreshes} 2s" in page()
    assert f'action="{ANNA}"' not in page()
    assert of_run in live()
    assert "begins as soon as a worker is free" in words(live().encode())
    Run.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert f"{refreshes} 15s" in live()
    assert "Run now" in live()
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    assert "waits until the service is on" in words(live().encode())
    assert "Run now" not in live()
    Run.objects.update(state="Succeeded", finished_at=timezone.now())
    ended = words(live().encode())
    assert "The run has ended. Show what it has changed" in ended
    assert "No run can be started while the service is off" in ended
    assert refreshes not in live()
    assert f'action="{ANNA}"' not in page()
    change_tenant(tenant, ACTOR, meeting_migration_enabled=True)
    assert f'action="{ANNA}"' in page()


def test_r40_the_options_say_what_the_run_would_do_and_start_nothing(bob: Client, anna: ConferencingUser) -> None:
    before = everything_stored()
    usual = bob.get(OPTIONS).content
    moving = bob.get(OPTIONS, TO_LINK, headers=HTMX).content

    assert everything_stored() == before
    assert options(usual.decode(), "source_meeting_type") == ["All", "SkypeForBusiness", "Teams", "Link"]
    assert options(usual.decode(), "target_meeting_type") == ["Current", "Link"]
    assert "Meetings that change 2 Invitations sent 2" in words(usual)
    assert "2 would stay in their meeting service." in words(usual)
    assert "<html" not in moving.decode()
    assert "1 would move from Skype for Business to Link and 1 would stay in its meeting service." in words(moving)
    assert 'name="target_meeting_type" value="Link"' in moving.decode()


def test_r40_the_list_of_meetings_says_of_each_whether_it_moves(bob: Client, anna: ConferencingUser) -> None:
    address = f"/contoso/users/{anna.upn}/meetings/"
    moving = bob.get(OPTIONS, TO_LINK).content.decode()
    assert f"{address}?source_meeting_type=SkypeForBusiness&amp;target_meeting_type=Link" in moving
    usual, moved = words(bob.get(address).content), words(bob.get(address, TO_LINK).content)

    assert "Would be updated Stays in Skype for Business" in usual
    assert "Would be updated Moves from Skype for Business to Link" in moved
    assert "Stays in Teams" in usual
    assert "Stays in Teams" in moved


def test_r40_the_explanation_beside_it_is_of_the_run_that_was_chosen(bob: Client, anna: ConferencingUser) -> None:
    address = f"/contoso/users/{anna.upn}/meetings/"
    page = bob.get(address, TO_LINK).content.decode()
    skype, teams = (re.findall(rf'href="({explanation_of(anna, uid)}[^"]*)"', page) for uid in ("skype", "teams"))
    moving = words(bob.get(html.unescape(skype[0])).content)

    assert "Would be updated A run would replace DESCRIPTION" in moving
    assert "In this run Skype for Business meetings move to Link" in moving
    assert TO_BE_MADE in moving
    left = words(bob.get(html.unescape(teams[0])).content)
    assert "Would be skipped The run was started for meetings of other services" in left
    usual = words(bob.get(explanation_of(anna, "skype")).content)
    assert "Would be updated" in usual
    assert "In this run" not in usual
    assert TO_BE_MADE not in usual


def test_r40_the_explanation_is_of_the_run_that_a_start_would_join(
    vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "Pending", targets={"SkypeForBusiness": "Link"})
    told = words(vera.get(explanation_of(anna, "skype")).content)
    assert "In this run Skype for Business meetings move to Link, and all others stay in their service." in told


def test_r40_it_starts_what_was_chosen(bob: Client, anna: ConferencingUser) -> None:
    told = bob.post(ANNA, TO_LINK, follow=True)
    run = Run.objects.get()

    assert told.redirect_chain[-1][0] == f"/contoso/users/{anna.upn}/"
    assert "Run, because it was started by hand: Skype for Business meetings move to Link" in words(told.content)
    assert (run.targets, run.migration_type) == ({"SkypeForBusiness": "Link"}, "SkypeForBusinessToLink")
    assert run.due_at <= run.created
    assert AuditEntry.objects.get(action="start migration").actor == "bob"


@pytest.mark.parametrize(
    "posted",
    [
        {"source_meeting_type": "Zoom", "target_meeting_type": "Current"},
        {"source_meeting_type": "All", "target_meeting_type": "Teams"},
    ],
)
@pytest.mark.parametrize("address", [ANNA, "/contoso/users/selected/start/?q=anna&all=1"])
def test_r40_types_that_are_not_offered_are_refused_and_nothing_starts(
    bob: Client, anna: ConferencingUser, tenant: Tenant, posted: dict[str, str], address: str
) -> None:
    told = bob.post(address, posted, follow=True)

    assert told.status_code == 200
    assert re.search("“Zoom” is not on offer|Teams is not a meeting service of Contoso", words(told.content))
    assert not Run.objects.exists()


def test_r39_where_no_service_makes_meetings_only_their_own_is_offered(bob: Client, anna: ConferencingUser) -> None:
    Tenant.objects.update(meeting_service="none")

    assert options(bob.get(OPTIONS).content.decode(), "target_meeting_type") == ["Current"]


def test_r15_a_user_whom_mms_cannot_serve_is_not_offered_a_start(bob: Client, make_user: MakeUser) -> None:
    clara = make_user("clara", mailbox_location="on-premises")
    page = bob.get(f"/contoso/users/{clara.upn}/start/options/")

    assert "No run starts, so the invitations stay as they are." in words(page.content)
    assert "Start 1 run" not in words(page.content)


# --- those who are selected -----------------------------------------------------------------------------


def test_r40_what_is_started_for_many_says_what_it_would_do(
    bob: Client, anna: ConferencingUser, make_user: MakeUser, new_bridge: Bridge
) -> None:
    make_user("bruno", bridge=new_bridge)
    address = f"/contoso/users/selected/start/?bridge={anna.bridge_id}&all=1"
    page = bob.get(address)
    counted = bob.get(f"{address}&count=exactly", TO_LINK | {"bridge": anna.bridge_id, "all": 1, "count": "exactly"})

    assert "Start a run for 1 user?" in words(page.content)
    assert f'<input type="hidden" name="bridge" value="{anna.bridge_id}">' in page.content.decode()
    assert "1 would move from Skype for Business to Link" in words(counted.content)


def test_r40_too_many_meetings_to_look_at_each_are_said_to_be_so(
    bob: Client, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "MOST_AT_ONCE", 1)
    page = words(bob.get("/contoso/users/selected/start/?all&count=exactly").content)

    assert "There are too many meetings to look at each while you wait" in page
    assert "Their future meetings 2" in page


def test_r40_runs_that_would_fail_are_counted(bob: Client, anna: ConferencingUser, make_user: MakeUser) -> None:
    make_user("bruno", bridge=None)

    assert "1 run would fail before looking at any meeting." in words(
        bob.get("/contoso/users/selected/start/?all&count=exactly").content
    )


# --- what was done --------------------------------------------------------------------------------------


def test_r44_history_and_the_page_of_a_run_say_what_moved(vera: Client, make_user: MakeUser, make_run: MakeRun) -> None:
    nora = make_user("nora")
    meetings = [("Budget", "Succeeded", ""), ("Plan", "Succeeded", "")]
    targets = {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"}
    run = make_run(nora, "Succeeded", meetings, targets=targets, migration_type="SkypeForBusinessToLink")
    make_run(make_user("olga"), "Succeeded")
    budget, plan = run.results.order_by("pk")
    run.results.filter(pk=budget.pk).update(
        meeting_service="SkypeForBusiness", join_url_before="https://lync/b", join_url_after="https://meet/b"
    )
    run.results.filter(pk=plan.pk).update(
        meeting_service="Teams", join_url_before="https://teams/p", join_url_after="https://teams/p"
    )
    history = words(vera.get("/contoso/migrations/?migration_type=SkypeForBusinessToLink").content)
    page = words(vera.get(f"/contoso/migrations/{run.correlation_id}/").content)
    meeting = words(vera.get(f"/contoso/migrations/{run.correlation_id}/meetings/{budget.pk}/").content)

    assert "nora@contoso.com" in history
    assert "olga@contoso.com" not in history
    assert "1 moved from Skype for Business to Link and 1 stayed in its meeting service." in page
    assert "Updated Moved from Skype for Business to Link" in page.replace("Succeeded", "Updated")
    assert "Stayed in Teams" in page
    assert "Join link before https://lync/b Join link after https://meet/b" in meeting


def test_r40_the_page_of_a_pending_run_says_what_it_is_about(
    vera: Client, make_user: MakeUser, make_run: MakeRun
) -> None:
    run = make_run(make_user("nora"), "Pending", targets={"Teams": "Current"})
    page = words(vera.get(f"/contoso/migrations/{run.correlation_id}/").content)

    assert "Teams meetings stay in their service, and meetings of other services are left alone." in page


def test_a_start_from_a_page_says_that_something_has_changed_since(bob: Client, anna: ConferencingUser) -> None:
    address = "/contoso/users/selected/start/?q=anna&all=1"
    form = shown(bob.get(f"{address}&count=exactly"))
    EmbeddedMailbox(anna).store([("late", invitation(anna, "late"))])
    told = bob.post(address, form, follow=True)
    assert "Settings or meetings have changed since you looked, so nothing was started" in words(told.content)
    assert not Run.objects.exists()
    bob.post(address, shown(told))
    assert Run.objects.get().user == anna
