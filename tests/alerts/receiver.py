"""A receiver of webhooks in a process of its own, to be killed and started again at the same address."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

# Status, headers, and seconds that it takes.
Answer = tuple[int, dict[str, str], float]

PROGRAM = """
import http.server, json, os, signal, sys, time

port, file, die_after, answers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
n = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global n
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = {"path": self.path, "headers": dict(self.headers), "body": json.loads(body)}
        with open(file, "a") as out:
            out.write(json.dumps(request) + "\\n")
        n += 1
        if n == die_after:
            os.kill(os.getpid(), signal.SIGKILL)  # it has the event, and nobody knows
        status, headers, seconds = answers.pop(0) if answers else (204, {}, 0)
        time.sleep(seconds)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", port), Handler)
print("ready", flush=True)
server.serve_forever()
"""


class Receiver:
    """An address on 127.0.0.1; ``start`` makes somebody listen there."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/alerts"
        self._file = folder / "received.jsonl"
        self._process: subprocess.Popen[str] | None = None

    def start(
        self, die_after: int = 0, answers: list[tuple[int, dict[str, str], float]] | None = None
    ) -> None:
        """Listen. Die by SIGKILL having read request number ``die_after``; give these answers first."""
        self.kill()
        arguments = [str(self._port), str(self._file), str(die_after), json.dumps(answers or [])]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """Stop listening at once, with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def requests(self) -> list[dict[str, Any]]:
        """All requests that were read so far, by all processes: path, headers, body."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [json.loads(line) for line in lines]

    def events(self) -> list[dict[str, Any]]:
        """Their bodies."""
        return [request["body"] for request in self.requests()]
