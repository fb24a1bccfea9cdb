"""A worker is killed with -9 while chat is read, planned, imported and compared (R111, R130): the short form of
``make campaign-chat``."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.chat import is_right, kill_and_look
from tests.support.installation import new_installation


def test_r130_no_message_is_lost_or_doubled_whenever_the_worker_is_killed(tmp_path: Path, migrated: Path) -> None:
    with new_installation(tmp_path) as installation:
        installation.migrate(migrated)
        found = kill_and_look(installation, tmp_path, kills=3, seed=5, rooms=24, messages=400, longest=1.5)
    assert is_right(found), found
