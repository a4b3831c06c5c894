"""Ports for servers that are killed and started again: never given to a connection in between."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_FIRST = 32768


def lasting_port() -> int:
    """A free port below those that the system gives to outgoing connections.

    One of those could be taken while the server is down; or a client that tries to reach it could be
    given that very port, and be connected with itself.
    """
    first = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else _DEFAULT_FIRST
    while True:
        port = random.randrange(max(1024, first - 12_000), first)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
