"""The CSV file of users' own sign-ins to their mailboxes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from django.core.exceptions import ValidationError

from tenants_app.sentences import sentence

COLUMNS = ("UserPrincipalName", "Username", "Password")
"""The columns of the file. An empty user name is the UPN; an empty password removes the sign-in."""


def read_sign_ins(text: str) -> list[tuple[str, str, str]]:
    """The rows of the file; raises ``ValidationError`` with a sentence for one that cannot be used."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        return list(_rows(reader))
    except csv.Error:
        raise ValidationError(
            sentence(
                "Line %(line)s: this is no CSV, or a cell is too long: correct the file and repeat.",
                line=reader.reader.line_num,
            )
        ) from None


def _rows(reader: csv.DictReader[str]) -> Iterator[tuple[str, str, str]]:
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValidationError(
            sentence("The file must begin with the line %(columns)s: correct it and repeat.", columns=",".join(COLUMNS))
        )
    for row in reader:
        cells = [row[name] for name in COLUMNS]
        if None in row or None in cells or not cells[0].strip():
            raise ValidationError(
                sentence(
                    "Line %(line)s: expected %(columns)s. Nothing was written.",
                    line=reader.line_num,
                    columns=", ".join(COLUMNS),
                )
            )
        upn, username, password = cells
        yield upn.strip(), username.strip(), password
