"""What the catalogue and the decisions say, and what fields are called, can be said in every language."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin

from migrations_app.cures import CURES
from migrations_app.failures import CATALOGUE, NEEDS_A_PERSON, Entry, describe, do_when_given_up
from migrations_app.triggers.table import SWITCHES, table
from tenants_app.field_names import NAMES
from tests.support.marked import everything_marked, forgotten_in


def of_the_catalogue() -> Iterator[str]:
    for code, entry in CATALOGUE.items():
        yield str(entry.what)
        yield str(entry.do)
        yield str(describe(code))
        if entry.cures_by_waiting:
            yield str(do_when_given_up(code))
    yield from map(str, NEEDS_A_PERSON)


def of_the_decisions() -> Iterator[str]:
    for row in table():
        yield str(row.kind.action)
        for group in row.answers:
            yield str(group.who)
            for answer in group.answers:
                yield str(answer.when)
                yield str(answer.decision.sentence)
                yield from (str(reason.sentence) for reason in answer.decision.reasons)


def test_each_sentence_of_the_catalogue_and_each_decision_is_said_in_the_language_of_who_reads() -> None:
    with everything_marked():
        said = [
            *of_the_catalogue(),
            *of_the_decisions(),
            *(str(cure) for cure in CURES.values() if isinstance(cure, str)),
        ]

    assert len(said) > 400
    assert forgotten_in(said, SWITCHES.values()) == []


@pytest.mark.parametrize("entry", [pytest.param(entry, id=code) for code, entry in CATALOGUE.items()])
def test_what_is_tried_again_by_itself_says_what_to_do_once_that_has_ended(entry: Entry) -> None:
    """Only then: otherwise the same is to be done as before."""
    says_so = "MMS tries again by itself" in entry.do

    assert (entry.do_when_given_up is not None) is says_so
    assert "tries again" not in (entry.do_when_given_up or "")


def test_the_names_that_the_django_admin_shows_are_known_to_translators() -> None:
    ours = [model._meta for model in admin.site._registry if model._meta.app_label in {"tenants_app", "migrations_app"}]
    shown = {
        str(field.verbose_name)
        for options in ours
        for field in options.fields
        if field.editable and getattr(field, "_verbose_name", "") is None and not field.auto_created
    }
    shown |= {str(options.verbose_name) for options in ours if "verbose_name" not in options.original_attrs}

    assert shown - set(NAMES) == set()
