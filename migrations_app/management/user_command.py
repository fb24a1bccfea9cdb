"""What the commands share that change one user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError

from migrations_app.failures import describe
from migrations_app.management.foreseen_meetings import ForeseeingCommand
from migrations_app.management.tool_command import by_command
from migrations_app.preview.changes import foresee, rehearse
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.models import ConferencingUser
from tenants_app.records import user_record
from tenants_app.signals import command_for


class UserChangeCommand(ForeseeingCommand):
    """Changes a user and says what follows; with ``--dry-run`` what would follow, in the words of the user's page, or
    as a list of the meetings.
    """

    def change(
        self,
        user: ConferencingUser,
        values: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        reschedule_meetings: bool = False,
    ) -> None:
        """``values`` are as ``UserEdit`` takes them."""
        self.check_format(options)
        edit = UserEdit(user.pk, values, reschedule_meetings)
        if options["format"] != "table":
            self._list(user, edit, options)
            return
        before = user_record(user)
        if options["dry_run"]:
            foreseen = foresee(user.tenant, edit)
            self.tell_changes(user.upn, before, foreseen.settings)
            self.stdout.write(f"{user.upn}: {foreseen.text}")
            if hint := command_for([foreseen.text]):
                self.stdout.write(hint)
            self.tell_rehearsal(options)
            return
        consequences = change_users(user.tenant, [edit], self.actor)
        self.tell_changes(user.upn, before, user_record(self.user(user.tenant, user.upn)))
        self.tell_consequences(replace(each, sentence=by_command(each.sentence)) for each in consequences)

    def _list(self, user: ConferencingUser, edit: UserEdit, options: Mapping[str, Any]) -> None:
        """What the run that the change starts would make of each meeting; on standard error why none starts."""
        seen = rehearse(user.tenant, edit)
        starts = seen.consequence.starts_run
        if seen.failure and starts:
            raise CommandError(f"{user.upn}: {describe(seen.failure.code, seen.failure.detail)}")
        self.list_meetings(seen.outcomes if starts else (), options)
        if not starts:
            self.stderr.write(f"{user.upn}: {by_command(seen.consequence.sentence)}")
