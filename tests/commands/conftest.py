"""Running commands as an administrator would, and invitations to give them."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from tests.support.commands import Command


@pytest.fixture
def command(db: None) -> Command:
    """Runs a command with its arguments as text and returns what it prints; errors are raised."""

    def run(*arguments: str, errors: io.StringIO | None = None) -> str:
        output = io.StringIO()
        call_command(*arguments, stdout=output, stderr=errors or io.StringIO())
        return output.getvalue()

    return run
