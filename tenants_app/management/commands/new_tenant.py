from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.tenants import create_tenant
from tenants_app.management.arguments import MEETING_SERVICES, at_least, meeting_service
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import MeetingService, Tenant
from tenants_app.signals import next_steps


class Command(AdministratorCommand):
    help = "Make a new organization."
    example = "contoso --name Contoso --domain contoso.com --meeting-url https://meet.contoso.com"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("slug", metavar="SLUG", help="its short name in web addresses and commands")
        parser.add_argument("--name", required=True, help="its name for people")
        parser.add_argument("--domain", required=True, help="such as contoso.com")
        parser.add_argument("--meeting-url", metavar="URL", help="where the join links of the Link service begin")
        parser.add_argument(
            "--meeting-service",
            metavar=MEETING_SERVICES,
            type=meeting_service,
            help="who hosts meetings that are made anew (default: link where there is a meeting URL, otherwise none)",
        )
        parser.add_argument(
            "--settling-time",
            metavar="SECONDS",
            type=at_least(0),
            default=300,
            help="between a change and its run, so that a burst of changes is one run (default: 300)",
        )

        parser.add_argument(
            "--time-zone",
            metavar="NAME",
            default=settings.TIME_ZONE,
            help="in which its pages show times and planned runs begin, such as Europe/Rome (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        slug, url = options["slug"], options["meeting_url"] or ""
        if Tenant.objects.filter(slug=slug).exists():
            raise CommandError(_("There is already a tenant %(slug)s: change it with set_tenant.") % {"slug": slug})
        tenant = create_tenant(
            self.actor,
            slug=slug,
            name=options["name"],
            domain=options["domain"],
            meeting_url=url,
            meeting_service=options["meeting_service"] or (MeetingService.LINK if url else MeetingService.NONE),
            settling_time=options["settling_time"],
            time_zone=options["time_zone"],
        )
        self.stdout.write(_("%(name)s is there. What comes next:") % {"name": tenant.name})
        for command in (
            _("%(one)s, then %(other)s")
            % {
                "one": "new_administrator USERNAME --email ADDRESS",
                "other": f"grant_role USERNAME --role admin --tenant {slug}",
            },
            f"set_dial_in_conferencing_bridge NAME --default --tenant {slug}",
            f"register_service_number E164 --bridge NAME --type toll --tenant {slug}",
            *next_steps(tenant),
        ):
            self.stdout.write(f"  {command}")
