"""Users from a CSV file: every row is checked before anything is written, then they are written piece by piece.

A piece is one transaction, and short, so that nobody waits long for what it locks (on SQLite the whole database). Where
an import ends between two pieces, the same file goes on with the rest: what is written already differs no more.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError

from tenants_app.audit import Actor, Channel, entry
from tenants_app.bulk import batched
from tenants_app.catalogue import TOLL_NUMBER, USER_SETTINGS, UserSetting
from tenants_app.changes.conference_ids import own_conference_ids
from tenants_app.changes.users import (
    UserEdit,
    UserEffect,
    change_in_batches,
    create_in_batches,
    foresee_new_users,
    foresee_users,
)
from tenants_app.csv_files.cells import restored
from tenants_app.csv_files.user_columns import COLUMN_OF_FIELD, COLUMNS, UPN, CellReader, Row
from tenants_app.models import ConferenceId, ConferencingUser, Tenant
from tenants_app.records import written
from tenants_app.sentences import sentence
from tenants_app.wording import id_in_words, plain, runs_started, sentences

CREATE = "create"
NEW_USER = sentence("No run, because the user is new.")

SHOWN_IGNORED = 30
"""Columns."""

PIECE = 500
"""Users that are written in one transaction: as many as one statement takes."""

Progress = Callable[[str, int, int], None]
"""Is told what happened ("checked", "created", "changed") to how many of how many rows."""


def _untold(happened: str, done: int, total: int) -> None:
    """For imports that tell nobody how far they are."""


@dataclass(slots=True)
class Plan:
    """What an import will do. ``bad_rows`` are (line number, sentence), and ``lines`` where the row of a user begins,
    by their name in lower case."""

    new_users: list[dict[str, Any]] = field(default_factory=list)
    edits: list[UserEdit] = field(default_factory=list)
    edit_lines: list[int] = field(default_factory=list)
    """The line of each edit."""
    unchanged: int = 0
    bad_rows: list[tuple[int, str]] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    wanted_ids: set[str] = field(default_factory=set)
    """Conference IDs that rows ask for: nobody else is given one of these, in whichever piece."""
    ignored: list[str] = field(default_factory=list)
    """The names of columns that MMS does not know, as they stand in the file."""
    before: int = 0
    total: int = 0
    """Of a piece: how many rows of its kind come before it, and how many there are."""

    @property
    def bad(self) -> int:
        """How many rows cannot be used."""
        return len({line for line, _ in self.bad_rows})

    def name_users(self) -> None:
        """Put the user before each sentence about a bad row, where nobody has seen the lines."""
        users = {line: upn for upn, line in self.lines.items()}
        self.bad_rows = [(line, f"{users.get(line, '')}: {sentence}".lstrip(": ")) for line, sentence in self.bad_rows]

    def pieces(self) -> Iterator[Plan]:
        """The plan in parts, each for one transaction; at least one."""
        new, old = batched(self.new_users, PIECE), batched(self.edits, PIECE)
        parts = [Plan(new_users=some, before=at * PIECE, total=len(self.new_users)) for at, some in enumerate(new)]
        parts += [
            Plan(
                edits=some,
                edit_lines=self.edit_lines[at * PIECE : at * PIECE + len(some)],
                before=at * PIECE,
                total=len(self.edits),
            )
            for at, some in enumerate(old)
        ]
        for part in parts or [Plan()]:
            yield replace(part, lines=self.lines, wanted_ids=self.wanted_ids)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a row makes of its user, and what that leads to."""

    line: int
    upn: str
    values: tuple[tuple[str, str, str], ...]
    """Each column that differs, with what it was and what it is; none for a new user."""
    starts_run: bool
    sentence: str

    @property
    def change(self) -> str:
        return "; ".join(f"{column} {before} → {after}" for column, before, after in self.values) or CREATE


