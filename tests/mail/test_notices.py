"""R37: organizers are told before their meetings are changed: once, in their language, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.mail import outbox as rows
from migrations_app.mail.delivery import deliver
from migrations_app.mail.notice_texts import (
    EDITABLE,
    PLACEHOLDERS,
    change_notice_text,
    default_text,
    filled,
    reset_notice_text,
    texts_of,
)
from migrations_app.models import MailServer, Notice, NoticeKind, NoticeRound, NoticeText, Plan
from migrations_app.preview.foretold import foretell
from migrations_app.procedures import notices
from migrations_app.rewriting.labels import LANGUAGES
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.mail_servers import Inbox, Relay, serving
from tests.support.meetings import ANEW, addressees, invite, messages_in

ADVANCE, CANCELLED = NoticeKind.ADVANCE, NoticeKind.CANCELLED


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    with serving(Inbox(), settings) as inbox:
        yield inbox


@pytest.fixture
def relay(settings: Any) -> Iterator[Relay]:
    with serving(Relay(), settings) as server:
        yield server


def planned(tenant: Tenant, **values: Any) -> Plan:
    """A plan for runs in three days."""
    opens = timezone.now() + timedelta(days=3)
    return Plan.objects.create(
        tenant=tenant, not_before=opens, opens_at=opens, requested_by="alice", wants_notice=True, **values
    )


def announced(tenant: Tenant, plan: Plan | None = None, **values: Any) -> NoticeRound:
    """Everybody is to be told of runs that make each meeting anew."""
    plan = plan or planned(tenant, **values)
    users = ConferencingUser.objects.filter(tenant=tenant)
    return notices.announce(tenant, users, "start", {"targets": ANEW.stored}, plan.opens_at, "alice", plan=plan)


def go_on() -> None:
    """What the background service does, for as long as there is something to be done."""
    while count() or deliver() or count():
        """Again."""


def count() -> bool:
    return notices.advance(timezone.now() + timedelta(minutes=1))


def states() -> dict[str, str]:
    return dict(Notice.objects.order_by("user__upn", "kind").values_list("user__upn", "state"))


# --- telling --------------------------------------------------------------------------------------------


def test_each_organizer_is_told_the_day_and_how_many_meetings_in_their_language(
    tenant: Tenant, make_users: Callable[..., list[ConferencingUser]], outbox: Path
) -> None:
    bella, carlos, dora = make_users({"bella": {"language": "it-IT"}, "carlos": {"language": "es"}, "dora": {}})
    for number in range(2):
        invite(bella, number)
    invite(carlos, 2)
    change_tenant(tenant, ACTOR, time_zone="Europe/Rome")
    change_mail_server(tenant, ACTOR, sender="it@contoso.com")
    plan = planned(tenant)
    plan.opens_at = datetime(2030, 12, 7, 21, 0, tzinfo=UTC)
    plan.save()
    announced(Tenant.objects.get(), plan)
    go_on()

    told = {next(iter(addressees(message))): message for message in messages_in(outbox)}
    assert set(told) == {bella.upn, carlos.upn}, "Dora has no meeting that would be changed"
    text = told[bella.upn].get_content()
    assert "sabato 7 dicembre 2030, a partire dalle 22:00 (Europe/Rome)" in text
    assert "Riguarda 2 riunioni che lei ha organizzato" in text
    assert "Afecta a 1 reunión que usted ha organizado" in told[carlos.upn].get_content()
    assert told[carlos.upn]["Subject"].endswith("sábado, 7 de diciembre de 2030")
    sender = told[bella.upn]["From"].addresses[0]
    assert (sender.display_name, sender.addr_spec) == ("Contoso", "it@contoso.com"), "in the service's name"
    assert told[bella.upn]["Auto-Submitted"] == "auto-generated"
    assert told[bella.upn]["Content-Language"] == "it"
    assert states() == {bella.upn: "Sent", carlos.upn: "Sent", dora.upn: "Superseded"}
    assert Notice.objects.get(user=dora).error_code == "no-meeting-changes"
    assert Notice.objects.get(user=bella).begins_at == plan.opens_at


def test_nobody_is_told_twice_however_often_it_is_asked_for(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    go_on()
    again = notices.announce(
        anna.tenant,
        ConferencingUser.objects.all(),
        "start",
        {},
        round_.begins_at,
        "alice",
        reference=round_.reference,
    )
    go_on()

    assert again.pk == round_.pk
    assert len(messages_in(outbox)) == 1


def test_runs_wait_until_each_notice_is_handed_over(anna: ConferencingUser, smtp: Inbox) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    plan = round_.plan
    assert plan is not None
    smtp.answer = "451 Later"
    go_on()
    plan.refresh_from_db()
    assert plan.waits_for_notices
    assert not plan.is_open(plan.opens_at), "though its time has come"

    smtp.answer = "250 OK"
    Notice.objects.update(due_at=timezone.now())
    go_on()
    plan.refresh_from_db()
    assert not plan.waits_for_notices
    assert plan.is_open(plan.opens_at)
    assert notices.is_due(timezone.now()) is False, "what waits for its time keeps nobody busy"


def test_a_refused_recipient_fails_alone_and_holds_up_no_run(
    tenant: Tenant, make_users: Callable[..., list[ConferencingUser]], relay: Relay
) -> None:
    bella, carlos = make_users({"bella": {}, "carlos": {}})
    invite(bella)
    invite(carlos, 1)
    relay.refuse(bella.upn)
    round_ = announced(tenant)
    go_on()

    assert states() == {bella.upn: "Failed", carlos.upn: "Sent"}
    assert "refused" in Notice.objects.get(user=bella).why
    assert not Plan.objects.get().waits_for_notices

    relay.refuse()
    assert notices.tell_again(round_, ACTOR) == 1
    assert Plan.objects.get().waits_for_notices
    go_on()
    assert states() == {bella.upn: "Sent", carlos.upn: "Sent"}
    assert relay.asked.count(carlos.upn) == 1
    assert AuditEntry.objects.get(action="send notices again").target == "1 organizer"


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_worker_that_is_killed_while_it_hands_one_over_has_nobody_told_twice(
    anna: ConferencingUser, smtp: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    monkeypatch.setattr(rows, "note_answers", killed)
    with pytest.raises(KeyboardInterrupt):
        go_on()
    monkeypatch.undo()
    Notice.objects.update(lease_token=None, lease_until=None, due_at=timezone.now())
    go_on()

    assert len(smtp.envelopes) == 1
    notice = Notice.objects.get()
    assert (notice.state, notice.error_code) == ("Failed", Notice.IN_DOUBT)
    assert not Plan.objects.get().waits_for_notices
    assert notices.tell_again(round_, ACTOR) == 0, "who may have been told is not told again"


def test_a_count_that_is_cut_off_again_and_again_comes_to_an_end(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    announced(anna.tenant)
    monkeypatch.setattr(notices, "foretell", killed)
    for _ in range(notices.ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            go_on()
        go_on()  # the others leave it to the worker that has begun it
        assert Notice.objects.get().state == Notice.COUNTING
        Notice.objects.update(due_at=timezone.now())
    go_on()

    assert messages_in(outbox) == []
    assert Notice.objects.get().error_code == "internal-error"
    assert not Plan.objects.get().waits_for_notices


def test_however_many_workers_there_are_each_count_is_one_workers(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    announced(anna.tenant)
    counted: list[Any] = []

    def beside_others(*args: Any) -> Any:
        counted.append(args)
        for _ in range(2 * notices.ATTEMPTS if len(counted) < 20 else 0):
            count()
        return foretell(*args)

    monkeypatch.setattr(notices, "foretell", beside_others)
    go_on()

    assert (len(counted), states()) == (1, {anna.upn: "Sent"})


def test_a_user_whose_meetings_cannot_be_counted_keeps_nobody_else_from_being_told(
    make_users: Callable[..., list[ConferencingUser]], outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = make_users({"bella": {}, "carlos": {}, "dora": {}})
    for number, user in enumerate(users):
        invite(user, number)

    def broken(planned: Any, totals: Any) -> Any:
        if planned.user == users[1]:
            raise RecursionError
        return foretell(planned, totals)

    monkeypatch.setattr(notices, "foretell", broken)
    announced(users[0].tenant)
    go_on()

    assert list(states().values()) == ["Sent", "Failed", "Sent"]
    assert not Plan.objects.get().waits_for_notices


def test_a_mail_server_that_is_silent_holds_runs_up_until_an_administrator_decides(
    anna: ConferencingUser, settings: Any, outbox: Path
) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    settings.EMAIL_FILE_PATH = str(outbox / "not-a-folder")
    (outbox / "not-a-folder").write_text("")
    go_on()
    assert states() == {anna.upn: "Queued"}
    assert Plan.objects.get().waits_for_notices

    assert notices.begin_anyway(round_, ACTOR)
    assert not notices.begin_anyway(round_, ACTOR)
    settings.EMAIL_FILE_PATH = str(outbox)
    MailServer.objects.all().delete()
    go_on()
    assert states() == {anna.upn: "Superseded"}
    assert not Plan.objects.get().waits_for_notices
    assert messages_in(outbox) == []


def test_late_notices_do_not_name_a_time_that_is_past(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    long_ago = timezone.now() - timedelta(days=2)
    announced(anna.tenant, planned(anna.tenant))
    Plan.objects.update(opens_at=long_ago, not_before=long_ago)
    go_on()

    (message,) = messages_in(outbox)
    told = Notice.objects.get().begins_at
    assert told is not None
    assert told > long_ago + timedelta(days=1)
    assert f"{told:%B} {told.day}, {told.year}" in message.get_content()


# --- calling off and moving -----------------------------------------------------------------------------


def call_off(plan: Plan | None) -> None:
    assert plan is not None
    Plan.objects.filter(pk=plan.pk).update(state=Plan.State.CANCELLED)


def test_who_was_told_is_told_that_it_was_called_off_and_nobody_else(
    tenant: Tenant, make_users: Callable[..., list[ConferencingUser]], relay: Relay
) -> None:
    bella, carlos, _ = make_users({"bella": {}, "carlos": {}, "dora": {}})
    invite(bella)
    invite(carlos, 1)
    relay.refuse(carlos.upn)
    round_ = announced(tenant, tells_cancellation=True)
    go_on()
    call_off(round_.plan)
    go_on()
    go_on()

    told = [(envelope.rcpt_tos, b"called off" in decoded(envelope)) for envelope in relay.envelopes]
    assert told == [([bella.upn], False), ([bella.upn], True)]
    assert list(Notice.objects.filter(kind=CANCELLED).values_list("user__upn", "state")) == [(bella.upn, "Sent")]
    assert not NoticeRound.objects.get().is_open
    with pytest.raises(ValidationError, match="were cancelled"):
        notices.tell_again(round_, ACTOR)


def decoded(envelope: Any) -> bytes:
    return bytes(message_from_bytes(envelope.content).get_payload(decode=True))


def test_a_plan_that_tells_nobody_of_its_end_tells_nobody(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    go_on()
    call_off(round_.plan)
    go_on()
    assert len(messages_in(outbox)) == 1


def test_what_was_called_off_before_anybody_was_told_tells_nobody(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    call_off(announced(anna.tenant, tells_cancellation=True).plan)
    go_on()
    assert messages_in(outbox) == []
    assert states() == {anna.upn: "Superseded"}


def test_a_notice_in_hand_is_not_sent_when_it_is_called_off_meanwhile(
    anna: ConferencingUser, smtp: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between composing and handing over there is time: each is looked at once more right before."""
    invite(anna)
    round_ = announced(anna.tenant, tells_cancellation=True)
    count()
    hand_over = rows.still_to_ask

    def meanwhile(*args: Any) -> list[str]:
        call_off(round_.plan)
        count()
        return hand_over(*args)

    monkeypatch.setattr(rows, "still_to_ask", meanwhile)
    deliver()
    monkeypatch.undo()
    go_on()
    assert smtp.envelopes == []
    assert states() == {anna.upn: "Superseded"}


