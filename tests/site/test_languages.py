"""``labels.toml`` alone decides which languages invitations are written in: a table more is a language more."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from migrations_app.calendars.people import Person
from migrations_app.mail.imip import Content, compose
from migrations_app.rewriting.block import MeetingBlock, render_text

LABELS = Path("migrations_app/rewriting/labels.toml")
GERMAN = {
    "name": "German",
    "stranded_subject": "Bitte planen Sie Ihre neueren Onlinebesprechungen noch einmal",
    "stranded_body": "Guten Tag {name},\n\n{meetings} müssen bei {tenant} neu geplant werden.",
    "stranded_more": "und {number} weitere",
    "notice_changed_subject": "Ihre Onlinebesprechungen haben neue Einwahldaten",
    "notice_changed_body": "Guten Tag {name},\n\n{meetings} haben bei {tenant} neue Einwahldaten.",
    "mail_subject": "Aktualisiert: {subject}",
    "mail_via": "{name} über MMS",
    "mail_note": "Die Einwahldaten dieser Besprechung haben sich geändert, sonst nichts.",
    "note_subject": "Bitte sehen Sie sich Ihre Besprechung an: {subject}",
    "note_no_subject": "(kein Betreff)",
    "note_intro": "Diese Besprechung können nur Sie berichtigen.",
    "note_meeting": "Besprechung",
    "note_needs-review": "Die Einwahldaten sind beschädigt.",
    "note_pasted-block": "Die Einwahldaten stammen aus einer anderen Besprechung.",
    "note_too-many-attendees": "Sie hat zu viele Teilnehmer.",
    "note_no-conference-id": "Die Konferenz-ID fehlt.",
    "note_no-meeting-service": "Sie führt noch ins alte System.",
    "note_unknown-to-service": "Ihr Dienst kennt die Onlinebesprechung nicht.",
    "note_unreadable-calendar-object": "Sie ist nicht lesbar.",
    "note_failed": "Die neuen Einwahldaten konnten nicht eingetragen werden.",
    "note_end": "Um diese Nachricht hat jemand bei {tenant} gebeten.",
    "notice_subject": "Neue Einwahldaten am {day}",
    "notice_body": "Hallo {name}, am {day} um {time} ({zone}) ändern sich bei {tenant} {meetings}.",
    "notice_cancelled_subject": "Alles bleibt, wie es ist",
    "notice_cancelled_body": "Hallo {name}, am {day} um {time} ({zone}) ändert sich bei {tenant} nichts.",
    "meetings_one": "1 Besprechung",
    "meetings_many": "{number} Besprechungen",
    "when": "Wann",
    "where": "Wo",
    "weekdays": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    "months": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "date": "{weekday}, {day}. {month} {year}",
    "time": "{hour:02}:{minute:02}",
    "all_day": "{dates} (ganztägig)",
    "repeats": "wiederholt sich",
    "daily": "jeden Tag",
    "daily_n": "alle {number} Tage",
    "weekly": "jede Woche",
    "weekly_n": "alle {number} Wochen",
    "monthly": "jeden Monat",
    "monthly_n": "alle {number} Monate",
    "yearly": "jedes Jahr",
    "yearly_n": "alle {number} Jahre",
    "once": "einmal",
    "times": "{number}-mal",
    "until": "bis {date}",
    "location": "Onlinebesprechung",
    "join": "An der Besprechung teilnehmen",
    "web_app": "In der Web-App öffnen",
    "second_join": "Dieselbe Besprechung mit ihrem langen Link",
    "meeting_id": "Besprechungs-ID",
    "passcode": "Kennung",
    "video": "Mit einem Videokonferenzgerät teilnehmen",
    "tenant_key": "Mandantenschlüssel",
    "video_id": "Video-ID",
    "video_help": "Andere Wege mit einem Gerät",
    "meeting_options": "Besprechungsoptionen",
    "phone": "Per Telefon teilnehmen",
    "toll": "Ortsnetznummer",
    "toll_free": "Gebührenfreie Nummer",
    "conference_id": "Konferenz-ID",
    "local_numbers": "Ortsnetznummer suchen",
    "shared_notes": "Gemeinsame Notizen",
    "help": "Hilfe",
    "legal": "Rechtliche Hinweise",
}
SCRIPT = """
import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from migrations_app.calendars.people import Person
from migrations_app.invitations.content import InvitationSettings
from migrations_app.mail.imip import Content, compose
from migrations_app.rewriting.block import render_text
from tenants_app import fingerprints
from tenants_app.audit import Actor, Channel
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import ConferencingUser
from tenants_app.screens.forms import UserForm

