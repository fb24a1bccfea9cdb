"""What a run asks of meeting services, and what it does with the answers (R39, R41 to R43)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.failures import Failure
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.models import MeetingResult, OnlineMeeting, Run
from migrations_app.rewriting.online_meeting import OnlineMeeting as Facts
from migrations_app.runs import outcomes, queue
from migrations_app.runs.worker import work_run
from migrations_app.targets import CURRENT, LINK, SKYPE, TEAMS, Targets
from migrations_app.tasks import work_queue
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import ConferenceId, ConferencingUser, FormerConferenceId
from tests.support.actors import ACTOR
from tests.support.meetings import ANEW, STAY, body_of, invite, join_links, logical_lines, migrate, preview

MOVE = Targets.of_types(SKYPE, LINK)


class Scripted(MeetingService):
    """A service that answers as it is told, and remembers what it was asked."""

    name = LINK

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.refusal: Failure | None = None
        self.outage: Failure | None = None

    def make(self, requests: Sequence[Request]) -> Mapping[Request, Facts | Failure]:
        self.asked += requests
        if self.outage:
            raise self.outage
        return {each: self.refusal or self._made(each) for each in requests}

    def _made(self, request: Request) -> Facts:
        number = len(self.asked)
        return Facts(f"https://rooms.example.org/anna/ROOM{number:04}", meeting_id="", passcode="")

    def is_there_already(self, join_url: str) -> bool:
        return True


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(outcomes, "service_named", lambda name, user: scripted)
    return scripted


def fresh(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


def text_of(user: ConferencingUser, uid: str) -> str:
    return "\n".join(logical_lines(body_of(user, uid)))


# --- R41: made once ---------------------------------------------------------------------------------------


def test_r41_a_meeting_is_remembered_before_its_invitation_is_written(
    anna: ConferencingUser, service: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)

    def break_off(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("migrations_app.runs.commit.Committer.commit", break_off)
        with pytest.raises(KeyboardInterrupt):
            migrate(anna, MOVE)
    assert body_of(anna, uid) == before
    remembered = OnlineMeeting.objects.get()
    assert (remembered.uid, remembered.service) == (uid, LINK)

    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    Run.objects.update(due_at=timezone.now())
    run = queue.claim()
    assert run is not None
    work_run(run)
    assert len(service.asked) == 1
    assert remembered.join_url in text_of(anna, uid)


def test_r41_each_meeting_is_asked_for_once_and_in_batches(anna: ConferencingUser, service: Scripted) -> None:
    uids = {invite(anna, number)[0] for number in range(3)}
    migrate(anna, MOVE)
    assert {each.uid for each in service.asked} == uids
    assert OnlineMeeting.objects.count() == 3
    migrate(anna, MOVE)
    assert len(service.asked) == 3


def test_r41_what_another_worker_made_meanwhile_counts(anna: ConferencingUser, service: Scripted) -> None:
    uid, _ = invite(anna)
    make = service.make

    def slowly(requests: Sequence[Request]) -> Mapping[Request, Facts | Failure]:
        OnlineMeeting.objects.create(
            tenant=anna.tenant, user=anna, uid=uid, service=LINK, join_url="https://rooms.example.org/anna/QUICKER1"
        )
        return make(requests)

    service.make = slowly  # type: ignore[method-assign]
    migrate(anna, MOVE)
    assert OnlineMeeting.objects.count() == 1
    assert "https://rooms.example.org/anna/QUICKER1" in text_of(anna, uid)
    assert "ROOM0001" not in text_of(anna, uid)


# --- R42: refused, or down --------------------------------------------------------------------------------


def test_r42_a_meeting_that_the_service_refuses_stays_as_it_was_and_says_why(
    anna: ConferencingUser, service: Scripted
) -> None:
    uid, before = invite(anna)
    service.refusal = Failure("service-refused", "the organizer has no licence there")
    run = migrate(anna, MOVE)
    result = MeetingResult.objects.get(run=run)
    assert (run.state, result.outcome, result.code) == ("Failed", "Failed", "service-refused")
    assert "the organizer has no licence there" in result.reason
    assert body_of(anna, uid) == before
    assert (result.join_url_before, result.join_url_after) == (result.join_url_before,) * 2


def test_r28_where_the_service_is_down_the_run_waits_and_what_needs_no_service_is_done(
    anna: ConferencingUser, service: Scripted
) -> None:
    skype, before = invite(anna)
    teams, _ = invite(anna, 1, invitations.teams_gen3)
    service.outage = Failure("service-unavailable", "it answers 503", timedelta(minutes=7))
    run = migrate(anna, Targets.of({SKYPE: LINK, TEAMS: CURRENT, LINK: CURRENT}))
    assert run.state == "Pending"
    assert timedelta(minutes=6) < run.due_at - timezone.now() < timedelta(minutes=8)
    assert body_of(anna, skype) == before
    assert MeetingResult.objects.get(uid=teams).outcome == "Succeeded"
    service.outage = None
    Run.objects.update(due_at=timezone.now())
    claimed = queue.claim()
    assert claimed is not None
    work_run(claimed)
    assert OnlineMeeting.objects.get(service=LINK).join_url in text_of(anna, skype)


def test_r39_without_a_service_skype_meetings_stay_and_are_left_for_a_person(anna: ConferencingUser) -> None:
    uid, before = invite(anna)
    change_user(anna, ACTOR, meeting_service="none")
    run = migrate(anna, Targets.of_move("none"))
    result = MeetingResult.objects.get(run=run)
    assert (run.state, result.outcome, result.code) == ("Succeeded", "Skipped", "no-meeting-service")
    assert body_of(anna, uid) == before


def test_r42_a_meeting_that_the_service_forgets_fails_and_stays_as_it_was(
    anna: ConferencingUser, service: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, _ = invite(anna)
    before = body_of(anna, uid)
    monkeypatch.setattr(service, "make", lambda requests: {})
    run = migrate(anna, MOVE)
    assert [result.code for result in run.results.all()] == ["service-unavailable"]
    assert body_of(anna, uid) == before


# --- previews ---------------------------------------------------------------------------------------------


def test_a_preview_asks_no_service_for_anything(anna: ConferencingUser, service: Scripted) -> None:
    invite(anna)
    run = Run(user=anna, tenant=anna.tenant, targets=MOVE.stored)
    (outcome,) = outcomes.Outcomes(run, user=anna).foreseen()
    assert outcome.result.join_url_after == "made when the run starts"
    assert any("made when the run starts" in span.after for span in outcome.replaced)
    assert service.asked == []
    assert not OnlineMeeting.objects.exists()


def test_r39_a_preview_within_a_transaction_says_that_nothing_can_be_made(anna: ConferencingUser) -> None:
    change_tenant(anna.tenant, ACTOR, meeting_service="none")
    uid, _ = invite(anna)
    user = fresh(anna)
    run = Run(user=user, tenant=user.tenant, targets=Targets.of_move("none").stored)
    with transaction.atomic():
        (found,) = outcomes.Outcomes(run).foreseen()
    assert (found.result.uid, found.result.code) == (uid, "no-meeting-service")


def test_a_preview_shows_a_meeting_that_was_made_already(anna: ConferencingUser, service: Scripted) -> None:
    uid, _ = invite(anna)
    OnlineMeeting.objects.create(
        tenant=anna.tenant, user=anna, uid=uid, service=LINK, join_url="https://rooms.example.org/anna/MADE0001"
    )
    (outcome,) = outcomes.Outcomes(Run(user=anna, tenant=anna.tenant, targets=MOVE.stored), user=anna).foreseen()
    assert outcome.result.join_url_after == "https://rooms.example.org/anna/MADE0001"


# --- R40: which meetings ----------------------------------------------------------------------------------


def test_r40_meetings_of_other_types_are_not_selected_and_make_nobody_up_to_date(anna: ConferencingUser) -> None:
    skype, _ = invite(anna)
    teams, before = invite(anna, 1, invitations.teams_gen2)
    change_tenant(anna.tenant, ACTOR, local_numbers_url="https://elsewhere.contoso.com")
    run = migrate(anna, Targets.of_types(SKYPE, LINK))
    codes = dict(MeetingResult.objects.filter(run=run).values_list("uid", "code"))
    assert codes == {skype: "", teams: "not-selected"}
    assert body_of(anna, teams) == before
    anna.refresh_from_db()
    assert anna.is_out_of_date


def test_r40_a_link_meeting_below_another_meeting_url_gets_the_new_link_beside_the_old_one(
    anna: ConferencingUser,
) -> None:
    uid, _ = invite(anna)
    migrate(anna, ANEW)
    old = OnlineMeeting.objects.get().join_url
    change_tenant(anna.tenant, ACTOR, meeting_url="https://rooms.contoso.com")
    assert migrate(anna, STAY).succeeded_meetings == 0
    assert old in text_of(anna, uid)
    migrate(anna, ANEW)
    new = OnlineMeeting.objects.exclude(join_url=old).get().join_url
    assert new.startswith("https://rooms.contoso.com/")
    assert new in text_of(anna, uid)
    assert old not in text_of(anna, uid)


# --- R43: conference IDs ----------------------------------------------------------------------------------


def test_r43_an_id_that_no_bridge_gave_is_kept_and_named(anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    ConferenceId.objects.filter(user=anna).update(digits="1112223")
    run = migrate(anna, STAY)
    result = MeetingResult.objects.get(run=run)
    assert "1112223" not in text_of(anna, uid)
    assert "was not given out by MMS" in result.detail


def test_r43_where_the_service_gives_ids_the_one_in_the_block_stays(anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    shown = anna.conference_id
    assert anna.bridge is not None
    set_bridge(anna.tenant, anna.bridge.name, ACTOR, conference_ids_from="service")
    anna.refresh_from_db()
    migrate(anna, STAY)
    assert shown in text_of(anna, uid)


@pytest.mark.parametrize("kind", ["public", "private"])
def test_r43_a_licence_that_comes_back_brings_the_phone_part_back(
    make_user: Callable[..., ConferencingUser], kind: str
) -> None:
    user = make_user("bruno.costa", conference_id_type=kind)
    uid, before = invite(user)
    FormerConferenceId.objects.create(user=user, bridge=user.bridge, digits="7654321")
    change_user(user, ACTOR, audio_conferencing_license=False)
    work_queue()
    assert "tel:" not in text_of(user, uid)
    change_user(fresh(user), ACTOR, audio_conferencing_license=True)
    work_queue()
    assert MeetingResult.objects.latest("pk").outcome == "Succeeded"
    assert "+1 425-555-0100" in text_of(user, uid)
    assert join_links(text_of(user, uid)).keys() >= set(list(join_links("".join(logical_lines(before))))[:1])
    assert ConferenceId.objects.get(user=user, meeting_uid=uid if kind == "private" else "").digits in text_of(
        user, uid
    )


def test_r43_a_meeting_without_an_id_is_left_for_a_person(anna: ConferencingUser) -> None:
    uid, before = invite(anna, phone=False)
    run = migrate(anna, STAY)
    result = MeetingResult.objects.get(run=run)
    assert (run.state, result.outcome, result.code) == ("Succeeded", "Skipped", "no-conference-id")
    assert body_of(anna, uid) == before


def test_r40_previews_count_as_runs_do(anna: ConferencingUser) -> None:
    for number in range(4):
        invite(anna, number, (invitations.skype_text, invitations.teams_gen3)[number % 2])
    foreseen = sorted((result.uid, result.outcome, result.code) for result, _ in preview(anna))
    run = migrate(anna, STAY)
    assert sorted(run.results.values_list("uid", "outcome", "code")) == foreseen
