"""What all commands share: whose tenant it is, how bad input is answered, how things are listed.

Exit status: 0 done; 1 the answer is "no" or something failed, with a line on standard error; 2 wrong usage.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from traceback import clear_frames
from typing import Any, NoReturn

from django import db
from django.core.checks import Tags, registry
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.utils.translation import gettext as _

from tenants_app.audit import Actor, Channel
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import lines
from tenants_app.management.listing import MEASURED, as_json, printable, shown, terminal_width
from tenants_app.management.titles import TITLES
from tenants_app.management.usage import usage_sentence
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.signals import Consequence
from tenants_app.wording import escaped, grouped, plain, sentences


class Output(OutputWrapper):
    """Where a command writes to: names of files, cells and meetings cannot steer the terminal (:func:`escaped`)."""

    def write(  # type: ignore[override]  # so is Django's own
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        super().write(escaped(str(msg)), style_func, ending)


class SafeOutput(BaseCommand):
    """A command whose output and complaints are :class:`Output`, wherever Django sets them; wrong usage is one line.

    Of the system checks it makes those of how MMS is installed. The others (``manage.py check``, ``migrate``) are of
    the program: they load every page and template, which takes longer than most commands.
    """

    requires_system_checks = [tag for tag in (Tags.caches, "installation") if registry.registry.tag_exists(tag)]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"stdout", "stderr"} and type(value) is OutputWrapper:
            value = Output(value._out)  # type: ignore[arg-type]
        super().__setattr__(name, value)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)

        def complain(message: str) -> NoReturn:
            options = [each for each in parser._option_string_actions if each.startswith("--")]
            self.refuse_usage(parser, subcommand, escaped(usage_sentence(message, options)))

        parser.error = complain  # type: ignore[method-assign]
        return parser

    def refuse_usage(self, parser: CommandParser, subcommand: str, sentence: str) -> NoReturn:
        """End with one line about wrong usage."""
        if parser.called_from_command_line:
            see = _("See %(command)s.") % {"command": f"python manage.py {subcommand} --help"}
            parser.exit(2, f"{subcommand}: {sentence} {see}\n")
        raise wrong_usage(sentence)


class AdministratorCommand(SafeOutput):
    """A command of an administrator: acts on one tenant and answers bad input in a sentence, without traceback."""

    example = ""
    """Arguments that show how it is used, for the help."""

    acts_on_a_tenant = True

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs["epilog"] = f"Example: python manage.py {subcommand} {self.example}".strip()
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        if self.acts_on_a_tenant:
            parser.add_argument("--tenant", metavar="SLUG", help="needed only when there are several tenants")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            output = super().execute(*args, **options)
            self.stdout.flush()
        except ValidationError as error:
            raise CommandError(sentences(error)) from error
        except db.Error as error:
            raise CommandError(_database_sentence(error)) from error
        except UnicodeEncodeError as error:
            raise _encoding_error(error) from error
        except KeyboardInterrupt as error:
            raise CommandError(_("Stopped."), returncode=130) from error
        except BrokenPipeError as error:
            # The reader, such as head, has enough. Nothing may be written any more, not even by Python when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            clear_frames(error.__traceback__)  # closes the query that was being printed, before its connection
            sys.exit(1)
        return output

    @property
    def actor(self) -> Actor:
        """Who the audit says it was: the account that runs the command."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            name = str(os.getuid())
        return Actor(f"command:{name}", Channel.COMMAND)

    # --- finding ------------------------------------------------------------------------------------------

    def tenant(self, options: Mapping[str, Any]) -> Tenant:
        """The tenant of ``--tenant``, or the only one there is."""
        slug = options["tenant"]
        if slug is not None:
            found = Tenant.objects.filter(slug=slug).first()
            if found is None:
                raise CommandError(_("There is no tenant %(slug)s: get_tenant lists those there are.") % {"slug": slug})
            return found
        tenants = list(Tenant.objects.order_by("slug")[:10])
        if not tenants:
            raise CommandError(_("There is no tenant yet: make one with new_tenant."))
        if len(tenants) > 1:
            raise CommandError(
                _("There are several tenants: choose one with --tenant (%(tenants)s).")
                % {"tenants": ", ".join(t.slug for t in tenants)}
            )
        return tenants[0]

    def user(self, tenant: Tenant, upn: str) -> ConferencingUser:
        return self.users(tenant, [upn])[0]

    def users(self, tenant: Tenant, upns: Sequence[str]) -> list[ConferencingUser]:
        """The tenant's users of these names, each once, in the order asked for."""
        wanted = list(dict.fromkeys(upn.strip().lower() for upn in upns))
        found: dict[str, ConferencingUser] = {}
        for some in batched(wanted):
            rows = ConferencingUser.objects.with_upns(tenant, some).select_related(
                "tenant", "bridge", "toll_number", "toll_free_number", "deployment"
            )
            found |= {user.upn.lower(): user for user in rows}
        missing = [upn for upn in wanted if upn not in found]
        if missing:
            named = {"users": ", ".join(missing[:10]), "tenant": tenant.name, "more": grouped(len(missing) - 10)}
            raise CommandError(
                _("There is no user %(users)s in %(tenant)s: check the spelling, or import the user first.") % named
                if len(missing) <= 10
                else _(
                    "There is no user %(users)s and %(more)s more in %(tenant)s: check the spelling, or import the "
                    "user first."
                )
                % named
            )
        return [found[upn] for upn in wanted]

    def bridge(self, tenant: Tenant, name: str) -> Bridge:
        found = Bridge.objects.filter(tenant=tenant, name__iexact=name.strip()).first()
        if found is None:
            names = ", ".join(tenant.bridges.values_list("name", flat=True)[:10])
            told = {"tenant": tenant.name, "bridge": name, "names": names}
            raise CommandError(
                _("%(tenant)s has no bridge %(bridge)s: choose one of %(names)s.") % told
                if names
                else _("%(tenant)s has no bridge %(bridge)s: make it with set_dial_in_conferencing_bridge.") % told
            )
        return found

    def service_number(self, tenant: Tenant, number: str) -> ServiceNumber:
        found = ServiceNumber.objects.filter(tenant=tenant, number=number).first()
        if found is None:
            raise CommandError(
                _(
                    "%(number)s is not a service number of %(name)s: get_service_number lists them, "
                    "register_service_number adds one."
                )
                % {"number": number, "name": tenant.name}
            )
        return found

    # --- telling ------------------------------------------------------------------------------------------

    def tell_changes(self, target: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """One line per setting that differs between two records of ``target``."""
        changed = [name for name in after if after[name] != before.get(name)]
        for name in changed:
            self.stdout.write(f"{target}: {name} {shown(before.get(name))} → {shown(after[name])}")
        if not changed:
            self.stdout.write(_("%(target)s: nothing changed.") % {"target": target})

    def tell_consequences(self, consequences: Iterable[Consequence]) -> None:
        for consequence in consequences:
            self.stdout.write(f"{consequence.upn}: {consequence.sentence} {consequence.chosen}".rstrip())

    def tell_rehearsal(self, options: Mapping[str, Any]) -> None:
        if options["dry_run"]:
            self.stdout.write(_("Dry run: nothing was written."))

    def list_rows(
        self,
        rows: Iterable[Mapping[str, Any]],
        options: Mapping[str, Any],
        columns: Sequence[str],
        in_table: Sequence[str] | None = None,
        when_empty: str = "",
    ) -> None:
        """Print rows as ``--format`` says; a table shows the columns ``in_table`` only, to fit a screen."""
        if options["format"] == "json":
            self._list_json(rows)
        elif options["format"] == "csv":
            self.stdout.write(lines([columns], "\n"), ending="")
            for some in batched(rows):
                self.stdout.write(lines(([row[name] for name in columns] for row in some), "\n"), ending="")
        else:
            self._list_table(rows, in_table or columns, when_empty)

    def show_record(self, record: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """Print one thing with all its fields as ``--format`` says."""
        if options["format"] == "json":
            self.stdout.write(as_json(record, indent=2))
        elif options["format"] == "csv":
            self.list_rows([record], options, list(record))
        else:
            width = max(map(len, record))
            for name, value in record.items():
                self.stdout.write(f"{name:<{width}} : {printable(plain(value))}".rstrip())

    def _list_json(self, rows: Iterable[Mapping[str, Any]]) -> None:
        opening = "["
        for row in rows:
            self.stdout.write(f"{opening}\n  {as_json(row)}", ending="")
            opening = ","
        self.stdout.write("[]" if opening == "[" else "\n]")

    def _list_table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], when_empty: str) -> None:
        rows = iter(rows)
        first = list(islice(rows, MEASURED))
        if not first:
            self.stdout.write(when_empty or _("There is nothing to list."))
            return
        cells = [[printable(plain(row[name])) for name in columns] for row in first]
        titles = [str(TITLES.get(name, name)) for name in columns]
        widths = [max(map(terminal_width, column)) for column in zip(titles, *cells, strict=True)]
        are_numbers = [type(first[0][name]) is int for name in columns]
        self._write_line(titles, widths, are_numbers)
        self.stdout.write("  ".join("-" * width for width in widths))
        for line in chain(cells, ([printable(plain(row[name])) for name in columns] for row in rows)):
            self._write_line(line, widths, are_numbers)

    def _write_line(self, cells: Sequence[str], widths: Sequence[int], are_numbers: Sequence[bool]) -> None:
        padded = []
        for cell, width, is_number in zip(cells, widths, are_numbers, strict=True):
            padding = " " * (width - terminal_width(cell))
            padded.append(padding + cell if is_number else cell + padding)
        self.stdout.write("  ".join(padded).rstrip())


def wrong_usage(sentence: str) -> CommandError:
    """Options that contradict each other, or lack one another."""
    return CommandError(sentence, returncode=2)


def _encoding_error(error: UnicodeEncodeError) -> CommandError:
    if error.reason == "surrogates not allowed":  # Python's stand-ins for bytes of the command line that are no text
        return wrong_usage(_("%(object)s is not UTF-8 text: give it in UTF-8.") % {"object": repr(error.object)})
    text = error.object[error.start : error.end]
    return CommandError(
        _("The output cannot show %(text)s in %(encoding)s: set PYTHONIOENCODING=utf-8 and look what was done.")
        % {"text": repr(text), "encoding": error.encoding}
    )


def _database_sentence(error: db.Error) -> str:
    first_line = str(error).strip().partition("\n")[0]
    if isinstance(error, db.ProgrammingError) or re.search("no such (table|column)|no column named", first_line):
        return _("The database is not prepared for this version: run python manage.py migrate.")
    if isinstance(error, db.OperationalError | db.InterfaceError):
        return _("The database cannot be used (%(error)s): check DATABASE_URL and that its server runs.") % {
            "error": first_line
        }
    return _("The database refused the change (%(error)s): nothing was written.") % {"error": first_line}
