"""HTML by source offsets: enough of a tokenizer to cut a balanced piece out of a mail client's markup.

Works on the unfolded, still escaped value of X-ALT-DESC, so a line break in the markup may stand as the two
characters \\n. It never repairs anything: markup it cannot balance is refused.
"""

import html
import re

from migrations_app.rewriting.content_lines import unescaped
from migrations_app.rewriting.errors import Declined, needs_review

_TOKEN = re.compile(
    rb"""
    <(/?)([a-zA-Z][a-zA-Z0-9:_-]*)
     ( (?: [^<>"'=]++ | =(?:\s|\\n)*+ (?: \\?"[^"]*+" | \\?'[^']*+' )?+ )*+ )>
  | <!--.*?-->
  | <(?:!(?!--)|\?)[^>]*+>
  | (<[a-zA-Z/!?])
    """,
    re.DOTALL | re.VERBOSE,
)
_RAW_TEXT = {
    name: re.compile(rb"</" + name + rb"\s*+>", re.IGNORECASE)
    for name in (b"style", b"script", b"title", b"textarea", b"xmp", b"noscript", b"iframe")
}
_VOID = frozenset(
    b"area base basefont bgsound br col embed frame hr img input link meta param source track wbr".split()
)
# Elements whose end tag HTML lets one leave out, and the start tags that imply it.
_IMPLIED_END = frozenset(b"p li td th tr tbody thead tfoot dt dd option colgroup".split())
_CLOSES_P = frozenset(
    b"address article aside blockquote center details dir div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 "
    b"header hr main menu nav ol p pre section table ul".split()
)
_CLOSED_BY = {
    b"li": frozenset([b"li"]),
    b"td": frozenset([b"td", b"th"]),
    b"th": frozenset([b"td", b"th"]),
    b"tr": frozenset([b"td", b"th", b"tr"]),
    b"tbody": frozenset([b"td", b"th", b"tr", b"tbody", b"thead"]),
    b"tfoot": frozenset([b"td", b"th", b"tr", b"tbody", b"thead"]),
    b"dt": frozenset([b"dt", b"dd"]),
    b"dd": frozenset([b"dt", b"dd"]),
    b"option": frozenset([b"option"]),
}
_SCOPE = frozenset(b"td th table button object caption html".split())
# What is open around a place, as bits, so that no tag makes one look through all open elements.
_PARAGRAPH_IN_SCOPE = 1
_OPENS = {b"p": 2 | _PARAGRAPH_IN_SCOPE, b"body": 4, b"html": 8, b"head": 16}
# An end tag of its own nests nothing: </p> makes an empty paragraph, what follows </body> is still shown.
_HARMLESS_END = frozenset(_OPENS) | _VOID
_SPECIAL = _VOID | _CLOSES_P | _SCOPE | frozenset(_OPENS) | frozenset(_CLOSED_BY) | frozenset(_RAW_TEXT)
# A block cannot stand directly in these.
_NO_BLOCK_INSIDE = frozenset(
    b"table tbody thead tfoot tr colgroup ul ol dl select a button object svg math map".split()
)
_SHOWN = re.compile(rb"<(?:img|hr|input|object|embed|video|audio|iframe|svg|button|canvas|v:)", re.IGNORECASE)
_CONDITIONAL = re.compile(rb"<!--\[if")
# What is not closed runs to the end of the text, or reading would begin anew at every "<" of broken markup.
_TAGS = re.compile(r"<!--.*?(?:-->|\Z)|<[!?/a-zA-Z](?:[^<>\"'=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+>", re.DOTALL)
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_WRAPPER_CLASS = re.compile(
    rb"""\bclass\s*=\s*\\?["']?(?:x_)*(?:me-email-text|mms-meeting-block)(?![\w-])""", re.IGNORECASE
)

Run = tuple[int, int]
"""Where something starts and ends."""


def _unbalanced() -> Declined:
    return needs_review("The markup around the meeting block does not balance.")


_Element = tuple[bytes, re.Match[bytes], int]
"""An open element: its name in lower case, its start tag, and the bits of what is open inside it."""


def body_start(value: bytes) -> int:
    """Return where <body begins; 0 for a fragment. What precedes it (35 KB in a Word document) is never read."""
    begin = value.find(b"<body")
    return max(begin if begin >= 0 else value.find(b"<BODY"), 0)


