"""The decision table against the specification, in every combination; and the table as people read it.

What is expected stands here in the specification's words (section 2, R1 to R17): which rule a change belongs to, whom
MMS cannot serve, what the switches hold back. Nothing here is read from the table that is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any, NamedTuple

import pytest

from migrations_app.triggers.rules import (
    TRIGGERS,
    Decision,
    decide,
    decide_meetings_stay,
    decide_start_by_hand,
)
from migrations_app.triggers.switches import Switches
from migrations_app.triggers.table import COMBINATIONS, SWITCHES, Row, table
from tenants_app.user_settings import SettingsChange, UserSettings


class Change(NamedTuple):
    """What an administrator does.

    ``rule`` is the one by which a run starts; empty where by the specification none does. ``word`` stands in the
    sentence. ``before`` and ``after`` are settings, and beside them what else a change carries.
    """

    rule: str
    word: str
    before: dict[str, Any]
    after: dict[str, Any]
    more: dict[str, Any] = {}


PUBLIC, PRIVATE = {"conference_id_type": "public"}, {"conference_id_type": "private"}
ON_LEGACY = {
    "deployment": "Pool A",
    "deployment_service": "link",
    "service_there": "link",
    "is_on_new_deployment": False,
    "bridge_id": 1,
    "bridge_name": "Europe",
}
ON_NEW = {
    "deployment": "Pool B",
    "deployment_service": "",
    "service_there": "link",
    "is_on_new_deployment": True,
    "bridge_id": 2,
    "bridge_name": "America",
}
CHANGES = {
    "moved online": Change("R1", "moved from on-premises", {"hosting": "on-premises"}, {"hosting": "online"}),
    "licence assigned": Change(
        "R2", "licence was assigned", {"audio_conferencing_license": False}, {"audio_conferencing_license": True}
    ),
    "licence removed": Change(
        "R2", "licence was removed", {"audio_conferencing_license": True}, {"audio_conferencing_license": False}
    ),
    "enabled": Change("R3", "enabled", {"audio_conferencing_enabled": False}, {"audio_conferencing_enabled": True}),
    "disabled": Change("R3", "disabled", {"audio_conferencing_enabled": True}, {"audio_conferencing_enabled": False}),
    "public ID": Change("R4", "conference ID changed", PUBLIC, {**PUBLIC, "conference_id": "7654321"}),
    "private ID": Change("", "IDs of their own", PRIVATE, {**PRIVATE, "conference_id": "7654321"}),
    "another bridge": Change("R5", "bridge America", {}, {"bridge_id": 2, "bridge_name": "America"}),
    "first bridge": Change("R5", "bridge Europe", {"bridge_id": None, "conference_id": ""}, {}),
    "no bridge": Change("", "no bridge any more", {}, {"bridge_id": None, "conference_id": ""}),
    "number off the bridge": Change(
        "R6", "+14255550100", {}, {"toll_number_id": 2}, {"unassigned_number": "+14255550100"}
    ),
    "from the ACP": Change("R7", "from Fabrikam", {"conferencing_provider": "Fabrikam"}, {"conferencing_provider": ""}),
    "to the ACP": Change("", "Fabrikam", {"conferencing_provider": ""}, {"conferencing_provider": "Fabrikam"}),
    "SIP user part": Change("", "SIP address", {}, {"sip_address": "anna.rossi@contoso.com"}),
    "SIP domain": Change("", "SIP address", {}, {"sip_address": "anna@fabrikam.com"}),
    "meeting URL": Change("", "meeting URL", {}, {}),
    "meeting service": Change("", "meeting service", {}, {}),
    "user's meeting service": Change("", "meeting service", {}, {"meeting_service": "none"}),
    "toll number": Change("", "reschedule meetings", {}, {"toll_number_id": 2}),
    "toll-free number": Change("", "reschedule meetings", {}, {"toll_free_number_id": 3}),
    "toll number, ticked": Change(
        "R10", "default number changed", {}, {"toll_number_id": 2}, {"reschedule_meetings": True}
    ),
    "toll-free number, ticked": Change(
        "R10", "default number changed", {}, {"toll_free_number_id": 3}, {"reschedule_meetings": True}
    ),
    "by hand": Change("R11", "started by hand", {}, {}),
    "mailbox moved away": Change(
        "", "moved mailbox", {"mailbox_location": "online"}, {"mailbox_location": "on-premises"}
    ),
    "mailbox moved online": Change(
        "", "moved mailbox", {"mailbox_location": "on-premises"}, {"mailbox_location": "online"}
    ),
    "moved on-premises": Change("", "online to on-premises", {"hosting": "online"}, {"hosting": "on-premises"}),
    "moved to a deployment": Change(
        "R62", "moved to the deployment Pool B", ON_LEGACY, ON_NEW, {"says_otherwise": True}
    ),
    "moved to a deployment, same words": Change("", "invitations stay as they are", ON_LEGACY, ON_NEW),
    "moved to a deployment, other service": Change(
        "R62",
        "moved to the deployment Pool B",
        ON_LEGACY,
        {**ON_NEW, "deployment_service": "teams", "service_there": "teams"},
    ),
    "moved back to a legacy deployment": Change(
        "R62", "moved to the deployment Pool A", ON_NEW, ON_LEGACY, {"says_otherwise": True}
    ),
    "kind of ID": Change("", "kind of conference ID", PUBLIC, PRIVATE),
    "another connection": Change("", "mailbox connection", {}, {"mailbox": "Nextcloud"}),
    "language": Change("", "language", {}, {"language": "it-IT"}),
    "nothing": Change("", "nothing changed", {}, {}),
}
OF_NO_USER = {"by hand", "meeting URL", "meeting service"}
"""What is no change of a user's settings."""

