"""The tabs of a tenant's pages: every page belongs to one of them, and shows which."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.test import Client, RequestFactory
from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver

from mms_site.navigation import BELOW_A_TENANT, tabs
from tenants_app.models import Bridge, ConferencingUser

TAB_OF = {
    "": "Dashboard",
    "left/": "Dashboard",
    "search/": "Dashboard",
    "first-steps/": "Dashboard",
    "previews/": "Users",
    "failures/": "Dashboard",
    "errors/": "Dashboard",
    "lists/": "Dashboard",
    "migrations/": "History",
    "meetings/": "History",
    "users/": "Users",
    "notices/": "Users",
    "tool/": "Users",
    "bridges/": "Bridges",
    "releases/": "Bridges",
    "rollouts/": "Rollouts",
    "chat/": "Chat",
    "settings/": "Settings",
    "people/": "Settings",
    "dial-in/": "Settings",
    "audit/": "Audit",
}
"""How the routes below a tenant begin, and the tab that they belong to."""


def routes_below_a_tenant(resolver: URLResolver | None = None, route: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from routes_below_a_tenant(pattern, f"{route}{pattern.pattern}")
        elif isinstance(pattern, URLPattern) and route.startswith(BELOW_A_TENANT):
            yield f"{route}{pattern.pattern}"


def marked(page: str) -> list[str]:
    """The labels of the tabs that the page marks as where one is."""
    links = re.findall(r"<a ([^>]*)>(?:(?!</a>).)*?</svg>([^<]*)</a>", page.partition('class="tabs"')[2], re.DOTALL)
    return [label.strip() for attributes, label in links if "aria-current" in attributes]


@pytest.mark.parametrize("route", list(routes_below_a_tenant()))
def test_every_address_below_a_tenant_belongs_to_one_tab(route: str) -> None:
    request = RequestFactory().get("/")
    request.resolver_match = ResolverMatch(marked, (), {"slug": "contoso"}, route=route)
    part = re.sub(r"(/).*", r"\1", route.removeprefix(BELOW_A_TENANT))

    assert [tab.label for tab in tabs(request)["tabs"]() if tab.is_here] == [TAB_OF[part]], (
        f"Say in mms_site/navigation.py which tab {route} belongs to."
    )


@pytest.mark.parametrize(
    ("address", "tab"),
    [
        ("/contoso/", "Dashboard"),
        ("/contoso/users/actions/", "Users"),
        ("/contoso/users/planned/", "Users"),
        ("/contoso/migrations/", "History"),
        ("/contoso/users/", "Users"),
        ("/contoso/users/anna.rossi@contoso.com/", "Users"),
        ("/contoso/users/anna.rossi@contoso.com/meetings/", "Users"),
        ("/contoso/users/import/", "Users"),
        ("/contoso/bridges/", "Bridges"),
        ("/contoso/bridges/{bridge}/", "Bridges"),
        ("/contoso/bridges/{bridge}/remove/", "Bridges"),
        ("/contoso/releases/", "Bridges"),
        ("/contoso/settings/", "Settings"),
        ("/contoso/settings/rules/", "Settings"),
        ("/contoso/audit/", "Audit"),
    ],
)
def test_a_page_marks_the_tab_it_belongs_to_and_no_other(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge, address: str, tab: str
) -> None:
    page = alice.get(address.format(bridge=old_bridge.pk))

    assert page.status_code == 200
    assert marked(page.content.decode()) == [tab]


def test_a_form_that_is_shown_again_marks_the_tab_too(alice: Client, old_bridge: Bridge) -> None:
    page = alice.post(f"/contoso/bridges/{old_bridge.pk}/numbers/add/", {"number": "one"})

    assert "Nothing was saved." in page.content.decode()
    assert marked(page.content.decode()) == ["Bridges"]


def test_pages_beside_the_tenants_have_no_tabs(alice: Client) -> None:
    assert 'class="tabs"' not in alice.get("/contoso/nothing/here/").content.decode()
    assert "tabs" not in tabs(RequestFactory().get("/accounts/login/"))
