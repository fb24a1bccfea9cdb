"""Whatever an administrator can change or start leaves an audit entry, in the transaction of the change itself.

A public function of the modules below belongs in one of the two tables; one that stands in none fails a test.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from migrations_app.alerts import actions as alert_actions
from migrations_app.chat import endpoint as chat_endpoint
from migrations_app.chat import folders
from migrations_app.chat import gate as chat_gate
from migrations_app.chat import importing as chat_importing
from migrations_app.chat import people as chat_people
from migrations_app.chat import plans as chat_plans
from migrations_app.chat import sequence as chat_sequence
from migrations_app.chat import target_rows as chat_targets
from migrations_app.chat import verification as chat_verification
from migrations_app.mail import actions as mail_actions
from migrations_app.mail import notice_texts, organizer_notes
from migrations_app.models import (
    Alert,
    AlertDelivery,
    BulkAction,
    ChatArchive,
    ChatDifference,
    ChatFinding,
    ChatPlan,
    ChatQuestion,
    ChatRoom,
    ChatTarget,
    CheckAnswer,
    FoundMeeting,
    LeftMeeting,
    MeetingResult,
    MeetingSearch,
    Notice,
    NoticeRound,
    NoticeText,
    NumberRelease,
    Plan,
    Rollout,
    RolloutCheck,
    Run,
    TakenListing,
    UntoldNumber,
    Update,
    Wave,
    WaveMember,
)
from migrations_app.procedures import bulk_actions, notices, number_release
from migrations_app.procedures import plans as planned
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.rewriting.spans import pack
from migrations_app.rollouts import (
    acceptance,
    answers,
    checks,
    defining,
    going_back,
    looking,
    member_file,
    move_lists,
    opening,
    retirement,
    searching,
    steering,
    stranded,
    taken_listings,
)
from migrations_app.rollouts import mapping as rollout_mapping
from migrations_app.rollouts import members as rollout_members
from migrations_app.rollouts import people as rollout_people
from migrations_app.rollouts import waves as rollout_waves
from migrations_app.runs import actions, left_actions, receivers, undo_start
from migrations_app.runs.plans import When
from tenants_app.audit import Actor, Channel, action_choices, entry
from tenants_app.changes import (
    accounts,
    bridges,
    conference_ids,
    deployments,
    invitations,
    lists,
    locking,
    mail_servers,
    mailboxes,
    tenants,
    users,
)
from tenants_app.changes.bridges import (
    describe_number,
    register_number,
    release_number,
    remove_bridge,
    set_bridge,
    set_default_number,
)
from tenants_app.changes.deployments import (
    change_deployment,
    create_deployment,
    move_users,
    remove_deployment,
    retire_deployment,
    unretire_deployment,
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
    Deployment,
    Invitation,
    MailboxConnection,
    SavedFilter,
    ServiceNumber,
    Tenant,
)
from tests.support.actors import ACTOR
from tests.support.chat_plans import a_plan, a_target, stored
from tests.support.checks import a_check, without_checks
from tests.support.notices import notices_to
from tests.support.planned import plan_for
from tests.support.retirements import a_retirable_rollout
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to
from tests.support.rollouts import members as members_of
from tests.support.taken_back import taken_back
from tests.support.two_tenants import everything_stored

CHANGES = (
    *(tenants, bridges, users, conference_ids, mail_servers, locking, mailboxes, lists, accounts, invitations),
    deployments,
)
MODULES = (
    *CHANGES,
    *(actions, receivers, undo_start, left_actions, mail_actions, organizer_notes),
    alert_actions,
    *(number_release, bulk_actions, planned, notice_texts, notices),
    *(answers, checks, looking, opening),
    *(defining, rollout_waves, rollout_mapping, rollout_members, member_file, rollout_people),
    *(steering, acceptance, move_lists),
    *(going_back, searching, stranded, taken_listings, retirement),
    *(chat_plans, chat_importing, chat_targets),
    *(chat_verification, chat_people),
    *(chat_endpoint, chat_gate, chat_sequence),
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

    def invitation(self) -> Invitation:
        return invitations.invite(self.tenant, ACTOR, "yves@contoso.com", "viewer")[0]

    def account_with_role(self) -> User:
        self.role()
        return self.account

    def account_with_second_factor(self) -> User:
        Authenticator.objects.create(user=self.account, type="totp", data={"secret": ""})
        return self.account_with_role()

    def out_of_date(self) -> ConferencingUser:
        change_user(self.anna, ACTOR, is_data_fix=True, conference_id="7654321")
        return self.anna

    def bulk_action(self) -> BulkAction:
        action = BulkAction.objects.create(tenant=self.tenant, kind="start", channel="screen", user_count=1)
        action.users.create(user=self.anna, upn=self.anna.upn)
        return action

    def plan(self) -> Plan:
        return plan_for(self.anna)

    def hooked_rollout(self) -> Rollout:
        """A rollout that is told by a webhook."""
        rollout = self.rollout()
        return rollout_people.change_people(rollout, ACTOR, webhook_url="https://hooks.contoso.com/")[0]

    def rollout(self) -> Rollout:
        """With anna on the side from which it moves users."""
        rollout = a_rollout(self.tenant)
        belong_to(rollout.legacy, [self.anna], self.old_bridge)
        self.old_bridge.refresh_from_db()
        return rollout

    def wave(self) -> Wave:
        return a_wave(self.rollout())

    def member(self) -> WaveMember:
        """Of a wave that has not started."""
        return members_of(self.wave(), [self.anna])[0]

    def member_who_waits(self) -> WaveMember:
        member = self.member()
        a_wave(member.wave.rollout, state=Wave.State.RUNNING)
        return member

    def wave_in(self, wave_state: str, **of_member: Any) -> Wave:
        """With anna, and with a gate that nothing closes."""
        wave = self.wave()
        wave.rollout.checks.all().delete()
        now = timezone.now()
        begun = {"started_at": now, "started_by": "zoe", "frozen_at": now, "counts_from": now, "offered_at": now}
        members_of(wave, [self.anna], **of_member)
        return a_wave(
            wave.rollout, state=wave_state, batch=1, next_look_at=now, **(begun if wave_state != "Draft" else {})
        )

    def wave_with_stranded_meeting(self) -> Wave:
        """Which was searched, and whose organizer was not told."""
        wave = self.wave_in("Observing", state="Done")
        new = {"tenant": self.tenant, "deployment": wave.rollout.new, "wave": wave, "asked_by": "zoe"}
        search = MeetingSearch.objects.create(**new, searched_at=timezone.now())
        FoundMeeting.objects.create(
            search=search, user=self.anna, uid="stranded", last_end=timezone.now() + timedelta(days=9)
        )
        return wave

    def legacy_meeting(self) -> FoundMeeting:
        """Which was found because it leads to a legacy deployment."""
        legacy = self.rollout().legacy
        search = MeetingSearch.objects.create(tenant=self.tenant, deployment=legacy, asked_by="zoe")
        return FoundMeeting.objects.create(
            search=search, user=self.anna, uid="legacy", last_end=timezone.now() + timedelta(days=9)
        )

    def retired(self) -> Deployment:
        return retirement.retire(a_retirable_rollout(self.tenant, "Retirable").legacy, ACTOR)

    def chat_plan(self) -> ChatPlan:
        """Into Persistent Chat, ready."""
        of_both = {"tenant": self.tenant, "name": "Old chat"}
        kept = {"level": "All", "exported_at": timezone.now(), "stored_by": "zoe"}
        archive = ChatArchive.objects.create(**of_both, **kept, folder=folders.new_name())
        target = ChatTarget.objects.create(**of_both, kind="pchat", folder=folders.new_name(), created_by="zoe")
        return ChatPlan.objects.create(
            tenant=self.tenant, number=1, archive=archive, target=target, state=ChatPlan.State.READY, created_by="zoe"
        )

    def answered_chat_plan(self) -> ChatPlan:
        plan = self.chat_plan()
        chat_gate.answer_condition(plan, Actor("rita", Channel.SCREEN), "retention-officer", "In writing")
        chat_endpoint.answer_client(plan, ACTOR, "client-2010", "It works")
        chat_sequence.do_step(plan, ACTOR, "stop-source", "All four servers")
        return plan

    def failed_member(self) -> WaveMember:
        return self.wave_in("Stopped", state="Failed", batch=1).members.select_related("wave__rollout", "user").get()

    def member_to_confirm(self) -> WaveMember:
        return self.wave_in("Running", state="Moving", asked_at=timezone.now(), batch=1).members.get()

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

    def a_deployment(self) -> Deployment:
        return a_deployment(self.tenant, kind="online")

    def a_retired_deployment(self) -> Deployment:
        return retire_deployment(self.a_deployment(), ACTOR)

    def webhook(self) -> World:
        alert_actions.change_alerts(self.tenant, ACTOR, webhook_url="https://hooks.contoso.com/")
        return self

    def undelivered_alert(self) -> AlertDelivery:
        self.webhook()
        alert = Alert.objects.create(tenant=self.tenant, content={"title": "1 run failed"})
        return AlertDelivery.objects.create(alert=alert, channel="webhook", state="Failed")

    def chat_target(self) -> ChatTarget:
        return a_target(self.tenant)

    def readable_chat_plan(self) -> ChatPlan:
        """A plan of which a person must say that the target keeps old messages."""
        plan = a_plan(self.tenant, stored(self.tenant), self.chat_target())
        ChatFinding.objects.create(plan=plan, severity="note", code="retention-unknown", sentence="Nobody knows.")
        return plan

    def chat_import(self) -> ChatPlan:
        return chat_importing.start(self.readable_chat_plan(), ACTOR)

    def paused_chat_import(self) -> ChatPlan:
        return chat_importing.pause(self.chat_import(), ACTOR)

    def failed_chat_import(self) -> ChatPlan:
        plan = self.chat_import()
        plan.rooms.update(state="Failed", error_code="chat-target-refused")
        return plan

    def imported_chat_plan(self) -> ChatPlan:
        plan = self.readable_chat_plan()
        plan.rooms.update(state="Imported")
        return plan

    def chat_room_that_differs(self) -> ChatRoom:
        plan = self.imported_chat_plan()
        plan.rooms.update(comparison="Differs", compared={"sample": {"1": "first"}})
        return plan.rooms.select_related("plan__tenant").first()

    def chat_difference(self) -> ChatDifference:
        return ChatDifference.objects.create(room=self.chat_room_that_differs(), code="name", sentence="Otherwise.")

    def chat_question(self) -> ChatQuestion:
        """To which nobody has answered."""
        plan = self.imported_chat_plan()
        question = ChatQuestion(plan=plan, principal="ann", name="Ann", address="ann@contoso.com", asked_by="zoe")
        question.token = chat_people.digest_of(chat_people.token_of(question))
        question.save()
        return question

    def own_text(self) -> Tenant:
        notice_texts.change_notice_text(self.tenant, "Advance", "en", ACTOR, subject="On {day}")
        assert NoticeText.objects.exists()
        return self.tenant

    def notices(self) -> NoticeRound:
        return notices_to(self.anna)

    def sent_notices(self) -> NoticeRound:
        return notices_to(self.anna, state=Notice.State.SENT, error_code="")

    def check(self, kind: str = "tcp") -> RolloutCheck:
        """A check of a wave that stands in the way of it, behind another one."""
        if not Rollout.objects.exists():
            without_checks(a_rollout(self.tenant))
        wave = a_wave(Rollout.objects.get())
        if kind == "tcp":
            a_check(wave, "manual", name="First")
        check = a_check(wave, kind, position=10)
        return RolloutCheck.objects.select_related("rollout__tenant", "wave").get(pk=check.pk)

    def question(self) -> RolloutCheck:
        return self.check("manual")

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


def look_at_texts(room: ChatRoom, actor: Actor) -> None:
    """Which the target has not: the look was begun all the same."""
    with suppress(ValidationError):
        chat_verification.sampled(room, actor)


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
    "target_rows.set_target": Case(
        "add chat target",
        lambda world, actor: chat_targets.set_target(world.tenant, actor, "Shelf", kind="archive"),
    ),
    "target_rows.remove_target": Case("remove chat target", chat_targets.remove_target, World.chat_target),
    "plans.make_plan": Case(
        "plan chat import",
        lambda plan, actor: chat_plans.make_plan(plan.tenant, actor, plan.archive, plan.target),
        World.readable_chat_plan,
    ),
    "plans.plan_again": Case("plan chat import", chat_plans.plan_again, World.readable_chat_plan),
    "plans.decide": Case(
        "decide on chat rooms",
        lambda plan, actor: chat_plans.decide(plan, actor, plan.rooms.all()[:1], on_conflict="skip"),
        World.readable_chat_plan,
    ),
    "plans.name_category": Case(
        "decide on chat rooms",
        lambda plan, actor: chat_plans.name_category(plan, actor, "c1", "Ops"),
        World.readable_chat_plan,
    ),
    "plans.accept_retention": Case("accept chat retention", chat_plans.accept_retention, World.readable_chat_plan),
    "plans.replaced": Case(
        "plan chat import",
        chat_plans.replaced,
        World.readable_chat_plan,
    ),
    "importing.start": Case("start chat import", chat_importing.start, World.readable_chat_plan),
    "importing.pause": Case("pause chat import", chat_importing.pause, World.chat_import),
    "importing.resume": Case("resume chat import", chat_importing.resume, World.paused_chat_import),
    "verification.ask": Case("compare chat rooms", chat_verification.ask, World.imported_chat_plan),
    "verification.accept": Case(
        "accept chat differences",
        lambda difference, actor: chat_verification.accept([difference], actor, "Known"),
        World.chat_difference,
    ),
    "verification.sampled": Case("look at chat messages", look_at_texts, World.chat_room_that_differs),
    "people.ask_people": Case("ask chat people", chat_people.ask_people, World.imported_chat_plan),
    "people.remind": Case(
        "remind chat people",
        lambda question, actor: chat_people.remind(question.plan, actor),
        World.chat_question,
    ),
    "importing.retry": Case("retry chat rooms", chat_importing.retry, World.failed_chat_import),
    "answers.answer": Case(
        "answer check", lambda check, actor: answers.answer(check, CheckAnswer.Answer.YES, "", actor), World.question
    ),
    "opening.open_gate": Case(
        "open gate",
        lambda check, actor: opening.open_gate(check.rollout, check.wave, "It is known, and harmless.", actor),
        World.check,
    ),
    "checks.define_check": Case(
        "add check",
        lambda check, actor: checks.define_check(
            check.rollout, check.wave, "manual", {"name": "Phones", "scope": "new"}, actor
        ),
        World.check,
    ),
    "checks.change_check": Case(
        "change check", lambda check, actor: checks.change_check(check, {"name": "Phones"}, actor), World.check
    ),
    "checks.remove_check": Case(
        "remove check", lambda check, actor: checks.remove_check(check, "Not needed", actor), World.check
    ),
    "checks.move_check": Case("move check", lambda check, actor: checks.move_check(check, actor, up=True), World.check),
    "looking.ask": Case("check rollout", lambda check, actor: looking.ask(check.rollout, [check], actor), World.check),
    "looking.look_now": Case(
        "check rollout", lambda check, actor: looking.look_now(check.rollout, [check], actor), World.check
    ),
    "going_back.roll_back": Case(
        "roll back wave", going_back.roll_back, lambda world: world.wave_in("Observing", state="Done")
    ),
    "searching.search_wave": Case(
        "search meetings", searching.search_wave, lambda world: world.wave_in("Observing", state="Done")
    ),
    "searching.search_tenant": Case("search meetings", searching.search_tenant, lambda world: world.rollout().legacy),
    "stranded.tell_organizers": Case(
        "tell stranded organizers", stranded.tell_organizers, World.wave_with_stranded_meeting
    ),
    "taken_listings.take": Case(
        "record listing",
        lambda legacy, by: taken_listings.take(legacy, TakenListing.Kind.ACCOUNTS, b"", "accounts.csv", by),
        lambda world: world.rollout().legacy,
    ),
    "retirement.accept_meetings": Case(
        "accept legacy meeting",
        lambda found, by: retirement.accept_meetings(found.search.deployment, [found.pk], "Nobody dials in", by),
        World.legacy_meeting,
    ),
    "retirement.retire": Case(
        "retire deployment",
        retirement.retire,
        lambda world: a_retirable_rollout(world.tenant, "Retirable").legacy,
    ),
    "retirement.take_back": Case("take back retirement", retirement.take_back, World.retired),
    "gate.answer_condition": Case(
        "answer chat condition",
        lambda plan, actor: chat_gate.answer_condition(plan, actor, "backups", "Tape 17"),
        World.chat_plan,
    ),
    "gate.confirm_condition": Case(
        "confirm chat condition",
        lambda plan, actor: chat_gate.confirm_condition(plan, actor, "retention-officer"),
        World.answered_chat_plan,
    ),
    "gate.take_back_answer": Case(
        "take back chat answer",
        lambda plan, actor: chat_gate.take_back_answer(plan, actor, "retention-officer"),
        World.answered_chat_plan,
    ),
    "sequence.do_step": Case(
        "do chat step",
        lambda plan, actor: chat_sequence.do_step(plan, actor, "export", "At noon"),
        World.answered_chat_plan,
    ),
    "sequence.take_back_step": Case(
        "take back chat step",
        lambda plan, actor: chat_sequence.take_back_step(plan, actor, "stop-source"),
        World.answered_chat_plan,
    ),
    "endpoint.compare": Case(
        "check chat endpoint",
        lambda plan, actor: chat_endpoint.compare(plan, actor, "sip:ocschat@contoso.com", "sip:ocschat@contoso.com"),
        World.chat_plan,
    ),
    "endpoint.answer_client": Case(
        "check chat endpoint",
        lambda plan, actor: chat_endpoint.answer_client(plan, actor, "client-2013", "It works"),
        World.chat_plan,
    ),
    "endpoint.take_back": Case(
        "take back chat step",
        lambda plan, actor: chat_endpoint.take_back(plan, actor, "client-2010"),
        World.answered_chat_plan,
    ),
    "steering.start": Case("start wave", steering.start, lambda world: world.wave_in("Draft")),
    "steering.pause": Case("pause wave", steering.pause, lambda world: world.wave_in("Running", state="Done")),
    "steering.resume": Case(
        "resume wave",
        lambda wave, by: steering.resume(wave, by, "Put right"),
        lambda world: world.wave_in("Stopped", state="Done"),
    ),
    "steering.retry": Case("retry wave member", steering.retry, World.failed_member),
    "acceptance.accept": Case("accept wave", acceptance.accept, lambda world: world.wave_in("Observing", state="Done")),
    "move_lists.confirm": Case(
        "confirm moved accounts", lambda member, by: move_lists.confirm(member.wave, by), World.member_to_confirm
    ),
    "move_lists.import_results": Case(
        "confirm moved accounts",
        lambda member, by: move_lists.import_results(
            member.wave, f"UserPrincipalName,Result\n{member.user.upn},failed\n", by
        ),
        World.member_to_confirm,
    ),
    "defining.new_rollout": Case(
        "create rollout",
        lambda sides, by: defining.new_rollout(sides[0].tenant, by, name="R", legacy=sides[0], new=sides[1]),
        lambda world: (a_deployment(world.tenant), a_deployment(world.tenant, "new")),
    ),
    "people.change_people": Case(
        "change rollout people",
        lambda rollout, by: rollout_people.change_people(rollout, by, people="zoe@contoso.com"),
        World.rollout,
    ),
    "people.renew_secret": Case("renew rollout secret", rollout_people.renew_secret, World.hooked_rollout),
    "defining.change_rollout": Case(
        "change rollout",
        lambda rollout, by: defining.change_rollout(rollout, by, batches="1, 2"),
        World.rollout,
    ),
    "defining.close_rollout": Case(
        "end rollout",
        lambda rollout, by: defining.close_rollout(rollout, by, reason="No more"),
        World.rollout,
    ),
    "waves.add_wave": Case(
        "add wave", lambda rollout, by: rollout_waves.add_wave(rollout, by, name="X"), World.rollout
    ),
    "waves.change_wave": Case(
        "change wave", lambda wave, by: rollout_waves.change_wave(wave, by, name="X"), World.wave
    ),
    "waves.put_wave": Case("put wave", lambda wave, by: rollout_waves.put_wave(wave, 2, by), World.wave),
    "waves.split_wave": Case(
        "split wave",
        lambda wave, by: rollout_waves.split_wave(wave, by, name="X", keep=0),
        World.wave,
    ),
    "waves.remove_wave": Case("remove wave", rollout_waves.remove_wave, World.wave),
    "mapping.change_mapping": Case(
        "change rollout mapping",
        lambda given, by: rollout_mapping.change_mapping(given[0], by, bridges={given[1]: given[2]}),
        lambda world: (world.rollout(), world.old_bridge, world.new_bridge),
    ),
    "members.add_members": Case(
        "add wave members",
        lambda given, by: rollout_members.add_members(given[0], [given[1].pk], by),
        lambda world: (world.wave(), world.anna),
    ),
    "members.take_out": Case(
        "take out wave members",
        lambda member, by: rollout_members.take_out(member.wave, [member.pk], by),
        World.member,
    ),
    "members.exclude": Case(
        "exclude wave member",
        lambda member, by: rollout_members.exclude(member, by, reason="On leave"),
        World.member_who_waits,
    ),
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
    "invitations.invite": Case(
        "invite", lambda world, actor: invitations.invite(world.tenant, actor, "yves@contoso.com", "viewer")
    ),
    "invitations.withdraw": Case("withdraw invitation", invitations.withdraw, World.invitation),
    "accounts.note": Case(
        "refuse sign-in",
        lambda account, actor: accounts.note("refuse sign-in", actor, account=account),
        World.account_with_role,
    ),
    "accounts.connect_sign_in": Case(
        "connect sign-in",
        lambda account, actor: accounts.connect_sign_in(actor, account, "oidc", "zoe-1", "They asked for it."),
        World.account_with_role,
    ),
    "accounts.follow_groups": Case(
        "grant role", lambda world, actor: accounts.follow_groups(world.account, {"contoso": "viewer"}, actor)
    ),
    "accounts.remove_second_factor": Case(
        "remove second factor", accounts.remove_second_factor, World.account_with_second_factor
    ),
    "accounts.change_password": Case(
        "change password",
        lambda account, actor: accounts.change_password(account, "violet otter plays", actor, keep=None),
        World.account_with_role,
    ),
    "accounts.switch_account": Case(
        "switch off account",
        lambda account, actor: accounts.switch_account(account, False, actor),
        World.account_with_role,
    ),
    "accounts.make_administrator": Case(
        "make administrator",
        lambda account, actor: accounts.make_administrator(account, True, actor),
        World.account_with_role,
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
    "deployments.create_deployment": Case(
        "create deployment",
        lambda world, actor: create_deployment(
            world.tenant, actor, name="Cloud", kind="online", role="new", meeting_hosts=["meet.contoso.com"]
        ),
    ),
    "deployments.change_deployment": Case(
        "change deployment",
        lambda deployment, actor: change_deployment(deployment, actor, name="Pool C"),
        World.a_deployment,
    ),
    "deployments.remove_deployment": Case("remove deployment", remove_deployment, World.a_deployment),
    "deployments.retire_deployment": Case("retire deployment", retire_deployment, World.a_deployment),
    "deployments.unretire_deployment": Case("take back retirement", unretire_deployment, World.a_retired_deployment),
    "deployments.move_users": Case(
        "change user",
        lambda deployment, actor: move_users(deployment.tenant, [deployment.tenant.users.get().pk], deployment, actor),
        World.a_deployment,
    ),
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
    **dict.fromkeys(
        (
            *("plans.plan_numbered", "plans.why_not_started", "target_rows.target_named", "target_rows.options_of"),
            *("target_rows.folder_of", "target_rows.has_secret", "target_rows.opened", "target_rows.try_target"),
            *("target_rows.why_not_removed", "target_rows.is_secret"),
        ),
        "only reads",
    ),
    "plans.locked": "only locks",
    "plans.plan_now": "makes a plan that somebody has asked for",
    **dict.fromkeys(
        (
            *("verification.comparable", "verification.is_settled", "verification.why_not_sampled"),
            *("people.why_not_asked", "people.question_of", "people.rooms_of"),
        ),
        "only reads",
    ),
    "verification.verify_now": "compares what somebody has asked for",
    **dict.fromkeys(("people.token_of", "people.digest_of", "people.address_of"), "only computes"),
    "people.answer": "is audited as who answers, who need have no account: tests/chat/test_people.py",
    "importing.import_now": "goes on with an import that somebody has started",
    **dict.fromkeys(("actions.clean_recipients", "actions.clean_webhook", "actions.new_secret"), "only computes"),
    "actions.hide_path": "is a part of what writes the entry",
    "actions.keep_secret": "is a part of a change, which writes the entry",
    "steering.why_not_started": "only reads",
    "steering.locked": "only locks",
    **dict.fromkeys(
        (
            *("going_back.foresee", "going_back.why_not_rolled_back", "going_back.target"),
            *("searching.hosts_of_new_alone", "searching.numbers_of", "searching.latest", "searching.under_way"),
            *("searching.users_of", "searching.meetings_found", "searching.rows_to_come", "searching.found_at_once"),
            *("searching.is_due", "searching.settles_at"),
            *("stranded.stranded", "stranded.records", "stranded.record_of", "stranded.csv_lines", "stranded.untold"),
            *("stranded.edited", "stranded.clients_to_downgrade", "stranded.foreseen"),
            *("taken_listings.latest", "taken_listings.is_too_old", "taken_listings.told_of"),
            *("retirement.gate_of", "retirement.open_meetings", "retirement.accepted_meetings"),
            *("retirement.why_not_retired", "retirement.records", "retirement.shown_gate"),
        ),
        "only reads",
    ),
    "going_back.change": "moves members back whose wave somebody takes back, by functions that write an entry for each",
    "going_back.settle": "undoes their runs, by functions that write an entry for each",
    "going_back.end": "notes in the timeline that all have ended",
    "searching.begin_for": "is a part of a rollback or a search, which write the entry",
    "searching.advance": "keeps what a search finds that somebody has asked for",
    **dict.fromkeys(
        (
            *("acceptance.failed_members", "acceptance.left_meetings", "acceptance.kind_of", "acceptance.of_kind"),
            *("acceptance.counts", "acceptance.counts_shown", "acceptance.rows_of", "acceptance.item_of"),
            *("acceptance.items", "acceptance.why_not_accepted"),
            *("move_lists.target_of", "move_lists.waits_for_list", "move_lists.users_to_move"),
            "move_lists.command_line",
        ),
        "only reads",
    ),
    "defining.finish": "is a part of the end or the retirement of a rollout, which write the entry",
    "mapping.mapping_of": "only reads",
    "members.freeze": "is a part of a start, which writes the entry",
    "members.has_somebody": "only reads",
    "members.newcomers": "only reads",
    "members.following": "only reads",
    "member_file.plan_members": "only reads",
    "member_file.import_members": "is an import, whose entry says so: tests/rollouts/test_member_file.py",
    "invitations.accept": "is audited as who accepts, who need be nobody yet: tests/accounts/test_invitations.py",
    "invitations.find": "only reads",
    "invitations.hash_of": "only computes",
    "invitations.why_not": "only computes",
    "accounts.is_last_administrator": "only reads",
    "accounts.is_taken_by_address": "only reads",
    "accounts.last_administrator": "only says so",
    "accounts.rename": "is of no tenant's concern; the list of what happened to accounts says so",
    "accounts.refuse_language": "is of no tenant's concern; the list of what happened to accounts says so",
    "accounts.prefer": "is of no tenant's concern; the list of what happened to accounts says so",
    "accounts.end_sessions": "is of no tenant's concern; the list of what happened to accounts says so",
    "accounts.make_account": "makes an account of no tenant; the list of what happened to accounts says so",
    "accounts.rotate_second_factors": "is about the installation's keys: what is stored stays what it is",
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
    "tenants.check_meeting_url": "only reads what it is given",
    "deployments.read_deployment": "only reads",
    "deployments.check_can_be_removed": "only reads",
    "deployments.foresee_moves": "only reads",
    "deployments.edits_of_move": "only computes",
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
    "number_release.check_replacement": "only reads",
    "bulk_actions.is_due": "only reads",
    "bulk_actions.settles_at": "only reads",
    "bulk_actions.advance": "does what was asked for, by functions that write an entry for each user",
    "number_release.check_release_anyway": "only reads",
    "number_release.foresee_replacement": "only reads",
    "endpoint.address_of": "only reads",
    "endpoint.ask_pool": "keeps what the pool answers by the function that keeps what people say, with its entry",
    "endpoint.commands_of": "only reads",
    "endpoint.difference": "only compares",
    "endpoint.endpoint_of": "only reads",
    "endpoint.pool_of": "only reads",
    "endpoint.why_not_ported": "only reads",
    "gate.gate_of": "only reads",
    "gate.records": "only reads",
    "gate.retirement_conditions": "only reads",
    "gate.why_closed": "only reads",
    "sequence.kinds_of": "only reads",
    "sequence.records": "only reads",
    "sequence.steps_of": "only reads",
    "answers.expires_at": "only reads",
    "answers.why_not": "only reads",
    "answers.why_over": "only reads",
    "opening.why_not": "only reads",
    "checks.add_checklist": "is a part of defining a rollout, which writes the entry",
    "checks.add_wave_checklist": "is a part of defining a rollout or a wave, which writes the entry",
    "checks.copy_checks": "is a part of splitting a wave, which writes the entry",
    "looking.advance": "keeps what checks find, each as a result with its time",
    "looking.asked": "only reads",
    "looking.is_due": "only reads",
    "looking.prepared": "only reads",
    "looking.settles_at": "only reads",
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
    assert sorted(offered) == sorted(
        written_actions() | {kind.audited for kind in KINDS.values()} | accounts.IN_TENANTS
    )


def test_an_action_that_nobody_could_filter_by_is_refused(tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="'paint number' is not an action of the audit"):
        entry(tenant, ACTOR, "paint number", "+14255550100")
