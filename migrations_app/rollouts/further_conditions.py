"""Conditions of retirement that rooms on higher floors ask, such as chat (R125): they register when the app is loaded.

It imports nothing that is slow, so that whoever registers may do it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrations_app.rollouts.retirement import Condition, Situation

_asked: dict[str, Callable[[Situation], Iterable[Condition]]] = {}


def register(name: str, ask: Callable[[Situation], Iterable[Condition]]) -> None:
    """Have ``ask`` asked after the conditions of R88, and once only however often it is registered."""
    _asked[name] = ask


def further(situation: Situation) -> Iterable[Condition]:
    """What those who registered answer."""
    for ask in _asked.values():
        yield from ask(situation)
