from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.translation import gettext as _

from migrations_app.management.rollout_options import add_rollout_options, tell_secret, told_people, values_of
from migrations_app.models import Rollout, Wave
from migrations_app.rollouts.defining import change_rollout, close_rollout
from migrations_app.rollouts.mapping import change_mapping
from migrations_app.rollouts.naming import find_rollout, find_wave
from migrations_app.rollouts.waves import add_wave, change_wave, put_wave, remove_wave, split_wave
from tenants_app.management.arguments import e164, truth
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.models import Tenant

_OF_A_WAVE = {
    "rename_wave": "name",
    "observe_days": "observe_days",
    "filter": "saved_query",
    "takes_rest": "takes_rest",
    "wave_batches": "batches",
    "min_client_version": "min_client_version",
}
"""Options that need ``--wave``, with the fields that they set."""


class Command(AdministratorCommand):
    help = (
        "Change a rollout: name, batches, thresholds, who is told, the mapping of bridges and numbers, and its waves "
        "until they start. With --close it ends, and its users may join another."
    )
    example = '"To the new service" --batches 1,5,50 --wave Pilot --observe-days 14'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("rollout", metavar="ROLLOUT")
        parser.add_argument("--name", metavar="NAME", help="another name")
        add_rollout_options(parser)
        mapping = parser.add_argument_group("mapping")
        mapping.add_argument(
            "--map-bridge",
            action="append",
            metavar="OLD=NEW",
            help="members of a bridge come to it; OLD= takes it away",
        )
        mapping.add_argument("--map-number", action="append", metavar="OLD=NEW", help="the same for numbers")
        mapping.add_argument("--default-bridge", metavar="BRIDGE", help="where no bridge is named; empty: none")
        waves = parser.add_argument_group("waves")
        waves.add_argument("--add-wave", metavar="NAME")
        waves.add_argument("--remove-wave", metavar="WAVE")
        waves.add_argument("--wave", metavar="WAVE", help="the wave that the following options change")
        waves.add_argument("--rename-wave", metavar="NAME")
        waves.add_argument("--put", type=int, metavar="N", help="its place among the waves, from 1")
        waves.add_argument("--split", type=int, metavar="N", help="its first N members stay; needs --into")
        waves.add_argument("--into", metavar="NAME", help="the new wave that gets the other members")
        waves.add_argument("--observe-days", type=int, metavar="N", help="its pilot period")
        waves.add_argument("--filter", metavar="ADDRESS", help="of the filtered user list; empty: none")
        waves.add_argument("--takes-rest", type=truth, metavar="true|false", help="whether it takes whoever is left")
        waves.add_argument("--wave-batches", metavar="N,N,…", help="its own batches; empty: those of the rollout")
        waves.add_argument("--min-client-version", metavar="VERSION")
        parser.add_argument("--close", metavar="REASON", help="end the rollout")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        rollout = find_rollout(tenant, options["rollout"])
        of_wave = {field: options[name] for name, field in _OF_A_WAVE.items() if options[name] is not None}
        if options["wave"] is None and (of_wave or options["put"] is not None or options["split"] is not None):
            raise wrong_usage(_("Say with --wave which wave is meant."))
        if (options["split"] is None) != (options["into"] is None):
            raise wrong_usage(_("--split and --into go together."))
        with transaction.atomic():
            secret = self._change(tenant, rollout, of_wave, options)
        rollout.refresh_from_db()
        self.stdout.write(_("%(name)s: saved.") % {"name": rollout.name})
        tell_secret(self.stdout, secret)

    def _change(self, tenant: Tenant, rollout: Rollout, of_wave: Mapping[str, Any], options: Mapping[str, Any]) -> str:
        """All that is asked for, or nothing; the secret that was made."""
        name = {"name": options["name"]} if options["name"] is not None else {}
        change_rollout(rollout, self.actor, **name, **values_of(options))
        _, secret = told_people(rollout, self.actor, options)
        self._map(tenant, rollout, options)
        if options["add_wave"] is not None:
            add_wave(rollout, self.actor, name=options["add_wave"])
        if options["wave"] is not None:
            wave = change_wave(self._wave(tenant, rollout, options["wave"]), self.actor, **of_wave)
            if options["split"] is not None:
                split_wave(wave, self.actor, name=options["into"], keep=options["split"])
            if options["put"] is not None:
                put_wave(wave, options["put"], self.actor)
        if options["remove_wave"] is not None:
            remove_wave(self._wave(tenant, rollout, options["remove_wave"]), self.actor)
        if options["close"] is not None:
            close_rollout(rollout, self.actor, reason=options["close"])
        return secret

    def _map(self, tenant: Tenant, rollout: Rollout, options: Mapping[str, Any]) -> None:
        values: dict[str, Any] = {}
        bridges = {
            self.bridge(tenant, old): self.bridge(tenant, new) if new else None
            for old, new in map(_pair, options["map_bridge"] or ())
        }
        numbers = {
            self.service_number(tenant, e164(old)): self.service_number(tenant, e164(new)) if new else None
            for old, new in map(_pair, options["map_number"] or ())
        }
        if options["default_bridge"] is not None:
            values["default_bridge"] = (
                self.bridge(tenant, options["default_bridge"]) if options["default_bridge"] else None
            )
        if bridges or numbers or values:
            change_mapping(rollout, self.actor, bridges=bridges, numbers=numbers, **values)

    def _wave(self, tenant: Tenant, rollout: Rollout, name: str) -> Wave:
        return find_wave(tenant, f"{rollout.name}/{name}")


def _pair(text: str) -> tuple[str, str]:
    old, sign, new = text.partition("=")
    if not sign or not old.strip():
        raise CommandError(_("%(text)s is no line of a mapping: write it as OLD=NEW.") % {"text": repr(text)})
    return old.strip(), new.strip()
