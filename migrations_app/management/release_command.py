"""What the commands that take a number off its bridge share (R32 to R35)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.failures import Failure
from migrations_app.management.foreseen_meetings import ForeseeingCommand
from migrations_app.management.planning import add_when, told, when_of
from migrations_app.management.tool_command import by_command
from migrations_app.models import NumberRelease
from migrations_app.preview.many_users import foresee_release
from migrations_app.preview.release_effect import MOST_BY_COMMAND, effect_of_release, foresee_release_meetings
from migrations_app.runs.plans import When
from tenants_app.models import ServiceNumber, Tenant
from tenants_app.wording import counted, grouped, plain


class ReleaseCommand(ForeseeingCommand):
    """Begins to take a number off its bridge, or with ``--dry-run`` says what that would lead to."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--now", action="store_true", help="do not wait for the tenant's settling time")
        add_when(parser)

    def begin(
        self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any], when: When | None
    ) -> NumberRelease:
        """Start the procedure; raises ``ValidationError`` where it cannot be."""
        raise NotImplementedError

    def check_begin(self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any]) -> None:
        """Raise ``ValidationError`` as :meth:`begin` does; only reads."""
        raise NotImplementedError

    def take_off(self, tenant: Tenant, number: ServiceNumber, options: Mapping[str, Any]) -> None:
        """Foresee, begin and tell; a dry run only checks, so that it refuses the same."""
        self.check_format(options)
        when = when_of(tenant, options)
        e164 = options["replace_with"]
        if options["format"] != "table":
            self.check_begin(tenant, number, options)
            runs = foresee_release_meetings(number, e164)
            self.list_meetings((outcome for _, outcomes in runs for outcome in outcomes), options)
            return
        foreseen = foresee_release(number)
        try:
            effect = effect_of_release(number, e164, MOST_BY_COMMAND) if options["dry_run"] else None
        except Failure as failure:
            raise CommandError(failure.told) from failure
        release = None
        if options["dry_run"]:
            self.check_begin(tenant, number, options)
        else:
            release = self.begin(tenant, number, options, when)
        self.stdout.write(
            ngettext(
                "%(number)s on %(bridge)s: %(count)s user depends on it, with %(meetings)s and %(invitations)s.",
                "%(number)s on %(bridge)s: %(count)s users depend on it, with %(meetings)s and %(invitations)s.",
                foreseen.users,
            )
            % {
                "number": number,
                "bridge": number.bridge,
                "count": grouped(foreseen.users),
                "meetings": counted(foreseen.future.meetings, "future meeting"),
                "invitations": counted(foreseen.future.invitations, "invitation"),
            }
        )
        self.stdout.write(
            (
                ngettext(
                    "%(count)s run would start when the users get %(number)s.",
                    "%(count)s runs would start when the users get %(number)s.",
                    foreseen.runs,
                )
                if options["dry_run"]
                else ngettext(
                    "%(count)s run starts when the users get %(number)s.",
                    "%(count)s runs start when the users get %(number)s.",
                    foreseen.runs,
                )
            )
            % {"count": grouped(foreseen.runs), "number": e164}
        )
        if effect:
            self.stdout.write(
                _("%(meetings)s would be updated, %(failed)s would fail, and %(invitations)s would be sent.")
                % {
                    "meetings": counted(effect.updated, "meeting"),
                    "failed": grouped(effect.failed),
                    "invitations": counted(effect.mailed, "invitation"),
                }
                + " "
                + ngettext(
                    "%(count)s meeting to come would show %(number)s afterwards as well and hold it.",
                    "%(count)s meetings to come would show %(number)s afterwards as well and hold it.",
                    effect.still_shown,
                )
                % {"count": grouped(effect.still_shown), "number": number}
            )
        for sentence, count in foreseen.without_run.items():
            self.stdout.write(f"{counted(count, 'user')}: {by_command(sentence)}")
        if foreseen.undos:
            self.stdout.write(foreseen.undos.sentence)
        if release:
            self._tell_what_happens_next(tenant, release)
        self.tell_rehearsal(options)

    def _tell_what_happens_next(self, tenant: Tenant, release: NumberRelease) -> None:
        page = reverse("release", args=[tenant.slug, release.pk])
        waits = release.due_at > release.created

        if release.plan:
            self.stdout.write(told(release.plan))
        self.stdout.write(
            (
                _(
                    "%(number)s is being taken off %(bridge)s. It begins at %(time)s; until then it can be cancelled "
                    "there, and is released by itself when no meeting to come shows it any more and attendees were "
                    "told."
                )
                if waits
                else _(
                    "%(number)s is being taken off %(bridge)s. It begins at once, and is released by itself when no "
                    "meeting to come shows it any more and attendees were told."
                )
            )
            % {"number": release, "bridge": release.bridge, "time": plain(release.due_at)}
        )
        self.stdout.write(
            _(
                "Follow it at %(page)s, or with get_service_number until %(release)s is not listed any more; "
                "get_number_release lists what keeps it."
            )
            % {"page": page, "release": release}
        )
