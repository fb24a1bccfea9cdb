"""Under which names the files of rooms lie in an archive for people."""

from __future__ import annotations

import re
import unicodedata

FOLDER = "files"
LONGEST = 100
RUNS_IN_A_BROWSER = frozenset(
    {"htm", "html", "xhtml", "xht", "shtml", "mht", "mhtml", "svg", "svgz", "xml", "xsl", "xslt", "js", "mjs", "css"}
    | {"swf", "hta", "url", "desktop", "lnk", "website"}
)
"""Endings of files that a browser, or a click, would run: they get ``.txt`` behind."""
_NOT_IN_NAMES = re.compile(r"[^\w.()+@ -]+|[\s_]{2,}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def path_of(sha256: str, name: str) -> str:
    """From the top of the archive, with strokes: ``files/ab/<sha256>/<name>``. A browser shows it and runs nothing."""
    name = safe_name(name)
    is_run = name.rpartition(".")[2].lower() in RUNS_IN_A_BROWSER
    return f"{FOLDER}/{sha256[:2]}/{sha256}/{name}{'.txt' if is_run else ''}"


def safe_name(name: str) -> str:
    """A name that every file system takes, and that leads nowhere else."""
    name = unicodedata.normalize("NFC", name)
    name = _NOT_IN_NAMES.sub("_", name).strip(". ")
    stem, dot, ending = name.rpartition(".")
    if not dot:
        stem, ending = name, ""
    while len((stem + dot + ending).encode("utf-8", "replace")) > LONGEST:
        if len(stem) <= 1:
            ending = ending[:-1]
        else:
            stem = stem[:-1]
    name = (stem + dot + ending).strip(". ")
    if not name or _RESERVED.match(name):
        name = f"file_{name}"
    return name
