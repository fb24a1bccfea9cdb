"""Whether a meeting block stands in a message that was quoted below another one.

Known by the words that Outlook writes, and in any language by the shape: a heading between dashes or a run of header
lines, `From: Bert <bert@contoso.com>` and the like.
"""

import re

from migrations_app.rewriting import markup
from migrations_app.rewriting.components import Component, Description
from migrations_app.rewriting.content_lines import unescaped

_HEADING = re.compile(
    r"(?<!-)-{3,}+\s*+(?:Original (?:Appointment|Message|Meeting)"
    r"|Ursprüngliche[rs]? (?:Termin|Nachricht|Besprechung)"
    r"|Rendez-vous d'origine|Message d'origine|Cita original|Mensaje original|Appuntamento originale"
    r"|Messaggio originale|Oorspronkelijke? (?:afspraak|bericht)|Ursprunglig\w* \w+)|\*~\*~\*",
    re.IGNORECASE,
)
_DASHED = re.compile(r"-{3,}+[^-\n]{2,80}-{3,}+\Z")
_HEADER = re.compile(r"[^\W\d_][^:：\n]{0,30}+[:：]\s*+\S")
_HEADERS_BELOW_A_HEADING = 3
_HEADERS_ALONE = 4
_LINE_END = re.compile(r"<(?:br|hr|/p|/div|/tr|/li|/h[1-6])\b[^<>]*+>", re.IGNORECASE)
_TAG = re.compile(r"<[!?/a-zA-Z][^<>]*+>")


def is_quoted(component: Component) -> bool:
    """Tell whether the block of a component stands in a quoted message."""
    with_block = [each for each in component.descriptions if each.sight.found is not None]
    if any(_is_in_blockquote(each) for each in with_block if each.is_html):
        return True
    # Both say the same, and text is read faster.
    plain = [each for each in with_block if not each.is_html]
    return any(map(_is_below_headers, plain or with_block))


def _is_in_blockquote(description: Description) -> bool:
    found = description.sight.found
    begin = markup.body_start(description.value)
    return found is not None and getattr(markup, "is_quoted", lambda *_: False)(description.value, begin, found.start)


def _is_below_headers(description: Description) -> bool:
    found = description.sight.found
    if found is None:
        return False
    begin = markup.body_start(description.value) if description.is_html else 0
    above = description.value[begin : found.start]
    if b"---" not in above and b"*~*" not in above and b"@" not in above:
        return False
    text = unescaped(above)
    if description.is_html:
        text = markup.characters(_TAG.sub("", _LINE_END.sub("\n", text.replace("\n", " "))))
    return _HEADING.search(text) is not None or _has_headers(text)


def _has_headers(text: str) -> bool:
    headers, has_address, after_heading = 0, False, False
    for line in map(str.strip, text.split("\n")):
        if not line:
            continue
        if _HEADER.match(line):
            headers += 1
            has_address = has_address or "@" in line
            if after_heading and headers >= _HEADERS_BELOW_A_HEADING:
                return True
            if has_address and headers >= _HEADERS_ALONE:
                return True
        else:
            headers, has_address, after_heading = 0, False, _DASHED.match(line) is not None
    return False
