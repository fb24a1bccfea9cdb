"""The decision table as people read it: each kind of change, asked under all switches and for different users.

There is no rule here: every answer comes from ``rules``. This module asks, and groups the answers. The page *What
starts a run* and ``docs/decisions.md`` both show what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import permutations, product
from typing import Any, NamedTuple

from migrations_app.targets import LINK, NO_SERVICE
from migrations_app.triggers.rules import Decision, decide, decide_meetings_stay, decide_start_by_hand
from migrations_app.triggers.switches import Switches
from tenants_app.sentences import Sentence, sentence
from tenants_app.user_settings import SettingsChange, UserSettings, acp_is_replaced
from tenants_app.wording import pascal_case

SWITCHES = {field.name: pascal_case(field.name) for field in fields(Switches)}
"""Each switch by its field, with the name that administrators know it by."""

COMBINATIONS = tuple(Switches(*values) for values in product((True, False), repeat=len(SWITCHES)))

SERVED = UserSettings(
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
USERS: dict[str, UserSettings] = {
    sentence("Microsoft's user, all online"): SERVED,
    sentence("User on a third-party provider"): replace(SERVED, conferencing_provider="Fabrikam"),
    sentence("User hosted on-premises"): replace(SERVED, hosting="on-premises"),
    sentence("User whose mailbox is on-premises"): replace(SERVED, mailbox_location="on-premises"),
    sentence("User whose mailbox is on-premises, with a connection that reaches it"): replace(
        SERVED, mailbox_location="on-premises", is_mailbox_connected=True
    ),
    sentence("User whose undo holds"): replace(SERVED, undo_holds=True),
}
"""One user of each kind that the rules tell apart: first one whom MMS serves, then those it may refuse (R15 to R17)."""


class KindOfChange(NamedTuple):
    """What an administrator does, and what it leads to for a user with the switches as given."""

    rule: str
    action: Sentence
    decided: Callable[[UserSettings, Switches], Decision]


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, and the positions of switches under which it holds. Switches that make no difference are left out."""

    switches: Mapping[str, bool]
    """By field name."""
    decision: Decision

    @property
    def when(self) -> Sentence:
        told = [
            sentence("%(switch)s on", switch=SWITCHES[name])
            if is_on
            else sentence("%(switch)s off", switch=SWITCHES[name])
            for name, is_on in self.switches.items()
        ]
        if not told:
            return sentence("Whatever the switches")
        first, *others = told
        for each in others:
            first = sentence("%(first)s and %(second)s", first=first, second=each)
        return first

    def holds(self, switches: Switches) -> bool:
        return all(getattr(switches, name) is is_on for name, is_on in self.switches.items())


class Answers(NamedTuple):
    """The answers that several users have in common: as few as cover every combination of switches."""

    users: tuple[str, ...]
    answers: tuple[Answer, ...]

    @property
    def who(self) -> str:
        return sentence("Every user") if len(self.users) == len(USERS) else "; ".join(map(str, self.users))


class Row(NamedTuple):
    """A kind of change with its answers for all users. Those for the usual user come first."""

    kind: KindOfChange
    answers: tuple[Answers, ...]


def _edit(
    before: Mapping[str, Any], after: Mapping[str, Any], service: str = NO_SERVICE, **more: Any
) -> Callable[[UserSettings, Switches], Decision]:
    """A change of settings: ``before`` and ``after`` replace some of the user's, ``more`` is for SettingsChange.

    ``service`` is the user's meeting service.
    """

    def decided(user: UserSettings, switches: Switches) -> Decision:
        old, new = replace(user, **before), replace(user, **after)
        if acp_is_replaced(
            switches.automatically_replace_acp_provider,
            new.conferencing_provider,
            had_license=old.audio_conferencing_license,
            has_license=new.audio_conferencing_license,
        ):
            new = replace(new, conferencing_provider="")
        return decide(SettingsChange(old, new, **more), switches, service)

    return decided


_MOVE = ({"hosting": "on-premises"}, {"hosting": "online"})
_ON_LEGACY = {
    "deployment": "Pool A",
    "deployment_service": "link",
    "service_there": "link",
    "is_on_new_deployment": False,
    "bridge_id": 1,
    "bridge_name": "Europe",
}
_ON_NEW = {
    "deployment": "Pool B",
    "deployment_service": "",
    "service_there": "link",
    "is_on_new_deployment": True,
    "bridge_id": 2,
    "bridge_name": "America",
}
_PRIVATE = {"conference_id_type": "private"}

