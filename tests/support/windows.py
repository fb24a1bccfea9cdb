"""Windows of a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
"""Opens an address in a window of its own; see the fixture ``open_page``."""


def open_with_clock(open_page: Open, address: str) -> Page:
    """The page with a clock that the test can put forward, and a mark that a reload would take away."""
    page = open_page("about:blank")
    page.clock.install()
    page.goto(address)
    page.evaluate("window.isTheSamePage = true")
    return page


def pass_by(page: Page, seconds: int) -> None:
    page.clock.run_for(seconds * 1000)
