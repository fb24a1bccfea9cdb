"""The words of a meeting block, by language (ISO 639-1)."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

LABELS: Mapping[str, Mapping[str, str]] = tomllib.loads(
    Path(__file__).with_name("labels.toml").read_text(encoding="utf-8")
)
