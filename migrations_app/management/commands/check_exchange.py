from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.mailboxes.findings import STEP_NAMES
from migrations_app.mailboxes.of_user import source_of, try_connection
from migrations_app.management.tenant_check import TenantCheckCommand
from migrations_app.tenant_checks.findings import Finding, Verdict, note, ok, unknown
from tenants_app.management.base import wrong_usage
from tenants_app.models import ConferencingUser, MailboxConnection
from tenants_app.sentences import sentence

if TYPE_CHECKING:
    from migrations_app.mailboxes.ews.source import EwsSource

_CLOSED = frozenset({"mailbox-forbidden", "mailbox-not-found", "mailbox-outside-policy"})


class Command(TenantCheckCommand):
    help = (
        "Check a connection to Exchange on-premises against the real server: address, certificate, sign-in, "
        "impersonation, one mailbox. Only reads. With --outside it tries whether a mailbox that MMS must not reach is "
        "closed. With --write-to it also tries, on meetings of its own in a test mailbox, what documentation leaves "
        "open, and says before what it will do."
    )
    example = '"Exchange" --user anna@contoso.com --outside ceo@contoso.com --report check.txt'
    kind = MailboxConnection.Kind.EXCHANGE
    title = gettext_noop("Check of Exchange on-premises")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", metavar="UPN", help="a user of MMS whose mailbox is tried")
        parser.add_argument("--outside", metavar="UPN", help="a mailbox that MMS must not reach")
        self.add_writing_arguments(parser, "meetings")

    def handle(self, *args: Any, **options: Any) -> None:
        write_to, attendee, outside = options["write_to"], options["attendee"], options["outside"]
        if not options["user"] and not write_to:
            raise wrong_usage(_("Name a user whose mailbox is tried with --user."))
        self.check_addresses(options)
        tenant = self.tenant(options)
        connection = self.connection(tenant, options)
        user = self.user(tenant, options["user"]) if options["user"] else _somebody(connection, write_to)
        self.check_report(options)
        about = {
            _("Tenant"): tenant.name,
            _("Connection"): connection.name,
            _("Mailbox"): user.upn,
            _("Outside"): outside or "",
            _("Written to"): write_to or _("nothing"),
            _("Attendee"): attendee or "",
        }
        findings = self.tell(_scope(connection, outside))
        # Last, because what it finds is what the page of the connection shows.
        findings += self.tell(_steps(connection, user))
        if not write_to:
            findings += self.tell(_only_writing_tells())
        elif not any(each.verdict == Verdict.FAILED for each in findings):
            findings += self.tell(self._try(_somebody(connection, write_to), attendee))
        self.end(findings, {name: value for name, value in about.items() if value}, options)

    def _try(self, user: ConferencingUser, attendee: str) -> Iterator[Finding]:
        """What only writing tells, in a test mailbox."""
        source = source_of(user)
        from migrations_app.tenant_checks import trying_exchange  # needs an extra, without which there is no source

        self.announce(trying_exchange.announcement(user.upn, attendee))
        with source:
            yield from trying_exchange.check(cast("EwsSource", source), attendee=attendee, now=timezone.now())


def _somebody(connection: MailboxConnection, upn: str) -> ConferencingUser:
    """A user for one look, who need not be one of MMS."""
    return ConferencingUser(tenant=connection.tenant, upn=upn, sip_address=upn.lower(), mailbox=connection)


def _steps(connection: MailboxConnection, user: ConferencingUser) -> Iterator[Finding]:
    """The steps of the connection's own test."""
    for step in try_connection(connection, user):
        verdict = Verdict.FAILED if not step.ok else Verdict.NOTE if step.code else Verdict.OK
        yield Finding(
            STEP_NAMES.get(step.step, step.step), verdict, step.sentence, {"code": step.code} if step.code else {}
        )


def _scope(connection: MailboxConnection, outside: str | None) -> Iterator[Finding]:
    """Is a mailbox that is none of MMS's business closed? By the connection's own test, which ends at what is."""
    if not outside:
        yield unknown(
            sentence("scope"),
            _(
                "Name a mailbox that MMS must not reach with --outside: whether the scope of the role holds "
                "can only be told by trying."
            ),
        )
        return
    steps = list(try_connection(connection, _somebody(connection, outside)))
    closed = next((step for step in steps if not step.ok), None)
    if closed is None:
        yield note(
            sentence("scope"),
            _(
                "The mailbox of %(outside)s can be reached, although it should not be: narrow the management "
                "scope of the role ApplicationImpersonation, wait some minutes, and try again."
            )
            % {"outside": outside},
        )
    elif closed.code in _CLOSED:
        yield ok(
            sentence("scope"),
            _("The mailbox of %(outside)s is closed to MMS, as it should be.") % {"outside": outside},
            code=closed.code,
        )
    else:
        yield unknown(
            sentence("scope"),
            _("Whether the mailbox of %(outside)s is closed cannot be told: %(sentence)s")
            % {"outside": outside, "sentence": closed.sentence},
        )


def _only_writing_tells() -> Iterator[Finding]:
    yield unknown(
        sentence("conditions"),
        sentence(
            "Whether the server refuses a write that comes too late shows only when something is written: --write-to "
            "tries it on a test mailbox."
        ),
    )
    yield unknown(
        sentence("HTML"),
        sentence(
            "How the server stores the text that MMS writes shows only when something is written: --write-to tries it "
            "on a test mailbox."
        ),
    )
    yield unknown(
        sentence("sequence"),
        sentence(
            "Whether the server raises the sequence number, and attendees keep their answers, shows only when "
            "something is written: --write-to tries it on a test mailbox."
        ),
    )
    yield unknown(
        sentence("mails"),
        sentence(
            "How many mails a change sends shows only when something is written: --write-to tries it on a test mailbox."
        ),
    )
