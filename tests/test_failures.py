"""The catalogue of codes against the code that gives them (R31): none is missing from it, and none is unused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from migrations_app.chat.conversion.findings import CODES
from migrations_app.chat.verifying.differences import DO
from migrations_app.cures import CURES, Place
from migrations_app.failures import ALERTS, CATALOGUE, CHAT, FAILED, LEFT_FOR_A_PERSON, NEEDS_A_PERSON, SKIPPED, UNSENT
from migrations_app.models import MeetingResult, Run, Update
from migrations_app.rewriting.errors import Reason

ROOT = Path(__file__).resolve().parents[1]
PROMISED: set[str] = set()
"""Those that something may give which is still to come."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The code that can give a code: all but the catalogue and its cures, the demo and the database's migrations."""
    for app in ("migrations_app", "tenants_app"):
        for path in sorted((ROOT / app).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not re.search("/(failures|cures).py$|/(demo|migrations)/", name):
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def given(module: ast.Module) -> Iterator[str]:
    """The codes that are raised or stored: the first argument of a failure, the second of what was decided about a
    meeting, what ``why_skipped`` returns first, and whatever is called a code.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef) and node.name == "why_skipped":
            answers = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
            for answer in answers:
                if isinstance(answer, ast.Tuple):
                    yield from texts(answer.elts[0])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Failure", "Declined"}:
            yield from texts(node.args[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Decided":
            yield from (code for argument in node.args[1:2] for code in texts(argument))
        elif isinstance(node, ast.keyword) and re.fullmatch(r"(\w+_)?code", node.arg or ""):
            yield from texts(node.value)
        elif isinstance(node, ast.Assign):
            pairs = [
                pair
                for target in node.targets
                for pair in (
                    zip(target.elts, node.value.elts, strict=True)
                    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                    else [(target, node.value)]
                )
            ]
            for target, value in pairs:
                is_code = "code" in {getattr(target, "id", ""), getattr(target, "attr", "")}
                if is_code and isinstance(value, ast.Constant | ast.IfExp):
                    yield from texts(value)


def mentioned(node: ast.AST) -> Iterator[str]:
    """Every text but those that are only compared with, or listed for that in a constant of the module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Compare):
            continue
        if isinstance(node, ast.Module) and isinstance(child, ast.Assign) and not isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        yield from mentioned(child)


def test_every_code_that_is_given_stands_in_the_catalogue() -> None:
    of_chat = CODES.keys() | DO.keys()  # what plans find, and what differs: sentences of their own say what to do
    known = CATALOGUE.keys() | of_chat
    unknown = {(name, code) for name, module in modules() for code in given(module) if code and code not in known}

    assert unknown == set()
    assert not CATALOGUE.keys() & of_chat


def test_every_reason_of_the_engine_is_one_for_which_meetings_are_skipped() -> None:
    assert set(get_args(Reason)) <= SKIPPED.keys()


def test_every_code_of_the_catalogue_is_given_somewhere() -> None:
    used = {text for _, module in modules() for text in mentioned(module)}

    assert CATALOGUE.keys() - used == PROMISED


def test_r35_every_reason_to_skip_says_whether_an_old_number_may_still_be_shown() -> None:
    """These show none: nobody can dial in by them any more, they are another organizer's, or they were looked at."""
    shows_none = {"past", "cancelled", "not-organizer", "no-block", "already-current", "other-service"}

    of_undos = {"changed-since", "already-put-back", "meeting-deleted", "number-released", "conference-id-taken"}

    assert SKIPPED.keys() - {*LEFT_FOR_A_PERSON, "not-selected"} - of_undos == shows_none


def test_every_entry_is_in_sentences_and_every_code_fits_its_column() -> None:
    for code, entry in CATALOGUE.items():
        assert re.fullmatch("[a-z]+(-[a-z]+)*", code)
        assert entry.what.endswith(".")
        assert entry.do == "" or entry.do.endswith(".")
    for field in (MeetingResult.code.field, Run.last_error_code.field, Update.error_code.field):
        assert max(map(len, CATALOGUE)) <= field.max_length


def test_r31_every_code_has_a_cure_or_says_why_there_is_none() -> None:
    assert CURES.keys() == CATALOGUE.keys()
    for found in CURES.values():
        assert isinstance(found, Place) or found.endswith(".")
    assert set(Place) == {found for found in CURES.values() if isinstance(found, Place)}


def test_no_code_has_two_meanings() -> None:
    assert len(CATALOGUE) == len(SKIPPED) + len(FAILED) + len(UNSENT) + len(ALERTS) + len(CHAT)


def test_whatever_is_given_up_and_can_be_put_right_can_be_looked_for_in_the_list() -> None:
    given_up = {code for code, entry in UNSENT.items() if entry.do and not entry.cures_by_waiting}
    assert set(NEEDS_A_PERSON["Attendees not told"]) == given_up
    assert NEEDS_A_PERSON["Left as they are"] == LEFT_FOR_A_PERSON
    assert {code for codes in NEEDS_A_PERSON.values() for code in codes} <= set(CATALOGUE)
