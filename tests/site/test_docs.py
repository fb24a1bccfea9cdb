"""The documentation says what is there: pages written from the code are current, and what the others name exists."""

from __future__ import annotations

from pathlib import Path

from django.core.management import call_command

from migrations_app.failures import FAILED, SKIPPED, UNSENT

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


# --- pages that are written from the code -------------------------------------------------------------


def test_the_pages_written_from_the_code_are_current(tmp_path: Path) -> None:
    call_command("write_documentation", output=tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}

    assert written.keys() == {"decisions.md", "errors.md"}
    for name, text in written.items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name} is out of date: run make docs"


def test_r31_the_page_of_codes_has_all_that_the_catalogue_says() -> None:
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"]

    assert rows == [
        *([f"`{code}`", entry.what, entry.do or "–"] for code, entry in SKIPPED.items()),
        *(
            [f"`{code}`", entry.what, entry.do or "–", "yes" if entry.cures_by_waiting else "no"]
            for code, entry in (FAILED | UNSENT).items()
        ),
    ]
