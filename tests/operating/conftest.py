"""An installation on each kind of database, for what operators do with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation, new_installation

SERVER = os.environ.get("MMS_TEST_DATABASE_URL") or "postgres://postgres@127.0.0.1:5432/mms"


@pytest.fixture(params=["sqlite", "postgresql"])
def in_production(
    request: pytest.FixtureRequest, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """An installation with a database of its own."""
    monkeypatch.setenv("MMS_TEST_DATABASE_URL", SERVER if request.param == "postgresql" else "")
    (tmp_path / "data").mkdir()
    with new_installation(tmp_path / "data") as made:
        made.migrate(migrated)
        yield made