def block_range(value: bytes, begin: int, opening: Run, closing: Run) -> Run:
    """Return the balanced range that holds a block, given where its two rows stand in `value`.

    The range is made of whole children of the rows' lowest common ancestor, or of that whole element where it is
    a mail client's own wrapper of the block. `begin` is where to start reading. Raises Declined when the markup
    does not balance or the range would take visible content from outside the block with it.
    """
    stack: list[_Element] = []
    _read(value, begin, stack, opening[0])
    opening_path = stack.copy()
    _read(value, opening[1], stack, closing[0])
    closing_path = stack.copy()
    depth = 0
    for one, other in zip(opening_path, closing_path, strict=False):
        if one is not other:
            break
        depth += 1
    ancestor = opening_path[depth - 1] if depth else None
    if ancestor is not None and ancestor[0] in _NO_BLOCK_INSIDE:
        raise needs_review("The meeting block is spread over the cells of a table, a list or a link.")
    start = opening_path[depth][1].start() if depth < len(opening_path) else opening[0]
    position = end = closing[1]
    if depth < len(closing_path):
        position, end, _ = _read_to_end_of(value, position, stack, closing_path[depth], depth)
    if ancestor is not None and _WRAPPER_CLASS.search(ancestor[1][3]):
        _, wrapper_end, content_end = _read_to_end_of(value, position, stack, ancestor, depth - 1)
        before, after = value[ancestor[1].end() : opening[0]], value[closing[1] : content_end]
        if not _is_visible(before) and not _is_visible(after):
            return ancestor[1].start(), wrapper_end
    if _is_visible(value[start : opening[0]]) or _is_visible(value[closing[1] : end]):
        raise needs_review("Other content stands in the same paragraph as the frame of the meeting block.")
    return start, end


def _read(value: bytes, position: int, stack: list[_Element], target: int) -> None:
    """Read tags up to the text at `target`, keeping the open elements on the stack."""
    resume = -1
    while resume != position:
        resume = position
        for token in _TOKEN.finditer(value, position, target):
            slash, name, attributes, broken = token.groups()
            if name is None:
                if broken:
                    raise needs_review("A row of the meeting block stands inside markup, or next to broken markup.")
            elif slash and stack and stack[-1][0] == name:
                stack.pop()
            elif slash or name in _SPECIAL or attributes[-1:] == b"/" or not name.islower():
                position = _advance(value, token, stack)
                if position > token.end():  # past the content of a style or script element
                    break
            else:
                stack.append((name, token, stack[-1][2] if stack else 0))
        else:
            break
    if position > target:
        raise needs_review("A row of the meeting block stands inside markup, or next to broken markup.")


def _read_to_end_of(
    value: bytes, position: int, stack: list[_Element], element: _Element, depth: int
) -> tuple[int, int, int]:
    """Read on until the element at `depth` of the stack is closed.

    Return where reading stopped, where the element ends, and where its content ends.
    """
    if len(stack) <= depth or stack[depth] is not element:
        raise _unbalanced()
    for token in _TOKEN.finditer(value, position):
        at = token.start()
        if at < position:
            continue
        position = token.end()
        if token[2] is not None:
            position = _advance(value, token, stack)
        elif token[4] is not None:
            break
        if len(stack) <= depth or stack[depth] is not element:
            # Its own end tag belongs to an element; a tag that implies its end does not.
            own = token[1] and token[2].lower() == element[0]
            return position, position if own else at, at
    raise _unbalanced()


def _advance(value: bytes, token: re.Match[bytes], stack: list[_Element]) -> int:
    """Put a tag on the stack or take it off. Return where reading goes on."""
    name = token[2].lower()
    if token[1]:
        if stack and stack[-1][0] == name:
            stack.pop()
        else:
            _close(name, stack)
        return token.end()
    if name in _VOID:
        if name == b"hr" and stack and stack[-1][0] == b"p":
            stack.pop()
        return token.end()
    attributes = token[3]
    if attributes.endswith(b"/"):
        if b":" in name:
            return token.end()
        raise _unbalanced()
    if name in _CLOSES_P:
        if stack and stack[-1][0] == b"p":
            stack.pop()
        elif stack and stack[-1][2] & _PARAGRAPH_IN_SCOPE:
            # Only a paragraph with nothing else open in it ends by itself; outside a table cell it is another one's.
            raise _unbalanced()
    elif name in _CLOSED_BY and stack and stack[-1][0] in _CLOSED_BY[name]:
        while stack and stack[-1][0] in _CLOSED_BY[name]:
            stack.pop()
    within = stack[-1][2] if stack else 0
    if name in _SCOPE:
        within &= ~_PARAGRAPH_IN_SCOPE
    stack.append((name, token, within | _OPENS.get(name, 0)))
    if name in _RAW_TEXT:
        found = _RAW_TEXT[name].search(value, token.end())
        if found is None:
            raise _unbalanced()
        stack.pop()
        return found.end()
    return token.end()


def _close(name: bytes, stack: list[_Element]) -> None:
    """Close an element that is not the innermost one, where HTML implies the end tags in between."""
    if name in _HARMLESS_END and not (stack and stack[-1][2] & _OPENS.get(name, 0)):
        return
    while stack and stack[-1][0] != name and stack[-1][0] in _IMPLIED_END:
        stack.pop()
    if not stack or stack[-1][0] != name:
        raise _unbalanced()
    stack.pop()


def _is_visible(piece: bytes) -> bool:
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


def is_blank(value: bytes) -> bool:
    """Tell whether an escaped HTML value shows nothing."""
    piece = value[body_start(value) :]
    return not _is_visible(piece)


def hrefs(text: str) -> list[str]:
    """Return the link targets of readable HTML (unescaped, character references resolved), in their order."""
    return [one or two or three for one, two, three in _HREF.findall(text)]


def targets(piece: bytes) -> list[str]:
    """Return the link targets of a piece of escaped HTML, in their order."""
    return [characters(target) for target in hrefs(unescaped(piece))]
