"""The Contoso demo is what load_demo, the benchmark and the reader of a demo rely on."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from html.parser import HTMLParser

import icalendar
import pytest

from migrations_app.demo import invitations as demo
from migrations_app.demo.mailbox import DemoInvitation, invitations, labelled_invitations, plan_meeting
from migrations_app.demo.meetings import Meeting
from migrations_app.demo.people import (
    BRANCH,
    BRANCH_USER_UPN,
    BRIDGES,
    CLOUD,
    DAMAGED_MAILBOX_USER_UPN,
    LEGACY,
    NUMBERS,
    DemoUser,
    users,
)
from tests.support.by_day import some

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
EVERYONE = users()
SEED = 7


@pytest.fixture(scope="module")
def mailboxes() -> dict[str, list[DemoInvitation]]:
    return {user.upn: labelled_invitations(user, EVERYONE, NOW, SEED) for user in EVERYONE}


@pytest.fixture(scope="module")
def everything(mailboxes: dict[str, list[DemoInvitation]]) -> list[DemoInvitation]:
    return [invitation for mailbox in mailboxes.values() for invitation in mailbox]


def a_meeting(organizer: DemoUser = EVERYONE[5]) -> Meeting:
    return plan_meeting(organizer, EVERYONE, NOW, SEED, 1)


def unfolded(ics: bytes) -> str:
    return re.sub(rb"\r\n[ \t]", b"", ics).decode()


@cache
def parsed(ics: bytes) -> icalendar.Calendar:
    return icalendar.Calendar.from_ical(ics)


def master(ics: bytes) -> icalendar.Event:
    return parsed(ics).events[0]


class Balance(HTMLParser):
    """Collects the end tags that do not close the element that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "hr", "br", "img", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def unbalanced(html: str) -> list[str]:
    reader = Balance()
    reader.feed(html)
    reader.close()
    return reader.wrong + reader.open


def test_it_makes_the_same_people_for_the_same_seed() -> None:
    assert users(3) == users(3)
    assert users(3) != users(4)


@pytest.mark.parametrize("seed", range(5))
def test_it_makes_160_people_with_unique_addresses_and_conference_ids(seed: int) -> None:
    people = users(seed)
    assert len(people) == 160
    assert len({user.upn.lower() for user in people}) == 160
    assert len({user.conference_id for user in people}) == 160
    assert all(re.fullmatch(r"[1-9]\d{6}", user.conference_id) for user in people)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+@contoso\.com", user.upn) for user in people)


def test_it_puts_138_people_who_can_be_migrated_on_the_old_bridge() -> None:
    movable = [user for user in EVERYONE if user.bridge == LEGACY and user.mailbox_location == "online"]
    assert len(movable) == 138
    assert all(user.licensed and user.enabled and user.provider == "" for user in movable)
    assert {user.conference_id_type for user in movable} == {"public", "private"}


def test_it_has_the_cases_that_an_administrator_meets() -> None:
    assert sum(user.mailbox_location == "on-premises" for user in EVERYONE) == 4
    assert sum(user.hosting == "on-premises" for user in EVERYONE) == 19
    moving = [user for user in EVERYONE if user.hosting == "on-premises" and user.mailbox_location == "online"]
    assert (len(moving), sum(user.meeting_service == "none" for user in moving)) == (17, 1)
    assert sum(user.provider != "" for user in EVERYONE) == 5
    assert sum(not user.licensed for user in EVERYONE) == 5
    assert sum(user.bridge == CLOUD and user.licensed for user in EVERYONE) == 7
    assert sum(user.licensed and not user.enabled for user in EVERYONE) == 1


def test_it_gives_everybody_numbers_of_their_own_bridge_and_kind() -> None:
    numbers = {number.e164: number for number in NUMBERS}
    for user in EVERYONE:
        for e164, kind in ((user.toll_number, "toll"), (user.toll_free_number, "toll-free")):
            if e164:
                assert (numbers[e164].bridge, numbers[e164].kind) == (user.bridge, kind)


def test_it_gives_every_bridge_but_the_branch_one_default_toll_number() -> None:
    defaults = [number for number in NUMBERS if number.is_default]
    assert [number.kind for number in defaults] == ["toll"] * len(defaults)
    assert sorted(number.bridge for number in defaults) == sorted(
        bridge.name for bridge in BRIDGES if bridge.name != BRANCH
    )
    assert [bridge.name for bridge in BRIDGES if bridge.is_default] == [LEGACY]


