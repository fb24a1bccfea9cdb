"""Accepting a wave: a person sees by name what is not in order, and what was accepted is kept (R81)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.models import AcceptedItem, LeftMeeting, RolloutCheck, Wave, WaveMember
from migrations_app.rollouts import acceptance, engine
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_rollout, a_wave, members

State = Wave.State


@pytest.fixture
def offered(tenant: Tenant, make_users: Callable[..., list[ConferencingUser]]) -> Wave:
    """A wave of three who have moved, whose pilot period is over."""
    users = make_users({name: {} for name in ("anna", "bruno", "clara")})
    rollout = a_rollout(tenant)
    RolloutCheck.objects.all().delete()
    now = timezone.now()
    wave = a_wave(
        rollout,
        state=State.OBSERVING,
        started_at=now,
        frozen_at=now,
        moved_at=now,
        observed_until=now,
        next_look_at=now,
        counts_from=now,
    )
    members(wave, users, state="Done", batch=1, moved_at=now, finished_at=now - timedelta(hours=1))
    engine.advance(now + timedelta(minutes=5))
    wave.refresh_from_db()
    return wave


def left(user: ConferencingUser, code: str, subject: str) -> LeftMeeting:
    return LeftMeeting.objects.create(
        tenant=user.tenant,
        user=user,
        uid=f"{subject}@contoso.com",
        subject=subject,
        starts_at=timezone.now() + timedelta(days=1),
        last_end=timezone.now() + timedelta(days=2),
        code=code,
    )


def fail(wave: Wave, name: str) -> None:
    wave.members.filter(user__upn=f"{name}@contoso.com").update(
        state="Failed", failure="The mailbox could not be reached."
    )


def test_r81_nothing_to_accept_makes_it_completed(offered: Wave) -> None:
    assert offered.offered_at is not None
    wave = acceptance.accept(offered, ACTOR, shown=0)
    assert (wave.state, wave.accepted_by, wave.next_look_at) == (State.COMPLETED, "test", None)
    assert not AcceptedItem.objects.exists()
    assert AuditEntry.objects.get(action="accept wave").after == {"accepted items": 0}


def test_r81_what_is_accepted_is_kept_by_name(offered: Wave) -> None:
    anna, bruno, _ = ConferencingUser.objects.order_by("pk")
    left(anna, "needs-review", "Budget")
    left(anna, "too-many-attendees", "All hands")
    left(bruno, "unreadable-calendar-object", "Lunch")
    left(bruno, "needs-review", "Dealt with").delete()
    fail(offered, "clara")
    assert acceptance.counts(offered) == {
        "failed-member": 1,
        "failed-meeting": 1,
        "skipped-meeting": 1,
        "in-review": 1,
    }
    wave = acceptance.accept(offered, ACTOR, shown=4, note="They are told by telephone.")
    assert wave.state == State.COMPLETED_WITH_ERRORS
    kept = AcceptedItem.objects.order_by("pk").values_list("kind", "upn", "subject")
    assert list(kept) == [
        ("failed-member", "clara@contoso.com", ""),
        ("in-review", "anna@contoso.com", "Budget"),
        ("skipped-meeting", "anna@contoso.com", "All hands"),
        ("failed-meeting", "bruno@contoso.com", "Lunch"),
    ]
    LeftMeeting.objects.all().delete()
    WaveMember.objects.update(state="Done", failure="")
    assert AcceptedItem.objects.count() == 4, "it stays as it stood"
    assert AcceptedItem.objects.get(kind="failed-member").sentence == "The mailbox could not be reached."
    event = offered.events.get(kind="accepted")
    assert (event.by, event.reason) == ("test", "They are told by telephone.")


def test_r81_more_than_was_shown_is_not_accepted(offered: Wave) -> None:
    fail(offered, "clara")
    with pytest.raises(ValidationError, match="look once more"):
        acceptance.accept(offered, ACTOR, shown=0)
    offered.refresh_from_db()
    assert offered.state == State.OBSERVING
    assert not AcceptedItem.objects.exists()


def test_r81_meetings_of_others_and_those_dealt_with_are_no_items(
    offered: Wave, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    (dario,) = make_users({"dario": {}})
    left(dario, "needs-review", "Of somebody else")
    dealt_with = left(ConferencingUser.objects.get(upn="anna@contoso.com"), "needs-review", "Budget")
    LeftMeeting.objects.filter(pk=dealt_with.pk).update(state="DealtWith")
    assert acceptance.accept(offered, ACTOR).state == State.COMPLETED


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": State.RUNNING}, "is not through yet"),
        ({"state": State.COMPLETED}, "has ended already"),
        ({"offered_at": None, "observed_until": timezone.now() + timedelta(days=3)}, "is observed until"),
        ({"offered_at": None}, "not offered for acceptance yet"),
    ],
)
def test_r81_it_is_accepted_only_where_it_is_offered(offered: Wave, change: dict[str, object], why: str) -> None:
    Wave.objects.filter(pk=offered.pk).update(**change)
    with pytest.raises(ValidationError, match=why):
        acceptance.accept(offered, ACTOR)


def test_r81_nobody_may_be_under_way(offered: Wave) -> None:
    offered.members.filter(user__upn="anna@contoso.com").update(state="Updating")
    with pytest.raises(ValidationError, match="under way again"):
        acceptance.accept(offered, ACTOR)
