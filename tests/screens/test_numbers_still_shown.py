"""What keeps a number on its bridge, on screens, and releasing it knowingly (R32, R35)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import NumberRelease, ShownMeeting, Update
from migrations_app.procedures import number_holds, number_release
from migrations_app.procedures.number_release import start_release
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from tenants_app.changes.bridges import register_number
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate
from tests.support.pages import shown, words
from tests.support.remembered import Remembered

MakeUser = Callable[..., ConferencingUser]
OLD, NEW = "+14255550111", "+14255550122"


@pytest.fixture
def old(old_bridge: Bridge, remembered: Remembered) -> ServiceNumber:
    def make() -> ServiceNumber:
        return register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")

    return remembered.make("the number that leaves", make)


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber, remembered: Remembered) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation, of which everybody knows."""

    def make() -> ConferencingUser:
        user = make_user("dora.lind", toll_number=old)
        invite(user)
        migrate(user)
        Update.objects.update(state="Sent")
        return user

    return remembered.make("dora has been told of the number", make)


@pytest.fixture
def release(dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber) -> NumberRelease:
    return start_release(old, new, ACTOR)


def advance(release: NumberRelease) -> NumberRelease:
    number_release.advance(timezone.now() + timedelta(minutes=1))
    return NumberRelease.objects.get(pk=release.pk)


def page_of(client: Client, release: NumberRelease) -> str:
    return client.get(f"/contoso/releases/{release.pk}/").content.decode()


@pytest.fixture
def held(alice: Client, dora: ConferencingUser, release: NumberRelease, outbox: Path) -> NumberRelease:
    """Kept by twelve meetings that show it in their location, and by a message that was given up."""
    for number in range(1, 13):
        uid, body = invite(dora, number, invitations.no_block)
        noted = body.replace(b"END:VEVENT", b"COMMENT:Room 4\\, 425.555.0111\r\nEND:VEVENT")
        EmbeddedMailbox(dora).store([(uid, noted)])
    advance(release)
    run = queue.claim()
    assert run is not None
    work_run(run)
    waiting = Update.objects.filter(untold_numbers__isnull=False)
    assert waiting.update(state="Failed", error_code="mail-refused", error_detail="answer 550") == 1
    return advance(release)


def test_r35_it_names_the_meetings_and_messages_that_keep_the_number(
    alice: Client, held: NumberRelease, dora: ConferencingUser
) -> None:
    page = words(page_of(alice, held).encode())
    assert "The number is kept: 12 meetings to come still show it." in page
    assert "Meetings that still show the number 12" in page
    assert page.count("The number stands in: comment.") == 10
    assert "Given up 1" in page
    assert "answer 550" in page
    uid = number_holds.meetings(held)[0].uid
    assert reverse("user-meeting", args=["contoso", dora.upn, uid]) in page_of(alice, held)
    second = alice.get(f"/contoso/releases/{held.pk}/?meetings=2").content.decode()
    assert second.count("The number stands in: comment.") == 2


def test_r35_messages_that_were_given_up_are_accepted_on_the_page(alice: Client, held: NumberRelease) -> None:
    assert '<input type="hidden" name="seen" value="1">' in page_of(alice, held)
    answer = alice.post(f"/contoso/releases/{held.pk}/accept-given-up/", {"seen": "1"}, follow=True)
    assert "Accepted for 1 message" in answer.content.decode()
    assert "Messages that attendees have not got" not in page_of(alice, held)


@pytest.mark.parametrize("seen", ["0", "2", "", "x"])
def test_r35_no_message_is_accepted_that_was_not_on_the_page(alice: Client, held: NumberRelease, seen: str) -> None:
    """It was given up since then."""
    answer = alice.post(f"/contoso/releases/{held.pk}/accept-given-up/", {"seen": seen}, follow=True)
    page = words(answer.content)
    assert "Other messages are given up than when you looked: look at them first." in page
    assert "Given up 1" in page
    assert not AuditEntry.objects.filter(action="accept messages given up").exists()


def test_r35_an_administrator_releases_it_knowingly(alice: Client, held: NumberRelease) -> None:
    address = f"/contoso/releases/{held.pk}/anyway/"
    assert address in page_of(alice, held)
    form = shown(alice.get(address))
    empty = alice.post(address, {**form, "reason": " "}).content.decode()
    assert "Say why it is released although it is still shown" in empty
    ShownMeeting.objects.filter(release=held).first().delete()  # type: ignore[union-attr]
    changed = alice.post(address, {**form, "reason": "The carrier has cut it"}).content.decode()
    assert "has changed since you looked" in changed
    assert ServiceNumber.objects.filter(number=OLD).exists()

    now = alice.post(address, {**shown(alice.get(address)), "reason": "The carrier has cut it"}, follow=True)
    page = now.content.decode()
    assert "A person released the number although it was still needed." in page
    assert "The carrier has cut it" in page
    assert not ServiceNumber.objects.filter(number=OLD).exists()
    assert AuditEntry.objects.get(action="release number anyway").after["meetings"] == 11


def test_r35_it_is_not_offered_before_everything_was_looked_at(alice: Client, release: NumberRelease) -> None:
    advance(release)
    assert "/anyway/" not in page_of(alice, release)
    answer = alice.get(f"/contoso/releases/{release.pk}/anyway/", follow=True)
    assert "wait until they have ended" in answer.content.decode()


def test_r32_it_counts_exactly_what_changes_and_what_shows_the_number_afterwards(
    alice: Client, dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    uid, body = invite(dora, 1, invitations.no_block)
    noted = body.replace(b"END:VEVENT", b"COMMENT:Room 4\\, 425.555.0111\r\nEND:VEVENT")
    EmbeddedMailbox(dora).store([(uid, noted)])
    address = f"/contoso/bridges/{old.bridge_id}/numbers/{old.pk}/release/?replacement={new.pk}"
    assert "count=exactly" in alice.get(address).content.decode()
    page = words(alice.get(f"{address}&count=exactly").content)
    assert "Future meetings 2 Meetings that change 1 Invitations sent" in page
    assert f"1 meeting to come shows {OLD} afterwards as well." in page
