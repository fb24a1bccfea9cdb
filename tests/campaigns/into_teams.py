"""Meetings made anew in Teams for `make campaign`: from mailboxes in Exchange Online and, alternately, in MMS itself.

Sign-in, ``createOrGet``, and reads and writes of events fail in every way, and workers are killed. Skype for Business
meetings move to Teams, are put back, move again, and get the new numbers of Teams' admin center; then come new ones,
and the server has other ways.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from icalendar import Calendar
from lxml import html as markup

from migrations_app.mailboxes.exchange.events import ExchangeEvent
from migrations_app.meeting_services.teams import external_id
from migrations_app.rewriting import links
from tests.campaigns.misfortune import (
    FAULTS_PER_KILL,
    Misfortune,
    Sql,
    kept_lines,
    let_time_pass,
    sequence_of,
    work_until_done,
)
from tests.campaigns.on_graph import OnGraph
from tests.support.content_lines import without_stamps
from tests.support.fault_proxy import FaultProxy, faulty
from tests.support.graph_stand_in import GraphStandIn, graph_stand_in
from tests.support.graph_stand_in.blob import register
from tests.support.installation import Installation
from tests.support.meetings import join_links, logical_lines

STEPS = ("anew", "undone", "anew", "numbers", "undone", "numbers")
"""What is done with the meetings of one time, one after the other."""
KEEP_NUMBERS = {"undone"}
"""Before all other steps somebody exchanges the numbers in Teams' admin center."""
LANGUAGES = ("en-US", "en-US", "de-DE", "fr-FR")
_OLDEST = "+14255550101"


class OnTeams(OnGraph):
    """Of each two mailboxes the first is in Exchange Online, which changes its ways from one time to the next."""

    def __init__(self, server: GraphStandIn, proxy: FaultProxy) -> None:
        super().__init__(server, proxy)
        self.server = server
        server.tokens.origin = proxy.address.rstrip("/")  # whom the sign-in names as itself

    @property
    def settings(self) -> dict[str, str]:
        """Signing in fails, too."""
        address = self.proxy.address.rstrip("/")
        return {"MMS_MICROSOFT_ENDPOINTS": f"{address},{address}"}

    def connecting(self, users: Sequence[str]) -> str:
        account = f"{self.server.directory_id!r}, {self.server.client_id!r}, {self.server.secret!r}"
        return f"connect_teams({[*users]!r}, {[*users[::2]]!r}, {account}, {[*LANGUAGES]!r})"

    def forget(self, hrefs: Mapping[str, str]) -> None:
        """Somebody deletes these meetings, by href whose they are."""
        for href, upn in hrefs.items():
            self.server.delete(upn, self._ids.pop(href))

    def know(self, upn: str, body: bytes) -> None:
        """Teams has the meetings that an invitation leads into."""
        with self.server.world.lock:
            known = {meeting["joinWebUrl"] for meeting in self.server.meetings}
            for url in join_links("\n".join(logical_lines(body))):
                if links.is_teams(url) and url not in known:
                    register(self.server.world, self.server.mailbox(upn).user, url)

    def made(self) -> dict[tuple[str, str], str]:
        """The join links of what MMS had Teams make, by organizer and external ID."""
        users = {user.id: user.upn for user in self.server.world.users.values()}
        meetings = [meeting for meeting in self.server.meetings if meeting["externalId"]]
        return {(users[each["organizer"]], each["externalId"]): each["joinWebUrl"] for each in meetings}

    def _shown(self, event: ExchangeEvent) -> ExchangeEvent:
        """With the text that a reader sees, and where it leads."""
        root = markup.fromstring(event.body or "<p></p>")
        for style in [*root.iter("style")]:
            style.drop_tree()
        seen = [*root.text_content().split(), *sorted(join_links(event.body))]
        return replace(super()._shown(event), body=" ".join(seen))

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        found = super().told(outbox)
        for path in outbox.glob("*.eml"):
            path.unlink()
        return found


@dataclass
class Time:
    """The meetings of one time, by UID: whose they are, which are in Teams from the start, what they said when."""

    upns: dict[str, str]
    own: set[str]
    hrefs: dict[str, str]
    """Of those in Exchange Online."""
    said: list[dict[str, bytes]] = field(default_factory=list)
    """After each step; first what they said at the beginning."""


