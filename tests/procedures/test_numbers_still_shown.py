"""A number stays as long as a meeting to come shows it anywhere, or attendees were not told that it changed (R35)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

from migrations_app import tasks
from migrations_app.demo import invitations
from migrations_app.mail.actions import confirm_updates_delivered, send_updates_again
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Heartbeat, MailServer, MeetingResult, NumberRelease, Run, ShownMeeting, Update
from migrations_app.preview.release_effect import effect_of_release
from migrations_app.procedures import number_release, number_search
from migrations_app.procedures.number_release import (
    Holds,
    accept_given_up,
    release_anyway,
    start_release,
    start_replacement,
)
from migrations_app.runs.imported import note_imported
from migrations_app.runs.pruning import prune
from tenants_app.changes.bridges import register_number, remove_bridge, set_bridge, set_default_number
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, mark_up_to_date
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.meetings import invite, messages_in, migrate
from tests.support.remembered import Remembered
from tests.support.two_tenants import everything_stored, furnish

MakeUser = Callable[..., ConferencingUser]
OLD, NEW, THIRD = "+14255550111", "+14255550122", "+14255550133"


@pytest.fixture
def old(old_bridge: Bridge, remembered: Remembered) -> ServiceNumber:
    def make() -> ServiceNumber:
        return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")

    return remembered.make("the number that leaves", make)


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber, outbox: Path, remembered: Remembered) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation, of which everybody knows."""

    def make() -> ConferencingUser:
        user = make_user("dora.lind", toll_number=old)
        invite(user)
        migrate(user)
        tasks.work_queue()
        return user

    return remembered.make("dora knows of the number", make)


def go_on() -> None:
    tasks.work_queue()


def state(release: NumberRelease) -> str:
    return NumberRelease.objects.get(pk=release.pk).state


def is_there(number: str) -> bool:
    return ServiceNumber.objects.filter(number=number).exists()


def add_line(body: bytes, line: str) -> bytes:
    """The object with one more line at the end of its first event."""
    return body.replace(b"END:VEVENT", line.encode() + b"\r\nEND:VEVENT", 1)


def with_number(body: bytes) -> bytes:
    """The invitation of the demo with the old number in its block."""
    return body.replace(b"555-0101", b"555-0111")


def store(user: ConferencingUser, uid: str, body: bytes) -> None:
    EmbeddedMailbox(user).store([(uid, body)])


def listed(release: NumberRelease) -> list[tuple[str, list[list[str]]]]:
    return list(
        number_release.holding_meetings(release).order_by("user__upn", "uid").values_list("user__upn", "places")
    )