KINDS = (
    KindOfChange("R1", sentence("Move the user from on-premises to online"), _edit(*_MOVE, service=LINK)),
    KindOfChange("R1", sentence("Move a user without a meeting service from on-premises to online"), _edit(*_MOVE)),
    KindOfChange(
        "R2", sentence("Assign the audio conferencing licence"), _edit({"audio_conferencing_license": False}, {})
    ),
    KindOfChange(
        "R2", sentence("Remove the audio conferencing licence"), _edit({}, {"audio_conferencing_license": False})
    ),
    KindOfChange("R3", sentence("Enable audio conferencing"), _edit({"audio_conferencing_enabled": False}, {})),
    KindOfChange("R3", sentence("Disable audio conferencing"), _edit({}, {"audio_conferencing_enabled": False})),
    KindOfChange("R4", sentence("Change or reset a public conference ID"), _edit({}, {"conference_id": "7654321"})),
    KindOfChange(
        "R4",
        sentence("Change or reset the conference ID of a user with private ones"),
        _edit(_PRIVATE, _PRIVATE | {"conference_id": "7654321"}),
    ),
    KindOfChange(
        "R5", sentence("Move the user to another bridge"), _edit({}, {"bridge_id": 2, "bridge_name": "America"})
    ),
    KindOfChange("R5", sentence("Give the user a first bridge"), _edit({"bridge_id": None, "conference_id": ""}, {})),
    KindOfChange("R5", sentence("Take the user off their bridge"), _edit({}, {"bridge_id": None, "conference_id": ""})),
    KindOfChange(
        "R6",
        sentence("Take a number that the user has off the bridge"),
        _edit({}, {"toll_number_id": 2}, unassigned_number="+14255550100"),
    ),
    KindOfChange(
        "R7",
        sentence("Change the provider to Microsoft, with a licence"),
        _edit({"conferencing_provider": "Fabrikam"}, {"conferencing_provider": ""}),
    ),
    KindOfChange(
        "R7",
        sentence("Change the provider to Microsoft, without a licence"),
        _edit(
            {"conferencing_provider": "Fabrikam", "audio_conferencing_license": False},
            {"conferencing_provider": "", "audio_conferencing_license": False},
        ),
    ),
    KindOfChange(
        "R8", sentence("Change the SIP address, user part or domain"), _edit({}, {"sip_address": "anna@example.org"})
    ),
    KindOfChange(
        "R9", sentence("Change the tenant's meeting URL"), lambda user, switches: decide_meetings_stay("meeting_url")
    ),
    KindOfChange(
        "R9",
        sentence("Change the tenant's meeting service"),
        lambda user, switches: decide_meetings_stay("meeting_service"),
    ),
    KindOfChange("R9", sentence("Change the user's meeting service"), _edit({}, {"meeting_service": "none"})),
    KindOfChange("R10", sentence("Change the default toll or toll-free number"), _edit({}, {"toll_number_id": 2})),
    KindOfChange(
        "R10",
        sentence("Change the default toll or toll-free number and tick “reschedule meetings”"),
        _edit({}, {"toll_number_id": 2}, reschedule_meetings=True),
    ),
    KindOfChange(
        "R11",
        sentence("Start a run by hand"),
        lambda user, switches: decide_start_by_hand(user, switches, "an operator"),
    ),
    KindOfChange(
        "R15",
        sentence("Move the mailbox to on-premises"),
        _edit({"mailbox_location": "online"}, {"mailbox_location": "on-premises"}),
    ),
    KindOfChange(
        "R15",
        sentence("Move the mailbox to online"),
        _edit(
            {"mailbox_location": "on-premises"},
            {"mailbox_location": "online"},
        ),
    ),
    KindOfChange(
        "R16",
        sentence("Change the provider to a third party"),
        _edit({"conferencing_provider": ""}, {"conferencing_provider": "Fabrikam"}),
    ),
    KindOfChange(
        "R16",
        sentence("Move the user to a third party's bridge"),
        _edit({}, {"bridge_id": 3, "bridge_name": "Asia", "bridge_provider": "Fabrikam"}),
    ),
    KindOfChange(
        "R17",
        sentence("Move the user from online to on-premises"),
        _edit({"hosting": "online"}, {"hosting": "on-premises"}),
    ),
    KindOfChange(
        "R62",
        sentence("Move the user to another deployment, where the invitations should say something else"),
        _edit(_ON_LEGACY, _ON_NEW, says_otherwise=True),
    ),
    KindOfChange(
        "R62",
        sentence("Move the user to another deployment, where the invitations stay right"),
        _edit(_ON_LEGACY, _ON_NEW),
    ),
    KindOfChange(
        "R62",
        sentence("Move the user to another deployment, which names another meeting service"),
        _edit(_ON_LEGACY, _ON_NEW | {"deployment_service": "teams", "service_there": "teams"}),
    ),
    KindOfChange(
        "R62",
        sentence("Move the user back to the legacy deployment, where the invitations should say something else"),
        _edit(_ON_NEW, _ON_LEGACY, says_otherwise=True),
    ),
    KindOfChange("R36", sentence("Change between public and private conference IDs"), _edit({}, _PRIVATE)),
    KindOfChange("R36", sentence("Give the user another mailbox connection"), _edit({}, {"mailbox": "Nextcloud"})),
    KindOfChange("R36", sentence("Change the user's language"), _edit({}, {"language": "it-IT"})),
    KindOfChange("", sentence("Save without a change"), _edit({}, {})),
)


@cache
def table() -> tuple[Row, ...]:
    """Every kind of change with all its answers; users with the same answers are put together."""
    return tuple(Row(kind, _answers(kind)) for kind in KINDS)


def answer_now(kind: KindOfChange, switches: Switches) -> Decision:
    """What the change leads to for the usual user."""
    return kind.decided(SERVED, switches)


def _answers(kind: KindOfChange) -> tuple[Answers, ...]:
    alike: dict[tuple[Sentence, ...], list[str]] = {}
    decisions = {}
    for name, user in USERS.items():
        decided = [kind.decided(user, switches) for switches in COMBINATIONS]
        sentences = tuple(decision.sentence for decision in decided)
        alike.setdefault(sentences, []).append(name)
        decisions[sentences] = dict(zip(COMBINATIONS, decided, strict=True))
    return tuple(
        Answers(tuple(names), min((_branches(decisions[key], order) for order in permutations(SWITCHES)), key=len))
        for key, names in alike.items()
    )


def _branches(decisions: Mapping[Switches, Decision], order: Sequence[str]) -> tuple[Answer, ...]:
    """The answers, found by asking switch after switch in the order given, as long as the decisions still differ."""
    first, *others = decisions.values()
    if all(decision == first for decision in others):
        return (Answer({}, first),)
    name, *rest = order
    branches = []
    for is_on in (True, False):
        some = {switches: decision for switches, decision in decisions.items() if getattr(switches, name) is is_on}
        branches += [Answer({name: is_on, **below.switches}, below.decision) for below in _branches(some, rest)]
    return tuple(branches)
