"""However predictions come, the incidents are those of one look at all of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.update import update_incidents
from batch_scoring.tables.schemas import INCIDENTS
from tests.predictions import WINDOW_US, draw_predictions, put_predictions
from tests.tables_on_disk import TableOnDisk

Windows = dict[tuple[str, str], dict[int, str]]

N_WINDOWS = 40


class Fleet:
    """Predictions that come and go, and the incidents found in them."""

    def __init__(self, folder: Path, rules: JoinRules) -> None:
        self.rules = rules
        self.predictions = TableOnDisk(folder / "predictions", "window_start")
        self.incidents = TableOnDisk(folder / "incidents", "start")

    def put(self, windows: Windows) -> None:
        """Make these all predictions that there are; equal ones stay where they are."""
        sensors = {sensor for sensor, _ in windows}
        parts = [
            draw_predictions({device: as_text(marks) for (one, device), marks in windows.items() if one == sensor}, sensor)
            for sensor in sorted(sensors)
        ]
        put_predictions(self.predictions, *parts, instead_of=[(name, -10_000, 10_000) for name in "st"])

    def update(self) -> bool:
        """Find the incidents; whether anything was committed."""
        predictions = self.predictions.load()
        return self.incidents.save(lambda stored: update_incidents(predictions, self.rules, stored))

    def rows(self) -> list[dict[str, object]]:
        return self.incidents.rows("sensor", "device", "start")


def as_text(marks: dict[int, str]) -> str:
    return "".join(marks.get(number, " ") for number in range(max(marks, default=-1) + 1))


PIECE = st.dictionaries(
    st.tuples(st.sampled_from("st"), st.sampled_from("ab")),
    st.tuples(st.integers(0, N_WINDOWS - 1), st.text(st.sampled_from("... 19x"), min_size=1, max_size=8)),
    min_size=1,
    max_size=3,
)
RULES = st.builds(
    lambda gap, least, cool_down: JoinRules(gap, least, cool_down * WINDOW_US),
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([0, 0, 1, 4, 9]),
)


def changed(windows: Windows, piece: dict[tuple[str, str], tuple[int, str]]) -> Windows:
    """The windows after a piece has come: ``x`` is a window that goes."""
    after = {series: dict(marks) for series, marks in windows.items()}
    for series, (first, text) in piece.items():
        marks = after.setdefault(series, {})
        for place, mark in enumerate(text):
            if mark == "x":
                marks.pop(first + place, None)
            elif mark != " ":
                marks[first + place] = mark
    return after


@pytest.mark.slow
@given(st.lists(PIECE, min_size=1, max_size=6), RULES)
def test_incidents_do_not_depend_on_how_predictions_came(tmp_path_factory, pieces, rules):
    folder, windows = tmp_path_factory.mktemp("fleet"), {}
    grown, anew = Fleet(folder / "grown", rules), Fleet(folder / "anew", rules)
    for piece in pieces:
        windows = changed(windows, piece)
        grown.put(windows)
        grown.update()
        assert not grown.update()
    anew.put(windows)
    anew.update()
    assert grown.rows() == anew.rows()
