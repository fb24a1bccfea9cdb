"""OData's query options as far as Outlook's events take them (query-parameters, filter-query-parameter)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.graph_stand_in.errors import Refusal, bad_request

Test = Callable[[Any], bool]
"""A filter: asked of a row."""

_TOKENS = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')"
    r"|(?P<datetime>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_@][\w./]*)"
    r"|(?P<mark>[(),:]))"
)
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "startswith": lambda a, b: a.casefold().startswith(b.casefold()),
    "contains": lambda a, b: b.casefold() in a.casefold(),
    "endswith": lambda a, b: a.casefold().endswith(b.casefold()),
}


@dataclass(frozen=True)
class Fields:
    """What may be asked of rows: ``filters`` gives each filterable property's value and type, ``known`` names all."""

    filters: Mapping[str, tuple[str, Callable[[Any], Any]]]
    known: frozenset[str]
    functions: frozenset[str] = frozenset({"startswith", "contains"})
    extended: Callable[[Any], Mapping[str, str]] | None = None


def invalid(text: str) -> Refusal:
    return bad_request(f"Invalid filter clause: {text}")


class _Parser:
    def __init__(self, text: str, fields: Fields) -> None:
        self.fields = fields
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKENS.match(text, at)
            if match is None:
                raise invalid(f"syntax error at position {at} in '{text}'.")
            self.tokens.append((str(match.lastgroup), match[match.lastgroup or 0]))
            at = match.end()
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, wanted: str = "") -> tuple[str, str]:
        token = self.peek()
        if wanted and token[1] != wanted:
            raise invalid(f"'{wanted}' expected, '{token[1]}' found in '{self.text}'.")
        self.at += 1
        return token

    def all(self) -> Test:
        test = self.either()
        if self.peek()[0] != "end":
            raise invalid(f"syntax error at '{self.peek()[1]}' in '{self.text}'.")
        return test

    def either(self) -> Test:
        tests = [self.both()]
        while self.peek() == ("name", "or"):
            self.take()
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.single()]
        while self.peek() == ("name", "and"):
            self.take()
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def single(self) -> Test:
        kind, value = self.take()
        if (kind, value) == ("name", "not"):
            inner = self.single()
            return lambda row: not inner(row)
        if value == "(":
            inner = self.either()
            self.take(")")
            return inner
        if kind != "name":
            raise invalid(f"syntax error at '{value}' in '{self.text}'.")
        if self.peek()[1] == "(":
            return self.function(value)
        return self.comparison(value)

    def comparison(self, name: str) -> Test:
        type_, get = self.field(name)
        _, operator = self.take()
        compare = _COMPARE.get(operator)
        if compare is None:
            raise invalid(f"operator '{operator}' is not supported.")
        value = self.literal(type_)

        def test(row: Any) -> bool:
            found = get(row)
            if found is None or value is None:
                return compare(found, value) if operator in ("eq", "ne") else False
            return compare(found, value)

        return test

    def function(self, name: str) -> Test:
        if name.lower() == "singlevalueextendedproperties/any" and self.fields.extended is not None:
            return self.any_property()
        if name.lower().endswith(("/any", "/all")):
            # microsoft-graph-docs#1771: lambda over attendees is refused
            raise bad_request(f"'{self.text}' is not a supported filter expression.", "UnsupportedEntityExpression")
        if name not in self.fields.functions:
            raise invalid(f"An unknown function with name '{name}' was found.")
        self.take("(")
        type_, get = self.field(self.take()[1])
        if type_ != "String":
            raise invalid(f"No function signature for the function with name '{name}' matches {type_}.")
        self.take(",")
        wanted = self.literal("String")
        self.take(")")
        return lambda row: _TEXTS[name](get(row) or "", wanted)

    def field(self, name: str) -> tuple[str, Callable[[Any], Any]]:
        if name in self.fields.filters:
            return self.fields.filters[name]
        first = name.split("/")[0]
        if first not in self.fields.known:
            raise bad_request(
                f"Could not find a property named '{name}' on type 'Microsoft.OutlookServices.Event'.",
                "RequestBroker--ParseUri",
            )
        # microsoft-graph-docs#19106: "The property 'Recurrence' does not support filtering."
        shown = first[0].upper() + first[1:]
        raise bad_request(f"The property '{shown}' does not support filtering.", "ErrorInvalidProperty")

    def literal(self, type_: str) -> Any:
        kind, value = self.take()
        if kind == "string":
            found, told = value[1:-1].replace("''", "'"), "String"
        elif kind == "datetime":
            found, told = value, "DateTimeOffset"
        elif (kind, value) in (("name", "true"), ("name", "false")):
            return self._typed(value == "true", "Boolean", type_)
        elif (kind, value) == ("name", "null"):
            return None
        elif kind == "number":
            found, told = value, "Int32"
        else:
            raise invalid(f"a value expected, '{value}' found.")
        return self._typed(found, told, type_)

    @staticmethod
    def _typed(value: Any, told: str, wanted: str) -> Any:
        if told != wanted and not (wanted == "Enum" and told == "String"):
            message = f"A binary operator with incompatible types was detected. Found 'Edm.{wanted}' and 'Edm.{told}'."
            raise bad_request(message, "BadRequest")
        return value

    def any_property(self) -> Test:
        """``Any(ep: ep/id eq '…' and …)`` (singlevaluelegacyextendedproperty-get): needs the id by ``eq``; names are
        case-sensitive, values are not; strings take contains, startswith, eq, ne."""
        self.take("(")
        variable = self.take()[1]
        self.take(":")
        extended = self.fields.extended
        fields = Fields(
            {f"{variable}/id": ("String", lambda pair: pair[0]), f"{variable}/value": ("String", lambda pair: pair[1])},
            frozenset(),
        )
        begun = self.at
        depth = 1
        while depth and self.peek()[0] != "end":
            depth += {"(": 1, ")": -1}.get(self.take()[1], 0)
        if depth:
            raise invalid(f"')' expected in '{self.text}'.")
        inner = _Parser("", fields)
        inner.text = self.text
        inner.tokens = self.tokens[begun : self.at - 1]
        ids = [
            inner.tokens[n + 2][1][1:-1]
            for n, token in enumerate(inner.tokens[:-2])
            if token[1] == f"{variable}/id" and inner.tokens[n + 1][1] == "eq"
        ]
        inner.tokens = [
            (
                kind,
                f"'{canonical(value[1:-1])}'"
                if n >= 2 and inner.tokens[n - 2][1] == f"{variable}/id"
                else value.lower()
                if kind == "string"
                else value,
            )
            for n, (kind, value) in enumerate(inner.tokens)
        ]
        if len(ids) != 1:
            raise bad_request("The filter on extended properties needs one 'id eq'.", "ErrorInvalidUrlQueryFilter")
        wanted = canonical(ids[0])
        test = inner.all()

        def found(row: Any) -> bool:
            value = extended(row).get(wanted) if extended else None
            return value is not None and test((wanted, value.lower()))

        return found


