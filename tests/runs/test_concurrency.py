"""Several workers at once, each with a database connection of its own."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.mail import outbox
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, NumberRelease, Run, UntoldNumber, Update
from migrations_app.procedures import number_release, number_search
from migrations_app.rewriting.written_numbers import shown_numbers
from migrations_app.runs import left, queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.imported import note_imported
from migrations_app.runs.queue import RunRequest
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from migrations_app.triggers.rules import Reason
from tenants_app import fingerprints
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import describe_number, register_number, set_default_number
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID, private_conference_ids
from tenants_app.changes.locking import wait_for_others
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_user, change_users, create_users, mark_up_to_date
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, InvitedNumber, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, messages_in, migrate
from tests.support.together import WORKERS, elsewhere, together
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
needs_row_locks = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")


def test_no_run_is_claimed_twice(make_user: Callable[..., ConferencingUser]) -> None:
    users = [make_user(f"user{number}") for number in range(20)]
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, [Reason("R11", "Started.")]) for user in users], "alice")

    def claim_all(_: int) -> list[int]:
        claimed = []
        while run := queue.claim():
            claimed.append(run.pk)
        return claimed

    claimed = [pk for some in together(claim_all) for pk in some]
    assert sorted(claimed) == sorted(Run.objects.values_list("pk", flat=True))


def test_workers_share_the_work_and_each_message_goes_out_once(
    make_user: Callable[..., ConferencingUser], outbox: Any
) -> None:
    users = [make_user(f"user{number}") for number in range(8)]
    for number, user in enumerate(users):
        invite(user, number)
        invite(user, number + 100)
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, [Reason("R11", "Started.")]) for user in users], "alice")
    together(lambda _: work_queue())
    assert set(Run.objects.values_list("state", flat=True)) == {"Succeeded"}
    assert set(MeetingResult.objects.values_list("outcome", flat=True)) == {"Succeeded"}
    assert Counter(Update.objects.values_list("state", "attempts")) == {("Sent", 1): 16}
    assert len(messages_in(outbox)) == 16


def test_changes_of_one_user_at_the_same_time_make_one_run(anna: ConferencingUser) -> None:
    together(
        lambda number: change_user(
            ConferencingUser.objects.get(pk=anna.pk),
            Actor(f"admin {number}", Channel.SCREEN),
            conference_id=NEW_CONFERENCE_ID,
        )
    )
    assert Run.objects.filter(state="Pending").count() == Run.objects.count() == 1


def test_conference_ids_given_out_at_the_same_time_differ(
    make_user: Callable[..., ConferencingUser], new_bridge: Bridge
) -> None:
    users = [make_user(f"user{number}") for number in range(WORKERS)]
    together(lambda number: change_user(users[number], ACTOR, bridge=new_bridge))
    assert ConferenceId.objects.filter(bridge=new_bridge).values("digits").distinct().count() == WORKERS


def test_a_sweep_beside_a_slow_worker_ends_in_one_result(anna: ConferencingUser) -> None:
    invite(anna)
    queue.request_runs(anna.tenant, [RunRequest(anna, [Reason("R11", "Started.")])], "alice")
    slow = queue.claim()
    assert slow is not None
    Run.objects.update(lease_until=slow.started_at)
    queue.sweep()
    other = queue.claim()
    assert other is not None
    runs = [slow, other, other, slow]
    together(lambda number: work_run(runs[number]) if number < 2 else None)
    assert Run.objects.get().state == "Succeeded"
    assert MeetingResult.objects.count() == Update.objects.count() == 1


def test_workers_that_find_nothing_to_do_do_not_wait_for_a_change_nor_keep_one_waiting(anna: ConferencingUser) -> None:
    def look(_: int) -> tuple[object, ...]:
        return queue.claim(), queue.sweep(), outbox.sweep(), outbox.due(timezone.now(), Update).exists()

    with transaction.atomic():
        anna.save()  # on SQLite this transaction has the only lock
        assert together(look, threads=1) == [(None, 0, None, False)]


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: a claim waits instead of passing over"
)
def test_a_claim_passes_over_a_row_that_is_being_claimed(make_user: Callable[..., ConferencingUser]) -> None:
    users = [make_user(f"user{number}") for number in range(WORKERS)]
    tenant = users[0].tenant
    queue.request_runs(tenant, [RunRequest(user, [Reason("R11", "Started.")]) for user in users], "alice")
    claimed = together(lambda _: getattr(queue.claim(), "pk", None))
    assert len(set(claimed)) == WORKERS
    assert connection.vendor == "postgresql"


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="SQLite has one writer at a time: the claim waits for the change"
)
def test_a_run_that_a_change_is_joining_is_not_claimed_until_the_change_is_made(anna: ConferencingUser) -> None:
    first = RunRequest(anna, [Reason("R11", "Started.")])
    queue.request_runs(anna.tenant, [first], "alice")

    with transaction.atomic():
        queue.request_runs(anna.tenant, [RunRequest(anna, [Reason("R5", "Moved.")])], "alice")
        assert elsewhere(queue.claim) is None
    run = elsewhere(queue.claim)
    assert run is not None
    assert [reason["rule"] for reason in run.reasons] == ["R11", "R5"]


def test_large_requests_in_different_orders_do_not_lock_each_other_out(tenant: Tenant, old_bridge: Bridge) -> None:
    rows = [{"upn": f"user{number:04}@contoso.com", "bridge": old_bridge} for number in range(1100)]
    users = create_users(tenant, rows, ACTOR)

    def request(number: int) -> None:
        ordered = users if number % 2 else users[::-1]
        requests = [RunRequest(user, [Reason("R11", f"Started by {number}.")]) for user in ordered]
        queue.request_runs(tenant, requests, "alice")

    together(request)
    assert Run.objects.count() == 1100
    assert all(len(reasons) == WORKERS for reasons in Run.objects.values_list("reasons", flat=True))


def test_changes_of_one_user_at_the_same_moment_come_one_after_the_other(anna: ConferencingUser) -> None:
    def save(number: int) -> None:
        user = ConferencingUser.objects.get(pk=anna.pk)  # all of them see her as she was
        change_user(user, Actor(f"admin {number}", Channel.SCREEN), display_name=f"Anna {number}")

    together(save)
    entries = list(AuditEntry.objects.filter(action="change user", target=anna.upn).order_by("pk"))
    names = [anna.display_name, *(entry.after["display_name"] for entry in entries)]
    assert {entry.actor for entry in entries} == {f"admin {number}" for number in range(WORKERS)}
    assert [entry.before["display_name"] for entry in entries] == names[:-1]
    assert ConferencingUser.objects.get(pk=anna.pk).display_name == names[-1]


def test_changes_of_different_settings_at_the_same_moment_are_all_kept(anna: ConferencingUser) -> None:
    wanted: list[dict[str, Any]] = [
        {"display_name": "Anna R."},
        {"language": "it"},
        {"sip_address": "anna@contoso.com"},
        {"audio_conferencing_enabled": False},
    ]
    together(
        lambda number: change_user(ConferencingUser.objects.get(pk=anna.pk), ACTOR, **wanted[number]),
        threads=len(wanted),
    )
    anna.refresh_from_db()
    assert [{name: getattr(anna, name) for name in values} for values in wanted] == wanted


def test_r18_changes_and_starts_by_hand_at_the_same_moment_are_one_run(anna: ConferencingUser) -> None:
    def ask(number: int) -> None:
        actor = Actor(f"admin {number}", Channel.SCREEN)
        if number % 2:
            start_by_hand(anna.tenant, ConferencingUser.objects.filter(pk=anna.pk), actor)
        else:
            change_user(ConferencingUser.objects.get(pk=anna.pk), actor, audio_conferencing_enabled=number > 0)

    together(ask)
    run = Run.objects.get()
    assert run.state == "Pending"
    assert {reason["sentence"] for reason in run.reasons} >= {
        "Started by hand by admin 1.",
        "Started by hand by admin 3.",
        "Audio conferencing was disabled.",
    }


# --- locks: everybody takes the tenant, then users by their key, then what belongs to them --------------


def until_somebody_waits_for_me(meanwhile: Future[Any]) -> None:
    """Until another connection waits for this transaction, or ``meanwhile`` is over without."""
    with connection.cursor() as cursor:
        while not meanwhile.done():
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)"
            )
            if cursor.fetchone()[0]:
                return


@needs_row_locks
def test_a_change_of_everybody_locks_users_in_the_order_in_which_a_start_does(
    make_user: Callable[..., ConferencingUser],
) -> None:
    first, second = make_user("zoe.zanetti"), make_user("anna.abate")
    while ConferencingUser.objects.order_by(RawSQL("ctid", ())).first() == first:  # until her row lies behind Anna's
        change_user(first, ACTOR, audio_conferencing_enabled=not first.audio_conferencing_enabled)
        first.refresh_from_db()
    users = ConferencingUser.objects.select_for_update(no_key=True, nowait=True)

    def change_everybody() -> None:
        change_tenant(first.tenant, ACTOR, local_numbers_url="https://join.contoso.com/dialin")
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            users.get(pk=first.pk)
            change = pool.submit(change_everybody)
            until_somebody_waits_for_me(change)
            users.get(pk=second.pk)  # an error where the change has locked her already, and waits for Zoe
        change.result()
    assert {user.is_out_of_date for user in ConferencingUser.objects.all()} == {True}


@needs_row_locks
def test_a_worker_gives_out_conference_ids_while_the_user_is_being_changed(
    make_user: Callable[..., ConferencingUser],
) -> None:
    user = make_user(conference_id_type="private")
    with transaction.atomic():
        change_user(user, ACTOR, display_name="Anna R.")
        _, new = elsewhere(lambda: private_conference_ids(user, ["one", "two"]))
        change_user(user, ACTOR, conference_id=NEW_CONFERENCE_ID)
    assert new == {"one", "two"}


@needs_row_locks
def test_a_worker_that_begins_to_write_is_not_locked_out_by_a_change_of_the_number(anna: ConferencingUser) -> None:
    assert anna.bridge is not None
    number = anna.bridge.numbers.get()
    anna.invited_numbers.all().delete()  # so that hers refer to it newly

    def describe() -> None:
        describe_number(number, ACTOR, country="United States", city="Seattle")
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            fingerprints.become_unknown(anna)
            fingerprints.add_numbers(anna, [number.pk])
            change = pool.submit(describe)
            until_somebody_waits_for_me(change)
        change.result()
    anna.refresh_from_db()
    assert anna.is_out_of_date


def test_changes_of_everybody_starts_and_work_at_the_same_time_do_not_lock_each_other_out(
    make_user: Callable[..., ConferencingUser], new_bridge: Bridge, outbox: Any
) -> None:
    users = [
        make_user(f"user{number}", conference_id_type="private" if number % 2 else "public") for number in range(6)
    ]
    for number, user in enumerate(users):
        invite(user, number)
    tenant, old_bridge = users[0].tenant, users[0].bridge
    assert old_bridge is not None
    first = old_bridge.numbers.get()
    second = register_number(old_bridge, "+14255550133", "toll", ACTOR)

    def act(number: int) -> None:
        for turn in range(6):
            if number == 0:
                change_tenant(tenant, ACTOR, meeting_url=f"https://meet{turn}.contoso.com")
                describe_number(first, ACTOR, country="United States", city=f"City {turn}")
            elif number == 1:
                set_default_number((second, first)[turn % 2], ACTOR, reschedule_meetings=True)
                mark_up_to_date(users[turn], ACTOR)
            elif number == 2:
                start_by_hand(tenant, list(ConferencingUser.objects.select_related("bridge")), ACTOR)
            elif number == 3:
                values = {"bridge": (new_bridge, old_bridge)[turn % 2], "conference_id": NEW_CONFERENCE_ID}
                change_users(tenant, [UserEdit(user.pk, values) for user in users], ACTOR)
            else:
                work_queue()

    together(act, threads=6)
    work_queue()
    assert set(Run.objects.values_list("state", flat=True)) == {"Succeeded"}


def test_workers_that_number_the_same_meetings_at_the_same_moment_agree(
    make_user: Callable[..., ConferencingUser],
) -> None:
    user = make_user(conference_id_type="private")
    for batch in range(5):
        uids = [f"{batch}-{number}" for number in range(20)]
        given = together(lambda _, uids=uids: private_conference_ids(user, uids))  # type: ignore[misc]
        assert all(ids == given[0][0] for ids, _ in given)
        assert sorted(len(new) for _, new in given) == [0] * (WORKERS - 1) + [20]


def test_meetings_that_come_in_beside_a_run_do_not_lock_it_out(anna: ConferencingUser) -> None:
    objects = [invite(anna, number) for number in range(30)]
    queue.request_runs(anna.tenant, [RunRequest(anna, [Reason("R11", "Started.")])], "alice")

    def bring_in(number: int) -> None:
        for _ in range(10):
            if number == 0:
                work_queue()
                start_by_hand(anna.tenant, [anna], ACTOR)
            else:
                EmbeddedMailbox(anna).store(objects if number % 2 else objects[::-1])

    together(bring_in)
    assert not Run.objects.filter(last_error_code="internal-error").exists()


# --- taking a number off its bridge ---------------------------------------------------------------------

OLD, NEW = "+14255550111", "+14255550122"


@pytest.fixture
def old(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


def test_r34_r35_a_procedure_that_several_workers_take_on_moves_everybody_once(
    make_user: Callable[..., ConferencingUser],
    old: ServiceNumber,
    new: ServiceNumber,
    outbox: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(number_release, "BATCH", 2)  # many steps, which the workers take in turn
    users = [make_user(f"user{number}", toll_number=old) for number in range(9)]
    for number, user in enumerate(users):
        invite(user, number)
        migrate(user)
    deliver()
    number_release.start_release(old, new, ACTOR)
    last = len(messages_in(outbox))

    def released() -> bool:
        return not ServiceNumber.objects.filter(number=OLD).exists()

    def go_on(_: int) -> set[str]:
        """The numbers that invitations show as soon as the old one is gone."""
        while not released():
            run = queue.claim()
            if run:
                work_run(run)
            deliver()  # until everybody was told the number is kept
            number_release.advance(timezone.now() + timedelta(minutes=1))
        return set().union(*(shown_numbers(bytes(row.body), [OLD, NEW]) for row in CalendarObject.objects.all()))

    assert together(go_on) == [{NEW}] * WORKERS
    deliver()
    release = NumberRelease.objects.get()
    assert (release.state, release.users.count()) == ("Released", 9)
    assert AuditEntry.objects.filter(action="release number").count() == 1
    moves = AuditEntry.objects.filter(action="change user", after__toll_number=NEW)
    assert sorted(moves.values_list("target", flat=True)) == sorted(user.upn for user in users)
    assert Counter(Run.objects.values_list("state", "is_latest")) == {("Succeeded", True): 9, ("Succeeded", False): 9}
    assert set(InvitedNumber.objects.values_list("number__number", flat=True)) == {NEW}
    assert len(messages_in(outbox)) == last + 9


@pytest.mark.parametrize("in_one_step", [False, True], ids=["taken-off", "replaced"])
def test_r33_of_those_who_take_the_same_number_off_at_the_same_moment_one_does(
    old: ServiceNumber, new: ServiceNumber, in_one_step: bool
) -> None:
    def start(_: int) -> str:
        try:
            if in_one_step:
                number_release.start_replacement(old, "+14255550133", ACTOR)
            else:
                number_release.start_release(old, new, ACTOR)
        except ValidationError as error:
            return " ".join(error.messages)
        return ""

    told = together(start)
    assert told.count("") == 1
    assert all(words == "" or "already" in words for words in told)
    assert NumberRelease.objects.get().state == "Waiting"
    assert AuditEntry.objects.filter(action="take number off").count() == 1


def test_r35_no_number_is_released_while_an_import_brings_a_meeting_that_shows_it(
    make_user: Callable[..., ConferencingUser], old: ServiceNumber, new: ServiceNumber, tmp_path: Any
) -> None:
    """Whoever comes first: either the import finds no number any more that it could hold, or the number is held."""
    users = [make_user(f"user{number}") for number in range(WORKERS - 1)]
    files = []
    for number, user in enumerate(users):
        _, body = invite(user, number, invitations.no_block)
        EmbeddedMailbox(user).store([])
        CalendarObject.objects.filter(user=user).delete()
        files.append(tmp_path / f"{number}.ics")
        files[-1].write_bytes(body.replace(b"END:VEVENT", b"COMMENT:dial 425 555 0111\r\nEND:VEVENT"))
    release = number_release.start_release(old, new, ACTOR)
    imported_before: list[bool] = []

    def act(number: int) -> None:
        if number == WORKERS - 1:
            number_release.advance(timezone.now() + timedelta(minutes=1))
            return
        call_command("import_meetings", str(files[number]), user=users[number].upn, stdout=io.StringIO())
        if NumberRelease.objects.filter(pk=release.pk, number__isnull=False).exists():
            imported_before.append(InvitedNumber.objects.filter(user=users[number], number__number=OLD).exists())

    together(act)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    is_there = ServiceNumber.objects.filter(number=OLD).exists()
    holding = number_release.holding_meetings(NumberRelease.objects.get(pk=release.pk))
    assert is_there == holding.exists()
    if is_there:
        assert set(holding.values_list("user", flat=True)) == {user.pk for user in users}
        assert all(imported_before)
    else:
        assert not imported_before


@needs_row_locks
def test_r35_a_number_waits_for_an_import_that_is_going_on(
    make_user: Callable[..., ConferencingUser], old: ServiceNumber, new: ServiceNumber
) -> None:
    """All users have been searched when somebody begins to import; the procedure goes on beside it."""
    user = make_user("emil.vega")
    uid, body = invite(user, 1, invitations.no_block)
    release = number_release.start_release(old, new, ACTOR)
    while not NumberRelease.objects.get().searched_at:
        assert number_release._step(release.pk) or number_search.search(release.pk)
    pool = ThreadPoolExecutor(1)

    def finish() -> bool:
        try:
            return number_release.advance(timezone.now() + timedelta(minutes=1))
        finally:
            connection.close()

    with transaction.atomic():
        wait_for_others(user.tenant)
        EmbeddedMailbox(user).store([(uid, body.replace(b"END:VEVENT", b"COMMENT:425 555 0111\r\nEND:VEVENT"))])
        finishing = pool.submit(finish)
        wait_until(somebody_waits_for_the_tenant)
        note_imported(user, [uid])
    finishing.result()
    assert NumberRelease.objects.get().state == "Updating"
    assert ServiceNumber.objects.filter(number=OLD).exists()


def somebody_waits_for_the_tenant() -> bool:
    """Another connection waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


