"""What goes on in a live fleet, each in a thread: a sender that publishes, and a timer that starts runs."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby

import pandas as pd

from tests.emulators.event_hubs.process import EventHubsProcess
from tests.end_to_end.known_readings import bodies
from tests.end_to_end.workspaces import BlobWorkspace

EVENTS_A_ROUND = 500
SENT_TWICE = 0.01
SECONDS_BETWEEN_RUNS = 0.3
SECONDS_OF_A_HANG = 600.0
PIPELINES = "receive,ingest,aggregate"


class Sender(threading.Thread):
    """Publishes readings as they are due, each until it is accepted: some of them twice.

    Every other device is known to an IoT Hub, which states it beside the body.
    """

    def __init__(self, hubs: EventHubsProcess, readings: pd.DataFrame, due: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._hubs, self._due = hubs, due
        self._devices, self._bodies = readings["device"].tolist(), bodies(readings)
        self._of_iot_hub = set(sorted(set(self._devices))[::2])
        self._chance = random.Random(len(readings))
        self.accepted = self.failures = 0

    def run(self) -> None:
        """Send all."""
        while self.accepted < len(self._bodies):
            with suppress(Exception), self._producer() as producer:
                while self.accepted < len(self._bodies):
                    self._send_what_is_due(producer)
            time.sleep(0.2)

    def _producer(self):
        from azure.eventhub import EventHubProducerClient

        return EventHubProducerClient.from_connection_string(self._hubs.connection_string(), retry_total=0)

    def _event(self, n: int):
        from azure.eventhub import EventData

        from tests.event_hub.clients import iot_hub_message

        device = self._devices[n]
        if device not in self._of_iot_hub:
            return EventData(self._bodies[n])
        body = {name: value for name, value in json.loads(self._bodies[n]).items() if name != "device"}
        return iot_hub_message(json.dumps(body), device)

    def _send_what_is_due(self, producer) -> None:
        """Send a round; when that fails, all of it is sent again."""
        end = min(int(self._due() * len(self._bodies)), self.accepted + EVENTS_A_ROUND)
        if end <= self.accepted:
            return time.sleep(0.05)
        again = [self._chance.randrange(end) for _ in range(int((end - self.accepted) * SENT_TWICE))]
        numbers = sorted([*range(self.accepted, end), *again], key=lambda n: self._devices[n])
        try:
            for device, of_device in groupby(numbers, key=lambda n: self._devices[n]):
                events = [self._event(n) for n in of_device]
                producer.send_batch(events, partition_key=device)
        except Exception:
            self.failures += 1
            raise
        self.accepted = end
        return None


class Runs(threading.Thread):
    """Keeps a run going, one at a time.

    Attributes
    ----------
    workspace : BlobWorkspace
    killed, failed, done : int
        How runs ended: by us, with an exit code other than 0, well.
    said : Counter
        The last lines of those that failed, without what differs between them.
    troubles : list of str
        The whole output of runs that showed a traceback, or did not end.
    """

    def __init__(self, workspace: BlobWorkspace) -> None:
        super().__init__(daemon=True)
        self.workspace = workspace
        self.killed = self.failed = self.done = 0
        self.said: Counter[str] = Counter()
        self.troubles: list[str] = []
        self._current: subprocess.Popen[str] | None = None
        self._is_over = False

    def run(self) -> None:
        """Start the next run when one has ended, until :meth:`stop`."""
        while not self._is_over:
            self.once()
            time.sleep(SECONDS_BETWEEN_RUNS)

    def stop(self) -> None:
        """Let the run that is going on be the last."""
        self._is_over = True
        self.join()

    def once(self) -> bool:
        """One run; whether it ended with exit code 0."""
        self._current = process = self.workspace.start(PIPELINES)
        try:
            output, _ = process.communicate(timeout=SECONDS_OF_A_HANG)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            self.troubles.append(f"a run did not end:\n{output}")
        self._current = None
        if "Traceback" in output:
            self.troubles.append(output)
        self.killed += process.returncode == -signal.SIGKILL
        self.done += process.returncode == 0
        if process.returncode > 0:
            self.failed += 1
            self.said[_without_names(output.strip().rpartition("\n")[2])] += 1
        return process.returncode == 0

    def kill(self) -> bool:
        """Kill the run that is going on; False when there is none just now."""
        run = self._current
        if run is None or run.poll() is not None:
            return False
        os.killpg(run.pid, signal.SIGKILL)
        return True


def _without_names(line: str) -> str:
    """A line without the time, the container and the names of blobs."""
    line = re.sub(r"abfs://\w+/live/(\w+/\w+)?\S*?(?=[:,]? |$)", r"…/\1…", line)
    return re.sub(r"partition '\d+'", "partition …", re.sub(r"\d[\d,.]* s\b|\d[\d,]* events", "…", line))