@dataclass(slots=True)
class Outcome:
    """What an import did: numbers of users, and what differs row by row."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    differences: list[Difference] = field(default_factory=list)
    """In the order in which users are written: new ones first."""
    users_with_run: list[int] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        """Count what another piece did as well."""
        self.created += other.created
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.differences += other.differences
        self.users_with_run += other.users_with_run

    @property
    def by_line(self) -> list[Difference]:
        """The differences in the order of the file."""
        return sorted(self.differences, key=lambda difference: difference.line)

    @property
    def by_sentence(self) -> list[tuple[str, bool, int]]:
        """What the differences lead to: the sentence, whether it means a run, and for how many users; most first."""
        found = Counter((difference.sentence, difference.starts_run) for difference in self.by_line)
        return [(sentence, starts_run, count) for (sentence, starts_run), count in found.most_common()]

    @property
    def by_column(self) -> dict[str, int]:
        """For how many users that were there each column differs, in the order of the columns."""
        found = Counter(column for difference in self.differences for column, _, _ in difference.values)
        return {column: found[column] for column in COLUMNS if column in found}


def plan(tenant: Tenant, text: str, progress: Progress = _untold, changed_to: int = 0) -> Plan:
    """Check all rows. It locks nothing; :func:`carry_out` looks once more at what somebody may have changed meanwhile.

    Up to the line ``changed_to`` users were changed already, and are not changed again: what followed from a row, such
    as another provider (R14), may differ from what stands in it.

    Raises ``ValidationError`` where the file as a whole cannot be used.
    """
    file = UserFile(text)
    total = file.count()
    reader = CellReader(Tenant.objects.get(pk=tenant.pk))
    planned = Plan(ignored=file.ignored)
    good: list[Row] = []
    for batch in batched(_rows(file, planned)):
        users = ConferencingUser.objects.with_upns(tenant, [row.upn for row in batch]).prefetch_related(
            "bridge__numbers", "toll_number", "toll_free_number", "deployment"
        )
        found = {user.upn.lower(): user for user in users}
        own_ids = own_conference_ids(users)
        for row in batch:
            user = found.get(row.upn.lower())
            try:
                reader.check(row, user, own_ids.get(user.pk) if user else None)
            except ValidationError as error:
                planned.bad_rows.append((row.line, sentences(error, COLUMN_OF_FIELD)))
            else:
                good.append(row)
            row.cells = {}
        progress("checked", file.rows_read, total)
    for row in _with_free_conference_ids(good, planned):
        if row.user_pk is None:
            planned.new_users.append(row.values)
        elif row.values and row.line > changed_to:
            planned.edits.append(UserEdit(row.user_pk, row.values))
            planned.edit_lines.append(row.line)
        else:
            planned.unchanged += 1
        planned.wanted_ids.add(row.conference_id)
    return planned


def carry_out(tenant: Tenant, piece: Plan, actor: Actor, progress: Progress = _untold) -> Outcome:
    """Write one piece of what was planned, in a transaction of the caller. Returns what it changed and what follows.

    Raises ``ValidationError`` where a row cannot be written any more.
    """
    actor = actor.through(Channel.IMPORT)
    outcome = Outcome()
    for users in create_in_batches(tenant, piece.new_users, actor, kept_free=piece.wanted_ids):
        _note_created(piece, outcome, users, progress)
    for effects in change_in_batches(tenant, piece.edits, actor, kept_free=piece.wanted_ids) if piece.edits else ():
        _note_changed(piece, outcome, effects, progress)
    return outcome


def foresee(tenant: Tenant, piece: Plan, progress: Progress = _untold) -> Outcome:
    """What :func:`carry_out` would change and lead to, by the same checks; locks and writes nothing."""
    outcome = Outcome()
    for users in foresee_new_users(tenant, piece.new_users, kept_free=piece.wanted_ids):
        _note_created(piece, outcome, users, progress)
    for effects in foresee_users(tenant, piece.edits, kept_free=piece.wanted_ids) if piece.edits else ():
        _note_changed(piece, outcome, effects, progress)
    return outcome


def _note_created(piece: Plan, outcome: Outcome, users: Sequence[ConferencingUser], progress: Progress) -> None:
    outcome.created += len(users)
    outcome.differences += [Difference(piece.lines[user.upn.lower()], user.upn, (), False, NEW_USER) for user in users]
    progress("created", piece.before + outcome.created, piece.total)


def _note_changed(piece: Plan, outcome: Outcome, effects: Sequence[UserEffect], progress: Progress) -> None:
    differing = [effect for effect in effects if effect.after]
    outcome.changed += len(differing)
    outcome.unchanged += len(effects) - len(differing)
    outcome.differences += [_difference(piece.lines[effect.upn.lower()], effect) for effect in differing]
    outcome.users_with_run += [effect.change.user.pk for effect in differing if effect.consequence.starts_run]
    progress("changed", piece.before + outcome.changed + outcome.unchanged, piece.total)


def note(tenant: Tenant, actor: Actor, file_name: str, created: int, changed: int, runs: int) -> None:
    """Enter the import itself in the audit, in the transaction of its last piece."""
    if created or changed:
        did = {"created": created, "changed": changed}
        told = runs_started(runs)
        entry(tenant, actor.through(Channel.IMPORT), "import users", file_name, {}, did, told).save()


def _difference(line: int, effect: UserEffect) -> Difference:
    told = effect.consequence
    values = tuple(
        (setting.name, _said(setting, effect.before[setting.field]), _said(setting, effect.after[setting.field]))
        for setting in USER_SETTINGS
        if setting.field in effect.after
    )
    return Difference(line, told.upn, values, told.starts_run, _shared(told.sentence))


@lru_cache(maxsize=1000)
def _shared(told: str) -> str:
    """The same sentence of many users, kept once."""
    return told


def _said(setting: UserSetting, value: Any) -> str:
    """A value of the setting as the audit has it, for people."""
    if setting == TOLL_NUMBER and value is None:
        return sentence("the bridge's default")
    return plain(id_in_words(written(setting.kind, value))) or sentence("none")


def ignored_in_words(names: Sequence[str]) -> str:
    """Which columns are ignored, in one sentence; empty where there is none."""
    if not names:
        return ""
    shown = ", ".join(str(name[:60] or sentence("one without a name")) for name in names[:SHOWN_IGNORED])
    if len(names) > SHOWN_IGNORED:
        return sentence(
            "Ignored, because MMS knows no such column: %(names)s and %(more)s more.",
            names=shown,
            more=len(names) - SHOWN_IGNORED,
        )
    return sentence("Ignored, because MMS knows no such column: %(names)s.", names=shown)


# --- the file -----------------------------------------------------------------------------------------


class UserFile:
    """A CSV file about users whose header can be used; raises ``ValidationError`` where it cannot."""

    def __init__(self, text: str, known: Collection[str] = COLUMNS, needed: Collection[str] = (UPN,)) -> None:
        """``known`` are the columns that it may have, and ``needed`` those of them that it must have."""
        header_line = text.partition("\n")[0]
        self.delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
        self.text = text
        self.rows_read = 0
        self.columns: list[str] = []
        """The name of each; empty where MMS does not know the column, which is then ignored."""
        header = next(self._rows(), (1, []))[1]
        self.columns = _columns(header, known, needed)
        self.ignored = [cell.strip() for cell, name in zip(header, self.columns, strict=True) if not name]

    def count(self) -> int:
        """How many rows there are; ``ValidationError`` where there is something that cannot be read as a row."""
        return sum(1 for _ in self.rows())

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows below the header that are not empty, each with the line on which it begins."""
        self.rows_read = 0
        rows = self._rows()
        next(rows, None)
        for line, cells in rows:
            if any(map(str.strip, cells)):
                self.rows_read += 1
                yield line, cells

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        lines = (match.group() for match in _LINE.finditer(self.text))
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValidationError(
                sentence(
                    "The file cannot be read as CSV from line %(line)s on (%(error)s): look for a quotation mark "
                    "too many.",
                    line=line,
                    error=str(error),
                )
            ) from error


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def _rows(file: UserFile, planned: Plan) -> Iterator[Row]:
    """The rows that name a user; others are noted as bad."""
    for line, cells in file.rows():
        if len(cells) != len(file.columns):
            problem = sentence(
                "The row has %(cells)s cells where the header has %(columns)s: quote or add.",
                cells=len(cells),
                columns=len(file.columns),
            )
            planned.bad_rows.append((line, problem))
            continue
        row = Row(line, "", {name: restored(cell) for name, cell in zip(file.columns, cells, strict=True) if name})
        row.upn = row.cells[UPN]
        first_line = planned.lines.setdefault(row.upn.lower(), line)
        if not row.upn:
            planned.bad_rows.append((line, sentence("The row names no user: fill in UserPrincipalName.")))
        elif first_line != line:
            planned.bad_rows.append(
                (
                    line,
                    sentence(
                        "%(upn)s stands already on line %(line)s: give each user one row.", upn=row.upn, line=first_line
                    ),
                )
            )
        else:
            yield row


