from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.management.foreseen_meetings import ForeseeingCommand
from migrations_app.management.planning import add_when, when_of
from migrations_app.management.planning import told as told_when
from migrations_app.management.tool_command import by_command
from migrations_app.meeting_services.of_user import why_no_target
from migrations_app.models import Plan, Run
from migrations_app.monitoring.health import workers
from migrations_app.preview.many_users import EndedUndos
from migrations_app.preview.meetings import foresee_meetings
from migrations_app.procedures.bulk_actions import perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs.actions import start_by_hand, told
from migrations_app.runs.out_of_date import in_chunks, users_out_of_date
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.plans import When
from migrations_app.runs.starts import decide_starts
from migrations_app.targets import ALL, CURRENT, SOURCE_TYPES, TARGET_TYPES, Targets
from tenants_app.bulk import batched
from tenants_app.management.arguments import one_of, read_text
from tenants_app.management.base import wrong_usage
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import Consequence
from tenants_app.wording import counted, grouped

NAMED = 20
"""Up to this many users out of date are listed by name. Of more, only numbers of users are printed."""

POLL_SECONDS = 0.5
ENDED = {Run.State.SUCCEEDED, Run.State.FAILED}

_UNSEEN = gettext_noop(
    "MMS has not looked into this mailbox yet: wait until the background service has, or let run_migrations "
    "--until-idle do it, and try again."
)