def test_it_names_the_two_whose_run_fails() -> None:
    by_upn = {user.upn: user for user in EVERYONE}
    assert by_upn[BRANCH_USER_UPN].bridge == BRANCH
    assert BRANCH not in {number.bridge for number in NUMBERS}
    assert by_upn[DAMAGED_MAILBOX_USER_UPN].bridge == LEGACY


def test_it_makes_the_same_invitations_for_the_same_seed_and_time() -> None:
    user = EVERYONE[11]
    first = invitations(user, EVERYONE, NOW, SEED)
    assert first == invitations(user, users(), NOW, SEED)
    assert first != invitations(user, EVERYONE, NOW, SEED + 1)
    assert first != invitations(user, EVERYONE, NOW + timedelta(days=1), SEED)


def test_it_fills_every_mailbox(mailboxes: dict[str, list[DemoInvitation]]) -> None:
    assert sum(len(mailbox) for mailbox in mailboxes.values()) >= 1500
    for mailbox in mailboxes.values():
        assert 8 <= len(mailbox) <= 12
        assert 6 <= sum(invitation.outcome == "migrated" for invitation in mailbox) <= 9


def test_it_has_every_kind_and_every_outcome(everything: list[DemoInvitation]) -> None:
    kinds = Counter(invitation.kind for invitation in everything)
    assert len(kinds) == 23
    assert 1 <= kinds.pop("too_large") <= 8
    assert min(kinds.values()) >= 10
    assert {invitation.outcome for invitation in everything} == {
        "migrated",
        "past",
        "not-organizer",
        "cancelled",
        "no-block",
        "pasted-block",
        "too-many-attendees",
        "needs-review",
    }


def test_it_ends_lines_with_crlf_after_75_octets_at_most(everything: list[DemoInvitation]) -> None:
    for invitation in everything:
        lines = invitation.ics.split(b"\r\n")
        assert lines.pop() == b""
        assert max(map(len, lines)) <= 75
        assert not any(b"\n" in line or b"\r" in line for line in lines)
        # No character is cut in two.
        assert [line.decode() for line in lines]


