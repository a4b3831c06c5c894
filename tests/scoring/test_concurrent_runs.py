"""Runs at the same time, of everything, of a sensor, or of a part of its devices, end in the same rows."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from batch_scoring.storage.row_table import RowTable, Update
from tests.scoring.work import Work, assert_totals_are_a_count, constant

pytestmark = pytest.mark.slow

SENSORS, DEVICES = "stu", [f"d{n}" for n in range(8)]
WHOLE: Mapping[str, Any] = {}
JOBS = [{"sensor": sensor} for sensor in SENSORS]
SHARDS = [{"sensor": "s", "shard": f"{part}/3"} for part in (1, 2, 3)]


# A window has changed, one with a model and one without are new, and one comes into a new day.
NEWS = {("s", "d1", 2): 0.5, ("s", "d2", 9): 3.0, ("s", "d7", 9): 3.0, ("s", "d3", 14): 0.0}
Result = tuple[dict[Any, Any], dict[Any, Any]]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Work]:
    """A function that makes a workspace with windows that are new, late or changed since a first run."""
    made = Work(tmp_path_factory.mktemp("fleet") / "made")
    windows = constant(0.0, DEVICES, range(5), SENSORS)
    made.put({key: value for key, value in windows.items() if key != ("s", "d1", 2)})
    for sensor in SENSORS:
        made.train(DEVICES[:6], sensor)
    made.score(at="2026-01-05T16:00Z")
    made.put({**constant(3.0, DEVICES, range(4, 9), SENSORS), ("s", "d1", 2): 3.0, ("t", "d2", 0): 3.0})
    return lambda folder: Work(Path(shutil.copytree(made.folder, folder)))


def scored(work: Work) -> Result:
    """Score all there is; predictions and daily totals."""
    work.score(max_failed_share=1)
    assert_totals_are_a_count(work)
    return work.rows(), work.daily()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, fleet: Callable[[Path], Work]) -> Result:
    """What one run alone ends in."""
    return scored(fleet(tmp_path_factory.mktemp("alone") / "fleet"))


@pytest.fixture(scope="module")
def expected_with_news(tmp_path_factory: pytest.TempPathFactory, fleet: Callable[[Path], Work]) -> Result:
    """The same after windows have come and changed."""
    alone = fleet(tmp_path_factory.mktemp("alone") / "fleet")
    alone.put(NEWS)
    return scored(alone)


def score_at_once(work: Work, asked: Sequence[Mapping[str, Any]]) -> None:
    """Let runs begin each of their commits from the same version."""
    gates = [threading.Barrier(len(asked)) for _ in "pt"]

    def run(what: Mapping[str, Any]) -> None:
        own = Work(work.folder)
        try:
            for number, (predictions, totals, _) in enumerate(own.chunks(max_failed_share=1, **what)):
                if number == 0:
                    own.predictions.save(begun_together(predictions, gates[0]))
                elif number == 1:
                    own.totals.save(begun_together(totals, gates[1]))
        finally:
            # One that others have left nothing to do ends early; nobody waits for it.
            for gate in gates:
                gate.abort()

    with ThreadPoolExecutor(len(asked)) as pool:
        for done in [pool.submit(run, what) for what in asked]:
            done.result(timeout=600)


def begun_together(update: Update, gate: threading.Barrier) -> Update:
    """An update that waits, the first time, until all have looked at the table."""
    tries = []

    def begun(table: RowTable) -> Any:
        change = update(table)
        if not tries:
            tries.append(table.version)
            with suppress(threading.BrokenBarrierError):
                gate.wait(300)  # of a busy machine
        return change

    return begun


@pytest.mark.parametrize(
    "asked",
    [
        [WHOLE, WHOLE],
        JOBS,
        [WHOLE, *JOBS],
        SHARDS,
        [*SHARDS, {"sensor": "s"}, {"sensor": ["t", "u"]}],
        [WHOLE, SHARDS[0], {"sensor": "s", "shard": "1/2"}, {"sensor": "s", "device": "d1"}],
        [WHOLE, {"device": "d1"}, {"sensor": "s", "device": ["d1", "d2"]}, {"sensor": "t", "rescore": True}],
        [{"sensor": sensor, "device": device} for sensor in "st" for device in DEVICES[:4]],
    ],
    ids=[
        "two",
        "jobs",
        "one beside jobs",
        "shards",
        "shards beside",
        "other shards",
        "devices",
        "a job each",
    ],
)
def test_runs_at_once_end_in_the_rows_of_one(tmp_path, asked, fleet, expected):
    work = fleet(tmp_path / "many")
    score_at_once(work, asked)
    assert_totals_are_a_count(work)
    assert work.rows().keys() <= expected[0].keys()
    assert scored(work) == expected
    assert work.score(max_failed_share=1) == (False, False)
    for table in (work.predictions, work.totals):
        assert_no_file_is_left_over(table.load().folder.root)


@pytest.mark.parametrize("asked", [WHOLE, JOBS[0], SHARDS[0], {"sensor": "s", "rescore": True}])
@pytest.mark.parametrize("is_late_with", ["predictions", "totals"])
def test_a_run_that_read_earlier_windows_than_another_one_undoes_and_skips_nothing(
    tmp_path, asked, is_late_with, fleet, expected_with_news
):
    work = fleet(tmp_path / "overtaken")
    late = Work(work.folder)
    chunks = late.chunks(max_failed_share=1, **asked)
    predictions, _, _ = next(chunks)
    if is_late_with == "totals":
        late.predictions.save(predictions)
    work.put(NEWS)
    work.score(max_failed_share=1)
    if is_late_with == "predictions":
        late.predictions.save(predictions)
    _, totals, _ = next(chunks)
    late.totals.save(totals)
    assert_totals_are_a_count(work)
    assert (work.rows(), work.daily()) == expected_with_news
    assert work.score(max_failed_share=1) == (False, False)


def assert_no_file_is_left_over(folder: Path) -> None:
    """Each data file was named by a commit: who was refused has deleted its own."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("date=*/*.parquet")}
    logs = [path.read_text().splitlines() for path in folder.glob("_delta_log/*.json")]
    named = {unquote(json.loads(line).get("add", {}).get("path", "")) for lines in logs for line in lines}
    assert files <= named
