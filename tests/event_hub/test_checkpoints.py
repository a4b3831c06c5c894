"""Checkpoints: kept, never moved back, the same in a file and in Blob Storage."""

import threading
import time

import pytest

from batch_scoring.cloud.retry import RETRIES
from batch_scoring.core.errors import InputError
from batch_scoring.event_hub.address import Address, read_address
from batch_scoring.event_hub.checkpoints import Position, open_checkpoints
from tests.emulators.faulty_proxy import Fault

ADDRESS = Address("fleet.servicebus.windows.net", "telemetry", "$Default")


@pytest.fixture(params=["file", "gs", pytest.param("blob", marks=pytest.mark.azurite)])
def checkpoints(request, tmp_path):
    if request.param == "file":
        return lambda address=ADDRESS: open_checkpoints(str(tmp_path), address, None)
    if request.param == "gs":
        url = request.getfixturevalue("new_bucket")("gs").url
        return lambda address=ADDRESS: open_checkpoints(f"{url}/checkpoints", address, None)
    place = f"abfs://{request.getfixturevalue('container')}"
    return lambda address=ADDRESS: open_checkpoints(place, address, None)


def test_positions_are_kept_for_each_group(checkpoints):
    assert checkpoints().read() == {}
    positions = {"0": Position(7, "4096"), "1": Position(0, "0")}
    checkpoints().move(positions)
    assert checkpoints().read() == positions
    assert checkpoints(Address(ADDRESS.namespace, "telemetry", "other")).read() == {}


def test_a_position_never_moves_back(checkpoints):
    checkpoints().move({"0": Position(7, "4096")})
    checkpoints().move({"0": Position(3, "100"), "1": Position(1, "10")})
    assert checkpoints().read() == {"0": Position(7, "4096"), "1": Position(1, "10")}


def test_a_broken_file_is_told_with_what_to_do(tmp_path):
    store = open_checkpoints(str(tmp_path), ADDRESS, None)
    store.move({"0": Position(7, "4096")})
    file = next(tmp_path.rglob("*.json"))
    file.write_text("{")
    with pytest.raises(InputError, match="not valid checkpoints"):
        store.read()


@pytest.mark.azurite
def test_a_container_that_is_missing_is_made(container):
    store = open_checkpoints("abfs://made-for-checkpoints", ADDRESS, None)
    store.move({"0": Position(1, "1")})
    assert store.read() == {"0": Position(1, "1")}


@pytest.mark.azurite
def test_a_wrong_storage_key_is_one_sentence_without_the_key(azurite, monkeypatch):
    wrong = "d3Jvbmc="
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string().replace(azurite.key, wrong)
    )
    with pytest.raises(InputError, match="the account key is refused") as error:
        open_checkpoints("abfs://checkpoints", ADDRESS, None).read()
    assert wrong not in str(error.value)


@pytest.mark.azurite
def test_a_storage_that_stays_throttled_is_one_sentence_after_bounded_retries(proxy):
    store = open_checkpoints("abfs://checkpoints-of-a-busy-account", ADDRESS, None)
    store.move({"0": Position(1, "1")})
    fault = Fault(503, times=10_000, applies=lambda method, path: "/checkpoint/" in path)
    proxy.faults.append(fault)
    with pytest.raises(
        InputError, match=r"^checkpoints abfs://\S+: the storage is throttled \(503 ServerBusy\)"
    ):
        store.move({"0": Position(2, "2")})
    assert 10_000 - fault.times == RETRIES + 1
    proxy.faults.clear()
    assert store.read() == {"0": Position(1, "1")}


@pytest.mark.slow
@pytest.mark.azurite
@pytest.mark.parametrize("kind", [503, 429, "reset", "lost answer"])
def test_trouble_that_passes_is_waited_out_as_with_all_data_in_blobs(container, proxy, monkeypatch, kind):
    store = open_checkpoints(f"abfs://{container}", ADDRESS, None)
    store.move({"0": Position(1, "1")})
    proxy.faults.append(Fault(kind, 3, lambda method, path: "checkpoint" in path))
    pauses, sleep, here = [], time.sleep, threading.get_ident()

    def pause(seconds):
        pauses.extend([seconds] if threading.get_ident() == here else [])
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    store.move({"0": Position(2, "2")})
    assert 0 < sum(pauses) < 15  # the SDK's own policy waits for 18 s before it tries again
    assert store.read() == {"0": Position(2, "2")}


CONNECTION = (
    "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=s3cret=;"
    "EntityPath=hub"
)


@pytest.fixture(autouse=True)
def no_hub_named(monkeypatch):
    for name in ("CONNECTION_STRING", "NAMESPACE", "NAME"):
        monkeypatch.delenv(f"EVENT_HUB_{name}", raising=False)


def test_credentials_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("EVENT_HUB_CONNECTION_STRING", CONNECTION.replace("ns.", "other."))
    address = read_address(None, None, "g", {"connection_string": CONNECTION})
    assert (address.namespace, address.hub, address.group) == ("ns.servicebus.windows.net", "hub", "g")
    assert "s3cret" not in repr(address)


def test_a_namespace_alone_is_for_signing_in_as_oneself(monkeypatch):
    monkeypatch.setenv("EVENT_HUB_NAMESPACE", "ns.servicebus.windows.net")
    monkeypatch.setenv("EVENT_HUB_NAME", "hub")
    address = read_address(None, None, "$Default", None)
    assert (address.namespace, address.hub) == ("ns.servicebus.windows.net", "hub")
    assert address.connection_string is None


@pytest.mark.parametrize(
    ("credentials", "sentence"),
    [
        (None, "set EVENT_HUB_CONNECTION_STRING"),
        ({"connection_string": "s3cret"}, "expected Endpoint=sb://"),
        ({"connection_string": CONNECTION.replace("EntityPath=hub", "")}, "set EVENT_HUB_NAME"),
    ],
)
def test_what_is_missing_is_said_without_the_secret(credentials, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        read_address(None, None, "$Default", credentials)
    assert "s3cret" not in str(error.value)
