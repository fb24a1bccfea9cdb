"""Pasted or scheduled: what speaks for a meeting block being this meeting's own, and what against it.

A block that was copied from another meeting has no counterpart on the old server and is not migrated (R20). That the
add-in's properties are missing proves nothing: Outlook leaves them out when it saves a meeting as a file.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from migrations_app.rewriting import links
from migrations_app.rewriting.components import (
    CONF_LINK,
    EXTERNAL_LINK,
    TEAMS_PROPERTIES,
    TEAMS_URL,
    Component,
)
from migrations_app.rewriting.frames import Found
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rows import Kind
from migrations_app.rewriting.services import Service, service_of
from tenants_app.sentences import Sentence, sentence

_FOCUS_ID = re.compile(r"focus:id:([A-Z0-9]{8})(?![A-Za-z0-9:])")


class Verdict(StrEnum):
    """What a piece of evidence says about a block."""

    SCHEDULED = "scheduled"
    PASTED = "pasted"
    SILENT = "says nothing"


class Evidence(NamedTuple):
    """One observation, as a sentence for an administrator.

    A proof holds even for a block in a quoted message. A block that is foreign is left alone unless there is a proof.
    """

    verdict: Verdict
    sentence: Sentence
    is_proof: bool = False
    is_foreign: bool = False


def evidence_of(component: Component, own: Own) -> Iterator[Evidence]:
    """Yield the evidence about the block of a component that has one. A single piece against it decides."""
    found = component.blocks[0]
    service = service_of(found.joins.values(), own.key, own.remembered_as_link)
    if service is Service.LINK and found.kind is Kind.OWN:
        # The key follows from the meeting's UID, so whose name stands before it does not matter any more.
        yield _proof(sentence("The block is this service's own, written for this meeting."))
        return
    is_remembered = not own.remembered.isdisjoint(found.names)
    if is_remembered:
        yield _proof(sentence("The join link is the one that MMS remembers for this meeting."))
    elif own.is_of_another_meeting is not None and any(map(own.is_of_another_meeting, found.names)):
        yield Evidence(
            Verdict.PASTED, sentence("The meeting block was copied from another meeting, of which MMS knows.")
        )
    if service is Service.SKYPE:
        yield from _about_user(component, own)
        if found.kind is Kind.OWN and not own.remembered & found.names:
            yield from _about_own_frame(component, found)
    # A run that was cut off may have written an occurrence before its series, whose properties are the old ones still.
    if not is_remembered or component.machine_read or not component.recurrence_id:
        yield from _about_properties(component, found)
    if service is Service.TEAMS:
        yield from _about_meeting_options(component, found)


def _about_own_frame(component: Component, found: Found) -> Iterator[Evidence]:
    """Tell a block that MMS wrote around a Skype for Business meeting from one of another `Link` meeting.

    The first has the link into the web app, or the event's properties name its meeting.
    """
    has_web_app = any(map(links.web_app_link, found.links))
    of_event = {links.comparable(component.effective.get(name, "")) for name in (EXTERNAL_LINK, TEAMS_URL)}
    if not has_web_app and of_event.isdisjoint(found.names):
        yield Evidence(Verdict.PASTED, sentence("The meeting block was copied from another meeting of this service."))


def _about_user(component: Component, own: Own) -> Iterator[Evidence]:
    found = component.blocks[0]
    owner = links.owner_of(found.join_url)
    if not owner:
        return
    if "@" not in owner and own.is_named_in(owner):
        yield Evidence(Verdict.SCHEDULED, sentence("The join link names the organizer."))
    elif own.belongs_to_someone_else is not None and own.belongs_to_someone_else(owner):
        yield Evidence(Verdict.PASTED, sentence("The meeting block carries a join link of another person."))
    elif own.is_named_in(owner):
        yield Evidence(Verdict.SCHEDULED, sentence("The join link has the organizer's name, of another domain."))
    elif own.belongs_to_someone_else is None:
        yield Evidence(Verdict.SILENT, sentence("The join link names another person; whether a user, was not asked."))
    elif not links.is_of_organization(found.join_url, own.domains | {component.organizer_domain} - {""}):
        yield Evidence(
            Verdict.SILENT,
            sentence("Neither the server nor the name in the join link is the organizer's."),
            is_foreign=True,
        )
    else:
        yield Evidence(
            Verdict.SILENT,
            sentence("The join link names somebody whom MMS does not know, perhaps the organizer's earlier name."),
        )


def _about_properties(component: Component, found: Found) -> Iterator[Evidence]:
    properties = component.effective
    if not properties:
        yield Evidence(
            Verdict.SILENT,
            sentence(
                "The event has no properties of a meeting add-in. Outlook's files never have them, so this "
                "proves nothing."
            ),
        )
        return
    thread, names = found.thread, found.names
    for name in (EXTERNAL_LINK, TEAMS_URL):
        if name not in properties:
            continue
        link = properties[name]
        threads = (thread, links.teams_thread(link))
        if links.comparable(link) in names or (all(threads) and not _differ(*threads)):
            yield _proof(sentence("The event's own join link is the one in its meeting block."))
        elif not all(threads) and all(links.other_form(link, url) for url in found.joins.values()):
            yield Evidence(
                Verdict.SILENT, sentence("The event's own join link is of another form and cannot be compared.")
            )
        else:
            yield Evidence(Verdict.PASTED, sentence("The event's own join link is not the one in its meeting block."))
    if CONF_LINK in properties:
        yield _about_conference(properties[CONF_LINK], found, thread)
    if thread and _differ(thread, links.teams_thread(properties.get(TEAMS_PROPERTIES, ""))):
        yield Evidence(Verdict.PASTED, sentence("The event belongs to another online meeting than its meeting block."))


def _about_meeting_options(component: Component, found: Found) -> Iterator[Evidence]:
    organizer = next(filter(None, map(links.teams_organizer, found.joins.values())), "")
    thread = next(filter(None, map(links.teams_thread, found.joins.values())), "")
    for block in component.blocks:
        for options in filter(None, map(links.meeting_options, block.links)):
            if _differ(organizer, options[0]) or _differ(thread, options[1]):
                yield Evidence(
                    Verdict.PASTED, sentence("The meeting options in the meeting block belong to another meeting.")
                )
            else:
                yield Evidence(
                    Verdict.SCHEDULED, sentence("The meeting options in the block belong to the same meeting.")
                )


def _proof(words: Sentence) -> Evidence:
    return Evidence(Verdict.SCHEDULED, words, is_proof=True)


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _about_conference(link: str, found: Found, thread: str) -> Evidence:
    """Compare the conference that the event belongs to: a key, or the thread of a Teams meeting."""
    focus = _FOCUS_ID.search(link)
    its_thread = links.teams_thread(link)
    if not any(map(links.is_teams, found.joins.values())):
        key = links.key_of(found.join_url)
        is_other, is_same = "focus:id:teams:" in link or bool(focus and focus[1] != key), focus is not None
    else:
        is_other, is_same = focus is not None or _differ(thread, its_thread), bool(thread and its_thread)
    if is_other:
        return Evidence(Verdict.PASTED, sentence("The event belongs to another online meeting than its meeting block."))
    if is_same:
        return _proof(sentence("The event's conference is the one of its meeting block."))
    return Evidence(Verdict.SILENT, sentence("The event's conference cannot be compared with its meeting block."))
