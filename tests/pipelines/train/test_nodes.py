"""Training takes the right windows, leaves alone what has not changed, and names every device."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.model_file import FleetFile
from batch_scoring.operations.annotations import Annotations
from batch_scoring.pipelines.train.nodes import train_models
from batch_scoring.pipelines.train.pipeline import create_pipeline
from batch_scoring.storage.row_table import Look
from batch_scoring.tables.schemas import FEEDBACK, QUARANTINE
from tests.factories import DAY_US, START, START_US, make_windows
from tests.fleet_models import in_file
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow


@dataclass
class Version:
    models: FleetFile
    fingerprint: str
    version: str = "1"
    is_champion: bool = True
    decided: dict = field(default_factory=dict)


class Workspace:
    """Windows of two sensors, 288 a day and device, and the models in force."""

    def __init__(self, folder, devices=("a", "b"), days=2):
        self.windows = TableOnDisk(folder / "windows", "window_start")
        self.status, self.quarantine = (TableOnDisk(folder / name) for name in ("status", "quarantine"))
        self.models = {}
        self.refused = []
        self.feedback = FEEDBACK.empty_table()
        rng = np.random.default_rng(0)
        for sensor in ("s", "t"):
            for day in range(days):
                X = rng.normal(size=(288 * len(devices), 2))
                names = [d for d in devices for _ in range(288)]
                self.windows.add(make_windows(X, names, sensor, start_us=START_US + day * DAY_US))

    def put_day(self, sensor, day, table):
        """Put these windows in place of a sensor's windows of a day."""
        first = START + timedelta(days=day)

        def changed(rows):
            is_day = pc.and_(
                pc.greater_equal(rows["window_start"], first),
                pc.less(rows["window_start"], first + timedelta(days=1)),
            )
            rest = rows.filter(pc.invert(pc.and_(is_day, pc.equal(rows["sensor"], sensor))))
            return pa.concat_tables([rest, table]).sort_by(
                [(name, "ascending") for name in ("sensor", "device", "window_start")]
            )

        self.windows.change(changed)

    def train(self, device=None, sensor=None, at=None, fit=None, **settings):
        """Run the node; trainings, which come in force, and statuses by sensor where they changed."""
        self.quarantine.replace(pa.Table.from_pylist(self.refused, schema=QUARANTINE))
        fast = {"max_train_windows": 60, "threshold": "native", "detector": "one_class_svm"} | (fit or {})
        chunks = train_models(
            self.windows.load(),
            self.quarantine.load(),
            Annotations({"feedback": self.feedback}),
            {"fit": fast} | settings,
            at,
            device,
            sensor,
        )
        trainings, before = {}, self.statuses()
        for status, training in chunks:
            if isinstance(training, Look):
                training({name: (lambda version=version: version) for name, version in self.models.items()})
                continue
            # Kept, as the catalog does: the files of a training are gone when the next is asked for.
            trainings |= {name: replace(one, models=in_file(one.model)) for name, one in training.items()}
            self.status.save(status)
        for name, training in trainings.items():
            self.models[name] = Version(training.models, training.fingerprint)
        after = self.statuses()
        return trainings, {name: rows for name, rows in after.items() if before.get(name) != rows}

    def statuses(self):
        """The status rows by sensor, sorted by device."""
        found = {}
        for row in self.status.rows("sensor", "device"):
            found.setdefault(row["sensor"], []).append(row)
        return found


def mute(n=1, device="mute", reason="not a number"):
    """Refused readings of sensor s."""
    return [dict.fromkeys(QUARANTINE.names) | {"device": device, "sensor": "s", "reason": reason}] * n


def column(rows, name):
    return [row[name] for row in rows]


def test_every_sensor_gets_a_model_a_device(tmp_path):
    trainings, statuses = Workspace(tmp_path).train()
    assert {name: t.model.devices.to_pylist() for name, t in trainings.items()} == {
        "s": ["a", "b"],
        "t": ["a", "b"],
    }
    assert trainings["s"].model.info.features == ("mean", "f1")
    assert column(statuses["t"], "status") == ["ok", "ok"]
    assert trainings["s"].metrics["models"] == 2


def test_a_share_of_the_time_is_trained_on(tmp_path):
    trainings, _ = Workspace(tmp_path).train(share=0.5)
    row = trainings["s"].model.table.to_pylist()[0]
    assert (row["n_train"], row["trained_from"], row["trained_to"]) == (288, START, START + timedelta(days=1))


def test_a_range_is_half_open_and_wins_over_the_share(tmp_path):
    settings = {"from": "2026-01-05T12:00Z", "to": "2026-01-06T12:00Z"}
    trainings, _ = Workspace(tmp_path).train(**settings)
    row = trainings["s"].model.table.to_pylist()[0]
    assert (row["n_train"], row["trained_from"]) == (288, START + timedelta(hours=12))


def test_windows_after_the_scheduled_time_are_not_trained_on(tmp_path):
    trainings, _ = Workspace(tmp_path).train(at="2026-01-05T06:00Z", share=1.0)
    assert trainings["s"].model.table["n_train"].to_pylist() == [72, 72]


