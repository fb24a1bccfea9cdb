"""An SQLite database that has been carried through all migrations: made once, where each would take seconds."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT


def migrated_database(folder: Path) -> Path:
    """The database's file in this folder, made by the first process of the suite that asks for it. Copy it."""
    made, in_the_making = folder / "migrated.sqlite3", folder / "in-the-making.sqlite3"
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "MMS"))}
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
                cwd=ROOT,
                env=kept | {"MMS_DATA_DIR": str(folder), "DATABASE_URL": f"sqlite:///{in_the_making}"},
                check=True,
            )
            in_the_making.rename(made)
    return made
