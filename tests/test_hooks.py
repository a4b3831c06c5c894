"""What happens around a run."""

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from batch_scoring.core.errors import InputError
from batch_scoring.hooks import ProjectHooks
from batch_scoring.storage.known_versions import KnownVersions


def after_run(entries=None, **outputs):
    pipeline = Pipeline([Node(lambda: None, None, name, name=name) for name in outputs])
    catalog = DataCatalog(
        {name: MemoryDataset(value) for name, value in {**outputs, **(entries or {})}.items()}
    )
    ProjectHooks().after_pipeline_run(pipeline, catalog)


def test_a_run_begins_without_what_a_former_one_of_the_process_saw():
    known = KnownVersions()
    known.see("report.html", "1")
    ProjectHooks().before_pipeline_run({}, Pipeline([]), DataCatalog())
    assert not known.knows("report.html")


def test_what_steps_fell_short_of_ends_the_run_after_its_last_node():
    with pytest.raises(InputError, match=r"a\.csv.*7 of 10"):
        after_run(ingest_counts={"shortfalls": ["a.csv"]}, score_counts={"shortfalls": ["7 of 10"]})


def test_the_summary_is_printed_before_the_run_ends_with_an_error(capsys):
    with pytest.raises(InputError, match="7 of 10"):
        after_run({"run_summary_text": "the summary"}, report={}, score_counts={"shortfalls": ["7 of 10"]})
    assert "the summary" in capsys.readouterr().out


def test_the_headline_of_an_evaluation_is_printed(capsys):
    after_run(evaluation_headline="5 of 17 events found")
    assert "5 of 17 events found" in capsys.readouterr().out


def test_a_run_that_did_all_of_its_work_ends_well():
    after_run(ingest_counts={"shortfalls": []}, score_counts={"shortfalls": []}, other=1)


def test_steps_that_only_missing_outputs_left_out_have_no_counts():
    pipeline = Pipeline([Node(lambda: None, None, "ingest_counts", name="ingest_readings")])
    ProjectHooks().after_pipeline_run(pipeline, DataCatalog())
