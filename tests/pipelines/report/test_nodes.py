import json

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.text import TextDataset

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.parquet import OptionalParquetDataset
from batch_scoring.pipelines.incidents import create_pipeline as incidents_pipeline
from batch_scoring.pipelines.report.pipeline import create_pipeline
from tests.reporting.fleet_factory import (
    Fleet,
    device_incidents_of,
    gather,
    incidents_of,
    loaders,
    make_fleet,
    prediction_partitions,
    prediction_rows,
    status_rows,
)


def run_report(fleet: Fleet, tmp_path, **parameters) -> dict:
    tables = ("readings", "predictions", "train_status", "score_status", "quarantine")
    inputs = {name: loaders(getattr(fleet, name)) for name in tables}
    incidents = incidents_of(fleet.predictions)
    inputs |= {"incidents": loaders(incidents)}
    inputs |= {"windows": inputs["readings"], "ingested_sources": fleet.sources}
    inputs |= {"params:report": parameters, "params:device": None, "params:sensor": None}
    datasets = {name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}
    datasets |= {"fault_labels": OptionalParquetDataset(str(tmp_path / "no.parquet"))}
    device_incidents = OptionalParquetDataset(str(tmp_path / "device_incidents.parquet"))
    device_incidents.save(device_incidents_of(incidents))
    datasets |= {"device_incidents": device_incidents}
    datasets |= {"report_contents": MemoryDataset(copy_mode="assign")}
    datasets |= {"run_summary_text": TextDataset(filepath=str(tmp_path / "summary.txt"))}
    outputs = SequentialRunner().run(create_pipeline(), DataCatalog(datasets))
    outputs["run_summary_text"] = datasets["run_summary_text"]
    return {name: dataset.load() for name, dataset in outputs.items()}


def test_the_pipeline_writes_page_table_and_summary(tmp_path):
    outputs = run_report(make_fleet(3, 1), tmp_path)

    assert set(outputs) == {"report_page", "run_summary", "run_summary_text", "status_table"}
    assert outputs["report_page"].startswith("<!doctype html>")
    assert outputs["run_summary"]["devices"] == 3
    assert len(outputs["status_table"]) == 24


def test_the_same_tables_give_the_same_bytes(tmp_path):
    first, second = (run_report(make_fleet(3, 1), tmp_path) for _ in range(2))

    assert first["report_page"] == second["report_page"]
    assert first["run_summary_text"] == second["run_summary_text"]


def test_a_project_with_nothing_in_it_gets_a_report_too(tmp_path):
    outputs = run_report(Fleet(), tmp_path)

    assert outputs["run_summary"]["start"] is None
    assert json.dumps(outputs["run_summary"])


def test_readings_windows_and_sources_are_counted():
    fleet = make_fleet(2, 1)
    contents = gather(fleet)

    assert contents.n_readings == 5 * contents.view.cells.select(["n_windows"]).to_pandas()["n_windows"].sum()
    assert contents.n_sources == 1


def test_a_report_on_one_device_leaves_counts_of_the_whole_fleet_out():
    contents = gather(make_fleet(3, 1), device="pump-02")

    assert contents.n_readings is None
    assert contents.view.devices["device"].to_pylist() == ["pump-02"]
    assert set(contents.statuses["device"].to_pylist()) == {"pump-02"}


def test_an_unknown_device_is_an_error_that_suggests_near_ones():
    with pytest.raises(InputError, match="device 'pump-2' is not among the 3 known; did you mean 'pump-02'"):
        gather(make_fleet(3, 1), device="pump-2")


def test_a_device_that_only_has_a_status_is_known():
    fleet = Fleet(
        predictions=prediction_partitions(prediction_rows("a", "p")),
        train_status={"p": status_rows(("b", "p", "train", "too_few_readings", 1, 0, ""))},
    )

    assert gather(fleet, device="b").not_scored.num_rows == 1


def test_an_unknown_setting_is_an_error():
    with pytest.raises(
        InputError, match=r"report\.max_device: there is no such setting; did you mean 'max_devices'"
    ):
        gather(Fleet(), max_device=3)


def test_a_report_waits_for_the_incidents_of_the_same_run():
    order = [node.name for node in (create_pipeline() + incidents_pipeline()).nodes]

    assert order.index("gather_contents") > order.index("rank_devices")
