"""The list of meetings that need a person: who is on it, filters, the file, and what an operator does."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.demo import invitations as demo
from migrations_app.models import LeftMeeting, NumberRelease, Run, ShownMeeting, Update
from migrations_app.procedures.number_release import start_release
from migrations_app.tasks import work_queue
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, ConferencingUser, InvitedNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate_all
from tests.support.pages import words

Users = dict[str, ConferencingUser]


@pytest.fixture
def people(make_users: Callable[..., list[ConferencingUser]]) -> Users:
    """Anna with two meetings that a run left, Bruno with one of another reason, Clara with none."""
    anna, bruno, clara = make_users({"anna.rossi": {}, "bruno.costa": {"language": "es"}, "clara.sanz": {}})
    for number in range(2):
        invite(anna, number, build=demo.damaged_frame)
    invite(bruno, 2, build=demo.pasted_block)
    for number, user in enumerate((anna, bruno, clara), 3):
        invite(user, number)
    migrate_all([anna, bruno, clara])
    return {"anna": anna, "bruno": bruno, "clara": clara}


def listed(client: Client, **query: Any) -> list[str]:
    """Organizers of the meetings that the page shows, by start."""
    answer = client.get(f"/contoso/left/?{urlencode(query)}")
    assert answer.status_code == 200
    return [row.record.user.upn.partition(".")[0] for row in answer.context["table"].paginated_rows]


def post(client: Client, what: str, *rows: LeftMeeting, **form: Any) -> str:
    """The page that one sees after it."""
    answer = client.post(f"/contoso/left/{what}/", {"meeting": [row.pk for row in rows], **form}, follow=True)
    assert answer.status_code == 200
    return words(answer.content)


def test_it_stands_beside_the_states_and_wherever_a_run_or_user_is_shown(people: Users, vera: Client) -> None:
    run = Run.objects.get(user=people["anna"])
    dashboard = vera.get("/contoso/")
    assert dashboard.context["left_count"] == 3
    assert 'href="/contoso/left/?state=Open"' in dashboard.content.decode()
    for address in ("users/", "migrations/", f"migrations/{run}/", "users/anna.rossi@contoso.com/"):
        page = words(vera.get(f"/contoso/{address}").content)
        assert "Succeeded, 2 left for you" in page, address
        assert "Succeeded, 0 left" not in page
    assert "2 meetings need a person" in words(vera.get(f"/contoso/migrations/{run}/").content)
    assert "left for you" not in words(vera.get("/contoso/users/clara.sanz@contoso.com/").content)
    found = vera.get(f"/contoso/migrations/{run}/?outcome=Left")
    assert {row.record.code for row in found.context["table"].rows} == {"needs-review"}
    assert words(vera.get("/contoso/left/").content).count("Open the meeting in the organizer's calendar") == 2
    assert "Assign to the organizer" not in vera.get("/contoso/left/").content.decode()

    def users(left: str) -> list[str]:
        rows = vera.get(f"/contoso/users/?left={left}").context["table"].rows
        return sorted(row.record.upn.partition(".")[0] for row in rows)

    assert (users("yes"), users("no")) == (["anna", "bruno"], ["clara"])
    LeftMeeting.objects.update(state="DealtWith")
    assert users("yes") == []
    assert vera.get("/contoso/").context["left_count"] == 0
    assert "left for you" not in words(vera.get("/contoso/users/?q=anna").content)


def test_it_is_filtered_and_exported_as_it_is_shown(people: Users, vera: Client) -> None:
    first, second, third = LeftMeeting.objects.order_by("starts_at", "pk")
    assert len(listed(vera)) == 3
    assert listed(vera, user="BRUNO") == ["bruno"]
    assert len(listed(vera, user=first.subject)) >= 1
    LeftMeeting.objects.filter(pk=second.pk).update(subject="Revisión")
    assert len(listed(vera, user="REVISION")) == 1
    assert listed(vera, reason="pasted-block") == ["bruno"]
    assert len(listed(vera, reason="needs-review")) == 2
    assert listed(vera, starts_from=f"{third.starts_at + timedelta(days=1):%Y-%m-%d}") == []
    assert len(listed(vera, starts_to=f"{third.starts_at:%Y-%m-%d}")) == 3
    LeftMeeting.objects.filter(pk=first.pk).update(
        state="DealtWith", note="=1+1", by="bob", at=timezone.now(), subject="=cmd"
    )
    LeftMeeting.objects.filter(pk=second.pk).update(state="Assigned", by="bob", at=timezone.now())
    assert [len(listed(vera, state=state)) for state in ("Open", "Assigned", "DealtWith", "undone")] == [1, 1, 1, 2]
    assert "choose one of the list" in words(vera.get("/contoso/left/?reason=nonsense").content)
    assert listed(vera, user="nobody at all") == []

    answer = vera.get("/contoso/left/export.csv?state=DealtWith")
    (row,) = csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))
    assert answer["Content-Disposition"].startswith('attachment; filename="meetings-that-need-a-person-contoso-')
    assert (row["Subject"], row["Note"], row["State"], row["By"]) == ("'=cmd", "'=1+1", "DealtWith", "bob")
    assert (row["UserPrincipalName"], row["Reason"]) == (first.user.upn, first.code)
    assert row["CorrelationId"] == str(first.run)
    everything = vera.get("/contoso/left/export.csv").getvalue().decode("utf-8-sig")
    assert len(list(csv.DictReader(io.StringIO(everything)))) == 3


def test_several_are_dealt_with_assigned_and_opened_again_at_once(people: Users, bob: Client) -> None:
    one, two, three = LeftMeeting.objects.order_by("user__upn", "pk")
    of_three = f"/contoso/left/{three.pk}/"
    assert "The organizer is mailed in Spanish." in words(bob.get(of_three).content)
    ends = "An undo holds the organizer's invitations, so “Look again” starts nothing"
    assert ends not in words(bob.get(of_three).content)
    ConferencingUser.objects.filter(pk=three.user_id).update(undo_holds=True)
    assert ends in words(bob.get(of_three).content)
    assert "2 meetings marked as dealt with." in post(bob, "deal-with", one, two, note=" Told  her ")
    one.refresh_from_db()
    assert (one.state, one.note, one.by) == ("DealtWith", "Told her", "bob")
    assert "by bob" in words(bob.get(f"/contoso/left/{one.pk}/").content)
    assert "nothing was done" in post(bob, "deal-with", one, two)
    assert "1 meeting assigned: its organizer gets a mail." in post(bob, "assign", one, three)
    assert Update.objects.filter(result__outcome="Skipped").count() == 1
    assert "3 meetings open again." in post(bob, "open-again", one, two, three)
    all_of_page = re.search(r'id="all-left"\s+value="([0-9.]+)"', bob.get("/contoso/left/").content.decode())
    assert all_of_page
    assert "3 meetings marked as dealt with." in post(bob, "deal-with", meeting=all_of_page[1])
    assert "3 meetings open again." in post(bob, "open-again", meeting=all_of_page[1])
    assert "No meeting was chosen" in post(bob, "assign")
    assert "No meeting was chosen" in post(bob, "deal-with", meeting=["x", "9" * 30, "-1"])
    back = bob.post("/contoso/left/deal-with/", {"meeting": one.pk, "back": "/contoso/left/?reason=needs-review"})
    assert back.url == "/contoso/left/?reason=needs-review"
    for elsewhere in ("https://evil.example.org/contoso/left/", "/contoso/settings/", "//contoso/left/"):
        answer = bob.post("/contoso/left/deal-with/", {"meeting": one.pk, "back": elsewhere})
        assert answer.url == "/contoso/left/"


def test_looking_again_starts_a_run_and_what_is_in_order_leaves_the_list(people: Users, bob: Client) -> None:
    rows = list(LeftMeeting.objects.filter(user=people["anna"]).order_by("pk"))
    other, body = invite(people["anna"], 9)
    people["anna"].calendar_objects.filter(uid__in=[other, rows[0].uid]).delete()
    people["anna"].calendar_objects.create(
        uid=rows[0].uid,
        body=body.replace(other.encode(), rows[0].uid.encode()),
        etag="new",
        organizer=people["anna"].upn,
        starts_at=rows[0].starts_at,
        last_end=rows[0].last_end,
    )
    earlier = AuditEntry.objects.count()
    told = post(bob, "look-again", *rows)
    assert "anna.rossi@contoso.com" in told
    assert Run.objects.filter(state="Pending").get().user == people["anna"]
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")[earlier:]] == ["start migration"]
    work_queue()
    assert set(LeftMeeting.objects.filter(user=people["anna"])) == {rows[1]}

    ConferencingUser.objects.filter(pk=people["anna"].pk).update(undo_holds=True)
    assert "No run, because an undo holds" in post(bob, "look-again", rows[1])
    assert ConferencingUser.objects.get(pk=people["anna"].pk).undo_holds
    assert not Run.objects.filter(state="Pending").exists()
    ConferencingUser.objects.update(undo_holds=False)

    change_tenant(people["anna"].tenant, ACTOR, meeting_migration_enabled=False)
    assert "switched off" in post(bob, "look-again", rows[1])
    assert "nothing was done" in post(bob, "look-again", rows[0])


def test_r35_the_number_procedure_shows_of_them_those_that_hold_the_number(people: Users, alice: Client) -> None:
    anna = people["anna"]
    assert anna.bridge
    spare = register_number(anna.bridge, "+14255550122", "toll", ACTOR)
    release = start_release(spare, anna.bridge.numbers.get(is_default=True), ACTOR)
    NumberRelease.objects.update(state=NumberRelease.State.UPDATING, searched_at=timezone.now())
    InvitedNumber.objects.create(user=anna, number=spare)
    held, other = LeftMeeting.objects.filter(user=anna).order_by("pk")
    ShownMeeting.objects.create(release=release, user=anna, uid=held.uid, last_end=held.last_end, places=[])

    answer = alice.get(f"/contoso/releases/{release.pk}/")
    assert f'href="/contoso/left/{held.pk}/"' in answer.content.decode()
    assert f"/contoso/left/{other.pk}/" not in answer.content.decode()
    assert "1 meeting: The block is damaged" in words(answer.content)
    assert "2 meetings: The block is damaged" not in words(answer.content)


def test_another_tenants_meetings_are_not_there(people: Users, cast: None, tenant: Tenant, alice: Client) -> None:
    fabrikam = Tenant.objects.get(slug="fabrikam")
    user = ConferencingUser.objects.create(tenant=fabrikam, upn="frank.moor@fabrikam.com")
    theirs = LeftMeeting.objects.create(
        tenant=fabrikam, user=user, uid="a", subject="Harbour", code="needs-review", last_end=timezone.now()
    )
    LeftMeeting.objects.filter(pk=theirs.pk).update(last_end=timezone.now() + timedelta(days=1))
    assert "Harbour" not in alice.get("/contoso/left/").content.decode()
    assert "Harbour" not in alice.get("/contoso/left/export.csv").getvalue().decode()
    assert alice.get("/contoso/").context["left_count"] == 3
    assert alice.get(f"/contoso/left/{theirs.pk}/").status_code == 404
    for what in ("deal-with", "assign", "open-again", "look-again"):
        assert "nothing was done" in post(alice, what, theirs)
    theirs.refresh_from_db()
    assert theirs.state == "Open"
    assert not Run.objects.filter(tenant=fabrikam).exists()


def test_it_asks_as_many_questions_for_many_rows_as_for_few(people: Users, alice: Client) -> None:
    anna = people["anna"]
    addresses = (
        "/contoso/",
        "/contoso/left/",
        "/contoso/users/?left=yes",
        "/contoso/migrations/",
        "/contoso/left/export.csv",
    )

    def count() -> list[int]:
        counts = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                alice.get(address).getvalue()
            counts.append(len(queries))
        return counts

    count()
    few = count()
    LeftMeeting.objects.bulk_create(
        LeftMeeting(
            tenant=anna.tenant,
            user=anna,
            uid=f"more-{number}",
            code="needs-review",
            last_end=timezone.now() + timedelta(days=9),
            run=Run.objects.first(),
            state=("Open", "Assigned", "DealtWith")[number % 3],
            at=timezone.now(),
        )
        for number in range(60)
    )
    assert count() == few
    with CaptureQueriesContext(connection) as queries:
        alice.get("/contoso/")
    (counted,) = [query["sql"] for query in queries if "leftmeeting" in query["sql"].lower()]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {counted}")
            assert "USING COVERING INDEX left_meetings_by_state" in str(cursor.fetchall())
