"""A number is replaced for everyone, and the cluster is killed with -9 in the middle (R34, R35)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrations_app.rewriting.written_numbers import shown_numbers
from tests.support.installation import Installation
from tests.support.meetings import told
from tests.support.waiting import wait_until

OLD, NEW = "+14255550111", "+14255550122"
USERS, MEETINGS = 16, 6

AT_A_GLANCE = f"""
SELECT state,
    (SELECT count(*) FROM tenants_app_servicenumber WHERE number = '{OLD}'),
    (SELECT count(*) FROM migrations_app_run WHERE state IN ('Pending', 'InProgress')),
    (SELECT count(*) FROM migrations_app_run WHERE state = 'Succeeded' AND created >= release.created),
    (SELECT count(*) FROM migrations_app_update WHERE state = 'Queued')
FROM migrations_app_numberrelease AS release
"""  # noqa: S608 - numbers of this test


@dataclass
class Glance:
    """What stood in the database at one moment: read by one statement, so that it is one moment."""

    state: str
    old_number: int
    unfinished: int
    succeeded: int
    unsent: int

    @property
    def is_over(self) -> bool:
        """The number is released; a worker may still be sending when another releases it."""
        return self.state == "Released" and self.unsent == 0


def shown(ask: Callable[[str], list[tuple[Any, ...]]]) -> list[set[str]]:
    """Which of the two numbers each invitation shows."""
    return [shown_numbers(bytes(body), [OLD, NEW]) for (body,) in ask("SELECT body FROM migrations_app_calendarobject")]


def test_r34_r35_killed_in_the_middle_a_replaced_number_is_released_when_no_invitation_shows_it(
    installation: Installation,
) -> None:
    installation.ask(f"furnish({OLD!r}, users={USERS}, meetings={MEETINGS})")
    outbox = installation.data_dir / "outbox"
    for message in outbox.iterdir():
        message.unlink()
    installation.ask(f"replace_number({OLD!r}, {NEW!r})")

    with installation.watching() as ask:

        def glance() -> Glance:
            """One moment; the number is there in every one in which anybody could still dial it."""
            now = Glance(*ask(AT_A_GLANCE)[0])
            if now.old_number == 0:
                assert (now.state, now.unfinished, now.unsent) == ("Released", 0, 0)
                assert shown(ask) == [{NEW}] * (USERS * MEETINGS)
            return now

        assert shown(ask) == [{OLD}] * (USERS * MEETINGS)
        with installation.running_service():
            wait_until(lambda: glance().succeeded >= 3, every=0.01)
        killed = glance()
        assert killed.state in {"Moving", "Updating"}
        assert killed.unfinished > 0
        halfway = shown(ask)
        assert {NEW} in halfway
        assert {OLD} in halfway

        installation.ask("start_again()")
        with installation.running_service():
            wait_until(lambda: glance().is_over, every=0.02)

        assert shown(ask) == [{NEW}] * (USERS * MEETINGS)
    assert installation.ask("states()") == ["Succeeded"]
    assert installation.ask("unsent()") == 0
    messages = told(outbox)
    assert len({uid for uid, _ in messages}) == USERS * MEETINGS
    assert set(messages.values()) == {1}
