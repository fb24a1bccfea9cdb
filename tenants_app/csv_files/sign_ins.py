"""The CSV file of users' own sign-ins to their mailboxes."""

from __future__ import annotations

import csv
import io

from django.core.exceptions import ValidationError

COLUMNS = ("UserPrincipalName", "Username", "Password")
"""The columns of the file. An empty user name is the UPN; an empty password removes the sign-in."""


def read_sign_ins(text: str) -> list[tuple[str, str, str]]:
    """The rows of the file; raises ``ValidationError`` with a sentence for one that cannot be used."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValidationError(f"The file must begin with the line {','.join(COLUMNS)}: correct it and repeat.")
    rows = []
    for row in reader:
        cells = [row[name] for name in COLUMNS]
        if None in row or None in cells or not cells[0].strip():
            raise ValidationError(f"Line {reader.line_num}: expected {', '.join(COLUMNS)}. Nothing was written.")
        upn, username, password = cells
        rows.append((upn.strip(), username.strip(), password))
    return rows
