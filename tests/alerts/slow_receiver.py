"""A receiver that answers a byte at a time, without end, or sends its caller elsewhere; in this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def dripping(
    first: bytes = b"HTTP/1.1 200 OK\r\nX-Slow: ", seconds: float = 0.1
) -> Iterator[tuple[str, list[int]]]:
    """Yield the address, and a list that grows by a 1 with each connection."""
    connections: list[int] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip(one: socket.socket) -> None:
            with one:
                one.recv(1 << 16)
                try:
                    one.sendall(first)
                    while not over.wait(seconds):
                        one.sendall(b"x")
                except OSError:
                    pass

        def serve() -> None:
            while not over.is_set():
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                connections.append(1)
                threading.Thread(target=drip, args=(one,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/alerts", connections
        over.set()
        server.shutdown(socket.SHUT_RDWR)
