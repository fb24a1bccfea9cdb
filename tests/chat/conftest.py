"""The target in memory that imports of these tests go to."""

from __future__ import annotations

import pytest

from migrations_app.chat.targets import of_kind
from tests.support.chat_fake_target import FakeServer, fake_class


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Every target that is opened is this one."""
    server = FakeServer()
    monkeypatch.setattr(of_kind, "class_of", lambda kind: fake_class(server))
    return server
