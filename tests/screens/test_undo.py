"""The pages of undo (section 5): what it would do, choosing, one confirmation, and the way from run to run."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Preview, Run, Update
from migrations_app.procedures import previews
from migrations_app.screens import undoing
from migrations_app.tasks import work_queue
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import body_of, invite, migrate
from tests.support.pages import words

pytestmark = pytest.mark.django_db(transaction=True)


def offered(page: str) -> list[str]:
    return re.findall(r'name="meeting" value="(\d+)" checked', page)


def test_from_the_button_of_a_run_to_the_run_of_its_undo_and_back(
    bob: Client, vera: Client, anna: ConferencingUser, new_bridge: Bridge, outbox: Any
) -> None:
    before = dict(invite(anna, number) for number in range(3))
    stays, changed, back = before
    run = migrate(anna)
    EmbeddedMailbox(anna).store([(changed, body_of(anna, changed).replace(b"\r\nSUMMARY", b"\r\nURL:x:y\r\nSUMMARY"))])
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False)
    of_run = f"/contoso/migrations/{run.correlation_id}/"
    assert "undo-run" not in vera.get(of_run).content.decode()
    assert f'href="{of_run}undo/"' in bob.get(of_run).content.decode()

    preview = bob.get(f"{of_run}undo/")
    page = preview.content.decode()
    assert len(offered(page)) == 2
    assert "The meeting was changed after the run" in words(preview.content)
    assert "The service is off for Contoso. An undo that you start here is done all the same." in words(preview.content)
    keys = dict(run.results.values_list("uid", "pk"))
    compared = bob.get(f"{of_run}undo/{keys[back]}/", headers={"HX-Request": "true"})
    assert 'class="compare"' in compared.content.decode()
    assert "Join link after the undo" in words(compared.content)
    told = {person for person in re.findall(rb"[\w.]+@[\w.]+", before[back]) if person != anna.upn.encode()}
    assert any(person in compared.content for person in told), "who is told stands there"

    fields = {"offered": offered(page), "now": "on"}
    nothing = bob.post(f"{of_run}undo/", fields, follow=True)
    assert "No meeting is chosen" in words(nothing.content)
    answer = bob.post(f"{of_run}undo/", fields | {"meeting": [str(keys[back])]})
    undone = Run.objects.get(undoes=run)
    assert answer.url == f"/contoso/migrations/{undone.correlation_id}/"  # type: ignore[attr-defined]
    work_queue()
    codes = dict(undone.results.values_list("uid", "code"))
    assert codes == {back: "", changed: "changed-since"}
    assert sorted(without_stamps(body_of(anna, back))) == sorted(without_stamps(before[back]))
    assert body_of(anna, stays) != before[stays]

    of_undo = bob.get(answer.url).content.decode()  # type: ignore[attr-defined]
    assert f'href="{of_run}"' in of_undo
    assert "Start again" not in of_undo
    assert answer.url in bob.get(of_run).content.decode()  # type: ignore[attr-defined]
    assert "This run is an undo itself" in words(bob.get(f"{answer.url}undo/").content)  # type: ignore[attr-defined]
    refused = bob.post(f"{answer.url}undo/", follow=True)  # type: ignore[attr-defined]
    assert "This run is an undo itself" in words(refused.content)
    assert AuditEntry.objects.filter(action="undo migration").count() == 1

    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=True)
    assert "An undo holds" in words(vera.get(f"/contoso/users/{anna.upn}/").content)
    assert anna.upn in vera.get("/contoso/users/?out_of_date=undo").content.decode()
    ends = f"This ends the undo of {anna.upn}."
    number = ServiceNumber.objects.get(number="+14255550100")
    assert ends in words(bob.get("/contoso/users/selected/start/?out_of_date=yes&all&count=exactly").content)
    assert ends in words(bob.get(f"/contoso/users/{anna.upn}/start/options/").content)
    alice_page = f"/contoso/bridges/{number.bridge_id}/numbers/{number.pk}/replace/?by=%2B14255550188"
    assert bob.get(alice_page).status_code == 403


def test_what_is_too_large_for_a_page_is_previewed_in_the_background_exactly(
    bob: Client, vera: Client, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch, outbox: Any
) -> None:
    (changed, _), *_ = [invite(anna, number) for number in range(3)]
    run = migrate(anna)
    EmbeddedMailbox(anna).store([(changed, body_of(anna, changed).replace(b"\r\nSUMMARY", b"\r\nURL:x:y\r\nSUMMARY"))])
    monkeypatch.setattr(undoing, "MOST_ON_A_PAGE", 2)
    of_run = f"/contoso/migrations/{run.correlation_id}/undo/"
    page = bob.get(of_run).content.decode()
    assert "Meetings that the run changed 3" in words(page.encode())
    asked = dict(re.findall(r'<input type="hidden" name="(kind|run)" value="([^"]+)">', page))
    assert asked == {"kind": "undo", "run": str(run.correlation_id)}

    assert vera.post("/contoso/previews/", asked).status_code == 403
    address = bob.post("/contoso/previews/", asked)["Location"]
    previews.advance(timezone.now() + timedelta(minutes=1))
    preview = Preview.objects.get()
    foreseen = dict(preview.meetings.values_list("uid", "outcome"))
    told = {row.uid: len(row.recipients) for row in preview.meetings.all()}
    assert (preview.state, sorted(foreseen.values())) == ("Ready", ["Skipped", "Succeeded", "Succeeded"])
    assert "Undo of a run of anna.rossi@contoso.com" in words(bob.get(address).content)
    assert not Run.objects.filter(undoes=run).exists()

    bob.post(of_run, {"now": "on"})
    work_queue()
    undone = Run.objects.get(undoes=run)
    assert dict(undone.results.values_list("uid", "outcome")) == foreseen
    updates = Update.objects.filter(result__run=undone)
    assert {each.result.uid: each.recipient_count for each in updates} == {uid: n for uid, n in told.items() if n}
    again = {"kind": "undo", "run": str(undone.correlation_id)}
    refused = words(bob.post("/contoso/previews/", again, follow=True).content)
    assert "This run is an undo itself" in refused
    assert "is not there any more" in words(bob.post("/contoso/previews/", {"kind": "undo"}, follow=True).content)


def test_whatever_ends_an_undo_says_so_before(alice: Client, anna: ConferencingUser) -> None:
    """A number procedure (R6), a start from the user's page, marking; and the story calls the undo what it is."""
    uid, _ = invite(anna)
    run = migrate(anna)
    change_user(anna, ACTOR, conference_id="7777777")
    asked = words(alice.get(f"/contoso/migrations/{run.correlation_id}/undo/").content)
    assert "The undo takes the place of the user's pending run" in asked
    alice.post(f"/contoso/migrations/{run.correlation_id}/undo/", {"now": "on"})
    work_queue()
    number = ServiceNumber.objects.get(number="+14255550100")
    address = f"/contoso/bridges/{number.bridge_id}/numbers/{number.pk}/replace/?by=%2B14255550188"
    assert f"This ends the undo of {anna.upn}." in words(alice.get(address).content)
    for selected in (f"users={anna.pk}", "out_of_date=yes&all=1"):
        marking = alice.get(f"/contoso/users/selected/mark/?{selected}")
        assert f"This ends the undo of {anna.upn}: changes start runs" in words(marking.content)
    assert "Start a run, ending the undo" in words(alice.get(f"/contoso/users/{anna.upn}/").content)
    story = words(alice.get(reverse("meeting-story", args=["contoso", anna.upn, uid])).content)
    assert "The block was changed" in story
    assert "The block was put back" in story


