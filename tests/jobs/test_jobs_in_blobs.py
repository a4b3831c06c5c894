"""What jobs keep in a container or bucket is what they keep in a folder."""

import subprocess
import sys

import pytest

from batch_scoring.jobs.lease import Lease
from batch_scoring.jobs.run_view import store_statuses
from batch_scoring.jobs.specs import State
from batch_scoring.registry.staged import PreviousVersion, StagedTrainings
from batch_scoring.storage import open_folder
from tests.fleet_models import make_training
from tests.jobs.runs import Runs
from tests.jobs.test_lease import NAME, WaitedError, taken, waited


@pytest.fixture
def root(remote):
    return f"{remote}/data"


def test_a_staged_training_comes_back_and_may_be_staged_again(root):
    run = f"{root}/09_jobs/train-20260201t000000z"
    first, second = make_training("a/b"), make_training("a/b", seed=1)
    StagedTrainings(run).keep_previous(
        lambda: {"a/b": PreviousVersion("1", "f", True, {"f": ("1", "x")}, "p")}
    )
    StagedTrainings(run).keep_previous(lambda: pytest.fail("they are written down already"))
    for training in (first, first, second):
        StagedTrainings(run).save(training)
    staged = StagedTrainings(run)
    staged.mark_registered(first, "1")
    assert staged.sensors() == ["a/b"]
    assert staged.registered("a/b") is None, "that was the training before"
    assert staged.load("a/b").models.contents_sha256 == second.models.contents_sha256
    assert staged.previous("x")["a/b"].decided == {"f": ("1", "x")}


def test_a_turn_in_a_storage_is_one_processs_at_a_time(root):
    folder = open_folder(root)
    code = (
        "import sys; from batch_scoring.jobs.lease import Lease;"
        "from batch_scoring.storage import open_folder;"
        f"Lease(open_folder(sys.argv[1]), {NAME!r}).__enter__(); print('in', flush=True); input()"
    )
    command = [sys.executable, "-c", code, root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(WaitedError), Lease(folder, NAME, waited):
            pass
        other.kill()
    with Lease(folder, NAME, waited):
        pass
    taken(folder)
    with pytest.raises(WaitedError), Lease(folder, NAME, waited):
        pass


def test_a_run_is_known_when_its_engine_has_forgotten_it(root):
    runs = Runs(root)
    specs = runs.submit()
    for spec in specs:
        runs.engine.end(spec.run, spec.name, State.SUCCEEDED)
    before = runs.monitor(specs[0].run).view()
    store_statuses(runs.records, before)
    store_statuses(runs.records, before)
    runs.engine.delete(specs[0].run)
    assert Runs(root).monitor(specs[0].run).view().counts == {"succeeded": 3}
