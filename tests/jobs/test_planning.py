"""A plan is a pure function of what is there: every device of every sensor is in exactly one job."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.jobs.planning import Sharding, due_times, job_name, plan_jobs, run_name, run_time
from batch_scoring.jobs.specs import JobSpec
from batch_scoring.tables.fingerprints import row_fingerprints

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
shardings = st.one_of(
    st.builds(Sharding),
    st.builds(Sharding, shards_per_sensor=st.integers(1, 9)),
    st.builds(Sharding, sensors_per_job=st.integers(1, 9)),
    st.just(Sharding(per="device_sensor")),
)


def covered(jobs, devices):
    """How often each sensor and device is in a job."""
    pairs = Counter()
    for job in jobs:
        for sensor in job.sensors:
            for device in devices[sensor]:
                shard = job.shard
                hashed = int(row_fingerprints(pa.table({"d": [device]}), ["d"])[0])
                if job.device in (None, device) and (shard is None or hashed % shard.of == shard.part - 1):
                    pairs[sensor, device] += 1
    return pairs


@given(st.dictionaries(ids, st.sets(ids, max_size=5), max_size=8), shardings)
def test_every_device_of_every_sensor_is_in_exactly_one_job(devices, sharding):
    jobs = plan_jobs("score", AT, list(devices), sharding, dict.fromkeys(devices, "m"), devices)
    assert covered(jobs, devices) == Counter((s, d) for s, there in devices.items() for d in there)
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert jobs == plan_jobs(
        "score", AT, sorted(devices, reverse=True), sharding, dict.fromkeys(devices, "m"), devices
    )


@given(st.dictionaries(ids, st.sets(ids, max_size=3), max_size=4), shardings)
def test_a_job_comes_back_from_its_json(devices, sharding):
    for job in plan_jobs("score", AT, list(devices), sharding, dict.fromkeys(devices, "m-1"), devices):
        assert JobSpec.from_json(job.to_json()) == job


@pytest.mark.parametrize("name", ["a,b", "ä {x}", "[1]", "007", "it's", "a=b", "null"])
def test_ids_survive_the_command_line(name):
    import click

    from batch_scoring.core.run_params import split_params

    job = JobSpec("r", "n", "score", AT, (name, "b"), device=name, models={name: "x-1", "b": "y"})
    read = split_params(click.Context(click.Command("run")), None, job.params("abfs://c/data"))
    assert read["sensor"] == [name, "b"]
    assert read["device"] == name
    assert read["models"] == {name: "x-1", "b": "y"}
    assert read["data"] == "abfs://c/data"


def test_jobs_of_the_same_look_have_names_of_their_own():
    assert job_name(["a b"]) != job_name(["a-b"])
    assert job_name(["a"], "b") != job_name(["a", "b"])


@pytest.mark.parametrize(
    "settings",
    [
        {"per": "device"},
        {"shards_per_sensor": 0},
        {"sensors_per_job": -1},
        {"per": "device_sensor", "sensors_per_job": 2},
        {"shards_per_sensor": 2, "sensors_per_job": 2},
    ],
)
def test_a_sharding_that_makes_no_sense_is_refused(settings):
    with pytest.raises(InputError, match=r"jobs\.sharding"):
        read_parameters(Sharding, settings, "jobs.sharding")


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0)))
def test_a_run_tells_its_time_by_its_name(moment):
    moment = moment.replace(tzinfo=UTC)
    assert run_time(run_name("score", moment)) == moment


@given(st.integers(1, 50), st.integers(0, 30), st.integers(1, 180))
def test_missed_times_are_due_oldest_first_and_not_too_many(hours, at_most, minutes):
    every = timedelta(minutes=minutes)
    due = due_times(AT, every, AT - hours * every, at_most)
    assert due[-1] == AT
    assert len(due) == min(hours - 1, at_most) + 1
    assert set(np.diff(due)) <= {every}


def test_nothing_was_missed_before_the_first_run():
    assert due_times(AT, timedelta(hours=1), None, 24) == [AT]
