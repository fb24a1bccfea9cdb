"""What a reader sees of HTML, and where its links lead.

Works on the unfolded, still escaped value of X-ALT-DESC, and on pieces of it.
"""

import html
import re

from migrations_app.calendars.content_lines import unescaped

_SHOWN = re.compile(rb"<(?:img|hr|input|object|embed|video|audio|iframe|svg|button|canvas|v:)", re.IGNORECASE)
_CONDITIONAL = re.compile(rb"<!--\[if")
# What is not closed runs to the end of the text, or reading would begin anew at every "<" of broken markup.
_TAGS = re.compile(
    r"""
    <!--.*?(?:-->|\Z)
  | <[!?/a-zA-Z](?: (?: [^<>"'=]++ | =\s*+ (?: "[^"]*+" | '[^']*+' )?+ )*+ >
                  | (?: [^<>"'=]++ | =\s*+ (?: "[^"<>]*+" | '[^'<>]*+' | (?!["']) ) | ["'] )*+ > )
    """,
    re.DOTALL | re.VERBOSE,
)
_SRC = re.compile(r"""<img\b[^<>]{0,2000}?\bsrc\s*=\s*["']?([^\s"'>]+)""", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_PIECES_OF_ROWS = (b"." * 10, b"_" * 10, b"=" * 72)


def body_start(value: bytes) -> int:
    """Return where <body begins; 0 for a fragment. What precedes it (35 KB in a Word document) is never read.

    A <body below a row of dots or the like is that of another document, pasted or put below by a mail server.
    """
    begin = value.find(b"<body")
    begin = max(begin if begin >= 0 else value.find(b"<BODY"), 0)
    return 0 if any(value.find(piece, 0, begin) >= 0 for piece in _PIECES_OF_ROWS) else begin


def is_visible(piece: bytes) -> bool:
    """Tell whether a piece of escaped HTML shows text or anything else."""
    if not piece:
        return False
    return bool(_SHOWN.search(piece) or _CONDITIONAL.search(piece) or visible_text(piece))


def visible_text(piece: bytes) -> str:
    """Return the text a reader sees in a piece of escaped HTML, white space collapsed."""
    text = _TAGS.sub(" ", unescaped(piece))
    return " ".join(characters(text).replace("\u200b", "").replace("\ufeff", "").split())


def characters(text: str) -> str:
    """Return HTML text with its character references resolved; one of absurd length stays as it is."""
    try:
        return html.unescape(text)
    except ValueError:  # Python refuses to read a number of thousands of digits
        return text


def shows_nothing(value: bytes) -> bool:
    """Tell whether an escaped HTML value shows nothing."""
    piece = value[body_start(value) :]
    return not is_visible(piece)


def hrefs(text: str) -> list[str]:
    """Return the link targets of readable HTML (unescaped, character references resolved), in their order."""
    return [one or two or three for one, two, three in _HREF.findall(text)]


def targets(piece: bytes) -> list[str]:
    """Return the link targets of a piece of escaped HTML, in their order."""
    return [characters(target) for target in hrefs(unescaped(piece))]


def images(piece: bytes) -> list[str]:
    """Return the addresses of the images in a piece of escaped HTML, in their order."""
    return [characters(address) for address in _SRC.findall(unescaped(piece))]
