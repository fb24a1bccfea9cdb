"""Whether a meeting block stands in a message that was quoted below another one.

Known by the words that Outlook writes above a quoted message, and in other scripts by the shape: a heading between
dashes, then a person's address, a date, and more header lines. A header that a calendar server writes above every
invitation (When, Where and a line of stars) is no quotation: it begins the text.
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
# The header lines of a quoted message in the languages of Outlook. A sender is a person, so without a clock.
_SENDER = (
    "From|Von|De la|De parte de|De|Da|Van|Dari|Daripada|Saatja|Nuo|No|Från|Fra|Frá|Nork|Lähettäjä|Expéditeur|Expeditor"
    "|Mittente|Remitente|Remetente|Absender|Afzender|Afsender|Avsändare|Siuntėjas|Sūtītājs|Odesílatel|Odosielateľ"
    "|Od|Pošiljatelj|Pošiljalac|Šalje|Feladó|Kimden|Gönderen|Từ|От кого|От|Від кого|Від|Од|Подател|Шаље|Кімнен"
    "|Από|จาก|से|प्रेषक|差出人|发件人|寄件者|보낸 사람|מאת|من"
)
_FROM = re.compile(rf"(?:{_SENDER})\s?[:：](?!.*\d[:.]\d\d)\s*\S", re.IGNORECASE)
_RECEIVER = re.compile(
    r"(?:To|An|À|A|Para|Per a|Aan|Kepada|Ke|Till|Til|Nori|Vastaanottaja|Saaja|Adressaat|Kellele|Kam|Gavėjas|Adresāts|Do"
    r"|Komu|Příjemce|Príjemca|Za|Kome|Prima|Címzett|Către|Catre|Kime|Alıcı|Tới|Đến|Кому|До|За|Коме|Прима|Получател|Кімге"
    r"|Προς|ถึง|प्रति|宛先|收件人|收件者|받는 사람|אל|إلى)\s?[:：]",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(?:Subject|Betreff|Objet|Asunto|Oggetto|Assunto|Assumpte|Gaia|Onderwerp|Subjek|Perihal|Ämne|Emne|Efni|Aihe|Teema"
    r"|Tema|Temats|Subiect|Тема|Относно|Наслов|Тақырып|Temat|Předmět|Predmet|Zadeva|Tárgy|Konu|Chủ đề|Θέμα|เรื่อง|विषय"
    r"|件名|主题|主旨|제목|נושא|الموضوع)\s?[:：]",
    re.IGNORECASE,
)
_SENT = re.compile(r"(?=.*(?:19|20|25)\d\d)(?=.*\d[:.]\d\d)")  # in Thailand the year is 2573
# In the other scripts the sender is told by the address after the name; no list of the organizer's own has it first.
_PERSON = re.compile(
    r"(?=[^:：]*[^\x00-\x7f:：])[^:：]{1,30}[:：].*[<\[](?:mailto:)?[^<>\[\]\s]+@[^<>\[\]\s]+(?:[>\]]|\Z)"
)
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
# Most texts have none of it, and are not taken apart into lines. Most lines have no colon near their start, which is
# found out faster than that none of the words begins them.
_SENDER_LINE = re.compile(rf"\n[ \t>*|\xa0]*+(?=[^:：\n]{{1,15}}[:：])(?i:(?:{_SENDER})[ *]{{0,2}}[:：])")
_ADDRESS_AND_COLON = re.compile(r"(?=.*\d[:.]\d\d).*<[^<>\s]+@[^<>\s]+>\s*[:：]\Z")
_MARKS = ("-----", ">:", *_WROTE_IN)
_HEADER_LINES = 8
_LONGEST_ATTRIBUTION = 300
_LINE_END = re.compile(r"<(?:br|hr|/?(?:p|div|table|tr|ul|ol|li|blockquote|h[1-6]))\b[^<>]*+>", re.IGNORECASE)
# Word writes a paragraph into each cell of a table; what stands in one row is one line.
_PARAGRAPH_OF_CELL = re.compile(r"(<t[dh]\b[^<>]*+>)\s*+<p\b[^<>]*+>|</p>\s*+(?=</t[dh]\b)", re.IGNORECASE)
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
        text = _PARAGRAPH_OF_CELL.sub(r"\1", text.replace("\n", " "))
        text = characters(_TAG.sub("", _LINE_END.sub("\n", text)))
        text = _BLANK_LINES.sub("\n", text)
    if "---" in text and _HEADING.search(text):
        return True
    is_suspicious = "*~*" in text or (
        (":" in text or "：" in text)
        and (any(map(text.__contains__, _MARKS)) or _SENDER_LINE.search(f"\n{text}") is not None)
    )
    return is_suspicious and _has_headers(text)


def _has_headers(text: str) -> bool:
    lines = [line.strip(" \t\r>*|\xa0") if "~" not in line else line.strip() for line in text.split("\n")]
    last = ""
    is_servers_own, begins_paragraph = True, True
    for at, line in enumerate(lines):
        if not line:
            begins_paragraph = True
            continue
        if _STARS.match(line):
            if not is_servers_own:  # somebody's words stand above the header of an invitation
                return True
            last, begins_paragraph = line, True
            continue
        if begins_paragraph and not (_HEADER.match(line) or line[-1] in ":："):
            is_servers_own = False
        begins_paragraph = False
        # The line that says who wrote may be broken in two.
        if line[-1] in ":：" and _is_attribution(line, last):
            return True
        if _FROM.match(line) and _is_mail_header(line, _header_lines_around(lines, at)):
            return True
        if _DASHED.match(last) and _is_foreign_header(line, _header_lines_around(lines, at)):
            return True
        last = line
    return False


def _header_lines_around(lines: list[str], at: int) -> list[str]:
    """Return the header lines of the paragraph that the line `at` stands in, without that line."""
    above = _until_blank(lines[max(at - _HEADER_LINES, 0) : at][::-1])[::-1]
    below = _until_blank(lines[at + 1 : at + _HEADER_LINES])
    return [other for other in (*above, *below) if _HEADER.match(other)]


def _is_mail_header(sender: str, others: list[str]) -> bool:
    """Tell whether a line that names a sender is one of the header of a mail: people travel from and to places too."""
    if len(others) < 2 or not any(map(_SENT.match, others)):
        return False
    return any("@" in line for line in (sender, *filter(_RECEIVER.match, others))) or any(map(_SUBJECT.match, others))


def _is_foreign_header(sender: str, others: list[str]) -> bool:
    """Tell by its shape whether a line below a heading between dashes begins the header of a mail."""
    return len(others) > 2 and _PERSON.match(sender) is not None and _SENT.match(others[0]) is not None


def _is_attribution(line: str, last: str) -> bool:
    """Tell whether a line that ends in a colon says who wrote what follows; it may be broken in two."""
    line = line[-_LONGEST_ATTRIBUTION:]
    whole = f"{last[-_LONGEST_ATTRIBUTION:]} {line}"
    return any(shape.match(text) for shape in (_WROTE, _ADDRESS_AND_COLON) for text in (line, whole))


def _until_blank(lines: list[str]) -> list[str]:
    return lines[: lines.index("")] if "" in lines else lines
