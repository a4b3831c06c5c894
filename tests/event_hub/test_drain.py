"""Draining a hub over real sockets: everything once, in order, whatever breaks on the way."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from azure.core.credentials import AccessToken

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.event_hub import EventHub
from batch_scoring.event_hub import drain as drain_module
from batch_scoring.tables.schemas import EVENTS
from tests.emulators.event_hubs.faults import Faults
from tests.emulators.event_hubs.process import KEY, EventHubsProcess
from tests.event_hub.clients import (
    bodies_of,
    dataset,
    drain,
    logged,
    send,
    send_numbered,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def impatient(monkeypatch):
    """Tries follow each other quickly, so that giving up takes no minute."""
    monkeypatch.setattr(drain_module, "PAUSES", (0.1, 0.1))


def test_every_event_comes_once_with_partition_number_offset_time_and_body(event_hubs, tmp_path):
    before = datetime.now(UTC) - timedelta(seconds=1)
    sent = send_numbered(event_hubs, 50)
    events = drain(dataset(event_hubs, tmp_path))
    assert events.schema == EVENTS
    assert bodies_of(events) == sent
    first = [event for event in events.to_pylist() if event["partition"] == "2"]
    assert [event["sequence_number"] for event in first] == list(range(50))
    offsets = [int(event["offset"]) for event in first]
    assert offsets == sorted(set(offsets))
    assert before < first[0]["enqueued_time"] <= first[-1]["enqueued_time"] <= datetime.now(UTC)


def test_an_empty_hub_gives_nothing(event_hubs, tmp_path):
    assert drain(dataset(event_hubs, tmp_path)).num_rows == 0


def test_a_drain_goes_on_behind_what_was_confirmed(event_hubs, tmp_path):
    source = dataset(event_hubs, tmp_path)
    send(event_hubs, ["one", "two"], partition_id="1")
    assert bodies_of(drain(source)) == {"1": ["one", "two"]}
    source.confirm()
    send(event_hubs, ["three"], partition_id="1")
    assert bodies_of(drain(dataset(event_hubs, tmp_path))) == {"1": ["three"]}


def test_what_was_not_confirmed_comes_again(event_hubs, tmp_path):
    send(event_hubs, ["one", "two"], partition_id="1")
    drain(dataset(event_hubs, tmp_path))
    assert bodies_of(drain(dataset(event_hubs, tmp_path))) == {"1": ["one", "two"]}


def test_what_landed_before_a_run_was_killed_does_not_come_again(event_hubs, tmp_path):
    send_numbered(event_hubs, 4)
    events = bodies_of(drain(dataset(event_hubs, tmp_path), landed={"0": 2, "1": 3}))
    assert events == {"0": ["0/3"], "2": [f"2/{n}" for n in range(4)], "3": [f"3/{n}" for n in range(4)]}


def test_consumer_groups_have_checkpoints_of_their_own(event_hubs, tmp_path):
    send(event_hubs, ["one"], partition_id="1")
    default = dataset(event_hubs, tmp_path)
    drain(default)
    default.confirm()
    assert bodies_of(drain(dataset(event_hubs, tmp_path, consumer_group="scoring"))) == {"1": ["one"]}


def test_a_drain_ends_where_the_hub_ended_when_it_began(event_hubs, tmp_path, monkeypatch):
    sent = send_numbered(event_hubs, 400)
    monkeypatch.setattr(drain_module, "BUFFER_BYTES", 1)  # each delivery is handed on at once
    event_hubs.inject(Faults(slow_partitions={"0": 0.4}))  # by hundreds
    coming = dataset(event_hubs, tmp_path).load().events()
    first = next(coming)
    send(event_hubs, ["too late"], partition_id="0")
    assert bodies_of(pa.concat_tables([first, *coming])) == sent


def test_a_limit_of_events_is_kept_and_the_rest_comes_next_time(event_hubs, tmp_path):
    sent = send_numbered(event_hubs, 30)
    source, came = dataset(event_hubs, tmp_path), {}
    for _ in range(3):
        events = drain(source, max_events=50)
        assert events.num_rows <= 50
        source.confirm()
        for partition, bodies in bodies_of(events).items():
            came.setdefault(partition, []).extend(bodies)
    assert dict(sorted(came.items())) == sent


def test_a_limit_of_time_ends_a_drain_that_could_go_on(event_hubs, tmp_path):
    send_numbered(event_hubs, 400)
    event_hubs.inject(Faults(slow_partitions=dict.fromkeys("0123", 60.0)))
    began = time.monotonic()
    events = drain(dataset(event_hubs, tmp_path), max_time=timedelta(seconds=6))
    assert time.monotonic() - began < 60  # all of them would take four minutes
    assert 0 < events.num_rows < 1600


def test_memory_is_bounded_by_handing_on_what_has_come(event_hubs, tmp_path, monkeypatch):
    monkeypatch.setattr(drain_module, "BUFFER_BYTES", 20_000)
    sent = send_numbered(event_hubs, 4000)
    tables = list(dataset(event_hubs, tmp_path).load().events())
    # What one delivery brings comes on top of the bound.
    assert max(table.nbytes for table in tables) < 20_000 + 3000 * 60
    assert len(tables) > 4
    came = {p: [] for p in sent}
    for table in tables:
        for partition, bodies in bodies_of(table).items():
            came[partition] += bodies
    assert came == sent


def test_closing_the_events_early_ends_the_drain(event_hubs, tmp_path, monkeypatch):
    monkeypatch.setattr(drain_module, "BUFFER_BYTES", 2_000)
    send_numbered(event_hubs, 2000)
    events = dataset(event_hubs, tmp_path).load().events()
    next(events)
    events.close()
    assert [thread.name for thread in threading.enumerate() if thread.name == "event hub"] == []


@pytest.mark.parametrize(
    "faults",
    [
        Faults(drop_after_events=700),
        Faults(redeliver_every=50),
        Faults(token_seconds=1.5, slow_partitions={"0": 0.3}),
        Faults(busy_receivers=5),
    ],
    ids=["dropped connections", "events twice", "tokens that run out", "throttling"],
)
def test_every_event_comes_once_through(event_hubs, tmp_path, faults):
    sent = send_numbered(event_hubs, 1000)
    event_hubs.inject(faults)
    assert bodies_of(drain(dataset(event_hubs, tmp_path))) == sent


def test_every_event_comes_once_through_a_broker_that_is_killed(event_hubs, tmp_path):
    sent = send_numbered(event_hubs, 2000)
    event_hubs.inject(Faults(slow_partitions=dict.fromkeys("0123", 0.2)))

    def kill_and_start():
        event_hubs.kill()
        time.sleep(0.5)
        event_hubs.start()

    killing = threading.Timer(2.0, kill_and_start)
    killing.start()
    events = drain(dataset(event_hubs, tmp_path))
    killing.join()
    assert bodies_of(events) == sent


def test_events_that_retention_deleted_are_told(tmp_path):
    hubs = EventHubsProcess(tmp_path / "hubs", "telemetry:1", "--retention-events", "10").start()
    try:
        source = dataset(hubs, tmp_path)
        send(hubs, [str(n) for n in range(5)], partition_id="0")
        drain(source)
        source.confirm()
        send(hubs, [str(n) for n in range(5, 40)], partition_id="0")
        with logged("batch_scoring.event_hub", logging.WARNING) as messages:
            events = drain(source)
    finally:
        hubs.kill()
    assert bodies_of(events) == {"0": [str(n) for n in range(30, 40)]}
    assert ["25 events were deleted" in message for message in messages] == [True]


def test_a_hub_that_was_made_anew_is_told(event_hubs, tmp_path):
    send(event_hubs, ["one"], partition_id="0")
    with pytest.raises(
        InputError, match="read up to sequence number 9, but ends at 0: the hub was recreated"
    ):
        drain(dataset(event_hubs, tmp_path), landed={"0": 9})


def test_of_two_drains_the_later_one_gets_the_partitions_and_the_earlier_one_says_so(event_hubs, tmp_path):
    sent = send_numbered(event_hubs, 1000)
    event_hubs.inject(Faults(slow_partitions=dict.fromkeys("0123", 0.5)))
    told = []

    def earlier():
        try:
            drain(dataset(event_hubs, tmp_path / "a"))
        except InputError as error:
            told.append(str(error))

    thread = threading.Thread(target=earlier)
    thread.start()
    wait_for(lambda: event_hubs.receivers() == 4)
    later = drain(dataset(event_hubs, tmp_path / "b"))
    thread.join()
    assert bodies_of(later) == sent
    assert len(told) == 1
    assert "another consumer of the group '$Default' took it over" in told[0]


@pytest.mark.parametrize(
    ("hub", "key", "group", "sentence"),
    [
        ("telemetry", "d3Jvbmc=", "$Default", "the service refuses the key or token"),
        ("nowhere", KEY, "$Default", "this hub does not exist"),
        ("telemetry", KEY, "nobody", "consumer group 'nobody'"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_the_key(event_hubs, tmp_path, hub, key, group, sentence):
    send(event_hubs, ["one"], partition_id="0")
    source = dataset(
        event_hubs,
        tmp_path,
        consumer_group=group,
        credentials={"connection_string": event_hubs.connection_string(hub, key)},
    )
    with pytest.raises(InputError) as error:
        drain(source)
    assert sentence in str(error.value)
    assert str(error.value).startswith(f"event hub '{hub}' of 127.0.0.1")
    assert key not in str(error.value)


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        (Faults(busy_receivers=1000), "throttling"),
        (
            Faults(clock_ahead_seconds=86400 * 365),
            "rejects new tokens as expired; this machine.s clock is behind",
        ),
    ],
)
def test_what_does_not_pass_is_given_up_with_one_sentence(event_hubs, tmp_path, impatient, faults, sentence):
    send(event_hubs, ["one"], partition_id="0")
    event_hubs.inject(faults)
    with pytest.raises(InputError, match=sentence):
        drain(dataset(event_hubs, tmp_path))
    event_hubs.inject(Faults())
    assert bodies_of(drain(dataset(event_hubs, tmp_path))) == {"0": ["one"]}


def test_a_hub_that_cannot_be_reached_is_one_sentence(event_hubs, tmp_path, impatient):
    event_hubs.kill()
    with pytest.raises(InputError, match="the connection failed"):
        drain(dataset(event_hubs, tmp_path))


class OneToken:
    """What DefaultAzureCredential would be, with one token."""

    def __init__(self, token):
        self.token = token

    async def get_token(self, *_, **__):
        return AccessToken(self.token, int(time.time()) + 3600)


def test_a_token_of_ones_own_identity_is_taken_and_a_wrong_one_refused(tmp_path, impatient, monkeypatch):
    monkeypatch.delenv("EVENT_HUB_CONNECTION_STRING", raising=False)
    hubs = EventHubsProcess(tmp_path / "hubs", "telemetry:1", "--bearer-token", "entra-token").start()

    def source(token):
        options = {
            "credential": OneToken(token),
            "fully_qualified_namespace": f"127.0.0.1:{hubs.port}",
            "use_tls": False,
        }
        return EventHub(str(tmp_path), hub="telemetry", namespace="127.0.0.1", client_options=options)

    try:
        send(hubs, ["one"], partition_id="0")
        assert bodies_of(drain(source("entra-token"))) == {"0": ["one"]}
        with pytest.raises(InputError, match="refuses the key or token") as error:
            drain(source("wrong-token"))
    finally:
        hubs.kill()
    assert "wrong-token" not in str(error.value)


def test_no_key_and_no_token_is_logged(event_hubs, tmp_path):
    send(event_hubs, ["one"], partition_id="0")
    with logged("azure", logging.DEBUG) as sdk, logged("batch_scoring", logging.DEBUG) as ours:
        drain(dataset(event_hubs, tmp_path))
    assert len(sdk) > 20
    assert ours
    text = "\n".join(sdk + ours)
    assert [secret for secret in (KEY, "SharedAccessSignature", "sig=") if secret in text] == []
