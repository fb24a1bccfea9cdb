"""The ten top jobs of docs/administration.md, without a mouse and again without JavaScript, in the clicks it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from migrations_app.models import LeftMeeting, NumberRelease, Run
from migrations_app.procedures import user_import
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate
from tests.support.windows import Open

pytestmark = pytest.mark.browser

PAGE = Path(__file__).resolve().parents[2] / "docs/administration.md"
OLD, NEW = "+14255550111", "+14255550122"
MOST_TABS = 200


class Visitor:
    """Somebody with a keyboard alone. A click is an Enter, or a space bar, on what can be clicked."""

    def __init__(self, page: Page, keys: bool) -> None:
        self.page, self.keys, self.clicks = page, keys, 0

    def reach(self, there: Locator) -> None:
        """Go there as the Tab key does: forwards, from where one is."""
        expect(there).to_be_visible()
        for _ in range(MOST_TABS):
            if there.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not come to {there}")

    def click(self, there: Locator) -> None:
        self.reach(there)
        self.page.keyboard.press("Enter")
        self.clicks += 1

    def search(self, text: str) -> None:
        """Type it into the box, and look at all that is found."""
        if self.keys:
            self.page.keyboard.press("/")
        else:
            self.reach(self.page.locator("#search-box"))
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.clicks += 1
        self.page.wait_for_url("**/contoso/search/?q=*")

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=re.compile(name)).first

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role("button", name=re.compile(name)).first


@pytest.fixture
def anna(make_user: Callable[..., ConferencingUser], tenant: Tenant) -> ConferencingUser:
    """Anna, whose run has changed a meeting with the number; Bruno, whose run failed; Clara, who is out of date."""
    anna = make_user("anna.rossi")
    assert anna.bridge
    number = register_number(anna.bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")
    ConferencingUser.objects.filter(pk=anna.pk).update(toll_number=number)
    anna.refresh_from_db()
    uid, _ = invite(anna)
    run = migrate(anna)
    bruno, clara = make_user("bruno.costa"), make_user("clara.sanz")
    at = timezone.now()
    Run.objects.create(
        tenant=tenant, user=bruno, state="Failed", due_at=at, finished_at=at, last_error_code="mailbox-unavailable"
    )
    invite(clara)
    ConferencingUser.objects.filter(pk=clara.pk).update(invitations_fingerprint="0" * 32)
    LeftMeeting.objects.create(
        tenant=tenant,
        user=anna,
        uid=uid,
        subject="Left alone",
        starts_at=at,
        last_end=at + timedelta(days=9),
        run=run,
        code="unreadable-calendar-object",
    )
    change_tenant(tenant, ACTOR, settling_time=3600)
    return anna


def find_who_failed(visitor: Visitor) -> None:
    card = visitor.page.get_by_role("region", name="Needs attention")
    expect(card).to_contain_text("Bruno Costa")
    expect(card).to_contain_text("The mailbox could not be reached")


def tell_a_caller(visitor: Visitor) -> None:
    run = Run.objects.get(state="Succeeded")
    subject = run.results.get().subject
    visitor.search(subject)
    visitor.click(visitor.link(re.escape(subject)))
    visitor.page.wait_for_url("**/story/")
    expect(visitor.page.get_by_role("main")).to_contain_text("The block was changed")


def start_all_who_failed(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("#retry-all"))
    visitor.click(visitor.button("^Start 1 run"))
    expect(visitor.page.get_by_role("main")).to_contain_text("Bruno")
    assert Run.objects.filter(user__upn="bruno.costa@contoso.com", state="Pending").exists()


def start_who_is_out_of_date(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("#start-out-of-date"))
    visitor.click(visitor.button("^Start [0-9]+ run"))
    visitor.page.wait_for_url("**/users/actions/**")
    assert Run.objects.filter(user__upn="clara.sanz@contoso.com", state="Pending").exists()


def replace_a_number(visitor: Visitor) -> None:
    visitor.search("(425) 555-0111")
    visitor.click(visitor.link(re.escape(OLD)))
    visitor.reach(visitor.page.get_by_label("The number that takes its place", exact=True))
    visitor.page.keyboard.type(NEW)
    visitor.click(visitor.button("Show what replacing it starts"))
    visitor.click(visitor.button("Replace the number"))
    visitor.page.wait_for_url("**/releases/**")
    assert NumberRelease.objects.get().replacement_e164 == NEW


def undo_a_run(visitor: Visitor) -> None:
    run = Run.objects.get(state="Succeeded")
    visitor.search(str(run.correlation_id)[:8])
    visitor.click(visitor.link(str(run.correlation_id)))
    visitor.click(visitor.page.locator("#undo-run"))
    visitor.click(visitor.button("Put them back"))
    visitor.page.wait_for_url(re.compile(r"/migrations/[0-9a-f-]{36}/$"))
    assert Run.objects.get(undoes=run).user_id == run.user_id


def see_what_a_change_starts(visitor: Visitor) -> None:
    visitor.search("ANNA")
    visitor.click(visitor.link("Anna Rossi"))
    visitor.page.wait_for_load_state("networkidle")  # the page fetches the user's meetings by itself
    visitor.page.get_by_label("Language").fill("it-IT")
    visitor.click(visitor.button("Show what saving would start"))
    expect(visitor.page.locator("#consequence")).to_contain_text(re.compile("(Run|No run), because"))
    visitor.page.wait_for_load_state("networkidle")
    assert ConferencingUser.objects.get(upn="anna.rossi@contoso.com").language == "en-US"


def switch_the_service_off(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("#switch-MeetingMigrationEnabled"))
    visitor.click(visitor.button("Switch it off"))
    expect(visitor.page.get_by_role("main")).to_contain_text("The service is off")
    assert not Tenant.objects.get(slug="contoso").meeting_migration_enabled


def import_users(visitor: Visitor) -> None:
    text = b"UserPrincipalName,DisplayName\ndora.lind@contoso.com,Dora Lind\n"
    visitor.click(visitor.page.get_by_role("navigation", name="Contoso").get_by_role("link", name="Users"))
    visitor.click(visitor.link("Import users"))
    visitor.page.locator("#id_file").set_input_files({"name": "users.csv", "mimeType": "text/csv", "buffer": text})
    visitor.click(visitor.button("Show what would change"))
    visitor.page.wait_for_url(re.compile(r"/users/import/[0-9]+/$"))
    user_import.advance(timezone.now() + TIME_BUDGET)
    visitor.page.reload()
    visitor.click(visitor.button("^Apply to 1 user"))
    expect(visitor.page.locator("#apply")).to_have_count(0)
    user_import.advance(timezone.now() + TIME_BUDGET)
    assert ConferencingUser.objects.filter(upn="dora.lind@contoso.com").exists()


def see_to_a_meeting(visitor: Visitor) -> None:
    visitor.click(visitor.page.locator("#stat-Left"))
    visitor.click(visitor.link("Left alone"))
    visitor.click(visitor.page.locator("#deal-with"))
    visitor.page.wait_for_load_state()
    expect(visitor.page.get_by_role("main")).to_contain_text("Dealt with")
    assert LeftMeeting.objects.get().state == "DealtWith"


JOBS: dict[str, Callable[[Visitor], None]] = {
    "Find who failed, and why": find_who_failed,
    "Tell a caller about one meeting": tell_a_caller,
    "Start all who failed again": start_all_who_failed,
    "Start everyone who is out of date": start_who_is_out_of_date,
    "Replace a number": replace_a_number,
    "Undo a run": undo_a_run,
    "See what a change of a user would start": see_what_a_change_starts,
    "Switch the service off": switch_the_service_off,
    "Import users": import_users,
    "See to a meeting that needs a person": see_to_a_meeting,
}


def promised() -> dict[str, int]:
    """What the table says: each job with its clicks."""
    part = PAGE.read_text(encoding="utf-8").partition("## The ten top jobs, in clicks")[2].partition("\n## ")[0]
    return {job: int(clicks) for job, clicks in re.findall(r"^\| ([^|]+) \| ([0-9]+) \|", part, re.MULTILINE)}


def test_the_table_has_these_jobs() -> None:
    assert list(promised()) == list(JOBS)
    assert len(JOBS) == 10


@pytest.mark.parametrize("java_script_enabled", [True, False], ids=["keyboard", "without JavaScript"])
@pytest.mark.parametrize("job", JOBS)
def test_it_takes_as_many_clicks_as_the_table_says(
    open_page: Open, anna: ConferencingUser, job: str, java_script_enabled: bool
) -> None:
    page = open_page("/contoso/", java_script_enabled=java_script_enabled)
    visitor = Visitor(page, keys=java_script_enabled)
    JOBS[job](visitor)

    assert visitor.clicks == promised()[job]
