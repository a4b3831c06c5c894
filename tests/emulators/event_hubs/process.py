"""The stand-in as a test uses it: started, killed, started again on the same port, given faults."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.emulators.event_hubs import RECEIVER
from tests.emulators.event_hubs.faults import Faults
from tests.emulators.ports import lasting_port

PROJECT = Path(__file__).parents[3]
KEY = "a2V5IG9mIHRoZSBzdGFuZC1pbiBmb3IgdGVzdHM="


class EventHubsProcess:
    """A stand-in in a process of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps its events, its key and its faults.
    hub : str
        ``"name:partitions"``.
    *more : str
        More options of its command line.
    key : str
        The shared access key.
    port : int
        0 chooses a free one.
    """

    def __init__(
        self, folder: Path, hub: str = "telemetry:4", *more: str, key: str = KEY, port: int = 0
    ) -> None:
        self.folder, self.hub, self._key = folder, hub.partition(":")[0], key
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "key").touch(mode=0o600)
        (folder / "key").write_text(key)
        self.port = port or lasting_port()
        self._command = [
            *(sys.executable, "-m", "tests.emulators.event_hubs", "--folder", str(folder)),
            *("--port", str(self.port), "--hub", hub, "--key-file", str(folder / "key")),
            *("--faults", str(folder / "faults.json"), *more),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> EventHubsProcess:
        """Start it, and wait until it listens."""
        with (self.folder / "output.txt").open("ab") as output:
            # A session of its own: Ctrl-C is for whoever started it.
            self._process = subprocess.Popen(
                self._command, cwd=PROJECT, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "output.txt").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def receivers(self) -> int:
        """How many receivers have been let in since it was made."""
        return (self.folder / "output.txt").read_text().count(RECEIVER)

    def inject(self, faults: Faults) -> None:
        """Let these things go wrong from now on; ``Faults()`` ends it."""
        path = self.folder / "faults.json"
        beside = path.with_suffix(".partial")
        beside.write_text(json.dumps(asdict(faults)))
        beside.replace(path)

    def connection_string(self, hub: str | None = None, key: str | None = None) -> str:
        """What a client connects with."""
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={key or self._key};UseDevelopmentEmulator=true;EntityPath={hub or self.hub}"
        )


@pytest.fixture
def event_hubs(tmp_path: Path) -> Iterator[EventHubsProcess]:
    """A hub ``telemetry`` of four partitions, with the consumer group ``scoring`` beside ``$Default``."""
    process = EventHubsProcess(tmp_path / "event_hubs", "telemetry:4", "--group", "scoring")
    try:
        yield process.start()
    finally:
        process.kill()
