"""A workspace with runs on an engine in memory, for tests of what watches them."""

from datetime import UTC, datetime

from batch_scoring.jobs.planning import Sharding, plan_jobs
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.run_view import RunMonitor
from batch_scoring.jobs.specs import JobSpec
from tests.jobs.engines import MemoryEngine

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


class Runs:
    """Plans and submits runs; ``engine`` has their jobs."""

    def __init__(self, data, sensors=("a", "b", "c")):
        self.data, self.sensors, self.engine = str(data), sensors, MemoryEngine()
        self.records = Records(self.data)

    def submit(self, pipeline="score", at=AT, is_submitted=True) -> list[JobSpec]:
        specs = plan_jobs(pipeline, at, self.sensors, Sharding(), {})
        self.records.keep_plan(specs[0].run, specs)
        if is_submitted:
            self.engine.submit(specs[0].run, specs)
            self.records.mark_submitted(specs[0].run, self.engine.name)
        return specs

    def monitor(self, run) -> RunMonitor:
        return RunMonitor(self.records, self.engine, run)
