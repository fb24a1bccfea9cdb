"""`make bench ARGS=chat`: messages per second into the targets that are made of files, and memory.

An organization is generated and carried to each target by a process of its own: converted, written in batches,
finished, read back and compared. The baseline is what cannot be avoided: each line of the archive is read as JSON and
written into another file. Twice as many messages take hardly more memory; the second figure shows it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MESSAGES = 50_000
ROOMS = 60
TARGETS = ("archive", "mattermost")


def main() -> None:
    from tests.bench.lists import show

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        show(f"\nPersistent chat, {MESSAGES:,} messages in {ROOMS} rooms, one process, on disk")
        show(f"{'':12}{'write':>10}{'finish':>10}{'compare':>10}   messages/s")
        for half, messages in (("half", MESSAGES // 2), ("whole", MESSAGES)):
            measured(f"write {messages}", folder / half)
        baseline = measured("copy", folder / "whole")
        show(f"{'JSON lines':12}{MESSAGES / baseline['write']:>10,.0f}{'':>20}   baseline: read, parsed, written")
        for kind in TARGETS:
            half, whole = (measured(kind, folder / each) for each in ("half", "whole"))
            rates = "".join(f"{MESSAGES / whole[step]:>10,.0f}" for step in ("write", "finish", "compare"))
            times = sum(whole[step] for step in ("write", "finish")) / baseline["write"]
            show(
                f"{kind:12}{rates}   {times:.0f} times as long as the baseline; {whole['megabytes']:.0f} MB of memory, "
                f"{half['megabytes']:.0f} MB with half as many; {whole['on_disk']:.0f} MB on disk"
            )


def measured(what: str, folder: Path) -> dict[str, float]:
    """Do it in a process of its own, so that its memory is its own, too."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.chat", what, str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def copy(folder: Path) -> dict[str, float]:
    begun = time.perf_counter()
    with (folder / "copied").open("w", encoding="utf-8") as copied:
        for path in sorted((folder / "archive" / "messages").iterdir()):
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    copied.write(json.dumps(json.loads(line), ensure_ascii=False) + "\n")
    return {"write": time.perf_counter() - begun}


def carried(kind: str, folder: Path) -> dict[str, float]:
    from migrations_app.chat.archive.reading import open_archive
    from migrations_app.chat.conversion.people import people_of
    from migrations_app.chat.targets.base import TargetSettings
    from migrations_app.chat.targets.of_kind import open_target
    from migrations_app.chat.verifying.compare import compare_room
    from tests.support.chat_carrying import carry

    into = folder / f"to-{kind}"
    figures = {}
    with (
        open_archive(folder / "archive", check=False) as archive,
        open_target(TargetSettings("Bench", kind, folder=into)) as target,
    ):
        begun = time.perf_counter()
        rooms = carry(archive, target, batch=200, finishes=False)
        figures["write"] = time.perf_counter() - begun
        begun = time.perf_counter()
        target.finish()
        figures["finish"] = time.perf_counter() - begun
        begun = time.perf_counter()
        people = people_of(archive, target)
        for each in rooms.values():
            files = {file.id: file for file in archive.files_of(each.outgoing.room.id)}
            compared = compare_room(archive, each.outgoing, people, target.limits, target, each.id, files=files)
            if not compared.is_same:
                raise SystemExit(f"{each.outgoing.name}: {compared.differences}")
        figures["compare"] = time.perf_counter() - begun
    figures["on_disk"] = sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) / 1_000_000
    return figures


def one() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    step, _, count = what.partition(" ")
    if step == "write":
        from tests.support.chat_organization import write_organization

        write_organization(folder / "archive", rooms=ROOMS, messages=int(count))
        figures: dict[str, float] = {}
    else:
        figures = copy(folder) if step == "copy" else carried(step, folder)
    figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps(figures))  # noqa: T201 - read by measured()


if __name__ == "__main__":
    one()
