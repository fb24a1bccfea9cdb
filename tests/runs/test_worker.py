"""What one run does with a mailbox (R20 to R28), seen in the mailbox, the results and the outbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from migrations_app.demo import invitations as demo
from migrations_app.mailboxes.base import Write
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from migrations_app.rewriting.spans import unpack
from migrations_app.runs import outcomes, queue, worker
from migrations_app.runs.history import run_record
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferenceId, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.meetings import (
    EVERYONE,
    as_demo_user,
    body_of,
    invite,
    logical_lines,
    migrate,
    preview,
    untouched_lines,
)


def result_of(uid: str) -> MeetingResult:
    return MeetingResult.objects.select_related("run").get(uid=uid)


@pytest.mark.parametrize(
    "build",
    [
        demo.skype_text,
        demo.skype_html,
        demo.skype_exchange,
        demo.teams_gen1,
        demo.teams_gen2,
        demo.teams_gen3,
        demo.series_with_overrides,
        demo.infinite_series,
        demo.all_day,
        demo.with_attachments,
        demo.large_html,
    ],
)
def test_r21_it_replaces_the_block_and_nothing_else(anna: ConferencingUser, build: Callable[..., bytes]) -> None:
    uid, before = invite(anna, build=build)
    run = migrate(anna)
    after = body_of(anna, uid)
    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Succeeded", 1, 0)
    text = "\n".join(logical_lines(after))
    assert "https://meet.contoso.com/anna.rossi/" in text
    assert "+1 425-555-0100" in text
    assert anna.conference_id in text
    assert "SEQUENCE:" in text
    assert untouched_lines(before) == untouched_lines(after)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (demo.past_meeting, "past"),
        (demo.past_series, "past"),
        (demo.cancelled, "cancelled"),
        (demo.no_block, "no-block"),
        (demo.pasted_block, "pasted-block"),
        (demo.damaged_frame, "needs-review"),
        (demo.too_large, "too-many-attendees"),
    ],
)
def test_r20_it_skips_with_the_reason_and_leaves_every_byte(
    anna: ConferencingUser, build: Callable[..., bytes], reason: str
) -> None:
    uid, before = invite(anna, build=build)
    run = migrate(anna)
    result = result_of(uid)
    assert (result.outcome, result.code) == ("Skipped", reason)
    assert result.reason
    assert body_of(anna, uid) == before
    assert (run.state, run.total_meetings, run.skipped_meetings, run.invites_update) == ("Succeeded", 1, 1, 0)
    assert not Update.objects.exists()


def test_r20_it_leaves_meetings_of_other_organizers_alone(anna: ConferencingUser) -> None:
    me = as_demo_user(anna)
    uid, before = invite(
        anna, build=lambda meeting: demo.foreign_organizer(replace(meeting, organizer=EVERYONE[1]), attendee=me)
    )
    migrate(anna)
    assert result_of(uid).code == "not-organizer"
    assert body_of(anna, uid) == before


def test_r22_the_limit_counts_the_organizer(anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    count = CalendarObject.objects.get().attendee_count
    change_tenant(anna.tenant, ACTOR, attendee_limit=count - 1)
    migrate(anna)
    assert result_of(uid).code == "too-many-attendees"
    change_tenant(anna.tenant, ACTOR, attendee_limit=count)
    assert migrate(anna).succeeded_meetings == 1


def test_r24_a_meeting_without_attendees_is_updated_and_sends_nothing(anna: ConferencingUser) -> None:
    uid, before = invite(anna, build=demo.no_attendees)
    run = migrate(anna)
    assert body_of(anna, uid) != before
    assert (run.succeeded_meetings, run.invites_update) == (1, 0)
    assert not Update.objects.exists()


@pytest.mark.parametrize("build", [demo.skype_html, demo.teams_gen3, demo.series_with_overrides])
def test_r25_a_second_run_changes_nothing_and_sends_nothing(
    anna: ConferencingUser, build: Callable[..., bytes]
) -> None:
    uid, _ = invite(anna, build=build)
    migrate(anna)
    after = body_of(anna, uid)
    again = migrate(anna)
    assert body_of(anna, uid) == after
    assert again.results.get().code == "already-current"
    assert again.invites_update == 0


def test_a_changed_bridge_replaces_the_block_it_wrote_itself(anna: ConferencingUser, new_bridge: Bridge) -> None:
    uid, original = invite(anna, build=demo.skype_html)
    migrate(anna)
    told = change_user(anna, ACTOR, bridge=new_bridge, toll_free_number=new_bridge.numbers.get(kind="toll-free"))
    assert told[0].starts_run
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    text = "\n".join(logical_lines(body_of(anna, uid)))
    assert "+442079460123" in text
    assert "+448081570123" in text
    assert "425-555-0100" not in text
    assert untouched_lines(body_of(anna, uid)) == untouched_lines(original)


def test_without_a_licence_the_block_has_no_phone_part(make_user: Callable[..., ConferencingUser]) -> None:
    user = make_user("bruno.costa", audio_conferencing_license=False)
    uid, _ = invite(user, build=demo.skype_html)
    migrate(user)
    text = "\n".join(logical_lines(body_of(user, uid)))
    assert "https://meet.contoso.com/bruno.costa/" in text
    assert "tel:" not in text
    assert user.conference_id not in text


def test_private_meetings_get_a_conference_id_each_and_skipped_ones_none(
    make_user: Callable[..., ConferencingUser],
) -> None:
    user = make_user("bruno.costa", conference_id_type="private")
    first, _ = invite(user, 0)
    second, _ = invite(user, 1)
    invite(user, 2, build=demo.no_block)
    assert migrate(user).state == "Succeeded"
    ids = dict(ConferenceId.objects.values_list("meeting_uid", "digits"))
    assert set(ids) == {first, second}
    assert ids[first] != ids[second]
    assert ids[first] in body_of(user, first).decode()


@pytest.mark.parametrize(("language", "words"), [("es-ES", "reunión"), ("it-IT", "riunione"), ("fi-FI", "meeting")])
def test_the_block_is_in_the_organizers_language_or_english(
    make_user: Callable[..., ConferencingUser], language: str, words: str
) -> None:
    user = make_user("bruno.costa", language=language)
    invite(user)
    run = migrate(user)
    (span,) = [span for span in unpack(bytes(run.results.get().spans or b"")) if span.property == "DESCRIPTION"]
    assert words in span.after.lower()


def test_r27_the_record_counts_what_happened(anna: ConferencingUser) -> None:
    for number, build in enumerate([demo.skype_text, demo.skype_html, demo.no_block, demo.past_meeting]):
        invite(anna, number, build=build)
    record = run_record(migrate(anna))
    assert {name: record[name] for name in record if name.endswith("Meeting")} == {
        "TotalMeeting": 4,
        "SucceededMeeting": 2,
        "SkippedMeeting": 2,
        "FailedMeeting": 0,
        "LeftMeeting": 0,
    }
    assert record["InvitesUpdate"] == 2
    assert (record["UserPrincipalName"], record["State"], record["RetryCount"]) == (anna.upn, "Succeeded", 0)


def test_r28_an_unreadable_object_fails_by_itself(anna: ConferencingUser) -> None:
    good, _ = invite(anna)
    damaged = demo.damaged_invitation(as_demo_user(anna), timezone.now())
    EmbeddedMailbox(anna).store([("damaged", damaged)])
    run = migrate(anna)
    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", 1, 1)
    assert result_of(good).outcome == "Succeeded"
    assert result_of("damaged").code == "unreadable-calendar-object"
    assert "cannot be read" in run.last_error_message
    assert body_of(anna, "damaged") == damaged


def test_r28_one_meeting_that_breaks_the_code_does_not_take_the_run_down(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, _ = invite(anna, 0)
    bad, before = invite(anna, 1)
    examine = outcomes.examine

    def broken(source: bytes, *args: Any, **kwargs: Any) -> Any:
        if source == before:
            raise ZeroDivisionError("secret detail")
        return examine(source, *args, **kwargs)

    monkeypatch.setattr(outcomes, "examine", broken)
    run = migrate(anna)
    assert (result_of(good).outcome, result_of(bad).code) == ("Succeeded", "internal-error")
    assert run.state == "Pending"  # it is tried again by itself
    assert "secret" not in run.last_error_message + result_of(bad).reason


def test_r28_a_retry_does_only_what_failed(anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> None:
    good, _ = invite(anna, 0)
    _bad, before = invite(anna, 1)
    seen: list[bytes] = []
    examine = outcomes.examine

    def fails_once(source: bytes, *args: Any, **kwargs: Any) -> Any:
        seen.append(source)
        if source == before and seen.count(source) == 1:
            raise ZeroDivisionError
        return examine(source, *args, **kwargs)

    monkeypatch.setattr(outcomes, "examine", fails_once)
    migrate(anna)
    after_first = body_of(anna, good)
    Run.objects.update(due_at=timezone.now())
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    run.refresh_from_db()
    assert (run.state, run.retry_count, run.succeeded_meetings, run.failed_meetings) == ("Succeeded", 1, 2, 0)
    assert body_of(anna, good) == after_first
    assert len(seen) == 3
    assert Update.objects.count() == 2


def test_r31_a_bridge_without_a_number_fails_with_what_to_do(make_user: Callable[..., ConferencingUser]) -> None:
    user = make_user("bruno.costa")
    user.bridge.numbers.update(is_default=False)
    uid, before = invite(user)
    run = migrate(user)
    assert (run.state, run.last_error_code) == ("Failed", "no-dial-in-number")
    assert "Register a toll number" in run.last_error_message
    assert body_of(user, uid) == before


def test_a_user_who_cannot_be_served_any_more_is_not_touched(anna: ConferencingUser) -> None:
    uid, before = invite(anna)
    change_user(anna, ACTOR, audio_conferencing_enabled=False)
    change_user(anna, ACTOR, mailbox_location="on-premises")
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    run.refresh_from_db()
    assert (run.state, run.last_error_code) == ("Failed", "cannot-be-served")
    assert body_of(anna, uid) == before


def test_a_meeting_that_changed_in_between_is_read_again(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)
    edited = before.replace(b"STATUS:CONFIRMED", b"STATUS:TENTATIVE").replace(b"CLASS:PUBLIC", b"CLASS:PRIVATE")
    assert edited != before
    write = EmbeddedMailbox.write
    tries: list[int] = []

    def after_an_edit(self: EmbeddedMailbox, writes: list[Write]) -> Mapping[str, None]:
        tries.append(len(writes))
        if len(tries) == 1:
            EmbeddedMailbox(anna).store([(uid, edited)])
        return write(self, writes)

    monkeypatch.setattr(EmbeddedMailbox, "write", after_an_edit)
    run = migrate(anna)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert untouched_lines(body_of(anna, uid)) == untouched_lines(edited)
    assert len(tries) == 2


def test_a_meeting_that_keeps_changing_is_left_alone_and_tried_later(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)
    monkeypatch.setattr(EmbeddedMailbox, "write", lambda self, writes: {})
    run = migrate(anna)
    assert (run.state, run.last_error_code) == ("Pending", "meeting-kept-changing")
    assert body_of(anna, uid) == before
    assert not Update.objects.exists()


def test_a_worker_that_lost_its_lease_leaves_nothing_behind(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)
    write = EmbeddedMailbox.write

    def while_another_takes_over(self: EmbeddedMailbox, writes: list[Write]) -> set[str]:
        Run.objects.update(lease_token="00000000-0000-0000-0000-000000000001")
        return write(self, writes)

    monkeypatch.setattr(EmbeddedMailbox, "write", while_another_takes_over)
    run = migrate(anna)
    assert run.state == "InProgress"
    assert body_of(anna, uid) == before
    assert not MeetingResult.objects.exists()
    assert not Update.objects.exists()


def test_the_results_keep_what_was_replaced_by_what_and_no_copy_of_the_meeting(anna: ConferencingUser) -> None:
    uid, before = invite(anna, build=demo.large_html)
    migrate(anna)
    packed = bytes(result_of(uid).spans or b"")
    spans = {span.property: span for span in unpack(packed)}
    assert "meet.contoso.com" in spans["DESCRIPTION"].before
    assert "+1 425-555-0100" in spans["DESCRIPTION"].after
    assert len(packed) < len(before) / 10


def test_the_preview_shows_what_a_run_would_do_and_does_none_of_it(anna: ConferencingUser) -> None:
    for number, build in enumerate([demo.skype_text, demo.teams_gen2, demo.no_block, demo.past_meeting]):
        invite(anna, number, build=build)
    bodies = list(CalendarObject.objects.order_by("pk").values_list("body", "etag"))
    shown = [(result.uid, result.outcome, result.code, told) for result, told in preview(anna)]
    assert list(CalendarObject.objects.order_by("pk").values_list("body", "etag")) == bodies
    assert not Run.objects.exists()
    migrate(anna)
    done = MeetingResult.objects.values_list("uid", "outcome", "code", "update__recipient_count")
    assert sorted(shown) == sorted((uid, outcome, code, told or 0) for uid, outcome, code, told in done)


def test_finding_a_users_future_meetings_is_one_query(
    anna: ConferencingUser, django_assert_num_queries: Callable[..., Any]
) -> None:
    for number in range(5):
        invite(anna, number)
    with django_assert_num_queries(1):
        found = EmbeddedMailbox(anna).list_candidates([anna.upn], timezone.now())
    assert len(found) == 5


def test_two_changes_of_a_bridge_before_delivery_send_one_update(anna: ConferencingUser, new_bridge: Bridge) -> None:
    invite(anna)
    migrate(anna)
    change_user(anna, ACTOR, bridge=new_bridge)
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    assert Counter(Update.objects.values_list("state", flat=True)) == {"Superseded": 1, "Queued": 1}


def test_r18_a_change_during_a_retry_pause_reaches_the_meetings_that_were_done(
    anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = invite(anna, 0)
    second, before = invite(anna, 1)
    examine = outcomes.examine

    def fails(source: bytes, *args: Any, **kwargs: Any) -> Any:
        if source == before:
            raise ZeroDivisionError
        return examine(source, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(outcomes, "examine", fails)
        begun = migrate(anna)
    assert begun.state == "Pending"
    change_user(anna, ACTOR, bridge=new_bridge)
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    run.refresh_from_db()
    begun.refresh_from_db()
    assert (begun.state, begun.last_error_code) == ("Failed", "newer-run")
    assert (run.state, [reason["rule"] for reason in run.reasons]) == ("Succeeded", ["R11", "R5"])
    assert all("+44 20 7946 0123" in body_of(anna, uid).decode() for uid in (first, second))


def test_a_conference_id_that_an_invitation_still_shows_is_kept(make_user: Callable[..., ConferencingUser]) -> None:
    user = make_user("bruno.costa", conference_id_type="private")
    for number in range(3):
        invite(user, number)
    migrate(user)
    shown = set(ConferenceId.objects.values_list("digits", flat=True))
    change_tenant(user.tenant, ACTOR, attendee_limit=1)
    migrate(user)
    assert set(ConferenceId.objects.values_list("digits", flat=True)) == shown
    assert len(shown) == 3


def test_a_meeting_that_the_organizer_cancels_meanwhile_is_not_revived(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)
    cancelled = before.replace(b"STATUS:CONFIRMED", b"STATUS:CANCELLED")
    assert cancelled != before
    write = EmbeddedMailbox.write

    def after_a_cancellation(self: EmbeddedMailbox, writes: list[Write]) -> set[str]:
        EmbeddedMailbox(anna).store([(uid, cancelled)])
        return write(self, writes)

    monkeypatch.setattr(EmbeddedMailbox, "write", after_a_cancellation)
    run = migrate(anna)
    assert (result_of(uid).code, run.state) == ("cancelled", "Succeeded")
    assert body_of(anna, uid) == cancelled
    assert not Update.objects.exists()


@pytest.mark.parametrize("user_part", ["anna.%E9", "anna%00rossi", "x" * 400])
def test_a_strange_name_in_a_join_link_does_not_fail_the_meeting(anna: ConferencingUser, user_part: str) -> None:
    uid, _ = invite(
        anna,
        build=lambda meeting: demo.skype_text(meeting).replace(b"anna.rossi/", user_part.encode() + b"/"),
    )
    assert migrate(anna).state == "Succeeded"
    assert result_of(uid).outcome in {"Succeeded", "Skipped"}


def test_a_name_with_an_apostrophe_gets_a_sound_join_link(make_user: Callable[..., ConferencingUser]) -> None:
    user = make_user("o'brien")
    uid, _ = invite(user, build=demo.teams_gen2)
    assert migrate(user).succeeded_meetings == 1
    assert "https://meet.contoso.com/o%27brien/" in "\n".join(logical_lines(body_of(user, uid)))
    assert migrate(user).results.get().code == "already-current"


def test_a_change_between_two_reads_of_an_attempt_is_read_as_a_whole_or_not_at_all(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    """As on PostgreSQL, where each statement of the worker may see what another transaction has committed since."""
    moved = False

    def move_after_the_user_was_read(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        nonlocal moved
        result = execute(sql, *args)
        if not moved and sql.startswith("SELECT") and 'FROM "tenants_app_conferencinguser"' in sql:
            moved = True
            change_user(ConferencingUser.objects.get(pk=anna.pk), ACTOR, bridge=new_bridge)
        return result

    with connection.execute_wrapper(move_after_the_user_was_read):
        decided = outcomes.Outcomes(Run(user=anna, tenant=anna.tenant))

    now = ConferencingUser.objects.get(pk=anna.pk)
    assert now.conference_id != anna.conference_id
    assert (decided.user.bridge, decided.settings.conference_id) == (new_bridge, now.conference_id)
    assert decided.settings.fingerprint == now.settings_fingerprint
    assert decided.settings.block.toll
    assert decided.settings.block.toll.e164 == "+442079460123"