def _columns(header: list[str], names: Collection[str], needed: Collection[str]) -> list[str]:
    known = {name.lower(): name for name in names}
    if not any(map(str.strip, header)):
        raise ValidationError(
            sentence("The file is empty: the first line names the columns, such as UserPrincipalName,Bridge.")
        )
    columns = []
    for cell in header:
        name = known.get(cell.strip().lower(), "")
        if not name and (alike := _meant(cell, known)):
            raise ValidationError(
                sentence(
                    "There is no column %(name)r: did you mean %(alike)s? Correct the first line.",
                    name=cell.strip(),
                    alike=alike,
                )
            )
        if name and name in columns:
            raise ValidationError(sentence("The column %(name)s stands twice in the first line: keep one.", name=name))
        columns.append(name)
    for name in needed:
        if name not in columns:
            raise ValidationError(sentence("The first line must name the column %(name)s.", name=name))
    return columns


def _meant(cell: str, known: Mapping[str, str]) -> str:
    """The column that is meant by a name which is nearly its own; empty for those of other programs.

    A directory's export has many that mean nothing to MMS. What may be a slip of the pen must not be taken for one.
    """
    alike = get_close_matches(re.sub(r"[\W_]", "", cell[:100].lower()), known, n=1, cutoff=0.8)
    return known[alike[0]] if alike else ""


def _with_free_conference_ids(rows: list[Row], planned: Plan) -> Iterator[Row]:
    """The rows whose conference ID nobody else has; those of the others are noted as bad."""
    wanted = [row for row in rows if row.conference_id]
    taken: set[tuple[int | None, str]] = set()
    for some in batched(wanted):
        on_bridges = ConferenceId.objects.filter(bridge__in={row.bridge_pk for row in some})
        taken.update(on_bridges.filter(digits__in=[row.conference_id for row in some]).values_list("bridge", "digits"))
    first_lines: dict[tuple[int | None, str], int] = {}
    for row in rows:
        if row.conference_id:
            key = row.bridge_pk, row.conference_id
            first_line = first_lines.setdefault(key, row.line)
            if key in taken:
                problem = sentence(
                    "ConferenceId: %(digits)s is already in use on its bridge: choose another.",
                    digits=row.conference_id,
                )
            elif first_line != row.line:
                problem = sentence(
                    "ConferenceId: %(digits)s stands already on line %(line)s.",
                    digits=row.conference_id,
                    line=first_line,
                )
            else:
                yield row
                continue
            planned.bad_rows.append((row.line, problem))
        else:
            yield row
