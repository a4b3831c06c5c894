"""Each day's windows are scored with a curve that has learned from the days before, and only from those."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import ConflictError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.model import FleetModel
from batch_scoring.detection.score import predict
from batch_scoring.registry.published import publish
from batch_scoring.scoring import recalibration
from batch_scoring.scoring.lessons import Learners
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.arrow_arrays import as_matrix, to_numpy
from batch_scoring.tables.schemas import CALENDAR, CALIBRATIONS, FEEDBACK, TIMESTAMP
from batch_scoring.tables.schemas import DEVICES as DEVICES_TABLE
from tests.factories import START, fit_fleet
from tests.scoring.test_concurrent_runs import begun_together
from tests.scoring.work import PER_DAY, WINDOW, Key, Work, at, windows_of

pytestmark = pytest.mark.slow

TRAINED, DAYS = 10, 16  # days
DEVICES, RATE = "ab", 0.02
N_TRAIN = TRAINED * PER_DAY
NEW = range(N_TRAIN, DAYS * PER_DAY)


def steps(seed: int, scale: float = 1.0, n: int = DAYS * PER_DAY) -> Any:
    return np.random.default_rng(seed).normal(size=(n, 2)) * scale


def life(scale: float = 1.6) -> dict[Key, Any]:
    """Two devices whose windows scatter more once training is over."""
    return {
        ("s", device, step): row * (scale if step in NEW else 1.0)
        for seed, device in enumerate(DEVICES)
        for step, row in enumerate(steps(seed))
    }


@cache
def trained() -> FleetModel:
    windows = windows_of({key: value for key, value in life().items() if key[2] not in NEW})
    model, _ = fit_fleet(windows, ["mean", "f1"], FitParameters(false_alarm_rate=RATE))
    assert model is not None
    return model


def workspace(folder: Any, windows: Mapping[Key, Any] | None = None, version: str = "1") -> Work:
    """Windows and their models; nothing is scored yet."""
    work = Work(folder)
    work.put(life() if windows is None else windows)
    publish_models(work, version)
    return work


def publish_models(work: Work, version: str) -> None:
    publish(work.folder / "models", trained(), version, "run", f"f{version}")


def calibrations(work: Work) -> list[dict[str, Any]]:
    return work.calibrations.rows("day", "sensor", "device", "model_version")


def n_flagged(work: Work, devices: str, days: int) -> int:
    """Number of anomalous windows on the last days."""
    rows, last = work.rows(), range(NEW.stop - days * PER_DAY, NEW.stop)
    return sum(rows["s", device, step]["is_anomaly"] for device in devices for step in last)


def learned(work: Work, day: int, device: str = "a") -> int:
    rows = [r for r in calibrations(work) if ((r["day"] - START).days, r["device"]) == (day, device)]
    assert len(rows) == 1
    return int(rows[0]["n_windows"])


def test_a_run_for_all_days_ends_in_the_rows_of_a_run_every_few_hours(tmp_path):
    hourly, at_once = workspace(tmp_path / "hourly"), workspace(tmp_path / "once")
    for step in (*range(N_TRAIN - 2, N_TRAIN + 2 * PER_DAY + 1, 3), NEW.stop):
        hourly.score(at=at(step))
    at_once.score()
    assert hourly.rows() == at_once.rows()
    assert calibrations(hourly) == calibrations(at_once)


def test_windows_of_the_training_have_the_models_own_curve_and_later_ones_that_of_their_day(tmp_path):
    work = workspace(tmp_path)
    work.score()
    for (_, _, step), row in work.rows().items():
        is_first = step < N_TRAIN + PER_DAY  # nothing was scored before that day
        assert row["calibrated"] == (None if is_first else START + timedelta(days=step // PER_DAY))
    assert [learned(work, day) for day in range(TRAINED, DAYS)] == [
        n * PER_DAY for n in range(DAYS - TRAINED)
    ]


def test_each_prediction_can_be_made_again_from_its_model_and_calibration(tmp_path):
    work = workspace(tmp_path)
    work.score()
    stored = {(row["day"], row["device"]): row["curve"] for row in calibrations(work)}
    for key, row in work.rows().items():
        model = trained()
        if row["calibrated"] is not None:
            model = model.select([key[1]])
            curve = np.array([stored[row["calibrated"], key[1]]])
            model = model.with_curves(curve, pa.array([row["calibrated"]], TIMESTAMP))
        again = predict(windows_of({key: life()[key]}), model, "1").to_pylist()
        assert again == [row]


def test_devices_that_scatter_more_are_flagged_less_than_with_the_curves_of_training(tmp_path):
    daily, never = workspace(tmp_path / "daily"), workspace(tmp_path / "never")
    daily.score()
    never.score(recalibrate="never")
    flagged = [n_flagged(work, "ab", 3) for work in (daily, never)]
    assert flagged[0] < 0.7 * flagged[1]


def test_never_is_scored_by_the_models_alone_and_stores_no_calibration(tmp_path):
    work = workspace(tmp_path)
    work.score(recalibrate="never")
    assert not work.calibrations.load().exists
    expected = predict(windows_of(life()), trained(), "1").to_pylist()
    rows = work.rows()
    assert [rows["s", r["device"], (r["window_start"] - START) // WINDOW] for r in expected] == expected
    assert {row["calibrated"] for row in expected} == {None}


def test_scored_again_a_window_has_the_same_score(tmp_path):
    work = workspace(tmp_path)
    work.score()
    before, curves = work.rows(), calibrations(work)
    work.score(rescore=True)
    work.score(rescore=True, **{"from": at(N_TRAIN + 10), "to": at(N_TRAIN + 20)})
    assert (work.rows(), calibrations(work)) == (before, curves)


def test_a_late_window_has_the_curve_of_its_own_day_and_changes_no_other_score(tmp_path):
    late = ("s", "a", N_TRAIN + 2 * PER_DAY + 3)
    whole = workspace(tmp_path / "whole")
    whole.score()
    work = workspace(tmp_path / "late", {key: value for key, value in life().items() if key != late})
    work.score()
    before, curves = work.rows(), calibrations(work)
    work.put({late: life()[late]})
    work.score()
    after = work.rows()
    assert after.pop(late) == whole.rows()[late]
    assert (after, calibrations(work)) == (before, curves)


def test_a_device_that_comes_back_late_in_the_day_gets_its_curve_then(tmp_path):
    until = N_TRAIN + 3 * PER_DAY
    windows = {key: value for key, value in life().items() if key[2] < until + 4}
    late = {key for key in windows if key[1] == "b" and key[2] >= until}
    work = workspace(tmp_path, {key: value for key, value in windows.items() if key not in late})
    work.score()
    assert [row["device"] for row in calibrations(work)][-1] == "a"
    work.put({key: windows[key] for key in late})
    work.score()
    assert learned(work, TRAINED + 3, "b") == 3 * PER_DAY


def test_another_version_learns_from_its_own_predictions(tmp_path):
    work = workspace(tmp_path, {key: value for key, value in life(0.5).items() if key[2] < NEW.stop - 8})
    work.score()
    publish_models(work, "2")
    work.put(life(0.5))
    work.score()
    rows = {(row["model_version"], row["day"]): row["n_windows"] for row in calibrations(work)}
    last = START + timedelta(days=DAYS - 1)
    assert rows["1", last - timedelta(days=1)] == (DAYS - 2 - TRAINED) * PER_DAY
    assert rows["2", last - timedelta(days=1)] == 0
    assert rows["2", last] == 2


# --- What is not learned ---


def interval(first: int, stop: int) -> tuple[Any, Any]:
    return START + first * WINDOW, START + stop * WINDOW


def test_what_a_person_confirmed_is_not_learned(tmp_path):
    first = N_TRAIN + PER_DAY
    start, end = interval(first, first + 9)
    rows = [("a", "s", start, end, "true_event", None), ("b", "s", start, end, "false_alarm", None)]
    columns = zip(*rows, strict=True)
    work = workspace(tmp_path, life(0.5))
    work.feedback = pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, FEEDBACK, strict=True)], FEEDBACK.names
    )
    work.score()
    n = (DAYS - 1 - TRAINED) * PER_DAY
    assert (learned(work, DAYS - 1, "a"), learned(work, DAYS - 1, "b")) == (n - 9, n)


def test_what_a_machine_does_while_it_is_off_is_not_learned(tmp_path):
    off = range(N_TRAIN, N_TRAIN + PER_DAY)
    power = {("t", "a", step): np.zeros(2) for step in off}
    work = workspace(tmp_path, life() | power)
    work.rules = [{"sensor": "s", "off_when": {"sensor": "t", "below": 0.5}}]
    work.score()
    assert {row["rule"] for key, row in work.rows().items() if key[:2] == ("s", "a") and key[2] in off} == {
        "off"
    }
    day = TRAINED + 3
    assert learned(work, day, "a") == learned(work, day, "b") - PER_DAY == 2 * PER_DAY


@pytest.mark.parametrize("renamed_at", [N_TRAIN + 9, N_TRAIN + 2 * PER_DAY])
def test_a_new_id_of_a_machine_learns_as_the_former_one_would_have(tmp_path, renamed_at):
    """It has the model of the former id, and goes on with the windows of both."""
    one, both = (
        workspace(tmp_path / "one"),
        workspace(
            tmp_path / "both",
            {(s, "c" if (d, n >= renamed_at) == ("b", True) else d, n): v for (s, d, n), v in life().items()},
        ),
    )
    both.devices = pa.Table.from_pylist([{"id": "c", "replaces": "b"}], DEVICES_TABLE)
    one.score()
    for step in (*range(N_TRAIN, NEW.stop, 4), NEW.stop):
        both.score(at=at(step))
    expected, found = one.rows(), both.rows()
    for step in range(renamed_at, NEW.stop):
        former, new = expected["s", "b", step], found["s", "c", step]
        assert new["calibrated"] == former["calibrated"]
        assert new["score"] == former["score"]
    assert learned(both, DAYS - 1, "c") == learned(one, DAYS - 1, "b")


def test_what_the_calendar_leaves_out_is_not_learned(tmp_path):
    start, end = interval(N_TRAIN + 7, N_TRAIN + 12)
    work = workspace(tmp_path, life(0.5))
    row = [[one] for one in ("a", "*", start, end, None, None, None)]
    work.calendar = pa.table(
        [pa.array(c, f.type) for c, f in zip(row, CALENDAR, strict=True)], CALENDAR.names
    )
    work.score()
    n = (DAYS - 1 - TRAINED) * PER_DAY
    assert (learned(work, DAYS - 1, "a"), learned(work, DAYS - 1, "b")) == (n - 5, n)


@pytest.mark.parametrize("normal_every", [99, 3])
def test_a_fault_that_lasts_does_not_become_normal(tmp_path, normal_every, monkeypatch):
    """Whether all its windows are anomalous or most: only as many are learned as the budget allows."""
    first = N_TRAIN + 2 * PER_DAY
    faulty = {
        key: value + 7.0 * (key[1] == "a" and key[2] >= first and (key[2] - first) % normal_every != 1)
        for key, value in life(0.5).items()
    }
    work, never = workspace(tmp_path / "daily", faulty), workspace(tmp_path / "never", faulty)
    work.score()
    never.score(recalibrate="never")
    assert n_flagged(work, "a", 2) == n_flagged(never, "a", 2) > 0
    assert learned(work, DAYS - 1) == 2 * PER_DAY + int(np.ceil(RATE * N_TRAIN))

    # Without the cap it is learned.
    plain = recalibration.Learners
    monkeypatch.setattr(
        recalibration, "Learners", lambda keys, first, n, n_incident: plain(keys, first, n, n_incident + 999)
    )
    careless = workspace(tmp_path / "careless", faulty)
    careless.score()
    assert n_flagged(careless, "a", 2) < n_flagged(work, "a", 2)


# --- Runs that are killed, at once, or every hour ---


def test_a_run_killed_between_calibrations_and_predictions_is_repeated_with_the_same_ones(
    tmp_path, monkeypatch
):
    whole, work = workspace(tmp_path / "whole"), workspace(tmp_path / "killed")
    whole.score()
    with monkeypatch.context() as patched:
        plain = RowTable.commit

        def killed(table: RowTable, change: Any) -> RowTable:
            if change.schema is CALIBRATIONS:
                plain(table, change)
                raise KeyboardInterrupt
            return plain(table, change)

        patched.setattr(RowTable, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            work.score()
    assert not work.predictions.load().num_rows
    stored = work.calibrations.load().version
    assert calibrations(work) == calibrations(whole)
    work.score()
    assert work.rows() == whole.rows()
    assert work.calibrations.load().version == stored


def test_two_runs_at_once_end_in_one_calibration_a_series_and_day(tmp_path):
    whole, work = workspace(tmp_path / "whole"), workspace(tmp_path / "both")
    whole.score()
    gate = threading.Barrier(2)

    def run(_: int) -> None:
        own = Work(work.folder)
        try:
            predictions, _, _ = next(iter(own.chunks()))
            own.predictions.save(begun_together(predictions, gate))
        finally:
            gate.abort()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [None, None]
    assert calibrations(work) == calibrations(whole)
    assert work.rows() == whole.rows()


def test_calibrations_that_another_run_has_stored_meanwhile_count(tmp_path):
    work = workspace(tmp_path)
    work.score(at=at(N_TRAIN + 2))
    stale = work.calibrations.load()
    assert stale.exists
    work.score()
    with pytest.raises(ConflictError):
        stale.commit(Change(CALIBRATIONS, [[one_curve()]], guard=recalibration.CURVES))


def one_curve() -> pa.Table:
    row = [START, "a", "s", "9", 0, [0.0] * 5]
    return pa.table(
        [pa.array([one], f.type) for one, f in zip(row, CALIBRATIONS, strict=True)], schema=CALIBRATIONS
    )


def test_once_a_day_has_begun_an_hour_reads_no_earlier_prediction(tmp_path, monkeypatch):
    until = NEW.stop - PER_DAY
    work = workspace(tmp_path)
    work.score(at=at(until + 1))
    opened: list[DataFile] = []
    plain = RowTable.open

    def noted(table: RowTable, file: DataFile, *more: Any) -> Any:
        opened.append(file)
        return plain(table, file, *more)

    monkeypatch.setattr(RowTable, "open", noted)
    work.score(at=at(until + 2))
    assert {file.day for file in opened if file.day} == {(START + timedelta(days=DAYS - 1)).date()}


def test_models_of_a_range_of_devices_look_at_their_own_curves_alone(monkeypatch):
    model, n = trained(), 1_000
    devices = [*DEVICES, *(f"c{number:04}" for number in range(n))]
    curve = as_matrix(model.table["curve"])[0]
    rows = pa.Table.from_pylist(
        [
            {"day": START, "device": device, "sensor": "s", "model_version": "1", "n_windows": 9}
            | {"curve": (curve + place).tolist()}
            for place, device in enumerate(devices)
        ],
        schema=CALIBRATIONS,
    )
    looked_at: list[int] = []
    plain = recalibration.positions

    def noted(texts: Any, among: Any) -> Any:
        looked_at.append(len(texts))
        return plain(texts, among)

    monkeypatch.setattr(recalibration, "positions", noted)
    found = recalibration.DayCurves(rows).of("s", "1", FleetModel(model.table.slice(1), model.info))
    assert as_matrix(found.table["curve"]).tolist() == [(curve + 1).tolist()]
    assert looked_at
    assert max(looked_at) == 1


def long_life() -> dict[Key, Any]:
    """Windows of three times as many days as the training."""
    return {
        ("s", device, step): row
        for seed, device in enumerate(DEVICES)
        for step, row in enumerate(steps(seed, n=3 * TRAINED * PER_DAY))
    }


def test_of_a_run_over_many_days_each_looks_at_no_more_than_it_may_learn_from(tmp_path, monkeypatch):
    looked: list[tuple[int, int]] = []
    plain = Learners.numbered

    def noted(learners: Learners, rows: pa.Table, before: int) -> pa.Table:
        looked.append((before, int(to_numpy(rows["window_start"]).min())))
        return plain(learners, rows, before)

    monkeypatch.setattr(Learners, "numbered", noted)
    work = workspace(tmp_path, long_life())
    work.score()
    assert learned(work, 3 * TRAINED - 1) == N_TRAIN
    longest = max(before - first for before, first in looked)
    assert longest == timedelta(days=TRAINED) // timedelta(microseconds=1)


def test_what_a_day_begins_with_is_no_longer_than_the_training(tmp_path, monkeypatch):
    days, windows = 3 * TRAINED, long_life()
    work = workspace(tmp_path, windows)
    work.score(at=at((days - 1) * PER_DAY))
    opened: list[DataFile] = []
    plain = RowTable.open

    def noted(table: RowTable, file: DataFile, *more: Any) -> Any:
        opened.append(file)
        return plain(table, file, *more)

    monkeypatch.setattr(RowTable, "open", noted)
    work.score()
    first = min(file.day for file in opened if file.day)
    assert first == (START + timedelta(days=days - 1 - TRAINED)).date()
    assert learned(work, days - 1) == N_TRAIN


def test_without_the_stored_calibrations_scoring_goes_on(tmp_path):
    work = workspace(tmp_path)
    work.score(at=at(NEW.stop - PER_DAY))
    shutil.rmtree(tmp_path / "calibrations")
    work.score()
    assert [(row["day"] - START).days for row in calibrations(work)] == [DAYS - 1] * 2


def test_devices_apart_are_calibrated_as_together(tmp_path):
    together, apart = workspace(tmp_path / "together"), workspace(tmp_path / "apart")
    together.score()
    for shard in ("1/3", "2/3", "3/3"):
        apart.score(sensor="s", shard=shard)
    assert apart.rows() == together.rows()
    assert calibrations(apart) == calibrations(together)
    assert as_matrix(apart.calibrations.load().read()["curve"]).shape[1] == 5
