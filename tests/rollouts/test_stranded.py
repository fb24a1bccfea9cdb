"""What cannot go back with a wave: meetings on the new deployment, and clients (R85, R86)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import FoundMeeting, MeetingSearch, Notice, NoticeRound, Wave
from migrations_app.rollouts import searching, stranded
from migrations_app.rollouts.going_back import roll_back
from tenants_app.models import Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.going_back import go_all_the_way_back, move_forward
from tests.support.meetings import body_of, invite, messages_in
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db
NEW_HOST = "join.contoso.com"


@pytest.fixture
def wave(tenant: Tenant, anna: ConferencingUser, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge) -> Wave:
    """Anna and Bruno have moved; Anna had a meeting, which a run has led to the new deployment."""
    legacy = a_deployment(tenant, meeting_hosts=["meet.contoso.com"])
    new = a_deployment(
        tenant,
        "new",
        meeting_service="link",
        meeting_hosts=[NEW_HOST],
        meeting_url=f"https://{NEW_HOST}",
    )
    bruno = make_user("bruno", language="it-IT")
    belong_to(legacy, [anna, bruno], old_bridge)
    belong_to(new, [], new_bridge)
    wave = a_wave(a_rollout(tenant, legacy, new))
    invite(anna)
    members(wave, ConferencingUser.objects.filter(pk__in=[anna.pk, bruno.pk]))
    move_forward(wave)
    return wave


def search(wave: Wave) -> MeetingSearch:
    searching.search_wave(wave, ACTOR)
    searching.advance(timezone.now() + timedelta(minutes=1))
    found = searching.latest(wave=wave)
    assert found is not None
    return found


def schedule(user: ConferencingUser, number: int, subject: str = "Planning", host: str = NEW_HOST) -> str:
    """A meeting that the user's upgraded client has made on the new deployment."""
    uid, body = invite(user, number, subject=subject)
    EmbeddedMailbox(user).store([(uid, body.replace(b"meet.contoso.com", host.encode()))])
    return uid


def test_r85_only_what_was_scheduled_there_is_found(wave: Wave, anna: ConferencingUser) -> None:
    """Not what a run of the wave has led there, nor what leads to the legacy deployment."""
    uid = schedule(anna, 3)
    invite(anna, 4)

    found = search(wave)

    (row,) = stranded.stranded(found)
    assert (row.user.upn, row.uid, row.subject) == (anna.upn, uid, "Planning")
    assert row.starts_at is not None
    assert row.attendees
    assert row.join_url.startswith(f"https://{NEW_HOST}/")
    assert (found.searched_users, found.searched_meetings) == (2, 1)


def test_r85_what_a_run_has_led_there_is_no_stranded_meeting(wave: Wave, anna: ConferencingUser) -> None:
    assert any(NEW_HOST.encode() in bytes(each.body) for each in anna.calendar_objects.all())

    assert not stranded.stranded(search(wave)).exists()


def test_r85_nothing_of_it_is_changed_by_the_way_back(wave: Wave, anna: ConferencingUser) -> None:
    uid = schedule(anna, 3)
    before = body_of(anna, uid)

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert body_of(anna, uid) == before
    assert [row.uid for row in stranded.stranded(search(wave))] == [uid]


def test_r85_two_deployments_with_the_same_hosts_cannot_be_told_apart(wave: Wave) -> None:
    Deployment.objects.update(meeting_hosts=["meet.contoso.com"])
    wave = Wave.objects.select_related("rollout__legacy", "rollout__new").get(pk=wave.pk)

    with pytest.raises(ValidationError, match="have the same meeting hosts"):
        searching.search_wave(wave, ACTOR)


def test_r85_each_organizer_is_told_once_in_their_language(wave: Wave, anna: ConferencingUser, outbox: Path) -> None:
    bruno = ConferencingUser.objects.get(upn="bruno@contoso.com")
    deliver()
    schedule(anna, 3, "Budget\nreview")
    schedule(anna, 4, "Planning")
    schedule(bruno, 5, "Bilancio")
    search(wave)

    assert stranded.tell_organizers(wave, ACTOR) == 2
    deliver()

    plain = [message for message in messages_in(outbox) if message.get_content_type() == "text/plain"]
    letters = {str(message["To"]): message for message in plain}
    assert len(letters) == 2
    (to_anna,) = [message for to, message in letters.items() if anna.upn in to]
    (to_bruno,) = [message for to, message in letters.items() if bruno.upn in to]
    assert "- Planning (" in to_anna.get_content()
    assert "Bilancio" not in to_anna.get_content()
    assert to_bruno["Content-Language"] == "it"
    assert "- Bilancio (" in to_bruno.get_content()
    # Told once: neither asked for again, nor after another search.
    assert stranded.tell_organizers(wave, ACTOR) == 0
    search(wave)
    assert stranded.tell_organizers(wave, ACTOR) == 0
    schedule(anna, 6, "Kickoff")
    search(wave)
    assert stranded.tell_organizers(wave, ACTOR) == 1
    assert Notice.objects.filter(kind="Stranded", user=anna).count() == 2
    assert NoticeRound.objects.filter(preview_kind="stranded").count() == 2


def test_r85_a_search_goes_on_where_it_was_killed(
    wave: Wave, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bruno = ConferencingUser.objects.get(upn="bruno@contoso.com")
    schedule(anna, 3)
    schedule(bruno, 4)
    monkeypatch.setattr(searching, "USERS", 1)
    begun = searching.search_wave(wave, ACTOR)
    assert searching._step(begun.pk)
    real = searching.meetings_found

    def killed(*_: object) -> list[FoundMeeting]:
        raise KeyboardInterrupt

    monkeypatch.setattr(searching, "meetings_found", killed)
    with pytest.raises(KeyboardInterrupt):
        searching._step(begun.pk)
    monkeypatch.setattr(searching, "meetings_found", real)
    assert searching.search_wave(wave, ACTOR) == begun  # there is one at a time

    searching.advance(timezone.now() + timedelta(minutes=1))

    found = searching.latest(wave=wave)
    assert found == begun
    assert found is not None
    assert found.meetings.count() == 2


def test_r85_a_mailbox_that_cannot_be_read_is_named(
    wave: Wave, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[FoundMeeting]:
        raise ValueError("nonsense")

    monkeypatch.setattr(searching, "meetings_found", broken)

    found = search(wave)

    assert found.unread.count() == 2
    assert {row.code for row in found.unread.all()} == {"internal-error"}


def test_r86_clients_that_are_newer_than_the_legacy_side_takes(wave: Wave, anna: ConferencingUser) -> None:
    Deployment.objects.filter(pk=wave.rollout.legacy_id).update(highest_client_version="16.0.4266")
    wave.members.filter(user=anna).update(client_version="16.0.10000.2")
    wave.members.exclude(user=anna).update(client_version="16.0.999")
    wave = Wave.objects.select_related("rollout__legacy").get(pk=wave.pk)

    assert [member.user for member in stranded.clients_to_downgrade(wave)] == [anna]
