"""A stand-in for Google Cloud Storage: its XML API, which ``object_store`` speaks, in this process's memory.

In this API fake-gcs-server refuses writes, and gcp-storage-emulator knows no preconditions. Here are the
requests that our clients send, as Google documents them: objects have generations and ETags,
``x-goog-if-generation-match`` is the condition of a write (0: there is none yet), ``If-Match`` that of a
read; listings come in pages.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000


class Stored(NamedTuple):
    """An object."""

    data: bytes
    generation: int
    changed: datetime
    etag: str


@dataclass
class Gcs:
    """A running stand-in.

    Attributes
    ----------
    buckets : dict
        Objects by name of each bucket.
    port : int
    """

    buckets: dict[str, dict[str, Stored]] = field(default_factory=dict)
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 1_700_000_000_000_000

    def make_bucket(self) -> str:
        """Make a bucket with a name of its own."""
        name = f"b{secrets.token_hex(6)}"
        self.buckets[name] = {}
        return name

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a client is to find in the environment; through another port, such as a proxy's."""
        return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port or self.port}"}

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"gcs": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    gcs: Gcs
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if len(body) < size:  # its sender was killed
            self.close_connection = True
            return None
        url = urlsplit(self.path)
        bucket, _, name = unquote(url.path).lstrip("/").partition("/")
        query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        with self.gcs.lock:
            objects = self.gcs.buckets.get(bucket)
            if objects is None:
                return self._refuse(404, "NoSuchBucket")
            if name and not query:
                return getattr(self, f"_{self.command.lower()}")(objects, name, body)
            if self.command == "GET" and query.get("list-type") == "2":
                return self._list(objects, query)
        return self._refuse(501, "NotImplemented")

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve  # noqa: N815

    def _put(self, objects: dict[str, Stored], name: str, body: bytes) -> None:
        wanted, there = self.headers.get("x-goog-if-generation-match"), objects.get(name)
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            return self._refuse(412, "PreconditionFailed")
        self.gcs.generation += 1
        # The ETag of what one request has stored is its MD5.
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        objects[name] = stored = Stored(body, self.gcs.generation, datetime.now(UTC), etag)
        return self._answer(200, b"", _headers(stored))

    def _get(self, objects: dict[str, Stored], name: str, _: bytes) -> None:
        there = objects.get(name)
        if there is None:
            return self._refuse(404, "NoSuchKey")
        if self.headers.get("If-Match") not in (None, there.etag):
            return self._refuse(412, "PreconditionFailed")
        ranged = self.headers.get("Range", "").removeprefix("bytes=")
        if not ranged:
            return self._answer(200, there.data, _headers(there))
        first, _, last = ranged.partition("-")
        size = len(there.data)
        start = int(first) if first else size - int(last)
        end = min(int(last) + 1 if first and last else size, size)
        shown = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return self._answer(206, there.data[start:end], _headers(there) | shown)

    _head = _get

    def _delete(self, objects: dict[str, Stored], name: str, _: bytes) -> None:
        if objects.pop(name, None) is None:
            return self._refuse(404, "NoSuchKey")
        return self._answer(204, b"", {})

    def _list(self, objects: dict[str, Stored], query: dict[str, str]) -> None:
        after = query.get("continuation-token") or query.get("start-after", "")
        names = sorted(name for name in objects if name.startswith(query.get("prefix", "")) and name > after)
        page = names[:PAGE]
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(objects[name].data)}</Size>"
            f"<LastModified>{objects[name].changed:%Y-%m-%dT%H:%M:%S.%fZ}</LastModified>"
            f"<ETag>{escape(objects[name].etag)}</ETag></Contents>"
            for name in page
        )
        more = len(names) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        rows = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}"
        self._answer(200, f"<ListBucketResult>{rows}</ListBucketResult>".encode(), {})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code></Error>".encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _headers(stored: Stored) -> dict[str, str]:
    return {
        "ETag": stored.etag,
        "x-goog-generation": str(stored.generation),
        "Last-Modified": format_datetime(stored.changed, usegmt=True),
    }
