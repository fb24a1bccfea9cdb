from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.failures import Failure
from migrations_app.management.wave_command import WaveCommand
from migrations_app.models import FoundMeeting, MeetingResult, Wave
from migrations_app.rollouts import searching, stranded
from migrations_app.rollouts.going_back import Foresight, foresee, roll_back
from tenants_app.management.arguments import add_dry_run, add_format
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.wording import counted, grouped

COLUMNS = ("Kind", *stranded.COLUMNS, "Message")
IN_TABLE = ("Kind", "UserPrincipalName", "Subject", "StartDate", "Message")


class Command(WaveCommand):
    help = (
        "Take a wave back, or some of its members: they move back to the legacy deployment, and the meetings that its "
        "runs have changed are put back, batch by batch in the background. With --dry-run it says what would come of "
        "it, and lists what cannot go back: meetings that were scheduled on the new deployment (Stranded), meetings "
        "that stay as they are (Left), and clients that are too new (Client)."
    )
    example = '"To the new service/Test users" --dry-run'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", nargs="+", action="extend", metavar="UPN", help="only these members")
        parser.add_argument("--reason", default="", metavar="TEXT", help="stands in the audit and in the report")
        add_dry_run(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, wave = self.wave(options)
        users = self.users(tenant, options["user"]) if options["user"] else None
        if not options["dry_run"]:
            begun = roll_back(wave, self.actor, users, options["reason"])
            page = reverse("wave", args=[tenant.slug, wave.rollout_id, wave.position])
            told = ngettext(
                "%(count)s member of the wave %(wave)s moves back. Follow it at %(page)s, or with get_wave.",
                "%(count)s members of the wave %(wave)s move back. Follow it at %(page)s, or with get_wave.",
                begun.members,
            )
            self.stdout.write(told % {"count": grouped(begun.members), "wave": wave.name, "page": page})
            return
        foresight = foresee(wave, users)
        if foresight.refusal:
            raise CommandError(foresight.refusal)
        rows = list(self._rows(tenant, wave, foresight, users))
        if options["format"] == "table":
            self._tell(tenant, wave, foresight)
        if rows or options["format"] != "table":
            self.list_rows(rows, options, list(COLUMNS), list(IN_TABLE))
        if options["format"] == "table":
            self.tell_rehearsal(options)

    def _tell(self, tenant: Tenant, wave: Wave, foresight: Foresight) -> None:
        moved = ngettext("%(count)s member would move back.", "%(count)s members would move back.", foresight.members)
        self.stdout.write(moved % {"count": grouped(foresight.members)})
        totals = foresight.totals
        if totals is None:
            self.stdout.write(
                _("There are more meetings than are looked at at once: %(page)s has them looked at in the background.")
                % {"page": reverse("roll-back-wave", args=[tenant.slug, wave.rollout_id, wave.position])}
            )
            return
        put_back = ngettext(
            "%(meetings)s would be put back, and %(count)s attendee would get mail.",
            "%(meetings)s would be put back, and %(count)s attendees would get mail.",
            totals.recipients,
        )
        told = {"meetings": counted(totals.updated, "meeting"), "count": grouped(totals.recipients)}
        self.stdout.write(put_back % told)
        for sentence, count in totals.without_run.items():
            self.stdout.write(f"{counted(count, 'user')}: {sentence}")

    def _rows(self, tenant: Tenant, wave: Wave, foresight: Foresight, users: list[ConferencingUser] | None) -> Any:
        chosen = None if users is None else {user.pk for user in users}
        for row in self._stranded(wave, foresight):
            if chosen is None or row.user_id in chosen:
                message = _("It must be scheduled anew: it leads to %(hosts)s.") % {"hosts": ", ".join(row.shows)}
                yield {"Kind": "Stranded", **stranded.record_of(row), "Message": message}
        for told in foresight.told:
            for meeting in told.meetings:
                if meeting.outcome != MeetingResult.Outcome.SUCCEEDED:
                    yield self._row(
                        "Left",
                        told.planned.user.upn,
                        meeting.reason,
                        Subject=meeting.subject,
                        StartDate=meeting.starts_at,
                        MeetingUid=meeting.uid,
                    )
        for member in stranded.clients_to_downgrade(wave):
            if chosen is None or member.user_id in chosen:
                message = _("Their client %(version)s is to be downgraded: %(highest)s is the newest that works there.")
                versions = {
                    "version": member.client_version,
                    "highest": wave.rollout.legacy.highest_client_version,
                }
                yield self._row("Client", member.user.upn, message % versions)

    def _row(self, kind: str, upn: str, message: str, **more: Any) -> Mapping[str, Any]:
        return {**dict.fromkeys(COLUMNS), "Kind": kind, "UserPrincipalName": upn, "Message": message, **more}

    def _stranded(self, wave: Wave, foresight: Foresight) -> list[FoundMeeting]:
        """Found now where that is quick, else by the last search."""
        if not searching.hosts_of_new_alone(wave.rollout):
            self.stderr.write(_("Both deployments have the same meeting hosts: nobody can tell their meetings apart."))
            return []
        if foresight.totals is not None:
            try:
                return stranded.foreseen(wave)
            except Failure as failure:
                raise CommandError(failure.told) from failure
        search = searching.latest(wave=wave)
        if search is None or search.searched_at is None:
            self.stderr.write(_("The mailboxes were not searched yet for meetings that cannot go back."))
            return []
        when = timezone.localtime(search.searched_at, wave.rollout.tenant.zone)
        self.stderr.write(_("Meetings that cannot go back: as found on %(when)s.") % {"when": f"{when:%Y-%m-%d %H:%M}"})
        return list(stranded.stranded(search)[:10_000])
