"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from tenants_app.local_times import written_time
from tenants_app.meeting_services import read_meeting_service
from tenants_app.validators import validate_e164
from tenants_app.wording import alternatives, grouped, read_truth

MEETING_SERVICES = "link|teams|none"


def add_format(parser: CommandParser) -> None:
    parser.add_argument(
        "--format", choices=["table", "json", "csv"], default="table", help="how to print it (default: table)"
    )


def add_dry_run(parser: CommandParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what would happen and write nothing")


def read_bytes(path: str) -> bytes:
    """The content of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(
            _("%(path)s cannot be read (%(strerror)s): check the path and its permissions.")
            % {"path": path, "strerror": error.strerror}
        ) from error


def read_text(path: str) -> str:
    """The text of a UTF-8 file, with or without byte order mark, or of standard input for ``-``."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            _("%(path)s is not UTF-8 text (byte %(start)s): save it as UTF-8 and repeat.")
            % {"path": path, "start": grouped(error.start + 1)}
        ) from error
    if "\0" in text:
        raise CommandError(_("%(path)s is not a text file: save it as UTF-8 text and repeat.") % {"path": path})
    return text


def truth(text: str) -> bool:
    """``true`` or ``false`` (also on and off)."""
    try:
        return read_truth(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def either(**words: bool) -> Callable[[str], bool]:
    """One of two words, each of which stands for true or false."""

    def read(text: str) -> bool:
        if text not in words:
            raise argparse.ArgumentTypeError(
                _("%(text)s is not known: write %(words)s.") % {"text": repr(text), "words": alternatives(list(words))}
            )
        return words[text]

    return read


def one_of(words: Sequence[str], what: str) -> Callable[[str], str]:
    """One of these words, whatever its case; ``what`` one is called, with its article, marked for translation."""

    def read(text: str) -> str:
        for word in words:
            if text.lower() == word.lower():
                return word
        raise argparse.ArgumentTypeError(
            _("%(text)s is not %(what)s: use %(words)s.")
            % {"text": repr(text), "what": _(what), "words": ", ".join(words)}
        )

    return read


def e164(text: str) -> str:
    """A telephone number in E.164 form; separators and ``tel:`` may stand in it."""
    number = re.sub(r"[\s().-]", "", text.removeprefix("tel:"))
    try:
        validate_e164(number)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(
            _("%(text)s is not a number. %(messages)s") % {"text": repr(text), "messages": error.messages[0]}
        ) from error
    return number


def from_time(text: str) -> datetime:
    """A moment: ISO 8601, or month/day/year with or without a time; without zone that of the service."""
    return _moment(text, time.min)


def to_time(text: str) -> datetime:
    """A moment as :func:`from_time` reads it; a date without time includes the whole day."""
    return _moment(text, time.max)


def daily_window(text: str) -> tuple[str, str]:
    """Two times of the day, such as ``22:00-6:00``, as they were typed; both empty for none."""
    begin, _dash, end = text.replace("–", "-").partition("-")
    if bool(begin.strip()) != bool(end.strip()):
        raise argparse.ArgumentTypeError(
            _("%(text)s is no daily window: write it as 22:00-6:00.") % {"text": repr(text)}
        )
    return begin.strip(), end.strip()


def meeting_service(text: str) -> str:
    """A meeting service of a tenant (R39)."""
    return _service(text, of_user=False)


def users_meeting_service(text: str) -> str:
    """A meeting service of a user, or ``tenant`` for the tenant's (R39)."""
    return _service(text, of_user=True)


def deployments_meeting_service(text: str) -> str:
    """A meeting service of a deployment, or ``tenant`` where it names none (R60)."""
    return _service(text, of_user=True)


def _service(text: str, *, of_user: bool) -> str:
    try:
        return read_meeting_service(text, of_user=of_user)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def at_least(least: int) -> Callable[[str], int]:
    """A whole number, this or more."""

    def number(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(
                _("%(text)s is not a whole number of at least %(least)s.") % {"text": repr(text), "least": least}
            )
        return int(text)

    return number


def _moment(text: str, time_of_a_date: time) -> datetime:
    moment = written_time(text.strip(), time_of_a_date)
    if moment is not None:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.get_current_timezone())
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            pass
    raise argparse.ArgumentTypeError(
        _("%(text)s is not a time: write 2016-10-01T15:00, 2016-10-01 or 10/1/2016 (month first).")
        % {"text": repr(text)}
    )
