"""Alerts by webhook: signed, repeated under the same name, and never posted where they must not go."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Min
from django.test import Client
from django.utils import timezone

from migrations_app.alerts import delivering, grouping, webhook
from migrations_app.alerts.actions import change_alerts, send_again
from migrations_app.failures import Failure
from migrations_app.models import Alert, AlertDelivery, AlertEvent, AlertSettings
from tenants_app.models import AuditEntry, Tenant
from tests.alerts.conftest import SECRET, work
from tests.support.actors import ACTOR
from tests.support.scripted_server import ScriptedServer, Told, scripted
from tests.support.together import together

pytestmark = pytest.mark.usefixtures("wakes")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def alert(hooked: AlertSettings) -> AlertDelivery:
    """One that is due."""
    content = {"version": 1, "title": "3 runs failed – zażółć"}
    made = Alert.objects.create(tenant=hooked.tenant, content=content)
    now = timezone.now()
    return AlertDelivery.objects.create(alert=made, channel="webhook", queued_at=now, due_at=now)


@pytest.fixture
def is_from_mms() -> Callable[..., bool]:
    """The ten lines of the guide."""
    text = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - that it works is what is tested
    return names["is_from_mms"]


def now_of(delivery: AlertDelivery) -> AlertDelivery:
    return AlertDelivery.objects.get(pk=delivery.pk)


def test_it_is_signed_as_the_guide_checks_it(
    alert: AlertDelivery, receiver: ScriptedServer, is_from_mms: Callable[..., bool]
) -> None:
    work()
    (asked,) = receiver.asked
    assert (asked.method, asked.path) == ("POST", "/hook?key=1")
    signature = asked.headers["mms-signature"]
    assert is_from_mms(SECRET, signature, asked.body)
    assert not is_from_mms(SECRET, signature, asked.body + b" ")
    assert not is_from_mms("another secret", signature, asked.body)
    assert not is_from_mms(SECRET, signature.replace("t=1", "t=2"), asked.body)
    assert not is_from_mms(SECRET, webhook.signature(SECRET, int(time.time()) - 301, asked.body), asked.body)
    posted = json.loads(asked.body)
    assert posted["title"] == "3 runs failed – zażółć"
    assert (posted["event"], asked.headers["mms-event"]) == ("alert", "alert")
    assert posted["id"] == asked.headers["mms-delivery"] == str(alert.delivery_id)
    assert (now_of(alert).state, now_of(alert).attempts) == ("Sent", 1)
    work()
    assert len(receiver.asked) == 1


def test_who_dies_between_posting_and_noting_posts_the_same_again(
    alert: AlertDelivery, receiver: ScriptedServer, monkeypatch: pytest.MonkeyPatch, hands: Any
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_note", die)
        with pytest.raises(SystemExit):
            work()
    hands.shift(timedelta(minutes=2))
    work()
    assert len(receiver.asked) == 1, "the lease holds"
    hands.shift(delivering.LEASE)
    work()
    first, second = receiver.asked
    assert first.headers["mms-delivery"] == second.headers["mms-delivery"]
    assert first.body == second.body
    assert now_of(alert).state == "Sent"


def test_a_worker_that_has_lost_its_lease_notes_nothing(
    alert: AlertDelivery, receiver: ScriptedServer, hands: Any
) -> None:
    receiver.script = lambda asked: Told(500)
    delivery = delivering._claim()
    assert delivery
    AlertDelivery.objects.update(lease_token="6f0a3a3e-6f3c-4b0e-9f0e-0d8c5c0a7b11")
    with delivering.Connections() as connections:
        delivering._deliver(delivery, connections)
    assert (now_of(alert).error_code, str(now_of(alert).lease_token)[:4]) == ("", "6f0a")


@pytest.mark.parametrize(
    ("told", "code", "detail"),
    [
        (Told(500), "webhook-refused", "localhost answered 500"),
        (Told(404), "webhook-refused", "localhost answered 404"),
        (Told(302, headers={"Location": "https://169.254.169.254/"}), "webhook-redirected", "localhost answered 302"),
        (Told(307, headers={"Location": "https://hooks.contoso.com/"}), "webhook-redirected", "localhost answered 307"),
        (Told(hangs_up=True), "webhook-unavailable", "localhost broke off the connection"),
        (Told(resets=True), "webhook-unavailable", "localhost broke off the connection"),
        (Told(204, headers={"Bad Header\x00": "x"}), "webhook-unavailable", "localhost broke off the connection"),
    ],
)
def test_what_is_not_taken_is_tried_again(
    alert: AlertDelivery, receiver: ScriptedServer, told: Told, code: str, detail: str, minutes: Callable[[int], None]
) -> None:
    receiver.script = lambda asked: told
    work()
    failed = now_of(alert)
    assert (failed.state, failed.error_code, failed.error_detail) == ("Queued", code, detail)
    receiver.script = lambda asked: Told(200, b"ok")
    minutes(4)
    assert (now_of(alert).state, now_of(alert).attempts, now_of(alert).error_code) == ("Sent", 2, "")
    assert len({asked.headers["mms-delivery"] for asked in receiver.asked}) == 1


def test_an_answer_without_end_is_not_read(alert: AlertDelivery, receiver: ScriptedServer) -> None:
    receiver.script = lambda asked: Told(200, b"x" * 5_000_000)
    work()
    assert now_of(alert).state == "Sent"


def test_retry_after_is_honoured(alert: AlertDelivery, receiver: ScriptedServer, hands: Any) -> None:
    receiver.script = lambda asked: Told(503, headers={"Retry-After": "7200"})
    work()
    assert now_of(alert).due_at - timezone.now() == timedelta(hours=2)
    hands.shift(timedelta(minutes=119))
    work()
    assert len(receiver.asked) == 1
    hands.shift(timedelta(minutes=1))
    work()
    assert len(receiver.asked) == 2


def test_after_a_day_it_is_given_up_with_what_waited_as_long(
    alert: AlertDelivery, receiver: ScriptedServer, hands: Any
) -> None:
    beside = AlertDelivery.objects.create(
        alert=alert.alert, channel="webhook", queued_at=timezone.now(), due_at=timezone.now() + timedelta(seconds=1)
    )
    receiver.script = lambda asked: Told(500)
    while due_at := AlertDelivery.objects.filter(state="Queued").aggregate(due_at=Min("due_at"))["due_at"]:
        asked = len(receiver.asked)
        hands.move_to(max(due_at - timedelta(seconds=1), timezone.now()))
        if timezone.now() < due_at:
            work()
            assert len(receiver.asked) == asked, "it is asked too early"
        hands.move_to(max(due_at, timezone.now()))
        work()
        assert now_of(alert).attempts <= 12
    ended = now_of(alert)
    assert (ended.state, ended.error_code) == ("Failed", "alert-given-up")
    assert "localhost answered 500" in ended.error_message
    assert now_of(beside).state == "Failed"
    assert 8 <= ended.attempts <= 12
    assert len(receiver.asked) <= 14, "a server that is away is not asked for each alert"
    settings = AlertSettings.objects.get()
    assert settings.webhook_given_up_at
    receiver.script = lambda asked: Told(204)
    send_again(ended, ACTOR)
    work()
    assert (now_of(alert).state, AlertSettings.objects.get().webhook_given_up_at) == ("Sent", None)
    assert receiver.asked[-1].headers["mms-delivery"] == str(alert.delivery_id)
    with pytest.raises(ValidationError, match="arrived meanwhile"):
        send_again(ended, ACTOR)


def test_what_waits_behind_another_goes_when_that_is_taken(
    alert: AlertDelivery, hooked: AlertSettings, receiver: ScriptedServer, minutes: Callable[[int], None]
) -> None:
    receiver.script = lambda asked: Told(503)
    minutes(30)
    asked = len(receiver.asked)
    later = Alert.objects.create(tenant=hooked.tenant, content={"title": "1 run failed"})
    grouping.deliver(later, hooked, timezone.now())
    work()
    assert len(receiver.asked) == asked, "its server is not asked for each alert"
    receiver.script = lambda asked: Told(204)
    minutes(30)
    assert {each.state for each in AlertDelivery.objects.all()} == {"Sent"}
    assert len(receiver.asked) == asked + 2


def test_who_is_gone_is_left_alone_until_the_address_is_saved_again(
    alert: AlertDelivery, hooked: AlertSettings, receiver: ScriptedServer, minutes: Callable[[int], None]
) -> None:
    waiting = AlertDelivery.objects.create(
        alert=alert.alert, channel="webhook", due_at=timezone.now() + timedelta(hours=1)
    )
    receiver.script = lambda asked: Told(410)
    minutes(10)
    assert len(receiver.asked) == 1
    assert {now_of(alert).error_code, now_of(waiting).error_code} == {"webhook-gone"}
    assert {now_of(alert).state, now_of(waiting).state} == {"Failed"}
    assert AuditEntry.objects.filter(action="stop alert webhook", channel="service").count() == 1
    assert not AlertSettings.objects.get().has_webhook
    with pytest.raises(ValidationError, match="not posted anywhere"):
        send_again(now_of(alert), ACTOR)
    settings, _ = change_alerts(hooked.tenant, ACTOR, webhook_url=hooked.webhook_url)
    assert settings.has_webhook


# --- where it must not go ---------------------------------------------------------------------------------------------


NO_PUBLIC_SERVERS = [
    "https://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1/",
    "https://10.0.0.1/",
    "https://192.168.1.1:8443/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[fd00::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://hooks.contoso.com@169.254.169.254/",
    "https://169.254.169.254@hooks.contoso.com/",
    "https://user:password@hooks.contoso.com/",
    "https://hooks.contoso.com\\@127.0.0.1/",
    "https://hooks.contoso.com#@127.0.0.1/",
    "http://hooks.contoso.com/",
    "ftp://hooks.contoso.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/_HELO",
    "javascript:alert(1)",
    "hooks.contoso.com/mms",
    "https://",
    "https:///mms",
    "https://hooks.contoso.com:0/",
    "https://hooks.contoso.com:99999/",
    "https://hooks.contoso.com:abc/",
    "https://hooks contoso.com/",
    "https://hooks.contoso.com/\r\nHost: 127.0.0.1",
    "https://①②⑦.0.0.1/",
    "https://ｌocalhost/",
    "https://[::1/",
]


def test_what_is_no_address_of_a_public_server_is_refused_and_nothing_sent(
    wanted: AlertSettings, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    made = Alert.objects.create(tenant=wanted.tenant, content={})
    for url in NO_PUBLIC_SERVERS:
        with subtests.test(url):
            with pytest.raises(ValidationError, match="leads to no server that MMS may use"):
                change_alerts(wanted.tenant, ACTOR, webhook_url=url)
            assert AlertSettings.objects.get().webhook_url == ""
            with pytest.raises(Failure) as refused:
                webhook.post(url, SECRET, "alert", uuid4(), b"{}")
            assert refused.value.code == "webhook-address"
    AlertSettings.objects.update(webhook_url=NO_PUBLIC_SERVERS[0])
    delivery = AlertDelivery.objects.create(alert=made, channel="webhook", queued_at=timezone.now())
    work()
    assert now_of(delivery).error_code == "webhook-address"


def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_posted_to(
    alert: AlertDelivery, hooked: AlertSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_alerts(hooked.tenant, ACTOR, webhook_url="https://hooks.contoso.com/")
    answers: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (each, 443)) for each in answers])
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    for found in ("169.254.169.254", "10.1.2.3", "127.0.0.1", "::1", "::ffff:192.168.0.1", "fd12::1"):
        answers[:] = ["93.184.215.14", found]
        with pytest.raises(Failure) as refused:
            webhook.post("https://hooks.contoso.com/", SECRET, "alert", alert.delivery_id, b"{}")
        assert refused.value.code == "webhook-address"
    work()
    assert now_of(alert).error_detail == "hooks.contoso.com is in a private network, or MMS itself"


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    alert: AlertDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of names that answers with another address the second time (rebinding)."""
    answers = ["93.184.215.14", "127.0.0.1"]
    connected: list[str] = []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> Any:
        address = answers.pop(0) if host == "hooks.contoso.com" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> Any:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Failure) as refused:
        webhook.post("https://hooks.contoso.com/", SECRET, "alert", alert.delivery_id, b"{}")
    assert refused.value.code == "webhook-unavailable"
    assert connected == ["93.184.215.14"]


