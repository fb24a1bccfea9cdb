"""Template tags that lead from what went wrong to where it is put right."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import template
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from migrations_app.cures import CURES, Place, place_of
from migrations_app.failures import do_when_given_up, entry_of, happened
from migrations_app.models import MeetingResult, Run
from migrations_app.runs.failed import Group
from tenants_app.models import ConferencingUser

register = template.Library()


class Link(NamedTuple):
    """Where something is put right."""

    label: str
    address: str


@register.inclusion_tag("parts/failure_in_full.html")
def failure_in_full(
    slug: str,
    code: str,
    detail: str = "",
    *,
    user: ConferencingUser | None = None,
    run: Run | None = None,
    result: MeetingResult | None = None,
    cause: str = "",
    here: str = "",
) -> dict[str, Any]:
    """What happened, what to do, a link to where that is done, and one to the catalogue (R31).

    ``user.bridge`` and ``user.mailbox`` should be loaded already. ``cause`` is the code to be cured, where the retries
    are used up; ``here`` the address of the page, to which no link is needed.
    """
    if not code:
        return {}
    found = cure(slug, cause or code, user, run, result)
    return {
        "slug": slug,
        "what": happened(code, detail),
        "do": do_when_given_up(cause) if cause else entry_of(code).do,
        "cure": found if found and found.address != here else None,
        "code": cause or code,
    }


@register.simple_tag
def cure(
    slug: str,
    code: str,
    user: ConferencingUser | None = None,
    run: Run | None = None,
    result: MeetingResult | None = None,
) -> Link | None:
    """The page on which the code is put right for this user, run and meeting; None where there is none."""
    place = place_of(code)
    if place in {Place.SETTINGS, Place.MAIL, Place.ALERTS}:
        return _of_tenant(place, slug)
    if place in {Place.CHAT_TARGET, Place.CHAT_PLAN}:
        return Link(_("Open Chat"), reverse("chat", args=[slug]))
    if user is None:
        return None
    own = Link(_("Open the user"), reverse("user", args=[slug, user.upn]))
    if place == Place.BRIDGE and user.bridge:
        return Link(_open("bridge", user.bridge.name), reverse("bridge", args=[slug, user.bridge_id]))
    if place == Place.CONNECTION and (connection := user.mailbox_connection or user.tenant.teams_connection):
        address = reverse("mailbox-connection", args=[slug, connection.pk])
        return Link(_open("mailbox-connection", connection.name), address)
    if place == Place.MEETING_SERVICE and not user.meeting_service:
        return _of_tenant(Place.SETTINGS, slug)
    if place == Place.TOOL:
        return Link(_("Open the tool"), f"{reverse('tool', args=[slug])}?{urlencode({'user': user.upn})}")
    if place == Place.START:
        return Link(_("Start with options"), reverse("start-options", args=[slug, user.upn]))
    if place == Place.RUN and run:
        return Link(_("Open the run"), reverse("run", args=[slug, run.correlation_id]))
    if place == Place.UNDO and run:
        return Link(_("Undo the run"), reverse("undo-run", args=[slug, run.correlation_id]))
    if place == Place.MEETING and run:
        return _meeting(slug, user, run, result)
    return own if place else None


def _of_tenant(place: Place | None, slug: str) -> Link:
    if place == Place.MAIL:
        return Link(_("Open Mail"), reverse("mail", args=[slug]))
    if place == Place.ALERTS:
        return Link(_("Open Alerts"), reverse("alerts", args=[slug]))
    return Link(_("Open Settings"), reverse("settings", args=[slug]))


def _open(page: str, name: str) -> str:
    said = _("Open the bridge %(name)s") if page == "bridge" else _("Open the connection %(name)s")
    return said % {"name": name}


def _meeting(slug: str, user: ConferencingUser, run: Run, result: MeetingResult | None) -> Link:
    if result:
        return Link(_("Open the meeting"), reverse("meeting-story", args=[slug, user.upn, result.uid]))
    return Link(_("Show the failed meetings"), f"{reverse('run', args=[slug, run.correlation_id])}?outcome=Failed")


@register.simple_tag
def cures_of(slug: str, group: Group) -> list[tuple[Link, int]]:
    """The pages on which the failures of a group are put right, and for how many users; empty where each user's has
    one of its own, or none has."""
    place = place_of(group.code)
    if place in {Place.SETTINGS, Place.MAIL}:
        return [(_of_tenant(place, slug), group.users)]
    name = "bridge" if place == Place.BRIDGE else "mailbox-connection"
    return [
        (Link(_open(name, thing.name), reverse(name, args=[slug, thing.key])), users)
        for thing, users in group.things.items()
    ]


@register.filter
def cure_in_words(code: str) -> str:
    """Where the code is put right, or why nowhere, as a sentence; empty where the entry says that itself."""
    found = CURES[code]
    if isinstance(found, Place):
        return _("Where: %(place)s.") % {"place": _(found.value).replace("*", "")}
    return "" if entry_of(code).cures_by_waiting else found


@register.filter
def is_cured_by_undo(code: str) -> bool:
    """Whether an undo puts it right, and a retry would only hide it."""
    return place_of(code) == Place.UNDO


@register.filter
def do_now(code: str) -> str:
    """What to do about runs that failed by this and are not tried again."""
    return do_when_given_up(code) if entry_of(code).cures_by_waiting else entry_of(code).do


@register.filter
def entry(code: str) -> Any:
    """The catalogue's entry of a code."""
    return entry_of(code)
