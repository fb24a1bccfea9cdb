"""``errors.md`` and a page for each code: from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from migrations_app.cures import CURES, place_of
from migrations_app.failures import ALERTS, CHAT, FAILED, SKIPPED, UNSENT, Entry
from migrations_app.management.documentation.mentions import Mentions
from migrations_app.retries import RETRIES, RETRY_WINDOW

_HOURS = RETRY_WINDOW // timedelta(hours=1)
_AGAIN = f"up to {RETRIES} times in {_HOURS} hours, with growing pauses"
CODES = f"""\
# Codes: why a meeting is skipped, and what can fail

Written by `make docs` from the catalogue itself (`migrations_app/failures.py`): do not edit it by hand.

Screens and commands show the sentences below, followed by what is known of the single case. The code itself stands in
the column `Reason` of `get_meeting_migration_history`, in the answer of `explain_meeting`, and in the service's log.
*Where* names the page on which it is put right, to which each failure leads; the site shows this catalogue too, on a
page of each tenant, `/<tenant>/errors/`.
MMS tries again where the tables say so: by itself, {_AGAIN} (R28).
"""
KINDS: Mapping[str, tuple[Mapping[str, Entry], str, str]] = {
    "Why a meeting is skipped (R20)": (
        SKIPPED,
        "The meeting stays exactly as it is and nobody is told. A skipped meeting does not make its run fail.",
        "a meeting is skipped",
    ),
    "Why a meeting or a run fails": (
        FAILED,
        "A meeting that fails stays as it is, and the others go on. A run is `Failed` when no further try can help.",
        "a meeting or a run fails",
    ),
    "Why a message to attendees is not sent": (
        UNSENT,
        "The meeting itself is migrated. `internal-error` can stand here too.",
        "a message to attendees is not sent",
    ),
    "Why an alert is not delivered": (
        ALERTS,
        "Alerts tell administrators, by mail and webhook ([alerts.md](alerts.md)). What keeps messages from a mail\n"
        "server for a while, as above, can stand here too.",
        "an alert is not delivered",
    ),
    "Why a room of chat is not imported": (
        CHAT,
        "What was written stays, and nothing is written twice: the import goes on where it was ([chat.md](chat.md)).\n"
        "`internal-error` can stand here too.",
        "a room of chat is not imported",
    ),
}


def pages(mentions: Mentions) -> Iterator[tuple[str, Iterable[str]]]:
    yield "errors.md", _all()
    for title, (entries, says, fate) in KINDS.items():
        for code, entry in entries.items():
            yield f"errors/{code}.md", _code(code, entry, fate, says, title, mentions)


def _all() -> Iterator[str]:
    yield CODES
    for title, (entries, says, _) in KINDS.items():
        yield f"## {title}\n"
        yield f"{says}\n"
        retried = entries is not SKIPPED
        yield "| code | what happened | what to do | where |" + " tries again |" * retried
        yield "|---|---|---|---|" + "---|" * retried
        for code, entry in entries.items():
            again = f" {'yes' if entry.cures_by_waiting else 'no'} |" * retried
            yield f"| [`{code}`](errors/{code}.md) | {entry.what} | {entry.do or '–'} | {_where(code)} |{again}"
        yield ""


def _where(code: str) -> str:
    place = place_of(code)
    return place.value if place else "–"


def _code(code: str, entry: Entry, fate: str, says: str, title: str, mentions: Mentions) -> Iterator[str]:
    yield f"# `{code}`\n"
    yield f"A reason why {fate}. Written by `make docs`: do not edit it by hand.\n"
    yield f"**What happened.** {entry.what}\n"
    place = place_of(code)
    yield f"**What to do.** {entry.do or CURES[code]}\n"
    if place:
        yield f"**Where.** {place.value[0].upper()}{place.value[1:]}; the failure leads there.\n"
    if entry.cures_by_waiting:
        yield f"**MMS tries again** by itself, {_AGAIN}.\n"
    elif fate != KINDS[next(iter(KINDS))][2]:
        yield "**MMS does not try again** by itself: no waiting cures it. Put it right, then retry.\n"
    yield f"**Meanwhile.** {says.replace('](', '](../')}\n"
    yield from mentions.see_also(code)
    anchor = title.lower().replace(" ", "-").replace("(", "").replace(")", "")
    yield f"All codes of this kind: [{title}](../errors.md#{anchor})."
