"""Sinks get their secrets from credentials or the environment, when there is something to send."""

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from batch_scoring.alerts.sinks.base import UnreachableError
from batch_scoring.alerts.sinks.event_hub import EventHubSink
from batch_scoring.alerts.sinks.file import FileSink
from batch_scoring.alerts.sinks.log import LogSink
from batch_scoring.alerts.sinks.webhook import WebhookSink
from batch_scoring.datasets.alert_sinks import Alerts, NotificationSinks
from batch_scoring.operations.tables import append

HOOK = {"type": "webhook", "url_from": "HOOK_URL", "authorization_from": "HOOK_TOKEN", "timeout": "2s"}


def test_each_type_becomes_its_sink(tmp_path):
    sinks = NotificationSinks().load()(
        [
            {"type": "log"},
            {"type": "file", "path": str(tmp_path / "x"), "name": "lines"},
            HOOK,
            {"type": "event_hub", "connection_from": "HUB"},
        ]
    )
    assert [type(sink) for sink in sinks] == [LogSink, FileSink, WebhookSink, EventHubSink]
    assert [sink.name for sink in sinks] == ["log", "lines", "webhook", "event_hub"]
    assert sinks[2].poster.timeout_seconds == 2.0


def test_credentials_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("HOOK_URL", "https://environment/")
    monkeypatch.setenv("HOOK_TOKEN", "of the environment\n")
    (sink,) = NotificationSinks(credentials={"HOOK_URL": "https://credentials/"}).load()([HOOK])
    assert (sink.url(), sink.authorization()) == ("https://credentials/", "of the environment")
    (plain,) = NotificationSinks().load()([{"type": "webhook", "url": "https://settings/"}])
    assert (plain.url(), plain.authorization()) == ("https://settings/", None)


def test_a_secret_that_is_not_there_is_told_when_it_is_needed(monkeypatch):
    monkeypatch.delenv("HOOK_URL", raising=False)
    (sink,) = NotificationSinks().load()([HOOK])
    with pytest.raises(UnreachableError, match="HOOK_URL is neither among the credentials nor in the env"):
        sink.url()


def test_a_secret_address_that_is_none_is_not_repeated(monkeypatch):
    monkeypatch.setenv("HOOK_URL", "s3cret")
    (sink,) = NotificationSinks().load()([HOOK])
    with pytest.raises(
        UnreachableError, match="webhook: HOOK_URL: the url is not valid; expected one such as https"
    ) as error:
        sink.url()
    assert "s3cret" not in str(error.value)


def test_a_description_names_secrets_and_does_not_tell_them():
    dataset = NotificationSinks(credentials={"HOOK_TOKEN": "s3cret"})
    assert "HOOK_TOKEN" in str(dataset)
    assert "s3cret" not in str(dataset)
    with pytest.raises(DatasetError, match="NotificationSinks is read only"):
        dataset.save("x")


def test_each_update_of_the_ledger_is_committed_before_the_next_is_asked_for(tmp_path):
    kind = "batch_scoring.datasets"
    alerts = Alerts(
        {
            "notification_sinks": {"type": f"{kind}.alert_sinks.NotificationSinks"},
            "notifications": {"type": f"{kind}.row_tables.RowTableDataset", "path": str(tmp_path / "ledger")},
        }
    )
    seen = []

    def send(open_sinks):
        (sink,) = open_sinks([{"type": "log"}])
        for n in range(2):
            seen.append((sink.name, alerts.load()["notifications"].num_rows))
            yield append(pa.table({"n": [n]}))

    assert not alerts.exists()
    alerts.save(send)
    assert seen == [("log", 0), ("log", 1)]
    assert alerts.exists()
    assert sorted(alerts.preview()["data"]) == [[0], [1]]
