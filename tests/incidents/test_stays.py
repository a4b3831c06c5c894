"""Stays follow the predictions, whatever came in which order, and read what is new of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.stays import update_stays
from batch_scoring.storage.compaction import compact
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import PREDICTIONS
from tests.examples import few_examples
from tests.predictions import WINDOW_US, draw_predictions, put_predictions, window_number
from tests.tables_on_disk import TableOnDisk

HOUR = 3_600_000_000 // WINDOW_US


class Site:
    """Predictions as text: ``o`` comes to a level for an hour at most, ``f`` for two, ``x`` for any time."""

    def __init__(self, folder: Path) -> None:
        self.predictions = TableOnDisk(folder / "predictions", "window_start")
        self.stays = TableOnDisk(folder / "stays", "start")

    def draw(self, text: str, first: int = 0, device: str = "a") -> None:
        rows = draw_predictions({device: text.translate(str.maketrans("ofx", "..."))}, "s", first)
        marks = [mark for mark in text if mark != " "]
        hours = [{"o": 1.0, "f": 2.0, "x": float("inf")}.get(mark) for mark in marks]
        place = PREDICTIONS.get_field_index("may_stay")
        rows = rows.set_column(place, PREDICTIONS.field(place), pa.array(hours, pa.float64()))
        fingerprints = [hash((mark, first, place)) % 2**62 for place, mark in enumerate(marks)]
        place = PREDICTIONS.get_field_index("window_fingerprint")
        put_predictions(
            self.predictions,
            rows.set_column(place, PREDICTIONS.field(place), pa.array(fingerprints, pa.int64())),
        )

    def update(self) -> bool:
        predictions = self.predictions.load()
        return self.stays.save(lambda stored: update_stays(predictions, stored))

    def found(self) -> list[tuple[object, ...]]:
        rows = self.stays.rows("sensor", "device", "start")
        times = [[row[name] and window_number(row[name]) for name in ("start", "end")] for row in rows]
        return [(row["device"], *both, row["state"]) for row, both in zip(rows, times, strict=True)]


def stay(mark: str, n: int) -> str:
    return mark + "." * (n - 1)


def test_the_last_stay_is_kept_and_those_that_were_too_long(tmp_path):
    site = Site(tmp_path)
    site.draw(stay(".", 5) + stay("o", HOUR) + stay("f", HOUR) + stay("o", HOUR + 1) + stay("f", 3))
    assert site.update()
    assert site.found() == [("a", 5 + 2 * HOUR, 6 + 3 * HOUR, "ended"), ("a", 6 + 3 * HOUR, None, "last")]


def test_what_has_no_limit_is_never_too_long(tmp_path):
    site = Site(tmp_path)
    site.draw(stay("x", 900) + stay("f", 3))
    site.update()
    assert site.found() == [("a", 900, None, "last")]


def test_a_run_that_is_repeated_changes_nothing(tmp_path):
    site = Site(tmp_path)
    site.draw(stay("o", 20) + stay("f", 3))
    assert site.update()
    assert not site.update()


def test_before_anything_was_scored_there_are_none(tmp_path):
    site = Site(tmp_path)
    assert not site.update()
    assert site.found() == []


def test_an_hour_reads_what_is_new(tmp_path, monkeypatch):
    site = Site(tmp_path)
    for hour in range(4):
        site.draw(stay("o", HOUR), hour * HOUR)
        site.update()
    read, batches = [], RowTable.batches

    def noted(self, file, *columns, **more):
        read.append(file.rows)
        return batches(self, file, *columns, **more)

    monkeypatch.setattr(RowTable, "batches", noted)
    site.draw(stay("f", HOUR), 4 * HOUR)
    read.clear()
    site.update()
    assert sum(read) < 2 * HOUR
    assert site.found() == [("a", 4 * HOUR, None, "last")]


def test_a_window_that_comes_late_ends_the_stay(tmp_path):
    site = Site(tmp_path)
    site.draw(stay("o", HOUR) + " " + stay(".", HOUR) + stay("f", 2))
    site.update()
    assert [row[3] for row in site.found()] == ["ended", "last"]
    site.draw("f", HOUR)
    site.update()
    assert site.found() == [("a", 2 * HOUR + 1, None, "last")]


def test_a_window_that_was_scored_anew_is_no_turn_any_more(tmp_path):
    site = Site(tmp_path)
    site.draw(stay("o", HOUR) + stay("f", HOUR) + stay("o", 2))
    site.update()
    assert [row[1] for row in site.found()] == [2 * HOUR]
    site.draw(".", HOUR)
    site.update()
    assert site.found() == [("a", 0, 2 * HOUR, "ended"), ("a", 2 * HOUR, None, "last")]


def by_walking(there: dict[str, dict[int, str]]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for device, marks in sorted(there.items()):
        turns = [(n, mark) for n, mark in sorted(marks.items()) if mark in "ofx"]
        for (one, mark), (other, _) in pairwise(turns):
            if other - one > {"o": HOUR, "f": 2 * HOUR, "x": 10**9}[mark]:
                found.append((device, one, other, "ended"))
        if turns:
            found.append((device, turns[-1][0], None, "last"))
    return found


PIECES = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        # Over midnight.
        st.integers(250, 310),
        st.text(st.sampled_from("............ofx"), min_size=1, max_size=30),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.slow
@few_examples
@given(PIECES, st.randoms())
def test_stays_do_not_depend_on_how_windows_came(tmp_path_factory, pieces, random):
    site, there = Site(tmp_path_factory.mktemp("site")), {}
    for device, first, text in pieces:
        site.draw(text, first, device)
        there.setdefault(device, {}).update(enumerate(text, first))
        if random.random() < 0.3:
            site.predictions.save(lambda table: compact(table, 2))
            site.stays.save(lambda table: compact(table, 2))
        if random.random() < 0.7:
            site.update()
            assert site.found() == by_walking(there)
    site.update()
    assert site.found() == by_walking(there)
