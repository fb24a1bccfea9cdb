"""The few words that MMS itself writes into messages and names at a target.

They stand in the target for good and are compared with what is read back, so they follow the target's language and
not that of whoever looks at the moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """In one language; each text is a whole one with named placeholders."""

    disabled: str = "%(name)s (disabled)"
    deleted: str = "%(name)s (deleted)"
    unknown: str = "Unknown person %(id)s"
    author_and_time: str = "%(name)s, %(time)s UTC:"
    author: str = "%(name)s:"
    time: str = "%(time)s UTC:"
    alert: str = "[Alert]"
    empty: str = "(empty message)"
    not_found: str = "[File “%(name)s” was not found]"
    part: str = "(%(part)d/%(parts)d)"


LANGUAGES: Mapping[str, Words] = {
    "en": Words(),
    "es": Words(
        disabled="%(name)s (deshabilitado)",
        deleted="%(name)s (eliminado)",
        unknown="Persona desconocida %(id)s",
        alert="[Alerta]",
        empty="(mensaje vacío)",
        not_found="[No se encontró el archivo «%(name)s»]",
    ),
    "it": Words(
        disabled="%(name)s (disabilitato)",
        deleted="%(name)s (eliminato)",
        unknown="Persona sconosciuta %(id)s",
        alert="[Avviso]",
        empty="(messaggio vuoto)",
        not_found="[Il file «%(name)s» non è stato trovato]",
    ),
}


def words_of(language: str) -> Words:
    """Those of a language such as ``es`` or ``es-MX``; English where there are none."""
    return LANGUAGES.get(language.partition("-")[0].lower(), LANGUAGES["en"])
