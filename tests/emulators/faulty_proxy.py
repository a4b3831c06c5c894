"""An HTTP proxy in front of a storage that answers some requests as a service in trouble does."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS = {
    403: ("Forbidden", "AuthenticationFailed"),
    429: ("Too Many Requests", "ServerBusy"),
    500: ("Internal Server Error", "InternalError"),
    503: ("Service Unavailable", "ServerBusy"),
    507: ("Insufficient Storage", "InsufficientStorage"),
}


@dataclass
class Fault:
    """What is to go wrong.

    Attributes
    ----------
    kind : int or str
        A status to answer with; ``"reset"`` before the request is sent on, ``"lost answer"`` after
        it, ``"truncated"`` for half a body, ``"pass"`` for nothing but what ``before`` does.
    times : int
        How many requests it befalls.
    applies : callable
        Whether it befalls a method and path.
    date : str
        The ``Date`` of a status.
    before : callable
        Called before the request is sent on.
    """

    kind: int | str
    times: int = 1
    applies: Callable[[str, str], bool] = lambda method, path: True
    date: str = ""
    before: Callable[[], None] = lambda: None


@dataclass
class FaultyProxy:
    """A running proxy.

    Attributes
    ----------
    port : int
        Where it listens.
    faults : list of Fault
        What will go wrong; the first that applies to a request befalls it.
    requests : list of (str, str, int)
        Method, path and bytes of the answer's body of every request that was sent on.
    signers : set of str
        Name of the key and region of the requests that S3's clients signed.
    """

    target: int
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    signers: set[str] = field(default_factory=set)
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The fault that befalls this request."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.applies(method, path):
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def faulty_proxy(target: int) -> Iterator[FaultyProxy]:
    """A proxy to a port of this machine, for the time of the block."""
    proxy = FaultyProxy(target)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.take_fault(self.command, self.path)
        if fault is not None:
            fault.before()
            if isinstance(fault.kind, int):
                self._answer_with(fault)
                return
            if fault.kind == "reset":
                self._reset()
                return
        status, reason, headers, answer = self._forward(body)
        if fault is not None and fault.kind == "lost answer":
            self._reset()
            return
        self.send_response_only(status, reason)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "keep-alive", "content-length"):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), len(answer))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault is not None and fault.kind == "truncated":
            self.wfile.write(answer[: len(answer) // 2])
            self._reset()
            return
        self.wfile.write(answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            answer = response.read()
            with self.proxy.lock:
                self.proxy.requests.append((self.command, self.path, len(answer)))
                signed = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", self.headers.get("Authorization", ""))
                if signed:
                    self.proxy.signers.add(f"{signed[1]}/{signed[2]}")
            return response.status, response.reason, response.getheaders(), answer
        finally:
            connection.close()

    def _answer_with(self, fault: Fault) -> None:
        reason, code = ANSWERS[fault.kind]
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{reason}</Message></Error>".encode()
        if self.command == "HEAD":
            body = b""
        self.send_response_only(fault.kind, reason)
        self.send_header("x-ms-error-code", code)
        self.send_header("Date", fault.date or self.date_time_string())
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Break the connection so that the client sees a reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        # What BaseHTTPRequestHandler flushes at its end is gone.
        self.wfile = _Nowhere()  # type: ignore[assignment]


class _Nowhere:
    closed = False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