def test_what_has_not_changed_is_not_trained_again(tmp_path):
    work = Workspace(tmp_path)
    work.train()
    assert work.train() == ({}, {})


@pytest.mark.parametrize("change", [{"fit": {"nu": 0.2}}, {"share": 0.4}, {"features": ["mean"]}])
def test_other_settings_are_another_training(tmp_path, change):
    work = Workspace(tmp_path)
    before, _ = work.train()
    after, _ = work.train(**change)
    assert before["s"].fingerprint != after["s"].fingerprint


def test_a_changed_window_outside_the_range_is_no_reason_to_train(tmp_path):
    work = Workspace(tmp_path)
    work.train(share=0.5)
    names = ["a"] * 288 + ["b"] * 288
    work.put_day("s", 1, make_windows(np.zeros((576, 2)), names, start_us=START_US + DAY_US))
    assert work.train(share=0.5) == ({}, {})


def test_retraining_one_device_changes_its_row_only(tmp_path):
    work = Workspace(tmp_path)
    old = work.train()[0]["s"].model
    trainings, statuses = work.train(device="b", sensor="s", fit={"nu": 0.3})
    new = trainings["s"].model
    assert new.select(["a"]).table.equals(old.select(["a"]).table)
    assert new.select(["b"]).table["nu"].to_pylist() == [0.3]
    assert column(statuses["s"], "device") == ["a", "b"]
    assert work.train(device="b", sensor="s", fit={"nu": 0.3})[0] == {}


def test_the_status_of_devices_that_are_not_trained_now_stays(tmp_path):
    work = Workspace(tmp_path)
    work.refused = mute(9)
    work.train()
    work.train(device="b", sensor="s", fit={"min_windows": 1000, "max_train_windows": 1000})
    rows = {row["device"]: row["status"] for row in work.statuses()["s"]}
    assert rows == {"a": "ok", "b": "too_few_windows", "mute": "no_data"}


def test_a_device_found_broken_later_is_named_though_nothing_is_trained(tmp_path):
    work = Workspace(tmp_path)
    work.train()
    work.refused = mute(9)
    trainings, statuses = work.train()
    assert trainings == {}
    assert column(statuses["s"], "device") == ["a", "b", "mute"]
    work.refused = []
    assert column(work.train()[1]["s"], "device") == ["a", "b"]
    assert work.train()[1] == {}


def test_the_status_is_saved_before_the_version():
    # A run killed between the two must train again, or the status would never be written.
    assert create_pipeline().nodes[0].outputs == ["train_status", "fleet_models"]


def test_a_new_devices_first_model_joins_the_others(tmp_path):
    work = Workspace(tmp_path)
    work.train(device="a")
    assert work.models["s"].models.read().devices.to_pylist() == ["a"]
    work.train(device="b")
    assert work.models["s"].models.read().devices.to_pylist() == ["a", "b"]


def test_a_device_without_a_good_reading_is_named_with_the_reasons(tmp_path):
    work = Workspace(tmp_path)
    work.refused = mute(2016) + mute(3, reason="duplicate") + mute(1, "a", "duplicate")
    _, statuses = work.train()
    rows = {row["device"]: row for row in statuses["s"]}
    assert list(rows) == ["a", "b", "mute"]
    assert rows["mute"]["status"] == "no_data"
    assert "2,016 not a number, 3 duplicate" in rows["mute"]["message"]
    assert column(statuses["t"], "device") == ["a", "b"]


def test_a_sensor_that_cannot_be_trained_has_a_status_and_no_model(tmp_path):
    trainings, statuses = Workspace(tmp_path).train(fit={"min_windows": 1000, "max_train_windows": 1000})
    assert trainings == {}
    assert set(column(statuses["s"], "status")) == {"too_few_windows"}


def test_ids_that_do_not_exist_are_errors(tmp_path):
    work = Workspace(tmp_path)
    with pytest.raises(InputError, match="sensor 'u'"):
        work.train(sensor="u")
    with pytest.raises(InputError, match="device 'c'"):
        work.train(device="c")


def test_an_unknown_device_is_answered_with_the_near_names_of_all_devices(tmp_path):
    work = Workspace(tmp_path, devices=("pump-1", "pump-2", "fan-1"))
    with pytest.raises(InputError, match=r"'pump-3' is not among the 3 known.*'pump-1'"):
        work.train(device="pump-3")


def test_a_device_whose_windows_are_all_outside_the_range_is_named(tmp_path):
    work = Workspace(tmp_path)
    with pytest.raises(InputError, match=r"device 'a' has no window to train on.*train\.from"):
        work.train(device="a", to=START.isoformat())


def test_without_windows_the_step_before_is_named(tmp_path):
    with pytest.raises(InputError, match="--pipelines=aggregate"):
        Workspace(tmp_path, days=0).train()


def test_the_future_alone_is_nothing_to_train_on(tmp_path):
    trainings, _ = Workspace(tmp_path).train(at=datetime(2020, 1, 1, tzinfo=UTC))
    assert trainings == {}