USER = {
    "conferencing_provider": ("", "Fabrikam"),
    "bridge_provider": ("", "Northwind"),
    "audio_conferencing_license": (True, False),
    "hosting": ("online", "on-premises"),
    "mailbox_location": ("online", "on-premises"),
    "is_mailbox_connected": (False, True),
    "undo_holds": (False, True),
}
"""What users differ in; a change of one of these is itself about it, so it is not varied beside that change."""

BASE = UserSettings(
    sip_address="anna@contoso.com",
    language="en-US",
    hosting="online",
    mailbox_location="online",
    audio_conferencing_license=True,
    audio_conferencing_enabled=True,
    conferencing_provider="",
    bridge_id=1,
    bridge_name="Europe",
    bridge_provider="",
    conference_id_type="public",
    conference_id="1234567",
    toll_number_id=1,
    toll_free_number_id=None,
    meeting_service="",
    mailbox="",
    is_mailbox_connected=False,
)


class Case(NamedTuple):
    """A change of a user who is like ``user`` before it, as far as the change is not about that."""

    change: str
    user: dict[str, Any]
    enabled: bool  # R12
    automatic: bool  # R13
    replaces: bool  # R14


class Expected(NamedTuple):
    rules: list[str]
    """Of the reasons of the run; empty where there is none."""
    word: str


def every_case() -> Iterator[Case]:
    for name, change in CHANGES.items():
        varied = {field: values for field, values in USER.items() if field not in change.after}
        for values in product(*varied.values()):
            for switches in product((True, False), repeat=3):
                yield Case(name, dict(zip(varied, values, strict=True)), *switches)


def expected(case: Case) -> Expected:
    """What section 2 of the specification says."""
    change = CHANGES[case.change]
    rules = [change.rule] if change.rule else []
    user = case.user | {field: value for field, value in change.after.items() if field in USER}
    if case.change == "from the ACP" and not user["audio_conferencing_license"]:
        return Expected([], "no audio conferencing licence")  # R7: "while licensed"
    if not rules:
        return Expected([], change.word)
    keeps_acp = user["conferencing_provider"] == "Fabrikam"
    if case.change == "licence assigned" and keeps_acp and case.replaces:  # R14
        keeps_acp = False
        rules += ["R5", "R7"] if user["bridge_provider"] else ["R7"]
        user["bridge_provider"] = ""
    if user["mailbox_location"] == "on-premises" and not user["is_mailbox_connected"]:
        return Expected([], "Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool")  # R15
    if case.change == "licence assigned" and keeps_acp and user["hosting"] == "online":
        return Expected([], "AutomaticallyReplaceAcpProvider is off")  # R14
    if keeps_acp:
        return Expected([], "Fabrikam provides")  # R16
    if user["bridge_provider"]:
        return Expected([], "belongs to Northwind: use the Meeting Migration Tool")  # R16
    if user["hosting"] == "on-premises" and not change.after.get("is_on_new_deployment"):
        return Expected([], "hosted on-premises: move them online, or use the Meeting Migration Tool")  # R17
    if not case.enabled:
        return Expected([], "MeetingMigrationEnabled")  # R12
    if not case.automatic and rules[0] in {"R2", "R3", "R4", "R5", "R6", "R7"}:
        return Expected([], "AutomaticallyMigrateUserMeetings is off")  # R13
    if user["undo_holds"] and case.change not in {"by hand", "number off the bridge"} and rules != ["R62"]:
        return Expected([], "an undo holds")  # section 5: until a person starts the user
    return Expected(rules, change.word)


