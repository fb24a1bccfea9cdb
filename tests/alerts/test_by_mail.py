"""Alerts by mail: to each address once, through the tenant's server, and as the same message when tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.alerts import delivering
from migrations_app.alerts.actions import change_alerts, send_again
from migrations_app.models import Alert, AlertDelivery, AlertSettings
from tenants_app.changes.mail_servers import change_mail_server
from tests.alerts.conftest import work
from tests.support.actors import ACTOR
from tests.support.mail_servers import HOST, Served, message_id_of, relay

pytestmark = pytest.mark.usefixtures("wakes")
ADDRESSES = ["alice@contoso.com", "ops@fabrikam.com"]


@pytest.fixture
def served(wanted: AlertSettings, settings: Any) -> Iterator[Served]:
    """The tenant's own mail server, with TLS and a sign-in."""
    settings.MMS_ALLOWED_MAIL_HOSTS = [HOST]
    change_alerts(wanted.tenant, ACTOR, recipients="\n".join(ADDRESSES))
    with relay() as served:
        change_mail_server(wanted.tenant, ACTOR, **served.settings, messages_per_minute=100)
        yield served


@pytest.fixture
def alert(wanted: AlertSettings, served: Served) -> Alert:
    alert = Alert.objects.create(
        tenant=wanted.tenant, content={"title": "Connection Nextcloud – 日本 works again"}, created=timezone.now()
    )
    for address in ADDRESSES:
        AlertDelivery.objects.create(alert=alert, channel="mail", recipient=address, due_at=timezone.now())
    return alert


def states() -> list[tuple[str, str]]:
    return list(AlertDelivery.objects.order_by("pk").values_list("state", "error_code"))


def test_each_gets_one_through_the_tenants_server(alert: Alert, served: Served) -> None:
    work(), work()
    assert [envelope.rcpt_tos for envelope in served.relay.envelopes] == [[address] for address in ADDRESSES]
    assert {envelope.mail_from for envelope in served.relay.envelopes} == {"meeting-migration@contoso.com"}
    content = served.relay.envelopes[0].content
    assert isinstance(content, bytes)
    assert content.isascii()
    message = message_from_bytes(content, policy=default)
    assert message["Subject"] == "[MMS Contoso] Connection Nextcloud – 日本 works again"
    assert message["To"].addresses[0].addr_spec == "alice@contoso.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "日本" in message.get_content()
    assert "https://mms.contoso.com/contoso/settings/alerts/" in message.get_content()
    assert states() == [("Sent", ""), ("Sent", "")]


def test_who_dies_between_sending_and_noting_sends_the_same_again(
    alert: Alert, served: Served, monkeypatch: pytest.MonkeyPatch, hands: Any
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "_note", die)
        with pytest.raises(SystemExit):
            work()
    hands.shift(delivering.LEASE + timedelta(seconds=1))
    work()
    first, *_, again = sorted(
        (each for each in served.relay.envelopes if each.rcpt_tos == ["alice@contoso.com"]), key=id
    )
    assert message_id_of(first) == message_id_of(again)
    assert first.content == again.content
    assert len({message_id_of(each) for each in served.relay.envelopes}) == 2


def test_who_is_refused_is_named_and_the_other_gets_it(alert: Alert, served: Served) -> None:
    served.relay.refuse("alice@contoso.com")
    work()
    assert states() == [("Failed", "alert-refused"), ("Sent", "")]
    assert AlertDelivery.objects.get(state="Failed").error_detail == "answer 550"


def test_who_was_taken_off_the_list_gets_nothing_any_more(alert: Alert, served: Served) -> None:
    change_alerts(alert.tenant, ACTOR, recipients="ops@fabrikam.com")
    work()
    assert states() == [("Failed", "alert-not-wanted"), ("Sent", "")]
    assert AlertSettings.objects.get().mail_given_up_at is None
    with pytest.raises(ValidationError, match="do not go to alice"):
        send_again(AlertDelivery.objects.get(state="Failed"), ACTOR)


def test_who_is_put_off_gets_it_later(alert: Alert, served: Served, minutes: Callable[[int], None]) -> None:
    served.relay.greylist()
    work()
    assert states() == [("Queued", "mail-put-off")] * 2
    minutes(4)
    assert states() == [("Sent", "")] * 2


def test_a_server_that_is_away_is_asked_as_seldom_as_for_other_messages(
    alert: Alert, served: Served, hands: Any, minutes: Callable[[int], None]
) -> None:
    change_mail_server(alert.tenant, ACTOR, **{**served.settings, "port": 9})
    work()
    minutes(3)
    assert states() == [("Queued", "mail-server-unreachable")] * 2
    for _ in range(60):
        hands.shift(timedelta(minutes=25))
        work()
    assert states() == [("Failed", "alert-given-up")] * 2
    assert AlertSettings.objects.get().mail_given_up_at


def test_the_limit_of_the_tenants_server_holds(alert: Alert, served: Served, hands: Any) -> None:
    change_mail_server(alert.tenant, ACTOR, messages_per_minute=1)
    work()
    assert states() == [("Sent", ""), ("Queued", "mail-limit")]
    hands.shift(timedelta(minutes=2))
    work()
    assert states() == [("Sent", "")] * 2
    assert list(AlertDelivery.objects.order_by("pk").values_list("attempts", flat=True)) == [1, 1]
