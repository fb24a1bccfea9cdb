"""The page and the commands: who may change what, what is refused, and trying it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import Client

from migrations_app.alerts.actions import change_alerts
from migrations_app.alerts.kinds import BY_DEFAULT
from migrations_app.models import Alert, AlertDelivery, AlertSettings
from tenants_app.models import AuditEntry, Tenant
from tests.alerts.conftest import SECRET
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.meetings import messages_in
from tests.support.scripted_server import ScriptedServer, Told

pytestmark = pytest.mark.usefixtures("wakes")
PAGE = "/contoso/settings/alerts/"
FORM = {
    "recipients": "Alice@contoso.com\r\nops@contoso.com, alice@contoso.com",
    "webhook_url": "https://hooks.contoso.com/mms?key=hidden",
    "pause_minutes": "15",
    "quiet_from": "22:00",
    "quiet_until": "07:00",
    "breaks_quiet": "silent-cluster",
    "about_failed_runs": "on",
    "about_finished_jobs": "on",
}


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_an_admin_saves_it_and_sees_the_secret_once(alice: Client, tenant: Tenant) -> None:
    page = text(alice.post(PAGE, FORM, follow=True))
    stored = AlertSettings.objects.get()
    assert stored.addresses == ["Alice@contoso.com", "ops@contoso.com"]
    assert set(stored.watched) == {"failed-runs", "finished-jobs"}
    assert (stored.quiet_from.hour, stored.pause_minutes, stored.breaks_quiet) == (22, 15, "silent-cluster")
    assert stored.password in page
    assert stored.password not in text(alice.get(PAGE))
    (entry,) = AuditEntry.objects.filter(action="change alerts")
    assert entry.after["webhook_url"] == "https://hooks.contoso.com/…"
    assert stored.password not in str(entry.after)


def test_what_is_not_edited_stays_as_others_have_saved_it(alice: Client, tenant: Tenant) -> None:
    alice.post(PAGE, FORM)
    page = alice.get(PAGE).content.decode()
    assert 'value="22:00"' in page
    change_alerts(tenant, ACTOR, pause_minutes=30)
    shown = {f"initial-{name}": value for name, value in FORM.items() if not name.startswith(("about", "rec"))}
    shown |= {"initial-recipients": "Alice@contoso.com\nops@contoso.com", "initial-about_failed_runs": "True"}
    alice.post(PAGE, FORM | shown | {"recipients": "zoe@contoso.com", "initial-about_finished_jobs": "True"})
    stored = AlertSettings.objects.get()
    assert (stored.pause_minutes, stored.addresses) == (30, ["zoe@contoso.com"])
    assert set(stored.watched) == {"failed-runs", "finished-jobs"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"recipients": "nobody"}, "“nobody” is no mail address"),
        ({"recipients": "\n".join(f"a{i}@contoso.com" for i in range(21))}, "at most 20 addresses"),
        ({"webhook_url": "https://169.254.169.254/"}, "169.254.169.254 is in a private network, or MMS itself"),
        ({"webhook_url": "http://hooks.contoso.com/"}, "plain http to hooks.contoso.com would show alerts"),
        ({"quiet_until": ""}, "Quiet hours have a beginning and an end"),
        ({"quiet_until": "22:00"}, "Quiet hours end at another time than they begin"),
        ({"pause_minutes": "0"}, "Give at least 1."),
        ({"breaks_quiet": "everything"}, "“everything” is not on offer"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_saved(
    alice: Client, tenant: Tenant, wrong: dict[str, str], told: str
) -> None:
    assert told in text(alice.post(PAGE, FORM | wrong))
    assert not AlertSettings.objects.exists()


def test_who_may_only_read_sees_neither_form_nor_what_may_be_secret(
    vera: Client, bob: Client, tenant: Tenant, hooked: AlertSettings
) -> None:
    for client in (vera, bob):
        page = text(client.get(PAGE))
        assert "http://localhost" in page
        assert "key=1" not in page
        assert SECRET not in page
        assert "<textarea" not in page
        for address in ("", "secret/", "test-mail/", "test-webhook/", "1/send-again/"):
            assert client.post(PAGE + address).status_code == 403


def test_trying_it_says_step_by_step_what_works(
    alice: Client, hooked: AlertSettings, receiver: ScriptedServer, outbox: Path
) -> None:
    page = text(alice.post(f"{PAGE}test-webhook/"))
    (asked,) = receiver.asked
    assert asked.headers["mms-event"] == "test"
    assert json.loads(asked.body)["title"] == "Test alert"
    assert f"localhost took the test alert {asked.headers['mms-delivery']} (204)." in page
    receiver.script = lambda asked: Told(302, headers={"Location": "https://hooks.contoso.com/"})
    assert "alerts are not carried there: localhost answered 302" in text(alice.post(f"{PAGE}test-webhook/"))
    change_alerts(hooked.tenant, ACTOR, recipients="alice@contoso.com")
    assert "Mail to alice@contoso.com" in text(alice.post(f"{PAGE}test-mail/"))
    (message,) = messages_in(outbox)
    assert message["Subject"] == "[MMS Contoso] Test alert"
    assert not Alert.objects.exists()


def test_a_new_secret_signs_at_once_and_is_shown_once(
    alice: Client, hooked: AlertSettings, receiver: ScriptedServer
) -> None:
    page = text(alice.post(f"{PAGE}secret/", follow=True))
    secret = AlertSettings.objects.get().password
    assert secret != SECRET
    assert secret in page
    assert secret not in str(AuditEntry.objects.filter(action="renew alert secret").values())


def test_what_was_given_up_is_shown_and_sent_again(
    alice: Client, vera: Client, hooked: AlertSettings, cast: None
) -> None:
    alert = Alert.objects.create(tenant=hooked.tenant, content={"title": "3 runs failed"})
    failed = AlertDelivery.objects.create(
        alert=alert, channel="webhook", state="Failed", error_code="alert-given-up", error_detail="no way leads there"
    )
    AlertSettings.objects.update(webhook_given_up_at=alert.created)
    for address in (PAGE, "/contoso/"):
        assert "Alerts do not reach the webhook." in text(vera.get(address))
    assert "The alert could not be delivered in a day of tries: no way leads there." in text(vera.get(PAGE))
    address = f"{PAGE}{failed.pk}/send-again/"
    assert f'action="{address}"' in text(alice.get(PAGE))
    assert f'action="{address}"' not in text(vera.get(PAGE))
    assert "The alert is on its way again." in text(alice.post(address, follow=True))
    assert AlertDelivery.objects.get().state == "Queued"
    assert "nothing was sent again" in text(alice.post(address, follow=True))
    other = Alert.objects.create(tenant=Tenant.objects.get(slug="fabrikam"), content={})
    theirs = AlertDelivery.objects.create(alert=other, channel="webhook", state="Failed")
    assert alice.post(f"{PAGE}{theirs.pk}/send-again/").status_code == 404


# --- commands ---------------------------------------------------------------------------------------------------------


def test_by_command(command: Command, tenant: Tenant, receiver: ScriptedServer, tmp_path: Path) -> None:
    url = f"{receiver.address}hook?key=hidden"
    told = command(
        "set_alert_configuration", "--recipient", "a@contoso.com", "--webhook-url", url, "--quiet", "22:00-7 am"
    )
    stored = AlertSettings.objects.get()
    assert stored.password in told
    assert "hidden" not in told
    assert set(stored.watched) == set(BY_DEFAULT)
    shown = json.loads(command("get_alert_configuration", "--format", "json"))
    assert (shown["QuietFrom"], shown["QuietUntil"], shown["HasSecret"]) == ("22:00", "07:00", True)
    assert shown["Webhook"].endswith("/…")
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    assert SECRET not in command("set_alert_configuration", "--secret-file", str(secret))
    assert AlertSettings.objects.get().password == SECRET
    assert "took the test alert" in command("test_alert", "--only", "webhook")
    command("set_alert_configuration", "--quiet", "", "--kinds", "silent-cluster", "--recipient", "")
    stored = AlertSettings.objects.get()
    assert (stored.quiet_from, list(stored.watched), stored.addresses) == (None, ["silent-cluster"], [])
    made = command("set_alert_configuration", "--new-secret")
    assert AlertSettings.objects.get().password in made


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--webhook-url", "https://127.0.0.1/"], "127.0.0.1 is in a private network, or MMS itself"),
        (["--recipient", "nobody"], "“nobody” is no mail address"),
        (["--kinds", "everything"], "there is no kind of alert everything"),
        (["--quiet", "22:00"], "'22:00' is no daily window"),
        (["--quiet", "22:00-22:00"], "Quiet hours end at another time"),
        (["--new-secret"], "There is no webhook that would need a secret"),
        (["--secret-file", "SHORT"], "enter its address too"),
        (["--webhook-url", "https://hooks.contoso.com/", "--secret-file", "SHORT"], "at least 24 ASCII characters"),
        (["--webhook-url", "https://a.contoso.com/", "--webhook-url-file", "-"], "Give the webhook's address once"),
    ],
)
def test_what_is_wrong_by_command_is_one_sentence(
    command: Command, tenant: Tenant, tmp_path: Path, options: list[str], told: str
) -> None:
    (tmp_path / "short").write_text("too short")
    given = [str(tmp_path / "short") if option == "SHORT" else option for option in options]
    with pytest.raises(CommandError, match=told):
        command("set_alert_configuration", *given)
    assert not AlertSettings.objects.exists()


def test_trying_nothing_says_what_to_do(command: Command, tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="go nowhere: say where to with set_alert_configuration"):
        command("test_alert")


def test_without_a_key_for_secrets_no_webhook_is_kept(tenant: Tenant, command: Command, settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = []
    with pytest.raises(CommandError, match="MMS_SECRETS_KEY is not set"):
        command("set_alert_configuration", "--webhook-url", "https://hooks.contoso.com/", errors=io.StringIO())
    assert not AlertSettings.objects.exists()
