"""Every registered detector, and the one of the how-to, keeps the contract of the protocol."""

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.detection.detectors.base import FitParameters, FittedModel, Series
from batch_scoring.detection.model import FleetInfo, FleetModel
from batch_scoring.detection.score import predict
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.schemas import MODEL_KEYS
from batch_scoring.training.settings import TrainParameters
from tests.detection.detectors.robust_z_alone import robust_z
from tests.detection.detectors.test_preprocessing import FEATURES, windows_of
from tests.detection.test_fit_version import HOUR_US, a_fleet
from tests.factories import fit_fleet, make_windows
from tests.fleet_models import in_file

WINDOWS = a_fleet()
DEVICES = ["broken", "constant", "counter", "daily", "plain", "switched"]
RATE = 0.01


@pytest.fixture(scope="module", params=[*DETECTORS, "robust_z"])
def detector(request, tmp_path_factory):
    """Each detector, and that of the how-to, registered."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param not in DETECTORS:
            patch.setitem(DETECTORS, request.param, robust_z(tmp_path_factory.mktemp("detectors")))
        yield DETECTORS[request.param]


@pytest.fixture(scope="module")
def model(detector):
    model, status = fit_fleet(WINDOWS, FEATURES, FitParameters(detector=detector.name, false_alarm_rate=RATE))
    assert set(status["status"].to_pylist()) <= {"ok", "constant"}
    return model


def unseen(n=40, devices=DEVICES):
    X = windows_of(np.random.default_rng(7).normal(scale=3, size=(n * len(devices), 12)))
    return make_windows(X, list(np.repeat(devices, n)), features=list(FEATURES), window_us=HOUR_US)


def scores(windows, model):
    return predict(windows, model, "1")


def test_the_names_are_the_keys():
    assert {name: one.name for name, one in DETECTORS.items()} == {name: name for name in DETECTORS}


def test_a_row_has_what_every_models_row_has(detector, model):
    assert [detector.schema.field(name) for name in MODEL_KEYS.names] == list(MODEL_KEYS)
    assert model.table.schema.remove_metadata() == detector.schema
    assert model.devices.to_pylist() == DEVICES
    assert model.table.select(["n_train"]).to_pydict()["n_train"] == [240] * len(DEVICES)


def test_the_fit_gives_all_columns_but_the_keys(detector):
    mine = WINDOWS.slice(0, 240)
    X = np.column_stack([to_numpy(mine[name]) for name in FEATURES])
    series = Series(X, to_numpy(mine["window_start"]), HOUR_US, FEATURES)
    fitted = detector.fit(series, FitParameters(detector=detector.name, false_alarm_rate=RATE))
    assert isinstance(fitted, FittedModel)
    assert fitted.columns.keys() == {*detector.schema.names} - {*MODEL_KEYS.names}
    assert 0 <= fitted.train_flag_rate <= 0.2


def test_stored_and_read_again_the_models_score_the_same(model):
    stored = in_file(model).read()
    assert stored.info == model.info
    assert scores(unseen(), stored).equals(scores(unseen(), model))


def test_a_list_of_another_length_is_found_by_device(detector, model):
    for name in detector.list_sizes(model.rows):
        column = model.table[name].to_pylist()
        column[1] = [*column[1], 0.0]
        place = model.table.schema.get_field_index(name)
        field = model.table.schema.field(name)
        broken = model.table.set_column(place, field, pa.array(column, field.type))
        with pytest.raises(InputError, match=rf"{name} of device '{DEVICES[1]}'"):
            FleetModel.build(broken, model.info)


def test_a_score_does_not_depend_on_company(model):
    windows = unseen()
    together = scores(windows, model)
    alone = [
        scores(windows.slice(row, 1), model.select([d]))
        for row in range(0, 160, 7)
        for d in [DEVICES[row // 40]]
    ]
    assert pa.concat_tables(alone).equals(together.take(list(range(0, 160, 7))))
    order = np.random.default_rng(1).permutation(160)
    assert scores(windows.take(order), model).equals(together.take(order))


def test_no_windows_have_no_scores(model):
    assert scores(unseen().slice(0, 0), model).num_rows == 0


def test_only_models_that_need_the_time_of_day_score_by_it(detector, model):
    shift = 12 * HOUR_US
    later = unseen()
    for name in ("window_start", "window_end"):
        moved = pa.array(to_numpy(later[name]) + shift).cast(later.schema.field(name).type)
        later = later.set_column(later.schema.get_field_index(name), name, moved)
    columns = ["score", "threshold", "severity"]
    ours, theirs = (scores(some, model).select(columns) for some in (unseen(), later))
    assert ours.equals(theirs) != detector.needs_time_of_day(model.rows)
    plain = model.select(["plain"])
    assert not detector.needs_time_of_day(plain.rows)


def test_scores_are_finite_severity_starts_at_the_threshold_and_contributions_are_of_anomalies(model):
    found = scores(pa.concat_tables([unseen(), WINDOWS]), model)
    score, severity = (to_numpy(found[name]) for name in ("score", "severity"))
    flagged = to_numpy(found["is_anomaly"])
    assert 0 < flagged.sum() < flagged.size
    assert np.isfinite(score).all()
    assert (severity[~flagged] == 0).all()
    assert (severity[flagged] > 0).all()
    assert set(found["top_feature"].to_pylist()) <= set(FEATURES)
    lengths = np.array([len(one) for one in found["contributions"].to_pylist()])
    assert (lengths[~flagged] == 0).all()
    assert set(lengths[flagged].tolist()) <= {0, len(FEATURES)}


def test_a_stated_tail_probability_is_the_rate_it_was_calibrated_for(detector, model):
    stated = 10.0 ** to_numpy(model.table["threshold"])
    assert np.allclose(stated, RATE, rtol=1e-12) == detector.states_tail_probability


def test_settings_it_cannot_fit_with_are_named():
    with pytest.raises(InputError, match=r"train\.fit\.threshold: 'native'"):
        TrainParameters(fit=FitParameters(threshold="native"))
    with pytest.raises(InputError, match=r"train\.fit\.false_alarm_rate: 0\.0"):
        TrainParameters(fit=FitParameters(false_alarm_rate=0.0))
    native = FitParameters(detector="one_class_svm", threshold="native", false_alarm_rate=0.0)
    assert TrainParameters(fit=native).fit.rate == 0.0


def test_an_unknown_detector_is_answered_with_the_one_that_looks_like_it():
    with pytest.raises(InputError, match=r"train\.fit\.detector 'combind'.*'combined'"):
        TrainParameters(fit=FitParameters(detector="combind"))
    with pytest.raises(InputError, match=r"detector 'one_class'.*'one_class_svm'"):
        FleetInfo("s", FEATURES, 300.0, {}, detector="one_class")
