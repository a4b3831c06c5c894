"""A typo in any setting of a run is found before its first node."""

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.settings_check import GROUPS, check_settings
from tests.doc_pages import PROJECT


def check(values=None, runtime=None):
    values = {f"params:{name}": {} for name in GROUPS} | (values or {})
    check_settings(values, values.__getitem__, runtime or {})


def test_every_pipeline_with_settings_has_its_group():
    folders = {path.parent.name for path in (PROJECT / "src/batch_scoring/pipelines").glob("*/pipeline.py")}
    files = (PROJECT / "conf/base").glob("parameters_*.yml")
    # What is known of sensors concerns several pipelines; `incidents` notifies, too.
    shared = {"domain", "alerts", "metrics"}
    assert set(GROUPS) == (folders | shared) & {path.stem.removeprefix("parameters_") for path in files}


def test_defaults_and_known_settings_pass():
    check(
        {"params:device": None, "params:sensor": ["s"], "params:at": "2026-01-05T00:00Z"},
        {"train": {}, "at": 1},
    )


@pytest.mark.parametrize("group", GROUPS)
def test_a_typo_in_any_group_is_found(group):
    with pytest.raises(InputError, match=rf"{group}\.tpyo: there is no such setting"):
        check({f"params:{group}": {"tpyo": 1}})


@pytest.mark.parametrize(
    ("values", "runtime", "says"),
    [
        ({}, {"trian": {}}, "did you mean 'train'"),
        ({}, {"zzz": 1}, "known are simulate, ingest"),
        ({"params:device": [], "params:sensor": None}, {}, "device: the list is empty"),
        ({"params:at": "noon"}, {}, "at: 'noon' is not a valid time"),
    ],
)
def test_what_every_run_has_is_checked_too(values, runtime, says):
    with pytest.raises(InputError, match=says):
        check(values, runtime)


def test_groups_that_the_run_does_not_read_are_not_looked_at():
    check_settings(["params:score"], {"params:score": {}}.__getitem__, {})
