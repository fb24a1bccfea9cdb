"""The tenant's setting SameSequence: updates that are newer by their time stamp alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from migrations_app.demo import invitations as demo
from migrations_app.mail.delivery import deliver
from migrations_app.mail.outbox import claim, put_back
from migrations_app.models import Update
from migrations_app.rewriting.undo import undo
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import ConferencingUser, Tenant
from tests.support import samples
from tests.support.actors import ACTOR
from tests.support.meetings import body_of, calendar_of, invite, logical_lines, messages_in, migrate
from tests.support.pages import words
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, calendar, event


@pytest.fixture
def same_sequence(tenant: Tenant) -> Tenant:
    return change_tenant(tenant, ACTOR, same_sequence=True)


def revision(body: bytes) -> tuple[int, str]:
    """What Thunderbird compares: SEQUENCE or, where that is missing or 0, Exchange's own property; then DTSTAMP.

    As getSequence, getStamp and compare of its calItipUtils do.
    """
    found: dict[str, str] = {}
    for line in logical_lines(body):
        name, _, value = line.partition(":")
        found.setdefault(name, value)
    sequence = found.get("SEQUENCE")
    if sequence is None or sequence == "0":
        sequence = found.get("X-MICROSOFT-CDO-APPT-SEQUENCE")
    return int(sequence or 0), found["DTSTAMP"]


def is_taken_by_thunderbird(update: bytes, held: bytes) -> bool:
    return revision(update) > revision(held)


def asks_for_an_answer(update: bytes, held: bytes) -> bool:
    """Thunderbird keeps the answer in a minor update, which is one of the same SEQUENCE."""
    return revision(update)[0] != revision(held)[0]


@pytest.mark.parametrize("build", [demo.skype_exchange, demo.skype_text, demo.teams_gen2])
@pytest.mark.parametrize("is_same", [True, False])
def test_thunderbird_keeps_the_answer_or_asks_again(
    anna: ConferencingUser, outbox: Path, build: object, is_same: bool
) -> None:
    change_tenant(anna.tenant, ACTOR, same_sequence=is_same)
    uid, held = invite(anna, build=build)
    migrate(anna)
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert is_taken_by_thunderbird(calendar_of(message), held)
    assert asks_for_an_answer(calendar_of(message), held) is not is_same
    assert revision(body_of(anna, uid)) == revision(calendar_of(message))


@pytest.mark.usefixtures("same_sequence")
def test_two_updates_of_one_sequence_tell_everybody_once(anna: ConferencingUser, outbox: Path) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    claimed = claim()  # a worker has the first update when the second run replaces it
    change_user(anna, ACTOR, language="it", is_data_fix=True)
    migrate(ConferencingUser.objects.get(pk=anna.pk))
    put_back(claimed)
    assert deliver() == 1
    assert len(messages_in(outbox)) == 1
    assert sorted(Update.objects.values_list("state", flat=True)) == ["Sent", "Superseded"]
    assert b"Partecipa" in body_of(anna, uid)


@pytest.mark.usefixtures("same_sequence")
def test_an_update_that_became_outdated_while_others_went_out_is_not_sent(
    anna: ConferencingUser, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may have sent the newer one by then, and SEQUENCE does not tell which is newer."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    for number in (1, 2):
        invite(anna, number)
    migrate(anna)
    send = EmailBackend.send_messages

    def run_again(backend: EmailBackend, messages: Sequence[EmailMessage]) -> int:
        monkeypatch.setattr(EmailBackend, "send_messages", send)
        count = send(backend, messages)
        change_user(anna, ACTOR, language="it", is_data_fix=True)
        migrate(ConferencingUser.objects.get(pk=anna.pk))
        return count

    monkeypatch.setattr(EmailBackend, "send_messages", run_again)
    assert deliver() == 3
    octets = [message.message().as_bytes() for message in mail.outbox]
    assert [b"Subject: Aggiornato" in each for each in octets] == [False, True, True]
    assert sorted(Update.objects.values_list("state", flat=True)) == ["Sent", "Sent", "Sent", "Superseded"]


@pytest.mark.parametrize(
    ("held", "later"), [("20300101T120000Z", ""), ("20350101T000000Z", "20350101T000001Z"), ("20301399T000000Z", "")]
)
def test_an_update_is_later_than_every_stamp_there_is(held: str, later: str) -> None:
    now = datetime(2030, 1, 2, tzinfo=UTC)
    lines = [line for line in event(text=samples.skype_text()) if not line.startswith("DTSTAMP")]
    body = calendar([lines[0], f"DTSTAMP:{held}", *lines[1:]])
    made = rewrite(body, BLOCK, now=now, same_sequence=True)
    assert re.findall(rb"DTSTAMP:(.*)\r\n", made.body) == [later.encode() or b"20300102T000000Z"]
    assert made.sequence == 3
    back = undo(made.body, made.spans, now=now, same_sequence=True).body
    assert revision(back)[0] == 3
    assert revision(back)[1] > revision(made.body)[1]


def test_a_meeting_without_sequence_gets_none() -> None:
    lines = [line for line in event(text=samples.skype_text()) if not line.startswith("SEQUENCE")]
    made = rewrite(calendar(lines), BLOCK, now=samples.NOW, same_sequence=True)
    assert b"SEQUENCE" not in made.body
    assert made.sequence == 0


def test_the_page_tells_what_it_leads_to(alice: Client, tenant: Tenant) -> None:
    page = words(alice.get("/contoso/settings/").content)
    assert "Thunderbird and others keep the attendee's answer" in page
    assert "Outlook and other programs may take such an update for one that they have already" in page
    alice.post("/contoso/settings/SameSequence/", {"on": "true"})
    tenant.refresh_from_db()
    assert tenant.same_sequence
