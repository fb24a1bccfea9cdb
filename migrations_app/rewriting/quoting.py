"""Whether a meeting block stands in a message that was quoted below another one.

Known by the words that Outlook writes, and in any language by the shape: a heading between dashes or a run of header
lines, `From: Bert <bert@contoso.com>` and the like.
"""

import re

from migrations_app.calendars.content_lines import unescaped
from migrations_app.rewriting import markup
from migrations_app.rewriting.components import Component, Description
from migrations_app.rewriting.shown_html import body_start, characters

_HEADING = re.compile(
    r"(?:^|\n)[ \t>]*+-{3,}+\s*+(?:Original (?:Appointment|Message|Meeting)"
    r"|Ursprüngliche[rs]? (?:Termin|Nachricht|Besprechung)"
    r"|Rendez-vous d['’]origine|Message d['’]origine|Cita original|Mensaje original|Appuntamento originale"
    r"|Messaggio originale|Oorspronkelijke? (?:afspraak|bericht)|Ursprunglig\w* \w+)\s*+--",
    re.IGNORECASE,
)
_STARS = re.compile(r"(?:\*~){3,}")
_DASHED = re.compile(r"-{5,}+[^-\n]{2,80}-{5,}+\Z")
_HEADER = re.compile(r"[^\W\d_][^:：\n]{0,30}+[:：](?!//)\s*+\S")
# The first header line of a quoted message in the languages of Outlook; its value is a person, so without a clock.
_SENDER = (
    "From|Von|De la|De|Da|Van|Saatja|Nuo|Från|Fra|Lähettäjä|Expéditeur|Mittente|От|Від|Od|Feladó|Kimden|Gönderen|Από"
    "|差出人|发件人|寄件者|보낸 사람|מאת|من"
)
_FROM = re.compile(rf"(?:{_SENDER})\s?[:：](?!.*\d[:.]\d\d)\s*\S", re.IGNORECASE)
_SUBJECT = re.compile(
    r"(?:Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Onderwerp|Ämne|Emne|Aihe|Teema|Tema|Subiect|Тема|Temat|Předmět"
    r"|Predmet|Tárgy|Konu|Θέμα|件名|主题|主旨|제목|נושא|الموضوع)\s?[:：]",
    re.IGNORECASE,
)
_SENT = re.compile(r"(?=.*(?:19|20)\d\d)(?=.*\d[:.]\d\d)")
_WROTE_IN = (
    "wrote",
    "schrieb",
    "a écrit",
    "escribió",
    "ha scritto",
    "escreveu",
    "schreef",
    "skrev",
    "napisał",
    "napsal",
)
_WROTE = re.compile(rf"(?=.*(?:@|\d:\d\d|\d\.\d\d(?![\d.]))).{{5,200}}\b(?:{'|'.join(_WROTE_IN)})\b[^:]{{0,80}}:\Z")
# Most texts have none of it, and are not taken apart into lines. It starts with a plain letter, which is found fast.
_SENDER_LINE = re.compile(rf"\n[ \t>*|\xa0]*+(?i:(?:{_SENDER})[ *]{{0,2}}[:：])")
_ADDRESS_AND_COLON = re.compile(r"(?=.*\d[:.]\d\d).*<[^<>\s]+@[^<>\s]+>\s*[:：]\Z")
_MARKS = ("-----", "*~*", *_WROTE_IN)
_HEADER_LINES = 8
_LONGEST_ATTRIBUTION = 300
_LINE_END = re.compile(r"<(?:br|hr|/?(?:p|div|table|tr|ul|ol|li|blockquote|h[1-6]))\b[^<>]*+>", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n\s++")
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
    begin = body_start(description.value)
    return found is not None and markup.is_quoted(description.value, begin, found.cut.start)


def _is_below_headers(description: Description) -> bool:
    found = description.sight.found
    if found is None:
        return False
    begin = body_start(description.value) if description.is_html else 0
    above = description.value[begin : found.cut.start]
    text = unescaped(above)
    if description.is_html:
        text = characters(_TAG.sub("", _LINE_END.sub("\n", text.replace("\n", " "))))
        text = _BLANK_LINES.sub("\n", text)
    if "---" in text and _HEADING.search(text):
        return True
    is_suspicious = any(mark in text for mark in _MARKS) or ">:" in text or _SENDER_LINE.search(f"\n{text}") is not None
    return is_suspicious and _has_headers(text)


def _has_headers(text: str) -> bool:
    lines = [line.strip(" \t\r>*|\xa0") if "~" not in line else line.strip() for line in text.split("\n")]
    last = ""
    for at, line in enumerate(lines):
        if not line:
            continue
        # The line that says who wrote may be broken in two.
        if _STARS.match(line) or (line[-1] in ":：" and _is_attribution(line, last)):
            return True
        if _FROM.match(line) or (_DASHED.match(last) and _HEADER.match(line)):
            below = _until_blank(lines[at + 1 : at + _HEADER_LINES])
            headers = [other for other in below if _HEADER.match(other)]
            is_mail = "@" in line or any("@" in other or _SUBJECT.match(other) for other in headers)
            if len(headers) > 1 and is_mail and any(map(_SENT.match, headers)):
                return True
        last = line
    return False


def _is_attribution(line: str, last: str) -> bool:
    """Tell whether a line that ends in a colon says who wrote what follows; it may be broken in two."""
    line = line[-_LONGEST_ATTRIBUTION:]
    whole = f"{last[-_LONGEST_ATTRIBUTION:]} {line}"
    return any(shape.match(text) for shape in (_WROTE, _ADDRESS_AND_COLON) for text in (line, whole))


def _until_blank(lines: list[str]) -> list[str]:
    return lines[: lines.index("")] if "" in lines else lines
