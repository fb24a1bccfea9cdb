"""How commands print what was found of a mail server or in DNS."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from django.core.management.base import OutputWrapper

from migrations_app.mail.findings import Finding
from tenants_app.management.listing import printable


def tell(findings: Iterable[Finding], stdout: OutputWrapper) -> None:
    """One line for each as it is found; exit status 1 where one is bad."""
    works = True
    for finding in findings:
        works = works and not finding.is_bad
        stdout.write(printable(f"{finding.tone.value:<6}  {finding.about}: {finding.sentence}"))
        stdout.flush()
    if not works:
        sys.exit(1)
