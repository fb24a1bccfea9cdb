"""Whether a rewrite stands in a meeting, however a server has written it down, and whether it says anything else."""

from __future__ import annotations

import pytest

from migrations_app.calendars.content import content_of
from migrations_app.rewriting.spans import Span
from migrations_app.rewriting.standing import Standing, standing

OLD, NEW = "Dial\\n+1 425 555 0100\\, then 123#", "Dial\\n+44 20 7946 0000\\, then 456#"
SPANS = (
    Span("", "DESCRIPTION", OLD, NEW),
    Span("", "LOCATION", "LOCATION;LANGUAGE=en:Skype Meeting", "LOCATION:Online Meeting"),
    Span("", "URL", "URL:https://a.example.org/1", ""),
)


def event(description: str, *lines: str, sequence: int = 1) -> bytes:
    """A meeting with an alarm, whose description has words around the block."""
    inner = [
        "UID:a",
        f"SEQUENCE:{sequence}",
        "DTSTART;TZID=Europe/Rome:20360115T100000",
        "SUMMARY:Budget",
        f"DESCRIPTION:Hello\\n{description}\\nBye",
        *lines,
    ]
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", *inner, "END:VEVENT", "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in whole).encode()


BEFORE = event(OLD, "LOCATION;LANGUAGE=en:Skype Meeting", "URL:https://a.example.org/1")
AFTER = event(NEW, "LOCATION:Online Meeting", sequence=2)


@pytest.mark.parametrize(
    ("body", "stands"),
    [
        (BEFORE, Standing.BEFORE),
        (AFTER, Standing.AFTER),
        # As a server writes it that orders properties, folds and escapes in its own way.
        (
            event(NEW.replace("\\n", "\\N").replace(" 7946", " 79\r\n 46"), "LOCATION;LANGUAGE=en-us:Online Meeting"),
            Standing.AFTER,
        ),
        # Somebody has changed something else.
        (BEFORE.replace(b"Budget", b"Another title"), Standing.BEFORE),
        (AFTER.replace(b"Hello", b"Good morning"), Standing.AFTER),
        # Some of both, neither, and what is no calendar.
        (event(OLD, "LOCATION:Online Meeting"), Standing.UNCLEAR),
        (event("Nothing", "LOCATION:Room 7", "URL:https://a.example.org/2"), Standing.UNCLEAR),
        (b"BEGIN:VCALENDAR", Standing.UNCLEAR),
    ],
)
def test_it_stands_where_all_of_it_does(body: bytes, stands: Standing) -> None:
    assert standing(body, SPANS) is stands


def test_one_side_that_is_a_piece_of_the_other_is_told_from_it() -> None:
    longer = Span("", "DESCRIPTION", OLD, f"{OLD}\\nHelp")
    assert standing(event(OLD), [longer]) is Standing.BEFORE
    assert standing(event(f"{OLD}\\nHelp"), [longer]) is Standing.AFTER
    shorter = Span("", "DESCRIPTION", f"{OLD}\\nHelp", OLD)
    assert standing(event(OLD), [shorter]) is Standing.AFTER
    assert standing(event(f"{OLD}\\nHelp"), [shorter]) is Standing.BEFORE


@pytest.mark.parametrize(
    "another",
    [
        AFTER.replace(b"SEQUENCE:2", b"SEQUENCE:7\r\nDTSTAMP:20300101T000000Z\r\nLAST-MODIFIED:20300101T000000Z"),
        AFTER.replace(b"SUMMARY:Budget\r\n", b"").replace(
            b"END:VEVENT", b"SUMMARY;LANGUAGE=en:Bud\r\n get\r\nEND:VEVENT"
        ),
        AFTER.replace(b"\\n", b"\\N").replace(b"TZID=Europe/Rome", b'tzid="Europe/Rome"'),
    ],
)
def test_revision_order_folds_and_escapes_are_no_content(another: bytes) -> None:
    assert another != AFTER
    assert content_of(another) == content_of(AFTER)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"Budget", b"Plan"), (b"T100000", b"T110000"), (b"Europe/Rome", b"Europe/London"), (b"UID", b"STATUS:X\r\nUID")],
)
def test_what_is_to_be_told_is_content(old: bytes, new: bytes) -> None:
    assert content_of(AFTER.replace(old, new)) != content_of(AFTER)