def server_is_down(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9


def server_is_up(settings: Any) -> None:
    settings.EMAIL_BACKEND = "migrations_app.mail.eml_files.EmailBackend"
    MailServer.objects.all().delete()
    Update.objects.filter(state="Queued").update(due_at=timezone.now())


# --- meetings that show it ----------------------------------------------------------------------------


SHOWN: dict[str, tuple[Callable[..., bytes], Callable[[bytes], bytes], list[str]]] = {
    "in the location": (
        invitations.skype_text,
        lambda body: add_line(
            body.replace(b"\r\nLOCATION:Skype Meeting", b""), "LOCATION:Skype Meeting (425) 555-0111"
        ),
        ["VEVENT", "LOCATION"],
    ),
    "in the subject": (
        invitations.no_block,
        lambda body: re.sub(rb"(SUMMARY[^:]*:)", rb"\1(425) 555-0111 ", body, count=1),
        ["VEVENT", "SUMMARY"],
    ),
    "below the block": (
        invitations.skype_text,
        lambda body: add_line(body, "X-BELOW:1").replace(b"\r\nX-BELOW:1", b""),
        ["VEVENT", "DESCRIPTION"],
    ),
    "in a text without a block": (
        invitations.no_block,
        lambda body: add_line(body, "COMMENT:Dial 425.555.0111 and wait"),
        ["VEVENT", "COMMENT"],
    ),
    "in a damaged block": (
        invitations.damaged_frame,
        lambda body: body.replace(b"--> Join", b"Toll number: +1 (425) 555-0111\\n--> Join"),
        ["VEVENT", "DESCRIPTION"],
    ),
    "in a reminder": (
        invitations.no_block,
        lambda body: add_line(body, "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:dial 4255550111\r\nEND:VALARM"),
        ["VALARM", "DESCRIPTION"],
    ),
}


@pytest.mark.parametrize("where", SHOWN)
@pytest.mark.parametrize("is_replaced", [False, True], ids=["taken-off", "replaced"])
def test_r35_a_meeting_that_shows_it_outside_the_block_holds_it_and_is_named(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, where: str, is_replaced: bool
) -> None:
    build, change, place = SHOWN[where]
    uid, body = invite(dora, 1, build)
    changed = change(body)
    if where == "below the block":
        last_row = body.rindex(b"....")
        end = body.index(b"\r\n", last_row)
        while body[end + 2 : end + 3] in {b" ", b"\t"}:
            end = body.index(b"\r\n", end + 2)
        changed = body[:end] + b"\\nOr dial 0425 555 0111" + body[end:]
    store(dora, uid, with_number(changed))
    release = start_replacement(old, THIRD, ACTOR) if is_replaced else start_release(old, new, ACTOR)
    go_on()

    assert (state(release), is_there(OLD)) == ("Updating", True)
    assert listed(release) == [(dora.upn, [place])]
    assert MeetingResult.objects.get(run__is_latest=True, uid=uid).outcome in {"Succeeded", "Skipped"}

    store(dora, uid, invite(dora, 1, invitations.no_block)[1])
    go_on()
    assert (state(release), is_there(OLD), ShownMeeting.objects.count()) == ("Released", False, 0)


def test_r35_a_meeting_of_somebody_who_never_had_the_number_holds_it(
    dora: ConferencingUser, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    emil = make_user("emil.vega")
    uid, body = invite(emil, 1, invitations.no_block)
    store(emil, uid, add_line(body, "CONTACT:Ask Dora\\, 425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()

    assert (state(release), listed(release)) == ("Updating", [(emil.upn, [["VEVENT", "CONTACT"]])])
    EmbeddedMailbox(emil).store([(uid, body)])
    go_on()
    assert state(release) == "Released"


def test_r35_a_meeting_that_cannot_be_read_holds_it(
    dora: ConferencingUser, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    store(make_user("emil.vega"), "broken", b"BEGIN:VCALENDAR\r\nDESCRIPTION:dial 425 555 0111\r\nnonsense")
    release = start_release(old, new, ACTOR)
    go_on()
    assert (state(release), listed(release)) == (
        "Updating",
        [("emil.vega@contoso.com", [["VCALENDAR", "DESCRIPTION"]])],
    )


@pytest.mark.parametrize("build", [invitations.past_meeting, invitations.cancelled])
def test_r35_what_is_over_or_cancelled_does_not_hold_it(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, build: Callable[..., bytes]
) -> None:
    uid, body = invite(dora, 1, build)
    store(dora, uid, add_line(body, "COMMENT:425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()
    assert state(release) == "Released"


def test_r35_it_goes_when_the_last_meeting_that_shows_it_is_over(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    uid, body = invite(dora, 1, invitations.no_block)
    store(dora, uid, add_line(body, "COMMENT:425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()
    assert state(release) == "Updating"
    with time_machine.travel(dora.calendar_objects.get(uid=uid).last_end + timedelta(minutes=1)):
        go_on()
        assert state(release) == "Released"


def test_r35_meetings_of_other_tenants_hold_nothing(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    user = furnish(fabrikam).user
    uid, body = invite(user, 1, invitations.no_block)
    store(user, uid, add_line(body, "COMMENT:425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()
    assert state(release) == "Released"


def test_r35_the_search_goes_on_step_by_step_from_where_it_was(
    dora: ConferencingUser,
    make_user: MakeUser,
    old: ServiceNumber,
    new: ServiceNumber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    users = [make_user(f"user{number}") for number in range(5)]
    for user in users:
        uid, body = invite(user, 1, invitations.no_block)
        store(user, uid, add_line(body, "COMMENT:425 555 0111"))
    monkeypatch.setattr(number_search, "USERS", 2)
    monkeypatch.setattr(number_search, "LISTED", 2)
    release = start_release(old, new, ACTOR)
    go_on()
    assert [upn for upn, _ in listed(release)] == [user.upn for user in users]

    for user in users:
        (uid,) = user.calendar_objects.values_list("uid", flat=True)
        store(user, uid, invite(user, 1, invitations.no_block)[1])
    for _ in range(3):
        go_on()
    assert state(release) == "Released"


def test_r35_an_import_holds_it_at_whatever_moment_it_comes(
    dora: ConferencingUser, make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, tmp_path: Path
) -> None:
    """The first meeting keeps the procedure open; the second comes when all users were searched."""
    emil = make_user("emil.vega")
    uid, body = invite(dora, 1, invitations.no_block)
    store(dora, uid, add_line(body, "COMMENT:425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()
    file = tmp_path / "late.ics"
    _, text = invite(emil, 2, invitations.no_block)
    emil.calendar_objects.all().delete()
    file.write_bytes(add_line(text, "COMMENT:425 555 0111"))
    call_command("import_meetings", str(file), user=emil.upn)
    store(dora, uid, body)
    go_on()
    assert (state(release), listed(release)) == ("Updating", [(emil.upn, [["VEVENT", "COMMENT"]])])

    file.write_bytes(add_line(text, "COMMENT:Ask me for the number"))
    call_command("import_meetings", str(file), user=emil.upn)
    assert listed(release) == []
    go_on()
    assert (state(release), is_there(OLD)) == ("Released", False)


def test_r35_whoever_is_marked_as_up_to_date_still_holds_it_by_a_meeting_that_shows_it(
    make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, outbox: Path
) -> None:
    user = make_user("emil.vega", toll_number=old, mailbox_location="on-premises")
    uid, body = invite(user, 1, invitations.no_block)
    store(user, uid, add_line(body, "COMMENT:425 555 0111"))
    note_imported(user, [uid])
    release = start_release(old, new, ACTOR)
    go_on()
    assert mark_up_to_date(user, ACTOR)
    go_on()
    assert (state(release), [upn for upn, _ in listed(release)]) == ("Updating", [user.upn])


# --- updates that are not out -------------------------------------------------------------------------


def test_r35_with_the_mail_server_down_it_stays_until_everybody_was_told(
    make_user: MakeUser, old: ServiceNumber, new: ServiceNumber, outbox: Path, settings: Any
) -> None:
    users = [make_user(f"user{number}", toll_number=old) for number in range(3)]
    for user in users:
        for number in range(3):
            invite(user, number)
        migrate(user)
    go_on()
    before = len(messages_in(outbox))
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()

    assert set(Run.objects.filter(is_latest=True).values_list("state", flat=True)) == {"Succeeded"}
    assert Holds.of(release) == Holds(users=0, meetings=0, unsent=9, in_doubt=0, given_up=0)
    assert (state(release), is_there(OLD)) == ("Updating", True)
    server_is_up(settings)
    go_on()
    assert (state(release), is_there(OLD), len(messages_in(outbox))) == ("Released", False, before + 9)


def test_r35_updates_of_an_earlier_change_hold_it_too(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, settings: Any
) -> None:
    """Dora got another number, her run succeeded, and nobody was told, before anybody thought of releasing it."""
    server_is_down(settings)
    change_user(dora, ACTOR, toll_number=new, reschedule_meetings=True)
    go_on()
    release = start_release(old, new, ACTOR)
    go_on()
    assert (state(release), Holds.of(release).unsent) == ("Updating", 1)
    server_is_up(settings)
    go_on()
    assert state(release) == "Released"


def test_r35_a_newer_update_of_the_meeting_holds_what_the_one_before_was_to_take_out(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, old_bridge: Bridge, settings: Any
) -> None:
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()
    third = register_number(old_bridge, THIRD, "toll", ACTOR)
    change_user(dora, ACTOR, toll_number=third, reschedule_meetings=True)
    go_on()
    assert sorted(Update.objects.exclude(state="Sent").values_list("state", flat=True)) == ["Queued", "Superseded"]
    assert (state(release), Holds.of(release).unsent) == ("Updating", 1)
    server_is_up(settings)
    go_on()
    assert (state(release), is_there(OLD)) == ("Released", False)


def give_up(code: str) -> Run:
    """Let the update that waits be given up."""
    waiting = Update.objects.filter(state="Queued")
    run = waiting.get().result.run
    doubt = {"zoe@fabrikam.com": "<a@contoso.com>"} if code == "mail-unconfirmed" else {}
    waiting.update(state="Failed", error_code=code, recipients_left=[*doubt], recipients_in_doubt=doubt)
    return run


def test_r35_a_message_that_was_given_up_holds_it_until_a_person_accepts_that(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, settings: Any
) -> None:
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()
    give_up("mail-refused")
    go_on()
    assert (state(release), Holds.of(release).given_up) == ("Updating", 1)

    assert accept_given_up(release, ACTOR) == 1
    assert AuditEntry.objects.get(action="accept messages given up").after["messages"] == 1
    go_on()
    assert (state(release), is_there(OLD), accept_given_up(release, ACTOR)) == ("Released", False, 0)


@pytest.mark.parametrize("was_delivered", [True, False])
def test_r35_a_message_in_doubt_holds_it_until_somebody_has_looked(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, settings: Any, was_delivered: bool
) -> None:
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()
    run = give_up("mail-unconfirmed")
    assert accept_given_up(release, ACTOR) == 0
    go_on()
    assert (state(release), Holds.of(release).in_doubt) == ("Updating", 1)

    server_is_up(settings)
    assert confirm_updates_delivered(run, ACTOR) if was_delivered else send_updates_again(run, ACTOR, in_doubt=True)
    go_on()
    assert state(release) == "Released"


def test_r35_an_update_holds_it_until_its_meeting_is_over(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, settings: Any
) -> None:
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()
    assert (state(release), Holds.of(release).unsent) == ("Updating", 1)
    with time_machine.travel(dora.calendar_objects.get().last_end + timedelta(minutes=1)):
        go_on()
        assert state(release) == "Released"


def test_r30_r35_history_that_keeps_a_number_is_not_pruned(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, old_bridge: Bridge, settings: Any
) -> None:
    server_is_down(settings)
    release = start_release(old, new, ACTOR)
    go_on()
    run = give_up("mail-refused")
    Run.objects.filter(pk=run.pk).update(is_latest=False)
    prune(timezone.now() + timedelta(days=1))
    assert Holds.of(release).given_up == 1


def test_r35_a_bridge_is_not_removed_while_attendees_hold_one_of_its_numbers(
    dora: ConferencingUser, new_bridge: Bridge, old_bridge: Bridge, settings: Any
) -> None:
    server_is_down(settings)
    change_user(dora, ACTOR, bridge=new_bridge)
    go_on()
    set_bridge(dora.tenant, new_bridge.name, ACTOR, make_default=True)
    with pytest.raises(ValidationError, match="were not told"):
        remove_bridge(old_bridge, ACTOR)
    server_is_up(settings)
    go_on()
    remove_bridge(old_bridge, ACTOR)
    assert not is_there(OLD)


# --- knowingly ----------------------------------------------------------------------------------------


@pytest.fixture
def held(dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber) -> NumberRelease:
    """Held by one meeting."""
    uid, body = invite(dora, 1, invitations.no_block)
    store(dora, uid, add_line(body, "COMMENT:425 555 0111"))
    release = start_release(old, new, ACTOR)
    go_on()
    release.refresh_from_db()
    return release


def test_r35_a_person_may_release_it_knowingly(held: NumberRelease) -> None:
    release_anyway(held, "  The carrier has cut it\n already. ", ACTOR, seen=Holds.of(held).key)

    held.refresh_from_db()
    assert (held.state, held.number, held.reason, is_there(OLD)) == (
        "Released",
        None,
        "The carrier has cut it already.",
        False,
    )
    told = AuditEntry.objects.get(action="release number anyway")
    assert (told.target, told.actor) == (OLD, "test")
    assert told.after == {
        "reason": "The carrier has cut it already.",
        "users": 1,
        "meetings": 1,
        "unsent": 0,
        "in_doubt": 0,
        "given_up": 0,
        "mailboxes": 0,
    }


def test_r35_users_invitations_and_updates_that_hold_it_do_not_keep_a_person_from_releasing_it(
    held: NumberRelease, dora: ConferencingUser, make_user: MakeUser, new: ServiceNumber, settings: Any
) -> None:
    emil = make_user("emil.vega", mailbox_location="on-premises")
    emil.invited_numbers.create(number=held.number)
    server_is_down(settings)
    uid, body = invite(dora, 3)
    store(dora, uid, with_number(body))
    migrate(dora)
    go_on()
    holds = Holds.of(held)
    assert (holds.users, holds.meetings, holds.unsent) == (2, 1, 1)
    release_anyway(held, "Cut", ACTOR)
    assert not is_there(OLD)


@pytest.mark.parametrize(
    ("arrange", "sentence"),
    [
        (lambda held: None, "Say why"),
        (lambda held: NumberRelease.objects.update(state="Moving"), "still to be moved"),
        (lambda held: NumberRelease.objects.update(searched_at=None), "still being searched"),
        (
            lambda held: Run.objects.filter(is_latest=True).update(state="Pending", attempts=0),
            "wait until they have ended",
        ),
        (
            lambda held: ConferencingUser.objects.filter(upn__startswith="dora").update(toll_number=held.number),
            "still has",
        ),
        (lambda held: NumberRelease.objects.update(state="Cancelled"), "not on its way"),
    ],
)
def test_r35_what_cannot_be_released_knowingly_says_why(
    held: NumberRelease, arrange: Callable[[NumberRelease], object], sentence: str
) -> None:
    arrange(held)
    with pytest.raises(ValidationError, match=sentence):
        release_anyway(held, " ", ACTOR)
    assert is_there(OLD)
    assert not AuditEntry.objects.filter(action="release number anyway").exists()


def test_r35_who_was_shown_something_else_looks_once_more(held: NumberRelease) -> None:
    with pytest.raises(ValidationError, match="has changed since you looked"):
        release_anyway(held, "Cut", ACTOR, seen=Holds(users=0, meetings=0, unsent=0, in_doubt=0, given_up=0).key)
    assert is_there(OLD)


# --- foreseen (R32) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_default", [False, True])
def test_r32_what_is_foreseen_is_what_happens(
    dora: ConferencingUser,
    make_user: MakeUser,
    old: ServiceNumber,
    new: ServiceNumber,
    old_bridge: Bridge,
    is_default: bool,
) -> None:
    if is_default:
        set_default_number(old, ACTOR, reschedule_meetings=True)
        old.refresh_from_db()
    emil = make_user("emil.vega")
    for number in range(2):
        uid, body = invite(emil, number)
        store(emil, uid, add_line(body, "COMMENT:or dial 425 555 0111"))
    store(dora, "broken", b"BEGIN:VCALENDAR\r\nnonsense 425 555 0111")
    invite(dora, 3, invitations.no_attendees)
    migrate(emil)
    go_on()
    ConferencingUser.objects.filter(pk=dora.pk).update(toll_number=old)
    before = everything_stored()
    effect = effect_of_release(old, THIRD, 1_000)
    assert effect is not None
    assert everything_stored() == before
    assert effect_of_release(old, THIRD, 1) is None

    sent = Update.objects.count()
    release = start_replacement(old, THIRD, ACTOR)
    go_on()
    results = MeetingResult.objects.filter(run__created__gte=release.created)
    assert effect.updated == results.filter(outcome="Succeeded").count() > 0
    assert effect.failed == results.filter(outcome="Failed").count() == 1
    assert effect.mailed == sum(Update.objects.order_by("pk")[sent:].values_list("recipient_count", flat=True)) > 0
    assert effect.still_shown == Holds.of(release).meetings == 3


def test_r35_a_long_search_shows_that_the_worker_is_alive(held: NumberRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the watchdog takes the cluster for one that has fallen silent."""
    monkeypatch.setattr(number_search, "SIGN_OF_LIFE", 1)
    for arrange in ({"searched_at": None, "searched_to": 0}, {"searched_at": timezone.now()}):
        NumberRelease.objects.update(**arrange)
        Heartbeat.objects.all().delete()
        number_search.search(held.pk)
        assert Heartbeat.objects.exists()
