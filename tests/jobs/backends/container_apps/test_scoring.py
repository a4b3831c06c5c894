"""An hour as executions of Container Apps gives what one run gives: jobs that really score."""

from datetime import UTC, datetime

import pytest

from batch_scoring.jobs import scheduler
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.specs import State
from batch_scoring.jobs.workspace import Workspace
from tests.emulators.arm import Arm, ArmServer
from tests.emulators.container_apps import ContainerApps
from tests.emulators.node_faults import Fault
from tests.end_to_end.workspaces import PREDICTIONS
from tests.jobs.backends.container_apps.conftest import Environment

pytestmark = pytest.mark.slow
RUN = "score-20260107t000000z"


def test_an_hour_as_executions_gives_the_predictions_of_one_run(
    tmp_path, trained, scored, certificate_folder
):
    fleet = trained.copy_to(tmp_path / "fleet")
    apps, arm = ContainerApps(tmp_path / "replicas"), Arm(making_seconds=0.0)
    apps.join(arm)
    apps.faults.add(Fault.NODE_LOST, seconds=0.3)  # sooner than a job can end
    with ArmServer(arm, certificate_folder) as server:
        environment = Environment(server, apps, fleet.folder)
        environment.make_job(timeout=300)
        engine = environment.engine()
        workspace, records = Workspace(str(fleet.folder)), Records(str(fleet.folder))
        at, settings = datetime(2026, 1, 7, tzinfo=UTC), environment.settings()
        first, again = (scheduler.submit(engine, workspace, records, "score", at, settings) for _ in range(2))
        ended = environment.wait(engine, RUN)
        apps.close()
    assert [(one.run, one.new) for one in (*first, *again)] == [(RUN, 2), (RUN, 0)]
    assert {one.state for one in ended.values()} == {State.SUCCEEDED}
    assert apps.faults.happened[Fault.NODE_LOST] == 1
    assert sorted(one.tries for one in environment.started()) == [1, 2]
    assert fleet.rows(PREDICTIONS) == scored.rows(PREDICTIONS)
    assert all(records.log(RUN, name) for name in ended)
