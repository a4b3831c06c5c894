"""Gaps follow the windows, whatever came in which order, and read what is new of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.gaps import update_gaps
from batch_scoring.storage.compaction import compact
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.schemas import WINDOW_KEYS
from tests.examples import few_examples
from tests.factories import DAY_US, START_US
from tests.predictions import WINDOW_US, window_number
from tests.tables_on_disk import TableOnDisk

Series = tuple[str, str]
AFTER_US = 3 * WINDOW_US


def windows_of(there: dict[Series, set[int]]) -> pa.Table:
    rows = [
        (sensor, device, n) for (sensor, device), numbers in sorted(there.items()) for n in sorted(numbers)
    ]
    start = np.array([START_US + n * WINDOW_US for *_, n in rows], np.int64)
    columns = {
        "window_start": pa.array(start).cast(WINDOW_KEYS.field("window_start").type),
        "window_end": pa.array(start + WINDOW_US).cast(WINDOW_KEYS.field("window_end").type),
        "device": pa.array([device for _, device, _ in rows], pa.string()),
        "sensor": pa.array([sensor for sensor, *_ in rows], pa.string()),
        "count": pa.array([5] * len(rows), pa.int32()),
    }
    return pa.table(columns, schema=WINDOW_KEYS)


class Site:
    """Windows that come and go, and the gaps between them."""

    def __init__(self, folder: Path) -> None:
        self.windows = TableOnDisk(folder / "windows", "window_start")
        self.gaps = TableOnDisk(folder / "gaps", "start")

    def add(self, there: dict[Series, set[int]]) -> None:
        self.windows.add(windows_of(there))

    def drop(self, series: Series, number: int) -> None:
        """Rewrite the files that have a window, without it."""

        def update(table: RowTable) -> Change:
            time = START_US + number * WINDOW_US
            files = table.files(time, time + 1)

            def kept():
                for file in files:
                    rows = pa.concat_tables(table.batches(file)).to_pylist()
                    key = (*series, number)
                    rows = [
                        r for r in rows if (r["sensor"], r["device"], window_number(r["window_start"])) != key
                    ]
                    yield file, [pa.Table.from_pylist(rows, WINDOW_KEYS)]

            return Change(WINDOW_KEYS, (), rewritten=kept)

        self.windows.save(update)

    def update(self, after_us: int = AFTER_US) -> bool:
        windows = self.windows.load()
        return self.gaps.save(lambda stored: update_gaps(windows, after_us, stored))

    def rows(self) -> list[dict[str, object]]:
        return self.gaps.rows("sensor", "device", "start")


def expected(there: dict[Series, set[int]], least: int) -> list[tuple[object, ...]]:
    """By a slow walk: sensor, device, first window missing, next window, first window of the series."""
    found = []
    for (sensor, device), numbers in sorted(there.items()):
        order = sorted(numbers)
        for one, other in pairwise(order):
            if other - one - 1 >= least:
                found.append((sensor, device, one + 1, other, None))
        if order:
            found.append((sensor, device, order[-1] + 1, None, order[0]))
    return found


def as_found(rows):
    return [
        (
            row["sensor"], row["device"], window_number(row["start"]),
            None if row["end"] is None else window_number(row["end"]),
            None if row["first_start"] is None else window_number(row["first_start"]),
        )
        for row in rows
    ]  # fmt: skip


PIECES = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from("st"), st.sampled_from("ab")),
        # Over midnight.
        st.sets(st.integers(280, 300), min_size=1, max_size=6),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.slow
@few_examples
@given(PIECES, st.randoms())
def test_gaps_do_not_depend_on_how_windows_came(tmp_path_factory, pieces, random):
    site, there = Site(tmp_path_factory.mktemp("site")), {}
    for piece in pieces:
        new = {
            series: numbers - there.get(series, set())
            for series, numbers in piece.items()
            if numbers - there.get(series, set())
        }
        if new:
            site.add(new)
        for series, numbers in new.items():
            there[series] = there.get(series, set()) | numbers
        if random.random() < 0.3:
            series = random.choice(sorted(there))
            if there[series]:
                number = random.choice(sorted(there[series]))
                there[series] = there[series] - {number}
                site.drop(series, number)
        if random.random() < 0.3:
            site.windows.save(lambda table: compact(table, 2))
            site.gaps.save(lambda table: compact(table, 2))
        site.update()
        assert not site.update()
        assert as_found(site.rows()) == expected(there, 3)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_late_window_splits_the_gap_that_it_lies_in(site):
    site.add({("s", "a"): {0, 1, 20}, ("s", "b"): {0, 20}})
    site.update()
    site.add({("s", "a"): {10}})
    site.update()
    assert as_found(site.rows()) == [
        ("s", "a", 2, 10, None), ("s", "a", 11, 20, None), ("s", "a", 21, None, 0),
        ("s", "b", 1, 20, None), ("s", "b", 21, None, 0),
    ]  # fmt: skip


def test_one_missing_window_is_no_gap_however_long_windows_are(site):
    site.add({("s", "a"): {0, 2, 5}})
    site.update(after_us=1)
    assert as_found(site.rows()) == [("s", "a", 3, 5, None), ("s", "a", 6, None, 0)]


def test_an_hour_reads_its_own_windows_and_writes_no_ended_gap_again(site, monkeypatch):
    site.add({("s", "a"): {0, 1, 20}})
    site.update()
    ended = {file.name for file in site.gaps.load().files() if file.bounds["state"] == ("ended", "ended")}
    opened, opens = [], RowTable.open

    def spy(table, file, *more):
        if "windows" in table.folder.path():
            opened.append(file.first)
        return opens(table, file, *more)

    site.add({("s", "a"): {600}})
    monkeypatch.setattr(RowTable, "open", spy)
    site.update()
    # The first file tells how long a window is.
    assert {first // DAY_US for first in opened[1:]} == {(START_US + 600 * WINDOW_US) // DAY_US}
    assert ended <= {file.name for file in site.gaps.load().files()}


def test_another_length_makes_all_gaps_anew(site):
    site.add({("s", "a"): {0, 5, 20}})
    site.update()
    assert site.update(after_us=10 * WINDOW_US)
    assert as_found(site.rows()) == [("s", "a", 6, 20, None), ("s", "a", 21, None, 0)]
