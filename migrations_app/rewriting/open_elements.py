"""What is open at a place of HTML, by source offsets: as much of a browser's tree building as cutting takes.

Works on the unfolded, still escaped value of X-ALT-DESC, so a line break in the markup may stand as the two
characters \\n. Elements that are never closed, misnested or closed without having been opened are read as browsers
read them (WHATWG HTML, 13.2.6, without the insertion modes of frames and foreign content). All of it is linear in the
size of the value, however deep or broken the markup.
"""

import re
from collections import defaultdict
from heapq import heappop, heappush

from migrations_app.rewriting.errors import Declined, needs_review
from tenants_app.sentences import sentence

TOKEN = re.compile(
    rb"""
    <(/?)([a-zA-Z][a-zA-Z0-9:_-]*+)
     (?: [^<>"'=]*+ (?: =(?:\s|\\n)*+ (?: \\?"[^"]*+" | \\?'[^']*+' )?+ [^<>"'=]*+ )*+ (?: (?<=/)()> | > )
       # Quotes may stray, but not where a value that is missing one has swallowed the tags after it.
       | (?: [^<>"'=]++ | =(?:\s|\\n)*+ (?: \\?"[^"<>]*+" | \\?'[^'<>]*+' | (?!\\?["']) ) | ["'] )*+ > )
  | <!--(?:-?>|.*?--!?>)
  | <(?:!(?!--)|\?|/(?![a-zA-Z]))[^>]*+>
  | (<[a-zA-Z/!?])
    """,
    re.DOTALL | re.VERBOSE,
)
_RAW_TEXT = {
    name: re.compile(rb"</" + name + rb"(?:\s|/|\\[nN])*+>", re.IGNORECASE)
    for name in b"style script title textarea xmp noscript iframe noembed noframes".split()
}
_VOID = frozenset(
    b"area base basefont bgsound br col command embed frame hr image img input keygen link meta param source track "
    b"wbr".split()
)
DOCUMENT = frozenset(b"html head body frameset".split())
_FORMATTING = frozenset(b"a b big code em font i nobr s small strike strong tt u".split())
CLOSES_P = frozenset(
    b"address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    b"h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p pre search section summary table ul".split()
)
_TABLE = frozenset(b"table caption colgroup tbody tr td".split())
_CELL = frozenset(b"applet caption marquee object td template".split())
_SCOPE = _CELL | {b"button", b"table"}
_SPECIAL = (
    _VOID
    | DOCUMENT
    | CLOSES_P
    | _TABLE
    | _SCOPE
    | frozenset(_RAW_TEXT)
    | frozenset(b"th thead tfoot select math svg".split())
)
# Elements that the same start tags and hardly other end tags close.
_SAME = {b"th": b"td", b"thead": b"tbody", b"tfoot": b"tbody", b"dt": b"dd"} | {
    f"h{level}".encode(): b"h1" for level in range(2, 7)
}
_ITEMS = frozenset([b"li", b"dd"])
# Which open element the start of one closes: the first of these that is open in the same table, list or heading.
_CLOSED = {
    b"li": (b"li",),
    b"dd": (b"dd",),
    b"h1": (b"h1",),
    b"td": (b"td",),
    b"tr": (b"tr", b"td"),
    b"tbody": (b"tbody", b"tr", b"td"),
}
_CHILDLESS = _VOID | DOCUMENT | frozenset(_RAW_TEXT)
# A block cannot stand directly in these.
NO_BLOCK_INSIDE = _TABLE - {b"td", b"caption"} | frozenset(b"ul ol dl select a button object svg math map".split())
CUT_IN_TWO = sentence(
    "The HTML cannot be cut at the meeting block: some formatting or a part of the layout starts "
    "outside the block and ends inside it, or the other way round."
)
Run = tuple[int, int]
"""Where something starts and ends."""
Within = tuple[int, int, int, int, int]
"""The places on the stack of the innermost special element, of what bounds a scope, of what bounds a list item, of
the innermost table, and of what bounds formatting: a table cell or its like (WHATWG HTML, 13.2.4.2 and 13.2.4.3)."""
Element = tuple[bytes, int, Within, list[int]]
"""An open element: its name, where its start tag stands, what it stands in, itself included, and the places on the
stack of all open elements of its name. One that was closed while others remain open in it has no name."""


