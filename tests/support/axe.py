"""Asking axe-core whether people who see, hear or move differently can use a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = (Path(__file__).parent.parent / "vendor" / "axe.min.js").read_text("utf-8")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ASK = """async ([within, runOnly]) => {
    await Promise.all(document.getAnimations().map((animation) => animation.finished));
    return axe.run(within, { runOnly, resultTypes: ["violations"] });
}"""


COLOURS = ["color-contrast"]
"""The rule that is about nothing else than colours."""


def violations(page: Page, within: str = "html", rules: list[str] = STANDARDS) -> list[str]:
    """What the page as it is now breaks of WCAG 2.2 A and AA, and of good practice: the rule, where, and why."""
    if page.evaluate("!window.axe"):
        page.evaluate(AXE)  # by the debugger's way, so that the page's content security policy stays in force
    answer = page.evaluate(ASK, [within, rules])
    assert answer["passes"], "axe-core found nothing to look at"
    return [
        f"{violated['id']}: {node['html']} {node['failureSummary']}"
        for violated in answer["violations"]
        for node in violated["nodes"]
    ]
