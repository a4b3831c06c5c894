import threading
import time

import pytest

from tests.emulators.node_faults import Fault, Faults
from tests.emulators.nodes import Nodes
from tests.emulators.work import OUT, End, Work, run_process
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.slow  # processes


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def nodes(tmp_path, faults):
    pool = Nodes(tmp_path, 0.05, faults)
    yield pool
    pool.close()


class Jobs:
    """Works, and what became of them."""

    def __init__(self):
        self.outcomes, self.running = [], threading.Event()

    def work(self, key, code="print('done')", **more):
        command = ["python", "-c", code]
        start = more.pop("on_start", lambda node, folder: self.running.set())
        return Work(key, command, on_start=start, on_end=self.outcomes.append, **more)

    def ends(self):
        return [(one.key, one.end, one.exit_code) for one in self.outcomes]


@pytest.fixture
def jobs():
    return Jobs()


def test_jobs_wait_for_a_node_and_run_oldest_first(nodes, jobs):
    for key in "abc":
        nodes.add(jobs.work(key))
    time.sleep(0.1)
    assert jobs.outcomes == []
    nodes.target(1)
    assert nodes.counts() == {"starting": 1}
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert jobs.ends() == [(key, End.EXITED, 0) for key in "abc"]
    assert (jobs.outcomes[0].folder / OUT).read_text() == "done\n"
    assert {one.node for one in jobs.outcomes} == {"node-0001"}


def test_a_job_has_the_environment_it_asks_for(nodes, jobs, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "x")
    nodes.target(1)
    code = "import os; print(os.environ.get('A'), os.environ.get('SECRET_OF_THE_TEST'))"
    nodes.add(jobs.work("a", code, environment={"A": "1"}))
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert (jobs.outcomes[0].folder / OUT).read_text() == "1 None\n"


def test_idle_nodes_leave_and_busy_ones_when_they_are_done(nodes, jobs, tmp_path):
    may_end = tmp_path / "may_end"
    code = f"import os, time\nwhile not os.path.exists({str(may_end)!r}): time.sleep(0.01)"
    nodes.target(2)
    nodes.add(jobs.work("a", code))
    assert jobs.running.wait(PATIENCE_SECONDS)
    nodes.target(0)
    assert nodes.counts() == {"leaving": 1}
    may_end.touch()
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert nodes.counts() == {}
    assert jobs.ends() == [("a", End.EXITED, 0)]


def test_a_lost_node_takes_its_job_along_and_is_replaced(nodes, jobs, faults):
    faults.add(Fault.NODE_LOST, seconds=0.2)
    nodes.target(1)
    nodes.add(jobs.work("a", "import time; time.sleep(600)"))
    nodes.add(jobs.work("b"))
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert jobs.ends() == [("a", End.NODE_LOST, None), ("b", End.EXITED, 0)]
    assert [one.node for one in jobs.outcomes] == ["node-0001", "node-0002"]
    assert faults.happened == {Fault.NODE_LOST: 1}


def test_an_image_that_cannot_be_pulled_and_a_job_that_is_stuck(nodes, jobs, faults):
    faults.add(Fault.IMAGE, fits=lambda key: key == "a")
    faults.add(Fault.STUCK, fits=lambda key: key == "b")
    nodes.target(1)
    for key in "abc":
        nodes.add(jobs.work(key, limit_seconds=0.5 if key == "b" else None))
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert jobs.ends() == [("a", End.IMAGE, None), ("b", End.TOO_LONG, None), ("c", End.EXITED, 0)]


def test_cancelling_ends_a_running_job_and_one_that_waits(nodes, jobs):
    nodes.target(1)
    nodes.add(jobs.work("a", "import time; time.sleep(600)"))
    nodes.add(jobs.work("b"))
    assert jobs.running.wait(PATIENCE_SECONDS)
    assert nodes.cancel("b")
    assert nodes.cancel("a")
    assert nodes.wait_quiet(PATIENCE_SECONDS)
    assert not nodes.cancel("a")
    assert sorted(jobs.ends()) == [("a", End.CANCELLED, None), ("b", End.CANCELLED, None)]


def test_closing_leaves_no_process_behind(tmp_path, jobs):
    started = []

    def runner(work, folder):
        started.append(run_process(work, folder))
        return started[-1]

    nodes = Nodes(tmp_path, 0.0, slots=2, runner=runner)
    nodes.target(1)
    for key in "ab":
        nodes.add(jobs.work(key, "import time; time.sleep(600)"))
    while len(started) < 2:
        time.sleep(0.01)
    nodes.close()
    assert nodes.counts() == {}
    assert [process.poll() for process in started] == [-9, -9]
    assert jobs.outcomes == []
