"""Jobs that get no nodes are told of once, and waited for no longer than it was set."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest
from click.testing import CliRunner

from batch_scoring.cli.command import UserErrorCommand
from batch_scoring.core.errors import CapacityError
from batch_scoring.jobs.capacity import CapacityWatch
from batch_scoring.jobs.scheduler import SECONDS_BETWEEN_POLLS
from batch_scoring.jobs.specs import JobStatus, State


class Engine:
    """Says what it is told to, and counts how often it is asked."""

    def __init__(self):
        self.told, self.asked = None, 0

    def trouble(self, since):
        self.asked += 1
        return self.told


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def watched():
    engine, clock, said = Engine(), Clock(), []
    watch = CapacityWatch(engine, "score-1", timedelta(minutes=30), said.append, clock)

    def look(minute, **jobs):
        clock.now = minute * 60
        watch.look([JobStatus(name, state) for name, state in jobs.items()])

    return engine, said, look


WAITING = {"a": State.QUEUED, "b": State.QUEUED}


def test_a_reason_is_said_once_and_another_one_too(watched):
    engine, said, look = watched
    engine.told = "no quota"
    look(1, **WAITING)
    look(2, **WAITING)
    engine.told = "no machines"
    look(3, **WAITING)
    assert said == [
        "score-1: 2 jobs wait and none runs: no quota",
        "score-1: 2 jobs wait and none runs: no machines",
    ]


def test_what_the_service_says_is_told_within_two_minutes(watched):
    """Looked at as `kedro jobs submit --wait` does; the trouble comes just after a look."""
    engine, said, look = watched
    look(0, **WAITING)
    engine.told = "no quota"
    minute = 0.0
    while not said:
        minute += SECONDS_BETWEEN_POLLS / 60
        look(minute, **WAITING)
    assert minute <= 2


def test_it_is_given_up_after_half_an_hour_of_nothing(watched):
    engine, _, look = watched
    look(1, **WAITING)
    engine.told = "no quota"
    look(10, **WAITING)
    engine.told = None  # another try of the service's
    look(20, **WAITING)
    engine.told = "no quota"
    look(39, **WAITING)
    with pytest.raises(CapacityError, match="no job has begun for 30 m 00 s: no quota; the jobs stay"):
        look(40, **WAITING)


def test_a_job_that_ends_begins_the_wait_anew(watched):
    engine, _, look = watched
    engine.told = "no quota"
    look(1, **WAITING)
    look(30, a=State.SUCCEEDED, b=State.QUEUED)
    look(59, a=State.SUCCEEDED, b=State.QUEUED)
    with pytest.raises(CapacityError):
        look(60, a=State.SUCCEEDED, b=State.QUEUED)


@pytest.mark.parametrize("state", [State.RUNNING, State.PREPARING])
def test_while_a_job_runs_nothing_is_asked(watched, state):
    engine, said, look = watched
    engine.told = "no quota"
    for minute in range(100):
        look(minute, a=state, b=State.QUEUED)
    assert (engine.asked, said) == (0, [])


def test_an_engine_is_asked_twice_a_minute_at_most(watched):
    engine, _, look = watched
    for second in range(120):
        look(second / 60, **WAITING)
    assert engine.asked == 4


def test_no_machines_have_an_exit_code_of_their_own():
    @click.command(cls=UserErrorCommand)
    def command():
        raise CapacityError("no quota")

    done = CliRunner().invoke(command, [])
    assert (done.exit_code, done.output) == (69, "Error: no quota\n")