def decided(case: Case) -> Decision:
    """What the product says."""
    change = CHANGES[case.change]
    switches = Switches(case.enabled, case.automatic, case.replaces)
    user = replace(BASE, **case.user)
    if case.change == "by hand":
        return decide_start_by_hand(user, switches, "alice")
    if case.change in {"meeting URL", "meeting service"}:
        return decide_meetings_stay(case.change.lower().replace(" ", "_"))
    before, after = replace(user, **change.before), replace(user, **change.after)
    if case.change == "licence assigned" and case.replaces and after.conferencing_provider:
        after = replace(after, conferencing_provider="")  # R14: what the change of a user makes of it
        if after.bridge_provider:
            after = replace(after, bridge_id=9, bridge_name="Default", bridge_provider="")
    return decide(SettingsChange(before, after, **change.more), switches)


ONE_SENTENCE = re.compile(r"(?:Run|No run), because [^.!?\n]+\.")


def is_right(answer: Decision, rules: list[str], word: str = "") -> bool:
    return (
        answer.starts_run is bool(rules)
        and sorted(reason.rule for reason in answer.reasons) == sorted(rules)
        and answer.sentence.startswith("Run, " if rules else "No run, ")
        and word in answer.sentence
        and ONE_SENTENCE.fullmatch(answer.sentence) is not None
    )


def test_r1_to_r17_every_change_of_every_user_under_every_switch() -> None:
    """30,720 combinations of change × switches × provider × bridge's provider × licence × hosting × mailbox location ×
    whether a connection reaches Exchange on-premises × whether an undo holds.

    27 changes are about none of the last seven, 6 are about one of them: (27 × 128 + 6 × 64) users × 8 switches.
    """
    cases = list(every_case())
    answers = [(case, expected(case), decided(case)) for case in cases]

    assert [answer for answer in answers if not is_right(answer[2], *answer[1])] == []
    assert len(set(map(str, cases))) == 30_720


def every_pair() -> Iterator[tuple[str, str]]:
    """Two changes of a user that can be saved at once: they are about different settings."""
    for one, other in combinations([name for name in CHANGES if name not in OF_NO_USER], 2):
        settings_of = [{**CHANGES[name].before, **CHANGES[name].after} for name in (one, other)]
        if settings_of[0].keys().isdisjoint(settings_of[1]):
            yield one, other


def expected_together(pair: tuple[str, str], enabled: bool, automatic: bool) -> list[str]:
    """The rules by which a run starts for a user whom MMS can serve, where both changes are made at once (R18)."""
    rules = {CHANGES[name].rule for name in pair} - {""}
    if any("deployment" in CHANGES[name].after for name in pair):
        rules -= {"R4", "R10"}  # R62: the move decides for what it brings along
    if {"moved on-premises", "mailbox moved away", "to the ACP"} & set(pair) or not enabled:
        return []  # R15 to R17, R12
    if {"another bridge", "first bridge", "no bridge"} & set(pair):
        rules -= {"R10"}  # a number of another bridge is no other default number, but goes with the bridge
    if set(pair) == {"licence removed", "from the ACP"}:
        rules -= {"R7"}  # "while licensed"
    if {"toll number", "toll-free number, ticked"} == set(pair) or {"toll number, ticked", "toll-free number"} == set(
        pair
    ):
        rules |= {"R10"}
    return sorted(rules if automatic else rules - {"R2", "R3", "R4", "R5", "R6", "R7"})  # R13


def test_r18_every_two_changes_at_once_start_what_each_would() -> None:
    """3,416 combinations: 427 pairs of changes that can be saved at once × 8 switches."""
    wrong, count = [], 0
    for pair in every_pair():
        one, other = (CHANGES[name] for name in pair)
        for enabled, automatic, replaces in product((True, False), repeat=3):
            before = replace(BASE, **{**one.before, **other.before})
            after = replace(BASE, **{**one.after, **other.after})
            change = SettingsChange(before, after, **{**one.more, **other.more})
            answer = decide(change, Switches(enabled, automatic, replaces))
            count += 1
            if not is_right(answer, expected_together(pair, enabled, automatic)):
                wrong.append((pair, enabled, automatic, answer))

    assert wrong == []
    assert count == 3_416


