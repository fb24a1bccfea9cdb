"""R92 and R76: a rollout's people are told by mail and by webhook, each event once to each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from migrations_app.alerts import delivering, worker
from migrations_app.alerts.actions import change_alerts, send_again
from migrations_app.mail.servers import Connections
from migrations_app.models import Alert, AlertDelivery, AlertSettings, Rollout, RolloutEvent
from migrations_app.monitoring import clock
from migrations_app.rollouts import events, telling
from migrations_app.rollouts.people import change_people, renew_secret
from tenants_app.models import AuditEntry, Tenant
from tenants_app.sentences import sentence
from tests.support.actors import ACTOR
from tests.support.meetings import messages_in
from tests.support.rollouts import a_rollout, a_wave
from tests.support.scripted_server import ScriptedServer, Told, scripted
from tests.support.together import together

pytestmark = pytest.mark.usefixtures("wakes")
ROOT = Path(__file__).resolve().parents[2]
SECRET = "a secret of thirty-two characters"
Kind = RolloutEvent.Kind


@pytest.fixture(autouse=True)
def operator(settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = ["mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E="]
    settings.MMS_ALLOWED_WEBHOOK_HOSTS = ["localhost"]
    settings.MMS_BASE_URL = "https://mms.contoso.com"


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with scripted(lambda asked: Told(204)) as server:
        yield server


@pytest.fixture
def rollout(tenant: Tenant, outbox: Path) -> Rollout:
    """Of which two people are told by mail."""
    made = a_rollout(tenant)
    told, _ = change_people(made, ACTOR, people="ops@contoso.com\nboss@contoso.com")
    return told


def stop(rollout: Rollout, wave: int = 2) -> RolloutEvent:
    return events.note(
        rollout,
        Kind.STOPPED,
        sentence("Wave Pilot has stopped: %(failed)s of %(all)s members failed, more than 5 %%.", failed=3, all=20),
        wave=a_wave(rollout, wave),
        by="",
    )


def work() -> None:
    """One turn of the main loop, as far as it tells people."""
    telling.advance(timezone.now() + timedelta(minutes=1))
    with Connections() as connections:
        worker.advance(timezone.now() + timedelta(minutes=1), connections)


def test_each_address_gets_a_mail_of_its_own_that_says_what_where_and_why(rollout: Rollout, outbox: Path) -> None:
    events.note(
        rollout,
        Kind.GATE_OPENED,
        sentence("The gate of wave Pilot was opened by hand, though it is closed by: Backup taken."),
        wave=a_wave(rollout, 2),
        by="alice",
        reason="The backup is from yesterday and checked.",
    )
    work()
    messages = messages_in(outbox)
    assert sorted(message["To"] for message in messages) == ["boss@contoso.com", "ops@contoso.com"]
    assert {message["Subject"] for message in messages} == {
        "[MMS Contoso] To the new service, wave Pilot: the gate was opened by hand"
    }
    text = messages[0].get_content()
    assert "The gate of wave Pilot was opened by hand, though it is closed by: Backup" in text
    assert "by alice." in text
    assert "Reason: The backup is from yesterday and checked." in text
    assert f"https://mms.contoso.com/contoso/rollouts/{rollout.pk}/waves/2/" in text
    assert "you are among the people of rollout To the new service" in text
    assert f"https://mms.contoso.com/contoso/rollouts/{rollout.pk}/people/" in text


def test_what_they_are_told_of_is_what_the_rules_name(rollout: Rollout, outbox: Path) -> None:
    for kind in Kind:
        events.note(rollout, kind, sentence("Something happened."), wave=a_wave(rollout, 1))
    work()
    told = set(Alert.objects.values_list("rollout_event__kind", flat=True))
    assert told == {
        *("gate-closed", "gate-opened", "started", "stopped"),
        *("offered", "accepted", "rolled-back", "retired"),
    }
    assert len(messages_in(outbox)) == 2 * len(told)
    assert not telling.is_due(timezone.now())


def test_every_kind_that_is_told_has_a_title() -> None:
    assert set(telling.TITLES) == set(RolloutEvent.TOLD)


def test_it_is_told_once_however_often_and_by_how_many_it_is_looked(rollout: Rollout, outbox: Path) -> None:
    event = stop(rollout)
    work()
    work()
    assert telling.tell(event.pk) is None
    assert Alert.objects.count() == 1
    assert AlertDelivery.objects.count() == 2
    assert len(messages_in(outbox)) == 2


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_tell_it_once(rollout: Rollout) -> None:
    event = stop(rollout)
    together(lambda number: telling.tell(event.pk))
    assert AlertDelivery.objects.count() == 2


def test_who_is_killed_before_the_end_of_the_transaction_has_told_nobody(
    rollout: Rollout, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = stop(rollout)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(AlertDelivery.objects, "bulk_create", die)
        with pytest.raises(SystemExit):
            telling.advance(timezone.now() + timedelta(minutes=1))
    event.refresh_from_db()
    assert (event.told_at, Alert.objects.count()) == (None, 0)
    work()
    assert len(messages_in(outbox)) == 2


def test_an_event_that_cannot_be_told_keeps_no_other_from_being_told(
    rollout: Rollout, outbox: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = stop(rollout), stop(rollout, 3)
    document = telling.document

    def fail_once(event: RolloutEvent) -> dict[str, Any]:
        if event.pk == first.pk:
            raise RuntimeError("of one row")
        return document(event)

    with monkeypatch.context() as patch:
        patch.setattr(telling, "document", fail_once)
        work()
    assert list(Alert.objects.values_list("rollout_event", flat=True)) == [second.pk]
    assert f"event {first.pk} of a rollout could not be told" in caplog.text
    work()
    assert Alert.objects.filter(rollout_event=first).exists()


def test_whoever_is_no_recipient_any_more_gets_nothing(rollout: Rollout, outbox: Path) -> None:
    stop(rollout)
    telling.advance(timezone.now() + timedelta(minutes=1))
    change_people(rollout, ACTOR, people="ops@contoso.com")
    work()
    assert [message["To"] for message in messages_in(outbox)] == ["ops@contoso.com"]
    given_up = AlertDelivery.objects.get(recipient="boss@contoso.com")
    assert (given_up.state, given_up.error_code) == ("Failed", "alert-not-wanted")


def test_where_nobody_is_to_be_told_nothing_waits(tenant: Tenant, outbox: Path) -> None:
    event = stop(a_rollout(tenant))
    work()
    event.refresh_from_db()
    assert event.told_at is not None
    assert messages_in(outbox) == []


def test_quiet_hours_and_switches_of_the_tenants_alerts_hold_nothing_back(
    tenant: Tenant, rollout: Rollout, outbox: Path
) -> None:
    change_alerts(
        tenant,
        ACTOR,
        kinds=[],
        recipients="admins@contoso.com",
        quiet_weekends=True,
    )
    stop(rollout)
    work()
    assert {message["To"] for message in messages_in(outbox)} == {"ops@contoso.com", "boss@contoso.com"}


# --- the webhook ------------------------------------------------------------------------------------------------------


@pytest.fixture
def hooked(rollout: Rollout, receiver: ScriptedServer) -> Rollout:
    told, _ = change_people(rollout, ACTOR, people="", webhook_url=f"{receiver.address}hook", secret=SECRET)
    return told


@pytest.fixture
def is_from_mms() -> Callable[..., bool]:
    """The ten lines of the guide to alerts."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - that it works is what is tested
    return names["is_from_mms"]


