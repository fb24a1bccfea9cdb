"""What the site of docs/ needs beyond mkdocs: the files of the project that its pages lead to, such as the README."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(\]\()((?:\.\./)+[^)\s#]+)")
BESIDE = "project"
"""The folder of the site for files that are not below docs/."""


def on_files(files: Files, config: Any) -> Files:
    """Add what pages lead to outside docs/."""
    pages = list(files.documentation_pages())
    outside = {name for page in pages for name in _outside(page.src_uri, page.content_string)}
    for name in sorted(outside):
        if name.endswith(".md"):
            text = _within(name, (ROOT / name).read_text(encoding="utf-8"))
            files.append(File.generated(config, f"{BESIDE}/{name}", content=text))
        elif (ROOT / name).is_file():
            files.append(File.generated(config, f"{BESIDE}/{name.lstrip('.')}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead to what was added."""
    here = page.file.src_uri
    if here.startswith(f"{BESIDE}/"):
        return markdown

    def lead(match: re.Match[str]) -> str:
        name = _project_path(here, match[2])
        if name is None:
            return match[0]
        if (ROOT / name).is_dir():
            return f"{match[1]}#"
        return match[1] + posixpath.relpath(f"{BESIDE}/{name.lstrip('.')}", posixpath.dirname(here) or ".")

    return LINK.sub(lead, markdown)


def _outside(here: str, text: str) -> set[str]:
    names = {_project_path(here, target) for _, target in LINK.findall(text)}
    return {name for name in names if name is not None}


def _project_path(here: str, target: str) -> str | None:
    """The path below the project, of what is not below docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(here), target))
    return None if path.startswith("docs/") else path


def _within(name: str, text: str) -> str:
    """A page of the project as it stands in the site: below docs/ it leads there, and elsewhere nowhere."""

    def lead(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        return f"{match[1]}../{path.removeprefix('docs/')}" if path.startswith("docs/") else f"{match[1]}#"

    return re.sub(r"(\]\()(?!https?:|#)([^)\s#]+)", lead, text)
