"""A worker is killed with -9 while the members of a wave move (R80): the short form of ``make campaign-rollouts``."""

from __future__ import annotations

from pathlib import Path

from tests.campaigns.rollouts import is_right, kill_and_look, settings_of
from tests.support.installation import new_installation


def test_r80_nobody_is_lost_or_moved_twice_whenever_the_worker_is_killed(tmp_path: Path, migrated: Path) -> None:
    with new_installation(tmp_path, **settings_of(tmp_path)) as installation:
        installation.migrate(migrated)
        found = kill_and_look(installation, kills=3, seed=5, users=6, meetings=1)
    assert is_right(found), found
