"""A worker is killed with -9 while chat is read, planned, imported and compared (R111, R130): the short form of
``make campaign-chat``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.campaigns.chat import SETTINGS, homeserver, is_right, kill_and_look
from tests.support.installation import new_installation

SMALL: dict[str, Any] = {"rooms": 24, "messages": 400, "measures": False}


def test_r130_no_message_is_lost_or_doubled_whenever_the_worker_is_killed(tmp_path: Path, migrated: Path) -> None:
    with new_installation(tmp_path) as installation:
        installation.migrate(migrated)
        found = kill_and_look(installation, tmp_path, kills=2, seed=5, longest=1.5, **SMALL)
    assert is_right(found), found
    assert found["last"]["states"] == {"Imported": 23, "Deselected": 1}  # the category with a name of 257 characters


def test_r130_nor_is_one_where_a_homeserver_loses_answers_too(tmp_path: Path, migrated: Path) -> None:
    with new_installation(tmp_path, **SETTINGS) as installation, homeserver(seed=7) as matrix:
        installation.migrate(migrated)
        found = kill_and_look(installation, tmp_path, kills=2, seed=7, longest=1.5, target=matrix, **SMALL)
    assert is_right(found), found
