"""The pages of checks: how gates stand, one check with its history, answers, definitions, openings (R69 to R76)."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.models import CheckResult, GateOpening, RolloutCheck, Wave
from migrations_app.rollouts.recording import Found, record
from tenants_app.models import Deployment, Tenant
from tests.support.checks import ALICE, BOB, FAILED, NO, PASSED, a_check, finds, says, without_checks
from tests.support.rollouts import a_deployment, a_rollout, a_wave
from tests.support.visitors import sign_in

REASON = "The vendor has confirmed that this is harmless."


@pytest.fixture
def wave(tenant: Tenant) -> Wave:
    new = a_deployment(tenant, "new", check_hosts=["sip.contoso.com"])
    without_checks(a_rollout(tenant, new=new))
    return a_wave(Wave.objects.get(position=1).rollout)


@pytest.fixture
def address(wave: Wave) -> str:
    return f"/contoso/rollouts/{wave.rollout_id}/checks/"


def text(answer: Any) -> str:
    """What a page says, without its tags."""
    page = re.sub(r"<(script|style).*?</\1>", "", answer.content.decode(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


# --- looking ------------------------------------------------------------------------------------------


def test_all_gates_are_shown_with_what_closes_them_and_who_answered(vera: Client, wave: Wave, address: str) -> None:
    finds(a_check(wave, name="Front end"), FAILED, "It is down. Start it.")
    says(a_check(wave, "manual", name="Backup"), NO, BOB, "The tape is full.")
    says(a_check(a_wave(wave.rollout, 2), "manual", name="Replication"), by=ALICE)
    page = text(vera.get(address))
    for part in (
        "Before Test users",
        "Gate closed 2 checks close it.",
        "Front end TCP or TLS connection",
        "It is down. Start it.",
        "bob: No,",
        "The tape is full.",
        "Before Pilot",
        "Gate open All checks that count have passed.",
        "alice: Yes,",
        "Before Old pool is retired",
    ):
        assert part in page
    assert "Open it by hand" not in page, "Vera only reads"
    assert "Check now" not in page


def test_an_opening_is_shown_for_ever(alice: Client, wave: Wave, address: str) -> None:
    check = a_check(wave)
    finds(check, FAILED)
    alice.post(f"/contoso/rollouts/{wave.rollout_id}/waves/1/open-gate/", {"reason": REASON})
    assert f": {REASON}" in text(alice.get(address))
    assert "Opened by hand" in text(alice.get(address))
    finds(check, PASSED)
    assert f": {REASON}" in text(alice.get(address))


def test_a_check_shows_what_it_found_some_at_a_time(vera: Client, wave: Wave, address: str) -> None:
    check = a_check(wave, "command", parameters={"program": "look", "arguments": ["--host={host}"]})
    CheckResult.objects.bulk_create(
        CheckResult(rollout_check=check, outcome="Passed", sentence=f"Look number {number}.") for number in range(59)
    )
    record(check, Found(PASSED, "Look number 59.", output="the first line\nand more"))
    page = vera.get(f"{address}{check.pk}/")
    assert "Look number 59." in text(page)
    assert "Look number 9." not in text(page)
    assert "the first line and more" in text(page)
    assert "Program look Arguments --host={host}" in text(page)
    (older,) = re.findall(r"\?before=\d+", page.content.decode())
    page = vera.get(f"{address}{check.pk}/{older}")
    assert "Look number 9." in text(page)
    assert "Look number 10." not in text(page)
    assert "Newest" in text(page)
    assert "Older" not in text(page)


def test_a_page_that_asks_again_gets_nothing_until_something_was_found(vera: Client, wave: Wave, address: str) -> None:
    check = a_check(wave)
    headers = {"HX-Request": "true"}
    page = vera.get(address, headers=headers).content.decode()
    (shown,) = re.findall(r'"MMS-Shown": "([0-9a-f]+)"', page)
    assert vera.get(address, headers={**headers, "MMS-Shown": shown}).status_code == 204
    finds(check, PASSED)
    assert vera.get(address, headers={**headers, "MMS-Shown": shown}).status_code == 200


def test_a_button_lets_checks_be_looked_at(bob: Client, wave: Wave, address: str) -> None:
    here, other = a_check(wave), a_check(a_wave(wave.rollout, 2))
    RolloutCheck.objects.update(due_at=None)
    bob.post(f"{address}look/", {"wave": "1"})
    assert [check.asked_by for check in (RolloutCheck.objects.get(pk=each.pk) for each in (here, other))] == ["bob", ""]
    page = bob.post(f"{address}{other.pk}/look/", follow=True)
    assert "1 check is looked at now" in text(page)
    assert "It is being looked at." in text(page)
    manual = a_check(wave, "manual")
    assert "A person answers this check" in text(bob.post(f"{address}{manual.pk}/look/", follow=True))


# --- answering ----------------------------------------------------------------------------------------


def test_an_operator_answers(bob: Client, wave: Wave, address: str) -> None:
    check = a_check(wave, "manual", instructions="Call Bruno.")
    page = text(bob.get(f"{address}{check.pk}/"))
    assert "Call Bruno." in page
    assert "Your answer" in page
    refused = bob.post(f"{address}{check.pk}/answer/", {"answer": "no", "note": " "})
    assert "Say in a note why" in text(refused)
    assert not check.answers.exists()
    page = text(bob.post(f"{address}{check.pk}/answer/", {"answer": "no", "note": "He is ill."}, follow=True))
    assert "He is ill." in page
    assert check.answers.get().by == "bob"


def test_who_only_reads_may_not_answer_or_look(vera: Client, wave: Wave, address: str) -> None:
    check = a_check(wave, "manual")
    assert "Your answer" not in text(vera.get(f"{address}{check.pk}/"))
    assert vera.post(f"{address}{check.pk}/answer/", {"answer": "yes"}).status_code == 403
    assert vera.post(f"{address}look/").status_code == 403
    assert not check.answers.exists()


def test_strangers_find_nothing(cast: None, wave: Wave, address: str) -> None:
    check = a_check(wave, "manual")
    client = sign_in("charlie")
    for page in (address, f"{address}{check.pk}/", f"{address}new/"):
        assert client.get(page).status_code == 404
    assert client.post(f"{address}{check.pk}/answer/", {"answer": "yes"}).status_code == 404


def test_a_check_of_another_rollout_is_not_there(alice: Client, wave: Wave, address: str, tenant: Tenant) -> None:
    Deployment.objects.create(tenant=tenant, name="Third", kind="online", role="new", meeting_hosts=["x.contoso.com"])
    other = a_rollout(tenant, wave.rollout.legacy, Deployment.objects.get(name="Third"), name="Another")
    check = a_check(a_wave(other), "manual")
    assert alice.get(f"{address}{check.pk}/").status_code == 404


# --- defining -----------------------------------------------------------------------------------------


def test_an_admin_adds_a_check_by_its_kind(alice: Client, wave: Wave, address: str) -> None:
    kinds = alice.get(f"{address}new/?wave=1").content.decode()
    assert "?kind=tcp&amp;wave=1" in kinds
    form = alice.get(f"{address}new/?kind=tcp&wave=1").content.decode()
    for host in ("lync.contoso.com", "meet.contoso.com", "sip.contoso.com"):
        assert f'<option value="{host}">' in form, "the hosts of the deployments are on offer"
    assert '<option value="1" selected>Test users' in form
    values = {
        "wave": "1",
        "name": "Front end",
        "scope": "new",
        "parameter_host": "sip.contoso.com",
        "parameter_port": "5061",
        "parameter_tls": "on",
        "parameter_days_left": "20",
        "interval": "120",
        "timeout": "10",
        "is_advisory": "on",
    }
    page = alice.post(f"{address}new/?kind=tcp", values, follow=True)
    assert "The check “Front end” is there." in text(page)
    check = RolloutCheck.objects.get()
    assert (check.wave, check.parameters["host"], check.parameters["tls"], check.is_advisory) == (
        wave,
        "sip.contoso.com",
        True,
        True,
    )
    assert check.parameters["days_left"] == 20


def test_a_host_of_the_other_side_is_refused_beside_its_field(alice: Client, wave: Wave, address: str) -> None:
    values = {
        "wave": "1",
        "name": "Front end",
        "scope": "new",
        "parameter_host": "lync.contoso.com",
        "parameter_port": "5061",
        "interval": "120",
        "timeout": "10",
    }
    page = text(alice.post(f"{address}new/?kind=tcp", values))
    assert "lync.contoso.com is not among the hosts that checks may address: choose one of New service" in page
    assert not RolloutCheck.objects.exists()


def test_a_check_before_retirement_has_no_wave(alice: Client, wave: Wave, address: str) -> None:
    alice.post(f"{address}new/?kind=manual", {"wave": "", "name": "Phones", "scope": "legacy"})
    assert RolloutCheck.objects.get().wave is None


def test_programs_are_offered_from_the_directory(
    alice: Client, wave: Wave, address: str, tmp_path: Any, settings: Any
) -> None:
    program = tmp_path / "check_pool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    settings.MMS_CHECK_COMMANDS = tmp_path
    assert '<option value="check_pool">' in alice.get(f"{address}new/?kind=command").content.decode()


def test_every_kind_has_a_form_that_can_be_filled_in(alice: Client, wave: Wave, address: str) -> None:
    usual = {"wave": "1", "name": "A check", "scope": "both", "interval": "300", "timeout": "10"}
    parameters: dict[str, dict[str, str]] = {
        "http": {"url": "https://meet.contoso.com/", "method": "GET", "statuses": "200"},
        "dns": {"name": "meet.contoso.com", "type": "A", "expected": "192.0.2.7", "match": "exactly"},
        "sip": {"host": "sip.contoso.com", "transport": "tls", "port": "0", "expected": "200-299"},
        "runs": {"no_failed": "on", "mailboxes": "0"},
        "manual": {},
    }
    for kind, given in parameters.items():
        page = alice.post(
            f"{address}new/?kind={kind}",
            {**_shown(alice, f"{address}new/?kind={kind}"), **usual}
            | {f"parameter_{name}": value for name, value in given.items()},
        )
        assert page.status_code == 302, text(page)
    assert sorted(RolloutCheck.objects.values_list("kind", flat=True)) == sorted(parameters)


def _shown(client: Client, page: str) -> dict[str, str]:
    """The numbers that the form begins with."""
    html = client.get(page).content.decode()
    return dict(re.findall(r'type="number" name="(\w+)" value="(\d+)"', html))


def test_a_check_is_changed_moved_and_removed(alice: Client, wave: Wave, address: str) -> None:
    first, second = a_check(wave, "manual", name="First"), a_check(wave, "manual", name="Second", position=10)
    form = {"name": "Second of all", "scope": "both"}
    assert "is changed" in text(alice.post(f"{address}{second.pk}/change/", form, follow=True))
    alice.post(f"{address}{second.pk}/move/", {"to": "up"})
    order = RolloutCheck.objects.order_by("position").values_list("name", flat=True)
    assert [str(name) for name in order] == ["Second of all", "First"]
    assert "Fill this in" in text(alice.post(f"{address}{first.pk}/remove/", {"reason": ""}))
    page = text(alice.post(f"{address}{first.pk}/remove/", {"reason": "Not needed."}, follow=True))
    assert "Removed checks First Test users · removed by alice" in page
    assert "Not needed." in page
    assert "was removed by alice" in text(alice.get(f"{address}{first.pk}/"))


def test_a_sentence_of_the_list_stays_one_when_something_else_is_changed(
    alice: Client, wave: Wave, address: str
) -> None:
    from tenants_app.sentences import Sentence, sentence

    check = a_check(wave, "manual", name=sentence("Each side can be administered"), instructions=sentence("Look."))
    alice.post(
        f"{address}{check.pk}/change/",
        {"name": "Each side can be administered", "instructions": "Look.", "scope": "new"},
    )
    check.refresh_from_db()
    assert check.scope == "new"
    assert isinstance(check.name, Sentence)


@pytest.mark.parametrize("page", ["new/", "{pk}/change/", "{pk}/remove/", "{pk}/move/", "open/"])
def test_only_an_admin_defines(bob: Client, wave: Wave, address: str, page: str) -> None:
    check = a_check(wave, "manual")
    assert bob.post(address + page.format(pk=check.pk), {"reason": REASON, "to": "up"}).status_code == 403


# --- opening by hand ----------------------------------------------------------------------------------


def test_an_admin_opens_a_gate_after_a_question(alice: Client, bob: Client, wave: Wave, address: str) -> None:
    finds(a_check(wave, name="Front end"), FAILED, "It is down.")
    page = f"/contoso/rollouts/{wave.rollout_id}/waves/1/open-gate/"
    assert bob.get(page).status_code == 403
    assert "Front end: It is down." in text(alice.get(page))
    assert not GateOpening.objects.exists()
    alice.post(page, {"reason": "too short"})
    assert not GateOpening.objects.exists()
    assert "The gate is open, for once." in text(alice.post(page, {"reason": REASON}, follow=True))
    assert GateOpening.objects.get().by == "alice"
    assert "has opened it by hand" in text(alice.get(page))


def test_who_alone_answered_is_told_so(alice: Client, wave: Wave, address: str) -> None:
    finds(a_check(wave), FAILED)
    says(a_check(wave, "manual"), by=ALICE)
    page = text(alice.get(f"/contoso/rollouts/{wave.rollout_id}/waves/1/open-gate/"))
    assert "You are the only one who has answered" in page
    assert "Reason" not in page


# --- many ---------------------------------------------------------------------------------------------


def test_as_many_statements_for_five_waves_with_200_checks_each(
    vera: Client, wave: Wave, address: str, django_assert_max_num_queries: Any
) -> None:
    finds(a_check(wave), PASSED)
    says(a_check(wave, "manual"))
    with CaptureQueriesContext(connection) as few:
        vera.get(address)
    for position in (4, 5):
        Wave.objects.create(rollout=wave.rollout, position=position, name=f"Wave {position}")
    waves = list(wave.rollout.waves.all())
    RolloutCheck.objects.bulk_create(
        RolloutCheck(rollout=wave.rollout, wave=each, name=f"Check {number}", scope="new", kind="tcp")
        for each in waves
        for number in range(200)
    )
    checks = list(RolloutCheck.objects.filter(kind="tcp"))
    CheckResult.objects.bulk_create(
        CheckResult(rollout_check=check, outcome="Passed", sentence=f"Look {number}.")
        for check in checks
        for number in range(10)
    )
    last = CheckResult.objects.filter(rollout_check=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    RolloutCheck.objects.filter(kind="tcp").update(last_result=Subquery(last))
    with django_assert_max_num_queries(len(few)):
        assert vera.get(address).status_code == 200
    with django_assert_max_num_queries(len(few)):
        assert vera.get(f"{address}{checks[-1].pk}/").status_code == 200
