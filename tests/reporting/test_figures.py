import json

import pytest

from batch_scoring.reporting import figures
from tests.reporting.fleet_factory import (
    Fleet,
    gather,
    make_fleet,
    prediction_partitions,
    prediction_rows,
    status_rows,
)

HOSTILE = "<b>x</b>"


@pytest.fixture(scope="module")
def contents():
    return gather(make_fleet(6, 2, names=[HOSTILE]))


def test_the_heat_map_has_the_worst_device_on_top_and_times_across(contents):
    heat = figures.draw_heat_map(contents.view).data[0]

    assert len(heat.y) == 6
    assert len(heat.z) == 6
    assert len(heat.z[0]) == len(heat.x)
    assert heat.x[0].startswith("2026-01-05T00:00")


def test_the_share_of_a_cell_is_anomalous_windows_by_windows():
    rows = prediction_rows("a", values=[1] * 12, anomalies=[0, 6, 7, 8])
    heat = figures.draw_heat_map(gather(Fleet(predictions=prediction_partitions(rows))).view).data[0]

    assert heat.z[0] == pytest.approx([1 / 6, 0.5], rel=1e-5)


def test_ids_are_shown_as_they_are_and_not_as_markup(contents):
    assert "&lt;b&gt;x&lt;/b&gt;" in figures.draw_heat_map(contents.view).data[0].y


def test_the_bars_of_the_worst_devices_add_up_to_the_anomalies(contents):
    bars = figures.draw_worst_devices(contents.view).data

    assert sum(sum(bar.x) for bar in bars) == contents.view.anomalies.num_rows


def test_the_worst_series_shows_its_anomalies_at_their_values(contents):
    value, anomalies, score, threshold = figures.draw_worst_series(contents).data

    assert len(value.x) == len(score.y) == len(threshold.y) == 576
    assert set(anomalies.x) <= set(value.x)
    assert len(anomalies.x) == contents.view.series["n_anomalies"][0].as_py()


def test_statuses_are_counted_by_stage(contents):
    train, score = figures.draw_status_counts(contents.statuses).data

    assert (train.name, list(train.x), list(train.y)) == ("train", ["ok"], [24])
    assert (score.name, list(score.y)) == ("score", [24])


def test_figures_of_nothing_say_so():
    empty = gather(Fleet())

    assert figures.draw_heat_map(empty.view).layout.title.text == "Nothing has been scored yet"
    assert figures.draw_worst_devices(empty.view).layout.title.text == "No anomalies"
    assert figures.draw_worst_series(empty).layout.title.text == "Nothing has been scored yet"
    assert figures.draw_status_counts(status_rows()).layout.title.text == "No status yet"


def test_figures_are_plain_json_that_any_plotly_reads(contents):
    text = figures.draw_worst_series(contents).to_json()

    assert "bdata" not in text
    assert json.loads(text)["data"]
