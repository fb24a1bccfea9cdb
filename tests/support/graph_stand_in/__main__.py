"""Run the stand-in as a process of its own: ``python -m tests.support.graph_stand_in [--port N]``.

The first line that it prints is JSON: where Graph is, and where it is controlled. Control is what ``Remote`` speaks:
names of methods of :class:`GraphStandIn` with their arguments, for whoever knows the key in MMS_STAND_IN_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from multiprocessing.connection import Connection, Listener
from typing import Any

from tests.support.graph_stand_in.stand_in import GraphStandIn


def _serve(connection: Connection[Any, Any], stand_in: GraphStandIn) -> None:
    with connection:
        while True:
            try:
                name, args, kwargs = connection.recv()
            except (EOFError, OSError):
                return
            try:
                found = getattr(stand_in, name)
                connection.send((True, found(*args, **kwargs) if callable(found) else found))
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it
                connection.send((False, repr(error)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    key = os.environ.get("MMS_STAND_IN_KEY", "").encode()
    with GraphStandIn(asked.port) as stand_in, Listener(("127.0.0.1", 0), authkey=key) as listener:
        told = {"graph": stand_in.graph, "authority": stand_in.authority, "control": listener.address[1]}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        while True:
            connection = listener.accept()
            threading.Thread(target=_serve, args=(connection, stand_in), daemon=True).start()


if __name__ == "__main__":
    main()
