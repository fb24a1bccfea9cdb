"""Members of waves from a CSV file: all rows are checked before anything is written (R65). The same file again changes
nothing, and a longer one adds only the new rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from migrations_app.models import Rollout, Wave, WaveMember
from migrations_app.rollouts.joining import Places
from migrations_app.rollouts.locking import locked_rollout, locked_waves
from tenants_app.audit import Actor, Channel, entry
from tenants_app.bulk import batched, insert
from tenants_app.csv_files.cells import restored
from tenants_app.csv_files.user_columns import UPN
from tenants_app.csv_files.users_in import UserFile
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, sentence, sentence_plural

WAVE, REASON, CLIENT_VERSION = "Wave", "Reason", "ClientVersion"
COLUMNS = (UPN, WAVE, REASON, CLIENT_VERSION)
LONGEST_REASON, LONGEST_VERSION = 500, 50
MOST_ROWS = 200_000
MOST_ON_A_PAGE = 20_000
"""Rows of a file that are imported while somebody waits for a page."""


class Row(NamedTuple):
    """A row of the file that names a user and a wave."""

    line: int
    upn: str
    wave: Wave
    reason: str
    client_version: str


class NewMember(NamedTuple):
    """A user who is added to a wave."""

    user_pk: int
    wave_pk: int
    reason: str
    client_version: str


@dataclass(slots=True)
class MemberPlan:
    """What a file will do. ``bad_rows`` are (line number, sentence)."""

    new: list[NewMember] = field(default_factory=list)
    unchanged: int = 0
    bad_rows: list[tuple[int, Sentence]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """The names of columns that MMS does not know, as they stand in the file."""
    by_wave: Counter[str] = field(default_factory=Counter)
    """How many are added to each wave."""

    @property
    def bad(self) -> int:
        """How many rows cannot be used."""
        return len({line for line, _ in self.bad_rows})


def plan_members(rollout: Rollout, text: str, most: int = MOST_ROWS) -> MemberPlan:
    """Check all rows, some hundred at a time; locks and writes nothing.

    Raises ``ValidationError`` where the file as a whole cannot be used.
    """
    file = UserFile(text, COLUMNS, (UPN, WAVE))
    planned = MemberPlan(ignored=file.ignored)
    waves = _waves_by_name(rollout)
    for batch in batched(_rows(file, waves, planned, most)):
        _plan(rollout, batch, planned)
    if not file.rows_read:
        raise ValidationError(sentence("The file has no rows below its first line: add a row for each member."))
    return planned


@transaction.atomic
def import_members(
    rollout: Rollout,
    text: str,
    actor: Actor,
    *,
    file_name: str,
    skip_bad_rows: bool = False,
    most: int = MOST_ROWS,
) -> MemberPlan:
    """Add the members that the file names. Nothing is written where a row is bad, unless those are to be skipped: then
    the caller tells them by the plan, whose ``new`` says what was written.

    Raises :class:`BadRows` with the plan.
    """
    rollout = locked_rollout(rollout)
    locked_waves(rollout)
    planned = plan_members(rollout, text, most)
    if planned.bad_rows and not skip_bad_rows:
        raise BadRows(planned)
    now = timezone.now()
    for some in batched(planned.new):
        insert(
            [
                WaveMember(
                    wave_id=member.wave_pk,
                    user_id=member.user_pk,
                    source=WaveMember.Source.FILE,
                    reason=member.reason,
                    client_version=member.client_version,
                    added_at=now,
                    added_by=actor.name,
                )
                for member in some
            ]
        )
    if planned.new:
        after = {"file": file_name[:200], "members": len(planned.new), **planned.by_wave}
        actor = actor.through(Channel.IMPORT)
        entry(rollout.tenant, actor, "import wave members", rollout.name, {}, after).save()
    return planned


class BadRows(ValidationError):
    """A file has rows that cannot be used, so nothing was written."""

    def __init__(self, planned: MemberPlan) -> None:
        super().__init__(
            sentence_plural(
                "%(n)s bad row, so nothing was written: correct it, or leave it out.",
                "%(n)s bad rows, so nothing was written: correct them, or leave them out.",
                planned.bad,
            )
        )
        self.planned = planned


def _waves_by_name(rollout: Rollout) -> dict[str, Wave]:
    """The waves by name and by place, as a file may name them."""
    waves = list(Wave.objects.filter(rollout=rollout))
    for wave in waves:
        wave.rollout = rollout
    return {str(wave.position): wave for wave in waves} | {wave.name.casefold(): wave for wave in waves}


def _rows(file: UserFile, waves: dict[str, Wave], planned: MemberPlan, most: int) -> Iterator[Row]:
    """The rows that name a user and a wave; others are noted as bad."""
    first_lines: dict[str, int] = {}
    for line, cells in file.rows():
        if file.rows_read > most:
            raise ValidationError(
                sentence("The file has more than %(most)s rows: divide it, or use import_wave_members.", most=most)
            )
        if len(cells) != len(file.columns):
            planned.bad_rows.append(
                (
                    line,
                    sentence(
                        "The row has %(cells)s cells where the header has %(columns)s: quote or add.",
                        cells=len(cells),
                        columns=len(file.columns),
                    ),
                )
            )
            continue
        values = {name: restored(cell).strip() for name, cell in zip(file.columns, cells, strict=True) if name}
        upn = values[UPN]
        if not upn:
            planned.bad_rows.append((line, sentence("The row names no user: fill in UserPrincipalName.")))
            continue
        first_line = first_lines.setdefault(upn.lower(), line)
        if problem := _problem(values, waves, line, first_line):
            planned.bad_rows.append((line, problem))
        else:
            yield Row(
                line,
                upn,
                waves[values[WAVE].casefold()],
                values.get(REASON, ""),
                values.get(CLIENT_VERSION, ""),
            )


def _problem(values: dict[str, str], waves: dict[str, Wave], line: int, first_line: int) -> Sentence | None:
    """What is wrong with a row, without a look at its user."""
    if first_line != line:
        return sentence(
            "%(upn)s stands already on line %(line)s: give each user one row.", upn=values[UPN][:254], line=first_line
        )
    if not values[WAVE]:
        return sentence("The row names no wave: fill in Wave.")
    if values[WAVE].casefold() not in waves:
        return sentence(
            "There is no wave %(wave)s in this rollout: write its name, or its place.", wave=values[WAVE][:100]
        )
    for name, longest in ((REASON, LONGEST_REASON), (CLIENT_VERSION, LONGEST_VERSION)):
        value = values.get(name, "")
        if len(value) > longest:
            return sentence("%(name)s has more than %(most)s characters: shorten it.", name=name, most=longest)
        if "\0" in value or any(character in value for character in "\r\n"):
            return sentence("%(name)s has a line break, or a character that is none: write it on one line.", name=name)
    return None


def _plan(rollout: Rollout, rows: Sequence[Row], planned: MemberPlan) -> None:
    """Look at the users of some rows, with as many statements for all as for one."""
    users = {
        user.upn.lower(): user
        for user in ConferencingUser.objects.with_upns(rollout.tenant, [row.upn for row in rows]).only(
            "upn", "tenant", "deployment"
        )
    }
    places = Places(rollout, [user.pk for user in users.values()])
    for row in rows:
        user = users.get(row.upn.lower())
        if user is None:
            problem: Sentence | None = sentence(
                "There is no user %(upn)s: correct the name, or add the user first.", upn=row.upn[:254]
            )
        elif places.is_in(row.wave, user) or places.was_in(row.wave, user):
            planned.unchanged += 1
            continue
        elif row.wave.has_started:
            problem = sentence(
                "The wave %(wave)s has started: %(upn)s can join a later one.", wave=row.wave.name, upn=user.upn
            )
        else:
            problem = places.why_not(row.wave, user)
        if problem is not None or user is None:
            planned.bad_rows.append((row.line, problem or sentence("The row cannot be used.")))
            continue
        planned.new.append(NewMember(user.pk, row.wave.pk, row.reason, row.client_version))
        planned.by_wave[row.wave.name] += 1
