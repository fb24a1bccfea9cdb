"""Alerts speak the language of whoever gets them, and a webhook hears that of the installation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from migrations_app.alerts.actions import change_alerts
from migrations_app.alerts.delivering import body_of
from migrations_app.alerts.mail_text import text
from migrations_app.models import Alert, AlertDelivery, AlertSettings
from tenants_app.models import Preferences, Tenant
from tenants_app.sentences import sentence
from tests.alerts.conftest import work
from tests.support.actors import ACTOR
from tests.support.marked import everything_marked, forgotten_in
from tests.support.meetings import messages_in

pytestmark = pytest.mark.usefixtures("wakes")


def test_each_mail_speaks_the_language_of_whoever_has_the_address(wanted: AlertSettings, outbox: Path) -> None:
    alice = User.objects.create_user("alice", "alice@contoso.com")
    Preferences.objects.create(account=alice, language="it")
    change_alerts(wanted.tenant, ACTOR, recipients="Alice@contoso.com\nops@fabrikam.com")
    alert = Alert.objects.create(tenant=wanted.tenant, content={"title": sentence("Sunday")}, created=timezone.now())
    for address in ("Alice@contoso.com", "ops@fabrikam.com"):
        AlertDelivery.objects.create(alert=alert, channel="mail", recipient=address, due_at=timezone.now())
    work(), work()
    subjects = {message["To"]: message["Subject"] for message in messages_in(outbox)}
    assert subjects == {
        "Alice@contoso.com": "[MMS Contoso] Domenica",
        "ops@fabrikam.com": "[MMS Contoso] Sunday",
    }


def test_a_webhook_hears_the_language_of_the_installation(settings: Any) -> None:
    settings.LANGUAGE_CODE = "es"
    document = {"title": sentence("Sunday"), "jobs": [{"what": sentence("Monday"), "count": 3}]}
    assert body_of(document) == b'{"jobs":[{"count":3,"what":"lunes"}],"title":"Domingo"}'
    assert document["title"] == "Sunday"


def test_all_that_a_mail_says_can_be_translated(tenant: Tenant) -> None:
    then, now = (timezone.now() - timedelta(hours=2)).isoformat(), timezone.now().isoformat()
    group = {"count": 3, "what": "", "do": "", "user_count": 9, "users": ["anna@contoso.com"], "url": "https://mms/1"}
    counted = {"count": 5, "put_right_meanwhile": 2, "groups": [group], "url": "https://mms/2"}
    paused = {"name": "Nextcloud", "state": "paused", "since": then, "until": None, "times": 3, "what": "", "do": ""}
    job = {"what": "", "result": "", "requested_by": "alice", "url": "https://mms/3"}
    content = {
        "title": "",
        "failed_runs": counted,
        "left_meetings": counted,
        "connections": [paused | {"url": ""}, paused | {"state": "works", "until": now, "url": ""}],
        "ending_secrets": [{"name": "Nextcloud", "secret": "", "ends": now, "do": "", "url": "https://mms/4"}],
        "stopped_waves": [{"rollout": "", "wave": "", "at": then, "why": "", "url": "https://mms/5"}],
        "stopped_chat_imports": [
            {"plan": 3, "archive": "", "target": "", "at": then, "why": "", "url": "https://mms/6"}
        ],
        "silences": [{"since": then, "until": now}],
        "finished_jobs": {"count": 4, "jobs": [job, job | {"requested_by": ""}]},
    }
    with everything_marked():
        said = text(tenant, content).replace("\n", " ")
    assert forgotten_in([said], ["UTC"]) == []
