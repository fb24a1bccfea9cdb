"""What only writing tells of an Exchange on-premises, tried on meetings that are made for it in a test mailbox.

One function for each question that documentation leaves open. All that is made is deleted at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.tenant_checks import round_trip, tidying
from migrations_app.tenant_checks.findings import Finding, failed, note, ok, unknown
from migrations_app.tenant_checks.own_meetings import Calendar, OwnMeeting, first_exception
from migrations_app.tenant_checks.round_trip import JOIN, PLAIN
from tenants_app.sentences import sentence, sentence_plural

_NAMES = ("OnlineMeetingExternalLink", "SkypeTeamsMeetingUrl")
"""Named properties that are tried: one of Skype for Business, one of Teams."""
_OTHER = PLAIN.replace("at once", "soon")


def announcement(user: str, attendee: str) -> Sequence[str]:
    """What will be done, before it is."""
    return (
        sentence(
            "MMS will make a meeting and a daily series of three in the calendar of %(user)s, 30 days from now, and "
            "invite %(attendee)s to both.",
            user=user,
            attendee=attendee,
        ),
        sentence(
            "It will change them eight times and delete them, so that %(attendee)s gets about a dozen mails.",
            attendee=attendee,
        ),
        *tidying.announced(user, attendee),
    )


def check(
    source: EwsSource,
    *,
    attendee: str,
    now: datetime,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Finding]:
    """All questions, on two meetings. ``source`` is a session with the test mailbox."""
    yield from tidying.asked(Calendar(source, attendee, now), [_of_a_meeting, _of_a_series], wait)


def _of_a_meeting(calendar: Calendar) -> Iterator[Finding]:
    meeting = calendar.make(PLAIN)
    yield ok(
        sentence("test event"),
        sentence("“%(subject)s” was made in the calendar of %(upn)s.", subject=meeting.subject, upn=calendar.upn),
    )
    yield impersonation(meeting)
    yield conditions(meeting)
    yield from block(meeting, calendar.now)
    yield properties(meeting)
    yield unknown(
        sentence("answers"),
        sentence(
            "Whether an answer stays after an update of the text shows in the mailbox of %(attendee)s: "
            "accept a meeting of a pilot there, start a run for the pilot, and look at the organizer's "
            "tracking.",
            attendee=calendar.attendee,
        ),
    )
    yield unknown(
        sentence("mails"),
        sentence(
            "Count what comes to %(attendee)s for “%(subject)s”: one invitation, %(told)s updates, and "
            "one cancellation at the end. With more or fewer the preview counts wrongly.",
            attendee=calendar.attendee,
            subject=meeting.subject,
            told=meeting.told,
        ),
        updates=meeting.told,
    )


def _of_a_series(calendar: Calendar) -> Iterator[Finding]:
    series = calendar.make(PLAIN, occurrences=3)
    yield ok(
        sentence("test series"),
        sentence(
            "“%(subject)s” was made in the calendar of %(upn)s, three days long.",
            subject=series.subject,
            upn=calendar.upn,
        ),
    )
    found = series.move(2, "MMS check")
    if len(found.exceptions) != 1:
        yield failed(
            sentence("series"),
            sentence(
                "One occurrence was given another place, and Exchange shows %(count)s exceptions: MMS would "
                "miss what is in them. Do not start a run on series, and report this.",
                count=len(found.exceptions),
            ),
        )
        return
    yield ok(sentence("series"), sentence("An occurrence that was changed is read as an exception of its series."))
    yield from keys(series)
    yield texts(series)
    yield unknown(
        sentence("mails of a series"),
        sentence(
            "Count what comes to %(attendee)s for “%(subject)s”: one invitation, %(told)s updates, of "
            "which the last is of the series and the others are of one day, and one cancellation. With "
            "more or fewer the preview counts wrongly.",
            attendee=calendar.attendee,
            subject=series.subject,
            told=series.told,
        ),
        updates=series.told,
    )


def impersonation(meeting: OwnMeeting) -> Finding:
    """Whose meeting is it that the service account has made?"""
    event, upn = meeting.read(), meeting.calendar.upn
    organizer = event.organizer.address if event.organizer else ""
    if not event.is_organizer:
        return failed(
            sentence("impersonation"),
            sentence(
                "What the service account makes as %(upn)s is organized by %(organizer)s: give it the role "
                "ApplicationImpersonation, and no access as a delegate.",
                upn=upn,
                organizer=organizer or "nobody",
            ),
            organizer=organizer,
        )
    if organizer.lower() == upn.lower():
        return ok(
            sentence("impersonation"),
            sentence("What the service account makes as %(upn)s is %(upn)s's own meeting.", upn=upn),
        )
    return note(
        sentence("impersonation"),
        sentence(
            "What the service account makes as %(upn)s is organized by %(organizer)s: go on only where "
            "this is an address of the same person.",
            upn=upn,
            organizer=organizer or "nobody",
        ),
        organizer=organizer,
    )


def conditions(meeting: OwnMeeting) -> Finding:
    """Does Exchange refuse a write whose ChangeKey is old (NeverOverwrite)?"""
    before = meeting.read()
    after = meeting.write(body=_OTHER)
    if after.change_key == before.change_key:
        return failed(
            sentence("conditions"),
            sentence(
                "A change leaves the ChangeKey as it is, so MMS could overwrite what somebody else has "
                "changed. Do not use it on this server, and report this."
            ),
        )
    is_refused = meeting.is_refused(before, PLAIN)
    if is_refused is None:
        return unknown(sentence("conditions"), _LOST)
    if is_refused:
        return ok(
            sentence("conditions"),
            sentence("A write whose ChangeKey is old is refused, and one whose is right is taken."),
        )
    return failed(sentence("conditions"), _OVERWRITES)


def block(meeting: OwnMeeting, now: datetime) -> Iterator[Finding]:
    """What becomes of a block that MMS wrote, and of the meeting's sequence number when its text alone is changed?"""
    before = meeting.read().sequence
    sent = round_trip.with_block()
    after = meeting.write(body=sent)
    yield from round_trip.findings(sent, after.body, now)
    if after.sequence == before:
        yield ok(
            sentence("sequence"),
            sentence(
                "A change of the text alone leaves the sequence number as it is (%(before)s): attendees are "
                "asked for no new answer.",
                before=before,
            ),
            before=before,
            after=after.sequence,
        )
    else:
        yield note(
            sentence("sequence"),
            sentence(
                "A change of the text alone raises the sequence number (%(before)s became %(sequence)s): "
                "attendees may be asked for a new answer. Tell them before a run.",
                before=before,
                sequence=after.sequence,
            ),
            before=before,
            after=after.sequence,
        )


