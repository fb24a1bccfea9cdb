"""Watching migrations: the dashboard that keeps up by itself, the history, and what a run changed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run, Sample
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.worker import work_run
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.axe import violations
from tests.support.commands import invitation
from tests.support.meetings import invite
from tests.support.samples import skype_text
from tests.support.windows import Open, open_with_clock, pass_by

pytestmark = pytest.mark.browser

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
HOSTILE = '<img src=x onerror="window.ran = true">'


def test_the_dashboard_keeps_up_by_itself(open_page: Open, tenant: Tenant, anna: ConferencingUser) -> None:
    invite(anna)
    page = open_with_clock(open_page, "/contoso/")
    expect(page.get_by_role("region", name="First steps")).to_be_visible()

    start_by_hand(tenant, ConferencingUser.objects.filter(pk=anna.pk), ACTOR)
    pass_by(page, 15)
    expect(page.locator("#stat-Pending")).to_have_text(re.compile(r"1\s*Pending"))
    expect(page).to_have_title("(1 waiting) Dashboard · Contoso · MMS")
    expect(page.get_by_role("region", name="Next")).to_contain_text("Anna Rossi")

    run = queue.claim()
    assert run is not None
    pass_by(page, 2)
    expect(page.get_by_role("region", name="Running now")).to_contain_text("Looking for meetings")

    work_run(run)
    pass_by(page, 2)
    expect(page.locator("#stat-Succeeded")).to_have_text(re.compile(r"1\s*Succeeded"))
    expect(page.locator("#stat-Pending")).to_have_text(re.compile(r"0\s*Pending"))
    expect(page).to_have_title("Dashboard · Contoso · MMS")
    pass_by(page, 15)
    expect(page.locator("#announcer")).to_have_text("0 in progress, 0 pending, 0 failed, 1 succeeded")
    assert page.evaluate("window.isTheSamePage")


def test_a_refresh_leaves_the_keyboard_where_it_is(open_page: Open, make_user: MakeUser, make_run: MakeRun) -> None:
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    going = make_run(make_user("bruno"), "InProgress", total_meetings=7)
    page = open_with_clock(open_page, "/contoso/")
    retry = page.get_by_role("button", name="Retry anna@contoso.com")
    retry.focus()
    before = retry.element_handle()

    Run.objects.filter(pk=going.pk).update(succeeded_meetings=3)
    pass_by(page, 2)

    expect(page.get_by_text("3 of 7 meetings").first).to_be_visible()
    assert not before.evaluate("(button) => button.isConnected")
    expect(retry).to_be_focused()


def asked(page: Page) -> list[str]:
    """The answers to what the page asks by itself, from now on."""
    answers: list[str] = []
    page.on("response", lambda answer: "mms-shown" in answer.request.headers and answers.append(str(answer.status)))
    return answers


def looks(page: Page, *, away: bool) -> None:
    """The person goes to another tab, or comes back."""
    page.evaluate(
        """(away) => {
            Object.defineProperty(document, "hidden", { value: away, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        away,
    )


def test_the_dashboard_asks_little_while_nothing_changes(open_page: Open, make_user: MakeUser) -> None:
    make_user("anna")
    page = open_with_clock(open_page, "/contoso/")
    part = page.locator("#live").element_handle()
    with page.expect_response("**/contoso/") as first:
        pass_by(page, 15)
    with page.expect_response("**/contoso/") as second:
        pass_by(page, 15)

    assert 204 in {first.value.status, second.value.status}
    assert part.evaluate("(part) => part.isConnected")


def test_nothing_is_asked_while_nobody_looks_and_at_once_when_somebody_does(
    open_page: Open, tenant: Tenant, anna: ConferencingUser
) -> None:
    page = open_with_clock(open_page, "/contoso/")
    answers = asked(page)
    looks(page, away=True)
    start_by_hand(tenant, ConferencingUser.objects.filter(pk=anna.pk), ACTOR)
    pass_by(page, 24 * 3600)
    assert answers == []

    looks(page, away=False)
    expect(page.locator("#stat-Pending")).to_have_text(re.compile(r"1\s*Pending"))
    assert page.evaluate("window.isTheSamePage")


def test_the_dashboard_says_that_it_is_out_of_date_and_recovers(open_page: Open, faults: list[str]) -> None:
    page = open_with_clock(open_page, "/contoso/")
    warning = page.get_by_text("The server does not answer")
    asked_for: list[str] = []

    def refuse(route: Route) -> None:
        asked_for.append(route.request.url)
        route.fulfill(status=503)

    page.route("**/contoso/", refuse)
    pass_by(page, 15)
    expect(warning).to_be_visible()
    for _ in range(3600 // 15):
        pass_by(page, 15)
    # Again and again, after pauses that grow, of at most five minutes; an answer under way takes some of this hour.
    assert 1 < len(asked_for) < 40

    page.unroute("**/contoso/")
    for _ in range(60):  # the pause that it is in, and what an answer that is under way takes
        pass_by(page, 15)
        if warning.is_hidden():
            break
    expect(warning).to_be_hidden()
    assert any("answers 503" in fault for fault in faults)
    faults.clear()


def test_a_page_whose_session_has_ended_says_so_and_asks_no_more(open_page: Open) -> None:
    page = open_with_clock(open_page, "/contoso/?over=hour")
    answers = asked(page)
    page.context.clear_cookies()
    pass_by(page, 15)
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()
    count = len(answers)
    pass_by(page, 3600)
    looks(page, away=False)
    pass_by(page, 60)
    assert len(answers) == count

    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("a long pass phrase")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/contoso/\?over=hour$"))


def test_a_page_that_one_may_not_see_any_more_says_so(open_page: Open, tenant: Tenant, faults: list[str]) -> None:
    page = open_with_clock(open_page, "/contoso/")
    tenant.roles.filter(account__username="alice").delete()
    pass_by(page, 15)
    expect(page.get_by_text("not there any more, or not for you to see")).to_be_visible()
    assert any("answers 404" in fault for fault in faults)
    faults.clear()


def test_a_list_that_the_server_did_not_answer_can_be_asked_for_again(
    open_page: Open, make_user: MakeUser, make_run: MakeRun, faults: list[str]
) -> None:
    for name in ("anna", "bruno"):
        make_run(make_user(name))
    page = open_page("/contoso/migrations/")
    page.route("**/contoso/migrations/?*", lambda route: route.fulfill(status=503))
    page.get_by_role("searchbox", name="User", exact=True).fill("bruno")
    expect(page.get_by_text("The server did not answer")).to_be_visible()

    page.unroute("**/contoso/migrations/?*")
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_text("The server did not answer")).to_be_hidden()
    faults.clear()


def test_the_charts_keep_what_was_chosen_and_opened(open_page: Open, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, "InProgress", total_meetings=7)
    now = timezone.now().replace(second=0, microsecond=0)
    Sample.objects.create(tenant=anna.tenant, at=now, in_progress=1, failures={"no-bridge": 2})
    page = open_with_clock(open_page, "/contoso/")
    page.get_by_role("link", name="Last hour").click()
    expect(page).to_have_url(re.compile(r"\?over=hour$"))
    page.get_by_text("All figures", exact=True).click()
    Run.objects.filter(pk=run.pk).update(succeeded_meetings=3)
    pass_by(page, 2)

    expect(page.get_by_text("3 of 7 meetings").first).to_be_visible()
    expect(page.get_by_role("table", name="All figures: Last hour")).to_be_visible()
    expect(page.get_by_role("link", name="Last hour")).to_have_attribute("aria-current", "true")
    assert violations(page) == []


def test_it_finds_runs_by_state_and_user(open_page: Open, make_user: MakeUser, make_run: MakeRun) -> None:
    for name in ("anna", "bruno"):
        user = make_user(name)
        make_run(user, "Failed", last_error_code="no-bridge")
        make_run(user)
    page = open_page("/contoso/migrations/")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)

    page.get_by_role("combobox", name="State", exact=True).select_option("Failed")
    expect(rows).to_have_count(2)
    page.get_by_role("searchbox", name="User", exact=True).fill("BRUNO")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(re.compile(r"Bruno.*Failed", re.DOTALL))
    expect(page).to_have_url(re.compile(r"user=BRUNO&state=Failed"))

    page.get_by_role("link", name="Clear").click()
    expect(rows).to_have_count(4)
    page.go_back()
    expect(rows).to_have_count(1)


def test_it_explains_a_meeting_over_the_page(open_page: Open, anna: ConferencingUser, make_run: MakeRun) -> None:
    link = "https://meet.contoso.com/anna.rossi/OLD1KEY2"
    body = invitation(anna, "meeting-0", text=f"{HOSTILE}\n{skype_text(link)}")
    EmbeddedMailbox(anna).store([("meeting-0", body)])
    run = make_run(anna, meetings=[(HOSTILE, "Succeeded", ""), ("Gone", "Skipped", "past")])
    page = open_page(f"/contoso/migrations/{run.correlation_id}/")
    explain = page.get_by_role("link", name=f"Explain {HOSTILE}")
    explain.click()
    sheet = page.get_by_role("dialog", name=f"Explanation {HOSTILE}")

    expect(sheet.get_by_role("region", name="A run now")).to_contain_text("Would be updated")
    sheet.get_by_text("Row by row, as it stands in the invitation").click()
    expect(sheet.get_by_text(link, exact=True)).to_be_visible()
    expect(page.locator("dialog a[href^=http]")).to_have_count(0)
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert page.evaluate("window.ran") is None
    assert violations(page) == []

    sheet.get_by_role("link", name="Compare before and after").click()
    compared = page.get_by_role("dialog", name=f"Before and after {HOSTILE}")
    expect(compared.locator("del").first).to_contain_text("Join Skype Meeting")
    compared.get_by_role("link", name="Explain what a run would do with it now").click()
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(explain).to_be_focused()

    page.get_by_role("link", name="Explain Gone").click()
    expect(page.get_by_role("dialog", name="Explanation Gone")).to_contain_text("not in the mailbox any more")


def test_it_compares_before_and_after(open_page: Open, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, meetings=[(HOSTILE, "Succeeded", ""), ("Budget", "Skipped", "past")])
    page = open_page(f"/contoso/migrations/{run.correlation_id}/")
    expect(page.get_by_role("cell", name=HOSTILE, exact=True)).to_be_visible()
    compare = page.get_by_role("link", name="Compare")
    compare.click()
    sheet = page.get_by_role("dialog", name="Before and after")

    expect(sheet.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(sheet.locator("del").first).to_contain_text("Join Skype Meeting")
    expect(sheet.locator("ins").first).to_contain_text("Join online meeting")
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert page.evaluate("window.ran") is None
    assert violations(page) == []

    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(compare).to_be_focused()
    page.get_by_role("link", name="Skipped 1").click()
    expect(page.locator("#live tbody tr")).to_have_count(1)
    expect(page.locator("#live tbody tr")).to_contain_text("The meeting is over.")
