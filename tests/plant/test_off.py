"""A machine that was off has no window before, and one that is switched in a window is off in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.parameters import read_parameters
from batch_scoring.plant.devices import Devices
from batch_scoring.plant.off import take_off, with_off, without_steps
from batch_scoring.plant.rules import Domain
from batch_scoring.plant.settings import DomainParameters
from batch_scoring.tables.arrow_arrays import to_numpy
from tests.factories import make_windows
from tests.tables_on_disk import TableOnDisk

pytestmark = pytest.mark.slow

FEATURES = ["mean", "min", "max", "diff_mean"]


def marked(tmp_path, power, first=0, **condition):
    """Whether a machine is off, and whether it was in the window before, of windows from ``first`` on."""
    table = TableOnDisk(tmp_path, "window_start")
    rows = np.array([[mean, low, high, 0.0] for mean, low, high in power], float)
    values = np.tile([5.0, 5.0, 5.0, 1.0], (len(power), 1))
    windows = {
        sensor: make_windows(X, ["a"] * len(power), sensor, features=FEATURES)
        for sensor, X in (("power", rows), ("s", values))
    }
    for place in range(len(power)):
        table.add(pa.concat_tables([one.slice(place, 1) for one in windows.values()]))
    rules = read_parameters(
        DomainParameters, {"rules": [{"off_when": {"sensor": "power", **condition}}]}, "domain"
    ).read_rules
    asked = windows["s"].slice(first)
    starts = to_numpy(asked["window_start"])
    span = int(starts[0]), int(starts[-1]) + 1
    found = pa.concat_tables(with_off([asked], "s", table.load(), Domain(rules, Devices()), span))
    rows, is_off, after_off = take_off(found)
    return "".join(
        "-" if off else ">" if after else "." for off, after in zip(is_off, after_off, strict=True)
    ), rows


def on(n):
    return [(5.0, 4.0, 6.0)] * n


def off(n):
    return [(0.0, 0.0, 0.0)] * n


def test_the_first_window_after_is_marked(tmp_path):
    assert marked(tmp_path, [*on(2), *off(2), *on(2)], below=1.0)[0] == "..-->."


def test_so_it_is_where_the_windows_before_were_judged_in_an_earlier_run(tmp_path):
    assert marked(tmp_path, [*on(2), *off(2), *on(2)], first=4, below=1.0)[0] == ">."


def test_a_window_in_which_the_machine_is_switched_is_off(tmp_path):
    switched = (3.0, 0.0, 6.0)
    assert marked(tmp_path, [*on(2), switched, *off(1), switched, *on(2)], below=1.0)[0] == "..--->."


def test_above_is_the_same_upside_down(tmp_path):
    assert marked(tmp_path, [*off(1), (1.0, 0.0, 9.0), *off(2)], above=8.0)[0] == ".->."


def test_a_step_from_a_window_that_does_not_count_is_none(tmp_path):
    _, rows = marked(tmp_path, [*on(1), *off(1), *on(2)], below=1.0)
    steps = without_steps(rows, np.array([False, False, True, False]))["diff_mean"].to_pylist()
    assert steps == [1.0, 1.0, 0.0, 1.0]
    assert without_steps(rows.drop_columns(["diff_mean"]), np.ones(4, bool)).column_names == [
        name for name in rows.column_names if name != "diff_mean"
    ]
