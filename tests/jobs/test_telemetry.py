"""Application Insights is told of every job, by the real exporter over a real socket, and stops none."""

import gzip
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from batch_scoring.jobs import telemetry
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import State
from tests.emulators.certificates import make_certificate
from tests.emulators.identity import IdentityServer, read
from tests.emulators.servers import Handler, Server, TlsServer


@pytest.fixture(scope="module", autouse=True)
def exporter():
    pytest.importorskip("azure.monitor.opentelemetry.exporter")


KEY = "00000000-0000-0000-0000-00000000abcd"
BEGAN = datetime(2026, 11, 22, 10, 0, 5, tzinfo=UTC)
DONE = JobRecord(
    *("score-20261122t100000z", "vibration-3e1fdb7e", State.SUCCEEDED, 2),
    exit_code=0,
    started=BEGAN,
    ended=BEGAN + timedelta(seconds=90),
    host="node-7",
    seconds={"start": 1.5, "read": 20.0, "score": 60.25},
    counts={"windows": 1000, "failed": 3},
)
FAILED = JobRecord(
    *("score-20261122t100000z", "power-1a2b3c4d", State.FAILED, 1),
    exit_code=1,
    reason="sensor 'power' has no published model",
    started=BEGAN,
    ended=BEGAN + timedelta(seconds=4),
)


class Ingestion:
    """An ingestion endpoint: takes what comes, or fails or dawdles."""

    def __init__(self, certificate=None):
        self.items, self.status, self.delay, self.tokens = [], 200, 0.0, []
        ours = self

        class Endpoint(Handler):
            def serve(self):
                body = self.received()
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                time.sleep(ours.delay)
                ours.tokens.append(self.headers.get("Authorization", "").partition(" ")[2])
                items = json.loads(body)
                if ours.status == 200:
                    ours.items += [(self.path, item) for item in items]
                answer = {"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}
                self.reply(ours.status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

        self.server = Server(Endpoint) if certificate is None else TlsServer(Endpoint, certificate)


@pytest.fixture
def endpoint(monkeypatch):
    ingestion = Ingestion()
    text = f"InstrumentationKey={KEY};IngestionEndpoint={ingestion.server.url}"
    monkeypatch.setenv(telemetry.CONNECTION_STRING, text)
    yield ingestion
    ingestion.server.close()


@pytest.mark.slow
def test_a_job_that_succeeded_is_a_request_with_its_times(endpoint):
    assert telemetry.report(DONE)
    ((path, item),) = endpoint.items
    assert path.startswith("/v2") and path.endswith("/track")
    assert (item["iKey"], item["time"]) == (KEY, "2026-11-22T10:00:05Z")
    data = item["data"]["baseData"]
    assert (item["data"]["baseType"], data["name"], data["success"]) == ("RequestData", "job score", True)
    assert data["duration"] == "0.00:01:30.000"
    assert data["measurements"] == {
        **{"start_seconds": 1.5, "read_seconds": 20.0, "score_seconds": 60.25, "total_seconds": 90.0},
        **{"windows": 1000.0, "failed": 3.0},
    }
    told = {"run": DONE.run, "job": DONE.name, "attempt": "2", "host": "node-7", "exit_code": "0"}
    assert told.items() <= data["properties"].items()


@pytest.mark.slow
def test_a_job_that_failed_is_an_exception_too(endpoint):
    assert telemetry.report(FAILED)
    kinds = {item["data"]["baseType"]: item["data"]["baseData"] for _, item in endpoint.items}
    assert kinds["RequestData"]["success"] is False
    (error,) = kinds["ExceptionData"]["exceptions"]
    assert (error["typeName"], error["message"]) == ("JobFailed", FAILED.reason)
    assert kinds["ExceptionData"]["properties"]["job"] == FAILED.name


@pytest.mark.slow
def test_a_machine_with_an_identity_reports_as_it(monkeypatch, tmp_path):
    ingestion = Ingestion(make_certificate(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ingestion.server.certificate))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    text = f"InstrumentationKey={KEY};IngestionEndpoint={ingestion.server.url}"
    monkeypatch.setenv(telemetry.CONNECTION_STRING, text)
    with IdentityServer() as machine:
        for name, value in machine.environment.items():
            monkeypatch.setenv(name, value)
        assert telemetry.report(DONE)
    ingestion.server.close()
    (token,) = ingestion.tokens
    assert read(token, ("https://monitor.azure.com",))["oid"]


def test_without_a_connection_string_nothing_is_started(monkeypatch):
    monkeypatch.delenv(telemetry.CONNECTION_STRING, raising=False)
    monkeypatch.setattr(telemetry.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert not telemetry.report(DONE)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["refused", "error", "nobody", "nonsense"])
def test_what_cannot_be_sent_is_given_up_in_seconds(endpoint, monkeypatch, trouble):
    endpoint.status = {"refused": 400, "error": 503}.get(trouble, 200)
    if trouble == "nobody":
        monkeypatch.setenv(
            telemetry.CONNECTION_STRING, f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:9"
        )
    if trouble == "nonsense":
        monkeypatch.setenv(telemetry.CONNECTION_STRING, "nonsense")
    began = time.monotonic()
    assert not telemetry.report(DONE, seconds=600.0)
    assert time.monotonic() - began < 300  # by itself, before it was ended


@pytest.mark.slow
def test_an_endpoint_that_does_not_answer_is_left(endpoint):
    endpoint.delay = 30.0
    began = time.monotonic()
    assert not telemetry.report(DONE, seconds=3.0)
    assert time.monotonic() - began < 30.0


def test_a_job_imports_nothing_of_it():
    code = (
        "import sys; import batch_scoring.jobs.run_job; "
        "print([name for name in sys.modules if name.startswith(('azure', 'opentelemetry'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
