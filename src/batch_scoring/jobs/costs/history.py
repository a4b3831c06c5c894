"""Read how long the jobs of past runs took from their records."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.specs import State

# A day of an hourly schedule.
_RUNS = 24


@dataclass(frozen=True)
class History:
    """Durations of past jobs.

    Attributes
    ----------
    seconds : dict of str to float
        For each job of the newest run, the median over the runs in which it succeeded; for a job that never
        has, the median of the other jobs.
    runs : int
        Number of runs read.
    measured : int
        Number of successful jobs in these runs.
    """

    seconds: dict[str, float]
    runs: int
    measured: int


def read_history(records: Records, pipeline: str) -> History:
    """Read the records of the newest runs of a pipeline.

    Raises
    ------
    InputError
        When no job of it has succeeded yet.
    """
    runs = records.runs(pipeline)[-_RUNS:]
    took: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for name, record in records.all_records(run).items():
            if record.state is State.SUCCEEDED and record.started and record.ended:
                took[name].append((record.ended - record.started).total_seconds())
    if not took:
        raise InputError(
            f"{records.folder.path('')}: no job of {pipeline!r} has succeeded yet, so durations are unknown; "
            "run `kedro jobs submit` first, or give --jobs and --minutes"
        )
    medians = {name: median(seconds) for name, seconds in took.items()}
    typical = median(medians.values())
    newest = [spec.name for spec in records.plan(runs[-1]) or []]
    seconds = {name: medians.get(name, typical) for name in newest}
    return History(seconds, len(runs), sum(map(len, took.values())))
