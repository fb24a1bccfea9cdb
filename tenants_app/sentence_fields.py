"""Columns that keep sentences, so that each reader has them in a language of their own.

The English text comes first in the column, so that it is searched and sorted by; what it is made of stands behind it
(``tenants_app.sentences``). What was written before there were several languages is read as it is.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from tenants_app.sentences import Sentence, at_most, from_json, in_json, read, stored


class SentenceField(models.TextField[str, str]):
    """Text that is a sentence. Read from the database it is a ``Sentence``; what is too long for it is cut."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 500)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Migrations name Django's own column, so that they run whatever becomes of this class."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return stored(at_most(self.max_length or 500, value)) if value else value

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return read(value) if value else value

    def value_to_string(self, obj: models.Model) -> str:
        return stored(self.value_from_object(obj))


class NameOrSentenceField(SentenceField):
    """Text that is either a sentence, or a name, which is the same in every language even where a word is like it."""

    def get_prep_value(self, value: Any) -> Any:
        return in_json(value) if isinstance(value, Sentence) else super().get_prep_value(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return from_json(value)

    def value_to_string(self, obj: models.Model) -> str:
        return str(in_json(self.value_from_object(obj)))


class SentencesField(models.JSONField):
    """JSON with sentences in it."""

    def deconstruct(self) -> Any:
        """As of :class:`SentenceField`."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(in_json(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return from_json(super().from_db_value(value, expression, connection))
