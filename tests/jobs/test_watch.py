"""Watching ends when all jobs have ended, asks for changes only, and tells each of them once."""

import json

import pytest

from batch_scoring.jobs.specs import NodeCounts, State
from batch_scoring.jobs.watch import PATIENCE_SECONDS, Screen, follow, show_json, show_lines
from tests.jobs.runs import Runs


class Clock:
    """Time that passes when it is waited for; each wait is a chance for something to happen."""

    def __init__(self, *events):
        self.now, self.events = 0.0, list(events)

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        if self.events:
            self.events.pop(0)()


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path)


def watched(runs, show, *events, is_submitted=True):
    specs = runs.submit(is_submitted=is_submitted)
    run, names = specs[0].run, [spec.name for spec in specs]
    clock = Clock(*(lambda event=event: event(run, names) for event in events))
    monitor = runs.monitor(run)
    return names, follow(monitor, show, 2.0, clock.pause, clock), clock


def end(place, state=State.SUCCEEDED, reason=""):
    return lambda runs: lambda run, names: runs.engine.end(run, names[place], state, reason)


def test_each_change_is_a_line_and_the_end_is_told(runs, capsys):
    steps = [end(0), end(1, State.FAILED, "no model"), end(2)]
    names, view, _ = watched(runs, show_lines, *(step(runs) for step in steps))
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "score-20261122t100000z on memory, 3 jobs: 3 queued",
        "1 node: 1 idle",
        f"{names[0]} succeeded",
        f"{names[1]} failed: no model",
        f"{names[2]} succeeded",
        "score-20261122t100000z on memory, 3 jobs: 2 succeeded, 1 failed",
    ]
    assert view.is_over
    assert [one.name for one in view.failed] == [names[1]]


def test_machines_get_an_object_for_each_change(runs, capsys):
    steps = [end(0), end(1), end(2)]
    names, _, _ = watched(runs, show_json, *(step(runs) for step in steps))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    jobs = [(one["job"]["name"], one["job"]["state"]) for one in told if "job" in one]
    assert jobs == [*((name, "queued") for name in names), *((name, "succeeded") for name in names)]
    assert told[-1]["run"]["ended"] is True
    assert [one["run"]["ended"] for one in told if "run" in one].count(True) == 1


@pytest.mark.slow
def test_only_what_has_changed_is_asked_for(tmp_path):
    runs = Runs(tmp_path, [f"s{n:04d}" for n in range(500)])
    steps = [end(n)(runs) for n in range(500)]
    watched(runs, show_lines, *steps)
    assert runs.engine.told[0] == 500
    assert sum(runs.engine.told[1:]) < 4 * 500, "the newest change is asked for again, and no more"


def test_nodes_that_come_and_go_are_told(runs, capsys):
    def more_nodes(run, names):
        runs.engine.nodes = lambda: NodeCounts(running=2, preparing=1)

    watched(runs, show_lines, more_nodes, *(end(n)(runs) for n in range(3)))
    assert "3 nodes: 2 running, 1 preparing" in capsys.readouterr().out


def test_a_run_that_nobody_goes_on_submitting_is_left_after_a_minute(runs):
    _, view, clock = watched(runs, show_lines, is_submitted=False)
    assert not view.is_over
    assert len(view.unknown) == 3
    assert PATIENCE_SECONDS < clock.now < PATIENCE_SECONDS + 5


def test_the_screen_fetches_the_logs_of_what_failed_once(runs, capsys):
    fetched = []

    def log(run, name):
        fetched.append(name)
        return "first\nsecond\nError: no model\n"

    runs.engine.log = log
    steps = [end(1, State.FAILED, "no model"), end(0), end(2)]
    with Screen(runs.monitor(runs.submit()[0].run)) as screen:
        names, _, _ = watched(runs, screen.show, *(step(runs) for step in steps))
    assert fetched == [names[1]]
    text = capsys.readouterr().out
    assert "second" in text
    assert "Error: no model" not in text, "its reason says that already"
