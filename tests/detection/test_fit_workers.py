"""On any number of cores, in threads or processes, the same models come out; and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection import fit_process
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.fit import fit_windows
from batch_scoring.detection.fit_workers import FitWorkers
from tests.factories import DAY_US, START_US, make_windows
from tests.waiting import wait_for

FEATURES = ["mean", "f1"]
PARAMETERS = FitParameters(calibration_blocks=2)
ALWAYS, NEVER = 0.0, float("inf")


def two_days(devices: int, n: int = 40) -> list[pa.Table]:
    rng = np.random.default_rng(0)
    names = [f"d{i:03}" for i in range(devices) for _ in range(n)]
    return [
        make_windows(rng.normal(size=(devices * n, 2)), names, start_us=START_US + day * DAY_US)
        for day in range(2)
    ]


def fit(ranges, worth_processes=NEVER, n=2, features=FEATURES):
    with FitWorkers(n, worth_processes) as workers:
        parts = list(workers.fit(ranges, features, PARAMETERS))
    models, status = (
        pa.concat_tables([getattr(part, name) for part in parts]) for name in ("models", "status")
    )
    return models.combine_chunks(), status.combine_chunks()


def test_days_and_ranges_make_no_difference_to_what_is_fitted():
    days = two_days(6)
    whole = fit_windows(pa.concat_tables(days), FEATURES, PARAMETERS)
    ranges = [[day.slice(start, 80) for day in days] for start in (0, 80, 160)]
    for models, status in (fit([days]), fit(ranges), fit(ranges, n=1)):
        assert models.equals(whole.models)
        assert status.equals(whole.status)


@pytest.mark.slow
def test_processes_fit_the_same_to_the_bit_and_are_gone_at_the_end():
    days = two_days(6)
    assert children() == []
    models, status = fit([days], ALWAYS)
    alone = fit([days])
    assert (models.equals(alone[0]), status.equals(alone[1])) == (True, True)
    assert children() == []


@pytest.mark.slow
def test_a_process_that_dies_is_replaced_and_its_devices_fitted_again(monkeypatch):
    killed = []

    def die_once(self, windows, features, parameters):
        if not killed:
            killed.append(self._process.pid)
            self._process.kill()
        return real(self, windows, features, parameters)

    real = fit_process.FitProcess.fit
    monkeypatch.setattr(fit_process.FitProcess, "fit", die_once)
    days = two_days(4)
    models, status = fit([days], ALWAYS)
    expected = fit([days])
    assert len(killed) == 1
    assert (models.equals(expected[0]), status.equals(expected[1])) == (True, True)


@pytest.mark.slow
def test_devices_whose_process_dies_twice_have_failed_and_the_run_goes_on(monkeypatch):
    def die(self, windows, features, parameters):
        self._process.kill()
        return real(self, windows, features, parameters)

    real = fit_process.FitProcess.fit
    monkeypatch.setattr(fit_process.FitProcess, "fit", die)
    models, status = fit([two_days(2)], ALWAYS)
    assert models.num_rows == 0
    assert status["status"].to_pylist() == ["fit_failed"] * 2
    assert "the process that fitted it died (killed: the machine may have been out of memory)" in (
        status["message"][0].as_py()
    )


@pytest.mark.slow
def test_processes_end_with_a_parent_that_is_killed():
    code = """
import sys, time
from batch_scoring.detection.fit_process import FitProcess
print(FitProcess()._process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_for(lambda: not is_running(pid), lambda: "the process outlives its parent")


def test_an_error_while_reading_ends_the_fits_and_is_told():
    def ranges():
        yield two_days(1)
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        fit(ranges())


def test_a_feature_that_is_not_there_is_told_before_anything_is_fitted():
    with pytest.raises(InputError, match="'f9'"):
        fit([two_days(1)], ALWAYS, features=["f9"])
    assert children() == []


def test_little_work_starts_no_process_and_much_does():
    for seconds_to_come, expected in [(1.0, 0), (5.0, 2)]:
        with FitWorkers(2) as workers:
            workers._expect(1.0, seconds_to_come)
            assert soon_children(expected) == expected
    with FitWorkers(2) as workers:
        for _ in range(6):
            workers._expect(1.0, 1.0)
        assert soon_children(2) == 2


def soon_children(expected: int) -> int:
    """The number of these processes, waited for: a new one gets its name a moment later."""
    until = time.monotonic() + 60
    while len(children()) != expected and time.monotonic() < until:
        time.sleep(0.01)
    return len(children())


def children() -> list[int]:
    """The processes that fit for this one."""
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if parent_of(folder) == os.getpid() and b"fit_process" in (folder / "cmdline").read_bytes()
    ]


def parent_of(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
