"""Preview equals outcome, exactly: meeting by meeting, recipient by recipient, in generated organizations.

The suite takes a few; `make campaign-previews` takes 500, and the demo, and writes down what it saw.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, given, seed, settings

from migrations_app.preview.foretold import foretell_all
from migrations_app.preview.plans import Starts, planned_now
from migrations_app.runs.actions import start_by_hand
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.only_reads import only_reads
from tests.support.organizations import Organization, organizations, settle, work_and_compare
from tests.support.taken_back import taken_back

EXAMPLES = int(os.environ.get("MMS_PREVIEW_EXAMPLES", "8"))
SEED = int(os.environ.get("MMS_PREVIEW_SEED", "1"))
RESULTS = os.environ.get("MMS_PREVIEW_RESULTS", "")


def written_down(**row: object) -> None:
    if RESULTS:
        with Path(RESULTS).open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps({'seed': SEED, 'count': EXAMPLES} | row)}\n")


@pytest.mark.django_db
@given(organizations)
@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    database=None,
    derandomize=False,
    deadline=None,
    phases=[Phase.generate],  # an organization's number is no smaller by being less
    suppress_health_check=list(HealthCheck),
)
def test_what_was_foreseen_is_what_happens(organization: Organization) -> None:
    with taken_back():
        settle(organization)
    written_down(deed=organization.deed[0], users=len(organization.people), **organization.counted)


@pytest.mark.django_db
@pytest.mark.skipif(not RESULTS, reason="the demo is large: `make campaign-previews` takes it")
def test_what_was_foreseen_of_the_demo_is_what_happens() -> None:
    call_command("load_demo", stdout=io.StringIO())
    tenant = Tenant.objects.get(slug="contoso")
    users = ConferencingUser.objects.filter(tenant=tenant).order_by("pk")
    with only_reads():
        foretold, totals = foretell_all(planned_now(Starts.of(tenant, users=[user.pk for user in users])))
    start_by_hand(tenant, users, ACTOR, now_due=True)
    work_and_compare(foretold)
    written_down(deed="demo", users=totals.users, meetings=totals.meetings, updated=totals.updated)
