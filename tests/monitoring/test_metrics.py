"""/metrics: behind a key, by a few questions to the database; what the rules and the dashboard ask for is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from migrations_app.mailboxes.base import NO_END
from migrations_app.models import (
    ChatArchive,
    ChatPlan,
    ChatRoom,
    ChatTarget,
    Heartbeat,
    LeftMeeting,
    MailServer,
    MeetingResult,
    NumberRelease,
    Plan,
    Run,
    Update,
)
from migrations_app.monitoring import machines, mail_server, metrics
from migrations_app.monitoring.health import QUEUE_STUCK, WORKER_GONE, WORKER_SILENT, beat
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.only_reads import only_reads

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "docs/monitoring/alerts.rules.yml"
DASHBOARD = ROOT / "docs/monitoring/grafana-dashboard.json"
KEY = "a-key-of-26-characters-000"
HOSTILE = 'Contoso "and\\partners"\nmms_users 1 {}'

MakeUser = Callable[..., ConferencingUser]
Values = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def key(settings: Any) -> None:
    settings.MMS_METRICS_KEY = KEY


def ask(authorization: str = f"Bearer {KEY}", **headers: str) -> HttpResponse:
    return Client().get("/metrics", headers={"Authorization": authorization, **headers})


def told() -> dict[str, Values]:
    """The values of each metric by those of its labels, in alphabetical order of the labels' names."""
    with only_reads():
        answer = ask()
    assert answer.status_code == 200
    return {
        family.name: {tuple(value for _, value in sorted(each.labels.items())): each.value for each in family.samples}
        for family in parsed(answer.content.decode())
    }


@pytest.fixture
def contoso(tenant: Tenant, make_user: MakeUser) -> Tenant:
    """A tenant with some of everything that is counted."""
    now = timezone.now()

    def run(number: int, state: str, **values: Any) -> Run:
        user = make_user(f"user{number}")
        if state == "InProgress":
            values |= {"lease_token": uuid4(), "lease_until": now + timedelta(minutes=1)}
        return Run.objects.create(**{"tenant": tenant, "user": user, "state": state, "due_at": now, **values})

    run(1, "Succeeded")
    run(2, "InProgress")
    run(3, "Pending", due_at=now - timedelta(minutes=7))
    run(4, "Pending", due_at=now + timedelta(hours=1), attempts=2)
    run(5, "Failed", last_error_code="no-bridge")
    run(6, "Failed", last_error_code="gave-up", last_error_cause="mailbox-unavailable")
    run(7, "Failed", last_error_code="no-bridge", accepted_at=now)
    later = now + timedelta(days=1)
    run(9, "Pending", plan=Plan.objects.create(tenant=tenant, not_before=later, opens_at=later))
    mailed = run(8, "Succeeded")
    for number, state in enumerate(("Queued", "Queued", "Failed", "Sent", "Superseded")):
        result = MeetingResult.objects.create(run=mailed, uid=str(number), outcome="Succeeded")
        Update.objects.create(
            result=result,
            tenant=tenant,
            state=state,
            recipient_count=1,
            queued_at=now - timedelta(minutes=number + 1),
            sent_at=now if state == "Sent" else None,
        )
    for number, (state, ends) in enumerate(
        (("Open", NO_END), ("Assigned", NO_END), ("Open", now), ("DealtWith", NO_END))
    ):
        LeftMeeting.objects.create(
            tenant=tenant,
            user=mailed.user,
            uid=str(number),
            state=state,
            last_end=ends,
            code="unreadable-calendar-object",
        )
    ConferencingUser.objects.filter(pk=mailed.user_id).update(settings_fingerprint="1" * 32)
    dav = create_connection(tenant, ACTOR, HOSTILE.replace("\n", " "), address="https://dav.contoso.com/")
    MailboxConnection.objects.filter(pk=dav.pk).update(problem_code="mailbox-refused")
    archive = ChatArchive.objects.create(
        tenant=tenant, name="Chat", folder="a", source="mms-chat", level="All", exported_at=now, sha256="0" * 64
    )
    target = ChatTarget.objects.create(tenant=tenant, name="To read", kind="archive", folder="t")
    for number, state in enumerate(("Stopped", "Ready")):
        plan = ChatPlan.objects.create(tenant=tenant, number=number, archive=archive, target=target, state=state)
        for position, of_room in enumerate(("Imported", "Imported", "Failed")):
            ChatRoom.objects.create(plan=plan, position=position, room_id=f"{position}", name="Room", state=of_room)
    NumberRelease.objects.create(tenant=tenant, bridge=mailed.user.bridge, e164="+1", due_at=now)
    MailServer.objects.create(
        name=mail_server.installations(), next_try_at=now, failing_since=now - timedelta(minutes=3)
    )
    Tenant.objects.filter(pk=tenant.pk).update(name=HOSTILE)
    return tenant


