"""Lists that people take from a legacy deployment: its accounts, and its conference directories (R88).

MMS cannot ask the pool. Somebody exports what it says, such as with ``Get-CsUser | Select-Object SipAddress |
Export-Csv``, and gives the file here; an empty one says that there is nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import TakenListing
from migrations_app.monitoring import clock
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import lock
from tenants_app.csv_files.cells import decoded, restored
from tenants_app.models import Deployment
from tenants_app.sentences import sentence, sentence_plural

VALID_FOR = timedelta(hours=24)
"""How old a listing of accounts may be (R88)."""
KEPT = 200
"""Entries of a listing that are kept to be shown."""
LONGEST_FILE = 20_000_000
"""Octets of a file: some hundred thousand accounts."""

ACCOUNT_COLUMNS = ("SipAddress", "UserPrincipalName", "Identity", "DisplayName", "Name")
"""Of a listing of accounts one of these columns names them; others may stand there too."""
DIRECTORY_COLUMNS = ("ConferenceDirectory", "OwnerBefore", "OwnerAfter")

_ACCOUNT_NAMES = {name.lower(): name for name in ACCOUNT_COLUMNS}
_DIRECTORY_NAMES = {name.lower(): name for name in DIRECTORY_COLUMNS}


@transaction.atomic
def take(deployment: Deployment, kind: TakenListing.Kind, octets: bytes, source: str, actor: Actor) -> TakenListing:
    """Keep a listing as evidence; whoever gives it says that it is the whole of it.

    Raises ``ValidationError`` where the file is not such a listing.
    """
    lock(deployment.tenant)
    entries = _READ[kind](octets)
    is_open = _IS_OPEN[kind]
    opened = [each for each in entries if is_open(each)]
    ordered = [*opened, *(each for each in entries if not is_open(each))]
    taken = TakenListing.objects.create(
        deployment=deployment,
        kind=kind,
        at=clock.now(),
        by=actor.name,
        source=source[:200],
        count=len(entries),
        open_count=len(opened),
        entries=ordered[:KEPT],
    )
    after = {"kind": str(kind), "entries": len(entries), "open": len(opened), "file": source[:200]}
    told = told_of(taken)
    entry(deployment.tenant, actor, "record listing", deployment.name, after=after, consequence=told).save()
    return taken


def latest(deployment: Deployment, kind: TakenListing.Kind) -> TakenListing | None:
    """The newest one, which counts."""
    return TakenListing.objects.filter(deployment=deployment, kind=kind).first()


def is_too_old(taken: TakenListing, now: datetime) -> bool:
    """Whether it says nothing about the deployment as it is now; one of a clock that was ahead does neither."""
    return not now - VALID_FOR <= taken.at <= now + clock.TOLERANCE


def told_of(taken: TakenListing) -> str:
    """What it says, in one sentence."""
    if taken.kind == TakenListing.Kind.ACCOUNTS:
        if not taken.count:
            return sentence("The listing of accounts is empty.")
        return sentence_plural(
            "The listing has %(n)s account: move it, and take a new listing.",
            "The listing has %(n)s accounts: move them, and take a new listing.",
            taken.count,
        )
    if not taken.count:
        return sentence("The deployment has no conference directories.")
    if not taken.open_count:
        return sentence_plural(
            "%(n)s conference directory has been moved.",
            "%(n)s conference directories have been moved.",
            taken.count,
        )
    return sentence_plural(
        "%(n)s conference directory has not been moved: use Move-CsConferenceDirectory, and take a new list.",
        "%(n)s conference directories have not been moved: use Move-CsConferenceDirectory, and take a new list.",
        taken.open_count,
    )


# --- reading ------------------------------------------------------------------------------------------


def _accounts(octets: bytes) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for row in _rows(octets, _ACCOUNT_NAMES, least=1):
        name = next((row[column] for column in ACCOUNT_COLUMNS if row.get(column)), "")
        # A row of an account without any of the names counts as one all the same: better one too many than one too few.
        found.setdefault(name.lower() or f"#{len(found)}", [name[:320]])
    return list(found.values())


def _directories(octets: bytes) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for row in _rows(octets, _DIRECTORY_NAMES, least=len(DIRECTORY_COLUMNS)):
        found[row["ConferenceDirectory"].lower()] = [row[name][:300] for name in DIRECTORY_COLUMNS]
    return list(found.values())


def _rows(octets: bytes, names: Mapping[str, str], least: int) -> Iterator[dict[str, str]]:
    """The rows of the file by the names of the columns that are known; none of an empty file."""
    if len(octets) > LONGEST_FILE:
        raise ValidationError(
            sentence(
                "The file is larger than %(most)s MB: export the columns that name the entries alone.",
                most=LONGEST_FILE // 1_000_000,
            )
        )
    lines = _text(octets).splitlines(keepends=True)
    while lines and (not lines[0].strip() or lines[0].startswith("#TYPE")):  # which older Export-Csv begins with
        del lines[0]
    if not lines:
        return
    delimiter = max(",;\t", key=lines[0].count)
    reader = csv.reader(io.StringIO("".join(lines)), delimiter=delimiter)
    try:
        header = [names.get(restored(cell).lower(), "") for cell in next(reader)]
        if len(set(header) - {""}) < least:
            raise ValidationError(
                sentence(
                    "The first line must name the columns, and %(columns)s must be among them.",
                    columns=", ".join(dict.fromkeys(names.values())),
                )
                if least > 1
                else sentence(
                    "The first line must name the columns, and one of %(columns)s must be among them.",
                    columns=", ".join(dict.fromkeys(names.values())),
                )
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(header) - len(cells))]
                yield {name: restored(cell) for name, cell in zip(header, padded, strict=False) if name}
    except csv.Error as error:
        raise ValidationError(
            sentence("Line %(line)s of the file cannot be read as CSV: correct it.", line=reader.line_num)
        ) from error


def _text(octets: bytes) -> str:
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:  # what PowerShell writes as Unicode
        try:
            return octets.decode("utf-16")
        except UnicodeDecodeError:
            pass
    return decoded(octets)


def _is_not_moved(entry: list[str]) -> bool:
    _, before, after = entry
    return not after or after.lower() == before.lower()


_READ: dict[str, Callable[[bytes], list[list[str]]]] = {
    TakenListing.Kind.ACCOUNTS: _accounts,
    TakenListing.Kind.DIRECTORIES: _directories,
}
_IS_OPEN: dict[str, Callable[[list[str]], bool]] = {
    TakenListing.Kind.ACCOUNTS: lambda entry: True,
    TakenListing.Kind.DIRECTORIES: _is_not_moved,
}
