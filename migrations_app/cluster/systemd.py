"""Telling systemd how the service is (sd_notify(3)): a datagram to the socket that it names. Elsewhere, nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

_OURS_ALONE = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def notify(*lines: str) -> None:
    """Send assignments such as ``READY=1``; harmless where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.setblocking(False)
        sender.sendto("\n".join(lines).encode(), address)


def environment_of_children() -> Mapping[str, str]:
    """The environment without what systemd addresses to this process alone."""
    return {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
