"""The page of the Meeting Migration Tool (R38): files in, a ZIP file out, without JavaScript, for operators."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from migrations_app.demo import invitations as demo
from migrations_app.mail.delivery import deliver
from migrations_app.models import MeetingResult, OnlineMeeting, Run, Update
from migrations_app.screens import tool
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.meetings import messages_in, plan, untouched_lines
from tests.support.only_reads import only_reads
from tests.support.pages import words
from tests.support.two_tenants import everything_stored

ADDRESS = "/contoso/tool/"
ANEW = {"source_meeting_type": "All", "target_meeting_type": "Link"}


def upload(name: str, text: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text)


@pytest.fixture
def barred(anna: ConferencingUser) -> ConferencingUser:
    change_user(anna, ACTOR, mailbox_location="on-premises")
    anna.refresh_from_db()
    return anna


def test_r38_where_mms_refuses_a_user_the_tool_is_offered_in_place(
    bob: Client, vera: Client, barred: ConferencingUser, old_bridge: Bridge
) -> None:
    leads_there = f'href="/contoso/tool/?user={barred.upn.replace("@", "%40")}"'
    for address in (f"/contoso/users/{barred.upn}/", f"/contoso/users/{barred.upn}/start/options/"):
        assert leads_there in bob.get(address).content.decode(), address
    assert "/contoso/tool/" not in vera.get(f"/contoso/users/{barred.upn}/").content.decode()
    assert 'href="/contoso/tool/"' in bob.get("/contoso/users/").content.decode()
    page = bob.get(f"{ADDRESS}?user={barred.upn}")
    assert f'value="{barred.upn}"' in page.content.decode()
    assert f"The mailbox is on Exchange on-premises, so MMS does not migrate {barred.upn} itself" in words(page.content)
    assert bob.get(f"{ADDRESS}?user=nobody@contoso.com").status_code == 404
    assert vera.get(ADDRESS).status_code == 403


def test_r38_looking_stores_nothing_and_migrating_gives_a_zip_file(bob: Client, barred: ConferencingUser) -> None:
    texts = {"a.ics": demo.skype_text(plan(barred, 0)), "b.ics": demo.teams_gen3(plan(barred, 1))}
    before = everything_stored()
    form = {"user": barred.upn.upper(), "calendar": [upload(*each) for each in texts.items()], **ANEW}
    with only_reads():
        looked = bob.post(ADDRESS, {**form, "do": "look"})
    shown = words(looked.content)
    assert "What would happen" in shown
    assert "Meetings that change 2" in shown
    assert everything_stored() == before
    form["calendar"] = [upload(*each) for each in texts.items()]
    answer = bob.post(ADDRESS, {**form, "do": "migrate"})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{barred.upn}-migrated.zip"'
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:  # type: ignore[attr-defined]
        names = archive.namelist()
        assert {name for name in names if "/" not in name} == {"report.csv", "report.html"}
        assert len([name for name in names if name.startswith("messages/")]) == 2
        for name, text in texts.items():
            migrated = archive.read(f"calendar/{name}")
            assert migrated != text
            assert untouched_lines(migrated) == untouched_lines(text)
        assert b"Migrated calendar of" in archive.read("report.html")
    entry = AuditEntry.objects.get(action="use migration tool")
    assert (entry.actor, entry.channel, entry.target) == ("bob", "screen", barred.upn)
    changed = {name for name, rows in everything_stored().items() if rows != before[name]}
    assert changed - {"InvitedNumber"} == {"AuditEntry", "OnlineMeeting", "ConferencingUser"}
    assert OnlineMeeting.objects.filter(user=barred, service="Link").count() == 2


def test_r38_sent_twice_the_form_tells_attendees_once(bob: Client, barred: ConferencingUser, outbox: Path) -> None:
    text = demo.skype_text(plan(barred, 0))
    for _ in range(2):
        form = {"user": barred.upn, "calendar": upload("a.ics", text), "sends": "on", "do": "migrate", **ANEW}
        answer = bob.post(ADDRESS, form)
        with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:  # type: ignore[attr-defined]
            assert not [name for name in archive.namelist() if name.startswith("messages/")]
        deliver()
    assert len(messages_in(outbox)) == 1
    run = Run.objects.get()
    page = words(bob.get(f"/contoso/migrations/{run.correlation_id}/").content)
    assert "Migrated by bob with the Meeting Migration Tool, from files." in page
    result = MeetingResult.objects.get()
    for below in (f"meetings/{result.pk}/", f"meetings/{result.pk}/explain/"):
        assert bob.get(f"/contoso/migrations/{run.correlation_id}/{below}").status_code == 200
    assert words(bob.get("/contoso/migrations/").content).count(barred.display_name) == 1
    assert Update.objects.get().state == "Sent"


def test_bad_input_is_told_in_one_sentence_and_nothing_is_done(
    bob: Client, barred: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = demo.skype_text(plan(barred, 0))
    before = everything_stored()
    for form, told in (
        ({"user": barred.upn}, "Choose an .ics file, an .eml file or a ZIP file of them."),
        ({"user": barred.upn, "calendar": upload("a.ics", b"")}, "a.ics is empty"),
        ({"user": barred.upn, "calendar": upload("a.ics", b"garbage")}, "text outside BEGIN:VCALENDAR"),
        ({"user": "nobody@contoso.com", "calendar": upload("a.ics", text)}, "There is no user nobody@contoso.com"),
        ({"calendar": upload("a.ics", text)}, "Say whose calendar it is"),
        ({"user": barred.upn, "addresses": "x@y.org", "calendar": upload("a.ics", text)}, "leave out either"),
        (
            {"addresses": "a@example.org", "calendar": upload("a.ics", text), "no_dial_in": "on", **ANEW},
            "users of the tenant alone",
        ),
        ({"addresses": "a@example.org", "calendar": upload("a.ics", text)}, "Say how people dial in"),
        (
            {"user": barred.upn, "calendar": upload("a.ics", text), "target_meeting_type": "Teams"},
            "Teams is not a meeting service of Contoso",
        ),
        ({"user": barred.upn, "calendar": upload("a.ics", text), "toll_number": "12"}, "E.164 form"),
        ({"user": barred.upn, "calendar": [upload("a.ics", text), upload("a.ics", text)]}, "two files a.ics"),
    ):
        for do in ("look", "migrate"):
            for file in (
                form.get("calendar") or [] if isinstance(form.get("calendar"), list) else [form.get("calendar")]
            ):
                if file:
                    file.seek(0)
            answer = bob.post(ADDRESS, {**form, "do": do})
            shown = words(answer.content)
            assert told in shown, (form, shown[:600])
            assert "Nothing was migrated or sent." in shown
    monkeypatch.setattr(tool, "MOST_MEETINGS", 1)
    two = [upload("a.ics", text), upload("b.ics", demo.skype_html(plan(barred, 1)))]
    too_many = bob.post(ADDRESS, {"user": barred.upn, "calendar": two, "do": "migrate"})
    assert "There are 2 meetings, and 1 go at once on this page: use the command migrate_calendar" in words(
        too_many.content
    )
    assert everything_stored() == before


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(bob: Client, barred: ConferencingUser) -> None:
    class Unread(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("The upload was read.")

    answer = bob.generic(
        "POST",
        f"{ADDRESS}?user={barred.upn}",
        content_type="multipart/form-data; boundary=x",
        **{"CONTENT_LENGTH": "200000000", "wsgi.input": Unread()},  # type: ignore[arg-type]
    )
    assert answer.status_code == 413
    assert "The files have 200 MB, and at most 25 MB go at once here" in words(answer.content)


def test_the_form_is_protected_although_the_middleware_does_not_read_it(barred: ConferencingUser, bob: Client) -> None:
    client = Client(enforce_csrf_checks=True)
    client.cookies = bob.cookies
    form = {"user": barred.upn, "calendar": upload("a.ics", b"x"), "do": "look"}
    assert client.post(ADDRESS, form).status_code in {302, 403}
    assert b"x is" not in client.post(ADDRESS, form).content