class Campaign:
    def __init__(
        self, installation: Installation, teams: OnTeams, users: Sequence[str], meetings: int, guests: Sequence[str]
    ) -> None:
        self._installation, self._teams = installation, teams
        self._users, self._meetings, self._guests = users, meetings, guests
        self._times = 0
        self._tolls = [_OLDEST]
        self._moved: set[tuple[str, str]] = set()
        """Organizer and external ID of all meetings that were to be made anew."""
        self.found = Counter[str]()
        self.to_tell = self.moves = 0

    def begin(self) -> Time:
        """New meetings in place of the earlier ones."""
        first = self._times * self._meetings
        self._times += 1
        self._teams.begin_move()
        asked = f"invitations_for_teams({first}, {self._meetings}, {[*self._guests]!r})"
        time = Time({}, set(), {})
        for upn, texts in self._installation.ask(asked).items():
            in_exchange = upn in self._users[::2]
            for uid, text in texts.items():
                body = text.encode()
                time.upns[uid] = upn
                if any(links.is_teams(url) for url in join_links("\n".join(logical_lines(body)))):
                    time.own.add(uid)
                    self._teams.know(upn, body)
                if in_exchange:
                    time.hrefs[uid] = f"{self._teams.calendar(upn)}{uid}.ics"
                    self._teams.put(time.hrefs[uid], body, upn)
        time.said.append(self._texts(time))
        return time

    def end(self, time: Time) -> None:
        self._teams.forget({href: time.upns[uid] for uid, href in time.hrefs.items()})

    def do(self, number: int, time: Time, sql: Sql, misfortune: Misfortune, runs: list[int]) -> None:
        """One step, until nothing is left of it. ``runs`` has the last run before each step, and gets that of this."""
        step, ask = STEPS[number], self._installation.ask
        if step not in KEEP_NUMBERS:
            self._tolls.append(f"+49 30 555{len(self._tolls):04}")
            self._teams.server.set_bridge(self._tolls[-1])
        runs.append(ask("last_run()"))
        if step == "undone":
            what_is_left = f"left_to_undo({runs[-2]}, {runs[-1]})"
        else:
            ask(f"begin_in_teams({step!r})")
            what_is_left = "left_in_teams()"
        work_until_done(self._installation, sql, misfortune, what_is_left)
        self.moves += 1
        time.said.append(self._texts(time))
        if step == "anew":
            self._moved |= {(upn, external_id("contoso", uid)) for uid, upn in time.upns.items() if uid not in time.own}
        self._look(number, time)

    def _texts(self, time: Time) -> dict[str, bytes]:
        kept = {uid: _to_come(base64.b64decode(text)) for uid, text in self._installation.ask("texts_in_mms()").items()}
        in_exchange = {uid: self._teams.get(href, time.upns[uid]) for uid, href in time.hrefs.items()}
        for upn in self._users[::2]:
            there = self._teams.get(self._teams.calendar(upn), upn).count(b"BEGIN:VEVENT")
            self.found["doubled meetings"] += max(0, there - self._meetings)
        self.found["doubled meetings"] += len({*kept} - {*time.upns})
        return {uid: kept.get(uid, b"") for uid in time.upns} | in_exchange

    def _look(self, number: int, time: Time) -> None:
        """What became of the meetings in this step, and who was told."""
        of = STEPS[number - 1] if STEPS[number] == "undone" else STEPS[number]
        changed = {uid for uid in time.upns if of == "numbers" or uid not in time.own}
        made = self._teams.made()
        self.found["made more than once"] += len(made.keys() - self._moved)
        self.found["not made"] += len(self._moved - made.keys())
        was, now = time.said[-2], time.said[-1]
        for uid, upn in time.upns.items():
            before = time.said[-3][uid] if STEPS[number] == "undone" else b""
            link = made.get((upn, external_id("contoso", uid)), "")
            verdict = self._verdict(STEPS[number], was[uid], now[uid], before, link) if uid in changed else ""
            if uid not in changed and now[uid] != was[uid]:
                verdict = "changed although it was to be left"
            self.found[verdict or "right"] += 1
        told = self._teams.told(self._installation.data_dir / "outbox")
        wanted = {(uid, guest) for uid in changed for guest in self._guests}
        self.to_tell += len(wanted)
        self.found["told once"] += sum(told[each] == 1 for each in wanted)
        self.found["told more than once"] += sum(count > 1 for count in told.values())
        self.found["not told"] += sum(each not in told for each in wanted)
        self.found["told of nothing"] += len(told.keys() - wanted)

    def _verdict(self, step: str, was: bytes, now: bytes, before: bytes, link: str) -> str:
        """What is wrong with a meeting that was to be changed, if anything."""
        if not now:
            return "lost"
        text, earlier = "\n".join(logical_lines(now)), "\n".join(logical_lines(was))
        leads = join_links(text).keys()
        if step == "undone":
            if sorted(without_stamps(now)) != sorted(without_stamps(before)):
                return "not put back"
        elif step == "anew" and leads != {link}:
            return "leads elsewhere than into its own meeting"
        elif step == "numbers" and leads != join_links(earlier).keys():
            return "join link changed"
        elif _digits(self._tolls[-1]) not in _digits(text):
            return "without the new number"
        elif any(_digits(toll) in _digits(text) for toll in self._tolls[:-1]):
            return "with an old number"
        if _of_people(was) != _of_people(now):
            return "otherwise changed"
        return "" if sequence_of(now) == sequence_of(was) + 1 else "written more than once"


