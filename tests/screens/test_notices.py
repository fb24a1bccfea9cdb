"""Notices to organizers on screen: their texts, telling them before a start, and who was told (R37)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from migrations_app.mail.notice_texts import default_text
from migrations_app.models import BulkAction, Notice, NoticeText, Plan, Run
from migrations_app.tasks import work
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.mail_servers import Inbox, Relay, serving
from tests.support.meetings import invite
from tests.support.notices import notices_to
from tests.support.pages import words
from tests.support.two_tenants import everything_stored

TEXTS = "/contoso/settings/notices"
ITALIAN = f"{TEXTS}/advance/it/"


@pytest.fixture
def relay(settings: Any) -> Iterator[Relay]:
    with serving(Relay(), settings) as server:
        yield server


def page(client: Client, address: str) -> str:
    return html.unescape(client.get(address, follow=True).content.decode())


def test_a_text_is_shown_as_typed_then_saved_then_given_up(alice: Client, anna: ConferencingUser) -> None:
    typed = {"subject": "{meetings}: {day}", "body": "Ciao {name} <b>"}
    before = everything_stored()
    shown = alice.post(ITALIAN, typed | {"preview": "asked"})
    assert everything_stored() == before
    assert "Ciao Anna Rossi <b>" in words(shown.content)
    assert "Ciao Anna Rossi &lt;b&gt;" in shown.content.decode()
    assert "as typed, not saved yet" in words(shown.content)

    assert "The text in Italian is saved." in words(alice.post(ITALIAN, typed, follow=True).content)
    assert NoticeText.objects.get().body == typed["body"]
    assert "Your own text" in page(alice, f"{TEXTS}/")
    alice.post(f"{ITALIAN}default/")
    assert not NoticeText.objects.exists()
    assert default_text("Advance", "it").subject in page(alice, f"{TEXTS}/")


def test_what_could_not_be_sent_is_said_beside_the_field(alice: Client, vera: Client, anna: ConferencingUser) -> None:
    refused = alice.post(ITALIAN, {"subject": "{dya} {number}", "body": "Ciao }"})
    assert refused.status_code == 200
    told = words(refused.content)
    assert "There is no placeholder {dya}: did you mean {day}?" in told
    assert "A brace stands alone at “Ciao }”" in told
    assert "{dya} {number}" in html.unescape(refused.content.decode()), "what was typed stays"
    assert not NoticeText.objects.exists()
    assert alice.get(f"{TEXTS}/advance/fr/").status_code == 404
    assert "Save changes" not in page(vera, ITALIAN)


def test_a_test_message_goes_to_who_asks_and_nobody_else(alice: Client, anna: ConferencingUser, settings: Any) -> None:
    with serving(Inbox(), settings) as inbox:
        found = alice.post(f"{ITALIAN}test/")
    assert "is on its way" in words(found.content)
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["alice@example.org"]]


def test_r37_a_planned_start_tells_the_organizers_and_the_pages_say_who_was_told(
    alice: Client, make_users: Callable[..., list[ConferencingUser]], relay: Relay
) -> None:
    bella, carlos = make_users({"bella": {}, "carlos": {}})
    invite(bella)
    invite(carlos, 1)
    relay.refuse(carlos.upn)
    address = "/contoso/users/selected/start/?all"
    assert "Tell the organizers before" in page(alice, address)
    form = {
        "source_meeting_type": "All",
        "target_meeting_type": "Link",
        "seen": "2",
        "notify": "on",
        "notify_cancelled": "on",
    }
    without_time = page_of(alice.post(address, form, follow=True))
    assert "Say when it begins: that is what the organizers are told." in without_time
    assert not BulkAction.objects.exists()

    alice.post(address, form | {"not_before": "tomorrow 22:00"})
    plan = Plan.objects.get()
    assert plan.waits_for_notices
    action = alice.get(f"/contoso/users/actions/{plan.bulk_actions.get().pk}/")
    assert "It waits until the organizers are told" in words(action.content)
    work(timezone.now() + timedelta(minutes=5))
    plan.refresh_from_db()
    assert not plan.waits_for_notices
    shown = page(alice, f"/contoso/notices/{plan.notice_round.pk}/")
    assert "The mail server refused the message" in shown
    assert "1 told" in words(alice.get(f"/contoso/users/planned/{plan.pk}/").content)
    csv = b"".join(alice.get(f"/contoso/notices/{plan.notice_round.pk}/notices.csv").streaming_content).decode()
    assert ",Advance,Sent,1,2" in csv
    assert ",Advance,Failed,1,," in csv
    assert "that 1 meeting would change" in words(alice.get(f"/contoso/users/{bella.upn}/").content)

    Plan.objects.update(opens_at=timezone.now() - timedelta(days=1), not_before=timezone.now() - timedelta(days=1))
    work(timezone.now() + timedelta(minutes=5))
    run = Run.objects.get(user=bella)
    assert "that 1 meeting would change" in words(alice.get(f"/contoso/migrations/{run.correlation_id}/").content)


@pytest.mark.parametrize(
    "address",
    [
        "/contoso/users/selected/start/?all",
        "/contoso/users/{upn}/start/options/",
        "/contoso/bridges/{bridge}/numbers/{number}/replace/?by=%2B14255550133",
    ],
)
def test_r37_whether_the_tenant_wants_cancelled_runs_told_is_ticked_in_advance(
    alice: Client, anna: ConferencingUser, address: str
) -> None:
    assert anna.bridge
    keys = {"upn": anna.upn, "bridge": anna.bridge_id, "number": anna.bridge.numbers.get().pk}
    box = r'<input[^>]*name="notify_cancelled"[^>]*>'
    assert "checked" not in re.findall(box, page(alice, address.format(**keys)))[0]
    change_tenant(anna.tenant, ACTOR, notify_cancelled=True)
    assert "checked" in re.findall(box, page(alice, address.format(**keys)))[0]


def test_r37_the_box_for_cancelled_runs_stays_cleared_where_something_else_was_wrong(
    alice: Client, anna: ConferencingUser
) -> None:
    change_tenant(anna.tenant, ACTOR, notify_cancelled=True)
    address = "/contoso/users/selected/start/?all"
    form = {"source_meeting_type": "All", "target_meeting_type": "Link", "seen": "1", "notify": "on"}
    refused = page_of(alice.post(address, form | {"not_before": ""}, follow=True))
    assert "Say when it begins" in refused
    assert "checked" not in re.findall(r'<input[^>]*name="notify_cancelled"[^>]*>', refused)[0]
    alice.post(address, form | {"not_before": "tomorrow 22:00"})
    assert not Plan.objects.get().tells_cancellation


def page_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def test_a_selection_is_told_of_runs_to_come(alice: Client, anna: ConferencingUser) -> None:
    address = "/contoso/users/selected/notify/?all"
    assert "is past: choose a time to come." in page(alice, f"{address}&begins=2020-01-01T10:00")
    asked = page(alice, f"{address}&begins=tomorrow+22:00")
    assert "Tell them" in asked
    told = alice.post(address, {"seen": "1", "begins": "tomorrow 22:00"}, follow=True)
    assert "Told, if a run would change a meeting of theirs." in words(told.content)
    assert Notice.objects.get().user == anna


def test_a_job_that_tells_organizers_counts_no_runs_as_its_own(
    alice: Client, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    alice.post("/contoso/users/selected/notify/?all", {"seen": "1", "begins": "tomorrow 22:00"})
    make_run(anna, "Failed")
    address = f"/contoso/users/actions/{BulkAction.objects.get().pk}/"

    assert "Their runs" not in words(alice.get(address).content)


def test_what_waits_for_its_notices_too_long_says_so_and_may_begin(
    bob: Client, vera: Client, anna: ConferencingUser
) -> None:
    round_ = notices_to(anna, state="Queued", error_code="")
    Plan.objects.update(opens_at=timezone.now() - timedelta(hours=1))
    address = f"/contoso/notices/{round_.pk}/"
    assert "The runs were to begin, and wait until the organizers are told." in page(vera, address)
    assert "Do not wait" not in page(vera, address)
    assert "The runs begin at their time." in words(bob.post(f"{address}begin/", follow=True).content)
    assert not Plan.objects.get().waits_for_notices
    assert Notice.objects.get().state == "Superseded"
