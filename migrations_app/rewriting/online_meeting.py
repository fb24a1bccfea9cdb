"""What leads into an online meeting, as its service named it or as an invitation shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from migrations_app.rewriting import links

TO_BE_MADE = "made when the run starts"
"""Stands for the join link of a meeting that a preview does not ask for."""


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

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield what there is of it besides the join link, each with what people call it."""
        for field in fields(self)[1:]:
            if value := getattr(self, field.name):
                yield NAMES[field.name], value


NAMES = {
    "second_join_url": "Same meeting, another link",
    "web_app_url": "Web app",
    "meeting_id": "Meeting ID",
    "passcode": "Passcode",
    "tenant_key": "Tenant key",
    "video_id": "Video ID",
    "video_help_url": "Other ways in with a device",
    "options_url": "Meeting options",
    "shared_notes_url": "Shared notes",
}


def merged(meetings: Sequence[OnlineMeeting]) -> OnlineMeeting:
    """Return what several forms of one invitation say of one meeting; the first that says something counts."""
    first, *others = meetings
    if not others:
        return first
    found = {field.name: getattr(first, field.name) for field in fields(first)}
    for other in others:
        for name, value in found.items():
            found[name] = value or getattr(other, name)
    joins: dict[str, str] = {}
    for url in (url for each in meetings for url in (each.join_url, each.second_join_url) if url):
        joins.setdefault(links.comparable(url), url)
    found["second_join_url"] = "".join(list(joins.values())[1:2])
    return OnlineMeeting(**found)