def test_it_follows_no_redirect_not_even_to_an_allowed_server(alert: AlertDelivery, receiver: ScriptedServer) -> None:
    with scripted(lambda asked: Told(204)) as elsewhere:
        receiver.script = lambda asked: Told(308, headers={"Location": elsewhere.address})
        work()
        assert elsewhere.connections == 0


def test_plain_http_and_private_addresses_are_for_hosts_that_the_operator_names(
    wanted: AlertSettings, receiver: ScriptedServer, settings: Any
) -> None:
    settings.MMS_ALLOWED_WEBHOOK_HOSTS = []
    with pytest.raises(ValidationError, match="plain http to localhost would show alerts to everybody between"):
        change_alerts(wanted.tenant, ACTOR, webhook_url=receiver.address)
    settings.MMS_ALLOWED_WEBHOOK_HOSTS = ["LOCALHOST."]
    changed, secret = change_alerts(wanted.tenant, ACTOR, webhook_url=receiver.address)
    assert changed.has_webhook
    assert len(secret) >= 40
    assert AlertSettings.objects.get().password == secret
    assert secret not in AlertSettings.objects.get().sealed_password


def test_a_secret_that_no_key_opens_signs_nothing(
    alert: AlertDelivery, receiver: ScriptedServer, settings: Any
) -> None:
    settings.MMS_SECRETS_KEYS = ["6RmRqTmJX2jz1Lx2c4y0Q0i0m1o0mCk3bU3f8mQ2r0E="]
    work()
    assert now_of(alert).error_code == "webhook-without-secret"
    assert receiver.asked == []


