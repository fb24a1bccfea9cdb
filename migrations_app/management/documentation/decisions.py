"""``decisions.md``: what starts a run, from the decision table."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.triggers.switches import Switches
from migrations_app.triggers.table import COMBINATIONS, SERVED, SWITCHES, USERS, KindOfChange, table

MICROSOFT, THIRD_PARTY = SERVED, USERS["User on a third-party provider"]

INTRODUCTION = """\
# What starts a run

Written by `make docs` from the decision table itself (`migrations_app/triggers/rules.py`): do not edit it by hand.
The page *Settings → What starts a run* shows the same for a tenant's switches as they are now.
"""
OVERVIEW = """\
## Every change under every combination of switches

E is `MeetingMigrationEnabled` (R12), A is `AutomaticallyMigrateUserMeetings` (R13), P is
`AutomaticallyReplaceAcpProvider` (R14); + is on and − is off. *run*: a run starts, whether the user's provider before
the change is Microsoft or a third party. *Microsoft*, *third party*: for those users only. –: none starts. The account,
the mailbox and the bridge are online and Microsoft's.
"""
SENTENCES = """\
## Every sentence

Switches that make no difference are left out. Bridges, deployments, the provider Fabrikam and the number are examples.
"""


def page() -> Iterator[str]:
    yield INTRODUCTION
    yield OVERVIEW
    yield from _overview()
    yield ""
    yield SENTENCES
    yield from _sentences()


def _overview() -> Iterator[str]:
    yield "| rule | change | " + " | ".join(map(_short, COMBINATIONS)) + " |"
    yield "|---|---|" + "---|" * len(COMBINATIONS)
    for kind, _ in table():
        yield f"| {kind.rule} | {kind.action} | " + " | ".join(_cell(kind, some) for some in COMBINATIONS) + " |"


def _short(switches: Switches) -> str:
    states = (getattr(switches, name) for name in SWITCHES)
    return " ".join(letter + ("+" if is_on else "−") for letter, is_on in zip("EAP", states, strict=True))


def _cell(kind: KindOfChange, switches: Switches) -> str:
    starts = [kind.decided(user, switches).starts_run for user in (MICROSOFT, THIRD_PARTY)]
    if all(starts):
        return "run"
    return {(True, False): "Microsoft", (False, True): "third party"}.get((starts[0], starts[1]), "–")


def _sentences() -> Iterator[str]:
    for kind, answers in table():
        yield f"### {kind.action}{kind.rule and f' ({kind.rule})'}\n"
        yield "| user | switches | what is said |"
        yield "|---|---|---|"
        for group in answers:
            for answer in group.answers:
                yield f"| {group.who} | {answer.when} | {answer.decision.sentence} |"
        yield ""
