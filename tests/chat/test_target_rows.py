"""Targets of a tenant: their settings, and secrets that nobody sees (R121, R129)."""

from __future__ import annotations

import stat
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from migrations_app.chat.target_rows import (
    folder_of,
    has_secret,
    opened,
    remove_target,
    set_target,
    target_named,
    try_target,
    why_not_removed,
)
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.models import ChatTarget
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, a_target, imported

pytestmark = pytest.mark.django_db
WORD = "correct horse"


def test_r129_a_secret_is_sealed_and_reaches_the_target_alone(tenant: Tenant, server: FakeServer) -> None:
    target = set_target(
        tenant,
        ACTOR,
        "Matrix",
        kind="matrix",
        address="https://matrix.contoso.com",
        account="@mms:contoso.com",
        secret=WORD,
        options={"space": "Contoso", "token": "t0k3n"},
    )

    target = ChatTarget.objects.get(pk=target.pk)
    assert target.options == {"space": "Contoso"}
    assert WORD not in target.sealed_password
    assert (has_secret(target), has_secret(target, "token")) == (True, True)
    with opened(target):
        told = server.settings
    assert told is not None
    assert (told.secret, dict(told.options)) == (WORD, {"space": "Contoso", "token": "t0k3n"})
    assert WORD not in repr(told)
    assert told.folder == folder_of(target)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (told.folder, told.folder.parent)} == {0o700}
    entry = AuditEntry.objects.get(action="add chat target")
    assert "t0k3n" not in str(entry.after)
    assert WORD not in str(entry.after)
    assert entry.after["secret"] == "changed"


def test_r121_what_is_given_changes_and_the_rest_stays(tenant: Tenant, server: FakeServer) -> None:
    a_target(tenant, "Matrix", kind="matrix", address="https://matrix.contoso.com", secret=WORD)

    target = set_target(tenant, ACTOR, "matrix", account="@mms:contoso.com", options={"space": "One"}, new_name="Home")

    assert (target.name, target.address, target.options) == ("Home", "https://matrix.contoso.com", {"space": "One"})
    assert has_secret(target)
    assert set_target(tenant, ACTOR, "Home", options={"space": ""}).options == {}
    assert not has_secret(set_target(tenant, ACTOR, "Home", secret=""))
    assert ChatTarget.objects.count() == 1


def test_r129_a_secret_goes_to_no_other_server_than_it_was_given_for(tenant: Tenant, server: FakeServer) -> None:
    a_target(tenant, "Matrix", kind="matrix", address="https://matrix.contoso.com/a", secret=WORD)

    with pytest.raises(ValidationError, match="it is not sent to another server"):
        set_target(tenant, ACTOR, "Matrix", address="https://matrix.fabrikam.com")

    assert set_target(tenant, ACTOR, "Matrix", address="https://matrix.contoso.com/b").address.endswith("/b")
    assert has_secret(set_target(tenant, ACTOR, "Matrix", address="https://matrix.fabrikam.com", secret="new"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Say of which kind the target is."),
        ({"kind": "zulip"}, "There is no kind zulip: use archive, pchat, matrix, teams, mattermost."),
        (
            {"kind": "archive", "options": {"colour": "red"}},
            "A target of kind archive has no option colour: it has space, token.",
        ),
    ],
)
def test_r121_bad_settings_are_refused_in_a_sentence(
    tenant: Tenant, server: FakeServer, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        set_target(tenant, ACTOR, "New home", **values)

    assert refused.value.messages == [sentence]
    assert not ChatTarget.objects.exists()


def test_r121_a_target_of_a_plan_stays(tenant: Tenant, server: FakeServer) -> None:
    spare, target = a_target(tenant, "Spare"), a_target(tenant)
    imported(a_plan(tenant, target=target))

    with pytest.raises(ValidationError, match="1 plan is about the target New home, so it stays"):
        remove_target(target, ACTOR)
    with pytest.raises(ValidationError, match="its kind and address stay"):
        set_target(tenant, ACTOR, "New home", address="https://elsewhere.example.org")
    assert why_not_removed(spare) == ""
    remove_target(spare, ACTOR)
    assert [each.name for each in ChatTarget.objects.all()] == ["New home"]
    with pytest.raises(ValidationError, match="There is no target Spare: choose one of New home"):
        target_named(tenant, "Spare")


def test_r121_trying_a_target_looks_and_changes_nothing(tenant: Tenant, server: FakeServer) -> None:
    server.add("Lobby")
    server.retention_days = 30
    target = a_target(tenant)

    tried = list(try_target(target))

    assert [(step.ok, step.step) for step in tried] == [(True, "connect"), (True, "look"), (True, "retention")]
    assert tried[1].sentence == "Rooms there: 1. Categories: 0."
    assert tried[2].sentence.startswith("It deletes messages after 30 days")

    def refuse(step: str, about: str) -> None:
        raise TargetProblem("chat-target-sign-in", "It does not let MMS in.")

    server.at = refuse
    assert [(step.ok, step.sentence) for step in try_target(target)][-1] == (False, "It does not let MMS in.")


def test_r129_a_secret_that_no_key_opens_is_a_sentence(tenant: Tenant, server: FakeServer) -> None:
    target = a_target(tenant, secret=WORD)
    ChatTarget.objects.update(sealed_password="v1:nothing")

    (tried,) = try_target(ChatTarget.objects.get(pk=target.pk))

    assert not tried.ok
    assert tried.sentence.startswith("No key of MMS_SECRETS_KEY opens the stored password")
