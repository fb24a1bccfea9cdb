"""The decision table, by rule number: what starts a run and what does not, and the sentence that says why."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest
from django.conf import settings

from migrations_app.preview.many_users import DECISIVE
from migrations_app.targets import ALL_CURRENT, NO_SERVICE
from migrations_app.triggers.rules import Decision, Decisions, decide, decide_start_by_hand
from migrations_app.triggers.switches import Switches
from tenants_app.user_settings import SettingsChange, UserSettings

ON = Switches(
    meeting_migration_enabled=True,
    automatically_migrate_user_meetings=True,
    automatically_replace_acp_provider=False,
)
SERVED = UserSettings(
    sip_address="anna@contoso.com",
    language="en-US",
    hosting="online",
    mailbox_location="online",
    audio_conferencing_license=True,
    audio_conferencing_enabled=True,
    conferencing_provider="",
    bridge_id=1,
    bridge_name="Old bridge",
    bridge_provider="",
    conference_id_type="public",
    conference_id="1234567",
    toll_number_id=None,
    toll_free_number_id=None,
    meeting_service="",
    mailbox="",
    is_mailbox_connected=False,
)


AS_EVERYBODY = (ALL_CURRENT, NO_SERVICE, ALL_CURRENT)
"""The targets of a start by hand, the user's service and the targets of their pending run."""
REMEMBERED: dict[Switches, Decisions] = {}


def decision(
    before: dict[str, Any], after: dict[str, Any], switches: Switches = ON, reschedule: bool = False
) -> Decision:
    """The decision about a change from ``before`` to ``after``, both given as differences from a user like any.

    It is the same from among all decisions that are remembered of other tests.
    """
    change = SettingsChange(replace(SERVED, **before), replace(SERVED, **after), reschedule)
    decided = decide(change, switches)
    assert REMEMBERED.setdefault(switches, Decisions(switches)).of_change(change, NO_SERVICE) == decided
    return decided


STARTING = {
    "R1": ({"hosting": "on-premises"}, {}),
    "R2 assigned": ({"audio_conferencing_license": False}, {}),
    "R2 removed": ({}, {"audio_conferencing_license": False}),
    "R3 enabled": ({"audio_conferencing_enabled": False}, {}),
    "R3 disabled": ({}, {"audio_conferencing_enabled": False}),
    "R4": ({}, {"conference_id": "7654321"}),
    "R5": ({}, {"bridge_id": 2, "bridge_name": "New bridge"}),
    "R5 from none": ({"bridge_id": None}, {}),
    "R7": ({"conferencing_provider": "Fabrikam"}, {}),
}


def test_users_who_are_changed_alike_share_one_decision() -> None:
    decisions = Decisions(ON)

    def moved(name: str, before: str, after: str, *, bridge: int = 2) -> Decision:
        old = replace(SERVED, sip_address=name, conference_id=before)
        new = replace(old, bridge_id=bridge, bridge_name=f"Bridge {bridge}", conference_id=after)
        return decisions.of_change(SettingsChange(old, new), NO_SERVICE)

    anna = moved("anna@contoso.com", "1111111", "1111111")
    assert moved("bruno@contoso.com", "2222222", "2222222") is anna
    assert [reason.rule for reason in anna.reasons] == ["R5"]
    renumbered = moved("clara@contoso.com", "3333333", "4444444")
    assert [reason.rule for reason in renumbered.reasons] == ["R4", "R5"]
    assert moved("dario@contoso.com", "5555555", "5555555", bridge=3).sentence.endswith("Bridge 3.")

    by_hand = decisions.of_start(SERVED, "alice", *AS_EVERYBODY)
    assert decisions.of_start(replace(SERVED, sip_address="b@contoso.com"), "alice", *AS_EVERYBODY) is by_hand
    assert decisions.of_start(replace(SERVED, mailbox_location="on-premises"), "alice", *AS_EVERYBODY) != by_hand
    assert decisions.of_start(SERVED, "bob", *AS_EVERYBODY) != by_hand


@pytest.mark.parametrize("rule", STARTING)
def test_it_starts_a_run(rule: str) -> None:
    before, after = STARTING[rule]
    decided = decision(before, after)
    assert decided.starts_run
    assert decided.sentence.startswith("Run, because ")
    assert [reason.rule for reason in decided.reasons] == [rule.split()[0]]


