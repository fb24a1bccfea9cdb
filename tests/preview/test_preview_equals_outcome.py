"""Preview equals outcome, exactly: meeting by meeting, recipient by recipient, in generated organizations.

The suite takes a few; `make campaign-previews` takes 500, and the demo, and writes down what it saw.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.organizations import Organization, organizations, settle
from tests.support.taken_back import taken_back

EXAMPLES = int(os.environ.get("MMS_PREVIEW_EXAMPLES", "6"))
RESULTS = os.environ.get("MMS_PREVIEW_RESULTS", "")


def written_down(**row: object) -> None:
    if RESULTS:
        with Path(RESULTS).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row)}\n")


@pytest.mark.django_db
@given(organizations)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not RESULTS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_what_was_foreseen_is_what_happens(organization: Organization) -> None:
    with taken_back():
        settle(organization)
    written_down(deed=organization.deed[0], users=len(organization.people), **organization.counted)
