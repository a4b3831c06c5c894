"""Trace a run with OpenTelemetry: a span of the run, one of each step in it, and one of each node.

Only where ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) is set; without it no hook is registered
and nothing is imported. OpenTelemetry's own variables say where spans go and how the service is named.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from batch_scoring.jobs.step_clock import step_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE = "batch_scoring"
# A run does not wait longer for a receiver that does not answer.
SECONDS = 5.0
logger = logging.getLogger(__name__)


class RunTraces:
    """Makes the spans of a run. What goes wrong with a receiver is a warning: no run fails for its trace.

    Nodes run in threads with some runners: each has a span of its own, by its name.

    Parameters
    ----------
    provider : TracerProvider, optional
        Made of OpenTelemetry's variables when a run begins.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer: Tracer | None = None
        self._run: Span | None = None
        self._step: tuple[str, Span] | None = None
        self._nodes: dict[str, Span] = {}
        self._lock = threading.Lock()

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Begin the span of the run."""
        self._provider = self._provider or _provider()
        if self._provider is None:
            return
        self._tracer = self._provider.get_tracer(SERVICE)
        asked = ",".join(run_params.get("pipeline_names") or ()) or "__default__"
        self._run = self._tracer.start_span("kedro run", attributes={"kedro.pipelines": asked})

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Begin the span of a node, and that of its step."""
        if self._tracer is None or self._run is None:
            return
        from opentelemetry.trace import set_span_in_context

        name = step_of(node)
        with self._lock:
            if self._step is None or self._step[0] != name:
                self._end_step()
                self._step = name, self._tracer.start_span(name, set_span_in_context(self._run))
            self._nodes[node.name] = self._tracer.start_span(node.name, set_span_in_context(self._step[1]))

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """End the span of a node."""
        if span := self._nodes.pop(node.name, None):
            span.end()

    @hook_impl
    def on_node_error(self, error: Exception, node: Node) -> None:
        """End the span of a node that failed."""
        if span := self._nodes.pop(node.name, None):
            _fail(span, error)
            span.end()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """End the spans of a run that failed, and send them."""
        for span in (*self._nodes.values(), *([self._step[1]] if self._step else []), self._run):
            if span is not None:
                _fail(span, error)
        self._end()

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, catalog: CatalogProtocol[Any, Any]) -> None:
        """End the span of the run, and send all."""
        self._end()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step[1].end()
            self._step = None

    def _end(self) -> None:
        for span in self._nodes.values():
            span.end()
        self._nodes = {}
        self._end_step()
        if self._run is not None and self._provider is not None:
            self._run.end()
            self._run = None
            if not self._provider.force_flush(round(SECONDS * 1000)):
                logger.warning("the trace of this run was not sent in %.0f s", SECONDS)


def hooks() -> tuple[Any, ...]:
    """Return the hook where the variable is set; jobs of a cluster trace themselves, too."""
    return (RunTraces(),) if any(os.environ.get(name) for name in ENDPOINTS) else ()


def _provider() -> TracerProvider | None:
    """Return what sends spans; None without the library, for the variable may be set on all of a machine."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning("this run is not traced: OpenTelemetry is missing; pip install 'batch_scoring[otel]'")
        return None
    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
    provider = TracerProvider(resource=Resource.create(own))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=SECONDS)))
    return provider


def _fail(span: Span, error: Exception) -> None:
    """Mark a span as failed, with one sentence and no secrets; a traceback could hold values."""
    from opentelemetry.trace import Status, StatusCode

    from batch_scoring.core.redaction import without_secrets

    sentence = without_secrets(f"{type(error).__name__}: {error}")
    span.set_status(Status(StatusCode.ERROR, sentence[:1000]))
