"""What tests of chat share: a folder for what is stored, one generated organization, a target in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrations_app.chat.targets import of_kind
from tests.support.chat_fake_target import FakeServer, fake_class
from tests.support.chat_organization import Organization, write_organization


@pytest.fixture
def data_dir(tmp_path: Path, settings: pytest.FixtureRequest) -> Path:
    """The folder below which MMS stores archives in this test."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings.MMS_DATA_DIR = folder  # type: ignore[attr-defined]
    return folder


@pytest.fixture(scope="session")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Organization:
    """A small one, for reading only: whoever wants to change it copies its folder."""
    return write_organization(tmp_path_factory.mktemp("chat") / "archive")


@pytest.fixture
def server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Every target that is opened is this one."""
    server = FakeServer()
    monkeypatch.setattr(of_kind, "class_of", lambda kind: fake_class(server))
    return server
