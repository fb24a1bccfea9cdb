from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils.translation import gettext as _

from migrations_app.management.rollout_options import add_rollout_options, tell_secret, told_people, values_of
from migrations_app.rollouts.defining import new_rollout
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.deployment_options import deployment_named


class Command(AdministratorCommand):
    help = (
        "Define a rollout: users move from a legacy deployment to a new one, wave by wave. It begins with the waves "
        "Test users, Pilot and Everyone, each with its checklist; set_rollout changes them."
    )
    example = '"Move to online" --from "Old pool" --to "New service"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--from", dest="legacy", required=True, metavar="DEPLOYMENT", help="the legacy deployment")
        parser.add_argument("--to", dest="new", required=True, metavar="DEPLOYMENT", help="the new deployment")
        add_rollout_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        legacy, new = deployment_named(tenant, options["legacy"]), deployment_named(tenant, options["new"])
        with transaction.atomic():
            rollout = new_rollout(
                tenant, self.actor, name=options["name"], legacy=legacy, new=new, **values_of(options)
            )
            rollout, secret = told_people(rollout, self.actor, options)
        names = ", ".join(rollout.waves.values_list("name", flat=True))
        told = _("%(name)s: new rollout with the waves %(waves)s; import_wave_members says who is in them.")
        self.stdout.write(told % {"name": rollout.name, "waves": names})
        tell_secret(self.stdout, secret)
