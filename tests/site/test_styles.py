"""The stylesheets follow the templates: what of Tabler is used is there, and what is used is styled."""

from __future__ import annotations

import re

import pytest

from tests.support.tabler import (
    FORGOTTEN,
    HOOKS,
    OURS,
    USED,
    Page,
    classes_named,
    classes_styled,
    reduced,
    stylesheet,
    whole,
)


def test_the_stylesheet_is_the_part_of_tabler_that_the_templates_use() -> None:
    assert USED.read_text("utf-8") == stylesheet(), FORGOTTEN


def test_every_class_is_styled_somewhere() -> None:
    styled = classes_styled(USED.read_text("utf-8")) | classes_styled(OURS.read_text("utf-8"))
    unstyled = {name: where for name, where in classes_named().items() if name not in styled | HOOKS}

    assert unstyled == {}, "Style it in mms.css, take it out, or put it into HOOKS of tests/support/tabler.py."


def test_ours_asks_for_no_variable_that_is_gone() -> None:
    css = USED.read_text("utf-8") + OURS.read_text("utf-8")
    declared = set(re.findall(r"(--[\w-]+)\s*:", css))
    asked = set(re.findall(r"var\((--[\w-]+)\)", css))
    everywhere = set(re.findall(r"(--[\w-]+)\s*:", whole()))

    assert asked & everywhere - declared == set()


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".btn,.alert{color:red}", ".btn{color:red}\n"),
        (".btn .alert,.alert>.btn,video{color:red}", ""),
        ("p:not(.alert){color:red}", "p:not(.alert){color:red}\n"),
        (".btn:is(.alert,.badge){color:red}", ""),
        (".btn:has(.alert,p){color:red}", ".btn:has(.alert,p){color:red}\n"),
        ("[data-there] p,[data-bs-popper]{color:red}", "[data-there] p{color:red}\n"),
        ("[class*=btn-]{color:red}", "[class*=btn-]{color:red}\n"),
        ("[class*=alert-]{color:red}", ""),
        ("@media print{.alert{color:red}.btn{color:red}}", "@media print{\n.btn{color:red}\n}\n"),
        ("@media print{.alert{color:red}}", ""),
        (":root{--a:var(--b);--b:1px;--c:2px}.btn{top:var(--a)}", ":root{--a:var(--b);--b:1px}\n.btn{top:var(--a)}\n"),
        (":root{--theirs:1px}", ":root{--theirs:1px}\n"),
        (
            "@keyframes a{to{top:0}}@keyframes b{to{top:0}}.btn{animation:a 1s}",
            "@keyframes a{\nto{top:0}\n}\n.btn{animation:a 1s}\n",
        ),
    ],
)
def test_a_rule_stays_where_a_page_has_what_it_asks_for(css: str, kept: str) -> None:
    has = Page(frozenset({"btn", "btn-sm"}), frozenset({"p"}), frozenset({"data-there"}))

    assert reduced(css, has, others=".mine { top: var(--theirs) }") == f'@charset "UTF-8";\n{kept}'
