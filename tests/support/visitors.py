"""Who visits the screens: alice administers Contoso, bob operates it, vera reads it; charlie must see nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from migrations_app.models import MeetingResult, Run, Update
from migrations_app.rewriting.spans import Span, pack
from tenants_app.changes.tenants import create_tenant, grant_role
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.remembered import Remembered

SPANS = pack(
    [
        Span(
            "",
            "DESCRIPTION",
            "Join Skype Meeting\\nToll number: +1 425-555-0100\\, Redmond",
            "Join online meeting\\nToll number: +44 20 7946 0123",
        ),
        Span(
            "20261224T090000Z",
            "X-ALT-DESC",
            '<p><a href="https://meet.old.example.org/x">Join</a><script>steal()</script></p>',
            "<p>Join &lt;here&gt;</p>",
        ),
    ]
)


def sign_in(name: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=name), "mms_site.accounts.backends.AccountBackend")
    return client


def signed_in(name: str, remembered: Remembered) -> Client:
    """The same, with the session that the first one of this process was given."""
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.db":
        return remembered.beside(lambda: sign_in(name))
    client = Client()
    client.cookies.load(dict(remembered.make(f"{name} signs in", lambda: _cookies_of(name))))
    return client


def _cookies_of(name: str) -> list[tuple[str, str]]:
    return [(of, cookie.value) for of, cookie in sign_in(name).cookies.items()]


@pytest.fixture
def cast(tenant: Tenant, remembered: Remembered) -> None:
    def make() -> None:
        fabrikam = create_tenant(
            ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
        )
        for name, where, role in (
            ("alice", tenant, "admin"),
            ("bob", tenant, "operator"),
            ("vera", tenant, "viewer"),
            ("charlie", fabrikam, "admin"),
        ):
            grant_role(where, User.objects.create_user(name, f"{name}@example.org", "a long pass phrase"), role, ACTOR)

    remembered.make("cast", make)


@pytest.fixture
def alice(cast: None, remembered: Remembered) -> Client:
    return signed_in("alice", remembered)


@pytest.fixture
def bob(cast: None, remembered: Remembered) -> Client:
    return signed_in("bob", remembered)


@pytest.fixture
def vera(cast: None, remembered: Remembered) -> Client:
    return signed_in("vera", remembered)


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Makes a run that ended, or one of another state; ``meetings`` are (subject, outcome, code)."""

    def make(
        user: ConferencingUser,
        state: str = "Succeeded",
        meetings: list[tuple[str, str, str]] | None = None,
        **values: Any,
    ) -> Run:
        now = timezone.now()
        meetings = meetings or []
        outcomes = [outcome for _, outcome, _ in meetings]
        in_progress = {"lease_token": user.user_id, "lease_until": now + timedelta(minutes=1)}
        Run.objects.filter(user=user).update(is_latest=False)
        run = Run.objects.create(
            **{
                "tenant": user.tenant,
                "user": user,
                "state": state,
                "reasons": [{"rule": "R5", "sentence": "The user moved to the bridge New bridge."}],
                "requested_by": "alice",
                "due_at": now,
                "started_at": None if state == "Pending" else now,
                "finished_at": now + timedelta(seconds=83) if state in {"Failed", "Succeeded"} else None,
                "total_meetings": len(meetings),
                "succeeded_meetings": outcomes.count("Succeeded"),
                "skipped_meetings": outcomes.count("Skipped"),
                "failed_meetings": outcomes.count("Failed"),
                **(in_progress if state == "InProgress" else {}),
                **values,
            }
        )
        for number, (subject, outcome, code) in enumerate(meetings):
            result = MeetingResult.objects.create(
                run=run,
                uid=f"meeting-{number}",
                subject=subject,
                starts_at=now,
                attendee_count=4,
                outcome=outcome,
                code=code,
                spans=SPANS if outcome == "Succeeded" else None,
            )
            if outcome == "Succeeded":
                Update.objects.create(
                    result=result, tenant=user.tenant, recipient_count=3, state=Update.State.SENT, sent_at=now
                )
        return run

    return make