# --- the table as people read it ----------------------------------------------------------------------

ACTIONS = {
    "Move the user from on-premises to online": "moved online",
    "Move a user without a meeting service from on-premises to online": "moved online",
    "Assign the audio conferencing licence": "licence assigned",
    "Remove the audio conferencing licence": "licence removed",
    "Enable audio conferencing": "enabled",
    "Disable audio conferencing": "disabled",
    "Change or reset a public conference ID": "public ID",
    "Change or reset the conference ID of a user with private ones": "private ID",
    "Move the user to another bridge": "another bridge",
    "Give the user a first bridge": "first bridge",
    "Take the user off their bridge": "no bridge",
    "Take a number that the user has off the bridge": "number off the bridge",
    "Change the provider to Microsoft, with a licence": "from the ACP",
    "Change the SIP address, user part or domain": "SIP domain",
    "Change the tenant's meeting URL": "meeting URL",
    "Change the tenant's meeting service": "meeting service",
    "Change the user's meeting service": "user's meeting service",
    "Change the default toll or toll-free number": "toll number",
    "Change the default toll or toll-free number and tick “reschedule meetings”": "toll number, ticked",
    "Start a run by hand": "by hand",
    "Move the mailbox to on-premises": "mailbox moved away",
    "Move the mailbox to online": "mailbox moved online",
    "Change the provider to a third party": "to the ACP",
    "Move the user from online to on-premises": "moved on-premises",
    "Move the user to another deployment, where the invitations should say something else": "moved to a deployment",
    "Move the user to another deployment, where the invitations stay right": "moved to a deployment, same words",
    "Move the user to another deployment, which names another meeting service": "moved to a deployment, other service",
    "Move the user back to the legacy deployment, where the invitations should say something else": (
        "moved back to a legacy deployment"
    ),
    "Change between public and private conference IDs": "kind of ID",
    "Give the user another mailbox connection": "another connection",
    "Change the user's language": "language",
    "Save without a change": "nothing",
}
NEVER = {"Change the provider to Microsoft, without a licence", "Move the user to a third party's bridge"}
WHO = {
    "Microsoft's user, all online": {},
    "User on a third-party provider": {"conferencing_provider": "Fabrikam"},
    "User hosted on-premises": {"hosting": "on-premises"},
    "User whose mailbox is on-premises": {"mailbox_location": "on-premises"},
    "User whose mailbox is on-premises, with a connection that reaches it": {
        "mailbox_location": "on-premises",
        "is_mailbox_connected": True,
    },
    "User whose undo holds": {"undo_holds": True},
}
ALIKE = {"conferencing_provider": "", "bridge_provider": "", "audio_conferencing_license": True, "hosting": "online"}
ALIKE |= {"undo_holds": False, "is_mailbox_connected": False}


@pytest.mark.parametrize("row", table(), ids=lambda row: row.kind.action)
def test_the_table_shown_says_what_the_specification_says(row: Row) -> None:
    shown = [
        (who, switches, answer.decision)
        for group, who in ((group, who) for group in row.answers for who in group.users)
        for switches, answer in product(COMBINATIONS, group.answers)
        if answer.holds(switches)
    ]

    assert len(shown) == len(WHO) * 8  # one answer for each, and no second one
    for who, switches, decision in shown:
        assert ONE_SENTENCE.fullmatch(decision.sentence)
        if row.kind.action in NEVER:
            assert not decision.starts_run
            continue
        user = {**ALIKE, "mailbox_location": "online", **WHO[who]}
        case = Case(ACTIONS[row.kind.action], user, *(getattr(switches, name) for name in SWITCHES))
        wanted = expected(case)
        assert is_right(decision, *wanted), (who, switches, wanted, decision)


def test_the_table_shown_has_every_rule_and_every_row_of_the_code() -> None:
    sentences = " ".join(
        answer.decision.sentence for row in table() for group in row.answers for answer in group.answers
    )
    missing = [
        trigger.clause
        for trigger in TRIGGERS
        if not re.search(re.sub(r"%\\\(\w+\\\)s", ".+", re.escape(trigger.clause)), sentences)
    ]

    assert missing == []
    assert {row.kind.rule for row in table()} >= {f"R{number}" for number in [*range(1, 12), 15, 16, 17]}
