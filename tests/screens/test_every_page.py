"""What holds for every page: protection, no inline script or style, whole pages and fragments, constant queries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLResolver, get_resolver, resolve, reverse
from django.utils import timezone

from migrations_app.mailboxes.base import NO_END
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import (
    BulkAction,
    LeftMeeting,
    NumberRelease,
    Run,
    ShownMeeting,
    UntoldNumber,
    Update,
    UserImport,
)
from migrations_app.procedures import user_import
from migrations_app.procedures.number_release import advance, start_release
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import register_number
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_rows import chat_of_pages
from tests.support.commands import invitation
from tests.support.notices import notices_to
from tests.support.pages import key_of
from tests.support.planned import plan_for
from tests.support.previewed import preview_of
from tests.support.remembered import Remembered
from tests.support.retirements import retirement_of_pages
from tests.support.rollouts import a_deployment, rollout_of_pages
from tests.support.samples import skype_text
from tests.support.signing import connection_to_microsoft
from tests.support.tabler import HOOKS, OURS, USED, classes_styled
from tests.support.weights import (
    FIRST_VISIT,
    HOW_TO_RENEW,
    LATER_PAGE,
    beside_baseline,
    files_of,
    weight,
    weight_of_files,
)

HOSTILE = "<script>alert('x')</script> \u202egnitirw <b>&amp;"
PAGES = [
    "/contoso/",
    "/contoso/left/",
    "/contoso/left/{left}/",
    "/contoso/errors/",
    "/contoso/failures/",
    "/contoso/failures/unreadable-calendar-object/",
    "/contoso/migrations/",
    "/contoso/migrations/{run}/",
    "/contoso/migrations/{run}/meetings/{meeting}/",
    "/contoso/migrations/{run}/meetings/{meeting}/explain/",
    "/contoso/migrations/{run}/meetings/{failed}/explain/",
    "/contoso/migrations/{planned}/run-now/",
    "/contoso/migrations/{run}/undo/",
    "/contoso/migrations/{run}/undo/{meeting}/",
    "/contoso/users/",
    "/contoso/users/selected/start/?all",
    "/contoso/users/selected/retry/?all",
    "/contoso/users/selected/mark/?all",
    "/contoso/users/selected/move/?all&to={other}",
    "/contoso/users/actions/",
    "/contoso/users/actions/{action}/",
    "/contoso/users/planned/",
    "/contoso/users/planned/{plan}/",
    "/contoso/users/planned/{plan}/cancel/",
    "/contoso/users/planned/{plan}/begin/",
    "/contoso/users/anna.rossi@contoso.com/",
    "/contoso/users/anna.rossi@contoso.com/start/options/",
    "/contoso/users/anna.rossi@contoso.com/meetings/",
    "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/",
    "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/story/",
    "/contoso/meetings/?organizer=anna",
    "/contoso/search/?q=script",
    "/contoso/users/import/",
    "/contoso/users/import/{checked}/",
    "/contoso/previews/",
    "/contoso/previews/{preview}/",
    "/contoso/previews/{preview}/meetings/{previewed}/",
    "/contoso/bridges/",
    "/contoso/bridges/{bridge}/",
    "/contoso/bridges/{bridge}/remove/",
    "/contoso/bridges/{bridge}/numbers/{number}/",
    "/contoso/bridges/{bridge}/numbers/{number}/release/?replacement=",
    "/contoso/bridges/{bridge}/numbers/{number}/replace/?by=%2B14255550122",
    "/contoso/notices/{notices}/",
    "/contoso/releases/",
    "/contoso/releases/{release}/",
    "/contoso/releases/{release}/anyway/",
    "/contoso/tool/?user=anna.rossi@contoso.com",
    "/contoso/settings/",
    "/contoso/settings/rules/",
    "/contoso/settings/service/off/",
    "/contoso/settings/mail/",
    "/contoso/people/",
    "/contoso/settings/alerts/",
    "/contoso/settings/notices/",
    "/contoso/settings/notices/advance/en/",
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
    "/contoso/rollouts/{rollout}/waves/2/members/{wave_member}/exclude/",
    "/contoso/rollouts/{rollout}/waves/2/roll-back/",
    "/contoso/rollouts/{rollout}/waves/2/stranded/",
    "/contoso/rollouts/{rollout}/retirement/",
    "/contoso/rollouts/{rollout}/retirement/retire/",
    "/contoso/rollouts/{retired}/retirement/",
    "/contoso/rollouts/{retired}/retirement/take-back/",
    "/contoso/rollouts/{rollout}/redirects/",
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
]
FILES = {
    *("left-csv", "failure-group-csv", "bulk-action-csv", "notice-round-csv", "preview-csv", "preview-report"),
    *("accept-wave-csv", "wave-move-list"),
    *("chat-script", "chat-report-file"),
    *("wave-stranded-csv", "redirects-file", "rollout-report-file", "wave-report-file"),
    *("users-csv", "users-template", "audit-csv", "phone-number-list", "conference-mapper"),
}
"""Addresses below a tenant that answer with a file, or to programs."""


@pytest.fixture
def fill(
    make_user: Callable[..., ConferencingUser],
    new_bridge: Bridge,
    make_run: Callable[..., Run],
    remembered: Remembered,
) -> Callable[[str], str]:
    keys = remembered.make("keys of every page", lambda: make_rows(make_user, new_bridge, make_run))
    return lambda address: address.format(**keys)


def make_rows(
    make_user: Callable[..., ConferencingUser], new_bridge: Bridge, make_run: Callable[..., Run]
) -> dict[str, Any]:
    """Something hostile for every page; the keys of it."""
    anna = make_user("anna.rossi", display_name=HOSTILE[:200])
    bruno = make_user("bruno")
    run = make_run(anna, "Failed", [(HOSTILE, "Succeeded", ""), (HOSTILE, "Failed", "unreadable-calendar-object")])
    Run.objects.update(last_error_code="unreadable-calendar-object", last_error_detail=HOSTILE)
    text = f"{HOSTILE}\n{skype_text('https://meet.contoso.com/anna.rossi/OLD1KEY2', inside=HOSTILE)}"
    EmbeddedMailbox(anna).store([("meeting-0", invitation(anna, "meeting-0", text=text))])
    return {
        "run": run.correlation_id,
        "meeting": run.results.filter(outcome="Succeeded").get().pk,
        "failed": run.results.filter(outcome="Failed").get().pk,
        "left": LeftMeeting.objects.create(
            tenant=anna.tenant,
            user=anna,
            uid=HOSTILE,
            subject=HOSTILE[:255],
            last_end=NO_END,
            run=run,
            code="unreadable-calendar-object",
            detail=HOSTILE,
            note=HOSTILE,
            state=LeftMeeting.State.DEALT_WITH,
            by=HOSTILE[:200],
            at=timezone.now(),
        ).pk,
        "stored": key_of(anna.calendar_objects.get().uid),
        "checked": checked_import(anna).pk,
        "connection": create_connection(anna.tenant, ACTOR, HOSTILE[:100], address="https://dav.contoso.com/").pk,
        "microsoft": connection_to_microsoft(anna.tenant).pk,
        "deployment": a_deployment(anna.tenant, name=HOSTILE[:100]).pk,
        **(rollout := rollout_of_pages(anna, bruno, new_bridge, HOSTILE)),
        **retirement_of_pages(bruno, rollout["rollout"], HOSTILE),
        **chat_of_pages(anna.tenant, HOSTILE),
        "bridge": anna.bridge_id,
        "other": new_bridge.pk,
        "number": register_number(anna.bridge, "+14255550113", "toll", ACTOR).pk,
        "release": release_of_anna(anna).pk,
        "action": done_for_anna(anna).pk,
        "notices": notices_to(anna, error_detail=HOSTILE).pk,
        "plan": (plan := plan_for(anna, requested_by=HOSTILE)).pk,
        "planned": make_run(bruno, "Pending", plan=plan).correlation_id,
        **preview_of(anna),
    }


def release_of_anna(anna: ConferencingUser) -> NumberRelease:
    """A number that anna's failed run keeps on the bridge."""
    leaving, other = (
        register_number(anna.bridge, f"+1425555011{digit}", "toll", ACTOR, city=HOSTILE[:100]) for digit in "12"
    )
    change_user(anna, ACTOR, toll_number=leaving)
    release = start_release(leaving, other, ACTOR)
    advance(timezone.now() + timedelta(minutes=1))
    anna.runs.update(state="Failed", last_error_code="unreadable-calendar-object", last_error_detail=HOSTILE)
    update = Update.objects.filter(result__run__user=anna).first()
    assert update
    Update.objects.filter(pk=update.pk).update(state="Failed", error_code="mail-refused", error_detail=HOSTILE)
    ends = timezone.now() + timedelta(days=9)
    UntoldNumber.objects.create(update=update, number=leaving, meeting_ends_at=ends)
    ShownMeeting.objects.create(
        release=release, user=anna, uid=HOSTILE, subject=HOSTILE[:255], last_end=ends, places=[["VALARM", HOSTILE]]
    )
    NumberRelease.objects.filter(pk=release.pk).update(searched_at=timezone.now())
    return release


