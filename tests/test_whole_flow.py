"""From a folder of files and one command to corrected invitations, as an administrator does it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from django.core.management import call_command

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations as demo
from migrations_app.demo.meetings import Meeting
from tenants_app.models import Bridge, ConferencingUser
from tests.support.meetings import (
    EVERYONE,
    addressees,
    as_demo_user,
    calendar_of,
    join_links,
    logical_lines,
    messages_in,
    plan,
    untouched_lines,
)

CHANGED = [
    demo.skype_text,
    demo.skype_html,
    demo.skype_exchange,
    demo.teams_gen1,
    demo.teams_gen2,
    demo.teams_gen3,
    demo.series_with_overrides,
    demo.large_html,
]
LEFT_ALONE = [
    demo.past_meeting,
    demo.past_series,
    demo.no_block,
    demo.cancelled,
    demo.pasted_block,
    demo.damaged_frame,
    demo.too_large,
]


def uid_of(text: bytes) -> str:
    ((uid, _),) = split_objects(text)
    return uid


@pytest.mark.parametrize("line_ending", [b"\r\n", b"\n"])
def test_a_folder_of_invitations_and_a_changed_bridge(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path, tmp_path: Path, line_ending: bytes
) -> None:
    inbox, exported = tmp_path / "invitations", tmp_path / "exported"
    inbox.mkdir()
    before: dict[str, bytes] = {}
    for number, build in enumerate([*CHANGED, *LEFT_ALONE]):
        text = build(plan(anna, number)).replace(b"\r\n", line_ending)
        before[uid_of(text)] = text
        (inbox / f"{number:02}.ics").write_bytes(text)
    foreign_plan: Meeting = plan(anna, 99, organizer=EVERYONE[5])
    foreign = demo.foreign_organizer(foreign_plan, attendee=as_demo_user(anna)).replace(b"\r\n", line_ending)
    before[uid_of(foreign)] = foreign
    (inbox / "foreign.ics").write_bytes(foreign)
    changed = list(before)[: len(CHANGED)]

    call_command("import_meetings", str(inbox), "--user", anna.upn)
    call_command("set_dial_in_conferencing_user", "--user", anna.upn, "--bridge", "New bridge")
    call_command("run_migrations", "--until-idle")
    call_command("export_meetings", "--user", anna.upn, "--output", str(exported))

    after = {uid_of(path.read_bytes()): path.read_bytes() for path in exported.glob("*.ics")}
    assert after.keys() == before.keys()
    for uid, text in before.items():
        if uid in changed:
            words = "\n".join(logical_lines(after[uid]))
            assert join_links(words) >= join_links("\n".join(logical_lines(text)))
            assert "+44 20 7946 0123" in words
            assert untouched_lines(after[uid]) == untouched_lines(text)
            assert after[uid].count(b"\r\n") == (after[uid].count(b"\n") if line_ending == b"\r\n" else 0)
        else:
            assert after[uid] == text

    told: Counter[tuple[str, str]] = Counter()
    for message in messages_in(outbox):
        (uid,) = {line[4:] for line in logical_lines(calendar_of(message)) if line.startswith("UID:")}
        told.update((uid, address) for address in addressees(message))
    assert {uid for uid, _ in told} == set(changed)
    assert set(told.values()) == {1}

    sent = sorted(path.name for path in outbox.iterdir())
    call_command("start_meeting_migration", "--user", anna.upn, "--now")
    call_command("run_migrations", "--until-idle")
    assert sorted(path.name for path in outbox.iterdir()) == sent
