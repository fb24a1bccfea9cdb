"""What a meeting block says, with the places where it says it (R39, R40).

Facts are told by position, by links and by shape, never by a word of some language: an ID is digits in groups, what is
dialled stands after commas and before a number sign, a passcode is on the line below the meeting ID.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from locale import windows_locale
from typing import NamedTuple

from migrations_app.rewriting import links
from migrations_app.rewriting.dialling import (
    DIALLED_AFTER,
    MARKS,
    SHOWN,
    SHOWN_AT_HOME,
    TARGET,
    Place,
    digits_of,
    e164,
    id_spans,
    is_toll_free,
    place_in,
)
from migrations_app.rewriting.frames import Found
from migrations_app.rewriting.labels import LABELS
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.reading import END, LINK, Reading
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.written_numbers import digits_in, numbers_in
from tenants_app.sentences import Sentence, sentence


class Span(NamedTuple):
    """A part of a reading's text."""

    start: int
    end: int


class Link(NamedTuple):
    """A web link of a block: as it stands, where, and without the wrapping of mail filters."""

    raw: str
    at: Span
    url: str


class Target(NamedTuple):
    """A tel: link: the number it dials, and where number and conference ID stand."""

    at: Span
    number: Span
    has_plus: bool
    conference_id: Span | None