def test_the_webhook_gets_a_signed_document(
    hooked: Rollout, receiver: ScriptedServer, is_from_mms: Callable[..., bool]
) -> None:
    event = stop(hooked)
    work()
    (asked,) = receiver.asked
    assert is_from_mms(SECRET, asked.headers["mms-signature"], asked.body)
    assert asked.headers["mms-event"] == "rollout"
    posted = json.loads(asked.body)
    assert posted["id"] == asked.headers["mms-delivery"]
    assert {name: posted[name] for name in ("version", "event", "kind", "by", "reason", "title", "sentence", "at")} == {
        "version": 1,
        "event": "rollout",
        "kind": "stopped",
        "by": "",
        "reason": "",
        "title": "To the new service, wave Pilot: stopped",
        "sentence": "Wave Pilot has stopped: 3 of 20 members failed, more than 5 %.",
        "at": event.at.isoformat(),
    }
    assert posted["rollout"]["name"] == "To the new service"
    assert (posted["rollout"]["legacy"], posted["rollout"]["new"]) == ("Old pool", "New service")
    assert posted["wave"] == {
        "number": 2,
        "name": "Pilot",
        "state": "Draft",
        "url": f"https://mms.contoso.com/contoso/rollouts/{hooked.pk}/waves/2/",
    }


