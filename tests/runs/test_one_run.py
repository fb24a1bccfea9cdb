"""One run, not many (R18, R19): whatever happens at once, attendees are told once, and what they are told is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from migrations_app.rewriting.written_numbers import shown_numbers
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import register_number
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, FormerConferenceId, ServiceNumber, Tenant
from tenants_app.signals import Consequence
from tests.support.actors import ACTOR
from tests.support.meetings import calendar_of, invite, logical_lines, messages_in, preview, told
from tests.support.questions import migrated, sequences
from tests.support.together import together

MakeUser = Callable[..., ConferencingUser]
Asked = tuple[int, datetime, str]
"""Whose run was asked for, when at the earliest, and the sentence of why."""


# --- the licence and the move, in either order ----------------------------------------------------------

ASSIGN = {"audio_conferencing_license": True}
MOVE = {"hosting": "online"}
ORDERS = [pytest.param([ASSIGN, MOVE], id="licence-first"), pytest.param([MOVE, ASSIGN], id="move-first")]


@pytest.fixture
def nora(make_user: MakeUser) -> ConferencingUser:
    """On-premises and without a licence, with meetings that others are invited to."""
    user = make_user("nora.berg", hosting="on-premises", audio_conferencing_license=False)
    for number in range(3):
        invite(user, number)
    return user


def change(user: ConferencingUser, values: dict[str, Any]) -> Consequence:
    (consequence,) = change_user(ConferencingUser.objects.get(pk=user.pk), ACTOR, **values)
    return consequence


def claim() -> Run:
    run = queue.claim()
    assert run is not None
    return run


def says_conference_id(user: ConferencingUser) -> set[bool]:
    bodies = ["\n".join(logical_lines(bytes(row.body))) for row in user.calendar_objects.all()]
    return {user.conference_id in body for body in bodies}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("order", ORDERS)
def test_r18_r19_licence_and_move_within_the_settling_time_are_one_run_and_one_message(
    nora: ConferencingUser, outbox: Path, order: list[dict[str, Any]]
) -> None:
    change_tenant(nora.tenant, ACTOR, settling_time=300)
    for values in order:
        change(nora, values)
        work_queue()  # a worker that looks in between finds nothing due
    run = Run.objects.get()
    assert (run.state, run.migration_type) == ("Pending", "SkypeForBusinessToLink")
    queue.run_now(run)
    work_queue()
    assert says_conference_id(nora) == {True}
    assert len({uid for uid, _ in told(outbox)}) == 3
    assert set(told(outbox).values()) == {1}


@pytest.mark.django_db(transaction=True)
def test_r18_the_licence_that_comes_when_the_move_has_been_claimed_adds_a_run_but_no_message(
    nora: ConferencingUser, outbox: Path
) -> None:
    change(nora, MOVE)
    first = claim()
    assert change(nora, ASSIGN).starts_run
    work_run(first)  # it reads the settings now, and finds the licence among them
    work_queue()
    assert sorted(Run.objects.values_list("state", "invites_update")) == [("Succeeded", 0), ("Succeeded", 3)]
    assert says_conference_id(nora) == {True}
    assert set(told(outbox).values()) == {1}


@pytest.mark.django_db(transaction=True)
def test_r18_the_licence_that_comes_when_meetings_are_written_takes_the_place_of_what_was_not_sent_yet(
    nora: ConferencingUser, outbox: Path
) -> None:
    change(nora, MOVE)
    first = claim()
    work_run(first)
    assert says_conference_id(nora) == {False}
    assert change(nora, ASSIGN).starts_run
    work_run(claim())
    deliver()
    assert Run.objects.count() == 2
    assert Counter(Update.objects.values_list("state", flat=True)) == {"Superseded": 3, "Sent": 3}
    assert says_conference_id(nora) == {True}
    assert set(told(outbox).values()) == {1}


@pytest.mark.django_db(transaction=True)
def test_r18_a_licence_before_the_move_starts_nothing_so_that_the_move_in_progress_is_the_only_run(
    nora: ConferencingUser, outbox: Path
) -> None:
    assert not change(nora, ASSIGN).starts_run
    change(nora, MOVE)
    work_queue()
    assert change(nora, ASSIGN).sentence == "No run, because nothing changed that the invitations show."
    assert Run.objects.count() == 1
    assert set(told(outbox).values()) == {1}


# --- many changes while workers work --------------------------------------------------------------------


class Storm:
    """Administrators who change the same few users in every way that starts runs, and some that start none."""

    def __init__(self, tenant: Tenant, users: list[ConferencingUser], rounds: int) -> None:
        self.tenant, self.users, self.rounds = tenant, users, rounds
        self.bridges = list(tenant.bridges.order_by("pk"))
        self.numbers = list(tenant.service_numbers.order_by("pk"))

    def administrate(self, number: int) -> list[Asked]:
        """One administrator's work; which runs it asked for."""
        random = Random(number)  # noqa: S311 - which change comes next is no secret
        asked: list[Asked] = []
        for turn in range(self.rounds):
            actor = Actor(f"admin {number}.{turn}", Channel.SCREEN)
            user = ConferencingUser.objects.select_related("bridge", "tenant").get(pk=random.choice(self.users).pk)
            before = timezone.now()
            try:
                (consequence,) = self._act(user, actor, random)
            except ValidationError:
                continue  # another administrator moved the user to a bridge that does not have the number
            if consequence.starts_run:
                by_hand = consequence.sentence == "Run, because it was started by hand."
                why = f"started by hand by {actor.name}" if by_hand else consequence.sentence[len("Run, because ") : -1]
                asked.append((user.pk, before, why))
        return asked

    def _act(self, user: ConferencingUser, actor: Actor, random: Random) -> list[Consequence]:
        if random.random() < 0.2:
            return start_by_hand(self.tenant, [user], actor)
        values: dict[str, Any] = random.choice(
            [
                {"bridge": random.choice(self.bridges)},
                {"audio_conferencing_license": not user.audio_conferencing_license},
                {"audio_conferencing_enabled": not user.audio_conferencing_enabled},
                {"conference_id": NEW_CONFERENCE_ID},
                {"toll_number": random.choice([n for n in self.numbers if n.kind == "toll"])},
                {"toll_free_number": random.choice([n for n in self.numbers if n.kind == "toll-free"])},
                {"language": random.choice(["en-US", "es-ES", "it-IT"])},
            ]
        )
        return change_user(user, actor, reschedule_meetings=random.random() < 0.5, **values)


