"""A level that is usual at other times: the step to it and the step back are one incident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.incidents.joining import JoinRules
from tests.examples import few_examples
from tests.incidents.test_update import DAY_WINDOWS, Fleet, changed
from tests.predictions import WINDOW_US

pytestmark = pytest.mark.slow

RULES = JoinRules(tolerated_gap=1, cool_down_us=4 * WINDOW_US)
# The day before, on which nothing happened, in which the series is at the higher level from window 40 on.
USUAL = "." * 40 + "h" * 40
BEFORE = "." * 6


def spans(tmp_path, text, usual=USUAL):
    """(length, anomalous windows, shift) of the incidents of a day that follows a usual one."""
    fleet = Fleet(tmp_path, RULES)
    fleet.put({("s", "a"): dict(enumerate(usual.ljust(DAY_WINDOWS, ".") + text))})
    fleet.update()
    return [
        ((row["end"] - row["start"]).seconds // 300, row["n_windows"], row["shift"]) for row in fleet.rows()
    ]


def test_a_step_and_the_step_back_are_one_incident_with_the_level_between(tmp_path):
    assert spans(tmp_path, BEFORE + "H" + "h" * 9 + "1" + "." * 12) == [(11, 2, 5.0)]


def test_its_evidence_is_that_of_all_its_windows(tmp_path):
    fleet = Fleet(tmp_path, RULES)
    quiet = BEFORE + "H" + "." * 9 + "1" + "." * 12
    shift = BEFORE + "H" + "h" * 9 + "1" + "." * 12
    fleet.put(
        {
            ("s", name): dict(enumerate(USUAL.ljust(DAY_WINDOWS, ".") + text))
            for name, text in (("a", quiet), ("b", shift))
        }
    )
    fleet.update()
    one, last, both = fleet.rows()
    # Nine windows of no evidence count 0.3 each, and with each window since a tenth less.
    between = sum(0.3 * 0.9**n for n in range(1, 10))
    assert both["evidence"] == pytest.approx(one["evidence"] * 0.9**10 + between + last["evidence"])
    assert both["peak_severity"] == one["peak_severity"] == 5.0


def test_two_readings_with_the_usual_level_between_them_stay_two(tmp_path):
    text = BEFORE + "9" + "." * 9 + "9" + "." * 12
    assert spans(tmp_path, text) == [(1, 1, None), (1, 1, None)]


def test_a_level_that_does_not_come_back_is_no_pair(tmp_path):
    text = BEFORE + "H" + "h" * 9 + "H" + "h" * 12
    assert spans(tmp_path, text) == [(1, 1, None), (1, 1, None)]


def test_it_is_a_step_until_it_comes_back(tmp_path):
    fleet, text = Fleet(tmp_path, RULES), USUAL.ljust(DAY_WINDOWS, ".") + BEFORE + "H" + "h" * 9
    seen = []
    for more in ("", "1" + "." * 12):
        fleet.put({("s", "a"): dict(enumerate(text + more))})
        fleet.update()
        seen.append([(row["step"], row["shift"]) for row in fleet.rows()])
    assert seen == [[(5.0, None)], [(None, 5.0)]]


def test_a_level_that_is_usual_at_that_time_is_no_shift(tmp_path):
    text = "." * 39 + "1" + "h" * 40 + "1" + "." * 12
    assert spans(tmp_path, text) == [(1, 1, None), (1, 1, None)]


def test_a_machine_that_ran_at_other_times_the_day_before_is_not_off_by_more_than_its_values_range(tmp_path):
    usual = "h" * 7 + "." * 9 + "h" * 13
    assert spans(tmp_path, BEFORE + "H" + "h" * 9 + "1" + "." * 12, usual) == [(1, 1, None), (1, 1, None)]


def test_the_week_before_counts_more_than_the_day_before(tmp_path):
    """A machine that works on Mondays is not off its level because it stood still on Sunday."""
    week = USUAL.ljust(DAY_WINDOWS, ".") + "." * 6 * DAY_WINDOWS
    text = "." * 39 + "1" + "h" * 40 + "1" + "." * 12
    assert spans(tmp_path, text, week) == [(1, 1, None), (1, 1, None)]


def test_a_series_without_a_day_before_is_not_judged(tmp_path):
    fleet = Fleet(tmp_path, RULES)
    fleet.put({("s", "a"): dict(enumerate(BEFORE + "H" + "h" * 9 + "1" + "." * 12))})
    fleet.update()
    assert [row["shift"] for row in fleet.rows()] == [None, None]


PIECE = st.dictionaries(
    st.tuples(st.just("s"), st.sampled_from("ab")),
    st.tuples(
        st.integers(DAY_WINDOWS, DAY_WINDOWS + 25),
        st.text(st.sampled_from("...hhhH1x"), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=2,
)


@few_examples
@given(st.lists(PIECE, min_size=1, max_size=5), st.booleans())
def test_shifts_do_not_depend_on_how_predictions_came(tmp_path_factory, pieces, begins_with_one):
    folder = tmp_path_factory.mktemp("fleet")
    shift = BEFORE + "H" + "h" * 9 + "1" + "." * 12 if begins_with_one else ""
    windows = {("s", name): dict(enumerate("." * (DAY_WINDOWS + 6) + shift[6:])) for name in "ab"}
    grown, anew = Fleet(folder / "grown", RULES), Fleet(folder / "anew", RULES)
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


def test_what_comes_hour_by_hour_ends_in_the_same_shift(tmp_path):
    text = USUAL.ljust(DAY_WINDOWS, ".") + BEFORE + "H" + "h" * 9 + "1" + "." * 12
    grown, anew = Fleet(tmp_path / "grown", RULES), Fleet(tmp_path / "anew", RULES)
    for end in range(DAY_WINDOWS, len(text) + 1, 3):
        grown.put({("s", "a"): dict(enumerate(text[:end]))})
        grown.update()
    grown.put({("s", "a"): dict(enumerate(text))})
    grown.update()
    anew.put({("s", "a"): dict(enumerate(text))})
    anew.update()
    assert grown.rows() == anew.rows()
    assert [row["shift"] for row in grown.rows()] == [5.0]