NOT_STARTING = {
    "nothing changed": ({}, {}, "nothing changed that the invitations show"),
    "R4 private IDs": (
        {"conference_id_type": "private"},
        {"conference_id_type": "private", "conference_id": "7654321"},
        "IDs of their own",
    ),
    "R8 user part": ({}, {"sip_address": "anna.rossi@contoso.com"}, "SIP address"),
    "R8 domain": ({}, {"sip_address": "anna@fabrikam.com"}, "SIP address"),
    "no bridge any more": ({}, {"bridge_id": None, "conference_id": ""}, "no bridge any more"),
    "kind of conference ID": ({}, {"conference_id_type": "private", "conference_id": ""}, "kind of conference ID"),
    "language": ({}, {"language": "it-IT"}, "language alone"),
    "mailbox": ({"mailbox_location": "on-premises"}, {}, "moved mailbox"),
    "R10 without asking": ({}, {"toll_number_id": 5}, "reschedule meetings"),
    "R15": ({"mailbox_location": "on-premises"}, {"mailbox_location": "on-premises", "bridge_id": 2}, "on-premises"),
    "R16 provider": (
        {"conferencing_provider": "Fabrikam"},
        {"conferencing_provider": "Fabrikam", "bridge_id": 2},
        "Fab",
    ),
    "R16 bridge": ({}, {"bridge_id": 2, "bridge_provider": "Fabrikam"}, "Meeting Migration Tool"),
    "R17": ({}, {"hosting": "on-premises"}, "online to on-premises"),
    "still on-premises": (
        {"hosting": "on-premises", "audio_conferencing_license": False},
        {"hosting": "on-premises"},
        "move them online",
    ),
}


@pytest.mark.parametrize("case", NOT_STARTING)
def test_it_starts_no_run_and_says_why(case: str) -> None:
    before, after, words = NOT_STARTING[case]
    decided = decision(before, after)
    assert not decided.starts_run
    assert decided.sentence.startswith("No run, because ")
    assert words in decided.sentence


def test_r10_a_changed_number_starts_a_run_when_rescheduling_is_asked_for() -> None:
    assert decision({}, {"toll_number_id": 5}, reschedule=True).reasons[0].rule == "R10"


def test_r18_a_change_of_several_settings_gives_all_its_reasons() -> None:
    decided = decision({"hosting": "on-premises", "audio_conferencing_license": False}, {})
    assert [reason.rule for reason in decided.reasons] == ["R1", "R2"]
    assert decided.targets.stored == {"SkypeForBusiness": "none", "Teams": "Current", "Link": "Current"}


@pytest.mark.parametrize("rule", STARTING)
def test_r12_nothing_starts_while_the_service_is_off(rule: str) -> None:
    decided = decision(*STARTING[rule], switches=replace(ON, meeting_migration_enabled=False))
    assert not decided.starts_run
    assert "MeetingMigrationEnabled" in decided.sentence


@pytest.mark.parametrize("rule", STARTING)
def test_r13_only_moves_start_a_run_while_automatic_migration_is_off(rule: str) -> None:
    decided = decision(*STARTING[rule], switches=replace(ON, automatically_migrate_user_meetings=False))
    assert decided.starts_run == (rule == "R1")


def test_r13_leaves_out_the_reasons_that_it_switches_off() -> None:
    off = replace(ON, automatically_migrate_user_meetings=False)
    decided = decision({"hosting": "on-premises", "audio_conferencing_license": False}, {}, switches=off)
    assert [reason.rule for reason in decided.reasons] == ["R1"]


def test_r11_a_start_by_hand_names_who_started_it() -> None:
    off = replace(ON, automatically_migrate_user_meetings=False)
    assert decide_start_by_hand(SERVED, off, "alice").reasons == (("R11", "Started by hand by alice."),)


def test_r12_a_start_by_hand_is_refused_while_the_service_is_off() -> None:
    decided = decide_start_by_hand(SERVED, replace(ON, meeting_migration_enabled=False), "alice")
    assert not decided.starts_run
    assert "switched off" in decided.sentence


@pytest.mark.parametrize(
    "differing",
    [{"mailbox_location": "on-premises"}, {"conferencing_provider": "Fabrikam"}, {"bridge_provider": "Fabrikam"}],
)
def test_r15_r16_a_start_by_hand_is_refused_for_users_that_cannot_be_served(differing: dict[str, str]) -> None:
    decided = decide_start_by_hand(replace(SERVED, **differing), ON, "alice")  # type: ignore[arg-type]
    assert not decided.starts_run
    assert "Meeting Migration Tool" in decided.sentence


def test_the_rules_need_no_models() -> None:
    """They can be asked where no Django is set up, and no database is there."""
    code = "import sys; import migrations_app.triggers.table; print('django.db.models' in sys.modules)"
    asked = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)

    assert (asked.stdout, asked.stderr) == ("False\n", "")


OF_THE_BRIDGE = {
    "bridge_id",
    "bridge_name",
    "bridge_provider",
    "conference_id",
    "toll_number_id",
    "toll_free_number_id",
}
"""What a change for many users at once changes itself; the other settings are what tells these users apart."""


@pytest.mark.parametrize("name", sorted({field.name for field in fields(UserSettings)} - {*DECISIVE} - OF_THE_BRIDGE))
def test_what_users_are_not_told_apart_by_decides_nothing_of_a_change_for_many(name: str) -> None:
    """Users are counted together in a preview where they are alike in what decides."""
    moves: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"bridge_id": 2, "bridge_name": "New bridge"}),
        ({}, {"bridge_id": 2, "bridge_name": "New bridge", "bridge_provider": "Fabrikam"}),
        ({"bridge_provider": "Fabrikam"}, {"conference_id": "7654321"}),
        ({}, {"toll_number_id": 3}),
    ]
    for before, after in moves:
        told = {decision(before | {name: value}, after | {name: value}) for value in ("", "anna@fabrikam.com", "it-IT")}
        assert len(told) == 1, name