def test_who_was_told_another_time_is_told_the_new_one_once(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    round_ = announced(anna.tenant)
    go_on()
    assert notices.tell_new_time(round_, ACTOR) == 0
    Plan.objects.update(opens_at=timezone.now() + timedelta(days=9))
    round_ = NoticeRound.objects.get()
    assert notices.told_of_another_time(round_).count() == 1
    assert [notices.tell_new_time(round_, ACTOR) for _ in range(2)] == [1, 0]
    go_on()

    first, second = messages_in(outbox)
    assert first["Message-ID"] != second["Message-ID"]
    assert notices.told_of_another_time(NoticeRound.objects.get()).count() == 0
    assert notices.tell_new_time(NoticeRound.objects.get(), ACTOR) == 0


def test_who_was_told_and_was_to_be_told_anew_is_told_that_it_was_called_off(
    anna: ConferencingUser, outbox: Path
) -> None:
    invite(anna)
    round_ = announced(anna.tenant, tells_cancellation=True)
    go_on()
    told = Notice.objects.get().begins_at
    Plan.objects.update(opens_at=timezone.now() + timedelta(days=9))
    assert notices.tell_new_time(round_, ACTOR) == 1
    count()
    Plan.objects.update(state=Plan.State.CANCELLED)
    go_on()

    assert len(messages_in(outbox)) == 2
    called_off = Notice.objects.get(kind=CANCELLED)
    assert (called_off.state, called_off.begins_at) == ("Sent", told)


def test_a_repeated_message_is_the_same_message(anna: ConferencingUser, smtp: Inbox) -> None:
    invite(anna)
    announced(anna.tenant)
    smtp.answer = "451 Later"
    go_on()
    asked = Notice.objects.get().attempts
    smtp.answer = "250 OK"
    Notice.objects.update(due_at=timezone.now())
    go_on()
    (copies,) = smtp.copies().values()
    assert (asked, copies) == (1, 1)


def test_r12_nothing_is_counted_while_the_service_is_off(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False)
    announced(anna.tenant)
    go_on()
    assert states() == {anna.upn: "Counting"}
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=True)
    go_on()
    assert len(messages_in(outbox)) == 1


