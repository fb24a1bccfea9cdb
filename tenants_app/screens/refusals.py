"""Telling why a change was refused: beside the fields of its form, or as messages above the next page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django import forms
from django.contrib import messages
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext


def tell_refusal(form: forms.BaseForm, error: ValidationError) -> None:
    """Put what a change was refused for beside the fields that it concerns, or above the form."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error.messages)
        return
    for field, sentences in error.message_dict.items():
        if field in form.fields:
            form.add_error(field, sentences)
        elif field == NON_FIELD_ERRORS:
            form.add_error(None, sentences)
        else:
            name = capfirst(gettext(field.replace("_", " ")))
            form.add_error(None, [f"{name}: {sentence}" for sentence in sentences])


@contextmanager
def refusals_told(form: forms.BaseForm) -> Iterator[None]:
    """Try a change within; where it is refused, the form says why, and what follows goes on after the block."""
    try:
        yield
    except ValidationError as error:
        tell_refusal(form, error)


def tell_errors(request: HttpRequest, error: ValidationError) -> None:
    """What a change was refused for, as messages above the page."""
    for sentence in error.messages:
        messages.error(request, sentence)


def refusal_of(form: forms.BaseForm) -> ValidationError:
    """What is wrong in a form whose page shows it nowhere else: the sentences of all fields, one after the other."""
    return ValidationError([sentence for errors in form.errors.values() for sentence in errors])
