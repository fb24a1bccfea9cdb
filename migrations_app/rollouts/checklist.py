"""The checks that a new rollout starts with, wave by wave (R74, R88)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrations_app.models import Rollout, RolloutCheck, Wave
from tenants_app.models import Deployment
from tenants_app.sentences import Sentence, sentence

Kind, Scope = RolloutCheck.Kind, RolloutCheck.Scope

HTTPS_PORT, SIP_TLS_PORT = 443, 5061


@dataclass(frozen=True, slots=True)
class Item:
    """One check as a new rollout gets it."""

    name: Sentence
    scope: RolloutCheck.Scope
    kind: RolloutCheck.Kind = Kind.MANUAL
    instructions: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def items_of(purpose: str, rollout: Rollout) -> list[Item]:
    """What stands before a wave that is for this."""
    return {
        Wave.Purpose.TEST: lambda: [*BEFORE_TEST, *_before_test(rollout)],
        Wave.Purpose.PILOT: lambda: [*BEFORE_PILOT, *_before_pilot(rollout)],
        Wave.Purpose.EVERYONE: lambda: list(BEFORE_EVERYONE),
    }[Wave.Purpose(purpose)]()


def _manual(name: Sentence, scope: RolloutCheck.Scope, instructions: Sentence) -> Item:
    return Item(name, scope, Kind.MANUAL, instructions)


def _before_test(rollout: Rollout) -> Iterator[Item]:
    """What is measured per host of the new side."""
    for host in _hosts(rollout.new):
        yield Item(
            sentence("The service at %(host)s is started", host=host),
            Scope.NEW,
            Kind.TCP,
            parameters={"host": host, "port": _port_of(rollout.new, host), "tls": False},
        )
    for host in rollout.new.meeting_hosts:
        yield Item(
            sentence("The DNS records of %(host)s are right", host=host),
            Scope.NEW,
            Kind.DNS,
            sentence("Say which addresses are expected."),
            {"name": host, "type": "A"},
        )
    for host in rollout.new.meeting_hosts:
        yield Item(
            sentence("The certificate of %(host)s is good", host=host),
            Scope.NEW,
            Kind.TCP,
            parameters={"host": host, "port": HTTPS_PORT, "tls": True},
        )


def _before_pilot(rollout: Rollout) -> Iterator[Item]:
    """SIP OPTIONS to both sides."""
    for deployment, scope in ((rollout.legacy, Scope.LEGACY), (rollout.new, Scope.NEW)):
        host = next(iter([*deployment.check_hosts, *deployment.meeting_hosts]), "")
        yield Item(
            sentence("%(deployment)s answers SIP OPTIONS", deployment=deployment.name),
            scope,
            Kind.SIP,
            sentence(
                "Front ends may demand a certificate of whoever asks. Then use a check of kind tcp or command instead."
            ),
            {"host": host, "port": SIP_TLS_PORT, "transport": "tls"},
        )


def _hosts(deployment: Deployment) -> list[str]:
    return list(dict.fromkeys([*deployment.meeting_hosts, *deployment.check_hosts]))


def _port_of(deployment: Deployment, host: str) -> int:
    return HTTPS_PORT if host in deployment.meeting_hosts else SIP_TLS_PORT


_BETWEEN = Scope.BETWEEN

BEFORE_TEST: Sequence[Item] = (
    _manual(
        sentence("The latest updates are installed on the legacy side"),
        Scope.LEGACY,
        sentence("Compare the version of each legacy server with the newest cumulative update."),
    ),
    _manual(
        sentence("A backup of the legacy side has been taken"),
        Scope.LEGACY,
        sentence("Back up databases, central management store, file shares and certificates, and try to read them."),
    ),
    _manual(
        sentence("The oldest clients are blocked by the version filter"),
        Scope.LEGACY,
        sentence("Set the client version policy so that clients which the new side does not support cannot sign in."),
    ),
    _manual(
        sentence("Each side can be administered"),
        Scope.BOTH,
        sentence("Open the administration tools of both sides and show a user of each of them."),
    ),
)

_RUNS = Item(
    sentence("Meetings of earlier waves are up to date"),
    Scope.BOTH,
    Kind.RUNS,
    sentence("MMS looks at its own runs, messages and mailboxes."),
    {
        "no_failed": True,
        "none_under_way": True,
        "messages_sent": True,
        "none_out_of_date": True,
        "mailboxes": 5,
        "worker": True,
    },
)

BEFORE_PILOT: Sequence[Item] = (
    _manual(
        sentence("Replication is complete"),
        _BETWEEN,
        sentence(
            "Before anybody is moved, look for event 30024 of LS User Replicator in the event log of each new front "
            "end server."
        ),
    ),
    _manual(
        sentence("A message from the legacy side reaches the new side"),
        _BETWEEN,
        sentence("Let a legacy user write to a moved user, who answers."),
    ),
    _manual(
        sentence("A message from the new side reaches the legacy side"),
        _BETWEEN,
        sentence("Let a moved user write to a legacy user, who answers."),
    ),
    _manual(
        sentence("A call from the legacy side reaches the new side"),
        _BETWEEN,
        sentence("Let a legacy user call a moved user, with sound and picture both ways."),
    ),
    _manual(
        sentence("A call from the new side reaches the legacy side"),
        _BETWEEN,
        sentence("Let a moved user call a legacy user, with sound and picture both ways."),
    ),
    _manual(
        sentence("A legacy user joins a meeting of the new side"),
        _BETWEEN,
        sentence("Let a legacy user join by the link in the invitation of a moved user."),
    ),
    _manual(
        sentence("A moved user joins a meeting of the legacy side"),
        _BETWEEN,
        sentence("Let a moved user join by the link in the invitation of a legacy user."),
    ),
    _manual(
        sentence("A meeting of a moved user can be dialed into"),
        Scope.NEW,
        sentence("Call the number in the invitation of a moved user and enter the conference ID."),
    ),
    _RUNS,
    _manual(
        sentence("Federation works"),
        Scope.BOTH,
        sentence("Let a user of each side write to a federated partner, who answers."),
    ),
    _manual(
        sentence("Remote access works"),
        Scope.BOTH,
        sentence("Let a user of each side sign in from outside the network and join a meeting."),
    ),
)

BEFORE_EVERYONE: Sequence[Item] = (
    Item(
        sentence("The pilot period is over"),
        Scope.NEW,
        Kind.RUNS,
        sentence("All earlier waves have been accepted."),
        {"waves_accepted": True},
    ),
    _manual(
        sentence("Features and applications work"),
        Scope.NEW,
        sentence("Ask the pilot users, and try the applications that your organization depends on."),
    ),
    _manual(
        sentence("The conferencing policy is as it should be"),
        Scope.NEW,
        sentence("Compare the conferencing policies of the new side with those of the legacy side."),
    ),
    _manual(
        sentence("Anonymous people may join"),
        Scope.NEW,
        sentence("Join a meeting of a moved user from outside without an account."),
    ),
    _RUNS,
    _manual(
        sentence("The helpdesk is informed"),
        Scope.BOTH,
        sentence("Tell the helpdesk when who moves, what changes for them, and where the list of failures is."),
    ),
)

BEFORE_RETIREMENT: Sequence[Item] = tuple(
    _manual(name, Scope.LEGACY, do)
    for name, do in (
        (
            sentence("Dial-in access numbers lead to the new side"),
            sentence("Move or release every dial-in access number of the legacy pool."),
        ),
        (
            sentence("Call park has been moved"),
            sentence("Give the call park orbits to the new pool."),
        ),
        (
            sentence("Response groups have been moved"),
            sentence("Move all response groups and call each of them."),
        ),
        (
            sentence("The address book comes from the new side"),
            sentence("Move the address book configuration, and look somebody up with a client."),
        ),
        (
            sentence("The meeting join page is that of the new side"),
            sentence("Open the simple URL for meetings, and see that the new pool answers."),
        ),
        (
            sentence("Policies have been moved"),
            sentence("Take the legacy pool out of every policy, and give sites and users theirs on the new side."),
        ),
        (
            sentence("Trusted applications have been moved"),
            sentence("Move every trusted application pool, and try each application."),
        ),
        (
            sentence("Archiving and monitoring have been moved"),
            sentence("Let archiving and monitoring write to the new stores, and keep what the old ones hold."),
        ),
        (
            sentence("Common-area and analog phones have been moved"),
            sentence("Move all common-area phones and analog devices, and call one of each."),
        ),
        (
            sentence("Branch appliances have been moved"),
            sentence("Let every survivable branch appliance belong to the new pool."),
        ),
        (
            sentence("DNS SRV records and simple URLs lead to the new side"),
            sentence("Look all of them up from inside and from outside."),
        ),
        (
            sentence("The central management store has been moved"),
            sentence("Move the central management server to the new pool, and see that replication is up to date."),
        ),
    )
)