@needs_row_locks
def test_r35_no_number_is_released_while_an_update_is_queued_that_takes_it_out(
    make_user: Callable[..., ConferencingUser], old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    """The row that holds the number is not committed yet when the number is deleted: one of the two is taken back."""
    user = make_user("emil.vega", toll_number=old)
    invite(user)
    migrate(user)
    deliver()
    release = number_release.start_release(old, new, ACTOR)
    update = Update.objects.get()
    while not NumberRelease.objects.get().searched_at:
        run = queue.claim()
        if run:
            work_run(run)
            deliver()
        number_release._step(release.pk) or number_search.search(release.pk)

    def queue_too_late() -> None:
        with transaction.atomic():
            ends = timezone.now() + timedelta(days=1)
            UntoldNumber.objects.create(update=update, number=old, meeting_ends_at=ends)
            elsewhere(lambda: number_release.advance(timezone.now() + timedelta(minutes=1)))

    with pytest.raises(IntegrityError):
        queue_too_late()
    assert not ServiceNumber.objects.filter(number=OLD).exists()


@needs_row_locks
def test_a_start_and_the_end_of_the_users_run_do_not_lock_each_other_out(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    queue.request_runs(anna.tenant, [RunRequest(anna, [Reason("R11", "Started.")])], "alice", now_due=True)
    run = queue.claim()
    assert run is not None
    settle, started = left.settle, list[Future[Any]]()

    def start() -> Any:
        try:
            users = ConferencingUser.objects.select_related("bridge").filter(pk=anna.pk)
            return start_by_hand(anna.tenant, users, ACTOR)
        finally:
            connection.close()

    def waits() -> bool:
        """The start waits for the end of the run."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid != pg_backend_pid()")
            return bool(cursor.fetchone()[0])

    def meanwhile(*arguments: Any, **named: Any) -> None:
        started.append(pool.submit(start))
        wait_until(waits)
        settle(*arguments, **named)

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(left, "settle", meanwhile)
        work_run(run)
        monkeypatch.undo()
        assert started[0].result()[0].starts_run
    run.refresh_from_db()
    assert run.state == "Succeeded"
    assert Run.objects.filter(user=anna, state="Pending").count() == 1
