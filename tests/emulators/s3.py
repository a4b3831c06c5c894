"""S3 as moto answers it, in a process of its own, one request after the other.

moto looks at the condition of a write and then writes, without a lock in between: in turns, both are one
step, as S3 says they are.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import Self

_PROGRAM = """
import sys
import werkzeug.serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

class Quiet(werkzeug.serving.WSGIRequestHandler):
    def log_request(self, *_):
        pass

app = DomainDispatcherApplication(create_backend_app)
server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=False, request_handler=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"""
REGION = "eu-central-1"


@dataclass
class S3:
    """A running stand-in.

    Attributes
    ----------
    port : int
    """

    port: int = 0

    def make_bucket(self) -> str:
        """Make a bucket with a name of its own."""
        name = f"b{secrets.token_hex(6)}"
        self.ask("PUT", f"/{name}")
        return name

    def ask(self, method: str, path: str, data: bytes = b"") -> bytes:
        """Send a request that nobody has signed."""
        url = f"http://127.0.0.1:{self.port}{path}"
        headers = {"Content-Type": "application/octet-stream"}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            return answer.read()

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a client is to find in the environment; through another port, such as a proxy's."""
        return {
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "nobody-may-see-this",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
