"""Events drained into landing files beside a bare azure-eventhub receive loop, over one stand-in, in turn.

Bare is what a plain program does: ``EventHubConsumerClient.receive_batch`` of ``azure.eventhub.aio`` over
all partitions of the same hub at once, from their beginning, in batches as large and with as much prefetched
as ours; of the events it only counts how many came, and its clock stops with the last one, before it closes.
So it receives the same events with the same SDK, and does nothing with them. Ours is the ``receive`` pipeline
without Kedro's start: asks each partition where it ends, receives, writes Parquet files, syncs them, moves
the checkpoints, closes its connections. The numbers of the events that landed are compared before a time is
told.

    python benchmarks/live_drain.py --events 200000 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

# Started as a program; the stand-in is that of the tests.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.emulators.event_hubs.process import EventHubsProcess

PARTITIONS = 4
EVENTS = 200_000


def measure(rounds: int, events: int = EVENTS) -> dict[str, float]:
    """Events per second of both, and the ratio; medians of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        hubs = EventHubsProcess(Path(folder) / "hubs", f"telemetry:{PARTITIONS}").start()
        try:
            _fill(hubs, events)
            seconds: dict[str, list[float]] = {"bare": [], "ours": []}
            for n in range(rounds):
                sides = [
                    ("bare", lambda: _bare(hubs, events)),
                    ("ours", lambda n=n: _ours(hubs, events, Path(folder) / str(n))),
                ]
                # Each side first in every other round.
                for name, side in sides if n % 2 == 0 else sides[::-1]:
                    seconds[name].append(side())
        finally:
            hubs.kill()
    ratios = [bare / ours for bare, ours in zip(seconds["bare"], seconds["ours"], strict=True)]
    return {
        "drain_over_bare": statistics.median(ratios),
        "drain_events_per_second": events / statistics.median(seconds["ours"]),
        "bare_events_per_second": events / statistics.median(seconds["bare"]),
    }


def _fill(hubs: EventHubsProcess, events: int) -> None:
    from azure.eventhub import EventData, EventHubProducerClient

    with EventHubProducerClient.from_connection_string(hubs.connection_string()) as producer:
        for first in range(0, events, 1000):
            bodies = [
                f'{{"timestamp":"2026-01-05T00:00:00.{n % 1_000_000:06d}Z","device":"pump-{n % 50:02d}",'
                f'"sensor":"vibration","value":{n}.25}}'
                for n in range(first, min(first + 1000, events))
            ]
            partition = str(first // 1000 % PARTITIONS)
            producer.send_batch([EventData(body) for body in bodies], partition_id=partition)


def _bare(hubs: EventHubsProcess, events: int) -> float:
    from azure.eventhub.aio import EventHubConsumerClient

    from batch_scoring.event_hub.drain import PREFETCH

    async def receive() -> float:
        client = EventHubConsumerClient.from_connection_string(hubs.connection_string(), "$Default")
        came, whole = 0, asyncio.Event()

        async def on_batch(_: object, batch: list[object]) -> None:
            nonlocal came
            came += len(batch)
            if came >= events:
                whole.set()

        began = time.perf_counter()
        async with client:
            receiving = asyncio.create_task(
                client.receive_batch(
                    on_batch, starting_position="-1", prefetch=PREFETCH, max_batch_size=PREFETCH
                )
            )
            await whole.wait()
            seconds = time.perf_counter() - began
            receiving.cancel()
        return seconds

    return asyncio.run(receive())


def _ours(hubs: EventHubsProcess, events: int, folder: Path) -> float:
    import pyarrow.parquet as pq

    from batch_scoring.datasets.event_hub import EventHub
    from batch_scoring.datasets.raw_readings import RawReadings
    from batch_scoring.pipelines.receive.nodes import receive_events

    credentials = {"connection_string": hubs.connection_string()}
    source = EventHub(str(folder / "checkpoints"), credentials=credentials)
    landing = RawReadings(str(folder / "readings"))
    began = time.perf_counter()
    for files in receive_events(source.load(), [], None):
        landing.save(files)
    source.confirm()
    seconds = time.perf_counter() - began
    landed = [
        pq.read_table(file.path, columns=["partition", "sequence_number"]).to_pylist()
        for file in landing.load()
    ]
    numbers = {(event["partition"], event["sequence_number"]) for file in landed for event in file}
    if len(numbers) != events or sum(map(len, landed)) != events:
        raise SystemExit(f"{events:,} events were sent, {sum(map(len, landed)):,} landed")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.rounds, arguments.events), indent=2))


if __name__ == "__main__":
    main()
