"""Of the windows that a page does not draw one by one, no more is kept than it tells."""

from __future__ import annotations

from datetime import timedelta

from tests.reporting.fleet_factory import START, fleet_of, gather, prediction_rows


def test_of_series_that_are_anomalous_for_long_only_the_peaks_are_kept():
    long = [1.0] * 60
    found = gather(
        fleet_of(
            prediction_rows("a", "power", long, range(60)),
            prediction_rows("b", "power", long, range(60), start=START + timedelta(hours=1)),
        )
    )
    peaks = found.incidents.sensors.select(["device", "peak_at"]).to_pylist()
    kept = found.details.anomalies.select(["device", "window_start"]).to_pylist()
    assert {row["device"] for row in peaks} == {"a", "b"}
    assert len({row["peak_at"] for row in peaks}) == 2
    assert sorted(tuple(row.values()) for row in kept) == sorted(tuple(row.values()) for row in peaks)
    assert all(found.details.peaks)
