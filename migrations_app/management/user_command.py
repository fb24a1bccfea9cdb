"""What the commands share that change one user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrations_app.preview.changes import foresee
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import ConferencingUser
from tenants_app.records import user_record


class UserChangeCommand(AdministratorCommand):
    """Changes a user and says what follows; with ``--dry-run`` what would follow, in the words of the user's page."""

    def change(
        self,
        user: ConferencingUser,
        values: Mapping[str, Any],
        options: Mapping[str, Any],
        *,
        reschedule_meetings: bool = False,
    ) -> None:
        """``values`` are as ``UserEdit`` takes them."""
        edit = UserEdit(user.pk, values, reschedule_meetings)
        before = user_record(user)
        if options["dry_run"]:
            foreseen = foresee(user.tenant, edit, self.actor)
            self.tell_changes(user.upn, before, foreseen.settings)
            self.stdout.write(f"{user.upn}: {foreseen.text}")
            self.tell_rehearsal(options)
            return
        consequences = change_users(user.tenant, [edit], self.actor)
        self.tell_changes(user.upn, before, user_record(self.user(user.tenant, user.upn)))
        self.tell_consequences(consequences)
