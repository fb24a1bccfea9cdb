"""Telling systemd how the service is (sd_notify(3)): a datagram to the socket that it names. Elsewhere, nothing."""

from __future__ import annotations

import os
import socket
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


def forget() -> None:
    """In a child: what systemd addresses to its parent is not for it."""
    for name in _OURS_ALONE:
        os.environ.pop(name, None)