def properties(meeting: OwnMeeting) -> Finding:
    """Are named properties kept as they were written, beside a text and when a text is written alone?"""
    wanted = dict.fromkeys(_NAMES, JOIN)
    for step, what in (
        (sentence("written with a text"), {"body": round_trip.with_block(), "properties": wanted}),
        (sentence("when a text is written after them"), {"body": _OTHER}),
    ):
        seen = meeting.write(**what).properties
        lost = [name for name in _NAMES if seen.get(name) != JOIN]
        if lost:
            return failed(
                sentence("properties"),
                sentence_plural(
                    "%(names)s is not kept %(step)s: Join buttons would lead elsewhere than the text. Report this.",
                    "%(names)s are not kept %(step)s: Join buttons would lead elsewhere than the text. Report this.",
                    len(lost),
                    names=_both(lost),
                    step=step,
                ),
                seen=dict(seen),
            )
    left = sorted(set(_NAMES) & set(meeting.write(properties=dict.fromkeys(_NAMES, "")).properties))
    if left:
        return failed(
            sentence("properties"),
            sentence("%(names)s cannot be taken away again. Report this.", names=_both(left)),
        )
    return ok(
        sentence("properties"), sentence("Named properties are kept as they were written, and can be taken away.")
    )


def keys(series: OwnMeeting) -> Iterator[Finding]:
    """Which ChangeKeys does a change of one exception change, and is an old one refused?"""
    before = series.read()
    after = series.write_exception(body=round_trip.with_block())
    stale, now = first_exception(before, series.subject), first_exception(after, series.subject)
    is_refused = False if stale.change_key == now.change_key else series.is_refused(stale, round_trip.with_block())
    if is_refused is None:
        yield unknown(sentence("keys"), _LOST)
    elif not is_refused:
        yield failed(
            sentence("keys"),
            sentence(
                "Of an exception: a write whose ChangeKey is old is taken: MMS could overwrite what somebody else has "
                "changed. Do not use it on this server, and report this."
            ),
        )
    elif after.change_key == before.change_key:
        yield ok(
            sentence("keys"),
            sentence("A change of an exception changes its own ChangeKey alone, and an old one is refused."),
        )
    else:
        yield ok(
            sentence("keys"),
            sentence(
                "A change of an exception changes the ChangeKey of its series too, and an old one is "
                "refused. MMS reads before each part that it writes."
            ),
        )


def texts(series: OwnMeeting) -> Finding:
    """Does an exception keep its own text when that of its series is written?"""
    after = series.write(body=_OTHER)
    if not after.exceptions:
        return failed(
            sentence("texts of exceptions"),
            sentence(
                "Writing the text of a series has made its exception an ordinary day again: MMS would undo "
                "what people have changed. Do not start a run on series, and report this."
            ),
        )
    if JOIN not in after.exceptions[0].body:
        return failed(
            sentence("texts of exceptions"),
            sentence(
                "Writing the text of a series has taken away the text of its exception. Do not start a run "
                "on series, and report this."
            ),
            stored=after.exceptions[0].body[:4000],
        )
    return ok(
        sentence("texts of exceptions"), sentence("An exception keeps its own text when that of its series is written.")
    )


_OVERWRITES = sentence(
    "A write whose ChangeKey is old is taken: MMS could overwrite what somebody else has changed. Do not use it on "
    "this server, and report this."
)
_LOST = sentence("The answer was lost on the way: run the command again.")


def _both(names: Sequence[str]) -> str:
    return sentence("%(one)s and %(other)s", one=names[0], other=names[1]) if len(names) == 2 else names[0]
