from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.mail.waiting import Queue, oldest
from migrations_app.management.monitoring_command import Answer, MonitoringCommand, Status, age
from migrations_app.monitoring.health import queue_state
from migrations_app.runs.left import count_open
from tenants_app.management.arguments import at_least
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.wording import grouped, plain


class Command(MonitoringCommand):
    help = (
        "Tell a monitoring system whether users' migrations failed or anything waits too long: one line with "
        "performance data; exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. All tenants, unless --tenant."
    )
    example = "--warning 1 --critical 10 --max-age 60"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--tenant", metavar="SLUG", help="of this tenant only")
        parser.add_argument(
            "--warning",
            type=at_least(1),
            default=1,
            metavar="N",
            help="WARNING from this many users whose latest run failed (default: 1)",
        )
        parser.add_argument("--critical", type=at_least(1), default=10, metavar="N", help="CRITICAL likewise (10)")
        parser.add_argument(
            "--max-age",
            type=at_least(1),
            default=60,
            metavar="MINUTES",
            help="WARNING when a due run or a message has waited longer, CRITICAL at twice as long (default: 60)",
        )

        parser.add_argument(
            "--left",
            type=at_least(0),
            metavar="N",
            help="WARNING when more than N meetings need a person and nobody has seen to them (default: not checked)",
        )

        parser.add_argument(
            "--out-of-date",
            type=at_least(0),
            metavar="N",
            help="WARNING when the invitations of more than N users are out of date (default: not checked)",
        )
        parser.add_argument(
            "--service-on", action="store_true", help="WARNING while the service is switched off for a tenant"
        )

    def answer(self, options: dict[str, Any]) -> Answer:
        warning, critical = options["warning"], options["critical"]
        if warning > critical:
            raise CommandError(
                _("--warning %(warning)s is more than --critical %(critical)s: give the smaller one first.")
                % {"warning": warning, "critical": critical}
            )
        tenant = self.tenant(options) if options["tenant"] is not None else None
        state = queue_state(tenant)
        limit = timedelta(minutes=options["max_age"])
        found = Answer()
        if state.failed >= warning:
            found.add(
                Status.CRITICAL if state.failed >= critical else Status.WARNING,
                ngettext(
                    "the latest run of %(count)s user failed", "the latest run of %(count)s users failed", state.failed
                )
                % {"count": grouped(state.failed)},
            )
        for waited, what in (
            (state.longest_wait, _("a due run has waited for %(age)s")),
            (state.longest_unsent, _("a message has waited for %(age)s")),
        ):
            if waited > limit:
                why = _why(tenant) if waited is state.longest_unsent else ""
                found.add(Status.CRITICAL if waited > 2 * limit else Status.WARNING, what % {"age": age(waited)} + why)
        for name in state.refused_by:
            found.add(
                Status.CRITICAL,
                _("the mailbox connection %(name)s is refused, and runs of its users wait") % {"name": name},
            )
        for each in state.ending_secrets:
            sentence = (
                _("the %(secret)s of the mailbox connection %(name)s ended on %(day)s")
                if each.secret_has_ended
                else _("the %(secret)s of the mailbox connection %(name)s ends on %(day)s")
            )
            found.add(
                Status.CRITICAL if each.secret_has_ended else Status.WARNING,
                sentence
                % {"secret": _(each.secret_name), "name": each.name, "day": f"{each.secret_expires_at:%Y-%m-%d}"},
            )
        if state.undeliverable:
            found.add(
                Status.WARNING,
                ngettext(
                    "%(count)s message refused by the mail server",
                    "%(count)s messages refused by the mail server",
                    state.undeliverable,
                )
                % {"count": grouped(state.undeliverable)},
            )
        left, most = count_open(tenant), options["left"]
        if most is not None and left > most:
            found.add(
                Status.WARNING,
                ngettext(
                    "%(count)s meeting needs a person (get_unmigrated_meeting lists them)",
                    "%(count)s meetings need a person (get_unmigrated_meeting lists them)",
                    left,
                )
                % {"count": grouped(left)},
            )
        outdated, most_outdated = 0, options["out_of_date"]
        if most_outdated is not None:
            users = ConferencingUser.objects.all() if tenant is None else ConferencingUser.objects.filter(tenant=tenant)
            outdated = users.out_of_date().count()
            if outdated > most_outdated:
                found.add(
                    Status.WARNING,
                    ngettext(
                        "the invitations of %(count)s user are out of date "
                        "(start_meeting_migration --out-of-date starts runs)",
                        "the invitations of %(count)s users are out of date "
                        "(start_meeting_migration --out-of-date starts runs)",
                        outdated,
                    )
                    % {"count": grouped(outdated)},
                )
        if options["service_on"]:
            off = Tenant.objects.filter(meeting_migration_enabled=False, **({"pk": tenant.pk} if tenant else {}))
            for name in off.order_by("slug").values_list("slug", flat=True):
                found.add(Status.WARNING, _("the service is switched off for %(name)s") % {"name": name})
        seconds = int(limit.total_seconds())
        found.data = {
            "failed": f"{state.failed};{warning};{critical};0",
            "pending": f"{state.pending};;;0",
            "in_progress": f"{state.in_progress};;;0",
            "oldest_pending": f"{int(state.longest_wait.total_seconds())}s;{seconds};{2 * seconds};0",
            "unsent": f"{state.unsent};;;0",
            "oldest_unsent": f"{int(state.longest_unsent.total_seconds())}s;{seconds};{2 * seconds};0",
            "left": f"{left};{'' if most is None else most};;0",
            **({} if most_outdated is None else {"out_of_date": f"{outdated};{most_outdated};;0"}),
            "refused": f"{state.undeliverable};1;;0",
            "accepted": f"{state.accepted};;;0",
        }
        failed = _("%(count)s failed") % {"count": grouped(state.failed)} if state.failed else _("none failed")
        if state.accepted:
            failed = _("%(failed)s beside %(count)s accepted") % {"failed": failed, "count": grouped(state.accepted)}
        found.when_ok = ngettext(
            "%(count)s user pending, %(in_progress)s in progress, %(failed)s",
            "%(count)s users pending, %(in_progress)s in progress, %(failed)s",
            state.pending,
        ) % {"count": grouped(state.pending), "in_progress": grouped(state.in_progress), "failed": failed}
        return found


def _why(tenant: Tenant | None) -> str:
    """Why the message that has waited longest is not sent yet, and until when it sleeps."""
    update = oldest(tenant)
    why = Queue(update.result.run.tenant).why(update) if update else None
    if why is None:
        return ""
    reason = str(why.reason).rstrip(".")
    if why.until:
        return " " + _("(%(reason)s; tried again at %(time)s)") % {"reason": reason, "time": plain(why.until)}
    return f" ({reason})"