def inside_markup() -> Declined:
    """Return the refusal of a row that cannot be reached by reading."""
    return needs_review(sentence("A row of the meeting block stands inside markup, or next to broken markup."))


class OpenElements:
    """What is open at a place of a document: browsers' stack of open elements and list of active formatting elements.

    A formatting element outlives the element that it was opened in; then it is `floating`, until its end tag or the
    end of the table cell it is in: for each name a heap of (minus its start, start of the cell). The list `torn`
    holds (start of an element, place) of every tag that ended an element in another way than by nesting, or that
    browsers ignore because the element it means is out of its reach.
    """

    __slots__ = ("floating", "ordinary", "places", "stack", "torn")

    def __init__(self) -> None:
        self.stack: list[Element] = [(b"#", -1, (0, 0, 0, 0, 0), [0])]
        self.places: defaultdict[bytes, list[int]] = defaultdict(list)
        self.ordinary: dict[bytes, list[int]] = {}  # of `places`, those whose names open by no rules of their own
        self.floating: dict[bytes, list[Run]] = {}
        self.torn: list[Run] = []

    def start(self, token: re.Match[bytes]) -> int:
        """Take a start tag. Return where reading goes on: for a style or script element, after it."""
        name = token[2].lower()
        name = _SAME.get(name, name)
        at, position = token.span()
        stack = self.stack
        if token[3] is not None and self._ends_itself(name):
            return position
        if name in _TABLE and name != b"table" and not self.places.get(b"table"):
            return position  # browsers ignore parts of a table where there is none
        if name in CLOSES_P:
            paragraphs = self.places.get(b"p")
            if paragraphs and paragraphs[-1] > stack[-1][2][1]:
                # Not torn: what is put in the place of a block starts with such a tag as well.
                self._pop_to(paragraphs[-1])
        if name in _CLOSED:
            self._close_siblings(name, at)
        elif name in _CHILDLESS:
            return self._childless(name, token)
        place = len(stack)
        within = stack[-1][2]
        if name in _SPECIAL:
            _, scope, item, table, cell = within
            if name not in (b"p", b"div"):
                item = item if name == b"address" else place
                scope = place if name in _SCOPE else scope
                table = place if name == b"table" else table
                cell = place if name in _CELL else cell
            within = (place, scope, item, table, cell)
        same = self.places[name]
        if name == token[2] and name not in _SPECIAL:
            self.ordinary[name] = same
        same.append(place)
        stack.append((name, at, within, same))
        return position

    def _ends_itself(self, name: bytes) -> bool:
        """Tell whether an element with /> is empty: to browsers only in drawings, to Word also with a prefix."""
        return b":" in name or name in (b"svg", b"math") or bool(self.places.get(b"svg") or self.places.get(b"math"))

    def _childless(self, name: bytes, token: re.Match[bytes]) -> int:
        if name in DOCUMENT:
            self.torn.append((-1, token.start()))
        if name not in _RAW_TEXT:
            return token.end()
        end = _RAW_TEXT[name].search(token.string, token.end())
        return end.end() if end else len(token.string) + 1

    def _close_siblings(self, name: bytes, at: int) -> None:
        _, _, item, table, _ = self.stack[-1][2]
        limit = item if name in _ITEMS else table + 1
        if name == b"h1":  # only where nothing else is open in the other heading
            limit = len(self.stack) - 1
        for sibling in _CLOSED[name]:
            place = self._last(sibling)
            if place and place >= limit:
                self.torn.append((self.stack[place][1], at))
                self._pop_to(place)
                return

    def end(self, tag: bytes, at: int) -> None:
        """Take an end tag that does not close the innermost element."""
        name = tag.lower()
        name = _SAME.get(name, name)
        if name in DOCUMENT:
            self.torn.append((-1, at))
            return
        if name in _FORMATTING:
            self._end_formatting(name, at)
            return
        place = self._last(name)
        if not place:
            return
        special, scope, _, table, _ = self.stack[-1][2]
        if name in _TABLE:
            limit = table
        elif name == b"li":
            limit = max(scope, self._last(b"ul"), self._last(b"ol"))
        else:
            limit = scope if name in _SPECIAL else special
        if place < limit:
            self.torn.append((self.stack[place][1], at))
        else:
            self._pop_to(place)

    def _end_formatting(self, name: bytes, at: int) -> None:
        """End the last formatting element of that name, leaving open what is not formatting in it."""
        special, scope, _, _, cell = self.stack[-1][2]
        place = self._last(name)
        start = self.stack[place][1] if place else -1
        floating = self.floating_here(name)
        if floating and floating[0][1] == self.stack[cell][1] and -floating[0][0] > start:
            self.torn.append((-heappop(floating)[0], at))
        elif place > special:
            self._pop_to(place + 1)
            self.stack.pop()[3].pop()
        elif place > scope:
            _, _, within, same = self.stack[place]
            self.stack[place] = (b"", start, within, [same.pop()])
            self.torn.append((start, at))
        else:
            self.torn += [(start, at)] if place else []
            self.torn += [(-floating[0][0], at)] if floating else []

    def floating_here(self, name: bytes) -> list[Run]:
        """Return the floating elements of that name without those whose table cell has ended."""
        floating = self.floating.get(name, [])
        cell = self.stack[self.stack[-1][2][4]][1]
        while floating and floating[0][1] > cell:
            heappop(floating)
        return floating

    def _last(self, name: bytes) -> int:
        """Return the place on the stack of the innermost element of that name; 0 when none is open."""
        same = self.places.get(name)
        return same[-1] if same else 0

    def _pop_to(self, place: int) -> None:
        stack = self.stack
        while len(stack) > place:
            name, start, within, same = stack.pop()
            same.pop()
            if name in _FORMATTING:
                heappush(self.floating.setdefault(name, []), (-start, stack[within[4]][1]))

    def has_open(self, ancestor: int, start: int, before: int) -> bool:
        """Tell whether anything is open that started from `start` on and before `before`.

        `ancestor` is the place on the stack of the innermost element that started earlier than `start`.
        """
        stack = self.stack
        while not stack[-1][0]:
            stack.pop()[3].pop()
        if len(stack) > ancestor + 1 and stack[ancestor + 1][1] < before:
            return True
        return any((floating := self.floating_here(name)) and -floating[0][0] >= start for name in self.floating)

    def reaches(self, name: bytes) -> bool:
        """Tell whether a formatting element of that name is in effect."""
        return self._last(name) > self.stack[-1][2][1] or bool(self.floating_here(name))

    def path(self) -> list[Element]:
        """Return the elements that are open, from the outermost to the innermost."""
        return [element for element in self.stack if element[0]]

    def tears(self, before: int, start: int, end: int) -> bool:
        """Tell whether a tag between `start` and `end` tore what had started before `before`."""
        return any(opened < before and start <= at < end for opened, at in self.torn)