def done_for_anna(anna: ConferencingUser) -> BulkAction:
    """What was done for her, and for somebody who is gone."""
    action = BulkAction.objects.create(
        tenant=anna.tenant,
        kind="move",
        options={"bridge_name": HOSTILE},
        chosen_by=HOSTILE,
        state="Working",
        user_count=3,
        done_count=1,
        sentences=[[HOSTILE, True, 1]],
    )
    action.users.create(user=anna, upn=anna.upn, state="Done", sentence=HOSTILE)
    action.users.create(user=None, upn=HOSTILE, state="NotDone", sentence=HOSTILE)
    return action


def checked_import(anna: ConferencingUser) -> UserImport:
    """A file that changes a name, and has a bad row."""
    text = f'UserPrincipalName,DisplayName\n{anna.upn},"{HOSTILE} once more"\n"{HOSTILE}",\n'
    submitted = user_import.submit(anna.tenant, HOSTILE, text, ACTOR)
    user_import.advance(timezone.now() + TIME_BUDGET)
    return submitted


class Seen(NamedTuple):
    """How a page was answered, and how many questions that took."""

    answer: HttpResponse
    questions: int

    @property
    def page(self) -> str:
        return self.answer.content.decode()


@pytest.fixture(scope="module")
def seen_before() -> dict[str, Seen]:
    return {}


