"""What notices to organizers say: a tenant's own text in each language, or what MMS says by itself (R37).

A text has placeholders in braces. It is checked when it is saved, so that whatever is stored can be sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.mail.when_and_where import date_in_words, time_in_words
from migrations_app.models import NoticeKind, NoticeText
from migrations_app.rewriting.labels import LABELS, LANGUAGES
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import Tenant
from tenants_app.sentences import Sentence, sentence
from tenants_app.validators import validate_one_line, validate_text
from tenants_app.wording import alternatives, grouped

PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "name": gettext_noop("the organizer's name"),
        "day": gettext_noop("the day on which the runs begin, in words"),
        "time": gettext_noop("the time from which on they do"),
        "zone": gettext_noop("the time zone that both are in"),
        "meetings": gettext_noop("how many meetings, in words: 1 meeting, 3 meetings"),
        "number": gettext_noop("how many meetings, the bare number"),
        "tenant": gettext_noop("the organization's name"),
    }
)
"""Each placeholder and what stands there in the message."""

LONGEST_SUBJECT, LONGEST_BODY = 200, 5_000

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}\n]{0,60})\}|[{}]")


@dataclass(frozen=True, slots=True)
class Text:
    """A subject and a body, with placeholders or without."""

    subject: str
    body: str
    is_own: bool = False
    """Whether the tenant wrote it."""


_NAMES = {
    NoticeKind.ADVANCE: "notice",
    NoticeKind.CANCELLED: "notice_cancelled",
    NoticeKind.CHANGED: "notice_changed",
    NoticeKind.STRANDED: "stranded",
}
"""How the labels of each kind begin."""
EDITABLE = (NoticeKind.ADVANCE, NoticeKind.CANCELLED)
"""Kinds for which a tenant may have texts of its own."""


def default_text(kind: str, language: str) -> Text:
    """What MMS says by itself."""
    labels, name = LABELS[language], _NAMES[NoticeKind(kind)]
    return Text(labels[f"{name}_subject"], labels[f"{name}_body"])


def texts_of(tenant: Tenant) -> dict[tuple[str, str], Text]:
    """The tenant's texts, by kind and language; one query."""
    own = {
        (row.kind, row.language): Text(row.subject, row.body, is_own=True)
        for row in NoticeText.objects.filter(tenant=tenant)
    }
    keys = [(kind.value, language) for kind in EDITABLE for language in LANGUAGES]
    return {key: own.get(key) or default_text(*key) for key in keys}


def notice_records(tenant: Tenant) -> list[dict[str, Any]]:
    """All of them, as commands list them."""
    return [
        {
            "Notice": kind,
            "Language": language,
            "IsDefault": not text.is_own,
            "Subject": text.subject,
            "Body": text.body,
        }
        for (kind, language), text in texts_of(tenant).items()
    ]


def filled(text: Text, *, tenant: Tenant, language: str, name: str, begins_at: datetime, meetings: int) -> Text:
    """The text as somebody reads it."""
    labels = LABELS[language]
    local = begins_at.astimezone(tenant.zone)
    values = {
        "name": name,
        "day": date_in_words(local, labels),
        "time": time_in_words(local, labels),
        "zone": tenant.time_zone,
        "meetings": labels["meetings_one" if meetings == 1 else "meetings_many"].format(number=meetings),
        "number": str(meetings),
        "tenant": tenant.name,
    }
    return Text(_put(text.subject, values), _put(text.body, values), text.is_own)


