"""Windows made by a Stream Analytics job are stored: the last output of each, once, in order."""

from __future__ import annotations

import os
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.stream_windows import StagedWindows
from batch_scoring.tables.schemas import windows_schema
from batch_scoring.windows.settings import MADE_WITH, AggregateParameters
from tests.factories import START, make_readings
from tests.pipelines.import_windows.imports import Workspace, window

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_windows_are_stored_by_day_sorted_with_their_settings(workspace: Workspace, kind: str):
    rows = [window(300), window(1), window(0, "d2"), window(0, sensor="a/b"), window(0, device="2026-01-05")]
    getattr(workspace, kind)(f"s/2026-01-05/x.{kind}", *rows)
    assert workspace.run()
    table = workspace.windows.load()
    first, second = table.files()
    assert (first.rows, second.rows) == (4, 1)
    (stored,) = table.batches(first)
    assert stored.schema == windows_schema(["mean", "max"])
    assert [(r["sensor"], r["device"], r["window_start"]) for r in stored.to_pylist()] == [
        ("a/b", "d1", START),
        ("s", "2026-01-05", START),
        ("s", "d1", START + timedelta(minutes=5)),
        ("s", "d2", START),
    ]
    made_with = AggregateParameters(timedelta(minutes=5), ("mean", "max")).number
    assert table.progress(MADE_WITH) == made_with


def test_parquet_times_and_numbers_of_other_types_are_read(workspace: Workspace):
    table = pa.Table.from_pylist([window(0)])
    naive = [pc.cast(table[name], pa.timestamp("ns")) for name in ("window_start", "window_end")]
    table = table.set_column(0, "window_start", naive[0]).set_column(1, "window_end", naive[1])
    table = table.set_column(4, "count", table["count"].cast(pa.float64()))
    workspace.write("x.parquet", table)
    workspace.run()
    assert [row["count"] for row in workspace.rows()] == [5]
    assert workspace.means() == [(0, "d1", 1.0)]


def test_the_last_output_of_a_window_wins_in_whatever_order_the_files_come(workspace: Workspace):
    workspace.parquet("a.parquet", window(0, processed=3, mean=3.0), window(1, mean=1.0))
    workspace.run()
    workspace.parquet("b.parquet", window(0, processed=2, mean=2.0), window(1, processed=2, mean=7.0))
    assert workspace.run()
    assert workspace.means() == [(0, "d1", 3.0), (1, "d1", 7.0)]


def test_of_outputs_of_the_same_time_the_one_with_most_readings_wins(workspace: Workspace):
    workspace.parquet("x.parquet", window(0, count=9, mean=9.0), window(0, count=8, mean=8.0))
    workspace.run()
    assert workspace.means() == [(0, "d1", 9.0)]


def test_nothing_new_is_nothing_to_do_and_a_grown_file_is_read_again(workspace: Workspace):
    workspace.json("x.json", window(0))
    workspace.run()
    before = workspace.tables()
    assert not workspace.run()
    assert workspace.tables() == before
    workspace.json("x.json", window(0), window(1))
    assert workspace.run()
    assert [number for number, *_ in workspace.means()] == [0, 1]


def test_a_file_that_grows_while_it_is_read_is_read_again(workspace: Workspace):
    workspace.json("x.json", window(0))
    steps = workspace.steps()
    next(steps)
    workspace.json("x.json", window(0), window(1))
    assert not any(steps)
    assert workspace.run()
    assert [number for number, *_ in workspace.means()] == [0, 1]


def test_an_empty_file_has_no_windows(workspace: Workspace):
    workspace.json("x.json")
    assert not workspace.run()
    assert not workspace.run()


@pytest.mark.parametrize("is_made_anew", [True, False])
def test_files_are_imported_again_when_the_windows_were_deleted(workspace: Workspace, is_made_anew: bool):
    workspace.parquet("one.parquet", window(0), window(1))
    workspace.run()
    shutil.rmtree(workspace.root / "windows")
    if is_made_anew:  # by the import of a file that is new
        workspace.parquet("two.parquet", window(2))
    assert workspace.run()
    assert [number for number, _, _ in workspace.means()] == [0, 1, *([2] if is_made_anew else [])]
    assert not workspace.run()


def test_windows_stay_when_the_files_they_came_in_are_gone(workspace: Workspace):
    old = workspace.parquet("a.parquet", window(0, mean=1.0), window(1, mean=1.0))
    workspace.run()
    old.unlink()
    workspace.parquet("b.parquet", window(1, mean=2.0))
    workspace.run()
    assert workspace.means() == [(0, "d1", 1.0), (1, "d1", 2.0)]


def test_files_imported_at_once_or_one_by_one_give_the_same_windows(tmp_path: Path):
    random_rows = random.Random(7)
    rows = [
        window(random_rows.randrange(600), f"d{random_rows.randrange(3)}", processed=n, mean=float(n))
        for n in range(90)
    ]
    parts = [rows[n::9] for n in range(9)]
    at_once, one_by_one = Workspace(tmp_path / "a"), Workspace(tmp_path / "b")
    for n, part in enumerate(parts):
        at_once.parquet(f"{n}.parquet", *part)
    at_once.run()
    for n in random_rows.sample(range(9), 9):
        one_by_one.parquet(f"{n}.parquet", *parts[n])
        one_by_one.run()
    assert one_by_one.tables() == at_once.tables()


