"""The HTML part of a message: what changed, when and where, and the meeting's own text below it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from migrations_app.mail.when_and_where import Facts
from migrations_app.rewriting.block import HTML_ROW, without_logo
from migrations_app.rewriting.rows import ROW

_FONT = "font-family:'Segoe UI',Helvetica,Arial,sans-serif;font-size:14px;line-height:1.5"
_INTRODUCTION = (
    f'<div lang="{{}}" dir="ltr" style="{_FONT};margin:0 0 16px"><p style="margin:0 0 12px">{{}}</p>{{}}</div>'
)
_FACTS = '<p style="margin:0">{}</p>'
_DOCUMENT = (
    '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n'
    f'{{}}\n<div style="{_FONT}">{{}}</div>\n</body></html>\n'
)
_BODY = re.compile(r"<body\b", re.IGNORECASE)
# What an attribute says in quotes may hold a ">"; where a quote is not closed the first one ends the tag.
_BODY_TAG = re.compile(r"""<body(?:"[^"]*+"|'[^']*+'|[^>"'])*+>|<body[^>]*+>""", re.IGNORECASE)
_BEFORE_BODY = re.compile(
    r"\s*+(?:<!doctype[^>]*+>\s*+)?(?:<html\b[^>]*+>\s*+)?(?:<head\b.*?</head\s*+>)?", re.IGNORECASE | re.DOTALL
)
_URL = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_AFTER_URL = ".,;:!?)"
# How a mail server writes a link as text: `label<link>`.
_LINK = re.compile(r"((?:[^<>:]*+: ?+)?)([^<>]*[^<>\s])\s?<((?:https?://|tel:|mailto:)[^\s<>\"']+)>", re.IGNORECASE)


def html_part(html: str, text: str, note: str, facts: Facts, language: str) -> str:
    """Return the part, made of the meeting's HTML or, where it has none, of its text. ``note`` and ``facts`` stand
    first; the logo of a block is left out, since mail filters count a picture from elsewhere against a message."""
    told = "<br>".join(f"<b>{escape(label)}:</b> {_linked(value)}" for label, value in facts)
    introduction = _INTRODUCTION.format(language, escape(note), _FACTS.format(told) if told else "")
    if not html:
        return _DOCUMENT.format(introduction, _from_text(text))
    html = without_logo(html)
    start = _start_of_body(html)
    return html[:start] + introduction + html[start:]


def _start_of_body(html: str) -> int:
    """Return where the body's content begins, as far as its start is marked."""
    begin = _find_body(html, 0)
    while begin >= 0:
        comment = html.rfind("<!--", 0, begin)
        comment_end = html.find("-->", comment) if comment >= 0 else 0
        if 0 <= comment_end <= begin:
            tag = _BODY_TAG.match(html, begin)
            return tag.end() if tag else 0
        begin = _find_body(html, comment_end) if comment_end > 0 else -1
    before = _BEFORE_BODY.match(html)
    return before.end() if before else 0


def _find_body(html: str, start: int) -> int:
    for tag in ("<body", "<BODY"):  # what programs write, and much faster than to look for every spelling
        begin = html.find(tag, start)
        if begin >= 0:
            return begin
    found = _BODY.search(html, start)
    return found.start() if found else -1


def _from_text(text: str) -> str:
    """Return text as HTML: its lines, with links for what a mail server wrote as `label<link>`, and for addresses."""
    plain = escape(text).split("\n")
    return "<br>\n".join(
        _line(line) if "://" in line or "<" in line or line == ROW else escaped
        for line, escaped in zip(text.split("\n"), plain, strict=True)
    ).replace("</div><br>", "</div>")


def _line(line: str) -> str:
    if line == ROW:
        return HTML_ROW
    if "<" in line and (found := _LINK.match(line)) is not None:
        return f"{escape(found[1])}{_anchor(found[3], found[2])}{_linked(line[found.end() :])}"
    return _linked(line)


def _linked(text: str) -> str:
    """Return text as HTML, its web addresses as links."""
    return "".join(_pieces(text)) if "://" in text else escape(text)


def _pieces(text: str) -> Iterator[str]:
    position = 0
    for found in _URL.finditer(text):
        url = found[0].rstrip(_AFTER_URL)
        yield escape(text[position : found.start()])
        yield _anchor(url, url)
        position = found.start() + len(url)
    yield escape(text[position:])


def _anchor(target: str, text: str) -> str:
    return f'<a href="{escape(target)}">{escape(text)}</a>'
