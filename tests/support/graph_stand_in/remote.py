"""A stand-in in a process of its own, for campaigns: it must not share the time of the test that watches it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from multiprocessing.connection import Client
from typing import Any, Self


class Remote:
    """``with Remote() as graph:``: methods of :class:`GraphStandIn` by :meth:`call`, its values by :meth:`put`."""

    def __enter__(self) -> Self:
        key = secrets.token_hex(16)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.graph_stand_in"],
            stdout=subprocess.PIPE,
            env={**os.environ, "MMS_STAND_IN_KEY": key},
            text=True,
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.graph: str = told["graph"]
        self.authority: str = told["authority"]
        self._lock = threading.Lock()
        self._control: Any = Client(("127.0.0.1", told["control"]), authkey=key.encode())
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call this method there, or ask for this value. Raises ``RuntimeError`` where it fails."""
        with self._lock:
            self._control.send((name, args, kwargs))
            done, answer = self._control.recv()
        if not done:
            raise RuntimeError(answer)
        return answer

    def put(self, name: str, value: Any) -> None:
        """Set a value there, by its dotted name."""
        self.call("put", name, value)
