"""A worker is killed with -9 while runs are undone (R45)."""

from __future__ import annotations

from tests.campaigns.undone import is_right, kill_and_look
from tests.support.installation import Installation


def test_r45_a_meeting_is_put_back_once_whenever_its_worker_is_killed(installation: Installation) -> None:
    found = kill_and_look(installation, kills=2, seed=3, users=3)
    assert is_right(found), found
