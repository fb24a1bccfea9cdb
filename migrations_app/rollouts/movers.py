"""How accounts get to a deployment (R63). MMS cannot move them itself: somebody has, a program does, or Move-CsUser.

Nothing here changes a row. A member whose move failed gets no run; one whose mover is a list waits until somebody
confirms the move or imports what became of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from django.conf import settings
from django.core.exceptions import ValidationError

from migrations_app.rollouts.measuring import own_secrets
from migrations_app.rollouts.programs import NotRunnable, filled, run, said_by
from tenants_app.csv_files.cells import restored
from tenants_app.models import ConferencingUser, Deployment
from tenants_app.sentences import Sentence, sentence
from tenants_app.validators import validate_host
from tenants_app.wording import alternatives

TIMEOUT = 120
"""Seconds that a program has for one user."""
ARGUMENTS = ("{upn}", "{deployment}")
"""What a program gets: the user principal name, and the name of the deployment that the user moves to."""
ONLINE_TARGET = "sipfed.online.lync.com"
"""What Move-CsUser calls Microsoft 365."""
LIST_NAME = "users-to-move.txt"
RESULT_COLUMNS = ("UserPrincipalName", "Result", "Message")
"""Of the file that says what became of a list. ``SipAddress`` may stand for the first; the last may be missing."""


class State(Enum):
    """What became of moving an account."""

    MOVED = "moved"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of moving one account, in a sentence."""

    state: State
    sentence: Sentence

    @property
    def is_done(self) -> bool:
        return self.state is State.MOVED


RECORDED = Moved(State.MOVED, sentence("The account is taken to be moved already; MMS records it."))
WAITS = Moved(
    State.WAITING,
    sentence("Waits until somebody confirms that Move-CsUser has moved the account, or imports the result."),
)
CONFIRMED = Moved(State.MOVED, sentence("Somebody has confirmed that the account is moved."))


def move(users: Iterable[ConferencingUser], deployment: Deployment) -> Iterator[tuple[ConferencingUser, Moved]]:
    """Have the accounts of users moved to the deployment as its mover does it, one after the other.

    Call it outside transactions: a program may take up to :data:`TIMEOUT` for each. Who was moved may be moved again.
    """
    for user in users:
        yield user, ask(deployment, user.upn)


def ask(deployment: Deployment, upn: str) -> Moved:
    """Have one account moved to the deployment; raises nothing for what goes wrong outside."""
    if deployment.mover == Deployment.Mover.RECORD:
        return RECORDED
    if deployment.mover == Deployment.Mover.LIST:
        return WAITS
    name = deployment.mover_command
    try:
        arguments = filled(ARGUMENTS, {"upn": upn, "deployment": deployment.name})
        ended = run(settings.MMS_CHECK_COMMANDS, name, arguments, TIMEOUT, own_secrets())
    except NotRunnable as refused:
        return Moved(State.FAILED, refused.why)
    if ended.timed_out:
        told = sentence(
            "%(program)s had not moved the account after %(seconds)s seconds and was stopped: look whether it is "
            "moved, then retry.",
            program=name,
            seconds=TIMEOUT,
        )
        return Moved(State.FAILED, told)
    if ended.status == 0:
        return Moved(State.MOVED, said_by(name, ended) if ended.first_line else _MOVED_SILENTLY)
    return Moved(State.FAILED, said_by(name, ended))


_MOVED_SILENTLY = sentence("The program has moved the account.")


def list_file(users: Iterable[ConferencingUser]) -> str:
    """The file that ``Move-CsUser -UserList`` takes: one SIP address on each line, in the order given."""
    return "".join(f"{user.sip_address}\r\n" for user in users)


def command_line(legacy: Deployment, new: Deployment, file_name: str = LIST_NAME, *, with_content: bool = True) -> str:
    """The command for PowerShell that moves the users of the list from one deployment to the other.

    ``with_content``: the content of meetings comes along from pool to pool on-premises. Never with ``-Force``, which
    leaves contacts and meetings behind for good.
    """
    words = ["Move-CsUser", "-UserList", _quoted(file_name), "-Target", _quoted(_target(new))]
    if with_content and legacy.is_on_premises and new.is_on_premises:
        words.append("-MoveConferenceData")
    return " ".join(words)


