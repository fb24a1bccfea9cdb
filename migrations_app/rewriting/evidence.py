"""Pasted or scheduled: what speaks for a meeting block being this meeting's own, and what against it.

A block that was copied from another meeting has no counterpart on the old server and is not migrated (R20). That the
add-in's properties are missing proves nothing: Outlook leaves them out when it saves a meeting as a file.
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from migrations_app.rewriting import links
from migrations_app.rewriting.components import (
    CONF_LINK,
    EXTERNAL_LINK,
    MACHINE_READ,
    TEAMS_PROPERTIES,
    TEAMS_URL,
    Component,
)
from migrations_app.rewriting.frames import Found, Kind

_FOCUS_ID = re.compile(r"focus:id:([A-Z0-9]{8})(?![A-Za-z0-9:])")


class Verdict(StrEnum):
    """What a piece of evidence says about a block."""

    SCHEDULED = "scheduled"
    PASTED = "pasted"
    SILENT = "says nothing"


class Evidence(NamedTuple):
    """One observation, as a sentence for an administrator."""

    verdict: Verdict
    sentence: str


def evidence_of(
    component: Component, own_url: str, belongs_to_someone_else: Callable[[str], bool] | None
) -> Iterator[Evidence]:
    """Yield what there is to say about the block of a component that has one; one word against it decides.

    `own_url` is the join link the meeting is about to get; `belongs_to_someone_else` is asked with the user segment
    of a join link.
    """
    found = component.blocks[0]
    if found.kind is not Kind.TEAMS:
        yield from _about_user(found, own_url, belongs_to_someone_else)
    if found.kind is Kind.OWN:
        if links.key_of(found.join_url) == links.key_of(own_url):
            yield Evidence(Verdict.SCHEDULED, "The block is this service's own, written for this meeting.")
        else:
            yield Evidence(Verdict.PASTED, "The meeting block was copied from another meeting of this service.")
        return
    yield from _about_properties(component, found)
    if found.kind is Kind.TEAMS:
        yield from _about_meeting_options(component, found)


def _about_user(
    found: Found, own_url: str, belongs_to_someone_else: Callable[[str], bool] | None
) -> Iterator[Evidence]:
    user = links.user_segment(found.join_url)
    if not user:
        return
    if user.lower() == links.user_segment(own_url).lower():
        yield Evidence(Verdict.SCHEDULED, "The join link names the organizer.")
    elif belongs_to_someone_else is not None and belongs_to_someone_else(user):
        yield Evidence(Verdict.PASTED, "The meeting block carries a join link of another person.")
    else:
        yield Evidence(
            Verdict.SILENT, "The join link names somebody whom MMS does not know, perhaps the organizer's earlier name."
        )


def _about_properties(component: Component, found: Found) -> Iterator[Evidence]:
    properties = component.machine_read
    thread = _thread_of(found)
    for name in (EXTERNAL_LINK, TEAMS_URL):
        if name not in properties:
            continue
        link = properties[name]
        threads = (thread, links.teams_thread(link))
        if links.same_meeting_link(link, found.join_url) or (all(threads) and not _differ(*threads)):
            yield Evidence(Verdict.SCHEDULED, "The event's own join link is the one in its meeting block.")
        elif links.other_form(link, found.join_url) and not all(threads):
            yield Evidence(Verdict.SILENT, "The event's own join link is of another form and cannot be compared.")
        else:
            yield Evidence(Verdict.PASTED, "The event's own join link is not the one in its meeting block.")
    if CONF_LINK in properties:
        if _same_focus(properties[CONF_LINK], found, thread):
            yield Evidence(Verdict.SCHEDULED, "The event's conference is the one of its meeting block.")
        else:
            yield Evidence(Verdict.PASTED, "The event belongs to another online meeting than its meeting block.")
    if found.kind is Kind.TEAMS and _differ(thread, links.teams_thread(properties.get(TEAMS_PROPERTIES, ""))):
        yield Evidence(Verdict.PASTED, "The event belongs to another online meeting than its meeting block.")
    if not MACHINE_READ & properties.keys():
        yield Evidence(
            Verdict.SILENT,
            "The event has no properties of a meeting add-in. Outlook's files never have them, so this proves nothing.",
        )


def _about_meeting_options(component: Component, found: Found) -> Iterator[Evidence]:
    organizer, thread = links.teams_organizer(found.join_url), links.teams_thread(found.join_url)
    for block in component.blocks:
        for options in filter(None, map(links.meeting_options, block.links)):
            if _differ(organizer, options[0]) or _differ(thread, options[1]):
                yield Evidence(Verdict.PASTED, "The meeting options in the meeting block belong to another meeting.")
            else:
                yield Evidence(Verdict.SCHEDULED, "The meeting options in the block belong to the same meeting.")


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _thread_of(found: Found) -> str:
    """Return the thread of a Teams meeting; the short join link does not name it, the meeting options do."""
    options = (options[1] for options in map(links.meeting_options, found.links) if options is not None)
    return links.teams_thread(found.join_url) or next(options, "")


def _same_focus(conference_link: str, found: Found, thread: str) -> bool:
    focus = _FOCUS_ID.search(conference_link)
    if found.kind is Kind.SKYPE:
        key = links.key_of(found.join_url)
        return "focus:id:teams:" not in conference_link and not (focus and key and focus[1] != key)
    return focus is None and not _differ(thread, links.teams_thread(conference_link))
