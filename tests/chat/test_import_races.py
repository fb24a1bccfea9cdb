"""Several workers at one import, at the same moment, each with a connection of its own (R111)."""

from __future__ import annotations

from collections import Counter

import pytest

from migrations_app.chat import import_engine, importing
from migrations_app.models import ChatPlan
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer, limits
from tests.support.chat_plans import a_plan, stored
from tests.support.together import together

pytestmark = pytest.mark.django_db(transaction=True)
ROOMS = tuple("ABCDEF")


@pytest.mark.parametrize("at_once", [None, 1])
def test_r111_workers_share_the_rooms_and_double_nothing(
    tenant: Tenant, server: FakeServer, at_once: int | None
) -> None:
    """The target would write everything once more that is sent twice."""
    server.repeats = True
    limits(server, messages_per_second=0.2, rooms_at_once=at_once)
    plan = a_plan(tenant, stored(tenant, rooms=ROOMS))
    importing.start(plan, ACTOR)
    writing: Counter[str] = Counter()
    most = 0

    def count(step: str, about: str) -> None:
        nonlocal most
        if step == "write":
            writing[about] += 1
            assert writing[about] == 1, "two workers write the same room"
            most = max(most, sum(writing.values()))
        elif step == "write done":
            writing[about] -= 1

    server.at = count

    def work(number: int) -> None:
        mine = ChatPlan.objects.select_related("tenant", "archive", "target").get(pk=plan.pk)
        import_engine.work(mine, lambda: False)

    together(work)
    importing.import_now(ChatPlan.objects.select_related("tenant", "archive", "target").get(pk=plan.pk))

    plan.refresh_from_db()
    assert plan.state == ChatPlan.State.IMPORTED
    assert sorted(room.name for room in server.rooms.values()) == list(ROOMS)
    for number, name in enumerate(ROOMS, 1):
        assert server.there(name).keys == [f"{number}/{n}" for n in range(1, 6)]
    assert at_once is None or most == at_once
    assert server.finished == 1
    assert len(server.asked("begin_category")) == 1
