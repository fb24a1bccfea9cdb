"""What others do while an undo waits, is worked or holds: nobody ends it unasked, and nothing dead comes back (R35)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from migrations_app.dial_in_directory.lookup import by_id
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run, UntoldNumber
from migrations_app.procedures import bulk_actions
from migrations_app.procedures.bulk_actions import advance as advance_bulk
from migrations_app.procedures.bulk_actions import perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.procedures.number_release import advance, holders, start_release
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.undoing import Undoing
from migrations_app.runs.worker import work_run
from tenants_app.changes.bridges import register_number, release_number, remove_bridge, set_bridge
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.meetings import ANEW, STAY, body_of, invite, migrate
from tests.support.pages import words
from tests.support.taken_back import taken_back
from tests.support.undoing import outcomes_of, undo, work

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db(transaction=True)


def worked() -> Run:
    run = queue.claim()
    assert run is not None
    work_run(run)
    run.refresh_from_db()
    return run


def test_r35_never_back_to_a_number_that_went_with_its_bridge(anna: ConferencingUser, new_bridge: Bridge) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    old = anna.bridge
    assert old is not None
    change_user(anna, ACTOR, bridge=new_bridge)
    run = worked()
    ConferencingUser.objects.filter(bridge=old).update(bridge=new_bridge)
    shown = body_of(anna, uid)
    set_bridge(anna.tenant, new_bridge.name, ACTOR, make_default=True)

    UntoldNumber.objects.all().delete()  # the attendees were told
    remove_bridge(old, ACTOR)
    assert outcomes_of(undo(run)) == {uid: "number-released"}
    assert body_of(anna, uid) == shown


def test_r4_an_id_that_a_colleague_is_given_while_the_meeting_is_judged_does_not_come_back(
    anna: ConferencingUser, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    digits = ConferencingUser.objects.get(pk=anna.pk).conference_id
    bruno = make_user("bruno")
    change_user(anna, ACTOR, conference_id="7777777")
    run = worked()
    shown = body_of(anna, uid)
    undone = start_undo(run, ACTOR)
    judged = Undoing.of

    def meanwhile(self: Undoing, *arguments: Any, **named: Any) -> Any:
        found = judged(self, *arguments, **named)
        change_user(bruno, ACTOR, is_data_fix=True, conference_id=digits)
        return found

    monkeypatch.setattr(Undoing, "of", meanwhile)
    work(undone)
    assert outcomes_of(undone) == {uid: "conference-id-taken"}
    assert body_of(anna, uid) == shown
    assert not undone.results.get().spans


def test_r6_a_number_procedure_that_began_before_an_undo_does_not_end_it(anna: ConferencingUser, alice: Client) -> None:
    uid, _ = invite(anna)
    leaving = register_number(anna.bridge, "+14255550133", "toll", ACTOR)  # type: ignore[arg-type]
    other = register_number(anna.bridge, "+14255550144", "toll", ACTOR)  # type: ignore[arg-type]
    change_user(anna, ACTOR, toll_number=leaving)
    run = migrate(ConferencingUser.objects.select_related("bridge").get(pk=anna.pk), STAY)
    release = start_release(leaving, other, ACTOR, now_due=True)
    undone = undo(run)
    assert undone.succeeded_meetings == 1
    shown = body_of(anna, uid)
    minute = timedelta(minutes=1)
    for _ in range(3):
        advance(timezone.now() + minute)
    user = ConferencingUser.objects.get(pk=anna.pk)
    assert user.toll_number == other, "moved all the same"
    assert (
        AuditEntry.objects.filter(action="change user").first().consequence.startswith("No run, because an undo holds")
    )  # type: ignore[union-attr]
    assert user.undo_holds
    assert not Run.objects.filter(state="Pending").exists()
    assert user in holders(release), "until a person starts them"
    page = words(alice.get(f"/contoso/releases/{release.pk}/").content)
    assert f"Starting their runs ends the undo of {anna.upn}." in page
    assert body_of(anna, uid) == shown


@pytest.mark.parametrize("kind", ["start", "mark"])
def test_what_was_confirmed_for_many_before_an_undo_does_not_end_it(
    anna: ConferencingUser, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 1)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 1)
    monkeypatch.setattr(bulk_actions, "TURN", timedelta(0))
    invite(anna)
    run = migrate(anna)
    make_user("bruno")
    action = perform(anna.tenant, KINDS[kind], ConferencingUser.objects.filter(tenant=anna.tenant), ACTOR)
    undo_run = start_undo(run, ACTOR)
    if kind == "mark":
        work(undo_run)
    while advance_bulk(timezone.now() + timedelta(minutes=1)):
        pass
    undo_run.refresh_from_db()
    assert (undo_run.state, undo_run.is_latest) == ("Pending" if kind == "start" else "Succeeded", True)
    assert ConferencingUser.objects.get(pk=anna.pk).undo_holds
    said = action.users.get(user=anna)
    assert said.state == "NotDone"
    assert "an undo was asked for since" in said.sentence


def test_r46_an_id_that_is_printed_again_is_answered_until_a_run_has_taken_it_out(anna: ConferencingUser) -> None:
    invite(anna)
    migrate(anna, ANEW)
    first = ConferencingUser.objects.get(pk=anna.pk).conference_id
    change_user(anna, ACTOR, is_data_fix=True, conference_id="7777777")
    run = migrate(ConferencingUser.objects.get(pk=anna.pk), STAY)
    starts_at = run.results.get().starts_at
    assert starts_at is not None
    assert not by_id(anna.tenant, first, "", starts_at).room
    undo(run)
    assert by_id(anna.tenant, first, "", starts_at).room
    start_by_hand(anna.tenant, ConferencingUser.objects.select_related("bridge").filter(pk=anna.pk), ACTOR)
    assert by_id(anna.tenant, first, "", starts_at).room, "the run is pending, and invitations print it still"
    worked()
    assert not by_id(anna.tenant, first, "", starts_at).room


def test_an_undo_that_puts_nothing_back_ends_no_hold_of_an_earlier_one(anna: ConferencingUser) -> None:
    first, _ = invite(anna)
    one = migrate(anna)
    invite(anna, 1)
    two = migrate(ConferencingUser.objects.get(pk=anna.pk))
    assert undo(two).succeeded_meetings == 1
    Run.objects.create(
        tenant=anna.tenant,
        user=anna,
        state="Succeeded",
        is_latest=False,
        reasons=[{"rule": "R38", "sentence": "Migrated with the Meeting Migration Tool, from files."}],
        due_at=timezone.now(),
    )
    EmbeddedMailbox(anna).store([(first, body_of(anna, first).replace(b"\r\nSUMMARY", b"\r\nURL:x:y\r\nSUMMARY"))])
    assert outcomes_of(undo(one)) == {first: "changed-since"}
    assert ConferencingUser.objects.get(pk=anna.pk).undo_holds, "of the second"


def test_r4_an_id_that_an_undo_has_brought_back_is_given_to_nobody_who_asks_for_it(
    anna: ConferencingUser, make_user: MakeUser
) -> None:
    invite(anna)
    migrate(anna)
    digits = ConferencingUser.objects.get(pk=anna.pk).conference_id
    bruno = make_user("bruno")
    change_user(anna, ACTOR, is_data_fix=True, conference_id="7777777")
    run = migrate(ConferencingUser.objects.get(pk=anna.pk), STAY)
    undo(run)
    with pytest.raises(ValidationError, match="prints it again since an undo"):
        change_user(bruno, ACTOR, is_data_fix=True, conference_id=digits)
    migrate(ConferencingUser.objects.get(pk=anna.pk), STAY)
    change_user(bruno, ACTOR, is_data_fix=True, conference_id=digits)
    assert ConferencingUser.objects.get(pk=bruno.pk).conference_id == digits


def test_r35_never_back_to_a_number_that_is_on_another_bridge_than_the_id_beside_it(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    old = anna.bridge
    assert old is not None
    change_user(anna, ACTOR, bridge=new_bridge, conference_id="7777777")
    run = worked()
    shown = body_of(anna, uid)
    UntoldNumber.objects.all().delete()
    number = ServiceNumber.objects.get(number="+14255550100")
    ServiceNumber.objects.filter(pk=number.pk).update(is_default=False)
    release_number(number, ACTOR)
    number = register_number(new_bridge, "+14255550100", "toll", ACTOR)
    with taken_back():
        assert outcomes_of(undo(run)) == {uid: "number-released"}
        assert body_of(anna, uid) == shown
    ServiceNumber.objects.filter(pk=number.pk).update(bridge=old)
    assert outcomes_of(undo(run)) == {uid: "Succeeded"}, "there the ID is hers"
