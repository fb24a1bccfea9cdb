"""The page of a wave, and what one does there: in the browser, by role (R77 to R81, R91)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import LeftMeeting, RolloutCheck, Run, Wave
from migrations_app.rollouts import engine
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members
from tests.support.visitors import cast, sign_in

__all__ = ["cast"]


@pytest.fixture
def wave(cast: None, tenant: Tenant, new_bridge: Bridge, make_users: Callable[..., list[ConferencingUser]]) -> Wave:
    legacy = a_deployment(tenant)
    users = make_users({name: {} for name in ("anna", "bruno", "clara")})
    belong_to(legacy, users)
    rollout = a_rollout(tenant, legacy)
    type(rollout).objects.update(default_bridge=new_bridge)
    RolloutCheck.objects.all().delete()
    wave = a_wave(rollout, batches=[1, 2], observe_days=0)
    members(wave, users)
    return wave


def address(wave: Wave, *parts: str) -> str:
    return "/".join(["", "contoso", "rollouts", str(wave.rollout_id), "waves", str(wave.position), *parts, ""])


def text(client: Client, at: str) -> str:
    response = client.get(at)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def go_on() -> None:
    while engine.advance(timezone.now() + timezone.timedelta(minutes=5)):
        pass


def test_r77_an_operator_starts_pauses_and_resumes(wave: Wave) -> None:
    bob = sign_in("bob")
    assert "They move in batches of 1, 2" in text(bob, address(wave, "start"))
    assert bob.post(address(wave, "start")).url == address(wave)
    go_on()
    page = text(bob, address(wave))
    assert "The next batch begins when the run of 1 member has ended." in page
    assert "Batch 1" in page
    bob.post(address(wave, "pause"), {"reason": "Lunch"})
    assert "The wave is paused: nobody else is moved" in text(bob, address(wave))
    bob.post(address(wave, "resume"), {})
    wave.refresh_from_db()
    assert wave.state == Wave.State.RUNNING


def test_r79_after_a_stop_the_form_asks_why(wave: Wave) -> None:
    bob = sign_in("bob")
    bob.post(address(wave, "start"))
    go_on()
    Run.objects.update(state="Failed", finished_at=timezone.now(), last_error_code="mailbox-unavailable")
    go_on()
    page = text(bob, address(wave))
    assert "The only member of the batch has failed." in page
    assert "Retry" in page
    answer = bob.post(address(wave, "resume"), {"reason": ""})
    assert answer.status_code == 200
    wave.refresh_from_db()
    assert wave.state == Wave.State.STOPPED
    assert bob.post(address(wave, "resume"), {"reason": "Put right."}).status_code == 302
    member = wave.members.get(state="Failed")
    assert bob.post(address(wave, "members", str(member.pk), "retry")).status_code == 302
    assert Run.objects.count() == 2


def test_r91_a_viewer_reads_and_an_operator_does_not_accept(wave: Wave) -> None:
    vera, bob = sign_in("vera"), sign_in("bob")
    assert 'id="start"' not in text(vera, address(wave))
    assert vera.post(address(wave, "start")).status_code == 403
    assert sign_in("charlie").get(address(wave)).status_code == 404
    assert bob.post(address(wave, "accept"), {"shown": 0}).status_code == 403


def test_r77_a_start_that_is_refused_says_why(wave: Wave) -> None:
    wave.members.all().delete()
    bob = sign_in("bob")
    assert "Nobody is in wave Test users: add members first." in text(bob, address(wave, "start"))
    page = bob.post(address(wave, "start"))
    assert page.status_code == 200
    assert "Nobody is in wave Test users" in page.content.decode()


def test_r81_what_is_not_in_order_is_seen_by_name_and_accepted(wave: Wave) -> None:
    now = timezone.now()
    wave.members.update(state="Done", moved_at=now, finished_at=now, batch=1)
    Wave.objects.filter(pk=wave.pk).update(
        state="Observing", started_at=now, frozen_at=now, moved_at=now, observed_until=now, offered_at=now
    )
    wave.members.filter(user__upn="clara@contoso.com").update(state="Failed", failure="The mailbox is full.")
    anna = ConferencingUser.objects.get(upn="anna@contoso.com")
    for number in range(60):
        LeftMeeting.objects.create(
            tenant=anna.tenant,
            user=anna,
            uid=f"{number}@contoso.com",
            subject=f"Budget {number:02}",
            starts_at=now + timezone.timedelta(days=number + 1),
            last_end=now + timezone.timedelta(days=number + 1),
            code="needs-review",
        )
    alice = sign_in("alice")
    page = text(alice, address(wave, "accept"))
    assert "The mailbox is full." in page
    assert "You accept the wave with 61 items" in page
    page = text(alice, f"{address(wave, 'accept')}?kind=in-review&page=2")
    assert "Budget 59" in page
    assert "Budget 00" not in page
    file = b"".join(alice.get(f"{address(wave, 'accept')}items.csv").streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert len(file.splitlines()) == 62
    assert alice.post(address(wave, "accept"), {"shown": 60}).status_code == 200, "more than was shown"
    assert alice.post(address(wave, "accept"), {"shown": 61, "note": "Known."}).url == address(wave)
    assert "Completed with errors" in text(alice, address(wave))
    assert "Budget 00" in text(alice, f"{address(wave, 'accept')}?kind=in-review")


def test_r63_a_list_is_taken_and_confirmed(wave: Wave) -> None:
    type(wave.rollout.new).objects.filter(role="new").update(mover="list")
    bob = sign_in("bob")
    bob.post(address(wave, "start"))
    go_on()
    assert "waits to be moved with Move-CsUser" in text(bob, address(wave))
    page = text(bob, address(wave, "moves"))
    assert "Move-CsUser -UserList" in page
    assert bob.get(f"{address(wave, 'moves')}list.txt").content == b"anna@contoso.com\r\n"
    wrong = SimpleUploadedFile("results.csv", b"UserPrincipalName,Result\nnobody@contoso.com,moved\n")
    answer = bob.post(address(wave, "moves"), {"results": wrong})
    assert "nobody@contoso.com does not wait for a move" in answer.content.decode()
    assert bob.post(address(wave, "moves"), {"all": "1"}).status_code == 302
    assert Run.objects.count() == 1
    assert "Nobody waits to be moved" in text(bob, address(wave, "moves"))


def test_r77_the_page_asks_the_database_as_much_for_many_members_as_for_few(
    wave: Wave, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    bob = sign_in("bob")
    bob.post(address(wave, "start"))
    go_on()
    bob.get(address(wave))
    with CaptureQueriesContext(connection) as few:
        bob.get(address(wave))
    more = make_users({f"more{n:02}": {} for n in range(40)})
    members(wave, more[:20], state="Done", batch=1, finished_at=timezone.now())
    members(wave, more[20:])
    with CaptureQueriesContext(connection) as many:
        bob.get(address(wave))
    assert len(many) <= len(few) + 1, "one more state is shown"


def test_a_form_does_nothing_to_another_wave_than_it_was_shown_for(wave: Wave) -> None:
    """Waves to come change their places, and addresses name places: a stale page starts and removes nobody's wave."""
    alice = sign_in("alice")
    page = alice.get(address(wave, "start")).content.decode()
    other = a_wave(wave.rollout, name="Another", position=2)
    alice.post(address(other, "put"), {"seen": other.pk, "position": 1})
    wave.refresh_from_db()
    assert wave.position == 2
    seen = re.search(r'name="seen" value="(\d+)"', page)
    assert seen is not None
    assert int(seen[1]) == wave.pk
    for act in ("start", "remove", "open-gate"):
        told = alice.post(address(other, act).replace("/waves/2/", "/waves/1/"), {"seen": seen[1], "reason": "x" * 30})
        assert told.status_code == 403
        assert "The waves have another order than when the page was opened" in told.content.decode()
    assert set(Wave.objects.values_list("state", flat=True)) == {"Draft"}
    assert {wave.pk, other.pk} <= set(Wave.objects.values_list("pk", flat=True))