def test_saving_the_page_posts_again_to_who_was_gone(hooked: AlertSettings, alice: Client) -> None:
    AlertSettings.objects.update(webhook_off_at=timezone.now())
    assert "not posted to the webhook any more" in alice.get("/contoso/").content.decode()
    kinds = {f"{each}about_{kind.replace('-', '_')}": "on" for kind in hooked.watched for each in ("", "initial-")}
    shown = {"recipients": "", "webhook_url": hooked.webhook_url, "pause_minutes": "10", "breaks_quiet": "nothing"}
    alice.post("/contoso/settings/alerts/", shown | kinds)
    assert AlertSettings.objects.get().has_webhook
    assert AuditEntry.objects.filter(action="change alerts").latest("pk").after == {"webhook": "on again"}


@pytest.mark.django_db(transaction=True)
def test_several_workers_tell_and_deliver_once(
    tenant: Tenant, receiver: ScriptedServer, make_user: Any, make_run: Any
) -> None:
    change_alerts(tenant, ACTOR, webhook_url=receiver.address, secret=SECRET)
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    for settings in AlertSettings.objects.all():
        long_ago = timezone.now() - timedelta(hours=2)
        settings.watched = dict.fromkeys(settings.watched, long_ago.isoformat())
        settings.save()
    together(lambda number: work())
    assert AlertEvent.objects.count() == 1
    AlertEvent.objects.update(noted_at=timezone.now() - timedelta(minutes=5))
    AlertSettings.objects.update(looked_at=None)
    together(lambda number: work())
    assert Alert.objects.count() == 1
    together(lambda number: work())
    assert len(receiver.asked) == 1
