"""Previews made in the background: what they say, that they go on after a crash, and what a start from one asks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from migrations_app.demo import invitations as demo
from migrations_app.models import CalendarObject, Plan, Preview, PreviewedMeeting, Run
from migrations_app.preview.foretold import Totals, foretell
from migrations_app.preview.plans import Changes, Starts, is_small, keys_after, users_in_parts
from migrations_app.procedures import previews
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tenants_app.sentences import from_json, in_json, sentence
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import words

MakeUsers = Callable[..., list[ConferencingUser]]


def advance() -> None:
    previews.advance(timezone.now() + TIME_BUDGET)


@pytest.fixture
def people(make_users: MakeUsers) -> list[ConferencingUser]:
    """Three users, two of whom have meetings that a run changes."""
    users = make_users({"anna": {}, "bruno": {}, "clara": {}})
    for user in users[:2]:
        invite(user, build=demo.skype_text)
        invite(user, 1, build=demo.teams_gen2)
    change_user(users[2], ACTOR, conferencing_provider="InterCall")
    Run.objects.all().delete()
    return users


def asked(client: Client, **form: Any) -> Preview:
    answer = client.post("/contoso/previews/", form)
    assert answer.status_code == 302, answer.content
    return Preview.objects.latest("pk")


def keys(users: list[ConferencingUser]) -> list[int]:
    return [user.pk for user in users]


def test_it_says_of_each_meeting_what_becomes_of_it_and_is_started(
    bob: Client, people: list[ConferencingUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "BATCH", 1)
    ConferencingUser.objects.filter(pk=people[0].pk).update(undo_holds=True)
    shown = asked(bob, kind="start", selection="all=3")
    assert "0 of 3 users looked at" in words(bob.get(f"/contoso/previews/{shown.pk}/").content)
    advance()

    page = words(bob.get(f"/contoso/previews/{shown.pk}/").content)
    assert "Runs that start 2" in page
    assert "1 user without a run" in page
    assert "Start 2 runs" in page
    assert f"This ends the undo of {people[0].upn}." in page
    changed = PreviewedMeeting.objects.filter(preview=shown, outcome="Succeeded")
    assert changed.count() == int(page.partition("Meetings that change ")[2].split()[0]) > 0
    meeting = changed.first()
    assert meeting
    one = bob.get(f"/contoso/previews/{shown.pk}/meetings/{meeting.pk}/").content.decode()
    assert "Dial-in numbers" in one
    assert all(address in one for address in meeting.recipients)
    rows = list(csv.DictReader(io.StringIO(b"".join(bob.get(f"/contoso/previews/{shown.pk}/meetings.csv")).decode())))
    assert [row["MeetingUid"] for row in rows] == list(shown.meetings.order_by("pk").values_list("uid", flat=True))
    report = b"".join(bob.get(f"/contoso/previews/{shown.pk}/report.html")).decode()
    assert "default-src 'none'" in report
    assert meeting.recipients[0] in report
    assert f"This ends the undo of {people[0].upn}." in report
    done = bob.post(f"/contoso/previews/{shown.pk}/start/", follow=True)
    assert "Users 3 Run started 2 No run 1" in words(done.content)
    assert Run.objects.filter(state="Pending").count() == 2


def test_a_start_says_what_has_changed_since_before_it_starts(bob: Client, people: list[ConferencingUser]) -> None:
    shown = asked(bob, kind="start", user=keys(people))
    advance()
    CalendarObject.objects.filter(user=people[0]).first().delete()  # type: ignore[union-attr]
    change_user(people[1], ACTOR, is_data_fix=True, toll_number=people[1].bridge.numbers.get())
    change_user(people[1], ACTOR, is_data_fix=True, conference_id="7654321")

    told = bob.post(f"/contoso/previews/{shown.pk}/start/", follow=True)
    assert "2 users changed since this preview was made. Nothing was started." in words(told.content)
    assert not Run.objects.exists()
    bob.post(f"/contoso/previews/{shown.pk}/start/", {"in_spite_of": "1"})
    assert not Run.objects.exists()
    bob.post(f"/contoso/previews/{shown.pk}/start/", {"in_spite_of": "2"})
    assert Run.objects.count() == 2


def test_r37_what_was_previewed_can_be_planned_and_its_organizers_told(
    bob: Client, people: list[ConferencingUser]
) -> None:
    shown = asked(bob, kind="start", user=keys(people))
    advance()
    address = f"/contoso/previews/{shown.pk}/"
    typed = {"not_before": "tomorrow 22:00", "notify": "on"}
    assert "is past" in words(
        bob.post(f"{address}start/", typed | {"not_before": "2020-01-01T10:00"}, follow=True).content
    )
    CalendarObject.objects.filter(user=people[0]).first().delete()  # type: ignore[union-attr]
    changed = bob.post(f"{address}start/", typed, follow=True).content.decode()
    assert "1 user changed since this preview was made. Nothing was started." in words(changed.encode())
    assert not Plan.objects.exists()
    again = changed.partition('name="in_spite_of"')[2].partition("</form>")[0]
    sent = dict(re.findall(r'name="(\w+)" value="([^"]*)"', again))
    assert sent == typed

    bob.post(f"{address}start/", sent | {"in_spite_of": "1"})
    plan = Plan.objects.get()
    assert plan.wants_notice
    assert not plan.tells_cancellation
    assert not Run.objects.exists()


def test_a_preview_that_is_a_day_old_is_one_sentence_and_is_deleted(
    bob: Client, people: list[ConferencingUser]
) -> None:
    shown = asked(bob, kind="start", user=keys(people))
    advance()
    Preview.objects.update(created=timezone.now() - timedelta(hours=25))
    for answer in (
        bob.get(f"/contoso/previews/{shown.pk}/"),
        bob.get(f"/contoso/previews/{shown.pk}/meetings.csv"),
        bob.post(f"/contoso/previews/{shown.pk}/start/"),
    ):
        assert answer.status_code == 404
        assert "Previews are kept for a day" in words(answer.content)
    assert not Run.objects.exists()
    assert previews.is_due(timezone.now())
    advance()
    assert not Preview.objects.exists()
    assert not PreviewedMeeting.objects.exists()


def test_a_killed_worker_leaves_whole_steps_and_the_next_one_goes_on(
    tenant: Tenant, people: list[ConferencingUser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "BATCH", 1)
    shown = previews.submit(tenant, Starts.of(tenant, users=keys(people)), ACTOR)
    real, steps = previews.insert, iter(range(99))

    def killed(rows: Any) -> None:
        if next(steps) == 2:
            raise SystemExit
        real(rows)

    monkeypatch.setattr(previews, "insert", killed)
    with pytest.raises(SystemExit):
        advance()
    shown.refresh_from_db()
    assert (shown.done_users, shown.users.count()) == (1, 1)
    advance()
    shown.refresh_from_db()
    assert (shown.state, shown.done_users, shown.users.count()) == ("Ready", 3, 3)
    assert shown.totals["users"] == 3


def test_two_workers_look_at_the_same_users_and_count_them_once(tenant: Tenant, people: list[ConferencingUser]) -> None:
    previews.submit(tenant, Starts.of(tenant, users=keys(people)), ACTOR)
    one, other = Preview.objects.get(), Preview.objects.get()
    previews._step(one)
    previews._step(other)
    done = Preview.objects.get()
    assert (done.done_users, done.totals["users"], done.users.count()) == (3, 3, 3)


def test_many_workers_that_begin_a_step_together_do_not_give_it_up(
    tenant: Tenant, people: list[ConferencingUser], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MMS_WORKERS = 8
    previews.submit(tenant, Starts.of(tenant, users=keys(people)), ACTOR)
    others = list(range(7))

    def beside_others(*args: Any) -> Any:
        while others:
            others.pop()
            advance()
        return foretell(*args)

    monkeypatch.setattr(previews, "foretell", beside_others)
    advance()
    assert Preview.objects.get().state == "Ready"


def test_whoever_may_not_change_users_sees_no_preview_of_a_change(
    bob: Client, alice: Client, people: list[ConferencingUser], new_bridge: Bridge
) -> None:
    form = {"kind": "move", "selection": "all=3", "to": new_bridge.pk}
    assert bob.post("/contoso/previews/", form).status_code == 404
    shown = asked(alice, **form)
    assert bob.get(f"/contoso/previews/{shown.pk}/").status_code == 404
    advance()
    page = words(alice.get(f"/contoso/previews/{shown.pk}/").content)
    assert "Runs that start 2" in page
    assert Preview.objects.get().meetings.filter(facts__icontains="+442079460123").exists()


def test_a_change_that_takes_the_dial_in_part_away_says_so_first(
    tenant: Tenant, alice: Client, people: list[ConferencingUser]
) -> None:
    plan = Changes.of(tenant, {"audio_conferencing_license": False}, users=keys(people))
    shown = previews.submit(tenant, plan, ACTOR)
    advance()
    page = words(alice.get(f"/contoso/previews/{shown.pk}/").content)
    assert "4 meetings lose their dial-in part." in page
    assert page.index("lose their dial-in part") < page.index("Runs that start")
    assert words(alice.get(f"/contoso/previews/{shown.pk}/?show=dial-in").content).count("Loses its dial-in part") == 4


def test_what_cannot_be_looked_at_is_one_sentence(alice: Client, anna: ConferencingUser, tenant: Tenant) -> None:
    for form, expected in (
        ({}, "Say what the preview is to be about."),
        ({"kind": "move", "from": "x", "to": "y"}, "is not there any more"),
        ({"kind": "import", "import": "9" * 30}, "is not there any more"),
        ({"kind": "start", "source_meeting_type": "Fax"}, ""),
    ):
        told = words(alice.post("/contoso/previews/", form, follow=True).content)
        assert expected in told
    assert not Preview.objects.exists()
    shown = previews.submit(tenant, Changes.of(tenant, {"bridge": anna.bridge}, users=[anna.pk]), ACTOR)
    Preview.objects.update(terms=shown.terms | {"values": {"bridge": 0}})
    advance()
    assert "look again" in words(alice.get(f"/contoso/previews/{shown.pk}/").content)
    assert Preview.objects.get().state == "Refused"


def test_the_page_asks_as_many_questions_for_many_users_as_for_few(
    bob: Client, make_users: MakeUsers, tenant: Tenant
) -> None:
    counts = []
    for names in (["a", "b"], [f"user{number}" for number in range(30)]):
        users = make_users({name: {} for name in names})
        for user in users:
            invite(user, build=demo.skype_text)
        shown = previews.submit(tenant, Starts.of(tenant, users=keys(users)), ACTOR)
        advance()
        with CaptureQueriesContext(
            connection,
        ) as asked_page:
            bob.get(f"/contoso/previews/{shown.pk}/?changed=1")
        counts.append(len(asked_page))
    assert counts[0] == counts[1]


def test_a_plan_may_name_more_users_than_a_query_takes(tenant: Tenant, people: list[ConferencingUser]) -> None:
    named = sorted({*keys(people), *range(10_000_000, 10_300_000)})
    plan = Starts.of(tenant, users=named)
    assert not is_small(plan)
    assert keys_after(plan, people[0].pk, 2) == [people[1].pk, people[2].pk]
    assert [user for some in users_in_parts(plan) for user in some] == people


def test_why_runs_would_fail_is_read_in_any_language_however_often_it_is_kept() -> None:
    totals = Totals(failing={sentence("The bridge %(name)s was removed.", name="Seattle"): 2})
    for _ in range(2):
        totals = Totals.of(from_json(in_json(totals.stored)))
    assert totals.failing == {"The bridge Seattle was removed.": 2}
    with translation.override("it"):
        assert [f"{why}" for why in totals.failing] == ["Il bridge Seattle è stato rimosso."]