class Command(ForeseeingCommand):
    help = (
        "Start migrations by hand, for some users, for a list, or for everybody whose invitations do not say what "
        "their settings ask for. Users who cannot be served are named and left out, which migrate_calendar is for; the "
        "exit status is then 1."
    )
    example = "--user anna@contoso.com bruno@contoso.com --now --wait"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        users = parser.add_mutually_exclusive_group(required=True)
        users.add_argument("--user", nargs="+", action="extend", metavar="UPN", help="may be given several times")
        users.add_argument(
            "--users-from",
            metavar="FILE",
            help="a file (- for standard input) with one UPN per line, or CSV with a column UserPrincipalName",
        )
        users.add_argument(
            "--out-of-date",
            action="store_true",
            help=f"everybody who is out of date; more than {NAMED} are told as numbers of users, not by name",
        )
        parser.add_argument(
            "--source-meeting-type",
            type=one_of(SOURCE_TYPES, gettext_noop("a source meeting type")),
            metavar="|".join(SOURCE_TYPES),
            help=f"whose meetings to look at; all others are left alone (default: {ALL})",
        )
        parser.add_argument(
            "--target-meeting-type",
            type=one_of(TARGET_TYPES, gettext_noop("a target meeting type")),
            metavar="|".join(TARGET_TYPES),
            help=f"where they are afterwards: {CURRENT} keeps each meeting and its join link, and puts right what is "
            "wrong beside it; a service's name gives the meetings that are not in it a new join link there (default: "
            f"{CURRENT})",
        )
        parser.add_argument("--now", action="store_true", help="do not wait for the tenant's settling time")
        add_when(parser)
        parser.add_argument(
            "--wait", action="store_true", help="wait until the runs have ended; exit status 1 if one failed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"] and options["wait"]:
            raise wrong_usage(_("A dry run starts nothing to wait for: leave out --dry-run or --wait."))
        if options["wait"] and (options["not_before"] or options["between"]):
            raise wrong_usage(_("What is planned is not waited for: leave out --wait, or --not-before and --between."))
        self.check_format(options)
        tenant, targets = self.tenant(options), _targets(options)
        when = when_of(tenant, options)
        for service in targets.services if targets else ():
            if refusal := why_no_target(tenant, service):
                raise CommandError(refusal)
        only_decides = options["dry_run"] or when is not None
        consequences, started, undos = self._start(tenant, targets, options, only_decides=only_decides)
        if options["out_of_date"] and not consequences and options["format"] == "table":
            self.stdout.write(_("Nobody is out of date."))
            return
        if undos:
            out = self.stdout if options["format"] == "table" else self.stderr
            out.write(EndedUndos(len(undos), tuple(undos[:NAMED])).sentence)
        is_named = len(consequences) <= NAMED or not options["out_of_date"]
        problems = [(each.upn, by_command(each.sentence)) for each in consequences if not each.starts_run]
        if options["dry_run"]:
            problems += self._preview(started, options)
        else:
            runs = [(each.upn, each.sentence) for each in consequences if each.starts_run]
            if when and started:
                self.stdout.write(self._plan(tenant, list(started), targets, when))
            for line in _lines(runs, is_named):
                self.stdout.write(line)
            if options["wait"] and started:
                problems += self._wait(list(started))
        if len(problems) == 1:
            raise CommandError("{}: {}".format(*problems[0]))
        for line in _lines(problems, is_named):
            self.stderr.write(line)
        if problems:
            everybody = counted(len(consequences), "user")
            raise CommandError(
                _("%(count)s of %(everybody)s failed or refused: see above.")
                % {"count": grouped(len(problems)), "everybody": everybody}
            )

    def _plan(self, tenant: Tenant, users: Sequence[int], targets: Targets | None, when: When) -> str:
        """Plan what would start now, for the users by key; what to say of it."""
        chosen = ConferencingUser.objects.filter(pk__in=users)
        options = {"targets": targets.stored if targets else None}
        action = perform(tenant, KINDS["start"], chosen, self.actor, options=options, when=when)
        return told_when(cast(Plan, action.plan))

    def _start(
        self, tenant: Tenant, targets: Targets | None, options: Mapping[str, Any], *, only_decides: bool
    ) -> tuple[list[Consequence], dict[int, Targets], list[str]]:
        """Start the runs, or only decide about each.

        Returns the answers, whose runs started, with the targets of each, since a run that was pending keeps its own,
        and whose undo that ends.
        """
        consequences: list[Consequence] = []
        undos: list[str] = []
        started: dict[int, Targets] = {}
        for users in self._chunks(tenant, options):
            if only_decides:
                starts = decide_starts(tenant, users, self.actor, targets)
                consequences += told([(start.user, start.decision) for start in starts])
                started |= {start.user.pk: start.targets for start in starts if start.decision.starts_run}
                undos += [start.user.upn for start in starts if start.user.undo_holds and start.decision.starts_run]
                continue
            with transaction.atomic():
                answers = start_by_hand(tenant, users, self.actor, targets=targets, now_due=options["now"])
                accepted = {consequence.upn for consequence in answers if consequence.starts_run}
                pks = [user.pk for user in users if user.upn in accepted]
                started |= _targets_of_pending(pks)
            consequences += answers
            undos += [user.upn for user in users if user.undo_holds and user.upn in accepted]
        return consequences, started, undos

    def _chunks(self, tenant: Tenant, options: Mapping[str, Any]) -> Iterable[list[ConferencingUser]]:
        """The users that are asked for: all at once where they are named, in chunks where they are all out of date."""
        if options["out_of_date"]:
            return in_chunks(users_out_of_date(tenant))
        upns = options["user"] if options["user"] is not None else _upns(read_text(options["users_from"]))
        if not upns:
            raise CommandError(
                _("%(users_from)s names no user: write one UPN per line.") % {"users_from": options["users_from"]}
            )
        return [self.users(tenant, upns)]

    def _preview(self, started: Mapping[int, Targets], options: Mapping[str, Any]) -> list[tuple[str, str]]:
        """List what runs would do; a sentence for each that would fail."""
        problems: list[tuple[str, str]] = []
        are_listed = False

        def outcomes() -> Iterator[Outcome]:
            nonlocal are_listed
            for user in _load(list(started)):
                try:
                    if _is_unseen(user):
                        problems.append((user.upn, _(_UNSEEN)))
                        continue
                    for outcome in foresee_meetings(user, started[user.pk]):
                        are_listed = True
                        yield outcome
                except Failure as failure:
                    problems.append((user.upn, describe(failure.code, failure.detail)))

        self.list_meetings(outcomes(), options)
        if not are_listed and not problems and options["format"] == "table":
            self.stdout.write(_("There is no meeting to look at."))
        return problems

    def _wait(self, users: Sequence[int]) -> list[tuple[str, str]]:
        """Show how the users' runs go on until all have ended; a sentence for each that failed."""
        runs = _latest_runs(users)
        if workers().are_silent:
            self.stderr.write(
                _("No worker has been seen lately: start the cluster, or run_migrations in another window.")
            )
        shown = ""
        while True:
            states = _states(runs)
            line = ", ".join(f"{state} {states[state]:,}" for state in Run.State.values)
            if line != shown:
                self.stdout.write(line)
                self.stdout.flush()
                shown = line
            if sum(states.values()) == sum(states[state] for state in ENDED):
                break
            time.sleep(POLL_SECONDS)
        problems = []
        for pks in batched(runs):
            failed = Run.objects.filter(pk__in=pks, state=Run.State.FAILED)
            problems += [(run.user.upn, run.last_error_message) for run in failed.select_related("user")]
        return problems


