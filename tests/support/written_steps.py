"""Carrying out the steps of a guide as they stand on its page."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.processes import ROOT


def steps(page: str, heading: str) -> list[str]:
    """The command lines in the blocks below a heading of the page, down to the next heading, without comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    lines = [re.sub(r"(^|\s+)#.*", "", line) for block in blocks for line in block.splitlines()]
    assert any(lines), f"{page} has no steps below {heading}"
    return [line for line in lines if line]


def carry_out(line: str, here: Mapping[str, str], folder: Path, **environment: str) -> None:
    """Run a line, with what it says replaced by what it is called here."""
    for said, meant in here.items():
        line = line.replace(said, meant)
    done = subprocess.run(
        ["bash", "-euc", line], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"


def connection_of(url: str) -> dict[str, str]:
    """How PostgreSQL's programs are told of a server, without a name of a database."""
    parts = urlsplit(url)
    said = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port or ""),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
    }
    return {name: value for name, value in said.items() if value}
