"""The stand-in for Event Hubs does what the service does, seen through the real client."""

import asyncio
import base64
import hashlib
import hmac
import time
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, aio
from azure.eventhub.exceptions import EventHubError

from tests.emulators.event_hubs.faults import Faults
from tests.emulators.event_hubs.partition_log import PartitionLog
from tests.emulators.event_hubs.process import KEY
from tests.emulators.event_hubs.tokens import check_signature
from tests.event_hub.clients import send

MESSAGE = b"\x00\x53\x75\xa0\x01x"  # one data section


def receive(hubs, n, partition="0", **position):
    """What a receiver gets: (sequence number, body, partition key). It waits for n events, and a second."""
    came = []

    async def on_batch(_, events):
        came.extend((event.sequence_number, event.body_as_str(), event.partition_key) for event in events)

    async def listen():
        async with aio.EventHubConsumerClient.from_connection_string(
            hubs.connection_string(), "$Default"
        ) as client:
            receiving = asyncio.create_task(
                client.receive_batch(on_batch, partition_id=partition, **position)
            )
            for _ in range(600 if n else 0):
                await asyncio.sleep(0.1)
                if len(came) >= n:
                    break
            await asyncio.wait({receiving}, timeout=1)

    asyncio.run(listen())
    return came


@pytest.mark.slow
def test_events_outlive_the_broker_and_numbers_go_on(event_hubs):
    send(event_hubs, ["one", "two"], partition_id="0")
    event_hubs.kill()
    event_hubs.start()
    send(event_hubs, ["three"], partition_id="0")
    assert [event[:2] for event in receive(event_hubs, 3, starting_position="-1")] == [
        (0, "one"),
        (1, "two"),
        (2, "three"),
    ]


@pytest.mark.slow
def test_a_receiver_begins_where_its_selector_says(event_hubs):
    send(event_hubs, ["0", "1"], partition_id="0")
    time.sleep(1.1)
    between = datetime.now(UTC) - timedelta(seconds=0.5)
    send(event_hubs, ["2", "3"], partition_id="0")

    def bodies(n, **position):
        return "".join(body for _, body, _ in receive(event_hubs, n, **position))

    assert bodies(2, starting_position=1) == "23"
    assert bodies(3, starting_position=1, starting_position_inclusive=True) == "123"
    assert bodies(2, starting_position=between) == "23"
    assert bodies(0, starting_position="@latest") == ""


@pytest.mark.slow
def test_a_key_always_goes_to_one_partition_and_stays_with_the_event(event_hubs):
    for _ in range(2):
        send(event_hubs, ["x", "y"], partition_key="pump-01")
    with EventHubConsumerClient.from_connection_string(event_hubs.connection_string(), "$Default") as client:
        about = [client.get_partition_properties(partition) for partition in client.get_partition_ids()]
    filled = [one["id"] for one in about if not one["is_empty"]]
    assert len(filled) == 1
    assert {key for _, _, key in receive(event_hubs, 4, filled[0], starting_position="-1")} == {b"pump-01"}


@pytest.mark.slow
def test_a_throttled_send_is_refused_and_the_next_one_taken(event_hubs):
    event_hubs.inject(Faults(busy_sends=1))
    with pytest.raises(EventHubError, match="server-busy"):
        send(event_hubs, ["refused"], partition_id="0")
    send(event_hubs, ["one"], partition_id="0")
    assert [event[:2] for event in receive(event_hubs, 1, starting_position="-1")] == [(0, "one")]


@pytest.mark.slow
def test_a_sender_with_a_wrong_key_is_refused(event_hubs):
    producer = EventHubProducerClient.from_connection_string(
        event_hubs.connection_string(key="d3Jvbmc="), retry_total=0
    )
    with producer, pytest.raises(EventHubError, match="InvalidSignature"):
        producer.send_batch([EventData("x")])


def test_a_record_torn_by_a_crash_is_cut_off(tmp_path):
    path = tmp_path / "0.log"
    log = PartitionLog("0", path)
    for _ in range(3):
        log.append(MESSAGE, None)
    log.flush()
    path.write_bytes(path.read_bytes()[:-1])
    again = PartitionLog("0", path)
    assert again.last_sequence == 1
    again.append(MESSAGE, None)
    again.flush()
    assert [event.sequence for event in PartitionLog("0", path).events] == [0, 1, 2]


def test_retention_forgets_the_oldest_events_and_keeps_their_numbers(tmp_path):
    log = PartitionLog("0", tmp_path / "0.log", retention_events=2)
    for _ in range(5):
        log.append(MESSAGE, None)
    log.flush()
    assert (log.first_sequence, log.last_sequence) == (3, 4)
    assert log.at(0).sequence == 3
    assert log.find("offset", "-1", inclusive=False) == 3
    again = PartitionLog("0", tmp_path / "0.log", retention_events=2)
    assert (again.first_sequence, again.last_sequence) == (3, 4)


@pytest.mark.parametrize(
    ("key", "at", "answer"),
    [(KEY, 0, "sb://h/hub"), ("other", 0, "InvalidSignature"), (KEY, 1e12, "ExpiredToken")],
)
def test_a_token_is_judged_by_key_and_clock(key, at, answer):
    token = _token("sb://h/hub", key, int(time.time()) + 3600)
    grant = check_signature(token, {"policy": KEY}, at or time.time())
    assert (grant if isinstance(grant, str) else grant.resource).startswith(answer)


def _token(resource, key, expires):
    quoted = urllib.parse.quote_plus(resource)
    digest = hmac.new(key.encode(), f"{quoted}\n{expires}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote_plus(base64.b64encode(digest))
    return f"SharedAccessSignature sr={quoted}&sig={signature}&se={expires}&skn=policy"