def lose(times: int) -> None:
    """Let workers be taken for lost, and mailboxes be out of reach for a moment."""
    for _ in range(times):
        for pk in Run.objects.filter(state="InProgress").values_list("pk", flat=True):
            Run.objects.filter(pk=pk).exclude(lease_until=None).update(
                lease_until=timezone.now() - timedelta(seconds=1)
            )
        queue.sweep()
        run = queue.claim()
        if run:
            try:
                queue.fail(run, Failure("mailbox-unavailable", retry_after=timedelta(0)))
            except queue.LeaseLost:
                continue


def blow(storm: Storm, *, losses: int = 0) -> list[Asked]:
    """The storm, with three administrators and three workers at once, until the queue is empty."""
    busy = [Event() for _ in range(3)]

    def take_part(number: int) -> list[Asked]:
        if number < len(busy):
            try:
                return storm.administrate(number)
            finally:
                busy[number].set()
        while not all(event.is_set() for event in busy):
            if number == 3:
                work_queue()
            elif number == 4:
                run = queue.claim()  # and leaves the messages to others
                if run:
                    work_run(run)
            elif losses:
                lose(losses)
                break
            else:
                work_queue()
        return []

    asked = list(chain.from_iterable(together(take_part, threads=6)))
    work_queue()
    return asked


def stands_on(run: Run, why: str) -> bool:
    """Whether the run names every reason of the sentence."""
    for reason in run.reasons:
        clause = reason["sentence"][:-1]
        why = why.replace(clause[0].lower() + clause[1:], "")
    return not why.replace(" and ", "")


def would_change(user: ConferencingUser) -> bool:
    outcomes = {(result.outcome, result.code) for result, _ in preview(user)}
    assert outcomes <= {("Succeeded", ""), ("Skipped", "already-current")}
    return ("Succeeded", "") in outcomes