def test_a_run_killed_anywhere_and_repeated_ends_in_the_same_rows(tmp_path: Path):
    def filled(name: str) -> Workspace:
        workspace = Workspace(tmp_path / name)
        workspace.parquet("a.parquet", window(0), window(300), window(0, sensor="t"))
        workspace.json("b.json", window(0, processed=2, mean=5.0))
        return workspace

    undisturbed = filled("whole")
    chunks = len(list(undisturbed.steps()))
    for stop in range(1, chunks):
        killed = filled(f"killed{stop}")
        steps = killed.steps()
        for _ in range(stop):
            next(steps)
        steps.close()
        killed.run()
        assert killed.tables() == undisturbed.tables()


def test_a_day_of_which_the_sensor_has_readings_is_left_to_aggregate(workspace: Workspace, caplog):
    workspace.readings.add(make_readings([3], [9.0]), make_readings([1440], [9.0], sensor="t"))
    rows = [window(0), window(300), window(0, sensor="t"), window(300, sensor="t")]
    workspace.parquet("x.parquet", *rows)
    assert workspace.run()
    assert [(row["sensor"], row["window_start"].day) for row in workspace.rows()] == [("s", 6), ("t", 5)]
    assert "sensor 's' has readings on 2026-01-05" in caplog.text


def test_only_files_with_windows_at_the_same_times_are_read_again(workspace: Workspace, monkeypatch):
    workspace.parquet("a.parquet", window(0), window(1))
    workspace.parquet("b.parquet", window(2, processed=2, mean=2.0), window(9))
    workspace.run()
    workspace.parquet("c.parquet", window(2, processed=1, mean=7.0), window(5))
    read = []
    add = StagedWindows.add
    monkeypatch.setattr(StagedWindows, "add", lambda self, file: (read.append(file.name), add(self, file))[1])
    assert workspace.run()
    assert read == ["c.parquet", "b.parquet"]
    assert workspace.means() == [
        (number, "d1", mean) for number, mean in [(0, 1.0), (1, 1.0), (2, 2.0), (5, 1.0), (9, 1.0)]
    ]


def test_windows_with_fewer_readings_are_left_out(workspace: Workspace):
    workspace.parquet("x.parquet", window(0, count=2), window(1, count=3))
    workspace.run()
    assert [number for number, *_ in workspace.means()] == [0, 1]
    workspace.run(min_readings=3)
    assert [number for number, *_ in workspace.means()] == [1]


def test_other_features_are_taken_from_the_same_files(workspace: Workspace):
    workspace.parquet("x.parquet", window(0), window(300))
    workspace.run()
    workspace.run(features=["max"])
    assert workspace.windows.load().schema == windows_schema(["max"])
    assert len(workspace.rows()) == 2


def test_windows_of_other_settings_are_left_to_aggregate_where_there_are_readings(workspace: Workspace):
    workspace.readings.add(make_readings([3], [9.0]))
    workspace.parquet("x.parquet", window(300))
    workspace.run()
    with pytest.raises(DatasetError, match="other settings; run `kedro run --pipelines=aggregate` first"):
        workspace.run(features=["max"])
    assert len(workspace.rows()) == 1


def test_a_feature_without_a_number_is_not_a_number(workspace: Workspace):
    workspace.json("x.json", window(0, mean=None))
    workspace.run()
    assert str(workspace.means()[0][2]) == "nan"


@pytest.mark.parametrize("kind", ["parquet", "json"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max": ...}, r"x\.\w+: the windows have no column 'max', only .*aggregate\.features"),
        ({"processed_time": ...}, r"no column 'processed_time'.*kedro deploy stream-query"),
        (
            {"window_end": START + timedelta(minutes=15)},
            r"row 2 is a window of another length than aggregate\.window, 0:05:00; nothing was imported",
        ),
        (
            {"window_start": START + timedelta(seconds=1), "window_end": START + timedelta(seconds=301)},
            r"row 2 is a window that does not start at a multiple",
        ),
        ({"device": None}, "row 2 has no device"),
        ({"sensor": ""}, "row 2 has no sensor"),
        ({"count": 0}, "row 2"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_windows_of_this_workspace_is_refused_as_a_whole(workspace, kind, change, says):
    wrong = {name: value for name, value in window(1, **change).items() if value is not ...}
    right = {name: value for name, value in window(0).items() if change.get(name, 0) is not ...}
    getattr(workspace, kind)(f"x.{kind}", right, wrong)
    with pytest.raises(InputError, match=says):
        workspace.run()
    assert workspace.tables() == [[], []]


def test_a_sensor_whose_name_is_no_file_name_does_not_keep_the_others_out(workspace: Workspace):
    workspace.parquet("x.parquet", window(0), window(0, sensor="x" * 300))
    assert workspace.run()
    assert not workspace.run()
    assert len(workspace.rows()) == 1


def test_a_file_that_cannot_be_read_is_named(workspace: Workspace):
    path = workspace.parquet("x.parquet", window(0))
    os.truncate(path, 100)
    with pytest.raises(InputError, match=r"x\.parquet: cannot be read as windows"):
        workspace.run()


def test_no_files_are_one_clear_sentence(workspace: Workspace):
    with pytest.raises(DatasetError, match=r"stream_windows: '.*stream' has no Parquet or JSON files"):
        workspace.run()
