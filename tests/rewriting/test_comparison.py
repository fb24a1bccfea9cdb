"""What a run replaced as people read it, of any text whatever that stands in an invitation."""

from __future__ import annotations

import pytest
from hypothesis import given

from migrations_app.calendars.content_lines import escaped
from migrations_app.rewriting.comparison import Piece, Row, compare
from migrations_app.rewriting.spans import Span
from tests.support.strategies import HTML_SOUP


def shown(html: str) -> list[str | None]:
    """The lines of a description before it was replaced."""
    span = Span("", "X-ALT-DESC", escaped(html).decode("utf-8", "surrogateescape"), "")
    return [row.before for change in compare([span]) for row in change.rows]


@pytest.mark.parametrize(
    ("html", "lines"),
    [
        ("<p>Join<![x[ here>now</p>", ["Joinnow"]),
        ("<![if !supportLists]>1.<![endif]> Agenda", ["1. Agenda"]),
        ("a<![CDATA[b", ["a"]),
        ("&#" + "9" * 5000 + "; end", ["\ufffd end"]),
        ("<?xml version='1.0' encoding='utf-16'?><p>x</p>", ["x"]),
        ("<p>" * 5_000 + "deep", ["deep"]),
        ("<script>steal()</script><style>p{}</style><title>t</title>seen", ["seen"]),
        (
            "<a href='https://meet.contoso.com/anna/K1'>Join</a> or <br>call",
            ["Join <https://meet.contoso.com/anna/K1> or", "call"],
        ),
        ("", []),
    ],
)
def test_html_is_shown_as_its_text(html: str, lines: list[str]) -> None:
    assert shown(html) == lines


@given(HTML_SOUP)
def test_no_html_is_an_error(html: str) -> None:
    assert all(shown(html))


def test_r40_the_few_characters_that_changed_are_told_apart() -> None:
    before = "+1 425-555-0100,,580849884# <tel:+14255550100,,580849884#> United States, Redmond"
    after = "+39 06 5555 0171,,9998887# <tel:+390655550171,,9998887#> Italy, Rome"
    (change,) = compare([Span("", "DESCRIPTION", f"Join\\n{before}\\nBye", f"Join\\n{after}\\nBye")])
    (row,) = [row for row in change.rows if not row.is_same]
    sides = row.pieces
    assert ["".join(piece.text for piece in side) for side in sides] == [before, after]
    changed = "".join(piece.text for piece in sides[1] if piece.is_changed)
    assert "9998887" in changed
    assert "tel" not in changed


def test_lines_with_little_in_common_are_not_taken_to_pieces() -> None:
    before, after = "Skype Meeting", "https://meet.contoso.com/anna/ABCD1234"
    assert Row(before, after).pieces == ([Piece(before, is_changed=False)], [Piece(after, is_changed=False)])
