from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import translation

from migrations_app.management.documentation import WRITTEN, pages
from tenants_app.management.base import SafeOutput


class Command(SafeOutput):
    help = (
        "Write the pages of the documentation that follow from the code: what starts a run, and a page for each "
        "command, setting and error code."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--output",
            type=Path,
            default=settings.BASE_DIR / "docs",
            metavar="FOLDER",
            help="where to write them (default: docs)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):
            written = dict(pages(settings.BASE_DIR))
        for name in WRITTEN:
            if (options["output"] / name).is_dir():
                shutil.rmtree(options["output"] / name)  # with the pages of what is gone
        for path, text in written.items():
            file = options["output"] / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
