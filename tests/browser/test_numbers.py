"""Taking a number off its bridge, from the page of the number until it is released (R32 to R35)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from migrations_app import tasks
from migrations_app.demo import invitations
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import NumberRelease, Run, UntoldNumber, Update
from migrations_app.monitoring.health import beat
from migrations_app.procedures import number_release
from migrations_app.procedures.number_release import start_release
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import mark_up_to_date
from tenants_app.models import ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.axe import violations
from tests.support.meetings import invite, migrate
from tests.support.windows import Open, open_with_clock, pass_by

pytestmark = pytest.mark.browser

MakeUser = Callable[..., ConferencingUser]
OLD, NEW = "+14255550111", "+14255550122"


@pytest.fixture
def dora(make_user: MakeUser, tenant: Tenant) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation; what is begun can be cancelled for an hour."""
    bridge = tenant.bridges.get() if tenant.bridges.exists() else make_user("first").bridge
    assert bridge
    old = register_number(bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")
    register_number(bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")
    user = make_user("dora.lind", toll_number=old)
    invite(user)
    migrate(user)
    change_tenant(tenant, ACTOR, settling_time=3600)
    return user


def page_of(number: str) -> str:
    row = ServiceNumber.objects.get(number=number)
    return f"/contoso/bridges/{row.bridge_id}/numbers/{row.pk}/"


def test_r34_a_number_is_taken_off_while_one_watches(open_page: Open, dora: ConferencingUser, outbox: Any) -> None:
    page = open_with_clock(open_page, page_of(OLD))
    figures = page.get_by_role("region", name="What depends on it").locator("dl > div")
    expect(figures).to_contain_text(["Users1", "Future meetings1", "Invitations"])
    page.get_by_label("The toll number that takes its place").select_option(label=f"{NEW} · United States, Tacoma")
    page.get_by_role("button", name="Show what taking it off starts").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(f"Take {OLD} off Old bridge?")
    expect(page.locator("dl.figures > div")).to_contain_text(["Users who depend on it1", "Runs that start1"])
    assert violations(page) == []
    assert not NumberRelease.objects.exists()
    page.get_by_role("button", name="Take the number off").click()

    steps = page.locator("ol.stages > li")
    expect(page.get_by_text("Nothing is changed yet: users are moved")).to_be_visible()
    expect(page.locator("[aria-current=step]")).to_contain_text("Waiting")
    expect(page.get_by_role("link", name="Bridges", exact=True).first).to_have_attribute("aria-current", "page")
    page.get_by_role("button", name="Begin now").click()
    beat()
    expect(page.get_by_text("It begins as soon as a worker is free.").last).to_be_visible()

    # From here on nothing is clicked: the page follows by itself.
    page.evaluate("window.isTheSamePage = true")
    number_release.advance(timezone.now() + timedelta(minutes=1))
    pass_by(page, 3)
    expect(page.locator("[aria-current=step]")).to_contain_text("Invitations updated")
    expect(page.get_by_role("region", name="Who still holds the number")).to_contain_text("Dora Lind")
    expect(page.locator("#announcer")).to_have_text("Updating invitations: 0 of 1 users done")
    assert violations(page) == []
    tasks.work_queue()
    pass_by(page, 3)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{OLD} was taken off Old bridge")
    expect(page.get_by_text("The number is released: nobody has it")).to_be_visible()
    expect(steps.last).to_contain_text("Number released")
    # What a page finds by itself is announced when the last announcement has been listened to.
    expect(page.locator("#announcer")).to_have_text("Released", timeout=20_000)
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 3s, shown")
    assert page.evaluate("window.isTheSamePage")
    assert not ServiceNumber.objects.filter(number=OLD).exists()


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_it_is_cancelled_before_anything_was_moved(
    open_page: Open, dora: ConferencingUser, java_script_enabled: bool
) -> None:
    page = open_page(page_of(OLD), java_script_enabled=java_script_enabled)
    page.get_by_label("The number that takes its place").fill("+1 425 555 0133")
    page.get_by_role("button", name="Show what replacing it starts").click()
    expect(page.get_by_text("+14255550133 is registered on Old bridge at once")).to_be_visible()
    page.get_by_role("button", name="Replace the number").click()
    page.get_by_role("button", name="Cancel it").click()

    expect(page.get_by_text(f"Cancelled: {OLD} stays, and nothing was changed.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{OLD} stays on Old bridge")
    dora.refresh_from_db()
    assert (dora.toll_number.number, dora.toll_number.is_leaving) == (OLD, False)  # type: ignore[union-attr]


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_bad_input_is_told_on_its_field(open_page: Open, dora: ConferencingUser, java_script_enabled: bool) -> None:
    page = open_page(page_of(OLD), java_script_enabled=java_script_enabled)
    page.get_by_label("The number that takes its place").fill("0425 555")
    page.get_by_role("button", name="Show what replacing it starts").click()

    field = page.get_by_label("The number that takes its place")
    expect(field).to_have_value("0425 555")
    expect(field).to_have_accessible_description(re.compile("Give the number in E.164 form"))
    expect(page.get_by_text("Give the number in E.164 form")).to_be_visible()
    assert not java_script_enabled or violations(page) == []


def test_r35_it_tells_who_holds_the_number_and_starts_their_runs(
    open_page: Open, dora: ConferencingUser, make_user: MakeUser, outbox: Any
) -> None:
    make_user("emil", toll_number=dora.toll_number, mailbox_location="on-premises")
    EmbeddedMailbox(dora).store([("broken", b"BEGIN:VCALENDAR\r\nnonsense")])
    old, new = (ServiceNumber.objects.get(number=number) for number in (OLD, NEW))
    release = start_release(old, new, ACTOR, now_due=True)
    tasks.work_queue()
    page = open_with_clock(open_page, f"/contoso/releases/{release.pk}/")
    holders = page.get_by_role("region", name="Who still holds the number")
    expect(page.get_by_text("nothing is under way for 2 users")).to_be_visible()
    expect(holders).to_contain_text("A calendar object in the mailbox cannot be read: 1 meeting of 2.")
    expect(holders).to_contain_text("use the Meeting Migration Tool instead.")
    expect(holders.get_by_role("link", name="Run of dora.lind@contoso.com")).to_contain_text("Failed")
    assert violations(page) == []

    dora.calendar_objects.filter(uid="broken").delete()
    page.get_by_role("button", name="Start 1 run").click()
    expect(holders.get_by_role("link", name="Run of dora.lind@contoso.com")).to_contain_text("Pending")
    assert Run.objects.filter(state="Pending").count() == 1
    tasks.work_queue()
    pass_by(page, 3)
    expect(page.get_by_text("The number is kept for 1 user whom no run can help.")).to_be_visible()
    mark_up_to_date(ConferencingUser.objects.get(upn="emil@contoso.com"), ACTOR)
    tasks.work_queue()
    pass_by(page, 3)
    expect(page.get_by_text("The number is released: nobody has it")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_r35_what_keeps_a_number_is_named_and_it_is_released_knowingly(
    open_page: Open, dora: ConferencingUser, outbox: Any, width: int
) -> None:
    for number in range(1, 4):
        uid, body = invite(dora, number, invitations.no_block)
        line = b"LOCATION:Room 4\\, 425.555.0111\r\nX-VERY-LONG-NAME-THAT-SOME-PROGRAM-WRITES:4255550111\r\nEND:VEVENT"
        EmbeddedMailbox(dora).store([(uid, body.replace(b"END:VEVENT", line))])
    old, new = (ServiceNumber.objects.get(number=number) for number in (OLD, NEW))
    page = open_page(f"/contoso/bridges/{old.bridge_id}/numbers/{old.pk}/release/?replacement={new.pk}")
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.get_by_text(f"3 meetings to come show {OLD} afterwards as well.")).to_be_visible()
    expect(page.locator("dl.figures > div")).to_contain_text(["", "Runs that start1", "", "Meetings that change1"])
    assert violations(page) == []
    release = start_release(old, new, ACTOR, now_due=True)
    tasks.work_queue()
    waiting = Update.objects.filter(result__run__is_latest=True)
    assert waiting.update(state="Failed", error_code="mail-refused", error_detail="answer 550") == 1
    ends = timezone.now() + timedelta(days=9)
    UntoldNumber.objects.create(update=waiting.get(), number=old, meeting_ends_at=ends)

    page.goto(f"{page.url.partition('/contoso/')[0]}/contoso/releases/{release.pk}/")
    meetings = page.get_by_role("region", name="Meetings that still show the number")
    expect(meetings).to_contain_text("The number stands in: location, X-VERY-LONG-NAME-THAT-SOME-PROGRAM-WRITES.")
    expect(page.get_by_role("region", name="Messages that attendees have not got")).to_contain_text("answer 550")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Accept 1 given up").click()
    expect(page.get_by_text("Accepted for 1 message")).to_be_visible()
    page.get_by_role("link", name="Release it anyway").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Release {OLD} although it is needed?")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_label("Why it is released all the same").fill("The carrier has cut it")
    page.get_by_role("button", name=f"Release {OLD} anyway").click()

    expect(page.get_by_text("A person released the number although it was still needed.")).to_be_visible()
    assert not ServiceNumber.objects.filter(number=OLD).exists()
