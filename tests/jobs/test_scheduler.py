"""An hour is submitted once, whoever does it and how often; missed hours are caught up in order."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.jobs.planning import run_name
from batch_scoring.jobs.records import Records
from batch_scoring.jobs.scheduler import Follower, due_runs, plan, submit, wait
from batch_scoring.jobs.settings import JobsParameters
from batch_scoring.jobs.specs import State
from batch_scoring.jobs.workspace import Workspace
from batch_scoring.registry.published import publish
from tests.at_once import at_once
from tests.factories import make_windows
from tests.fleet_models import make_model
from tests.jobs.engines import MemoryEngine
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = JobsParameters()


class Fleet:
    """A workspace with windows and published models, and an engine."""

    def __init__(self, data, sensors=("a", "b", "c/d")):
        self.data, self.engine = str(data), MemoryEngine()
        for sensor in sensors:
            self.publish(sensor, "1")

    def publish(self, sensor, version):
        windows = TableOnDisk(Path(self.data, "03_primary/windows"), "window_start")
        windows.add(make_windows([[0.0]], sensor=sensor))
        publish(f"{self.data}/06_models/published", make_model(sensor), version, "run", f"f{version}")

    @property
    def records(self):
        return Records(self.data)

    def submit(self, at=AT, settings=SETTINGS, engine=None):
        place = Workspace(self.data)
        return submit(engine or self.engine, place, self.records, "score", at, settings)


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


def test_there_is_one_job_a_sensor_and_it_has_the_champion_pinned(fleet):
    (done,) = fleet.submit()
    assert [spec.sensors for spec in done.specs] == [("a",), ("b",), ("c/d",)]
    assert all(spec.models.keys() == set(spec.sensors) for spec in done.specs)
    assert len(fleet.engine.jobs[done.run]) == done.new == 3


def test_the_same_hour_again_changes_nothing_though_there_is_a_new_champion(fleet):
    (first,) = fleet.submit()
    fleet.publish("a", "2")
    fleet.publish("new", "1")
    (second,) = fleet.submit()
    assert second.specs == first.specs
    assert second.new == 0
    (later,) = fleet.submit(AT + HOUR)
    assert len(later.specs) == 4
    assert later.specs[0].models != first.specs[0].models


def test_two_schedulers_at_the_same_instant_make_one_set_of_jobs(fleet, trial):
    done = [one for submitted in at_once(fleet.submit) for one in submitted]
    assert done[0].specs == done[1].specs
    assert sum(one.new for one in done) == 3
    assert len(fleet.engine.jobs[run_name("score", AT)]) == 3


def test_missed_hours_are_submitted_first_oldest_first_with_a_limit(fleet):
    fleet.submit(AT)
    runs = [one.run for one in fleet.submit(AT + 5 * HOUR, JobsParameters(catch_up=2))]
    assert runs == [run_name("score", AT + n * HOUR) for n in (3, 4, 5)]
    assert [one.run for one in fleet.submit(AT + 6 * HOUR)] == [run_name("score", AT + 6 * HOUR)]


def test_an_hour_is_not_missed_because_a_later_one_is_there(fleet):
    fleet.submit(AT + HOUR)
    assert [one.run for one in fleet.submit(AT)] == [run_name("score", AT)]


def test_what_a_killed_scheduler_planned_is_submitted_by_the_next_one(fleet):
    class KilledError(Exception):
        pass

    class Dying(MemoryEngine):
        def submit(self, run, specs):
            super().submit(run, specs[:1])
            raise KilledError

    dying = Dying()
    with pytest.raises(KilledError):
        fleet.submit(AT, engine=dying)
    fleet.engine.jobs = dying.jobs
    runs = fleet.submit(AT + HOUR)
    assert [(one.run, one.new) for one in runs] == [
        (run_name("score", AT), 2),
        (run_name("score", AT + HOUR), 3),
    ]
    assert due_runs(fleet.records, "score", AT + HOUR, SETTINGS) == [AT + HOUR]


def test_a_sensor_without_windows_has_no_job(fleet):
    publish(f"{fleet.data}/06_models/published", make_model("silent"), "1", "run", "f")
    (done,) = fleet.submit()
    assert [spec.sensors for spec in done.specs] == [("a",), ("b",), ("c/d",)]


def test_the_devices_of_a_sensor_have_windows_or_a_model(fleet):
    windows = TableOnDisk(Path(fleet.data, "03_primary/windows"), "window_start")
    windows.add(pa.concat_tables([make_windows([[0.0]], ["z"], "a"), make_windows([[0.0]], ["y"], "b")]))
    place = Workspace(fleet.data)
    assert place.devices("a", None) == ["d1", "z"]
    assert place.devices("a", place.pinned_models(["a"])["a"]) == ["a", "b", "d1", "z"]


def test_without_windows_and_models_the_steps_before_are_named(tmp_path):
    with pytest.raises(InputError, match="there are no windows yet; run"):
        Fleet(tmp_path, []).submit()


def test_a_plan_that_cannot_be_read_is_named(fleet):
    fleet.submit()
    folder = fleet.records.folder.below(run_name("score", AT))
    folder.read("plan.json")
    folder.replace("plan.json", b"{", folder.read("plan.json")[1])
    with pytest.raises(InputError, match=r"plan\.json"):
        plan(Workspace(fleet.data), fleet.records, "score", AT, SETTINGS)


def test_following_asks_for_what_has_changed_only(fleet):
    (done,) = fleet.submit()
    names = sorted(fleet.engine.jobs[done.run])
    follower = Follower(fleet.engine, done.run)
    assert [one.name for one in follower.poll()] == names
    fleet.engine.end(done.run, names[0])
    assert [one.state for one in follower.poll()] == [State.SUCCEEDED, State.QUEUED, State.QUEUED]
    follower.poll()
    assert fleet.engine.told[2] == 1, "only the newest change is asked for again"


def test_waiting_ends_when_all_have_ended_and_tells_who_failed(fleet):
    (done,) = fleet.submit()
    names = sorted(fleet.engine.jobs[done.run])

    asked = fleet.engine.statuses

    def statuses_and_end_one(run, since=None):
        found, waiting = asked(run, since), [name for name in names if not state_of(name).is_final]
        if waiting:
            state = State.FAILED if waiting[0] == names[1] else State.SUCCEEDED
            fleet.engine.end(run, waiting[0], state, "why")
        return found

    def state_of(name):
        return fleet.engine.jobs[done.run][name].state

    fleet.engine.statuses = statuses_and_end_one
    failed = [one for one in wait(fleet.engine, done.run, pause=0) if one.state is not State.SUCCEEDED]
    assert [(one.name, one.reason) for one in failed] == [(names[1], "why")]
