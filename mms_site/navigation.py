"""The tabs of a tenant's pages, which of them a page belongs to, and the keys that lead to them.

Here, because they lead to pages of both apps, of which the one must not know the other's addresses.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import ResolverMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

BELOW_A_TENANT = "<slug:slug>/"
"""How the routes of all pages of a tenant begin."""


class Tab(NamedTuple):
    """One tab: what it reads, its icon, the name of the address it leads to, and what belongs to it.

    A page belongs to the tab in whose ``parts`` the first part of its address below the tenant stands; that of the
    tenant's first page is empty.
    """

    label: str
    icon: str
    leads_to: str
    parts: frozenset[str]


TABS = (
    Tab(
        _("Dashboard"),
        "layout-dashboard",
        "dashboard",
        frozenset({"", "failures", "errors", "first-steps", "left", "lists", "search"}),
    ),
    Tab(_("History"), "history", "history", frozenset({"migrations", "meetings"})),
    Tab(_("Users"), "users", "users", frozenset({"users", "previews", "notices", "tool"})),
    Tab(_("Bridges"), "phone-call", "bridges", frozenset({"bridges", "releases"})),
    Tab(_("Rollouts"), "arrows-exchange", "rollouts", frozenset({"rollouts"})),
    Tab(_("Chat"), "message-circle", "chat", frozenset({"chat"})),
    Tab(_("Settings"), "settings", "settings", frozenset({"settings", "dial-in", "people"})),
    Tab(_("Audit"), "clipboard-list", "audit", frozenset({"audit"})),
)


class GoKey(NamedTuple):
    """A key that after ``g`` leads to a page of the tenant: what the page is called, and the name of its address."""

    key: str
    label: str
    leads_to: str


GO_KEYS = (
    GoKey("d", _("Dashboard"), "dashboard"),
    GoKey("u", _("Users"), "users"),
    GoKey("h", _("History"), "history"),
    GoKey("b", _("Bridges"), "bridges"),
    GoKey("l", _("Meetings that need a person"), "left-meetings"),
    GoKey("f", _("Failures"), "failures"),
    GoKey("s", _("Settings"), "settings"),
    GoKey("a", _("Audit"), "audit"),
)


class GoTo(NamedTuple):
    """Such a key on a page of a tenant; elsewhere without an address."""

    key: str
    label: str
    address: str


class Link(NamedTuple):
    """A tab on a page."""

    label: str
    icon: str
    address: str
    is_here: bool


def tabs(request: HttpRequest) -> dict[str, Any]:
    """Context processor: the ``tabs`` of a page below a tenant, made when a template asks for them; none elsewhere.

    And the ``go_keys`` that lead to such pages, everywhere: one can look up which there are.
    """
    match = request.resolver_match
    if match is None or not match.route.startswith(BELOW_A_TENANT):
        return {"go_keys": partial(_go_keys, "")}
    return {"tabs": partial(_links, match), "go_keys": partial(_go_keys, match.kwargs["slug"])}


def _go_keys(slug: str) -> list[GoTo]:
    return [GoTo(key.key, gettext(key.label), reverse(key.leads_to, args=[slug]) if slug else "") for key in GO_KEYS]


def _links(match: ResolverMatch) -> list[Link]:
    part = match.route.removeprefix(BELOW_A_TENANT).partition("/")[0]
    slug = match.kwargs["slug"]
    return [Link(gettext(tab.label), tab.icon, reverse(tab.leads_to, args=[slug]), part in tab.parts) for tab in TABS]
