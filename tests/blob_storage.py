"""Fixtures of Blob Storage: an Azurite a session, a container a test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.emulators import azurite as emulator
from tests.emulators.azurite import Azurite
from tests.emulators.faulty_proxy import FaultyProxy, faulty_proxy


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A running emulator; in CI its want is a failure and no skipped test."""
    reason = emulator.why_not_there()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Azurite() as running:
        yield running


@pytest.fixture
def container(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, tmp_path) -> str:
    """A new container; the environment holds its account's connection string, and a cache of its own."""
    for name in ("ACCOUNT", "KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string())
    monkeypatch.setenv("BATCH_SCORING_CACHE", str(tmp_path / "cache"))
    return azurite.make_container()


@pytest.fixture
def proxy(azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy through which the environment's connection string leads; retries wait for hardly a moment."""
    from batch_scoring.storage import blob_retry

    monkeypatch.setattr(blob_retry, "FIRST_WAIT_SECONDS", 0.01)
    with faulty_proxy(azurite.port) as running:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(running.port))
        yield running
