"""Queries put together as Django puts them together, in less time: the suite has hundreds of thousands of them.

``tests/site/test_quick_queries.py`` sees that they are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models.expressions import BaseExpression, Col
from django.utils.functional import cached_property

AS_DJANGO = [(of, name, of.__dict__[name]) for of, name in ((BaseExpression, "copy"), (Col, "as_sql"))]
"""What is replaced, beside the identity of columns: where it stands, its name, and Django's own."""


@contextmanager
def quick_queries() -> Iterator[None]:
    """Meanwhile expressions are copied without asking how they would be pickled, and columns named once in a query.

    A query with an order compares all its columns: by the same values as in Django, which looks up anew for each of
    them what they are called in its constructor.
    """
    known = cached_property(_identity)
    known.__set_name__(Col, "identity")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Col, "identity", known)
        patch.setattr(Col, "as_sql", _named_once)
        patch.setattr(BaseExpression, "copy", _copied)
        yield


def _identity(column: Any) -> tuple[Any, ...]:
    given, named = column._constructor_args
    alias, target, output_field = (*given, *named.values(), None)[:3]
    return Col, alias, Col._identity(target), Col._identity(output_field)


def _named_once(column: Any, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
    alias, name, known = column.alias, column.target.column, compiler.quote_cache
    if not alias:
        return compiler.quote_name_unless_alias(name), []
    if (alias, name) not in known:
        known[alias, name] = ".".join(map(compiler.quote_name_unless_alias, (alias, name)))
    return known[alias, name], []


def _copied(expression: Any) -> Any:
    made = object.__new__(type(expression))
    made.__dict__.update(expression.__getstate__())
    return made
