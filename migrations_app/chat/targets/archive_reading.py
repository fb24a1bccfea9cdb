"""Reading the pages of an archive back, as people read them: not what was written down beside them (R123)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from lxml import etree
from lxml import html as lxml_html

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import Joining
from migrations_app.chat.targets.archive_markup import BARE, text_of
from migrations_app.chat.targets.archive_pages import clock
from migrations_app.chat.targets.base import ReadMessage, ReadRoom
from migrations_app.chat.targets.whole_files import PIECE


class Unreadable(Exception):
    """A page is not there, or is no page any more; its path as text."""


def read_room(folder: Path, key: str) -> ReadRoom:
    """Settings and people from the first page of a room."""
    page = _page(folder / "index.html")
    settings = _one(page, '//ul[@class="settings"]')
    name = _one(page, '//h1[@class="name"]')
    above = page.xpath('//nav[@class="trail"]//li')
    described = page.xpath('//main/p[@class="description"]')
    flags: dict[str, str] = {} if settings is None else dict(settings.attrib)
    joining = flags.get("data-joining", "")
    return ReadRoom(
        id=key,
        name="" if name is None else text_of(name),
        category=text_of(above[0]) if above else "",
        description=text_of(described[0]) if described else "",
        joining=Joining(joining) if joining in set(Joining) else None,
        is_auditorium=_flag(flags, "data-auditorium"),
        is_read_only=_flag(flags, "data-read-only"),
        allows_invitations=_flag(flags, "data-invitations"),
        members=_people(page, "members"),
        managers=_people(page, "managers"),
        presenters=_people(page, "presenters"),
    )


def read_messages(folder: Path, top: Path) -> Iterator[ReadMessage]:
    """Those on the first page of a room, and on the pages to which it leads, in their order."""
    page = _page(folder / "index.html")
    yield from _messages(page, folder, top)
    addresses = [str(each) for each in page.xpath('//nav[@class="pages"]//a/@href')]
    del page
    for address in addresses:
        if "/" in address or not address.endswith(".html"):
            raise Unreadable(address)
        yield from _messages(_page(folder / address), folder, top)


def _page(path: Path) -> lxml_html.HtmlElement:
    try:
        with path.open("rb") as file:
            page = lxml_html.parse(file, parser=lxml_html.HTMLParser(encoding="utf-8", huge_tree=True)).getroot()
    except (OSError, etree.LxmlError) as error:
        raise Unreadable(str(path.name)) from error
    if page is None:
        raise Unreadable(str(path.name))
    return page


def _messages(page: lxml_html.HtmlElement, folder: Path, top: Path) -> Iterator[ReadMessage]:
    for section in page.xpath("//section[@class='day']"):
        for article in section.iterchildren("article"):
            yield _message(article, folder, top)


def _message(article: lxml_html.HtmlElement, folder: Path, top: Path) -> ReadMessage:
    account = _one(article, './p[@class="head"]/*[@class="account"]')
    if account is None:  # they are known by their name
        account = _one(article, './p[@class="head"]/b[@class="author"]')
    text = _one(article, './div[@class="text"]')
    kind = article.get("data-kind", "")
    name, octets, sha256 = _file(article, folder, top)
    return ReadMessage(
        key=article.get("data-key", ""),
        at=_time(article),
        author="" if account is None else text_of(account),
        text="" if text is None else text_of(text, text.get("data-form", BARE)),
        kind=MessageKind(kind) if kind in set(MessageKind) else MessageKind.MESSAGE,
        file_name=name,
        file_bytes=octets,
        file_sha256=sha256,
    )


def _time(article: lxml_html.HtmlElement) -> datetime | None:
    """The time, to the millisecond as it stands behind what is shown; None where the two disagree."""
    element = _one(article, ".//time")
    if element is None:
        return None
    try:
        at = datetime.strptime(element.get("datetime", ""), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if (element.text or "") in (clock(at, at.date()), f"{at:%Y-%m-%d %H:%M:%S}") else None


def _file(article: lxml_html.HtmlElement, folder: Path, top: Path) -> tuple[str, int | None, str]:
    link = _one(article, './p[@class="file"]/a[@class="name"] | ./div[@class="text"]/a[@class="name"]')
    if link is None:
        missing = _one(article, './p[@class="file missing"]/span[@class="name"]')
        return ("", None, "") if missing is None else (text_of(missing), None, "")
    path = (folder / unquote(link.get("href", ""))).resolve()
    if not path.is_relative_to(top.resolve()) or not path.is_file():
        return text_of(link), None, ""
    octets, digest = 0, hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            octets += len(piece)
            digest.update(piece)
    return text_of(link), octets, digest.hexdigest()


def _people(page: lxml_html.HtmlElement, role: str) -> frozenset[str]:
    return frozenset(text_of(each) for each in page.xpath(f'//section[@data-role="{role}"]//li/span[@class="account"]'))


def _one(element: lxml_html.HtmlElement, path: str) -> lxml_html.HtmlElement | None:
    found = element.xpath(path)
    return found[0] if found else None


def _flag(flags: dict[str, str], name: str) -> bool | None:
    return {"true": True, "false": False}.get(flags.get(name, ""))
