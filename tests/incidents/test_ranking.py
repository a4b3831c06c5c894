"""However windows and predictions come, late ones too, the list is that of one look at all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.devices import RollUpRules
from batch_scoring.incidents.gaps import update_gaps
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.ranking import update_ranking
from batch_scoring.incidents.silence import SilenceRules
from batch_scoring.incidents.update import update_incidents
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import WINDOW_KEY, windows_schema
from tests.examples import few_examples
from tests.predictions import WINDOW_US, draw_predictions, put_predictions, window_number
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

# Sensor and device; its windows by their number.
Marks = dict[tuple[str, str], dict[int, str]]
RULES = RollUpRules(
    3 * WINDOW_US, SilenceRules(3 * WINDOW_US, 6 * WINDOW_US), outlier_windows=1, flapping_us=9 * WINDOW_US
)
# A series that is younger than three days is never silent.
FIRST = 4 * 288
OTHERS: Marks = {("s", name): dict.fromkeys(range(0, FIRST + 60, 2), ".") for name in ("y", "z")}


class Site:
    """The tables of windows, predictions, incidents and gaps, and the list."""

    def __init__(self, folder: Path) -> None:
        self.windows = TableOnDisk(folder / "windows", "window_start")
        self.predictions = TableOnDisk(folder / "predictions", "window_start")
        self.incidents = TableOnDisk(folder / "incidents", "start")
        self.gaps = TableOnDisk(folder / "gaps", "start")
        self.ranked = TableOnDisk(folder / "ranked")

    def put(self, marks: Marks) -> None:
        """Make these all windows that there are, and find what there is to list."""
        schema = windows_schema(["mean", "std"])
        parts = [
            draw_predictions(
                {
                    device: "".join(numbers.get(n, " ") for n in range(max(numbers, default=-1) + 1))
                    for (one, device), numbers in marks.items()
                    if one == sensor
                },
                sensor,
            )
            for sensor in sorted({sensor for sensor, _ in marks})
        ]
        put_predictions(self.predictions, *parts, instead_of=[(name, -10_000, 10_000) for name in "st"])
        keys = [part.select((*WINDOW_KEY, "window_end")) for part in parts]
        rows = [
            pa.table(
                {
                    name: part[name] if name in part.column_names else pa.array(np.ones(part.num_rows))
                    for name in schema.names
                }
            ).cast(schema)
            for part in keys
        ]

        def update(table: RowTable) -> Change:
            stored = Upsert(
                table,
                table.files(),
                WINDOW_KEY,
                lambda some: row_fingerprints(some, schema.names),
                schema.names,
                lambda some: np.ones(some.num_rows, bool),
            )
            fresh = [list(stored.fresh([part])) for part in rows]
            stored.remove_unseen()
            return Change(schema, fresh, rewritten=stored.rewritten)

        self.windows.save(update)
        windows, predictions = self.windows.load(), self.predictions.load()
        self.gaps.save(lambda table: update_gaps(windows, RULES.silence.after_us, table))
        join = JoinRules(tolerated_gap=1, cool_down_us=RULES.slack_us)
        self.incidents.save(lambda table: update_incidents(predictions, join, table))
        incidents, gaps = self.incidents.load(), self.gaps.load()
        self.ranked.save(
            lambda table: update_ranking(incidents, gaps, RULES, 30, predictions, windows, None, table)
        )

    def rows(self) -> list[dict[str, object]]:
        table = self.ranked.load()
        return table.read().to_pylist() if table.exists else []


PIECE = st.dictionaries(
    st.tuples(st.sampled_from("st"), st.sampled_from("ab")),
    st.tuples(st.integers(0, 40), st.text(st.sampled_from("..... 19x"), min_size=1, max_size=14)),
    min_size=1,
    max_size=4,
)


@few_examples
@given(st.lists(PIECE, min_size=1, max_size=5))
def test_the_list_does_not_depend_on_how_readings_came(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("site")
    grown, anew = Site(folder / "grown"), Site(folder / "anew")
    marks: Marks = {**OTHERS, **{(s, d): {0: ".", FIRST - 1: "."} for s in "st" for d in "ab"}}
    for piece in pieces:
        for series, (first, text) in piece.items():
            for place, mark in enumerate(text):
                if mark == "x":
                    marks[series].pop(FIRST + first + place, None)
                elif mark != " ":
                    marks[series][FIRST + first + place] = mark
        grown.put(marks)
    anew.put(marks)
    assert grown.rows() == anew.rows()


def test_late_windows_open_the_anomaly_again_that_a_silence_had_ended(tmp_path):
    site = Site(tmp_path)
    usual = dict.fromkeys(range(FIRST + 20), ".")
    marks: Marks = {**OTHERS, ("s", "a"): usual | dict.fromkeys(range(FIRST + 14, FIRST + 20), "4")}
    site.put(marks)
    (row,) = site.rows()
    assert (row["kind"], row["state"]) == ("device_silent", "open")
    assert [window_number(row[name]) - FIRST for name in ("start", "last_start", "end")] == [14, 20, 59]
    marks["s", "a"] |= dict.fromkeys(range(FIRST + 20, FIRST + 59), "4")
    site.put(marks)
    (late,) = site.rows()
    assert (late["kind"], late["state"], late["incident_id"]) == ("anomaly", "open", row["incident_id"])
    marks["s", "a"] |= dict.fromkeys(range(FIRST + 40, FIRST + 59), ".")
    site.put(marks)
    (over,) = site.rows()
    assert (over["state"], over["incident_id"]) == ("closed", row["incident_id"])
    assert window_number(over["end"]) - FIRST == 40
