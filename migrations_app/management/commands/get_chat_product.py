from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.products import products_of, taken
from migrations_app.chat.target_rows import target_named
from migrations_app.management.whole_file import not_written, replace
from tenants_app.management.base import AdministratorCommand

PIECE = 1 << 20


class Command(AdministratorCommand):
    help = (
        "Copy the file that imports into a chat target have made: the pages to read with all that belongs to them, as "
        "a ZIP, or the file for Mattermost's bulk import. It holds messages, so that the audit says who took it."
    )
    example = '"New home" --output pages.zip'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="of the target")
        parser.add_argument("--output", required=True, metavar="FILE.zip", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        target = target_named(self.tenant(options), options["name"])
        files = products_of(target)
        if not files:
            raise CommandError(
                _(
                    "%(target)s has made no file yet: only imports into targets of the kinds archive and mattermost "
                    "make one, when their last room has ended."
                )
                % {"target": target}
            )
        output: Path = options["output"]
        try:
            file = taken(target, self.actor, files[0].name)
            replace(output, _pieces(file), is_private=True)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except OSError as error:
            raise not_written(output, error) from error
        self.stdout.write(_("%(target)s: written to %(path)s.") % {"target": target, "path": output})


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
