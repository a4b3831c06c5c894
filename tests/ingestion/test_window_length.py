"""Where no setting says how long windows are, the readings do, once."""

from datetime import timedelta

import pytest

from batch_scoring.ingestion.window_length import with_stored_length, with_suitable_length
from batch_scoring.storage.row_table import Change
from batch_scoring.windows.features import aggregate_readings
from batch_scoring.windows.settings import AggregateParameters
from tests.factories import MINUTE_US, make_readings
from tests.row_tables import add, table_at

DAY = 1440


def chosen(folder, every: float, days: float, **settings) -> float | None:
    """Minutes of the windows that are chosen for a reading every so many minutes."""
    n = int(days * DAY / every)
    add(folder, make_readings([i * every for i in range(n)], [0.0] * n), by_month=True)
    window = with_suitable_length(AggregateParameters(**settings), table_at(folder)).window
    return window and window.total_seconds() / 60


@pytest.mark.parametrize(
    ("every", "days", "minutes"),
    [
        (1, 7, 5),  # as usual: several readings a window
        (3, 7, 5),  # one or two readings: still as usual
        (5, 7, 30),
        (10, 30, 60),
        (60, 60, 360),
        (180, 60, 360),  # no longer than a quarter of a day, with two readings
        (DAY, 730, 5),
        (60, 15, 180),  # windows of five readings would be too few for a model
        (60, 5, 5),  # windows of two would, too
        (1, 1 / 24, 5),  # never shorter than usual
    ],
)
def test_windows_are_as_long_as_suits_readings_that_are_rare(tmp_path, every, days, minutes):
    assert chosen(tmp_path, every, days) == minutes


def test_a_setting_has_the_last_word(tmp_path):
    assert chosen(tmp_path, 60, 60, window=timedelta(minutes=10)) == 10


def test_nothing_is_chosen_without_readings(tmp_path):
    assert with_suitable_length(AggregateParameters(), table_at(tmp_path)).window is None


def test_a_single_reading_leaves_the_usual_length(tmp_path):
    assert chosen(tmp_path, DAY, 1) == 5


def test_a_short_history_of_many_readings_is_told_a_length_that_gives_a_model(tmp_path, caplog):
    assert chosen(tmp_path, 1 / 60, 2.5 / 24) == 5
    assert [one.args[-1] for one in caplog.records if one.levelname == "WARNING"] == ["1m"]


def test_windows_that_are_stored_keep_their_length(tmp_path):
    windows = aggregate_readings(make_readings([0, 10, 20], [1.0, 2.0, 3.0]), 20 * MINUTE_US)
    table = table_at(tmp_path, "window_start").commit(Change(windows.schema, [[windows]]))
    assert with_stored_length(AggregateParameters(), table).window == timedelta(minutes=20)
    hour = AggregateParameters(window=timedelta(hours=1))
    assert with_stored_length(hour, table) == hour
    assert (
        with_stored_length(AggregateParameters(), table_at(tmp_path / "none", "window_start")).window is None
    )
