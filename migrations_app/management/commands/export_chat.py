from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Level, Manifest
from migrations_app.chat.disabling import lines_that_disable
from migrations_app.chat.exporting import Asked, ExportRefused, export, why_refused
from migrations_app.chat.sources.file_store import FileStore, Listed
from migrations_app.chat.sources.of_path import KINDS, open_source
from migrations_app.management.whole_file import not_written, replace
from tenants_app.audit import entry
from tenants_app.csv_files.cells import lines
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.wording import grouped

SHOWN_PROBLEMS = 20


def _source(text: str) -> tuple[str, Path]:
    kind, colon, path = text.partition(":")
    if not colon or kind not in KINDS or not path:
        raise ArgumentTypeError(
            _("%(given)s is not KIND:PATH, where KIND is one of %(kinds)s") % {"given": text, "kinds": ", ".join(KINDS)}
        )
    return kind, Path(path)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(_("%(given)s is not a day such as 2012-01-31") % {"given": text}) from None


class Command(AdministratorCommand):
    help = (
        "Read persistent chat from a source and write it as a chat archive. The source is an archive (mms-chat), a "
        "folder of tables (mgc-tables), or files of the compliance service (compliance-xml); nothing is written to it."
    )
    example = "--source mgc-tables:tables/ --output chat.zip --files store/"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--source", required=True, metavar="KIND:PATH", type=_source, help=", ".join(KINDS))
        parser.add_argument("--output", required=True, metavar="FILE.zip", type=Path)
        parser.add_argument(
            "--level", choices=[str(level) for level in Level], default=str(Level.ALL), help="how much (default: All)"
        )
        parser.add_argument(
            "--scope", nargs="+", metavar="NAME", default=[], help="only these categories, with their rooms"
        )
        parser.add_argument("--start-date", metavar="DATE", type=_day, help="only messages from that day on (UTC)")
        parser.add_argument("--include-disabled", action="store_true", help="also rooms that are disabled")
        parser.add_argument(
            "--disable-exported",
            action="store_true",
            help="also write FILE.disable.ps1, which disables the exported rooms at the source",
        )
        parser.add_argument("--files", metavar="PATH", type=Path, help="a copy of the file store of the source")
        parser.add_argument(
            "--leave-out", nargs="+", metavar="ROOM", default=[], help="rooms to leave out with their bad lines, by id"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        if output.suffix.lower() != ".zip":
            raise wrong_usage(_("Let the name of the archive end in .zip: %(name)s.") % {"name": output.name})
        asked = Asked(
            Level(options["level"]),
            tuple(options["scope"]),
            options["start_date"],
            options["include_disabled"],
            options["disable_exported"],
        )
        refused = why_refused(asked)
        if refused:
            raise wrong_usage(refused)
        if not output.parent.is_dir():
            raise CommandError(_("There is no folder %(path)s: make it first.") % {"path": output.parent})
        tenant = self.tenant(options)
        try:
            with TemporaryDirectory(prefix=".export-", dir=output.parent) as scratch:
                folder = Path(scratch) / "archive"
                manifest = self._export(asked, folder, Path(scratch), options)
                pack(folder, output)
                if asked.disable_exported:
                    with open_archive(folder, check=False) as archive:
                        replace(output.with_suffix(".disable.ps1"), lines_that_disable(archive))
        except Unusable as unusable:
            raise self._unusable(unusable) from None
        except ExportRefused as error:
            raise CommandError(str(error.sentence)) from None
        except OSError as error:
            raise not_written(output, error) from error
        entry(
            tenant,
            self.actor,
            "export chat",
            output.name,
            after={"source": manifest.source, "level": manifest.level.value, **manifest.counts},
        ).save()
        self._tell(manifest, output)

    def _export(self, asked: Asked, folder: Path, scratch: Path, options: dict[str, Any]) -> Manifest:
        kind, path = options["source"]
        output: Path = options["output"]
        with ExitStack() as stack:
            store = stack.enter_context(FileStore(options["files"])) if options["files"] else None
            source = stack.enter_context(open_source(kind, path, scratch=scratch, leave_out=options["leave_out"]))
            manifest = export(source, folder, asked, store=store)
            if store is not None:
                replace(output.with_suffix(".files.csv"), _as_csv(store.differences()))
        return manifest

    def _unusable(self, unusable: Unusable) -> CommandError:
        """Each problem, up to a screenful; nothing was written."""
        for problem in unusable.problems[:SHOWN_PROBLEMS]:
            self.stderr.write(str(problem))
        more = unusable.count - SHOWN_PROBLEMS
        told = ngettext(
            "%(count)s problem: nothing was written.", "%(count)s problems: nothing was written.", unusable.count
        )
        told %= {"count": grouped(unusable.count)}
        if more > 0:
            told += " " + ngettext("%(count)s of them is not shown.", "%(count)s of them are not shown.", more) % {
                "count": grouped(more)
            }
        return CommandError(told)

    def _tell(self, manifest: Manifest, output: Path) -> None:
        counts = {name: grouped(count) for name, count in manifest.counts.items()}
        self.stdout.write(
            _("Written to %(path)s: %(rooms)s rooms, %(messages)s messages, %(files)s files, %(users)s people.")
            % {"path": output, **counts}
        )
        if manifest.counts["left_out"]:
            self.stdout.write(
                ngettext(
                    "%(count)s message is older than the start date, and was left out.",
                    "%(count)s messages are older than the start date, and were left out.",
                    manifest.counts["left_out"],
                )
                % {"count": counts["left_out"]}
            )
        for note in manifest.notes:
            self.stdout.write(str(note))


def _as_csv(differences: Iterator[Listed]) -> Iterator[bytes]:
    """What does not fit together between links and files (R119)."""
    yield lines([Listed._fields], "\r\n").encode()
    for row in differences:
        yield lines([row], "\r\n").encode()