def test_the_guide_shows_the_document_as_it_is_posted(hooked: Rollout, receiver: ScriptedServer) -> None:
    stop(hooked)
    work()
    posted = json.loads(receiver.asked[0].body)
    text = (ROOT / "docs" / "rollouts.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    documented = json.loads(shown)
    assert set(documented) == set(posted)
    assert {name: set(documented[name]) for name in ("tenant", "rollout", "wave")} == {
        name: set(posted[name]) for name in ("tenant", "rollout", "wave")
    }


def test_a_webhook_that_is_away_is_tried_again_under_the_same_name(
    hooked: Rollout, receiver: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.script = lambda asked: Told(500)
    stop(hooked)
    work()
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    monkeypatch.setattr(timezone, "now", lambda: later)
    receiver.script = lambda asked: Told(204)
    work()
    first, second = receiver.asked
    assert first.body == second.body
    assert AlertDelivery.objects.get().state == "Sent"


def test_a_webhook_that_is_gone_ends_for_the_rollout_alone(
    tenant: Tenant, hooked: Rollout, receiver: ScriptedServer
) -> None:
    change_alerts(tenant, ACTOR, webhook_url=f"{receiver.address}other", secret=SECRET)
    receiver.script = lambda asked: Told(410)
    stop(hooked), stop(hooked, 3)
    work()
    hooked.refresh_from_db()
    assert hooked.webhook_off_at is not None
    assert not hooked.has_webhook
    assert AlertSettings.of(tenant).has_webhook
    assert [delivery.state for delivery in AlertDelivery.objects.all()] == ["Failed", "Failed"]
    assert AuditEntry.objects.filter(action="stop alert webhook", target=hooked.name).exists()
    receiver.script = lambda asked: Told(204)
    on_again, _ = change_people(hooked, ACTOR, webhook_url=hooked.webhook_url)
    assert on_again.has_webhook
    send_again(AlertDelivery.objects.earliest("pk"), ACTOR)
    work()
    assert AlertDelivery.objects.earliest("pk").state == "Sent"


def test_given_up_messages_of_a_rollout_raise_no_flag_at_the_tenants_alerts(
    tenant: Tenant, hooked: Rollout, receiver: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_alerts(tenant, ACTOR, recipients="admins@contoso.com")
    receiver.script = lambda asked: Told(500)
    stop(hooked)
    telling.advance(timezone.now() + timedelta(minutes=1))
    AlertDelivery.objects.update(queued_at=timezone.now() - timedelta(days=2))
    with Connections() as connections:
        delivering.deliver(timezone.now() + timedelta(minutes=1), connections)
    delivery = AlertDelivery.objects.get()
    assert (delivery.state, delivery.error_code) == ("Failed", "alert-given-up")
    assert AlertSettings.of(tenant).webhook_given_up_at is None


# --- who is told ------------------------------------------------------------------------------------------------------


def test_the_first_webhook_gets_a_secret_that_is_shown_once_and_never_audited(tenant: Tenant) -> None:
    rollout, secret = change_people(a_rollout(tenant), ACTOR, webhook_url="https://hooks.contoso.com/rollout?key=1")
    assert len(secret) >= 32
    assert rollout.password == secret
    _, again = change_people(rollout, ACTOR, people="ops@contoso.com")
    assert again == ""
    renewed = renew_secret(rollout, ACTOR)
    assert renewed != secret
    told = [f"{entry.before} {entry.after}" for entry in AuditEntry.objects.filter(target=rollout.name)]
    assert not any(secret in text or renewed in text or "key=1" in text for text in told)
    assert any("https://hooks.contoso.com/…" in text for text in told)


@pytest.mark.parametrize(
    ("values", "field", "told"),
    [
        ({"people": "ops"}, "people", "is no mail address"),
        ({"people": "\n".join(f"a{n}@contoso.com" for n in range(21))}, "people", "at most 20 addresses"),
        ({"webhook_url": "https://10.0.0.1/"}, "webhook_url", "private network"),
        ({"webhook_url": "http://hooks.contoso.com/"}, "webhook_url", "plain http"),
        ({"secret": SECRET}, "webhook_url", "enter its address too"),
    ],
)
def test_what_cannot_be_told_to_is_refused(tenant: Tenant, values: dict[str, str], field: str, told: str) -> None:
    rollout = a_rollout(tenant)
    with pytest.raises(ValidationError) as refused:
        change_people(rollout, ACTOR, **values)
    assert told in str(refused.value.message_dict[field])
    rollout.refresh_from_db()
    assert (rollout.people, rollout.webhook_url, rollout.sealed_password) == ("", "", "")


def test_an_admin_says_on_a_page_who_is_told(alice: Client, rollout: Rollout) -> None:
    address = f"/contoso/rollouts/{rollout.pk}/people/"
    answer = alice.post(
        address, {"people": "carol@contoso.com", "webhook_url": "https://hooks.contoso.com/x"}, follow=True
    )
    rollout.refresh_from_db()
    assert rollout.addresses == ["carol@contoso.com"]
    assert rollout.password in answer.content.decode()
    assert rollout.password not in alice.get(address).content.decode()
