"""`make campaign-previews`: previews of 500 generated organizations, and of the demo, against what then happens.

What was foreseen of each meeting and each recipient is compared with the runs' results and the messages that went out;
what is made when a run starts is excepted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = "tests/preview/test_preview_equals_outcome.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.previews", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="organizations (500)")
    parser.add_argument("--seed", type=int, default=1, help="decides which (1)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-previews.jsonl")
    options = parser.parse_args()
    environment = os.environ | {
        "MMS_PREVIEW_EXAMPLES": str(options.count),
        "MMS_PREVIEW_SEED": str(options.seed),
        "MMS_PREVIEW_RESULTS": str(options.results),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", TESTS]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
