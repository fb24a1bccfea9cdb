"""Retiring a legacy deployment: six conditions with their evidence, and the way back (R88, R89)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import (
    AcceptedMeeting,
    MeetingSearch,
    Retirement,
    RolloutCheck,
    RolloutEvent,
    Run,
    TakenListing,
    Wave,
    WaveMember,
)
from migrations_app.rollouts import retirement, searching, taken_listings
from migrations_app.rollouts.retirement import gate_of, retire, take_back
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.only_reads import only_reads
from tests.support.rollouts import a_deployment, a_rollout, belong_to, members

MakeUser = Callable[..., ConferencingUser]
Kind = TakenListing.Kind
pytestmark = pytest.mark.django_db


@pytest.fixture
def legacy(tenant: Tenant, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge) -> Deployment:
    """Everything is done, and all of it is shown: Anna has moved in the one wave, and nothing leads back."""
    legacy = a_deployment(tenant)
    new = a_deployment(tenant, "new")
    rollout = a_rollout(tenant, legacy, new, retire_after=14)
    belong_to(legacy, [], old_bridge)
    belong_to(new, [anna], new_bridge)
    rollout.waves.filter(position__gt=1).delete()
    wave = rollout.waves.get()
    done = timezone.now() - timedelta(days=15)
    Wave.objects.filter(pk=wave.pk).update(state="Completed", moved_at=done, accepted_at=done, accepted_by="test")
    members(wave, [anna], state="Done", moved_at=done)
    RolloutCheck.objects.filter(rollout=rollout, wave=None).delete()
    show(legacy)
    return legacy


def show(legacy: Deployment) -> None:
    """Take the listings, and search the mailboxes."""
    taken_listings.take(legacy, Kind.ACCOUNTS, b"", "accounts.csv", ACTOR)
    directories = b"ConferenceDirectory,OwnerBefore,OwnerAfter\r\n1,old.contoso.com,new.contoso.com\r\n"
    taken_listings.take(legacy, Kind.DIRECTORIES, directories, "directories.csv", ACTOR)
    search(legacy)


def search(legacy: Deployment) -> None:
    searching.search_tenant(legacy, ACTOR)
    searching.advance(timezone.now() + timedelta(minutes=1))


def schedule(
    user: ConferencingUser, subject: str, old: bytes = b"meet.contoso.com", new: bytes = b"lync.contoso.com"
) -> str:
    """A meeting that leads to the legacy deployment."""
    uid, body = invite(user, subject=subject)
    EmbeddedMailbox(user).store([(uid, body.replace(old, new))])
    return uid


def closing(legacy: Deployment) -> list[str]:
    return [condition.code for condition in gate_of(legacy).closing]


def told(legacy: Deployment, code: str) -> str:
    return next(str(each.evidence) for each in gate_of(legacy).conditions if each.code == code)


def test_r88_it_opens_when_all_of_it_holds(legacy: Deployment) -> None:
    with only_reads():
        gate = gate_of(legacy)

    assert [condition.code for condition in gate.conditions] == [
        "users",
        "accounts",
        "meetings",
        "directories",
        "waves",
        "runs",
        "in-use",
        "checklist",
    ]
    assert gate.closing == []
    assert all(condition.evidence for condition in gate.conditions)


def test_r88_1_somebody_belongs_to_it(legacy: Deployment, make_user: MakeUser) -> None:
    belong_to(legacy, [make_user("bruno")])
    (condition,) = gate_of(legacy).closing
    assert (condition.code, condition.named) == ("users", ["bruno@contoso.com"])


@pytest.mark.parametrize(
    ("octets", "count"),
    [
        (b"", 0),
        (b"\xef\xbb\xbf", 0),
        (b"#TYPE Selected.System.Management.Automation.PSCustomObject\r\n", 0),
        (b'"SipAddress"\r\n', 0),
        (b'"SipAddress"\r\n"sip:anna@contoso.com"\r\n', 1),
        (b"Identity;Enabled\nCN=Anna;True\nCN=Bruno;False\n", 2),
        (b"SipAddress\nsip:anna@contoso.com\nSIP:ANNA@contoso.com\n\n", 1),
        (b"DisplayName,SipAddress\nAnna,\nBruno,\n", 2),
        ("SipAddress\r\nsip:anna@contoso.com\r\n".encode("utf-16"), 1),
        (b"SipAddress,X\n,1\n,2\n", 2),  # accounts without a name count as well
    ],
)
def test_r88_1_listings_of_accounts(legacy: Deployment, octets: bytes, count: int) -> None:
    assert taken_listings.take(legacy, Kind.ACCOUNTS, octets, "accounts.csv", ACTOR).count == count
    assert closing(legacy) == (["accounts"] if count else [])


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"sip:anna@contoso.com\n", "The first line must name the columns"),
        (b"Pool,Server\na,b\n", "The first line must name the columns"),
        (b"\xff\x00\x81", "not UTF-8"),
        (b"SipAddress\n\0\n", "not a text file"),
    ],
)
def test_r88_1_what_is_no_listing_is_refused(legacy: Deployment, octets: bytes, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        taken_listings.take(legacy, Kind.ACCOUNTS, octets, "accounts.csv", ACTOR)


def test_r88_1_a_listing_is_worth_a_day(legacy: Deployment) -> None:
    TakenListing.objects.update(at=timezone.now() - timedelta(hours=24, minutes=1))
    assert closing(legacy) == ["accounts"]
    assert "more than a day ago" in told(legacy, "accounts")
    TakenListing.objects.all().delete()
    assert "No listing of its accounts was taken" in told(legacy, "accounts")


def test_r88_2_a_meeting_leads_to_it_or_shows_its_number(
    legacy: Deployment, anna: ConferencingUser, make_user: MakeUser
) -> None:
    schedule(anna, "Planning")
    assert closing(legacy) == []  # what was searched counts, until it is searched again
    search(legacy)

    (condition,) = gate_of(legacy).closing
    assert condition.code == "meetings"
    assert condition.named == [f"{anna.upn}: Planning"]
    assert "1 meeting to come leads to it" in condition.evidence
    bruno = make_user("bruno")
    schedule(bruno, "Call +1 425 555 0100 and talk", b"", b"")
    search(legacy)
    assert next(iter(gate_of(legacy).closing)).named == [
        f"{anna.upn}: Planning",
        f"{bruno.upn}: Call +1 425 555 0100 and talk",
    ]


def test_r88_2_exceptions_are_accepted_by_name_and_stay_accepted(legacy: Deployment, anna: ConferencingUser) -> None:
    uid = schedule(anna, "Planning")
    search(legacy)
    found = searching.latest(deployment=legacy)
    assert found is not None
    (row,) = found.meetings.all()
    with pytest.raises(ValidationError, match="Say why"):
        retirement.accept_meetings(legacy, [row.pk], "  ", ACTOR)

    assert retirement.accept_meetings(legacy, [row.pk], "Printed, nobody dials in", ACTOR) == 1
    assert retirement.accept_meetings(legacy, [row.pk], "again", ACTOR) == 0

    assert closing(legacy) == []
    assert "1 was accepted by name" in told(legacy, "meetings")
    search(legacy)
    assert closing(legacy) == []
    kept = AcceptedMeeting.objects.get()
    assert (kept.uid, kept.by, kept.reason) == (uid, "test", "Printed, nobody dials in")
    assert AuditEntry.objects.get(action="accept legacy meeting").target == anna.upn


def test_r88_2_it_is_to_be_searched_and_not_long_ago(legacy: Deployment) -> None:
    a_day = timedelta(hours=25)
    MeetingSearch.objects.update(asked_at=timezone.now() - a_day, searched_at=timezone.now() - a_day)
    assert closing(legacy) == ["meetings"]
    searching.search_tenant(legacy, ACTOR)
    assert "are being searched" in told(legacy, "meetings")


def test_r88_3_conference_directories_have_been_moved(legacy: Deployment) -> None:
    text = (
        "ConferenceDirectory,OwnerBefore,OwnerAfter\n"
        "1,old.contoso.com,new.contoso.com\n2,old.contoso.com,OLD.contoso.com\n3,old.contoso.com,\n"
    )
    taken_listings.take(legacy, Kind.DIRECTORIES, text.encode(), "directories.csv", ACTOR)
    (condition,) = gate_of(legacy).closing
    assert (condition.code, condition.named) == ("directories", ["2", "3"])
    assert "2 conference directories have not been moved" in condition.evidence

    taken_listings.take(legacy, Kind.DIRECTORIES, b"", "none.csv", ACTOR)
    assert closing(legacy) == []
    TakenListing.objects.filter(kind="directories").delete()
    assert closing(legacy) == ["directories"]


@pytest.mark.parametrize("state", Wave.State.values)
def test_r88_4_every_wave_is_completed_and_accepted(legacy: Deployment, state: str) -> None:
    Wave.objects.update(state=state)
    is_through = state in {"Completed", "CompletedWithErrors", "RolledBack"}
    assert ("waves" in closing(legacy)) != is_through


def test_r88_4_completed_is_not_enough_without_acceptance(legacy: Deployment) -> None:
    Wave.objects.update(accepted_at=None)
    assert closing(legacy) == ["waves"]


@pytest.mark.parametrize(
    ("values", "closes"),
    [
        ({"state": "Failed"}, True),
        ({"state": "Pending"}, True),
        ({"state": "Succeeded"}, False),
        ({"state": "Failed", "accepted_at": timezone.now(), "accepted_by": "test"}, False),
        ({"state": "Failed", "is_latest": False}, False),
    ],
)
def test_r88_4_runs_of_members(
    legacy: Deployment, anna: ConferencingUser, values: dict[str, object], closes: bool
) -> None:
    Run.objects.create(tenant=anna.tenant, user=anna, due_at=timezone.now(), requested_by="test", **values)
    assert closing(legacy) == (["runs"] if closes else [])


def test_r88_4_without_a_rollout_nothing_is_shown(legacy: Deployment) -> None:
    legacy.rollouts_from.update(finished_at=timezone.now(), finished_by="test")
    assert {"waves", "in-use"} <= set(closing(legacy))


def test_r88_5_in_use_for_as_many_days_as_the_rollout_says(legacy: Deployment) -> None:
    legacy.rollouts_from.update(retire_after=15)
    assert closing(legacy) == []
    legacy.rollouts_from.update(retire_after=16)
    assert closing(legacy) == ["in-use"]
    assert "for 16 days" in told(legacy, "in-use")


def test_r88_6_the_checklist(legacy: Deployment) -> None:
    rollout = legacy.rollouts_from.get()
    RolloutCheck.objects.create(rollout=rollout, name="Analog phones", scope="legacy", kind="manual")
    (condition,) = gate_of(legacy).closing
    assert (condition.code, condition.named) == ("checklist", ["Analog phones"])


def test_r89_retired_and_taken_back(legacy: Deployment, anna: ConferencingUser) -> None:
    rollout = legacy.rollouts_from.get()
    retired = retire(legacy, ACTOR, "All is moved")

    assert retired.retired_at is not None
    rollout.refresh_from_db()
    assert (rollout.is_finished, rollout.finished_by) == (True, "test")
    assert not WaveMember.objects.filter(is_current=True).exists()
    kept = Retirement.objects.get(deployment=legacy)
    assert len(kept.evidence) == 8
    assert rollout.events.filter(kind=RolloutEvent.Kind.RETIRED, reason="All is moved").exists()
    with pytest.raises(ValidationError, match="has been retired since"):
        change_user(anna, ACTOR, deployment=legacy)
    with pytest.raises(ValidationError, match="retired already"):
        retire(legacy, ACTOR)

    back = take_back(legacy, ACTOR, "One phone was left")

    assert back.retired_at is None
    rollout.refresh_from_db()
    assert not rollout.is_finished
    assert WaveMember.objects.get().is_current
    kept.refresh_from_db()
    assert (kept.taken_back_by, kept.taken_back_reason) == ("test", "One phone was left")
    assert rollout.events.filter(kind=RolloutEvent.Kind.UNRETIRED).exists()


def test_r89_refused_with_a_sentence_for_each_condition(legacy: Deployment, make_user: MakeUser) -> None:
    belong_to(legacy, [make_user("bruno")])
    taken_listings.take(legacy, Kind.ACCOUNTS, b"SipAddress\nsip:bruno@contoso.com\n", "accounts.csv", ACTOR)

    with pytest.raises(ValidationError) as refused:
        retire(legacy, ACTOR)

    assert len(refused.value.messages) == 2
    legacy.refresh_from_db()
    assert legacy.retired_at is None
    assert not Retirement.objects.exists()


def test_r89_not_taken_back_once_its_numbers_are_released(legacy: Deployment) -> None:
    retire(legacy, ACTOR)
    Deployment.objects.filter(pk=legacy.pk).update(numbers_released_at=timezone.now())

    with pytest.raises(ValidationError, match="stays retired: numbers of its bridges were released"):
        take_back(Deployment.objects.get(pk=legacy.pk), ACTOR)


def test_r88_as_many_questions_for_many_users_as_for_few(
    legacy: Deployment, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as questions:
            gate_of(legacy)
        return len(questions)

    few = asked()
    made = make_users({f"user{number}": {} for number in range(30)})
    belong_to(legacy, made)
    wave = Wave.objects.get()
    members(wave, made, state="Failed")
    for user in made:
        schedule(user, "Planning")
    search(legacy)

    assert asked() <= few + 2  # the names of those in the way
