"""The monitoring-plugins convention: one line with performance data, and an exit status that is the answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any, NoReturn

from django.core.management.base import CommandError, CommandParser

from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import grouped


class Status(IntEnum):
    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(slots=True)
class Answer:
    """What a check found: problems, the worst of which decides, and performance data by label."""

    status: Status = Status.OK
    problems: list[str] = field(default_factory=list)
    data: Mapping[str, str] = field(default_factory=dict)
    when_ok: str = ""

    def add(self, status: Status, problem: str) -> None:
        self.status = max(self.status, status)
        self.problems.append(problem)


class MonitoringCommand(AdministratorCommand):
    """A check for cron and monitoring. Whatever keeps it from answering, wrong usage included, is UNKNOWN."""

    acts_on_a_tenant = False
    requires_system_checks: list[str] = []

    def refuse_usage(self, parser: CommandParser, subcommand: str, sentence: str) -> NoReturn:
        self._unknown(sentence)

    def answer(self, options: dict[str, Any]) -> Answer:
        """What the check finds; raises ``CommandError`` where it cannot tell."""
        raise NotImplementedError

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            self._unknown(str(error))

    def handle(self, *args: Any, **options: Any) -> None:
        found = self.answer(options)
        text = "; ".join(found.problems) or found.when_ok
        data = " ".join(f"{label}={value}" for label, value in found.data.items())
        self.stdout.write(f"MMS {found.status.name} - {text} | {data}")
        self.stdout.flush()
        sys.exit(found.status)

    def _unknown(self, message: str) -> NoReturn:
        self.stdout.write(f"MMS {Status.UNKNOWN.name} - {' '.join(message.split()).replace('|', '/')}")
        sys.exit(Status.UNKNOWN)


def age(length: timedelta) -> str:
    """A length of time in its largest useful unit."""
    seconds = int(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{grouped(seconds // 60)} min" if seconds < 7_200 else f"{grouped(seconds // 3_600)} h"
