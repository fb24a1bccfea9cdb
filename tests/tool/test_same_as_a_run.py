"""R38: same rules, same engine. What the tool makes of files is what a run makes of the same meetings in a mailbox."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from migrations_app.calendars.content_lines import all_events, uid_of
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations as demo
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, OnlineMeeting
from migrations_app.rewriting.spans import unpack
from migrations_app.targets import Targets
from migrations_app.tool.migration import Migration
from migrations_app.tool.reading import Given, Source
from migrations_app.tool.settings import ByHand, settings_of
from tenants_app.models import ConferencingUser
from tests.rewriting.test_catalogue import INVITATIONS
from tests.support.content_lines import without_stamps
from tests.support.meetings import ANEW, STAY, invite, migrate, plan, untouched_lines

UID = re.compile(rb"^UID:", re.MULTILINE | re.IGNORECASE)


def worked(user: ConferencingUser, sources: list[Source], targets: Targets) -> Migration:
    loaded = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number").get(
        pk=user.pk
    )
    migration = Migration(settings_of(loaded, ByHand()), Given(sources), targets)
    migration.work()
    return migration


def readable_catalogue() -> list[Source]:
    """The invitations of the catalogue that are calendars, each with a UID of its own."""
    sources = []
    for number, path in enumerate(INVITATIONS):
        text = UID.sub(b"UID:%04d-" % number, path.read_bytes())
        try:
            split_objects(text)
        except UnreadableCalendar:
            continue
        sources.append(Source(f"{path.parent.name}/{path.name}", text))
    return sources


def said(results: list[MeetingResult]) -> dict[str, tuple[object, ...]]:
    return {
        each.uid: (
            each.outcome,
            each.code,
            each.detail,
            each.subject,
            each.starts_at,
            each.attendee_count,
            each.sequence,
            each.meeting_service,
            each.join_url_before,
            each.join_url_after,
            unpack(bytes(each.spans)) if each.spans else None,
        )
        for each in results
    }


def test_r38_the_catalogue_comes_out_as_of_a_run_and_byte_for_byte_outside_the_blocks(
    make_user: Callable[..., ConferencingUser],
) -> None:
    anna = make_user("anna")
    sources = readable_catalogue()
    assert len(sources) > 300
    for targets in (STAY, ANEW):
        EmbeddedMailbox(anna).store([each for source in sources for each in split_objects(source.octets)])
        migration = worked(anna, sources, targets)
        tool_said = said([outcome.result for outcome in migration.done])
        OnlineMeeting.objects.all().delete()  # what the tool remembered: both begin alike
        run = migrate(anna, targets)
        OnlineMeeting.objects.all().delete()
        run_said = said(list(run.results.all()))
        assert {uid: (tool_said[uid], each) for uid, each in run_said.items() if tool_said[uid] != each} == {}
        assert tool_said.keys() == run_said.keys()
        stored = {uid: bytes(body) for uid, body in CalendarObject.objects.values_list("uid", "body")}
        results = {outcome.result.uid: outcome for outcome in migration.done}
        files = list(migration.mailbox.migrated())
        assert [file.name for file in files] == [source.name for source in sources]
        changed = 0
        for source, file in zip(sources, files, strict=True):
            uids = [uid for uid, _ in split_objects(source.octets)]
            if not any(results[uid].is_change for uid in uids):
                assert file.octets == source.octets, source.name
                continue
            changed += 1
            for uid, body in split_objects(file.octets):
                assert without_stamps(body) == without_stamps(stored[uid]), source.name
                assert results[uid].recipient_count == 0 or results[uid].is_change
        assert changed > (100 if targets is ANEW else 20)


BUILDS = (
    demo.skype_text,
    demo.skype_html,
    demo.skype_exchange,
    demo.teams_gen2,
    demo.series_with_overrides,
    demo.infinite_series,
    demo.all_day,
    demo.with_attachments,
)


def in_one_file(texts: list[bytes]) -> bytes:
    """The meetings in one calendar, the changed occurrences of each apart from their series, and a task between."""
    zones: dict[bytes, None] = {}
    events: list[bytes] = []
    for text in texts:
        zones |= dict.fromkeys(re.findall(rb"BEGIN:VTIMEZONE.*?END:VTIMEZONE\r?\n", text, re.DOTALL))
        events += [text[event.start : event.end] for event in all_events(text)]
    todo = b"BEGIN:VTODO\r\nUID:task\r\nSUMMARY:Buy milk\r\nEND:VTODO\r\n"
    ordered = [*events[::2], todo, *events[1::2]]
    head = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Contoso//Groupware//EN\r\nX-WR-CALNAME:Anna\r\n"
    return b"".join([head, *zones, *ordered, b"END:VCALENDAR\r\n"])


def test_r38_meetings_of_one_file_are_taken_apart_and_put_back_exactly(anna: ConferencingUser) -> None:
    texts = [build(plan(anna, number)) for number, build in enumerate(BUILDS)]
    source = in_one_file(texts)
    migration = worked(anna, [Source("all.ics", source)], ANEW)
    (file,) = migration.mailbox.migrated()
    assert {outcome.result.outcome for outcome in migration.done} == {"Succeeded"}
    assert len(migration.done) == len(BUILDS)
    apart = {
        uid: body
        for one in worked(anna, [Source(f"{n}.ics", text) for n, text in enumerate(texts)], ANEW).mailbox.migrated()
        for uid, body in split_objects(one.octets)
    }
    before, after = all_events(source), all_events(file.octets)
    starts, ends = [0, *(each.end for each in before)], [*(each.start for each in before), len(source)]
    new_starts = [0, *(each.end for each in after)]
    new_ends = [*(each.start for each in after), len(file.octets)]
    around = [source[start:end] for start, end in zip(starts, ends, strict=True)]
    assert [file.octets[start:end] for start, end in zip(new_starts, new_ends, strict=True)] == around
    assert len(untouched_lines(file.octets)) == len(untouched_lines(source))
    for old, new in zip(before, after, strict=True):
        text = file.octets[new.start : new.end]
        single = apart[uid_of(source, old)]
        events = [single[event.start : event.end] for event in all_events(single)]
        assert without_stamps(text) in [without_stamps(event) for event in events]


def test_r25_a_second_use_changes_nothing_and_a_preview_is_what_comes(anna: ConferencingUser) -> None:
    texts = [invite(anna, number, build) for number, build in enumerate(BUILDS)]
    sources = [Source(f"{number}.ics", text) for number, (_, text) in enumerate(texts)]
    loaded = ConferencingUser.objects.select_related("tenant", "bridge").get(pk=anna.pk)
    for targets in (STAY, ANEW):
        looked = Migration(settings_of(loaded, ByHand()), Given(sources), targets)
        looked.work(ahead=True)
        first = worked(anna, sources, targets)
        assert looked.counts() == first.counts()
        if targets is STAY:  # a link that is still to be made is no link yet
            assert said([each.result for each in looked.done]) == said([each.result for each in first.done])
    migrated = list(first.mailbox.migrated())
    second = worked(anna, migrated, STAY)
    assert Counter(outcome.result.code for outcome in second.done) == {"already-current": len(BUILDS)}
    assert list(second.mailbox.migrated()) == migrated
