"""The texts of notices by command (R37)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from migrations_app.models import NoticeText
from migrations_app.rewriting.labels import LANGUAGES
from tenants_app.models import Tenant
from tests.support.commands import Command


def test_texts_are_shown_set_and_given_up(command: Command, tenant: Tenant, tmp_path: Path) -> None:
    body = tmp_path / "avviso.txt"
    body.write_text("\ufeffBuongiorno {name}, {meetings}.\r\n", encoding="utf-8")
    told = command("set_advance_notice", "--language", "it", "--subject", "Il {day}", "--body-file", str(body))
    assert told == "contoso: Advance in it: Il {day}\n"
    rows = json.loads(command("get_advance_notice", "--language", "it", "--format", "json"))
    assert [(row["Notice"], row["IsDefault"]) for row in rows] == [("Advance", False), ("Cancelled", True)]
    assert rows[0]["Body"] == "Buongiorno {name}, {meetings}."
    assert len(json.loads(command("get_advance_notice", "--format", "json"))) == 2 * len(LANGUAGES)

    command("set_advance_notice", "--language", "it", "--default")
    assert not NoticeText.objects.exists()


@pytest.mark.parametrize(
    ("options", "sentence", "status"),
    [
        (["--language", "it", "--subject", "{dya}"], r"There is no placeholder \{dya\}: did you mean \{day\}\?", 1),
        (["--language", "fr", "--default"], "Invitations are not written in “fr”: choose en, es or it", 1),
        (["--language", "it"], "Give --subject, --body-file or both, or else --default", 2),
        (["--language", "it", "--default", "--subject", "x"], "Give --subject, --body-file or both, or else", 2),
        (["--language", "it", "--body-file", "/nowhere/avviso.txt"], "cannot be read", 1),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    command: Command, tenant: Tenant, options: list[str], sentence: str, status: int
) -> None:
    with pytest.raises(CommandError, match=sentence) as refused:
        command("set_advance_notice", *options)
    assert refused.value.returncode == status
    assert not NoticeText.objects.exists()