def _target(deployment: Deployment) -> str:
    """What Move-CsUser calls the deployment: a pool by its full name, for which a person has to know it."""
    if not deployment.is_on_premises:
        return ONLINE_TARGET
    try:
        validate_host(deployment.name)
    except ValidationError:
        name = sentence("full name of the pool %(deployment)s", deployment=deployment.name)
        return f"<{name}>"
    return deployment.name.lower() if "." in deployment.name else f"<{deployment.name}>"


def _quoted(text: str) -> str:
    """As PowerShell takes a text word for word."""
    return "'" + text.replace("'", "''") + "'"


# --- what became of a list ----------------------------------------------------------------------------

_MOVED_WORDS = frozenset({"moved", "succeeded", "success", "ok", "true", "yes", "done"})
_FAILED_WORDS = frozenset({"failed", "failure", "error", "false", "no"})
_ADDRESS_COLUMNS = ("userprincipalname", "upn", "sipaddress")


def read_result(text: str) -> dict[str, Moved]:
    """What a file says of accounts, by their address in lower case (UPN or SIP address, as it names them).

    Raises ``ValidationError`` with a sentence for each line that cannot be used; then nothing of it is.
    """
    rows = csv.reader(text.removeprefix("\ufeff").splitlines(), delimiter=_delimiter(text), strict=True)
    found: dict[str, Moved] = {}
    problems = []
    try:
        header = [cell.strip().lower().replace(" ", "") for cell in next(rows, [])]
        address_at, result_at, message_at = _columns(header)
        for row in rows:
            if not any(map(str.strip, row)):
                continue
            cells = row + [""] * (len(header) - len(row))
            address = restored(cells[address_at]).lower().removeprefix("sip:")
            moved = _read(restored(cells[result_at]), restored(cells[message_at]) if message_at is not None else "")
            if not address:
                problems.append(sentence("Line %(line)s names no user: correct it.", line=rows.line_num))
            elif moved is None:
                problems.append(
                    sentence(
                        "Line %(line)s: %(word)s is no result: write moved or failed.",
                        line=rows.line_num,
                        word=cells[result_at].strip()[:60] or sentence("an empty cell"),
                    )
                )
            elif address in found:
                problems.append(
                    sentence("Line %(line)s names %(user)s again: name each once.", line=rows.line_num, user=address)
                )
            else:
                found[address] = moved
    except csv.Error as error:
        raise ValidationError(
            sentence("Line %(line)s: this is no CSV: correct the file and repeat.", line=rows.line_num)
        ) from error
    if problems:
        raise ValidationError(problems)
    return found


def of_users(users: Iterable[ConferencingUser], results: Mapping[str, Moved]) -> dict[int, Moved]:
    """What the results say of these users, by key; by UPN, else by SIP address. Of whom they say nothing is absent."""
    said = ((user.pk, results.get(user.upn.lower()) or results.get(user.sip_address.lower())) for user in users)
    return {key: moved for key, moved in said if moved is not None}


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def _columns(header: list[str]) -> tuple[int, int, int | None]:
    address = next((name for name in _ADDRESS_COLUMNS if name in header), None)
    if address is None or "result" not in header:
        raise ValidationError(
            sentence(
                "The file must begin with a line of columns: %(columns)s. Correct it and repeat.",
                columns=alternatives([",".join(RESULT_COLUMNS), "SipAddress,Result,Message"]),
            )
        )
    return header.index(address), header.index("result"), header.index("message") if "message" in header else None


def _read(word: str, message: str) -> Moved | None:
    """What the cells of a row say; None for a word that says neither."""
    folded = word.lower()
    if folded in _MOVED_WORDS:
        return CONFIRMED
    if folded not in _FAILED_WORDS:
        return None
    if message:
        told = sentence("The account was not moved: %(message)s", message=message[:400])
    else:
        told = sentence("The account was not moved. Look into the report of Move-CsUser for the reason.")
    return Moved(State.FAILED, told)
