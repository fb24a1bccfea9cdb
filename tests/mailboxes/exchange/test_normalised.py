"""What Exchange makes of HTML when it stores it: the block is found all the same, and a second run is silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.mailboxes.exchange.as_calendar import changes, to_calendar
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from migrations_app.mailboxes.exchange.values import from_value
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.examine import Examined
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.rewrite import Rewrite, write
from migrations_app.rewriting.standing import Standing, standing
from migrations_app.rewriting.undo import is_undone, undo
from tests.mailboxes.exchange.test_fidelity import CATALOGUE, INVITATIONS, applied
from tests.rewriting.test_stays_in_service import BRIDGE, GIVEN, NEW, NO_LICENCE, looked_at
from tests.support.exchange_events import event_of
from tests.support.exchange_html import FORMS
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NOW

STAYING = [path for path in sorted((CATALOGUE / "current").glob("*-html-*.ics")) if path.stem[-2:] in ("en", "ja")]
MADE = {"link": OnlineMeeting("https://meet.contoso.com/anna/ABCDEFGH"), "teams": NEW}
TARGETS = ("current", *MADE)
LOST_ON_THE_WAY = {
    "html/inside-blockquote": "rtf",
    "html/over-list-items": "rtf",
    "html/over-table-rows": "rtf",
}
"""Invitations that are left to a person for their quotes, tables and lists, and the form in which these are gone."""


def stored(event: ExchangeEvent, form: str) -> ExchangeEvent:
    """The event as the server gives it out after it was written."""
    exceptions = tuple(stored(each, form) for each in event.exceptions)
    body = FORMS[form](event.body) if event.body and event.body_is_html else event.body
    return replace(event, body=body, exceptions=exceptions)


def examined(event: ExchangeEvent) -> Examined:
    return looked_at(to_calendar(event))


def made_of(event: ExchangeEvent, target: str) -> Rewrite:
    found = examined(event)
    made = {each.recurrence_id: MADE[target] for each in found.meetings if target in MADE}
    return write(found, BRIDGE, made, now=NOW, ids=GIVEN)


def after(event: ExchangeEvent, made: Rewrite) -> ExchangeEvent:
    return applied(event, {each.event_id: each for each in changes(event, made.body)})


def decided(event: ExchangeEvent) -> tuple[str, Rewrite | None]:
    try:
        return "migrated", rewrite(to_calendar(event), BLOCK, now=NOW)
    except Declined as declined:
        return declined.reason, None
    except UnreadableCalendar:
        return "unreadable", None


def with_html() -> Iterator[tuple[str, ExchangeEvent]]:
    for path in INVITATIONS:
        try:
            event = event_of(path.read_bytes())
        except (ValueError, UnreadableCalendar):
            continue
        if event.body and event.body_is_html:
            yield f"{path.parent.name}/{path.stem}", event


def is_silent(event: ExchangeEvent, target: str) -> bool:
    with pytest.raises(Declined) as declined:
        made_of(event, target)
    return declined.value.reason == "already-current"


@pytest.mark.parametrize("form", FORMS)
def test_what_add_ins_wrote_says_the_same_however_it_is_stored(form: str) -> None:
    for path in STAYING:
        event = event_of(path.read_bytes())
        (before,), (now,) = examined(event).facts_of[""], examined(stored(event, form)).facts_of[""]
        assert now.online_meeting == before.online_meeting, path.stem
        assert (now.conference_id, now.parts()) == (before.conference_id, before.parts()), path.stem
        # Numbers and IDs are exchanged in it, and no block is drawn anew.
        made = made_of(stored(event, form), "current")
        assert not made.has_own_blocks, path.stem
        (exchanged,) = examined(after(stored(event, form), made)).facts_of[""]
        assert exchanged.online_meeting == before.online_meeting, path.stem
        assert [each.e164 for each in exchanged.numbers] == ["+390655550171"], path.stem
        assert exchanged.conference_id == "9998887", path.stem


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
def test_r25_a_second_run_is_silent_however_the_first_ones_work_is_stored(form: str, target: str) -> None:
    for path in STAYING:
        event = event_of(path.read_bytes())
        now = stored(after(event, made_of(event, target)), form)
        assert is_silent(now, target), path.stem
        assert is_silent(now, "current"), path.stem
        # The block is found: without a licence its phone part goes.
        gone = write(examined(now), NO_LICENCE, {}, now=NOW, ids=GIVEN)
        assert gone.has_own_blocks
        assert [each.e164 for each in examined(now).facts_of[""][0].numbers] == ["+390655550171"]
        assert not examined(after(now, gone)).facts_of[""][0].numbers, path.stem


@pytest.mark.parametrize("form", ["exchange", "word", "rtf"])
def test_r20_every_invitation_of_the_catalogue_is_decided_as_before(form: str) -> None:
    seen = 0
    for name, event in with_html():
        decision, made = decided(event)
        now, _ = decided(stored(event, form))
        is_lost = LOST_ON_THE_WAY.get(name, "-") in form
        assert now == ("migrated" if is_lost else decision), name
        if made is not None:
            assert decided(stored(after(event, made), form))[0] == "already-current", name
            seen += 1
    assert seen > 100


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
def test_what_a_run_wrote_can_be_told_and_undone_however_it_is_stored(form: str, target: str) -> None:
    for path in STAYING:
        event = event_of(path.read_bytes())
        made = made_of(event, target)
        assert standing(to_calendar(stored(event, form)), made.spans) is Standing.BEFORE, path.stem
        written = after(event, made)
        now = stored(written, form)
        assert standing(to_calendar(now), made.spans) is Standing.AFTER, path.stem
        # The old block comes back as it was, between what the server has made of the rest.
        back = after(now, undone(now, made))
        (old,) = [span for span in made.spans if span.property == "X-ALT-DESC"]
        assert from_value(old.before.encode()) in back.body, path.stem
        assert facts(back) == facts(event), path.stem
        assert is_undone(to_calendar(back), made.spans, now=NOW)
        assert is_undone(to_calendar(stored(back, form)), made.spans, now=NOW)
        assert not is_undone(to_calendar(now), made.spans, now=NOW)


@pytest.mark.parametrize("form", FORMS)
def test_a_block_that_somebody_has_changed_since_is_not_undone(form: str) -> None:
    event = event_of((CATALOGUE / "current" / "teams3-html-en.ics").read_bytes())
    made = made_of(event, "link")
    now = stored(after(event, made), form)
    for old, new in (("9998887", "9998880"), ("ABCDEFGH", "ABCDEFG2"), ("Help</", "Help!</")):
        assert old in now.body
        changed = to_calendar(replace(now, body=now.body.replace(old, new)))
        assert standing(changed, made.spans) is Standing.UNCLEAR
        with pytest.raises(Declined) as declined:
            undo(changed, made.spans, now=NOW)
        assert declined.value.reason == "needs-review"


def facts(event: ExchangeEvent) -> tuple[OnlineMeeting, str, list[str]]:
    (found,) = examined(event).facts_of[""]
    return found.online_meeting, found.conference_id, [each.e164 for each in found.numbers]


def undone(event: ExchangeEvent, made: Rewrite) -> Rewrite:
    return replace(made, body=undo(to_calendar(event), made.spans, now=NOW).body)
