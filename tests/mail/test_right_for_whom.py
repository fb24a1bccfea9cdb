"""A message is right for whom it goes to: nobody reads of an occurrence, or a series, that they are not invited to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.calendars import itip
from migrations_app.calendars.objects import split_objects
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.models import ConferencingUser
from tests.support import samples
from tests.support.actors import ACTOR
from tests.support.meetings import addressees, messages_in, migrate

BLOCK = samples.skype_text("https://meet.contoso.com/anna.rossi/GUEST123")
BO, CY, DI = (f"ATTENDEE;CN={name}:mailto:{name}@fabrikam.com" for name in ("bo", "cy", "di"))
ANNA = "ATTENDEE;CN=Anna Lind:mailto:anna@contoso.com"


def series(*lines: str, **of: Any) -> list[str]:
    at = {"start": "DTSTART:20360301T100000Z", "end": "DTEND:20360301T110000Z"}
    return samples.event("RRULE:FREQ=WEEKLY;COUNT=8", *lines, **at, **of)


def occurrence(day: str, *lines: str, name: str, ranged: bool = False, **of: Any) -> list[str]:
    at = {"start": f"DTSTART:{day}T140000Z", "end": f"DTEND:{day}T150000Z"}
    begin = "RECURRENCE-ID;RANGE=THISANDFUTURE" if ranged else "RECURRENCE-ID"
    made = samples.event(f"{begin}:{day}T100000Z", *lines, **at, **of)
    return [line.replace("SUMMARY:Budget\\, all teams", f"SUMMARY:{name}") for line in made]


def told(user: ConferencingUser, outbox: Path, *events: list[str]) -> dict[str, str]:
    """All that each attendee can read, by the name before the @, after a run has changed the meeting."""
    body = samples.calendar(*events).replace(b"anna@contoso.com", user.upn.encode())
    EmbeddedMailbox(user).store(list(split_objects(body)))
    migrate(user)
    assert deliver() == 1
    return {
        address.partition("@")[0]: readable(message)
        for message in messages_in(outbox)
        for address in addressees(message)
    }


def readable(message: Any) -> str:
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    headers = "\n".join(f"{name}: {value}" for name, value in message.items())
    return f"{headers}\n" + "\n".join(samples.unfolded(part).decode() for part in parts)


@pytest.mark.parametrize("mode", ["organizer", "service"])
def test_r24_who_was_taken_out_of_one_occurrence_reads_nothing_of_it(
    anna: ConferencingUser, outbox: Path, mode: str
) -> None:
    change_mail_server(anna.tenant, ACTOR, sender_mode=mode)
    found = told(
        anna,
        outbox,
        series(BO, CY, text=f"The budget\n{BLOCK}"),
        occurrence("20360308", BO, name="Layoffs", text=f"Who has to go: Cy\n{BLOCK}"),
    )
    assert set(found) == {"bo", "cy"}
    assert "The budget" in found["cy"]
    for secret in ("Layoffs", "Who has to go", "20360308T140000Z"):
        assert secret not in found["cy"]
        assert secret in found["bo"]
    assert "EXDATE:20360308T100000Z" in found["cy"], "the occurrence is none of theirs any more"


def test_r24_who_was_taken_out_of_all_that_follows_reads_nothing_of_it(anna: ConferencingUser, outbox: Path) -> None:
    found = told(
        anna,
        outbox,
        series(BO, CY, text=f"The budget\n{BLOCK}"),
        occurrence("20360308", BO, name="Layoffs", ranged=True, text=f"Who has to go: Cy\n{BLOCK}"),
    )
    for secret in ("Layoffs", "Who has to go", "20360308T140000Z", "COUNT=8"):
        assert secret not in found["cy"]
    assert "Layoffs" in found["bo"]


def test_r24_of_an_occurrence_that_only_the_organizer_is_left_in_nobody_reads(
    anna: ConferencingUser, outbox: Path
) -> None:
    found = told(
        anna,
        outbox,
        series(ANNA, BO, text=f"The budget\n{BLOCK}"),
        occurrence("20360308", ANNA, name="Alone", text=f"Notes of Anna\n{BLOCK}"),
    )
    assert set(found) == {"bo"}
    assert "Notes of Anna" not in found["bo"]
    assert "Alone" not in found["bo"]


def test_r24_guests_of_different_occurrences_read_nothing_of_each_others(anna: ConferencingUser, outbox: Path) -> None:
    found = told(
        anna,
        outbox,
        series(BO, text=f"The budget\n{BLOCK}"),
        occurrence("20360308", BO, CY, name="Tour", text=f"For Cy\n{BLOCK}"),
        occurrence("20360315", BO, DI, name="Demo", text=f"For Di\n{BLOCK}"),
    )
    assert set(found) == {"bo", "cy", "di"}
    for name, own, others in (
        ("cy", ("Tour", "For Cy"), ("Demo", "For Di", "di@")),
        ("di", ("Demo", "For Di"), ("Tour", "For Cy", "cy@")),
    ):
        for text in own:
            assert text in found[name]
        for text in ("The budget", "Budget", "RRULE", "20360301", *others):
            assert text not in found[name]


PEOPLE = ["bo", "cy", "di", "eve"]
GROUPS = st.sets(st.sampled_from(PEOPLE))


@given(
    invited=GROUPS.filter(bool),
    overrides=st.lists(st.tuples(GROUPS.filter(bool), st.booleans()), max_size=4),
)
def test_r24_whoever_is_invited_to_what_reads_of_nothing_else(
    invited: set[str], overrides: list[tuple[set[str], bool]]
) -> None:
    def lines(people: set[str]) -> list[str]:
        return [f"ATTENDEE:mailto:{name}@fabrikam.com" for name in sorted(people)]

    days = [f"203603{8 + 7 * number:02}" if number < 3 else "20360405" for number in range(len(overrides))]
    body = samples.calendar(
        series(*lines(invited), text="secret-series", html="<p>secret-series</p>"),
        *(
            occurrence(
                day,
                *lines(people),
                name=f"secret-name-{number}",
                text=f"secret-text-{number}" if has_text else None,
            )
            for number, (day, (people, has_text)) in enumerate(zip(days, overrides, strict=True))
        ),
    )
    made = itip.read(
        body, ("anna@contoso.com",), now=samples.NOW, inherited=lambda: [b"DESCRIPTION:block\r\n"]
    ).requests
    reached = [person.address for request in made for person in request.recipients]
    assert sorted(reached) == sorted({f"{name}@fabrikam.com" for name in invited.union(*(who for who, _ in overrides))})
    for request in made:
        text = samples.unfolded(request.body).decode() + request.subject + request.description + request.html
        for person in request.recipients:
            name = person.address.partition("@")[0]
            assert ("secret-series" in text) == (name in invited)
            for number, (people, has_text) in enumerate(overrides):
                assert (f"secret-name-{number}" in text) == (name in people)
                assert (f"secret-text-{number}" in text) == (name in people and has_text)
