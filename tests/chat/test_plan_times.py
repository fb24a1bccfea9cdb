"""R118 from plan to comparison: the clock of the source was set back, and times are unique at the target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from migrations_app.chat import plans, verification
from migrations_app.chat.archive.records import Category, Message, Principal, Room
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.chat.conversion.outgoing import Limits
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import BEGAN, a_plan, imported, stored

pytestmark = pytest.mark.django_db

SECONDS = (1, 2, 60, 60, 61, 1, 2, 60, 62)
"""After the fifth message the clock is set back by a minute."""


def write_room(folder: Path) -> None:
    with ArchiveWriter(folder) as writer:
        writer.principal(Principal("ann", sip="ann@contoso.com", name="Ann"))
        writer.category(Category("c1", "Operations"))
        said = [
            Message(n, BEGAN + timedelta(seconds=seconds), "ann", text=f"message {n}")
            for n, seconds in enumerate(SECONDS, 1)
        ]
        done = writer.messages("1", said)
        writer.room(replace(Room("1", "c1", "Lobby"), messages=done.messages, first=done.first, last=done.last))
        writer.finish(source="mms-chat: test", created=BEGAN)


@pytest.mark.parametrize("decides", [False, True])
def test_r118_every_message_has_a_time_of_its_own(
    tenant: Tenant, server: FakeServer, tmp_path: Path, decides: bool
) -> None:
    server.limits = Limits(times_are_unique=True)
    write_room(tmp_path / "archive")
    if decides:  # on a room that cannot be imported as it is: messages are not read again
        server.add("Lobby")
    plan = a_plan(tenant, stored(tenant, tmp_path / "archive"))
    if decides:
        assert plan.rooms.get().planned == {}
        plans.decide(plan, ACTOR, plan.rooms.all(), on_conflict="rename")
        plans.plan_now(plan)
        plans.decide(plan, ACTOR, plan.rooms.all(), name="Hall")
        plan = plans.plan_now(plan)
    assert plan.rooms.get().planned["moved"] == {"6": 1, "7": 1, "8": 2}
    assert plan.findings.get(code="times-shifted").count == 4
    plan = imported(plan)
    there = server.there("Hall" if decides else "Lobby").messages
    moved = {message.n: round(message.shifted / timedelta(milliseconds=1)) for message in there}
    assert moved == {1: 0, 2: 0, 3: 0, 4: 1, 5: 0, 6: 1, 7: 1, 8: 2, 9: 0}
    assert len({message.at for message in there}) == len(SECONDS)
    shifts = dict(plan.rooms.get().shifts.values_list("n", "milliseconds"))
    assert shifts == {n: by for n, by in moved.items() if by}
    verification.verify_now(plan)
    assert plan.rooms.get().comparison == "Verified"
