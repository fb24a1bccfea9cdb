from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.management.whole_file import not_written, replace
from migrations_app.rollouts import redirects
from migrations_app.rollouts.naming import find_rollout
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Write where each old join link leads now, for every meeting of a rollout that MMS has made anew: as CSV, or "
        "as a map that nginx includes, so that the old host name sends latecomers to the right meeting."
    )
    example = '"To the new service" --output redirects.map'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("rollout", metavar="ROLLOUT", help="its name")
        parser.add_argument("--output", required=True, metavar="FILE.csv|.map", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        rollout = find_rollout(self.tenant(options), options["rollout"])
        output: Path = options["output"]
        count = redirects.Count()
        kind = output.suffix.lower()
        if kind == ".map":
            written = redirects.nginx_lines(rollout, count)
        elif kind == ".csv":
            written = redirects.csv_lines(rollout, count)
        else:
            raise wrong_usage(
                _("The file name %(name)s says no kind of map: let it end in .csv or .map.") % {"name": output.name}
            )
        try:
            replace(output, (piece.encode("utf-8", "surrogateescape") for piece in written))
        except OSError as error:
            raise not_written(output, error) from error
        told = ngettext("%(count)s link: written to %(path)s.", "%(count)s links: written to %(path)s.", count.written)
        self.stdout.write(told % {"count": grouped(count.written), "path": output})
        if count.left_out:
            told = ngettext(
                "%(count)s was left out, because nginx cannot take it: the CSV has it.",
                "%(count)s were left out, because nginx cannot take them: the CSV has them.",
                count.left_out,
            )
            self.stdout.write(told % {"count": grouped(count.left_out)})
