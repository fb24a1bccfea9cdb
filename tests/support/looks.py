"""What a page looks like in a browser, where axe-core has no rule for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = os.environ.get("MMS_SCREENSHOTS", "")
"""The folder for pictures of pages; empty: none are made."""

WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) {
        if (shift.hadRecentInput) continue;
        for (const { node } of shift.sources) window.shifts.push(`moves by itself: ${node?.outerHTML?.slice(0, 200)}`);
    }
}).observe({ type: "layout-shift", buffered: true });
"""
"""To run before a page loads: keeps what moved on it without being asked to."""

SETTLE = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    for (let waited = 0; document.querySelector(".htmx-request"); waited++) {
        if (waited > 600) throw new Error("A part of the page does not come.");
        await frame();
    }
    await document.fonts.ready;
    await frame();
    await frame();
}"""

SPACE_TEXT = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important; } p { margin-bottom: 2em !important; }`);
    document.adoptedStyleSheets = [sheet];
}"""
"""The text as wide as a reader may set it (WCAG 2.2, 1.4.12)."""

FAINT_EDGES = """() => {
    const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
        .getContext("2d", { willReadFrequently: true });
    const over = (colours) => {
        context.fillStyle = "white";
        context.fillRect(0, 0, 1, 1);
        for (const colour of colours) {
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
        }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (colour) => {
        const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = colour.map((value) => linear(value / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const grounds = (element) => {
        const found = [];
        for (let at = element; at; at = at.parentElement) found.unshift(getComputedStyle(at).backgroundColor);
        return found;
    };
    const found = [];
    for (const control of document.querySelectorAll("input, select, textarea, [role=switch], .btn-icon-only")) {
        if (control.type === "hidden" || control.disabled) continue;
        if (!control.checkVisibility({ visibilityProperty: true })) continue;
        const around = grounds(control.parentElement), ground = over(around);
        const style = getComputedStyle(control), inside = over(grounds(control));
        const edges = [inside];
        if (parseFloat(style.borderTopWidth)) {
            edges.push(over([...around, style.backgroundColor, style.borderTopColor]));
        }
        if (control.matches(".btn-icon-only")) edges.push(over([...grounds(control), style.color]));
        const best = Math.max(...edges.map((edge) => contrast(edge, ground)));
        if (best < 3) found.push(`an edge of ${best.toFixed(2)}:1: ${control.outerHTML.slice(0, 160)}`);
    }
    return found;
}"""

SIDEWAYS = """() => {
    if (document.documentElement.scrollWidth <= innerWidth) return [];
    const isBeyond = (one) => one.getBoundingClientRect().right > innerWidth + 0.5;
    const beyond = [...document.body.querySelectorAll("*")].filter(isBeyond);
    return beyond.slice(-3).map((one) => `reaches over the edge: ${one.outerHTML.slice(0, 160)}`);
}"""


def shifts(page: Page) -> list[str]:
    """What moved on the page since it began to load, once everything that it loads by itself is there."""
    page.evaluate(SETTLE)
    return page.evaluate("window.shifts")


def faint_edges(page: Page) -> list[str]:
    """Controls that stand out from what is around them by less than 3:1 (WCAG 2.2, 1.4.11)."""
    return page.evaluate(FAINT_EDGES)


def sideways(page: Page) -> list[str]:
    """What one has to scroll the page sideways to read."""
    return page.evaluate(SIDEWAYS)


def picture(page: Page, name: str, width: int, scheme: str) -> None:
    """Leaves a picture of the whole page, with what keeps to the edge of the window at the edge of the page."""
    if not PICTURES:
        return
    before = page.viewport_size
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, before["height"])})
    page.screenshot(path=Path(PICTURES) / f"{name}-{width}-{scheme}.png")
    page.set_viewport_size(before)
