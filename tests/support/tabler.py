"""The part of Tabler's stylesheet that the pages use: ``make styles`` writes it.

A rule stays where the pages have every class, attribute and element that its selector asks for; of what is declared
for all, such as colours, that stays to which something refers. Order and text of what stays are Tabler's.
"""

from __future__ import annotations

import ast
import lzma
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tinycss2

ROOT = Path(__file__).parent.parent.parent
WHOLE = ROOT / "tests" / "vendor" / "tabler.min.css.xz"
USED = ROOT / "static" / "vendor" / "tabler" / "tabler.css"
OURS = ROOT / "static" / "mms.css"
FORGOTTEN = "The stylesheet does not follow the templates: `make styles` writes it anew."

HOOKS = frozenset({"updated", "orderable", "asc", "desc", "is-says-nothing"})
"""Classes that nothing is styled by: a script looks for the first, django-tables2 gives the next to headings, and the
last says of what it is not one."""

_BRACES = r"\{%.*?%\}|\{\{.*?\}\}"
_IN_MARKUP = re.compile(rf"""\b(?:class|css)=(?:"((?:{_BRACES}|[^"])*)"|'((?:{_BRACES}|[^'])*)')""")
"""The value of ``class=`` in HTML, and of ``css=`` where a component is called."""
_UNKNOWN = re.compile(r"[\w-]*-(?:\{%.*?%\}[\w-]*)+|\{%.*?%\}")
"""A word that is finished by tags, and a tag."""
_FILLED_IN = re.compile(r"[^\s{]*\{(?:\{.*?\}|\w*)\}\S*")
"""A word of which a part is filled in: what it becomes stands elsewhere."""
_NAME = re.compile(r"-{0,2}[A-Za-z_][\w-]*")
_CLASS = re.compile(r"(?<!\S)[a-z](?:[a-z0-9-]*[a-z0-9])?(?!\S)")
_WIDGETS = {"html", "body", "input", "select", "option", "optgroup", "textarea", "label", "button"}
"""Elements that pages have though they stand in no template."""


@dataclass(frozen=True)
class Page:
    """What the pages have: names of classes, elements and attributes."""

    classes: frozenset[str]
    elements: frozenset[str]
    attributes: frozenset[str]


def whole() -> str:
    """Tabler's stylesheet as it was published."""
    return lzma.decompress(WHOLE.read_bytes()).decode("utf-8")


def pages() -> Page:
    texts = [path.read_text("utf-8") for path in _files()]
    scripts = [path.read_text("utf-8") for path in (ROOT / "static").glob("*.js")]
    return Page(
        classes=frozenset(classes_named()),
        elements=frozenset(re.findall(r"<([a-z][a-z0-9]*)", " ".join(texts))) | _WIDGETS,
        attributes=frozenset(re.findall(r"\b(?:data|aria)-[a-z-]+", " ".join(texts + scripts))),
    )


@cache
def classes_named() -> dict[str, str]:
    """Each class that templates and code give an element, with a file that does."""
    named = {}
    for path in _files():
        text = path.read_text("utf-8")
        values = [double or single for double, single in _IN_MARKUP.findall(text)]
        if path.suffix == ".py":
            values += _in_code(ast.parse(text))
        for value in values:
            for name in _CLASS.findall(_FILLED_IN.sub(" ", _UNKNOWN.sub(" ", value))):
                named[name] = str(path.relative_to(ROOT))
    return named


def _files() -> Iterator[Path]:
    yield from sorted((ROOT / "templates").rglob("*.html"))
    yield ROOT / "mms_site" / "settings.py"
    for app in ("migrations_app", "tenants_app"):
        for room in ("screens", "templatetags"):
            yield from sorted((ROOT / app / room).glob("*.py"))


def _in_code(module: ast.Module) -> Iterator[str]:
    """What is kept under the name ``class``, ``css`` or ``classes``, or given to a parameter of that name."""
    for node in ast.walk(module):
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs: Iterable[tuple[Any, Any]] = zip(keys, values, strict=True)
            case ast.Assign(targets=targets, value=value):
                pairs = [(target, value) for target in targets]
            case ast.AugAssign(target=target, value=value):
                pairs = [(target, value)]
            case ast.keyword(arg=name, value=value):
                pairs = [(ast.Name(name or ""), value)]
            case _:
                continue
        for key, value in pairs:
            match key:
                case ast.Constant(value=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=name)):
                    if name in {"class", "css", "classes"}:
                        yield from (
                            part.value
                            for part in ast.walk(value)
                            if isinstance(part, ast.Constant) and isinstance(part.value, str)
                        )


def classes_styled(css: str) -> set[str]:
    """Every class that some selector of a stylesheet asks for."""
    return {name for prelude in _preludes(tinycss2.parse_stylesheet(css)) for name in _classes_in(prelude)}


def _preludes(rules: Iterable[Any]) -> Iterator[list[Any]]:
    for rule in rules:
        if rule.type == "qualified-rule":
            yield rule.prelude
        elif rule.type == "at-rule" and rule.content and rule.lower_at_keyword in {"media", "supports"}:
            yield from _preludes(tinycss2.parse_rule_list(rule.content))


