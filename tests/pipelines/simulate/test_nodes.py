import logging
from typing import Any

import pyarrow as pa
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.core.ids import Selection
from batch_scoring.pipelines.simulate import create_pipeline
from batch_scoring.pipelines.simulate.nodes import simulate_readings
from batch_scoring.simulation.fleet import build_fleet
from batch_scoring.simulation.settings import simulation_digest
from batch_scoring.tables.streams import Stream
from tests.simulation.fleets import a_simulation, day_table

SETTINGS = {
    "devices": 3,
    "sensors": ["temperature", "vibration"],
    "days": 3,
    "interval": "10m",
    "faults_per_device": dict.fromkeys(
        ("spike", "level_shift", "drift", "stuck_value", "noise_burst", "dropout"), 0.4
    ),
}
DAYS = ["2026-01-05", "2026-01-06", "2026-01-07"]


def files(settings=None, device=None, sensor=None, readings=None, previous=None) -> dict[str, Any]:
    found = simulate_readings(settings or SETTINGS, device, sensor, readings)(previous or {})
    return {name: rows for chunk in found for name, rows in chunk.items()}


def run(*args, **options) -> dict[str, Stream]:
    """The days."""
    return {name: rows for name, rows in files(*args, **options).items() if name != "fault_labels"}


def label_faults(device=None, sensor=None, readings=None) -> pa.Table:
    return files(None, device, sensor, readings)["fault_labels"]


def digests(days: dict[str, Stream]) -> dict[str, str]:
    return {day: stream.schema.metadata[b"simulation"].decode() for day, stream in days.items()}


def test_each_day_is_a_stream_of_its_own():
    days = run()
    assert list(days) == DAYS
    table = pa.Table.from_batches([b for t in days[DAYS[1]].batches for b in t.to_batches()])
    assert table.equals(day_table(build_fleet(a_simulation()), 1).combine_chunks())


def test_days_that_are_there_are_not_simulated_again():
    there = digests(run())
    assert run(previous=there) == {}
    assert list(run(previous={day: there[day] for day in (DAYS[0], DAYS[2])})) == [DAYS[1]]


def test_days_made_with_other_settings_are_simulated_again_and_that_is_said(caplog):
    there = digests(run())
    with caplog.at_level(logging.WARNING):
        assert list(run(SETTINGS | {"seed": 8}, previous=there)) == DAYS
    assert [r.args[0] for r in caplog.records if r.levelname == "WARNING"] == [3]


def test_a_day_of_the_whole_fleet_serves_a_selection_but_not_the_other_way_round():
    assert run(device="pump-01", previous=digests(run())) == {}
    assert list(run(previous=digests(run(device="pump-01")))) == DAYS


def test_only_what_is_selected_is_simulated_and_labelled():
    days = run(device=["pump-03"], sensor="vibration")
    first = pa.concat_tables(days[DAYS[0]].batches)
    assert set(first["device"].to_pylist()) == {"pump-03"} and set(first["sensor"].to_pylist()) == {
        "vibration"
    }
    assert digests(days)[DAYS[0]] == simulation_digest(a_simulation(), Selection.read("pump-03", "vibration"))
    everything = label_faults()
    mine = label_faults("pump-03", "vibration")
    assert mine.to_pylist() == [
        one for one in everything.to_pylist() if (one["device"], one["sensor"]) == ("pump-03", "vibration")
    ]


def test_nothing_is_simulated_when_a_person_brings_readings():
    assert run(readings="data.csv") == {}
    assert label_faults(readings="data.csv").num_rows == 0


def test_a_typo_in_a_setting_is_an_error_with_a_suggestion():
    with pytest.raises(InputError, match="devises: there is no such setting; did you mean 'devices'"):
        run({"devises": 3})


class Saved(MemoryDataset):
    """Stands in for the raw readings: keeps the rows of every chunk that is saved."""

    def save(self, data):
        for part in data({}):
            rows = {
                name: one.num_rows if isinstance(one, pa.Table) else pa.concat_tables(one.batches).num_rows
                for name, one in part.items()
            }
            super().save((self.load() if self.exists() else {}) | rows)


def test_the_pipeline_saves_every_day_and_the_labels():
    catalog = DataCatalog(
        {
            "params:simulate": MemoryDataset(SETTINGS),
            "params:device": MemoryDataset("all"),
            "params:sensor": MemoryDataset("all"),
            "params:readings": MemoryDataset(None),
            "raw_readings": Saved(),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    saved = catalog.load("raw_readings")
    assert list(saved) == ["fault_labels", *DAYS]
    assert saved["fault_labels"] > 0
