"""A running stand-in for the Resource Manager, and a client of it."""

from __future__ import annotations

import pytest

from batch_scoring.deploy.arm.place import Place
from tests.emulators.arm.server import ArmServer, Credential
from tests.emulators.arm.service import Arm


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("batch_scoring.cloud.retry.FIRST_WAIT_SECONDS", 0.01)
    with ArmServer(Arm(making_seconds=0.005), tmp_path / "tls") as running:
        yield running


@pytest.fixture
def arm(server):
    return server.arm


@pytest.fixture
def place(server):
    return Place(server.arm.subscription, "rg-fleet", "westeurope", "fleet", server.url, poll_seconds=0.01)


@pytest.fixture
def open_client(server, place):
    from batch_scoring.deploy.arm.client import Client

    return lambda **changes: Client(
        changes.pop("place", place), Credential(), connection_verify=str(server.certificate), **changes
    )


@pytest.fixture
def client(open_client):
    return open_client()