def _put(text: str, values: Mapping[str, str]) -> str:
    def instead(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else values[found[1]]

    return _BRACES.sub(instead, text)


# --- changing -----------------------------------------------------------------------------------------


@transaction.atomic
def change_notice_text(
    tenant: Tenant, kind: str, language: str, actor: Actor, *, subject: str | None = None, body: str | None = None
) -> Text:
    """Have the tenant's notices say this; what is None stays. A text that MMS says by itself is not kept.

    Raises ``ValidationError`` with sentences about ``language``, ``subject`` and ``body``.
    """
    check_language(language)
    wait_for_others(tenant)
    row = NoticeText.objects.filter(tenant=tenant, kind=kind, language=language).first()
    usual = default_text(kind, language)
    before = Text(row.subject, row.body, is_own=True) if row else usual
    wanted = checked(kind, before.subject if subject is None else subject, before.body if body is None else body)
    if (wanted.subject, wanted.body) == (before.subject, before.body):
        return before
    if (wanted.subject, wanted.body) == (usual.subject, usual.body):
        NoticeText.objects.filter(tenant=tenant, kind=kind, language=language).delete()
    else:
        told = {"subject": wanted.subject, "body": wanted.body}
        NoticeText.objects.update_or_create(tenant=tenant, kind=kind, language=language, defaults=told)
    changed = [name for name in ("subject", "body") if getattr(before, name) != getattr(wanted, name)]
    old = {name: getattr(before, name) for name in changed}
    new = {name: getattr(wanted, name) for name in changed}
    entry(tenant, actor, "change notice", _name(kind, language), old, new).save()
    return wanted


def reset_notice_text(tenant: Tenant, kind: str, language: str, actor: Actor) -> Text:
    """Have the tenant's notices say what MMS says by itself."""
    check_language(language)
    usual = default_text(kind, language)
    return change_notice_text(tenant, kind, language, actor, subject=usual.subject, body=usual.body)


def _name(kind: str, language: str) -> Sentence:
    name = Sentence(LANGUAGES[language])
    if kind == NoticeKind.ADVANCE:
        return sentence("advance notice in %(language)s", language=name)
    return sentence("notice in %(language)s that runs were called off", language=name)


def check_language(language: str) -> None:
    """Raise ``ValidationError`` for a language that invitations are not written in."""
    if language not in LANGUAGES:
        raise ValidationError(
            {
                "language": _("Invitations are not written in “%(language)s”: choose %(languages)s.")
                % {"language": language[:20], "languages": alternatives(list(LANGUAGES))}
            }
        )


def checked(kind: str, subject: str, body: str) -> Text:
    """The text as it is kept. Raises ``ValidationError`` with sentences about ``subject`` and ``body``."""
    subject, body = subject.strip(), body.replace("\r\n", "\n").replace("\r", "\n").strip()
    problems = {
        "subject": _problem(subject, LONGEST_SUBJECT, validate_one_line),
        "body": _problem(body, LONGEST_BODY, validate_text),
    }
    if not any(problems.values()):
        problems["body"] = _what_is_missing(kind, subject, body)
    if found := {name: problem for name, problem in problems.items() if problem}:
        raise ValidationError(dict(found))
    return Text(subject, body, is_own=True)


def _problem(text: str, longest: int, validate: Callable[[str], object]) -> str:
    if not text:
        return _("Write something, or go back to the default text.")
    if len(text) > longest:
        return _("Write at most %(longest)s characters; these are %(count)s.") % {
            "longest": grouped(longest),
            "count": grouped(len(text)),
        }
    try:
        validate(text)
    except ValidationError as error:
        return error.messages[0]
    for found in _BRACES.finditer(text):
        if found[1] is not None and found[1] not in PLACEHOLDERS:
            return _unknown(found[1])
        if found[0] in {"{", "}"}:
            around = " ".join(text[max(found.start() - 15, 0) : found.end() + 15].split())
            return _(
                "A brace stands alone at “%(around)s”: close the placeholder, such as {name}, or write "
                "%(found)s for a brace that is to be read."
            ) % {"around": around, "found": found[0] * 2}
    return ""


def _unknown(name: str) -> str:
    asked = name.strip().strip("$%{}").lower()
    near = [asked] if asked in PLACEHOLDERS else get_close_matches(asked, PLACEHOLDERS, n=1, cutoff=0.6)
    if near:
        return _("There is no placeholder {%(name)s}: did you mean {%(near)s}?") % {"name": name, "near": near[0]}
    return _("There is no placeholder %(name)s: choose %(names)s.") % {
        "name": f"{{{name}}}",
        "names": alternatives([f"{{{each}}}" for each in PLACEHOLDERS]),
    }


def _what_is_missing(kind: str, subject: str, body: str) -> str:
    there = {found[1] for found in _BRACES.finditer(f"{subject}\n{body}")}
    if "day" not in there:
        return _("It does not say when: put {day} where the day is to stand.")
    if kind == NoticeKind.ADVANCE and there.isdisjoint({"meetings", "number"}):
        return _("It does not say how many meetings: put {meetings} where that is to stand.")
    return ""
