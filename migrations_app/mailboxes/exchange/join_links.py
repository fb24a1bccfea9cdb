"""Join links of events: where they must stand, and whether they are what they were."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent
from migrations_app.rewriting import links
from tenants_app.sentences import sentence

_LONGEST, _OF_KEY = 80, 24
"""Characters of a link that is told in full, and of a meeting's key that are told of a longer one."""


def with_exceptions(event: ExchangeEvent) -> Iterator[ExchangeEvent]:
    """The event, and those of its series that differ from it."""
    yield event
    yield from event.exceptions


def unshown_link(event: ExchangeEvent) -> str:
    """The Teams link by which the server knows the meeting, or an exception of it, and which the text of that does not
    show; empty where all do."""
    for each in with_exceptions(event):
        if links.is_teams(each.join_url) and not stands_in(each.join_url, each.body):
            return each.join_url
    return ""


def lost_link(event: ExchangeEvent, changes: Sequence[Change]) -> str:
    """The Teams link by which the server knows an event, and which its new body does not show: Exchange would take the
    online meeting away. Empty where all do."""
    bodies = _bodies(changes)
    for each in with_exceptions(event):
        if each.id in bodies and links.is_teams(each.join_url) and not stands_in(each.join_url, bodies[each.id]):
            return each.join_url
    return ""


def changed_link(before: ExchangeEvent, after: ExchangeEvent, changes: Sequence[Change]) -> str:
    """How a join link is not what it was to be, in a clause; empty where all are.

    A link that the text written still shows was to be kept, by the server and in the text. Where it shows another, the
    server may know the meeting by that one, or by none of Teams.
    """
    bodies = _bodies(changes)
    was = {each.id: each for each in with_exceptions(before)}
    for each in with_exceptions(after):
        if each.id not in bodies or each.id not in was:
            continue
        sent, old = bodies[each.id], was[each.id].join_url
        if old and stands_in(old, sent):
            if _plain(each.join_url) != _plain(old):
                return (
                    sentence("it was %(old)s, and is %(new)s now", old=_in_short(old), new=_in_short(each.join_url))
                    if _in_short(each.join_url)
                    else sentence("it was %(old)s, and is none now", old=_in_short(old))
                )
        elif links.is_teams(each.join_url) and not stands_in(each.join_url, sent):
            return sentence("the invitation shows another, and the server has %(link)s", link=_in_short(each.join_url))
        for link in _join_links(sent):
            if not stands_in(link, each.body):
                return sentence("%(link)s does not stand in the invitation any more", link=_in_short(link))
    return ""


def stands_in(link: str, text: str) -> bool:
    """Whether a text shows a link into the meeting that this one leads into, however it is written there: escaped,
    encoded, or wrapped by a mail filter.

    A Teams link of the other form (:func:`links.other_form`) counts, because nobody can tell that it leads elsewhere.
    """
    if _plain(link) in _plain(text):
        return True
    wanted = links.comparable(link)
    return any(links.comparable(each) == wanted or links.other_form(link, each) for each in _join_links(text))


def _bodies(changes: Sequence[Change]) -> Mapping[str, str]:
    return {change.event_id: change.body for change in changes if change.body is not None}


def _join_links(text: str) -> Iterator[str]:
    for link in links.links_in(html.unescape(text)):
        if links.is_teams(link) or links.skype_link(link):
            yield link


def _in_short(link: str) -> str:
    """A link as a sentence can hold it: of the 250 characters of a Teams link, those that tell it from others."""
    words, _, key = unquote(unquote(link)).partition("meeting_")
    if len(link) <= _LONGEST or not key:
        return link
    return f"{words.partition('://')[2].partition('/')[0]}/…meeting_{key[:_OF_KEY]}…"


def _plain(text: str) -> str:
    return unquote(unquote(html.unescape(text))).casefold().rstrip("/")
