"""Run a job: ``kedro run`` in a child process, its output and times recorded in the workspace.

A child that is killed for its memory still leaves a log and a reason.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batch_scoring.cloud.credentials import await_identity
from batch_scoring.core.errors import CONFLICT, FAILED, InputError
from batch_scoring.jobs import telemetry
from batch_scoring.jobs.records import PLAN, JobRecord, Records
from batch_scoring.jobs.specs import JobSpec, State
from batch_scoring.jobs.timing_hook import TIMINGS_FILE

# Retries where another shard of the sensor, or another hour, wrote the same file first; beyond that something
# else is wrong.
MAX_CONFLICTS = 30
_LONGEST_PAUSE = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one job; return its exit code, see ``docs/reference/command-line.md``."""
    options = _options(arguments)
    try:
        await_identity()
        records = Records(options.data)
        spec = planned(records, options.run, options.job)
        return execute(records, spec.run, spec.name, spec.kedro_arguments(options.data, options.env))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return FAILED


def planned(records: Records, run: str, name: str) -> JobSpec:
    """Read a job in the plan of its run.

    Raises
    ------
    InputError
        When there is no plan, or no such job in it.
    """
    for spec in records.plan(run) or []:
        if spec.name == name:
            return spec
    raise InputError(
        f"{records.path(run, PLAN)}: there is no job {name!r} in this plan; submit the run with "
        "`kedro jobs submit`, and name a job of `kedro jobs watch`"
    )


def execute(records: Records, run: str, name: str, arguments: Sequence[str]) -> int:
    """Run ``kedro run`` with these arguments as a job.

    A job that has succeeded already is not run again: engines start jobs a second time when they lose a
    node, or are not sure. A run that lost a write conflict is repeated, as nothing of it is lost.

    Parameters
    ----------
    arguments : sequence of str
        Of ``kedro run``.
    """
    earlier = records.record(run, name)
    if earlier is not None and earlier.state is State.SUCCEEDED:
        print(f"job {name} of {run} has succeeded already, at {earlier.ended}")
        return 0
    record = JobRecord(
        *(run, name, State.RUNNING, earlier.attempt + 1 if earlier else 1),
        started=datetime.now(UTC),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    records.write_record(record)
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as folder:
        timings = Path(folder) / "timings.json"
        code, output = run_pipelines(arguments, timings)
        known = json.loads(timings.read_text()) if timings.is_file() else {}
    other = records.record(run, name)
    if code != 0 and other is not None and other.state is State.SUCCEEDED:
        print(f"job {name} of {run} has succeeded meanwhile, on {other.host}")
        return 0
    records.write_log(run, name, record.attempt, output)
    ended = _ended(record, code, output, known)
    records.write_record(ended)
    telemetry.report(ended)
    return code


def run_pipelines(arguments: Sequence[str], timings: Path) -> tuple[int, bytes]:
    """Run ``kedro run`` in a child process, and repeat it after write conflicts.

    Parameters
    ----------
    arguments : sequence of str
        Of ``kedro run``.
    timings : Path
        The file for the run's timings.

    Returns
    -------
    code : int
        Exit code; 128 plus the signal's number where one ended it.
    output : bytes
        Of the last run, which is also passed on as it comes.
    """
    for attempt in range(MAX_CONFLICTS + 1):
        code, output = run_child(["-m", "batch_scoring", *arguments], {TIMINGS_FILE: str(timings)})
        if code != CONFLICT or attempt == MAX_CONFLICTS:
            break
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.1 * 2**attempt)))
    return code, output


def run_here(pipelines: str, params: Sequence[str], env: str | None, *more: str) -> int:
    """Run pipelines in a child process, beside the jobs; return the exit code.

    Parameters
    ----------
    pipelines : str
        Separated by commas.
    params : sequence of str
        ``KEY=VALUE`` each; empty ones are left out.
    env : str or None
        Kedro's configuration environment.
    *more : str
        Other arguments of ``kedro run``.
    """
    chosen = [*more, f"--env={env}"] if env else more
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as folder:
        arguments = [f"--pipelines={pipelines}", f"--params={','.join(filter(None, params))}", *chosen]
        return run_pipelines(arguments, Path(folder) / "timings.json")[0]


def run_child(arguments: Sequence[str], variables: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Run a command in a child process, which ends with this one.

    Parameters
    ----------
    arguments : sequence of str
        Of ``python``.
    variables : mapping of str to str, optional
        More of its environment.

    Returns
    -------
    code : int
        Exit code; 128 plus the signal's number where one ended it.
    output : bytes
        Which is also passed on as it comes.
    """
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    lines = []
    try:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        code = child.wait()
    finally:
        child.kill()
        signal.signal(signal.SIGTERM, before)
    return (code if code >= 0 else 128 - code), b"".join(lines)


def _ended(record: JobRecord, code: int, output: bytes, known: dict[str, Any]) -> JobRecord:
    reason = "" if code == 0 else why(code, output.decode("utf-8", "replace"))
    return replace(
        record,
        state=State.SUCCEEDED if code == 0 else State.FAILED,
        exit_code=code,
        reason=reason,
        ended=datetime.now(UTC),
        seconds=known.get("seconds", {}),
        counts=known.get("counts", {}),
    )


def why(code: int, output: str) -> str:
    r"""Explain in one sentence why a run failed.

    Examples
    --------
    >>> why(1, "…\nError: sensor 'x' has no published model\n"), why(137, "")
    ("sensor 'x' has no published model", 'killed by SIGKILL (probably out of memory)')
    """
    errors = [line.removeprefix("Error: ") for line in output.splitlines() if line.startswith("Error: ")]
    if errors:
        return errors[-1]
    if code > 128:
        try:
            name = signal.Signals(code - 128).name
        except ValueError:
            name = f"signal {code - 128}"
        return f"killed by {name}" + (" (probably out of memory)" if name == "SIGKILL" else "")
    lines = output.strip().splitlines()
    return lines[-1].strip() if lines else f"ended with exit code {code} and no output"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m batch_scoring.jobs.run_job", description=__doc__)
    parser.add_argument(
        "--data", required=True, help="the workspace with the plan, which keeps the log and the record"
    )
    parser.add_argument("--run", required=True, help="the scheduled run")
    parser.add_argument("--job", required=True, help="the job's name")
    parser.add_argument("--env", help="Kedro's configuration environment")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
