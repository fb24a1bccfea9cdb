"""Teams as a meeting service (R39 to R45): what MMS asks of it, and what becomes of invitations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_app.calendars.content_lines import unescaped
from migrations_app.demo import invitations
from migrations_app.failures import Failure
from migrations_app.meeting_services.base import Request
from migrations_app.meeting_services.of_user import service_named, service_of
from migrations_app.meeting_services.teams import external_id
from migrations_app.models import MeetingResult, OnlineMeeting, Run
from migrations_app.rewriting import links
from migrations_app.runs import outcomes, queue
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from migrations_app.targets import ALL, LINK, SKYPE, TEAMS, Targets
from tenants_app.changes.users import change_user
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.meetings import STAY, body_of, invite, join_links, logical_lines, migrate
from tests.support.teams import DIRECTORY, OTHERS, Teams, scripted, served_by_teams

MOVE = Targets.of_types(SKYPE, TEAMS)


@pytest.fixture
def teams() -> Iterator[Teams]:
    with scripted() as found:
        yield found


@pytest.fixture
def anna(anna: ConferencingUser) -> ConferencingUser:
    return served_by_teams(anna)


def text_of(user: ConferencingUser, uid: str) -> str:
    return "\n".join(logical_lines(body_of(user, uid)))


def property_of(user: ConferencingUser, uid: str, name: str) -> str:
    lines = [line for line in logical_lines(body_of(user, uid)) if line.startswith(f"{name}:")]
    return unescaped(lines[0].partition(":")[2].encode()) if lines else ""


def result_of(run: Run) -> MeetingResult:
    return MeetingResult.objects.get(run=run)


# --- R39 to R41: made once, in the same event -----------------------------------------------------------


def test_r39_a_skype_meeting_becomes_a_teams_meeting_in_the_same_event(anna: ConferencingUser, teams: Teams) -> None:
    uid, before = invite(anna)
    assert service_of(anna) == TEAMS
    run = migrate(anna, MOVE)
    text = text_of(anna, uid)
    (join_url,) = teams.made()
    assert (run.state, run.migration_type, result_of(run).outcome) == (
        "Succeeded",
        "SkypeForBusinessToTeams",
        "Succeeded",
    )
    assert set(join_links(text)) == {join_url}
    assert join_links(before.decode()).keys().isdisjoint(join_links(text))
    assert "+1 206-555-0142" in text
    assert "+1 425-555-0100" not in text  # the bridge's number, which Teams does not know
    assert ": 400000000" in text
    assert "200 000 000 000" in text
    assert f"https://dialin.teams.microsoft.com/{DIRECTORY}?id=400000000" in text
    assert result_of(run).join_url_after == join_url


def test_r25_r39_a_second_run_knows_it_as_teams_and_changes_nothing(anna: ConferencingUser, teams: Teams) -> None:
    uid, _ = invite(anna)
    migrate(anna, MOVE)
    before = body_of(anna, uid)
    again = migrate(anna, STAY)
    result = result_of(again)
    assert (result.code, result.meeting_service) == ("already-current", TEAMS)
    assert body_of(anna, uid) == before
    anna.refresh_from_db()
    assert not anna.is_out_of_date


def test_r21_an_exchange_event_gets_the_properties_of_a_teams_meeting(anna: ConferencingUser, teams: Teams) -> None:
    uid, before = invite(anna, build=invitations.skype_exchange)
    migrate(anna, MOVE)
    (join_url,) = teams.made()
    assert property_of(anna, uid, "X-MICROSOFT-SKYPETEAMSMEETINGURL") == join_url
    facts = json.loads(property_of(anna, uid, "X-MICROSOFT-SKYPETEAMSPROPERTIES"))
    assert (facts["cid"], facts["mid"]) == ("19:meeting_Made0000@thread.v2", 0)
    assert property_of(anna, uid, "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK") == join_url
    assert property_of(anna, uid, "X-MICROSOFT-ONLINEMEETINGCONFLINK") == ""
    assert property_of(anna, uid, "X-MICROSOFT-CONFERENCETELURI") == "tel:+12065550142,,400000000"
    assert join_links(text_of(anna, uid)).keys() == {join_url}

    again = migrate(anna, STAY)
    assert result_of(again).code == "already-current"

    start_undo(Run.objects.order_by("pk")[0], ACTOR)
    run = queue.claim()
    assert run is not None
    work_run(run)
    assert property_of(anna, uid, "X-MICROSOFT-SKYPETEAMSMEETINGURL") == ""
    assert set(join_links(text_of(anna, uid))) == set(join_links("\n".join(logical_lines(before))))


def test_r41_what_teams_is_asked_for_follows_from_tenant_uid_and_occurrence(
    anna: ConferencingUser, teams: Teams
) -> None:
    uid, _ = invite(anna)
    migrate(anna, MOVE)
    (meeting,) = teams.meetings.items()
    assert meeting[0] == external_id("contoso", uid)
    assert meeting[1]["subject"] == result_of(Run.objects.get()).subject
    assert meeting[1]["startDateTime"] < meeting[1]["endDateTime"]
    assert (
        len({external_id("contoso", uid), external_id("contoso", uid, "20270101T100000Z"), external_id("x", uid)}) == 3
    )
    assert teams.languages == {anna.language}


def test_a_series_without_an_end_is_not_over_for_teams_when_it_is_made(anna: ConferencingUser, teams: Teams) -> None:
    now = timezone.now()
    began = now - timedelta(days=700)
    service = service_named("Teams", anna)
    service.make([Request("endless", starts_at=began), Request("ends", starts_at=began, ends_at=now)])
    endless, ends = (teams.meetings[external_id("contoso", uid)] for uid in ("endless", "ends"))

    assert endless["startDateTime"] == ends["startDateTime"] == f"{began:%Y-%m-%dT%H:%M:%SZ}"
    assert ends["endDateTime"] == f"{now:%Y-%m-%dT%H:%M:%SZ}"
    assert endless["endDateTime"] > f"{now + timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"


def test_r41_a_worker_killed_before_it_remembers_finds_the_same_meeting_again(
    anna: ConferencingUser, teams: Teams, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def begin_or_go_on() -> None:
        again = queue.claim()
        if again is None:
            migrate(anna, MOVE)
        else:
            work_run(again)

    def killed_at(place: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(place, die)
            with pytest.raises(KeyboardInterrupt):
                begin_or_go_on()
        assert body_of(anna, uid) == before
        Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        queue.sweep()
        Run.objects.update(due_at=timezone.now())

    killed_at("migrations_app.meeting_services.remembered.insert")
    killed_at("migrations_app.runs.commit.Committer.commit")
    run = queue.claim()
    assert run is not None
    work_run(run)
    assert OnlineMeeting.objects.get(service=TEAMS).join_url == teams.made()[0]
    assert [method for method, _ in teams.asked].count("make") == 2  # the second time it was only found
    assert set(join_links(text_of(anna, uid))) == set(teams.made())
    assert len(teams.made()) == 1


# --- R42: refused, or down ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Failure("mailbox-forbidden", "no application access policy"), "teams-no-policy"),
        (Failure("meeting-refused-by-server", "Graph answered 400"), "service-refused"),
        (Failure("secret-unopenable"), "secret-unopenable"),
    ],
)
def test_r42_a_meeting_that_teams_refuses_stays_as_it_was_and_says_why(
    anna: ConferencingUser, teams: Teams, refusal: Failure, code: str
) -> None:
    uid, before = invite(anna)
    teams.refusal = refusal
    run = migrate(anna, MOVE)
    assert (run.state, result_of(run).code) == ("Failed", code)
    assert body_of(anna, uid) == before


def test_r42_a_user_whom_microsoft_365_does_not_know(make_user: Callable[..., ConferencingUser], teams: Teams) -> None:
    user = served_by_teams(make_user("nobody"))
    uid, before = invite(user)
    run = migrate(user, MOVE)
    assert "there is no user nobody@contoso.com in Microsoft 365" in result_of(run).reason
    assert body_of(user, uid) == before


def test_r28_where_teams_goes_down_what_it_made_stays_made(anna: ConferencingUser, teams: Teams) -> None:
    uids = [invite(anna, number)[0] for number in range(5)]
    teams.down_after = 4
    run = migrate(anna, MOVE)
    assert (run.state, len(teams.made())) == ("Pending", 3)
    assert MeetingResult.objects.filter(outcome="Succeeded").count() == 3
    teams.down_after = None
    Run.objects.update(due_at=timezone.now())
    claimed = queue.claim()
    assert claimed is not None
    work_run(claimed)
    assert len(teams.made()) == 5
    assert {url for uid in uids for url in join_links(text_of(anna, uid))} == set(teams.made())


# --- R43: who hands out numbers and IDs -----------------------------------------------------------------


def test_r43_without_audio_conferencing_in_teams_there_is_no_phone_part(anna: ConferencingUser, teams: Teams) -> None:
    uid, _ = invite(anna)
    teams.is_licensed = False
    migrate(anna, MOVE)
    text = text_of(anna, uid)
    assert set(join_links(text)) == set(teams.made())
    assert "tel:" not in text
    assert anna.conference_id not in text


def test_r43_without_licence_here_there_is_none_either(anna: ConferencingUser, teams: Teams) -> None:
    uid, _ = invite(anna)
    change_user(anna, ACTOR, audio_conferencing_license=False)
    Run.objects.all().delete()
    migrate(ConferencingUser.objects.select_related("tenant").get(pk=anna.pk), MOVE)
    assert "tel:" not in text_of(anna, uid)


def test_a_preview_makes_nothing_and_asks_nothing(anna: ConferencingUser, teams: Teams) -> None:
    invite(anna)
    invite(anna, 1, invitations.teams_gen3)
    run = Run(user=anna, tenant=anna.tenant, targets=Targets.of_types(ALL, TEAMS).stored)
    found = {each.result.meeting_service: each.result for each in outcomes.Outcomes(run, user=anna).foreseen()}
    assert teams.asked == []
    assert found[SKYPE].join_url_after == "made when the run starts"
    assert (found[TEAMS].outcome, OnlineMeeting.objects.count()) == ("Succeeded", 0)


# --- R40, R44, R45: from and to -------------------------------------------------------------------------


def test_r40_a_meeting_of_another_organization_is_made_anew_and_one_of_ours_is_not(
    anna: ConferencingUser, teams: Teams
) -> None:
    service = service_named(TEAMS, anna)
    link = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_A%40thread.v2/0?context=%7b%22Tid%22%3a%22{}%22%7d"
    assert service.is_there_already(link.format(DIRECTORY))
    assert not service.is_there_already(link.format(OTHERS))
    assert service.is_there_already("https://teams.microsoft.com/meet/20000000001?p=aB3dE6")


def test_r44_r45_a_teams_meeting_can_go_on_to_link_and_stays_where_it_was(anna: ConferencingUser, teams: Teams) -> None:
    uid, _ = invite(anna)
    migrate(anna, MOVE)
    change_user(anna, ACTOR, meeting_service="link")
    user = ConferencingUser.objects.select_related("tenant").get(pk=anna.pk)
    run = migrate(user, Targets.of_types(TEAMS, LINK))
    assert run.migration_type == "TeamsToLink"
    assert not any(map(links.is_teams, join_links(text_of(anna, uid))))
    assert len(teams.made()) == 1  # nothing was deleted there
    assert result_of(run).join_url_before == teams.made()[0]
