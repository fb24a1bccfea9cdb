"""Whether a block that MMS wrote is found again in what a server has made of its HTML, and whether it stays quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from migrations_app.mailboxes.exchange.as_calendar import to_calendar
from migrations_app.mailboxes.exchange.events import ExchangeEvent, Kind, Person
from migrations_app.rewriting.block import MeetingBlock, PhoneNumber, render_html
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import examine
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import write
from migrations_app.tenant_checks.findings import Finding, failed, ok
from tenants_app.sentences import sentence

JOIN = "https://meet.contoso.com/mms.check/ABCDEFGH"
_OWN = Own(key="ABCDEFGH", place=JOIN.removesuffix("ABCDEFGH"), names=frozenset({"mms.check"}))
_BLOCK = MeetingBlock(
    JOIN,
    organization="Contoso",
    toll=PhoneNumber("+13235550166", "+1 323-555-0166", "Los Angeles, United States"),
    conference_id="123456789",
    local_numbers_url="https://meet.contoso.com/numbers",
    footer_text="This block was written by a check of MMS.",
)
PLAIN = (
    "<html><body><p>This event was made by MMS to see how Exchange behaves. It is deleted at once.</p></body></html>"
)


def with_block() -> str:
    """A text with a block as MMS writes it."""
    return f"<html><body><p>Agenda</p>{render_html(_BLOCK)}</body></html>"


def findings(sent: str, stored: str, now: datetime) -> Iterator[Finding]:
    """What a server has made of :func:`with_block`: how it stores HTML, and what a second run would do."""
    seen = stored[:4000]
    is_found, is_quiet = _look(stored, now)
    if not is_found:
        yield failed(
            sentence("HTML"),
            sentence(
                "Exchange rewrites the HTML so that MMS does not find its own block again: a second run "
                "would leave such meetings to a person. Do not start a run, and report what was stored."
            ),
            sent=sent,
            stored=seen,
        )
        return
    if stored == sent:
        yield ok(sentence("HTML"), sentence("Exchange stores the HTML of a block exactly as it was sent."))
    else:
        length = sentence("%(sent)s characters became %(stored)s", sent=len(sent), stored=len(stored))
        yield ok(
            sentence("HTML"),
            sentence("Exchange rewrites the HTML (%(length)s), and the block is found in it.", length=length),
            stored=seen,
        )
    if is_quiet:
        yield ok(sentence("second run"), sentence("A second run would find the block up to date and tell nobody."))
    else:
        yield failed(
            sentence("second run"),
            sentence(
                "A second run would write the block again, and tell the attendees again, because it does not "
                "read as it was sent. Do not start a run, and report what was stored."
            ),
            sent=sent,
            stored=seen,
        )


def _look(html: str, now: datetime) -> tuple[bool, bool]:
    """Whether the engine finds the block that was written, and whether it would leave it as it is."""
    begins = now + timedelta(days=30)
    event = ExchangeEvent(
        id="check",
        change_key="check",
        uid="mms-check",
        kind=Kind.SINGLE,
        subject="check",
        organizer=Person("mms.check@contoso.com"),
        starts_at=begins,
        ends_at=begins + timedelta(minutes=30),
        body=html,
    )
    try:
        examined = examine(to_calendar(event), _OWN, now=now)
        if not examined.has_own_blocks:
            return False, False
        write(examined, _BLOCK, {}, now=now)
    except Declined as declined:
        is_quiet = declined.reason == "already-current"
        return is_quiet, is_quiet
    return True, False
