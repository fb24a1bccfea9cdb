"""What runs had left before there was a list is on it after the upgrade."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from migrations_app.models import LeftMeeting, Run
from tests.support.scratch_database import ScratchDatabase

BEFORE = [("tenants_app", "0012_where_servers_are_found"), ("migrations_app", "0012_whose_messages")]


def test_what_the_latest_runs_left_and_messages_given_up_are_listed(database: ScratchDatabase) -> None:
    apps = database.migrate(BEFORE)
    now = timezone.now()

    def make(label: str, /, **values: Any) -> Any:
        return apps.get_model(label).objects.using(database.alias).create(**values)

    tenant = make("tenants_app.Tenant", slug="contoso", name="Contoso", domain="contoso.com")
    user, other = (
        make("tenants_app.ConferencingUser", tenant=tenant, upn=f"{name}@contoso.com") for name in ("anna", "bruno")
    )

    def run(of: Any, state: str, found: dict[str, tuple[str, str]], **values: Any) -> None:
        skipped = sum(outcome == "Skipped" for outcome, _ in found.values())
        failed = sum(outcome == "Failed" for outcome, _ in found.values())
        counts = {"skipped_meetings": skipped, "failed_meetings": failed}
        counts["succeeded_meetings"] = len(found) - skipped - failed
        made = make("migrations_app.Run", tenant=tenant, user=of, state=state, due_at=now, **counts, **values)
        for uid, (outcome, code) in found.items():
            sequence = 1 if outcome == "Succeeded" else None
            told = code if outcome == "Succeeded" else ""
            result = make(
                "migrations_app.MeetingResult",
                run=made,
                uid=uid,
                outcome=outcome,
                code="" if told else code,
                sequence=sequence,
                attendee_count=3,
            )
            if told:
                make(
                    "migrations_app.Update",
                    result=result,
                    tenant=tenant,
                    recipient_count=2,
                    state="Failed",
                    error_code=told,
                )

    run(
        user,
        "Succeeded",
        {
            "put right since": ("Skipped", "needs-review"),
            "told anew": ("Succeeded", "mail-refused"),
            "untold": ("Succeeded", "mail-refused"),
        },
        is_latest=False,
    )
    run(
        user,
        "Failed",
        {
            "put right since": ("Succeeded", ""),
            "told anew": ("Succeeded", ""),
            "untold": ("Skipped", "already-current"),
            "pasted": ("Skipped", "pasted-block"),
            "broken": ("Failed", "unreadable-calendar-object"),
            "over": ("Skipped", "needs-review"),
            "gone": ("Skipped", "needs-review"),
        },
        is_latest=False,
    )
    run(user, "Failed", {}, last_error_code="mailbox-unavailable")
    run(other, "Succeeded", {"outside": ("Skipped", "too-many-attendees")}, is_latest=False)
    run(other, "Pending", {})
    for uid in ("put right since", "told anew", "untold", "pasted", "broken", "over"):
        ends = now + timedelta(days=-1 if uid == "over" else 1)
        make("migrations_app.CalendarObject", user=user, uid=uid, body=b"", last_end=ends, etag="tag")
    make(
        "migrations_app.IndexedMeeting",
        user=other,
        uid="outside",
        calendar="/",
        href="/a",
        etag='"1"',
        last_end=now + timedelta(days=1),
    )
    database.migrate()

    rows = LeftMeeting.objects.using(database.alias).order_by("uid")
    assert list(rows.values_list("user__upn", "uid", "code", "etag", "state", "attendee_count")) == [
        ("anna@contoso.com", "broken", "unreadable-calendar-object", "tag", "Open", 3),
        ("bruno@contoso.com", "outside", "too-many-attendees", '"1"', "Open", 3),
        ("anna@contoso.com", "pasted", "pasted-block", "tag", "Open", 3),
        ("anna@contoso.com", "untold", "mail-refused", "tag", "Open", 3),
    ]
    assert [row.message is not None for row in rows] == [False, False, False, True]
    runs = Run.objects.using(database.alias).order_by("pk")
    assert list(runs.values_list("left_meetings", flat=True)) == [0, 4, 0, 1, 0]
