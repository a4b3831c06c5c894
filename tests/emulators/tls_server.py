"""A server over https on 127.0.0.1, with a certificate of its own."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class TlsServer(ThreadingHTTPServer):
    """Serves from now on until it is closed; ``certificate`` is what clients have to trust.

    Parameters
    ----------
    handler : type
    files : tuple of Path and Path
        Certificate and key; see :func:`.make_certificate`.
    port : int
        0 chooses a free one.
    """

    daemon_threads = True

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], files: tuple[Path, Path], port: int = 0
    ) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.certificate = files[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        # The handshake is the handler's, in a thread of its own.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
