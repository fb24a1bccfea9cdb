"""The cluster as the watchdog forks it: django-q's own, whose processes report to a descriptor and are asked by one."""

from __future__ import annotations

from importlib import import_module

from django.core.management import call_command

from migrations_app.cluster import systemd
from migrations_app.cluster.broker import answer
from migrations_app.cluster.signs import report_to
from migrations_app.monitoring import machines

for _module in ("django_q.cluster", "migrations_app.tasks"):
    import_module(_module)  # once, before anything is forked


def run(reports: int, questions: int) -> None:
    """Be the cluster's main process until the cluster is stopped."""
    systemd.forget()
    report_to(reports)
    answer(questions)
    machines.begin()
    call_command("qcluster")
