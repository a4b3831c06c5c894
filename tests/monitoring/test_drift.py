"""The drift table tells devices apart that are over budget, drifted, sparse, new or well."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.monitoring.drift import EXPECTED_SHARES, DriftLimits, Watched, drift_table, stability_index
from batch_scoring.scoring.totals import scored_totals
from batch_scoring.tables.schemas import DAILY, DRIFT, PREDICTIONS, TIMESTAMP
from tests.factories import MINUTE_US, START, START_US

WINDOW_US = 5 * MINUTE_US
N = 2000
SPAN = (START_US, START_US + N * WINDOW_US)
NEW = START + timedelta(minutes=5 * N // 2)
LONG_AGO = START - timedelta(days=9)


def calm(n=N, seed=0):
    """Decades as calibration promises them."""
    return -np.log10(np.random.default_rng(seed).uniform(size=n))


def predictions(scores, version="1", threshold=-3.0, first=0):
    """Devices and the decades of their windows, one after the other."""
    parts = []
    for device, decades in scores.items():
        start = START_US + (first + np.arange(len(decades))) * WINDOW_US
        columns = {
            "device": [device] * len(decades),
            "sensor": ["s"] * len(decades),
            "window_start": start,
            "window_end": start + WINDOW_US,
            "score": -np.asarray(decades, float),
            "threshold": np.full(len(decades), threshold),
            "severity": np.zeros(len(decades)),
            "is_anomaly": -np.asarray(decades) < threshold,
            "model_version": [version] * len(decades),
        }
        schema = pa.schema([PREDICTIONS.field(name) for name in columns])
        table = pa.table({name: pa.array(column) for name, column in columns.items()}).cast(schema)
        parts.append(table.filter(pa.array(~np.isnan(np.asarray(decades, float)))))
    return pa.concat_tables(parts)


def models(trained_from):
    rows = {"device": list(trained_from), "trained_from": list(trained_from.values())}
    return pa.table(rows, schema=pa.schema([("device", pa.string()), ("trained_from", TIMESTAMP)]))


def drift(table, trained_from=None, version="1", states=True):
    known = trained_from or dict.fromkeys(table["device"].unique().to_pylist(), LONG_AGO)
    totals = scored_totals(table, lambda *_: states)
    found = drift_table([Watched("s", totals, models(known), version, states)], SPAN, DriftLimits())
    assert found.schema == DRIFT
    return {row["device"]: row for row in found.to_pylist()}


def test_windows_as_promised_are_well():
    row = drift(predictions({"a": calm()}))["a"]
    assert (row["status"], row["n_windows"], row["n_judged"], row["coverage"]) == ("ok", N, N, 1.0)
    assert row["psi"] < 0.02
    assert row["target_rate"] == pytest.approx(0.001)
    assert (row["range_start"], row["range_end"]) == (START, START + timedelta(minutes=5 * N))


def test_windows_rarer_than_promised_have_drifted():
    assert drift(predictions({"a": np.minimum(calm() + 0.7, 2.9)}))["a"]["status"] == "drifted"


def test_windows_less_rare_than_promised_are_no_drift():
    row = drift(predictions({"a": calm() / 3}))["a"]
    assert (row["status"], row["psi"]) == ("ok", 0.0)


def test_many_alarms_are_over_budget_and_one_long_one_is_not():
    often, once = calm(), np.minimum(calm(), 2.9)
    often[::100] = 4.0
    once[500:520] = 4.0
    found = drift(predictions({"often": often, "once": once}))
    assert (found["often"]["is_over_budget"], found["often"]["status"]) == (True, "over_budget")
    assert (found["once"]["flag_rate"], found["once"]["n_alarms"]) == (0.01, 1)
    assert found["once"]["is_over_budget"] is False


def test_coverage_counts_from_when_the_device_was_there():
    half = np.full(N, np.nan)
    half[N // 2 :] = 0.5
    table = predictions({"lost half": half, "new": half})
    found = drift(table, {"lost half": LONG_AGO, "new": NEW, "gone": LONG_AGO})
    assert (found["lost half"]["coverage"], found["lost half"]["status"]) == (0.5, "sparse")
    assert (found["new"]["coverage"], found["new"]["status"]) == (1.0, "ok")
    gone = found["gone"]
    assert (gone["n_windows"], gone["coverage"], gone["status"]) == (0, 0, "sparse")
    assert (gone["flag_rate"], gone["is_over_budget"]) == (None, None)


def test_a_device_without_a_model_has_a_row():
    assert drift(predictions({"a": calm(), "b": calm()}), {"a": LONG_AGO})["b"]["n_windows"] == N


def test_windows_of_an_earlier_version_say_nothing_of_this_one():
    early, late = predictions({"a": np.full(1950, 5.0)}), predictions({"a": calm(50)}, "2", first=1950)
    row = drift(pa.concat_tables([early, late]), version="2")["a"]
    assert (row["n_windows"], row["n_judged"], row["psi"]) == (N, 50, None)
    assert (row["status"], row["flag_rate"] < 0.1) == ("too_few_windows", True)


def test_scores_of_a_one_class_svm_promise_nothing():
    row = drift(predictions({"a": calm()}), states=False)["a"]
    assert (row["psi"], row["target_rate"], row["is_over_budget"]) == (None, None, None)
    assert row["flag_rate"] is not None


def test_days_that_were_counted_without_models_count_but_make_no_index():
    early, late = predictions({"a": calm(288)}), predictions({"a": calm(N - 288)}, first=288)
    totals = pa.concat_tables([scored_totals(early, lambda *_: False), scored_totals(late, lambda *_: True)])
    row = drift_table(
        [Watched("s", totals, models({"a": LONG_AGO}), "1", True)], SPAN, DriftLimits()
    ).to_pylist()[0]
    assert (row["n_judged"], row["status"], row["psi"] < 0.02) == (N, "ok", True)


def test_rows_may_come_in_any_order():
    table = predictions({"a": calm(), "b": calm(seed=1)})
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    assert drift(mixed) == drift(table)


def test_no_windows_and_no_models_are_no_rows():
    assert drift(predictions({"a": []}), {"b": LONG_AGO}).keys() == {"b"}
    nothing = Watched("s", DAILY.empty_table(), models({}), "1", True)
    assert drift_table([nothing], SPAN, DriftLimits()).num_rows == 0


def test_sensors_side_by_side_have_the_rows_of_each_alone():
    def watched(sensor, table, trained_from, version, states=True):
        totals = scored_totals(table, lambda *_: states)
        return Watched(sensor, totals, models(trained_from), version, states)

    half = predictions({"a": calm(N // 2), "b": np.minimum(calm(N // 2) + 0.7, 2.9)}, version="2")
    longer = predictions({"a": calm(seed=2)}).to_pylist()[: N // 2]
    for place, row in enumerate(longer):
        row["window_start"] = START + timedelta(minutes=10 * place)
        row["window_end"] = row["window_start"] + timedelta(minutes=10)
    some = [
        watched("r", half, {"b": LONG_AGO, "c": NEW}, "2"),
        watched("s", predictions({"a": calm()}), {"a": LONG_AGO}, "1", states=False),
        watched("t", pa.Table.from_pylist(longer, half.schema), {"a": None}, "1"),
        Watched("u", DAILY.empty_table(), models({"a": LONG_AGO}), "1", True),
    ]
    alone = [drift_table([one], SPAN, DriftLimits()) for one in some]
    assert drift_table(some, SPAN, DriftLimits()).equals(pa.concat_tables(alone))
    assert [row["coverage"] for rows in alone for row in rows.to_pylist()] == [0.5, 0.5, 0.0, 1.0, 1.0, 0.0]


def test_an_alarm_over_midnight_is_one():
    table = predictions({"a": [0.5] * 287 + [4.0, 4.0] + [0.5] * 287 + [4.0]})
    assert drift(table)["a"]["n_alarms"] == 2


@given(st.lists(st.integers(0, 500), min_size=5, max_size=5))
def test_the_index_is_finite_and_never_negative(counts):
    index = stability_index(np.array([counts]))[0]
    assert np.isfinite(index)
    assert index >= 0


def test_the_index_of_enough_shifted_windows_is_the_textbooks():
    found = np.array([0.6, 0.2, 0.1, 0.06, 0.04])
    textbook = ((found - EXPECTED_SHARES) * np.log(found / EXPECTED_SHARES)).sum()
    assert stability_index((found * 1e7).astype(int)[None])[0] == pytest.approx(textbook, rel=1e-4)
