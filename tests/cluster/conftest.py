"""An installation of its own for tests that run real processes: database, data folder, outbox."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    server = os.environ.get("MMS_TEST_DATABASE_URL", "")
    if not server:
        with Installation(tmp_path, f"sqlite:///{tmp_path}/db.sqlite3") as installation:
            yield installation
        return
    base, _, _ = server.rpartition("/")
    name = f"mms_{uuid.uuid4().hex}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        try:
            with Installation(tmp_path, f"{base}/{name}") as installation:
                yield installation
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]
