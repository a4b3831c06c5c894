"""Events land under names made of what they are, and a run goes on behind what has landed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.event_hub.address import Address
from batch_scoring.event_hub.batches import PartitionBuffer
from batch_scoring.ingestion.landed_events import landed_positions
from batch_scoring.pipelines.receive.nodes import receive_events
from batch_scoring.tables.schemas import EVENTS

CAME = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)


def events(partition, first, count):
    columns = [
        [partition] * count,
        list(range(first, first + count)),
        ["0"] * count,
        [CAME + timedelta(minutes=n) for n in range(count)],
        [b"{}"] * count,
        [None] * count,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, EVENTS, strict=True)]
    return pa.table(arrays, schema=EVENTS)


class Hub:
    """Gives some tables, and remembers how it was asked."""

    address = Address("ns.servicebus.windows.net", "tele metry")

    def __init__(self, *tables):
        self.tables, self.asked = tables, None

    def events(self, landed, max_events, max_time):
        self.asked = (landed, max_events, max_time)
        yield from self.tables


def test_a_file_is_named_by_day_of_arrival_partition_and_numbers():
    hub = Hub(events("3", 7, 2), events("3", 9, 1))
    names = [name for chunk in receive_events(hub, [], None) for name in chunk]
    assert names == [
        "ns.servicebus.windows.net/tele%20metry/2026-01-05/3_0000000000000000007_0000000000000000008.events",
        "ns.servicebus.windows.net/tele%20metry/2026-01-05/3_0000000000000000009_0000000000000000009.events",
    ]


def test_a_run_goes_on_behind_what_has_landed_of_this_hub():
    hub = Hub(events("3", 7, 2), events("12", 0, 5))
    landed = [f"{name}.parquet" for chunk in receive_events(hub, [], {}) for name in chunk]
    others = ["ns.servicebus.windows.net/other/2026-01-05/3_0_99.events.parquet", "2026-01-05.parquet"]
    again = Hub()
    assert list(receive_events(again, landed + others, {"max_events": 5, "max_time": "1m"})) == [{}]
    assert again.asked == ({"3": 8, "12": 4}, 5, timedelta(minutes=1))


def test_the_furthest_file_of_a_partition_counts():
    names = [
        f"ns/hub/2026-01-05/0_{first}_{last}.events.parquet" for first, last in [(0, 9), (5, 7), (10, 20)]
    ]
    assert landed_positions(names, "ns/hub") == {"0": 20}


@pytest.mark.parametrize("settings", [{"max_events": 0}, {"max_time": "0s"}, {"max_evnts": 1}])
def test_a_limit_without_sense_is_told(settings):
    with pytest.raises(InputError, match="receive"):
        list(receive_events(Hub(), [], settings))


def received(*numbers):
    """Events as the client gives them."""

    def annotations(number):
        return {
            b"x-opt-sequence-number": number,
            b"x-opt-offset": str(number).encode(),
            b"x-opt-enqueued-time": 1767571200000 + number,
        }

    return [
        SimpleNamespace(
            raw_amqp_message=SimpleNamespace(annotations=annotations(number), application_properties=None),
            body=iter([b"a", b"b"]),
        )
        for number in numbers
    ]


def test_what_comes_again_is_left_out_and_what_comes_after_the_end_is_not_wanted():
    buffer = PartitionBuffer("0", last=4, end=8)
    assert buffer.take(received(3, 4, 5, 6), 100) == 2
    assert buffer.take(received(5, 6, 7, 8, 9, 10), 100) == 2
    assert buffer.is_done
    table = buffer.empty()
    assert table["sequence_number"].to_pylist() == [5, 6, 7, 8]
    assert table["enqueued_time"].to_pylist()[0] == datetime(2026, 1, 5, 0, 0, 0, 5000, tzinfo=UTC)
    assert table["body"].to_pylist() == [b"ab"] * 4
    assert buffer.empty() is None
    assert buffer.expired == 0


def test_what_retention_took_is_counted():
    buffer = PartitionBuffer("0", last=4, end=8)
    buffer.take(received(7), 100)
    assert (buffer.expired, buffer.is_done) == (2, False)
    buffer.take(received(12), 100)
    assert (buffer.expired, buffer.is_done, buffer.taken) == (3, True, 1)