def test_others_read_each_of_them_as_one_meeting_of_the_owner_that_lies_ahead_unless_it_is_past(
    mailboxes: dict[str, list[DemoInvitation]],
) -> None:
    """All in one test: to parse them takes longer than all the rest, and workers of the tests share nothing."""
    with_html = 0
    for upn, mailbox in some(mailboxes.items(), 4):
        uids = []
        for invitation in mailbox:
            calendar = icalendar.Calendar.from_ical(invitation.ics)
            assert [part.errors for part in calendar.walk() if part.errors] == []
            assert all(event.start < event.end for event in calendar.events)
            used = set(re.findall(r"TZID=([^:]+):", unfolded(invitation.ics)))
            assert used <= {str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")}
            (uid,) = {str(event["UID"]) for event in calendar.events}
            uids.append(uid)
            html = [str(each["X-ALT-DESC"]) for each in calendar.events if "X-ALT-DESC" in each]
            assert not any(map(unbalanced, html))
            with_html += bool(html)
            event = calendar.events[0]
            is_theirs = str(event["ORGANIZER"]) == f"mailto:{upn}"
            assert is_theirs == (invitation.outcome != "not-organizer")
            assert is_theirs or f"mailto:{upn}" in {str(attendee) for attendee in event.attendees}
            if "RRULE" not in event:
                end = event.end if isinstance(event.end, datetime) else datetime.combine(event.end, NOW.timetz())
                assert (end < NOW) == (invitation.outcome == "past")
        assert len(set(uids)) == len(uids)
    assert with_html > 100


def test_it_writes_frames_of_the_real_lengths(everything: list[DemoInvitation]) -> None:
    rows = {
        "skype_text": "." * 71 + "\n" + "." * 66,
        "skype_text in unbroken frame": "." * 137,
        "skype_exchange": "." * 137,
        "teams_gen1": "_" * 80,
        "teams_gen2 as text": "_" * 80,
        "teams_gen3": "_" * 80,
    }
    for invitation in everything:
        if invitation.kind in rows:
            lines = str(master(invitation.ics)["DESCRIPTION"])
            assert lines.count(f"\n{rows[invitation.kind]}\n") == 2
            if invitation.kind == "teams_gen3":
                assert lines.count("\n" + "_" * 32 + "\n") == 1


def test_it_prints_the_old_numbers_and_conference_id_of_the_organizer() -> None:
    user = next(user for user in EVERYONE if user.language == "en-GB" and user.bridge == LEGACY)
    meeting = a_meeting(user)
    lines = str(master(demo.skype_exchange(meeting))["DESCRIPTION"])
    assert "Toll number:      +44 20 7946 0101\n" in lines
    assert f"Conference ID: {meeting.block.conference_id}\n" in lines
    assert f"https://meet.contoso.com/{user.upn.partition('@')[0]}/{meeting.block.join_code}>" in lines


def test_it_leaves_the_phone_part_out_without_a_licence() -> None:
    user = next(user for user in EVERYONE if not user.licensed)
    for build in (demo.skype_exchange, demo.teams_gen1, demo.teams_gen2, demo.teams_gen3):
        assert "tel:" not in unfolded(build(a_meeting(user)))


def test_it_lets_the_properties_of_a_pasted_block_tell_another_link() -> None:
    def links(ics: bytes) -> tuple[str, str]:
        event = master(ics)
        in_text = re.search(r"https://meet\.contoso\.com/[\w.]+/\w{8}", str(event["DESCRIPTION"]))
        assert in_text
        return in_text[0], str(event["X-MICROSOFT-ONLINEMEETINGEXTERNALLINK"])

    own, pasted = links(demo.skype_exchange(a_meeting())), links(demo.pasted_block(a_meeting()))
    assert own[0] == own[1]
    assert pasted[0] != pasted[1]


def test_it_builds_a_series_with_past_own_and_bare_overrides() -> None:
    series, *overrides = icalendar.Calendar.from_ical(demo.series_with_overrides(a_meeting())).events
    assert "RRULE" in series
    assert series.start < NOW
    assert ["DESCRIPTION" in override for override in overrides] == [True, True, False]
    assert [override["RECURRENCE-ID"].dt < NOW for override in overrides] == [True, False, False]
    assert all("RRULE" not in override for override in overrides)
    weeks = [(override["RECURRENCE-ID"].dt - series.start) / timedelta(weeks=1) for override in overrides]
    assert all(week == int(week) for week in weeks)


def test_it_builds_series_that_end_in_the_past_and_never() -> None:
    over = master(demo.past_series(a_meeting()))["RRULE"]
    assert over["UNTIL"][0] < NOW
    endless = master(demo.infinite_series(a_meeting()))["RRULE"]
    assert not {"UNTIL", "COUNT"} & set(endless)


def test_it_builds_the_particular_meetings() -> None:
    meeting = a_meeting()
    assert type(master(demo.all_day(meeting)).start) is date
    assert master(demo.no_attendees(meeting)).attendees == []
    assert str(master(demo.cancelled(meeting))["STATUS"]) == "CANCELLED"
    assert len(master(demo.too_large(meeting)).attendees) > 250
    assert len(master(demo.with_attachments(meeting))["ATTACH"]) == 2
    assert "meet.contoso.com" not in unfolded(demo.no_block(meeting))
    assert unfolded(demo.damaged_frame(meeting)).count("." * 137) == 1


def test_it_has_right_to_left_text_emoji_accents_and_umlauts(everything: list[DemoInvitation]) -> None:
    subjects = " ".join(
        re.findall(r"^SUMMARY[^:\n]*:(.*)$", "".join(unfolded(each.ics) for each in everything), re.MULTILINE)
    )
    for characters in ("مراجعة", "סקירה", "🎉", "Übergabe", "Formación", "tête"):
        assert characters.lower() in subjects.lower()


def test_it_damages_one_object_beyond_reading() -> None:
    user = next(user for user in EVERYONE if user.upn == DAMAGED_MAILBOX_USER_UPN)
    event = master(demo.damaged_invitation(user, NOW))
    assert [name for name, _ in event.errors] == ["RRULE"]
    with pytest.raises(icalendar.error.IncompleteComponent):
        _ = event.start


def test_it_builds_the_sizes_that_the_benchmark_names() -> None:
    assert 3_800 <= len(demo.text_4kb(a_meeting())) <= 4_300
    large = demo.large_html(a_meeting())
    assert 47_000 <= len(large) <= 55_000
    html = str(master(large)["X-ALT-DESC"])
    assert html.index("<body") > 35_000
    assert unbalanced(html) == []
