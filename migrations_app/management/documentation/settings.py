"""``settings.md`` and a page for each setting of the installation: from ``.env.example``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrations_app.management.documentation.mentions import Mentions

INTRODUCTION = """\
# Settings of the installation

Written by `make docs` from [.env.example](../.env.example): do not edit it by hand. What tenants set for themselves
stands on the page *Settings*, and under `set_tenant` and its like in [Commands](commands.md).
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment: what ``.env.example`` says of it, the value there, and its neighbours."""

    name: str
    value: str
    says: str
    together: tuple[str, ...]


def settings_of(example: Path) -> tuple[str, list[Setting]]:
    """What holds for all of them, and each, in the order of the file."""
    first, *others = re.split(r"\n\n+", example.read_text(encoding="utf-8").strip())
    found = []
    for paragraph in others:
        lines = paragraph.splitlines()
        named = [match for line in lines if (match := re.fullmatch(r"#([A-Z][A-Z0-9_]*)=(.*)", line))]
        says = _sentence(line for line in lines if line.startswith("# "))
        names = tuple(match[1] for match in named)
        found += [Setting(match[1], match[2], says, names) for match in named]
    return _sentence(first.splitlines()), found


def pages(example: Path, mentions: Mentions) -> Iterator[tuple[str, Iterable[str]]]:
    for_all, settings = settings_of(example)
    yield "settings.md", _all(for_all, settings)
    for setting in settings:
        yield f"settings/{setting.name}.md", _setting(setting, for_all, mentions)


def _all(for_all: str, settings: list[Setting]) -> Iterator[str]:
    yield INTRODUCTION
    yield f"{for_all}\n"
    yield "| setting | default | what it is |"
    yield "|---|---|---|"
    for setting in settings:
        first = re.split(r"(?<=\.) ", setting.says)[0]
        cell = first.replace("|", "\\|")
        yield f"| [`{setting.name}`](settings/{setting.name}.md) | {_default(setting)} | {cell} |"


def _setting(setting: Setting, for_all: str, mentions: Mentions) -> Iterator[str]:
    yield f"# `{setting.name}`\n"
    yield f"{setting.says}\n"
    yield f"**Default:** {_default(setting)}\n"
    if re.search(rf"\b{setting.name}\b", for_all):
        yield f"**A secret:** it can be given as `{setting.name}_FILE` instead, the path of a file that holds it.\n"
    others = [f"[`{name}`]({name}.md)" for name in setting.together if name != setting.name]
    if others:
        yield f"**Goes with:** {', '.join(others)}\n"
    yield from mentions.see_also(setting.name)
    yield "How settings are given: [Settings of the installation](../settings.md). Written by `make docs`: do not edit"
    yield "it by hand."


def _default(setting: Setting) -> str:
    return f"`{setting.value}`" if setting.value else "empty"


def _sentence(lines: Iterable[str]) -> str:
    return " ".join(line.removeprefix("# ").strip() for line in lines)