def _classes_in(tokens: list[Any]) -> Iterator[str]:
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token == "." and after is not None and after.type == "ident":
            yield after.value
        elif token.type == "function":
            yield from _classes_in(token.arguments)


@dataclass
class Rule:
    """A rule with its declarations, or a group such as ``@media`` with rules; others, as they are, have neither."""

    head: str
    declarations: list[Any]
    rules: list[Rule]
    is_group: bool = False

    def __str__(self) -> str:
        if self.is_group:
            return f"{self.head}{{\n" + "".join(map(str, self.rules)) + "}\n"
        return f"{self.head}{{{';'.join(part.serialize() for part in self.declarations)}}}\n"


def reduced(css: str, has: Page, others: str) -> str:
    """What stays of the stylesheet for such pages, one rule a line; ``others`` are what else refers to its parts."""
    notice = re.search(r"/\*!.*?\*/", css, re.DOTALL)
    rules = list(_living(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), has))
    used = _referred_to(rules, others)
    text = "".join(map(str, _without_idle(rules, used)))
    return '@charset "UTF-8";\n' + (f"{notice[0]}\n" if notice else "") + text


def _living(rules: Iterable[Any], has: Page) -> Iterator[Rule]:
    for rule in rules:
        if rule.type == "qualified-rule":
            asked = [one for one in _alternatives(rule.prelude) if _can_match(one, has)]
            if asked:
                head = ",".join(tinycss2.serialize(one).strip() for one in asked)
                yield Rule(head, _declarations(rule.content), [])
        elif rule.lower_at_keyword in {"media", "supports"}:
            inside = list(_living(tinycss2.parse_rule_list(rule.content, skip_whitespace=True), has))
            if inside:
                yield Rule(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}", [], inside, is_group=True)
        elif rule.lower_at_keyword in {"keyframes", "property"}:
            head = f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}"
            if rule.lower_at_keyword == "property":
                yield Rule(head, _declarations(rule.content), [])
                continue
            steps = tinycss2.parse_rule_list(rule.content, skip_whitespace=True)
            inside = [Rule(tinycss2.serialize(step.prelude), _declarations(step.content), []) for step in steps]
            yield Rule(head, [], inside, is_group=True)


def _declarations(content: Iterable[Any]) -> list[Any]:
    return [
        part
        for part in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True)
        if part.type == "declaration"
    ]


def _alternatives(tokens: Iterable[Any]) -> list[list[Any]]:
    """What stands between the commas."""
    found: list[list[Any]] = [[]]
    for token in tokens:
        if token == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def _can_match(selector: list[Any], has: Page) -> bool:
    """Whether some page may have what the selector asks for; what must *not* be there (``:not``) decides nothing."""
    before: Any = None
    for token in selector:
        if token.type == "ident":
            if before == "." and token.value not in has.classes:
                return False
            if (before is None or before.type == "whitespace" or before in (">", "+", "~")) and (
                token.lower_value not in has.elements
            ):
                return False
        elif token.type == "function" and token.lower_name in {"is", "where", "has"}:
            if not any(_can_match(one, has) for one in _alternatives(token.arguments)):
                return False
        elif token.type == "[] block" and not _is_there(token.content, has):
            return False
        before = token
    return True


def _is_there(condition: list[Any], has: Page) -> bool:
    name = condition[0].value
    if name == "class" and len(condition) > 1:
        part = condition[-1].value.strip()
        return any(part in one for one in has.classes)
    return name != "style" and (not name.startswith(("data-", "aria-")) or name in has.attributes)


def _referred_to(rules: list[Rule], others: str) -> set[str]:
    """Names of variables and animations that something refers to which is itself in use."""
    refers: dict[str, set[str]] = {}
    used = set(_NAME.findall(others))
    for rule in _each(rules):
        for part in rule.declarations:
            names = set(_NAME.findall(tinycss2.serialize(part.value)))
            if part.name.startswith("--"):
                refers.setdefault(part.name, set()).update(names)
            else:
                used |= names
    new = used
    while new:
        new = set().union(*(refers.get(name, set()) for name in new)) - used
        used |= new
    return used


def _each(rules: list[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        yield from _each(rule.rules)


def _without_idle(rules: list[Rule], used: set[str]) -> Iterator[Rule]:
    for rule in rules:
        if rule.head.startswith(("@keyframes", "@property")):
            if rule.head.split()[1] in used:
                yield rule
        elif rule.is_group:
            inside = list(_without_idle(rule.rules, used))
            if inside:
                yield Rule(rule.head, [], inside, is_group=True)
        else:
            kept = [part for part in rule.declarations if not part.name.startswith("--") or part.name in used]
            if kept:
                yield Rule(rule.head, kept, [])


def stylesheet() -> str:
    """What ``static/vendor/tabler/tabler.css`` has to be."""
    return reduced(whole(), pages(), OURS.read_text("utf-8"))


if __name__ == "__main__":
    USED.write_text(stylesheet(), "utf-8")
