"""The kinds of checks and their parameters: what is measured, what MMS asks itself, what people answer (R71)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrations_app.models import Rollout, RolloutCheck
from migrations_app.rollouts import own_checks
from migrations_app.rollouts.probes.kinds import KINDS
from migrations_app.rollouts.probes.parameters import Parameter, Unusable, as_json, host_name
from tenants_app.models import Deployment
from tenants_app.sentences import Sentence, sentence

Kind, Scope = RolloutCheck.Kind, RolloutCheck.Scope


def parameters_of(kind: str) -> Sequence[Parameter]:
    """What is asked of a check of this kind, in order; nothing of one that people answer."""
    if kind == Kind.MANUAL:
        return ()
    return own_checks.PARAMETERS if kind == Kind.RUNS else KINDS[kind].parameters


def what_it_does(kind: str) -> Sequence[Sentence]:
    """What a check of this kind does, and when it passes."""
    if kind == Kind.MANUAL:
        return (
            sentence("Asks a person, who answers yes, no or not applicable."),
            sentence("Answered yes, or not applicable."),
        )
    if kind == Kind.RUNS:
        return (sentence("Asks MMS itself."), sentence("Nothing was found that is in the way."))
    return (KINDS[kind].does, KINDS[kind].passes)


def deployments_of(rollout: Rollout, scope: str) -> list[Deployment]:
    """The deployments that a check of this scope is about, the new one first where it is about both."""
    return {Scope.LEGACY: [rollout.legacy], Scope.NEW: [rollout.new]}.get(Scope(scope), [rollout.new, rollout.legacy])


def hosts_of(rollout: Rollout, scope: str) -> list[str]:
    """The hosts that a check of this scope may address (R60), in alphabetical order."""
    return sorted({host for each in deployments_of(rollout, scope) for host in each.hosts_in_reach})


def checked(kind: str, values: Mapping[str, Any], rollout: Rollout, scope: str) -> dict[str, Any]:
    """The parameters as they are kept. Raises ``Unusable``, also for a host that no deployment of the scope lists."""
    if kind == Kind.MANUAL:
        return {}
    parsed = own_checks.parse(values) if kind == Kind.RUNS else KINDS[kind].parse(values)
    listed = {host_name(host) for host in hosts_of(rollout, scope)}
    strange = [host for host in parsed.hosts if host not in listed]
    if strange:
        raise Unusable({_field_of(kind, strange[0], parsed): _not_listed(strange[0], rollout, scope)})
    return as_json(parsed)


def _field_of(kind: str, host: str, parsed: Any) -> str:
    """The parameter that names the host, or of which it is a part."""
    named = [each.name for each in parameters_of(kind) if host in str(getattr(parsed, each.name, ""))]
    return next(iter(named), parameters_of(kind)[0].name)


def _not_listed(host: str, rollout: Rollout, scope: str) -> Sentence:
    return sentence(
        "%(host)s is not among the hosts that checks may address: choose one of %(deployments)s, or add it there.",
        host=host,
        deployments=" / ".join(each.name for each in deployments_of(rollout, scope)),
    )
