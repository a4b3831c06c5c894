"""Row tables in Blob Storage: what holds of local ones holds, with every credential."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from batch_scoring.core.errors import ConflictError, InputError
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import READINGS
from tests.emulators.azurite import ACCOUNT, Azurite, new_key
from tests.emulators.faulty_proxy import Fault, FaultyProxy
from tests.row_tables import add, dataset_at, devices, readings, table_at

pytestmark = pytest.mark.azurite

DAY = 1440


def make_sas(azurite: Azurite, container: str, minutes: int = 60) -> str:
    from azure.storage.blob import generate_container_sas

    return generate_container_sas(
        ACCOUNT,
        container,
        azurite.key,
        permission="rwdlc",
        start=datetime.now(UTC) - timedelta(minutes=120),
        expiry=datetime.now(UTC) + timedelta(minutes=minutes),
    )


@pytest.fixture(params=["connection string", "account key", "SAS", "connection string of a SAS"])
def secret(
    request: pytest.FixtureRequest, azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The secret of the environment's credentials."""
    if request.param == "connection string":
        return azurite.key
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    if request.param == "account key":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", azurite.url())
        monkeypatch.setenv("AZURE_STORAGE_KEY", azurite.key)
        return azurite.key
    sas = make_sas(azurite, container)
    if request.param == "SAS":
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", azurite.url())
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"?{sas}")
    else:
        text = f"BlobEndpoint={azurite.url()};SharedAccessSignature={sas}"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    return sas.partition("sig=")[2]


def test_a_table_is_written_read_and_contended_for_without_showing_a_secret(
    secret: str, container: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    url = f"abfs://{container}/data/Süd №7 & mehr/readings"
    assert not dataset_at(url).exists()
    first = add(url, readings((0, "ü", 1), (DAY, "b/c", 2)), progress={"step": 1})
    dataset = dataset_at(url)
    seen = []

    def update(table: RowTable) -> Change:
        seen.append(table.version)
        if len(seen) == 1:
            add(url, readings((1, "theirs", 3)), progress={"step": 2})
        rewritten = [(file, [readings((DAY, "b/c", 9))]) for file in table.files(devices=["b/c"])]
        return Change(READINGS, progress={"step": 3}, rewritten=lambda: rewritten)

    dataset.save(update)
    table = dataset.load()
    assert seen == [first.version, first.version + 1]
    assert sorted(table.read()["value"].to_pylist()) == [1, 3, 9]
    assert table.progress("step") == 3
    assert len(table.added_since(first.version)) == 2
    with pytest.raises(ConflictError):
        first.commit(Change(READINGS, [[readings((5, "late", 0))]], {"step": 2}))
    assert devices(table.read(devices=["late"])) == []
    uri, options = table.folder.delta_address()
    assert "sig=" not in uri
    assert secret in (options.get("account_key"), (options.get("sas_token") or "").partition("sig=")[2])

    shown = caplog.text + repr(table) + str(dataset) + "".join(capfd.readouterr())
    assert "readings" in shown
    assert secret not in shown
    assert unquote(secret) not in shown


@pytest.mark.parametrize("kind", ["lost answer", 500, 503, "reset"])
def test_a_commit_in_trouble_is_there_once_with_its_rows(container: str, proxy: FaultyProxy, kind: Any):
    url = f"abfs://{container}/readings"
    add(url, readings((0, "a", 1)))
    proxy.faults.append(
        Fault(kind, applies=lambda method, path: method == "PUT" and "_delta_log" in path and "json" in path)
    )
    dataset_at(url).save(
        lambda table: (
            Change(READINGS, [[readings((1, "b", 2))]], {"step": 1}) if table.num_rows == 1 else None
        )
    )
    assert proxy.faults[0].times == 0
    proxy.faults.clear()
    assert sorted(devices(table_at(url).read())) == ["a", "b"]


def test_a_storage_that_refuses_is_one_sentence(
    azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", azurite.url())
    wrong = new_key()
    expired = make_sas(azurite, container, minutes=-60)
    for name, value, said in (
        ("KEY", wrong, "the account key is refused"),
        ("KEY", "not-base64!", "the account key cannot be read"),
        ("SAS_TOKEN", expired, "the SAS expired at"),
    ):
        monkeypatch.setenv(f"AZURE_STORAGE_{name}", value)
        with pytest.raises(InputError) as error:
            table_at(f"abfs://{container}/readings").read()
        text = str(error.value)
        assert f"{container}/readings" in text
        assert said in text
        assert len(text.splitlines()) == 1
        assert wrong not in text
        assert "sig=" not in text
        monkeypatch.delenv(f"AZURE_STORAGE_{name}")


def test_a_file_that_is_gone_is_named_by_its_url(container: str):
    url = f"abfs://{container}/readings"
    table = add(url, readings((0, "a", 1)))
    table.folder.delete(table.files()[0].name)
    with pytest.raises(InputError, match=rf"{container}/readings/date=2026-01-05/rows-.*: .* gone; restore"):
        table_at(url).read()