def test_it_tells_what_there_is(contoso: Tenant) -> None:
    create_tenant(ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none")
    Tenant.objects.filter(slug="fabrikam").update(meeting_migration_enabled=False)
    values = told()

    assert values["mms_users"] == {
        ("Failed", "contoso"): 3,
        ("InProgress", "contoso"): 1,
        ("Pending", "contoso"): 3,
        ("Succeeded", "contoso"): 2,
        **{(state, "fabrikam"): 0 for state in Run.State.values},
    }
    assert values["mms_users_failed"] == {("no-bridge", "contoso"): 1, ("mailbox-unavailable", "contoso"): 1}
    for name, count in (
        ("mms_users_failed_accepted", 1),
        ("mms_runs_in_progress", 1),
        ("mms_runs_due", 1),
        ("mms_runs_retry_waiting", 1),
        ("mms_runs_planned", 1),
        ("mms_messages_sent_last_hour", 1),
        ("mms_users_out_of_date", 1),
        ("mms_number_releases_open", 1),
        ("mms_service_enabled", 1),
    ):
        assert values[name] == {("contoso",): count, ("fabrikam",): 0}, name
    assert 420 <= values["mms_runs_due_longest_wait_seconds"]["contoso",] < 480
    assert 120 <= values["mms_messages_longest_wait_seconds"]["contoso",] < 180
    assert values["mms_messages"]["Queued", "contoso"] == 2
    assert values["mms_messages"]["Failed", "contoso"] == 1
    assert values["mms_left_meetings"]["Open", "contoso"] == values["mms_left_meetings"]["Assigned", "contoso"] == 1
    assert values["mms_chat_plans"]["Stopped", "contoso"] == values["mms_chat_rooms"]["Failed", "contoso"] == 1
    assert values["mms_chat_rooms"]["Imported", "contoso"] == 2
    assert "Ready" not in {state for state, _ in values["mms_chat_plans"]}
    assert 180 <= values["mms_mail_server_unanswered_seconds"][mail_server.installations(),] < 240
    assert values["mms_clock_drift_seconds"] == values["mms_clock_set_back_seconds"] == {(): 0}
    assert values["mms_info"].keys() == {(connection.vendor, metrics._version())}
    assert 0 < values["mms_scrape_duration_seconds"][()] < 600


def test_names_are_told_as_they_are_however_hostile(contoso: Tenant) -> None:
    values = told()

    assert values["mms_tenant_info"] == {(HOSTILE, "contoso"): 1}
    assert values["mms_mailbox_connection_up"][HOSTILE.replace("\n", " "), "contoso"] == 0
    assert values["mms_users"].keys() == {(state, "contoso") for state in Run.State.values}


def test_runs_of_who_cannot_begin_are_no_queue(contoso: Tenant) -> None:
    dav = MailboxConnection.objects.get(problem_code="mailbox-refused")
    ConferencingUser.objects.filter(upn="user3@contoso.com").update(mailbox=dav)
    assert told()["mms_runs_due"] == {("contoso",): 0}

    ConferencingUser.objects.update(mailbox=None)
    change_tenant(Tenant.objects.get(pk=contoso.pk), ACTOR, name="Contoso", meeting_migration_enabled=False)
    values = told()
    assert values["mms_runs_due"] == {("contoso",): 0}
    assert values["mms_runs_due_longest_wait_seconds"] == {("contoso",): 0}


def test_a_worker_that_never_lived_has_no_time(tenant: Tenant) -> None:
    assert told()["mms_worker_last_sign_timestamp_seconds"] == {}
    beat()
    at = Heartbeat.objects.get().at.timestamp()
    assert told()["mms_worker_last_sign_timestamp_seconds"] == {(): pytest.approx(at)}


def test_an_installation_without_tenants_is_told_too(db: None) -> None:
    values = told()

    assert values["mms_users"] == values["mms_messages"] == {}
    assert values["mms_clock_drift_seconds"] == {(): 0}


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        KEY,
        "Bearer",
        "Bearer ",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Basic {KEY}",
        "Bearer é",
        f"Bearer {KEY} {KEY}",
    ],
)
def test_nobody_reads_it_without_the_key(contoso: Tenant, authorization: str) -> None:
    answer = ask(authorization)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "mms_" not in answer.content.decode()


def test_without_a_key_there_is_no_such_address(contoso: Tenant, alice: Client, settings: Any) -> None:
    assert alice.get("/metrics").status_code == 401, "a sign-in is no key"
    settings.MMS_METRICS_KEY = ""
    for authorization in ("", "Bearer ", "Bearer None", f"Bearer {KEY}"):
        assert ask(authorization).status_code == 404
    assert Client().post("/metrics").status_code == 405


