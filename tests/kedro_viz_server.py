"""A real Kedro-Viz on a free port of this machine, for tests."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.workspaces import PROJECT

SECONDS_TO_START = 120


@contextmanager
def kedro_viz(data: Path, log: Path) -> Iterator[str]:
    """Kedro-Viz as ``make viz`` starts it, over a folder of data; ends with the processes it started."""
    port = free_port()
    command = [sys.executable, "-m", "kedro", "viz", "run", "--no-browser", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--params", f"data={data}"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | {"DO_NOT_TRACK": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            # The command waits for a child that serves; both are in the group that it leads.
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def free_port() -> int:
    """A free port; Kedro-Viz takes none of the dynamic ones (above 49151), which the system would give."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    pytest.fail("found no free port between 20000 and 32000")


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers; fail with its log when it ends or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/api/main", timeout=30).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
    pytest.fail(f"Kedro-Viz did not start in {SECONDS_TO_START} s: {log.read_text()}")
