"""A run tells what it took where it is asked to, and registers nothing where it is not."""

import json
import subprocess
import sys
import time

import pytest

from batch_scoring.core import stopwatch as module
from batch_scoring.core.stopwatch import Stopwatch
from batch_scoring.jobs import timing_hook
from batch_scoring.jobs.timing_hook import JobTimings, hooks, seconds_since_process_start


@pytest.fixture
def watch(monkeypatch):
    one = Stopwatch()
    monkeypatch.setattr(module, "stopwatch", one)
    monkeypatch.setattr(timing_hook, "stopwatch", one)
    return one


def test_without_the_variable_there_are_no_hooks(watch, monkeypatch):
    monkeypatch.delenv("BATCH_SCORING_TIMINGS", raising=False)
    assert hooks() == ()
    assert not watch.is_on


def test_a_run_writes_seconds_and_counts(watch, tmp_path, monkeypatch):
    monkeypatch.setenv("BATCH_SCORING_TIMINGS", str(tmp_path / "t.json"))
    (hook,) = hooks()
    hook.before_node_run()
    hook.before_dataset_loaded("windows")
    time.sleep(0.02)
    hook.after_dataset_loaded("windows")
    watch.count("windows", 5)
    hook.after_pipeline_run()
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["counts"] == {"windows": 5}
    assert told["seconds"]["read"] >= 0.02
    assert told["seconds"]["start"] > 0


def test_the_start_ends_with_the_first_node(watch, tmp_path):
    hook = JobTimings(tmp_path / "t.json")
    hook.before_node_run()
    first = hook._start
    time.sleep(0.02)
    hook.before_node_run()
    assert hook._start == first


def test_a_run_that_fails_before_its_first_node_tells_so_much(watch, tmp_path):
    hook = JobTimings(tmp_path / "t.json")
    hook.on_pipeline_error()
    assert json.loads((tmp_path / "t.json").read_text()) == {"seconds": {}, "counts": {}}


def test_a_process_knows_how_long_it_is_there():
    code = "import time; time.sleep(0.3); from batch_scoring.jobs.timing_hook import *;"
    code += "print(seconds_since_process_start())"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # A clock tick is a hundredth of a second.
    assert 0.29 <= float(done.stdout) <= time.monotonic() - began + 0.02
    assert seconds_since_process_start() > 0