@pytest.fixture
def pages(seen_before: dict[str, Seen], request: pytest.FixtureRequest) -> Mapping[str, Seen]:
    """Each of PAGES, asked for once in each process of the suite: it stays the same for all that look at it."""
    if not seen_before:
        alice, fill = (request.getfixturevalue(name) for name in ("alice", "fill"))
        alice.get("/contoso/")  # what is cached on first use is asked before the counting
        for address, filled in [(address, fill(address)) for address in PAGES]:
            with CaptureQueriesContext(connection) as queries:
                answer = alice.get(filled)
            seen_before[address] = Seen(answer, len(queries))
    return seen_before


def addresses_below_a_tenant() -> Iterator[tuple[str, str]]:
    """The name of each, and the address of a row that is not there."""
    nothing = {
        "correlation_id": uuid4(),
        "upn": "nobody@contoso.com",
        "uid": "nothing",
        "name": "nothing",
        "kind": "nothing",
        "language": "xx",
    }
    for resolver in get_resolver().url_patterns:
        if isinstance(resolver, URLResolver) and "slug" in resolver.pattern.converters:
            for pattern in resolver.url_patterns:
                keys = {name: nothing.get(name, 0) for name in pattern.pattern.converters}
                yield pattern.name, reverse(pattern.name, kwargs={"slug": "contoso", **keys})


def test_every_page_is_in_the_list(alice: Client, fill: Callable[[str], str]) -> None:
    listed = {resolve(fill(address).partition("?")[0]).url_name for address in PAGES if "/nothing/" not in address}
    pages = {name for name, address in addresses_below_a_tenant() if alice.get(address).status_code in {200, 404}}

    assert pages - listed == FILES, "Put the page into PAGES, or into FILES if it is none."


def test_it_runs_nothing_that_stands_in_the_page(pages: Mapping[str, Seen], subtests: pytest.Subtests) -> None:
    for address in PAGES:
        with subtests.test(address):
            answer, page = pages[address].answer, pages[address].page

            assert "default-src 'none'" in answer["Content-Security-Policy"]
            assert "unsafe" not in answer["Content-Security-Policy"]
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", page)
            assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
            assert "alert('x')</script>" not in page


def test_it_has_a_title_a_heading_and_one_main_part(pages: Mapping[str, Seen], subtests: pytest.Subtests) -> None:
    for address in PAGES:
        with subtests.test(address):
            assert_has_one_title_heading_and_main_part(pages[address].page)


def assert_has_one_title_heading_and_main_part(page: str) -> None:
    assert re.search(r"<title>[^<]+ · MMS</title>", page)
    assert page.count("<h1") == 1
    assert page.count("<main") == 1
    assert '<html lang="en"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    labelled = set(re.findall(r'<label[^>]*for="([^"]+)"', page))
    for field in re.findall(r"<(?:input|select|textarea)[^>]*>", page):
        if 'type="hidden"' not in field and 'type="checkbox"' not in field:
            assert re.search(r'\sid="([^"]+)"', field)[1] in labelled, field  # type: ignore[index]


