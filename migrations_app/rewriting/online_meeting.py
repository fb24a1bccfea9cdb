"""What leads into an online meeting, as its service named it or as an invitation shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from migrations_app.rewriting import links
from tenants_app.sentences import Sentence, sentence

TO_BE_MADE = "made when the run starts"
"""Stands for the join link of a meeting that a preview does not ask for."""


@dataclass(frozen=True, slots=True)
class DialInFacts:
    """How people phone into one meeting, as its service says (R43): all empty where it says that nobody can.

    Numbers are E.164, the conference ID is its digits alone.
    """

    toll: str = ""
    toll_free: str = ""
    conference_id: str = ""
    local_numbers_url: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether somebody can dial in with them."""
        return bool(self.conference_id and (self.toll or self.toll_free))

    @property
    def of_all_meetings(self) -> str:
        """What holds for every meeting of the organizer: the same without the conference ID, as one text."""
        page = self.local_numbers_url
        if page.endswith(f"{_ID_OF_PAGE}{self.conference_id}"):
            page = page.removesuffix(self.conference_id)
        return "\n".join((self.toll, self.toll_free, page)) if self.is_complete else ""

    @classmethod
    def of_meeting(cls, of_all_meetings: str, conference_id: str) -> DialInFacts:
        """Those of a meeting with this conference ID, by what :attr:`of_all_meetings` was of another one."""
        toll, toll_free, page = of_all_meetings.split("\n")
        if page.endswith(_ID_OF_PAGE):
            page = f"{page}{conference_id}" if conference_id else page.removesuffix(_ID_OF_PAGE)
        return cls(toll, toll_free, conference_id, page)


_ID_OF_PAGE = "?id="


@dataclass(frozen=True, slots=True)
class OnlineMeeting:
    """Links and digits that lead into one online meeting, each exactly as it must be written (R40); "" where none."""

    join_url: str
    second_join_url: str = ""
    """A link to the same meeting in another form: the long one of Teams beside the short one."""
    web_app_url: str = ""
    meeting_id: str = ""
    passcode: str = ""
    tenant_key: str = ""
    """What a video device dials, and then the video ID."""
    video_id: str = ""
    video_help_url: str = ""
    options_url: str = ""
    shared_notes_url: str = ""
    phone: DialInFacts | None = field(default=None, compare=False)
    """What its service says of dialling in; None where that is none of the service's business."""

    def named(self) -> Iterator[tuple[Sentence, str]]:
        """Yield what there is of it besides the join link, each with what people call it."""
        for name, called in NAMES.items():
            if value := getattr(self, name):
                yield called, value


NAMES = {
    "second_join_url": sentence("Same meeting, another link"),
    "web_app_url": sentence("Web app"),
    "meeting_id": sentence("Meeting ID"),
    "passcode": sentence("Passcode"),
    "tenant_key": sentence("Tenant key"),
    "video_id": sentence("Video ID"),
    "video_help_url": sentence("Other ways in with a device"),
    "options_url": sentence("Meeting options"),
    "shared_notes_url": sentence("Shared notes"),
}


def merged(meetings: Sequence[OnlineMeeting]) -> OnlineMeeting:
    """Return what several forms of one invitation say of one meeting; the first that says something counts."""
    first, *others = meetings
    if not others:
        return first
    found = {each.name: getattr(first, each.name) for each in fields(first)}
    for other in others:
        for name, value in found.items():
            found[name] = value or getattr(other, name)
    joins: dict[str, str] = {}
    for url in (url for each in meetings for url in (each.join_url, each.second_join_url) if url):
        joins.setdefault(links.comparable(url), url)
    found["second_join_url"] = "".join(list(joins.values())[1:2])
    return OnlineMeeting(**found)
