"""The command that writes what a Matrix homeserver must know of MMS."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management.base import CommandError

from tenants_app.models import Tenant
from tests.support.chat_plans import a_target
from tests.support.commands import Command

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_dir")]


@pytest.fixture
def token(tmp_path: Path, tenant: Tenant) -> Path:
    a_target(
        tenant,
        "Homeserver",
        kind="matrix",
        address="https://matrix.contoso.com",
        account="@bridge:contoso.com",
        secret="a long token",
        options={"server_name": "contoso.com", "user_prefix": "chat_", "speaks_for_accounts": "no"},
    )
    (tmp_path / "token").write_text("a long token\n")
    return tmp_path / "token"


def test_the_registration_is_written_for_its_owner_alone(command: Command, token: Path, tmp_path: Path) -> None:
    output = tmp_path / "mms.yaml"
    told = command("get_chat_registration", "homeserver", "--secret-file", str(token), "--output", str(output))
    assert "app_service_config_files" in told
    assert "a long token" not in told
    written = output.read_text()
    assert 'as_token: "a long token"' in written
    assert 'sender_localpart: "bridge"' in written
    assert r'regex: "@chat_.*:contoso\\.com"' in written
    assert output.stat().st_mode & 0o777 == 0o600


def test_the_secret_must_be_known_already(command: Command, token: Path, tmp_path: Path) -> None:
    token.write_text("another")
    output = tmp_path / "mms.yaml"
    with pytest.raises(CommandError, match="not the secret of Homeserver"):
        command("get_chat_registration", "Homeserver", "--secret-file", str(token), "--output", str(output))
    assert not output.exists()


def test_only_a_homeserver_has_a_registration(command: Command, token: Path, tenant: Tenant, tmp_path: Path) -> None:
    a_target(tenant, "Shelf")
    output = str(tmp_path / "mms.yaml")
    with pytest.raises(CommandError, match="no Matrix homeserver"):
        command("get_chat_registration", "Shelf", "--secret-file", str(token), "--output", output)
    with pytest.raises(CommandError, match="cannot be written"):
        command("get_chat_registration", "Homeserver", "--secret-file", str(token), "--output", str(tmp_path / "a/b"))
