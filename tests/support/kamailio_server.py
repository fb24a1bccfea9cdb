"""A real Kamailio: a SIP server from Debian's packages that answers OPTIONS over UDP, TCP and TLS.

Everything in one folder and on ports of its own; nothing of the system's configuration is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.mail_servers import free_port
from tests.support.radicale_server import listens
from tests.support.waiting import wait_until

_CONFIGURATION = """\
#!KAMAILIO
fork=yes
children=1
tcp_children=1
log_stderror=yes
auto_aliases=no
alias="localhost"
listen=udp:127.0.0.1:{plain}
listen=tcp:127.0.0.1:{plain}
listen=udp:127.0.0.1:{busy}
listen=tcp:127.0.0.1:{busy}
listen=tls:127.0.0.1:{tls}
enable_tls=yes
loadmodule "sl.so"
loadmodule "tls.so"
modparam("tls", "certificate", "{folder}/server.pem")
modparam("tls", "private_key", "{folder}/server.pem")
modparam("tls", "tls_method", "TLSv1.2+")
request_route {{
    if (method == "OPTIONS" && dst_port != {busy}) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    sl_send_reply("503", "Service Unavailable");
}}
"""


@dataclass(frozen=True)
class KamailioServer:
    """A running one: it answers 200 at ``plain`` and ``tls``, and 503 at ``busy``."""

    plain: int
    busy: int
    tls: int
    ca: str


@contextmanager
def kamailio(folder: Path) -> Iterator[KamailioServer]:
    """Serve on this machine."""
    program = shutil.which("kamailio", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "kamailio is not installed: make test-servers needs it, and kamailio-tls-modules"
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    ports = {name: free_port() for name in ("plain", "busy", "tls")}
    configuration = folder / "kamailio.cfg"
    configuration.write_text(_CONFIGURATION.format(folder=folder, **ports), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-DD", "-m", "16", "-M", "4", "-f", configuration, "-Y", folder, "-w", folder],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            for port in ports.values():
                wait_until(lambda port=port: listens(port, process), every=0.02)  # type: ignore[misc]
            yield KamailioServer(**ports, ca=authority.cert_pem.bytes().decode())
        finally:
            process.terminate()
            process.wait()
