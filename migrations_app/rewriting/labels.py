"""The languages of invitations and their words, from ``labels.toml``, which alone decides which languages there are."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

LABELS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    Path(__file__).with_name("labels.toml").read_text(encoding="utf-8")
)
"""The words of a meeting block and of the mail that brings it, by language (ISO 639-1)."""

LANGUAGES: Mapping[str, str] = {code: labels["name"] for code, labels in LABELS.items()}
"""The languages of invitations, each with its name in English."""


def language_of(tag: str) -> str:
    """Return the language of invitations for a language tag such as `es-MX`: without its region, or English."""
    language = re.split(r"[-_]", tag.lower(), maxsplit=1)[0]
    return language if language in LABELS else "en"
