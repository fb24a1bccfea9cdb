"""The guided sequence (R127) and the legacy endpoint (R126)."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from migrations_app.chat import endpoint, sequence
from migrations_app.chat.sources.script import POWERSHELL_SCRIPT, SQL_SCRIPT
from migrations_app.models import ChatEvidence, ChatPlan, ChatRoom, ChatStep, ChatTarget
from migrations_app.rollouts.probes.answers import Answer, Outcome
from tenants_app.models import AuditEntry, Tenant
from tests.chat.test_gate import OTHER, opened, verified
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, a_target, imported

pytestmark = pytest.mark.django_db

PERSISTENT_CHAT = [
    *("stop-source", "export", "stop-target", "back-up-target", "what-if", "import", "copy-files", "endpoint", "start"),
    *("verify", "uninstall", "trusted-application", "new-clients"),
]
OTHERS = ["stop-source", "export", "what-if", "import", "verify", "new-clients", "uninstall", "trusted-application"]
URI = "sip:ocschat@contoso.com"


@pytest.fixture
def pchat(tenant: Tenant, server: FakeServer) -> ChatPlan:
    """A plan into a pool of Persistent Chat, without errors."""
    plan = a_plan(tenant, target=a_target(tenant, "Pool", kind="pchat"))
    plan.target.options = {"pool": "pcpool.contoso.com", "lookup": URI}
    plan.target.save()
    return plan


def done(plan: ChatPlan, *keys: str) -> None:
    for key in keys:
        sequence.do_step(plan, ACTOR, key, f"Seen: {key}")


def keys_of(plan: ChatPlan) -> list[str]:
    return [step.key for step in sequence.steps_of(plan)]


def why_not(plan: ChatPlan, key: str) -> str:
    return str(next(step for step in sequence.steps_of(plan) if step.key == key).why_not)


def test_r127_the_sequence_is_the_documented_one_and_shorter_for_other_targets(tenant: Tenant, pchat: ChatPlan) -> None:
    assert keys_of(pchat) == PERSISTENT_CHAT
    assert keys_of(a_plan(tenant, pchat.archive, a_target(tenant, "Pages"))) == OTHERS
    lines = "\n".join(line for step in sequence.steps_of(pchat) for line in step.commands)
    for cmdlet in ("Export-CsPersistentChatData", "Import-CsPersistentChatData", "New-CsPersistentChatEndpoint"):
        assert cmdlet in lines
    what_if = next(step for step in sequence.steps_of(pchat) if step.key == "what-if")
    assert what_if.commands[0].endswith("-WhatIf")


def test_r127_no_step_comes_before_its_predecessors(pchat: ChatPlan) -> None:
    for key in PERSISTENT_CHAT[1:]:
        assert "First comes: Stop the services of the source" in why_not(pchat, key)
        with pytest.raises(ValidationError, match="First comes"):
            sequence.do_step(pchat, ACTOR, key, "done")
    assert not ChatStep.objects.exists()
    done(pchat, "stop-source")
    assert why_not(pchat, "export") == ""
    assert "First comes: Export" in why_not(pchat, "stop-target")
    with pytest.raises(ValidationError, match="test has said so already"):
        sequence.do_step(pchat, OTHER, "stop-source", "again")
    with pytest.raises(ValidationError, match="no step nothing"):
        sequence.do_step(pchat, ACTOR, "nothing", "x")


def test_r127_each_step_has_who_when_and_evidence(pchat: ChatPlan) -> None:
    with pytest.raises(ValidationError, match="Say how you know"):
        sequence.do_step(pchat, ACTOR, "stop-source", "")
    done(pchat, "stop-source")
    (step,) = [each for each in sequence.steps_of(pchat) if each.done]
    assert step.done is not None
    assert (step.done.done_by, step.done.evidence) == ("test", "Seen: stop-source")
    assert step.done.done_at is not None
    told = AuditEntry.objects.get(action="do chat step")
    assert told.after == {"what": "stop-source", "evidence": "Seen: stop-source"}


def test_r127_a_step_is_taken_back_from_the_end(pchat: ChatPlan) -> None:
    done(pchat, "stop-source", "export")
    with pytest.raises(ValidationError, match="comes later and is done"):
        sequence.take_back_step(pchat, ACTOR, "stop-source")
    sequence.take_back_step(pchat, OTHER, "export")
    assert [step.key for step in sequence.steps_of(pchat) if step.done] == ["stop-source"]
    assert AuditEntry.objects.filter(action="take back chat step").count() == 1
    done(pchat, "export")


def test_r127_a_plan_with_errors_is_not_imported(pchat: ChatPlan) -> None:
    done(pchat, *PERSISTENT_CHAT[:4])
    ChatPlan.objects.filter(pk=pchat.pk).update(error_count=2)
    pchat.refresh_from_db()
    assert "mend each of them" in why_not(pchat, "what-if")
    ChatPlan.objects.filter(pk=pchat.pk).update(error_count=0, state=ChatPlan.State.OUTDATED)
    pchat.refresh_from_db()
    assert "not ready" in why_not(pchat, "what-if")
    ChatPlan.objects.filter(pk=pchat.pk).update(state=ChatPlan.State.READY)
    pchat.refresh_from_db()
    done(pchat, "what-if", "import")


def test_r127_the_gate_stands_before_uninstalling(pchat: ChatPlan) -> None:
    done(pchat, *PERSISTENT_CHAT[:7])
    endpoint.compare(pchat, ACTOR, URI, URI)
    done(pchat, "endpoint", "start")
    assert "2 rooms are neither" in why_not(pchat, "verify")
    with pytest.raises(ValidationError, match="2 rooms are neither"):
        sequence.do_step(pchat, ACTOR, "verify", "looked well")
    verified(pchat)
    done(pchat, "verify")
    assert "The gate is closed." in why_not(pchat, "uninstall")
    with pytest.raises(ValidationError, match="The gate is closed"):
        sequence.do_step(pchat, ACTOR, "uninstall", "gone")
    opened(pchat)
    done(pchat, "uninstall", "trusted-application", "new-clients")
    assert all(step.done for step in sequence.steps_of(pchat))


def test_r127_where_mms_imports_the_import_must_have_ended(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    done(plan, "stop-source", "export", "what-if")
    assert "The import has not ended" in why_not(plan, "import")
    plan = imported(plan)
    done(plan, "import")
    plan.rooms.update(comparison=ChatRoom.Comparison.VERIFIED)
    done(plan, "verify", "new-clients")
    assert "The gate is closed." in why_not(plan, "uninstall")


# --- the endpoint -------------------------------------------------------------------------------------


def test_r126_the_names_are_filled_in(pchat: ChatPlan) -> None:
    lines = endpoint.commands_of(pchat)
    assert f"New-CsPersistentChatEndpoint -SipAddress '{URI}' -PersistentChatPoolFqdn 'pcpool.contoso.com'" in lines
    pchat.target.options = {"pool": "x'; Remove-Item \u2019\n", "lookup": "o'neil@contoso.com"}
    lines = endpoint.commands_of(pchat)
    assert (
        "New-CsPersistentChatEndpoint -SipAddress 'sip:o''neil@contoso.com' "
        "-PersistentChatPoolFqdn 'x''; Remove-Item '''" in lines
    )
    pchat.target.options = {}
    assert endpoint.address_of(pchat) == "sip:ocschat@<domain>"
    assert endpoint.pool_of(pchat) == "<pool>"


def test_r126_the_address_of_a_lookup_account_is_guessed_from_the_users(pchat: ChatPlan, anna: Any) -> None:
    pchat.target.options = {}
    assert endpoint.address_of(pchat) == f"sip:ocschat@{anna.upn.rsplit('@', 1)[1]}"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("sip:OCSchat@contoso.com", "character 5: “o” (U+006F LATIN SMALL LETTER O)"),
        ("sip:ocschat@contoso.com ", "character 24: nothing was there before"),
        ("sip:ocsch\u0430t@contoso.com", "CYRILLIC SMALL LETTER A"),
        ("sip:ocschat@contoso.co", "character 23: “m”"),
        ("ocschat@contoso.com", "character 1"),
        ("sip:ocschat@contoso.com\u200b", "ZERO WIDTH SPACE"),
    ],
)
def test_r126_addresses_are_compared_character_by_character(pchat: ChatPlan, after: str, told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        endpoint.compare(pchat, ACTOR, URI, after)
    assert told in refused.value.messages[0]
    assert not ChatStep.objects.exists()
    endpoint.compare(pchat, ACTOR, f"{URI}\r\n", URI)
    assert "identical character by character" in ChatStep.objects.get().evidence


def test_r126_what_is_no_address_is_not_compared(pchat: ChatPlan) -> None:
    with pytest.raises(ValidationError, match="is no address"):
        endpoint.compare(pchat, ACTOR, "<sip>", "<sip>")
    with pytest.raises(ValidationError, match="as it was printed"):
        endpoint.compare(pchat, ACTOR, URI, " ")


def test_r126_the_endpoint_is_ported_once_its_address_was_compared_or_nobody_needs_it(pchat: ChatPlan) -> None:
    done(pchat, *PERSISTENT_CHAT[:7])
    assert "Have MMS compare" in why_not(pchat, "endpoint")
    endpoint.answer_client(pchat, ACTOR, "no-old-clients", "The last one went in May.")
    done(pchat, "endpoint")


def test_r126_the_pool_is_asked_by_the_sip_check(pchat: ChatPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    answers = [
        Answer(Outcome.FAILED, "pcpool.contoso.com answered OPTIONS with 503.", 0.1),
        Answer(Outcome.PASSED, "pcpool.contoso.com answered OPTIONS with 200 OK.", 0.1),
    ]

    def measure(kind: str, parameters: Any, *, hosts: Any, seconds: float) -> Answer:
        asked.append((kind, dict(parameters), list(hosts)))
        return answers[len(asked) - 1]

    monkeypatch.setattr(endpoint, "measure", measure)
    with pytest.raises(ValidationError, match="503"):
        endpoint.ask_pool(pchat, ACTOR)
    assert not ChatStep.objects.exists()
    assert AuditEntry.objects.filter(action="check chat endpoint").count() == 1
    endpoint.ask_pool(pchat, ACTOR)
    item = next(each for each in endpoint.endpoint_of(pchat).items if each.key == "endpoint-options")
    assert item.answer is not None
    assert "200 OK" in item.answer.evidence
    assert asked[0] == ("sip", {"host": "pcpool.contoso.com", "transport": "tls"}, ["pcpool.contoso.com"])
    pchat.target.options = {"pool": "no pool"}
    with pytest.raises(ValidationError, match="what the new pool is called"):
        endpoint.ask_pool(pchat, ACTOR)
    assert len(asked) == 2


def test_r126_a_pool_in_a_private_network_is_not_reached_unless_the_operator_allows_it(pchat: ChatPlan) -> None:
    pchat.target.options = {"pool": "localhost.localdomain"}
    with pytest.raises(ValidationError) as refused:
        endpoint.ask_pool(pchat, ACTOR)
    assert refused.value.messages[0]
    assert not ChatStep.objects.exists()


def test_r126_a_person_answers_for_each_kind_of_client_and_files_are_warned_of(pchat: ChatPlan) -> None:
    shown = endpoint.endpoint_of(pchat)
    assert shown.is_possible
    assert "Lync 2013 neither show nor post files" in str(shown.warning)
    assert [item.key for item in shown.items] == list(endpoint.KEYS)
    endpoint.answer_client(pchat, ACTOR, "client-2010", "Ann opened Operations.")
    with pytest.raises(ValidationError, match="no kind of client endpoint-uri"):
        endpoint.answer_client(pchat, ACTOR, "endpoint-uri", "x")
    answered = {item.key for item in endpoint.endpoint_of(pchat).items if item.answer}
    assert answered == {"client-2010"}
    endpoint.take_back(pchat, ACTOR, "client-2010")
    assert not any(item.answer for item in endpoint.endpoint_of(pchat).items)


def test_r126_with_another_target_old_clients_cannot_go_on(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    assert "cannot go on" in plan.findings.get(code="old-clients").sentence, "it is said at planning time"
    assert not endpoint.endpoint_of(plan).is_possible
    for act in (
        lambda: endpoint.compare(plan, ACTOR, URI, URI),
        lambda: endpoint.ask_pool(plan, ACTOR),
        lambda: endpoint.answer_client(plan, ACTOR, "client-2010", "x"),
    ):
        with pytest.raises(ValidationError, match="cannot open rooms at this target"):
            act()


# --- commands -----------------------------------------------------------------------------------------


def told(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_r128_steps_are_listed_shown_and_noted_by_command(pchat: ChatPlan) -> None:
    number = str(pchat.number)
    assert "stop-source" in told("get_chat_step", number)
    shown = told("get_chat_step", number, "endpoint")
    assert "pcpool.contoso.com" in shown
    assert "client-2013" in told("get_chat_step", number, "--of", "endpoint")
    told("set_chat_step", number, "stop-source", "--evidence", "All four servers")
    told("set_chat_step", number, "endpoint-uri", "--before", URI, "--after", URI)
    told("set_chat_step", number, "client-2010", "--evidence", "Works")
    assert sorted(ChatStep.objects.values_list("key", flat=True)) == ["client-2010", "endpoint-uri", "stop-source"]
    told("set_chat_step", number, "client-2010", "--take-back")
    told("set_chat_step", number, "stop-source", "--take-back")
    for words, reason in (
        (["nothing"], "no step nothing"),
        (["export", "--evidence", "x"], "First comes"),
        (["stop-source"], "Say how you know"),
        (["stop-source", "--file", "/nowhere/x"], "cannot be read"),
        (["stop-source", "--confirm", "--evidence", "x"], "stand alone"),
        (["endpoint-uri", "--before", "x"], "--before and --after"),
        (["backups", "--confirm"], "no second account"),
    ):
        with pytest.raises(CommandError, match=reason):
            told("set_chat_step", number, *words)
    with pytest.raises(CommandError, match="no step nothing"):
        told("get_chat_step", number, "nothing")
    with pytest.raises(CommandError, match="no plan 99"):
        told("get_chat_step", "99")


def test_r127_a_file_whose_step_is_refused_is_not_kept(pchat: ChatPlan, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("x")
    with pytest.raises(CommandError, match="First comes"):
        told("set_chat_step", str(pchat.number), "export", "--file", str(tmp_path / "x.log"))
    assert not ChatEvidence.objects.exists()


def test_r104_the_script_is_printed_or_written_and_overwrites_nothing(tmp_path: Path) -> None:
    assert told("get_chat_script") == POWERSHELL_SCRIPT
    assert told("get_chat_script", "--kind", "sql") == SQL_SCRIPT
    path = tmp_path / "x.ps1"
    told("get_chat_script", "--output", str(path))
    assert path.read_bytes() == POWERSHELL_SCRIPT.replace("\n", "\r\n").encode()
    with pytest.raises(CommandError, match="cannot be written"):
        told("get_chat_script", "--output", str(path))


def test_r126_endpoint_of_another_target_is_answered_in_a_sentence(tenant: Tenant, server: FakeServer) -> None:
    plan = a_plan(tenant)
    assert plan.target.kind == ChatTarget.Kind.ARCHIVE
    with pytest.raises(CommandError, match="cannot open rooms"):
        told("get_chat_step", str(plan.number), "--of", "endpoint")
