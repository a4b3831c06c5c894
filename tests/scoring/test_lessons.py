"""The windows that a recalibration learns from are numbered by series, however their files are read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.scoring import lessons as module
from batch_scoring.scoring.lessons import KEY, LESSONS, NUMBERED, Excluded, Learners, lessons
from batch_scoring.tables.arrow_arrays import to_numpy

WINDOW = 300_000_000
# Device, version and number of the window.
ROWS = [("a", "1", 1), ("a", "1", 2), ("a", "2", 3), ("b", "1", 0), ("c", "1", 2), ("c", "1", 3)]


def learners() -> Learners:
    names = pa.table([["s", "s"], ["a", "c"], ["1", "1"]], list(KEY))
    return Learners(names, np.array([2, 0]) * WINDOW, np.array([9, 9]), np.array([1, 1]))


def scored(rows: list[tuple[str, str, int]], evidence: float = 1.0) -> pa.Table:
    device, version, step = zip(*rows, strict=True)
    start = np.array(step) * WINDOW
    n = len(rows)
    values = [["s"] * n, device, start, start + WINDOW, [False] * n, [evidence] * n, version]
    return pa.Table.from_arrays(
        [pa.array(one).cast(kind) for one, kind in zip(values, LESSONS.types, strict=True)], schema=LESSONS
    )


def walked(rows: list[dict[str, Any]], learns: Learners) -> list[tuple[int, int]]:
    """Choose lessons window by window; returns the series and the row of each, by series and start."""
    found = []
    for series in range(learns.n.size):
        last_of = {row["window_start"]: n for n, row in enumerate(rows) if row["series"] == series}
        its = [last_of[start] for start in sorted(last_of)]
        flagged = [place for place, n in enumerate(its) if rows[n]["is_anomaly"]]
        dropped, first = set[int](), None
        for before, place in zip([None, *flagged], flagged, strict=False):
            if before is not None and first is not None:
                gap = rows[its[place]]["window_start"] - rows[its[before]]["window_end"]
                first = first if gap <= timedelta(hours=1) else None
            first = place if first is None else first
            dropped |= {one for one in range(first, place + 1) if one - first >= learns.n_incident[series]}
        kept = [n for place, n in enumerate(its) if place not in dropped]
        kept = [n for n in kept if rows[n]["evidence"] is not None and np.isfinite(rows[n]["evidence"])]
        found += [(series, n) for n in kept[len(kept) - min(len(kept), int(learns.n[series])) :]]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_lessons_are_those_of_a_walk_from_window_to_window(seed):
    random = np.random.default_rng(seed)
    n, n_series = 400, 4
    start = random.integers(0, 150, n) * WINDOW
    columns = [
        pa.array(random.integers(0, n_series, n)),
        pa.array(start).cast(NUMBERED.field("window_start").type),
        pa.array(start + WINDOW).cast(NUMBERED.field("window_end").type),
        pa.array(random.random(n) < random.choice([0.0, 0.05, 0.3])),
        pa.array(random.normal(size=n), mask=random.random(n) < 0.05),
    ]
    rows = pa.Table.from_arrays(columns, schema=NUMBERED)
    most = np.array([1_000, 30, 5, 60])
    learns = Learners(learners().series, most * 0, most, np.array([1, 3, 2, 50]))
    place, series = lessons(rows, learns, Excluded())
    assert list(zip(series.tolist(), place.tolist(), strict=True)) == walked(rows.to_pylist(), learns)


@pytest.mark.parametrize("encoded", [(), KEY])
def test_windows_of_other_series_versions_and_times_do_not_count(encoded):
    rows = scored(ROWS)
    for name in encoded:
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].dictionary_encode())
    found = learners().numbered(rows, 3 * WINDOW)
    assert found.schema == NUMBERED
    assert found["series"].to_pylist() == [0, 1]
    assert (to_numpy(found["window_start"]) // WINDOW).tolist() == [2, 2]
    assert learners().numbered(rows.slice(0, 0), 3 * WINDOW).num_rows == 0


def test_of_two_rows_of_a_window_the_later_one_counts():
    learns = learners()
    first, then = (learns.numbered(scored(ROWS, evidence), 9 * WINDOW) for evidence in (1.0, 2.0))
    rows = pa.concat_tables([first, then.slice(0, 1)]).combine_chunks()
    place, series = lessons(rows, learns, Excluded())
    assert series.tolist() == [0, 1, 1]
    assert to_numpy(rows["evidence"])[place].tolist() == [2.0, 1.0, 1.0]


def test_of_few_of_millions_of_series_the_last_windows_count():
    n, steps = 2**22, 8_000
    few = np.full(n, 2)
    start = np.array([*range(3), steps, 1, 2, steps]) * WINDOW
    columns = [[0] * 4 + [n - 1] * 3, start, start + WINDOW, [False] * 7, [1.0] * 7]
    rows = pa.table(
        [pa.array(one).cast(kind) for one, kind in zip(columns, NUMBERED.types, strict=True)], schema=NUMBERED
    )
    place, series = lessons(rows, Learners(learners().series, few * 0, few, few), Excluded())
    assert place.tolist() == [2, 3, 5, 6]
    assert series.tolist() == [0, 0, n - 1, n - 1]


def test_a_series_is_looked_up_once_for_all_its_windows(monkeypatch):
    sizes = []
    plain = module.row_fingerprints

    def counted(rows, key):
        sizes.append(rows.num_rows)
        return plain(rows, key)

    monkeypatch.setattr(module, "row_fingerprints", counted)
    learns = learners()
    for _ in range(2):
        found = learns.numbered(scored([("a", "1", step) for step in range(288)]), 288 * WINDOW)
        assert found.num_rows == 286
    assert sizes == [2, 1, 1]
