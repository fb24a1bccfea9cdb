"""`make bench ARGS=queue`: what the statements cost that every worker asks again and again, with 10 and 1,000,000 runs.

Two fillings: a long history with some runs that wait, and a million runs that are all due. Each figure stands beside
the same with 10 runs; 1.0 would be a cost that does not grow. The plan of each statement is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FEW, MANY = 10, 1_000_000
TENANTS = 20
TURNS = 5


def main() -> None:
    """Fill, measure, print."""
    from django.db import connection

    from tests.bench.__main__ import show
    from tests.support.many_runs import fill_history, fill_pending

    show(f"The queue with {FEW:,} and with {MANY:,} runs of {TENANTS} tenants, {connection.vendor}: milliseconds")
    for name, fill in (("a history, and some due", fill_history), ("all of them due", fill_pending)):
        with _filled(fill, FEW):
            few = {what: _fastest(work) for what, work in _works().items()}
        with _filled(fill, MANY):
            many = {what: _fastest(work) for what, work in _works().items()}
            show(f"\n{name}\n{'':28}{FEW:>10,}{MANY:>12,}{'times':>8}")
            for what, seconds in many.items():
                show(f"  {what:26}{few[what] * 1e3:>10.2f}{seconds * 1e3:>12.2f}{seconds / few[what]:>8.1f}")
            for what, work in _works().items():
                show(f"\n{what}")
                for plan in plans_of(work):
                    show(plan)


@contextmanager
def _filled(fill: Callable[[int, int], None], runs: int) -> Iterator[None]:
    from tests.support.many_runs import empty

    empty()
    fill(runs, TENANTS)
    yield
    empty()


def _works() -> dict[str, Callable[[], object]]:
    from django.utils import timezone

    from migrations_app.mail import delivery, outbox
    from migrations_app.monitoring import health, samples
    from migrations_app.runs import queue

    return {
        "claim": _taken_back(queue.claim),
        "claim and finish": _taken_back(_claim_and_finish),
        "sweep": queue.sweep,
        "is_due": queue.is_due,
        "claim of the outbox": _taken_back(outbox.claim),
        "sweep of the outbox": outbox.sweep,
        "is_due of the outbox": delivery.is_due,
        "queue_state": health.queue_state,
        "workers": health.workers,
        "clocks": health.clocks,
        "a minute's sample": lambda: samples._minute(timezone.now(), timezone.now()),
    }


def _claim_and_finish() -> None:
    from migrations_app.runs import queue

    run = queue.claim()
    assert run
    queue.succeed(run)


def _taken_back(work: Callable[[], object]) -> Callable[[], object]:
    """The same, of which nothing stays."""

    def work_and_take_back() -> None:
        from django.db import transaction

        with transaction.atomic():
            work()
            transaction.set_rollback(True)

    return work_and_take_back


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some turns: what else the machine does only ever adds to them."""
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def plans_of(work: Callable[[], object]) -> list[str]:
    """The plan of each statement that reads runs or messages, or changes them."""
    from tests.support.plans import explained

    return [f"  {line}" for plan in explained(work) for line in plan.splitlines()]
