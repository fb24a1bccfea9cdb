"""How templates are written."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

LONGEST = 160


def test_no_line_of_a_template_is_too_long() -> None:
    templates = list((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
    too_long = [
        f"{path.relative_to(settings.BASE_DIR)}:{number}"
        for path in templates
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if len(line) > LONGEST
    ]

    assert templates
    assert too_long == [], f"Break lines of more than {LONGEST} characters."