def read_tags(value: bytes, position: int, tree: OpenElements, target: int) -> None:
    """Read the tags up to `target`."""
    stack, ordinary = tree.stack, tree.ordinary
    resume = -1
    while resume != position:
        resume = position
        for token in TOKEN.finditer(value, position, target):
            slash, name, empty, broken = token.groups()
            if name is None:
                if broken:
                    raise inside_markup()
            elif slash:
                if stack[-1][0] == name:
                    stack.pop()[3].pop()
                else:
                    tree.end(name, token.start())
            elif (same := ordinary.get(name)) is None or empty is not None:
                position = tree.start(token)
                if position > token.end():  # past the content of a style or script element
                    break
            else:
                same.append(len(stack))
                stack.append((name, token.start(), stack[-1][2], same))
        else:
            break
    if position > target:
        raise inside_markup()


def read_on(value: bytes, position: int, tree: OpenElements, place: int, start: int) -> Run:
    """Read on until nothing is open that started from `start` on in the element at `place` of the stack.

    Return where reading stopped, and where the range that began at `start` ends. What is never closed ends with the
    document.
    """
    ancestor = tree.stack[place]
    if not tree.has_open(place, start, position):
        return position, position
    document_end = len(value)
    while (token := TOKEN.search(value, position)) is not None:
        slash, name, _, broken = token.groups()
        at, position = token.span()
        if broken:
            raise inside_markup()
        if name is None:
            continue
        if not slash:
            position = tree.start(token)
        elif tree.stack[-1][0] == name:
            tree.stack.pop()[3].pop()
        else:
            tree.end(name, at)
            if name.lower() in DOCUMENT:
                document_end = min(document_end, at)
        is_whole = not tree.has_open(place, start, at)
        if len(tree.stack) > place and tree.stack[place] is ancestor:
            if is_whole:
                return position, position if slash else at
        elif is_whole:
            return position, at
        else:
            raise needs_review(CUT_IN_TWO)
    return len(value), document_end
