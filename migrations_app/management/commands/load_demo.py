"""The Contoso demo: an organization in the middle of moving to another bridge."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations as demo
from migrations_app.demo import people
from migrations_app.demo.calendar_server import PATH_TEMPLATE, SERVICE_ACCOUNT, CalendarServer, DemoCalendar
from migrations_app.demo.mailbox import invitations, plan_meeting
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.management import demo_chat, demo_rollout
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import create_tenant, grant_role
from tenants_app.changes.users import UserEdit, change_users, create_users
from tenants_app.management.arguments import at_least, one_of
from tenants_app.management.base import SafeOutput
from tenants_app.models import Bridge, ConferencingUser, Deployment, MailboxConnection, Role, ServiceNumber, Tenant
from tenants_app.wording import grouped

ACTOR = Actor("load_demo", Channel.COMMAND)
SEED = 2016


class Command(SafeOutput):
    help = (
        "Load the Contoso demo tenant: some 160 users with their calendars, most of whom have just been moved to "
        "another bridge, which sets off their migrations."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="do nothing where there is a tenant already")
        parser.add_argument(
            "--mailboxes",
            metavar="embedded|caldav",
            type=one_of(["embedded", "caldav"], gettext_noop("a kind of mailbox that the demo can have")),
            default="embedded",
            help="where the calendars are: in MMS itself (embedded), or on a Radicale that `serve` starts (caldav)",
        )
        parser.add_argument(
            "--users",
            metavar="N",
            type=at_least(1),
            default=None,
            help="only so many of the 160 users; the first two are those whose run fails",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        server = CalendarServer(settings.MMS_DATA_DIR) if options["mailboxes"] == "caldav" else None
        if Tenant.objects.exists() and options["if_empty"]:
            if server is not None and not server.is_there:
                raise CommandError(
                    _(
                        "There are tenants already, whose mailboxes are not on Radicale: name an empty data folder "
                        "with MMS_DATA_DIR= to load the demo there."
                    )
                )
            return
        if Tenant.objects.filter(slug=people.CONTOSO.slug).exists():
            raise CommandError(_("The Contoso tenant is there already: use a new database to load the demo afresh."))
        if server is not None and find_spec("radicale") is None:
            raise CommandError(_("Radicale is not installed: `make install` does it, or pip install radicale."))
        try:
            with transaction.atomic():
                tenant = self._load(server, options["users"])
        except FileExistsError as error:
            raise CommandError(
                _(
                    "%(folder)s holds the mailboxes of a demo that is not in this database: move it away, or name "
                    "another folder with MMS_DATA_DIR=."
                )
                % {"folder": error}
            ) from None
        london = self._begin_rollout(tenant, can_look=server is None)
        told = self._change_bridge(tenant)
        demo_chat.load(tenant, ACTOR, timezone.now())
        if london:
            self.stdout.write(
                _("London’s %(count)s users are on their way to another deployment: see Rollouts.")
                % {"count": grouped(london)}
            )
        self.stdout.write(
            _("Contoso’s old chat rooms are in an archive to read, and planned for a new place: see Chat.")
        )
        self.stdout.write(
            _("Contoso is ready: %(count)s users changed, most of them to the bridge %(bridge)s; their runs are due.")
            % {"count": grouped(told), "bridge": people.CLOUD}
        )

    def _load(self, server: CalendarServer | None, count: int | None) -> Tenant:
        tenant = create_tenant(ACTOR, settling_time=0, **asdict(people.CONTOSO))
        bridges: dict[str, Bridge] = {}
        for bridge in people.BRIDGES:
            bridges[bridge.name] = set_bridge(
                tenant, bridge.name, ACTOR, provider=bridge.provider, make_default=bridge.is_default
            )
        numbers: dict[str, ServiceNumber] = {}
        for number in people.NUMBERS:
            numbers[number.e164] = register_number(
                bridges[number.bridge], number.e164, number.kind, ACTOR, country=number.country, city=number.city
            )
        everyone = people.users()
        london = {user.upn for user in everyone[:count] if people.is_in_london(user)}
        legacy = demo_rollout.deployments(tenant) if len(london) >= demo_rollout.LEAST else None
        rows = [
            {
                "upn": user.upn,
                "sip_address": user.sip_address,
                "display_name": user.display_name,
                "language": user.language,
                "hosting": legacy.kind if legacy and user.upn in london else user.hosting,
                "deployment": legacy if user.upn in london else None,
                "mailbox_location": user.mailbox_location,
                "audio_conferencing_license": user.licensed and user.upn != people.BRANCH_USER_UPN,
                "audio_conferencing_enabled": user.enabled,
                "conferencing_provider": user.provider,
                "bridge": bridges.get(user.bridge),
                "conference_id_type": user.conference_id_type,
                "conference_id": user.conference_id if user.conference_id_type == "public" else "",
                "toll_number": numbers.get(user.toll_number),
                "toll_free_number": numbers.get(user.toll_free_number),
                "meeting_service": user.meeting_service,
            }
            for user in everyone[:count]
        ]
        now = timezone.now()
        users = create_users(tenant, rows, ACTOR)
        mailboxes = [invitations(user, everyone, now, SEED) for user in everyone[:count]]
        self._sign_in(tenant)
        if server is None:
            for row, user, objects in zip(users, everyone, mailboxes, strict=False):
                if user.upn == people.DAMAGED_MAILBOX_USER_UPN:
                    objects.append(demo.damaged_invitation(user, now))
                EmbeddedMailbox(row).store([pair for text in objects for pair in split_objects(text)])
        else:
            calendars = [
                DemoCalendar(user.upn, "Calendar", objects) for user, objects in zip(users, mailboxes, strict=True)
            ]
            for user in everyone[:count]:
                if user.upn == people.DAMAGED_MAILBOX_USER_UPN:
                    # Radicale shows nobody a damaged object, so this one's mailbox has a meeting twice.
                    twice = [demo.skype_html(plan_meeting(user, everyone, now, SEED, 300))]
                    calendars += [DemoCalendar(user.upn, name, twice) for name in ("Team", "Project")]
            server.fill(calendars)
            create_connection(
                tenant,
                ACTOR,
                "Radicale",
                kind=MailboxConnection.Kind.CALDAV,
                address=server.address,
                username=SERVICE_ACCOUNT,
                password=server.password_of(SERVICE_ACCOUNT),
                path_template=PATH_TEMPLATE,
                make_default=True,
            )
        return tenant

    def _sign_in(self, tenant: Tenant) -> None:
        """An account whose password is made up here; ``serve`` prints it. Nothing about it is in the code."""
        account, is_new = get_user_model().objects.get_or_create(
            username="demo", defaults={"email": "demo@contoso.com", "is_staff": True, "is_superuser": True}
        )
        if is_new:
            password = secrets.token_urlsafe(9)
            account.set_password(password)
            account.save()
            path = settings.MMS_DATA_DIR / "demo-password"
            path.touch(mode=0o600)
            path.write_text(password + "\n", encoding="ascii")
        grant_role(tenant, account, Role.Name.ADMIN, ACTOR)

    @transaction.atomic
    def _begin_rollout(self, tenant: Tenant, *, can_look: bool) -> int:
        """London's users leave their pool: how many are in it; none where too few of them were loaded."""
        legacy = Deployment.objects.filter(tenant=tenant, role=Deployment.Role.LEGACY).first()
        if legacy is None:
            return 0
        count = legacy.users.count()
        new = Deployment.objects.get(tenant=tenant, role=Deployment.Role.NEW)
        demo_rollout.move_london(tenant, legacy, new, can_look=can_look)
        return count

    def _change_bridge(self, tenant: Tenant) -> int:
        """The change that one watches: everyone who can be served leaves the old bridge for the new one.

        Those who are hosted on-premises, but have their mailbox online, move to online with it (R1). One user more gets
        a licence on a bridge that has no number yet; that run fails, as it would in life.
        """
        cloud = Bridge.objects.get(tenant=tenant, name=people.CLOUD)
        numbers = {(number.country, number.kind): number for number in cloud.numbers.all()}
        moving = ConferencingUser.objects.filter(
            tenant=tenant, bridge__name=people.LEGACY, mailbox_location="online", deployment=None
        ).select_related("toll_number", "toll_free_number")
        edits = [
            UserEdit(
                user.pk,
                {
                    "bridge": cloud,
                    "hosting": "online",
                    "toll_number": user.toll_number and numbers.get((user.toll_number.country, "toll")),
                    "toll_free_number": user.toll_free_number
                    and numbers.get((user.toll_free_number.country, "toll-free")),
                },
            )
            for user in moving
        ]
        branch_user = ConferencingUser.objects.with_upns(tenant, [people.BRANCH_USER_UPN]).get()
        edits.append(UserEdit(branch_user.pk, {"audio_conferencing_license": True}))
        told = change_users(tenant, edits, ACTOR)
        return sum(consequence.starts_run for consequence in told)
