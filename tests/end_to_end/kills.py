"""``python -m tests.end_to_end.kills``: events flow while the run, the broker and the storage are killed.

A sender publishes readings, each until the hub has accepted it, half of them as an IoT Hub hands them on.
`kedro run --env=azure` receives, ingests and aggregates, again and again, as a timer would start it. At
random moments, half of them while blobs are being written, one of the run, the stand-in for Event Hubs and
Azurite is ended with `kill -9`. In the end every accepted reading must be in exactly one window; the exit
code is 1 when it is not, or when a run ended with a traceback or not at all.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.emulators.azurite import Azurite
from tests.emulators.event_hubs.process import EventHubsProcess
from tests.end_to_end.known_readings import FEATURES, WINDOW, Found, compare, known_readings
from tests.end_to_end.live_fleet import Runs, Sender
from tests.end_to_end.workspaces import BlobWorkspace

VICTIMS = ("run", "broker", "Azurite")
PARAMS = f"aggregate.window={WINDOW.removesuffix('in')},aggregate.features=[{','.join(FEATURES)}]"
STORED = ("01_raw", "02_intermediate", "03_primary")
# Runs take some seconds: most are left to end, and no moment of them is spared.
SECONDS_BETWEEN_KILLS = (0.5, 9.0)
# Most of a run is its start. So many kills wait until it writes, when a kill can do harm.
SHARE_AT_WRITES = 0.5
SECONDS_AFTER_A_WRITE = (0.0, 0.2)
SECONDS_WITHOUT_A_WRITE = 20.0
SECONDS_DOWN = (0.1, 2.5)
# Longer than a run asks again: it ends with exit code 1, and a later one picks up.
LONG_OUTAGES = 0.05
LONG_OUTAGE_SECONDS = 50.0
RUNS_AFTERWARDS = 10


@dataclass(frozen=True)
class Kill:
    """A kill to come: how long after the one before, of whom, when, and how long a server stays down."""

    wait: float
    victim: str
    is_at_write: bool
    seconds_down: float


def plan_kills(kills: int, seed: int) -> list[Kill]:
    """So many kills, as many of each victim, in random order."""
    chance = random.Random(seed)
    victims = [VICTIMS[n % len(VICTIMS)] for n in range(kills)]
    chance.shuffle(victims)
    plan = []
    for victim in victims:
        down = LONG_OUTAGE_SECONDS if chance.random() < LONG_OUTAGES else chance.uniform(*SECONDS_DOWN)
        wait, is_at_write = chance.uniform(*SECONDS_BETWEEN_KILLS), chance.random() < SHARE_AT_WRITES
        plan.append(Kill(wait, victim, is_at_write, down))
    return plan


class Killer:
    """Kills one of three as planned; knows how much of that is done."""

    def __init__(self, plan: list[Kill], runs: Runs, hubs: EventHubsProcess, azurite: Azurite) -> None:
        self._plan, self._runs = plan, runs
        self._servers = {"broker": hubs, "Azurite": azurite}
        self._began, self._wait = time.monotonic(), 1.0
        self.counts: Counter[str] = Counter()

    def share_done(self) -> float:
        """From 0 to 1, steadily."""
        part = min(1.0, (time.monotonic() - self._began) / self._wait)
        return min(1.0, (self.counts.total() + part) / len(self._plan))

    def kill_all(self) -> None:
        """Kill as planned."""
        for kill in self._plan:
            self._began, self._wait = time.monotonic(), kill.wait
            time.sleep(kill.wait)
            if kill.is_at_write:
                self._wait_for_a_write()
            if kill.victim == "run":
                while not self._runs.kill():
                    assert self._runs.is_alive()
                    time.sleep(random.uniform(0, 1))
            else:
                self._servers[kill.victim].kill()
                time.sleep(kill.seconds_down)
                self._servers[kill.victim].start()
            self.counts[kill.victim] += 1
            done = f"{self.counts.total()} of {len(self._plan)} kills"
            print(f"\r{done}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def _wait_for_a_write(self) -> None:
        """Wait until a blob has just been written, and a moment more: while others are."""
        index, deadline = self._servers["Azurite"].index, time.monotonic() + SECONDS_WITHOUT_A_WRITE
        before = index.stat().st_mtime_ns
        while index.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(random.uniform(*SECONDS_AFTER_A_WRITE))


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
        killer = Killer(plan_kills(kills, seed), runs, hubs, azurite)
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


def main() -> int:
    """Run it with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = kill_everything(options.kills, options.events, options.seed, Path(folder))
    print(result)
    return 0 if result.is_all_well else 1


if __name__ == "__main__":
    sys.exit(main())
