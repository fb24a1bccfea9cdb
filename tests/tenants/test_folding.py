"""Names and texts are found whatever their case and accents, in Python and by the database alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models import CharField, Value

from tenants_app.folding import Folded, any_contains, fold
from tenants_app.models import ConferencingUser, Tenant

WORDS = {
    "Álvaro Grünewald": "alvaro grunewald",
    "STRAẞE Straße": "strasse strasse",
    "Łukasz Đorđe Søren Ærø": "lukasz dorde soren aero",
    "Œuvre ﬁn Ⅻ": "oeuvre fin xii",
    "50% _a\\b' \"": "50% _a\\b' \"",
    "日本語 Ünïcödé": "日本語 unicode",
}


@pytest.mark.parametrize("word", WORDS)
def test_the_database_folds_as_python_does(tenant: Tenant, word: str) -> None:
    folded = Tenant.objects.values_list(Folded(Value(word, CharField())), flat=True).get()

    assert fold(word) == WORDS[word] == folded


def test_it_finds_by_any_of_the_fields_and_takes_nothing_for_a_wildcard(
    make_user: Callable[..., ConferencingUser],
) -> None:
    alvaro = make_user("alvaro", display_name="Álvaro Grünewald")
    make_user("zoe", display_name="100% Zoë")

    def found(typed: str) -> list[str]:
        users = ConferencingUser.objects.filter(any_contains(typed, "display_name", "upn"))
        return list(users.values_list("upn", flat=True))

    assert found("GRUNEWALD") == found("grünewald") == found("álvaro@") == [alvaro.upn]
    assert found("0%") == ["zoe@contoso.com"]
    assert found("_") == []
