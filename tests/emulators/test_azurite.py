"""The emulator of Blob Storage as a disk: what it has acknowledged outlives it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.storage.blob import ContainerClient

from tests.emulators import azurite as emulator
from tests.emulators.azurite import Azurite

pytestmark = [pytest.mark.slow, pytest.mark.azurite]


@pytest.fixture
def start(tmp_path):
    """Starts an emulator that keeps its blobs in a folder."""
    if reason := emulator.why_not_there():
        pytest.skip(reason)
    started = []

    def start(**options):
        started.append(Azurite(tmp_path / "azurite", **options).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_what_was_acknowledged_is_there_after_a_kill_and_a_start_on_the_same_port(start, trials):
    azurite = start(is_durable=True)
    container = azurite.make_container()
    names = [f"folder/{n}" for n in range(40)]
    with ContainerClient.from_connection_string(azurite.connection_string(), container) as client:
        for trial in range(trials):
            bodies = {name: f"{trial} {name}".encode() * 1000 for name in names}
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda name: client.upload_blob(name, bodies[name], overwrite=True), names))  # noqa: B023
            client.get_blob_client("gone").upload_blob(b"", overwrite=True)
            client.delete_blob("gone")
            # Of the service itself a client sees no more than a connection that breaks.
            azurite.kill()
            azurite.start()
            assert [blob.name for blob in client.list_blobs()] == sorted(names)
            assert {name: client.download_blob(name).readall() for name in names} == bodies


def test_without_that_an_acknowledged_blob_is_lost(start):
    azurite = start()
    container = azurite.make_container()
    time.sleep(6)  # it saves every 5 s
    with ContainerClient.from_connection_string(azurite.connection_string(), container) as client:
        client.upload_blob("one", b"1")
        azurite.kill()
        azurite.start()
        assert list(client.list_blobs()) == []
