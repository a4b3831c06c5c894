"""``python -m tests.end_to_end.kills``: events flow while the run, the broker and the storage are killed.

A sender publishes readings, each until the hub has accepted it. `kedro run --env=azure` receives, ingests
and aggregates, again and again, as a timer would start it. At random moments, half of them while blobs
are being written, one of the run, the stand-in for Event Hubs and Azurite is ended with `kill -9`. In the
end every accepted reading must be in exactly one window; the exit code is 1 when it is not, or when a run
ended with a traceback or not at all.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from tests.emulators.azurite import Azurite
from tests.emulators.event_hubs.process import EventHubsProcess
from tests.end_to_end.known_readings import FEATURES, WINDOW, Found, bodies, compare, known_readings
from tests.end_to_end.workspaces import BlobWorkspace

VICTIMS = ("run", "broker", "Azurite")
PIPELINES = "receive,ingest,aggregate"
PARAMS = f"aggregate.window={WINDOW.removesuffix('in')},aggregate.features=[{','.join(FEATURES)}]"
STORED = ("01_raw", "02_intermediate", "03_primary")
EVENTS_A_ROUND = 500
SENT_TWICE = 0.01
# Runs take some seconds: most are left to end, and no moment of them is spared.
SECONDS_BETWEEN_KILLS = (0.5, 9.0)
# Most of a run is its start. So many kills wait until it writes, when a kill can do harm.
SHARE_AT_WRITES = 0.5
SECONDS_AFTER_A_WRITE = (0.0, 0.2)
SECONDS_WITHOUT_A_WRITE = 20.0
SECONDS_DOWN = (0.1, 2.5)
SECONDS_BETWEEN_RUNS = 0.3
SECONDS_OF_A_HANG = 600.0
RUNS_AFTERWARDS = 10


class Sender(threading.Thread):
    """Publishes readings as they are due, each until it is accepted: some of them twice."""

    def __init__(self, hubs: EventHubsProcess, readings: pd.DataFrame, due: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._hubs, self._due = hubs, due
        self._devices, self._bodies = readings["device"].tolist(), bodies(readings)
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

    def _send_what_is_due(self, producer) -> None:
        """Send a round; when that fails, all of it is sent again."""
        from azure.eventhub import EventData

        end = min(int(self._due() * len(self._bodies)), self.accepted + EVENTS_A_ROUND)
        if end <= self.accepted:
            return time.sleep(0.05)
        again = [self._chance.randrange(end) for _ in range(int((end - self.accepted) * SENT_TWICE))]
        numbers = sorted([*range(self.accepted, end), *again], key=lambda n: self._devices[n])
        try:
            for device, of_device in groupby(numbers, key=lambda n: self._devices[n]):
                events = [EventData(self._bodies[n]) for n in of_device]
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
            self.troubles.append(f"a run did not end:\n{process.communicate()[0]}")
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


class Killer:
    """Kills one of three at random moments, so many times; knows how much of that is done."""

    def __init__(self, kills: int, seed: int, runs: Runs, hubs: EventHubsProcess, azurite: Azurite) -> None:
        self._chance = random.Random(seed)
        self._runs, self._servers = runs, {"broker": hubs, "Azurite": azurite}
        self._kills, self._began, self._wait = kills, time.monotonic(), 1.0
        self.counts: Counter[str] = Counter()

    def share_done(self) -> float:
        """From 0 to 1, steadily."""
        part = min(1.0, (time.monotonic() - self._began) / self._wait)
        return min(1.0, (self.counts.total() + part) / self._kills)

    def kill_all(self) -> None:
        """Kill so many times."""
        for _ in range(self._kills):
            self._began, self._wait = time.monotonic(), self._chance.uniform(*SECONDS_BETWEEN_KILLS)
            time.sleep(self._wait)
            victim = self._chance.choice(VICTIMS)
            if self._chance.random() < SHARE_AT_WRITES:
                self._wait_for_a_write()
            if victim == "run":
                while not self._runs.kill():
                    time.sleep(self._chance.uniform(0, 1))
            else:
                self._servers[victim].kill()
                time.sleep(self._chance.uniform(*SECONDS_DOWN))
                self._servers[victim].start()
            self.counts[victim] += 1
            print(f"\r{self.counts.total()} of {self._kills} kills", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def _wait_for_a_write(self) -> None:
        """Wait until a blob has just been written, and a moment more: while others are."""
        index, deadline = self._servers["Azurite"].index, time.monotonic() + SECONDS_WITHOUT_A_WRITE
        before = index.stat().st_mtime_ns
        while index.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self._chance.uniform(*SECONDS_AFTER_A_WRITE))


@dataclass(frozen=True)
class Result:
    """What came of it."""

    kills: Counter[str]
    accepted: int
    refused_sends: int
    runs: Runs
    found: Found
    seconds: float

    @property
    def is_all_well(self) -> bool:
        return self.found.is_all_well and not self.runs.troubles

    def __str__(self) -> str:
        found, runs = self.found, self.runs
        kills = ", ".join(f"{self.kills[victim]} {victim}" for victim in VICTIMS)
        lines = [
            f"{self.kills.total()} kills ({kills}), {self.accepted:,} readings accepted, "
            f"{found.in_windows:,} in {found.windows:,} windows, {found.lost} lost, {found.doubled} doubled, "
            f"{found.wrong} wrong; {runs.done + runs.failed + runs.killed} runs, {runs.failed} of them "
            f"failed and {runs.killed} killed; {self.refused_sends} sends repeated; {self.seconds:.0f} s",
            *(f"{count:5} × {line}" for line, count in runs.said.most_common()),
            *runs.troubles[:3],
        ]
        return "\n".join(lines)


def kill_everything(kills: int, events: int, seed: int, folder: Path) -> Result:
    """Let events flow, and kill.

    Raises
    ------
    AssertionError
        When the runs do not come to an end afterwards.
    """
    began = time.monotonic()
    readings = known_readings(events, seed)
    with _servers(folder) as (hubs, azurite), _environment(hubs, azurite, folder):
        runs = Runs(BlobWorkspace(f"abfs://{azurite.make_container()}/live", PARAMS))
        killer = Killer(kills, seed, runs, hubs, azurite)
        sender = Sender(hubs, readings, killer.share_done)
        sender.start()
        runs.start()
        killer.kill_all()
        sender.join()
        runs.stop()
        _run_until_nothing_is_new(runs)
        tables = [runs.workspace.table(name) for name in ("02_intermediate/readings", "03_primary/windows")]
    found = compare(readings, *tables)
    seconds = time.monotonic() - began
    return Result(killer.counts, sender.accepted, sender.failures, runs, found, seconds)


def _run_until_nothing_is_new(runs: Runs) -> None:
    before = None
    for _ in range(RUNS_AFTERWARDS):
        is_done = runs.once()
        now = runs.workspace.files(*STORED)
        if is_done and now == before:
            return
        before = now
    raise AssertionError(f"something was new after {RUNS_AFTERWARDS} runs: {runs.said}")


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[EventHubsProcess, Azurite]]:
    hubs = EventHubsProcess(folder / "event_hubs")
    try:
        with Azurite(folder / "azurite", is_durable=True) as azurite:
            yield hubs.start(), azurite
    finally:
        hubs.kill()


@contextmanager
def _environment(hubs: EventHubsProcess, azurite: Azurite, folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in ("ACCOUNT", "KEY", "SAS_TOKEN"):
        os.environ.pop(f"AZURE_STORAGE_{name}", None)
    os.environ["EVENT_HUB_CONNECTION_STRING"] = hubs.connection_string()
    os.environ["AZURE_STORAGE_CONNECTION_STRING"] = azurite.connection_string()
    os.environ["BATCH_SCORING_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _without_names(line: str) -> str:
    """A line without the time, the container and the names of blobs."""
    line = re.sub(r"abfs://\w+/live/(\w+/\w+)?\S*?(?=[:,]? |$)", r"…/\1…", line)
    return re.sub(r"partition '\d+'", "partition …", re.sub(r"\d[\d,.]* s\b|\d[\d,]* events", "…", line))


def main() -> int:
    """Run it with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = kill_everything(options.kills, options.events, options.seed, Path(folder))
    print(result)
    return 0 if result.is_all_well else 1


if __name__ == "__main__":
    sys.exit(main())
