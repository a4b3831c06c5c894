"""The default pipeline reads as a picture, and every table is still an entry of the catalog."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline

from tests.doc_pages import PROJECT
from tests.end_to_end.workspaces import Workspace

CATALOG = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole_pipeline() -> Pipeline:
    bootstrap_project(PROJECT)
    return pipelines["__default__"]


def test_the_picture_has_at_most_twenty_datasets(whole_pipeline: Pipeline) -> None:
    names = {name for name in whole_pipeline.datasets() if not name.startswith("param")}
    assert len(names) <= 20, sorted(names)


def test_it_leads_from_readings_to_the_report(whole_pipeline: Pipeline) -> None:
    way = ("raw_readings", "readings", "windows", "fleet_models", "predictions", "incidents")
    for read, written in pairwise((*way, "device_incidents", "report", "tables")):
        assert [node.name for node in whole_pipeline.nodes if read in node.inputs and written in node.outputs]


def test_an_entry_that_holds_others_names_entries_of_the_catalog() -> None:
    entries = [entry for entry in CATALOG.values() if isinstance(entry, dict)]
    held = {name for entry in entries for name in entry.get("entries", ())}
    assert held
    assert held <= CATALOG.keys()


@pytest.mark.slow
def test_every_table_of_a_workspace_is_an_entry_and_is_maintained(whole: Workspace) -> None:
    root = Path(whole.folder)
    tables = {path.parent.relative_to(root).as_posix() for path in root.glob("*/**/_delta_log")}
    assert len(tables) > 10
    paths = {CATALOG[name]["path"] for name in CATALOG["tables"]["entries"]}
    assert {f"${{globals:data}}/{table}" for table in tables} <= paths
