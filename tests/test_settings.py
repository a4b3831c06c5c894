"""What Kedro makes of the files in conf/, by the project's own settings."""

import shutil

import yaml

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
