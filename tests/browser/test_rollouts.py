"""Section 11 of the specification in a browser alone: users leave an old pool for a new service, wave by wave."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from migrations_app import tasks
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import RolloutCheck, Wave, WaveMember
from migrations_app.monitoring.health import beat
from tenants_app.changes.bridges import register_number
from tenants_app.models import Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.axe import violations
from tests.support.meetings import invite
from tests.support.rollouts import a_deployment, belong_to
from tests.support.windows import Open

pytestmark = pytest.mark.browser

NEW = "https://join.contoso.com"
ROLLOUT = "/contoso/rollouts/{}/"
Kind = RolloutCheck.Kind


@pytest.fixture
def users(
    tenant: Tenant, make_user: Callable[..., ConferencingUser], old_bridge: Bridge, new_bridge: Bridge, outbox: Path
) -> list[ConferencingUser]:
    """Five users of the old pool with a meeting each; the bridge of the second has no number on the new side yet."""
    branch = Bridge.objects.create(tenant=tenant, name="Branch")
    register_number(branch, "+14255550150", "toll", ACTOR, country="United States")
    empty = Bridge.objects.create(tenant=tenant, name="New branch")
    made = [make_user(name) for name in ("anna.rossi", "clara.sanz", "dora.lind", "emil.berg")]
    made.insert(1, make_user("bruno.costa", bridge=branch))
    legacy = a_deployment(tenant, meeting_hosts=["meet.contoso.com"])
    a_deployment(tenant, "new", meeting_hosts=["join.contoso.com"], meeting_url=NEW, meeting_service="link")
    belong_to(legacy, made, old_bridge, branch)
    belong_to(Deployment.objects.get(role="new"), [], new_bridge, empty)
    for user in made:
        invite(user)
    return made


def work() -> None:
    """The background service does what there is to do."""
    beat()
    for _ in range(12):
        tasks.work_queue()


def field(page: Page, name: str) -> Locator:
    """The field of that name in the form of the page."""
    return page.locator(f"main [name={name}]")


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def answer(page: Page, pk: int, wave: str, said: str = "Yes", note: str = "") -> None:
    """Answer each question before the wave; before retirement where it has no name."""
    checks = RolloutCheck.objects.filter(kind=Kind.MANUAL, removed_at=None)
    for check in checks.filter(wave__name=wave) if wave else checks.filter(wave=None):
        answer_one(page, pk, check, said, note)


def answer_one(page: Page, pk: int, check: RolloutCheck, said: str = "Yes", note: str = "") -> None:
    page.goto(f"{ROLLOUT.format(pk)}checks/{check.pk}/")
    field(page, "answer").select_option(label=said)
    field(page, "note").fill(note)
    press(page, "Answer")


def state(name: str) -> str:
    return Wave.objects.get(name=name).state


def start(page: Page, pk: int, number: int) -> None:
    page.goto(f"{ROLLOUT.format(pk)}waves/{number}/start/")
    press(page, "Start it")


def test_the_whole_story_of_a_rollout(open_page: Open, users: list[ConferencingUser], tmp_path: Path) -> None:
    page = open_page("/contoso/rollouts/")
    field(page, "name").fill("To the new service")
    field(page, "legacy").select_option(label="Old pool")
    field(page, "new").select_option(label="New service")
    press(page, "Define the rollout")
    found = re.search(r"/rollouts/(\d+)/", page.url)
    assert found, page.url
    pk = int(found[1])
    expect(page.get_by_role("heading", level=1)).to_have_text("To the new service")
    the_checklist_without_servers(page, pk)
    the_waves_get_their_members(page, pk, users)
    a_check_closes_the_gate_and_opens_it(page, pk)
    the_test_user_moves_and_is_accepted(page, pk)
    the_pilot_stops_is_put_right_and_goes_on(page, pk)
    everyone_moves_and_is_taken_back(page, pk, users)
    they_move_again_and_the_old_pool_is_retired(page, pk, users, tmp_path)


def the_checklist_without_servers(page: Page, pk: int) -> None:
    for check in RolloutCheck.objects.exclude(kind__in=[Kind.MANUAL, Kind.RUNS]):
        page.goto(f"{ROLLOUT.format(pk)}checks/{check.pk}/remove/")
        field(page, "reason").fill("There are no servers here.")
        press(page, "Remove the check")
    for check in RolloutCheck.objects.filter(kind=Kind.RUNS):
        page.goto(f"{ROLLOUT.format(pk)}checks/{check.pk}/remove/")
        field(page, "reason").fill("Shown to work by a test of its own.")
        press(page, "Remove the check")
    page.goto(ROLLOUT.format(pk) + "settings/")
    field(page, "batches").fill("1, 10")
    press(page, "Save changes")
    page.goto(ROLLOUT.format(pk) + "mapping/")
    page.get_by_label("Old bridge", exact=True).select_option(label="New bridge")
    page.get_by_label("Branch", exact=True).select_option(label="New branch")
    press(page, "Save changes")


def the_waves_get_their_members(page: Page, pk: int, users: list[ConferencingUser]) -> None:
    anna, bruno, clara, *_ = users
    for number, members in ((1, [anna]), (2, [bruno, clara])):
        page.goto(f"{ROLLOUT.format(pk)}waves/{number}/members/")
        field(page, "names").fill("\n".join(user.upn for user in members))
        press(page, "Add to the wave")
        page.goto(f"{ROLLOUT.format(pk)}waves/{number}/settings/")
        field(page, "observe_days").fill("0")
        press(page, "Save changes")
    assert WaveMember.objects.count() == 3


def a_check_closes_the_gate_and_opens_it(page: Page, pk: int) -> None:
    answer(page, pk, "Test users")
    check = RolloutCheck.objects.filter(wave__name="Test users", kind=Kind.MANUAL, removed_at=None).latest("position")
    answer_one(page, pk, check, "No", "The console does not open.")
    page.goto(f"{ROLLOUT.format(pk)}waves/1/")
    expect(page.get_by_role("region", name="Gate")).to_contain_text("Gate closed")
    expect(page.get_by_role("region", name="Gate")).to_contain_text(str(check.name))
    answer_one(page, pk, check)
    page.goto(f"{ROLLOUT.format(pk)}waves/1/")
    expect(page.get_by_role("region", name="Gate")).to_contain_text("Gate open")


def the_test_user_moves_and_is_accepted(page: Page, pk: int) -> None:
    start(page, pk, 1)
    work()
    page.goto(f"{ROLLOUT.format(pk)}waves/1/")
    expect(page.get_by_text("1 of 1 members have ended.")).to_be_visible()
    page.get_by_role("link", name="Accept", exact=True).click()
    press(page, "Accept the wave")
    assert state("Test users") == "Completed"


def the_pilot_stops_is_put_right_and_goes_on(page: Page, pk: int) -> None:
    answer(page, pk, "Pilot")
    start(page, pk, 2)
    work()
    page.goto(f"{ROLLOUT.format(pk)}waves/2/")
    expect(page.get_by_text("The wave has stopped by itself: nobody else is moved.")).to_be_visible()
    register_number(Bridge.objects.get(name="New branch"), "+14255550151", "toll", ACTOR, country="United States")
    page.locator("form[action$='/retry/'] button").click()
    work()
    page.goto(f"{ROLLOUT.format(pk)}waves/2/resume/")
    field(page, "reason").fill("The branch has a number now.")
    press(page, "Resume it")
    work()
    assert state("Pilot") == "Observing"
    page.goto(f"{ROLLOUT.format(pk)}waves/2/accept/")
    press(page, "Accept the wave")
    assert state("Pilot").startswith("Completed")
    page.goto(f"{ROLLOUT.format(pk)}waves/2/report/")
    expect(page.get_by_role("heading", name="Pauses and stops", exact=True)).to_be_visible()
    expect(page.get_by_text("Reason: The branch has a number now.")).to_be_visible()
    assert violations(page) == []


def everyone_moves_and_is_taken_back(page: Page, pk: int, users: list[ConferencingUser]) -> None:
    dora = users[3]
    answer(page, pk, "Everyone")
    start(page, pk, 3)
    work()
    assert state("Everyone") == "Observing"
    uid, body = invite(dora, 7, subject="Made after the move")
    EmbeddedMailbox(dora).store([(uid, body.replace(b"meet.contoso.com", b"join.contoso.com"))])
    page.goto(f"{ROLLOUT.format(pk)}waves/3/roll-back/")
    field(page, "reason").fill("Calls drop after a minute.")
    press(page, "Take back")
    work()
    assert state("Everyone") == "RolledBack"
    page.goto(f"{ROLLOUT.format(pk)}waves/3/stranded/")
    page.locator("form[action*='stranded'] button").first.click()
    work()
    page.goto(f"{ROLLOUT.format(pk)}waves/3/stranded/")
    expect(page.get_by_text("Made after the move")).to_be_visible()
    assert not ConferencingUser.objects.filter(pk__in=[users[3].pk, users[4].pk], deployment__role="new").exists()


def they_move_again_and_the_old_pool_is_retired(
    page: Page, pk: int, users: list[ConferencingUser], tmp_path: Path
) -> None:
    page.goto(ROLLOUT.format(pk))
    field(page, "name").fill("Again")
    field(page, "purpose").select_option(label="Everyone")
    press(page, "Add the wave")
    for check in RolloutCheck.objects.filter(wave__name="Again", kind=Kind.RUNS):
        page.goto(f"{ROLLOUT.format(pk)}checks/{check.pk}/remove/")
        field(page, "reason").fill("Shown to work by a test of its own.")
        press(page, "Remove the check")
    page.goto(f"{ROLLOUT.format(pk)}waves/4/members/")
    field(page, "names").fill(f"{users[3].upn}\n{users[4].upn}")
    press(page, "Add to the wave")
    answer(page, pk, "Again")
    start(page, pk, 4)
    work()
    page.goto(f"{ROLLOUT.format(pk)}waves/4/accept/")
    press(page, "Accept the wave")
    page.goto(f"{ROLLOUT.format(pk)}retirement/")
    expect(page.get_by_role("link", name="Retire it")).not_to_have_class(re.compile("btn-primary"))
    answer(page, pk, "")
    for name, button in (
        ("Listing of its accounts", "Give the listing"),
        ("Its conference directories", "Give the list"),
    ):
        page.goto(f"{ROLLOUT.format(pk)}retirement/")
        (tmp_path / "empty.csv").write_text("")
        card = page.locator("form").filter(has=page.get_by_role("heading", name=name))
        card.locator("[name=file]").set_input_files(tmp_path / "empty.csv")
        card.get_by_role("checkbox").check()
        card.get_by_role("button", name=button).click()
    page.goto(f"{ROLLOUT.format(pk)}retirement/")
    press(page, "Search all mailboxes")
    work()
    page.goto(f"{ROLLOUT.format(pk)}retirement/")
    expect(page.get_by_text("No user belongs to Old pool.")).to_be_visible()
    for box in page.locator("[name=meeting]").all():
        box.check()
    field(page, "reason").fill("Their organizers know, and schedule them anew.")
    press(page, "Accept what is ticked")
    expect(page.get_by_role("heading", name="Accepted by name")).to_be_visible()
    page.goto(f"{ROLLOUT.format(pk)}retirement/retire/")
    expect(page.get_by_role("button", name="Retire it")).to_have_count(0)
    page.goto(f"{ROLLOUT.format(pk)}settings/")
    field(page, "retire_after").fill("0")
    press(page, "Save changes")
    page.goto(f"{ROLLOUT.format(pk)}retirement/")
    page.get_by_role("link", name="Retire it").click()
    press(page, "Retire it")
    expect(page.get_by_text("Old pool is retired.")).to_be_visible()
    assert Deployment.objects.get(name="Old pool").is_retired
    page.goto(ROLLOUT.format(pk) + "report/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Report of To the new service")
