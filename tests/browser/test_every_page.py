"""What holds for every page in a real browser: no error, no barrier in either colours, nothing moves or is cut off.

With ``MMS_SCREENSHOTS`` it also leaves pictures of every page (``make screenshots``)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from playwright.sync_api import expect

from migrations_app.alerts.actions import change_alerts
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Alert, BulkAction, LeftMeeting, Run, Update
from migrations_app.procedures import user_import
from migrations_app.procedures.number_release import advance, start_release
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import register_number
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant, grant_role
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Role, Tenant
from tests.support.actors import ACTOR
from tests.support.axe import COLOURS, STANDARDS, violations
from tests.support.chat_rows import chat_of_pages
from tests.support.commands import invitation
from tests.support.looks import SPACE_TEXT, WATCH_SHIFTS, faint_edges, picture, shifts, sideways
from tests.support.notices import notices_to
from tests.support.pages import key_of
from tests.support.planned import plan_for
from tests.support.previewed import preview_of
from tests.support.retirements import retirement_of_pages
from tests.support.rollouts import a_deployment, rollout_of_pages
from tests.support.samples import skype_text
from tests.support.signing import connection_to_microsoft
from tests.support.weights import BASELINE
from tests.support.windows import Open

pytestmark = pytest.mark.browser

LONG = "Quarterly-planning-of-the-department-of-very-long-words-without-any-space-" * 2
PAGES = {
    "alice": [
        "/",
        "/contoso/",
        "/contoso/left/",
        "/contoso/left/{left}/",
        "/contoso/errors/#no-bridge",
        "/contoso/failures/",
        "/contoso/failures/no-bridge/",
        "/contoso/failures/unreadable-calendar-object/",
        "/contoso/meetings/?organizer=anna",
        "/contoso/search/?q=a",
        "/contoso/search/?q=nothing-goes-by-this",
        "/accounts/keyboard/",
        "/accounts/second-factor/",
        "/accounts/own/",
        "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/story/",
        "/contoso/migrations/",
        "/contoso/migrations/{ended}/",
        "/contoso/migrations/{running}/",
        "/contoso/migrations/{ended}/meetings/{meeting}/",
        "/contoso/migrations/{ended}/meetings/{meeting}/explain/",
        "/contoso/migrations/{ended}/undo/",
        "/contoso/migrations/{ended}/undo/{meeting}/",
        "/contoso/migrations/{ended}/meetings/{skipped}/explain/",
        "/contoso/migrations/{ended}/meetings/{failed}/explain/",
        "/contoso/users/",
        "/contoso/users/?number={number}&out_of_date=no&provider=Microsoft&bridge={bridge}&state=Failed&q=anna",
        "/contoso/users/selected/start/?q=anna&all",
        "/contoso/users/selected/retry/?all",
        "/contoso/users/selected/mark/?all",
        "/contoso/users/selected/move/?all&to={other}",
        "/contoso/users/actions/",
        "/contoso/users/actions/{action}/",
        "/contoso/users/planned/",
        "/contoso/users/planned/{plan}/",
        "/contoso/users/planned/{plan}/cancel/",
        "/contoso/users/planned/{plan}/begin/",
        "/contoso/migrations/{planned}/run-now/",
        "/contoso/users/anna.rossi@contoso.com/",
        "/contoso/users/anna.rossi@contoso.com/start/options/?target_meeting_type=Link",
        "/contoso/users/anna.rossi@contoso.com/meetings/",
        "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/",
        "/contoso/users/olga@contoso.com/",
        "/contoso/users/olga@contoso.com/meetings/",
        "/contoso/tool/?user=olga@contoso.com",
        "/contoso/users/import/",
        "/contoso/users/import/{checked}/",
        "/contoso/users/import/{checking}/",
        "/contoso/previews/",
        "/contoso/previews/{preview}/",
        "/contoso/previews/{preview}/meetings/{previewed}/",
        "/contoso/bridges/",
        "/contoso/bridges/{bridge}/",
        "/contoso/bridges/{bridge}/remove/",
        "/contoso/bridges/{bridge}/numbers/{spare}/",
        "/contoso/bridges/{bridge}/numbers/{free}/",
        "/contoso/bridges/{bridge}/numbers/{free}/release/?replacement=",
        "/contoso/bridges/{bridge}/numbers/{free}/replace/?by=%2B14255550122",
        "/contoso/notices/{notices}/",
        "/contoso/settings/notices/",
        "/contoso/settings/notices/advance/it/",
        "/contoso/releases/",
        "/contoso/releases/{waiting}/",
        "/contoso/releases/{held}/",
        "/contoso/releases/{held}/anyway/",
        "/contoso/settings/",
        "/contoso/settings/alerts/",
        "/contoso/settings/rules/",
        "/contoso/settings/service/off/",
        "/contoso/settings/mail/",
        "/contoso/people/",
        "/contoso/settings/deployments/",
        "/contoso/settings/deployments/{deployment}/",
        "/contoso/settings/deployments/{deployment}/remove/",
        "/contoso/chat/",
        "/contoso/chat/settings/",
        "/contoso/chat/archives/",
        "/contoso/chat/archives/given/{reading}/",
        "/contoso/chat/archives/{archive}/",
        "/contoso/chat/archives/{deleted_archive}/",
        "/contoso/chat/archives/{archive}/delete/",
        "/contoso/chat/targets/",
        "/contoso/chat/targets/?kind=matrix",
        "/contoso/chat/targets/?kind=teams",
        "/contoso/chat/targets/{chat_target}/",
        "/contoso/chat/targets/{chat_server}/",
        "/contoso/chat/targets/{chat_target}/remove/",
        "/contoso/chat/plans/new/",
        "/contoso/chat/plans/{ready}/",
        "/contoso/chat/plans/{ready}/start/",
        "/contoso/chat/plans/{ready}/retention/",
        "/contoso/chat/plans/{ready}/rooms/",
        "/contoso/chat/plans/{ready}/rooms/{wrong_room}/",
        "/contoso/chat/plans/{ready}/findings/",
        "/contoso/chat/plans/{chat}/",
        "/contoso/chat/plans/{chat}/resume/",
        "/contoso/chat/plans/{chat}/rooms/",
        "/contoso/chat/plans/{chat}/rooms/{chat_room}/",
        "/contoso/chat/plans/{chat}/rooms/{unreachable_room}/",
        "/contoso/chat/plans/{chat}/gate/",
        "/contoso/chat/plans/{guided}/steps/",
        "/contoso/chat/plans/{guided}/endpoint/",
        "/contoso/chat/plans/{chat}/people/",
        "/contoso/chat/plans/{chat}/report/",
        "/contoso/rollouts/",
        "/contoso/rollouts/{rollout}/",
        "/contoso/rollouts/{rollout}/settings/",
        "/contoso/rollouts/{rollout}/checks/",
        "/contoso/rollouts/{rollout}/checks/new/",
        "/contoso/rollouts/{rollout}/checks/new/?kind=tcp&wave=1",
        "/contoso/rollouts/{rollout}/checks/open/",
        "/contoso/rollouts/{rollout}/checks/{check}/",
        "/contoso/rollouts/{rollout}/checks/{check}/change/",
        "/contoso/rollouts/{rollout}/checks/{check}/remove/",
        "/contoso/rollouts/{rollout}/checks/{question}/",
        "/contoso/rollouts/{rollout}/waves/1/",
        "/contoso/rollouts/{rollout}/waves/1/start/",
        "/contoso/rollouts/{rollout}/waves/2/",
        "/contoso/rollouts/{rollout}/waves/2/pause/",
        "/contoso/rollouts/{rollout}/waves/2/resume/",
        "/contoso/rollouts/{rollout}/waves/2/accept/",
        "/contoso/rollouts/{rollout}/waves/2/moves/",
        "/contoso/rollouts/{rollout}/waves/1/open-gate/",
        "/contoso/rollouts/{rollout}/report/",
        "/contoso/rollouts/{rollout}/waves/1/report/",
        "/contoso/rollouts/{rollout}/people/",
        "/contoso/rollouts/{rollout}/mapping/",
        "/contoso/rollouts/{rollout}/import/",
        "/contoso/rollouts/{rollout}/waves/1/members/",
        "/contoso/rollouts/{rollout}/waves/1/meetings/",
        "/contoso/rollouts/{rollout}/waves/1/readiness/",
        "/contoso/rollouts/{rollout}/waves/1/settings/",
        "/contoso/rollouts/{rollout}/waves/2/roll-back/",
        "/contoso/rollouts/{rollout}/waves/2/stranded/",
        "/contoso/rollouts/{rollout}/retirement/",
        "/contoso/rollouts/{rollout}/retirement/retire/",
        "/contoso/rollouts/{retired}/retirement/",
        "/contoso/rollouts/{retired}/retirement/take-back/",
        "/contoso/rollouts/{rollout}/redirects/",
        "/contoso/rollouts/{rollout}/waves/2/members/",
        "/contoso/rollouts/{rollout}/waves/2/members/{wave_member}/exclude/",
        "/contoso/users/to-wave/?all",
        "/contoso/settings/mailboxes/",
        "/contoso/settings/mailboxes/?kind=graph",
        "/contoso/settings/mailboxes/?kind=exchange",
        "/contoso/settings/mailboxes/{connection}/",
        "/contoso/settings/mailboxes/{microsoft}/",
        "/contoso/settings/mailboxes/{connection}/remove/",
        "/contoso/audit/",
        "/contoso/lists/users/filters/",
        "/contoso/nothing/here/",
    ],
    "vera": [
        "/contoso/",
        "/contoso/users/anna.rossi@contoso.com/",
        "/contoso/users/olga@contoso.com/",
        "/contoso/bridges/{bridge}/",
        "/contoso/bridges/{bridge}/numbers/{spare}/",
        "/contoso/releases/{held}/",
        "/contoso/settings/",
    ],
    "charlie": ["/fabrikam/", "/fabrikam/migrations/", "/fabrikam/users/", "/fabrikam/bridges/"],
    "root": ["/accounts/all/"],
    "": [
        "/accounts/login/",
        "/accounts/forgotten/",
        "/accounts/sign-in-link/{vera}/{token}/",
        "/accounts/sign-in-link/{vera}/too-old/",
        "/chat-answer/{asked}/",
        "/chat-answer/wrong/",
    ],
}
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
NARROWEST = {"width": 320, "height": 640}
"""A window of 1280 pixels at 400 % (WCAG 2.2, 1.4.10)."""


@pytest.fixture
def fill(
    cast: None,
    tenant: Tenant,
    make_user: Callable[..., ConferencingUser],
    new_bridge: Bridge,
    make_run: Callable[..., Run],
) -> Callable[[str], str]:
    """Contoso in the middle of everything, Fabrikam with nothing yet; fills an address with the keys of Contoso."""
    grant_role(Tenant.objects.get(slug="fabrikam"), User.objects.get(username="alice"), Role.Name.VIEWER, ACTOR)
    anna = make_user("anna.rossi", display_name=LONG)
    meetings = [("Weekly sync", "Succeeded", ""), (LONG, "Skipped", "pasted-block"), ("", "Failed", "needs-review")]
    ended = make_run(anna, "Failed", meetings, last_error_code="no-dial-in-number", last_error_detail="bridge X")
    text = skype_text("https://meet.contoso.com/anna.rossi/OLD1KEY2", inside=f"<https://help.contoso.com/{LONG}>\n")
    migrated = invitation(anna, "meeting-0", text=f"{LONG}\n{text}")
    pasted = migrated.replace(
        b"BEGIN:VEVENT\r\n",
        b"BEGIN:VEVENT\r\nX-MICROSOFT-ONLINEMEETINGEXTERNALLINK:https://meet.contoso.com/bruno/ELSE3KEY\r\n",
    )
    EmbeddedMailbox(anna).store([("meeting-0", migrated), ("meeting-1", pasted)])
    Update.objects.update(state="Failed", error_code="mail-refused", error_detail="550 " + LONG)
    change_alerts(tenant, ACTOR, recipients="zoe@contoso.com", webhook_url=f"https://hooks.contoso.com/{'a' * 200}")
    alert = Alert.objects.create(tenant=tenant, content={"title": LONG})
    alert.deliveries.create(channel="webhook", state="Failed", error_code="alert-given-up", error_detail=LONG)
    alert.deliveries.create(channel="mail", recipient="zoe@contoso.com", error_code="mail-put-off", attempts=2)
    running = make_run(make_user("bruno"), "InProgress", [("Budget", "Succeeded", "")], total_meetings=7)
    clara = make_user("clara")
    make_run(clara, "Pending", due_at=timezone.now() + timedelta(minutes=9))
    make_run(make_user("dario"), "Pending", attempts=1, last_error_code="mailbox-unavailable")
    make_run(make_user("elena"))
    olga = make_user("olga", mailbox_location="on-premises")
    EmbeddedMailbox(olga).store([("plan", invitation(olga, "plan"))])
    change_user(olga, ACTOR, language="it-IT")  # which starts no run, so that she is out of date
    for number in range(22):  # a second page of every list
        make_run(make_user(f"user{number}", audio_conferencing_license=False))
    vera = User.objects.get(username="vera")
    User.objects.create_superuser("root", f"{LONG[:100]}@example.org", "a long pass phrase", first_name=LONG)
    plan = plan_for(anna, window_from=time(22), window_to=time(6))
    keys: dict[str, Any] = {
        "ended": ended.correlation_id,
        "running": running.correlation_id,
        "meeting": ended.results.filter(outcome="Succeeded").get().pk,
        "skipped": ended.results.filter(outcome="Skipped").get().pk,
        "failed": ended.results.filter(outcome="Failed").get().pk,
        "left": left_of(ended),
        "stored": key_of("meeting-0"),
        "number": anna.bridge.numbers.get(is_default=True).pk,
        "bridge": anna.bridge_id,
        "other": new_bridge.pk,
        **leaving_numbers(anna),
        **imports(tenant),
        "action": moved(anna).pk,
        "connection": create_connection(tenant, ACTOR, LONG[:100], address="https://dav.contoso.com/").pk,
        "microsoft": connection_to_microsoft(tenant).pk,
        "deployment": a_deployment(tenant).pk,
        **(rollout := rollout_of_pages(anna, clara, new_bridge, LONG)),
        **retirement_of_pages(clara, rollout["rollout"], LONG),
        **chat_of_pages(tenant, LONG),
        "notices": notices_to(anna).pk,
        **preview_of(anna),
        "plan": plan.pk,
        "planned": make_run(make_user("fabio"), "Pending", plan=plan, due_at=plan.opens_at).correlation_id,
        "vera": urlsafe_base64_encode(force_bytes(vera.pk)),
        "token": default_token_generator.make_token(vera),
    }
    return lambda address: address.format(**keys)


def left_of(run: Run) -> int:
    """Two meetings that the run has left: one that is open, and one that was dealt with."""
    for uid, subject, state in (("meeting-1", LONG, "Open"), ("meeting-0", "", "DealtWith")):
        left = LeftMeeting.objects.create(
            tenant=run.tenant,
            user=run.user,
            run=run,
            uid=uid,
            subject=subject,
            starts_at=timezone.now(),
            last_end=timezone.now() + timedelta(days=9),
            code="pasted-block",
            detail=LONG,
            state=state,
            note=LONG if state == "DealtWith" else "",
            by="alice",
            at=timezone.now(),
        )
    return left.pk


def leaving_numbers(anna: ConferencingUser) -> dict[str, int]:
    """A number that stays, and the procedures of two that leave: one waits, one is held up by a failed run."""
    assert anna.bridge
    stays, first, second, free = (
        register_number(anna.bridge, f"+1425555011{digit}", "toll", ACTOR, city=LONG[:100]) for digit in "1234"
    )
    change_user(anna, ACTOR, toll_number=first)
    held = start_release(first, anna.bridge.numbers.get(is_default=True), ACTOR)
    advance(timezone.now() + timedelta(minutes=1))
    anna.runs.filter(is_latest=True).update(state="Failed", last_error_code="no-bridge", last_error_detail=LONG)
    change_tenant(anna.tenant, ACTOR, settling_time=300)
    return {"spare": stays.pk, "free": free.pk, "held": held.pk, "waiting": start_release(second, stays, ACTOR).pk}


def moved(anna: ConferencingUser) -> BulkAction:
    """What was done for her, and could not be done for another."""
    action = BulkAction.objects.create(
        tenant=anna.tenant,
        kind="move",
        options={"bridge_name": "New bridge"},
        chosen_by=LONG,
        requested_by="alice",
        state="Working",
        user_count=3,
        done_count=2,
        sentences=[[LONG, True, 1]],
    )
    action.users.create(user=anna, upn=anna.upn, state="Done", sentence=LONG)
    action.users.create(user=None, upn="gone@contoso.com", state="NotDone", sentence="The user is gone.")
    return action


def imports(tenant: Tenant) -> dict[str, Any]:
    """A file of users that was checked and has bad rows, and one that waits."""
    rows = "".join(f"new{number}@contoso.com,{LONG}\n{LONG},\n" for number in range(30))
    text = f"UserPrincipalName,DisplayName\nanna.rossi@contoso.com,Anna Bianchi\n{rows}"
    checked = user_import.submit(tenant, f"{LONG}.csv", text, ACTOR)
    user_import.advance(timezone.now() + TIME_BUDGET)
    return {"checked": checked.pk, "checking": user_import.submit(tenant, "users.csv", text, ACTOR).pk}


@pytest.mark.parametrize("name", PAGES)
def test_it_shuts_nobody_out_and_stands_still(open_page: Open, fill: Callable[[str], str], name: str) -> None:
    page = open_page("about:blank", name)
    page.add_init_script(WATCH_SHIFTS)
    found = {}
    for number, address in enumerate(map(fill, PAGES[name]), 1):
        for size, colours in ((DESKTOP, ["light", "dark"]), (PHONE, ["dark", "light"])):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme=colours[0])
            page.goto(address)
            width = size["width"]
            found[f"{address} at {width}"] = shifts(page)
            for scheme in colours:
                page.emulate_media(color_scheme=scheme)
                expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
                rules = STANDARDS if scheme == colours[0] else COLOURS  # the rest of a page is the same in both
                found[f"{address} at {width} {scheme}"] = violations(page, rules=rules) + faint_edges(page)
                picture(page, f"{name or 'nobody'}-{number:02}", width, scheme)
        page.set_viewport_size(NARROWEST)
        found[f"{address} narrow"] = sideways(page)
        page.evaluate(SPACE_TEXT)
        found[f"{address} narrow, with wide text"] = sideways(page)

    assert {where: what for where, what in found.items() if what} == {}


def test_every_page_is_looked_at() -> None:
    pages = {view_of(address) for address in json.loads(BASELINE.read_text("utf-8")) if address.startswith("/")}

    assert pages - set(map(view_of, PAGES["alice"])) == set(), "Put the page into PAGES of this file too."


def view_of(address: str) -> str:
    """The name of the view behind an address that is not filled in yet."""
    path = re.sub("[?#].*", "", re.sub(r"\{(run|ended|running|planned)\}", str(UUID(int=0)), address))
    try:
        return resolve(re.sub(r"\{\w+\}", "1", path)).view_name
    except Resolver404:
        return "nothing"


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_menus_open_and_close_with_the_keyboard(open_page: Open, color_scheme: str) -> None:
    page = open_page("/contoso/", color_scheme=color_scheme, viewport=PHONE)
    for menu in ("Tenant Contoso, switch", "Colours", "Account alice"):
        summary = page.get_by_label(menu)
        summary.press("Enter")
        expect(page.locator(".menu[open] .menu-panel")).to_be_in_viewport(ratio=1)
        assert violations(page, within=".menu[open]") == []
        page.keyboard.press("Escape")
        expect(page.locator(".menu[open]")).to_have_count(0)
        expect(summary).to_be_focused()


def test_it_runs_no_script_that_stands_in_a_page(open_page: Open, faults: list[str]) -> None:
    page = open_page("/contoso/")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))")

    assert page.evaluate("window.ran") is None
    assert "Content Security Policy" in " ".join(faults)
    faults.clear()


def test_it_keeps_the_chosen_colours(open_page: Open) -> None:
    page = open_page("/contoso/", color_scheme="light")
    page.get_by_label("Colours").click()
    page.get_by_role("button", name="Dark").click()
    page.get_by_role("link", name="History").click()
    page.reload()

    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    assert page.locator("body").evaluate("(body) => matchMedia('(prefers-color-scheme: dark)').matches") is False
    assert page.locator("body").evaluate("(body) => getComputedStyle(body).colorScheme") == "dark"
