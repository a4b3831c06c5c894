"""Listen for requests until the process is asked to end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.server.app import make_app
from batch_scoring.server.pages.rendering import Site

_BACKLOG = 512


def run_server(site: Site, port: int, say: Callable[[str], None]) -> None:
    """Serve a workspace; ends with SIGINT or SIGTERM.

    Parameters
    ----------
    site : Site
    port : int
        0 is any free one.
    say : callable
        Takes the sentence that names the address.

    Raises
    ------
    InputError
        When the address cannot be listened on.
    """
    import uvicorn

    from batch_scoring.server.connection import BoundedProtocol

    # What a request has read goes back at once; Arrow's own allocator keeps a third more.
    pa.set_memory_pool(pa.system_memory_pool())
    access = site.access
    listener = _listen(access.host, port)
    host = f"[{access.host}]" if ":" in access.host else access.host
    say(f"The fleet in {site.workspace.name} is at http://{host}:{listener.getsockname()[1]}/ until Ctrl-C")
    config = uvicorn.Config(
        make_app(site),
        log_level="warning",
        access_log=False,
        server_header=False,
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        limit_concurrency=500,
        h11_max_incomplete_event_size=32_768,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it lets two programs listen at one address
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # who comes before the server is ready waits
    except OSError as error:
        listener.close()
        raise InputError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port or --host"
        ) from error
    listener.set_inheritable(True)
    return listener