def _to_come(body: bytes) -> bytes:
    """A calendar object without the parts that are over, which nobody changes."""
    now = datetime.now(UTC)
    calendar = Calendar.from_ical(body)
    over = [
        each
        for each in calendar.walk("VEVENT")
        if "RECURRENCE-ID" in each and each.decoded("DTEND").astimezone(UTC) < now
    ]
    calendar.subcomponents = [each for each in calendar.subcomponents if each not in over]
    text: bytes = calendar.to_ical(sorted=False)
    return text


def _digits(text: str) -> str:
    return re.sub(r"[\s().-]", "", text)


def _of_people(body: bytes) -> list[str]:
    """What nobody may change."""
    ours = ("LOCATION:", "X-LINK-OF-SERVER:")
    return [line for line in kept_lines(body) if not line.startswith(ours)]


def run_into_teams(
    installation: Installation,
    teams: OnTeams,
    count: int,
    seed: int,
    *,
    users: Sequence[str],
    meetings: int,
    guests: Sequence[str],
    tell: Callable[[str], object] = str,
) -> dict[str, Any]:
    """Do step after step until there were so many faults, and kills among them; what was found."""
    proxy, misfortune = teams.proxy, Misfortune(seed, installation.kill)
    with installation.watching() as sql:
        installation.ask(teams.connecting(users))
        let_time_pass(installation, sql)
        campaign, number, runs = Campaign(installation, teams, users, meetings, guests), 0, list[int]()
        time = campaign.begin()
        proxy.plan = misfortune
        while len([*proxy.faults()]) < count or misfortune.kills < count // FAULTS_PER_KILL:
            if number == len(STEPS):
                campaign.end(time)
                time, number = campaign.begin(), 0
            campaign.do(number, time, sql, misfortune, runs)
            number += 1
            found = {name: times for name, times in campaign.found.items() if times}
            struck = f"{len([*proxy.faults()]):,} faults, {misfortune.kills} kills"
            tell(f"{struck}, {campaign.moves} moves ({STEPS[number - 1]}, {teams.server.behaviour}): {found}\n")
        faults = Counter(proxy.faults())
        return {
            "faults": faults.total(),
            "by_kind": dict(sorted(faults.items())),
            "kills": misfortune.kills,
            "requests": len(proxy.done),
            "meetings": len(time.upns),
            "moves": campaign.moves,
            "made": len(teams.made()),
            "to_tell": campaign.to_tell,
            "found": dict(campaign.found),
            **installation.ask("moved_outside()"),
        }


@contextmanager
def mailboxes_and_teams(users: Sequence[str]) -> Iterator[OnTeams]:
    """Users of whom Teams and Exchange Online know, with empty mailboxes."""
    with graph_stand_in() as server, faulty(server.graph) as proxy:
        for upn in users:
            server.add_mailbox(upn)
        yield OnTeams(server, proxy)
