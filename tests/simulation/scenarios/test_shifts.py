from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.simulation.scenarios.shifts import EVERY_DAY, Shift, local_hour_of_week, shift_load

WEEK = np.arange(0, 168, 1 / 60)


def test_clocks_that_change_leave_an_hour_out_in_spring_and_repeat_one_in_autumn():
    spring = local_hour_of_week(datetime(2026, 3, 29, tzinfo=UTC), 4, 0.5, "Europe/Berlin")
    autumn = local_hour_of_week(datetime(2026, 10, 25, tzinfo=UTC), 4, 0.5, "Europe/Berlin")
    assert (spring % 24).tolist() == [1, 1.5, 3, 3.5]
    assert (autumn % 24).tolist() == [2, 2.5, 2, 2.5]


def test_a_week_begins_on_monday():
    assert local_hour_of_week(datetime(2026, 3, 29, 22, tzinfo=UTC), 1, 1.0, "Europe/Berlin") == 0


def test_a_shift_works_on_its_days_with_a_pause_in_its_middle():
    load = Shift(6, 14).load(WEEK).reshape(7, 1440)
    assert load[5:].max() == 0
    assert load[:5].sum(axis=1).tolist() == [7.5 * 60 + 0.3 * 29 + 1] * 5
    assert np.flatnonzero(load[0] == 0.3).min() == 9 * 60 + 46


def test_a_shift_of_sunday_night_ends_on_monday():
    load = Shift(22, 30, days=(6,), pause_hours=0).load(WEEK)
    assert np.flatnonzero(load).min() == 0
    assert load[: 6 * 60].all() and not load[6 * 60 : 166 * 60].any() and load[166 * 60 :].all()


@given(st.floats(0, 23), st.floats(1, 12), st.sampled_from([0, 0.5]))
def test_ramps_move_no_work_and_stay_within_full_load(begins, length, pause):
    shift = Shift(begins, begins + length, EVERY_DAY, pause)
    ramped = shift_load([shift], WEEK, 1 / 60)
    assert ramped.min() >= 0 and ramped.max() <= 1 + 1e-12
    assert ramped.sum() == pytest.approx(shift.load(WEEK).sum(), abs=25)
