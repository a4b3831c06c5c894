"""What Kedro makes of the files in conf/, by the project's own settings."""

import shutil
from importlib import import_module
from pkgutil import iter_modules

import pytest
import yaml

from batch_scoring import pipelines
from batch_scoring.core.errors import InputError
from batch_scoring.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from tests.doc_pages import PROJECT, code_blocks, read_page

PARAMETERS = "parameters_alerts.yml"


def test_a_group_of_conf_local_is_merged_with_that_of_conf_base(tmp_path):
    written = code_blocks(read_page("how-to/get-alerts.md"), "yaml")[0]
    for folder in ("base", "local"):
        (tmp_path / folder).mkdir()
    shutil.copy(PROJECT / "conf/base" / PARAMETERS, tmp_path / "base")
    (tmp_path / "local" / PARAMETERS).write_text(written)
    merged = CONFIG_LOADER_CLASS(str(tmp_path), **CONFIG_LOADER_ARGS)["parameters"]
    base = yaml.safe_load((PROJECT / "conf/base" / PARAMETERS).read_text())
    sinks = yaml.safe_load(written)["alerts"]["sinks"]
    base["alerts"]["sinks"] = sinks
    assert merged == base
    assert [sink["type"] for sink in sinks] == ["log", "file", "webhook"]


def test_params_win_over_the_globals_of_their_names(tmp_path):
    for folder in ("base", "local"):
        (tmp_path / folder).mkdir()
    (tmp_path / "base/globals.yml").write_text("data: one\nzone: UTC\n")
    (tmp_path / "base/catalog.yml").write_text("rows: {path: '${globals:data}/r', zone: '${globals:zone}'}")

    def rows(**params):
        loader = CONFIG_LOADER_CLASS(str(tmp_path), runtime_params=params, **CONFIG_LOADER_ARGS)
        return loader["catalog"]["rows"]

    assert rows(device="7") == {"path": "one/r", "zone": "UTC"}
    assert rows(data="two", device="7") == {"path": "two/r", "zone": "UTC"}
    with pytest.raises(InputError, match="'ftp://two' is not valid; expected a local path"):
        rows(data="ftp://two")


def test_every_entry_of_the_catalog_has_a_layer_and_every_node_its_pipeline_as_a_tag():
    catalog = yaml.safe_load((PROJECT / "conf/base/catalog.yml").read_text(encoding="utf-8"))
    entries = {name: entry for name, entry in catalog.items() if not name.startswith("_")}
    layers = {
        name: entry.get("metadata", {}).get("kedro-viz", {}).get("layer") for name, entry in entries.items()
    }
    assert [name for name, layer in layers.items() if layer is None] == ["workspace"]  # no pipeline has it
    assert {*layers.values()} - {None} == {
        *("raw", "readings", "windows", "models", "predictions", "incidents", "report")
    }
    names = sorted(module.name for module in iter_modules(pipelines.__path__) if module.ispkg)
    for name in names:
        pipeline = import_module(f"{pipelines.__name__}.{name}").create_pipeline()
        assert [node.tags for node in pipeline.nodes] == [{name}] * len(pipeline.nodes)
