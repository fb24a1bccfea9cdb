"""The cluster as the watchdog starts it: django-q's own, whose processes report to the descriptor in the argument."""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    from migrations_app.cluster.signs import report_to

    report_to(int(sys.argv[1]))
    call_command("qcluster")