actor = Actor("test", Channel.COMMAND)
tenant = create_tenant(
    actor, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
)
user = create_user(tenant, actor, upn="anna@contoso.com", language="en-US")
fingerprints.note_own_blocks(user)
change_user(user, actor, is_data_fix=True, language="de-DE")
user = ConferencingUser.objects.get()
anna = Person("Anna", "anna@contoso.com")
mail = message_from_bytes(
    compose(Content(anna, "mms@contoso.com", [anna], "<1@contoso.com>", datetime.now(UTC), "Budget", "Agenda", "", b"",
                    language=user.language)), policy=policy.default
)
print(json.dumps({
    "block": render_text(InvitationSettings(user).block),
    "subject": mail["Subject"],
    "note": mail.get_body(("plain",)).get_content(),
    "is_out_of_date": user.is_out_of_date,
    "help": str(UserForm(None, user).fields["language"].help_text),
}))
"""


@pytest.fixture(scope="module")
def with_german(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> dict[str, Any]:
    """What a copy of the product says that has German in ``labels.toml`` too, and nothing else that differs."""
    root = tmp_path_factory.mktemp("product")
    for name in ("mms_site", "tenants_app", "migrations_app", "templates", "static"):
        shutil.copytree(settings.BASE_DIR / name, root / name)
    shutil.copy(settings.BASE_DIR / "manage.py", root)
    with (root / LABELS).open("a", encoding="utf-8") as file:
        file.write("\n[de]\n" + "".join(f"{key} = {json.dumps(text)}\n" for key, text in GERMAN.items()))
    (root / "var").mkdir()
    shutil.copy(migrated, root / "var" / "db.sqlite3")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "MMS", "DATABASE"))}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--verbosity", "0", "-c", SCRIPT],
        cwd=root,
        env=kept | {"MMS_DATA_DIR": str(root / "var")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_block_is_written_in_it(with_german: dict[str, Any]) -> None:
    assert "An der Besprechung teilnehmen <" in with_german["block"]


def test_the_mail_is_written_in_it(with_german: dict[str, Any]) -> None:
    assert with_german["subject"] == "Aktualisiert: Budget"
    assert with_german["note"].startswith(GERMAN["mail_note"])


def test_r36_who_changes_to_it_is_out_of_date(with_german: dict[str, Any]) -> None:
    assert with_german["is_out_of_date"] is True


def test_the_form_of_a_user_names_it(with_german: dict[str, Any]) -> None:
    assert with_german["help"].startswith("Of the invitation: English, Spanish, Italian")
    assert with_german["help"].endswith(" or German; others get English.")


def test_every_language_has_every_text() -> None:
    languages = tomllib.loads((settings.BASE_DIR / LABELS).read_text(encoding="utf-8"))

    assert {code: labels.keys() for code, labels in languages.items()} == dict.fromkeys(languages, GERMAN.keys())
    assert all(re.fullmatch("[a-z]{2,3}", code) for code in languages)
    assert all("{subject}" in labels["mail_subject"] for labels in languages.values())
    assert all("{subject}" in labels["note_subject"] for labels in languages.values())
    assert all("{tenant}" in labels["note_end"] for labels in languages.values())
    assert all("{name}" in labels["mail_via"] for labels in languages.values())
    assert all(len(labels["weekdays"].split()) == 7 for labels in languages.values())
    assert all(len(labels["months"].split()) == 12 for labels in languages.values())


@pytest.mark.parametrize(
    ("tag", "join", "updated"),
    [
        ("es-MX", "Unirse", "Actualizado"),
        ("IT", "Partecipa", "Aggiornato"),
        ("fr-FR", "Join", "Updated"),
        ("est-EE", "Join", "Updated"),
    ],
)
def test_block_and_mail_are_in_the_same_language(tag: str, join: str, updated: str) -> None:
    anna = Person("Anna", "anna@contoso.com")
    content = Content(
        anna, "mms@contoso.com", [anna], "<1@contoso.com>", datetime(2030, 1, 1, tzinfo=UTC), "Budget", "", "", b"", tag
    )
    message = message_from_bytes(compose(content), policy=policy.default)

    assert message["Subject"] == f"{updated}: Budget"
    assert f"\n{join} " in render_text(MeetingBlock("https://meet.contoso.com/anna/NEW4KEY8", language=tag))
