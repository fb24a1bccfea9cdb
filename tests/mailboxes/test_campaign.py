"""The short form of `make campaign`: real workers, a real server, faults on the way and kill -9 among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.misfortune import FAULTS_PER_KILL
from tests.campaigns.outside import SETTINGS, USERS, is_right, mailboxes_on, run_campaign, summary
from tests.support.installation import new_installation

FAULTS = 40


@pytest.mark.parametrize(
    "server", ["radicale", "graph", "exchange", "teams", pytest.param("cyrus", marks=pytest.mark.servers)]
)
def test_r28_faults_and_kills_lose_nothing_and_tell_nobody_twice(server: str, tmp_path: Path, migrated: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with (
        mailboxes_on(server, folder) as mailboxes,
        new_installation(tmp_path, **SETTINGS, **mailboxes.settings) as installation,
    ):
        installation.migrate(migrated)
        found = run_campaign(installation, mailboxes, FAULTS, seed=2, users=USERS[:2], meetings=4)

    told = summary({"server": server, "database": "", "seed": 2} | found)
    assert is_right(found), told
    assert found["faults"] >= FAULTS
    assert found["kills"] >= FAULTS // FAULTS_PER_KILL
    assert found["meetings"] > 0
