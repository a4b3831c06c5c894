"""Report a job to Application Insights: a request with its times, and an exception where it failed.

Only where ``APPLICATIONINSIGHTS_CONNECTION_STRING`` is set. A child process sends it within a timeout, so a
job neither fails nor waits for telemetry that cannot be sent. That process is this module: it reads the
job's record from standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import Any

from batch_scoring.jobs.planning import run_pipeline
from batch_scoring.jobs.records import JobRecord
from batch_scoring.jobs.specs import State

CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
# Starting Python with the exporter takes about two seconds.
SECONDS = 20.0
_NETWORK_SECONDS = 5
# By default the exporter sends statistics to its maker, fetches settings, and describes this machine.
_QUIET = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED": "true",
}


def report(record: JobRecord, seconds: float = SECONDS) -> bool:
    """Report a job where a connection string is set; return whether it was sent.

    Parameters
    ----------
    record : JobRecord
        Of a job that has ended.
    seconds : float
        Timeout of the sending process.
    """
    if not os.environ.get(CONNECTION_STRING):
        return False
    try:
        done = subprocess.run(
            [sys.executable, "-m", "batch_scoring.jobs.telemetry"],
            input=json.dumps(record.to_json()),
            env=os.environ | _QUIET,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it may name the key
            text=True,
            timeout=seconds,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0


def send(record: JobRecord, connection_string: str) -> bool:
    """Send a record from this process; return whether it was accepted."""
    from azure.core.pipeline.policies import RetryPolicy
    from azure.monitor.opentelemetry.exporter import AzureMonitorTraceExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_tracer_provider

    from batch_scoring.cloud.credentials import is_identity_sure, token_credential

    # The deployment's component takes reports of identities alone, for which the string is only an address.
    signed_in = {"credential": token_credential()} if is_identity_sure() else {}
    # A retry stored on disk would stay on a node that is gone in an hour.
    exporter = AzureMonitorTraceExporter(
        connection_string=connection_string,
        disable_offline_storage=True,
        retry_policy=RetryPolicy(retry_total=2, timeout=_NETWORK_SECONDS),
        read_timeout=_NETWORK_SECONDS,
        **signed_in,
    )
    # This resource only; the default one queries the machine.
    provider = TracerProvider(resource=Resource({"service.name": "batch_scoring"}), shutdown_on_exit=False)
    set_tracer_provider(provider)
    span = provider.get_tracer("batch_scoring").start_span(
        f"job {run_pipeline(record.run)}",
        kind=SpanKind.CONSUMER,
        attributes=properties(record) | {"microsoft.custom_measurements": json.dumps(measurements(record))},
        start_time=_nanoseconds(record.started),
    )
    if record.state is State.SUCCEEDED:
        span.set_status(Status(StatusCode.OK))
    else:
        span.set_status(Status(StatusCode.ERROR, record.reason))
        event = {"exception.type": "JobFailed", "exception.message": record.reason or "no reason was given"}
        span.add_event("exception", properties(record) | event, timestamp=_nanoseconds(record.ended))
    span.end(_nanoseconds(record.ended))
    return exporter.export([span]) is SpanExportResult.SUCCESS


def properties(record: JobRecord) -> dict[str, str]:
    """Return the text properties reported of a job."""
    return {
        "run": record.run,
        "job": record.name,
        "state": str(record.state),
        "attempt": str(record.attempt),
        "exit_code": "" if record.exit_code is None else str(record.exit_code),
        "host": record.host,
    }


def measurements(record: JobRecord) -> dict[str, float]:
    """Return the numbers reported of a job.

    Examples
    --------
    >>> measurements(JobRecord("r", "j", State.SUCCEEDED, 1, seconds={"read": 1.5}, counts={"devices": 2}))
    {'read_seconds': 1.5, 'devices': 2.0}
    """
    seconds = {f"{name}_seconds": float(value) for name, value in record.seconds.items()}
    if record.started and record.ended:
        seconds["total_seconds"] = (record.ended - record.started).total_seconds()
    return seconds | {name: float(value) for name, value in record.counts.items()}


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000) * 1_000


def main() -> int:
    """Send the record read from standard input; return 0 where it was accepted."""
    values: dict[str, Any] = json.load(sys.stdin)
    return 0 if send(JobRecord.from_json(values), os.environ[CONNECTION_STRING]) else 1


if __name__ == "__main__":
    # Skips the interpreter's shutdown, which would wait for the exporter's threads.
    code = main()
    sys.stdout.flush()
    os._exit(code)
