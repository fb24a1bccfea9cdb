"""Whatever an administrator can change or start leaves an audit entry, in the transaction of the change itself.

A public function of the modules below belongs in one of the two tables; one that stands in none fails a test.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from migrations_app.alerts import actions as alert_actions
from migrations_app.mail import actions as mail_actions
from migrations_app.mail import notice_texts, organizer_notes
from migrations_app.models import (
    Alert,
    AlertDelivery,
    BulkAction,
    LeftMeeting,
    MeetingResult,
    Notice,
    NoticeRound,
    NoticeText,
    NumberRelease,
    Plan,
    Run,
    UntoldNumber,
    Update,
)
from migrations_app.procedures import bulk_actions, notices, number_release
from migrations_app.procedures import plans as planned
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.rewriting.spans import pack
from migrations_app.runs import actions, left_actions, receivers, undo_start
from migrations_app.runs.plans import When
from tenants_app.audit import Actor, Channel, action_choices, entry
from tenants_app.changes import bridges, conference_ids, lists, locking, mail_servers, mailboxes, tenants, users
from tenants_app.changes.bridges import (
    describe_number,
    register_number,
    release_number,
    remove_bridge,
    set_bridge,
    set_default_number,
)
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.changes.mailboxes import (
    change_connection,
    create_connection,
    remove_connection,
    set_credentials,
    use_embedded_by_default,
)
from tenants_app.changes.tenants import change_tenant, create_tenant, grant_role, renew_directory_key, revoke_role
from tenants_app.changes.users import (
    UserEdit,
    change_in_batches,
    change_user,
    change_users,
    create_in_batches,
    create_user,
    create_users,
    mark_up_to_date,
    mark_users_up_to_date,
)
from tenants_app.models import (
    AuditEntry,
    Bridge,
    ConferencingUser,
    MailboxConnection,
    SavedFilter,
    ServiceNumber,
    Tenant,
)
from tests.support.actors import ACTOR
from tests.support.notices import notices_to
from tests.support.planned import plan_for
from tests.support.taken_back import taken_back
from tests.support.two_tenants import everything_stored

CHANGES = (tenants, bridges, users, conference_ids, mail_servers, locking, mailboxes, lists)
MODULES = (
    *CHANGES,
    *(actions, receivers, undo_start, left_actions, mail_actions, organizer_notes),
    alert_actions,
    *(number_release, bulk_actions, planned, notice_texts, notices),
)


class World:
    """Contoso with a user, two bridges, numbers, a run and an account, for any change to be made of them."""

    def __init__(self, tenant: Tenant, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge) -> None:
        self.tenant, self.anna, self.old_bridge, self.new_bridge = tenant, anna, old_bridge, new_bridge
        self.spare = register_number(old_bridge, "+14255550122", "toll", ACTOR)
        self.empty_bridge = set_bridge(tenant, "Empty bridge", ACTOR)
        self.account = User.objects.create_user("zoe")

    @property
    def default(self) -> ServiceNumber:
        return self.old_bridge.numbers.get(is_default=True)

    def role(self) -> Any:
        return grant_role(self.tenant, self.account, "viewer", ACTOR)

    def out_of_date(self) -> ConferencingUser:
        change_user(self.anna, ACTOR, is_data_fix=True, conference_id="7654321")
        return self.anna

    def bulk_action(self) -> BulkAction:
        action = BulkAction.objects.create(tenant=self.tenant, kind="start", channel="screen", user_count=1)
        action.users.create(user=self.anna, upn=self.anna.upn)
        return action

    def plan(self) -> Plan:
        return plan_for(self.anna)

    def run(self) -> Run:
        actions.start_by_hand(self.tenant, [self.anna], ACTOR)
        return Run.objects.get()

    def failed_run(self, **values: Any) -> Run:
        run = self.run()
        Run.objects.update(state=Run.State.FAILED, last_error_code="no-bridge", **values)
        return run

    def accepted_run(self) -> Run:
        return self.failed_run(accepted_at=timezone.now(), accepted_by="zoe", accepted_note="Known")

    def changed_run(self) -> Run:
        """A run that has changed a meeting."""
        run = self.run()
        MeetingResult.objects.create(run=run, uid="planning", outcome="Succeeded", spans=pack([]))
        return run

    def failed_undo(self) -> Run:
        undo = undo_start.start_undo(self.changed_run(), ACTOR)
        Run.objects.filter(pk=undo.pk).update(state="Failed", last_error_code="retries-used-up")
        return Run.objects.get(pk=undo.pk)

    def run_with_a_failed_message(self) -> Run:
        run = self.run()
        result = MeetingResult.objects.create(run=run, uid="a", subject="a", outcome="Succeeded", attendee_count=1)
        Update.objects.create(result=result, recipient_count=1, state=Update.State.FAILED, error_code="mail-refused")
        return run

    def run_with_a_message_in_doubt(self) -> Run:
        run = self.run_with_a_failed_message()
        doubt = {"zoe@fabrikam.com": "<a@contoso.com>"}
        Update.objects.update(error_code="mail-unconfirmed", recipients_left=[*doubt], recipients_in_doubt=doubt)
        return run

    def left_meeting(self) -> LeftMeeting:
        result = MeetingResult.objects.create(run=self.run(), uid="a", outcome="Skipped", code="needs-review")
        ends = timezone.now() + timedelta(days=1)
        return LeftMeeting.objects.create(
            tenant=self.tenant, user=self.anna, uid="a", run=result.run, code=result.code, last_end=ends
        )

    def left_meeting_dealt_with(self) -> LeftMeeting:
        left = self.left_meeting()
        left_actions.deal_with(self.tenant, [left.pk], ACTOR)
        return left

    def connection(self) -> MailboxConnection:
        return create_connection(self.tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")

    def shared_filter(self) -> SavedFilter:
        return self.kept_filter(is_shared=True)

    def kept_filter(self, *, is_shared: bool = False) -> SavedFilter:
        return lists.save_filter(
            self.tenant, self.account, ACTOR, of_list="users", name="Failed", query="state=Failed", is_shared=is_shared
        )

    def default_connection(self) -> MailboxConnection:
        return change_connection(self.connection(), ACTOR, make_default=True)

    def webhook(self) -> World:
        alert_actions.change_alerts(self.tenant, ACTOR, webhook_url="https://hooks.contoso.com/")
        return self

    def undelivered_alert(self) -> AlertDelivery:
        self.webhook()
        alert = Alert.objects.create(tenant=self.tenant, content={"title": "1 run failed"})
        return AlertDelivery.objects.create(alert=alert, channel="webhook", state="Failed")

    def own_text(self) -> Tenant:
        notice_texts.change_notice_text(self.tenant, "Advance", "en", ACTOR, subject="On {day}")
        assert NoticeText.objects.exists()
        return self.tenant

    def notices(self) -> NoticeRound:
        return notices_to(self.anna)

    def sent_notices(self) -> NoticeRound:
        return notices_to(self.anna, state=Notice.State.SENT, error_code="")

    def release(self) -> NumberRelease:
        other = register_number(self.old_bridge, "+14255550133", "toll", ACTOR)
        later = change_tenant(self.tenant, ACTOR, settling_time=600)
        assert later.settling_time
        return number_release.start_release(self.spare, other, ACTOR)

    def searched_release(self) -> NumberRelease:
        release = self.release()
        release.state, release.searched_at = NumberRelease.State.UPDATING, timezone.now()
        release.save()
        return release

    def release_held_by_a_message(self) -> NumberRelease:
        release = self.searched_release()
        self.run_with_a_failed_message()
        ends = timezone.now() + timedelta(days=1)
        UntoldNumber.objects.create(update=Update.objects.get(), number=self.spare, meeting_ends_at=ends)
        return release


class Case(NamedTuple):
    """What the audit calls it, a call that does it, and what has to be there before, which the call is given."""

    action: str
    act: Callable[[Any, Actor], Any]
    given: Callable[[World], Any] = lambda world: world


def in_one_transaction(act: Callable[[Any, Actor], Iterator[Any]]) -> Callable[[Any, Actor], Any]:
    """What is done batch by batch, in the transaction that the caller has to hold."""

    def do(given: Any, actor: Actor) -> Any:
        with transaction.atomic():
            return list(act(given, actor))

    return do


AUDITED = {
    "tenants.create_tenant": Case(
        "create tenant",
        lambda world, actor: create_tenant(
            actor, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
        ),
    ),
    "tenants.change_tenant": Case(
        "change tenant", lambda world, actor: change_tenant(world.tenant, actor, attendee_limit=300)
    ),
    "tenants.renew_directory_key": Case(
        "renew directory key", lambda world, actor: renew_directory_key(world.tenant, actor)
    ),
    "tenants.grant_role": Case(
        "grant role", lambda world, actor: grant_role(world.tenant, world.account, "admin", actor)
    ),
    "tenants.revoke_role": Case("revoke role", revoke_role, World.role),
    "mail_servers.change_mail_server": Case(
        "change mail server",
        lambda world, actor: change_mail_server(world.tenant, actor, sender_mode="service"),
    ),
    "mailboxes.create_connection": Case(
        "create mailbox connection",
        lambda world, actor: create_connection(world.tenant, actor, "Other", address="https://dav.contoso.com/"),
    ),
    "mailboxes.change_connection": Case(
        "change mailbox connection",
        lambda connection, actor: change_connection(connection, actor, calendars="Work"),
        World.connection,
    ),
    "mailboxes.remove_connection": Case("remove mailbox connection", remove_connection, World.connection),
    "mailboxes.use_embedded_by_default": Case(
        "change default mailbox",
        lambda connection, actor: use_embedded_by_default(connection.tenant, actor),
        World.default_connection,
    ),
    "mailboxes.set_credentials": Case(
        "change mailbox sign-ins",
        lambda connection, actor: set_credentials(connection, [("anna.rossi@contoso.com", "anna", "secret")], actor),
        World.connection,
    ),
    "lists.save_filter": Case(
        "share filter",
        lambda world, actor: lists.save_filter(
            world.tenant, world.account, actor, of_list="users", name="Failed", query="state=Failed", is_shared=True
        ),
    ),
    "lists.share_filter": Case(
        "share filter", lambda kept, actor: lists.share_filter(kept, actor, is_shared=True), World.kept_filter
    ),
    "lists.take_over_filter": Case(
        "take over shared filter",
        lambda kept, actor: lists.take_over_filter(kept, User.objects.create_user("ida"), actor),
        World.shared_filter,
    ),
    "lists.delete_filter": Case("delete shared filter", lists.delete_filter, World.shared_filter),
    "bridges.set_bridge": Case(
        "change bridge", lambda world, actor: set_bridge(world.tenant, "New bridge", actor, make_default=True)
    ),
    "bridges.set_default_number": Case(
        "change bridge", lambda world, actor: set_default_number(world.spare, actor, reschedule_meetings=True)
    ),
    "bridges.remove_bridge": Case("remove bridge", lambda world, actor: remove_bridge(world.empty_bridge, actor)),
    "bridges.register_number": Case(
        "register number",
        lambda world, actor: register_number(world.old_bridge, "+14255550144", "toll", actor),
    ),
    "bridges.describe_number": Case(
        "describe number",
        lambda world, actor: describe_number(world.spare, actor, country="Italy", city="Rome"),
    ),
    "bridges.release_number": Case("release number", lambda world, actor: release_number(world.spare, actor)),
    "users.change_user": Case(
        "change user", lambda world, actor: change_user(world.anna, actor, bridge=world.new_bridge)
    ),
    "users.change_users": Case(
        "change user",
        lambda world, actor: change_users(world.tenant, [UserEdit(world.anna.pk, {"language": "it-IT"})], actor),
    ),
    "users.change_in_batches": Case(
        "change user",
        in_one_transaction(
            lambda world, actor: change_in_batches(
                world.tenant, [UserEdit(world.anna.pk, {"language": "it-IT"})], actor
            )
        ),
    ),
    "users.create_in_batches": Case(
        "create user",
        in_one_transaction(lambda world, actor: create_in_batches(world.tenant, [{"upn": "bruno@contoso.com"}], actor)),
    ),
    "users.create_user": Case(
        "create user", lambda world, actor: create_user(world.tenant, actor, upn="bruno@contoso.com")
    ),
    "users.create_users": Case(
        "create user", lambda world, actor: create_users(world.tenant, [{"upn": "bruno@contoso.com"}], actor)
    ),
    "users.mark_up_to_date": Case("mark as up to date", mark_up_to_date, World.out_of_date),
    "users.mark_users_up_to_date": Case(
        "mark as up to date",
        lambda user, actor: mark_users_up_to_date(user.tenant, [user.pk], actor),
        World.out_of_date,
    ),
    "bulk_actions.perform": Case(
        "start runs for many users",
        lambda world, actor: bulk_actions.perform(world.tenant, KINDS["start"], world.tenant.users.all(), actor),
    ),
    "bulk_actions.stop": Case("stop what is done for many users", bulk_actions.stop, World.bulk_action),
    "actions.start_by_hand": Case(
        "start migration", lambda world, actor: actions.start_by_hand(world.tenant, [world.anna], actor)
    ),
    "actions.accept_failures": Case(
        "accept failure",
        lambda run, actor: actions.accept_failures(run.tenant, [run], "Known", actor),
        World.failed_run,
    ),
    "actions.take_back_acceptance": Case(
        "take back accepted failure",
        lambda run, actor: actions.take_back_acceptance(run.tenant, [run], actor),
        World.accepted_run,
    ),
    "actions.make_due_now": Case("run now", actions.make_due_now, World.run),
    "undo_start.start_undo": Case("undo migration", undo_start.start_undo, World.changed_run),
    "undo_start.again": Case(
        "undo migration",
        lambda undo, actor: undo_start.again([undo], actor),
        World.failed_undo,
    ),
    "undo_start.undo_again": Case("undo migration", undo_start.undo_again, World.failed_undo),
    "actions.send_updates_again": Case(
        "send messages again", mail_actions.send_updates_again, World.run_with_a_failed_message
    ),
    "actions.confirm_updates_delivered": Case(
        "confirm messages delivered", mail_actions.confirm_updates_delivered, World.run_with_a_message_in_doubt
    ),
    "left_actions.deal_with": Case(
        "meeting dealt with",
        lambda left, actor: left_actions.deal_with(left.tenant, [left.pk], actor),
        World.left_meeting,
    ),
    "left_actions.open_again": Case(
        "open meeting again",
        lambda left, actor: left_actions.open_again(left.tenant, [left.pk], actor),
        World.left_meeting_dealt_with,
    ),
    "organizer_notes.assign": Case(
        "assign meeting to organizer",
        lambda left, actor: organizer_notes.assign(left.tenant, [left.pk], actor),
        World.left_meeting,
    ),
    "actions.change_alerts": Case(
        "change alerts",
        lambda world, actor: alert_actions.change_alerts(world.tenant, actor, recipients="zoe@contoso.com"),
    ),
    "actions.renew_secret": Case(
        "renew alert secret", lambda world, actor: alert_actions.renew_secret(world.tenant, actor), World.webhook
    ),
    "actions.send_again": Case("send alert again", alert_actions.send_again, World.undelivered_alert),
    "notice_texts.change_notice_text": Case(
        "change notice",
        lambda world, actor: notice_texts.change_notice_text(world.tenant, "Advance", "en", actor, subject="On {day}"),
    ),
    "notice_texts.reset_notice_text": Case(
        "change notice",
        lambda tenant, actor: notice_texts.reset_notice_text(tenant, "Advance", "en", actor),
        World.own_text,
    ),
    "notices.begin_anyway": Case("begin without notices", notices.begin_anyway, World.notices),
    "notices.tell_again": Case("send notices again", notices.tell_again, World.notices),
    "notices.tell_new_time": Case("tell organizers the new time", notices.tell_new_time, World.sent_notices),
    "number_release.start_release": Case(
        "take number off", lambda world, actor: number_release.start_release(world.spare, world.default, actor)
    ),
    "number_release.start_replacement": Case(
        "take number off", lambda world, actor: number_release.start_replacement(world.spare, "+14255550155", actor)
    ),
    "number_release.cancel_release": Case("cancel taking number off", number_release.cancel_release, World.release),
    "number_release.release_anyway": Case(
        "release number anyway",
        lambda release, actor: number_release.release_anyway(release, "The carrier has cut it", actor),
        World.searched_release,
    ),
    "number_release.accept_given_up": Case(
        "accept messages given up", number_release.accept_given_up, World.release_held_by_a_message
    ),
    "number_release.begin_now": Case("take number off now", number_release.begin_now, World.release),
    "plans.change": Case(
        "change planned start",
        lambda plan, actor: planned.change(plan, When(timezone.now() + timedelta(days=2)), actor),
        World.plan,
    ),
    "plans.bring_forward": Case("bring planned start forward", planned.bring_forward, World.plan),
    "plans.cancel": Case("cancel planned start", planned.cancel, World.plan),
}
WITHOUT_ENTRY = {
    "plans.job_of": "only reads",
    "plans.page_of": "only reads",
    "plans.job_in_words": "only reads",
    "plans.advance": "goes on with what was planned, by itself",
    "plans.is_due": "only reads",
    "plans.settles_at": "only reads",
    "mailboxes.read_mailbox": "only reads",
    "mailboxes.require_secrets_key": "only reads",
    "mailboxes.rotate_secrets": "is about the installation's keys: what is stored stays what it is",
    "lists.forget_own": "is a part of deleting an account, whose own affair its filters are",
    "lists.keep_layout": "is how an account sees a list, which is nobody else's affair",
    "lists.drop_layout": "is how an account sees a list, which is nobody else's affair",
    "lists.make_default": "is how an account opens a list, which is nobody else's affair",
    "lists.drop_default": "is how an account opens a list, which is nobody else's affair",
    "locking.wait_for_others": "only locks",
    "locking.lock": "only locks",
    "locking.audited_value": "only computes",
    "locking.apply_values": "only sets what its caller saves and audits",
    "actions.told": "only computes",
    "actions.server_of": "only computes",
    "actions.stop_webhook": "is what the receiver of alerts asks for; the entry names the service itself",
    "receivers.on_change_foreseen": "only computes",
    "actions.request_decided": "requests what a change or a start decided on, which writes the entry",
    "tenants.foresee_tenant": "only computes",
    "users.foresee_users": "only computes",
    "users.foresee_user": "only computes",
    "users.foresee_new_users": "only computes",
    "users.check_user": "only checks",
    "conference_ids.own_conference_ids": "only reads",
    "conference_ids.known_conference_ids": "only reads",
    "conference_ids.former_ids_kept_on": "only reads",
    "conference_ids.whose_conference_id": "only reads",
    "conference_ids.note_shown_again": "is what a run notes of invitations, which nobody changes by hand",
    "conference_ids.note_taken_out": "is what a run notes of invitations, which nobody changes by hand",
    "undo_start.why_not_undone": "only reads",
    "undo_start.foreseen_undo": "only reads",
    "undo_start.undoing_of": "only reads",
    "conference_ids.shared_conference_ids": "only reads",
    "conference_ids.given_private_ids": "only reads",
    "conference_ids.id_in_use": "only computes",
    "conference_ids.check_gives_conference_ids": "only checks",
    "conference_ids.users_without_id": "only reads",
    "conference_ids.number_users": "is a part of a change of a bridge, which writes an entry for each user",
    "conference_ids.keep_as_former": "is a part of removing a bridge, which writes the entry",
    "bridges.foresee_conference_ids": "only reads",
    "bridges.check_can_be_removed": "only reads",
    "bridges.new_number": "only checks",
    "mailboxes.check_can_be_removed": "only reads",
    "conference_ids.private_conference_ids": "is a part of a run, whose record has it",
    "conference_ids.release_private_conference_ids": "is a part of a run, whose record has it",
    "bridges.set_leaving": "is a part of taking a number off, which writes the entry",
    "receivers.on_users_changed": "starts what a change of users leads to; the entry of the change says so",
    "receivers.on_tenant_changed": "only wakes the workers",
    "left_actions.locked": "only locks",
    "left_actions.marked": "only sets what its caller saves and audits",
    "organizer_notes.compose": "only computes",
    "organizer_notes.is_wanted": "only reads",
    "notice_texts.default_text": "only reads",
    "notice_texts.texts_of": "only reads",
    "notice_texts.notice_records": "only reads",
    "notice_texts.filled": "only computes",
    "notice_texts.check_language": "only checks",
    "notice_texts.checked": "only checks",
    "notices.announce": "is a part of what is planned or done for many users, which writes the entry",
    "notices.told_already": "only reads",
    "notices.told_of_another_time": "only reads",
    "notices.is_due": "only reads",
    "notices.settles_at": "only reads",
    "notices.advance": "tells whom somebody asked to be told",
    "number_release.holders": "only reads",
    "number_release.holding_meetings": "only reads",
    "number_release.holding_updates": "only reads",
    "number_release.is_held": "only reads",
    "number_release.check_may_be_released_anyway": "only reads",
    "number_release.is_due": "only reads",
    "undo_start.undone_since": "only reads, and holds rows",
    "number_release.settles_at": "only reads",
    "number_release.check_not_default": "only reads",
    "number_release.check_release": "only reads",
    "bulk_actions.is_due": "only reads",
    "bulk_actions.settles_at": "only reads",
    "bulk_actions.advance": "does what was asked for, by functions that write an entry for each user",
    "number_release.check_release_anyway": "only reads",
    "number_release.foresee_replacement": "only reads",
    "number_release.advance": "changes users and releases numbers by functions of changes, with what they write",
}


def public_functions(module: ModuleType) -> Iterator[str]:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            yield f"{module.__name__.rpartition('.')[2]}.{name}"


def test_every_function_that_changes_or_starts_something_is_known() -> None:
    known = {*AUDITED, *WITHOUT_ENTRY}
    there = {name for module in MODULES for name in public_functions(module)}

    assert not there - known, (
        f"Nobody has said whether {', '.join(sorted(there - known))} leaves an audit entry: put it into AUDITED with "
        "a call that changes something, or into WITHOUT_ENTRY with the reason why it needs none."
    )
    assert not known - there, "a table names a function that is not there"


@pytest.fixture
def world(tenant: Tenant, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge, wakes: list[Any]) -> World:
    return World(tenant, anna, old_bridge, new_bridge)


@pytest.mark.parametrize("channel", [Channel.IMPORT, Channel.SERVICE])
def test_it_leaves_an_entry_with_who_and_through_what(
    world: World, channel: Channel, subtests: pytest.Subtests
) -> None:
    for name, (action, act, given) in AUDITED.items():
        with subtests.test(name), taken_back():
            thing = given(world)
            earlier = set(AuditEntry.objects.values_list("pk", flat=True))
            act(thing, Actor("zoe", channel))

            written = AuditEntry.objects.exclude(pk__in=earlier)
            assert action in written.values_list("action", flat=True)
            assert {(row.actor, row.channel) for row in written} == {("zoe", channel)}
            assert {row.tenant for row in written} == {
                Tenant.objects.latest("pk") if "create tenant" in action else world.tenant
            }


class NoRoom(Exception):
    """The database takes no audit entry."""


def no_room() -> AbstractContextManager[None]:
    def refuse(execute: Any, sql: str, *others: Any) -> Any:
        if sql.startswith("INSERT") and AuditEntry._meta.db_table in sql:
            raise NoRoom
        return execute(sql, *others)

    return connection.execute_wrapper(refuse)


def test_nothing_is_changed_or_started_without_its_entry(world: World, subtests: pytest.Subtests) -> None:
    """The two are one transaction: where the entry cannot be written, the change is not made either."""
    for name, (_, act, given) in AUDITED.items():
        with subtests.test(name), taken_back():
            thing = given(world)
            before = everything_stored()
            with pytest.raises(NoRoom), no_room():
                act(thing, ACTOR)

            assert everything_stored() == before


def test_r35_what_the_service_goes_on_with_is_audited_as_its_own(world: World) -> None:
    """By the name of who asked for it, and through the background service."""
    change_user(world.anna, ACTOR, toll_number=world.spare)
    Run.objects.update(state=Run.State.SUCCEEDED, finished_at=timezone.now())
    number_release.start_release(world.spare, world.default, Actor("zoe", Channel.SCREEN), now_due=True)
    earlier = set(AuditEntry.objects.values_list("pk", flat=True))
    number_release.advance(timezone.now() + timedelta(minutes=1))
    Run.objects.update(state=Run.State.SUCCEEDED, finished_at=timezone.now())
    world.anna.invited_numbers.filter(number=world.spare).delete()
    number_release.advance(timezone.now() + timedelta(minutes=1))

    written = AuditEntry.objects.exclude(pk__in=earlier).order_by("pk")
    assert list(written.values_list("action", flat=True)) == ["change user", "release number"]
    assert {(row.actor, row.channel) for row in written} == {("zoe", Channel.SERVICE)}


# --- the list of actions ------------------------------------------------------------------------------


def written_actions() -> set[str]:
    """Every action that the source passes to ``entry`` or to what hands it on, as far as it is spelled out there."""
    root = settings.BASE_DIR
    found = set()
    for path in [*root.glob("tenants_app/**/*.py"), *root.glob("migrations_app/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"entry", "_audit"}:
                texts = [each for each in ast.walk(node.args[2]) if isinstance(each, ast.Constant)]
                found |= {text.value for text in texts if isinstance(text.value, str)}
    return found


def test_the_filter_offers_every_action_that_is_written() -> None:
    offered = [action for _, choices in action_choices() for action, _ in choices]

    assert "retry migration" in written_actions()
    assert sorted(offered) == sorted(written_actions() | {kind.audited for kind in KINDS.values()})


def test_an_action_that_nobody_could_filter_by_is_refused(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="'paint number' is not an action of the audit"):
        entry(tenant, ACTOR, "paint number", "+14255550100")
