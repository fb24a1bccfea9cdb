"""The catalogues of other languages are whole: each text is there, with all that it names."""

from __future__ import annotations

import shutil
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.support.catalogue import entries_of
from tests.support.sentences import Collection

FOLDERS = [folder for path in settings.LOCALE_PATHS for folder in sorted(Path(path).glob("*/LC_MESSAGES"))]
LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]


def named(folder: Path) -> str:
    return str(folder.relative_to(settings.BASE_DIR))


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_every_text_is_there_with_all_that_it_names(folder: Path) -> None:
    may_drop = "sentences_of_django" in folder.parts
    entries = entries_of(folder / "django.po")
    assert [problem for entry in entries for problem in entry.problems(may_drop=may_drop)] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_what_is_compiled_is_what_was_written(folder: Path) -> None:
    written = {}
    for entry in entries_of(folder / "django.po"):
        text = "\x04".join(filter(None, [entry.parts.get("msgctxt"), entry.text]))
        for name, said in entry.said.items():
            written[(text, int(name[7])) if "msgid_plural" in entry.parts else text] = said
    with (folder / "django.mo").open("rb") as file:
        compiled = GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    assert {key: text for key, text in compiled.items() if key} == written, "make sentences"


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="gettext, which looks through the code, is not installed")
def test_nothing_new_is_said_anywhere(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Path(settings.LOCALE_PATHS[0])
    shutil.copytree(ours, tmp_path / "locale")
    settings.LOCALE_PATHS = [str(tmp_path / "locale")]
    monkeypatch.chdir(settings.BASE_DIR)
    call_command(Collection(), verbosity=0)
    for language in LANGUAGES:
        now, before = (folder / language / "LC_MESSAGES/django.po" for folder in (tmp_path / "locale", ours))
        texts, known = ({entry.text for entry in entries_of(path)} for path in (now, before))
        assert texts ^ known == set(), "make sentences, and have it translated"