def _is_unseen(user: ConferencingUser) -> bool:
    """Whether the user's meetings are in a mail system where MMS has not looked for them yet. Raises ``Failure``."""
    as_of = mailbox_of(user).as_of
    return as_of is not None and as_of.scanned_at is None


def _targets(options: Mapping[str, Any]) -> Targets | None:
    """Those of the types that were given; None where none was."""
    source, target = options["source_meeting_type"], options["target_meeting_type"]
    return Targets.of_types(source or ALL, target or CURRENT) if source or target else None


def _targets_of_pending(users: Sequence[int]) -> dict[int, Targets]:
    """The targets of the users' pending runs, by user, in the order asked for."""
    found: dict[int, Targets] = {}
    for pks in batched(users):
        pending = Run.objects.filter(user__in=pks, state=Run.State.PENDING)
        stored = dict(pending.values_list("user_id", "targets"))
        found |= {pk: Targets.of(stored[pk]) for pk in pks}
    return found


def _upns(text: str) -> list[str]:
    """The names in a list: one per line with # comments, or the column UserPrincipalName of a CSV file."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and "userprincipalname" in lines[0].lower():
        delimiter = ";" if lines[0].count(";") > lines[0].count(",") else ","
        rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
        header = [cell.strip().lower() for cell in next(rows)]
        if "userprincipalname" in header:
            column = header.index("userprincipalname")
            return [row[column].strip() for row in rows if len(row) > column and row[column].strip()]
    return [line.partition("#")[0].strip() for line in lines]


def _lines(told: Sequence[tuple[str, str]], is_named: bool) -> list[str]:
    """What is printed: a line for each user, or for many one line per sentence with the number of users."""
    if is_named:
        return [f"{upn}: {sentence}" for upn, sentence in told]
    of_sentence: dict[str, list[str]] = {}
    for upn, sentence in told:
        of_sentence.setdefault(sentence, []).append(upn)
    return [
        f"{upns[0] if len(upns) == 1 else counted(len(upns), 'user')}: {sentence}"
        for sentence, upns in of_sentence.items()
    ]


def _load(users: Sequence[int]) -> Iterator[ConferencingUser]:
    for pks in batched(users):
        found = ConferencingUser.objects.select_related(
            "tenant", "bridge", "toll_number", "toll_free_number", "mailbox"
        ).in_bulk(pks)
        yield from (found[pk] for pk in pks if pk in found)


def _latest_runs(users: Sequence[int]) -> list[int]:
    runs: list[int] = []
    for pks in batched(users):
        runs += Run.objects.filter(user__in=pks, is_latest=True).values_list("pk", flat=True)
    return runs


def _states(runs: Sequence[int]) -> Counter[str]:
    states: Counter[str] = Counter()
    for pks in batched(runs):
        states.update(Run.objects.filter(pk__in=pks).values_list("state", flat=True))
    return states
