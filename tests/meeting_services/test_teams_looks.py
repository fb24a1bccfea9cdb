"""Teams meetings that stay in Teams, after a change of bridge or numbers in its admin center (R40, R43, R36)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.failures import Failure
from migrations_app.invitations.dial_in import dial_in_details
from migrations_app.meeting_services.of_user import service_named
from migrations_app.microsoft.client import Answer
from migrations_app.models import MeetingResult, Run, TeamsLook
from migrations_app.procedures import teams_looks
from migrations_app.rewriting import links
from migrations_app.rewriting.online_meeting import DialInFacts
from migrations_app.runs import outcomes
from migrations_app.targets import SKYPE, TEAMS, Targets
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.fingerprints import foresee
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.meetings import STAY, body_of, invite, join_links, logical_lines, migrate, plan, preview
from tests.support.pages import words
from tests.support.teams import Teams, scripted, served_by_teams
from tests.support.undoing import undo, work

OLD = "+1 425-555-0100"
"""The number of the bridge."""
MOVE = Targets.of_types(SKYPE, TEAMS)


@pytest.fixture
def teams() -> Iterator[Teams]:
    with scripted() as found:
        yield found


@pytest.fixture
def anna(anna: ConferencingUser) -> ConferencingUser:
    return served_by_teams(anna)


def in_teams(user: ConferencingUser, teams: Teams, number: int = 0, conference_id: str = "515151515") -> str:
    """An invitation as Teams wrote it, to a meeting that Teams knows; its UID."""
    uid, before = invite(user, number, invitations.teams_gen3)
    (url,) = [url for url in join_links("\n".join(logical_lines(before))) if not links.is_short_teams(url)][:1]
    teams.knows(url, conference_id)
    return uid


def text_of(user: ConferencingUser, uid: str) -> str:
    return "\n".join(logical_lines(body_of(user, uid)))


def digits(text: str) -> str:
    return re.sub(r"[ ()\-]", "", text)


def look(hours: int = 7) -> None:
    """Let so many hours pass, and the looks be taken that are due."""
    due = TeamsLook.objects.values_list("pk", "due_at")
    for pk, due_at in due:
        TeamsLook.objects.filter(pk=pk).update(due_at=due_at - timedelta(hours=hours))
    teams_looks.advance(timezone.now() + timedelta(minutes=1))


def fresh(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


def codes() -> dict[str, str]:
    return dict(MeetingResult.objects.filter(run=Run.objects.latest("pk")).values_list("uid", "code"))


def test_r40_numbers_and_conference_id_are_exchanged_in_place_and_the_link_stays(
    anna: ConferencingUser, teams: Teams
) -> None:
    uid = in_teams(anna, teams)
    before = text_of(anna, uid)
    number = plan(anna).block.toll_number
    assert (digits(number) in digits(before), anna.conference_id in digits(before)) == (True, True)
    run = migrate(anna, STAY)
    after = text_of(anna, uid)
    assert (run.state, codes()) == ("Succeeded", {uid: ""})
    assert ("206-555-0142" in after, digits(number) in digits(after)) == (True, False)
    assert ("515151515" in digits(after), anna.conference_id in digits(after)) == (True, False)
    assert join_links(after) == join_links(before)
    assert after.count("_" * 70) == before.count("_" * 70) > 0
    assert [method for method, _ in teams.asked] == ["user", "ask"]
    assert not fresh(anna).is_out_of_date

    migrate(anna, STAY)
    assert (text_of(anna, uid), codes()) == (after, {uid: "already-current"})


def test_r36_a_change_in_the_admin_center_makes_users_out_of_date_until_their_next_run(
    anna: ConferencingUser, teams: Teams
) -> None:
    uid = in_teams(anna, teams)
    migrate(anna, STAY)
    look()
    assert not fresh(anna).is_out_of_date

    teams.toll, teams.toll_free = "+39 02 5555 0142", "+39 800 555 014"
    look(hours=5)
    assert not fresh(anna).is_out_of_date  # not asked again yet
    look(hours=2)
    assert fresh(anna).is_out_of_date

    migrate(fresh(anna), STAY)
    assert not fresh(anna).is_out_of_date
    text = text_of(anna, uid)
    assert ("+39 02 5555 0142" in text, "206-555-0142" in text) == (True, False)


def test_r36_the_fingerprint_in_memory_is_that_of_the_database(anna: ConferencingUser, teams: Teams) -> None:
    in_teams(anna, teams)
    migrate(anna, STAY)
    user = fresh(anna)
    stored = user.settings_fingerprint
    assert user.teams_dial_in.startswith("+12065550142\n")
    foresee(user)
    assert user.settings_fingerprint == stored
    user.teams_dial_in = ""
    foresee(user)
    assert user.settings_fingerprint != stored


def test_r40_a_meeting_that_teams_does_not_know_is_left_for_a_person(anna: ConferencingUser, teams: Teams) -> None:
    uid, before = invite(anna, 0, invitations.teams_gen2)
    run = migrate(anna, STAY)
    assert (run.state, codes(), run.left_meetings) == ("Succeeded", {uid: "unknown-to-service"}, 1)
    assert body_of(anna, uid) == before


@pytest.mark.parametrize("url", ["", "https://teams.microsoft.com/meet/20000000007?p=aB3dE6"], ids=["long", "short"])
def test_the_numbers_of_another_meeting_are_not_taken_for_those_of_this_one(
    anna: ConferencingUser, teams: Teams, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    uid = in_teams(anna, teams)
    before = body_of(anna, uid)
    (right,) = [teams._shown(meeting) for meeting in teams.meetings.values()]
    asked = url or right["joinWebUrl"]
    right |= {"joinMeetingIdSettings": {"joinMeetingId": "200 000 000 07"}}
    wrong = right | {
        "joinWebUrl": "https://teams.microsoft.com/l/meetup-join/19%3ameeting_Other%40thread.v2/0",
        "joinMeetingIdSettings": {"joinMeetingId": "20000000008"},
        "audioConferencing": right["audioConferencing"] | {"conferenceId": "999999999"},
    }
    found: list[Any] = [wrong, 7, {}, {"joinWebUrl": 7}]
    get = teams.get

    def answered(path: str, params: Any = None, prefer: Any = ()) -> Answer:
        answer = get(path, params, prefer)
        return Answer(200, {"value": found}, {}) if path.endswith("/onlineMeetings") else answer

    monkeypatch.setattr(teams, "get", answered)
    service = service_named("Teams", fresh(anna))
    said = service.dial_in([asked])[asked]
    assert isinstance(said, Failure)
    assert said.code == "unknown-to-service"
    migrate(fresh(anna), STAY)
    assert (codes(), body_of(anna, uid)) == ({uid: "unknown-to-service"}, before)

    found.append(right)
    said = service.dial_in([asked])[asked]
    assert isinstance(said, DialInFacts)
    assert said.conference_id == "515151515"


def test_r43_where_teams_names_no_number_the_old_ones_are_not_taken_out(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    before = body_of(anna, uid)
    teams.is_licensed = False
    migrate(anna, STAY)
    assert (codes(), body_of(anna, uid)) == ({uid: "no-conference-id"}, before)


def test_r43_without_a_phone_part_teams_is_not_asked(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    change_user(anna, ACTOR, audio_conferencing_license=False)
    Run.objects.all().delete()
    migrate(fresh(anna), STAY)
    assert ("tel:" in text_of(anna, uid), teams.asked) == (False, [])


def test_r43_users_of_another_service_have_the_numbers_of_their_bridge(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    change_tenant(anna.tenant, ACTOR, meeting_service="link")
    migrate(fresh(anna), STAY)
    assert (OLD in text_of(anna, uid), teams.asked) == (True, [])


def test_r28_while_teams_is_down_the_run_waits_and_nothing_changes(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    before = body_of(anna, uid)
    teams.down_after = 0
    assert migrate(anna, STAY).state == "Pending"
    assert body_of(anna, uid) == before


def test_r28_a_404_that_is_not_of_teams_leaves_no_meeting_out(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    before = body_of(anna, uid)
    teams.stray = 404
    run = migrate(anna, STAY)
    assert (run.state, run.last_error_code, body_of(anna, uid)) == ("Pending", "service-unavailable", before)
    work(run)
    assert codes() == {uid: ""}


def test_a_preview_goes_by_what_teams_said_last_and_asks_nothing(anna: ConferencingUser, teams: Teams) -> None:
    uid = in_teams(anna, teams)
    assert [(result.uid, result.code) for result, _ in preview(anna)] == [(uid, "already-current")]
    migrate(anna, STAY)
    other = in_teams(anna, teams, 1, "616161616")
    teams.asked.clear()
    run = Run(user=anna, tenant=anna.tenant, targets=STAY.stored)
    foreseen = {each.result.uid: each for each in outcomes.Outcomes(run, user=fresh(anna)).foreseen()}
    assert teams.asked == []
    assert foreseen[uid].result.code == "already-current"
    assert any("206-555-0142" in span.after for span in foreseen[other].replaced)


def test_what_teams_said_in_a_run_for_some_meetings_is_not_taken_for_what_all_say(
    anna: ConferencingUser, teams: Teams
) -> None:
    in_teams(anna, teams)
    migrate(anna, STAY)
    invite(anna, 1)
    teams.toll = "+44 20 7946 0142"
    migrate(fresh(anna), Targets.of_types(SKYPE, TEAMS))
    assert fresh(anna).is_out_of_date
    migrate(fresh(anna), STAY)
    assert not fresh(anna).is_out_of_date


def test_r41_a_meeting_that_was_made_before_is_written_with_what_teams_says_now(
    anna: ConferencingUser, teams: Teams
) -> None:
    """Made, put back, and made anew after a change in the admin center: the same meeting, with the new numbers."""
    uid, _ = invite(anna)
    undo(migrate(anna, MOVE))
    (join_url,) = teams.made()
    teams.toll = "+39 02 5555 0142"
    look()
    run = Run(user=fresh(anna), tenant=anna.tenant, targets=MOVE.stored)
    (foreseen,) = outcomes.Outcomes(run).foreseen()
    assert foreseen.write is not None
    assert "+390255550142" in digits("\n".join(logical_lines(foreseen.write.body)))

    migrate(fresh(anna), MOVE)
    text = text_of(anna, uid)
    assert (set(join_links(text)), teams.made()) == ({join_url}, [join_url])
    assert ("+390255550142" in digits(text), "206-555-0142" in text) == (True, False)
    assert fresh(anna).teams_dial_in.startswith("+390255550142")

    undo(Run.objects.latest("pk"))
    before = text_of(anna, uid)
    teams.meetings.clear()  # the organizer has deleted it in Teams
    migrate(fresh(anna), MOVE)
    assert (codes(), text_of(anna, uid)) == ({uid: "unknown-to-service"}, before)


def test_what_holds_for_all_meetings_is_told_of_each_by_its_conference_id() -> None:
    page = "https://dialin.teams.microsoft.com/a"
    for url, other in ((f"{page}?id=1234567", f"{page}?id=7654321"), (page, page), ("", "")):
        said = DialInFacts("+12065550142", "", "1234567", url)
        expected = DialInFacts("+12065550142", "", "7654321", other)
        assert DialInFacts.of_meeting(said.of_all_meetings, "7654321") == expected
    assert DialInFacts.of_meeting(
        DialInFacts("+12065550142", "", "1", f"{page}?id=1").of_all_meetings, ""
    ) == DialInFacts("+12065550142", local_numbers_url=page)
    assert DialInFacts().of_all_meetings == ""


def test_the_page_of_a_user_shows_the_numbers_that_teams_named(
    alice: Client, anna: ConferencingUser, teams: Teams
) -> None:
    assert "Conference ID: the one that the meeting service gave" in dial_in_details(anna).text
    assert "It has not been asked yet" in words(alice.get(f"/contoso/users/{anna.upn}/").content)
    in_teams(anna, teams)
    migrate(anna, STAY)
    told = dial_in_details(fresh(anna)).text
    assert ("206-555-0142" in told, OLD in told) == (True, False)

    address = f"/contoso/users/{anna.upn}/"
    assert "206-555-0142" in words(alice.get(address).content)
    TeamsLook.objects.update(code="teams-no-policy")
    assert "Teams could not be asked. Teams does not let MMS make or read this user's meetings." in words(
        alice.get(address).content
    )


# --- looks ----------------------------------------------------------------------------------------------


def test_a_look_that_fails_says_why_and_the_tenant_is_left_alone_for_a_while(
    anna: ConferencingUser, teams: Teams
) -> None:
    in_teams(anna, teams)
    migrate(anna, STAY)
    teams.down_after = len(teams.asked)
    look()
    row = TeamsLook.objects.get()
    assert (row.code, row.due_at > timezone.now()) == ("service-unavailable", True)
    assert not fresh(anna).is_out_of_date
    teams.down_after = None
    look()
    assert TeamsLook.objects.get().code == ""


def test_a_meeting_that_is_gone_from_teams_makes_nobody_out_of_date(anna: ConferencingUser, teams: Teams) -> None:
    in_teams(anna, teams)
    migrate(anna, STAY)
    teams.meetings.clear()
    look()
    assert (TeamsLook.objects.get().code, fresh(anna).is_out_of_date) == ("unknown-to-service", False)


@pytest.mark.parametrize("how", ["switched off", "another service", "no connection"])
def test_r12_who_is_not_served_by_teams_is_not_looked_at(anna: ConferencingUser, teams: Teams, how: str) -> None:
    in_teams(anna, teams)
    migrate(anna, STAY)
    asked = len(teams.asked)
    every: dict[str, dict[str, Any]] = {
        "switched off": {"meeting_migration_enabled": False},
        "another service": {"meeting_service": "link"},
        "no connection": {"meeting_service": "link", "teams_connection": None},
    }
    change_tenant(anna.tenant, ACTOR, **every[how])
    look()
    assert len(teams.asked) == asked
    assert not teams_looks.is_due(timezone.now())
