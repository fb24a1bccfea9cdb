from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.chat.target_rows import opened, target_named
from migrations_app.chat.targets import teams_trying
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.chat.targets.teams import TeamsTarget
from migrations_app.failures import Failure
from migrations_app.graph_access import graph_for
from migrations_app.management.tenant_check import TenantCheckCommand
from migrations_app.tenant_checks import teams, trying_teams
from tenants_app.management.base import wrong_usage
from tenants_app.models import MailboxConnection


class Command(TenantCheckCommand):
    help = (
        "Check whether Teams lets MMS act for a user: permission, licence, application access policy, and what it "
        "tells of one meeting by its join link. Only reads. With --write-to it also has Teams make one meeting that "
        "stands in no calendar, twice under one name, and deletes it. With --chat-target it checks a target of "
        "persistent chat instead: its permissions, and with --write-to whether an import keeps what it must, in a team "
        "that is made for it and deleted."
    )
    example = "--user anna@contoso.com --join-url https://teams.microsoft.com/l/meetup-join/… --report teams.json"
    kind = MailboxConnection.Kind.GRAPH
    title = gettext_noop("Check of Teams")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN", help="an organizer")
        parser.add_argument("--join-url", metavar="URL", help="the join link of one of the user's Teams meetings")
        parser.add_argument("--write-to", metavar="UPN", help="a test user for whom one meeting is made and deleted")

        parser.add_argument(
            "--chat-target", metavar="NAME", help="check this target of persistent chat, and no mailbox connection"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["chat_target"]:
            self._check_chat(options)
            return
        user, write_to = options["user"] or options["write_to"], options["write_to"]
        if not user:
            raise wrong_usage(_("Name an organizer with --user: a policy of Teams is granted user by user."))
        self.check_addresses(options)
        tenant = self.tenant(options)
        connection = self.connection(tenant, options)
        self.check_report(options)
        try:
            graph = graph_for(connection)
        except Failure as failure:
            raise CommandError(failure.told) from failure
        with graph:
            findings = self.tell(teams.check(graph, user=user, join_url=options["join_url"] or ""))
            if write_to and not any(each.verdict == "FAILED" for each in findings):
                self.announce(trying_teams.announcement(write_to))
                findings += self.tell(trying_teams.check(graph, user=write_to, now=timezone.now()))
        about = {
            _("Tenant"): tenant.name,
            _("Connection"): connection.name,
            _("User"): user,
            _("Made for"): write_to or _("nobody"),
        }
        self.end(findings, about, options)

    def _check_chat(self, options: dict[str, Any]) -> None:
        """What holds of a target of kind teams; with ``--write-to`` also what only an import tells."""
        write_to = options["write_to"]
        if options["user"] or options["join_url"] or options["name"]:
            raise wrong_usage(_("--chat-target goes with --write-to and --report only."))
        self.check_addresses(options)
        tenant = self.tenant(options)
        self.check_report(options)
        try:
            target = target_named(tenant, options["chat_target"])
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        try:
            with opened(target) as teams:
                if not isinstance(teams, TeamsTarget):
                    raise CommandError(
                        _("%(target)s is no target in Microsoft Teams: name one.") % {"target": target.name}
                    )
                if write_to:
                    self.announce(teams_trying.announcement(write_to))
                    findings = self.tell(teams_trying.check(teams, author=write_to, now=timezone.now()))
                else:
                    findings = self.tell(teams_trying.look(teams))
        except TargetProblem as problem:
            raise CommandError(problem.sentence) from problem
        about = {_("Tenant"): tenant.name, _("Target"): target.name, _("Made for"): write_to or _("nobody")}
        self.end(findings, about, options)
