"""A window among rare ones is no wild reading."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.joining import JoinRules
from batch_scoring.incidents.update import update_incidents
from batch_scoring.tables.schemas import CALENDAR
from tests.examples import few_examples
from tests.factories import START
from tests.incidents.test_update import Fleet, changed
from tests.predictions import WINDOW, WINDOW_US

pytestmark = pytest.mark.slow

RULES = JoinRules(tolerated_gap=1, cool_down_us=12 * WINDOW_US)
QUIET, RARE = "." * 12, "rr.rrr.rrrr."


def marks(tmp_path, text, rules=RULES, calendar=None):
    """Whether the incidents of a series are among rare windows, and their anomalous windows."""
    fleet = Fleet(tmp_path, rules)
    fleet.put({("s", "a"): dict(enumerate(text))})
    predictions = fleet.predictions.load()
    fleet.incidents.save(lambda stored: update_incidents(predictions, rules, stored, calendar or Calendar()))
    return [(row["among_rare"], row["n_windows"]) for row in fleet.rows()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (QUIET + "9" + QUIET + ".", False),
        (RARE + "9" + QUIET + ".", True),
        (QUIET + "9" + RARE + ".", True),
        # An hour before that began half an hour ago: half of its windows are rare, and not most.
        ("." * 6 + "r" * 6 + "9" + QUIET + ".", False),
        ("." * 5 + "r" * 7 + "9" + QUIET + ".", True),
        # Longer ago.
        ("r" * 12 + QUIET + "9" + QUIET + ".", False),
        # Two windows show nothing.
        ("rr9" + QUIET + ".", False),
        ("rrr9" + QUIET + ".", True),
    ],
)
def test_most_windows_of_the_hour_before_or_after_are_rare(tmp_path, text, expected):
    assert marks(tmp_path, text) == [(expected, 1)]


def test_what_is_still_open_is_not_marked(tmp_path):
    assert marks(tmp_path, RARE + "9" + "." * 6) == [(False, 1)]


def test_what_lasts_an_hour_is_not_looked_at(tmp_path):
    assert marks(tmp_path, RARE + "9" * 12 + QUIET + ".") == [(False, 12)]


def test_only_windows_that_show_it_is_over_are_looked_at(tmp_path):
    rules = JoinRules(tolerated_gap=1, cool_down_us=4 * WINDOW_US)
    assert marks(tmp_path / "a", QUIET + "9" + "....rrrrrrrr" + ".", rules) == [(False, 1)]
    assert marks(tmp_path / "b", QUIET + "9" + "rrrr........" + ".", rules) == [(True, 1)]


def test_windows_that_the_calendar_leaves_out_do_not_count(tmp_path):
    row = {
        "device": "*",
        "sensor": "*",
        "start": START,
        "end": START + 12 * WINDOW,
        "every": "",
        "reason": "",
    }
    calendar = Calendar(pa.Table.from_pylist([row], schema=CALENDAR))
    assert marks(tmp_path, RARE + "9" + QUIET + ".", calendar=calendar) == [(False, 1)]


def test_other_series_do_not_count(tmp_path):
    fleet = Fleet(tmp_path, RULES)
    fleet.put(
        {
            ("s", "a"): dict(enumerate(QUIET + "9" + QUIET + ".")),
            ("s", "b"): dict(enumerate(RARE + "." + RARE + ".")),
            ("t", "a"): dict(enumerate(RARE + "9" + RARE + ".")),
        }
    )
    fleet.update()
    assert [(row["sensor"], row["device"], row["among_rare"]) for row in fleet.rows()] == [
        ("s", "a", False),
        ("t", "a", True),
    ]


def test_a_late_window_in_the_hour_after_is_seen(tmp_path):
    fleet = Fleet(tmp_path, RULES)
    text = QUIET + "9" + "rrr" + "..." + " " * 3 + "..." + "."
    fleet.put({("s", "a"): dict(enumerate(text))})
    fleet.update()
    assert [row["among_rare"] for row in fleet.rows()] == [False]
    fleet.put({("s", "a"): dict(enumerate(text.replace("   ", "rrr").replace("...rrr...", "...rrrr..")))})
    fleet.update()
    assert [row["among_rare"] for row in fleet.rows()] == [True]


PIECE = st.dictionaries(
    st.tuples(st.just("s"), st.sampled_from("ab")),
    st.tuples(st.integers(0, 40), st.text(st.sampled_from("..rrr1x"), min_size=1, max_size=12)),
    min_size=1,
    max_size=2,
)


@few_examples
@given(st.lists(PIECE, min_size=1, max_size=5), st.sampled_from([2, 6, 12, 20]))
def test_marks_do_not_depend_on_how_predictions_came(tmp_path_factory, pieces, cool_down):
    folder = tmp_path_factory.mktemp("fleet")
    rules = JoinRules(tolerated_gap=1, cool_down_us=cool_down * WINDOW_US)
    windows = {("s", name): dict(enumerate(RARE + "9" + QUIET + "9" + RARE + QUIET)) for name in "ab"}
    grown, anew = Fleet(folder / "grown", rules), Fleet(folder / "anew", rules)
    grown.put(windows)
    grown.update()
    for piece in pieces:
        windows = changed(windows, piece)
        grown.put(windows)
        grown.update()
        assert not grown.update()
    anew.put(windows)
    anew.update()
    assert grown.rows() == anew.rows()


def test_what_comes_hour_by_hour_is_marked_alike(tmp_path):
    text = RARE + "9" + QUIET + "." + QUIET + "9" + RARE + QUIET
    grown, anew = Fleet(tmp_path / "grown", RULES), Fleet(tmp_path / "anew", RULES)
    for end in range(1, len(text) + 1, 5):
        grown.put({("s", "a"): dict(enumerate(text[:end]))})
        grown.update()
    grown.put({("s", "a"): dict(enumerate(text))})
    grown.update()
    anew.put({("s", "a"): dict(enumerate(text))})
    anew.update()
    assert grown.rows() == anew.rows()
    assert [row["among_rare"] for row in grown.rows()] == [True, True]
    assert all(row["end"] - row["start"] < timedelta(hours=1) for row in grown.rows())
