"""Every entry of the catalog: written as configuration and made of it again; what load and save say."""

import pandas as pd
import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.config_loader import ProjectConfigLoader
from batch_scoring.datasets.light_catalog import LightCatalog
from tests.doc_pages import PROJECT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    bootstrap_project(PROJECT)
    data = {"data": str(tmp_path_factory.mktemp("data"))}
    with KedroSession.create(project_path=PROJECT, runtime_params=data) as session:
        catalog = session.load_context().catalog
    for name in catalog:
        catalog.get(name)  # Kedro writes what it has not made as it stands in the file
    return catalog


def test_entries_are_written_as_they_stand_in_a_catalog(catalog):
    written, *_ = catalog.to_config()
    wanted = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    for name, entry in wanted.items():
        if not name.startswith("_"):
            assert written[name].keys() >= entry.keys() - {"metadata"}, name
            assert written[name].keys().isdisjoint({"more", "args", "kwargs", "arguments", "metadata"}), name
    assert yaml.safe_load(yaml.safe_dump(written)) == written


def test_a_catalog_is_made_again_of_what_is_written(catalog):
    again = LightCatalog.from_config(*catalog.to_config())
    names = [name for name in catalog if not name.startswith("param")]
    assert [repr(again[name]) for name in names] == [repr(catalog[name]) for name in names]


def test_a_frame_that_is_saved_is_refused_by_what_is_expected(catalog):
    for name in (one for one in catalog if not one.startswith("param")):
        with pytest.raises(DatasetError, match=r"is read only|DataFrame.*; expected") as raised:
            catalog.save(name, pd.DataFrame({"a": [1]}))
        assert name in str(raised.value)


@pytest.mark.parametrize("name", ["report_page", "run_summary", "run_summary_text", "status_table"])
def test_a_file_that_no_run_has_written_yet_is_said_with_what_to_do(catalog, name):
    with pytest.raises(DatasetError, match=r"08_reporting.*does not exist yet; run the preceding pipelines"):
        catalog.load(name)


def read_catalog(folder, entries):
    """A catalog of two entries, of which one holds others."""
    (folder / "base").mkdir()
    (folder / "local").mkdir()
    catalog = {"one": {"type": "text.TextDataset"}, "gone": None, "more": {"type": "x", "entries": entries}}
    (folder / "base/catalog.yml").write_text(yaml.safe_dump(catalog))
    return ProjectConfigLoader(str(folder), base_env="base", default_run_env="local")["catalog"]


@pytest.mark.parametrize("entries", [["one"], "one"])
def test_an_entry_holds_the_entries_that_it_names(tmp_path, entries):
    assert read_catalog(tmp_path, entries)["more"]["entries"] == {"one": {"type": "text.TextDataset"}}


@pytest.mark.parametrize("entries", [["one", "two"], ["gone"], ["more"], [["one"]], 3])
def test_what_is_no_other_entry_is_refused_in_a_sentence(tmp_path, entries):
    with pytest.raises(
        InputError, match=r"^catalog, entries of more: .* is not valid; expected other entries"
    ):
        read_catalog(tmp_path, entries)


def test_params_win_over_single_globals_of_a_group(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    plant = {"data": "data", "train": {"hall": 1, "line": {"a": 2, "b": 3}}}
    (tmp_path / "base/globals.yml").write_text(yaml.safe_dump(plant))
    path = "${globals:data}/${globals:train.hall}-${globals:train.line.a}-${globals:train.line.b}"
    (tmp_path / "base/catalog.yml").write_text(yaml.safe_dump({"one": {"type": "x", "path": path}}))
    given = {"train": {"line": {"a": 9}, "min_windows": 60}, "score": {"budget": 1}}
    loader = ProjectConfigLoader(
        str(tmp_path), base_env="base", default_run_env="local", runtime_params=given
    )
    assert loader["catalog"]["one"]["path"] == "data/1-9-3"
    assert "score" not in loader["globals"]


def test_what_people_write_is_of_the_zone_of_the_readings(tmp_path):
    times = "2026-01-05 11:00,2026-01-05 12:00\n"
    (tmp_path / "calendar.csv").write_text(f"start,end\n{times}")
    (tmp_path / "d1.csv").write_text(times)
    bootstrap_project(PROJECT)
    params = {
        "data": str(tmp_path),
        "calendar": str(tmp_path / "calendar.csv"),
        "labels": str(tmp_path / "d1.csv"),
        "ingest": {"timezone": "Europe/Berlin"},
    }
    with KedroSession.create(project_path=PROJECT, runtime_params=params) as session:
        catalog = session.load_context().catalog
    for rows in (catalog.load("calendar"), catalog.load("labels"), catalog.load("annotations").labels):
        assert [row["start"].isoformat() for row in rows.to_pylist()] == ["2026-01-05T10:00:00+00:00"]