PARTS = {
    "/contoso/": 'id="live"',
    "/contoso/left/": 'id="results"',
    "/contoso/failures/unreadable-calendar-object/": 'id="results"',
    "/contoso/migrations/": 'id="results"',
    "/contoso/migrations/{run}/": 'id="live"',
    "/contoso/migrations/{run}/meetings/{meeting}/": 'class="compare"',
    "/contoso/migrations/{run}/meetings/{meeting}/explain/": 'class="decision"',
    "/contoso/users/": 'id="results"',
    "/contoso/users/actions/": 'id="results"',
    "/contoso/users/planned/": 'id="results"',
    "/contoso/users/actions/{action}/": 'id="live"',
    "/contoso/users/import/": 'id="results"',
    "/contoso/users/import/{checked}/": 'id="live"',
    "/contoso/previews/": 'id="results"',
    "/contoso/previews/{preview}/": 'id="live"',
    "/contoso/previews/{preview}/meetings/{previewed}/": 'class="compare"',
    "/contoso/users/anna.rossi@contoso.com/meetings/": 'id="results"',
    "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/": 'class="decision"',
    "/contoso/users/anna.rossi@contoso.com/meetings/{stored}/story/": 'class="rows story"',
    "/contoso/meetings/?organizer=anna": 'id="results"',
    "/contoso/search/?q=script": "alert(&#x27;x&#x27;)",
    "/contoso/bridges/{bridge}/": 'id="results"',
    "/contoso/bridges/{bridge}/numbers/{number}/": 'id="results"',
    "/contoso/notices/{notices}/": 'id="live"',
    "/contoso/releases/": 'id="results"',
    "/contoso/releases/{release}/": 'id="live"',
    "/contoso/audit/": 'id="results"',
    "/contoso/chat/": 'id="live"',
    "/contoso/chat/archives/given/{reading}/": 'id="live"',
    "/contoso/chat/plans/{chat}/": 'id="live"',
    "/contoso/chat/plans/{chat}/rooms/": 'id="results"',
    "/contoso/chat/plans/{chat}/rooms/{chat_room}/": 'id="live"',
    "/contoso/chat/plans/{ready}/findings/": 'id="results"',
    "/contoso/rollouts/{rollout}/": 'id="live"',
    "/contoso/rollouts/{rollout}/checks/": 'id="live"',
    "/contoso/rollouts/{rollout}/checks/{check}/": 'id="live"',
    "/contoso/rollouts/{rollout}/checks/{question}/": 'id="live"',
    "/contoso/rollouts/{rollout}/waves/1/": 'id="live"',
    "/contoso/rollouts/{rollout}/waves/2/": 'id="live"',
    "/contoso/rollouts/{rollout}/waves/1/members/": 'id="results"',
    "/contoso/rollouts/{rollout}/waves/1/readiness/": 'id="live"',
    "/contoso/rollouts/{rollout}/waves/2/stranded/": 'id="live"',
}
"""What changes on a page, by its address."""


def test_it_answers_htmx_with_the_part_that_changes(
    pages: Mapping[str, Seen], alice: Client, fill: Callable[[str], str], subtests: pytest.Subtests
) -> None:
    for address, part in PARTS.items():
        with subtests.test(address):
            page = pages[address].answer
            fragment = alice.get(fill(address), headers={"HX-Request": "true"})
            restored = alice.get(fill(address), headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})

            assert part in page.content.decode()
            assert part in fragment.content.decode()
            assert "<html" in page.content.decode()
            assert "<html" not in fragment.content.decode()
            assert "<html" in restored.content.decode()
            assert restored.content.decode().count('id="announcer"') == 1
            assert "hx-swap-oob" not in restored.content.decode()
            assert "HX-Request" in fragment["Vary"]
            assert "no-store" in fragment["Cache-Control"]


