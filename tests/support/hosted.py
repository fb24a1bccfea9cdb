"""Meetings whose service is known, for tests of what previews and lists say about it (R39, R40)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from migrations_app.models import MeetingResult
from migrations_app.runs.outcomes import Outcome, Outcomes
from migrations_app.targets import CURRENT, NO_SERVICE, Targets


def host(monkeypatch: pytest.MonkeyPatch, services: Mapping[str, str]) -> None:
    """Let previews find each of these meetings, by UID, in its service."""
    foreseen = Outcomes.foreseen

    def with_services(self: Outcomes, *args: Any) -> Iterator[Outcome]:
        for outcome in foreseen(self, *args):
            service = services.get(outcome.result.uid)
            if service:
                _place(outcome.result, service)
            yield outcome

    monkeypatch.setattr(Outcomes, "foreseen", with_services)


def _place(result: MeetingResult, service: str) -> None:
    target = Targets.of(result.run.targets).target_of(service)
    result.meeting_service = service
    result.join_url_before = result.join_url_after = f"https://{service.lower()}.example.org/{result.uid}"
    if target not in {None, CURRENT, NO_SERVICE, service}:
        result.join_url_after = "made when the run starts"
