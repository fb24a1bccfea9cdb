"""An installation of its own for tests that run real processes: database, data folder, outbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.installation import Installation, new_installation


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Iterator[Installation]:
    with new_installation(tmp_path) as made:
        made.migrate(migrated)
        yield made
