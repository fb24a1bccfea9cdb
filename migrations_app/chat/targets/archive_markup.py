"""What people wrote, as HTML of which the very same characters can be read again, and nothing else happens.

Characters that HTML cannot carry, or that turn the order of what stands around them, are shown by their number: a name
such as ``exe.gpj`` behind an override looks like what it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import nh3
from lxml import html as lxml_html

SHOWN_BY_NUMBER = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
    "|[\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe\U0003ffff\U0004fffe\U0004ffff\U0005fffe\U0005ffff"
    "\U0006fffe\U0006ffff\U0007fffe\U0007ffff\U0008fffe\U0008ffff\U0009fffe\U0009ffff\U000afffe\U000affff"
    "\U000bfffe\U000bffff\U000cfffe\U000cffff\U000dfffe\U000dffff\U000efffe\U000effff\U000ffffe\U000fffff"
    "\U0010fffe\U0010ffff]"
)
"""Controls, directional overrides, embeddings and isolates, half characters, and what is no character."""

TAGS = {"a", "b", "strong", "i", "em", "u", "s", "code", "br"}
SCHEMES = {"http", "https", "ftp", "ftps", "mailto", "tel", "sip", "sips"}
LINKED, BARE = "linked", "bare"
"""How the plain text follows from the HTML: with the address of a link behind its words, or without."""

_TAG = re.compile(r'(<[^<>"]*(?:"[^"]*"[^<>"]*)*>)')
_ADDRESS = re.compile(r"""https?://[^\s<>"']{1,2048}""")
_BEHIND = ".,;:!?)]}’”»"


def by_number(text: str) -> str:
    """Text as HTML, escaped, for what stands between tags."""
    escaped = html.escape(text, quote=False)
    return SHOWN_BY_NUMBER.sub(_numbered, escaped) if SHOWN_BY_NUMBER.search(escaped) else escaped


def for_attribute(text: str) -> str:
    """Text for an attribute in quotation marks, and for titles: what cannot stand there is written as ``[U+202E]``."""
    return html.escape(SHOWN_BY_NUMBER.sub(lambda found: f"[U+{ord(found[0]):04X}]", text).replace("\n", " "))


def _numbered(found: re.Match[str]) -> str:
    number = f"{ord(found[0]):04X}"
    return f'<span class="char" data-char="{number}">[U+{number}]</span>'


def cleaned(given: str | None, text: str) -> tuple[str, str] | None:
    """HTML of a message as it may be shown, and how its plain text follows from it; None where that is not what the
    message says (then its plain text is shown)."""
    if given is None:
        return None
    clean = nh3.clean(given, tags=TAGS, attributes={"a": {"href"}}, url_schemes=SCHEMES, link_rel="noopener noreferrer")
    parts = _TAG.split(clean)
    safe = "".join(
        SHOWN_BY_NUMBER.sub(_escaped_in_address, part) if number % 2 else SHOWN_BY_NUMBER.sub(_numbered, part)
        for number, part in enumerate(parts)
    )
    element = lxml_html.fragment_fromstring(safe, create_parent="div")
    for form in (LINKED, BARE):
        if text_of(element, form) == text:
            return safe, form
    return None


def _escaped_in_address(found: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in found[0].encode("utf-8", "replace"))


def linked(text: str) -> str:
    """Plain text as HTML, with its web addresses as links that show nothing but where they lead."""
    if "://" not in text:
        return by_number(text)
    return "".join(_linked_parts(text))


def _linked_parts(text: str) -> Iterator[str]:
    at = 0
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_BEHIND)
        yield by_number(text[at : found.start()])
        if SHOWN_BY_NUMBER.search(address) or address.endswith("//"):
            yield by_number(address)
        else:
            yield f'<a href="{html.escape(address)}" rel="noopener noreferrer">{html.escape(address)}</a>'
        at = found.start() + len(address)
    yield by_number(text[at:])


def text_of(element: lxml_html.HtmlElement, form: str = BARE) -> str:
    """The text that an element shows: characters shown by their number are those again, a break is a new line."""
    parts = [element.text or ""]
    for child in element:
        if not isinstance(child.tag, str):
            pass  # a comment
        elif child.tag == "br":
            parts.append("\n")
        elif child.tag == "span" and child.get("class") == "char":
            parts.append(_character(child))
        else:
            inner = text_of(child, form)
            parts.append(inner)
            if form == LINKED and child.tag == "a" and (address := child.get("href", "")) not in ("", inner):
                parts.append(f" ({address})")
        parts.append(child.tail or "")
    return "".join(parts)


def _character(element: lxml_html.HtmlElement) -> str:
    number = element.get("data-char", "")
    shown = element.text or ""
    return chr(int(number, 16)) if re.fullmatch("[0-9A-F]{4,6}", number) and shown == f"[U+{number}]" else shown
