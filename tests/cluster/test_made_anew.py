"""A worker is killed with -9 while meetings are made anew (R41)."""

from __future__ import annotations

from tests.campaigns.made_anew import is_right, kill_and_look
from tests.support.installation import Installation


def test_r41_a_meeting_is_made_once_whenever_its_worker_is_killed(installation: Installation) -> None:
    found = kill_and_look(installation, kills=2, seed=3, meetings=16, longest=1)
    assert is_right(found), found
