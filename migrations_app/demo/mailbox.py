"""Who meets whom, and a mailbox of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from migrations_app.demo.agendas import COMPANIES, PROJECTS, topics
from migrations_app.demo.calendar_lines import (
    TIME_ZONES_OF,
    zone_info,
)
from migrations_app.demo.invitations import (
    all_day,
    cancelled,
    damaged_frame,
    foreign_organizer,
    infinite_series,
    no_attendees,
    no_block,
    past_meeting,
    past_series,
    pasted_block,
    series_with_overrides,
    skype_exchange,
    skype_html,
    skype_text,
    teams_gen1,
    teams_gen2,
    teams_gen3,
    too_large,
    with_attachments,
)
from migrations_app.demo.meetings import Attendee, Meeting, Outcome
from migrations_app.demo.people import DemoUser


@dataclass(frozen=True)
class DemoInvitation:
    """A calendar object with its kind and what a run that may migrate its owner should make of it (R20)."""

    kind: str
    outcome: Outcome
    ics: bytes


_EXTERNAL = (
    Attendee("kim.larsen@fabrikam.com", "Kim Larsen", partstat="ACCEPTED"),
    Attendee("renee.dubois@fabrikam.com", "Renée Dubois"),
    Attendee("jorge.paz@fabrikam.com", "Paz, Jorge (Fabrikam)", partstat="TENTATIVE"),
    Attendee("office@example.org", "Example Foundation, office", role="OPT-PARTICIPANT"),
    Attendee("m.osei@example.org", "Mabel Osei; Example", partstat="DECLINED"),
    Attendee("oyku.yildiz@example.org", "Öykü Yıldız"),
)
_ROOMS = (
    Attendee("room.rainier@contoso.com", "Conf Room Rainier", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
    Attendee("room.alhambra@contoso.com", "Sala Alhambra (8)", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
    Attendee("room.zugspitze@contoso.com", "Raum Zugspitze, 3. OG", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
)


def plan_meeting(user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int, number: int) -> Meeting:
    """The user's meeting of that number, 2 to 80 days ahead of ``now`` (aware), with attendees.

    The same arguments give the same meeting. ``everyone`` holds at least 8 people.
    """
    chance = random.Random(f"{seed}/{user.upn}/{number}")  # noqa: S311 - it picks topics and guards nothing
    tzid = chance.choice(TIME_ZONES_OF.get(user.language, ("",)))
    day = now.astimezone(zone_info(tzid)).date() + timedelta(days=chance.randint(2, 78))
    day += timedelta(days=2 if day.weekday() >= 5 else 0)
    start = datetime(
        day.year, day.month, day.day, chance.randint(8, 17), chance.choice((0, 30)), tzinfo=zone_info(tzid)
    )
    colleagues = [colleague for colleague in chance.sample(everyone, 8) if colleague != user][: chance.randint(3, 7)]
    attendees = [
        Attendee(
            colleague.upn,
            colleague.display_name,
            role=chance.choice(("REQ-PARTICIPANT", "REQ-PARTICIPANT", "OPT-PARTICIPANT")),
            partstat=chance.choice(("NEEDS-ACTION", "ACCEPTED", "ACCEPTED", "TENTATIVE", "DECLINED")),
        )
        for colleague in colleagues
    ]
    attendees += chance.sample(_EXTERNAL, chance.choice((0, 0, 1, 2, 4)))
    attendees += chance.sample(_ROOMS, chance.choice((0, 1)))
    # International companies meet in English now and then.
    topic = chance.choice(topics("en" if number % 3 == 2 else user.language))
    words = {
        "name": colleagues[0].display_name.split()[0],
        "project": chance.choice(PROJECTS),
        "company": chance.choice(COMPANIES),
    }
    return Meeting(
        organizer=user,
        now=now,
        start=start,
        key=f"{seed}-{number}",
        subject=topic.subject.format(**words),
        agenda=topic.agenda.format(**words),
        duration=timedelta(minutes=chance.choice((30, 45, 60, 60, 90))),
        attendees=tuple(attendees),
        tzid=tzid,
        sequence=chance.choice((0, 0, 0, 1, 3)),
    )


_MIGRATED: tuple[tuple[str, Callable[[Meeting], bytes]], ...] = (
    ("skype_text", skype_text),
    ("teams_gen2", teams_gen2),
    ("skype_exchange", skype_exchange),
    ("series_with_overrides", series_with_overrides),
    ("skype_text in unbroken frame", partial(skype_text, split_frame=False)),
    ("teams_gen3", teams_gen3),
    ("infinite_series", infinite_series),
    ("skype_html", skype_html),
    ("teams_gen1", teams_gen1),
    ("all_day", all_day),
    ("teams_gen3 as text", partial(teams_gen3, html=False)),
    ("with_attachments", with_attachments),
    ("teams_gen2 as text", partial(teams_gen2, html=False)),
    ("no_attendees", no_attendees),
    ("teams_gen1 as text", partial(teams_gen1, html=False)),
)
_SKIPPED: tuple[tuple[str, Outcome, Callable[[Meeting], bytes]], ...] = (
    ("past_meeting", "past", past_meeting),
    ("no_block", "no-block", no_block),
    ("cancelled", "cancelled", cancelled),
    ("past_series", "past", past_series),
    ("pasted_block", "pasted-block", pasted_block),
    ("damaged_frame", "needs-review", damaged_frame),
)


def labelled_invitations(
    user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int
) -> list[DemoInvitation]:
    """The user's mailbox with what each object is: 7 to 9 meetings to migrate and 2 or 3 to leave alone."""
    position = everyone.index(user)
    planned = partial(plan_meeting, user, everyone, now, seed)
    found = []
    for number in range(7 + position % 3):
        kind, build = _MIGRATED[(position * 4 + number) % len(_MIGRATED)]
        found.append(DemoInvitation(kind, "migrated", build(planned(number))))
    skipped = [_SKIPPED[(position + number) % len(_SKIPPED)] for number in range(1 + (position // 3) % 2)]
    # A handful of the tenant's users have a meeting above the limit instead.
    if position % 40 == 7:
        skipped = [("too_large", "too-many-attendees", too_large)]
    for number, (kind, outcome, build) in enumerate(skipped, start=100):
        found.append(DemoInvitation(kind, outcome, build(planned(number))))
    host = everyone[(position + 1 + seed) % len(everyone)]
    if host != user:
        theirs = replace(plan_meeting(host, everyone, now, seed, 200 + position), key=f"{seed}-with-{user.upn}")
        foreign = foreign_organizer(theirs, attendee=user)
        found.append(DemoInvitation("foreign_organizer", "not-organizer", foreign))
    return found


def invitations(user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int) -> list[bytes]:
    """The calendar objects in the user's mailbox, 9 to 12 of them; ``user`` is one of ``everyone``.

    ``now`` is aware. The same arguments give the same octets.
    """
    return [invitation.ics for invitation in labelled_invitations(user, everyone, now, seed)]
