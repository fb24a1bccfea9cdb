"""Messages per second into a real Synapse, in one room and over six at once, and what both sides hold in memory."""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from migrations_app.chat.targets.matrix import MatrixTarget
from tests.support.chat_matrix import ACCOUNTS, CATEGORY, a_room, messages, octets
from tests.support.matrix_stand_in import settings_for
from tests.support.synapse_server import SynapseServer, install, synapse

MESSAGES = 600
ROOMS = 6


def main() -> None:
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with synapse(folder) as server:
            for local, shown in ACCOUNTS.items():
                server.register(local, shown)
            one = _measured(server, folder, rooms=1)
            several = _measured(server, folder, rooms=ROOMS)
            began = time.monotonic()
            with MatrixTarget(settings_for(server.address, folder)) as target:
                count = sum(1 for room in target.look().ours.values() for _ in target.read_messages(room))
            read = count / (time.monotonic() - began)
            _show(f"one room: {one:.1f} messages/s, {ROOMS} at once: {several:.1f}, read back: {read:.0f}")
            own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            _show(f"memory: {own} MB here at most, {server.memory >> 20} MB of Synapse")


def _measured(server: SynapseServer, folder: Path, *, rooms: int) -> float:
    """Messages per second, from beginning the rooms to their end."""
    each = MESSAGES // rooms

    def import_one(guid: str) -> None:
        with MatrixTarget(settings_for(server.address, folder)) as target:
            planned = a_room(guid)
            room = target.begin_room(planned, target.begin_category(CATEGORY))
            sent = messages(target, each)
            for begin in range(0, each, 20):
                target.write(room, sent[begin : begin + 20], octets)
            target.finish_room(room, planned)

    import_one(str(uuid4()))  # the space and the authors are there afterwards
    threads = [threading.Thread(target=import_one, args=[str(uuid4())]) for _ in range(rooms)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * rooms / (time.monotonic() - began)


def _show(text: str) -> None:
    sys.stdout.write(text + "\n")
