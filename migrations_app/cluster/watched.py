"""The cluster as the watchdog starts it: django-q's own, whose processes report to the descriptor in the argument."""

from __future__ import annotations

import sys
from importlib import import_module

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    from migrations_app.cluster.signs import report_to

    import_module("migrations_app.tasks")  # once, before the workers are forked
    report_to(int(sys.argv[1]))
    call_command("qcluster")
