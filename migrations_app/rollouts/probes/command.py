"""``command``: runs a program that the operator has installed, by the convention of the monitoring plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrations_app.rollouts.probes.answers import Finding, Outcome, Stopped
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.parameters import Lines, Parameter, Unusable, read
from migrations_app.rollouts.programs import NotRunnable, filled, is_name, run, said_by, unknown_placeholders
from tenants_app.sentences import sentence

_OUTCOMES = {0: Outcome.PASSED, 1: Outcome.FAILED, 2: Outcome.FAILED}
"""By exit status; what is not here is inconclusive."""


class Program(Parameter):
    """The bare name of a program."""

    def read(self, value: object) -> str:
        name = str(Parameter.read(self, value))
        if name and not is_name(name):
            raise ValueError(sentence("Give the bare name of a program in MMS_CHECK_COMMANDS, without a path."))
        return name


PARAMETERS = (
    Program(
        "program",
        sentence("Program"),
        sentence("The name of a program that the operator of MMS has put into MMS_CHECK_COMMANDS."),
        is_required=True,
        most=100,
    ),
    Lines(
        "arguments",
        sentence("Arguments"),
        sentence("One a line; no shell reads them. {deployment}, {host} and {upn} stand for what is being checked."),
        most=1000,
    ),
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    program: str
    arguments: tuple[str, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """None: whom a program reaches is decided on the machine."""
        return ()


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    parameters = read(Parameters, PARAMETERS, values)
    unknown = unknown_placeholders(parameters.arguments)
    if unknown:
        raise Unusable(
            {
                "arguments": sentence(
                    "There is no placeholder {%(name)s}: use {deployment}, {host} or {upn}.", name=unknown[0]
                )
            }
        )
    return parameters


def probe(parameters: Parameters, bounds: Bounds, clock: Clock) -> Finding:
    """0 passes, 1 and 2 fail, everything else is inconclusive."""
    try:
        arguments = filled(parameters.arguments, bounds.placeholders)
        ended = run(bounds.programs, parameters.program, arguments, clock.left(), bounds.secrets)
    except NotRunnable as error:
        raise Stopped(Finding(Outcome.INCONCLUSIVE, error.why)) from None
    outcome = Outcome.INCONCLUSIVE if ended.status is None else _OUTCOMES.get(ended.status, Outcome.INCONCLUSIVE)
    return Finding(outcome, said_by(parameters.program, ended), ended.output)
