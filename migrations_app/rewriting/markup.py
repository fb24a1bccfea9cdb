"""Where the HTML of a mail can be cut to put another meeting block into it.

Works on the unfolded, still escaped value of X-ALT-DESC, by offsets. Nothing is ever repaired: what is cut out leaves
the markup around it exactly as well or badly balanced as it was. All of it is linear in the size of the value.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from migrations_app.rewriting.errors import Declined, needs_review
from migrations_app.rewriting.open_elements import (
    _SCOPE,
    CLOSES_P,
    CUT_IN_TWO,
    NO_BLOCK_INSIDE,
    TOKEN,
    Element,
    OpenElements,
    Run,
    read_on,
    read_tags,
)
from migrations_app.rewriting.shown_html import is_visible
from tenants_app.sentences import sentence

_LINK = re.compile(rb"<a(?![\w:-])", re.IGNORECASE)
_WRAPPER_CLASS = re.compile(
    rb"""\bclass\s*=\s*\\?["']?(?:x_)*(?:me-email-text|mms-meeting-block)(?![\w-])""", re.IGNORECASE
)
_QUOTE_CLASS = re.compile(
    rb"""\bclass\s*=\s*(?:\\?"[^"]*?|\\?'[^']*?)?(?<![\w-])(?:x_)*gmail_quote(?![\w-])""", re.IGNORECASE
)

_SPREAD = sentence("The meeting block is spread over the cells of a table, a list or a link.")

_MOST_IN_PARAGRAPH = 12
_BLANK = rb"(?:\s|\\(?:r\\)?[nN]|&nbsp\\?;|\xc2\xa0)*+"
_LINE_BEFORE = re.compile(rb"<br\b[^<>]*+>" + _BLANK + rb"$", re.IGNORECASE)
_LINE_AFTER = re.compile(_BLANK + rb"<br\b", re.IGNORECASE)
_FAR = 200


class Cut(NamedTuple):
    """The range to be replaced, and the tags to write before and after what is put there.

    The tags end a paragraph that goes on below the block, and begin it anew: a paragraph cannot hold a block.
    """

    start: int
    end: int
    before: bytes = b""
    after: bytes = b""


def block_range(value: bytes, begin: int, opening: Run, closing: Run) -> Cut:
    """Return the range that holds a block, given where its two rows stand in `value`; tags may stand inside a row.

    The range is made of whole children of the rows' lowest common ancestor, or of that whole element where it is
    a mail client's own wrapper of the block. Every start tag in it ends in it, and every end tag in it belongs to
    such a start tag or to nothing at all. `begin` is where to start reading. Raises Declined when there is no such
    range, or it would take visible content from outside the block with it.
    """
    tree = OpenElements()
    read_tags(value, begin, tree, opening[0])
    opening_path = tree.path()
    read_tags(value, opening[0], tree, closing[1])
    closing_path = tree.path()
    depth = 0
    for one, other in zip(opening_path, closing_path, strict=False):
        if one is not other:
            break
        depth += 1
    ancestor = opening_path[depth - 1]
    if ancestor[0] in NO_BLOCK_INSIDE:
        raise needs_review(_SPREAD)
    start = opening_path[depth][1] if depth < len(opening_path) else opening[0]
    place = next(place for place, element in enumerate(tree.stack) if element is ancestor)
    position, end = read_on(value, closing[1], tree, place, start)
    refusal = _doubt(value, tree, start, end, [path[depth : depth + 1] for path in (opening_path, closing_path)])
    is_ragged = (
        tree.has_open(place, start, end) or tree.tears(opening[0], opening[0], end) or tree.tears(end, closing[1], end)
    )
    if _is_wrapper(value, ancestor) and tree.stack[place : place + 1] == [ancestor]:
        wrapper = _wrapper_range(value, position, tree, place, opening, closing)
        if wrapper is not None:
            return Cut(*wrapper)
    if refusal:
        raise needs_review(refusal)
    if is_visible(value[start : opening[0]]) or is_visible(value[closing[1] : end]):
        if is_ragged:
            raise needs_review(CUT_IN_TWO)
        paths = opening_path[depth : depth + 2], closing_path[depth : depth + 2]
        if (cut := _cut_over_paragraphs(value, begin, *paths, Cut(start, end), opening, closing)) is not None:
            return cut
        raise needs_review(sentence("Other content stands in the same paragraph as the frame of the meeting block."))
    for at in range(depth - 1, 0, -1):
        if opening_path[at][0] == b"p":
            return _cut_in_paragraph(value, position, tree, opening_path[at:depth], Cut(start, end), opening, closing)
        if opening_path[at][0] in _SCOPE:
            break
    return Cut(start, end)