_ID = re.compile(
    r"(?P<type>[A-Za-z]+) (?:(?P<set>\{[0-9A-Fa-f-]{36}\}) (?:Name (?P<name>\S.*)|Id (?P<id>0x[0-9A-Fa-f]+))"
    r"|(?P<tag>0x[0-9A-Fa-f]{8}))"
)


def canonical(text: str) -> str:
    """The id of an extended property in one form (extended-properties-overview: three formats). 400 for others."""
    match = _ID.fullmatch(text)
    if match is None:
        raise bad_request(f"The property Id '{text}' is invalid.", "ErrorInvalidProperty")
    if match["tag"]:
        return f"{match['type']} {match['tag'].lower()}"
    rest = f"Name {match['name']}" if match["name"] else f"Id {match['id'].lower()}"
    return f"{match['type']} {match['set'].lower()} {rest}"


def parse(text: str, fields: Fields) -> Test:
    """The filter of this text. 400 where it is none, or asks what cannot be asked."""
    return _Parser(text, fields).all()


_EXPAND = re.compile(r"singleValueExtendedProperties\(\s*\$filter\s*=\s*(?P<filter>.*)\)\s*", re.DOTALL)
_IS_ID = re.compile(r"\s*\(?\s*id eq '((?:[^']|'')*)'\s*\)?\s*")


def expanded(text: str, known: Sequence[str] = ()) -> Mapping[str, str]:
    """Which extended properties ``$expand`` asks for: as they are kept, and as they were asked."""
    if text.strip() in known:
        return {}
    match = _EXPAND.fullmatch(text.strip())
    if match is None:
        # the resource's table: only singleValueExtendedProperties with its filter on id gives anything
        raise bad_request(f"Parsing OData Select and Expand failed: '{text}'.", "BadRequest")
    wanted: dict[str, str] = {}
    for part in re.split(r"\bor\b(?=\s*\(?\s*id eq )", match["filter"]):
        one = _IS_ID.fullmatch(part)
        if one is None:
            raise bad_request("Expand on extended properties takes a filter of 'id eq' alone.", "ErrorInvalidUrlQuery")
        wanted[canonical(one[1].replace("''", "'"))] = one[1].replace("''", "'")
    return wanted


def selected(text: str, known: frozenset[str]) -> frozenset[str]:
    """The names that ``$select`` wants; all where it wants none. 400 for unknown ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name.split("/")[0] not in known:
            message = f"Parsing OData Select and Expand failed: Could not find a property named '{name}'."
            raise bad_request(message, "RequestBroker--ParseUri")
    return frozenset(name.split("/")[0] for name in names)
