import json
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from batch_scoring.core.errors import InputError
from batch_scoring.operations.annotations import NOTHING_WRITTEN
from batch_scoring.pipelines.incidents import create_pipeline as incidents_pipeline
from batch_scoring.pipelines.report.pipeline import create_pipeline
from batch_scoring.registry.published import InService
from batch_scoring.reporting.contents import count_windows
from batch_scoring.reporting.fleet_view import EVERYTHING, view_fleet
from batch_scoring.storage import series_copies
from batch_scoring.storage.series_copies import SeriesCopies
from batch_scoring.tables.schemas import READINGS, SOURCES
from tests.reporting.fleet_factory import (
    START,
    Fleet,
    fleet_of,
    gather,
    make_fleet,
    prediction_rows,
    status_rows,
    tables_of,
    unscored_rows,
)

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def run_report(fleet: Fleet, **parameters) -> dict:
    with tables_of(fleet) as tables:
        inputs = tables | {"params:report": parameters, "params:device": None, "params:sensor": None}
        datasets = {name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}
        datasets |= {
            "report": MemoryDataset(copy_mode="assign"),
            "fleet_models": MemoryDataset(InService({}, tables["calibrations"]), copy_mode="assign"),
            "annotations": MemoryDataset(NOTHING_WRITTEN),
            "stretches": MemoryDataset({"stays": tables["stays"]}, copy_mode="assign"),
        }
        outputs = SequentialRunner().run(create_pipeline(), DataCatalog(datasets))
    return outputs["report"].load()


def test_the_pipeline_writes_page_table_and_summary():
    outputs = run_report(make_fleet(3, 1))

    assert set(outputs) == {"report_page", "run_summary", "run_summary_text", "status_table"}
    assert outputs["report_page"].startswith("<!doctype html>")
    assert outputs["run_summary"]["devices"] == 3
    assert len(outputs["status_table"]) == 24


def test_the_same_tables_give_the_same_bytes():
    first, second = (run_report(make_fleet(3, 1)) for _ in range(2))

    assert first["report_page"] == second["report_page"]
    assert first["run_summary_text"] == second["run_summary_text"]


def test_a_page_made_of_copies_is_the_same(monkeypatch):
    expected = run_report(make_fleet(4, 2))
    monkeypatch.setattr(series_copies, "MIN_ROWS", 1)
    real, read = SeriesCopies._read, {}

    def noted(self, file, columns):
        read[file.name] = real(self, file, columns)
        return read[file.name]

    monkeypatch.setattr(SeriesCopies, "_read", noted)
    found = run_report(make_fleet(4, 2))

    assert read
    assert all(read.values())
    assert found["report_page"] == expected["report_page"]
    assert found["run_summary_text"] == expected["run_summary_text"]


def test_a_project_with_nothing_in_it_gets_a_report_too():
    outputs = run_report(Fleet())

    assert outputs["run_summary"]["start"] is None
    assert json.dumps(outputs["run_summary"])


def test_readings_windows_and_sources_are_counted():
    times = [START - DAY, START, START]
    readings = pa.table([times, ["a"] * 3, ["p"] * 3, [1.0] * 3], READINGS.names).cast(READINGS)
    source = pa.Table.from_pylist([{"source": "1.csv"}, {"source": "2.csv"}], SOURCES)
    fleet = fleet_of(prediction_rows("a"), prediction_rows("b", start=START - DAY))
    fleet.readings, fleet.sources = readings, source
    contents = gather(fleet)

    assert (contents.n_readings, contents.n_windows, contents.n_sources) == (3, 6, 2)
    assert gather(fleet, range="1d").n_windows == 3


def test_the_windows_of_a_range_are_counted_in_files_that_hold_earlier_ones_too():
    fleet = fleet_of(prediction_rows("a", values=[1] * 4))
    with tables_of(fleet) as tables:
        view = replace(view_fleet(tables["daily_totals"], DAY), start=START + timedelta(minutes=10))

        assert count_windows(tables["windows"], view, EVERYTHING) == 2


def test_windows_that_nobody_has_scored_are_counted():
    with tables_of(fleet_of(prediction_rows("a"))) as tables, tables_of(Fleet()) as nothing:
        assert count_windows(tables["windows"], view_fleet(nothing["daily_totals"], DAY), EVERYTHING) == 3


def test_a_device_is_known_though_its_windows_are_older_than_the_range():
    fleet = fleet_of(prediction_rows("old"), prediction_rows("new", start=START + 30 * DAY))

    assert gather(fleet).view.devices["device"].to_pylist() == ["new"]
    assert gather(fleet, device="old").view.devices["device"].to_pylist() == ["old"]


def test_a_range_of_less_than_a_day_is_an_error():
    with pytest.raises(
        InputError, match=r"report\.range: 6 h is not valid; expected a day or more, such as 14d"
    ):
        gather(Fleet(), range="6h")


def test_a_report_on_one_device_leaves_counts_of_the_whole_fleet_out():
    contents = gather(make_fleet(3, 1), device="pump-02")

    assert contents.n_readings is None
    assert contents.view.devices["device"].to_pylist() == ["pump-02"]
    assert set(contents.statuses["device"].to_pylist()) == {"pump-02"}


def test_an_unknown_device_is_an_error_that_suggests_near_ones():
    with pytest.raises(InputError, match="device 'pump-2' is not among the 3 known; did you mean 'pump-02'"):
        gather(make_fleet(3, 1), device="pump-2")


def test_a_device_that_only_has_a_status_is_known():
    train = status_rows(("b", "p", "train", "too_few_readings", 1, 0, ""))
    fleet = fleet_of(prediction_rows("a", "p"), train_status=train, unscored=unscored_rows("c", "p", 3))

    assert gather(fleet, device="b").not_scored.num_rows == 1
    assert gather(fleet, device="c").not_scored["status"].to_pylist() == ["no_model"]


def test_an_unknown_setting_is_an_error():
    with pytest.raises(
        InputError, match=r"report\.max_device: there is no such setting; did you mean 'max_devices'"
    ):
        gather(Fleet(), max_device=3)


def test_a_report_waits_for_the_incidents_of_the_same_run():
    order = [node.name for node in (create_pipeline() + incidents_pipeline()).nodes]

    assert order.index("draw_report") > order.index("rank_devices")