@dataclass(slots=True)
class Number:
    """A number that leads into the meeting: E.164 where that can be told, and everywhere it is shown and dialled."""

    e164: str
    shown: list[Span] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    places: list[tuple[Span, Place]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KnownNumbers:
    """The organization's service numbers (E.164), with their kinds and the places as they were entered."""

    toll_free: frozenset[str] = frozenset()
    toll: frozenset[str] = frozenset()
    places: Mapping[str, str] = field(default_factory=dict)

    def is_known(self, number: str) -> bool:
        """Tell whether a number is one of the organization's, so that it leads into meetings wherever it stands."""
        return number in self.toll or number in self.toll_free

    def is_toll_free(self, number: str) -> bool:
        """Tell a number's kind: as MMS knows it, else by its country's numbering plan."""
        if self.is_known(number):
            return number in self.toll_free
        return is_toll_free(number)


NO_NUMBERS = KnownNumbers()

_LINK = re.compile(rf"{LINK}([^{LINK}{END}]*){END}")
_BARE_LINK = re.compile(r"https?://[^\s\x02\x03<>\"]+", re.IGNORECASE)
_DIAL_IN_PAGE = re.compile(r"https?://(?:[^/?#]*\.)?dialin\.|/dialin\b|pstnconferencing", re.IGNORECASE)
_QUERY = re.compile(r"[?&;]\w{1,30}=(\d{4,15})(?=&|#|$)")
# Of a page of local numbers; other parameters have a language or an article there.
_ID_OF_PAGE = re.compile(r"[?&;](?:conf\w{0,12})?id=(\d{4,15})(?=&|#|$)", re.IGNORECASE)
# Longer than any number of rooms or streets: an ID, however it is written.
_LONG_ID = re.compile(r"(?<![\d.+])\d(?:[ \xa0.-]?\d){8,18}(?!\d)")
_NOTHING = re.compile(rf"[\s{MARKS}]*\Z")
_DIALLED_LAST = re.compile(rf"[ \xa0{MARKS}]{{0,3}},{{1,4}}[ \xa0]?\d{{3,15}}[ \xa0]?#?\Z")
_EXTENSION = re.compile(r"[ \xa0]*[^\W\d_]{1,12}[.:]?[ \xa0]*\d")
_AT_HOME = re.compile(r"(?<![\d+])\(?\d(?:[ \xa0().\-/]{0,2}\d){6,14}(?!\d)")
_ID_LINE = re.compile(r"[:：][ \xa0]*(\d(?:[ \xa0]?\d){3,18})(?![\d])[ \xa0]*(#?)")
_PASSCODE = re.compile(
    rf"[ \xa0]*(?P<label>[^\x02\x03\n:：|]{{1,60}})[:：][ \xa0{MARKS}]*"
    rf"(?P<value>[^\s\x02\x03{MARKS}][^\n\x02\x03]*)"
)
_OWN_MEETING_IDS, _OWN_PASSCODES, _OWN_VIDEO_IDS, _OWN_CONFERENCE_IDS = (
    frozenset(labels[name] for labels in LABELS.values())
    for name in ("meeting_id", "passcode", "video_id", "conference_id")
)
_MAIL = re.compile(r"[^\s:：\x02\x03<>@]{1,64}@[\w-]+(?:\.[\w-]+)+")
_MOST_LINES_TO_ID = 4
_UNSURE_OF_PASSCODE = sentence("Nobody can tell for certain which passcode the meeting block shows.")
# Of an on-premises server, where the number is no link: the region that it serves, as the server's administrator named
# it. Behind a link, and in some texts without one, the bracket says in the block's language that it is a number.
_REGION = re.compile(
    r"[ \xa0#]*\((?!(?:Dial-in Number|Einwahlnummer|Número de acceso|Numero di accesso|Numéro d.accès|Inbelnummer"
    r"|Номер доступа|ダイヤルイン番号|接続番号|Opringningsnummer|Uppringningsnummer)\))([^()\n]{2,40})\)",
    re.IGNORECASE,
)
# What the prompts are spoken in, and of which country: "English (United States)", behind what the bracket above says.
_CULTURE = re.compile(
    r"[ \xa0#]*(?:\([^()\n\x02]{2,40}\))?\s*"
    r"[^\W\d_][^()\n\x02:+]{0,40} ?[(（]([^()\n\x02（）]{2,60})[)）][ \xa0]*(?=\n|\Z)"
)
_LANGUAGE_IN_LINK = re.compile(r"[?&](?:omkt|language|mkt|lang)=([A-Za-z]{2,3})(?:[-_]|&|#|$)", re.IGNORECASE)
_LCID = re.compile(r"\[!OC\(\[([0-9A-Fa-f]{4,5})\]\)!\]|[?&]clid=(\d{4,5})")
_LANGUAGE_OF_TAG = re.compile(rb"<div\b[^<>]*?\blang\s*=\s*[\"']?([A-Za-z]{2,3})\b", re.IGNORECASE)


class BlockFacts:
    """What one block says. Everything is read when it is first asked for."""

    def __init__(self, found: Found, value: bytes, *, is_html: bool, known: KnownNumbers = NO_NUMBERS) -> None:
        self.found = found
        self.is_html = is_html
        self._value = value
        self.known = known
        self._doubt = ""
        self._unsure = ""

    @property
    def doubt(self) -> str:
        """Why numbers and IDs cannot be told apart with certainty, in a sentence; "" for most blocks."""
        self.parts()
        return self._doubt

    @property
    def unsure(self) -> str:
        """Why what leads into the meeting cannot be carried over with certainty, in a sentence; "" for most blocks."""
        _ = self.online_meeting
        return self._unsure

    @cached_property
    def reading(self) -> Reading:
        """What one reads between the rows."""
        found = self.found
        return Reading(self._value, found.inside[0], found.inside[1], is_html=self.is_html)

    @cached_property
    def links(self) -> list[Link]:
        """Its web links, in their order."""
        text = self.reading.text
        spans = [Span(each.start(1), each.end(1)) for each in _LINK.finditer(text)]
        bare = _BARE_LINK.finditer(self._outside_links) if "://" in self._outside_links else ()
        spans += [Span(each.start(), each.start() + len(links.without_punctuation(each[0]))) for each in bare]
        found = []
        for start, end in sorted(spans):
            raw = text[start:end].strip()
            if raw[:4].lower() == "http" or raw[:8].lower() == "onenote:":
                begin = text.index(raw, start) if raw else start
                found.append(Link(raw, Span(begin, begin + len(raw)), links.unwrapped(raw)))
        return found

    # --- what leads into the meeting ----------------------------------------------------------------

    @cached_property
    def online_meeting(self) -> OnlineMeeting:
        """What leads into the meeting, each as it stands there, without the wrapping of mail filters."""
        joins, web_apps = self._joins
        meeting_id, passcode, video = self._ids
        options = next((link.url for link in self.links if links.meeting_options(link.url) is not None), "")
        distinct = list(dict.fromkeys(joins))
        return OnlineMeeting(
            join_url=distinct[0] if distinct else self.found.join_url,
            second_join_url=distinct[1] if len(distinct) > 1 else "",
            web_app_url=web_apps[0] if web_apps else "",
            meeting_id=self._text(meeting_id),
            passcode=self._text(passcode),
            tenant_key=self._text(video.tenant_key),
            video_id=self._text(video.video_id),
            video_help_url=video.help_url,
            options_url=options,
            shared_notes_url=self.found.shared_notes_url,
        )

    @cached_property
    def _joins(self) -> tuple[list[str], list[str]]:
        names = self.found.names
        joins: dict[str, str] = {}
        web_apps = []
        for link in self.links:
            if links.web_app_link(link.url) and links.comparable(link.url) in names:
                web_apps.append(link.url)
            elif links.comparable(link.url) in names:
                joins.setdefault(links.comparable(link.url), link.url)
        return list(joins.values()), web_apps

    @cached_property
    def _ids(self) -> tuple[Span | None, Span | None, _Video]:
        """Where meeting ID and passcode stand, and how video devices join."""
        if self.found.kind is Kind.SKYPE or not self._is_of_teams:
            return None, None, _NO_VIDEO
        device = self._device
        first = device[0].start() if device else None
        phone = self._first_phone
        options = next((link.at.start for link in self.links if links.meeting_options(link.url) is not None), None)
        meeting: re.Match[str] | None = None
        others = []
        for each in self._id_lines:
            if device is not None and each.start(1) == device[1].start(1):
                continue
            is_above = all(place is None or each.start() < place for place in (first, phone, options))
            if meeting is None and is_above and self._has_label(each.start(), _OWN_MEETING_IDS):
                meeting = each
            elif options is None or each.start() < options:
                others.append(each.start(1))
        passcode = self._passcode(meeting)
        if self.found.kind is not Kind.OWN:
            text = self.reading.text
            ends = [text.rfind("\n", 0, place) for place in (first, phone, options) if place is not None]
            others += self._long_ids(min(ends, default=len(text)), meeting, passcode)
            if others and set(others) != {passcode.start if passcode else -1}:
                self._unsure = sentence("The meeting block shows an ID of which nobody can tell what it is for.")
        video = _NO_VIDEO
        if device is not None:
            video = _Video(Span(*device[0].span()), Span(*device[1].span(1)), self._help_of_device(device[1].end()))
        return Span(*meeting.span(1)) if meeting else None, passcode, video

    def _has_label(self, at: int, labels: frozenset[str]) -> bool:
        """Tell whether what stands before a colon is one of our labels; in a block that others drew, any label is."""
        if self.found.kind is not Kind.OWN:
            return True
        text = self.reading.text
        return text[text.rfind("\n", 0, at) + 1 : at].strip() in labels

    def _long_ids(
        self,
        end: int,
        meeting: re.Match[str] | None,
        passcode: Span | None,
    ) -> list[int]:
        """Return where digits stand above the phone part that may be an ID into the meeting, and are none known."""
        spans = [Span(*found.span()) for found, _ in self._shown]
        spans += [link.at for link in self.links]
        spans += [Span(*meeting.span(1))] if meeting else []
        spans += [passcode] if passcode else []
        text = _without(self._outside_links, spans)
        return [found.start() for found in _LONG_ID.finditer(text, 0, max(end, 0))]

    @cached_property
    def _id_lines(self) -> list[re.Match[str]]:
        """The IDs behind a colon that are neither dialled nor end in a number sign, as that of a phone conference."""
        lines = _ID_LINE.finditer(self._outside_links)
        return [each for each in lines if not each[2] and digits_of(each[1]) not in self._dialled_ids]

    @cached_property
    def _device(self) -> tuple[re.Match[str], re.Match[str]] | None:
        """The address that video devices call, and the ID on its line or on one of the next two."""
        last_join = max(
            (link.at.end for link in self.links if links.comparable(link.url) in self.found.names), default=0
        )
        if "@" not in self._outside_links:
            return None
        starts = [each.start() for each in self._id_lines]
        for mail in _MAIL.finditer(self._outside_links, last_join):
            for each in self._id_lines[bisect_left(starts, mail.end()) : bisect_left(starts, mail.end() + 300)]:
                is_near = self._outside_links.count("\n", mail.end(), each.start()) < _MOST_LINES_TO_ID
                if is_near and self._has_label(each.start(), _OWN_VIDEO_IDS):
                    return mail, each
        return None

    def _help_of_device(self, at: int) -> str:
        """Return the link on the line below a device's ID, which tells other ways in."""
        below = next((link for link in self.links if link.at.start >= at), None)
        if below is None or len(list(filter(str.strip, self._outside_links[at : below.at.start].split("\n")))) > 1:
            return ""
        is_other = links.meeting_options(below.url) is not None or _DIAL_IN_PAGE.search(below.url)
        return "" if is_other or links.comparable(below.url) in self.found.names else below.url

    def _passcode(self, meeting: re.Match[str] | None) -> Span | None:
        """Return where the passcode stands: after a label, on the meeting ID's line or on the next one."""
        if meeting is None:
            return None
        text = self.reading.text
        end = text.find("\n", meeting.end())
        end = len(text) if end < 0 else end
        found = _PASSCODE.fullmatch(text, meeting.end(), end) if text[meeting.end() : end].strip() else None
        if found is None and not text[meeting.end() : end].strip():
            start = end
            while start < len(text) and text[start] in "\n \xa0\t":
                start += 1
            end = text.find("\n", start)
            found = _PASSCODE.fullmatch(text, start, len(text) if end < 0 else end)
        if found is None or not self._has_label(found.end("label"), _OWN_PASSCODES):
            self._miss_passcode(meeting.end())
            return None
        value = found["value"].rstrip()
        start = found.start("value")
        is_id = digits_of(value) in self._dialled_ids and re.fullmatch(r"\d[\d \xa0]*\d ?#", value)
        if is_id or any(shown.start() == start and after is not None for shown, after in self._shown):
            return None  # the phone part begins here
        if self.found.kind is not Kind.OWN and (re.search(r"\s|^\d+#$", value) or SHOWN.match(value)):
            self._unsure = _UNSURE_OF_PASSCODE
        return Span(start, start + len(value))

    def _miss_passcode(self, at: int) -> None:
        """Doubt a meeting ID without a passcode, unless the next line is none that could have it."""
        if self.found.kind is Kind.OWN:
            return
        below = next((line for line in self.reading.text[at : at + 400].split("\n") if line.strip()), "")
        if below.strip(" _\xa0-") and LINK not in below:
            self._unsure = _UNSURE_OF_PASSCODE

    @property
    def _is_of_teams(self) -> bool:
        return any(map(links.is_teams, self.found.joins.values()))

    @cached_property
    def _outside_links(self) -> str:
        """The text with blanks where addresses of links stand."""
        return _LINK.sub(lambda each: " " * len(each[0]), self.reading.text)

    def _text(self, span: Span | None) -> str:
        return self.reading.text[span.start : span.end] if span else ""

    # --- the phone ----------------------------------------------------------------------------------

    @cached_property
    def _targets(self) -> list[tuple[re.Match[str], Target]]:
        found = []
        for each in _LINK.finditer(self.reading.text):
            if each[1].strip()[:4].lower() != "tel:":
                continue
            target = TARGET.fullmatch(self.reading.text, each.start(1), each.end(1))
            if target is None:
                self._doubt = sentence("A telephone link in the meeting block cannot be read.")
                continue
            conference_id = Span(*target.span("id")) if target["id"] else None
            number = Span(*target.span("number"))
            found.append((target, Target(Span(each.start(), each.end()), number, bool(target["plus"]), conference_id)))
        return found

    @cached_property
    def _first_phone(self) -> int | None:
        """Return where the first number stands that is dialled with an ID, or the first telephone link."""
        places = [target.at.start for _, target in self._targets]
        places += [found.start() for found, after in self._shown if after is not None]
        return min(places, default=None)

    @cached_property
    def _shown(self) -> list[tuple[re.Match[str], re.Match[str] | None]]:
        """The numbers in the text, each with the ID that is dialled after it."""
        text = self._outside_links
        return [(found, DIALLED_AFTER.match(text, found.end())) for found in SHOWN.finditer(text)]

    @cached_property
    def _dialled_ids(self) -> dict[str, list[Span]]:
        """The conference IDs that are dialled or stand in a link to local numbers, with their places."""
        found: dict[str, list[Span]] = {}
        text = self.reading.text
        for _, target in self._targets:
            if target.conference_id:
                found.setdefault(text[slice(*target.conference_id)], []).append(target.conference_id)
        for _, after in self._shown:
            if after is not None:
                found.setdefault(after["id"], []).append(Span(*after.span("id")))
        for link in self.links:
            if _DIAL_IN_PAGE.search(link.url) and (query := _ID_OF_PAGE.search(link.url)):
                found.setdefault(query[1], [])
        return found

    @cached_property
    def conference_id(self) -> str:
        """The digits of its conference ID; "" where it shows none."""
        ids = self.conference_ids
        if len(ids) > 1:
            self._doubt = sentence("The meeting block shows more than one conference ID.")
        elif ids and not self.has_certain_id:
            self._doubt = sentence("Nothing in the meeting block dials its conference ID.")
        return ids[0] if ids else ""

    @cached_property
    def conference_ids(self) -> list[str]:
        """Every ID that may be its conference ID, the likeliest first."""
        dialled, shown = list(self._dialled_ids), list(self._shown_ids)
        if not dialled:
            return shown
        # Many a text has numbers of its own behind colons. With a number sign, or where the dialled one is not shown,
        # they contradict what is dialled.
        if self._is_of_teams or set(shown).isdisjoint(dialled):
            dialled += [each for each in shown if each not in dialled]
        return dialled

    @property
    def has_certain_id(self) -> bool:
        """Whether it has one conference ID, which is dialled or stands behind our own label."""
        return len(self.conference_ids) == 1 and (self.found.kind is Kind.OWN or bool(self._dialled_ids))

    @cached_property
    def _shown_ids(self) -> dict[str, None]:
        """The IDs that may be conference IDs by how they are shown, where nothing dials one."""
        found: dict[str, None] = {}
        for each in _ID_LINE.finditer(self._outside_links):
            digits = digits_of(each[1])
            if self.found.kind is Kind.OWN:
                is_one = self._has_label(each.start(), _OWN_CONFERENCE_IDS)
            else:
                is_one = each[2] == "#" if self._is_of_teams else 4 <= len(digits) <= 10
            if is_one:
                found[digits] = None
        return found

    @cached_property
    def text_of_phone(self) -> str:
        """The text without links, and without what leads into the meeting by other ways than the phone."""
        own = [*filter(None, (*self._ids[:2], self._ids[2].video_id))]
        return _without(self._outside_links, [*own, *(link.at for link in self.links)])

    @cached_property
    def id_places(self) -> list[Span]:
        """Where the conference ID stands, outside of web links: in the text and in what is dialled."""
        if not self.conference_id:
            return []
        shown = [Span(*found) for found in id_spans(self.text_of_phone, self.conference_id)]
        dialled = [target.conference_id for _, target in self._targets if target.conference_id]
        return [*shown, *[span for span in dialled if self._text(span) == self.conference_id]]

    @cached_property
    def links_with_id(self) -> list[Link]:
        """The web links that carry the conference ID, but for those into the meeting."""
        joins = self.found.names
        return [
            link
            for link in self.links
            if self.conference_id
            and links.comparable(link.url) not in joins
            and links.meeting_options(link.url) is None
            and query_ids(link.url, self.conference_id)
        ]

    @cached_property
    def numbers(self) -> list[Number]:
        """The numbers that lead into the meeting, in their order."""
        found: dict[str, Number] = {}
        shown = {each.start(): each for each, _ in self._shown}
        used: set[int] = set()
        last = self._end_of_phone
        dials_id: set[bool] = set()
        for target, parts in self._targets:
            display = self._display_before(parts.at.start)
            text = ("+" if parts.has_plus else "") + digits_of(target["number"])
            number = e164(text) if parts.has_plus else ""
            if display is not None:
                read = e164(self._text(display)) if display.start in shown else ""
                if not number:
                    number = read
                elif read and read != number:
                    self._doubt = sentence("A number that the meeting block shows is not the one that its link dials.")
                elif not read and not number.endswith(digits_of(self._text(display)).lstrip("0")):
                    display = None
            if not parts.conference_id and parts.at.start > last and not self.known.is_known(number):
                continue  # a help desk, below
            if not number:
                self._doubt = sentence("A number in the meeting block cannot be read.")
                continue
            if self._begins_elsewhere(parts.at.start, display):
                self._doubt = sentence("A number in the meeting block is not written like any other.")
            each = found.setdefault(number, Number(number))
            each.targets.append(parts)
            dials_id |= set() if self.known.is_known(number) else {parts.conference_id is not None}
            if display is not None:
                used.add(display.start)
                each.shown.append(display)
            self._add_place(each, parts.at.end, has_link=True)
        for match, after in self._shown:
            if match.start() in used:
                continue
            number = e164(match[0])
            if number in found:
                found[number].shown.append(Span(*match.span()))
            elif number and (after is not None or match.start() < last or self.known.is_known(number)):
                each = found.setdefault(number, Number(number))
                each.shown.append(Span(*match.span()))
                dials_id |= set() if self.known.is_known(number) else {after is not None}
                self._add_place(each, after.end() if after else match.end(), has_link=False)
            else:
                continue
            if after is None and _EXTENSION.match(self._outside_links, match.end()):
                self._doubt = sentence("A number in the meeting block has an extension.")
        if len(dials_id) > 1:
            self._doubt = sentence("Of the numbers in the meeting block only some are dialled with the conference ID.")
        if found and self._has_another([span for each in found.values() for span in each.shown], last):
            self._doubt = sentence("The meeting block shows a number, or an ID, of which nobody can tell whose it is.")
        return list(found.values())

    def _begins_elsewhere(self, at: int, display: Span | None) -> bool:
        """Tell whether digits stand before a telephone link that are none of the number found there."""
        text = self._outside_links
        end = display.start if display else at
        before = text[max(text.rfind("\n", 0, end) + 1, end - 40) : end]
        if display is None:
            return any(map(str.isdigit, before))
        return self._text(display)[0] != "+" and bool(re.search(r"[\d+＋]\W{0,4}\Z", before))

    def _has_another(self, numbers: Sequence[Span], end: int) -> bool:
        """Tell whether the part about the phone has digits like those of another number or ID."""
        start = min((span.start for span in numbers), default=end)
        text = _without(self.text_of_phone, [*numbers, *self.id_places])
        return _AT_HOME.search(text, min(start, self._first_phone or start), max(end, start)) is not None

    @cached_property
    def _end_of_phone(self) -> int:
        """Where the part about the phone ends: with the last place that shows the conference ID."""
        places = [span.end for span in self.id_places] + [link.at.end for link in self.links_with_id]
        return max(places, default=0)

    def _display_before(self, at: int) -> Span | None:
        """Return where the number stands that a telephone link right behind it dials."""
        text = self._outside_links
        rest = _NOTHING.sub("", text[max(at - 80, 0) : at])
        begin = max(at - 80, 0)
        dialled = _DIALLED_LAST.search(rest)
        if dialled is not None:
            rest = rest[: dialled.start()]
        best = None
        for found in SHOWN.finditer(rest):
            best = found
        if best is not None and _NOTHING.match(rest, best.end()):
            return Span(begin + best.start(), begin + best.end())
        at_home = SHOWN_AT_HOME.search(rest)
        return Span(begin + at_home.start(), begin + at_home.end()) if at_home else None

    def _add_place(self, number: Number, at: int, *, has_link: bool) -> None:
        """Note the places beside a number: behind it on its line, and in Skype's blocks behind the language."""
        text = self.reading.text
        end = min((found for sign in ("\n", LINK) if (found := text.find(sign, at)) >= 0), default=len(text))
        rest = text[at:end]
        if self.found.kind is not Kind.SKYPE:
            place = place_in(rest, number.e164, self.known.places.get(number.e164, ""))
            if place is None and self.found.kind is Kind.TEAMS and (place := _by_position(rest)) and not place.has_city:
                self._doubt = sentence("What stands beside a number may be its place, or something else.")
            if place is not None:
                number.places.append((Span(at + place.start, at + place.end), place))
            return
        region = None if has_link else _REGION.match(rest)
        if region is not None:
            span = Span(at + region.start(1), at + region.end(1))
            number.places.append((span, Place(*region.span(1), has_country=False, has_city=True)))
        if (country := _CULTURE.match(text, at)) is not None:
            number.places.append((Span(*country.span(1)), Place(*country.span(1), has_country=True, has_city=False)))

    def parts(self) -> tuple[int, int, bool]:
        """Return how many toll and toll-free numbers it shows, and whether it shows a conference ID."""
        numbers = self.numbers
        toll_free = sum(self.known.is_toll_free(number.e164) for number in numbers)
        return len(numbers) - toll_free, toll_free, bool(self.conference_id)

    def of_kind(self, *, toll_free: bool) -> list[Number]:
        """Return its numbers of one kind."""
        return [number for number in self.numbers if self.known.is_toll_free(number.e164) is toll_free]

    def still_shows(self, old: BlockFacts, wanted: Set[str]) -> bool:
        """Tell whether a number or the ID of an old block is still there, however it is written."""
        gone = {number.e164 for number in old.numbers} - wanted
        text = self.reading.text
        if gone and digits_in(text.encode("utf-8", "surrogateescape"), gone) and numbers_in(text, gone):
            return True
        digits = old.conference_id if old.conference_id != self.conference_id else ""
        return bool(digits) and re.search(_loosely(digits), self.text_of_phone) is not None

    @cached_property
    def language(self) -> str:
        """The language it is written in (ISO 639-1), by its links, its marker or its markup; "" where none says."""
        for link in self.links:
            if found := _LANGUAGE_IN_LINK.search(link.url):
                return found[1].lower()
        if found := _LCID.search(self.reading.text):
            code = windows_locale.get(int(found[2]) if found[2] else _lcid(found[1]), "")
            if code:
                return code.partition("_")[0].lower()
        tag = _LANGUAGE_OF_TAG.search(self._value, self.found.cut.start, self.found.cut.end) if self.is_html else None
        return tag[1].decode("ascii").lower() if tag else ""

    def disagreements(self, other: BlockFacts) -> Iterator[Sentence]:
        """Yield what this block and its other form, text or HTML, say differently where both say it (R40)."""
        mine, theirs = self.online_meeting, other.online_meeting
        for name in ("meeting_id", "passcode", "tenant_key", "video_id"):
            one, two = getattr(mine, name), getattr(theirs, name)
            if name in {"meeting_id", "video_id"}:
                one, two = digits_of(one), digits_of(two)
            if one and two and one != two:
                yield _NAMES[name]
        if self.conference_id and other.conference_id and self.conference_id != other.conference_id:
            yield sentence("The plain-text and the HTML description show a different conference ID.")
        numbers, others = ({number.e164 for number in facts.numbers} for facts in (self, other))
        if numbers and others and numbers != others:
            yield sentence("The plain-text and the HTML description show a different telephone number.")


_NAMES = {
    "meeting_id": sentence("The plain-text and the HTML description show a different meeting ID."),
    "passcode": sentence("The plain-text and the HTML description show a different passcode."),
    "tenant_key": sentence("The plain-text and the HTML description show a different tenant key."),
    "video_id": sentence("The plain-text and the HTML description show a different video ID."),
}


class _Video(NamedTuple):
    tenant_key: Span | None
    video_id: Span | None
    help_url: str


_NO_VIDEO = _Video(None, None, "")


def shown_id(facts: Sequence[BlockFacts]) -> str:
    """Return the conference ID that some forms of one block show; "" where none does."""
    return next((each.conference_id for each in facts if each.conference_id), "")


def query_ids(url: str, digits: str) -> list[tuple[int, int]]:
    """Return where an ID is the value of one of a link's parameters."""
    return [found.span(1) for found in _QUERY.finditer(url) if found[1] == digits]


def _loosely(digits: str) -> str:
    """Return a pattern of an ID with whatever one may write between its digits."""
    return r"(?<!\d)" + r"[\W_]{0,2}".join(digits) + r"(?!\d)"


def _lcid(text: str) -> int:
    """Return a locale's number, which is written in decimal or in hexadecimal digits."""
    return int(text) if text.isdigit() and int(text) in windows_locale else int(text, 16)


def _by_position(rest: str) -> Place | None:
    """Return the place of a Teams number: what follows it on its line, before a bracket."""
    found = re.match(r"[ \xa0#]*([^\s()|\x02,#][^()|\x02\n]*?)[ \xa0]*(?=[(|\x02\n]|\Z)", rest)
    return Place(*found.span(1), has_country=True, has_city="," in found[1], is_country_first=True) if found else None


def _without(text: str, spans: Sequence[Span]) -> str:
    """Return a text of the same length in which nothing stands at some places."""
    pieces, at = [], 0
    for start, end in sorted(spans):
        if end > at:
            pieces += [text[at:start], LINK * (end - max(start, at))]
            at = end
    return "".join([*pieces, text[at:]])