def _cut_in_paragraph(
    value: bytes, position: int, tree: OpenElements, around: Sequence[Element], cut: Cut, opening: Run, closing: Run
) -> Cut:
    """Return the cut of a block that stands, line below line, in the paragraph `around[0]` and what is open in it."""
    paragraph = around[0]
    place = next((place for place, element in enumerate(tree.stack) if element is paragraph), 0)
    whole = _extent(value, position, tree, place) if place else None
    has_text_above = is_visible(value[paragraph[1] : opening[0]])
    has_text_below = whole is None or is_visible(value[closing[1] : whole[1]])
    if whole is not None and not has_text_above and not has_text_below:
        return Cut(*whole)
    if len(around) > _MOST_IN_PARAGRAPH:
        raise needs_review(
            sentence("The meeting block stands inside a paragraph with too much formatting to divide it.")
        )
    tags = [tag for element in around if (tag := TOKEN.match(value, element[1])) is not None]
    ends = b"".join(b"</" + tag[2] + b">" for tag in reversed(tags))
    starts = b"".join(tag[0] for tag in tags)
    # A paragraph that would be left with nothing to show goes with the block.
    return Cut(
        cut.start if has_text_above else paragraph[1],
        cut.end if whole is None or has_text_below else whole[1],
        ends if has_text_above else b"",
        starts if has_text_below else b"",
    )


def _cut_over_paragraphs(
    value: bytes, begin: int, first: Sequence[Element], last: Sequence[Element], cut: Cut, opening: Run, closing: Run
) -> Cut | None:
    """Return the cut of a block that begins below other lines of a paragraph, or ends above other lines of a later one.

    So Exchange writes what Outlook keeps as RTF. `first` and `last` are what is open at the rows, in their common
    ancestor: the paragraphs, and an element of them that holds the row. None where the block does not lie like that.
    """
    start, end, before, after = cut
    if is_visible(value[start : opening[0]]):
        start = first[1][1] if len(first) > 1 else opening[0]
        is_line = _LINE_BEFORE.search(value, max(start - _FAR, 0), start) and not is_visible(value[start : opening[0]])
        if not is_line or not first or first[0][0] != b"p":
            return None
        before = b"</p>"
    if is_visible(value[closing[1] : end]):
        if not last or last[0][0] != b"p" or (tag := TOKEN.match(value, last[0][1])) is None:
            return None
        tree = OpenElements()
        read_tags(value, begin, tree, closing[1])
        place = next(place for place, element in enumerate(tree.stack) if element[1] == last[0][1])
        _, end = read_on(value, closing[1], tree, place, last[1][1] if len(last) > 1 else closing[1])
        if is_visible(value[closing[1] : end]) or not _LINE_AFTER.match(value, end):
            return None
        after = tag[0]
    return Cut(start, end, before, after)


def _doubt(value: bytes, tree: OpenElements, start: int, end: int, outermost: Sequence[Sequence[Element]]) -> str:
    """Return why a range cannot be replaced without changing what is around it; "" when it can.

    `tree` was read to the end of the range; `outermost` are the elements in it, if any, that hold its two rows.
    """
    if tree.tears(start, start, end):
        return CUT_IN_TWO
    if tree.reaches(b"a") and not _LINK.search(value, start, end):
        return _SPREAD  # a new block holds a link, and a link ends the one it stands in
    is_unclosed = any(map(tree.floating_here, tree.floating))
    in_block = all(each and each[0][0] in CLOSES_P for each in outermost)
    if is_unclosed and not in_block and b"<table" in value[end:].lower():
        # Browsers open it anew for text of the block outside paragraphs, around whatever follows; else no cell has it.
        return sentence("Formatting that is never closed reaches over the meeting block to a table below it.")
    return ""


def _is_wrapper(value: bytes, element: Element) -> bool:
    tag = TOKEN.match(value, element[1]) if element[1] >= 0 else None
    return tag is not None and _WRAPPER_CLASS.search(tag[0]) is not None


def _wrapper_range(
    value: bytes, position: int, tree: OpenElements, place: int, opening: Run, closing: Run
) -> Run | None:
    """Return the range of the element at `place` of the stack if it holds nothing but the block."""
    whole = _extent(value, position, tree, place)
    if whole is None or is_visible(value[whole[0] : opening[0]]) or is_visible(value[closing[1] : whole[1]]):
        return None
    return whole


def _extent(value: bytes, position: int, tree: OpenElements, place: int) -> Run | None:
    """Return where the element at `place` of the stack starts and ends; None where it does not end in order."""
    start = tree.stack[place][1]
    try:
        _, end = read_on(value, position, tree, place - 1, start)
    except Declined:
        return None
    return None if tree.tears(start, start, end) else (start, end)


def is_quoted(value: bytes, begin: int, at: int) -> bool:
    """Tell whether the place `at` stands in a <blockquote> or in what Gmail marks as quoted.

    `begin` is where to start reading. False where the place cannot be reached by reading, which `block_range`
    refuses.
    """
    before = value[begin:at].lower()
    if b"<blockquote" not in before and b"gmail_quote" not in before:
        return False
    tree = OpenElements()
    try:
        read_tags(value, begin, tree, at)
    except Declined:
        return False
    return any(name == b"blockquote" or _is_marked_quote(value, start) for name, start, _, _ in tree.path()[1:])


def _is_marked_quote(value: bytes, start: int) -> bool:
    tag = TOKEN.match(value, start)
    return tag is not None and _QUOTE_CLASS.search(tag[0]) is not None
