"""R38: the tool's messages go through the outbox of the runs. Whatever happens to them, nobody is told twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrations_app.demo import invitations as demo
from migrations_app.mail import outbox as mail
from migrations_app.mail.delivery import deliver
from migrations_app.models import MeetingResult, Run, UntoldNumber, Update, UpdateText
from migrations_app.tool.errors import Refused
from migrations_app.tool.migration import Migration
from migrations_app.tool.reading import Given, Source
from migrations_app.tool.settings import ByHand, settings_of
from migrations_app.tool.use import Done, use
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.meetings import ANEW, calendar_of, invite, messages_in, migrate, plan
from tests.support.samples import skype_text
from tests.support.together import together

pytestmark = pytest.mark.django_db(transaction=True)


def send(user: ConferencingUser, folder: Path, *texts: bytes, **options: Any) -> Done:
    loaded = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number").get(
        pk=user.pk
    )
    sources = [Source(f"{number}.ics", text) for number, text in enumerate(texts)]
    folder.mkdir(parents=True)
    migration = Migration(settings_of(loaded, ByHand()), Given(sources), ANEW)
    return use(migration, folder, ACTOR, sends=True, **options)


def test_several_at_once_tell_each_attendee_once(
    make_user: Callable[..., ConferencingUser], outbox: Path, tmp_path: Path
) -> None:
    anna = make_user("anna.rossi", mailbox_location="on-premises")
    texts = [demo.skype_text(plan(anna, number)) for number in range(5)]
    done = together(lambda number: send(anna, tmp_path / str(number), *texts))
    assert sum(len(each.sending.queued) for each in done if each.sending) == 5
    assert Counter(result.uid for result in MeetingResult.objects.all()).most_common(1)[0][1] == 1
    deliver()
    assert len(messages_in(outbox)) == 5
    assert not UpdateText.objects.exists()


def test_a_message_that_was_refused_can_be_sent_again_from_the_text_that_was_kept(
    anna: ConferencingUser, outbox: Path, tmp_path: Path
) -> None:
    change_user(anna, ACTOR, hosting="on-premises", language="it-IT")
    send(anna, tmp_path / "out", demo.teams_gen2(plan(anna)))
    Update.objects.update(state="Failed", error_code="mail-refused")
    assert deliver() == 0
    assert len(send(anna, tmp_path / "again", demo.teams_gen2(plan(anna))).sending.told_already) == 1
    assert "once the failed message of the run" in (tmp_path / "again" / "report.csv").read_text("utf-8-sig")
    run = Run.objects.get()
    assert mail.send_again(run) == 1
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert b"meet.contoso.com" in calendar_of(message)
    assert not UpdateText.objects.exists()


def test_a_later_run_of_the_same_meeting_takes_the_place_of_a_message_that_waits(
    anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge, outbox: Path, tmp_path: Path
) -> None:
    _, text = invite(anna)
    send(anna, tmp_path / "out", text)
    change_user(anna, ACTOR, bridge=new_bridge)
    Run.objects.filter(state="Pending").delete()
    migrate(anna)
    assert Counter(Update.objects.values_list("state", flat=True)) == {"Superseded": 1, "Queued": 1}
    assert not UpdateText.objects.exists()
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert b"+442079460123" in calendar_of(message).replace(b"\r\n ", b"").replace(b" ", b"")


def test_r35_a_number_is_held_until_its_attendees_are_told(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path, tmp_path: Path
) -> None:
    change_user(anna, ACTOR, bridge=new_bridge, mailbox_location="on-premises")
    Run.objects.all().delete()
    block = skype_text("https://meet.contoso.com/anna.rossi/OLD1KEY2", inside="Toll number: +1 425-555-0100\n")
    send(anna, tmp_path / "out", invitation(anna, text=block))
    assert [*UntoldNumber.objects.values_list("number__number", flat=True)] == ["+14255550100"]
    deliver()
    assert not UntoldNumber.objects.exists()


def test_what_fails_while_it_is_written_tells_nobody(
    anna: ConferencingUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    text = demo.skype_text(plan(anna))
    monkeypatch.setattr("migrations_app.tool.use._write_report", fails)
    with pytest.raises(OSError, match="No space left"):
        send(anna, tmp_path / "out", text)
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):
        send(anna, tmp_path / "not handed over", text, hand_over=fails)
    assert not Update.objects.exists()
    assert not Run.objects.exists()
    assert not AuditEntry.objects.filter(action="use migration tool").exists()
    with pytest.raises(Refused, match="There is no meeting in what was given"):
        send(anna, tmp_path / "empty", b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:t\r\nEND:VTODO\r\nEND:VCALENDAR\r\n")
    assert len(send(anna, tmp_path / "now", demo.skype_text(plan(anna))).sending.queued) == 1