def test_a_failed_undo_is_started_again_as_an_undo(
    bob: Client, anna: ConferencingUser, make_user: Callable[..., ConferencingUser]
) -> None:
    invite(anna)
    run = migrate(anna)
    bob.post(f"/contoso/migrations/{run.correlation_id}/undo/")
    Run.objects.filter(undoes=run).update(state="Failed", last_error_code="retries-used-up")
    (failed,) = Run.objects.filter(undoes=run)
    assert "Undo again" in words(bob.get(f"/contoso/migrations/{failed.correlation_id}/").content)
    bob.post(f"/contoso/migrations/{failed.correlation_id}/start-again/")
    assert Run.objects.filter(undoes=run, state="Pending").count() == 1
    Run.objects.filter(state="Pending").update(state="Failed", last_error_code="retries-used-up")
    bob.post("/contoso/users/selected/retry/?failed_by=any&all=1", {"seen": "1"})
    assert Run.objects.get(state="Pending").undoes == run


def test_the_preview_asks_the_database_as_often_for_9_meetings_as_for_2(
    bob: Client, make_user: Callable[..., ConferencingUser]
) -> None:
    counts = []
    for name, meetings in (("anna", 2), ("bruno", 9)):
        user = make_user(name)
        for number in range(meetings):
            invite(user, number)
        run = migrate(user)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            page = bob.get(f"/contoso/migrations/{run.correlation_id}/undo/").content.decode()
        assert len(offered(page)) == meetings
        counts.append(len(asked))
    assert counts[0] == counts[1]