def numbers_to_show(user: ConferencingUser) -> set[str]:
    if not (user.audio_conferencing_license and user.audio_conferencing_enabled and user.bridge):
        return set()
    toll = user.toll_number or user.bridge.numbers.get(is_default=True)
    return {number.number for number in (toll, user.toll_free_number) if number}


def assert_each_update_is_one_revision_and_one_message(before: dict[str, int], outbox: Path) -> None:
    after = sequences()
    changed = Counter(migrated())
    assert {meeting: after[meeting] - before[meeting] for meeting in before} == {uid: changed[uid] for uid in before}
    assert Update.objects.count() == MeetingResult.objects.filter(outcome="Succeeded").count()
    revisions: Counter[tuple[str, ...]] = Counter()
    for message in messages_in(outbox):
        lines = logical_lines(calendar_of(message))
        revisions[tuple(sorted(line for line in lines if line.startswith(("UID:", "SEQUENCE:"))))] += 1
    assert set(revisions.values()) == {1}
    assert Counter(Update.objects.values_list("state", flat=True))["Sent"] == len(messages_in(outbox))
    assert not Update.objects.exclude(state__in=["Sent", "Superseded"]).exists()


@pytest.fixture
def storm(make_user: MakeUser, new_bridge: Bridge, old_bridge: Bridge, tenant: Tenant) -> Storm:
    register_number(old_bridge, "+14255550111", ServiceNumber.Kind.TOLL, ACTOR, country="United States")
    register_number(old_bridge, "+18005550111", ServiceNumber.Kind.TOLL_FREE, ACTOR, country="United States")
    users = [make_user("anna.rossi"), make_user("bruno.costa"), make_user("carla.lind", conference_id_type="private")]
    for user in users:
        for number in range(3):
            invite(user, number)
    # The ID that Carla's invitations show; MMS exchanges only what it once gave itself (R43).
    FormerConferenceId.objects.create(user=users[2], bridge=old_bridge, digits="7654321")
    return Storm(tenant, users, rounds=10)


@pytest.mark.django_db(transaction=True)
def test_r18_many_changes_while_workers_work_lose_nothing_and_double_nothing(storm: Storm, outbox: Path) -> None:
    before = sequences()
    asked = blow(storm)

    assert set(Run.objects.values_list("state", flat=True)) == {"Succeeded"}
    for user_pk, since, why in asked:
        runs = Run.objects.filter(user=user_pk, started_at__gte=since)
        assert any(stands_on(run, why) for run in runs), why
    for user in ConferencingUser.objects.all():
        assert user.is_out_of_date == would_change(user)
    assert_each_update_is_one_revision_and_one_message(before, outbox)

    stale = ConferencingUser.objects.out_of_date().select_related("bridge")
    start_by_hand(storm.tenant, stale, ACTOR)  # what no rule starts by itself: languages, numbers not to be told
    work_queue()
    assert_invitations_tell_the_truth()
    assert_each_update_is_one_revision_and_one_message(before, outbox)


@pytest.mark.django_db(transaction=True)
def test_r18_r28_nothing_is_lost_or_doubled_where_workers_fall_silent_and_mailboxes_fail(
    storm: Storm, outbox: Path
) -> None:
    before = sequences()
    blow(storm, losses=4)

    codes = {"", "newer-run", "mailbox-unavailable", "worker-lost"}
    assert set(Run.objects.values_list("last_error_code", flat=True)) <= codes
    for user in ConferencingUser.objects.all():
        # The other way round, one whose attempts differed in their settings stays out of date until the next run.
        assert user.is_out_of_date or not would_change(user)
    start_by_hand(storm.tenant, ConferencingUser.objects.out_of_date().select_related("bridge"), ACTOR)
    work_queue()
    assert_invitations_tell_the_truth()
    assert_each_update_is_one_revision_and_one_message(before, outbox)


def assert_invitations_tell_the_truth() -> None:
    assert not ConferencingUser.objects.out_of_date().exists()
    every_number = set(ServiceNumber.objects.values_list("number", flat=True))
    for user in ConferencingUser.objects.select_related("bridge", "toll_number", "toll_free_number"):
        assert not would_change(user)
        expected = numbers_to_show(user)
        assert set(user.invited_numbers.values_list("number__number", flat=True)) == expected
        for row in CalendarObject.objects.filter(user=user):
            assert shown_numbers(bytes(row.body), every_number) == expected
