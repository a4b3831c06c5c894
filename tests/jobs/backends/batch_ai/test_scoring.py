"""An hour as jobs of Batch AI gives what one run gives: the true command line, jobs that really score."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.specs import State
from batch_scoring.jobs.workspace import Workspace as Planned
from tests.emulators.node_faults import Fault
from tests.end_to_end.workspaces import PREDICTIONS

pytestmark = pytest.mark.slow


def test_an_hour_as_jobs_gives_the_predictions_of_one_run(make, tmp_path, trained, scored):
    fleet = trained.copy_to(tmp_path / "fleet")
    stand_in = make()
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    environment["BATCH_SCORING_CACHE"] = str(tmp_path / "cache")
    backend = stand_in.backend(data=str(fleet.folder), environment=environment)
    stand_in.service.faults.add(Fault.NODE_LOST, seconds=0.3)  # sooner than a job can end
    place, records = Planned(str(fleet.folder)), Records(str(fleet.folder))
    at = datetime(2026, 1, 7, tzinfo=UTC)
    (done,) = scheduler.submit(backend, place, records, "score", at, stand_in.settings())
    ended = scheduler.wait(backend, done.run, pause=0.2)

    assert [one.state for one in ended] == [State.SUCCEEDED] * len(done.specs), ended
    assert len(ended) == len(place.sensors()) == 2
    assert stand_in.service.faults.happened[Fault.NODE_LOST] == 1
    assert fleet.rows(PREDICTIONS) == scored.rows(PREDICTIONS)
    assert all(records.log(done.run, one.name) for one in ended)
