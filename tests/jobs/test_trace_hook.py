"""A run is a trace: its steps and nodes in order, failures without secrets, sent to a real receiver."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from batch_scoring.jobs import trace_hook
from batch_scoring.jobs.trace_hook import ENDPOINTS, RunTraces, hooks


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in (*ENDPOINTS, "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def node_of(name, step, error=None):
    def work():
        if error:
            raise error
        return 1

    work.__module__ = f"batch_scoring.pipelines.{step}.nodes"
    return Node(work, None, f"of_{name}", name=name)


def run(hook, *nodes, runner=SequentialRunner):
    """Run nodes as a session of Kedro does."""
    pipeline, catalog, manager = Pipeline(list(nodes)), DataCatalog({}), _create_hook_manager()
    _register_hooks(manager, (hook,))
    shared = {"run_params": {"pipeline_names": ["score"]}, "pipeline": pipeline, "catalog": catalog}
    manager.hook.before_pipeline_run(**shared)
    try:
        found = runner().run(pipeline, catalog, manager)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, **shared)
        return
    manager.hook.after_pipeline_run(run_result=found, **shared)


@pytest.fixture
def traced():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return RunTraces(provider), exporter


def parents(spans):
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: span.parent and names[span.parent.span_id] for span in spans}


def test_nodes_are_in_their_steps_and_steps_in_the_run(traced):
    hook, exporter = traced
    run(hook, node_of("a", "ingest"), node_of("b", "ingest"), node_of("c", "score"))
    spans = exporter.get_finished_spans()
    assert parents(spans) == {
        "kedro run": None,
        **{"ingest": "kedro run", "score": "kedro run"},
        **{"a": "ingest", "b": "ingest", "c": "score"},
    }
    assert all(span.status.is_ok or span.status.is_unset for span in spans)
    whole = next(span for span in spans if span.name == "kedro run")
    assert whole.attributes == {"kedro.pipelines": "score"}
    assert all(whole.start_time <= span.start_time <= span.end_time <= whole.end_time for span in spans)


def test_a_failure_is_on_node_step_and_run_in_one_sentence_without_secrets(traced):
    hook, exporter = traced
    run(hook, node_of("a", "ingest"), node_of("b", "score", OSError("https://x?sig=s3cret is away")))
    found = {span.name: span.status.description for span in exporter.get_finished_spans()}
    sentence = "OSError: https://x?sig=… is away"
    assert found == {"a": None, "ingest": None, "b": sentence, "score": sentence, "kedro run": sentence}
    assert not any(span.events for span in exporter.get_finished_spans())


def test_every_node_has_its_span_where_nodes_run_in_threads(traced):
    hook, exporter = traced
    run(hook, *(node_of(f"n{i}", "score") for i in range(20)), runner=ThreadRunner)
    names = [span.name for span in exporter.get_finished_spans()]
    assert sorted(names) == sorted(["kedro run", "score", *(f"n{i}" for i in range(20))])


def test_without_the_variable_there_is_no_hook(monkeypatch):
    assert hooks() == ()
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:4318")
    assert len(hooks()) == 1


class Receiver(BaseHTTPRequestHandler):
    """Reads traces as an OpenTelemetry collector does, over HTTP."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, self.headers["content-type"], body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.requests, server.status = [], 200
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.slow
def test_a_collector_receives_the_spans_of_a_run(receiver, monkeypatch):
    monkeypatch.setenv(ENDPOINTS[0], f"http://127.0.0.1:{receiver.server_port}")
    (hook,) = hooks()
    run(hook, node_of("a", "ingest"), node_of("b", "score"))
    found, services = [], set()
    for path, kind, body in receiver.requests:
        assert (path, kind) == ("/v1/traces", "application/x-protobuf")
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {one.key: one.value.string_value for one in part.resource.attributes}
            services.add(attributes["service.name"])
            found += [span.name for scope in part.scope_spans for span in scope.spans]
    assert sorted(found) == ["a", "b", "ingest", "kedro run", "score"]
    assert services == {"batch_scoring"}


@pytest.mark.slow
def test_a_run_goes_on_without_a_collector(monkeypatch, caplog):
    monkeypatch.setattr(trace_hook, "SECONDS", 0.2)
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")  # nobody listens there
    (hook,) = hooks()
    run(hook, node_of("a", "ingest"))
    assert hook._run is None


def test_a_run_goes_on_without_the_library(monkeypatch, caplog):
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    (hook,) = hooks()
    run(hook, node_of("a", "ingest"), node_of("b", "score", OSError("away")))
    assert "batch_scoring[otel]" in caplog.text
