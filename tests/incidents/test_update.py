"""However predictions come, the incidents are those of one look at all of them."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import deltalake
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.update import update_incidents
from batch_scoring.storage.compaction import compact, forget
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.schemas import OF_LEVEL, OF_PEAK
from tests.examples import few_examples
from tests.factories import DAY_US, START_US
from tests.predictions import WINDOW_US, draw_predictions, put_predictions, window_number
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

Windows = dict[tuple[str, str], dict[int, str]]

DAY_WINDOWS = 288


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
            draw_predictions(
                {device: as_text(marks) for (one, device), marks in windows.items() if one == sensor}, sensor
            )
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
    # Over midnight.
    st.tuples(
        st.integers(DAY_WINDOWS - 20, DAY_WINDOWS + 20),
        st.text(st.sampled_from("... 19x"), min_size=1, max_size=8),
    ),
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


@few_examples
@given(st.lists(st.tuples(PIECE, st.booleans()), min_size=1, max_size=6), RULES)
def test_incidents_do_not_depend_on_how_predictions_came(tmp_path_factory, pieces, rules):
    folder, windows = tmp_path_factory.mktemp("fleet"), {}
    grown, anew = Fleet(folder / "grown", rules), Fleet(folder / "anew", rules)
    for piece, are_compacted in pieces:
        windows = changed(windows, piece)
        grown.put(windows)
        if are_compacted:
            grown.predictions.save(lambda table: compact(table, 2))
        grown.update()
        assert not grown.update()
        if are_compacted:
            grown.incidents.save(lambda table: compact(table, 2))
    anew.put(windows)
    anew.update()
    assert grown.rows() == anew.rows()


ALERT = {("s", "a"): dict(enumerate("..11....9..")), ("t", "a"): dict(enumerate("......1...."))}


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path, JoinRules())


def ended(fleet):
    """(sensor, device, first window, window after the last one, state) of each incident."""
    return [
        (row["sensor"], row["device"], *(window_number(row[name]) for name in ("start", "end")), row["state"])
        for row in fleet.rows()
    ]


def test_other_rules_join_everything_anew(tmp_path):
    grown = Fleet(tmp_path, JoinRules())
    grown.put(ALERT)
    grown.update()
    grown.rules = JoinRules(tolerated_gap=9)
    assert grown.update()
    assert ended(grown) == [("s", "a", 2, 9, "open"), ("t", "a", 6, 7, "open")]
    assert not grown.update()


def test_two_runs_at_once_end_in_the_rows_of_one(fleet):
    """The second commits between the finding and the commit of the first, which then finds out anew."""
    fleet.put(ALERT)
    fleet.update()
    fleet.put(ALERT | {("s", "b"): {20: "1"}})
    stale = fleet.predictions.load()
    assert stale.version > 0  # a table is of the version at which it is first looked at
    fleet.put(ALERT | {("s", "b"): {20: "1", 21: "1"}})
    calls = []

    def update(stored):
        change = update_incidents(stale, fleet.rules, stored)
        if not calls:
            assert fleet.update()
        calls.append(change)
        return change

    assert fleet.incidents.save(update)
    assert calls[1] is None
    assert ended(fleet)[-2:] == [("s", "b", 20, 22, "open"), ("t", "a", 6, 7, "closed")]
    assert not fleet.update()


@pytest.mark.parametrize("gone", ["log", "files"])
def test_where_earlier_predictions_are_gone_everything_is_joined_anew(fleet, tmp_path, gone):
    fleet.put(ALERT)
    fleet.update()
    late = ALERT | {("s", "a"): dict(enumerate(".111....9.."))}
    fleet.put(late)
    fleet.put(late | {("s", "b"): {20: "1"}})
    table = fleet.predictions.load()
    if gone == "log":
        deltalake.DeltaTable(tmp_path / "predictions").create_checkpoint()
        for version in range(table.version):
            (tmp_path / f"predictions/_delta_log/{version:020d}.json").unlink()
    else:
        assert table.vacuum(timedelta(0)) > 0
    assert fleet.update()
    assert ended(fleet) == [
        ("s", "a", 1, 4, "closed"), ("s", "a", 8, 9, "open"), ("s", "b", 20, 21, "open"),
        ("t", "a", 6, 7, "closed"),
    ]  # fmt: skip


def test_predictions_that_were_deleted_and_scored_again_are_joined_anew(fleet, tmp_path):
    fleet.put(ALERT)
    fleet.update()
    shutil.rmtree(tmp_path / "predictions")
    assert not fleet.update()
    fleet.put({("s", "c"): dict(enumerate("1...")), ("s", "d"): {0: "."}})
    assert fleet.update()
    assert ended(fleet) == [("s", "c", 0, 1, "closed")]


def test_compaction_changes_nothing(fleet):
    first, second = {20: "1"}, {3 * DAY_WINDOWS: "2", 3 * DAY_WINDOWS + 9: "."}
    fleet.put(ALERT)
    fleet.update()
    fleet.put(ALERT | {("s", "b"): first})
    fleet.put(ALERT | {("s", "b"): first, ("s", "c"): second})
    assert fleet.predictions.save(lambda table: compact(table, 2))
    fleet.update()
    rest = [("s", "c", 864, 865, "closed"), ("t", "a", 6, 7, "closed")]
    assert ended(fleet)[2:] == [("s", "b", 20, 21, "open"), *rest]
    assert fleet.incidents.save(lambda table: compact(table, 2))
    fleet.put(ALERT | {("s", "b"): first | {21: "1"}, ("s", "c"): second})
    fleet.update()
    assert ended(fleet)[2:] == [("s", "b", 20, 22, "open"), *rest]


class Aged(Fleet):
    """Two days of which the first was dropped; incidents that are over, go on, and go on over midnight."""

    def __init__(self, folder, rules):
        super().__init__(folder, rules)
        midnight = 288
        self.windows = {
            ("s", "over"): {2: "1", **dict.fromkeys(range(4, 20), "."), 400: "."},
            ("s", "gone"): {2: "1", 20: "."},
            ("s", "silent"): {3: "1"},
            ("s", "night"): dict.fromkeys(range(midnight - 3, midnight + 3), "1") | {500: "."},
            ("s", "later"): {0: ".", 300: "9", 500: "."},
        }
        self.put(self.windows)
        self.put(self.windows | {("s", "new"): {3 * midnight: "."}})
        self.update()
        self.before = ended(self)
        assert self.predictions.save(lambda table: forget(table, timedelta(days=2), []))
        assert self.predictions.load().progress(RETENTION) == START_US + DAY_US

    def late(self, device, number, mark):
        """A prediction of the second day that comes late."""
        put_predictions(self.predictions, draw_predictions({device: mark}, first=number))
        return self.update()


@pytest.fixture
def aged(tmp_path):
    return Aged(tmp_path, JoinRules())


def test_incidents_of_dropped_days_stay(aged):
    assert aged.before == [
        ("s", "gone", 2, 3, "closed"), ("s", "later", 300, 301, "closed"),
        ("s", "night", 285, 291, "closed"), ("s", "over", 2, 3, "closed"),
        ("s", "silent", 3, 4, "open"),
    ]  # fmt: skip
    assert not aged.update()
    assert aged.late("new", 3 * DAY_WINDOWS + 1, ".")
    assert ended(aged) == aged.before


def test_late_windows_after_dropped_days_extend_what_is_known(aged):
    aged.late("over", 300, "1")
    aged.late("silent", 400, ".")
    # Its beginning was dropped: it keeps its start.
    aged.late("night", 289, ".")
    aged.late("night", 291, "1")
    aged.late("later", 301, "1")
    assert ended(aged) == [
        ("s", "gone", 2, 3, "closed"), ("s", "later", 300, 302, "closed"),
        ("s", "night", 285, 292, "closed"), ("s", "over", 2, 3, "closed"),
        ("s", "over", 300, 301, "closed"), ("s", "silent", 3, 4, "closed"),
    ]  # fmt: skip


def test_other_rules_leave_incidents_of_dropped_days(aged):
    aged.rules = JoinRules(cool_down_us=20 * WINDOW_US)
    assert aged.update()
    assert ended(aged) == aged.before
    assert not aged.update()


def test_incidents_of_another_version_are_made_anew_in_its_columns(fleet):
    fleet.put(ALERT)
    fleet.update()
    expected = fleet.rows()
    fleet.incidents.change(lambda rows: rows.append_column("seen_until", rows["end"]))
    assert fleet.update()
    assert fleet.rows() == expected


@pytest.mark.parametrize(
    "lacking",
    [
        OF_LEVEL,
        (*OF_LEVEL, "step", "unit", *OF_PEAK),
        ("among_rare",),
        ("among_rare", "shift"),
        ("rule", "among_rare", "shift", "beyond_limits"),
        ("rule", "among_rare", "shift", "beyond_limits", "warming_up"),
        (*OF_LEVEL, "step", "unit", *OF_PEAK, "among_rare", "shift", "beyond_limits", "warming_up"),
    ],
)
def test_incidents_of_before_there_were_limits_or_young_models_stay_and_grow(fleet, lacking):
    fleet.put(ALERT)
    fleet.update()
    before = ended(fleet)
    for table in (fleet.incidents, fleet.predictions):
        table.change(lambda rows: rows.drop_columns([name for name in lacking if name in rows.column_names]))
    fleet.update()
    assert ended(fleet) == before
    fleet.put(ALERT | {("s", "b"): {20: "1"}})
    fleet.update()
    assert ended(fleet) == [*before[:2], ("s", "b", 20, 21, "open"), *before[2:]]
    assert not fleet.update()