def test_it_asks_the_database_the_same_number_of_questions_for_3_and_30_rows(
    alice: Client, make_user: Callable[..., ConferencingUser], make_run: Callable[..., Run], old_bridge: Bridge
) -> None:
    def add(first: int, last: int) -> None:
        for i in range(first, last):
            user = make_user(f"user{i}")
            make_run(user, ("Failed", "InProgress", "Pending")[i % 3], last_error_code="no-bridge")

    add(0, 3)
    big = make_run(make_user("big"), meetings=[(f"Meeting {i}", "Succeeded", "") for i in range(3)])
    addresses = [
        "/contoso/",
        "/contoso/migrations/",
        "/contoso/users/",
        "/contoso/failures/",
        "/contoso/failures/no-bridge/",
        f"/contoso/bridges/{old_bridge.pk}/",
        "/contoso/bridges/",
        "/contoso/audit/",
        "/contoso/search/?q=user",
        f"/contoso/migrations/{big.correlation_id}/",
    ]

    def count() -> dict[str, int]:
        counts = {}
        for address in addresses:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                answer = alice.get(address)
            assert (answer.status_code, weight(answer) < LATER_PAGE) == (200, True)
            counts[address] = len(queries)
        return counts

    count()  # what is cached on first use is asked before the counting
    few = count()
    add(3, 30)
    bigger = make_run(big.user, meetings=[(f"Meeting {i}", "Succeeded", "") for i in range(30)])
    addresses[-1] = f"/contoso/migrations/{bigger.correlation_id}/"

    assert list(count().values()) == list(few.values())
    clock = 2 if connection.vendor == "postgresql" else 0  # whose own clock is asked
    assert max(few.values()) <= 24 + clock


def test_no_page_changes_its_weight_or_its_questions_unseen(pages: Mapping[str, Seen], db: None) -> None:
    styled = classes_styled(USED.read_text("utf-8")) | classes_styled(OURS.read_text("utf-8")) | HOOKS
    brought_along = files_of(pages["/contoso/"].page)
    measured, too_heavy, unstyled = {}, {}, {}
    for address in PAGES:
        page = pages[address].page
        measured[address] = {"bytes": weight(pages[address].answer)}
        if connection.vendor == "sqlite":  # PostgreSQL is told some things besides before it searches
            measured[address]["queries"] = pages[address].questions
        own = weight_of_files(files_of(page) - brought_along)
        too_heavy[address] = max(measured[address]["bytes"] + own - LATER_PAGE, 0)
        unstyled[address] = set(" ".join(re.findall(r'class="([^"]*)"', page)).split()) - styled
    for address, answer in (
        ("/accounts/login/", Client().get("/accounts/login/")),
        ("/contoso/", pages["/contoso/"].answer),
    ):
        files = weight_of_files(files_of(answer.content.decode()))
        measured[f"first visit of {address}"] = {"bytes": weight(answer) + files}
        assert weight(answer) + files < FIRST_VISIT

    assert {address: by for address, by in too_heavy.items() if by} == {}
    assert {address: names for address, names in unstyled.items() if names} == {}, "Style it, or put it into HOOKS."
    assert beside_baseline(measured) == [], HOW_TO_RENEW


def test_it_says_whether_the_service_is_well_without_a_sign_in(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    well = Client().get("/healthz")
    monkeypatch.setattr("tenants_app.screens.views.connection", BrokenConnection())
    ill = Client().get("/healthz")

    assert (well.status_code, ill.status_code) == (200, 503)
    assert ill.json() == {"status": "the database does not answer"}


class BrokenConnection:
    def cursor(self) -> None:
        raise DatabaseError("host=db password=secret")


def test_it_keeps_the_colours_one_chooses(cast: None) -> None:
    client = Client()
    answer = client.post("/accounts/theme/", {"theme": "dark", "next": "/accounts/login/?next=/contoso/"})

    assert answer.url == "/accounts/login/?next=/contoso/"
    assert 'data-bs-theme="dark"' in client.get("/accounts/login/").content.decode()
    client.post("/accounts/theme/", {"theme": "auto"})
    page = client.get("/accounts/login/").content.decode()
    assert 'data-theme="auto"' in page
    assert "data-bs-theme" not in page


@pytest.mark.parametrize("elsewhere", ["https://evil.example.org/", "//evil.example.org", "javascript:alert(1)"])
def test_it_redirects_to_no_other_site(alice: Client, elsewhere: str) -> None:
    theme = alice.post("/accounts/theme/", {"theme": "dark", "next": elsewhere})
    switch = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false", "next": elsewhere})

    assert theme.url == "/"
    assert switch.url == "/contoso/settings/"


def test_it_takes_no_change_without_the_forms_token(cast: None, tenant: Tenant) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="alice"), "mms_site.accounts.backends.AccountBackend")
    answer = strict.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false"})

    tenant.refresh_from_db()
    assert answer.status_code == 403
    assert "The form was too old" in answer.content.decode()
    assert tenant.meeting_migration_enabled


def test_it_shows_a_page_of_its_own_when_something_breaks(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.raise_request_exception = False
    monkeypatch.setattr("tenants_app.screens.views.visible_tenants", None)
    answer = alice.get("/")

    assert answer.status_code == 500
    assert "Migrations are safe" in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
