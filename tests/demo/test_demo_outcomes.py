"""Every invitation of the demo meets the fate that its builder meant for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import people
from migrations_app.demo.mailbox import labelled_invitations
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from tenants_app.models import ConferencingUser, Tenant
from tests.support.meetings import migrate


@pytest.mark.parametrize("half", [0, 1])
def test_every_invitation_meets_the_fate_that_was_meant(tenant: Tenant, make_user: object, half: int) -> None:
    everyone = people.users()
    now = datetime.now(UTC)
    wrong = []
    for person in everyone[half::8]:
        user: ConferencingUser = make_user(person.upn.partition("@")[0], language=person.language)  # type: ignore[operator]
        expected = {}
        for made in labelled_invitations(person, everyone, now, 2016):
            ((uid, body),) = split_objects(made.ics)
            EmbeddedMailbox(user).store([(uid, body)])
            expected[uid] = (made.kind, made.outcome)
        for result in migrate(user).results.all():
            kind, outcome = expected.pop(result.uid)
            if outcome != (result.code or "migrated"):
                wrong.append((person.upn, kind, outcome, result.code, result.detail))
        assert not expected
    assert wrong == []
