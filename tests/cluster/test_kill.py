"""The whole service is killed with -9 in the middle of the demo and started again."""

from __future__ import annotations

import re
from collections import Counter

from tests.support.installation import Installation
from tests.support.meetings import calendar_of, logical_lines, messages_in
from tests.support.process_tree import kill, with_descendants


def test_killed_in_the_middle_every_user_ends_and_nothing_is_done_twice(installation: Installation) -> None:
    installation.run("load_demo", "--users", "60")
    before = installation.ask("sequences()")

    with installation.start("serve", "--once") as service:
        for line in service.stdout:
            if int(re.search(r"Succeeded (\d+)", line)[1]) >= 5:  # type: ignore[index]
                break
        # This command, the watchdog, the cluster: in the order of who starts whom again.
        kill(with_descendants(service.pid))
        service.stdout.read()

    halfway = len(installation.ask("migrated()"))
    assert "Pending" in installation.ask("states()")
    installation.ask("expire_leases()")
    summary = installation.run("serve", "--once")

    assert installation.ask("states()") == ["Failed", "Succeeded"]
    assert re.search(r"^Failed +2$", summary, re.MULTILINE)
    changed = installation.ask("migrated()")
    assert 0 < halfway < len(changed)
    assert len(changed) == len(set(changed))
    after = installation.ask("sequences()")
    raised = {meeting: after[meeting] - before[meeting] for meeting in before if after[meeting] != before[meeting]}
    assert raised == dict.fromkeys(changed, 1)

    assert installation.ask("unsent()") == 0
    told = Counter(
        next(line for line in logical_lines(calendar_of(message)) if line.startswith("UID:"))
        for message in messages_in(installation.data_dir / "outbox")
    )
    assert set(told.values()) == {1}
    assert len(told) == installation.ask("Update.objects.count()")