# --- texts ----------------------------------------------------------------------------------------------


def test_a_tenants_own_text_is_sent_with_what_its_placeholders_stand_for(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    change_user(anna, ACTOR, display_name="Anna {day} Lee")
    change_notice_text(
        anna.tenant, ADVANCE, "en", ACTOR, subject="{tenant}: {number}", body="{{x}} {name}, {meetings} on {day}."
    )
    announced(anna.tenant)
    go_on()

    (message,) = messages_in(outbox)
    assert message["Subject"] == "Contoso: 1"
    assert message.get_content().startswith("{x} Anna {day} Lee, 1 meeting on "), "a name is not a text"
    reset_notice_text(anna.tenant, ADVANCE, "en", ACTOR)
    assert texts_of(anna.tenant)[ADVANCE, "en"] == default_text(ADVANCE, "en")
    assert not NoticeText.objects.exists()
    changes = AuditEntry.objects.filter(action="change notice").order_by("pk")
    assert [entry.target for entry in changes] == ["advance notice in English"] * 2
    assert changes[0].after["subject"] == "{tenant}: {number}"


def test_what_is_saved_again_as_it_is_leaves_no_trace(tenant: Tenant) -> None:
    usual = default_text(ADVANCE, "es")
    change_notice_text(
        tenant, ADVANCE, "es", ACTOR, subject=f" {usual.subject} ", body=usual.body.replace("\n", "\r\n")
    )
    assert not NoticeText.objects.exists()
    assert not AuditEntry.objects.filter(action="change notice").exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("On {dya} {meetings}", "There is no placeholder {dya}: did you mean {day}?"),
        ("On { day } {meetings}", "There is no placeholder { day }: did you mean {day}?"),
        ("On {Day} {meetings}", "There is no placeholder {Day}: did you mean {day}?"),
        ("On {day} {meetings} {0.__class__}", "There is no placeholder {0.__class__}: choose {name}, {day}"),
        ("On {day} {meetings} {}", "There is no placeholder {}: choose {name}, {day}"),
        ("On {day} {meetings} :-}", "A brace stands alone at “} {meetings} :-}”: close the placeholder"),
        ("On {day {meetings}", "A brace stands alone at “On {day {meetings}”"),
        ("On {day} some", "It does not say how many meetings: put {meetings} where"),
        ("{meetings} soon", "It does not say when: put {day} where"),
        ("  \n ", "Write something, or go back to the default text."),
        ("{day} {meetings}\0", "Write it without control characters."),
        ("{day} {meetings}" + "x" * 5_000, "Write at most 5,000 characters; these are 5,016."),
    ],
)
def test_a_text_that_could_not_be_sent_is_refused_with_what_to_do(tenant: Tenant, body: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        change_notice_text(tenant, ADVANCE, "en", ACTOR, subject="Soon", body=body)
    (told,) = refused.value.message_dict["body"]
    assert told.startswith(sentence)
    assert not NoticeText.objects.exists()


def test_a_subject_is_one_line_and_a_language_is_one_of_invitations(tenant: Tenant) -> None:
    with pytest.raises(ValidationError) as refused:
        change_notice_text(tenant, ADVANCE, "en", ACTOR, subject="{day}\nBcc: all@contoso.com")
    assert refused.value.message_dict == {
        "subject": ["Write it on one line, without tabs or other control characters."]
    }
    with pytest.raises(ValidationError, match=r"Invitations are not written in “fr”: choose en, es or it\."):
        change_notice_text(tenant, ADVANCE, "fr", ACTOR, subject="{day} {number}")


@pytest.mark.parametrize("kind", EDITABLE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_mms_says_by_itself_could_be_saved(tenant: Tenant, kind: str, language: str) -> None:
    usual = default_text(kind, language)
    change_notice_text(tenant, kind, language, ACTOR, subject=f"{usual.subject}!", body=usual.body)
    assert NoticeText.objects.get().body == usual.body
    reads = filled(usual, tenant=tenant, language=language, name="Anna", begins_at=timezone.now(), meetings=1)
    assert not {"{", "}"} & set(reads.subject + reads.body)
    assert "Anna" in reads.body
    assert all(f"{{{name}}}" in usual.subject + usual.body for name in ("name", "day", "time", "zone", "tenant"))
    assert set(PLACEHOLDERS) >= {"name", "day", "time", "zone", "tenant"}