def test_it_speaks_both_formats_and_is_kept_nowhere(contoso: Tenant) -> None:
    plain, open_metrics = ask(), ask(accept="application/openmetrics-text;version=1.0.0")

    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    assert open_metrics["Content-Type"].startswith("application/openmetrics-text")
    assert {family.name for family in parsed_openmetrics(open_metrics.content.decode())} >= {"mms_users", "mms"}
    assert "no-store" in plain["Cache-Control"]


def test_it_says_that_the_database_does_not_answer(contoso: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise DatabaseError("host=db password=secret")

    monkeypatch.setattr(metrics, "_messages", broken)
    answer = ask()

    assert answer.status_code == 503
    assert answer.content == b"The database does not answer.\n"


def test_it_asks_as_much_for_many_tenants_as_for_one(contoso: Tenant) -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            ask()
        return len(asked)

    one = questions()
    for number in range(5):
        create_tenant(
            ACTOR, slug=f"tenant{number}", name=f"Tenant {number}", domain="example.org", meeting_service="none"
        )
    assert questions() == one <= 34


# --- what is shipped beside it ----------------------------------------------------------------------------------------


NAME = re.compile(r"\bmms_\w+")
WORD = re.compile(
    r'\s+|"(?:[^"\\]|\\.)*"|[0-9]+(?:\.[0-9]+)?[smhdw]?|[A-Za-z_][A-Za-z0-9_]*|\$[a-z]+|=~|!~|==|!=|>=|<=|[-+*/%^><={}()\[\],]'
)
FUNCTIONS = {"time", "max", "min", "sum", "count", "abs", "absent", "vector", "label_values"}
BETWEEN = {"and", "or", "by", "on", "group_left", "unless"}
LABELS = {"tenant", "state", "code", "connection", "server", "machine", "job", "name"}


def expressions() -> Iterator[tuple[str, str]]:
    """All that the rules and the dashboard ask Prometheus, each with where it stands."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def assert_is_promql(expression: str) -> None:
    """As far as one can tell without Prometheus: its words, its brackets, and that each name is known."""
    at, open_brackets, words = 0, [], []
    while at < len(expression):
        word = WORD.match(expression, at)
        assert word, expression[at:]
        at = word.end()
        if not word[0].isspace():
            words.append(word[0])
    for place, word in enumerate(words):
        if word in "({[":
            open_brackets.append(word)
        elif word in ")}]":
            assert open_brackets.pop() + word in {"()", "{}", "[]"}
        elif word[0].isalpha():
            follows = words[place + 1] if place + 1 < len(words) else ""
            known = FUNCTIONS if follows == "(" or (follows == "by" and word in FUNCTIONS) else LABELS | {"up"}
            assert word in BETWEEN or word in known or NAME.fullmatch(word), word
    assert not open_brackets


def test_the_rules_and_the_dashboard_ask_for_what_there_is(contoso: Tenant) -> None:
    beat()
    families = {family.name: family for family in parsed(ask().content.decode())}
    for place, expression in expressions():
        assert_is_promql(expression)
        names = set(NAME.findall(expression))
        assert names <= families.keys(), place
        for name, chosen in re.findall(r"(mms_\w+)\{([^}]*)\}", expression):
            labels = set(families[name].samples[0].labels)
            assert set(re.findall(r"(\w+)=", chosen)) - {"job"} <= labels, (place, name)
        for state in re.findall(r'state="(\w+)"', expression):
            assert any(state == each.labels.get("state") for name in names for each in families[name].samples)


def test_every_metric_is_described_and_used(contoso: Tenant) -> None:
    names = {family.name for family in parsed(ask().content.decode())}
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    asked = {name for _, expression in expressions() for name in NAME.findall(expression)}

    assert set(re.findall(r"^\| `(mms_\w+)` \|", page, re.MULTILINE)) == names
    assert names - asked == {"mms_info"}


def test_the_rules_are_whole_and_have_the_limits_of_the_commands() -> None:
    for rule in rules():
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"MMS[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"[0-9]+[smhd]", rule.get("for", "1m"))
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert all(rule["annotations"][name].endswith(".") for name in ("summary", "description"))
    limits = {
        rule["alert"]: int(re.findall(r">=? ([0-9]+)", rule["expr"])[0]) for rule in rules() if ">" in rule["expr"]
    }
    assert limits["MMSClusterSilent"] == WORKER_SILENT.total_seconds()
    assert limits["MMSMachineSilent"] == machines.SILENT.total_seconds()
    assert limits["MMSClusterGone"] == WORKER_GONE.total_seconds()
    assert limits["MMSQueueStuck"] == QUEUE_STUCK.total_seconds()
    assert limits["MMSMailServerGone"] == mail_server.GONE.total_seconds()
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))

    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["type"] in {"stat", "timeseries", "table"}
        assert panel["datasource"]["uid"] == "${datasource}"
