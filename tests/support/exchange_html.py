"""What Exchange and Outlook make of HTML, as far as public copies of stored invitations show it, for tests.

No Exchange can be asked, so each form goes further than one server is known to: what is not seen may be lost, how it is
written changes, and what is read and where links lead stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from lxml import etree
from lxml import html as markup

_LOST = frozenset({"style", "script", "title", "meta", "link", "head", "xml"})
_VOID = frozenset({"br", "hr", "img", "wbr"})
_BLOCKS = frozenset(
    ["address", "blockquote", "body", "center", "dd", "div", "dl", "dt", "form", "h1", "h2", "h3", "h4", "h5", "h6",
     "hr", "li", "ol", "p", "pre", "table", "tbody", "td", "th", "tr", "ul"]
)  # fmt: skip
_KEPT = frozenset(
    ["href", "src", "alt", "name", "id", "class", "style", "lang", "dir", "title", "target", "rel", "height", "width",
     "align", "color", "face", "size", "colspan", "rowspan", "aria-hidden"]
)  # fmt: skip
_WIDTH = 78


def by_exchange(body: str) -> str:
    """Exchange's filter of HTML: a head of its own, no comments and style sheets, attributes and styles written anew,
    plus signs as references, long lines broken at blanks."""
    start = '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head>\r\n'
    inside = "".join(_filtered(_body_of(body), lambda element: _kept(element, _KEPT)))
    return start + _broken(inside, "\r\n ") + "\r\n</html>\r\n"


def for_the_web(body: str) -> str:
    """As Outlook on the web shows and saves it: what has a name gets another one."""

    def attributes(element: etree._Element) -> Mapping[str, str]:
        kept = dict(_kept(element, _KEPT))
        if "id" in kept:
            kept["id"] = f"x_{kept['id']}"
        if "class" in kept:
            kept["class"] = " ".join(f"x_{name}" for name in kept["class"].split())
        return kept

    return "<html>" + _broken("".join(_filtered(_body_of(body), attributes)), "\r\n") + "</html>"


def by_word(body: str) -> str:
    """Outlook's editor: a paragraph of its own for each line, spans with fonts, no class but Word's, no bare attribute
    quotes, lines broken at blanks in the middle of anything."""
    inside = _broken("".join(_word(_body_of(body))), "\r\n")
    return (
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office">\r\n<head>\r\n'
        '<meta http-equiv=Content-Type content="text/html; charset=utf-8">\r\n'
        '<meta name=Generator content="Microsoft Word 15 (filtered medium)">\r\n'
        "<style><!--\r\np.MsoNormal, li.MsoNormal\r\n\t{margin:0in;\r\n\tfont-size:11.0pt;}\r\n--></style>"
        '<!--[if gte mso 9]><xml>\r\n<o:shapedefaults v:ext="edit" spidmax="1026" />\r\n</xml><![endif]-->'
        '\r\n</head>\r\n<body lang=EN-US link="#0563C1" vlink="#954F72" style=\'word-wrap:break-word\'>\r\n'
        f"<div class=WordSection1>\r\n{inside}</div>\r\n</body>\r\n</html>\r\n"
    )


def by_rtf(body: str) -> str:
    """From HTML to RTF and back: no divisions, tables, bookmarks and pictures; line below line in one paragraph."""
    paragraphs = "".join(["<p>" + "<br>\r\n".join(lines) + " </p>\r\n" for lines in _paragraphs(_body_of(body))])
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2//EN">\r\n<html>\r\n<head>\r\n'
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n'
        '<meta name="Generator" content="MS Exchange Server version 16.0.19628.20204">\r\n<title></title>\r\n'
        "</head>\r\n<body>\r\n<!-- Converted from text/rtf format -->\r\n"
        + _broken(paragraphs, "\r\n ")
        + "</body>\r\n</html>\r\n"
    )


FORMS: Mapping[str, Callable[[str], str]] = {
    "exchange": by_exchange,
    "web": lambda body: for_the_web(for_the_web(body)),
    "word": by_word,
    "rtf": by_rtf,
    "word, then exchange": lambda body: by_exchange(by_word(body)),
    "rtf, then exchange": lambda body: by_exchange(by_rtf(body)),
}


def _body_of(html: str) -> etree._Element:
    html = re.sub(r"</body>\s*</html>(?=.*<body)", "", html, flags=re.IGNORECASE | re.DOTALL)
    first, *others = markup.document_fromstring(html if html.strip() else "<p></p>").iter("body")
    for other in others:  # documents below documents
        first.append(other)
        other.tag = "div"
    return first


def _name(element: etree._Element) -> str:
    """The name of an element; "" of a comment and of what is lost with all that is in it."""
    name = element.tag.lower() if isinstance(element.tag, str) else ""
    return "" if name in _LOST else name


def _text(text: str | None) -> str:
    text = re.sub(r"[ \t\r\n]+", " ", text or "")
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("+", "&#43;")
    return text.replace("\xa0", "&nbsp;")


def _tag(name: str, attributes: Mapping[str, str]) -> str:
    written = (f' {key}="{_text(value).replace(chr(34), "&quot;")}"' for key, value in attributes.items())
    return f"<{name}{''.join(written)}>"


def _kept(element: etree._Element, names: frozenset[str]) -> Mapping[str, str]:
    found = {key: str(value) for key, value in element.attrib.items() if key in names}
    if "style" in found:
        rules = (rule.strip() for rule in found["style"].split(";"))
        found["style"] = "; ".join(
            re.sub(r"\s*:\s*", ":", rule, count=1) for rule in rules if rule[:4] not in ("", "mso-")
        )
    return found


def _filtered(element: etree._Element, attributes: Callable[[etree._Element], Mapping[str, str]]) -> Iterator[str]:
    name = _name(element)
    if name:
        yield ("\r\n" if name in _BLOCKS else "") + _tag(name, attributes(element))
        yield _text(element.text)
        for child in element:
            yield from _filtered(child, attributes)
            yield _text(child.tail)
        if name not in _VOID:
            yield f"</{name}>"


def _broken(html: str, line_break: str) -> str:
    """HTML with its long lines broken at blanks, outside and inside of tags, but not in quoted values."""
    lines, column = [], 0
    for piece in re.split(r'((?<==)"[^"]*"| )', html):
        if piece == " " and column > _WIDTH:
            lines.append(line_break)
            column = 0
            continue
        lines.append(piece)
        last = piece.rfind("\n")
        column = len(piece) - last - 1 if last >= 0 else column + len(piece)
    return "".join(lines)


def _is_block(element: etree._Element) -> bool:
    return _name(element) in _BLOCKS


# --- Word -----------------------------------------------------------------------------------------------


def _word(element: etree._Element) -> Iterator[str]:
    """The children of an element as Word writes them."""
    line: list[str] = [_run(element.text)]
    for child in element:
        if _is_block(child):
            yield _paragraph(line)
            line = []
            name = _name(child)
            if name == "hr":
                yield "<div class=MsoNormal align=center style='text-align:center'><hr size=2 width=\"100%\"></div>\r\n"
            elif name in ("table", "tbody", "tr", "td", "th", "ul", "ol", "li", "blockquote"):
                yield f"<{name}>{''.join(_word(child))}</{name}>\r\n"
            elif any(map(_is_block, child)):
                yield f"<div>\r\n{''.join(_word(child))}</div>\r\n"
            else:
                yield from _word(child)
        else:
            line += _inline(child)
        line.append(_run(child.tail))
    yield _paragraph(line)


def _paragraph(line: list[str]) -> str:
    text = "".join(line)
    return f"<p class=MsoNormal>{text.strip()}<o:p></o:p></p>\r\n\r\n" if text.strip() else ""


def _run(text: str | None) -> str:
    said = _text(text)
    return f"<span style='font-size:10.5pt;font-family:\"Segoe UI\",sans-serif'>{said}</span>" if said.strip() else said


def _inline(element: etree._Element) -> Iterator[str]:
    name = _name(element)
    if name in _VOID:
        yield _tag(name, _kept(element, frozenset({"src", "alt", "height"})))
    elif name:
        kept = _kept(element, frozenset({"href", "name"})) if name == "a" else {}
        name = {"strong": "b", "em": "i"}.get(name, name if name in ("a", "b", "i", "u") else "span")
        inside = _run(element.text) + "".join(
            piece for child in element for piece in (*_inline(child), _run(child.tail))
        )
        yield f"{_tag(name, kept)}{inside}</{name}>"


# --- RTF ------------------------------------------------------------------------------------------------


def _paragraphs(body: etree._Element) -> Iterator[list[str]]:
    """Paragraphs of lines: a line that is empty, or ends a paragraph of its own, ends them."""
    lines: list[str] = []
    for line, is_last in _lines(body):
        if line.strip():
            lines.append(line.strip())
        if lines and (is_last or not line.strip()):
            yield lines
            lines = []
    if lines:
        yield lines


def _lines(body: etree._Element) -> Iterator[tuple[str, bool]]:
    pieces = [*_flat(body), "\n"]
    line = ""
    for piece, following in pairwise([*pieces, ""]):
        if piece in ("\n", "\n\n"):
            if line.strip() or piece == "\n\n":
                yield line, piece == "\n\n" or following == "\n\n"
            line = ""
        else:
            line += piece


def _flat(element: etree._Element) -> Iterator[str]:
    """Runs of text, and the breaks between them."""
    name = _name(element)
    if not name:
        return
    if name in ("td", "th"):  # the cells of a row stand beside each other
        yield " "
        yield "".join(piece for piece in _inside(element) if piece.strip())
        return
    end = "\n\n" if name == "p" else "\n" if name in _BLOCKS or name == "br" else ""
    if name in _BLOCKS:
        yield "\n"
    link = str(element.get("href") or "") if name == "a" else ""
    if link:
        yield _tag("a", {"href": link}) + "<u>"
    yield from _inside(element)
    if link:
        yield "</u></a>"
    if end:
        yield end


def _inside(element: etree._Element) -> Iterator[str]:
    yield _font(element.text)
    for child in element:
        yield from _flat(child)
        yield _font(child.tail)


def _font(text: str | None) -> str:
    said = _text(text)
    return f'<font size="2" face="Segoe UI">{said}</font>' if said.strip() else said
