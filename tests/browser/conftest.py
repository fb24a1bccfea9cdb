"""One Chromium for all tests of this folder, and for each test windows of its own in which nothing may go wrong.

The live server makes the tests' database transactional, so that its threads see what a test has stored.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.support.visitors import sign_in
from tests.support.windows import Open

try:
    from playwright.sync_api import Browser, Page, sync_playwright
except ModuleNotFoundError:  # `make test` does not need it; `make test-browser` installs it, or finds no test here
    collect_ignore_glob = ["test_*.py"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, f"No browser is installed: install one of {', '.join(BROWSERS)}."
    with pytest.MonkeyPatch.context() as patch:
        # Playwright's sync API keeps an event loop running in the thread of the tests, and there Django would refuse
        # every query of a test as one from asynchronous code. None is: only playwright itself uses that loop.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found, args=SWITCHES)
            yield browser
            browser.close()


REQUEST_ENDED = "htmx:afterRequest"
"""Begins the first error in the console about a request that the browser or the server has cut off."""


@pytest.fixture
def faults() -> list[str]:
    """What went wrong in the windows of the test so far; a test that provokes a fault clears it."""
    return []


@pytest.fixture
def open_page(browser: Browser, live_server: Any, cast: None, faults: list[str]) -> Iterator[Open]:
    """Opens an address in a window of its own, signed in as ``name`` ("": as nobody); then no fault may have come up.

    A fault is an error or a warning in the console (the browser also reports there what the content security policy
    refuses), an exception that no script catches, or a part of the page that the server does not give.
    """
    contexts = []

    def open_page(address: str, name: str = "alice", **options: Any) -> Page:
        context = browser.new_context(base_url=live_server.url, locale="en-GB", reduced_motion="reduce", **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        if name:
            session = sign_in(name).cookies[settings.SESSION_COOKIE_NAME].value
            context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on("console", lambda message: note(page, message))
        page.on("response", lambda response: note_response(page, response))
        page.goto(address)
        return page

    def note(page: Page, message: Any) -> None:
        # What the server refuses is noted with its status, except for the page itself: error pages are pages too.
        refused = message.text.startswith("Failed to load resource: the server responded")
        if message.text.startswith("htmx:sendAbort"):
            # The page was left while it asked for something, which htmx reports in two errors: this is the second.
            if faults and f": {REQUEST_ENDED}" in faults[-1]:
                faults.pop()
        elif message.type in {"error", "warning"} and not refused:
            faults.append(f"{page.url}: {message.text}")

    def note_response(page: Page, response: Any) -> None:
        if response.status >= 400 and not response.request.is_navigation_request():
            faults.append(f"{page.url}: {response.url} answers {response.status}")

    yield open_page
    found = list(faults)  # before the windows close, which cuts off what they just ask for
    for context in contexts:
        context.close()
    assert found == []
