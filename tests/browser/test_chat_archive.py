"""The archive for people in a real browser, opened from its folder: no barrier, no script needed, and a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, Room
from migrations_app.chat.conversion.outgoing import OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets import archive_site
from migrations_app.chat.targets.archive import ArchiveTarget
from migrations_app.chat.targets.base import TargetSettings
from tests.support.axe import COLOURS, STANDARDS, violations
from tests.support.looks import SPACE_TEXT, faint_edges, picture, sideways

pytestmark = pytest.mark.browser

SIZES = (1280, 390)
BEGAN = datetime(2013, 4, 5, 9, 30, tzinfo=UTC)
TEXTS = (
    "The switch in rack 7 was restarted.",
    "Сервер снова работает, спасибо всем.",
    "הַשָּׁרָת חזר לפעול בשעה 14:05.",
    "Café, naïve & Straße: <b>not bold</b>",
    "会议改到星期四下午三点。",
    "Quarterly-planning-of-the-department-without-any-space-" * 6,
    "\u202egpj.exe and a bell\x07",
    "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title = 'taken over'\">",
)
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rooms, one of which has several pages, with files and every kind of message."""
    folder = tmp_path_factory.mktemp("target")
    anna = Person(Principal("1", sip="anna@contoso.com"), "anna@contoso.com", "Anna Rossi")
    everybody = frozenset({"anna@contoso.com", "bruno@contoso.com"})
    with pytest.MonkeyPatch.context() as patch, ArchiveTarget(TargetSettings("A", "archive", folder=folder)) as target:
        patch.setattr(archive_site, "MESSAGES_A_PAGE", 10)
        for number, (name, count) in enumerate((("Planning", 9), ("Operations, the long one", 35)), 1):
            category = OutgoingCategory(f"c{number}", f"Category {number}", description="What it is about")
            room = OutgoingRoom(
                Room(str(number), category.id, name), category, name, "A room", members=everybody, managers=everybody
            )
            key = target.begin_room(room, target.begin_category(category))
            target.write(key, list(messages(number, count, anna)), lambda file: (folder / file.id).open("rb"))
            target.finish_room(key, room)
        target.keep_archive("chat", lambda path: path.write_bytes(b"PK"))
        target.finish()
    return folder / "site"


def messages(room: int, count: int, author: Person) -> Iterator[OutgoingMessage]:
    kinds = (MessageKind.MESSAGE, MessageKind.STORY, MessageKind.ALERT)
    for n in range(1, count + 1):
        at = BEGAN + timedelta(days=11 * n, seconds=n)
        html = '<strong>bold</strong> and <a href="https://example.org/">a link</a>' if n == 1 else None
        text = "bold and a link (https://example.org/)" if html else f"{TEXTS[n % len(TEXTS)]} {n}"
        yield OutgoingMessage(f"{room}/{n}", n, at, author, text, html, kinds[n % 3])
    yield OutgoingMessage(f"{room}/999", 999, at, author, "see", file=ChatFile("spool.sqlite3", "1", "plan.png"))


@pytest.fixture
def open_file(browser: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page of the archive from its folder; afterwards nothing may have gone wrong there."""
    faults: list[str] = []
    contexts = []

    def open_file(path: str, **options: Any) -> Page:
        context = browser.new_context(locale="en-GB", reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: note(said.type, said.text))
        page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith("file:") else None)
        page.goto(f"file://{site}/{path}")
        return page

    def note(kind: str, text: str) -> None:
        # axe-core, which is asked for barriers, tries to read the stylesheet; the page's own policy refuses it that.
        of_axe = "connect-src" in text or "preload assets" in text
        if kind in {"error", "warning"} and not of_axe:
            faults.append(text)

    yield open_file
    for context in contexts:
        context.close()
    assert faults == []


def pages_of(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def test_every_page_shuts_nobody_out(open_file: Callable[..., Page], site: Path) -> None:
    found = {}
    page = open_file("index.html")
    for number, path in enumerate(pages_of(site), 1):
        for width in SIZES:
            page.set_viewport_size({"width": width, "height": 850})
            page.goto(f"file://{site}/{path}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                rules = STANDARDS if scheme == "light" else COLOURS
                found[f"{path} {width} {scheme}"] = violations(page, rules=rules) + faint_edges(page)
                picture(page, f"chat-archive-{number:02}", width, scheme)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 320, "height": 640})
        found[f"{path} narrow"] = sideways(page)
        page.evaluate(SPACE_TEXT)
        found[f"{path} narrow, with wide text"] = sideways(page)
        assert "taken over" not in page.title()

    assert {where: what for where, what in found.items() if what} == {}


def test_it_is_read_without_any_script(open_file: Callable[..., Page]) -> None:
    page = open_file("index.html", java_script_enabled=False)
    page.get_by_role("link", name="Operations, the long one").click()
    page.get_by_role("navigation", name="Messages by time").get_by_role("link").nth(1).click()
    expect(page.get_by_role("article").first).to_be_visible()
    first = page.get_by_role("article").first.get_attribute("id")
    page.get_by_role("link", name="Later:").first.click()
    expect(page.get_by_role("article").first).not_to_have_attribute("id", first or "")
    page.get_by_role("link", name="Search").click()
    expect(page.get_by_text("The search needs JavaScript")).to_be_visible()


@pytest.mark.parametrize(
    ("words", "finds"),
    [
        ("switch rack", "restarted"),
        ("СПАСИБО", "Сервер"),
        ("השרת", "14:05"),  # without points
        ("cafe strasse", ""),
        ("cafe straße", "Café"),
        ("星期四", "会议"),
        ("restart", "restarted"),  # the beginning of a word
        ("anna rossi", "switch"),
        ("z", ""),
    ],
)
def test_words_are_found(open_file: Callable[..., Page], words: str, finds: str) -> None:
    page = open_file("search.html")
    page.get_by_label("Words").fill(words)
    page.get_by_role("button", name="Search").click()
    results = page.get_by_role("status")
    if not finds:
        expect(results).to_have_text("No page has all of these words.")
        return
    expect(results.get_by_role("link").first).to_be_visible()
    results.get_by_role("link").first.click()
    expect(page.locator("mark").first).to_be_visible()
    expect(page.get_by_text(finds).first).to_be_attached()
    assert violations(page, rules=COLOURS) == []


def test_paper_shows_the_messages_and_where_links_lead(open_file: Callable[..., Page], site: Path) -> None:
    page = open_file("rooms/1-planning/index.html", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.text a'), '::after').content") == (
        '" (https://example.org/)"'
    )
    expect(page.get_by_role("navigation", name="Archive")).to_be_hidden()
    expect(page.get_by_role("article").first).to_be_visible()
    assert violations(page, rules=COLOURS) == []
    assert len(page.pdf()) > 5_000


def test_a_message_has_an_address_of_its_own(open_file: Callable[..., Page], site: Path) -> None:
    page = open_file("rooms/1-planning/index.html")
    page.locator("#m5").get_by_role("link").first.click()
    assert page.url.endswith("/index.html#m5")
    expect(page.locator("article:target")).to_have_attribute("data-key", "1/5")
