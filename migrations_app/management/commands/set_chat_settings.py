from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.archives import set_settings, settings_of
from tenants_app.management.base import AdministratorCommand, wrong_usage


class Command(AdministratorCommand):
    help = (
        "Set how chat of a tenant is treated: what stands between names of nested categories, how long archives stay."
    )
    example = "--keep-archives-days 365"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--separator", metavar="TEXT", help="between the names of nested categories (“ - ”)")
        keeping = parser.add_mutually_exclusive_group()
        keeping.add_argument("--keep-archives-days", type=int, metavar="DAYS", help="delete stored archives after it")
        keeping.add_argument("--keep-archives", action="store_true", help="keep stored archives until somebody deletes")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        values: dict[str, Any] = {}
        if options["separator"] is not None:
            values["separator"] = options["separator"]
        if options["keep_archives_days"] is not None or options["keep_archives"]:
            values["keep_archives_days"] = options["keep_archives_days"]
        if not values:
            raise wrong_usage(_("Nothing to set: give --separator, --keep-archives-days or --keep-archives."))
        settings = settings_of(tenant)
        before = {name: getattr(settings, name) for name in values}
        after = set_settings(tenant, self.actor, **values)
        self.tell_changes(tenant.name, before, {name: getattr(after, name) for name in values})
